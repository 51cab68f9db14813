/**
 * Roll-ups give the same answer as the rows: after late, repeated and unordered rows, while they are behind, with several
 * servers at work, and when everything is rolled up anew.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Result } from "effect"
import { makeRegistry, Registry } from "../src/plugins/Registry.ts"
import type { Snapshot } from "../src/plugins/Snapshot.ts"
import { stepMicros } from "../src/sinks/HistorySql.ts"
import { Rankings, type Window } from "../src/sinks/Rankings.ts"
import * as RankingsPostgres from "../src/sinks/RankingsPostgres.ts"
import { Rollups } from "../src/sinks/Rollups.ts"
import * as SnapshotRowsPostgres from "../src/sinks/SnapshotRowsPostgres.ts"
import { makeStandingClock } from "./StandingClock.ts"
import * as TestDatabase from "./TestDatabase.ts"
import { truthHistory, truthTop } from "./Truth.ts"
import { EPOCH, exporters, generated, nodeRow, processRow, random, SECOND, shuffled, store } from "./TruthRows.ts"
import { same } from "./TruthSame.ts"
import { vectors } from "./TruthVectors.ts"

const registry = Layer.succeed(Registry, Result.getOrThrow(makeRegistry({ exporters })))
const live = Layer.mergeAll(RankingsPostgres.layer, SnapshotRowsPostgres.layer, Rollups.layer).pipe(
  Layer.provideMerge(registry),
  Layer.provideMerge(TestDatabase.layerWith({ exporters }))
)

const seconds = (from: number, to: number): Window => ({ from: EPOCH + from * SECOND, to: EPOCH + to * SECOND })
const { set, stood } = makeStandingClock()
const clockAt = (t: number) => Effect.sync(() => set((EPOCH + t * SECOND) / 1_000))
const DAY = 86_400

const asks = [
  { exporter: "process_exporter", metric: "cpu", limit: 3, window: seconds(-40_000, 40_000) },
  { exporter: "process_exporter", metric: "memory", limit: 10, window: seconds(777.25, 16_000) },
  { exporter: "process_exporter", metric: "cpu", limit: 10, window: seconds(1_000, 9_000.000001) },
  { exporter: "queue_exporter", metric: "jobs", limit: 2, window: seconds(500, 15_000) },
  { exporter: "queue_exporter", metric: "temperature", limit: 2, window: seconds(500, 15_000) },
  { exporter: "queue_exporter", metric: "sent", limit: 10, window: seconds(-3_600, 9_000) }
]
const histories = [
  { exporter: "process_exporter", name: "a", points: 300, window: seconds(-3_600, 18_000) },
  { exporter: "process_exporter", name: "é", points: 6, window: seconds(1_000, 17_000) },
  { exporter: "queue_exporter", name: "q2", points: 60, window: seconds(1_000, 17_000) },
  { exporter: "node_exporter", points: 20, window: seconds(1_000, 17_000) }
]

/** Every question gives what the reference computation gives. */
const checkAll = Effect.fnUntraced(function* (serverId: string, rows: ReadonlyArray<Snapshot>, what: string) {
  const rankings = yield* Rankings
  for (const [n, ask] of asks.entries()) {
    const request = { ...ask, serverId }
    same(yield* rankings.top(request), truthTop(exporters, rows, request), `${what}: top ${n}`)
  }
  for (const [n, ask] of histories.entries()) {
    const exporter = exporters.find(({ name }) => name === ask.exporter)!
    const step = stepMicros(exporter, ask.window, ask.points)
    const expected = truthHistory(exporters, rows, { ...ask, serverId, step })
    same(yield* rankings.history({ ...ask, serverId }), expected, `${what}: history ${n}`)
  }
})

