/**
 * More vectors of the kinds that `docs/numbers.md` names: clocks, groups that appear, sums over things that come and go, what
 * a machine can do at most, and exporters of which one is silent. Each holds one rule at its edge.
 */
import { assert } from "@effect/vitest"
import { nodeRow, poolRow, processRow, queueRow } from "./TruthRows.ts"
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

const BOOT = -50_000
const STALE = 300

/** A row of the host that has used so much of user time; nothing of the rest. */
const hostRow = (
  server: string,
  t: number,
  user: number,
  { since = BOOT, ...values }: Readonly<Record<string, number | null>> & { readonly since?: number | null } = {}
) =>
  nodeRow(
    server,
    t,
    { cpu_cores: 4, memory_total_bytes: 2 ** 33, cpu_user_seconds: user, cpu_system_seconds: 10, ...values },
    since === null ? {} : { since }
  )

const clocks: ReadonlyArray<Vector> = [
  {
    name: "a clock that is set forward before every scrape is no restart",
    rows: (s) => lived(s, { scrapes: 12, busy: 6, groups: { a: [9_000, 4.5], b: [3, 0.15] }, clock: (n) => 3 * n }),
    window: seconds(-1, 400),
    check: says({ groups: { a: [49.5, 25, 25], b: [1.65] }, covered: 198, unaccounted: 14.85 })
  },
  {
    name: "a clock that is set back before every scrape is no restart",
    rows: (s) => lived(s, { scrapes: 12, busy: 6, groups: { a: [9_000, 4.5], b: [3, 0.15] }, clock: (n) => -3 * n }),
    window: seconds(-1, 400),
    check: says({ groups: { a: [49.5, 37.5, 37.5], b: [1.65] }, covered: 132, unaccounted: 14.85 })
  },
  {
    name: "a clock that two fight over is no restart, and no more is told than the machine could do",
    rows: (s) =>
      lived(s, {
        scrapes: 30,
        busy: 60,
        groups: { a: [9_000, 45], b: [3, 15] },
        clock: (n) => (n % 3 === 0 ? 5 * n : n % 3 === 1 ? 0 : -7)
      }),
    window: seconds(-60, 900),
    check: (answer) => {
      assert.isAtMost(answer.rows[0]!.cpu_seconds as number, 4.2 * answer.coveredSeconds)
      assert.isAtMost(answer.rows[0]!.peak_cpu_percent as number, 420 + 1e-9)
      assert.isAtMost(totalOf(answer) + answer.unaccounted!.cpuSeconds, 4.2 * answer.coveredSeconds)
      assert.strictEqual(answer.resets, 0)
    }
  },
  {
    name: "a clock that is set forward twice is no restart",
    rows: (s) =>
      lived(s, {
        scrapes: 12,
        busy: 6,
        groups: { a: [9_000, 4.5] },
        clock: (n) => (n < 4 ? 0 : n < 5 ? 20 : 50)
      }),
    window: seconds(-1, 400),
    check: says({ groups: { a: [49.5, 30, 30] }, covered: 215, unaccounted: 16.5 })
  },
  {
    name: "beginnings that jitter by a second are the same",
    rows: (s) =>
      times(0, 150).flatMap((t) => [
        hostRow(s, t, 70 + t * 0.4, { since: BOOT + ((t / 15) % 3) - 1 }),
        processRow(s, t, "g", 5_000 + t * 0.3, { since: -900 + ((t / 15) % 2) })
      ]),
    window: seconds(-1, 150),
    check: says({ groups: { g: [45, 30, 30] }, covered: 150, unaccounted: 15 })
  },
  {
    name: "a beginning that moves on a little with each scrape stays the same",
    rows: (s) => times(0, 150).map((t) => processRow(s, t, "g", 5_000 + t * 0.3, { since: -900 + t / 10 })),
    window: seconds(-1, 150),
    check: says({ groups: { g: [45, 30, 30] }, covered: 150 })
  },
  {
    name: "a fall is a restart where beginnings differ by two seconds, and unknown where by more",
    rows: (s) => [
      processRow(s, 0, "a", 10, { since: -100 }),
      processRow(s, 15, "a", 4, { since: -98 }),
      processRow(s, 0, "b", 10, { since: -100 }),
      processRow(s, 15, "b", 4, { since: -97.999999 })
    ],
    window: seconds(-1, 15),
    check: says({ groups: { a: [4], b: [0, 0, 0] }, resets: 1, unknown: 1 })
  },
  {
    name: "counters that began with the scrape before did not restart, a microsecond later they did",
    rows: (s) => [
      processRow(s, 0, "a", 10, { since: -100 }),
      processRow(s, 15, "a", 12, { since: 0 }),
      processRow(s, 0, "b", 10, { since: -100 }),
      processRow(s, 15, "b", 12, { since: 0.000001 })
    ],
    window: seconds(-1, 15),
    check: says({ groups: { a: [2], b: [12] }, resets: 1 })
  },
  {
    name: "a clock that dates beginnings and is ahead of the rows shows one restart, and nothing below zero",
    rows: (s) => [
      ...cores(s),
      processRow(s, 0, "g", 10, { since: -100 }),
      processRow(s, 15, "g", 2, { since: 40 }),
      processRow(s, 30, "g", 3, { since: 40 }),
      processRow(s, 45, "g", 5, { since: 40 })
    ],
    window: seconds(-1, 45),
    check: says({ groups: { g: [5, (100 * 2) / 15, (100 * 2) / 15] }, resets: 1 })
  },
  {
    name: "counters that say they begin after their own row are limited by the time between the rows",
    rows: (s) => [...cores(s), processRow(s, 0, "g", 10, { since: -100 }), processRow(s, 15, "g", 100, { since: 20 })],
    window: seconds(-1, 15),
    check: says({ groups: { g: [63, 420, 420] }, resets: 1, clamped: 1 })
  },
  {
    name: "two restarts between two scrapes are one, and what the first had counted is lost",
    rows: (s) => [
      processRow(s, 0, "g", 100, { since: -500 }),
      processRow(s, 15, "g", 3, { since: 10 }),
      processRow(s, 30, "g", 6, { since: 10 })
    ],
    window: seconds(-1, 30),
    check: says({ groups: { g: [6, 20, 20] }, resets: 1 })
  },
  {
    name: "a restart hidden by a counter that has caught up, seen only by its beginning",
    rows: (s) => [
      ...cores(s),
      processRow(s, 0, "g", 1, { since: -500 }),
      processRow(s, 15, "g", 40, { since: 1 }),
      hostRow(s, 15, 40)
    ],
    window: seconds(-1, 15),
    check: says({ groups: { g: [40] }, resets: 1 })
  },
  {
    name: "a restart and a clock set forward at once are a restart",
    rows: (s) => [
      processRow(s, 0, "g", 100, { since: -500 }),
      processRow(s, 15, "g", 101, { since: -500 }),
      processRow(s, 60, "g", 2, { since: 55 }),
      processRow(s, 75, "g", 3, { since: 55 })
    ],
    window: seconds(-1, 75),
    check: says({ groups: { g: [4] }, covered: 75, resets: 1 })
  },
  {
    name: "a restart and a clock set back at once are unknown for a step, and known again after it",
    rows: (s) => [
      ...times(0, 120).map((t) => processRow(s, t, "g", 5_000 + t * 0.1, { since: -500 })),
      ...times(0, 60).map((t) => processRow(s, 78 + t, "g", 0.5 + t * 0.1, { since: 70 }))
    ],
    window: seconds(-1, 138),
    check: says({ groups: { g: [18] }, covered: 138, unknown: 1 })
  },
  {
    name: "a clock is set while a group is absent",
    rows: (s) => [
      ...times(0, 150).map((t) => processRow(s, t < 60 ? t : t + 40, "other", 9, { since: t < 60 ? -700 : -660 })),
      processRow(s, 0, "g", 50, { since: -700 }),
      processRow(s, 145, "g", 56, { since: -660 }),
      processRow(s, 160, "g", 59, { since: -660 })
    ],
    window: seconds(-1, 190),
    check: says({ groups: { g: [9, 20, 0], other: [0] }, covered: 190 })
  },
  {
    name: "a virtual machine is resumed after an hour: a hole, and no restart",
    rows: (s) => lived(s, { scrapes: 20, busy: 6, groups: { g: [9_000, 4.5] }, clock: (n) => (n < 10 ? 0 : 3_600) }),
    window: seconds(-1, 4_000),
    check: says({ groups: { g: [81, 30, 30] }, covered: 270, unaccounted: 27 })
  },
  {
    name: "a virtual machine is resumed, and its clock set some scrapes later",
    rows: (s) =>
      lived(s, { scrapes: 20, busy: 6, groups: { g: [9_000, 4.5] }, clock: (n) => (n < 10 ? 0 : n < 13 ? 7 : 207) }),
    window: seconds(-1, 600),
    check: says({ groups: { g: [85.5, 30, 30] }, covered: 492, unaccounted: 28.5 })
  },
  {
    name: "after a clock was set back a row is compared with the one of its own beginning, as far as that is not stale",
    rows: (s) => [
      processRow(s, 0, "g", 100, { since: -50 }),
      processRow(s, 200, "g", 500, { since: -500 }),
      processRow(s, STALE, "g", 130, { since: -50 }),
      processRow(s, STALE + 1, "g", 501, { since: -500 }),
      processRow(s, STALE + 201, "g", 160, { since: -50 }),
      processRow(s, STALE + 502, "g", 700, { since: -500 })
    ],
    window: seconds(-1, STALE + 502),
    // 400 after p, 30 after its own at 0, 1 after its own at 200, 30 after its own at 300; 700 has none that is not stale.
    check: says({ groups: { g: [400 + 30 + 1 + 30] }, covered: STALE + 201 })
  },
  {
    name: "a row whose own beginning was seen too long ago is compared with the one before it",
    rows: (s) => [
      processRow(s, 0, "g", 100, { since: -50 }),
      processRow(s, 200, "g", 500, { since: -500 }),
      processRow(s, 400, "g", 510, { since: -500 }),
      processRow(s, 450, "g", 520, { since: -50 })
    ],
    window: seconds(-1, 450),
    check: says({ groups: { g: [400 + 10 + 10] }, covered: 450 })
  },
  {
    name: "the limit of a row that has one of its own beginning is the time since the scrape before it",
    rows: (s) => [
      ...cores(s, 1),
      processRow(s, 0, "g", 100, { since: -500 }),
      processRow(s, 12, "g", 90, { since: -470 }),
      processRow(s, 15, "g", 115, { since: -500 })
    ],
    window: seconds(-1, 15),
    // 15 core-s since its own, but of these only 3 s had not been looked at.
    check: says({ groups: { g: [3.15, 21, 21] }, covered: 15, clamped: 1, unknown: 1 })
  },
  {
    name: "a row that is compared with the one before it of another clock is limited by the time between them",
    rows: (s) => [
      ...cores(s, 1),
      ...idle(s, [0, 20, 40], -500),
      processRow(s, 0, "g", 100, { since: -500 }),
      processRow(s, 40, "g", 135, { since: -470 })
    ],
    window: seconds(-1, 40),
    check: says({ groups: { g: [35, 87.5, 87.5] }, covered: 40 })
  },
  {
    name: "an exporter that does not say when it began has restarted where its counter fell",
    rows: (s) => [
      processRow(s, 0, "a", 10, { since: -100 }),
      processRow(s, 15, "a", 4),
      processRow(s, 0, "b", 10),
      processRow(s, 15, "b", 4, { since: 2 }),
      processRow(s, 0, "c", 10, { since: -100 }),
      processRow(s, 15, "c", 14)
    ],
    window: seconds(-1, 15),
    check: says({ groups: { a: [4], b: [4], c: [4] }, resets: 2 })
  },
  {
    name: "a group of processes that falls by little has restarted: it is no sum that the kernel corrects",
    rows: (s) =>
      seriesSince(s, -100, [
        [0, 2],
        [15, 0.5]
      ]),
    window: seconds(-1, 15),
    check: says({ groups: { g: [0.5] }, resets: 1 })
  },
  {
    name: "a group that its exporter forgets and begins again has restarted, with the same beginning",
    rows: (s) =>
      seriesSince(s, -100, [
        [0, 10],
        [15, 12],
        [30, 1],
        [45, 2]
      ]),
    window: seconds(-1, 45),
    check: cpu({ total: 4, covered: 45, average: 400 / 45, resets: 1 })
  }
]

