/** Roll-ups are computed anew after an operator has changed what they rest on, once, and without a migration. */
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { processExporter } from "../src/plugins/process-exporter/ProcessExporter.ts"
import { Registry } from "../src/plugins/Registry.ts"
import { Rollups } from "../src/sinks/rollups/Rollups.ts"
import { rebuilds } from "../src/sinks/storage/DeclaredExporters.ts"
import { SnapshotRows } from "../src/sinks/storage/SnapshotRows.ts"
import * as SnapshotRowsPostgres from "../src/sinks/storage/SnapshotRowsPostgres.ts"
import { processValues } from "./ProcessRows.ts"
import * as TestDatabase from "./TestDatabase.ts"

const before = processExporter({ staleAfter: "5 minutes" })
const after = processExporter({ staleAfter: "10 minutes" })
const SECOND = 1_000_000

layer(TestDatabase.layerWith({ exporters: [before] }))("roll-ups of another declaration", (it) => {
  it.effect("are computed anew where the operator has changed staleAfter, once", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* sql`insert into admiral.servers (server_id, name) values ('one', 'one')`
      const run = <A, E>(exporter: typeof before, self: Effect.Effect<A, E, Rollups | SnapshotRows>) =>
        Effect.provide(
          self,
          Layer.mergeAll(Rollups.layer, SnapshotRowsPostgres.layer).pipe(
            Layer.provide(Registry.layer({ exporters: [exporter] }))
          ),
          { local: true }
        )
      const covered = Effect.map(
        sql<{ readonly seconds: number }>`select sum(covered)::float8 as seconds from admiral.process_snapshots_5m`,
        ([row]) => row!.seconds
      )
      const waiting = Effect.map(sql`select 1 from admiral.rollup_queue`, (rows) => rows.length)

      yield* TestClock.setTime(2 * 86_400_000)
      yield* rebuilds([before])
      yield* run(
        before,
        Effect.gen(function* () {
          const rows = [0, 15, 30, 430, 445].map((second) => ({
            exporter: "process_exporter",
            serverId: "one",
            timestamp: (3_600 + second) * SECOND,
            countersSince: null,
            values: processValues("a", { num_procs: 1, cpu_seconds_total: second, memory_bytes: 1 })
          }))
          yield* (yield* SnapshotRows).insert("process_exporter", rows)
          yield* (yield* Rollups).pass
        })
      )
      // The 400 s between two scrapes are a hole, longer than 5 minutes.
      assert.strictEqual(yield* covered, 45)

      const rolls = Effect.flatMap(Rollups, ({ run }) => run)
      const running = yield* Effect.forkChild(run(after, rolls))
      yield* Effect.repeat(covered, { until: (seconds) => seconds === 445 })
      yield* Effect.repeat(waiting, { until: (count) => count === 0 })
      yield* Fiber.interrupt(running)

      // Nothing is left to do for the next start.
      assert.deepStrictEqual(yield* rebuilds([after]), [])
      const again = yield* Effect.forkChild(run(after, rolls))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* waiting, 0)
      yield* Fiber.interrupt(again)
    })
  )
})
