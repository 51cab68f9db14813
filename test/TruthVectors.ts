/**
 * The vectors of `docs/numbers.md` as data, by their numbers there: rows, a window, and what the answer must say, whatever
 * computes it. More of the same kinds are in `TruthBadDays.ts`.
 */
import { assert } from "@effect/vitest"
import type { HistoryAnswer } from "../src/query/Rankings.ts"
import { badDays } from "./TruthBadDays.ts"
import { EPOCH, nodeRow, poolRow, processRow, SECOND } from "./TruthRows.ts"
import { near } from "./TruthSame.ts"
import {
  cores,
  cpu,
  idle,
  lived,
  says,
  seconds,
  series,
  seriesSince,
  times,
  totalOf,
  type Vector
} from "./TruthVector.ts"

export const first = [
  [0, 100],
  [15, 101.5],
  [30, 103]
] as const

/** What a host does whose CPUs each did the same since it started; `each` is the user time of one of them. */
const evenly = (count: number, each: number, set?: number) => ({
  cpu_cores: count,
  memory_total_bytes: 2 ** 33,
  cpu_user_seconds: count * each,
  cpu_system_seconds: (count * each) / 4,
  cpu_idle_seconds: count * each * 8,
  cpu_iowait_seconds: (count * each) / 100,
  ...(set === undefined ? {} : { cpu_set: set })
})

