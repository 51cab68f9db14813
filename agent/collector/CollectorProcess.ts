/**
 * The built-in collector for processes: reads `/proc`, groups by command name (`ProcessGroups.ts`), and writes what
 * process_exporter would: CPU seconds, resident memory and processes of each group, and when the counting began.
 *
 * Cost: one read of `stat` per process and scan, and one of `cmdline` for a process that is new; some 10 ms for 500
 * processes. It lets other fibers run after every 64. Bound: 32 768 processes, 4 096 groups.
 */
import { type Clock, Effect } from "effect"
import { type Collection, CollectorUnavailable, type OpenCollector } from "./Collector.ts"
import { renderExposition } from "./ExpositionText.ts"
import { type ProcessGroup, ProcessGroups } from "./ProcessGroups.ts"
import { type KernelUnits, kernelUnits, type ProcFiles } from "./ProcFiles.ts"
import { type ProcStat, parseProcStat } from "./ProcStat.ts"

const PROCESSES_MAX = 32_768
const GROUPS_MAX = 4_096
const READ_IN_A_ROW = 64

/** Opens the collector. The first scan is the first `collect`: its counters are 0. */
export const openProcessCollector = (
  files: ProcFiles,
  clock: Clock.Clock
): Effect.Effect<OpenCollector, CollectorUnavailable> =>
  Effect.sync(() => {
    const units = kernelUnits(files)
    const groups = new ProcessGroups(GROUPS_MAX)
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
      groups.scan(upSeconds * units.ticksPerSecond, processes, (pid) => files.isFilled(`${pid}/cmdline`))
      return { text: renderProcessGroups(groups.groups(), units, startedAt), collectedAt } satisfies Collection
    })
    return { collect }
  })

/** The groups in process_exporter's format. `startedAt` in epoch milliseconds. */
const renderProcessGroups = (groups: ReadonlyArray<ProcessGroup>, units: KernelUnits, startedAt: number): string =>
  renderExposition([
    {
      name: "namedprocess_namegroup_cpu_seconds_total",
      help: "CPU time that the group used, in seconds.",
      type: "counter",
      samples: groups.flatMap(({ name, userTicks, systemTicks }) => [
        [{ groupname: name, mode: "system" }, systemTicks / units.ticksPerSecond] as const,
        [{ groupname: name, mode: "user" }, userTicks / units.ticksPerSecond] as const
      ])
    },
    {
      name: "namedprocess_namegroup_memory_bytes",
      help: "Memory of the group's processes, in bytes.",
      type: "gauge",
      samples: groups.map(
        ({ name, residentPages }) =>
          [{ groupname: name, memtype: "resident" }, residentPages * units.pageBytes] as const
      )
    },
    {
      name: "namedprocess_namegroup_num_procs",
      help: "Processes in the group.",
      type: "gauge",
      samples: groups.map(({ name, processes }) => [{ groupname: name }, processes] as const)
    },
    {
      name: "process_start_time_seconds",
      help: "When the counters began, in seconds since the epoch.",
      type: "gauge",
      samples: [[{}, startedAt / 1000]]
    }
  ])
