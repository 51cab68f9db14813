/**
 * A whole server in this process, on a fresh database and a free port, as `nodepulse server` runs it; for tests that look
 * from the outside.
 */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ConfigProvider, Context, Deferred, Effect, Layer, Option, Redacted } from "effect"
import type { AgentConfigShape } from "../agent/config/AgentConfig.ts"
import config from "../plugins.config.ts"
import type { TlsFiles } from "../src/http/server/Tls.ts"
import type { Exporter } from "../src/plugins/Exporter.ts"
import { Registry } from "../src/plugins/Registry.ts"
import * as Server from "../src/Server.ts"
import { Settings } from "../src/Settings.ts"
import { MigrationsFolder } from "../src/Storage.ts"
import * as Migrations from "../src/sinks/storage/Migrations.ts"
import * as TestDatabase from "./TestDatabase.ts"

export interface Answer {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly body: any
}

export interface Options {
  readonly exporters?: ReadonlyArray<Exporter>
  readonly valkeyUrl?: string
  /** A folder with migrations; the repository's own unless given. */
  readonly migrationsFolder?: string
  readonly basePath?: string
  readonly tls?: TlsFiles
  readonly publicUrl?: string
  /** A folder with files of rules for alerts. */
  readonly rulesDir?: string
  /** A file that says who is told of alerts. */
  readonly notifyFile?: string
  /** Variables such as the bounds, instead of those of the environment. */
  readonly environment?: Readonly<Record<string, string>>
  /** With the rules that are shipped, which fire where a test's rows are old. */
  readonly defaultRules?: boolean
  /** With an agent for this machine, as `nodepulse start` has it. */
  readonly agent?: AgentConfigShape
}

const ADMIN = "an-admin-token-for-tests"

export class TestServer extends Context.Service<
  TestServer,
  {
    readonly url: string
    /** With the administrator's token unless another one (or none: "") is given; JSON where there is a body. */
    readonly request: (
      method: string,
      path: string,
      options?: { readonly body?: unknown; readonly token?: string }
    ) => Effect.Effect<Answer>
    /** A new server's id and its agent's token. */
    readonly register: (name: string) => Effect.Effect<{ readonly server_id: string; readonly token: string }>
  }
>()("nodepulse/test/TestServer") {}

/** The server, and the database below it. */
export const layerWith = (options: Options = {}) => {
  const exporters = options.exporters ?? config.exporters
  return Layer.effect(TestServer, make(options, exporters)).pipe(
    Layer.provideMerge(TestDatabase.layerWith({ exporters, migrated: false }))
  )
}

const make = Effect.fnUntraced(function* (options: Options, exporters: ReadonlyArray<Exporter>) {
  const { url: databaseUrl } = yield* TestDatabase.TestDatabase
  const dataDir = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "nodepulse-server-"))),
    (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
  )
  const ready = yield* Deferred.make<string, unknown>()
  const settings = Layer.succeed(Settings, {
    host: "127.0.0.1",
    port: 0,
    dataDir,
    defaultRules: options.defaultRules ?? false,
    ...(options.basePath === undefined ? {} : { basePath: options.basePath }),
    ...(options.tls === undefined ? {} : { tls: options.tls }),
    ...(options.rulesDir === undefined ? {} : { rulesDir: options.rulesDir }),
    ...(options.notifyFile === undefined ? {} : { notifyFile: options.notifyFile }),
    ...(options.publicUrl === undefined ? {} : { publicUrl: options.publicUrl }),
    adminToken: Option.some(Redacted.make(ADMIN)),
    databaseUrl: Option.some(databaseUrl),
    valkeyUrl: Option.map(Option.fromUndefinedOr(options.valkeyUrl), Redacted.make)
  })
  const run = Server.run({
    roles: new Set(["ingest", "digest", "api"]),
    agent: options.agent ?? false,
    listen: true,
    onReady: (url) => Effect.asVoid(Deferred.succeed(ready, url))
  }).pipe(
    Effect.provide(Layer.mergeAll(settings, Registry.layer({ exporters }))),
    options.migrationsFolder === undefined
      ? (self) => self
      : Effect.provideService(MigrationsFolder, options.migrationsFolder),
    options.environment === undefined
      ? (self) => self
      : Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord(options.environment)),
    Effect.onError((cause) => Deferred.failCause(ready, cause))
  )
  yield* Effect.forkScoped(run)
  const url = yield* Effect.orDie(Deferred.await(ready))

  const request: TestServer["Service"]["request"] = (method, path, { body, token = ADMIN } = {}) =>
    Effect.promise(async () => {
      const response = await fetch(`${url}${path}`, {
        method,
        headers: {
          ...(token === "" ? {} : { authorization: `Bearer ${token}` }),
          ...(body === undefined ? {} : { "content-type": "application/json" })
        },
        ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) })
      })
      const text = await response.text()
      const isJson = (response.headers.get("content-type") ?? "").includes("json")
      return { status: response.status, body: isJson ? JSON.parse(text) : text }
    })
  return TestServer.of({
    url,
    request,
    register: (name) => Effect.map(request("POST", "/api/servers", { body: { name } }), ({ body }) => body)
  })
})

export const layer = layerWith()

/** Writes the migrations of exporters into a folder of their own, as `npm run migrations` does. */
export const writeMigrations = (exporters: ReadonlyArray<Exporter>) =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.promise(() => mkdtemp(join(tmpdir(), "nodepulse-migrations-"))),
      (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
    )
    const generated = yield* Effect.fromResult(Migrations.generate(exporters))
    yield* Migrations.writeFolder(folder, generated)
    return folder
  })
