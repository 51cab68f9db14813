/**
 * Rows that come late change what was rolled up: their own bucket, and those whose numbers rest on them. Before and after each
 * pass every answer is that of the reference computation on the rows that have come by then.
 *
 * Buckets of five minutes end 113 s after `EPOCH`, and every 300 s from there.
 */
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Result } from "effect"
import { makeRegistry, Registry } from "../src/plugins/Registry.ts"
import type { Snapshot } from "../src/plugins/Snapshot.ts"
import { stepMicros } from "../src/query/History.ts"
import { Rankings } from "../src/query/Rankings.ts"
import * as RankingsPostgres from "../src/query/RankingsPostgres.ts"
import { Rollups } from "../src/sinks/rollups/Rollups.ts"
import * as SnapshotRowsPostgres from "../src/sinks/storage/SnapshotRowsPostgres.ts"
import { makeStandingClock } from "./StandingClock.ts"
import * as TestDatabase from "./TestDatabase.ts"
import { truthHistory, truthTop } from "./Truth.ts"
import { EPOCH, exporters, nodeRow, poolRow, processRow, SECOND, store } from "./TruthRows.ts"
import { same } from "./TruthSame.ts"
import { cores, idle, lived, seconds, seriesSince, times } from "./TruthVector.ts"

const live = Layer.mergeAll(RankingsPostgres.layer, SnapshotRowsPostgres.layer, Rollups.layer).pipe(
  Layer.provideMerge(Layer.succeed(Registry, Result.getOrThrow(makeRegistry({ exporters })))),
  Layer.provideMerge(TestDatabase.layerWith({ exporters }))
)
const { set, stood } = makeStandingClock()

interface Case {
  readonly name: string
  /** What is rolled up first, and what comes late, in turn. */
  readonly rows: (server: string) => ReadonlyArray<ReadonlyArray<Snapshot>>
}

const BUCKET = 113
const OLD = { since: -100 }

/** A host that is 160 % busy. */
const busy = (server: string, at: ReadonlyArray<number>, values: Readonly<Record<string, number>> = {}) =>
  at.map((t) =>
    nodeRow(
      server,
      t,
      {
        cpu_cores: 4,
        memory_total_bytes: 2 ** 33,
        cpu_user_seconds: 50_000 + t * 1.2,
        cpu_system_seconds: 9_000 + t * 0.4,
        ...values
      },
      { since: -90_000 }
    )
  )
const working = (server: string, at: ReadonlyArray<number>) =>
  at.map((t) => processRow(server, t, "g", 7_000 + t * 1.4, OLD))

