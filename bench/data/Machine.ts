/** A machine that is monitored, for benchmarks: what its exporters would have brought, scrape after scrape. */
import config from "../../plugins.config.ts"

export interface SimulatedExporter {
  readonly name: string
  /** The rows of the next scrape as they go on the wire, a JSON array. */
  readonly scrape: (timestamp: string) => string
}

/** Counters that grow unevenly, gauges that wander, some that never change; `groups` process groups. */
export const makeMachine = (groups: number, random: () => number): ReadonlyArray<SimulatedExporter> =>
  config.exporters.map(({ name, table }) => {
    const columns = Object.entries(table.columns)
    const labelled = columns.some(([, { kind }]) => kind === "label")
    const rows = Array.from({ length: labelled ? groups : 1 }, (_, row) => ({
      busy: random() < 0.4,
      values: columns.map(([, column]) => {
        if (column.kind === "label") return `process-${row}`.padEnd(4 + (row % 12), "x").slice(0, 15)
        if (column.unit === "bytes") return 4096 * Math.floor(random() * 500_000)
        return column.type === "double" ? Math.round(random() * 1e8) / 100 : Math.floor(random() * 20)
      })
    }))
    const scrape = (timestamp: string): string => {
      for (const { busy, values } of rows) {
        if (!busy) continue
        columns.forEach(([, column], at) => {
          const value = values[at]
          if (typeof value !== "number") return
          if (column.kind === "counter") values[at] = Math.round((value + random() * 15) * 100) / 100
          else if (column.kind === "gauge" && column.unit === "bytes" && random() < 0.5)
            values[at] = value + 4096 * Math.floor(random() * 9)
        })
      }
      return JSON.stringify(
        rows.map(({ values }) => ({
          timestamp,
          ...Object.fromEntries(columns.map(([key, column], at) => [column.from ?? key, values[at]]))
        }))
      )
    }
    return { name, scrape }
  })