const appearing: ReadonlyArray<Vector> = [
  {
    name: "a burner of 75 s is told with all that it used",
    rows: (s) => [
      ...idle(s, times(0, 180), -100),
      ...seriesSince(s, -100, [
        [30, 4.3],
        [45, 7.1],
        [60, 9.8],
        [75, 12.2],
        [90, 14]
      ])
    ],
    window: seconds(-1, 180),
    check: says({ groups: { g: [14, 430 / 15, 0] }, covered: 180 })
  },
  {
    name: "a process that is seen once is told with what it had used by then",
    rows: (s) => [...idle(s, times(0, 60), -100), ...seriesSince(s, -100, [[30, 0.81]], "dpkg-deb")],
    window: seconds(-1, 60),
    check: says({ groups: { "dpkg-deb": [0.81, 5.4, 0] } })
  },
  {
    name: "a first row counts where the counters began with the scrape before, not where a microsecond later",
    rows: (s) => [
      ...idle(s, times(0, 30)),
      ...seriesSince(s, 15, [[30, 6]], "a"),
      ...seriesSince(s, 15.000001, [[30, 6]], "b")
    ],
    window: seconds(-1, 30),
    check: says({ groups: { a: [6, 40], b: [0, 0] } })
  },
  {
    name: "a first row counts where the scrape before is staleAfter older, not where it is more",
    rows: (s) => [
      ...idle(s, [0, STALE, 2 * STALE + 1], -100),
      ...seriesSince(s, -100, [[STALE, 6]], "a"),
      ...seriesSince(s, -100, [[2 * STALE + 1, 6]], "b")
    ],
    window: seconds(-1, 2 * STALE + 1),
    check: says({ groups: { a: [6, 2], b: [0, 0] }, covered: STALE })
  },
  {
    name: "the first scrape ever says nothing about increases, whatever it knows",
    rows: (s) => seriesSince(s, -100, [[0, 5_000]]),
    window: seconds(-60, 1),
    check: says({ groups: { g: [0, 0, 0] }, covered: 0 })
  },
  {
    name: "a group that was seen since its counters began has no first row again, at the very beginning either",
    rows: (s) => [
      ...idle(s, times(0, 600)),
      ...seriesSince(
        s,
        15,
        [
          [15, 1],
          [600, 6]
        ],
        "a"
      ),
      ...seriesSince(s, 15, [[600, 6]], "b"),
      // Seen before its counters began: that was another life of it.
      ...seriesSince(s, -400, [[0, 3]], "c"),
      ...seriesSince(s, 15, [[600, 6]], "c")
    ],
    window: seconds(-1, 600),
    check: says({ groups: { a: [0], b: [6], c: [6] }, covered: 600 })
  },
  {
    name: "a group that was seen before its clock was set has no first row again, as far as its counters had begun by then",
    rows: (s) => [
      ...idle(s, times(0, 1_200)),
      ...seriesSince(
        s,
        -10,
        [
          [0, 1],
          [60, 4]
        ],
        "a"
      ),
      ...seriesSince(s, 20, [[1_200, 9]], "a"),
      // Who began after it was seen the last time might as well have restarted.
      ...seriesSince(s, -10, [[0, 1]], "b"),
      ...seriesSince(s, 20, [[1_200, 9]], "b")
    ],
    window: seconds(-1, 1_200),
    check: says({ groups: { a: [3, 5, 0], b: [9] } })
  },
  {
    name: "a row counts as seen whether or not it says when its counters began",
    rows: (s) => [
      ...idle(s, times(0, 600)),
      processRow(s, 0, "a", 1),
      processRow(s, 600, "a", 9, { since: -10 }),
      processRow(s, 15, "b", 1, { since: 15.5 }),
      processRow(s, 600, "b", 9, { since: 14 })
    ],
    window: seconds(-1, 600),
    check: says({ groups: { a: [0], b: [0] } })
  },
  {
    name: "a first row is no restart, and cannot exceed what the machine could do since the scrape before",
    rows: (s) => [...cores(s), ...idle(s, times(0, 30), -100), ...seriesSince(s, -100, [[30, 100]])],
    window: seconds(-1, 30),
    check: says({ groups: { g: [63, 420, 420] }, clamped: 1 })
  },
  {
    name: "groups of an exporter that does not begin at zero have no increase at first",
    exporter: "pool_exporter",
    metric: "work",
    rows: (s) => [
      ...times(0, 45).map((t) => poolRow(s, t, "other", 7, { since: -100 })),
      poolRow(s, 30, "g", 6, { since: -100 }),
      poolRow(s, 45, "g", 9, { since: -100 })
    ],
    window: seconds(-1, 45),
    check: says({ groups: { g: [3] } }, "work")
  },
  {
    name: "a group returns within staleAfter: what it used meanwhile is its increase",
    rows: (s) => [
      ...idle(s, times(0, 60), -100),
      ...seriesSince(s, -100, [
        [0, 1],
        [45, 10]
      ])
    ],
    window: seconds(-1, 60),
    check: says({ groups: { g: [9, 20, 0] } })
  },
  {
    name: "a window that begins between two scrapes has a first row in full",
    rows: (s) => [
      ...idle(s, times(0, 45), -100),
      ...seriesSince(s, -100, [
        [30, 6],
        [45, 9]
      ])
    ],
    window: seconds(29, 31),
    check: says({ groups: { g: [6, 40, 40] }, covered: 15 })
  }
]

