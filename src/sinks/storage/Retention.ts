/**
 * Keeps the tables of scrapes at their length: makes tomorrow's partitions before they are needed, and drops those whose
 * scrapes are all older than the retention; then first-seen entries and label values that nothing that is kept can have
 * (`FirstSeen.ts`, `Dictionary.ts`), and old dead letters.
 *
 * - Dropping a day costs milliseconds, where deleting its rows would rewrite them. A partition is detached concurrently
 *   first, so that neither readers nor writers wait; what cannot be done within {@link LOCK_WITHIN} is left for the next time.
 * - Several servers may run it: an advisory lock lets one do it at a time, the others pass. It is a transaction's, so that
 *   it cannot stay behind with a session that a pooler hands on.
 * - Behind a transaction pooler nothing can be detached concurrently with a bound on the wait, and of distributed tables nothing at
 *   all. There a partition is detached
 *   at once, or left for the next time after {@link POOLED_LOCK_WITHIN}: so long others may wait behind it.
 * - A partition that a crash left detached, or half detached, is finished by the next sweep.
 *
 * A day is kept until its last moment is too old: up to one day longer than the retention says.
 */
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Clock, Context, Duration, Effect, Layer } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Exporter } from "../../plugins/Exporter.ts"
import { Registry } from "../../plugins/Registry.ts"
import { isPooled } from "../postgres/ConnectionPool.ts"
import { answering, arrayParameter, outsideTransaction } from "../postgres/Database.ts"
import { takeTurn } from "../postgres/Turn.ts"
import { FINE, keptFor, LEVELS, rollupTable } from "../rollups/RollupTables.ts"
import type { DatabaseUnavailable } from "./DatabaseUnavailable.ts"
import { pruneDeadLetters } from "./DeadLettersPostgres.ts"
import { LABEL_MARGIN_DAYS, sweepLabels } from "./Dictionary.ts"
import { isDistributed } from "./Distribution.ts"
import { pruneFirstSeen } from "./FirstSeen.ts"
import { createPartitionSql, DAY_MICROS, dayOf, dayOfPartition, PARTITION_LOCK, partitionName } from "./Partitions.ts"
import { packedTable, scrapesTable } from "./Tables.ts"

/** A table partitioned by UTC day, without its schema. */
export interface RetainedTable {
  readonly table: string
  readonly retention: Duration.Duration
  /** Of chunks: their days are made when they are packed, and go after those of the scrapes. */
  readonly isPacked?: boolean
}

