/**
 * cgroups, as cAdvisor tells them (google/cadvisor, 0.36 and later, and the kubelet's): one row for each service, container,
 * user and slice. The rows are a partition of the host (`CgroupRows.ts`): they add up to it, and nothing is in two of them.
 *
 * The agent's built-in collector serves the same metrics with the labels `unit` and `slice`: those rows are what they are,
 * since it has taken the tree apart itself, exactly, from one scan to the next. Names: `UnitName.ts`.
 *
 * The default address is not cAdvisor's 8080, which is the port of NodePulse's own server, but 4194, which the kubelet gave
 * its cAdvisor as long as it had one.
 */
import { Result } from "effect"
import { counter, fingerprint, gauge, label } from "../Column.ts"
import { defineExporter, ParseError, type Skipped } from "../Exporter.ts"
import type { Sample } from "../Exposition.ts"
import { beginning, distinctSeries } from "../Series.ts"
import { peak, rate } from "../TopQuery.ts"
import { KERNEL_UNIT } from "../UnitName.ts"
import { cgroupsOf, METRICS } from "./CadvisorTree.ts"
import { type UnitRow, type UnitValues, unitRows } from "./CgroupRows.ts"

const CPU = "container_cpu_usage_seconds_total"
const STARTED = "container_start_time_seconds"
/** Of the built-in collector: when its counters began. */
const SINCE = "nodepulse_counters_since_seconds"
/** Always there: it tells a cAdvisor without containers from another program. */
const ALIVE = "cadvisor_version_info"

const MEMBERS = ["members"]
const bytes = (doc: string) => gauge({ type: "bigint", unit: "bytes", nullable: true, doc })
const count = (doc: string) => gauge({ type: "integer", nullable: true, doc })
const seconds = (doc: string) => counter({ unit: "seconds", nullable: true, over: MEMBERS, doc })
const events = (doc: string) => counter({ type: "bigint", nullable: true, over: MEMBERS, doc })
// Not bigint: a fast disk passes 2^53 bytes within weeks; a double then loses bits, bigint would lose the value.
const traffic = (doc: string) => counter({ unit: "bytes", nullable: true, over: MEMBERS, doc })

export const cgroups = defineExporter({
  name: "cgroups",
  title: "Units",
  scrape: {
    endpoint: "http://127.0.0.1:4194/metrics",
    interval: "15 seconds",
    timeout: "5 seconds",
    families: [...Object.keys(METRICS), STARTED, SINCE, ALIVE],
    collector: "units",
    // A machine without cgroups, or another system, has no units.
    optional: true
  },
  table: {
    name: "cgroup_snapshots",
    retention: "7 days",
    beginsAtZero: true,
    columns: {
      unit: label({ doc: "Service, container, user or slice; of a slice, what none of its units used." }),
      slice: label({ optional: true, doc: "The slice or folder that the unit is in; empty at the top." }),
      cpu_seconds_total: counter({
        unit: "seconds",
        over: MEMBERS,
        doc: "CPU time used, by processes that have exited, too."
      }),
      memory_bytes: bytes("Memory in use, without file cache that nothing used lately: the working set."),
      memory_anon_bytes: bytes("Memory that is no file's: heaps and stacks."),
      memory_peak_bytes: bytes("The most memory that it ever had, file cache included."),
      memory_limit_bytes: bytes("The most memory that it may have."),
      oom_kills_total: events("Processes that the kernel killed for want of memory."),
      read_bytes_total: traffic("Bytes read from devices."),
      write_bytes_total: traffic("Bytes written to devices."),
      num_procs: count("Processes in it."),
      num_threads: count("Threads in it."),
      cpu_limit_cores: gauge({ unit: "cores", nullable: true, doc: "The most CPU that its quota allows, in cores." }),
      cpu_periods_total: events("Periods of its CPU quota in which it ran."),
      cpu_throttled_periods_total: events("Periods in which it used up its CPU quota and had to wait."),
      throttled_seconds_total: seconds("Time for which its CPU quota made it wait."),
      cpu_pressure_seconds_total: seconds("Time in which some of its tasks waited for a CPU."),
      memory_pressure_seconds_total: seconds("Time in which some of its tasks waited for memory."),
      memory_stalled_seconds_total: seconds("Time in which all of its tasks waited for memory."),
      io_pressure_seconds_total: seconds("Time in which some of its tasks waited for a device."),
      io_stalled_seconds_total: seconds("Time in which all of its tasks waited for a device."),
      members: fingerprint({ doc: "Hash of the cgroups that the row adds up and takes off." })
    }
  },
  parse: (samples, scrapedAt) => {
    const reason = unsupported(samples)
    if (reason !== undefined) return Result.fail(new ParseError({ exporter: "cgroups", reason }))
    const isBuiltIn = samples.some(({ name }) => name === SINCE)
    const { rows: units, skipped } = isBuiltIn ? taken(samples) : derived(samples)
    const rows = []
    const notes = [...skipped]
    for (const { members, slice, unit, values } of units) {
      if (values.cpu === undefined) notes.push({ reason: `unit ${quote(unit)} has no ${CPU}` })
      else rows.push({ unit, slice, cpu_seconds_total: values.cpu, ...columnsOf(values), members })
    }
    const begun = samples.filter(({ labels, name }) => name === SINCE || (name === STARTED && labels.id === "/"))
    return Result.succeed({ rows, skipped: notes, countersSince: beginning(begun, scrapedAt) })
  },
  top: {
    resource: "units",
    per: "unit",
    presence: "num_procs",
    rankings: {
      cpu: rate("cpu_seconds_total", { share: "cpu" }),
      memory: peak("memory_bytes", { share: "memory" })
    },
    onDemand: {
      read: rate("read_bytes_total"),
      write: rate("write_bytes_total"),
      cpu_wait: rate("cpu_pressure_seconds_total"),
      throttled: rate("throttled_seconds_total")
    },
    default: "cpu"
  },
  units: {
    kernel: KERNEL_UNIT,
    throttledSeconds: "throttled_seconds_total",
    periods: "cpu_periods_total",
    throttledPeriods: "cpu_throttled_periods_total",
    cpuLimit: "cpu_limit_cores",
    memoryLimit: "memory_limit_bytes",
    memoryPeak: "memory_peak_bytes",
    oomKills: "oom_kills_total",
    readBytes: "read_bytes_total",
    writeBytes: "write_bytes_total",
    pressure: {
      cpu: { some: "cpu_pressure_seconds_total" },
      memory: { some: "memory_pressure_seconds_total", full: "memory_stalled_seconds_total" },
      io: { some: "io_pressure_seconds_total", full: "io_stalled_seconds_total" }
    }
  }
})

