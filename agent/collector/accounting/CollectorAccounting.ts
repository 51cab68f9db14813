/**
 * The built-in collector for short-lived processes: follows the file of the kernel's process accounting
 * (`AccountingFile.ts`), and tells who ran between two scans of the processes (`ShortLived.ts`).
 *
 * The scans are those of the collector for processes, which shows each to `scanned` and is told the last bits for its
 * groups: only so does no CPU time count twice. Where that collector does not run, since an exporter serves the processes, it
 * scans by itself, at its own ticks; what such an exporter saw and this did not then counts in both, and the other way round in
 * neither: a few milliseconds of each minute, as the agent scrapes both together.
 *
 * It fails where the file cannot be read, or where processes end and none of them is recorded. Cost: a read of what was
 * appended, 64 bytes a process; and, by itself only, a scan.
 */
import { type Clock, Effect } from "effect"
import { Collection, CollectorUnavailable, type OpenCollector } from "../Collector.ts"
import { type Family, familyOf } from "../ExpositionText.ts"
import { foldedName } from "../names/FoldedName.ts"
import { scanProcesses } from "../ProcessScan.ts"
import { type KernelUnits, kernelUnits, type ProcFiles } from "../ProcFiles.ts"
import type { ProcStat } from "../ProcStat.ts"
import { AccountingFile } from "./AccountingFile.ts"
import { type ScannedProcess, ShortLived } from "./ShortLived.ts"

export interface Scan {
  /** The machine's time since boot. */
  readonly upSeconds: number
  readonly units: KernelUnits
  readonly processes: ReadonlyArray<ProcStat>
  /** What a process is called where others name it as their parent; undefined: by its command. */
  readonly nameOf: (pid: number) => string | undefined
}

/** What a process used between the last scan that saw it and its end, in clock ticks. */
export interface LastTicks {
  readonly pid: number
  readonly startTicks: number
  readonly ticks: number
}

export interface Accounts {
  /** A scan of all processes that count in groups. Resolves to what is to be added there. */
  readonly scanned: (scan: Scan) => ReadonlyArray<LastTicks>
  readonly open: Effect.Effect<OpenCollector>
}

/** After this long without a scan by others it scans by itself: the longest time that a hole in their rows is none. */
const ALONE_AFTER_MILLIS = 300_000
/** So many processes have to end without a record before accounting counts as off: a few end while it begins. */
const UNRECORDED_MAX = 10

/** The accounts of the machine whose procfs this is. */
export const makeAccounts = (path: string, files: ProcFiles, clock: Clock.Clock): Accounts => {
  const file = new AccountingFile(path)
  const ledger = new ShortLived()
  let startedAt: number | undefined
  let othersScannedAt: number | undefined
  let records = 0
  let skipped = 0
  let problem: string | undefined

  const read = () => {
    const taken = file.read()
    records += taken.records.length
    skipped += taken.skipped
    problem = taken.problem
    ledger.exited(taken.records.map((record) => ({ ...record, command: foldedName(record.command, true) })))
  }

  const pass = ({ nameOf, processes, units, upSeconds }: Scan): ReadonlyArray<LastTicks> => {
    ledger.scanned(upSeconds, processes.map(scannedOf(units.ticksPerSecond, nameOf)))
    read()
    return ledger.settle().map(({ cpuSeconds, pid, startSeconds }) => ({
      pid,
      startTicks: Math.round(startSeconds * units.ticksPerSecond),
      ticks: cpuSeconds * units.ticksPerSecond
    }))
  }

  const collect = Effect.gen(function* () {
    const collectedAt = clock.currentTimeMillisUnsafe()
    const now = Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
    startedAt ??= collectedAt
    if (othersScannedAt === undefined || now - othersScannedAt > ALONE_AFTER_MILLIS) pass(yield* scan(files))
    else read()
    const reason = problem ?? (ledger.unrecorded < UNRECORDED_MAX ? undefined : silent(ledger.unrecorded))
    if (reason !== undefined) return yield* new CollectorUnavailable({ reason: `accounting.file ${path} ${reason}` })
    return new Collection(familiesOf(ledger, { startedAt, records, skipped }), collectedAt)
  })

  return {
    scanned: (scan) => {
      // Before anybody asks for what they make, there is nothing to count.
      if (startedAt === undefined) return []
      othersScannedAt = Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
      return pass(scan)
    },
    open: Effect.succeed({ collect })
  }
}

const silent = (count: number): string =>
  `does not grow, although ${count} processes have ended: accounting is off (accton FILE switches it on), or its disk is almost full`

const scannedOf =
  (ticksPerSecond: number, nameOf: Scan["nameOf"]) =>
  ({ childTicks, comm, parent, pid, startTicks, systemTicks, userTicks }: ProcStat): ScannedProcess => ({
    pid,
    parent,
    startSeconds: startTicks / ticksPerSecond,
    cpuSeconds: (userTicks + systemTicks) / ticksPerSecond,
    childSeconds: childTicks / ticksPerSecond,
    name: nameOf(pid) ?? foldedName(comm, true)
  })

/** A scan of its own. */
const scan = Effect.fnUntraced(function* (files: ProcFiles) {
  const { processes, upSeconds } = yield* scanProcesses(files)
  return { upSeconds, units: kernelUnits(files), processes, nameOf: () => undefined } satisfies Scan
})

const familiesOf = (
  ledger: ShortLived,
  { records, skipped, startedAt }: { readonly startedAt: number; readonly records: number; readonly skipped: number }
): ReadonlyArray<Family> => {
  const rows = ledger.rows()
  return [
    familyOf({
      name: "nodepulse_short_lived_runs_total",
      help: "Processes that ended and that no scan of the processes saw.",
      type: "counter",
      samples: rows.map(({ command, parent, runs }) => [{ command, parent }, runs] as const)
    }),
    familyOf({
      name: "nodepulse_short_lived_cpu_seconds_total",
      help: "CPU time that they used, in seconds.",
      type: "counter",
      samples: rows.map(
        ({ command, cpuSeconds, parent }) => [{ command, parent }, Number(cpuSeconds.toFixed(6))] as const
      )
    }),
    familyOf({
      name: "nodepulse_accounting_records_total",
      help: "Records of process accounting that were read.",
      type: "counter",
      samples: [[{}, records]]
    }),
    familyOf({
      name: "nodepulse_accounting_skipped_total",
      help: "Records that were passed over, as more came than are read at once.",
      type: "counter",
      samples: [[{}, skipped]]
    }),
    familyOf({
      name: "process_start_time_seconds",
      help: "When the counters began, in seconds since the epoch.",
      type: "gauge",
      samples: [[{}, startedAt / 1_000]]
    })
  ]
}
