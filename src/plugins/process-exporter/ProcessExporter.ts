import { Result } from "effect"
import { counter, gauge, label } from "../Column.ts"
import { defineExporter, ParseError } from "../Exporter.ts"
import { peak, rate } from "../TopQuery.ts"

const CPU = "namedprocess_namegroup_cpu_seconds_total"
const MEMORY = "namedprocess_namegroup_memory_bytes"
const COUNT = "namedprocess_namegroup_num_procs"
const STARTED = "process_start_time_seconds"

export const processExporter = defineExporter({
  name: "process_exporter",
  title: "Processes",
  scrape: {
    endpoint: "http://127.0.0.1:9256/metrics",
    interval: "15 seconds",
    timeout: "5 seconds",
    families: [CPU, MEMORY, COUNT, STARTED],
    collector: "process"
  },
  table: {
    name: "process_snapshots",
    retention: "7 days",
    columns: {
      process_name: label({ from: "name", doc: "Command name of the group." }),
      num_procs: gauge({ type: "integer", doc: "Processes in the group." }),
      cpu_seconds_total: counter({ unit: "seconds", doc: "CPU time used since the exporter started." }),
      memory_bytes: gauge({ type: "bigint", unit: "bytes", doc: "Resident memory." })
    }
  },
  parse: (samples) => {
    if (samples.length < 0) return Result.fail(new ParseError({ exporter: "process_exporter", reason: "todo" }))
    return Result.succeed({
      rows: [{ process_name: "", num_procs: 1, cpu_seconds_total: 1, memory_bytes: 2 }],
      skipped: [],
      countersSince: null
    })
  },
  top: {
    resource: "processes",
    per: "process_name",
    rankings: { cpu: rate("cpu_seconds_total", { share: "cpu" }), memory: peak("memory_bytes", { share: "memory" }) },
    default: "cpu"
  }
})