const sums: ReadonlyArray<Vector> = [
  {
    name: "what a sum is over changes and changes back: both steps are unknown",
    exporter: "pool_exporter",
    metric: "work",
    rows: (s) =>
      [
        [100, 1],
        [103, 1],
        [109, 2],
        [110, 2],
        [120, 1],
        [121, 1]
      ].map(([work, members], n) => poolRow(s, 15 * n, "g", work!, { members, since: BOOT })),
    window: seconds(-1, 75),
    check: says({ groups: { g: [5, 0.2, 1 / 15] }, unknown: 2 }, "work")
  },
  {
    name: "a row that does not say what it sums up is compared as if nothing had changed",
    exporter: "pool_exporter",
    metric: "work",
    rows: (s) =>
      [
        [100, 1],
        [103, undefined],
        [105, 2],
        [106, 2],
        [50, undefined],
        [52, undefined]
      ].map(([work, members], n) => poolRow(s, 15 * n, "g", work!, { members, since: BOOT })),
    window: seconds(-1, 75),
    check: says({ groups: { g: [3 + 2 + 1 + 2] }, unknown: 1 }, "work")
  },
  {
    name: "a sum that fell is unknown where it reaches what it was, and known below and above",
    exporter: "pool_exporter",
    metric: "work",
    rows: (s) => [100, 60, 99, 100, 130].map((work, n) => poolRow(s, 15 * n, "g", work, { since: BOOT })),
    window: seconds(-1, 60),
    check: says({ groups: { g: [39 + 30] }, unknown: 2 }, "work")
  },
  {
    name: "a sum that fell twice is unknown where it reaches either level",
    exporter: "pool_exporter",
    metric: "work",
    rows: (s) => [100, 60, 20, 65, 70, 101, 102].map((work, n) => poolRow(s, 15 * n, "g", work, { since: BOOT })),
    window: seconds(-1, 90),
    check: says({ groups: { g: [5 + 1] }, unknown: 4 }, "work")
  },
  {
    name: "a sum that comes back within staleAfter of its fall is unknown, later it has grown",
    exporter: "pool_exporter",
    metric: "work",
    rows: (s) => [
      ...[
        [0, 100],
        [1, 60],
        [200, 61],
        [STALE + 1, 110],
        [STALE + 2, 111]
      ].map(([t, work]) => poolRow(s, t!, "a", work!, { since: BOOT })),
      ...[
        [0, 100],
        [1, 60],
        [200, 61],
        [STALE + 1.000001, 110]
      ].map(([t, work]) => poolRow(s, t!, "b", work!, { since: BOOT }))
    ],
    window: seconds(-1, STALE + 2),
    check: says({ groups: { a: [2], b: [50] }, unknown: 3 }, "work")
  },
  {
    name: "only what fell for no reason that is told comes back",
    exporter: "pool_exporter",
    metric: "work",
    rows: (s) => [
      poolRow(s, 0, "a", 100, { members: 1, since: BOOT }),
      poolRow(s, 15, "a", 60, { members: 2, since: BOOT }),
      poolRow(s, 30, "a", 110, { since: BOOT }),
      poolRow(s, 0, "b", 100, { since: BOOT }),
      poolRow(s, 15, "b", 60, { since: BOOT + 5 }),
      poolRow(s, 30, "b", 110, { since: BOOT + 5 })
    ],
    window: seconds(-1, 30),
    check: says({ groups: { a: [50], b: [50] }, unknown: 2 }, "work")
  },
  {
    name: "a sum that fell, and was above again for a reason that is told, has not come back after it",
    exporter: "pool_exporter",
    metric: "work",
    rows: (s) => [
      poolRow(s, 0, "a", 100, { members: 1, since: BOOT }),
      poolRow(s, 15, "a", 60, { members: 1, since: BOOT }),
      poolRow(s, 30, "a", 200, { members: 2, since: BOOT }),
      poolRow(s, 45, "a", 207, { members: 2, since: BOOT }),
      poolRow(s, 0, "b", 100, { since: BOOT }),
      poolRow(s, 15, "b", 60, { since: BOOT }),
      poolRow(s, 30, "b", 120, { since: BOOT + 5 }),
      poolRow(s, 45, "b", 127, { since: BOOT + 5 }),
      ...[100, 60, null, 150, 157].map((work, n) => poolRow(s, 15 * n, "c", work, { since: BOOT }))
    ],
    window: seconds(-1, 60),
    check: says({ groups: { a: [7], b: [60 + 7], c: [7] }, unknown: 4 }, "work")
  },
  {
    name: "a sum that fell and then began anew grows from zero",
    exporter: "pool_exporter",
    metric: "work",
    rows: (s) => [
      poolRow(s, 0, "g", 100, { since: BOOT }),
      poolRow(s, 15, "g", 60, { since: BOOT }),
      poolRow(s, 30, "g", 90, { since: 20 }),
      poolRow(s, 45, "g", 105, { since: 20 }),
      // Where only a fall shows it, and where the value is missing just then, too.
      poolRow(s, 0, "f", 100, { since: BOOT }),
      poolRow(s, 15, "f", 60, { since: BOOT }),
      poolRow(s, 30, "f", 10),
      poolRow(s, 45, "f", 40),
      poolRow(s, 60, "f", 105),
      poolRow(s, 0, "h", 100, { since: BOOT }),
      poolRow(s, 15, "h", 60, { since: BOOT }),
      poolRow(s, 30, "h", null, { since: 20 }),
      poolRow(s, 45, "h", 90, { since: 20 }),
      poolRow(s, 60, "h", 120, { since: 20 })
    ],
    window: seconds(-1, 60),
    check: says({ groups: { f: [10 + 30 + 65], g: [90 + 15], h: [30] }, resets: 2, unknown: 3 }, "work")
  },
  {
    name: "a sum over other things after a restart is what it says",
    exporter: "pool_exporter",
    metric: "work",
    rows: (s) => [
      poolRow(s, 0, "g", 100, { members: 1, since: BOOT }),
      poolRow(s, 15, "g", 5, { members: 2, since: 10 })
    ],
    window: seconds(-1, 15),
    check: says({ groups: { g: [5] }, resets: 1 }, "work")
  },
  {
    name: "a clock is set while what a sum is over changes: unknown",
    exporter: "pool_exporter",
    metric: "work",
    rows: (s) => [
      poolRow(s, 0, "g", 100, { members: 1, since: BOOT }),
      poolRow(s, 45, "g", 105, { members: 2, since: BOOT + 30 }),
      poolRow(s, 60, "g", 106, { members: 2, since: BOOT + 30 })
    ],
    window: seconds(-1, 60),
    check: says({ groups: { g: [1] }, unknown: 1 }, "work")
  },
  {
    name: "a sum that falls where nobody knows when it began has restarted",
    exporter: "pool_exporter",
    metric: "work",
    rows: (s) => [
      poolRow(s, 0, "g", 100),
      poolRow(s, 15, "g", 60, { since: BOOT }),
      poolRow(s, 30, "g", 100, { since: BOOT })
    ],
    window: seconds(-1, 30),
    check: says({ groups: { g: [60 + 40] }, resets: 1 }, "work")
  },
  {
    name: "a value that is missing says nothing, and is not counted as unknown",
    exporter: "pool_exporter",
    metric: "work",
    rows: (s) => [
      poolRow(s, 0, "g", 100, { members: 1, since: BOOT }),
      poolRow(s, 15, "g", null, { members: 2, since: BOOT }),
      poolRow(s, 30, "g", 60, { members: 3, since: BOOT }),
      poolRow(s, 45, "g", 64, { members: 3, since: BOOT })
    ],
    window: seconds(-1, 45),
    check: says({ groups: { g: [4] } }, "work")
  },
  {
    name: "two label sets of one group are summed, and each has a past of its own",
    exporter: "queue_exporter",
    metric: "jobs",
    rows: (s) => [
      queueRow(s, 0, ["n1", "g"], 100),
      queueRow(s, 0, ["n2", "g"], 500),
      queueRow(s, 15, ["n1", "g"], 110),
      queueRow(s, 15, ["n2", "g"], 520),
      queueRow(s, 30, ["n1", "g"], 3),
      queueRow(s, 30, ["n2", "g"], 520)
    ],
    window: seconds(-1, 30),
    check: says({ groups: { g: [33, 2, 0.2] }, resets: 1 }, "jobs")
  },
  {
    name: "the kernel takes less than 3 s of CPU back: 0, and from 3 s on it is unknown",
    rows: (s) => [
      ...[700, 697.5, 698, 695, 696].map((user, n) => hostRow(s, 15 * n, user)),
      ...series(
        s,
        [0, 15, 30, 45, 60].map((t) => [t, 1])
      )
    ],
    window: seconds(-1, 60),
    check: says({ unaccounted: 0.5 + 1, unknown: 1 })
  },
  {
    name: "the host's counters fall and nobody knows when they began: less than 3 s is 0, else it has restarted",
    rows: (s) => [
      ...[700, 697.5, 698, 10, 12].map((user, n) => hostRow(s, 15 * n, user, { since: null })),
      ...series(
        s,
        [0, 15, 30, 45, 60].map((t) => [t, 1])
      )
    ],
    window: seconds(-1, 60),
    check: says({ unaccounted: 0.5 + 10 + 2 })
  },
  {
    name: "a disk's busy time that falls by less than 3 s is unknown all the same",
    rows: (s) => [
      ...[700, 699, 701, 702, 703].map((busy, n) => hostRow(s, 15 * n, 5, { disk_io_time_seconds_total: busy })),
      ...series(
        s,
        [0, 15, 30, 45, 60].map((t) => [t, 1])
      )
    ],
    window: seconds(-1, 60),
    check: says({ unaccounted: 0 }),
    history: {
      exporter: "node_exporter",
      points: 100,
      stepSeconds: 30,
      // Unknown; it is back at 30, so only what it grew to 45 is known, one step of two; and to 60.
      check: ({ series }) => {
        const [one, two, three] = series.disk_io_time_seconds_per_second!
        assert.isNull(one)
        assert.isNull(two)
        near(three, 1 / 15, "the last")
      }
    }
  },
  {
    name: "a disk goes: no bytes are invented",
    rows: (s) => [
      ...times(0, 120).map((t) =>
        hostRow(s, t, 5, {
          disk_read_bytes_total: t < 60 ? 2e12 + t * 1e6 : t * 1e6,
          disk_reads_completed_total: t < 60 ? 2e6 + t : t,
          disk_set: t < 60 ? 77 : 78
        })
      ),
      ...series(s, [
        [0, 1],
        [120, 1]
      ])
    ],
    window: seconds(-1, 120),
    check: says({ groups: { g: [0] } }),
    history: {
      exporter: "node_exporter",
      points: 100,
      stepSeconds: 30,
      check: ({ series }) => {
        for (const value of series.disk_read_bytes_per_second!)
          assert.isTrue(value === null || (value >= 0 && value <= 1e6 + 1), `${value}`)
        for (const value of series.disk_reads_completed_per_second!)
          assert.isTrue(value === null || (value >= 0 && value <= 1 + 1e-9), `${value}`)
      }
    }
  },
  {
    name: "CPUs go while the host's exporter is silent",
    rows: (s) => [
      ...[0, 15, 30].map((t) => hostRow(s, t, 800 + t * 0.2, { cpu_cores: 8, cpu_set: 1 })),
      ...[150, 165].map((t) => hostRow(s, t, 400 + t * 0.2, { cpu_cores: 4, cpu_set: 2 })),
      ...series(
        s,
        times(0, 165).map((t) => [t, t * 0.1])
      )
    ],
    window: seconds(-1, 165),
    check: says({ groups: { g: [16.5] }, unknown: 1, unaccounted: 6 + 3 - 16.5 })
  },
  {
    name: "CPUs go while the host's exporter is silent for so long that nobody asks",
    rows: (s) => [
      ...[0, 15].map((t) => hostRow(s, t, 800 + t * 0.2, { cpu_cores: 8, cpu_set: 1 })),
      ...[600, 615].map((t) => hostRow(s, t, 400 + t * 0.2, { cpu_cores: 4, cpu_set: 2 })),
      ...series(
        s,
        times(0, 615).map((t) => [t, t * 0.1])
      )
    ],
    window: seconds(-1, 615),
    check: says({ groups: { g: [61.5] }, unaccounted: 3 + 3 - 61.5 })
  },
  {
    name: "one column of the host is unknown: so is the step, once",
    rows: (s) => [
      hostRow(s, 0, 100, { cpu_system_seconds: 50 }),
      hostRow(s, 15, 110, { cpu_system_seconds: 20 }),
      hostRow(s, 30, 60, { cpu_system_seconds: 10 }),
      hostRow(s, 45, 61, { cpu_system_seconds: 11 }),
      ...series(s, [
        [0, 1],
        [15, 1],
        [30, 1],
        [45, 1]
      ])
    ],
    window: seconds(-1, 45),
    check: says({ unknown: 2, unaccounted: 2 })
  },
  {
    name: "one column of the host is missing: the others are its busy time",
    rows: (s) => [
      hostRow(s, 0, 100, { cpu_system_seconds: null }),
      hostRow(s, 15, 110, { cpu_system_seconds: 20 }),
      hostRow(s, 30, 115, { cpu_system_seconds: 21 }),
      ...series(s, [
        [0, 1],
        [15, 1],
        [30, 1]
      ])
    ],
    window: seconds(-1, 30),
    check: says({ unaccounted: 10 + 6 })
  },
  {
    name: "an unknown step of the host is told where no group was looked at, too",
    rows: (s) => [
      hostRow(s, 0, 100),
      hostRow(s, 15, 103),
      hostRow(s, 30, 106),
      hostRow(s, 45, 60),
      ...series(s, [
        [0, 1],
        [15, 1],
        [30, 1]
      ])
    ],
    window: seconds(-1, 45),
    check: says({ unknown: 1, unaccounted: 6 })
  },
  {
    name: "CPUs that come and go are nothing to an exporter that uses no CPU of the host",
    exporter: "queue_exporter",
    metric: "jobs",
    rows: (s) => [
      hostRow(s, 0, 100),
      hostRow(s, 15, 10),
      queueRow(s, 0, ["n", "g"], 1),
      queueRow(s, 15, ["n", "g"], 4)
    ],
    window: seconds(-1, 15),
    check: says({ groups: { g: [3] }, unaccounted: null }, "jobs")
  }
]

