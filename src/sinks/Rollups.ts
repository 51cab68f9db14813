/**
 * Keeps the roll-ups that long windows are answered from: five-minute buckets made from rows, hours made from
 * those, days from hours.
 *
 * - Whoever stores rows queues their buckets in the same transaction (`SnapshotRowsPostgres`). A pass takes buckets that
 *   have ended off the queue and computes them anew from their rows, with those after them whose first increases reach
 *   back; all in one transaction, so that a crash loses nothing and a repetition changes nothing.
 * - Answers never rest on a bucket that is still queued (`WindowPlan`): being behind costs time, never truth.
 * - Several servers may run it: an advisory lock lets one at a time work on an exporter, the others pass. The host's is also
 *   held, shared, by those that are clamped to its cores: what they have read of them cannot change before they commit.
 *
 * Bounds: {@link BUCKETS_MAX} buckets a transaction. Rows that come more than retention late are not stored, and buckets
 * whose rows retention has begun to drop are left as they are.
 */
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Clock, Context, Duration, Effect, Layer } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Exporter } from "../plugins/Exporter.ts"
import { Registry } from "../plugins/Registry.ts"
import { answering, arrayParameter, isMissingPartition } from "./Database.ts"
import { DAY_MICROS, dayOf, makePartitions, type Partitions } from "./Partitions.ts"
import {
  backlogSql,
  fineSql,
  isClamped,
  mergeSql,
  pruneSql,
  reachMicros,
  recoresSql,
  requeueSql,
  takeSql
} from "./RollupSql.ts"
import { FINE, LEVELS, type Level, rollupTable } from "./RollupTables.ts"
import type { RowsUnavailable } from "./SnapshotRows.ts"

export interface RollupBacklog {
  readonly exporter: string
  /** Buckets that have ended and wait. */
  readonly buckets: number
  /** How long the oldest of them has waited. */
  readonly lagSeconds: number
}

export interface RollupProgress {
  readonly exporter: string
  readonly done: number
  readonly left: number
}

export class Rollups extends Context.Service<
  Rollups,
  {
    /** Rolls up everything that waits and has ended; how many buckets that were. */
    readonly pass: Effect.Effect<number, RowsUnavailable>
    /** Passes and sweeps for ever; where the database is away, again a little later. For the supervisor. */
    readonly run: Effect.Effect<never>
    /** Computes all buckets that have rows anew, beside what goes on. */
    readonly rebuild: (options?: {
      readonly progress?: (progress: RollupProgress) => Effect.Effect<void>
    }) => Effect.Effect<number, RowsUnavailable>
    readonly stats: Effect.Effect<ReadonlyArray<RollupBacklog>, RowsUnavailable>
    /** Deletes hours, days and scrapes that are older than they are kept. Five-minute buckets go by partition, with `Retention`. */
    readonly sweep: Effect.Effect<void, RowsUnavailable>
  }
>()("nodepulse/sinks/Rollups") {
  static readonly layer: Layer.Layer<Rollups, never, PgClient.PgClient | Registry> = Layer.suspend(() =>
    Layer.effect(Rollups, make)
  )
}

/** What one transaction takes of each level: some 100 000 rows of process_exporter, 0.5 s. */
const BUCKETS_MAX = 32
/** Rows come a little after their moment: a bucket that has just ended is not done yet. */
const SETTLE_MICROS = 20_000_000
const PASS_EVERY = Duration.seconds(5)
const SWEEP_EVERY = Duration.hours(1)
const RETRY_AFTER = Duration.seconds(15)
/** The first of the two keys of the advisory locks; the second is the table. */
const ROLLUP_LOCK = 7_246_004

interface Bucket {
  readonly server: number
  readonly bucket: number
}

