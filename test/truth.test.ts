/**
 * The numbers are what `docs/numbers.md` says: every vector from the reference computation and from SQL, real scrapes
 * against an answer computed elsewhere, and properties of generated data, whose seed is in the test's name.
 */
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Layer, Result } from "effect"
import { makeRegistry, Registry } from "../src/plugins/Registry.ts"
import type { Snapshot } from "../src/plugins/Snapshot.ts"
import { makeWire } from "../src/plugins/Wire.ts"
import { stepMicros } from "../src/query/History.ts"
import { Rankings, type TopAnswer, type Window } from "../src/query/Rankings.ts"
import * as RankingsPostgres from "../src/query/RankingsPostgres.ts"
import * as SnapshotRowsPostgres from "../src/sinks/storage/SnapshotRowsPostgres.ts"
import * as TestDatabase from "./TestDatabase.ts"
import { truthHistory, truthTop } from "./Truth.ts"
import { captureRows, captures, EPOCH, exporters, SECOND, store } from "./TruthRows.ts"
import { near, same } from "./TruthSame.ts"
import { seconds, series, totalOf, type VectorHistory } from "./TruthVector.ts"
import { first, vectors } from "./TruthVectors.ts"
import { generated, shuffled } from "./TruthWorld.ts"

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

const historyOf = (serverId: string, { exporter, name }: VectorHistory) => ({
  exporter,
  serverId,
  ...(name === undefined ? {} : { name })
})

/** The reference computation in the place of a database. */
const referenceOf = (rows: ReadonlyArray<Snapshot>): Pick<Rankings["Service"], "top" | "history"> => ({
  top: (request) => Effect.sync(() => truthTop(exporters, rows, request)),
  history: ({ points, ...request }) =>
    Effect.sync(() => {
      const exporter = exporters.find(({ name }) => name === request.exporter)!
      return truthHistory(exporters, rows, { ...request, step: stepMicros(exporter, request.window, points) })
    })
})

