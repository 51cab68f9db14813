/**
 * The numbers are what `docs/numbers.md` says: every vector from the reference computation and from SQL, real scrapes
 * against an answer computed elsewhere, and properties of generated data, whose seed is in the test's name.
 */
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Layer, Result } from "effect"
import { makeRegistry, Registry } from "../src/plugins/Registry.ts"
import { makeWire } from "../src/plugins/Wire.ts"
import { stepMicros } from "../src/sinks/HistorySql.ts"
import { Rankings, type TopAnswer, type Window } from "../src/sinks/Rankings.ts"
import * as RankingsPostgres from "../src/sinks/RankingsPostgres.ts"
import * as SnapshotRowsPostgres from "../src/sinks/SnapshotRowsPostgres.ts"
import * as TestDatabase from "./TestDatabase.ts"
import { truthHistory, truthTop } from "./Truth.ts"
import { captureRows, captures, EPOCH, exporters, generated, SECOND, shuffled, store } from "./TruthRows.ts"
import { near, same } from "./TruthSame.ts"
import { first, seconds, series, vectors } from "./TruthVectors.ts"

const registry = Layer.succeed(Registry, Result.getOrThrow(makeRegistry({ exporters })))
const live = Layer.mergeAll(RankingsPostgres.layer, SnapshotRowsPostgres.layer).pipe(
  Layer.provideMerge(registry),
  Layer.provideMerge(TestDatabase.layerWith({ exporters }))
)

interface Ask {
  readonly exporter?: string
  readonly metric?: string
  readonly limit?: number
  readonly window: Window
}

const asked = (serverId: string, { exporter, limit, metric, window }: Ask) => ({
  exporter: exporter ?? "process_exporter",
  serverId,
  metric: metric ?? "cpu",
  limit: limit ?? 10,
  window
})

describe("the reference computation", () => {
  for (const vector of vectors) {
    it(`gives vector ${vector.name}`, () => {
      vector.check(truthTop(exporters, vector.rows("s"), asked("s", vector)))
    })
  }

  it("gives the answer that an independent program computed from real scrapes", () => {
    for (const metric of ["cpu", "memory"] as const)
      checkCaptures(metric, truthTop(exporters, captureRows("s"), captureAsk("s", metric)))
  })
})

describe("rows that can have no number never arrive", () => {
  const wire = makeWire(exporters[1]!)
  const decode = (fields: object) =>
    wire.decode(
      { timestamp: "2025-10-30T12:00:00Z", name: "g", num_procs: 1, cpu_seconds_total: 1, memory_bytes: 1, ...fields },
      { serverId: "s", nowMicros: Date.UTC(2025, 9, 30, 12) * 1_000 }
    )
  for (const [field, value] of [
    ["cpu_seconds_total", Number.NaN],
    ["cpu_seconds_total", Number.POSITIVE_INFINITY],
    ["cpu_seconds_total", -1],
    ["memory_bytes", -1],
    ["num_procs", Number.NEGATIVE_INFINITY],
    ["timestamp", "2025-10-30T12:10:01Z"],
    ["timestamp", "2025-10-23T11:59:59Z"]
  ] as const) {
    it(`vectors 12, 15, 16: ${field} ${value}`, () => {
      const decoded = decode({ [field]: value })
      assert.isTrue(Result.isFailure(decoded))
      assert.include(Result.isFailure(decoded) ? decoded.failure : "", field)
    })
  }
  it("its neighbour does", () => assert.isTrue(Result.isSuccess(decode({}))))
})

// -- the same from SQL

layer(live)("SQL on raw rows", (it) => {
  for (const [n, vector] of vectors.entries()) {
    it.effect(`gives vector ${vector.name}`, () =>
      Effect.gen(function* () {
        const server = `vector-${n}`
        const rows = vector.rows(server)
        yield* store(rows, 1)
        const rankings = yield* Rankings
        const request = asked(server, vector)
        const answer = yield* rankings.top(request)
        vector.check(answer)
        same(answer, truthTop(exporters, rows, request))
      })
    )
  }

  it.effect("gives the answer that an independent program computed from real scrapes", () =>
    Effect.gen(function* () {
      yield* store(captureRows("captures"))
      const rankings = yield* Rankings
      for (const metric of ["cpu", "memory"] as const)
        checkCaptures(metric, yield* rankings.top(captureAsk("captures", metric)))
    })
  )

  it.effect("an unknown server is an error, a window without data is not", () =>
    Effect.gen(function* () {
      const rankings = yield* Rankings
      const error = yield* Effect.flip(rankings.top(asked("nobody", { window: seconds(0, 60) })))
      assert.strictEqual(error._tag, "UnknownServer")
      yield* store(series("silent", first))
      const answer = yield* rankings.top(asked("silent", { window: seconds(7200, 10800) }))
      assert.deepStrictEqual(answer.rows, [])
      assert.strictEqual(answer.coverage, 0)
      assert.strictEqual(answer.lastSeen, EPOCH + 30 * SECOND)
      assert.isTrue(answer.stale)
      assert.deepStrictEqual((yield* rankings.lastSeen).get("silent"), EPOCH + 30 * SECOND)
    })
  )

  for (const seed of seeds()) {
    const server = `generated-${seed}`
    it.effect(`seed ${seed}: SQL is the reference computation, whatever the order and repetition of rows`, () =>
      Effect.gen(function* () {
        const rows = generated(server, seed, 3)
        yield* store(shuffled(rows, seed))
        const rankings = yield* Rankings
        for (const ask of asks) {
          const request = asked(server, ask)
          same(yield* rankings.top(request), truthTop(exporters, rows, request))
        }
        for (const [exporter, name] of [
          ["process_exporter", "a"],
          ["queue_exporter", "q1"],
          ["node_exporter", undefined],
          ["process_exporter", "nobody"]
        ] as const) {
          for (const points of [5, 60]) {
            const window = seconds(1_000, 9_000.5)
            const one = { exporter, serverId: server, ...(name === undefined ? {} : { name }), window }
            const step = stepMicros(exporters.find((candidate) => candidate.name === exporter)!, window, points)
            same(yield* rankings.history({ ...one, points }), truthHistory(exporters, rows, { ...one, step }))
          }
        }
      })
    )

    it.effect(
      `seed ${seed}: windows add up, top k begins top k + 1, rows and others are all, nothing is negative`,
      () =>
        Effect.gen(function* () {
          yield* properties(server)
        })
    )
  }
})

