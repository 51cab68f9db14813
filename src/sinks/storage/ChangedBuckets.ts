/**
 * The queue of buckets whose scrapes have changed since they were rolled up. Who stores scrapes adds their buckets in the same
 * transaction, and waits for nobody.
 *
 * A scrape changes the five-minute bucket that it is in, and the one of the scrape before it, whose covered time ends where
 * this one's begins. Which that is is remembered; where it is not known, or this scrape is not later, what lies
 * `staleAfter` before it is queued in its place. Buckets after it are the reader's business (`WindowPlan.ts`).
 *
 * Bound: {@link LATEST_COST_MAX} in memory.
 */
import { PgClient } from "@effect/sql-pg"
import { Duration, Effect } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Exporter } from "../../plugins/Exporter.ts"
import { bucketOf } from "../../query/WindowPlan.ts"
import { makeRecentMap } from "../postgres/RecentMap.ts"
import { FINE } from "../rollups/RollupTables.ts"
import { int4s, moments } from "./ArrayCodec.ts"

interface At {
  readonly server: number
  readonly at: number
}

export interface ChangedBuckets {
  /** Queues the buckets of scrapes that were stored or added to, in the order of their keys, and of moments beside. */
  readonly add: (scrapes: ReadonlyArray<At>, moments: ReadonlyArray<At>) => Effect.Effect<unknown, SqlError>
  /** Once the transaction is committed. */
  readonly remember: (scrapes: ReadonlyArray<At>) => void
}

/** 50 000 servers. */
const LATEST_COST_MAX = 50_000 * 72

/** One per exporter and process: it remembers the latest scrapes. */
export const makeChangedBuckets = (exporter: Exporter): Effect.Effect<ChangedBuckets, never, PgClient.PgClient> =>
  Effect.map(PgClient.PgClient, (sql) => {
    const staleAfter = Duration.toMillis(exporter.table.staleAfter) * 1_000
    const latest = makeRecentMap<number>(LATEST_COST_MAX)
    return {
      add: (scrapes, moments) => {
        const { buckets, servers } = changedBuckets(scrapes, moments, staleAfter, (server) =>
          latest.get(String(server))
        )
        return servers.length === 0 ? Effect.void : insert(sql, servers, buckets)
      },
      remember: (scrapes) => {
        for (const { at, server } of scrapes) {
          const known = latest.get(String(server))
          if (known === undefined || known < at) latest.set(String(server), at)
        }
      }
    }
  })

const insert = (sql: PgClient.PgClient, servers: ReadonlyArray<number>, buckets: ReadonlyArray<number>) =>
  sql`insert into admiral.rollup_queue (server_id, bucket, seconds)
    select changed.server_id, changed.bucket, ${FINE.seconds}::int4
    from unnest(${int4s(servers)}, ${moments(buckets)}) as changed(server_id, bucket)`

/** The distinct buckets, by server and end. */
const changedBuckets = (
  scrapes: ReadonlyArray<At>,
  moments: ReadonlyArray<At>,
  staleAfter: number,
  latestOf: (server: number) => number | undefined
): { readonly servers: ReadonlyArray<number>; readonly buckets: ReadonlyArray<number> } => {
  const servers: Array<number> = []
  const buckets: Array<number> = []
  const seen = new Set<string>()
  const queue = (server: number, at: number) => {
    const bucket = bucketOf(at, FINE)
    const key = `${server} ${bucket}`
    if (seen.has(key)) return
    seen.add(key)
    servers.push(server)
    buckets.push(bucket)
  }
  let before: At | undefined
  for (const scrape of scrapes) {
    const { at, server } = scrape
    const known = latestOf(server)
    const earlier = before?.server === server ? before.at : undefined
    const latest = known === undefined ? earlier : earlier === undefined ? known : Math.max(known, earlier)
    queue(server, latest !== undefined && latest < at && at - latest <= staleAfter ? latest : at - staleAfter)
    queue(server, at)
    before = scrape
  }
  for (const { at, server } of moments) queue(server, at)
  return { servers, buckets }
}