describe("the reference computation", () => {
  for (const vector of vectors) {
    it(`gives vector ${vector.name}`, () => {
      const rows = vector.rows("s")
      vector.check(truthTop(exporters, rows, asked("s", vector)))
      const { history, window } = vector
      if (history === undefined) return
      history.check(
        truthHistory(exporters, rows, { ...historyOf("s", history), window, step: history.stepSeconds * SECOND })
      )
    })
  }

  it("gives the answer that an independent program computed from real scrapes", () => {
    for (const metric of ["cpu", "memory"] as const)
      checkCaptures(metric, truthTop(exporters, captureRows("s"), captureAsk("s", metric)))
  })

  for (const seed of seeds()) {
    it.effect(`seed ${seed}: has the properties that answers are to have`, () => {
      const rows = generated("s", seed, 3)
      return Effect.andThen(properties("s", referenceOf(rows)), withinTheMachine("s", rows, referenceOf(rows)))
    })

    it(`seed ${seed}: does not depend on the order and repetition of rows`, () => {
      const rows = generated("s", seed, 3)
      for (const ask of asks.slice(0, 5)) {
        const request = asked("s", ask)
        same(truthTop(exporters, shuffled(rows, seed), request), truthTop(exporters, rows, request))
      }
    })
  }
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
      assert.include(Result.isFailure(decoded) ? decoded.failure.reason : "", field)
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
        const { history, window } = vector
        if (history === undefined) return
        const over = yield* rankings.history({ ...historyOf(server, history), window, points: history.points })
        history.check(over)
        const step = history.stepSeconds * SECOND
        same(over, truthHistory(exporters, rows, { ...historyOf(server, history), window, step }))
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

    it.effect(`seed ${seed}: windows add up, top k begins top k + 1, rows and others are all`, () =>
      Effect.gen(function* () {
        yield* properties(server, yield* Rankings)
      })
    )

    it.effect(`seed ${seed}: no number in an answer exceeds what the machine could have done`, () =>
      Effect.gen(function* () {
        yield* withinTheMachine(server, generated(server, seed, 3), yield* Rankings)
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

/** What answers are to have in common, whatever computes them. */
const properties = Effect.fnUntraced(function* (
  server: string,
  rankings: Pick<Rankings["Service"], "top" | "history">
) {
  const top = (from: number, to: number, limit = 1_000, metric = "cpu") =>
    rankings.top(asked(server, { window: seconds(from, to), limit, metric }))

  const whole = yield* top(500.5, 10_000)
  for (const cut of [4_321.123456, 7_000, 9_990]) addUp(yield* top(500.5, cut), yield* top(cut, 10_000), whole)

  const groups = whole.rows.length
  for (const [metric, most] of [
    ["cpu", groups + 1],
    ["memory", 3]
  ] as const) {
    let before: TopAnswer | undefined
    for (let limit = 1; limit <= most; limit++) {
      const answer = yield* top(500.5, 10_000, limit, metric)
      assert.strictEqual(answer.rows.length, Math.min(limit, groups))
      assert.deepStrictEqual(answer.rows.slice(0, limit - 1), before?.rows.slice(0, limit - 1) ?? [])
      near(totalOf(answer), totalOf(whole), "rows + others")
      assert.strictEqual(answer.rows.length + answer.other.groups, groups)
      before = answer
    }
  }
})

/** No number of an answer or a history is negative, or more than the cores that the machine had at most. */
const withinTheMachine = Effect.fnUntraced(function* (
  server: string,
  rows: ReadonlyArray<Snapshot>,
  rankings: Pick<Rankings["Service"], "top" | "history">
) {
  const top = (from: number, to: number) => rankings.top(asked(server, { window: seconds(from, to), limit: 1_000 }))
  // The machine has no more cores than this at any moment.
  const most = 1.05 * Math.max(...rows.flatMap((row) => (row.exporter === "node_exporter" ? [coresOf(row)] : [])))
  for (const [from, to] of [
    [500.5, 10_000],
    [1_000, 1_900],
    [5_000, 5_060],
    [7_200, 7_201]
  ] as const) {
    const answer = yield* top(from, to)
    isSane(answer, most)
    // An increase of the host at the window's beginning may have begun before it.
    const { coveredSeconds } = yield* top(from - 300, to)
    if (answer.unaccounted !== null)
      assert.isAtMost(totalOf(answer) + answer.unaccounted.cpuSeconds, most * coveredSeconds + 1e-6)
  }
  for (const points of [10, 200]) {
    const host = { exporter: "node_exporter", serverId: server, window: seconds(-300, 10_900), points }
    const { series } = yield* rankings.history(host)
    for (const [field, values] of Object.entries(series)) {
      for (const value of values) {
        assert.isTrue(value === null || (Number.isFinite(value) && value >= 0), `${field} is ${value}`)
        if (field.startsWith("cpu_") && field.endsWith("_per_second")) assert.isAtMost(value ?? 0, most + 1e-9, field)
      }
    }
  }
})

const coresOf = (row: Snapshot): number =>
  row.values[Object.keys(exporters[0]!.table.columns).indexOf("cpu_cores")] as number

/** What two adjacent windows say adds up to what their union says. */
const addUp = (left: TopAnswer, right: TopAnswer, whole: TopAnswer): void => {
  for (const { cpu_seconds, name } of whole.rows) {
    const parts = [left, right].map(({ rows }) => (rows.find((row) => row.name === name)?.cpu_seconds ?? 0) as number)
    near(sum(parts), cpu_seconds as number, name)
  }
  near(totalOf(left) + totalOf(right), totalOf(whole), "adjacent windows")
  near(left.coveredSeconds + right.coveredSeconds, whole.coveredSeconds, "adjacent covered time")
  assert.strictEqual(left.scrapes + right.scrapes, whole.scrapes)
  assert.strictEqual(left.resets + right.resets, whole.resets)
  assert.strictEqual(left.clamped + right.clamped, whole.clamped)
  assert.strictEqual(left.unknown + right.unknown, whole.unknown)
  if (left.unaccounted === null || right.unaccounted === null) return
  near(left.unaccounted.cpuSeconds + right.unaccounted.cpuSeconds, whole.unaccounted!.cpuSeconds, "unaccounted")
}

/** No number is negative or none, but for what may be below 0; and no rate is above what the machine can do. */
const isSane = (answer: TopAnswer, most: number): void => {
  const { other, rows, unaccounted, window, ...rest } = answer
  for (const row of [...rows, other, rest]) {
    for (const [field, value] of Object.entries(row)) {
      if (typeof value === "number") assert.isTrue(Number.isFinite(value) && value >= 0, `${field} is ${value}`)
    }
  }
  assert.isTrue(unaccounted === null || Object.values(unaccounted).every(Number.isFinite))
  for (const row of rows) {
    for (const field of ["cpu_percent", "peak_cpu_percent"])
      assert.isAtMost(row[field] as number, 100 * most + 1e-6, `${field} of ${row.name}`)
  }
}

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
  near(totalOf(answer), expected.total_cpu_seconds, "total")
  assert.strictEqual(answer.unknown, 0)
  near(answer.unaccounted?.cpuSeconds, expected.unaccounted.cpuSeconds, "unaccounted", 1e-7)
  near(answer.unaccounted?.avgCpuPercent, expected.unaccounted.avgCpuPercent, "unaccounted on average", 1e-7)
}

function sum(values: ReadonlyArray<number>): number {
  return values.reduce((all, value) => all + value, 0)
}
