/**
 * The numbers are what `docs/numbers.md` says: every vector from the reference computation and from SQL, real scrapes
 * against an answer computed elsewhere, and properties of generated data, whose seed is in the test's name.
 */
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Layer, Result } from "effect"
import { makeRegistry, Registry } from "../src/plugins/Registry.ts"
import type { Snapshot } from "../src/plugins/Snapshot.ts"
import { makeWire } from "../src/plugins/Wire.ts"
import { stepMicros } from "../src/sinks/HistorySql.ts"
import { Rankings, type TopAnswer, type Window } from "../src/sinks/Rankings.ts"
import * as RankingsPostgres from "../src/sinks/RankingsPostgres.ts"
import * as SnapshotRowsPostgres from "../src/sinks/SnapshotRowsPostgres.ts"
import * as TestDatabase from "./TestDatabase.ts"
import { truthHistory, truthTop } from "./Truth.ts"
import {
  captureRows,
  captures,
  EPOCH,
  exporters,
  generated,
  nodeRow,
  processRow,
  SECOND,
  shuffled,
  store
} from "./TruthRows.ts"
import { near, same } from "./TruthSame.ts"

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

const seconds = (from: number, to: number): Window => ({ from: EPOCH + from * SECOND, to: EPOCH + to * SECOND })
const asked = (serverId: string, { exporter, limit, metric, window }: Ask) => ({
  exporter: exporter ?? "process_exporter",
  serverId,
  metric: metric ?? "cpu",
  limit: limit ?? 10,
  window
})

// -- the vectors

interface Vector {
  readonly name: string
  readonly rows: (server: string) => ReadonlyArray<Snapshot>
  readonly window: Window
  readonly metric?: string
  readonly check: (answer: TopAnswer) => void
}

const cores = (server: string) => [nodeRow(server, 0, { cpu_cores: 4, memory_total_bytes: 2 ** 33 })]
const series = (server: string, values: ReadonlyArray<readonly [number, number]>, name = "g") =>
  values.map(([t, cpu]) => processRow(server, t, name, cpu))
const times = (from: number, to: number) => Array.from({ length: (to - from) / 15 + 1 }, (_, n) => from + 15 * n)
const first = [
  [0, 100],
  [15, 101.5],
  [30, 103]
] as const

const cpu =
  (expected: {
    readonly total: number
    readonly covered: number
    readonly average: number
    readonly resets?: number
    readonly clamped?: number
  }) =>
  (answer: TopAnswer) => {
    const group = answer.rows.find((row) => row.name === "g")!
    near(group.cpu_seconds, expected.total, "cpu_seconds")
    near(answer.coveredSeconds, expected.covered, "covered")
    near(group.avg_cpu_percent, expected.average, "avg_cpu_percent")
    assert.strictEqual(answer.resets, expected.resets ?? 0, "resets")
    assert.strictEqual(answer.clamped, expected.clamped ?? 0, "clamped")
  }

