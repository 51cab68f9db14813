/**
 * What the test of killed roll-ups and the processes that it kills (`rollupsWorker.ts`) have in common: the exporters, and
 * the moment that all of them take for now, which is a row of the test's database.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Result } from "effect"
import { nodeExporter } from "../src/plugins/node-exporter/NodeExporter.ts"
import { processExporter } from "../src/plugins/process-exporter/ProcessExporter.ts"
import { makeRegistry, Registry } from "../src/plugins/Registry.ts"
import { poolExporter, queueExporter } from "./TruthRows.ts"

/** Days that rows of groups are kept: few, so that a short test sees them go. */
export const KEPT_DAYS = 2

export const exporters = [
  nodeExporter(),
  processExporter({ retention: `${KEPT_DAYS} days` }),
  queueExporter({ retention: `${KEPT_DAYS} days` }),
  poolExporter({ retention: `${KEPT_DAYS} days` })
]

export const registry = Layer.succeed(Registry, Result.getOrThrow(makeRegistry({ exporters })))

/** How PostgreSQL's own views call the processes. */
export const WORKER = "rollups-worker"

export const makeClock = Effect.flatMap(
  PgClient.PgClient,
  (sql) => sql`create table public.test_clock (millis float8 not null)`.unprepared
)

export const setClock = (millis: number) =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    yield* sql.withTransaction(
      Effect.andThen(sql`delete from public.test_clock`, sql`insert into public.test_clock values (${millis})`)
    )
  })

/** Epoch milliseconds. */
export const readClock = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const [row] = yield* sql<{ readonly millis: number }>`select millis from public.test_clock`
  return row!.millis
})
