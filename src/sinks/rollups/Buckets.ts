/**
 * Buckets of roll-ups in PostgreSQL: read as summaries, written from aggregates. It computes nothing.
 *
 * Guarantee: what was written is read back to the last bit. A statement about one server says so by a constant, so that a
 * distributed PostgreSQL asks one node. To write a bucket again replaces it, where it says anything else.
 */

import { PgClient, PgTypes } from "@effect/sql-pg"
import { Array as Arr, Effect } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Exporter } from "../../plugins/Exporter.ts"
import type { Aggregate, Summary } from "../../query/Aggregate.ts"
import { allMeasures, type Measures } from "../../query/Increases.ts"
import { byteas, float8s, int4s, moment, moments, readMoment } from "../storage/ArrayCodec.ts"
import { NumberSlab } from "../storage/NumberSlab.ts"
import type { Span } from "../storage/Scrapes.ts"
import { readColumns, writeColumns } from "./NumberColumns.ts"
import { LEVELS, type Level, ROLLUP_COLUMNS, rollupTable } from "./RollupTables.ts"

/** A bucket of a server, by its end in epoch microseconds. */
export interface Bucket {
  readonly server: number
  readonly end: number
  /** The ids of its groups. */
  readonly groups: () => ArrayLike<number>
  /** Decodes it. It is there until any other bucket of the same read is asked for its own. */
  readonly summary: () => Summary
}

/** Buckets of one level whose ends are in (after, upto]. */
export interface LevelSpan extends Span {
  readonly level: Level
}

/** Buckets by server, in order of time. */
type BucketsOfServers = ReadonlyMap<number, ReadonlyArray<Bucket>>

export interface Buckets {
  /** The buckets of each level in some spans, with what they say of all groups or of one. */
  readonly read: (
    servers: ReadonlyArray<number>,
    spans: ReadonlyArray<LevelSpan>,
    measures: Measures,
    group?: number
  ) => Effect.Effect<ReadonlyMap<Level, BucketsOfServers>, SqlError>
  /** Writes buckets of a level, made with `allMeasures`; those that are there are replaced. */
  readonly write: (
    level: Level,
    buckets: ReadonlyArray<{ readonly server: number; readonly end: number; readonly aggregate: Aggregate }>
  ) => Effect.Effect<unknown, SqlError>
}

/** How many spans a statement asks for: each is planned by its own bounds, so that it opens its own days only. */
const SPANS_MAX = 8

export const makeBuckets = (exporter: Exporter): Effect.Effect<Buckets, never, PgClient.PgClient> => {
  const layout = layoutOf(exporter)
  const writes = new Map(LEVELS.map((level) => [level, writeSql(exporter, level)]))
  return Effect.map(PgClient.PgClient, (sql) => ({
    read: Effect.fnUntraced(function* (servers, spans, measures, group) {
      const found = new Map(LEVELS.map((level) => [level, new Map<number, Array<Bucket>>()]))
      if (servers.length === 0) return found
      const one = servers.length === 1
      const slab = new NumberSlab()
      for (const few of Arr.chunksOf(spans, SPANS_MAX)) {
        const levels = few.map(({ level }) => level)
        const rows = yield* sql.unsafe<BucketRow>(readSql(exporter, levels, one), [
          one ? PgTypes.int4(servers[0]!) : int4s(servers),
          ...few.flatMap(({ after, upto }) => [moment(after), moment(upto)])
        ])
        for (const row of rows) {
          const mine = found.get(LEVELS[row.level]!)!
          const bucket = {
            server: row.server,
            end: readMoment(row.bucket),
            groups: () => readColumns(row.groups).column(0)!,
            summary: () => {
              slab.reuse()
              return summaryOf(row, layout, measures, group, slab)
            }
          }
          const own = mine.get(row.server)
          if (own === undefined) mine.set(row.server, [bucket])
          else own.push(bucket)
        }
      }
      for (const mine of found.values()) for (const own of mine.values()) own.sort((a, b) => a.end - b.end)
      return found
    }),
    write: (level, buckets) =>
      buckets.length === 0
        ? Effect.void
        : sql.unsafe(writes.get(level)!, [
            moments(buckets.map(({ end }) => end)),
            moments(buckets.map(({ aggregate: { lastAt } }) => (Number.isFinite(lastAt) ? lastAt : Number.NaN))),
            float8s(buckets.map(({ aggregate }) => aggregate.covered)),
            float8s(buckets.map(({ aggregate }) => aggregate.common.busy)),
            float8s(buckets.map(({ aggregate }) => aggregate.common.seconds)),
            int4s(buckets.map(({ server }) => server)),
            int4s(buckets.map(({ aggregate }) => aggregate.scrapes)),
            int4s(buckets.map(({ aggregate }) => aggregate.common.unknown)),
            byteas(buckets.map(({ aggregate }) => groupsOf(aggregate, layout)))
          ])
  }))
}

// -- what is stored of groups

/**
 * Where the values of each column of the exporter begin, in the order of the declaration, to which columns are only ever
 * appended. The first three are the groups' ids, in how many scrapes they were, and when they were last.
 */
interface Layout {
  readonly columns: ReadonlyArray<{ readonly counter: number } | { readonly gauge: number }>
  readonly places: ReadonlyMap<string, number>
}

const FIXED = 3
const OF_COUNTER = 6
const OF_GAUGE = 4

