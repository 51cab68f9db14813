/**
 * The verdict from stored rows: which unit waits, for what, told from rows and from roll-ups, with exporters that NodePulse has never
 * heard of. The table itself has its test beside it (`src/query/VerdictTable.test.ts`).
 */
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Result } from "effect"
import { makeRegistry, Registry } from "../src/plugins/Registry.ts"
import type { Snapshot } from "../src/plugins/Snapshot.ts"
import { type VerdictAnswer, Verdicts } from "../src/query/Verdict.ts"
import * as VerdictPostgres from "../src/query/VerdictPostgres.ts"
import { Rollups } from "../src/sinks/rollups/Rollups.ts"
import * as SnapshotRowsPostgres from "../src/sinks/storage/SnapshotRowsPostgres.ts"
import { makeStandingClock } from "./StandingClock.ts"
import * as TestDatabase from "./TestDatabase.ts"
import { EPOCH, nodeRow, SECOND, store } from "./TruthRows.ts"
import { cellRow, unitExporters } from "./TruthUnits.ts"
import { seconds, times } from "./TruthVector.ts"

const registry = Layer.succeed(Registry, Result.getOrThrow(makeRegistry({ exporters: unitExporters })))
const live = Layer.mergeAll(VerdictPostgres.layer, SnapshotRowsPostgres.layer, Rollups.layer).pipe(
  Layer.provideMerge(registry),
  Layer.provideMerge(TestDatabase.layerWith({ exporters: unitExporters }))
)

const { set, stood } = makeStandingClock()
const MIB = 1024 * 1024

/** Counters that grow by so much a second, beside gauges. */
const grown = (t: number, rates: Readonly<Record<string, number>>, gauges: Readonly<Record<string, number>> = {}) => ({
  ...Object.fromEntries(Object.entries(rates).map(([name, rate]) => [name, 1_000 + rate * (t + 10_000)])),
  ...gauges
})

/** Half an hour of four cores that are 95 % busy: one unit is throttled, one waits, one runs out of memory, one writes. */
const crowded = (serverId: string): ReadonlyArray<Snapshot> =>
  times(0, 1_800).flatMap((t) => [
    nodeRow(serverId, t, grown(t, { cpu_user_seconds: 3.8, cpu_steal_seconds: 0.1 }, { cpu_cores: 4 }), {
      since: -20_000
    }),
    ...Object.entries({
      "web.service": grown(
        t,
        {
          cpu_seconds_total: 0.5,
          periods_total: 10,
          throttled_periods_total: 3.8,
          throttled_seconds_total: 0.7,
          cpu_some_seconds_total: 0.75
        },
        { cpu_limit_cores: 0.5 }
      ),
      "db.service": grown(t, { cpu_seconds_total: 0.3, cpu_some_seconds_total: 0.25, throttled_seconds_total: 0 }),
      "batch.service": grown(t, {
        cpu_seconds_total: 2.6,
        cpu_some_seconds_total: 0.05,
        write_bytes_total: 80 * MIB,
        io_some_seconds_total: 0.02
      }),
      "cache.service": grown(
        t,
        { cpu_seconds_total: 0.1, memory_some_seconds_total: 0.02, oom_kills_total: t > 1_500 ? 1e-4 : 0 },
        { memory_bytes: 505 * MIB, memory_limit_bytes: 512 * MIB }
      ),
      "(kernel)": grown(t, { cpu_seconds_total: 0.3, cpu_some_seconds_total: 0.9 })
    }).map(([cell, values]) => cellRow(serverId, t, { cell, ...values }, -20_000))
  ])

const told = ({ verdicts }: VerdictAnswer) => verdicts.map(({ kind, subject }) => `${subject.name ?? "host"}: ${kind}`)

layer(live)("a verdict", (it) => {
  it.effect("tells throttled from behind neighbours from out of memory, the same from rows and from roll-ups", () =>
    stood(
      Effect.gen(function* () {
        set((EPOCH + 40_000 * SECOND) / 1_000)
        yield* store(crowded("crowded"))
        const verdicts = yield* Verdicts
        const ask = verdicts.of({ serverId: "crowded", window: seconds(0, 1_800) })
        const answer = yield* ask
        assert.deepStrictEqual(told(answer), [
          "cache.service: memory",
          "web.service: throttled",
          "db.service: neighbours"
        ])
        assert.strictEqual(answer.sentence, "3 of 5 units wait.")
        assert.match(answer.verdicts[1]!.sentence, /in 38 % of its periods by its own quota of 0\.5 cores/)
        assert.match(answer.verdicts[2]!.sentence, /a CPU 25 % .* 95 % busy; batch\.service \(2\.6 cores\)/)
        assert.isAbove(yield* (yield* Rollups).pass, 0)
        const again = yield* ask
        assert.deepStrictEqual(told(again), told(answer))
        assert.deepStrictEqual(
          again.verdicts.map(({ sentence }) => sentence),
          answer.verdicts.map(({ sentence }) => sentence)
        )
      })
    )
  )

  it.effect("is none of a window that was hardly seen, and none of units that nobody tells of", () =>
    Effect.gen(function* () {
      yield* store([
        ...crowded("short").filter(({ timestamp }) => timestamp > EPOCH + 1_500 * SECOND),
        ...crowded("bare").filter(({ exporter }) => exporter === "node_exporter")
      ])
      const verdicts = yield* Verdicts
      const short = yield* verdicts.of({ serverId: "short", window: seconds(900, 1_800) })
      assert.deepInclude(short, { judged: false, verdicts: [], partial: ["host", "units"] })
      assert.match(short.sentence, /^Only 3. % of these 15 minutes were seen/)
      const bare = yield* verdicts.of({ serverId: "bare", window: seconds(900, 1_800) })
      assert.deepInclude(bare, { judged: true, verdicts: [], partial: ["units", "pressure"], units: null })
      const never = yield* verdicts.of({ serverId: "bare", window: seconds(-9_000, -8_100) })
      assert.deepInclude(never, { judged: false, coverage: 0 })
      const unknown = yield* Effect.flip(verdicts.of({ serverId: "nobody", window: seconds(0, 900) }))
      assert.strictEqual(unknown._tag, "UnknownServer")
    })
  )
})