/** Rows of cAdvisor's cgroups, which contain each other. */
const derived = (samples: ReadonlyArray<Sample>) => {
  const { cgroups: listed, skipped } = cgroupsOf(samples)
  return { rows: unitRows(listed), skipped }
}

/** Rows of the built-in collector's units. */
const taken = (samples: ReadonlyArray<Sample>) => {
  const { byName, skipped } = distinctSeries(samples)
  const units = new Map<string, UnitRow>()
  for (const [metric, measure] of Object.entries(METRICS)) {
    if (measure === "blkio") continue
    const named = measure === "fsRead" ? "read" : measure === "fsWritten" ? "written" : measure
    for (const { labels, value } of byName.get(metric) ?? []) {
      const { slice = "", unit } = labels
      if (unit === undefined) continue
      const key = `${slice.length}:${slice}${unit}`
      const row: UnitRow = units.get(key) ?? { unit, slice, values: {}, members: null }
      units.set(key, row)
      row.values[named] = value
    }
  }
  for (const { values } of units.values()) {
    const { period, quota } = values
    if (quota !== undefined && period !== undefined && period > 0) values.cores = quota / period
  }
  return { rows: [...units.values()], skipped: skipped as ReadonlyArray<Skipped> }
}

const columnsOf = (values: UnitValues) => ({
  memory_bytes: values.memory ?? null,
  memory_anon_bytes: values.anon ?? null,
  memory_peak_bytes: positive(values.peak),
  memory_limit_bytes: positive(values.limit),
  oom_kills_total: values.oomKills ?? null,
  read_bytes_total: values.read ?? null,
  write_bytes_total: values.written ?? null,
  num_procs: values.processes ?? null,
  num_threads: values.threads ?? null,
  cpu_limit_cores: values.cores ?? null,
  cpu_periods_total: values.periods ?? null,
  cpu_throttled_periods_total: values.throttledPeriods ?? null,
  throttled_seconds_total: values.throttled ?? null,
  cpu_pressure_seconds_total: values.cpuSome ?? null,
  memory_pressure_seconds_total: values.memorySome ?? null,
  memory_stalled_seconds_total: values.memoryFull ?? null,
  io_pressure_seconds_total: values.ioSome ?? null,
  io_stalled_seconds_total: values.ioFull ?? null
})

/** cAdvisor tells 0 where there is no limit, and where a kernel has no peak. */
const positive = (value: number | undefined): number | null => (value !== undefined && value > 0 ? value : null)

/** Why the scrape as a whole is not one that can be read; undefined where it is. */
const unsupported = (samples: ReadonlyArray<Sample>): string | undefined => {
  const names = new Set(samples.map(({ name }) => name))
  if (names.has(CPU)) return undefined
  const others = Object.keys(METRICS).find((name) => names.has(name))
  if (others !== undefined) {
    return `unsupported exporter: ${others}, but no ${CPU}; is cAdvisor's "cpu" among its disabled metrics?`
  }
  if (names.has(ALIVE) || names.has(SINCE)) return undefined
  return "unsupported exporter: no container_ metric, so this is not cAdvisor"
}

const quote = (text: string) => JSON.stringify(text.slice(0, 60))
