/**
 * Keeps the roll-ups that long windows are answered from: five-minute buckets made from scrapes, hours made from
 * those, days from hours.
 *
 * - Whoever stores rows queues their buckets in the same transaction (`RollupQueue`). A pass takes buckets that have ended off
 *   the queue and computes them anew from their scrapes, for all exporters, with those after them that are measured with the
 *   same rows; all in one transaction, so that a crash loses nothing and a repetition changes nothing.
 * - Answers never rest on a bucket that is still queued (`WindowPlan`): lag makes answers slower, never wrong.
 * - What roll-ups rest on beside rows, such as the operator's `staleAfter`, is compared when it begins to run
 *   (`DeclaredExporters.ts`): where it has changed, all that has rows is computed anew.
 * - Several servers may run it: an advisory lock lets one at a time work, the others pass.
 *
 * Bounds: {@link BUCKETS_MAX} buckets a transaction. Rows that come more than retention late are not stored, and buckets
 * whose rows retention has begun to drop are left as they are.
 */

import { PgClient, PgTypes } from "@effect/sql-pg"
import { Clock, Context, Duration, Effect, Layer } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Exporter } from "../../plugins/Exporter.ts"
import { Registry } from "../../plugins/Registry.ts"
import { Aggregate } from "../../query/Aggregate.ts"
import { allMeasures, lookbackOf } from "../../query/Increases.ts"
import { makeRawReader } from "../../query/RawReader.ts"
import { bucketOf, successors } from "../../query/WindowPlan.ts"
import { answering, isMissingPartition } from "../postgres/Database.ts"
import { moment } from "../postgres/Moments.ts"
import { takeTurn } from "../postgres/Turn.ts"
import type { DatabaseUnavailable } from "../storage/DatabaseUnavailable.ts"
import { accept, rebuilds } from "../storage/DeclaredExporters.ts"
import { DAY_MICROS, dayOf, makePartitions } from "../storage/Partitions.ts"
import { Scrapes } from "../storage/Scrapes.ts"
import { makeBuckets } from "./Buckets.ts"
import { makeRollupQueue, type QueuedBucket, type RollupQueue } from "./RollupQueue.ts"
import { FINE, keptFor, LEVELS, type Level, rollupTable } from "./RollupTables.ts"

export interface RollupBacklog {
  /** Buckets that have ended and wait. */
  readonly buckets: number
  /** How long the oldest of them has waited. */
  readonly lagSeconds: number
}

export interface RollupProgress {
  readonly done: number
  readonly left: number
}

export class Rollups extends Context.Service<
  Rollups,
  {
    /** Rolls up everything that waits and has ended; how many buckets that were. */
    readonly pass: Effect.Effect<number, DatabaseUnavailable>
    /** Passes and sweeps for ever; where the database is away, again a little later. For the supervisor. */
    readonly run: Effect.Effect<never>
    /** Computes all buckets that have rows anew, beside what goes on. */
    readonly rebuild: (options?: {
      readonly progress?: (progress: RollupProgress) => Effect.Effect<void>
    }) => Effect.Effect<number, DatabaseUnavailable>
    readonly stats: Effect.Effect<RollupBacklog, DatabaseUnavailable>
    /** Deletes hours and days that are older than they are kept. Five-minute buckets go by partition, with `Retention`. */
    readonly sweep: Effect.Effect<void, DatabaseUnavailable>
  }
>()("nodepulse/sinks/Rollups") {
  static readonly layer: Layer.Layer<Rollups, never, PgClient.PgClient | Registry> = Layer.suspend(() =>
    Layer.effect(Rollups, make).pipe(Layer.provide(Scrapes.layer))
  )
}

/** What one transaction takes of each level: some 100 000 rows of process_exporter. */
const BUCKETS_MAX = 32
/** Rows come a little after their moment: a bucket that has just ended is not done yet. */
const SETTLE_MICROS = 20_000_000
const PASS_EVERY = Duration.seconds(5)
const SWEEP_EVERY = Duration.hours(1)
const RETRY_AFTER = Duration.seconds(15)
/** Any number that no other advisory lock takes. */
const ROLLUP_LOCK = 7_246_004

