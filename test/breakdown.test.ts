/**
 * The breakdown of a server's CPU is what `docs/numbers.md` says: held to the reference computation on generated rows, with three
 * exporters that NodePulse has never heard of.
 */
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Result } from "effect"
import { makeRegistry, Registry } from "../src/plugins/Registry.ts"
import type { Snapshot } from "../src/plugins/Snapshot.ts"
import { type BreakdownAnswer, Breakdowns } from "../src/query/Breakdown.ts"
import * as BreakdownPostgres from "../src/query/BreakdownPostgres.ts"
import { Rankings } from "../src/query/Rankings.ts"
import * as RankingsPostgres from "../src/query/RankingsPostgres.ts"
import { Rollups } from "../src/sinks/rollups/Rollups.ts"
import * as SnapshotRowsPostgres from "../src/sinks/storage/SnapshotRowsPostgres.ts"
import { makeStandingClock } from "./StandingClock.ts"
import * as TestDatabase from "./TestDatabase.ts"
import { EPOCH, nodeRow, SECOND, store } from "./TruthRows.ts"
import { near, same } from "./TruthSame.ts"
import { cellRow, generatedUnits, taskRow, tasks, truthBreakdown, unitExporters } from "./TruthUnits.ts"
import { seconds, times } from "./TruthVector.ts"

const registry = Layer.succeed(Registry, Result.getOrThrow(makeRegistry({ exporters: unitExporters })))
const live = Layer.mergeAll(
  BreakdownPostgres.layer,
  RankingsPostgres.layer,
  SnapshotRowsPostgres.layer,
  Rollups.layer
).pipe(Layer.provideMerge(registry), Layer.provideMerge(TestDatabase.layerWith({ exporters: unitExporters })))

const { set, stood } = makeStandingClock()

const compared = ({ host, lines }: BreakdownAnswer) => ({
  host: host?.cpuSeconds ?? null,
  lines: lines.map(({ cpuSeconds, groups, kind, name }) => ({ kind, name, groups, cpuSeconds }))
})

const sumOf = ({ lines }: BreakdownAnswer, kinds: ReadonlyArray<string>) =>
  lines.filter(({ kind }) => kinds.includes(kind)).reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0)

const ASKED: ReadonlyArray<readonly [number, number, number]> = [
  [0, 7_200, 5],
  [1_007.5, 5_000.25, 2],
  [3_600, 3_605, 3],
  [-7_200, 0, 5]
]

const checkAll = Effect.fnUntraced(function* (serverId: string, rows: ReadonlyArray<Snapshot>, what: string) {
  const breakdowns = yield* Breakdowns
  const rankings = yield* Rankings
  for (const [from, to, limit] of ASKED) {
    const request = { serverId, window: seconds(from, to), limit }
    const answer = yield* breakdowns.of(request)
    const { host, lines } = truthBreakdown(rows, request)
    same(compared(answer), { host, lines }, `${what}, ${from} to ${to}`)
    const top = yield* rankings.top({ ...request, exporter: tasks.name, metric: "cpu" })
    const rest = sumOf(answer, ["remainder", "short_lived", "kernel", "unknown"])
    if (top.unaccounted !== null) near(rest, top.unaccounted.cpuSeconds, `unaccounted, ${from} to ${to}`)
  }
})

