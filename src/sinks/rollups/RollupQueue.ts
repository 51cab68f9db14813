/**
 * The queue of buckets whose rows have changed: one for all exporters, since what one of them says of a bucket can change
 * what the others do (the host's cores and busy CPU).
 *
 * Whoever stores rows appends to it in the same transaction, without waiting for anyone. Entries are taken in the
 * transaction that rolls up, so that a crash loses none. An entry of {@link ONWARD} is about all buckets of a server from a
 * moment on: its host has other cores than was known.
 */

import { PgClient, PgTypes } from "@effect/sql-pg"
import { Effect } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Exporter } from "../../plugins/Exporter.ts"
import { ONWARD } from "../../query/WindowPlan.ts"
import { micros, moment } from "../postgres/Moments.ts"
import { float8s, int4s, readMoment } from "../storage/ArrayCodec.ts"
import { scrapesTable } from "../storage/Tables.ts"
import { FINE, type Level, rollupTable } from "./RollupTables.ts"

/** A bucket of a server, by its end in epoch microseconds. */
export interface QueuedBucket {
  readonly server: number
  readonly bucket: number
}

export interface RollupQueue {
  /**
   * Takes buckets of a level that have ended by a moment, at most so many: the oldest hour first, and in it a server's
   * buckets together, since neighbours share the rows before them.
   */
  readonly take: (level: Level, until: number, limit: number) => Effect.Effect<ReadonlyArray<QueuedBucket>, SqlError>
  /** Puts buckets of a level on the queue. */
  readonly put: (level: Level, buckets: ReadonlyArray<QueuedBucket>) => Effect.Effect<void, SqlError>
  /** Replaces entries of {@link ONWARD} by the buckets that they are about. */
  readonly spread: Effect.Effect<void, SqlError>
  /** Puts every bucket that holds scrapes of a server on the queue. */
  readonly putAll: (server: number) => Effect.Effect<void, SqlError>
  /** How many buckets wait that have ended by a moment, and since when, epoch microseconds. */
  readonly waiting: (
    until: number
  ) => Effect.Effect<{ readonly buckets: number; readonly oldest: number | null }, SqlError>
}

const fineEnd = (at: string): string =>
  `to_timestamp(ceil(extract(epoch from ${at}) / ${FINE.seconds}) * ${FINE.seconds})`

/** Bound: the width in seconds; the moment until which buckets have ended, epoch microseconds; how many. */
export const takeSql = `with chosen as (
  select queued.bucket, queued.server_id from admiral.rollup_queue queued
  where queued.seconds = $1::int4 and queued.bucket <= ${moment("$2::float8")}
  group by queued.bucket, queued.server_id
  order by ceil(extract(epoch from queued.bucket) / 3600), queued.server_id, queued.bucket
  limit $3::int4
), taken as (
  delete from admiral.rollup_queue queued using chosen
  where queued.seconds = $1::int4 and queued.bucket = chosen.bucket and queued.server_id = chosen.server_id
  returning queued.server_id, queued.bucket
)
select distinct taken.server_id as server, ${micros("taken.bucket")} as bucket from taken`

/** Bound: the width in seconds; servers; the ends of their buckets, epoch microseconds. */
const putSql = `insert into admiral.rollup_queue (bucket, server_id, seconds)
select ${moment("changed.bucket")}, changed.server_id, $1::int4
from unnest($2::int4[], $3::float8[]) as changed(server_id, bucket)`

/** Takes entries of {@link ONWARD} off. */
export const takeOnwardSql = `delete from admiral.rollup_queue queued where queued.seconds = ${ONWARD}
returning queued.server_id as server, timestamptz_send(queued.bucket) as at`

/**
 * The buckets that an entry of {@link ONWARD} is about end where the host's next row does: until then its cores are those
 * that changed. Bound: the server's id; the moment, epoch microseconds.
 */
export const spreadSql = (host: Exporter, exporters: ReadonlyArray<Exporter>): string => {
  const first = moment("$2::float8")
  const next = `(
    select scrape."timestamp" from admiral."${scrapesTable(host.table.name)}" scrape
    where scrape.server_id = $1::int4 and scrape."timestamp" > ${first} and scrape."${host.host!.cores}" is not null
    order by scrape."timestamp" limit 1
  )`
  return `insert into admiral.rollup_queue (bucket, server_id, seconds)
select held.bucket, held.server_id, ${FINE.seconds} from (
${exporters
  .map(
    (
      exporter
    ) => `  select bucket.bucket, bucket.server_id from admiral."${rollupTable(exporter.table.name, FINE)}" bucket
  where bucket.server_id = $1::int4 and bucket.bucket >= ${first}
    and bucket.bucket <= coalesce(${fineEnd(next)}, 'infinity')`
  )
  .join("\n  union\n")}
) held`
}

/** Bound: the server's id. */
export const putAllSql = (exporters: ReadonlyArray<Exporter>): string =>
  `insert into admiral.rollup_queue (bucket, server_id, seconds)
select held.bucket, held.server_id, ${FINE.seconds} from (
${exporters
  .map(
    (exporter) =>
      `  select ${fineEnd('scrape."timestamp"')} as bucket, scrape.server_id from admiral."${scrapesTable(exporter.table.name)}" scrape where scrape.server_id = $1::int4`
  )
  .join("\n  union\n")}
) held`

/** Bound: the moment until which buckets have ended, epoch microseconds. */
const waitingSql = `select count(*)::float8 as buckets, ${micros("min(waiting.bucket)")} as oldest from (
  select distinct queued.server_id, queued.bucket, queued.seconds from admiral.rollup_queue queued
  where queued.bucket <= ${moment("$1::float8")}
) waiting`

/** Mostly there is nothing to spread. One server after the other: each is a question about its own rows. */
const spread = Effect.fnUntraced(function* (sql: PgClient.PgClient, statement: string) {
  const onward = new Map<string, QueuedBucket>()
  const taken = yield* sql.unsafe<{ readonly server: number; readonly at: Uint8Array }>(takeOnwardSql)
  for (const { at, server } of taken) {
    const bucket = readMoment(at)
    onward.set(`${server} ${bucket}`, { server, bucket })
  }
  for (const { bucket, server } of onward.values()) {
    yield* sql.unsafe(statement, [PgTypes.int4(server), PgTypes.float8(bucket)])
  }
})

export const makeRollupQueue = (
  exporters: ReadonlyArray<Exporter>,
  host: Exporter | undefined
): Effect.Effect<RollupQueue, never, PgClient.PgClient> =>
  Effect.map(
    PgClient.PgClient,
    (sql): RollupQueue => ({
      take: (level, until, limit) =>
        sql.unsafe<QueuedBucket>(takeSql, [PgTypes.int4(level.seconds), PgTypes.float8(until), PgTypes.int4(limit)]),
      put: (level, buckets) =>
        buckets.length === 0
          ? Effect.void
          : Effect.asVoid(
              sql.unsafe(putSql, [
                PgTypes.int4(level.seconds),
                int4s(buckets.map(({ server }) => server)),
                float8s(buckets.map(({ bucket }) => bucket))
              ])
            ),
      spread: host === undefined ? Effect.void : spread(sql, spreadSql(host, exporters)),
      putAll: (server) => Effect.asVoid(sql.unsafe(putAllSql(exporters), [PgTypes.int4(server)])),
      waiting: (until) =>
        Effect.map(
          sql.unsafe<{ readonly buckets: number; readonly oldest: number | null }>(waitingSql, [PgTypes.float8(until)]),
          ([row]) => row ?? { buckets: 0, oldest: null }
        )
    })
  )