const vectors: ReadonlyArray<Vector> = [
  {
    name: "1 steady",
    rows: (s) => series(s, first),
    window: seconds(-1, 30),
    check: cpu({ total: 3, covered: 30, average: 10 })
  },
  {
    name: "2 uneven",
    rows: (s) =>
      series(s, [
        [0, 0],
        [15, 15],
        [75, 15]
      ]),
    window: seconds(-1, 75),
    check: cpu({ total: 15, covered: 75, average: 20 })
  },
  {
    name: "3 reset",
    rows: (s) =>
      series(s, [
        [0, 1000],
        [15, 1003],
        [30, 2],
        [45, 5]
      ]),
    window: seconds(-1, 45),
    check: cpu({ total: 8, covered: 45, average: 800 / 45, resets: 1 })
  },
  {
    name: "4 duplicate",
    rows: (s) => [...series(s, first), ...series(s, [[15, 101.5]])],
    window: seconds(-1, 30),
    check: cpu({ total: 3, covered: 30, average: 10 })
  },
  {
    name: "5 late",
    rows: (s) =>
      [30, 0, 15].flatMap((t) =>
        series(
          s,
          first.filter(([at]) => at === t)
        )
      ),
    window: seconds(-1, 30),
    check: cpu({ total: 3, covered: 30, average: 10 })
  },
  {
    name: "6 first scrape ever",
    rows: (s) => series(s, [[0, 5000]]),
    window: seconds(-60, 1),
    check: (answer) => {
      cpu({ total: 0, covered: 0, average: 0 })(answer)
      assert.strictEqual(answer.coverage, 0)
      assert.strictEqual(answer.scrapes, 1)
    }
  },
  {
    name: "7 hole",
    rows: (s) =>
      series(s, [
        [0, 0],
        [15, 15],
        [3615, 40],
        [3630, 55]
      ]),
    window: seconds(-1, 3630),
    check: (answer) => {
      cpu({ total: 30, covered: 30, average: 100 })(answer)
      near(answer.coverage, 30 / 3631, "coverage")
    }
  },
  {
    name: "8 group appears",
    rows: (s) => [
      ...times(0, 45).map((t) => processRow(s, t, "other", 0)),
      ...series(s, [
        [30, 6],
        [45, 9]
      ])
    ],
    window: seconds(-1, 45),
    check: cpu({ total: 3, covered: 45, average: 300 / 45 })
  },
  {
    name: "9 group gone",
    rows: (s) => [
      ...times(0, 3600).map((t) => processRow(s, t, "other", 0)),
      ...series(
        s,
        times(0, 60).map((t) => [t, t * 4])
      )
    ],
    window: seconds(-1, 3600),
    check: (answer) => {
      cpu({ total: 240, covered: 3600, average: 240 / 36 })(answer)
      near(answer.rows[0]!.peak_cpu_percent, 400, "peak")
      assert.strictEqual(answer.rows[0]!.cpu_percent, 0)
    }
  },
  {
    name: "10 impossible",
    rows: (s) => [
      ...cores(s),
      ...series(s, [
        [0, 0],
        [15, 100]
      ])
    ],
    window: seconds(-1, 15),
    check: cpu({ total: 63, covered: 15, average: 420, clamped: 1 })
  },
  {
    name: "11 edge",
    rows: (s) => series(s, first),
    window: seconds(20, 40),
    check: cpu({ total: 1.5, covered: 15, average: 10 })
  },
  {
    name: "13 memory after exit",
    rows: (s) => [
      ...times(15, 3600).map((t) => processRow(s, t, "other", 0)),
      ...times(15, 600).map((t) => processRow(s, t, "g", 0, { memory: 2 ** 30 }))
    ],
    window: seconds(0, 3600),
    metric: "memory",
    check: (answer) => {
      const group = answer.rows[0]!
      assert.strictEqual(group.name, "g")
      assert.strictEqual(group.memory_mb, 0)
      assert.strictEqual(group.peak_memory_mb, 1024)
      near(group.avg_memory_mb, 1024 / 6, "avg_memory_mb")
      assert.strictEqual(group.num_procs, 0)
    }
  },
  {
    name: "14 tie",
    rows: (s) =>
      ["b", "é", "a", "Z", "", "B"].flatMap((name) =>
        series(
          s,
          [
            [0, 1],
            [15, 2]
          ],
          name
        )
      ),
    window: seconds(-1, 15),
    check: (answer) =>
      assert.deepStrictEqual(
        answer.rows.map(({ name }) => name),
        ["", "B", "Z", "a", "b", "é"]
      )
  },
  {
    name: "17 hidden reset",
    rows: (s) => [processRow(s, 0, "g", 10, { since: -100 }), processRow(s, 15, "g", 12, { since: -5 })],
    window: seconds(-1, 15),
    check: cpu({ total: 12, covered: 15, average: 80, resets: 1 })
  },
  {
    name: "17 without counters_since",
    rows: (s) => [processRow(s, 0, "g", 10), processRow(s, 15, "g", 12, { since: -5 })],
    window: seconds(-1, 15),
    check: cpu({ total: 2, covered: 15, average: 200 / 15 })
  },
  {
    name: "17 beginnings that differ by two seconds are the same",
    rows: (s) => [processRow(s, 0, "g", 10, { since: -100 }), processRow(s, 15, "g", 12, { since: -98 })],
    window: seconds(-1, 15),
    check: cpu({ total: 2, covered: 15, average: 200 / 15 })
  },
  {
    name: "a group whose processes are gone uses no CPU now",
    rows: (s) => [processRow(s, 0, "g", 10), processRow(s, 15, "g", 13, { procs: 0 })],
    window: seconds(-1, 15),
    check: (answer) => {
      cpu({ total: 3, covered: 15, average: 20 })(answer)
      assert.strictEqual(answer.rows[0]!.cpu_percent, 0)
      near(answer.rows[0]!.peak_cpu_percent, 20, "peak")
    }
  },
  {
    name: "exactly staleAfter is no hole, a microsecond more is one",
    rows: (s) =>
      series(s, [
        [0.123456, 0],
        [300.123456, 3],
        [600.123457, 9]
      ]),
    window: seconds(-1, 601),
    check: cpu({ total: 3, covered: 300, average: 1 })
  }
]

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
