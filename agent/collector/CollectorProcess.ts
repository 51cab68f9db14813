/**
 * The built-in collector for processes: reads `/proc`, groups by name and unit (`ProcessGroups.ts`), and says what
 * process_exporter would (`ProcessFamilies.ts`).
 *
 * Cost: one read of `stat` per process and scan; three to four files more where it used CPU or a minute is over
 * (`ProcessReader.ts`), a bounded sample of shared memory (`ProportionalMemory.ts`), and what its name and unit need when
 * it is new. For 500 idle processes beside 100 busy ones some 40 ms of CPU a scan. It lets other fibers run after every 64.
 * Bound: 32 768 processes, 1 000 groups and `other`.
 */
import { type Clock, Effect } from "effect"
import type { Accounts, LastTicks } from "./accounting/CollectorAccounting.ts"
import { Collection, type CollectorUnavailable, type OpenCollector } from "./Collector.ts"
import { namesByComm, type ProcessNames } from "./names/ProcessNames.ts"
import { processFamilies } from "./ProcessFamilies.ts"
import { ProcessGroups, type ProcessPlaces } from "./ProcessGroups.ts"
import { ProcessReader } from "./ProcessReader.ts"
import { PROCESSES_MAX, READ_IN_A_ROW, scanProcesses } from "./ProcessScan.ts"
import { type KernelUnits, kernelUnits, type ProcFiles } from "./ProcFiles.ts"
import { ProportionalMemory } from "./ProportionalMemory.ts"

const GROUPS_MAX = 1_000
/** A machine's boot that moves by more than this was moved by whoever set its clock. */
const CLOCK_SET_MILLIS = 1_000

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
  accounts?: Accounts,
  groupsLimit: () => number | undefined = () => undefined
): Effect.Effect<OpenCollector, CollectorUnavailable> =>
  Effect.sync(() => {
    const units = kernelUnits(files)
    const groups = new ProcessGroups(GROUPS_MAX, units.ticksPerSecond)
    const reader = new ProcessReader(files, units.ticksPerSecond)
    const proportional = new ProportionalMemory(files, units, () => Number(clock.currentTimeNanosUnsafe()) / 1e6)
    let startedAt: number | undefined
    // Kept while it only moves by what the two clocks are read apart: the start of a process is not to move with it.
    let [bootSeen, bootedAt] = [0, 0]
    let warned = false
    const collect = Effect.gen(function* () {
      const collectedAt = clock.currentTimeMillisUnsafe()
      const { found, processes, upSeconds } = yield* scanProcesses(files)
      if (found > PROCESSES_MAX && !warned) {
        warned = true
        yield* Effect.logWarning(`${found} processes run, the collector looks at the first ${PROCESSES_MAX}`)
      }
      startedAt ??= collectedAt
      const upTicks = upSeconds * units.ticksPerSecond
      const boot = collectedAt - upSeconds * 1_000
      if (Math.abs(boot - bootSeen) > CLOCK_SET_MILLIS) {
        bootSeen = boot
        bootedAt = files.bootedAt() ?? boot
      }
      groups.limit(Math.min(GROUPS_MAX, groupsLimit() ?? GROUPS_MAX))
      const members = groups.place(upTicks, processes, placesOf(files, naming, bootedAt, units))
      reader.begin(upTicks)
      for (const [index, stat] of members.flat().entries()) {
        if (index % READ_IN_A_ROW === READ_IN_A_ROW - 1) yield* Effect.yieldNow
        reader.read(stat)
      }
      reader.end()
      yield* Effect.yieldNow
      proportional.sample(upTicks, members)
      groups.count((stat) => ({
        ...stat,
        ...reader.readingsOf(stat),
        proportionalBytes: proportional.bytesOf(stat.pid, upTicks)
      }))
      const nameOf = (pid: number) => groups.nameOf(pid)
      for (const bit of accounts?.scanned({ upSeconds, units, processes, nameOf }) ?? []) settle(groups, bit)
      return new Collection(processFamilies(groups.groups(), units, startedAt, bootedAt), collectedAt)
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
