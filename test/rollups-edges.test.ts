/**
 * Roll-ups at their edges: rows that outlive five-minute buckets, cores that become known while others roll up, and the
 * first day that is still kept. Every answer is that of the rows.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Result } from "effect"
import { nodeExporter } from "../src/plugins/node-exporter/NodeExporter.ts"
import { processExporter } from "../src/plugins/process-exporter/ProcessExporter.ts"
import { makeRegistry, Registry } from "../src/plugins/Registry.ts"
import { Rankings } from "../src/query/Rankings.ts"
import * as RankingsPostgres from "../src/query/RankingsPostgres.ts"
import { Rollups } from "../src/sinks/rollups/Rollups.ts"
import { FINE, rollupTable } from "../src/sinks/rollups/RollupTables.ts"
import { Retention } from "../src/sinks/storage/Retention.ts"
import * as SnapshotRowsPostgres from "../src/sinks/storage/SnapshotRowsPostgres.ts"
import { makeStandingClock } from "./StandingClock.ts"
import * as TestDatabase from "./TestDatabase.ts"
import { EPOCH, nodeRow, processRow, SECOND, store } from "./TruthRows.ts"
import { same } from "./TruthSame.ts"
import { generated } from "./TruthWorld.ts"
import { withoutLatest } from "./WithoutLatest.ts"

const { set, stood } = makeStandingClock()
const DAY = 86_400
const clockAt = (t: number) => Effect.sync(() => set((EPOCH + t * SECOND) / 1_000))
const nowMillis = (t: number) => (EPOCH + t * SECOND) / 1_000
/** Midnight after `EPOCH`. */
const MIDNIGHT = 113

/** A database of its own: retention goes by the day, not by the server. */
const live = (retention: "30 days" | "60 days") => {
  const exporters = [nodeExporter({ retention }), processExporter({ retention })]
  return Layer.mergeAll(RankingsPostgres.layer, SnapshotRowsPostgres.layer, Rollups.layer, Retention.layer).pipe(
    Layer.provideMerge(Layer.succeed(Registry, Result.getOrThrow(makeRegistry({ exporters })))),
    Layer.provideMerge(TestDatabase.layerWith({ exporters, maxConnections: 6 })),
    Layer.fresh
  )
}

/** Answers from roll-ups are those from rows alone. */
const agree = Effect.fnUntraced(function* (serverId: string, from: number, to: number) {
  const window = { from: EPOCH + from * SECOND, to: EPOCH + to * SECOND }
  const fast = yield* Rankings
  const raw = yield* Effect.provide(
    Rankings,
    yield* Layer.build(Layer.fresh(RankingsPostgres.layerWith({ rollups: false })))
  )
  for (const metric of ["cpu", "memory"]) {
    const request = { exporter: "process_exporter", serverId, metric, limit: 10, window }
    same(yield* fast.top(request), yield* raw.top(request), `top by ${metric}`)
  }
}, Effect.scoped)

/** The same of the history, in steps of five minutes. */
const agreeOverTime = Effect.fnUntraced(function* (serverId: string, from: number, to: number) {
  const window = { from: EPOCH + from * SECOND, to: EPOCH + to * SECOND }
  const fast = yield* Rankings
  const raw = yield* Effect.provide(
    Rankings,
    yield* Layer.build(Layer.fresh(RankingsPostgres.layerWith({ rollups: false })))
  )
  const request = { exporter: "node_exporter", serverId, window, points: 20 }
  same(yield* fast.history(request), yield* raw.history(request), "history of the host")
}, Effect.scoped)

const steady = (server: string, from: number, to: number) => {
  const rows = []
  for (let t = from; t <= to; t += 15) {
    rows.push(
      processRow(server, t, "p", (t - from) * 3, { memory: 1_000_000 }),
      nodeRow(server, t, { cpu_cores: 8, memory_total_bytes: 2 ** 33, cpu_user_seconds: (t - from) * 4 })
    )
  }
  return rows
}