const make = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const { exporters, host } = yield* Registry
  // The host first: the others are clamped to its cores.
  const ordered = [...exporters].sort((a, b) => Number(b === host) - Number(a === host))
  const workers = yield* Effect.forEach(ordered, (exporter) =>
    Effect.map(makePartitions(rollupTable(exporter.table.name, FINE)), (partitions) => ({
      exporter,
      partitions,
      statements: {
        take: takeSql(exporter),
        fine: fineSql(exporter, host),
        merges: LEVELS.slice(1).map((level, n) => ({ level, statement: mergeSql(exporter, LEVELS[n]!, level) })),
        recores: exporter === host ? exporters.filter(isClamped).map((other) => recoresSql(other, exporter)) : [],
        backlog: backlogSql(exporter),
        requeue: requeueSql(exporter),
        prune: pruneSql(exporter)
      }
    }))
  )
  type Worker = (typeof workers)[number]

  const on = (buckets: ReadonlyArray<Bucket>) => [
    arrayParameter(
      buckets.map(({ server }) => server),
      PgTypes.OID.int4
    ),
    arrayParameter(
      buckets.map(({ bucket }) => bucket),
      PgTypes.OID.float8
    )
  ]

  /** One transaction; how many buckets were taken off the queue. */
  const transaction = Effect.fnUntraced(function* ({ exporter, partitions, statements }: Worker) {
    const clampedTo = exporter !== host && isClamped(exporter) ? host?.table.name : undefined
    const now = (yield* Clock.currentTimeMillis) * 1_000
    const settled = now - SETTLE_MICROS
    const take = ({ seconds }: Level) =>
      sql.unsafe<Bucket>(statements.take, [PgTypes.int4(seconds), PgTypes.float8(settled), PgTypes.int4(BUCKETS_MAX)])
    const work = Effect.gen(function* () {
      const [lock] = yield* sql<{ readonly taken: boolean }>`
        select pg_try_advisory_xact_lock(${ROLLUP_LOCK}::int4, hashtext(${exporter.table.name}))
          and (${clampedTo ?? null}::text is null or pg_try_advisory_xact_lock_shared(${ROLLUP_LOCK}::int4, hashtext(${clampedTo ?? null}::text))) as taken,
          set_config('work_mem', '64MB', true)`
      if (lock?.taken !== true) return 0
      const taken = yield* take(FINE)
      let done = taken.length
      const fine = changedBy(exporter, taken, settled, rowsSince(exporter, now))
      if (fine.length > 0) {
        yield* outside(sql, ensure(partitions, fine))
        yield* sql.unsafe(statements.fine, on(fine))
        for (const statement of statements.recores) yield* sql.unsafe(statement, on(fine))
      }
      for (const { level, statement } of statements.merges) {
        const wider = yield* take(level)
        if (wider.length > 0) yield* sql.unsafe(statement, on(wider))
        done += wider.length
      }
      return done
    })
    // Dropped by retention since we last looked, perhaps of a server whose clock is ahead: look again, next time.
    return yield* Effect.tapError(sql.withTransaction(work), (error) =>
      Effect.sync(() => {
        if (isMissingPartition(error)) partitions.forget()
      })
    )
  })

  const drain = Effect.fnUntraced(function* (
    worker: Worker,
    progress: (done: number) => Effect.Effect<void, SqlError> = () => Effect.void
  ) {
    let done = 0
    for (;;) {
      const taken = yield* transaction(worker)
      if (taken === 0) return done
      done += taken
      yield* progress(done)
    }
  })

  const pass = Effect.gen(function* () {
    let done = 0
    for (const worker of workers) done += yield* drain(worker)
    return done
  }).pipe(answering("roll-ups"))

  const backlog = Effect.fnUntraced(function* (worker: Worker) {
    const now = (yield* Clock.currentTimeMillis) * 1_000
    const [row] = yield* sql.unsafe<{ readonly buckets: number; readonly oldest: number | null }>(
      worker.statements.backlog,
      [PgTypes.float8(now - SETTLE_MICROS)]
    )
    const lag = row?.oldest === undefined || row.oldest === null ? 0 : (now - row.oldest) / 1_000_000
    return { exporter: worker.exporter.name, buckets: row?.buckets ?? 0, lagSeconds: Math.max(0, lag) }
  })

  const servers = sql<{ readonly id: number }>`select id from admiral.servers order by id`

  const rebuild = Effect.fn("Rollups.rebuild")(function* (options?: {
    readonly progress?: (progress: RollupProgress) => Effect.Effect<void>
  }) {
    let done = 0
    for (const worker of workers) {
      for (const { id } of yield* servers) yield* sql.unsafe(worker.statements.requeue, [PgTypes.int4(id)])
      done += yield* drain(worker, (done) =>
        options?.progress === undefined
          ? Effect.void
          : Effect.flatMap(backlog(worker), ({ buckets, exporter }) =>
              options.progress!({ exporter, done, left: buckets })
            )
      )
    }
    return done
  }, answering("rebuild of roll-ups"))

  const sweep = Effect.gen(function* () {
    const now = (yield* Clock.currentTimeMillis) * 1_000
    for (const { id } of yield* servers) {
      for (const { statements } of workers) {
        for (const { kept, statement } of statements.prune) {
          yield* sql.unsafe(statement, [PgTypes.int4(id), PgTypes.float8(firstDayKept(kept, now) * DAY_MICROS)])
        }
      }
    }
  }).pipe(answering("sweep of roll-ups"))

  const forever = <A>(self: Effect.Effect<A, RowsUnavailable>, every: Duration.Duration): Effect.Effect<never> =>
    self.pipe(
      Effect.as(every),
      Effect.catch((error) => Effect.as(Effect.logWarning(error.message), RETRY_AFTER)),
      Effect.flatMap(Effect.sleep),
      Effect.forever
    )

  return Rollups.of({
    pass,
    run: Effect.map(
      Effect.all([forever(pass, PASS_EVERY), forever(sweep, SWEEP_EVERY)], { concurrency: "unbounded" }),
      ([never]) => never
    ),
    rebuild,
    stats: Effect.forEach(workers, backlog).pipe(answering("roll-ups")),
    sweep
  })
})

/** The buckets to compute for those that were taken: they, and those that their rows reach into, where both can be. */
const changedBy = (
  exporter: Exporter,
  taken: ReadonlyArray<Bucket>,
  settled: number,
  rowsSince: number
): ReadonlyArray<Bucket> => {
  const changed = new Map<string, Bucket>()
  const width = FINE.seconds * 1_000_000
  for (const { bucket: first, server } of taken) {
    for (let bucket = first; bucket <= Math.min(first + reachMicros(exporter), settled); bucket += width) {
      if (bucket - width >= rowsSince) changed.set(`${server} ${bucket}`, { server, bucket })
    }
  }
  return [...changed.values()]
}

/** From when on all rows are still there. */
const rowsSince = (exporter: Exporter, now: number): number => firstDayKept(exporter.table.retention, now) * DAY_MICROS

/** Retention drops whole days: the first that is left. */
const firstDayKept = (kept: Duration.Duration, now: number): number => dayOf(now - Duration.toMillis(kept) * 1_000)

const ensure = (partitions: Partitions, buckets: ReadonlyArray<Bucket>) =>
  partitions.ensure(new Set(buckets.map(({ bucket }) => dayOf(bucket))))

/** On a connection of its own: what it makes must be there whatever becomes of the transaction. */
const outside = <A, E, R>(sql: PgClient.PgClient, self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.updateContext(
    self,
    (context: Context.Context<R>) => Context.omit(sql.transactionService)(context as never) as Context.Context<R>
  )
