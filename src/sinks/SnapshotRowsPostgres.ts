/**
 * Rows in PostgreSQL: one statement per batch, made of one array per column, so that a batch of 5 000 rows is parsed,
 * planned and answered once (112 000 to 150 000 rows/s on one connection; a row at a time 5 000 to 8 000).
 *
 * The statement is the transaction: all rows or none. What it needs is there before it begins, committed: the ids of its
 * servers and labels, and the partitions of its days. A batch that fails after that leaves names and empty partitions
 * behind, never rows.
 *
 * Bounds: {@link ROWS_MAX} rows a batch, {@link INSERT_WITHIN} in all.
 */
import { PgClient, type PgConnection, PgTypes } from "@effect/sql-pg"
import { Clock, Context, Duration, Effect, Layer, Result } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Exporter } from "../plugins/Exporter.ts"
import { Registry } from "../plugins/Registry.ts"
import type { Snapshot } from "../plugins/Snapshot.ts"
import { display, fits, rule } from "../plugins/Storable.ts"
import { arrayParameter, classify, isMissingPartition, sqlErrorOf } from "./Database.ts"
import { type Dictionary, makeDictionary } from "./Dictionary.ts"
import { DAY_MICROS, dayName, dayOf, makePartitions, type Partitions } from "./Partitions.ts"
import { dirtyTable, FINE } from "./RollupTables.ts"
import { type Inserted, RowsRefused, RowsUnavailable, SnapshotRows } from "./SnapshotRows.ts"
import { rowsTable } from "./Tables.ts"
import { bucketOf } from "./WindowPlan.ts"

/** PostgreSQL takes more; a batch this size is some megabytes, and larger ones are no faster. */
export const ROWS_MAX = 20_000
/** Longer than PostgreSQL's own limit for a statement: this one is for connections that went silent. */
const INSERT_WITHIN = Duration.seconds(90)

/** Rows of the registry's exporters. Needs their tables (`Migrations.ts`); makes partitions itself. */
export const layer: Layer.Layer<SnapshotRows, never, PgClient.PgClient | Registry> = Layer.effect(
  SnapshotRows,
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    const { exporters } = yield* Registry
    const dictionary = yield* makeDictionary
    const writers = new Map<string, Writer>()
    for (const exporter of exporters) {
      writers.set(exporter.name, makeWriter(exporter, yield* makePartitions(rowsTable(exporter.table.name))))
    }

    const insert = Effect.fnUntraced(function* (exporter: string, rows: ReadonlyArray<Snapshot>) {
      const writer = writers.get(exporter)
      if (writer === undefined) return yield* refuse(`there is no exporter ${display(exporter)}`)
      if (rows.length === 0) return { inserted: 0, duplicates: 0 }
      if (rows.length > ROWS_MAX) return yield* refuse(`${rows.length} rows at once, at most ${ROWS_MAX}`)
      const values = yield* Effect.fromResult(writer.columns(rows))
      const days = yield* writer.days(rows)
      const { changed, ids } = yield* writer.ids(dictionary, rows)
      const statement = sql.unsafe<PgConnection.Result>(writer.statement, [...ids, ...values, ...changed]).raw
      const run = Effect.andThen(writer.partitions.ensure(days), statement).pipe(
        Effect.map((result) => (result as PgConnection.Result).rowCount)
      )
      const inserted = yield* run.pipe(
        // Dropped by retention since we last looked, perhaps of another server: look again, once.
        Effect.catchIf(isMissingPartition, () => {
          writer.partitions.forget()
          return run
        })
      )
      return { inserted, duplicates: rows.length - inserted }
    })

    return SnapshotRows.of({
      insert: (exporter, rows) =>
        insert(exporter, rows).pipe(
          // The ids in our caches must be committed: never take part in a transaction of the caller.
          Effect.updateContext(
            (context: Context.Context<never>) => Context.omit(sql.transactionService)(context) as Context.Context<never>
          ),
          Effect.catchCause((cause): Effect.Effect<Inserted, RowsRefused | RowsUnavailable> => {
            const error = sqlErrorOf(cause)
            return error === undefined
              ? Effect.failCause(cause as never)
              : Effect.fail(classify(`insert into ${exporter}`, error))
          }),
          Effect.timeoutOrElse({
            duration: INSERT_WITHIN,
            orElse: () =>
              Effect.fail(
                new RowsUnavailable({
                  operation: `insert into ${exporter}`,
                  cause: new Error(`no answer within ${Duration.format(INSERT_WITHIN)}`)
                })
              )
          })
        )
    })
  })
)