describe("rows that are kept longer than five-minute buckets", () => {
  it.live("an old hour that gets a late row keeps what else it holds", () =>
    stood(
      Effect.gen(function* () {
        const rollups = yield* Rollups
        const retention = yield* Retention
        const hour = MIDNIGHT + 6 * 3_600
        yield* clockAt(DAY)
        yield* store(steady("long", hour, hour + 3_600))
        yield* rollups.pass
        yield* agree("long", hour, hour + 3_600)
        yield* clockAt(40 * DAY)
        yield* rollups.sweep
        yield* retention.sweep(nowMillis(40 * DAY))
        yield* agree("long", hour, hour + 3_600)
        yield* store([processRow("long", hour + 1_801, "late", 1)])
        // As after a restart: one that has rolled up these days before knows of partitions that are gone, and fails for ever.
        const restarted = yield* Layer.build(Layer.fresh(Rollups.layer))
        yield* Effect.provide(
          Effect.flatMap(Rollups, ({ pass }) => pass),
          restarted
        )
        yield* agree("long", hour, hour + 3_600)
      }).pipe(Effect.scoped, Effect.provide(live("60 days")))
    )
  )

  it.live("a pass makes a partition again that retention has dropped since it made it", () =>
    stood(
      Effect.gen(function* () {
        const rollups = yield* Rollups
        const hour = MIDNIGHT + 6 * 3_600
        yield* clockAt(DAY)
        yield* store(steady("known", hour, hour + 3_600))
        yield* rollups.pass
        yield* clockAt(40 * DAY)
        yield* (yield* Retention).sweep(nowMillis(40 * DAY))
        yield* store([processRow("known", hour + 1_801, "late", 1)])
        yield* rollups.pass
      }).pipe(Effect.provide(live("60 days")))
    )
  )

  it.live("a history in steps of five minutes is the rows', past the 30 days too", () =>
    stood(
      Effect.gen(function* () {
        const hour = MIDNIGHT + 6 * 3_600
        yield* clockAt(DAY)
        yield* store(steady("steps", hour, hour + 3_600))
        yield* (yield* Rollups).pass
        yield* agreeOverTime("steps", hour, hour + 3_600)
        yield* clockAt(40 * DAY)
        yield* (yield* Retention).sweep(nowMillis(40 * DAY))
        yield* agreeOverTime("steps", hour, hour + 3_600)
      }).pipe(Effect.provide(live("60 days")))
    )
  )

  it.live("windows that begin and end within old hours are as exact as those of today", () =>
    stood(
      Effect.gen(function* () {
        const rollups = yield* Rollups
        const begin = MIDNIGHT + 5 * 3_600
        yield* clockAt(DAY)
        yield* store(steady("edges", begin, begin + 4 * 3_600))
        yield* rollups.pass
        yield* clockAt(40 * DAY)
        yield* rollups.sweep
        yield* (yield* Retention).sweep(nowMillis(40 * DAY))
        yield* agree("edges", begin + 1_000, begin + 3.5 * 3_600)
      }).pipe(Effect.provide(live("60 days")))
    )
  )
})

describe("rows that retention has dropped", () => {
  const begin = MIDNIGHT + 3_600
  const top = (rankings: Rankings["Service"], from: number, to: number, metric = "cpu") =>
    rankings.top({
      exporter: "process_exporter",
      serverId: "dropped",
      metric,
      limit: 10,
      window: { from: EPOCH + from * SECOND, to: EPOCH + to * SECOND }
    })

  it.live("leave the answers about whole hours behind, for as long as hours are kept", () =>
    stood(
      Effect.gen(function* () {
        const rollups = yield* Rollups
        const rankings = yield* Rankings
        const known = ["process_exporter", "node_exporter"]
        const rows = generated("dropped", 21, 6).filter(({ exporter }) => known.includes(exporter))
        yield* clockAt(DAY)
        yield* store(rows)
        yield* rollups.pass
        // The host's facts are those of its rows.
        const ranked = (to: number, metric: string) =>
          Effect.map(top(rankings, begin, to, metric), ({ host, memoryOvercounted, ...answer }) =>
            withoutLatest(processExporter(), answer)
          )
        const answers = Effect.all([
          ranked(begin + 4 * 3_600, "cpu"),
          ranked(begin + 3_600, "memory"),
          rankings.history({
            exporter: "node_exporter",
            serverId: "dropped",
            points: 5,
            window: { from: EPOCH + begin * SECOND, to: EPOCH + (begin + 4 * 3_600) * SECOND }
          })
        ])
        const before = yield* answers
        assert.isAbove(before[0].coverage, 0)
        const sweepAt = (t: number) =>
          clockAt(t).pipe(
            Effect.andThen(Effect.flatMap(Retention, (retention) => retention.sweep(nowMillis(t)))),
            Effect.andThen(rollups.sweep)
          )
        for (const days of [40, 399]) {
          yield* sweepAt(days * DAY)
          same(yield* answers, before, `after ${days} days`)
          // Neither rows nor five-minute buckets are left.
          assert.strictEqual((yield* top(rankings, begin + 600, begin + 1_200)).coverage, 0)
        }
        yield* sweepAt(410 * DAY)
        assert.strictEqual((yield* top(rankings, begin, begin + 4 * 3_600)).coverage, 0)
      }).pipe(Effect.provide(live("30 days")))
    )
  )
})

