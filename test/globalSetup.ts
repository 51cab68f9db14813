/**
 * One real PostgreSQL for the whole run of the tests, started as the server starts its own, in a temporary folder; or the
 * one that NODEPULSE_TEST_DATABASE_URL names (its user must be allowed to create databases), to test another version, or
 * Citus: where the database that it names has that extension, and nodes, each test file's database has them too.
 * `TestDatabase.ts` gives each test file a database in it.
 */
import { chmod, mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Effect, Exit, Redacted, References, Scope } from "effect"
import type { TestProject } from "vitest/node"
import * as Database from "../src/sinks/postgres/Database.ts"
import { make } from "../src/sinks/postgres/embedded/EmbeddedPostgres.ts"

export interface CitusNode {
  readonly host: string
  readonly port: number
}

declare module "vitest" {
  interface ProvidedContext {
    readonly postgresUrl: string
    /** Where that is a coordinator of Citus: its nodes, the coordinator first. */
    readonly citusNodes: ReadonlyArray<CitusNode>
  }
}

export default async (project: TestProject): Promise<() => Promise<void>> => {
  const other = process.env.NODEPULSE_TEST_DATABASE_URL
  if (other !== undefined && other !== "") {
    project.provide("postgresUrl", other)
    project.provide("citusNodes", await citusNodesOf(other))
    return async () => {}
  }
  project.provide("citusNodes", [])
  const folder = await mkdtemp(join(tmpdir(), "nodepulse-test-"))
  await chmod(folder, 0o711)
  const scope = Effect.runSync(Scope.make())
  const postgres = await Effect.runPromise(
    make({
      dataDir: join(folder, "data"),
      unreachableBase: join(folder, "reachable"),
      // The data is thrown away after the run: no need to wait for the disk.
      settings: { fsync: "off", full_page_writes: "off", shared_buffers: "48MB", max_connections: "200" }
    }).pipe(Scope.provide(scope), Effect.provideService(References.MinimumLogLevel, "Warn"))
  )
  project.provide("postgresUrl", Redacted.value(postgres.url))
  return async () => {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    await rm(folder, { recursive: true, force: true })
  }
}

const citusNodesOf = (url: string): Promise<ReadonlyArray<CitusNode>> =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    const [citus] = yield* sql`select from pg_extension where extname = 'citus'`
    if (citus === undefined) return []
    return yield* sql<CitusNode>`
      select nodename as host, nodeport as port from pg_dist_node where isactive and noderole = 'primary' order by groupid`
  }).pipe(Effect.provide(Database.layer({ url: Redacted.make(url), maxConnections: 1 })), Effect.runPromise)
