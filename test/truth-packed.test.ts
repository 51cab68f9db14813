/**
 * The numbers are the same when the rows are packed: every vector of `TruthVectors.ts`, and generated rows against the reference
 * computation, from days that are packed. A column that was appended since is NULL in them.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Duration, Effect, Layer, Result } from "effect"
import { gauge } from "../src/plugins/Column.ts"
import type { Exporter } from "../src/plugins/Exporter.ts"
import { makeRegistry, Registry } from "../src/plugins/Registry.ts"
import { Rankings } from "../src/query/Rankings.ts"
import * as RankingsPostgres from "../src/query/RankingsPostgres.ts"
import { Rollups } from "../src/sinks/rollups/Rollups.ts"
import * as Migrations from "../src/sinks/storage/Migrations.ts"
import { PACK_AFTER, Packing } from "../src/sinks/storage/Packing.ts"
import { DAY_MICROS, dayOf } from "../src/sinks/storage/Partitions.ts"
import { Scrapes } from "../src/sinks/storage/Scrapes.ts"
import * as SnapshotRowsPostgres from "../src/sinks/storage/SnapshotRowsPostgres.ts"
import { makeStandingClock } from "./StandingClock.ts"
import * as TestDatabase from "./TestDatabase.ts"
import { truthTop } from "./Truth.ts"
import { EPOCH, exporters, SECOND, store } from "./TruthRows.ts"
import { same } from "./TruthSame.ts"
import { vectors } from "./TruthVectors.ts"
import { generated } from "./TruthWorld.ts"

const registry = Layer.succeed(Registry, Result.getOrThrow(makeRegistry({ exporters })))
const live = Layer.mergeAll(
  RankingsPostgres.layer,
  SnapshotRowsPostgres.layer,
  Rollups.layer,
  Scrapes.layer,
  Packing.layerWith()
).pipe(Layer.provideMerge(registry), Layer.provideMerge(TestDatabase.layerWith({ exporters })))

const { set, stood } = makeStandingClock()

/** Packs all days that rows of the tests lie in. */
const packed = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  set(((dayOf(EPOCH) + 3) * DAY_MICROS) / 1_000 + Duration.toMillis(PACK_AFTER))
  yield* Effect.flatMap(Rollups, ({ pass }) => pass)
  yield* Effect.flatMap(Packing, ({ pass }) => pass)
  for (const { table } of exporters) {
    const hot = yield* sql.unsafe(`select 1 from admiral.${table.name}_scrapes where packed_in is null limit 1`)
    assert.strictEqual(hot.length, 0, `${table.name} is packed`)
  }
}).pipe(stood)

layer(live)("packed rows", (it) => {
  it.effect("give every vector's answer", () =>
    Effect.gen(function* () {
      const { top } = yield* Rankings
      set(EPOCH / 1_000)
      for (const [n, vector] of vectors.entries()) yield* stood(store(vector.rows(`vector ${n}`)))
      yield* packed
      for (const [n, vector] of vectors.entries()) {
        const serverId = `vector ${n}`
        const { exporter = "process_exporter", metric = "cpu", window } = vector
        vector.check(yield* top({ exporter, serverId, metric, limit: 10, window }))
      }
    })
  )

  it.effect("give the answers of the reference computation, also after rows came late and were packed again", () =>
    Effect.gen(function* () {
      const { top } = yield* Rankings
      const rows = generated("generated", 42, 2)
      yield* stood(store(rows.filter((_, n) => n % 5 !== 0)))
      yield* packed
      yield* stood(store(rows))
      const compare = Effect.gen(function* () {
        for (const metric of ["cpu", "memory"]) {
          const window = { from: EPOCH, to: EPOCH + 2 * 3_600 * SECOND }
          const ask = { exporter: "process_exporter", serverId: "generated", metric, limit: 1_000, window }
          same(yield* top(ask), truthTop(exporters, rows, ask), metric)
        }
      })
      yield* compare
      yield* packed
      yield* compare
    })
  )

  it.effect("lack a column that was appended since: it is NULL, to the program and in the view", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const before = Result.getOrThrow(Migrations.generate(exporters))
      const queue = exporters.find(({ name }) => name === "queue_exporter")!
      const appended: Exporter = {
        ...queue,
        table: {
          ...queue.table,
          columns: { ...queue.table.columns, added: gauge({ nullable: true, doc: "Added." }) }
        }
      }
      const now = exporters.map((exporter) => (exporter === queue ? appended : exporter))
      const { added } = Result.getOrThrow(Migrations.generate(now, before.declared))
      yield* Migrations.migrate([...before.added, ...added])
      const [shown] = yield* sql<{ readonly rows: number; readonly known: number; readonly jobs: number }>`
        select count(*)::int4 as rows, count(added)::int4 as known, count(jobs_total)::int4 as jobs from admiral.queue_snapshots`
      assert.isAbove(shown!.rows, 0)
      assert.strictEqual(shown!.known, 0)
      assert.strictEqual(shown!.jobs, shown!.rows)
      const [server] = yield* sql<{ readonly id: number }>`select id from admiral.servers where server_id = 'generated'`
      const read = Effect.flatMap(Scrapes, (scrapes) =>
        scrapes.between("queue_exporter", [server!.id], [{ after: 0, upto: EPOCH * 2 }], ["added", "jobs_total"])
      ).pipe(
        Effect.provide(Layer.fresh(Scrapes.layer).pipe(Layer.provide(Registry.layer({ exporters: now }))), {
          local: true
        })
      )
      const own = (yield* read)[0]!.get(server!.id)!
      assert.isAbove(own.length, 0)
      for (const { values } of own) {
        assert.isTrue(values[0]!.every(Number.isNaN))
        assert.isFalse(values[1]!.some(Number.isNaN))
      }
    })
  )
})