describe("the first day that is kept", () => {
  it.live("has its five-minute buckets and their scrapes, or neither", () =>
    stood(
      Effect.gen(function* () {
        const rollups = yield* Rollups
        const begin = MIDNIGHT + 5 * 3_600
        yield* clockAt(DAY)
        yield* store(steady("first-day", begin, begin + 4 * 3_600))
        yield* rollups.pass
        // 30 days after the end of the rows: nothing is dropped but at midnight.
        const now = begin + 4 * 3_600 + 30 * DAY
        yield* clockAt(now)
        yield* (yield* Retention).sweep(nowMillis(now))
        yield* rollups.sweep
        yield* agree("first-day", begin + 1_000, begin + 3.5 * 3_600)
      }).pipe(Effect.provide(live("30 days")))
    )
  )
})

describe("cores that become known late", () => {
  const rows = (server: string) => {
    const all = []
    // 3 cores busy.
    for (let t = 0; t <= 3_600; t += 15) all.push(processRow(server, t, "p", t * 3))
    return all
  }

  it.live("clamp what another server is rolling up at the same time", () =>
    stood(
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        yield* clockAt(DAY)
        yield* store([nodeRow("race", 0, { cpu_cores: 4 })])
        yield* (yield* Rollups).pass
        yield* store(rows("race"))
        // A server that waits at the end of its transaction, after it has read what cores there are.
        yield* sql`create function public.wait() returns trigger language plpgsql as $$
          begin perform pg_advisory_xact_lock(42); return null; end $$`
        yield* sql`create trigger wait after insert on admiral.${sql(rollupTable("process_snapshots", FINE))}
          for each statement execute function public.wait()`
        const other = yield* sql.reserve
        yield* other.executeUnprepared("select pg_advisory_lock(42)", [], undefined)
        const slow = yield* Effect.forkChild((yield* Rollups).pass)
        yield* sql<{
          readonly n: number
        }>`select count(*)::int4 as n from pg_locks where locktype = 'advisory' and not granted`.pipe(
          Effect.repeat({ until: ([row]) => row!.n > 0 })
        )
        yield* store([nodeRow("race", 1_000, { cpu_cores: 1 })])
        const second = yield* Layer.build(Layer.fresh(Rollups.layer))
        const pass = Effect.provide(
          Effect.flatMap(Rollups, ({ pass }) => pass),
          second
        )
        yield* pass
        yield* other.executeUnprepared("select pg_advisory_unlock(42)", [], undefined)
        yield* Fiber.join(slow)
        yield* pass
        yield* agree("race", -600, 4_000)
      }).pipe(Effect.scoped, Effect.provide(live("30 days")))
    )
  )

  it.live("clamp at once, before the host's buckets are rolled up", () =>
    stood(
      Effect.gen(function* () {
        yield* clockAt(DAY)
        yield* store([...rows("at-once"), nodeRow("at-once", 0, { cpu_cores: 4 })])
        yield* (yield* Rollups).pass
        yield* store([nodeRow("at-once", 1_000, { cpu_cores: 1 })])
        yield* agree("at-once", -600, 4_000)
      }).pipe(Effect.provide(live("30 days")))
    )
  )
})
