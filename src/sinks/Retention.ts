/**
 * Keeps the tables of rows at their length: makes tomorrow's partitions before they are needed, and drops those whose rows
 * are all older than the retention; dead letters likewise.
 *
 * - Dropping a day costs milliseconds, where deleting its rows would rewrite them. A partition is detached concurrently
 *   first, so that neither readers nor writers wait; what cannot be done within {@link LOCK_WITHIN} is left for the next time.
 * - Several servers may run it: an advisory lock lets one do it at a time, the others pass.
 * - A partition that a crash left detached, or half detached, is finished by the next sweep.
 *
 * A day is kept until its last moment is too old: up to one day longer than the retention says.
 */
import { PgClient } from "@effect/sql-pg"
import { Clock, Context, Duration, Effect, Layer } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import { Registry } from "../plugins/Registry.ts"
import { answering } from "./Database.ts"
import { pruneDeadLetters } from "./DeadLettersPostgres.ts"
import { createPartitionSql, DAY_MICROS, dayOf, dayOfPartition, PARTITION_LOCK } from "./Partitions.ts"
import { FINE, rollupTable } from "./RollupTables.ts"
import type { RowsUnavailable } from "./SnapshotRows.ts"
import { rowsTable } from "./Tables.ts"

/** A table partitioned by UTC day, without its schema. */
export interface RetainedTable {
  readonly table: string
  readonly retention: Duration.Duration
}

export interface Swept {
  /** Names of partitions that were dropped. */
  readonly dropped: ReadonlyArray<string>
  /** Names of partitions that are too old, but were in use: for the next time. */
  readonly postponed: ReadonlyArray<string>
  readonly deadLettersDropped: number
  /** Whether another server is at it right now; then nothing was done. */
  readonly elsewhere: boolean
}

export interface RetentionOptions {
  /** Beside the tables of the registry's exporters. */
  readonly tables?: ReadonlyArray<RetainedTable>
  /** Defaults to 1 hour. */
  readonly interval?: Duration.Input
}

export class Retention extends Context.Service<
  Retention,
  {
    /** Once, as of a moment in epoch milliseconds. */
    readonly sweep: (now: number) => Effect.Effect<Swept, RowsUnavailable>
    /** Sweeps now and every interval, for ever; where the database is away, a minute later. For the supervisor. */
    readonly run: Effect.Effect<never>
  }
>()("nodepulse/sinks/Retention") {
  static readonly layerWith = (
    options: RetentionOptions = {}
  ): Layer.Layer<Retention, never, PgClient.PgClient | Registry> => Layer.effect(Retention, make(options))
  static readonly layer: Layer.Layer<Retention, never, PgClient.PgClient | Registry> = Layer.suspend(() =>
    Retention.layerWith()
  )
}

/** A sweep gives up on a table that is locked for longer. */
const LOCK_WITHIN = Duration.seconds(5)
const RETRY_AFTER = Duration.minutes(1)
const SWEEP_LOCK = 7_246_003

