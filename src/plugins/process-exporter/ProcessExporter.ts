/**
 * process_exporter (ncabatoff/process-exporter, 0.5 and later): one row for each process group.
 *
 * CPU time is summed over all modes in the order of the exposition. A group that is there under several label sets (a
 * federation's `instance`, a fork's `user`) is one group: CPU time, memory and count are summed over the sets, and a
 * series that is repeated counts once (`Series.ts`). A group that lacks CPU, memory or count is left out with a note. A
 * group whose processes are gone stays, with 0 processes and a flat counter. No groups at all is an empty scrape. A
 * scrape without any sample of process_exporter, or with groups but without a whole family that each has, is a
 * `ParseError`: another exporter, or one before 0.5.
 */
import { Result } from "effect"
import { counter, gauge, label } from "../Column.ts"
import { defineExporter, ParseError, type Skipped } from "../Exporter.ts"
import type { Sample } from "../Exposition.ts"
import { beginning, seriesOf } from "../Series.ts"
import { peak, rate } from "../TopQuery.ts"

const CPU = "namedprocess_namegroup_cpu_seconds_total"
const MEMORY = "namedprocess_namegroup_memory_bytes"
const COUNT = "namedprocess_namegroup_num_procs"
/** Always there, also where no process matched: it tells an idle process_exporter from another exporter. */
const ALIVE = "namedprocess_scrape_errors"
const STARTED = "process_start_time_seconds"
/** CPU time as process_exporter told it before 0.5 (2019). Seen beside groups, they name the cause. */
const BEFORE_0_5 = ["namedprocess_namegroup_cpu_user_seconds_total", "namedprocess_namegroup_cpu_system_seconds_total"]

export const processExporter = defineExporter({
  name: "process_exporter",
  title: "Processes",
  scrape: {
    endpoint: "http://127.0.0.1:9256/metrics",
    interval: "15 seconds",
    timeout: "5 seconds",
    families: [CPU, MEMORY, COUNT, ALIVE, STARTED, ...BEFORE_0_5],
    collector: "process",
    // Debian's package starts it without a configuration, and so does every other way that forgets it.
    empty: {
      complaint: "matches no process: it has no configuration, or one that fits nothing that runs",
      remedy: [
        `put into /etc/process-exporter/config.yml: process_names: [{name: "{{.Comm}}", cmdline: [".+"]}]`,
        `put into /etc/default/prometheus-process-exporter: ARGS="-config.path=/etc/process-exporter/config.yml"`,
        "systemctl restart prometheus-process-exporter"
      ]
    }
  },
  table: {
    name: "process_snapshots",
    retention: "7 days",
    beginsAtZero: true,
    columns: {
      process_name: label({ from: "name", doc: "Command name of the group." }),
      num_procs: gauge({ type: "integer", doc: "Processes in the group." }),
      cpu_seconds_total: counter({ unit: "seconds", doc: "CPU time used since the exporter started, all modes." }),
      memory_bytes: gauge({ type: "bigint", unit: "bytes", doc: "Resident memory." })
    }
  },
  parse: (samples, scrapedAt) => {
    const { groups, known, skipped, started } = collect(samples)
    const reason = unsupported(known, groups.size)
    if (reason !== undefined) return Result.fail(new ParseError({ exporter: "process_exporter", reason }))
    const rows = []
    for (const [groupname, { count, cpu, memory }] of groups) {
      if (cpu === undefined) skipped.push(lacking(groupname, CPU))
      else if (memory === undefined) skipped.push(lacking(groupname, RESIDENT))
      else if (count === undefined) skipped.push(lacking(groupname, COUNT))
      else rows.push({ process_name: groupname, num_procs: count, cpu_seconds_total: cpu, memory_bytes: memory })
    }
    return Result.succeed({ rows, skipped, countersSince: beginning(ofTheGroups(started, samples), scrapedAt) })
  },
  top: {
    resource: "processes",
    per: "process_name",
    presence: "num_procs",
    rankings: { cpu: rate("cpu_seconds_total", { share: "cpu" }), memory: peak("memory_bytes", { share: "memory" }) },
    default: "cpu"
  }
})

const RESIDENT = `${MEMORY}{memtype="resident"}`

interface Group {
  /** The series already counted: a repeated one must not count twice. */
  readonly series: Set<string>
  cpu?: number
  memory?: number
  count?: number
}

/** The groups of a scrape, and the metrics of process_exporter that it holds. */
const collect = (samples: ReadonlyArray<Sample>) => {
  const groups = new Map<string, Group>()
  const known = new Set<string>()
  const skipped: Array<Skipped> = []
  const started: Array<Sample> = []
  for (const sample of samples) {
    const { labels, name, value } = sample
    if (name === STARTED) {
      started.push(sample)
      continue
    }
    known.add(name)
    if (name !== CPU && name !== MEMORY && name !== COUNT) continue
    if (name === MEMORY && labels.memtype !== "resident") continue
    const groupname = labels.groupname
    if (groupname === undefined) {
      skipped.push({ reason: `${name} without the label groupname` })
      continue
    }
    const group: Group = groups.get(groupname) ?? { series: new Set() }
    groups.set(groupname, group)
    const series = `${name} ${seriesOf(labels, "groupname")}`
    if (group.series.has(series)) {
      skipped.push(repeated(groupname, name === CPU ? `${name}{mode=${quote(labels.mode ?? "")}}` : name))
      continue
    }
    group.series.add(series)
    const part = name === CPU ? "cpu" : name === MEMORY ? "memory" : "count"
    group[part] = (group[part] ?? 0) + value
  }
  return { groups, known, skipped, started }
}

/** Why the scrape as a whole is not one that can be read; undefined where it is. */
const unsupported = (known: ReadonlySet<string>, groups: number): string | undefined => {
  if (BEFORE_0_5.some((name) => known.has(name)) && !known.has(CPU)) {
    return `unsupported exporter, too old: it tells CPU time as ${BEFORE_0_5[0]}, as process_exporter did before 0.5; install 0.7 or later`
  }
  if (![CPU, MEMORY, COUNT, ALIVE].some((name) => known.has(name))) {
    return "unsupported exporter: no namedprocess_ metric, so this is not process_exporter"
  }
  const missing = [CPU, MEMORY, COUNT].find((name) => !known.has(name))
  if (groups === 0 || missing === undefined) return undefined
  const cause = "is it a version before 0.5, or does something between leave out metrics?"
  return `unsupported exporter: groups, but no ${missing}; ${cause}`
}

/**
 * The beginnings that are those of the groups' exporter: a federation serves those of every program that it scrapes.
 * One belongs to the groups where a group has all of its labels.
 */
const ofTheGroups = (started: ReadonlyArray<Sample>, samples: ReadonlyArray<Sample>): ReadonlyArray<Sample> => {
  if (started.length > PROGRAMS_MAX) return []
  return started.filter(({ labels }) => {
    const entries = Object.entries(labels).filter(([, value]) => value !== "")
    return (
      entries.length === 0 ||
      samples.some((group) => group.name === COUNT && entries.every(([name, value]) => group.labels[name] === value))
    )
  })
}

/** More beginnings than this are not looked through for that of the groups: it is unknown then. */
const PROGRAMS_MAX = 64

const quote = (text: string) => JSON.stringify(text.slice(0, 60))

const repeated = (groupname: string, metric: string): Skipped => ({
  reason: `group ${quote(groupname)} has ${metric.slice(0, 120)} more than once; the first counts`
})

const lacking = (groupname: string, metric: string): Skipped => ({
  reason: `group ${quote(groupname)} has no ${metric}`
})
