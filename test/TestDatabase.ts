/**
 * A fresh, migrated database in the test run's PostgreSQL, dropped when the layer's scope closes. One per `layer(…)`. Where that is
 * a coordinator of Citus, its rows are distributed over the nodes.
 *
 * ```ts
 * layer(TestDatabase.layer)("…", (it) => { it.effect("…", () => Effect.gen(function* () { const sql = yield* PgClient.PgClient … })) })
 * layer(TestDatabase.layerWith({ exporters: [myExporter()] }))(…)
 * ```
 */
import { randomBytes } from "node:crypto"
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Redacted, Result } from "effect"
import type { SqlClient } from "effect/sql"
import { inject } from "vitest"
import config from "../plugins.config.ts"
import type { Exporter } from "../src/plugins/Exporter.ts"
import * as Database from "../src/sinks/postgres/Database.ts"
import * as Migrations from "../src/sinks/storage/Migrations.ts"
import type {} from "./globalSetup.ts"

export interface Options {
  /** Defaults to those of `plugins.config.ts`. */
  readonly exporters?: ReadonlyArray<Exporter>
  /** An empty database where false. */
  readonly migrated?: boolean
  readonly maxConnections?: number
}

export class TestDatabase extends Context.Service<
  TestDatabase,
  {
    /** Of the fresh database; for parts that connect by themselves. */
    readonly url: Redacted.Redacted<string>
    readonly exporters: ReadonlyArray<Exporter>
  }
>()("nodepulse/test/TestDatabase") {}

export const layerWith = (
  options: Options = {}
): Layer.Layer<TestDatabase | PgClient.PgClient | SqlClient.SqlClient> => {
  const exporters = options.exporters ?? config.exporters
  const client = Layer.unwrap(
    Effect.map(TestDatabase, ({ url }) => Database.layer({ url, maxConnections: options.maxConnections ?? 10 }))
  )
  const migrated = Layer.effectDiscard(
    options.migrated === false
      ? Effect.void
      : Migrations.migrate(Result.getOrThrow(Migrations.generate(exporters)).added)
  )
  return migrated.pipe(
    Layer.provideMerge(client),
    Layer.provideMerge(
      Layer.effect(
        TestDatabase,
        Effect.map(freshDatabase, (url) => ({ url, exporters }))
      )
    ),
    Layer.orDie
  )
}

const SHARDS = 4

const freshDatabase = Effect.gen(function* () {
  const server = inject("postgresUrl")
  const nodes = inject("citusNodes").map(({ host, port }) => {
    const url = new URL(server)
    url.hostname = host
    url.port = String(port)
    return url.href
  })
  const name = `test_${randomBytes(8).toString("hex")}`
  const at = (server: string) => {
    const url = new URL(server)
    url.pathname = `/${name}`
    return url.href
  }
  const servers = nodes.length === 0 ? [server] : nodes
  yield* Effect.acquireRelease(
    Effect.forEach(servers, (server) => run(server, `create database ${name}`), { concurrency: "unbounded" }),
    () => Effect.forEach(servers, (server) => Effect.orDie(run(server, `drop database ${name} with (force)`)))
  )
  yield* Effect.forEach(nodes, (node) => run(at(node), "create extension citus"), { concurrency: "unbounded" })
  for (const [n, { host, port }] of inject("citusNodes").entries()) {
    const add = n === 0 ? "citus_set_coordinator_host" : "citus_add_node"
    yield* run(at(server), `select ${add}('${host}', ${port})`)
  }
  // Two a node and more: what is made for each of Citus's own 32 would take most of the time.
  if (nodes.length > 0) yield* run(server, `alter database ${name} set citus.shard_count = ${SHARDS}`)
  return Redacted.make(at(server))
})

const run = (server: string, statement: string) =>
  Effect.flatMap(PgClient.PgClient, (sql) => sql.unsafe(statement).unprepared).pipe(
    Effect.provide(Database.layer({ url: Redacted.make(server), maxConnections: 1 }), { local: true })
  )

/** Whether databases of this run are distributed. Tests of what only one machine has are left out there, with a reason. */
export const isDistributed = inject("citusNodes").length > 0

/** Says in one line what a test file leaves out where rows are distributed. */
export const leaveOut = (what: string): boolean => {
  if (isDistributed) process.stdout.write(`left out on Citus: ${what}\n`)
  return isDistributed
}

export const layer = layerWith()