const groups: ReadonlyArray<Case> = [
  {
    name: "a first row that is the first no longer",
    rows: (s) => [
      [...idle(s, times(0, 1_800)), ...seriesSince(s, -100, [[1_500, 50]])],
      [processRow(s, 600, "g", 20, OLD)],
      [processRow(s, 90, "g", 5, OLD)],
      [processRow(s, 1_485, "g", 45, OLD)]
    ]
  },
  {
    name: "a first row whose scrape before comes after it",
    rows: (s) => [
      [...idle(s, times(0, 900)), ...idle(s, times(1_515, 1_800)), processRow(s, 1_515, "g", 50, OLD)],
      [processRow(s, 1_500, "other", 0)],
      [processRow(s, 1_350, "other", 0)]
    ]
  },
  {
    name: "a first row whose counters began after the scrape before, until another scrape comes",
    rows: (s) => [
      [...idle(s, times(0, 300)), processRow(s, 420, "g", 6, { since: 310 }), ...idle(s, times(420, 900))],
      [processRow(s, 405, "other", 0)]
    ]
  },
  {
    name: "a first row that was cut, and is cut shorter by a scrape of another group",
    rows: (s) => [
      [...cores(s), ...idle(s, [0, 200, 420, 435]), processRow(s, 420, "g", 900, OLD)],
      [processRow(s, 410, "other", 0)],
      [processRow(s, 415, "other", 0)]
    ]
  },
  {
    name: "a row between two of a group, across the end of a bucket",
    rows: (s) => [
      [
        ...idle(s, times(0, 900)),
        ...seriesSince(s, -100, [
          [0, 1],
          [390, 40],
          [450, 42]
        ])
      ],
      [processRow(s, BUCKET + 300, "g", 41.5, OLD)],
      [processRow(s, 200, "g", 3, OLD)]
    ]
  },
  {
    name: "a restart that shows only when the row of it comes",
    rows: (s) => [
      [
        ...idle(s, times(0, 900)),
        ...seriesSince(s, -100, [
          [0, 100],
          [390, 110]
        ]),
        processRow(s, 450, "g", 112)
      ],
      [processRow(s, 420, "g", 3, { since: 410 })],
      [processRow(s, 405, "g", 111, OLD)]
    ]
  },
  {
    name: "rows of the clock before it was set, after those of the clock since",
    rows: (s) => {
      const all = lived(s, {
        scrapes: 60,
        busy: 6,
        groups: { g: [9_000, 4.5] },
        clock: (n) => (n > 30 ? -57 : 0)
      })
      const early = all.filter((_, n) => n < 62)
      const late = early.filter((_, n) => n > 50)
      return [all.filter((row) => !late.includes(row)), late]
    }
  },
  {
    name: "rows of the clock since it was set, after all of those before",
    rows: (s) => {
      const all = lived(s, {
        scrapes: 60,
        busy: 6,
        groups: { g: [9_000, 4.5] },
        clock: (n) => (n > 30 ? 40 : 0)
      })
      return [all.slice(0, 60), all.slice(70), all.slice(60, 66), all.slice(66, 70)]
    }
  }
]

const hosts: ReadonlyArray<Case> = [
  {
    name: "a row of the host",
    rows: (s) => [
      [...working(s, times(0, 1_200)), ...busy(s, times(0, 390)), ...busy(s, times(450, 1_200))],
      busy(s, [405]),
      busy(s, [BUCKET + 300])
    ]
  },
  {
    name: "all rows of the host, after those of the groups",
    rows: (s) => [working(s, times(0, 1_200)), busy(s, times(600, 1_200)), busy(s, times(0, 585))]
  },
  {
    name: "all rows of the groups, after those of the host",
    rows: (s) => [busy(s, times(0, 1_200)), working(s, times(600, 1_200)), working(s, times(0, 585))]
  },
  {
    name: "a scrape of the groups, of which the host's bucket before it knew nothing",
    rows: (s) => [
      [...busy(s, times(0, 1_200)), ...working(s, times(0, 390)), ...working(s, times(750, 1_200))],
      working(s, [430]),
      working(s, [720])
    ]
  },
  {
    name: "a scrape of the groups that closes what was a hole",
    rows: (s) => [
      [...busy(s, times(0, 1_200)), ...working(s, times(0, 300)), ...working(s, times(900, 1_200))],
      working(s, [601])
    ]
  },
  {
    name: "a row of the host that comes between two which are a minute apart",
    rows: (s) => [
      [...working(s, times(0, 1_200)), ...busy(s, [0, 390, 450, 700, 980])],
      busy(s, [420], { cpu_user_seconds: 50_600 }),
      busy(s, [840])
    ]
  },
  {
    name: "a row that tells that there were other CPUs",
    rows: (s) => [
      [...working(s, times(0, 1_200)), ...busy(s, times(0, 1_200), { cpu_set: 1 })],
      busy(s, [412.5], { cpu_set: 2, cpu_cores: 1, cpu_user_seconds: 20_000, cpu_system_seconds: 4_000 })
    ]
  },
  {
    name: "rows that tell how many cores there are, and long were",
    rows: (s) => [
      times(0, 3_600).map((t) => processRow(s, t, "g", t * 9, OLD)),
      busy(s, [1_800], { cpu_cores: 8 }),
      busy(s, [30], { cpu_cores: 2 }),
      busy(s, [1_815], { cpu_cores: 1 }),
      busy(s, [900], { cpu_cores: 4 })
    ]
  }
]