const contents = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const tables = exporters.flatMap(({ table }) =>
    ["5m", "1h", "5m_scrapes", "1h_scrapes"].map((suffix) => `${table.name}_${suffix}`)
  )
  return yield* Effect.forEach(tables, (table) =>
    Effect.gen(function* () {
      const columns = yield* sql<{
        readonly name: string
      }>`select column_name::text as name from information_schema.columns
        where table_schema = 'admiral' and table_name = ${table} and data_type in ('double precision', 'integer')`
      return yield* sql.unsafe(
        `select count(*)::float8 as rows, ${columns.map(({ name }) => `sum("${name}")::float8 as "${name}"`).join(", ")} from admiral.${table}`
      )
    })
  )
})

layer(live)("roll-ups", (it) => {
  for (const seed of [11, 12]) {
    it.effect(
      `seed ${seed}: answer as the rows do, at any stage of rolling up, with rows that come late and twice`,
      () =>
        stood(
          Effect.gen(function* () {
            const server = `late-${seed}`
            const rollups = yield* Rollups
            const rows = generated(server, seed, 5)
            const next = random(seed)
            const late = rows.filter(() => next() < 0.05)
            const punctual = rows.filter((row) => !late.includes(row))
            const half = punctual.filter(({ timestamp }) => timestamp <= EPOCH + 9_100 * SECOND)
            yield* clockAt(9_130)
            yield* store(shuffled(half, seed))
            yield* checkAll(server, half, "before any pass")
            assert.isAbove(yield* rollups.pass, 0)
            yield* checkAll(server, half, "after a pass")
            yield* clockAt(40_000)
            yield* store(punctual)
            yield* checkAll(server, punctual, "before the second pass")
            yield* rollups.pass
            yield* checkAll(server, punctual, "after the second pass")
            yield* store(shuffled([...late, ...half.slice(0, 100)], seed))
            yield* checkAll(server, rows, "late rows are in no bucket yet")
            yield* rollups.pass
            yield* checkAll(server, rows, "late rows are in their buckets")
            assert.strictEqual(yield* rollups.pass, 0)
          })
        )
    )
  }

  for (const [n, vector] of vectors.entries()) {
    it.effect(`vector ${vector.name}, from buckets`, () =>
      stood(
        Effect.gen(function* () {
          const server = `vector-${n}`
          const rollups = yield* Rollups
          const rankings = yield* Rankings
          const rows = vector.rows(server)
          yield* clockAt(40_000)
          yield* store(rows)
          assert.isAbove(yield* rollups.pass, 0)
          // Wider where no rows are, so that whole buckets hold the rows.
          const { from, to } = vector.window
          const window = {
            from: rows.some((row) => row.timestamp <= from) ? from : from - 7_200 * SECOND,
            to: rows.some((row) => row.timestamp > to) ? to : to + 7_200 * SECOND
          }
          const request = {
            exporter: "process_exporter",
            serverId: server,
            metric: vector.metric ?? "cpu",
            limit: 10,
            window
          }
          const answer = yield* rankings.top(request)
          same(answer, truthTop(exporters, rows, request))
          vector.check({ ...answer, coverage: (answer.coveredSeconds * SECOND) / (to - from) })
        })
      )
    )
  }

  it.effect("once rolled up, the middle of a window needs no rows", () =>
    stood(
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const rollups = yield* Rollups
        const rankings = yield* Rankings
        const rows = generated("sparse", 21, 5)
        yield* clockAt(40_000)
        yield* store(rows)
        yield* rollups.pass
        const request = {
          exporter: "process_exporter",
          serverId: "sparse",
          metric: "cpu",
          limit: 10,
          window: seconds(0, 17_000)
        }
        const before = yield* rankings.top(request)
        const [hour] = yield* sql<{ readonly at: Date }>`select '2025-10-30 02:30:00+00'::timestamptz as at`
        yield* sql`delete from admiral.process_snapshots_rows
        where "timestamp" > '2025-10-30 00:00:00+00' and "timestamp" <= ${hour!.at}
          and server_id = (select id from admiral.servers where server_id = 'sparse')`
        same(yield* rankings.top(request), before, "without rows")
      })
    )
  )

  it.effect("rolling up everything anew, and by two servers at once, changes nothing", () =>
    stood(
      Effect.gen(function* () {
        const rollups = yield* Rollups
        yield* clockAt(40_000)
        yield* rollups.pass
        const sql = yield* PgClient.PgClient
        yield* sql`delete from admiral.process_snapshots_5m b using admiral.servers s where s.id = b.server_id and s.server_id = 'sparse'`
        yield* sql`delete from admiral.process_snapshots_1h b using admiral.servers s where s.id = b.server_id and s.server_id = 'sparse'`
        yield* sql`delete from admiral.process_snapshots_rows b using admiral.servers s where s.id = b.server_id and s.server_id = 'sparse'`
        const before = yield* contents
        const steps: Array<number> = []
        const other = yield* Layer.build(Layer.fresh(Rollups.layer))
        yield* Effect.all(
          [
            rollups.rebuild({ progress: ({ left }) => Effect.sync(() => steps.push(left)) }),
            Effect.provide(
              Effect.flatMap(Rollups, ({ pass }) => Effect.replicateEffect(pass, 20)),
              other
            )
          ],
          { concurrency: 2 }
        )
        yield* rollups.pass
        same(yield* contents, before, "tables")
        assert.isTrue(steps.every((left) => left >= 0))
        for (const { buckets, lagSeconds } of yield* rollups.stats)
          assert.deepStrictEqual([buckets, lagSeconds], [0, 0])
      })
    )
  )

  it.effect("a bucket that has not ended waits, and is counted once it has", () =>
    stood(
      Effect.gen(function* () {
        const rollups = yield* Rollups
        yield* clockAt(2 * DAY)
        yield* rollups.pass
        yield* store([processRow("waiting", 2 * DAY, "g", 1)])
        assert.strictEqual(yield* rollups.pass, 0)
        yield* clockAt(2 * DAY + 400)
        const [waiting] = (yield* rollups.stats).filter(({ exporter }) => exporter === "process_exporter")
        assert.strictEqual(waiting?.buckets, 1)
        assert.isTrue(waiting!.lagSeconds > 0 && waiting!.lagSeconds <= 400)
        // The bucket, its hour and its day, which all have ended.
        assert.strictEqual(yield* rollups.pass, 3)
      })
    )
  )

  it.effect("cores that become known, or change, after the fact are clamped to all the same", () =>
    stood(
      Effect.gen(function* () {
        const rollups = yield* Rollups
        const server = "cores"
        const rows: Array<Snapshot> = []
        for (let t = 0; t <= 7_200; t += 15)
          rows.push(processRow(server, t, "a", t * 3), processRow(server, t, "b", t / 10))
        yield* clockAt(40_000)
        yield* store(rows)
        yield* rollups.pass
        yield* checkAll(server, rows, "no cores known")
        for (const [t, cores] of [
          [3_000, 2],
          [5_000, 8],
          [3_030, 2],
          [4_000, 1],
          [100, 4]
        ] as const) {
          const row = nodeRow(server, t, { cpu_cores: cores, memory_total_bytes: 2 ** 33 })
          rows.push(row)
          yield* store([row])
          yield* rollups.pass
          yield* checkAll(server, rows, `${cores} cores at ${t}`)
        }
      })
    )
  )

  it.effect("hours and scrapes are kept as long as they are to be", () =>
    stood(
      Effect.gen(function* () {
        const rollups = yield* Rollups
        const sql = yield* PgClient.PgClient
        yield* clockAt(399 * DAY)
        yield* rollups.sweep
        const count = Effect.gen(function* () {
          const [row] = yield* sql<{ readonly hours: number; readonly scrapes: number }>`
          select (select count(*) from admiral.process_snapshots_1h)::int as hours,
            (select count(*) from admiral.process_snapshots_5m_scrapes)::int as scrapes`
          return row!
        })
        const before = yield* count
        assert.isAbove(before.hours, 0)
        assert.strictEqual(before.scrapes, 0)
        yield* clockAt(410 * DAY)
        yield* rollups.sweep
        assert.strictEqual((yield* count).hours, 0)
      })
    )
  )
})