layer(live)("a breakdown", (it) => {
  for (const seed of [31, 32]) {
    it.effect(
      `seed ${seed}: is the reference computation, from rows and from roll-ups, whatever order rows came in`,
      () =>
        stood(
          Effect.gen(function* () {
            set((EPOCH + 40_000 * SECOND) / 1_000)
            const rows = generatedUnits(`units-${seed}`, seed, 2)
            yield* store([...rows].reverse())
            yield* checkAll(`units-${seed}`, rows, "rows")
            assert.isAbove(yield* (yield* Rollups).pass, 0)
            yield* checkAll(`units-${seed}`, rows, "roll-ups")
          })
        )
    )
  }

  const SINCE = -20_000
  /** A quarter of an hour of four cores: what each task of a cell and each cell use, in cores, and the host in all. */
  const even = (
    serverId: string,
    busy: number,
    inside: Readonly<Record<string, number>>,
    outside: Readonly<Record<string, number>>,
    until = 900
  ): ReadonlyArray<Snapshot> =>
    times(0, until).flatMap((t) => {
      const cpu_seconds_total = (cores: number) => 500 + cores * t
      return [
        nodeRow(serverId, t, { cpu_cores: 4, cpu_user_seconds: cpu_seconds_total(busy) }, { since: SINCE }),
        ...Object.entries(inside).map(([name, cores]) => {
          const [task, cell] = name.split("@") as [string, string]
          return taskRow(serverId, t, { task, cell, count: 1, cpu_seconds_total: cpu_seconds_total(cores) }, SINCE)
        }),
        ...Object.entries(outside).map(([cell, cores]) =>
          cellRow(serverId, t, { cell, cpu_seconds_total: cpu_seconds_total(cores) }, SINCE)
        )
      ]
    })

  const linesOf = (serverId: string, from = 0, to = 900) =>
    Effect.gen(function* () {
      const answer = yield* (yield* Breakdowns).of({ serverId, window: seconds(from, to), limit: 2 })
      const lines = answer.lines.map(({ cpuSeconds, kind, name }) => [kind, name, Math.round(cpuSeconds * 1e6) / 1e6])
      return { answer, lines }
    })

  it.effect("names the unit whose processes are gone before a scrape, the kernel, and what nobody knows", () =>
    Effect.gen(function* () {
      const inside = { "sh@burner.service": 0.1, "pg@db.service": 0.5, "kworker@(kernel)": 0.02 }
      yield* store(even("forks", 1.9, inside, { "burner.service": 1, "db.service": 0.5, "(kernel)": 0.12 }))
      const { answer, lines } = yield* linesOf("forks")
      assert.deepStrictEqual(lines, [
        ["named", "pg", 450],
        ["named", "sh", 90],
        ["other", null, 18],
        ["remainder", "burner.service", 810],
        ["remainder", null, 0],
        ["kernel", "(kernel)", 90],
        ["unknown", null, 252]
      ])
      assert.deepInclude(answer, { partial: [], belowZero: [] })
      // All exporters were asked at the same moments: there are no edges, only ticks.
      assert.deepStrictEqual(
        answer.lines.map(({ errorSeconds, errors }) => errorSeconds - errors.ticks),
        answer.lines.map(() => 0)
      )
    })
  )

  it.effect("counts a task that moves to another unit in each, for what it used there", () =>
    Effect.gen(function* () {
      const rows = even(
        "moves",
        1,
        { "job@a.service": 0.4, "x@b.service": 0.1 },
        { "a.service": 0.4, "b.service": 0.1 },
        450
      )
      const later = times(465, 900).flatMap((t) => [
        nodeRow("moves", t, { cpu_cores: 4, cpu_user_seconds: 500 + t }, { since: SINCE }),
        // The old series stays, flat; the new one begins at zero.
        taskRow("moves", t, { task: "job", cell: "a.service", count: 0, cpu_seconds_total: 500 + 0.4 * 450 }, SINCE),
        taskRow("moves", t, { task: "job", cell: "b.service", count: 1, cpu_seconds_total: 0.4 * (t - 450) }, SINCE),
        taskRow("moves", t, { task: "x", cell: "b.service", count: 1, cpu_seconds_total: 500 + 0.1 * t }, SINCE),
        cellRow("moves", t, { cell: "a.service", cpu_seconds_total: 500 + 0.4 * 450 }, SINCE),
        cellRow("moves", t, { cell: "b.service", cpu_seconds_total: 500 + 0.1 * t + 0.5 * (t - 450) }, SINCE)
      ])
      yield* store([...rows, ...later])
      assert.deepStrictEqual((yield* linesOf("moves")).lines, [
        ["named", "job", 360],
        ["named", "x", 90],
        ["other", null, 0],
        ["remainder", "b.service", 45],
        ["remainder", null, 0],
        ["unknown", null, 405]
      ])
    })
  )

  it.effect("goes on over a unit that restarts and one that appears", () =>
    Effect.gen(function* () {
      const rows = even("restarts", 1, { "sh@a.service": 0.1 }, { "a.service": 0.3 }).map((row) =>
        row.exporter === "cell_exporter" && row.timestamp > EPOCH + 450 * SECOND
          ? { ...row, values: row.values.map((value, n) => (n === 1 ? Number(value) - 500 - 0.3 * 450 : value)) }
          : row
      )
      const appears = times(600, 900).map((t) =>
        cellRow("restarts", t, { cell: "new.service", cpu_seconds_total: 0.2 * (t - 585) }, SINCE)
      )
      yield* store([...rows, ...appears])
      const { answer, lines } = yield* linesOf("restarts")
      assert.deepStrictEqual(lines.slice(2), [
        ["remainder", "a.service", 180],
        ["remainder", "new.service", 63],
        ["remainder", null, 0],
        ["unknown", null, 567]
      ])
      assert.deepStrictEqual(answer.partial, [])
    })
  )

  it.effect("leaves to what nobody knows what units did while nobody told of them, and says so", () =>
    Effect.gen(function* () {
      const rows = even("silent", 1, { "sh@a.service": 0.1 }, { "a.service": 0.6 })
      yield* store(
        rows.filter(({ exporter, timestamp }) => exporter !== "cell_exporter" || timestamp <= EPOCH + 300 * SECOND)
      )
      const { answer, lines } = yield* linesOf("silent")
      assert.deepStrictEqual(lines.slice(2), [
        ["remainder", "a.service", 150],
        ["remainder", null, 0],
        ["unknown", null, 660]
      ])
      assert.deepStrictEqual(answer.partial, ["units"])
      const later = yield* linesOf("silent", 450, 900)
      assert.deepStrictEqual(
        later.lines.map(([kind]) => kind),
        ["named", "other", "unknown"]
      )
      assert.deepStrictEqual([later.answer.partial, later.answer.resources.units], [["units"], null])
    })
  )

  it.effect("puts units together where no group says in which it is", () =>
    Effect.gen(function* () {
      yield* store(even("labelless", 1, { "sh@": 0.1, "kworker@": 0.05 }, { "a.service": 0.6, "(kernel)": 0.15 }))
      const { answer, lines } = yield* linesOf("labelless")
      assert.deepStrictEqual(lines.slice(3), [
        ["remainder", null, 540],
        ["unknown", null, 225]
      ])
      assert.deepStrictEqual(answer.partial, ["members"])
    })
  )

  it.effect("of more than a day is one line of units, from roll-ups", () =>
    stood(
      Effect.gen(function* () {
        set((EPOCH + 200_000 * SECOND) / 1_000)
        const rows = generatedUnits("long", 34, 26, 120)
        yield* store(rows)
        yield* (yield* Rollups).pass
        const request = { serverId: "long", window: seconds(0, 26 * 3_600), limit: 3 }
        const answer = yield* (yield* Breakdowns).of(request)
        const { host, lines } = truthBreakdown(rows, request, true)
        same(compared(answer), { host, lines }, "26 h")
        assert.deepStrictEqual(answer.partial, ["members"])
      })
    )
  )

  it.effect("of a server that nobody knows is an error, and of one that was never seen nothing", () =>
    Effect.gen(function* () {
      yield* store(even("elsewhere", 1, { "sh@a.service": 0.1 }, { "a.service": 0.6 }))
      const breakdowns = yield* Breakdowns
      const failed = yield* Effect.flip(breakdowns.of({ serverId: "nobody", window: seconds(0, 900), limit: 5 }))
      assert.strictEqual(failed._tag, "UnknownServer")
      const { answer, lines } = yield* linesOf("elsewhere", -9_000, -8_000)
      assert.deepStrictEqual(lines, [["other", null, 0]])
      assert.deepStrictEqual(answer.partial, ["host", "units", "coverage"])
    })
  )
})
