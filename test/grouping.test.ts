/**
 * Regrouped names are what `docs/numbers.md` says: held to the reference computation, in which the shown name is a label of each row,
 * so that a group has several series. From rows, from rows beside roll-ups, from roll-ups alone, and from packed days.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Duration, Effect, Layer, Result } from "effect"
import { makeRegistry, Registry } from "../src/plugins/Registry.ts"
import type { Snapshot } from "../src/plugins/Snapshot.ts"
import { Changes } from "../src/query/Changes.ts"
import * as ChangesPostgres from "../src/query/ChangesPostgres.ts"
import * as GroupingsPostgres from "../src/query/grouping/GroupingsPostgres.ts"
import type { Rule } from "../src/query/grouping/Rules.ts"
import { stepMicros } from "../src/query/History.ts"
import { Rankings, type TopAnswer } from "../src/query/Rankings.ts"
import * as RankingsPostgres from "../src/query/RankingsPostgres.ts"
import { Rollups } from "../src/sinks/rollups/Rollups.ts"
import { PACK_AFTER, Packing } from "../src/sinks/storage/Packing.ts"
import { DAY_MICROS, dayOf } from "../src/sinks/storage/Partitions.ts"
import * as SnapshotRowsPostgres from "../src/sinks/storage/SnapshotRowsPostgres.ts"
import { RULES, regroupedExporters, regroupedRows, shownOf, truthRegrouped, under } from "./Regrouped.ts"
import { makeStandingClock } from "./StandingClock.ts"
import * as TestDatabase from "./TestDatabase.ts"
import { truthHistory, truthTop } from "./Truth.ts"
import { EPOCH, exporters, processRow, SECOND, store } from "./TruthRows.ts"
import { near, same } from "./TruthSame.ts"
import { seconds } from "./TruthVector.ts"
import { generated } from "./TruthWorld.ts"

const registry = Layer.succeed(Registry, Result.getOrThrow(makeRegistry({ exporters })))
const live = Layer.mergeAll(
  RankingsPostgres.layer,
  ChangesPostgres.layer,
  GroupingsPostgres.layer,
  SnapshotRowsPostgres.layer,
  Rollups.layer,
  Packing.layerWith()
).pipe(Layer.provideMerge(registry), Layer.provideMerge(TestDatabase.layerWith({ exporters })))

const { set, stood } = makeStandingClock()

const WINDOWS = [seconds(0, 10_800), seconds(500.5, 9_000), seconds(3_600, 4_100)]
const asked = (serverId: string, metric: string, window: (typeof WINDOWS)[number], limit = 1_000) => ({
  exporter: "process_exporter",
  serverId,
  metric,
  limit,
  window
})

/** An answer without what is said of its peaks, and whether any of them is a bound. */
const unbound = (answer: TopAnswer) => {
  const rows = answer.rows.map(({ peak_is_bound: _, ...row }) => row)
  return { answer: { ...answer, rows }, bound: answer.rows.some((row) => row.peak_is_bound === true) }
}

const exact = Effect.fnUntraced(function* (server: string, rows: ReadonlyArray<Snapshot>, what: string) {
  const { history, top } = yield* Rankings
  const shown = regroupedRows(rows)
  for (const window of WINDOWS) {
    for (const metric of ["cpu", "memory"]) {
      for (const limit of [2, 1_000]) {
        const request = asked(server, metric, window, limit)
        const { answer, bound } = unbound(yield* top({ ...request, regrouping: yield* under("usual", RULES) }))
        same(answer, truthRegrouped(shown, request), `${what}, ${metric}`)
        assert.isFalse(bound, `${what}: peaks are exact`)
      }
    }
    for (const name of ["letters", "Z", "shorts", "é"]) {
      const request = { exporter: "process_exporter", serverId: server, name, window }
      const regrouping = yield* under("usual", RULES)
      const { peakIsBound, ...answer } = yield* history({ ...request, points: 100, regrouping })
      const step = stepMicros(exporters[1]!, window, 100)
      same(answer, truthHistory(regroupedExporters, shown, { ...request, step }), `${what}, history of ${name}`)
      assert.isFalse(peakIsBound)
    }
  }
})

