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
import { createPartitionSql, DAY_MICROS, dayOf, dayOfPartition, PARTITION_LOCK, partitionName } from "./Partitions.ts"
import { FINE, keptFor, rollupTable } from "./RollupTables.ts"
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
  /** How long each of them took. */
  readonly drops: ReadonlyArray<Drop>
  /** Names of partitions that are too old, but were in use: for the next time. */
  readonly postponed: ReadonlyArray<string>
  readonly deadLettersDropped: number
  /** Whether another server is at it right now; then nothing was done. */
  readonly elsewhere: boolean
}

export interface Drop {
  readonly partition: string
  /** Until nobody reads or writes it any more: as long as the longest transaction that was under way. */
  readonly detachMillis: number
  /** Until its files are gone. Nobody waits for it. */
  readonly dropMillis: number
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
      retention: keptFor(FINE, table)
    })),
    ...(options.tables ?? [])
  ]

  /** On a connection of its own: the advisory lock and the lock time-out belong to the session. */
  const sweep = Effect.fn("Retention.sweep")(
    function* (now: number) {
      const connection = yield* sql.reserve
      const run = (statement: string) => connection.executeUnprepared(statement, [], undefined)
      const [lock] = yield* run(`select pg_try_advisory_lock(${SWEEP_LOCK}) as taken`)
      if (lock?.taken !== true) return { dropped: [], drops: [], postponed: [], deadLettersDropped: 0, elsewhere: true }
      yield* Effect.addFinalizer(() =>
        Effect.ignore(Effect.andThen(run("reset lock_timeout"), run(`select pg_advisory_unlock(${SWEEP_LOCK})`)))
      )
      yield* run(`set lock_timeout = ${Duration.toMillis(LOCK_WITHIN)}`)
      const drops: Array<Drop> = []
      const postponed: Array<string> = []
      const today = dayOf(now * 1000)
      const found = yield* partitionsOf(run, tables)
      for (const { retention, table } of tables) {
        const own = found.filter((partition) => partition.table === table)
        for (const day of [today, today + 1]) {
          const there = own.some(({ name, state }) => state === "attached" && name === partitionName(table, day))
          if (!there) yield* run(createPartitionSql(table, day))
        }
        const tooOld = own.filter(({ name }) => {
          const day = dayOfPartition(table, name)
          return day !== undefined && (day + 1) * DAY_MICROS <= now * 1000 - Duration.toMillis(retention) * 1000
        })
        let waiting = false
        for (const partition of tooOld) {
          // A table can have one partition half detached: where one waits for its readers, the others wait too.
          const drop: Drop | undefined = waiting
            ? undefined
            : yield* dropPartition(run, partition).pipe(Effect.catchIf(isTimeout, () => Effect.undefined))
          if (drop === undefined) postponed.push(partition.name)
          else drops.push(drop)
          waiting = drop === undefined
        }
      }
      const dropped = drops.map(({ partition }) => partition)
      return { dropped, drops, postponed, deadLettersDropped: yield* pruneDeadLetters, elsewhere: false }
    },
    Effect.scoped,
    Effect.provideService(PgClient.PgClient, sql),
    answering("retention")
  )

  const once = Effect.flatMap(Clock.currentTimeMillis, sweep).pipe(
    Effect.tap(({ deadLettersDropped, drops, postponed }) =>
      Effect.gen(function* () {
        for (const { detachMillis, dropMillis, partition } of drops) {
          const took = `${Math.round(detachMillis)} ms to detach it, ${Math.round(dropMillis)} ms to delete it`
          yield* Effect.logInfo(`retention: dropped ${partition} (${took})`)
        }
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

interface Partition {
  readonly table: string
  readonly name: string
  readonly state: "attached" | "detaching" | "detached"
}

/**
 * All tables that are named like a partition of one of these: also those that are not attached (any more). What is half
 * detached comes first, then the oldest.
 */
const partitionsOf = (run: Run, tables: ReadonlyArray<RetainedTable>) =>
  Effect.map(
    run(`select t.name as "table", c.relname as name,
      case when i.inhrelid is null then 'detached' when i.inhdetachpending then 'detaching' else 'attached' end as state
    from unnest(array[${tables.map(({ table }) => `'${table}'`).join(", ")}]) as t(name)
    join pg_class c on c.relnamespace = 'admiral'::regnamespace and c.relkind = 'r' and c.relname ~ ('^' || t.name || '_[0-9]{8}$')
    left join pg_inherits i on i.inhrelid = c.oid and i.inhparent = to_regclass('admiral."' || t.name || '"')
    order by i.inhdetachpending desc nulls last, c.relname`),
    (rows) => rows as unknown as ReadonlyArray<Partition>
  )

const dropPartition = Effect.fnUntraced(function* (run: Run, { name, state, table }: Partition) {
  const timed = (self: Effect.Effect<unknown, SqlError>) =>
    Effect.map(Effect.timed(self), ([took]) => Duration.toMillis(took))
  const detach = (how: string) => timed(run(`alter table admiral."${table}" detach partition admiral."${name}" ${how}`))
  const detachMillis = state === "detached" ? 0 : yield* detach(state === "attached" ? "concurrently" : "finalize")
  // Under the lock of those who make partitions, so that nobody attaches it again in between.
  const dropMillis = yield* timed(
    run(`do $do$
begin
  perform pg_advisory_xact_lock(${PARTITION_LOCK}, hashtext('${table}'));
  if not exists (select from pg_inherits where inhrelid = to_regclass('admiral."${name}"')) then
    drop table if exists admiral."${name}";
  end if;
end $do$`)
  )
  return { partition: name, detachMillis, dropMillis } satisfies Drop
})