// -- one exporter

interface Writer {
  readonly statement: string
  readonly partitions: Partitions
  /** Arrays of the columns that hold no ids, in the order of the statement. Refuses rows with values that do not fit. */
  readonly columns: (rows: ReadonlyArray<Snapshot>) => Result.Result<ReadonlyArray<PgTypes.Parameter>, RowsRefused>
  /** The days of the rows. Refuses rows that retention would drop at once. */
  readonly days: (rows: ReadonlyArray<Snapshot>) => Effect.Effect<ReadonlySet<number>, RowsRefused>
  /**
   * Arrays of ids: servers, then each label; and the buckets whose roll-ups these rows change. Refuses rows of servers that
   * do not exist.
   */
  readonly ids: (
    dictionary: Dictionary,
    rows: ReadonlyArray<Snapshot>
  ) => Effect.Effect<
    { readonly ids: ReadonlyArray<PgTypes.Parameter>; readonly changed: ReadonlyArray<PgTypes.Parameter> },
    RowsRefused | SqlError
  >
}

const makeWriter = (exporter: Exporter, partitions: Partitions): Writer => {
  const all = Object.entries(exporter.table.columns).map(([name, column], index) => ({
    name,
    column,
    index,
    fits: fits(column)
  }))
  const labels = all.filter(({ column }) => column.kind === "label")
  const numbers = all.filter(({ column }) => column.kind !== "label")
  const retention = Duration.toMillis(exporter.table.retention) * 1000

  return {
    statement: insertSql(exporter),
    partitions,
    columns: (rows) => {
      for (const { column, fits, index, name } of all) {
        for (let at = 0; at < rows.length; at++) {
          const value = rows[at]!.values[index]
          if (!fits(value)) return Result.fail(refusal(rows, at, `${name} is ${display(value)}, but ${rule(column)}`))
        }
      }
      for (let at = 0; at < rows.length; at++) {
        const { countersSince, timestamp } = rows[at]!
        if (!isMoment(timestamp)) return Result.fail(refusal(rows, at, "timestamp is not epoch microseconds"))
        if (countersSince !== null && !isMoment(countersSince)) {
          return Result.fail(refusal(rows, at, "countersSince is not epoch microseconds or null"))
        }
      }
      return Result.succeed([
        arrayParameter(
          rows.map((row) => row.timestamp),
          PgTypes.OID.float8
        ),
        arrayParameter(
          rows.map((row) => row.countersSince),
          PgTypes.OID.float8
        ),
        ...numbers.map(({ column, index }) =>
          arrayParameter(
            rows.map((row) => row.values[index]),
            column.kind !== "label" && column.type === "integer" ? PgTypes.OID.int4 : PgTypes.OID.float8
          )
        )
      ])
    },
    days: (rows) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const days = new Set<number>()
        let last = Number.NaN
        for (let at = 0; at < rows.length; at++) {
          const day = dayOf(rows[at]!.timestamp)
          if (day === last) continue
          if ((day + 1) * DAY_MICROS <= now * 1000 - retention) {
            const kept = Duration.format(exporter.table.retention)
            return Effect.fail(refusal(rows, at, `rows of ${dayName(day)} are no longer kept (${kept})`))
          }
          last = day
          days.add(day)
        }
        return Effect.succeed(days)
      }),
    ids: Effect.fnUntraced(function* (dictionary, rows) {
      const servers = lookUp(rows, (row) => row.serverId, dictionary.cachedServer)
      if (servers.missing.size > 0) {
        const found = yield* dictionary.servers(servers.missing)
        const at = rows.findIndex((row, at) => servers.ids[at] === 0 && !found.has(row.serverId))
        if (at >= 0) return yield* refusal(rows, at, "there is no such server")
        fill(servers.ids, rows, (row) => row.serverId, found)
      }
      const columns = labels.map(({ index }) => {
        const valueOf = (row: Snapshot) => row.values[index] as string
        return { valueOf, ...lookUp(rows, valueOf, dictionary.cachedLabel) }
      })
      const missing = new Set(columns.flatMap((column) => [...column.missing]))
      if (missing.size > 0) {
        const found = yield* dictionary.labels(missing)
        for (const column of columns) fill(column.ids, rows, column.valueOf, found)
      }
      const changed = changedBuckets(servers.ids, rows)
      return {
        ids: [servers.ids, ...columns.map((column) => column.ids)].map((ids) => arrayParameter(ids, PgTypes.OID.int4)),
        changed: [
          arrayParameter(changed.servers, PgTypes.OID.int4),
          arrayParameter(changed.buckets, PgTypes.OID.float8)
        ]
      }
    })
  }
}

