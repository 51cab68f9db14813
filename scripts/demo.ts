/**
 * `npm run demo`: NodePulse with a fleet that does not exist (`demo-fleet.ts`), to look at and to take pictures of.
 *
 * It fills a data folder of its own with a week of history, straight into the rows, and then goes on live through the
 * ingest, as agents do. Started again, it makes its folder anew. Ctrl-C ends it.
 *
 *     npm run demo                     opens on port 8081, NODEPULSE_PORT chooses another one
 */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { ConfigProvider, Console, Effect, Layer, Option, Redacted, References } from "effect"
import config from "../plugins.config.ts"
import * as BacktestPostgres from "../src/alerts/BacktestPostgres.ts"
import { Registry } from "../src/plugins/Registry.ts"
import type { Snapshot } from "../src/plugins/Snapshot.ts"
import { absent } from "../src/plugins/Storable.ts"
import { wireName } from "../src/plugins/Wire.ts"
import * as Server from "../src/Server.ts"
import { Settings } from "../src/Settings.ts"
import * as Database from "../src/sinks/postgres/Database.ts"
import { runningRoles } from "../src/sinks/postgres/embedded/EmbeddedPostgres.ts"
import { DeadLetters } from "../src/sinks/storage/DeadLetters.ts"
import * as DeadLettersPostgres from "../src/sinks/storage/DeadLettersPostgres.ts"
import { SnapshotRows } from "../src/sinks/storage/SnapshotRows.ts"
import * as SnapshotRowsPostgres from "../src/sinks/storage/SnapshotRowsPostgres.ts"
import { demoFleet, Machine } from "./demo-fleet.ts"
import { ACTING_SERVER, actOnFleet } from "./demo-hands.ts"
import { announceReceiver, watchFleet } from "./demo-watch.ts"

const HOST = config.exporters.find((exporter) => exporter.host !== undefined)!
const GROUPS = config.exporters.find((exporter) => exporter.top !== undefined)!
const UNITS = config.exporters.find((exporter) => exporter.units !== undefined)!
const BATCH = 5_000
const INTERVAL = 15
const ADMIN = "demo"
/** While PostgreSQL writes rows of one server, those of another are made. */
const SERVERS_AT_ONCE = 2

export interface DemoOptions {
  readonly port: number
  readonly days: number
  /** Told once the fleet is there: the address, and a sign-in link's path. */
  readonly onReady: (url: string, signIn: string) => Effect.Effect<void>
  /** Told once what its rules found is there, too. */
  readonly onWatched?: (url: string) => Effect.Effect<void>
  readonly live: boolean
}

/** Scrapes lie closer the nearer they are to now: a week of them is then quickly made. */
const historyMoments = (now: number, days: number): ReadonlyArray<number> => {
  const moments: Array<number> = []
  let t = Math.floor((now - days * 86_400) / INTERVAL) * INTERVAL
  while (t <= now) {
    moments.push(t)
    const age = now - t
    t += age > 26 * 3_600 ? 240 : age > 7 * 3_600 ? 60 : INTERVAL
  }
  return moments
}

const ask = (url: string, method: string, path: string, token: string, body?: unknown) =>
  Effect.promise(async () => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" })
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return text === "" ? undefined : JSON.parse(text)
  })

/** Runs the server with its fleet until interrupted. */
export const runDemo = (options: DemoOptions, dataDir: string) =>
  Effect.gen(function* () {
    // What goes on live ends with the server: else it would keep the process alive.
    const scope = yield* Effect.scope
    yield* announceReceiver(dataDir)
    const settings = Layer.succeed(Settings, {
      host: "127.0.0.1",
      port: options.port,
      dataDir,
      adminToken: Option.some(Redacted.make(ADMIN)),
      databaseUrl: Option.none(),
      valkeyUrl: Option.none()
    })
    yield* Server.run({
      roles: new Set(["ingest", "digest", "api"]),
      agent: false,
      listen: true,
      onReady: (url) => Effect.asVoid(Effect.forkIn(populate(url, dataDir, options), scope, { startImmediately: true }))
    }).pipe(
      Effect.provide(Layer.mergeAll(settings, Registry.layer(config))),
      Effect.provideService(
        ConfigProvider.ConfigProvider,
        ConfigProvider.fromUnknown({ NODEPULSE_HOST: "127.0.0.1", NODEPULSE_PORT: String(options.port) })
      )
    )
  }).pipe(Effect.scoped)

