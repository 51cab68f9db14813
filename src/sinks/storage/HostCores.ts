/**
 * Notices that a host has other cores than was known: increases that were measured with the old ones may be cut wrongly, in
 * buckets that were rolled up long ago where the host's row comes late.
 *
 * In the same transaction as the row it queues one entry that is about all of the server's buckets from the row's moment on
 * (`sinks/rollups/RollupQueue.ts` knows where that ends); before a host's first row of all, about everything. In the steady
 * state nothing is asked and nothing is queued.
 *
 * Bound: {@link KNOWN_COST_MAX} in memory.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Exporter } from "../../plugins/Exporter.ts"
import { ONWARD } from "../../query/WindowPlan.ts"
import { makeRecentMap } from "../postgres/RecentMap.ts"
import { int4s, moments } from "./ArrayCodec.ts"
import { scrapesTable } from "./Tables.ts"

/** A host's row that was stored, which knows its cores. */
export interface CoresRow {
  readonly server: number
  readonly at: number
  readonly cores: number
}

export interface HostCores {
  /** Within the transaction: rows that are new, in the order of their keys. */
  readonly note: (rows: ReadonlyArray<CoresRow>) => Effect.Effect<void, SqlError>
  /** Once the transaction is committed. */
  readonly remember: (rows: ReadonlyArray<CoresRow>) => void
}

/** 50 000 servers. */
const KNOWN_COST_MAX = 50_000 * 72

/** One per process: it remembers each host's latest row. */
export const makeHostCores = (host: Exporter): Effect.Effect<HostCores, never, PgClient.PgClient> =>
  Effect.map(PgClient.PgClient, (sql) => {
    const latest = makeRecentMap<{ readonly at: number; readonly cores: number }>(KNOWN_COST_MAX)

    /** The cores that the row before each of these tells; null where there is none. */
    const coresBefore = (rows: ReadonlyArray<CoresRow>) =>
      sql.unsafe<{ readonly server: number; readonly cores: number | null }>(coresBeforeSql(host), [
        int4s(rows.map(({ server }) => server)),
        moments(rows.map(({ at }) => at))
      ])

    return {
      note: Effect.fnUntraced(function* (rows) {
        const known = new Map<number, { readonly at: number; readonly cores: number }>()
        const changed: Array<{ readonly server: number; readonly at: number }> = []
        // A server's first row of these: the others come after it.
        const unsure = new Map<number, CoresRow>()
        for (const row of rows) {
          const before = known.get(row.server) ?? latest.get(String(row.server))
          if (before === undefined || before.at >= row.at) unsure.set(row.server, row)
          else if (before.cores !== row.cores) changed.push(row)
          known.set(row.server, row)
        }
        if (unsure.size > 0) {
          for (const { cores, server } of yield* coresBefore([...unsure.values()])) {
            const row = unsure.get(server)!
            if (cores !== row.cores) changed.push(row)
            if (cores === null) changed.push({ server: row.server, at: 0 })
          }
        }
        if (changed.length === 0) return
        yield* sql`insert into admiral.rollup_queue (server_id, bucket, seconds)
          select changed.server_id, changed.bucket, ${ONWARD}::int4
          from unnest(${int4s(changed.map(({ server }) => server))}, ${moments(changed.map(({ at }) => at))})
            as changed(server_id, bucket)`
      }),
      remember: (rows) => {
        for (const { at, cores, server } of rows) {
          const known = latest.get(String(server))
          if (known === undefined || known.at < at) latest.set(String(server), { at, cores })
        }
      }
    } satisfies HostCores
  })

/** Bound: servers, each once, and a moment for each. */
export const coresBeforeSql = (host: Exporter): string =>
  `select server.id as server, (
  select scrape."${host.host!.cores}"::float8 from admiral."${scrapesTable(host.table.name)}" scrape
  where scrape.server_id = server.id and scrape."timestamp" < ($2::timestamptz[])[array_position($1::int4[], server.id)]
    and scrape."${host.host!.cores}" is not null
  order by scrape."timestamp" desc limit 1
) as cores
from admiral.server_ids as server
where server.id = any($1::int4[])`
