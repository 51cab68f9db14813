/**
 * What the tests about outages stand on: a PostgreSQL and a Valkey of their own that can be stopped, killed and frozen, and a
 * real server on them, in this process.
 */
import { chmodSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Option, Redacted, References, Schedule, type Scope } from "effect"
import config from "../../plugins.config.ts"
import type { Exporter } from "../../src/plugins/Exporter.ts"
import { defineConfig, Registry } from "../../src/plugins/Registry.ts"
import * as Server from "../../src/Server.ts"
import { Settings } from "../../src/Settings.ts"
import * as Database from "../../src/sinks/postgres/Database.ts"
import { type FragilePostgres, makeFragilePostgres } from "../conservation/FragilePostgres.ts"
import { freePort } from "../Ports.ts"
import { makeTestValkey, type TestValkey } from "../TestValkey.ts"

export const ADMIN = "an-admin-token-for-outages"
export const exporter = config.exporters.find(({ top }) => top?.per !== undefined)!.name

export interface World {
  readonly url: string
  readonly valkey: TestValkey
  readonly postgres: FragilePostgres
  readonly folder: string
}

const folderOf = (name: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const folder = mkdtempSync(join(tmpdir(), `nodepulse-${name}-`))
      chmodSync(folder, 0o711)
      return folder
    }),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )

const settingsOf = (
  postgres: Pick<FragilePostgres, "url">,
  valkey: TestValkey,
  port: number,
  folder: string,
  entriesMax?: number
) =>
  Layer.succeed(Settings, {
    host: "127.0.0.1",
    port,
    dataDir: folder,
    adminToken: Option.some(Redacted.make(ADMIN)),
    databaseUrl: Option.some(postgres.url),
    valkeyUrl: Option.some(Redacted.make(valkey.url)),
    ...(entriesMax === undefined ? {} : { stream: { entriesMax } })
  })

/** A server in this process, which may still be waiting; stopped with the scope. */
export const startServer = Effect.fnUntraced(function* (
  postgres: Pick<FragilePostgres, "url">,
  valkey: TestValkey,
  options: {
    readonly entriesMax?: number
    readonly roles?: ReadonlyArray<Server.Role>
    readonly agent?: boolean
    readonly exporters?: ReadonlyArray<Exporter>
  } = {}
) {
  const registered = options.exporters === undefined ? config : defineConfig({ exporters: options.exporters })
  const folder = yield* folderOf("outage")
  const port = yield* freePort
  const fiber = yield* Effect.forkScoped(
    Server.run({
      roles: new Set(options.roles ?? ["ingest", "digest", "api"]),
      agent: options.agent === true,
      listen: true,
      onReady: () => Effect.void
    }).pipe(
      Effect.provide(
        Layer.mergeAll(settingsOf(postgres, valkey, port, folder, options.entriesMax), Registry.layer(registered))
      )
    )
  )
  return { url: `http://127.0.0.1:${port}`, fiber, folder }
})

export interface Answered {
  readonly status: number
  readonly retryAfter: string | null
  // biome-ignore lint/suspicious/noExplicitAny: answers of every shape
  readonly body: any
}

export const ask = (method: string, url: string, body?: unknown, token = ADMIN): Effect.Effect<Answered | undefined> =>
  Effect.promise(async () => {
    try {
      const response = await fetch(url, {
        method,
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) })
      })
      const text = await response.text()
      return {
        status: response.status,
        retryAfter: response.headers.get("retry-after"),
        body: text === "" ? undefined : JSON.parse(text)
      }
    } catch {
      return undefined
    }
  })

/** Asks until it is true. A program takes half a minute to start where the machine has other work. */
export const eventually = <A, R>(what: string, effect: Effect.Effect<A, unknown, R>, isTrue: (value: A) => boolean) =>
  effect.pipe(
    Effect.option,
    Effect.repeat({ until: (value) => Option.isSome(value) && isTrue(value.value), schedule: Schedule.spaced(50) }),
    Effect.timeoutOrElse({ duration: "100 seconds", orElse: () => Effect.die(new Error(`never came true: ${what}`)) }),
    Effect.map((value) => Option.getOrThrow(value as Option.Option<A>))
  )