const populate = (url: string, dataDir: string, options: DemoOptions) =>
  Effect.gen(function* () {
    const { days, live, onReady, onWatched = () => Effect.void } = options
    const now = Math.floor(Date.now() / 1000 / INTERVAL) * INTERVAL
    const database = yield* runningRoles(dataDir)
    if (Option.isNone(database)) return yield* Effect.die(new Error("the demonstration has no database"))
    const owner = Database.layer({ url: database.value.owner })
    const machines = demoFleet.map((server) => new Machine(server))
    const agents: Array<{ readonly id: string; readonly token: string; readonly machine: Machine }> = []
    for (const machine of machines) {
      const made = yield* ask(url, "POST", "/api/servers", ADMIN, { name: machine.server.name })
      agents.push({ id: made.server_id, token: made.token, machine })
    }
    yield* insertHistory(agents, historyMoments(now, days), now).pipe(
      Effect.provide(
        Layer.mergeAll(SnapshotRowsPostgres.layer, DeadLettersPostgres.layer).pipe(
          Layer.provideMerge(owner),
          Layer.provide(Registry.layer(config))
        )
      )
    )
    const link = yield* ask(url, "POST", "/api/session/links", ADMIN)
    yield* onReady(url, link.path)
    const acting = agents.find(({ machine }) => machine.server.name === ACTING_SERVER)!
    yield* actOnFleet(url, acting, now).pipe(Effect.provide(owner), Effect.forkChild)
    const idOf = (name: string) => agents.find(({ machine }) => machine.server.name === name)!.id
    yield* watchFleet((method, path, body) => ask(url, method, path, ADMIN, body), now * 1_000, idOf).pipe(
      Effect.andThen(onWatched(url)),
      Effect.provide(BacktestPostgres.layer.pipe(Layer.provideMerge(owner), Layer.provide(Registry.layer(config)))),
      Effect.tapDefect((defect) => Effect.logError("the demonstration watches nothing", defect)),
      Effect.forkChild
    )
    if (!live) return
    for (let t = now + INTERVAL; ; t += INTERVAL) {
      yield* Effect.sleep(`${Math.max(0, t * 1000 - Date.now())} millis`)
      yield* Effect.forEach(agents, ({ machine, token }) => {
        const rows = machine.at(t, now)
        if (rows === null) return Effect.void
        const timestamp = new Date(t * 1000).toISOString()
        const booted = new Date((now - machine.server.bootDays * 86_400) * 1000).toISOString()
        return ask(url, "POST", "/metrics/prometheus", token, {
          [HOST.name]: [{ timestamp, ...rows.host }],
          [GROUPS.name]: rows.groups.map(({ row, since }) => ({
            timestamp,
            counters_since: new Date(since * 1000).toISOString(),
            ...row
          })),
          [UNITS.name]: rows.units.map((row) => ({ timestamp, counters_since: booted, ...row }))
        }).pipe(Effect.catchCause(() => Effect.void))
      })
    }
  }).pipe(Effect.tapCause((cause) => Effect.logError("the demonstration failed", cause)))

