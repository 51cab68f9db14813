/**
 * process_exporter (ncabatoff/process-exporter, 0.7 and later): one row for each process group.
 *
 * CPU time is summed over all modes in the order of the exposition. A group that lacks CPU, memory or count is left out
 * with a note. A group whose processes are gone stays, with 0 processes and a flat counter. No groups at all is an empty
 * scrape; a scrape without any sample of process_exporter is a `ParseError`.
 */
import { Result } from "effect"
import { counter, gauge, label } from "../Column.ts"
import { defineExporter, ParseError, type Skipped } from "../Exporter.ts"
import { peak, rate } from "../TopQuery.ts"

const CPU = "namedprocess_namegroup_cpu_seconds_total"
const MEMORY = "namedprocess_namegroup_memory_bytes"
const COUNT = "namedprocess_namegroup_num_procs"
/** Always there, also where no process matched: it tells an idle process_exporter from another exporter. */
const ALIVE = "namedprocess_scrape_errors"
const STARTED = "process_start_time_seconds"

export const processExporter = defineExporter({
  name: "process_exporter",
  title: "Processes",
  scrape: {
    endpoint: "http://127.0.0.1:9256/metrics",
    interval: "15 seconds",
    timeout: "5 seconds",
    families: [CPU, MEMORY, COUNT, ALIVE, STARTED],
    collector: "process"
  },
  table: {
    name: "process_snapshots",
    retention: "7 days",
    columns: {
      process_name: label({ from: "name", doc: "Command name of the group." }),
      num_procs: gauge({ type: "integer", doc: "Processes in the group." }),
      cpu_seconds_total: counter({ unit: "seconds", doc: "CPU time used since the exporter started, all modes." }),
      memory_bytes: gauge({ type: "bigint", unit: "bytes", doc: "Resident memory." })
    }
  },
  parse: (samples) => {
    const groups = new Map<string, Group>()
    const skipped: Array<Skipped> = []
    let countersSince: number | null = null
    let recognised = false
    for (const { labels, name, value } of samples) {
      if (name === STARTED) countersSince = value * 1_000
      if (name === ALIVE) recognised = true
      if (name !== CPU && name !== MEMORY && name !== COUNT) continue
      recognised = true
      if (name === MEMORY && labels.memtype !== "resident") continue
      const groupname = labels.groupname
      if (groupname === undefined) {
        skipped.push({ reason: `${name} without the label groupname` })
        continue
      }
      let group = groups.get(groupname)
      if (group === undefined) {
        group = { modes: [], cpu: 0 }
        groups.set(groupname, group)
      }
      if (name === CPU) {
        const mode = labels.mode ?? ""
        if (group.modes.includes(mode)) skipped.push(repeated(groupname, `${name}{mode=${JSON.stringify(mode)}}`))
        else {
          group.modes.push(mode)
          group.cpu += value
        }
      } else if (name === MEMORY) {
        if (group.memory === undefined) group.memory = value
        else skipped.push(repeated(groupname, name))
      } else if (group.count === undefined) group.count = value
      else skipped.push(repeated(groupname, name))
    }
    if (!recognised) {
      const reason = "unsupported exporter: no namedprocess_ metric, so this is not process_exporter"
      return Result.fail(new ParseError({ exporter: "process_exporter", reason }))
    }

    const rows = []
    for (const [groupname, { count, cpu, memory, modes }] of groups) {
      if (modes.length === 0) skipped.push(lacking(groupname, CPU))
      else if (memory === undefined) skipped.push(lacking(groupname, `${MEMORY}{memtype="resident"}`))
      else if (count === undefined) skipped.push(lacking(groupname, COUNT))
      else rows.push({ process_name: groupname, num_procs: count, cpu_seconds_total: cpu, memory_bytes: memory })
    }
    return Result.succeed({ rows, skipped, countersSince })
  },
  top: {
    resource: "processes",
    per: "process_name",
    presence: "num_procs",
    rankings: { cpu: rate("cpu_seconds_total", { share: "cpu" }), memory: peak("memory_bytes", { share: "memory" }) },
    default: "cpu"
  }
})

interface Group {
  /** The modes already in `cpu`: a repeated sample must not count twice. */
  readonly modes: Array<string>
  cpu: number
  memory?: number
  count?: number
}

const quote = (groupname: string) => JSON.stringify(groupname.slice(0, 60))

const repeated = (groupname: string, metric: string): Skipped => ({
  reason: `group ${quote(groupname)} has ${metric.slice(0, 120)} more than once; the first counts`
})

const lacking = (groupname: string, metric: string): Skipped => ({
  reason: `group ${quote(groupname)} has no ${metric}`
})
