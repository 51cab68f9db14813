/**
 * The end of an outage of 24 hours, with everything real but the machine that is watched: two exporters, 150 process groups,
 * 15 s; the agent's spool on disk and its push; ingest, digest, PostgreSQL and, where there is one, Valkey, in a process of
 * their own. Meanwhile the agent goes on scraping. Prints the size of the spool, how long it takes to drain, and how old the
 * newest row in the database ever was: the page is as current as that.
 *
 *     node bench/outage.ts [hours, default 24]
 */
import { spawn } from "node:child_process"
import { chmodSync, mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Duration, Effect, Fiber, Layer, Redacted, References, Schedule } from "effect"
import { AgentConfig } from "../agent/AgentConfig.ts"
import { AgentStatus } from "../agent/AgentStatus.ts"
import { makePush } from "../agent/Push.ts"
import { Spool } from "../agent/Spool.ts"
import { layerDisk } from "../agent/SpoolDisk.ts"
import { seededRandom } from "../agent/SpoolSuite.ts"
import * as Database from "../src/sinks/Database.ts"
import { make as makePostgres } from "../src/sinks/EmbeddedPostgres.ts"
import { makeTestValkey, valkeyServer } from "../test/TestValkey.ts"
import { makeMachine } from "./data/Machine.ts"

const HOURS = Number(process.argv[2] ?? 24)
const GROUPS = 150
const INTERVAL_MILLIS = 15_000
const ADMIN = "bench-admin-token"
const rounds = Math.round((HOURS * 3_600_000) / INTERVAL_MILLIS)

const print = (what: string, value: string) => process.stdout.write(`${what.padEnd(46)} ${value}\n`)
const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`
const exporters = makeMachine(GROUPS, seededRandom(1))

const freePort = Effect.callback<number>((resume) => {
  const server = createServer()
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0)))
  })
})

/** Scrapes everything once, as at that moment. */
const scrape = Effect.fnUntraced(function* (at: number) {
  const spool = yield* Spool
  const timestamp = new Date(at).toISOString()
  yield* spool.append(exporters.map(({ name, scrape }) => ({ exporter: name, scrapedAt: at, rows: scrape(timestamp) })))
})

const bench = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const made = mkdtempSync(join(tmpdir(), "nodepulse-outage-"))
      chmodSync(made, 0o711)
      return made
    }),
    (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
  )
  const postgres = yield* makePostgres({ dataDir: join(folder, "data"), unreachableBase: join(folder, "reachable") })
  const valkey = valkeyServer === undefined ? undefined : yield* makeTestValkey({ appendOnly: true })
  const port = yield* freePort
  const url = `http://127.0.0.1:${port}`
  yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, [join(import.meta.dirname, "..", "src", "main.ts"), "server"], {
        env: {
          PATH: process.env.PATH,
          DATABASE_URL: Redacted.value(postgres.url),
          NODEPULSE_ADMIN_TOKEN: ADMIN,
          NODEPULSE_DATA_DIR: folder,
          NODEPULSE_PORT: String(port),
          ...(valkey === undefined ? {} : { VALKEY_URL: valkey.url })
        },
        stdio: ["ignore", "ignore", "inherit"]
      })
    ),
    (server) => Effect.promise(() => new Promise((resolve) => server.once("exit", resolve).kill("SIGTERM")))
  )
  const { server_id, token } = yield* Effect.tryPromise(async () => {
    const response = await fetch(`${url}/api/servers`, {
      method: "POST",
      headers: { authorization: `Bearer ${ADMIN}`, "content-type": "application/json" },
      body: JSON.stringify({ name: "bench" })
    })
    if (response.status !== 201) throw new Error(String(response.status))
    return (await response.json()) as { readonly server_id: string; readonly token: string }
  }).pipe(Effect.retry(Schedule.spaced("200 millis")))

  const config = Layer.succeed(AgentConfig, {
    serverName: "bench",
    server: { url, token: Effect.succeed(Redacted.make(token)), timeout: Duration.seconds(10), ca: undefined },
    buffer: { path: join(folder, "spool"), maxBytes: 256 * 2 ** 20, maxAge: Duration.hours(HOURS + 1) },
    exporters: [],
    disabled: [],
    warnings: []
  })
  const agent = Layer.mergeAll(
    layerDisk({ path: join(folder, "spool"), maxAge: Duration.hours(HOURS + 1) }),
    AgentStatus.layer
  ).pipe(Layer.provideMerge(config))

  yield* Effect.gen(function* () {
    const spool = yield* Spool
    const sql = yield* PgClient.PgClient
    const start = Date.now() - rounds * INTERVAL_MILLIS
    for (let round = 0; round < rounds; round++) yield* scrape(start + round * INTERVAL_MILLIS)
    const { bytes, dropped, records } = yield* spool.stats
    print(`records of ${HOURS} h`, `${records}, ${dropped} dropped`)
    print("spool", `${mib(bytes)}: ${Math.round(bytes / rounds)} B for a scrape of both exporters`)

    const push = yield* makePush
    let scraped = rounds
    const scraping = yield* Effect.forkChild(
      Effect.forever(
        Effect.gen(function* () {
          yield* scrape(Date.now())
          scraped++
          yield* Effect.sleep(INTERVAL_MILLIS)
        })
      )
    )
    const began = performance.now()
    const pushing = yield* Effect.forkChild(push.run)
    let current: number | undefined
    let oldest = 0
    let drained: number | undefined
    while (drained === undefined) {
      yield* Effect.sleep(500)
      const [row] = yield* sql<{ readonly newest: number }>`
        select (date_part('epoch', max(timestamp)) * 1000)::float8 as newest from admiral.process_snapshots
        where server_id = ${server_id}`
      const seconds = (performance.now() - began) / 1_000
      const age = row === undefined ? Number.POSITIVE_INFINITY : (Date.now() - row.newest) / 1_000
      if (age < 30) current ??= seconds
      if (current !== undefined) oldest = Math.max(oldest, age)
      const left = yield* spool.stats
      if (left.records === 0) drained = seconds
    }
    yield* Fiber.interrupt(scraping)
    yield* push.flush
    yield* Fiber.interrupt(pushing)
    print("page current again after", `${current?.toFixed(1)} s`)
    print("drained after", `${drained.toFixed(0)} s`)
    print(
      "from then on the newest row was at most",
      `${oldest.toFixed(1)} s old (scraped every ${INTERVAL_MILLIS / 1_000} s)`
    )
    const { requests } = (yield* (yield* AgentStatus).view).push
    print("requests", JSON.stringify(requests))
    const expected = scraped * (GROUPS + 1)
    const counted = Effect.map(
      sql<{ readonly rows: number }>`
        select ((select count(*) from admiral.process_snapshots) + (select count(*) from admiral.node_snapshots))::int4 as rows`,
      ([row]) => row!.rows
    )
    const rows = yield* counted.pipe(
      Effect.repeat({ until: (count) => count >= expected, schedule: Schedule.spaced("1 second") }),
      Effect.timeoutOrElse({ duration: "2 minutes", orElse: () => counted })
    )
    print("rows stored", `${rows} of ${expected}`)
  }).pipe(Effect.provide(Layer.mergeAll(agent, Database.layer({ url: postgres.url, maxConnections: 2 }))))
}).pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "Warn"))

await Effect.runPromise(bench)
