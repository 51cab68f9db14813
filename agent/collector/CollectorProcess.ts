/**
 * The built-in collector for processes: reads `/proc`, groups by name and unit (`ProcessGroups.ts`), and writes what
 * process_exporter would: CPU seconds, resident memory and processes of each group, and when the counting began. The
 * label `unit` is there where the unit is known.
 *
 * Cost: one read of `stat` per process and scan; what its name and unit need is read when it is new. Some 10 ms for 500
 * processes. It lets other fibers run after every 64. Bound: 32 768 processes, 1 000 groups and `other`.
 */
import { type Clock, Effect } from "effect"
import type { Accounts, LastTicks } from "./accounting/CollectorAccounting.ts"
import { type Collection, CollectorUnavailable, type OpenCollector } from "./Collector.ts"
import { renderExposition } from "./ExpositionText.ts"
import { namesByComm, type ProcessNames } from "./names/ProcessNames.ts"
import { type ProcessGroup, ProcessGroups, type ProcessPlaces } from "./ProcessGroups.ts"
import { type KernelUnits, kernelUnits, type ProcFiles } from "./ProcFiles.ts"
import { type ProcStat, parseProcStat } from "./ProcStat.ts"

const PROCESSES_MAX = 32_768
const GROUPS_MAX = 1_000
const READ_IN_A_ROW = 64

/** What tells the processes apart. */
export interface ProcessNaming {
  readonly names: ProcessNames
  /** The unit of a process; "" where none is known. */
  readonly unitOf: (pid: number) => string
}

/** By command name, without units. */
export const NAMED_BY_COMM: ProcessNaming = { names: namesByComm, unitOf: () => "" }

/** Opens the collector. The first scan is the first `collect`: its counters are 0. */
export const openProcessCollector = (
  files: ProcFiles,
  clock: Clock.Clock,
  naming: ProcessNaming = NAMED_BY_COMM,
  accounts?: Accounts
): Effect.Effect<OpenCollector, CollectorUnavailable> =>
  Effect.sync(() => {
    const units = kernelUnits(files)
    const groups = new ProcessGroups(GROUPS_MAX, units.ticksPerSecond)
    let startedAt: number | undefined
    let warned = false
    const collect = Effect.gen(function* () {
      const collectedAt = clock.currentTimeMillisUnsafe()
      const upSeconds = Number(files.text("uptime")?.split(" ", 1)[0])
      const pids = files.pids()
      if (pids === undefined || !Number.isFinite(upSeconds)) {
        return yield* new CollectorUnavailable({ reason: `${files.root} cannot be read` })
      }
      const processes: Array<ProcStat> = []
      for (const [index, pid] of pids.slice(0, PROCESSES_MAX).entries()) {
        if (index % READ_IN_A_ROW === READ_IN_A_ROW - 1) yield* Effect.yieldNow
        const bytes = files.bytes(`${pid}/stat`)
        const stat = bytes === undefined ? undefined : parseProcStat(bytes, bytes.length)
        if (stat !== undefined) processes.push(stat)
      }
      if (pids.length > PROCESSES_MAX && !warned) {
        warned = true
        yield* Effect.logWarning(`${pids.length} processes run, the collector looks at the first ${PROCESSES_MAX}`)
      }
      startedAt ??= collectedAt
      const bootedAt = files.bootedAt() ?? collectedAt - upSeconds * 1_000
      groups.scan(upSeconds * units.ticksPerSecond, processes, placesOf(files, naming, bootedAt, units))
      const nameOf = (pid: number) => groups.nameOf(pid)
      for (const bit of accounts?.scanned({ upSeconds, units, processes, nameOf }) ?? []) settle(groups, bit)
      return { text: renderProcessGroups(groups.groups(), units, startedAt), collectedAt } satisfies Collection
    })
    return { collect }
  })

/** What a process used between the scan that saw it last and its end. */
const settle = (groups: ProcessGroups, { pid, startTicks, ticks }: LastTicks): void => {
  const counted = groups.counted(pid).find((one) => one.startTicks === startTicks)
  if (counted !== undefined) groups.settle({ ...counted, userTicks: counted.userTicks + ticks })
}

/** Asks the naming, of what it needs to know. */
export const placesOf = (
  files: ProcFiles,
  { names, unitOf }: ProcessNaming,
  bootedAt: number,
  { ticksPerSecond }: KernelUnits
): ProcessPlaces => ({
  unitOf,
  nameOf: ({ comm, pid, startTicks }, unit) =>
    names.nameOf({
      pid,
      comm,
      exe: names.needs.exe ? files.link(`${pid}/exe`) : undefined,
      cmdline: names.needs.cmdline ? files.commandLine(pid) : [],
      uid: names.needs.user ? files.owner(pid) : undefined,
      startedAt: bootedAt + (startTicks / ticksPerSecond) * 1_000,
      cgroups: names.needs.cgroups ? files.controlGroups(pid) : [],
      unit
    })
})

/** The groups in process_exporter's format. `startedAt` in epoch milliseconds. */
const renderProcessGroups = (groups: ReadonlyArray<ProcessGroup>, units: KernelUnits, startedAt: number): string =>
  renderExposition([
    {
      name: "namedprocess_namegroup_cpu_seconds_total",
      help: "CPU time that the group used, in seconds.",
      type: "counter",
      samples: groups.flatMap((group) => [
        [{ ...labelsOf(group), mode: "system" }, group.systemTicks / units.ticksPerSecond] as const,
        [{ ...labelsOf(group), mode: "user" }, group.userTicks / units.ticksPerSecond] as const
      ])
    },
    {
      name: "namedprocess_namegroup_memory_bytes",
      help: "Memory of the group's processes, in bytes.",
      type: "gauge",
      samples: groups.map(
        (group) => [{ ...labelsOf(group), memtype: "resident" }, group.residentPages * units.pageBytes] as const
      )
    },
    {
      name: "namedprocess_namegroup_num_procs",
      help: "Processes in the group.",
      type: "gauge",
      samples: groups.map((group) => [labelsOf(group), group.processes] as const)
    },
    {
      name: "process_start_time_seconds",
      help: "When the counters began, in seconds since the epoch.",
      type: "gauge",
      samples: [[{}, startedAt / 1000]]
    }
  ])

const labelsOf = ({ name, unit }: ProcessGroup): Readonly<Record<string, string>> =>
  unit === "" ? { groupname: name } : { groupname: name, unit }
