/**
 * Answers about a fleet are made of as many statements as those about one server: sets are asked for, never one server after
 * the other. Counted by the spans that the client makes of its statements.
 */
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Tracer } from "effect"
import * as ServersPostgres from "../src/access/ServersPostgres.ts"
import { Registry } from "../src/plugins/Registry.ts"
import type { Snapshot } from "../src/plugins/Snapshot.ts"
import { Overview } from "../src/query/Overview.ts"
import * as OverviewPostgres from "../src/query/OverviewPostgres.ts"
import { Rankings } from "../src/query/Rankings.ts"
import * as RankingsPostgres from "../src/query/RankingsPostgres.ts"
import { Sightings } from "../src/query/Sightings.ts"
import * as SightingsPostgres from "../src/query/SightingsPostgres.ts"
import { Rollups } from "../src/sinks/rollups/Rollups.ts"
import * as SnapshotRowsPostgres from "../src/sinks/storage/SnapshotRowsPostgres.ts"
import { makeStandingClock } from "./StandingClock.ts"
import * as TestDatabase from "./TestDatabase.ts"
import { EPOCH, exporters, nodeRow, processRow, SECOND, store } from "./TruthRows.ts"

const live = Layer.mergeAll(RankingsPostgres.layer, SnapshotRowsPostgres.layer, Rollups.layer).pipe(
  Layer.provideMerge(ServersPostgres.layer),
  Layer.provideMerge(Registry.layer({ exporters })),
  Layer.provideMerge(TestDatabase.layerWith({ exporters }))
)

const { set, stood } = makeStandingClock()
/** As many as are read at a time. */
const SLICE = 50
const LAST = 7_200
const serverIds = Array.from({ length: 2 * SLICE }, (_, n) => `server-${n}`)

/** Two hours of each server, every two minutes. */
const rows: ReadonlyArray<Snapshot> = serverIds.flatMap((serverId, n) =>
  Array.from({ length: LAST / 120 + 1 }, (_, scrape) => scrape * 120).flatMap((t) => [
    nodeRow(serverId, t, { cpu_cores: 4, cpu_user_seconds: t, cpu_system_seconds: t }),
    processRow(serverId, t, "a", t / 2),
    processRow(serverId, t, "b", n + t / 4)
  ])
)

/** How many statements an effect makes. */
const counted = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    let statements = 0
    const tracer = Tracer.make({
      span: (options) => {
        const span = new Tracer.NativeSpan(options)
        if (/^(sql|postgres)/.test(options.name)) statements++
        return span
      }
    })
    return Effect.map(Effect.withTracer(self, tracer), () => statements)
  })

layer(live)("how many statements an answer takes", (it) => {
  it.effect("depends on the question, not on how many servers it is about", () =>
    stood(
      Effect.gen(function* () {
        set(EPOCH / 1_000 + (LAST + 30) * 1_000)
        yield* store(rows)
        yield* (yield* Rollups).pass
        const rankings = yield* Rankings
        const window = { from: EPOCH + 400 * SECOND, to: EPOCH + LAST * SECOND }
        const request = { exporter: "process_exporter", metric: "cpu", limit: 10, window }
        const top = (servers: number) => rankings.tops({ ...request, serverIds: serverIds.slice(0, servers) })
        assert.strictEqual((yield* top(2 * SLICE)).size, 2 * SLICE)
        const one = yield* counted(top(1))
        assert.isAbove(one, 4)
        assert.isBelow(one, 12)
        assert.strictEqual(yield* counted(top(2)), one)
        assert.strictEqual(yield* counted(top(SLICE)), one)
        // A slice takes no more than it would alone.
        assert.isAtMost(yield* counted(top(2 * SLICE)), 2 * one)
      })
    )
  )

  it.effect("of the fleet's page and of who was last heard of is a few for all servers", () =>
    stood(
      Effect.gen(function* () {
        const fresh = <A, E, R>(ask: Effect.Effect<A, E, Overview | Sightings | R>) =>
          Effect.gen(function* () {
            const layers = Layer.merge(OverviewPostgres.layer, SightingsPostgres.layer)
            return yield* Effect.provide(counted(ask), yield* Layer.build(Layer.fresh(layers)))
          }).pipe(Effect.scoped)
        const fleet = yield* fresh(
          Effect.flatMap(Overview, ({ fleet }) =>
            Effect.map(fleet, ({ servers }) => assert.strictEqual(servers.length, 2 * SLICE))
          )
        )
        assert.isAbove(fleet, 4)
        assert.isBelow(fleet, 25)
        const seen = yield* fresh(
          Effect.flatMap(Sightings, ({ all }) => Effect.map(all, ({ size }) => assert.strictEqual(size, 2 * SLICE)))
        )
        // One for each exporter, and one for the names of the servers.
        assert.strictEqual(seen, exporters.length + 1)
      })
    )
  )
})