/** What adds up is the truth; a peak lies between the truth and the sum of the members' peaks, and says that it is a bound. */
const bounded = Effect.fnUntraced(function* (server: string, rows: ReadonlyArray<Snapshot>) {
  const { top } = yield* Rankings
  const shown = regroupedRows(rows)
  let bounds = 0
  for (const metric of ["cpu", "memory"]) {
    const request = asked(server, metric, WINDOWS[0]!)
    const answer = yield* top({ ...request, regrouping: yield* under("usual", RULES) })
    const expected = truthRegrouped(shown, request)
    const members = truthTop(exporters, rows, request).rows
    for (const truth of expected.rows) {
      const { peak_is_bound, ...row } = answer.rows.find(({ name }) => name === truth.name)!
      const { peak_cpu_percent, peak_memory_mb, ...rest } = row
      const { peak_cpu_percent: cpu, peak_memory_mb: memory, ...others } = truth
      same(rest, others, truth.name)
      const own = members.filter(({ name }) => shownOf(name) === truth.name)
      for (const [field, peak, least] of [
        ["peak_cpu_percent", peak_cpu_percent, cpu],
        ["peak_memory_mb", peak_memory_mb, memory]
      ] as const) {
        const most = own.reduce((sum, member) => sum + Number(member[field]), 0)
        assert.isAtLeast(Number(peak), Number(least) * (1 - 1e-9), `${field} of ${truth.name}`)
        assert.isAtMost(Number(peak), most * (1 + 1e-9), `${field} of ${truth.name}`)
        if (Number(peak) > Number(least) * (1 + 1e-9)) assert.isTrue(peak_is_bound, `${field} of ${truth.name}`)
      }
      if (own.length === 1) assert.isFalse(peak_is_bound, `${truth.name} is a single name`)
      if (peak_is_bound === true) bounds++
    }
    for (const field of ["coveredSeconds", "scrapes", "resets", "clamped", "unknown", "unaccounted"] as const) {
      same(answer[field], expected[field], field)
    }
  }
  assert.isAbove(bounds, 0, "some peaks are bounds")
})