const layoutOf = (exporter: Exporter): Layout => {
  const { counters, gauges } = allMeasures(exporter)
  const places = new Map<string, number>()
  let next = FIXED
  const columns = Object.keys(exporter.table.columns).flatMap((name): ReadonlyArray<Layout["columns"][number]> => {
    const [counter, gauge] = [counters.indexOf(name), gauges.indexOf(name)]
    if (counter < 0 && gauge < 0) return []
    places.set(name, next)
    next += counter < 0 ? OF_GAUGE : OF_COUNTER
    return [counter < 0 ? { gauge } : { counter }]
  })
  return { columns, places }
}

const groupsOf = ({ counters, gauges, groups, groupsLastAt, lastAt, rows }: Aggregate, { columns }: Layout) => {
  const unless = (values: Float64Array, usual: (n: number) => number) =>
    values.every((value, n) => value === usual(n)) ? undefined : values
  return writeColumns(groups.length, [
    groups,
    rows,
    unless(groupsLastAt, () => lastAt),
    ...columns.flatMap((column) => {
      if ("counter" in column) {
        const { clamped, increase, now, peak, resets, unknown } = counters[column.counter]!
        return [increase, peak, now, ...[resets, clamped, unknown].map((counts) => unless(counts, () => 0))]
      }
      const { count, last, max, sum } = gauges[column.gauge]!
      return [sum, max, last, unless(count, (n) => rows[n]!)]
    })
  ])
}

const summaryOf = (
  row: BucketRow,
  { places }: Layout,
  measures: Measures,
  group: number | undefined,
  slab: NumberSlab
): Summary => {
  const columns = readColumns(row.groups, slab)
  const all = columns.column(0)!
  const picked = group === undefined ? undefined : [all.indexOf(group)].filter((place) => place >= 0)
  const count = picked?.length ?? columns.count
  const values = (place: number) => columns.column(place, picked)
  const known = (place: number) => values(place) ?? new Float64Array(count).fill(Number.NaN)
  const lastAt = readMoment(row.last_at)
  return {
    scrapes: row.scrapes,
    covered: row.covered,
    lastAt: Number.isNaN(lastAt) ? Number.NEGATIVE_INFINITY : lastAt,
    common: { busy: row.host_busy, seconds: row.host_seconds, unknown: row.host_unknown },
    groups: picked === undefined ? all : picked.map((place) => all[place]!),
    rows: values(1)!,
    groupsLastAt: values(2),
    counters: measures.counters.map((name) => {
      const place = places.get(name)!
      return {
        increase: known(place),
        peak: known(place + 1),
        now: known(place + 2),
        resets: values(place + 3),
        clamped: values(place + 4),
        unknown: values(place + 5)
      }
    }),
    gauges: measures.gauges.map((name) => {
      const place = places.get(name)!
      // Of a column that had not been declared: known in no scrape.
      const counted = place < columns.size ? values(place + 3) : new Float64Array(count)
      return { sum: known(place), max: known(place + 1), last: known(place + 2), count: counted }
    })
  }
}

// -- statements

interface BucketRow {
  readonly level: number
  readonly server: number
  readonly bucket: Uint8Array
  readonly last_at: Uint8Array | null
  readonly scrapes: number
  readonly covered: number
  readonly host_busy: number
  readonly host_seconds: number
  readonly host_unknown: number
  readonly groups: Uint8Array
}

/** A span of each of some levels. Bound: a server's id, or several; the left and the right end of each span. */
export const readSql = (exporter: Exporter, levels: ReadonlyArray<Level>, oneServer: boolean): string => {
  const parts = levels
    .map((level, n) => {
      const selected = `select ${LEVELS.indexOf(level)} as level, bucket.server_id as server, timestamptz_send(bucket.bucket) as bucket, timestamptz_send(bucket.last_at) as last_at,
  bucket.scrapes, bucket.covered, bucket.host_busy, bucket.host_seconds, bucket.host_unknown, bucket.groups`
      const table = `admiral."${rollupTable(exporter.table.name, level)}" bucket`
      const within = `bucket.bucket > $${2 * n + 2}::timestamptz and bucket.bucket <= $${2 * n + 3}::timestamptz`
      return oneServer
        ? `${selected}
from ${table}
where bucket.server_id = $1::int4 and ${within}`
        : `${selected}
from admiral.server_ids as server
cross join lateral (
  select * from ${table}
  where bucket.server_id = server.id and ${within}
  offset 0
) bucket
where server.id = any($1::int4[])`
    })
    .join("\nunion all\n")
  // A distributed PostgreSQL takes a union apart unless it is a part of something.
  return oneServer || levels.length === 1 ? parts : `select * from (\n${parts}\n) as part`
}

/** Some buckets. Bound: an array for each column. */
export const writeSql = (exporter: Exporter, level: Level): string => {
  const names = Object.keys(ROLLUP_COLUMNS)
  const types = Object.values(ROLLUP_COLUMNS).map((type) => type.replace(" not null", ""))
  const changed = names.filter((name) => name !== "server_id" && name !== "bucket")
  const list = (of: string) => `(${changed.map((name) => `${of}.${name}`).join(", ")})`
  return `insert into admiral."${rollupTable(exporter.table.name, level)}" as stored (${names.join(", ")})
select made.* from unnest(${types.map((type, n) => `$${n + 1}::${type}[]`).join(", ")}) as made
on conflict (server_id, bucket) do update set ${changed.map((name) => `${name} = excluded.${name}`).join(", ")}
where ${list("stored")} is distinct from ${list("excluded")}`
}