const make = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const { exporters, host } = yield* Registry
  const queue = yield* makeRollupQueue(exporters, host)
  const workers = yield* Effect.forEach(exporters, (exporter) => makeWorker(exporter, host))
  const reach = Math.max(...exporters.map((exporter) => successors(lookbackOf(exporter))))

  /** One transaction; how many buckets were taken off the queue. */
  const transaction = Effect.gen(function* () {
    const now = (yield* Clock.currentTimeMillis) * 1_000
    const settled = now - SETTLE_MICROS
    if (!(yield* takeTurn(sql, ROLLUP_LOCK))) return 0
    yield* queue.spread
    const taken = yield* queue.take(FINE, settled, BUCKETS_MAX)
    const changed = withSuccessors(taken, reach, settled)
    for (const worker of workers) yield* worker.rollUp(changed, now)
    yield* queue.put(LEVELS[1]!, widened(changed, LEVELS[1]!))
    return taken.length + (yield* mergeWider(queue, workers, settled))
  }).pipe(
    sql.withTransaction,
    Effect.tapError((error) => Effect.sync(() => lookAgain(workers, error)))
  )

  const backlog = Effect.gen(function* () {
    const now = (yield* Clock.currentTimeMillis) * 1_000
    const { buckets, oldest } = yield* queue.waiting(now - SETTLE_MICROS)
    return { buckets, lagSeconds: oldest === null ? 0 : Math.max(0, (now - oldest) / 1_000_000) }
  })

  const servers = sql<{ readonly id: number }>`select server.id from admiral.servers server order by server.id`

  const rebuild = Effect.fn("Rollups.rebuild")(function* (options?: {
    readonly progress?: (progress: RollupProgress) => Effect.Effect<void>
  }) {
    for (const { id } of yield* servers) yield* queue.putAll(id)
    const progress = options?.progress ?? (() => Effect.void)
    return yield* drain(transaction, (done) =>
      Effect.flatMap(backlog, ({ buckets }) => progress({ done, left: buckets }))
    )
  }, answering("rebuild roll-ups"))

  /** Queues everything where roll-ups were computed with another declaration; only then it is remembered as done. */
  const rebuildChanged = Effect.gen(function* () {
    const changed = yield* rebuilds(exporters)
    if (changed.length === 0) return
    for (const { because, exporter } of changed) {
      yield* Effect.logWarning(`roll-ups are computed anew, since ${exporter} has changed: ${because.join("; ")}`)
    }
    for (const { id } of yield* servers) yield* queue.putAll(id)
    const names = changed.map(({ exporter }) => exporter)
    for (const exporter of exporters) if (names.includes(exporter.name)) yield* accept(exporter)
  }).pipe(
    // What is refused was refused at the start (`Storage.ts`).
    Effect.catchTag("DeclarationRefused", Effect.die),
    answering("rebuild roll-ups"),
    Effect.provideService(PgClient.PgClient, sql)
  )

  const sweep = Effect.gen(function* () {
    const now = (yield* Clock.currentTimeMillis) * 1_000
    for (const { id } of yield* servers) for (const { sweep } of workers) yield* sweep(id, now)
  }).pipe(answering("delete old roll-ups"))

  const pass = drain(transaction).pipe(answering("compute roll-ups"))

  return Rollups.of({
    pass,
    run: Effect.map(
      Effect.all([Effect.andThen(untilDone(rebuildChanged), forever(pass, PASS_EVERY)), forever(sweep, SWEEP_EVERY)], {
        concurrency: 2
      }),
      ([never]) => never
    ),
    rebuild,
    stats: backlog.pipe(answering("count what waits to be rolled up")),
    sweep
  })
})

/** A partition was dropped by retention since we last looked, perhaps of a server whose clock is ahead: look again, next time. */
const lookAgain = (
  workers: ReadonlyArray<{ readonly partitions: { readonly forget: () => void } }>,
  error: SqlError
): void => {
  if (isMissingPartition(error)) for (const { partitions } of workers) partitions.forget()
}