export interface Swept {
  /** Names of partitions that were dropped. */
  readonly dropped: ReadonlyArray<string>
  /** How long each of them took. */
  readonly drops: ReadonlyArray<Drop>
  /** Names of partitions that are too old, but were in use: for the next time. */
  readonly postponed: ReadonlyArray<string>
  readonly deadLettersDropped: number
  readonly firstSeenDropped: number
  readonly labelsDropped: number
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
    readonly sweep: (now: number) => Effect.Effect<Swept, DatabaseUnavailable>
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
const POOLED_LOCK_WITHIN = Duration.millis(500)
const RETRY_AFTER = Duration.minutes(1)
const SWEEP_LOCK = 7_246_003

const make = Effect.fnUntraced(function* (options: RetentionOptions) {
  const sql = yield* PgClient.PgClient
  const { exporters } = yield* Registry
  const tables: ReadonlyArray<RetainedTable> = [
    // Chunks after the scrapes that name them: who reads these finds what they name.
    ...exporters.flatMap(({ table }) => [
      { table: scrapesTable(table.name), retention: table.retention },
      { table: packedTable(table.name), retention: table.retention, isPacked: true }
    ]),
    ...exporters.map(({ table }) => ({
      table: rollupTable(table.name, FINE),
      retention: keptFor(FINE, table)
    })),
    ...(options.tables ?? [])
  ]

  /** The transaction that holds the lock does nothing else; the work is done beside it. */
  const sweep = Effect.fn("Retention.sweep")(
    function* (now: number) {
      const isPlain = (yield* isPooled(sql)) || (yield* isDistributed(sql))
      const isOurs = yield* takeTurn(sql, SWEEP_LOCK)
      // It only waits, for longer than any sweep takes; a process that stands still gives others the turn then.
      // A question keeps its snapshot until the next statement, and detaching waits for old snapshots: this one has none.
      yield* sql`set local idle_in_transaction_session_timeout = '30min'`
      if (!isOurs) return ELSEWHERE
      return yield* outsideTransaction(sql, work(now, isPlain))
    },
    (self) => outsideTransaction(sql, sql.withTransaction(self)),
    answering("drop old partitions")
  )

  const work = Effect.fnUntraced(
    function* (now: number, isPlain: boolean) {
      const hands = isPlain ? handsPlain(sql) : yield* handsOfSession(sql)
      const { run } = hands
      const drops: Array<Drop> = []
      const postponed: Array<string> = []
      const today = dayOf(now * 1000)
      const found = yield* partitionsOf(run, tables)
      let isKept: boolean = false
      for (const { isPacked = false, retention, table } of tables) {
        const own = found.filter((partition) => partition.table === table)
        for (const day of isPacked ? [] : [today, today + 1]) {
          const there = own.some(({ name, state }) => state === "attached" && name === partitionName(table, day))
          if (!there) yield* run(createPartitionSql(table, day))
        }
        const tooOld = own.filter(({ name }) => {
          const day = dayOfPartition(table, name)
          return day !== undefined && (day + 1) * DAY_MICROS <= now * 1000 - Duration.toMillis(retention) * 1000
        })
        let waiting: boolean = isPacked && isKept
        for (const partition of tooOld) {
          // A table can have one partition half detached: where one waits for its readers, the others wait too.
          const drop: Drop | undefined = waiting
            ? undefined
            : yield* dropPartition(hands, partition).pipe(Effect.catchIf(isTimeout, () => Effect.undefined))
          if (drop === undefined) postponed.push(partition.name)
          else drops.push(drop)
          waiting = drop === undefined
        }
        isKept = waiting
      }
      const dropped = drops.map(({ partition }) => partition)
      let firstSeenDropped = 0
      for (const exporter of exporters) {
        firstSeenDropped += yield* pruneFirstSeen(exporter, firstDayKept(exporter.table.retention, now) * DAY_MICROS)
      }
      const labelsDropped = postponed.length > 0 ? 0 : yield* pruneLabels(exporters, now)
      const deadLettersDropped = yield* pruneDeadLetters
      return { dropped, drops, postponed, deadLettersDropped, firstSeenDropped, labelsDropped, elsewhere: false }
    },
    Effect.scoped,
    Effect.provideService(PgClient.PgClient, sql)
  )

  const once = Effect.flatMap(Clock.currentTimeMillis, sweep).pipe(
    Effect.tap(({ deadLettersDropped, drops, firstSeenDropped, labelsDropped, postponed }) =>
      Effect.gen(function* () {
        for (const { detachMillis, dropMillis, partition } of drops) {
          const took = `${Math.round(detachMillis)} ms to detach it, ${Math.round(dropMillis)} ms to delete it`
          yield* Effect.logInfo(`retention: dropped ${partition} (${took})`)
        }
        if (postponed.length > 0)
          yield* Effect.logWarning(`retention: in use, tried again later: ${postponed.join(", ")}`)
        if (deadLettersDropped > 0) yield* Effect.logWarning(`retention: dropped ${deadLettersDropped} dead letters`)
        if (labelsDropped > 0 || firstSeenDropped > 0) {
          yield* Effect.logInfo(`retention: dropped ${labelsDropped} names and ${firstSeenDropped} first-seen entries`)
        }
      })
    ),
    Effect.as(Duration.fromInputUnsafe(options.interval ?? "1 hour")),
    Effect.catch((error) => Effect.as(Effect.logWarning(error.message), RETRY_AFTER))
  )
  return Retention.of({ sweep, run: Effect.forever(Effect.flatMap(once, Effect.sleep)) })
})

const ELSEWHERE: Swept = {
  dropped: [],
  drops: [],
  postponed: [],
  deadLettersDropped: 0,
  firstSeenDropped: 0,
  labelsDropped: 0,
  elsewhere: true
}

/** Whole days are dropped: the first that is left. */
const firstDayKept = (kept: Duration.Duration, now: number): number => dayOf((now - Duration.toMillis(kept)) * 1_000)

/**
 * Deletes label values whose latest day is kept nowhere. Of an exporter that is not enabled any more the scrapes stay, and with
 * them everybody's names, until its tables are dropped.
 */
const pruneLabels = Effect.fnUntraced(function* (exporters: ReadonlyArray<Exporter>, now: number) {
  const sql = yield* PgClient.PgClient
  if (exporters.length === 0) return 0
  const own = exporters.map(({ table }) => scrapesTable(table.name))
  const others = yield* sql`select 1 from pg_class as relation
    where relation.relnamespace = 'admiral'::regnamespace and relation.relkind = 'p'
      and right(relation.relname, ${scrapesTable("").length}::int4) = ${scrapesTable("")}
      and relation.relname <> all(${arrayParameter(own, PgTypes.OID.text)})
    limit 1`
  if (others.length > 0) return 0
  const days = exporters.flatMap(({ table }) => LEVELS.map((level) => firstDayKept(keptFor(level, table), now)))
  return yield* sweepLabels(exporters, Math.min(...days) - LABEL_MARGIN_DAYS)
})

const isTimeout = ({ reason }: SqlError) =>
  reason._tag === "LockTimeoutError" || reason._tag === "StatementTimeoutError"

type Run = (statement: string) => Effect.Effect<ReadonlyArray<Record<string, unknown>>, SqlError>

/** How a sweep does things: every statement waits for a lock for a bounded time only. */
interface Hands {
  readonly run: Run
  /** `how` is empty, or `concurrently`. */
  readonly detach: Run
  readonly how: "" | "concurrently"
}

/** On a connection of its own: the lock time-out belongs to the session. */
const handsOfSession = Effect.fnUntraced(function* (sql: PgClient.PgClient) {
  const connection = yield* sql.reserve
  const run: Run = (statement) => connection.executeUnprepared(statement, [], undefined)
  yield* Effect.acquireRelease(run(`set lock_timeout = ${Duration.toMillis(LOCK_WITHIN)}`), () =>
    Effect.ignore(run("reset lock_timeout"))
  )
  return { run, detach: run, how: "concurrently" } satisfies Hands as Hands
})

/** Nothing can be detached concurrently: the lock time-out belongs to the transaction of each statement. */
const handsPlain = (sql: PgClient.PgClient): Hands => {
  const within =
    (limit: Duration.Duration): Run =>
    (statement) =>
      sql.withTransaction(
        Effect.andThen(
          sql`select set_config('lock_timeout', ${String(Duration.toMillis(limit))}, true)`,
          sql.unsafe<Record<string, unknown>>(statement).unprepared
        )
      )
  return { run: within(LOCK_WITHIN), detach: within(POOLED_LOCK_WITHIN), how: "" }
}

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

const dropPartition = Effect.fnUntraced(function* (hands: Hands, { name, state, table }: Partition) {
  const timed = (self: Effect.Effect<unknown, SqlError>) =>
    Effect.map(Effect.timed(self), ([took]) => Duration.toMillis(took))
  const detach = (how: string) =>
    timed(hands.detach(`alter table admiral."${table}" detach partition admiral."${name}" ${how}`))
  const detachMillis = state === "detached" ? 0 : yield* detach(state === "attached" ? hands.how : "finalize")
  // Under the lock of those who make partitions, so that nobody attaches it again in between.
  const dropMillis = yield* timed(
    hands.run(`do $do$
begin
  perform pg_advisory_xact_lock(${PARTITION_LOCK}, hashtext('${table}'));
  if not exists (select from pg_inherits where inhrelid = to_regclass('admiral."${name}"')) then
    drop table if exists admiral."${name}";
  end if;
end $do$`)
  )
  return { partition: name, detachMillis, dropMillis } satisfies Drop
})