const physics: ReadonlyArray<Vector> = [
  {
    name: "exactly what the machine can do is believed, a microsecond of CPU more is cut",
    rows: (s) => [
      ...cores(s),
      ...series(
        s,
        [
          [0, 0],
          [15, 63]
        ],
        "a"
      ),
      ...series(
        s,
        [
          [0, 0],
          [15, 63.000001]
        ],
        "b"
      )
    ],
    window: seconds(-1, 15),
    check: says({ groups: { a: [63, 420], b: [63, 420] }, clamped: 1 })
  },
  {
    name: "counters that began after the row before hold at most what could be used since",
    rows: (s) => [...cores(s), processRow(s, 0, "g", 10, { since: -100 }), processRow(s, 15, "g", 100, { since: 10 })],
    window: seconds(-1, 15),
    check: says({ groups: { g: [21, 140, 140] }, resets: 1, clamped: 1 })
  },
  {
    name: "counters that began after the row before, and after it by the sender's clock, hold nothing",
    rows: (s) => [...cores(s), processRow(s, 0, "g", 10, { since: -100 }), processRow(s, 15, "g", 100, { since: 15 })],
    window: seconds(-1, 15),
    check: says({ groups: { g: [0, 0, 0] }, resets: 1, clamped: 1 })
  },
  {
    name: "a restart that does not say when is limited by the time between the rows",
    rows: (s) => [
      ...cores(s),
      ...series(s, [
        [0, 1_000],
        [15, 100]
      ])
    ],
    window: seconds(-1, 15),
    check: says({ groups: { g: [63, 420, 420] }, resets: 1, clamped: 1 })
  },
  {
    name: "no counter of the host's CPU is faster than its cores, nor all together",
    rows: (s) => [
      hostRow(s, 0, 100, { cpu_idle_seconds: 5_000, cpu_iowait_seconds: 5, cpu_steal_seconds: 5 }),
      hostRow(s, 15, 1_100, {
        cpu_system_seconds: 50,
        cpu_idle_seconds: 6_000,
        cpu_iowait_seconds: 905,
        cpu_steal_seconds: 905
      }),
      hostRow(s, 30, 1_140, {
        cpu_system_seconds: 90,
        cpu_idle_seconds: 6_001,
        cpu_iowait_seconds: 906,
        cpu_steal_seconds: 906
      }),
      ...series(s, [
        [0, 1],
        [15, 1],
        [30, 1]
      ])
    ],
    window: seconds(-1, 30),
    check: says({ unaccounted: 63 + 63 }),
    history: {
      exporter: "node_exporter",
      points: 100,
      stepSeconds: 30,
      check: ({ series }) => {
        for (const mode of ["user", "system", "idle", "iowait", "steal"]) {
          for (const rate of series[`cpu_${mode}_seconds_per_second`]!)
            assert.isTrue(rate === null || (rate >= 0 && rate <= 4.2 + 1e-9), `${mode} ${rate}`)
        }
        near(series.cpu_iowait_seconds_per_second![0], 4.2, "iowait")
        near(series.cpu_steal_seconds_per_second![0], 4.2, "steal")
        near(series.cpu_idle_seconds_per_second![0], 4.2, "idle")
      }
    }
  },
  {
    name: "the host restarts: its counters hold at most what could be used since",
    rows: (s) => [
      hostRow(s, 0, 100),
      hostRow(s, 15, 50, { since: 5, cpu_system_seconds: 0 }),
      hostRow(s, 30, 52, { since: 5, cpu_system_seconds: 0 }),
      ...series(s, [
        [0, 1],
        [15, 1],
        [30, 1]
      ])
    ],
    window: seconds(-1, 30),
    check: says({ unaccounted: 42 + 2 })
  },
  {
    name: "the host restarts: all its counters together hold at most what could be used since",
    rows: (s) => [
      hostRow(s, 0, 100),
      hostRow(s, 15, 30, { since: 5, cpu_system_seconds: 30 }),
      hostRow(s, 30, 32, { since: 5, cpu_system_seconds: 30 }),
      ...series(s, [
        [0, 1],
        [15, 1],
        [30, 1]
      ])
    ],
    window: seconds(-1, 30),
    check: says({ unaccounted: 42 + 2 })
  },
  {
    name: "the limit is that of the cores at the increase's own moment",
    rows: (s) => [
      hostRow(s, 20, 5, { cpu_cores: 2, cpu_set: 1 }),
      hostRow(s, 40, 5, { cpu_cores: 8, cpu_set: 2 }),
      ...series(s, [
        [0, 0],
        [15, 100],
        [30, 200],
        [45, 300]
      ])
    ],
    window: seconds(-1, 45),
    // Before the host's first row its first cores hold.
    check: says({ groups: { g: [31.5 + 31.5 + 100] }, clamped: 2, unknown: 1 })
  },
  {
    name: "cores that were told long ago hold until others are",
    rows: (s) => [
      hostRow(s, -5_000, 5, { cpu_cores: 2 }),
      hostRow(s, 30, 5, { cpu_cores: 8 }),
      ...series(s, [
        [0, 0],
        [15, 100]
      ])
    ],
    window: seconds(-1, 15),
    check: says({ groups: { g: [31.5] }, clamped: 1 })
  },
  {
    name: "cores that were first told after the window hold in it, too",
    rows: (s) => [
      hostRow(s, 600, 5, { cpu_cores: 2 }),
      ...series(s, [
        [0, 0],
        [15, 100]
      ])
    ],
    window: seconds(-1, 15),
    check: says({ groups: { g: [31.5] }, clamped: 1 })
  },
  {
    name: "a row that does not know the cores does not hide those of the one before it",
    rows: (s) => [
      hostRow(s, 0, 5, { cpu_cores: 2 }),
      hostRow(s, 10, 5, { cpu_cores: null }),
      ...series(s, [
        [0, 0],
        [15, 100]
      ])
    ],
    window: seconds(-1, 15),
    check: says({ groups: { g: [31.5] }, clamped: 1 })
  },
  {
    name: "where nobody knows the cores nothing is cut",
    rows: (s) => [
      hostRow(s, 0, 5, { cpu_cores: null }),
      ...series(s, [
        [0, 0],
        [15, 1_000]
      ])
    ],
    window: seconds(-1, 15),
    check: says({ groups: { g: [1_000] } })
  }
]

