/** The values of a row of process_exporter, in the order of its columns, as tests need them: what they do not name is not told. */
import { processExporter } from "../src/plugins/process-exporter/ProcessExporter.ts"
import { absent } from "../src/plugins/Storable.ts"

const columns = Object.entries(processExporter().table.columns)

export interface ProcessNumbers {
  readonly num_procs: number
  readonly cpu_seconds_total: number
  readonly memory_bytes: number
  readonly [column: string]: string | number | null
}

export const processValues = (process_name: string, numbers: ProcessNumbers): ReadonlyArray<string | number | null> => {
  const given: Readonly<Record<string, string | number | null>> = { process_name, ...numbers }
  return columns.map(([name, column]) => given[name] ?? absent(column) ?? null)
}
