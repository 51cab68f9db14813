/**
 * One real PostgreSQL for the whole run of the tests, started as the server starts its own, in a temporary folder; or the
 * one that NODEPULSE_TEST_DATABASE_URL names (its user must be allowed to create databases), to test another version.
 * `TestDatabase.ts` gives each test file a database in it.
 */
import { chmod, mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Exit, Redacted, References, Scope } from "effect"
import type { TestProject } from "vitest/node"
import { make } from "../src/sinks/postgres/embedded/EmbeddedPostgres.ts"

declare module "vitest" {
  interface ProvidedContext {
    readonly postgresUrl: string
  }
}

export default async (project: TestProject): Promise<() => Promise<void>> => {
  const other = process.env.NODEPULSE_TEST_DATABASE_URL
  if (other !== undefined && other !== "") {
    project.provide("postgresUrl", other)
    return async () => {}
  }
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
