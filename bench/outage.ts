/**
 * The end of an outage of 24 hours, with everything real but the machine that is watched: two exporters, 150 process groups,
 * 15 s; the agent's spool on disk and its push; ingest, digest, PostgreSQL and, where there is one, Valkey, in a process of
 * their own. Meanwhile the agent goes on scraping. Prints the size of the spool, how long it takes to drain, and how old the
 * newest row in the database ever was: the page is as current as that.
 *
 *     node bench/outage.ts [hours, default 24]
 *
 * Exits 1 where a row is missing or one too many, where the drain takes 10 minutes a day of outage or more, or where the
 * newest row was ever older than 30 s.
 */
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Duration, Effect, Fiber, Layer, Redacted, References, Schedule } from "effect"
import { layerStatus } from "../agent/Agent.ts"
import { AgentStatus } from "../agent/AgentStatus.ts"
import { AgentConfig } from "../agent/config/AgentConfig.ts"
import { makePush } from "../agent/push/Push.ts"
import { packArray } from "../agent/spool/PackedRows.ts"
import { Spool } from "../agent/spool/Spool.ts"
import { layerDisk } from "../agent/spool/SpoolDisk.ts"
import * as Database from "../src/sinks/postgres/Database.ts"
import { seededRandom } from "../test/Seeded.ts"
import { makeMachine } from "./data/Machine.ts"
import { makeServer, print } from "./outage-server.ts"

const HOURS = Number(process.argv[2] ?? 24)
const GROUPS = 150
const INTERVAL_MILLIS = 15_000
const CURRENT_SECONDS = 30
const DRAINED_SECONDS = (600 * Math.max(HOURS, 24)) / 24
const rounds = Math.round((HOURS * 3_600_000) / INTERVAL_MILLIS)

const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`
const exporters = makeMachine(GROUPS, seededRandom(1))

/** Scrapes everything once, as at that moment. */
const scrape = Effect.fnUntraced(function* (at: number) {
  const spool = yield* Spool
  const timestamp = new Date(at).toISOString()
  yield* spool.append(
    exporters.map(({ name, scrape }) => ({ exporter: name, scrapedAt: at, rows: packArray(scrape(timestamp))! }))
  )
})

const must = (isTrue: boolean, what: string) => {
  if (isTrue) return
  print("FAILED", what)
  process.exitCode = 1
}

const bench = Effect.gen(function* () {
  const server = yield* makeServer()
  yield* server.start
  yield* server.ready
  const { server_id, token } = yield* server.register("bench")

  const path = join(server.folder, "spool")
  const maxAge = Duration.hours(HOURS + 1)
  const config = Layer.succeed(AgentConfig, {
    serverName: "bench",
    server: {
      url: server.url,
      token: Effect.succeed(Redacted.make(token)),
      timeout: Duration.seconds(10),
      ca: undefined
    },
    buffer: { path, maxBytes: 256 * 2 ** 20, maxAge },
    exporters: [],
    disabled: [],
    warnings: []
  })
  const agent = layerStatus.pipe(Layer.provideMerge(layerDisk({ path, maxAge })), Layer.provideMerge(config))

  yield* Effect.gen(function* () {
    const spool = yield* Spool
    const sql = yield* PgClient.PgClient
    const start = Date.now() - rounds * INTERVAL_MILLIS
    for (let round = 0; round < rounds; round++) yield* scrape(start + round * INTERVAL_MILLIS)
    const { bytes, dropped, records } = yield* spool.stats
    print(`records of ${HOURS} h`, `${records}, ${dropped} dropped`)
    print("spool", `${mib(bytes)}: ${Math.round(bytes / rounds)} B for a scrape of both exporters`)
    must(dropped === 0, "the spool dropped")

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
      // The older of both exporters.
      const [row] = yield* sql<{ readonly newest: number }>`
        select (date_part('epoch', least(
          (select max(timestamp) from admiral.process_snapshots where server_id = ${server_id}),
          (select max(timestamp) from admiral.node_snapshots where server_id = ${server_id}))) * 1000)::float8 as newest`
      const seconds = (performance.now() - began) / 1_000
      const age = row === undefined ? Number.POSITIVE_INFINITY : (Date.now() - row.newest) / 1_000
      if (age < CURRENT_SECONDS) current ??= seconds
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
    must(current !== undefined && current < CURRENT_SECONDS, `current only after ${current} s`)
    must(oldest < CURRENT_SECONDS, `the newest row was ${oldest} s old`)
    must(drained < DRAINED_SECONDS, `drained only after ${drained} s`)
    const { bytesSent, requests } = (yield* (yield* AgentStatus).view).push
    print("requests", `${JSON.stringify(requests)}, ${mib(bytesSent)}`)
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
    must(rows === expected, "rows are missing, or too many")
  }).pipe(Effect.provide(Layer.mergeAll(agent, Database.layer({ url: server.postgres, maxConnections: 2 }))))
}).pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "Warn"))

await Effect.runPromise(bench)
