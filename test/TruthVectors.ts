/**
 * The vectors of `docs/numbers.md` as data: rows, a window, and what the answer must say, whatever computes it.
 */
import { assert } from "@effect/vitest"
import type { Snapshot } from "../src/plugins/Snapshot.ts"
import type { TopAnswer, Window } from "../src/sinks/Rankings.ts"
import { EPOCH, nodeRow, processRow, SECOND } from "./TruthRows.ts"
import { near } from "./TruthSame.ts"

export const seconds = (from: number, to: number): Window => ({ from: EPOCH + from * SECOND, to: EPOCH + to * SECOND })

export interface Vector {
  readonly name: string
  readonly rows: (server: string) => ReadonlyArray<Snapshot>
  readonly window: Window
  readonly metric?: string
  readonly check: (answer: TopAnswer) => void
}

const cores = (server: string) => [nodeRow(server, 0, { cpu_cores: 4, memory_total_bytes: 2 ** 33 })]
export const series = (server: string, values: ReadonlyArray<readonly [number, number]>, name = "g") =>
  values.map(([t, cpu]) => processRow(server, t, name, cpu))
const times = (from: number, to: number) => Array.from({ length: (to - from) / 15 + 1 }, (_, n) => from + 15 * n)
export const first = [
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

export const vectors: ReadonlyArray<Vector> = [
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