const silence: ReadonlyArray<Vector> = [
  {
    name: "the host counts by the share of its interval in which the groups were looked at",
    rows: (s) => [
      ...[0, 60, 120].map((t) => hostRow(s, t, t * 2)),
      ...series(
        s,
        [10, 25, 40, 55, 70, 85].map((t) => [t, t])
      )
    ],
    // Looked at from 10 to 85: 50 s of the first minute, 25 s of the second.
    window: seconds(-1, 120),
    check: says({ groups: { g: [75] }, covered: 75, unaccounted: 100 + 50 - 75 })
  },
  {
    name: "what covers the host may end after the window",
    rows: (s) => [
      ...[0, 60, 120].map((t) => hostRow(s, t, t * 2)),
      ...series(
        s,
        [10, 25, 40, 55, 70, 85].map((t) => [t, t])
      )
    ],
    window: seconds(-1, 60),
    check: says({ groups: { g: [45] }, covered: 45, unaccounted: 100 - 45 })
  },
  {
    name: "what covers the host may begin before the window",
    rows: (s) => [
      ...[0, 60, 120].map((t) => hostRow(s, t, t * 2)),
      ...series(
        s,
        [10, 25, 40, 55, 70, 85].map((t) => [t, t])
      )
    ],
    window: seconds(60, 120),
    check: says({ groups: { g: [30] }, covered: 30, unaccounted: 50 - 30 })
  },
  {
    name: "a hole in the groups is nothing that the host and they both saw",
    rows: (s) => [
      ...times(0, 900).map((t) => hostRow(s, t, t * 2)),
      ...series(
        s,
        [0, 15, 30, 630, 645].map((t) => [t, t])
      )
    ],
    window: seconds(-1, 900),
    check: says({ groups: { g: [45] }, covered: 45, unaccounted: 90 - 45 })
  },
  {
    name: "a hole in the host is nothing that it and the groups both saw, but what groups did there is theirs",
    rows: (s) => [
      ...[0, 15, 30, 630, 645].map((t) => hostRow(s, t, t * 2)),
      ...series(
        s,
        times(0, 645).map((t) => [t, t])
      )
    ],
    window: seconds(-1, 645),
    check: says({ groups: { g: [645] }, covered: 645, unaccounted: 90 - 645 })
  },
  {
    name: "where host and groups were never looked at together nothing is said",
    rows: (s) => [
      ...[0, 15, 30].map((t) => hostRow(s, t, t * 2)),
      ...series(
        s,
        [30, 45, 60].map((t) => [t, t])
      )
    ],
    window: seconds(-1, 60),
    check: says({ groups: { g: [30] }, covered: 30, unaccounted: null })
  },
  {
    name: "one scrape of the groups has seen nothing together with the host",
    rows: (s) => [...[0, 15, 30].map((t) => hostRow(s, t, t * 2)), ...series(s, [[20, 5]])],
    window: seconds(-1, 60),
    check: says({ groups: { g: [0] }, covered: 0, unaccounted: null })
  },
  {
    name: "where all that the host did is unknown nothing is said",
    rows: (s) => [
      hostRow(s, 0, 90),
      hostRow(s, 15, 10),
      ...series(s, [
        [0, 1],
        [15, 2]
      ])
    ],
    window: seconds(-1, 15),
    check: says({ groups: { g: [1] }, unknown: 1, unaccounted: null })
  },
  {
    name: "a step of the host between two clocks is as long as nobody had looked at the host",
    rows: (s) => [
      hostRow(s, 0, 100, { since: BOOT }),
      hostRow(s, 20, 90, { since: BOOT - 30 }),
      hostRow(s, 60, 160, { since: BOOT }),
      ...series(
        s,
        [30, 45, 60].map((t) => [t, t])
      )
    ],
    window: seconds(-1, 60),
    // 60 core-s in the 40 s after 20, of which 30 s were covered.
    check: says({ groups: { g: [30] }, unknown: 1, unaccounted: 45 - 30 })
  },
  {
    name: "groups that seem to use more than the host are not cut off",
    rows: (s) => [
      ...[0, 15, 30].map((t) => hostRow(s, t, t)),
      ...series(
        s,
        [0, 15, 30].map((t) => [t, t * 1.1])
      )
    ],
    window: seconds(-1, 30),
    check: says({ groups: { g: [33] }, unaccounted: -3 })
  },
  {
    name: "groups that are not listed are accounted for, too",
    rows: (s) => [
      ...[0, 15, 30].map((t) => hostRow(s, t, t * 3)),
      ...Array.from({ length: 15 }, (_, n) =>
        series(
          s,
          [0, 15, 30].map((t) => [t, (t * (n + 1)) / 60]),
          `g${n}`
        )
      ).flat()
    ],
    window: seconds(-1, 30),
    check: (answer) => {
      assert.strictEqual(answer.other.groups, 5)
      near(totalOf(answer), 60, "all groups")
      says({ unaccounted: 30 })(answer)
    }
  },
  {
    name: "the host's clock is set with that of the groups, and what is between counts once",
    rows: (s) =>
      times(0, 225).flatMap((t) => {
        const n = t / 15
        const clock = n > 8 ? -57 : 0
        return [
          hostRow(s, t + clock, 500 + t * 0.2, { since: BOOT + clock }),
          processRow(s, t + clock, "g", 70 + t * 0.1, { since: -900 + clock })
        ]
      }),
    window: seconds(-1, 300),
    check: says({ groups: { g: [27] }, covered: 168, unaccounted: 27 })
  }
]

export const badDays: ReadonlyArray<Vector> = [...clocks, ...appearing, ...sums, ...physics, ...silence]
