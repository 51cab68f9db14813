/**
 * Packs one day of an exporter, in steps, each a transaction: whoever comes next sees in the database how far it is. So it may
 * be ended anywhere, go on elsewhere, and several may be at it: one step at a time, under an advisory lock of its transaction.
 *
 * 1. **Begin**: a table for what stays of the scrapes (key, moments, and which chunk has their rows), which nobody reads yet. From
 *    now on whoever stores into the day says so.
 * 2. **Server by server**: chunks into `<table>_packed`, and the scrapes into that table.
 * 3. **What came late meanwhile** (`PackingQueue.ts`): those hours again.
 * 4. **Switch**: in one transaction the day's partition goes and that table comes in its place. Everybody else is locked out
 *    from the moment that it is ours, some milliseconds; it is given up after {@link LOCK_WITHIN}, so long others may wait
 *    behind it.
 *
 * Of a day that is packed, hours with scrapes that came late are packed again, in place.
 *
 * A day is packed when all its roll-ups are done: they read every scrape of it.
 */
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Duration, Effect } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Exporter } from "../../plugins/Exporter.ts"
import { takeTurn } from "../postgres/Turn.ts"
import { moment, moments, readMoment } from "./ArrayCodec.ts"
import { distributeLike, isDistributed } from "./Distribution.ts"
import { makePackHour } from "./PackHour.ts"
import { HOUR_MICROS } from "./PackingQueue.ts"
import { createPartitionSql, DAY_MICROS, dayName, PARTITION_LOCK, partitionName } from "./Partitions.ts"
import { columnsOf, quoted } from "./ScrapeColumns.ts"
import { packedTable, scrapesTable } from "./Tables.ts"

/** What a step was: one of several, the last, or none: the day's roll-ups are not done, it is in use, another server is at it. */
export type Step = "again" | "done" | "rolling up" | "in use" | "elsewhere"

export interface PackingDay {
  /** The next step of a day. `onRows` is told of scrapes and rows that were packed. */
  readonly step: (day: number) => Effect.Effect<Step, SqlError>
}

const LOCK_WITHIN = Duration.millis(100)
const PACKING_LOCK = 7_246_006
/** Hours that came late and are packed again in one step: who stores into them waits so long. */
const HOURS_MAX = 1

