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
import { EPOCH, SECOND, store } from "./TruthRows.ts"
import { near, same } from "./TruthSame.ts"
import { generatedUnits, tasks, truthBreakdown, unitExporters } from "./TruthUnits.ts"
import { seconds } from "./TruthVector.ts"

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
})
