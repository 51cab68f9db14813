/** How large servers are: the cores and the memory that the latest scrape of the host tells, until a moment. */
import { Effect } from "effect"
import type { Exporter } from "../plugins/Exporter.ts"
import type { HostShare } from "../plugins/TopQuery.ts"
import type { Scrapes } from "../sinks/storage/Scrapes.ts"

/** Null where the host does not tell. */
export interface HostFacts {
  readonly cores: number | null
  /** Bytes. */
  readonly memory: number | null
}

/** The facts of some servers until a moment in epoch microseconds, by their ids; absent where the host was never heard of. */
export const makeHostFacts = (scrapes: Scrapes["Service"], host: Exporter | undefined) =>
  Effect.fnUntraced(function* (servers: ReadonlyArray<number>, until: number) {
    if (host === undefined) return new Map<number, HostFacts>()
    const columns = [host.host!.cores, host.host!.memoryTotal]
    const latest = yield* scrapes.latest(host.name, servers, 1, 0, until, columns)
    const fact = (value: number) => (Number.isNaN(value) ? null : value)
    return new Map(
      [...latest].flatMap(
        ([server, [row]]): ReadonlyArray<readonly [number, HostFacts]> =>
          row === undefined ? [] : [[server, { cores: fact(row.values[0]![0]!), memory: fact(row.values[1]![0]!) }]]
      )
    )
  })

const MIB = 1024 * 1024

/**
 * What a value of a ranking is multiplied with to be percent of the machine: its values are percent of one core, or MiB. Null
 * where the size of the machine is not known, or the ranking is no share of it.
 */
export const machineScale = (share: HostShare | undefined, facts: HostFacts | undefined): number | null => {
  const size = share === "cpu" ? facts?.cores : share === "memory" ? facts?.memory : null
  if (size === null || size === undefined || size <= 0) return null
  return share === "cpu" ? 1 / size : (100 * MIB) / size
}
