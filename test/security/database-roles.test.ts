/**
 * What somebody who has taken over the server at run time can do to its database: read and write rows, and nothing that
 * cannot be undone. On a whole server with its embedded PostgreSQL.
 */
import { chmod, mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { expect, it } from "@effect/vitest"
import { Deferred, Effect, Layer, Option, Redacted, References } from "effect"
import config from "../../plugins.config.ts"
import { Registry } from "../../src/plugins/Registry.ts"
import * as Server from "../../src/Server.ts"
import { Settings } from "../../src/Settings.ts"
import * as Database from "../../src/sinks/postgres/Database.ts"
import { examine } from "../../src/sinks/postgres/Examination.ts"
import { runningRoles } from "../../src/sinks/postgres/embedded/EmbeddedPostgres.ts"

const ADMIN = "an-admin-token-of-more-than-32-characters"

const serve = (dataDir: string) =>
  Effect.gen(function* () {
    const ready = yield* Deferred.make<string, unknown>()
    const settings = Layer.succeed(Settings, {
      host: "127.0.0.1",
      port: 0,
      dataDir,
      adminToken: Option.some(Redacted.make(ADMIN)),
      databaseUrl: Option.none(),
      valkeyUrl: Option.none()
    })
    const run = Server.run({
      roles: new Set(["ingest", "digest", "api"]),
      agent: false,
      listen: true,
      onReady: (url) => Effect.asVoid(Deferred.succeed(ready, url))
    }).pipe(
      Effect.provide(Layer.mergeAll(settings, Registry.layer(config))),
      Effect.onError((cause) => Deferred.failCause(ready, cause))
    )
    yield* Effect.forkScoped(run)
    return yield* Deferred.await(ready)
  })

const post = (url: string, path: string, token: string, body: unknown) =>
  Effect.promise(async () => {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" }
    const response = await fetch(`${url}${path}`, { method: "POST", headers, body: JSON.stringify(body) })
    return { status: response.status, body: (await response.json()) as Record<string, string> }
  })

const as = (url: Redacted.Redacted<string>, statement: string) =>
  Effect.flatMap(PgClient.PgClient, (sql) => sql.unsafe<Record<string, unknown>>(statement).unprepared).pipe(
    Effect.map((rows) => ({ rows, refused: "" })),
    Effect.catch((error) => Effect.succeed({ rows: [], refused: Database.sqlState(error as never) ?? String(error) })),
    Effect.provide(Database.layer({ url, maxConnections: 1 }), { local: true })
  )

it.live("the role at run time reads and writes rows, and alters, drops and forges nothing", () =>
  Effect.gen(function* () {
    const dataDir = yield* Effect.acquireRelease(
      Effect.promise(async () => {
        const made = await mkdtemp(join(tmpdir(), "nodepulse-roles-"))
        await chmod(made, 0o711)
        return made
      }),
      (made) => Effect.promise(() => rm(made, { recursive: true, force: true }))
    )
    const url = yield* serve(dataDir)
    const { token } = (yield* post(url, "/api/servers", ADMIN, { name: "web" })).body
    const row = { timestamp: new Date().toISOString(), name: "a", num_procs: 1, cpu_seconds_total: 1, memory_bytes: 1 }
    expect((yield* post(url, "/metrics/prometheus", token!, { process_exporter: [row] })).status).toBe(202)

    const { owner, runtime } = Option.getOrThrow(yield* runningRoles(dataDir))
    const [me] = (yield* as(
      runtime,
      `select current_user::text as "user", rolsuper or rolcreaterole or rolcreatedb or rolbypassrls as more,
        (select count(*)::int from admiral.process_snapshots) as rows from pg_roles where rolname = current_user`
    )).rows
    expect(me).toEqual({ user: "nodepulse_runtime", more: false, rows: 1 })
    const refused = [
      "drop table admiral.tokens",
      "truncate admiral.servers",
      "alter table admiral.servers add column x text",
      "create table admiral.x (y int)",
      "create table public.x (y int)",
      "create schema x",
      "create role x superuser",
      "set role nodepulse_owner",
      "insert into admiral.migrations (name, checksum) values ('x', 'y')",
      "delete from admiral.audit",
      "update admiral.audit set author = 'somebody else'",
      "alter table admiral.audit disable trigger all",
      "copy admiral.tokens to program 'cat'",
      "select pg_read_file('/etc/passwd')"
    ]
    for (const statement of refused)
      expect([statement, (yield* as(runtime, statement)).refused]).toEqual([statement, "42501"])
    expect((yield* as(runtime, "select * from admiral.tokens")).refused).toBe("")

    const [above] = (yield* as(owner, "select rolsuper as super from pg_roles where rolname = current_user")).rows
    expect(above).toEqual({ super: false })
    for (const [role, purpose] of [
      [runtime, "runtime"],
      [owner, "owner"]
    ] as const) {
      expect((yield* examine(role, purpose)).filter(({ state }) => state !== "fine")).toEqual([])
    }
    expect((yield* examine(owner, "alone")).map(({ saw, state }) => [state, saw])).toContainEqual([
      "doubt",
      "nodepulse_owner may alter and drop what it reads and writes"
    ])
  }).pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "Error"))
)