/** Repeats a transaction until it takes nothing off the queue; how many buckets that were. */
const drain = Effect.fnUntraced(function* <E>(
  transaction: Effect.Effect<number, E>,
  progress: (done: number) => Effect.Effect<void, E> = () => Effect.void
) {
  let done = 0
  for (;;) {
    const taken = yield* transaction
    if (taken === 0) return done
    done += taken
    yield* progress(done)
  }
})

/** Once; where the database is away, again a little later. */
const untilDone = (self: Effect.Effect<void, DatabaseUnavailable>): Effect.Effect<void> =>
  Effect.catch(self, (error) =>
    Effect.andThen(Effect.logWarning(error.message), Effect.andThen(Effect.sleep(RETRY_AFTER), untilDone(self)))
  )

/** Again and again; where the database is away, a little later. */
const forever = <A>(self: Effect.Effect<A, DatabaseUnavailable>, every: Duration.Duration): Effect.Effect<never> =>
  self.pipe(
    Effect.as(every),
    Effect.catch((error) => Effect.as(Effect.logWarning(error.message), RETRY_AFTER)),
    Effect.flatMap(Effect.sleep),
    Effect.forever
  )

/** The wider levels, each made from the one before: how many buckets were taken off the queue. */
const mergeWider = Effect.fnUntraced(function* (
  queue: RollupQueue,
  workers: ReadonlyArray<{
    readonly merge: (taken: ReadonlyArray<QueuedBucket>, finer: Level, level: Level) => Effect.Effect<void, SqlError>
  }>,
  settled: number
) {
  let done = 0
  for (const [n, level] of LEVELS.entries()) {
    if (n === 0) continue
    const taken = yield* queue.take(level, settled, BUCKETS_MAX)
    for (const worker of workers) yield* worker.merge(taken, LEVELS[n - 1]!, level)
    const next = LEVELS[n + 1]
    if (next !== undefined) yield* queue.put(next, widened(taken, next))
    done += taken.length
  }
  return done
})

/** What rolls up one exporter. */
const makeWorker = Effect.fnUntraced(function* (exporter: Exporter, host: Exporter | undefined) {
  const sql = yield* PgClient.PgClient
  const measures = allMeasures(exporter)
  const raw = yield* makeRawReader(exporter, measures, host)
  const buckets = yield* makeBuckets(exporter)
  const partitions = yield* makePartitions(rollupTable(exporter.table.name, FINE))
  const aggregate = () => new Aggregate(measures.counters.length, measures.gauges.length)

  /** Computes five-minute buckets anew from their scrapes. */
  const rollUp = Effect.fnUntraced(function* (changed: ReadonlyArray<QueuedBucket>, now: number) {
    const kept = changed.filter(
      ({ bucket }) => bucket - FINE_MICROS >= firstDayKept(exporter.table.retention, now) * DAY_MICROS
    )
    if (kept.length === 0) return
    // On a connection of its own: what it makes must be there whatever becomes of the transaction.
    yield* outside(sql, partitions.ensure(new Set(kept.map(({ bucket }) => dayOf(bucket)))))
    const made: Array<{ readonly server: number; readonly end: number; readonly aggregate: Aggregate }> = []
    for (const { after, servers, upto } of runsOf(kept)) {
      const [found] = yield* raw.read(servers, [{ after, upto }])
      for (const [server, { measured, spans: covered, steps }] of found!) {
        for (let end = after + FINE_MICROS; end <= upto; end += FINE_MICROS) {
          const sums = aggregate()
          for (const scrape of measured) if (scrape.at > end - FINE_MICROS && scrape.at <= end) sums.add(scrape)
          sums.addHost(steps, covered, end - FINE_MICROS, end)
          if (sums.scrapes > 0 || sums.common.unknown > 0 || sums.common.seconds > 0) {
            made.push({ server, end, aggregate: sums })
          }
        }
      }
    }
    yield* buckets.write(FINE, made)
  })

  /** Merges the buckets of a level into those of the next. */
  const merge = Effect.fnUntraced(function* (changed: ReadonlyArray<QueuedBucket>, finer: Level, level: Level) {
    const width = level.seconds * 1_000_000
    for (const [end, group] of Map.groupBy(changed, ({ bucket }) => bucket)) {
      const servers = group.map(({ server }) => server)
      const parts = yield* buckets.read(servers, [{ level: finer, after: end - width, upto: end }], measures)
      const made = [...parts.get(finer)!].map(([server, summaries]) => {
        const sums = aggregate()
        for (const { summary } of summaries) sums.merge(summary())
        return { server, end, aggregate: sums }
      })
      yield* buckets.write(level, made)
    }
  })

  const sweep = Effect.fnUntraced(function* (server: number, now: number) {
    for (const level of LEVELS) {
      if (level === FINE) continue
      const first = firstDayKept(keptFor(level, exporter.table), now) * DAY_MICROS
      yield* sql.unsafe(pruneSql(exporter, level), [PgTypes.int4(server), PgTypes.float8(first)])
    }
  })

  return { merge, partitions, rollUp, sweep }
})