layer(live)("regrouped names", (it) => {
  for (const seed of [31, 32]) {
    const server = `regrouped-${seed}`
    it.effect(
      `seed ${seed}: are the reference computation, from rows and from roll-ups whatever is left of the rows`,
      () =>
        stood(
          Effect.gen(function* () {
            set((EPOCH + 40_000 * SECOND) / 1_000)
            const rows = generated(server, seed, 3)
            yield* store(rows)
            yield* exact(server, rows, "rows")
            assert.isAbove(yield* (yield* Rollups).pass, 0)
            yield* exact(server, rows, "rows beside roll-ups")
            // The rows are older than they are kept: retention may have dropped them.
            set((EPOCH + 20 * DAY_MICROS) / 1_000)
            yield* bounded(server, rows)
          })
        )
    )

    it.effect(`seed ${seed}: change no sum, no average, nothing unaccounted and no total`, () =>
      stood(
        Effect.gen(function* () {
          const { top } = yield* Rankings
          const { between } = yield* Changes
          set((EPOCH + 40_000 * SECOND) / 1_000)
          for (const window of WINDOWS) {
            const before = yield* top(asked(server, "cpu", window))
            const after = yield* top({ ...asked(server, "cpu", window), regrouping: yield* under("usual", RULES) })
            for (const field of ["cpu_seconds", "avg_cpu_percent", "avg_memory_mb", "memory_mb", "num_procs"]) {
              const sum = ({ rows }: TopAnswer) => rows.reduce((total, row) => total + Number(row[field]), 0)
              near(sum(after), sum(before), field)
            }
            same(after.unaccounted, before.unaccounted)
            assert.deepStrictEqual([after.resets, after.clamped], [before.resets, before.clamped])
          }
          const request = {
            exporter: "process_exporter",
            metric: "cpu",
            limit: 100,
            before: { serverId: server, window: seconds(0, 5_400) },
            after: { serverId: server, window: seconds(5_400, 10_800) }
          }
          const plain = yield* between(request)
          const merged = yield* between({ ...request, regrouping: yield* under("usual", RULES) })
          same(merged.total, plain.total)
          for (const { change, name } of merged.groups) {
            const own = plain.groups.filter((group) => shownOf(group.name) === name)
            near(
              change,
              own.reduce((sum, group) => sum + group.change, 0),
              name
            )
          }
        })
      )
    )

    const nothing: ReadonlyArray<readonly [string, ReadonlyArray<Rule>]> = [
      ["no rules", []],
      ["rules that take no name", [{ match: "^nobody is called so$", name: "x" }]],
      ["rules that show each name as itself", [{ match: "^.*$", name: "$0" }]]
    ]
    for (const [what, rules] of nothing) {
      it.effect(`seed ${seed}: ${what} change nothing, to the last bit`, () =>
        stood(
          Effect.gen(function* () {
            const { history, top } = yield* Rankings
            set((EPOCH + 40_000 * SECOND) / 1_000)
            const name = what.replaceAll(" ", "-")
            // Short enough to be read from rows with and without rules: buckets are added up in another order.
            for (const window of [seconds(3_600, 4_100), seconds(9_000, 9_800)]) {
              for (const metric of ["cpu", "memory"]) {
                const request = asked(server, metric, window)
                const { answer } = unbound(yield* top({ ...request, regrouping: yield* under(name, rules) }))
                assert.deepStrictEqual(answer, yield* top(request))
              }
            }
            // The rows are gone: both are read from buckets.
            set((EPOCH + 20 * DAY_MICROS) / 1_000)
            const request = asked(server, "cpu", WINDOWS[0]!)
            const { answer } = unbound(yield* top({ ...request, regrouping: yield* under(name, rules) }))
            assert.deepStrictEqual(answer, yield* top(request))
            const of = { exporter: "process_exporter", serverId: server, name: "a", window: WINDOWS[0]!, points: 20 }
            const regrouping = yield* under(name, rules)
            const { peakIsBound: _, ...series } = yield* history({ ...of, regrouping })
            assert.deepStrictEqual(series, yield* history(of))
          })
        )
      )
    }
  }

  it.effect("are put together where the members' peaks fall together, and where they do not", () =>
    stood(
      Effect.gen(function* () {
        const { top } = yield* Rankings
        set((EPOCH + 40_000 * SECOND) / 1_000)
        const turns = Array.from({ length: 9 }, (_, n) => n)
        // One works while the other rests; of the other two, both work at once.
        const rows = turns.flatMap((n) => [
          processRow("peaks", n * 15, "turn 1", Math.ceil(n / 2) * 15, { memory: n % 2 === 0 ? 2 ** 20 : 0 }),
          processRow("peaks", n * 15, "turn 2", Math.floor(n / 2) * 15, { memory: n % 2 === 1 ? 2 ** 20 : 0 }),
          processRow("peaks", n * 15, "both 1", n < 4 ? 0 : 15),
          processRow("peaks", n * 15, "both 2", n < 4 ? 0 : 15)
        ])
        yield* store(rows)
        const rules = [{ match: "^(\\w+) [0-9]$", name: "$1" }]
        const answer = yield* top({
          ...asked("peaks", "cpu", seconds(0, 200)),
          regrouping: yield* under("digits", rules)
        })
        assert.deepStrictEqual(
          answer.rows.map(({ cpu_seconds, name, num_procs, peak_cpu_percent, peak_memory_mb }) => [
            name,
            cpu_seconds,
            peak_cpu_percent,
            peak_memory_mb,
            num_procs
          ]),
          [
            ["turn", 120, 100, 1, 2],
            ["both", 30, 200, 0, 2]
          ]
        )
      })
    )
  )

  it.effect("are the same from packed days", () =>
    stood(
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const rows = generated("regrouped-packed", 33, 3)
        set((EPOCH + 40_000 * SECOND) / 1_000)
        yield* store(rows)
        set(((dayOf(EPOCH) + 3) * DAY_MICROS) / 1_000 + Duration.toMillis(PACK_AFTER))
        yield* Effect.flatMap(Rollups, ({ pass }) => pass)
        yield* Effect.flatMap(Packing, ({ pass }) => pass)
        const hot = yield* sql`select 1 from admiral.process_snapshots_scrapes where packed_in is null limit 1`
        assert.strictEqual(hot.length, 0)
        yield* exact("regrouped-packed", rows, "packed")
      })
    )
  )
})