const insertHistory = Effect.fnUntraced(function* (
  agents: ReadonlyArray<{ readonly id: string; readonly machine: Machine }>,
  moments: ReadonlyArray<number>,
  now: number
) {
  const rows = yield* SnapshotRows
  const columns = new Map(
    [HOST, GROUPS, UNITS].map((exporter) => [exporter.name, Object.entries(exporter.table.columns)])
  )
  const ofServer = Effect.fnUntraced(function* (id: string, machine: Machine) {
    const waiting = new Map<string, Array<Snapshot>>([HOST, GROUPS, UNITS].map(({ name }) => [name, []]))
    const add = (exporter: string, t: number, since: number, row: Readonly<Record<string, unknown>>) => {
      const values = columns
        .get(exporter)!
        .map(([name, column]) => (row[wireName(name, column)] ?? absent(column) ?? null) as string | number | null)
      const batch = waiting.get(exporter)!
      batch.push({ exporter, serverId: id, timestamp: t * 1e6, countersSince: since * 1e6, values })
      return batch.length
    }
    const flush = Effect.forEach(
      [...waiting.keys()],
      (exporter) => {
        const batch = waiting.get(exporter)!.splice(0)
        return batch.length === 0 ? Effect.void : Effect.asVoid(rows.insert(exporter, batch))
      },
      { concurrency: 3, discard: true }
    )
    for (const t of moments) {
      const said = machine.at(t, now)
      if (said === null) continue
      const booted = now - machine.server.bootDays * 86_400
      let most = add(HOST.name, t, booted, said.host)
      for (const row of said.units) most = Math.max(most, add(UNITS.name, t, booted, row))
      for (const { row, since } of said.groups) most = Math.max(most, add(GROUPS.name, t, since, row))
      if (most >= BATCH) yield* flush
    }
    yield* flush
  })
  yield* Effect.forEach(agents, ({ id, machine }) => ofServer(id, machine), {
    concurrency: SERVERS_AT_ONCE,
    discard: true
  })
  const letters = yield* DeadLetters
  yield* letters.put(
    [
      [
        GROUPS.name,
        "web-2",
        "num_procs is 3000000000, but must be a whole number from 0 to 2147483647",
        '["php-fpm",3000000000,91223.4,650117120]'
      ],
      [
        HOST.name,
        "legacy-erp",
        "timestamp is 11 minutes ahead of this server's clock: the sender's clock is wrong",
        "[1784190.53,…]"
      ],
      [
        GROUPS.name,
        "batch-1",
        "there is no partition for a row of 2019-01-01: it is older than what is kept",
        '["python3",5,120.5,2411724800]'
      ]
    ].map(([exporter = "", serverId = "", reason = "", payload = ""], index) => ({
      key: `demo-${index}`,
      exporter,
      serverId,
      reason,
      payload
    }))
  )
  // Longer ago than the week that its rules look at: each of them would be told.
  yield* (yield* PgClient.PgClient)`update admiral.dead_letters set created_at = now() - interval '8 days' - id * interval '5 hours'`
})

if (import.meta.main) {
  const began = Date.now()
  const dataDir = await mkdtemp(join(tmpdir(), "nodepulse-demo-"))
  const fiber = Effect.runFork(
    runDemo(
      {
        port: Number(process.env.NODEPULSE_PORT ?? 8081),
        days: Number(process.env.NODEPULSE_DEMO_DAYS ?? 7),
        live: true,
        onReady: (url, path) =>
          Console.log(
            `\n  ${demoFleet.length} servers with a week of history, made in ${Math.round((Date.now() - began) / 1000)} s; they go on live.\n  Sign in once with this link:\n\n    ${url}${path}\n`
          ),
        onWatched: (url) => Console.log(`  What its rules found in that week is on ${url}/watch\n`)
      },
      dataDir
    ).pipe(Effect.provideService(References.MinimumLogLevel, "Warn"))
  )
  await Effect.runPromise(Console.log("  Making a fleet: this takes about a minute …"))
  const stop = () => fiber.interruptUnsafe()
  process.once("SIGINT", stop)
  process.once("SIGTERM", stop)
  await new Promise<void>((resolve) => fiber.addObserver(() => resolve()))
  await rm(dataDir, { recursive: true, force: true })
}