const FINE_MICROS = FINE.seconds * 1_000_000

/** Deletes a server's buckets before a moment, of a level that is not partitioned. Bound: the server's id, epoch microseconds. */
export const pruneSql = (exporter: Exporter, level: Level): string =>
  `delete from admiral."${rollupTable(exporter.table.name, level)}" bucket
where bucket.server_id = $1::int4 and bucket.bucket < ${moment("$2::float8")}`

/** The buckets to compute for those that were taken: they, and those that are measured with their rows, where they have ended. */
const withSuccessors = (
  taken: ReadonlyArray<QueuedBucket>,
  reach: number,
  settled: number
): ReadonlyArray<QueuedBucket> => {
  const changed = new Map<string, QueuedBucket>()
  for (const { bucket: first, server } of taken) {
    for (let n = 0; n <= reach; n++) {
      const bucket = first + n * FINE_MICROS
      if (bucket <= settled) changed.set(`${server} ${bucket}`, { server, bucket })
    }
  }
  return [...changed.values()]
}

/** The buckets of a wider level that hold these. */
const widened = (buckets: ReadonlyArray<QueuedBucket>, level: Level): ReadonlyArray<QueuedBucket> => {
  const wider = new Map<string, QueuedBucket>()
  for (const { bucket, server } of buckets) {
    const end = bucketOf(bucket, level)
    wider.set(`${server} ${end}`, { server, bucket: end })
  }
  return [...wider.values()]
}

interface Run {
  readonly after: number
  readonly upto: number
  readonly servers: ReadonlyArray<number>
}

/** Neighbouring buckets of a server as one span; servers with the same span together. */
const runsOf = (buckets: ReadonlyArray<QueuedBucket>): ReadonlyArray<Run> => {
  const runs = new Map<string, { readonly after: number; readonly upto: number; readonly servers: Array<number> }>()
  for (const [server, own] of Map.groupBy(buckets, ({ server }) => server)) {
    const ends = own.map(({ bucket }) => bucket).sort((a, b) => a - b)
    let first = 0
    for (let n = 1; n <= ends.length; n++) {
      if (n < ends.length && ends[n]! - ends[n - 1]! === FINE_MICROS) continue
      const [after, upto] = [ends[first]! - FINE_MICROS, ends[n - 1]!]
      const run = runs.get(`${after} ${upto}`) ?? { after, upto, servers: [] }
      run.servers.push(server)
      runs.set(`${after} ${upto}`, run)
      first = n
    }
  }
  return [...runs.values()]
}

/** Retention drops whole days: the first that is left. */
const firstDayKept = (kept: Duration.Duration, now: number): number => dayOf(now - Duration.toMillis(kept) * 1_000)

const outside = <A, E, R>(sql: PgClient.PgClient, self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.updateContext(
    self,
    (context: Context.Context<R>) => Context.omit(sql.transactionService)(context as never) as Context.Context<R>
  )