/**
 * The insert statement. Parameters: ids of servers, ids of each label, times as epoch microseconds, then the values in the
 * order of the columns; last the changed buckets, their servers and ends, which go into the queue of the roll-ups with the
 * rows or not at all. Times and `bigint` travel as doubles, which hold them exactly up to 2^53.
 */
export const insertSql = (exporter: Exporter): string => {
  const columns = Object.entries(exporter.table.columns)
  const labels = columns.filter(([, column]) => column.kind === "label")
  const numbers = columns.flatMap(([name, column]) => (column.kind === "label" ? [] : [{ name, type: column.type }]))
  const moment = (alias: string) => `timestamptz 'epoch' + ${alias} * interval '1 microsecond'`
  const fields = [
    { name: "server_id", type: "int4", read: (alias: string) => alias },
    ...labels.map(([name]) => ({ name, type: "int4", read: (alias: string) => alias })),
    { name: "timestamp", type: "float8", read: moment },
    { name: "counters_since", type: "float8", read: moment },
    ...numbers.map(({ name, type }) => ({
      name,
      type: type === "integer" ? "int4" : "float8",
      read: (alias: string) => (type === "bigint" ? `${alias}::int8` : alias)
    }))
  ]
  const list = (text: (field: (typeof fields)[number], index: number) => string) => fields.map(text).join(", ")
  const changed = fields.length + 1
  return `with changed as (
  insert into admiral."${dirtyTable(exporter.table.name)}" (server_id, bucket, seconds)
  select c.server_id, ${moment("c.bucket")}, ${FINE.seconds}
  from unnest($${changed}::int4[], $${changed + 1}::float8[]) as c(server_id, bucket)
)
insert into admiral."${rowsTable(exporter.table.name)}" (${list(({ name }) => `"${name}"`)})
select ${list(({ read }, index) => read(`c${index}`))}
from unnest(${list(({ type }, index) => `$${index + 1}::${type}[]`)}) as batch(${list((_, index) => `c${index}`)})
on conflict do nothing`
}

/** The distinct buckets of the rows, by server and end. Rows of one scrape follow each other: most are like the one before. */
const changedBuckets = (servers: ReadonlyArray<number>, rows: ReadonlyArray<Snapshot>) => {
  const changed = { servers: [] as number[], buckets: [] as number[] }
  const seen = new Set<string>()
  let last = -1
  for (let at = 0; at < rows.length; at++) {
    if (at > 0 && servers[at] === servers[at - 1] && rows[at]!.timestamp === last) continue
    last = rows[at]!.timestamp
    const bucket = bucketOf(last, FINE)
    const key = `${servers[at]} ${bucket}`
    if (seen.has(key)) continue
    seen.add(key)
    changed.servers.push(servers[at]!)
    changed.buckets.push(bucket)
  }
  return changed
}

/** Ids from memory, 0 where they are missing. Rows of one scrape follow each other: what was just looked up is at hand. */
const lookUp = (
  rows: ReadonlyArray<Snapshot>,
  valueOf: (row: Snapshot) => string,
  cached: (value: string) => number | undefined
) => {
  const ids = new Array<number>(rows.length)
  const missing = new Set<string>()
  let last: string | undefined
  let id = 0
  for (let at = 0; at < rows.length; at++) {
    const value = valueOf(rows[at]!)
    if (value !== last) {
      last = value
      id = cached(value) ?? 0
      if (id === 0) missing.add(value)
    }
    ids[at] = id
  }
  return { ids, missing }
}

const fill = (
  ids: Array<number>,
  rows: ReadonlyArray<Snapshot>,
  valueOf: (row: Snapshot) => string,
  found: ReadonlyMap<string, number>
) => {
  for (let at = 0; at < ids.length; at++) if (ids[at] === 0) ids[at] = found.get(valueOf(rows[at]!))!
}

const isMoment = (micros: number): boolean => Number.isSafeInteger(micros) && micros >= 0

const refuse = (reason: string) => new RowsRefused({ reason, cause: new Error(reason) })

const refusal = (rows: ReadonlyArray<Snapshot>, at: number, reason: string) =>
  refuse(`row ${at} (server ${display(rows[at]!.serverId)}, timestamp ${rows[at]!.timestamp}): ${reason}`)