const make = Effect.fnUntraced(function* (options: RetentionOptions) {
  const sql = yield* PgClient.PgClient
  const { exporters } = yield* Registry
  const tables: ReadonlyArray<RetainedTable> = [
    ...exporters.map(({ table }) => ({ table: rowsTable(table.name), retention: table.retention })),
    ...exporters.map(({ table }) => ({
      table: rollupTable(table.name, FINE),
      retention: Duration.days(FINE.retentionDays)
    })),
    ...(options.tables ?? [])
  ]

  /** On a connection of its own: the advisory lock and the lock time-out belong to the session. */
  const sweep = Effect.fn("Retention.sweep")(
    function* (now: number) {
      const connection = yield* sql.reserve
      const run = (statement: string) => connection.executeUnprepared(statement, [], undefined)
      const [lock] = yield* run(`select pg_try_advisory_lock(${SWEEP_LOCK}) as taken`)
      if (lock?.taken !== true) return { dropped: [], postponed: [], deadLettersDropped: 0, elsewhere: true }
      yield* Effect.addFinalizer(() =>
        Effect.ignore(Effect.andThen(run("reset lock_timeout"), run(`select pg_advisory_unlock(${SWEEP_LOCK})`)))
      )
      yield* run(`set lock_timeout = ${Duration.toMillis(LOCK_WITHIN)}`)
      const dropped: Array<string> = []
      const postponed: Array<string> = []
      for (const { retention, table } of tables) {
        const today = dayOf(now * 1000)
        for (const day of [today, today + 1]) yield* run(createPartitionSql(table, day))
        const tooOld = (yield* partitionsOf(run, table)).filter(({ name }) => {
          const day = dayOfPartition(table, name)
          return day !== undefined && (day + 1) * DAY_MICROS <= now * 1000 - Duration.toMillis(retention) * 1000
        })
        let waiting = false
        for (const { name, state } of tooOld) {
          // A table can have one partition half detached: where one waits for its readers, the others wait too.
          const gone: boolean =
            !waiting &&
            (yield* dropPartition(run, table, name, state).pipe(
              Effect.as(true),
              Effect.catchIf(isTimeout, () => Effect.succeed(false))
            ))
          ;(gone ? dropped : postponed).push(name)
          waiting = !gone
        }
      }
      return { dropped, postponed, deadLettersDropped: yield* pruneDeadLetters, elsewhere: false }
    },
    Effect.scoped,
    Effect.provideService(PgClient.PgClient, sql),
    answering("retention")
  )

  const once = Effect.flatMap(Clock.currentTimeMillis, sweep).pipe(
    Effect.tap(({ deadLettersDropped, dropped, postponed }) =>
      Effect.gen(function* () {
        if (dropped.length > 0) yield* Effect.logInfo(`retention: dropped ${dropped.join(", ")}`)
        if (postponed.length > 0)
          yield* Effect.logWarning(`retention: in use, tried again later: ${postponed.join(", ")}`)
        if (deadLettersDropped > 0) yield* Effect.logWarning(`retention: dropped ${deadLettersDropped} dead letters`)
      })
    ),
    Effect.as(Duration.fromInputUnsafe(options.interval ?? "1 hour")),
    Effect.catch((error) => Effect.as(Effect.logWarning(`retention: ${error.message}`), RETRY_AFTER))
  )
  return Retention.of({ sweep, run: Effect.forever(Effect.flatMap(once, Effect.sleep)) })
})

const isTimeout = ({ reason }: SqlError) =>
  reason._tag === "LockTimeoutError" || reason._tag === "StatementTimeoutError"

type Run = (statement: string) => Effect.Effect<ReadonlyArray<Record<string, unknown>>, SqlError>

type PartitionState = "attached" | "detaching" | "detached"

/** All tables that are named like a partition of `table`: also those that are not attached (any more). */
const partitionsOf = (run: Run, table: string) =>
  Effect.map(
    run(`select c.relname as name,
      case when i.inhrelid is null then 'detached' when i.inhdetachpending then 'detaching' else 'attached' end as state
    from pg_class c
    left join pg_inherits i on i.inhrelid = c.oid and i.inhparent = 'admiral."${table}"'::regclass
    where c.relnamespace = 'admiral'::regnamespace and c.relkind = 'r' and c.relname ~ '^${table}_[0-9]{8}$'
    order by i.inhdetachpending desc nulls last, c.relname`),
    (rows) => rows as unknown as ReadonlyArray<{ readonly name: string; readonly state: PartitionState }>
  )

const dropPartition = Effect.fnUntraced(function* (run: Run, table: string, name: string, state: PartitionState) {
  if (state === "attached") yield* run(`alter table admiral."${table}" detach partition admiral."${name}" concurrently`)
  if (state === "detaching") yield* run(`alter table admiral."${table}" detach partition admiral."${name}" finalize`)
  // Under the lock of those who make partitions, so that nobody attaches it again in between.
  yield* run(`do $do$
begin
  perform pg_advisory_xact_lock(${PARTITION_LOCK}, hashtext('${table}'));
  if not exists (select from pg_inherits where inhrelid = to_regclass('admiral."${name}"')) then
    drop table if exists admiral."${name}";
  end if;
end $do$`)
})
