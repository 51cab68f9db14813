/**
 * Exporters whose every value was never served before: a row in PostgreSQL then tells which scrape it is from.
 *
 * `GET /<agent>/process` has some groups, `GET /<agent>/node` one host; the serial number of a row is its CPU time, or its
 * load.
 */
import { createServer } from "node:http"
import { Effect, type Scope } from "effect"
import type { SentRow } from "./Books.ts"

export interface SimulatedExporters {
  readonly url: string
  /** How many rows were served so far. */
  readonly served: () => number
}

/** The value that no other row of the exporter has. */
export const uniqueValue = (_exporter: string, row: SentRow): number => Number(row.cpu_seconds_total ?? row.load_1min)

export const makeSimulatedExporters = (groups = 5): Effect.Effect<SimulatedExporters, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<SimulatedExporters & { readonly close: () => void }>((resume) => {
      let serial = 0
      const processes = () => {
        const lines: Array<string> = []
        for (let group = 0; group < groups; group++) {
          const n = ++serial
          const name = `groupname="group-${group}"`
          lines.push(
            `namedprocess_namegroup_num_procs{${name}} ${n % 1000}`,
            `namedprocess_namegroup_cpu_seconds_total{${name},mode="user"} ${n}`,
            `namedprocess_namegroup_memory_bytes{${name},memtype="resident"} ${n * 4096}`
          )
        }
        return lines
      }
      const host = () => {
        const n = ++serial
        return [
          `node_cpu_seconds_total{cpu="0",mode="idle"} ${n}.25`,
          `node_cpu_seconds_total{cpu="0",mode="user"} ${n}`,
          `node_memory_MemTotal_bytes ${n * 4096}`,
          `node_load1 ${n}`,
          "node_boot_time_seconds 1700000000",
          "node_time_seconds 1700001000"
        ]
      }
      const server = createServer((incoming, outgoing) => {
        const lines = incoming.url?.endsWith("/process") === true ? processes() : host()
        outgoing.setHeader("content-type", "text/plain; version=0.0.4")
        outgoing.end(`${lines.join("\n")}\n`)
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        resume(
          Effect.succeed({
            url: `http://127.0.0.1:${port}`,
            served: () => serial,
            close: () => {
              server.closeAllConnections()
              server.close()
            }
          })
        )
      })
    }),
    (made) => Effect.sync(made.close)
  )