export const makePackingDay = (
  exporter: Exporter,
  onPacked: (rows: number) => void
): Effect.Effect<PackingDay, never, PgClient.PgClient> =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    const hourly = yield* makePackHour(exporter)
    const table = scrapesTable(exporter.table.name)
    const late = lateSql(exporter)
    const run = (statement: string) => sql.unsafe(statement).unprepared

    /** Packs an hour and says so in the table that is being made, or, of a day that is packed, in the scrapes themselves. */
    const packHour = Effect.fnUntraced(function* (server: number, hour: Hour, place: string, isShared: boolean) {
      for (const chunk of yield* hourly.pack(server, hour, isShared)) {
        yield* sql.unsafe(place, [PgTypes.int4(server), moments(chunk.at), moment(chunk.at[0]!)])
      }
      onPacked(hour.spans.reduce((sum, { rows }) => sum + rows, 0))
    })

    const packServer = Effect.fnUntraced(function* (server: number, day: number) {
      const place = placeSql(exporter, day)
      for (const hour of yield* hourly.hours(server, day * DAY_MICROS, (day + 1) * DAY_MICROS)) {
        yield* packHour(server, hour, place, false)
      }
    })

    /** Hours that came late, packed again; whether there were any. */
    const packLate = Effect.fnUntraced(function* (day: number, isPacked: boolean) {
      const rows = yield* sql.unsafe<{ readonly server_id: number; readonly hour: Uint8Array }>(late, [
        moment(day * DAY_MICROS),
        moment((day + 1) * DAY_MICROS)
      ])
      const place = isPacked ? placeLateSql(exporter) : placeSql(exporter, day)
      for (const { hour: at, server_id: server } of distinct(rows)) {
        if (!isPacked)
          yield* sql.unsafe(forgetSql(exporter, day), [PgTypes.int4(server), moment(at), moment(at + HOUR_MICROS)])
        for (const hour of yield* hourly.hours(server, at, at + HOUR_MICROS))
          yield* packHour(server, hour, place, isPacked)
      }
      return rows.length > 0
    })

    const lockWithin = sql`select set_config('lock_timeout', ${String(Duration.toMillis(LOCK_WITHIN))}, true)`

    /** Who is storing into the day has stored, and who comes next says so in the queue. */
    const begin = Effect.fnUntraced(function* (day: number) {
      yield* lockWithin
      yield* run(`lock table admiral.${quoted(partitionName(table, day))} in share mode`)
      for (const statement of beginSql(exporter, day)) yield* run(statement)
      if (yield* isDistributed(sql)) yield* distributeLike(sql, packingTable(exporter, day))
      yield* sql`delete from admiral.packing_queue
        where exporter = ${exporter.name} and hour >= ${moment(day * DAY_MICROS)} and hour < ${moment((day + 1) * DAY_MICROS)}`
    })

    /** What the day will take: what stays of its scrapes, and their chunks. */
    const bytesOf = Effect.fnUntraced(function* (day: number) {
      const [size] = yield* sql.unsafe<{ readonly bytes: number }>(bytesSql(exporter, day, yield* isDistributed(sql)))
      return size!.bytes
    })

    const switchOver = Effect.fnUntraced(function* (day: number, bytes: number) {
      yield* run(`analyze admiral.${quoted(packingTable(exporter, day))}`)
      const [count] = yield* sql.unsafe<{ readonly scrapes: number }>(
        `select count(*)::float8 as scrapes from admiral.${quoted(packingTable(exporter, day))}`
      )
      yield* lockWithin
      yield* sql`select pg_advisory_xact_lock(${PARTITION_LOCK}::int4, hashtext(${table}))`
      yield* run(`lock table only admiral.${quoted(table)} in access exclusive mode`)
      // Nobody is writing any more: what came late until now is to be seen.
      const { hasLate, isRollingUp } = yield* stateOf(day)
      if (hasLate) return "again" as const
      if (isRollingUp) return "rolling up" as const
      for (const statement of switchSql(exporter, day)) yield* run(statement)
      yield* sql`insert into admiral.packed_days (exporter, day, scrapes, bytes)
        values (${exporter.name}, ${dayName(day)}::date, ${PgTypes.float8(count!.scrapes)}, ${PgTypes.float8(bytes)})`
      return "done" as const
    })

    const stateOf = (day: number) =>
      Effect.map(
        sql.unsafe<State>(stateSql(exporter, day), [
          exporter.name,
          dayName(day),
          moment(day * DAY_MICROS),
          moment((day + 1) * DAY_MICROS)
        ]),
        ([state]) => state!
      )

    const step = Effect.fnUntraced(function* (day: number) {
      if (!(yield* takeTurn(sql, PACKING_LOCK))) return "elsewhere"
      const { hasBegun, isPacked, isRollingUp } = yield* stateOf(day)
      if (isPacked) {
        yield* lockWithin
        return (yield* packLate(day, true)) ? "again" : "done"
      }
      if (isRollingUp) return "rolling up"
      if (!hasBegun) return yield* Effect.as(begin(day), "again" as const)
      const [next] = yield* sql.unsafe<{ readonly server_id: number }>(nextServerSql(exporter, day), [
        moment(day * DAY_MICROS),
        moment((day + 1) * DAY_MICROS)
      ])
      if (next !== undefined) return yield* Effect.as(packServer(next.server_id, day), "again" as const)
      // Before anything is written: a distributed PostgreSQL does not tell it after that.
      const bytes = yield* bytesOf(day)
      if (yield* packLate(day, false)) return "again"
      return yield* switchOver(day, bytes)
    })

    return {
      step: (day) =>
        sql.withTransaction(step(day)).pipe(
          Effect.catchIf(
            ({ reason }) => reason._tag === "LockTimeoutError",
            () => Effect.succeed("in use" as const)
          )
        )
    }
  })

type Hour = Parameters<Effect.Success<ReturnType<typeof makePackHour>>["pack"]>[1]

interface State {
  readonly isPacked: boolean
  readonly hasBegun: boolean
  readonly hasLate: boolean
  readonly isRollingUp: boolean
}

const distinct = (rows: ReadonlyArray<{ readonly server_id: number; readonly hour: Uint8Array }>) =>
  new Map(
    rows.map(({ hour, server_id }) => [`${server_id} ${readMoment(hour)}`, { server_id, hour: readMoment(hour) }])
  ).values()

// -- statements

/** What stays of the scrapes of a day, while it is being made: that it is there says that the day is being packed. */
export const packingTable = (exporter: Exporter, day: number): string =>
  `${partitionName(scrapesTable(exporter.table.name), day)}_packing`

const within = (day: number): string =>
  `"timestamp" >= '${dayName(day)} 00:00:00+00' and "timestamp" < '${dayName(day + 1)} 00:00:00+00'`

/** Bound: the exporter, the day, and its two ends. */
const stateSql = (exporter: Exporter, day: number): string => `select
  exists (select 1 from admiral.packed_days as packed where packed.exporter = $1 and packed.day = $2::date) as "isPacked",
  ${columnCountSql(packingTable(exporter, day))} = ${columnCountSql(scrapesTable(exporter.table.name))} as "hasBegun",
  exists (select 1 from admiral.packing_queue as late where late.exporter = $1 and late.hour >= $3 and late.hour < $4) as "hasLate",
  exists (
    select 1 from admiral.rollup_queue as queued
    where queued.bucket <= $4 and (queued.seconds = 0 or queued.bucket > $3)
  ) as "isRollingUp"`