// -- what is compared, and how

function seeds(): ReadonlyArray<number> {
  return [1, 2, 3]
}

const asks: ReadonlyArray<Ask> = [
  { window: seconds(0, 10_800) },
  { window: seconds(1_234.5, 5_000), limit: 3 },
  { window: seconds(3_600, 7_200), metric: "memory", limit: 1 },
  { window: seconds(9_000, 9_020), metric: "memory" },
  { exporter: "queue_exporter", metric: "jobs", limit: 2, window: seconds(600, 9_000) },
  { exporter: "queue_exporter", metric: "temperature", limit: 2, window: seconds(600, 9_000) },
  { exporter: "queue_exporter", metric: "sent", window: seconds(-100, 900) }
]

const properties = Effect.fnUntraced(function* (server: string) {
  const rankings = yield* Rankings
  const top = (from: number, to: number, limit: number, metric = "cpu") =>
    rankings.top(asked(server, { window: seconds(from, to), limit, metric }))
  const total = (answer: TopAnswer) =>
    sum(answer.rows.map((row) => row.cpu_seconds as number)) + answer.other.cpu_seconds!
  const whole = yield* top(500.5, 10_000, 1_000)
  const left = yield* top(500.5, 4_321.123456, 1_000)
  const right = yield* top(4_321.123456, 10_000, 1_000)
  near(total(left) + total(right), total(whole), "adjacent windows")
  near(left.coveredSeconds + right.coveredSeconds, whole.coveredSeconds, "adjacent covered time")
  assert.strictEqual(left.resets + right.resets, whole.resets)
  assert.strictEqual(left.clamped + right.clamped, whole.clamped)
  for (const metric of ["cpu", "memory"]) {
    let before: TopAnswer | undefined
    for (let limit = 1; limit <= 7; limit++) {
      const answer = yield* top(500.5, 10_000, limit, metric)
      assert.strictEqual(answer.rows.length, Math.min(limit, 6))
      assert.deepStrictEqual(answer.rows.slice(0, limit - 1), before?.rows.slice(0, limit - 1) ?? [])
      near(total(answer), total(whole), "rows + others")
      assert.strictEqual(answer.rows.length + answer.other.groups, 6)
      before = answer
      for (const row of [...answer.rows, answer.other]) {
        for (const [field, value] of Object.entries(row)) {
          if (typeof value === "number") assert.isTrue(Number.isFinite(value) && value >= 0, `${field} is ${value}`)
        }
      }
    }
  }
})

const captureAsk = (server: string, metric: string) => {
  const { scrapes } = captures()
  const from = Date.parse(scrapes[0]!.at) * 1_000 - 1
  return asked(server, { metric, window: { from, to: Date.parse(scrapes.at(-1)!.at) * 1_000 } })
}

const checkCaptures = (metric: "cpu" | "memory", answer: TopAnswer) => {
  const expected = captures().top[metric]
  assert.deepStrictEqual(
    answer.rows.map(({ name }) => name),
    expected.processes.map(({ name }) => name as string)
  )
  for (const [n, row] of answer.rows.entries()) {
    for (const [field, value] of Object.entries(expected.processes[n]!)) {
      if (typeof value === "number") near(row[field], value, `${row.name} ${field}`, 1e-7)
    }
  }
  near(answer.coveredSeconds, expected.covered, "covered")
  assert.strictEqual(answer.rows.length + answer.other.groups, expected.groups)
  assert.strictEqual(answer.scrapes, expected.scrapes)
  assert.strictEqual(answer.resets, expected.resets)
  assert.strictEqual(answer.clamped, expected.clamped)
  near(
    sum(answer.rows.map((row) => row.cpu_seconds as number)) + answer.other.cpu_seconds!,
    expected.total_cpu_seconds,
    "total"
  )
}

function sum(values: ReadonlyArray<number>): number {
  return values.reduce((all, value) => all + value, 0)
}