const sums: ReadonlyArray<Case> = [
  {
    name: "a row from which a sum fell, two buckets before it came back",
    rows: (s) => [
      [
        [10, 50],
        [300, 60],
        [590, 110],
        [800, 120]
      ].map(([t, work]) => poolRow(s, t!, "g", work!, OLD)),
      [poolRow(s, 20, "g", 105, OLD)]
    ]
  },
  {
    name: "a row in which a sum fell, and came back with the next",
    rows: (s) => [
      [
        [0, 100],
        [300, 101],
        [390, 102],
        [450, 120],
        [900, 130]
      ].map(([t, work]) => poolRow(s, t!, "g", work!, OLD)),
      [poolRow(s, 405, "g", 50, OLD)],
      [poolRow(s, 150, "g", 20, OLD)]
    ]
  },
  {
    name: "a row in which a sum had come back already",
    rows: (s) => [
      [
        [0, 100],
        [200, 60],
        [430, 110],
        [700, 120]
      ].map(([t, work]) => poolRow(s, t!, "g", work!, OLD)),
      [poolRow(s, 400, "g", 105, OLD)],
      [poolRow(s, 390, "g", 99, OLD)]
    ]
  },
  {
    name: "a row that says what a sum is over",
    rows: (s) => [
      [
        [0, 100],
        [390, 110],
        [430, 120],
        [700, 130]
      ].map(([t, work]) => poolRow(s, t!, "g", work!, { ...OLD, members: 1 })),
      [poolRow(s, 410, "g", 115, { ...OLD, members: 2 })],
      [poolRow(s, 405, "h", 115, { ...OLD, members: 2 })]
    ]
  }
]

/** Every question gives what the reference computation gives. */
const check = Effect.fnUntraced(function* (serverId: string, rows: ReadonlyArray<Snapshot>, what: string) {
  const rankings = yield* Rankings
  for (const [from, to] of [
    [-7_200, 10_800],
    [BUCKET, BUCKET + 3_600],
    [BUCKET - 300, BUCKET + 300],
    [BUCKET + 300, BUCKET + 600],
    [200, 2_000]
  ] as const) {
    for (const [exporter, metric] of [
      ["process_exporter", "cpu"],
      ["pool_exporter", "work"]
    ] as const) {
      const request = { exporter, metric, serverId, limit: 10, window: seconds(from, to) }
      same(yield* rankings.top(request), truthTop(exporters, rows, request), `${what}: ${metric} of ${from} to ${to}`)
    }
  }
  for (const [exporter, name] of [
    ["process_exporter", "g"],
    ["pool_exporter", "g"],
    ["node_exporter", undefined]
  ] as const) {
    const window = seconds(-7_200, 10_800)
    const one = { exporter, serverId, window, ...(name === undefined ? {} : { name }) }
    const step = stepMicros(exporters.find((candidate) => candidate.name === exporter)!, window, 300)
    same(
      yield* rankings.history({ ...one, points: 300 }),
      truthHistory(exporters, rows, { ...one, step }),
      `${what}: history of ${exporter}`
    )
  }
})

layer(live)("what comes late is counted where it belongs, and so is what rests on it", (it) => {
  for (const [n, { name, rows }] of [...groups, ...hosts, ...sums].entries()) {
    it.effect(name, () =>
      stood(
        Effect.gen(function* () {
          const server = `late-${n}`
          const rollups = yield* Rollups
          set((EPOCH + 40_000 * SECOND) / 1_000)
          const come: Array<Snapshot> = []
          for (const [turn, batch] of rows(server).entries()) {
            yield* store(batch)
            come.push(...batch)
            yield* check(server, come, `turn ${turn}, before a pass`)
            yield* rollups.pass
            assert.strictEqual((yield* rollups.stats).buckets, 0)
            yield* check(server, come, `turn ${turn}, after a pass`)
          }
        })
      )
    )
  }
})
