/** Sightings from a real PostgreSQL: seconds are counted from `EPOCH`. */
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Result } from "effect"
import * as TestDatabase from "../../test/TestDatabase.ts"
import { EPOCH, exporters, nodeRow, processRow, SECOND, store } from "../../test/TruthRows.ts"
import * as ServersPostgres from "../access/ServersPostgres.ts"
import { makeRegistry, Registry } from "../plugins/Registry.ts"
import * as SnapshotRowsPostgres from "../sinks/storage/SnapshotRowsPostgres.ts"
import { Sightings } from "./Sightings.ts"
import * as SightingsPostgres from "./SightingsPostgres.ts"

const parts = Layer.mergeAll(
  Layer.fresh(SightingsPostgres.layer),
  ServersPostgres.layer,
  SnapshotRowsPostgres.layer
).pipe(
  Layer.provideMerge(Layer.succeed(Registry, Result.getOrThrow(makeRegistry({ exporters })))),
  Layer.provideMerge(TestDatabase.layerWith({ exporters, maxConnections: 4 }))
)

const times = (count: number, every: number, from = 0) => Array.from({ length: count }, (_, n) => from + n * every)

layer(parts)("when a server was last heard of", (it) => {
  it.effect("is told by exporter, with the interval that it really reports at", () =>
    Effect.gen(function* () {
      yield* store([
        // Two exporters with intervals of their own, whose scrapes interleave; two groups a scrape.
        ...times(12, 15).map((t) => nodeRow("mixed", t, { cpu_cores: 4 })),
        ...times(5, 120, 7).flatMap((t) => [processRow("mixed", t, "a", t), processRow("mixed", t, "b", t)]),
        // A gap of ten minutes, after which it reports every five seconds.
        ...times(4, 60).map((t) => nodeRow("changed", t, { cpu_cores: 4 })),
        ...times(6, 5, 780).map((t) => nodeRow("changed", t, { cpu_cores: 4 })),
        nodeRow("once", 3, { cpu_cores: 4 })
      ])
      const { of } = yield* Sightings
      const host = "node_exporter"
      const groups = "process_exporter"
      const sighting = (exporter: string, t: number, interval: number) => ({
        exporter,
        lastSeen: EPOCH + t * SECOND,
        interval: interval * SECOND
      })
      const found = (yield* of("mixed")).toSorted((a, b) => (a.exporter < b.exporter ? -1 : 1))
      assert.deepStrictEqual(found, [sighting(host, 165, 15), sighting(groups, 487, 120)])
      assert.deepStrictEqual(yield* of("changed"), [sighting(host, 805, 5)])
      assert.deepStrictEqual(yield* of("once"), [sighting(host, 3, 15)])
      assert.deepStrictEqual(yield* of("nobody"), [])
      const window = (from: number, to: number) => ({ from: EPOCH + from * SECOND, to: EPOCH + to * SECOND })
      const pace = yield* (yield* Sightings).pace({ exporter: host, serverId: "changed", window: window(-1, 900) })
      assert.deepStrictEqual(pace, { latest: 5 * SECOND, longest: 60 * SECOND })
      const early = yield* (yield* Sightings).pace({ exporter: host, serverId: "changed", window: window(0, 600) })
      assert.deepStrictEqual(early, { latest: 60 * SECOND, longest: 60 * SECOND })
      const none = yield* (yield* Sightings).pace({ exporter: groups, serverId: "nobody", window: window(0, 600) })
      assert.deepStrictEqual(none, { latest: 15 * SECOND, longest: 15 * SECOND })
      const all = yield* (yield* Sightings).all
      assert.deepStrictEqual(all.get("changed"), [sighting(host, 805, 5)])
      assert.deepStrictEqual([...all.keys()].toSorted(), ["changed", "mixed", "once"])
    })
  )
})