const numbered: ReadonlyArray<Vector> = [
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
    name: "4 two rows of one moment: the first that was stored counts",
    rows: (s) => [...series(s, first), ...series(s, [[15, 102.5]])],
    window: seconds(-1, 20),
    check: cpu({ total: 1.5, covered: 15, average: 10 })
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
    name: "8 group appears, and its counters are known to have begun before",
    rows: (s) => [
      ...idle(s, times(0, 45), 0),
      ...seriesSince(s, 0, [
        [30, 6],
        [45, 9]
      ])
    ],
    window: seconds(-1, 45),
    check: (answer) => {
      cpu({ total: 9, covered: 45, average: 20 })(answer)
      says({ groups: { g: [9, 40, 20] } })(answer)
    }
  },
  {
    name: "8 group appears, and nobody knows when its counters began",
    rows: (s) => [
      ...idle(s, times(0, 45)),
      ...series(s, [
        [30, 6],
        [45, 9]
      ])
    ],
    window: seconds(-1, 45),
    check: (answer) => {
      cpu({ total: 3, covered: 45, average: 300 / 45 })(answer)
      says({ groups: { g: [3, 20, 20] } })(answer)
    }
  },
  {
    name: "9 group gone",
    rows: (s) => [
      ...idle(s, times(0, 3600)),
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
    name: "9b group returns after it was out of sight for longer than staleAfter",
    rows: (s) => [
      ...idle(s, times(0, 1_230), -100),
      ...seriesSince(s, -100, [
        [0, 10],
        [15, 12],
        [1_215, 13],
        [1_230, 13]
      ])
    ],
    window: seconds(-1, 1_230),
    check: cpu({ total: 2, covered: 1_230, average: 200 / 1_230 })
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
      ...idle(s, times(15, 3600)),
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
    name: "17 hidden restart",
    rows: (s) => [processRow(s, 0, "g", 10, { since: -100 }), processRow(s, 15, "g", 12, { since: 2 })],
    window: seconds(-1, 15),
    check: cpu({ total: 12, covered: 15, average: 80, resets: 1 })
  },
  {
    name: "17 without counters_since",
    rows: (s) => [processRow(s, 0, "g", 10), processRow(s, 15, "g", 12, { since: 2 })],
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
  },
  ...[3, 30, 60, 120].map(
    (ahead): Vector => ({
      name: `18 clock set forward by ${ahead} s`,
      rows: (s) =>
        lived(s, {
          scrapes: 10,
          busy: 2.25,
          groups: { postgres: [5_000, 1.5], sshd: [40, 0.01], idle: [7, 0] },
          clock: (n) => (n >= 4 ? ahead : 0)
        }),
      window: seconds(-1, 400),
      check: (answer) => {
        says({
          groups: { postgres: [13.5, 10, 10], sshd: [0.09, 1 / 15, 1 / 15], idle: [0, 0, 0] },
          covered: 135 + ahead,
          unaccounted: 20.25 - 13.59
        })(answer)
        assert.deepStrictEqual(
          answer.rows.map(({ name }) => name),
          ["postgres", "sshd", "idle"]
        )
      },
      history: {
        exporter: "node_exporter",
        points: 100,
        stepSeconds: 30,
        check: ({ series }) => {
          const rates = series.cpu_user_seconds_per_second!.filter((rate) => rate !== null)
          assert.isTrue(rates.every((rate) => rate >= 0 && rate <= 0.1125 + 1e-9))
        }
      }
    })
  ),
  ...[3, 57, 60, 90].map(
    (behind): Vector => ({
      name: `19 clock set back by ${behind} s`,
      rows: (s) =>
        lived(s, {
          scrapes: 16,
          busy: 2.25,
          groups: { postgres: [5_000, 1.5], sshd: [40, 0.01] },
          clock: (n) => (n > 8 ? -behind : 0)
        }),
      window: seconds(-1, 400),
      check: (answer) => {
        says({ covered: 225 - behind })(answer)
        for (const [name, each] of [
          ["postgres", 0.1],
          ["sshd", 0.01 / 15]
        ] as const) {
          const total = answer.rows.find((row) => row.name === name)!.cpu_seconds as number
          assert.isAtLeast(total, 225 * each - 1e-9, name)
          assert.isAtMost(total, (225 + behind) * each + 1e-9, name)
        }
      }
    })
  ),
  {
    name: "19 clock set back by 57 s, to the last digit",
    rows: (s) =>
      lived(s, {
        scrapes: 16,
        busy: 2.25,
        groups: { postgres: [5_000, 1.5] },
        clock: (n) => (n > 8 ? -57 : 0)
      }),
    window: seconds(-1, 400),
    // 15 steps; 6 core-s in the 3 s before the second clock's first row; three rows of the first clock after it.
    check: says({ groups: { postgres: [27, 200, 10] }, covered: 168, unaccounted: 13.5 })
  },
  {
    name: "19 clock set back on a machine that works as much as it can",
    rows: (s) =>
      lived(s, { scrapes: 16, busy: 60, groups: { postgres: [5_000, 60] }, clock: (n) => (n > 8 ? -57 : 0) }),
    window: seconds(-1, 400),
    check: (answer) => {
      assert.isAtMost(totalOf(answer), 4 * 1.05 * answer.coveredSeconds)
      assert.isAtMost(answer.rows[0]!.peak_cpu_percent as number, 420 + 1e-9)
      assert.isAtMost(totalOf(answer) + answer.unaccounted!.cpuSeconds, 4 * 1.05 * answer.coveredSeconds + 1e-6)
      assert.deepStrictEqual([answer.resets, answer.unknown], [0, 0])
    }
  },
  ...[
    { what: "20 CPUs go", before: 8, after: 4, sets: [1, 2] },
    { what: "20 CPUs go, of an exporter that does not name them", before: 8, after: 4, sets: [undefined, undefined] },
    { what: "21 CPUs come with old counters", before: 4, after: 8, sets: [2, 1] },
    { what: "21 CPUs come, of an exporter that does not name them", before: 4, after: 8, sets: [undefined, undefined] },
    { what: "21 a CPU comes in the place of another", before: 8, after: 8, sets: [1, 2] }
  ].map(
    ({ after, before, sets, what }): Vector => ({
      name: what,
      rows: (s) =>
        times(0, 120).flatMap((t) => [
          nodeRow(s, t, t < 60 ? evenly(before, 800 + t / 50, sets[0]) : evenly(after, 800 + t / 50, sets[1]), {
            since: -50_000
          }),
          processRow(s, t, "g", 70 + t * 0.1, { since: -100 })
        ]),
      window: seconds(-1, 120),
      // 0.3 s of user and system in 15 s of each CPU, times 1.25; of eight steps one is unknown.
      check: says({
        groups: { g: [12, 10, 10] },
        covered: 120,
        unknown: 1,
        unaccounted: 0.375 * (3 * before + 4 * after) - 12
      }),
      history: {
        exporter: "node_exporter",
        points: 100,
        stepSeconds: 30,
        check: ({ series }) => {
          for (const mode of ["user", "system", "idle", "iowait"]) {
            for (const rate of series[`cpu_${mode}_seconds_per_second`]!)
              assert.isTrue(rate === null || (rate >= 0 && rate <= 8), `${mode} ${rate}`)
          }
        }
      }
    })
  ),
  {
    name: "22 interface goes, comes back, and another one with it",
    rows: (s) => {
      const gone = 5e9
      return times(0, 300).flatMap((t) => {
        const seen = t < 90 ? { network_set: 5 } : t < 180 ? { network_set: 6 } : { network_set: 5 }
        const without = t >= 90 && t < 180 ? gone : 0
        return [
          nodeRow(s, t, { network_receive_bytes_total: 1e12 + t * 1e6 - without, ...seen }, { since: -50_000 }),
          processRow(s, t, "g", 1)
        ]
      })
    },
    window: seconds(-1, 300),
    check: says({ groups: { g: [0] } }),
    history: {
      exporter: "node_exporter",
      points: 100,
      stepSeconds: 30,
      // Of the two increases in the steps that end after 90 and after 180 only one is known.
      check: receives(1e6, 2)
    }
  },
  {
    name: "22 interface goes, of an agent that does not say which there are",
    rows: (s) =>
      times(0, 300).flatMap((t) => [
        nodeRow(s, t, { network_receive_bytes_total: 1e12 + t * 1e6 - (t >= 90 ? 5e9 : 0) }, { since: -50_000 }),
        processRow(s, t, "g", 1)
      ]),
    window: seconds(-1, 300),
    check: says({ groups: { g: [0] } }),
    history: { exporter: "node_exporter", points: 100, stepSeconds: 30, check: receives(1e6, 1) }
  },
  {
    name: "23 iowait steps back",
    rows: (s) =>
      [5_482.82, 5_482.81, 5_482.82, 5_482.8, 5_482.8].flatMap((waiting, n) => [
        nodeRow(
          s,
          15 * n,
          { cpu_cores: 4, cpu_iowait_seconds: waiting, cpu_user_seconds: 100 + n * 3, cpu_system_seconds: 50 },
          { since: -50_000 }
        ),
        processRow(s, 15 * n, "g", n)
      ]),
    window: seconds(-1, 60),
    check: says({ groups: { g: [4] }, unaccounted: 8 }),
    history: {
      exporter: "node_exporter",
      points: 100,
      stepSeconds: 30,
      check: ({ series }) => {
        const rates = series.cpu_iowait_seconds_per_second!.filter((rate) => rate !== null)
        near(Math.max(...rates), 0.01 / 30, "iowait")
        assert.isTrue(rates.every((rate) => rate >= 0))
      }
    }
  },
  {
    name: "24 zero for one scrape, of the host's CPU",
    rows: (s) =>
      [1_000, 1_005, 0, 1_015].flatMap((user, n) => [
        nodeRow(s, 15 * n, { cpu_cores: 4, cpu_user_seconds: user, cpu_system_seconds: 50 }, { since: -50_000 }),
        processRow(s, 15 * n, "g", 1)
      ]),
    window: seconds(-1, 45),
    check: says({ groups: { g: [0] }, unknown: 2, unaccounted: 5 })
  },
  {
    name: "24 zero for one scrape, of a ranked sum",
    exporter: "pool_exporter",
    metric: "work",
    rows: (s) => [1_000, 1_005, 0, 1_015, 1_016].map((work, n) => poolRow(s, 15 * n, "g", work, { since: -50_000 })),
    window: seconds(-1, 60),
    check: says({ groups: { g: [6, 1 / 3, 1 / 15] }, covered: 60, unknown: 2 }, "work")
  },
  {
    name: "25 one exporter silent",
    rows: (s) => [
      ...times(0, 600).map((t) =>
        nodeRow(
          s,
          t,
          { cpu_cores: 4, cpu_user_seconds: 900 + 1.2 * t, cpu_system_seconds: 80 + 0.4 * t },
          { since: -5_000 }
        )
      ),
      ...seriesSince(
        s,
        -100,
        times(0, 225).map((t) => [t, 33 + 1.4 * t])
      )
    ],
    window: seconds(-1, 600),
    check: (answer) => {
      says({ groups: { g: [315, 140, 140] }, covered: 225, unaccounted: 45 })(answer)
      near(answer.unaccounted!.avgCpuPercent, 20, "unaccounted on average")
    }
  }
]

export const vectors: ReadonlyArray<Vector> = [...numbered, ...badDays]

/** An interface receives evenly wherever it is known, and so many steps after the first say nothing. */
function receives(rate: number, unknown: number) {
  return ({ series, timestamps }: HistoryAnswer) => {
    const values = series.network_receive_bytes_per_second!
    for (const [n, value] of values.entries()) {
      if (value !== null) near(value, rate, `at ${(timestamps[n]! - EPOCH) / SECOND}`)
    }
    assert.strictEqual(values.slice(1).filter((value) => value === null).length, unknown, "steps that say nothing")
  }
}
