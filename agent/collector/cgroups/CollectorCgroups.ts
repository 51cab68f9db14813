/**
 * The built-in collector for units: walks the cgroup hierarchy (`CgroupTree.ts`), takes it apart into units whose counters
 * never fall (`UnitCounters.ts`), and tells them as cAdvisor would, with the labels `unit` and `slice` in place of a path.
 *
 * It needs no privilege: cgroups can be read by all. Names of containers need more (`UnitNames.ts`); without them they
 * are short ids. Cost: a small file for each idle unit, some twelve for a busy one (docs/units.md has figures). It lets other
 * fibers run after every 32 cgroups.
 */
import { type Clock, Effect } from "effect"
import { CONTAINER_UNIT, ROOT, type Unit } from "../../../src/plugins/UnitName.ts"
import { Collection, CollectorUnavailable, type OpenCollector } from "../Collector.ts"
import { type Family, familyOf } from "../ExpositionText.ts"
import type { ProcFiles } from "../ProcFiles.ts"
import { type CgroupMounts, cgroupMounts } from "./CgroupMounts.ts"
import { CgroupFiles, type Counter, type Levels, stackedDrivers } from "./CgroupReading.ts"
import { CGROUPS_MAX, CgroupTree, type ReadCgroup } from "./CgroupTree.ts"
import { UnitCounters, type UnitState } from "./UnitCounters.ts"
import { makeUnitNames } from "./UnitNames.ts"

const READ_IN_A_ROW = 32

/** The unit of the hierarchy's root: the host's kernel, or the container that the agent runs in. */
export const rootUnit = ({ isHost }: CgroupMounts): Unit => (isHost ? ROOT : { ...ROOT, unit: CONTAINER_UNIT })

/**
 * Opens the collector. `proc` is the procfs, `disk` the root of the file system that its mounts are in. The first scan is the
 * first `collect`: its counters are 0.
 */
export const openCgroupCollector = (
  proc: ProcFiles,
  disk: ProcFiles,
  clock: Clock.Clock
): Effect.Effect<OpenCollector, CollectorUnavailable> =>
  Effect.gen(function* () {
    const mounts = cgroupMounts(proc, disk)
    if (mounts === undefined) {
      return yield* new CollectorUnavailable({ reason: "no cgroup hierarchy that tells CPU time is mounted" })
    }
    const files = new CgroupFiles(disk, mounts, stackedDrivers(proc))
    const names = makeUnitNames({ disk, proc, folder: mounts.cpu.folder }, clock)
    const tree = new CgroupTree({ disk, files, folder: mounts.cpu.folder, root: rootUnit(mounts), names })
    const counters = new UnitCounters()
    let startedAt: number | undefined
    let warned = false
    const collect = Effect.gen(function* () {
      const collectedAt = clock.currentTimeMillisUnsafe()
      const root = yield* walked(tree)
      if (root === undefined) {
        return yield* new CollectorUnavailable({ reason: `/${mounts.cpu.folder} cannot be read` })
      }
      if (tree.seen.cut && !warned) {
        warned = true
        yield* Effect.logWarning(`there are more cgroups than the ${CGROUPS_MAX} that the collector looks at`)
      }
      startedAt ??= collectedAt
      counters.scan(root, Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n))
      return new Collection(unitFamilies(counters.units(), startedAt), collectedAt)
    })
    return { collect }
  })

/** The walk, which lets other fibers run. */
const walked = (tree: CgroupTree): Effect.Effect<ReadCgroup | undefined> =>
  Effect.gen(function* () {
    const steps = tree.scan()
    for (let step = 1; ; step++) {
      const { done, value } = steps.next()
      if (done === true) return value
      if (step % READ_IN_A_ROW === 0) yield* Effect.yieldNow
    }
  })

/** The units in cAdvisor's metrics. `startedAt` in epoch milliseconds. */
const unitFamilies = (units: ReadonlyArray<UnitState>, startedAt: number): ReadonlyArray<Family> => {
  const labels = units.map(({ slice, unit }) => ({ unit, slice }))
  const family = (
    name: string,
    type: Family["type"],
    help: string,
    value: (unit: UnitState) => number | undefined
  ) => ({
    name,
    help,
    type,
    samples: units.flatMap((each, index) => {
      const told = value(each)
      return told === undefined ? [] : [{ name, labels: labels[index]!, value: told }]
    })
  })
  const counter = (name: string, of: Counter, help: string, scale = 1) =>
    family(name, "counter", help, ({ counters }) => (counters[of] === undefined ? undefined : counters[of] / scale))
  const gauge = (name: string, of: keyof Levels, help: string) =>
    family(name, "gauge", help, ({ levels }) => levels[of])
  const micros = 1e6
  const period = 100_000
  return [
    counter("container_cpu_usage_seconds_total", "cpu", "CPU time that the unit used, in seconds.", micros),
    gauge("container_memory_working_set_bytes", "memory", "Memory in use, without file cache not used lately."),
    gauge("container_memory_rss", "anon", "Memory that is no file's."),
    gauge("container_memory_max_usage_bytes", "peak", "The most memory it had."),
    gauge("container_spec_memory_limit_bytes", "limit", "The most memory it may have."),
    counter("container_oom_events_total", "oomKills", "Processes killed for want of memory."),
    counter("container_fs_reads_bytes_total", "read", "Bytes read from devices."),
    counter("container_fs_writes_bytes_total", "written", "Bytes written to devices."),
    gauge("container_processes", "processes", "Processes in the unit."),
    gauge("container_threads", "threads", "Threads in the unit."),
    family(
      "container_spec_cpu_quota",
      "gauge",
      "CPU time that it may use in a period, in microseconds.",
      ({ levels }) => (levels.cores === undefined ? undefined : levels.cores * period)
    ),
    family("container_spec_cpu_period", "gauge", "Length of a period, in microseconds.", ({ levels }) =>
      levels.cores === undefined ? undefined : period
    ),
    counter("container_cpu_cfs_periods_total", "periods", "Periods in which it ran."),
    counter("container_cpu_cfs_throttled_periods_total", "throttledPeriods", "Periods in which it used up its quota."),
    counter("container_cpu_cfs_throttled_seconds_total", "throttled", "Time for which its quota made it wait.", micros),
    counter("container_pressure_cpu_waiting_seconds_total", "cpuSome", "Time some tasks waited for a CPU.", micros),
    counter(
      "container_pressure_memory_waiting_seconds_total",
      "memorySome",
      "Time some tasks waited for memory.",
      micros
    ),
    counter(
      "container_pressure_memory_stalled_seconds_total",
      "memoryFull",
      "Time all tasks waited for memory.",
      micros
    ),
    counter("container_pressure_io_waiting_seconds_total", "ioSome", "Time some tasks waited for a device.", micros),
    counter("container_pressure_io_stalled_seconds_total", "ioFull", "Time all tasks waited for a device.", micros),
    familyOf({
      name: "nodepulse_counters_since_seconds",
      help: "When the counters began, in seconds since the epoch.",
      type: "gauge",
      samples: [[{}, startedAt / 1000]]
    })
  ]
}
