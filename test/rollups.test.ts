/**
 * Roll-ups give the same answer as the rows: after late, repeated and unordered rows, while they are behind, with several
 * servers at work, and when everything is rolled up anew.
 */
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Result } from "effect"
import { makeRegistry, Registry } from "../src/plugins/Registry.ts"
import type { Snapshot } from "../src/plugins/Snapshot.ts"
import { stepMicros } from "../src/query/History.ts"
import { Rankings, type Window } from "../src/query/Rankings.ts"
import * as RankingsPostgres from "../src/query/RankingsPostgres.ts"
import { Rollups } from "../src/sinks/rollups/Rollups.ts"
import * as SnapshotRowsPostgres from "../src/sinks/storage/SnapshotRowsPostgres.ts"
import { seededRandom } from "./Seeded.ts"
import { makeStandingClock } from "./StandingClock.ts"
import * as TestDatabase from "./TestDatabase.ts"
import { truthHistory, truthTop } from "./Truth.ts"
import { EPOCH, exporters, nodeRow, processRow, SECOND, store } from "./TruthRows.ts"
import { same } from "./TruthSame.ts"
import { vectors } from "./TruthVectors.ts"
import { generated, shuffled } from "./TruthWorld.ts"

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

/** From an hour before the rows until after them; hours end 113 s after `EPOCH`. */
const WHOLE_HOURS = seconds(113 - 2 * 3_600, 113 + 6 * 3_600)

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

/** What roll-ups answer about some servers, with as little of rows as can be. */
const answers = (serverIds: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const rankings = yield* Rankings
    return yield* Effect.forEach(serverIds, (serverId) =>
      Effect.all([
        ...asks.map(({ exporter, limit, metric }) =>
          rankings.top({ exporter, limit, metric, serverId, window: WHOLE_HOURS })
        ),
        ...histories.map(({ exporter, name }) =>
          rankings.history({
            exporter,
            serverId,
            points: 400,
            window: WHOLE_HOURS,
            ...(name === undefined ? {} : { name })
          })
        )
      ])
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
            const next = seededRandom(seed)
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
          const { exporter = "process_exporter", history, metric = "cpu" } = vector
          const request = { exporter, serverId: server, metric, limit: 10, window }
          const answer = yield* rankings.top(request)
          same(answer, truthTop(exporters, rows, request))
          vector.check({ ...answer, coverage: (answer.coveredSeconds * SECOND) / (to - from) })
          if (history === undefined) return
          // Wide enough for steps of five minutes.
          const wide = seconds(-7_200, 14_400)
          const one = { exporter: history.exporter, serverId: server, window: wide }
          const over = yield* rankings.history({ ...one, points: 300 })
          same(over, truthHistory(exporters, rows, { ...one, step: over.stepSeconds * SECOND }))
        })
      )
    )
  }

  it.effect("rolling up everything anew, and by two servers at once, changes nothing", () =>
    stood(
      Effect.gen(function* () {
        const rollups = yield* Rollups
        yield* clockAt(40_000)
        yield* rollups.pass
        const before = yield* answers(["late-11", "late-12"])
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
        same(yield* answers(["late-11", "late-12"]), before)
        assert.isTrue(steps.every((left) => left >= 0))
        assert.deepStrictEqual(yield* rollups.stats, { buckets: 0, lagSeconds: 0 })
      })
    )
  )

  it.effect("a bucket that has not ended waits, and is counted once it has", () =>
    stood(
      Effect.gen(function* () {
        const rollups = yield* Rollups
        const rankings = yield* Rankings
        const rows = [processRow("waiting", 2 * DAY, "g", 1), processRow("waiting", 2 * DAY + 15, "g", 4)]
        const request = {
          exporter: "process_exporter",
          serverId: "waiting",
          metric: "cpu",
          limit: 10,
          window: seconds(2 * DAY - 7_200, 2 * DAY + 400)
        }
        yield* clockAt(2 * DAY + 15)
        yield* store(rows)
        yield* rollups.pass
        assert.deepStrictEqual(yield* rollups.stats, { buckets: 0, lagSeconds: 0 })
        same(yield* rankings.top(request), truthTop(exporters, rows, request))
        yield* clockAt(2 * DAY + 400)
        const waiting = yield* rollups.stats
        assert.isAbove(waiting.buckets, 0)
        assert.isTrue(waiting.lagSeconds > 0 && waiting.lagSeconds <= 400)
        assert.isAbove(yield* rollups.pass, 0)
        assert.deepStrictEqual(yield* rollups.stats, { buckets: 0, lagSeconds: 0 })
        same(yield* rankings.top(request), truthTop(exporters, rows, request))
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
})