const readiness = (url: string) => ask("GET", `${url}/readyz`)
export const ready = (url: string) => eventually("ready", readiness(url), (answer) => answer?.status === 200)
export const notReady = (url: string, name: string) =>
  eventually(
    `not ready: ${name}`,
    readiness(url),
    (answer) =>
      answer?.status === 503 &&
      answer.body.checks.some((check: { name: string; ready: boolean }) => check.name === name && !check.ready)
  )

export const register = (url: string, name: string) =>
  Effect.map(ask("POST", `${url}/api/servers`, { name }), (answer) => {
    assert.strictEqual(answer?.status, 201)
    return answer!.body as { readonly server_id: string; readonly token: string }
  })

/** Recent: the past is turned away earlier. */
/**
 * Ahead of now, within the ten minutes that a clock may be: where a machine takes minutes for a test, rows of when it began would be
 * older than two minutes by then, and of such the stream takes an eighth.
 */
const began = Date.now() + 240_000

/** The n-th scrape: ten groups, of which each value is the only one of its kind. */
export const scrape = (n: number) =>
  Array.from({ length: 10 }, (_, group) => ({
    timestamp: new Date(began + n * 100).toISOString(),
    name: `group-${group}`,
    num_procs: 1,
    cpu_seconds_total: n * 10 + group,
    memory_bytes: 4096
  }))

export const postScrape = (url: string, token: string, n: number) =>
  ask("POST", `${url}/metrics/prometheus`, { [exporter]: scrape(n) }, token)

export const stored = (postgres: Pick<FragilePostgres, "url">, server: string) =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    const [row] = yield* sql<{ readonly rows: number; readonly values: number }>`
      select count(*)::int4 as rows, count(distinct cpu_seconds_total)::int4 as values
      from admiral.process_snapshots where server_id = ${server}`
    return row!
  }).pipe(Effect.provide(Database.layer({ url: postgres.url, maxConnections: 1 }), { local: true }), Effect.scoped)

export const allStored = (postgres: Pick<FragilePostgres, "url">, server: string, rows: number) =>
  Effect.map(
    eventually(`${rows} rows`, stored(postgres, server), (found) => found.rows >= rows),
    (found) => assert.deepStrictEqual(found, { rows, values: rows })
  )

export const query = (postgres: Pick<FragilePostgres, "url">, statement: string) =>
  Effect.flatMap(PgClient.PgClient, (sql) => sql.unsafe(statement).unprepared).pipe(
    Effect.provide(Database.layer({ url: postgres.url, maxConnections: 1 }), { local: true }),
    Effect.scoped,
    Effect.orDie
  )

export const deadLetters = (url: string) =>
  Effect.map(ask("GET", `${url}/api/dead-letters`), (answer) => answer!.body.total)

/** The books of digest, from the live view: they balance, for each stage and for the whole. */
export const balanced = Effect.fnUntraced(function* (url: string) {
  const { body } = (yield* ask("GET", `${url}/api/pipeline`))!
  const digest = body.children.find((child: { name: string }) => child.name === "digest").tree
  for (const stage of digest.stages) {
    assert.strictEqual(stage.received, stage.passed + stage.rejected + stage.kept + stage.inHand, stage.stage)
  }
  const { accepted, inFlight, kept, received, rejected } = digest.books
  assert.strictEqual(received, accepted + rejected + kept + inFlight)
  return digest
})

export const promise = (
  title: string,
  test: (world: Omit<World, "url">) => Effect.Effect<void, unknown, Scope.Scope>,
  timeout = 300_000
) =>
  it.live(
    title,
    () =>
      Effect.gen(function* () {
        const folder = yield* folderOf("world")
        const valkey = yield* makeTestValkey({ appendOnly: true })
        const postgres = yield* makeFragilePostgres(folder)
        yield* test({ folder, postgres, valkey })
      }).pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "Fatal")),
    timeout
  )