/** None where there is no such table. One that was made before a column was appended is made anew: it would not fit. */
const columnCountSql = (table: string): string =>
  `(select count(*) from pg_attribute as own where own.attrelid = to_regclass('admiral.${quoted(table)}') and own.attnum > 0 and not own.attisdropped)`

/** The constraint says what the partition will: PostgreSQL need not look through it. */
const beginSql = (exporter: Exporter, day: number): ReadonlyArray<string> => {
  const packing = packingTable(exporter, day)
  return [
    createPartitionSql(packedTable(exporter.table.name), day),
    `drop table if exists admiral.${quoted(packing)}`,
    `create table admiral.${quoted(packing)} (like admiral.${quoted(scrapesTable(exporter.table.name))} including all)`,
    `alter table admiral.${quoted(packing)} add constraint ${quoted(`${packing}_day`)} check (${within(day)})`
  ]
}

/** In the order of their ids: those up to the last that is there are done. Bound: the two ends of the day. */
const nextServerSql = (exporter: Exporter, day: number): string =>
  `select scrape.server_id from admiral.${quoted(scrapesTable(exporter.table.name))} as scrape
where scrape."timestamp" >= $1 and scrape."timestamp" < $2 and scrape.server_id > coalesce((
  select max(done.server_id) from admiral.${quoted(packingTable(exporter, day))} as done
), 0)
order by scrape.server_id limit 1`

/** What other statements look up of a host stays beside its key (`HostCores.ts`). */
const keptColumns = ({ host, table }: Exporter): ReadonlyArray<string> => {
  const isPlain = Object.values(table.columns).every(({ kind }) => kind !== "label")
  return [
    ...['"timestamp"', "created_at", "counters_since", "server_id"],
    ...(host !== undefined && isPlain ? [quoted(host.cores)] : [])
  ]
}

/** Bound: the server, the moments of a chunk, and its first. */
const placeSql = (exporter: Exporter, day: number): string => {
  const kept = keptColumns(exporter)
  return `insert into admiral.${quoted(packingTable(exporter, day))} (${kept.join(", ")}, packed_in)
select ${kept.map((name) => `scrape.${name}`).join(", ")}, $3
from admiral.${quoted(scrapesTable(exporter.table.name))} as scrape
where scrape.server_id = $1 and scrape."timestamp" = any($2::timestamptz[])
order by scrape."timestamp"`
}

/** Bound: the server, the moments of a chunk, and its first. */
const placeLateSql = (exporter: Exporter): string => {
  const { labels, numbers } = columnsOf(exporter)
  const kept = new Set(keptColumns(exporter))
  const emptied = [...labels, ...numbers.map(({ name }) => name)].map(quoted).filter((name) => !kept.has(name))
  if (labels.length > 0) emptied.push("counters_since_of")
  return `update admiral.${quoted(scrapesTable(exporter.table.name))} as scrape
set packed_in = $3, ${emptied.map((name) => `${name} = null`).join(", ")}
where scrape.server_id = $1 and scrape."timestamp" = any($2::timestamptz[])`
}

/** Bound: the server and the two ends of an hour. */
const forgetSql = (exporter: Exporter, day: number): string =>
  `delete from admiral.${quoted(packingTable(exporter, day))} as done
where done.server_id = $1 and done."timestamp" >= $2 and done."timestamp" < $3`

/** Takes hours off the queue. Bound: the two ends of the day. */
const lateSql = (exporter: Exporter): string => `with chosen as (
  select distinct late.server_id, late.hour from admiral.packing_queue as late
  where late.exporter = '${exporter.name}' and late.hour >= $1 and late.hour < $2
  order by late.server_id, late.hour limit ${HOURS_MAX}
)
delete from admiral.packing_queue as late using chosen
where late.exporter = '${exporter.name}' and late.server_id = chosen.server_id and late.hour = chosen.hour
returning late.server_id, timestamptz_send(late.hour) as hour`

const switchSql = (exporter: Exporter, day: number): ReadonlyArray<string> => {
  const table = scrapesTable(exporter.table.name)
  const parent = `admiral.${quoted(table)}`
  const partition = quoted(partitionName(table, day))
  const packing = packingTable(exporter, day)
  return [
    `alter table ${parent} detach partition admiral.${partition}`,
    `drop table admiral.${partition}`,
    `alter table admiral.${quoted(packing)} rename to ${partition}`,
    `alter table ${parent} attach partition admiral.${partition} for values from ('${dayName(day)} 00:00:00+00') to ('${dayName(day + 1)} 00:00:00+00')`,
    `alter table admiral.${partition} drop constraint ${quoted(`${packing}_day`)}`
  ]
}

const bytesSql = (exporter: Exporter, day: number, isDistributed: boolean): string => {
  const sizeOf = isDistributed ? "citus_total_relation_size" : "pg_total_relation_size"
  const size = (table: string) => `${sizeOf}('admiral.${quoted(table)}')`
  const chunks = partitionName(packedTable(exporter.table.name), day)
  return `select (${size(packingTable(exporter, day))} + ${size(chunks)})::float8 as bytes`
}
