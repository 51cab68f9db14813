/**
 * A fleet that comes back at once: so many agents, each with a backlog, lose their server together and try again by
 * themselves; then the server starts. Everything is real but the machines that are watched, and the spools are in memory.
 * Meanwhile each goes on scraping. Prints how long it takes until the newest row of every server in the database is less than 30 s old, how old
 * it gets from then on while the backlog drains, and what was answered.
 *
 *     node bench/outage-fleet.ts [agents, default 300] [minutes of backlog, default 20]
 *
 * The stream's bound is scaled to the fleet: 200 s of it, as the default is for 1 000 servers. Exits 1 where rows are missing.
 */
import { PgClient } from "@effect/sql-pg"
import { Duration, Effect, Layer, Redacted, References, Schedule } from "effect"
import { layerStatus } from "../agent/Agent.ts"
import { AgentStatus } from "../agent/AgentStatus.ts"
import { AgentConfig } from "../agent/config/AgentConfig.ts"
import { makePush } from "../agent/push/Push.ts"
import { packArray, unpackRows } from "../agent/spool/PackedRows.ts"
import { Spool } from "../agent/spool/Spool.ts"
import { layerMemory } from "../agent/spool/SpoolMemory.ts"
import * as Database from "../src/sinks/postgres/Database.ts"
import { seededRandom } from "../test/Seeded.ts"
import { makeMachine } from "./data/Machine.ts"
import { makeServer, print } from "./outage-server.ts"

const AGENTS = Number(process.argv[2] ?? 300)
const MINUTES = Number(process.argv[3] ?? 20)
const GROUPS = 150
const INTERVAL_MILLIS = 15_000
const CURRENT_SECONDS = 30
const GIVE_UP_SECONDS = 1_200
const rounds = Math.round((MINUTES * 60_000) / INTERVAL_MILLIS)
const exporters = makeMachine(GROUPS, seededRandom(1))

const recordsOf = (at: number) => {
  const timestamp = new Date(at).toISOString()
  return exporters.map(({ name, scrape }) => ({ exporter: name, scrapedAt: at, rows: packArray(scrape(timestamp))! }))
}

const bench = Effect.gen(function* () {
  const entriesMax = Math.round((200 * AGENTS * GROUPS * 1_000) / INTERVAL_MILLIS)
  const server = yield* makeServer({ NODEPULSE_STREAM_ENTRIES_MAX: String(entriesMax) })
  yield* server.start
  yield* server.ready
  const registered = yield* Effect.forEach(
    Array.from({ length: AGENTS }, (_, n) => `agent-${n}`),
    server.register
  )
  yield* server.stop
  const start = Date.now() - rounds * INTERVAL_MILLIS
  const backlog = Array.from({ length: rounds }, (_, round) => recordsOf(start + round * INTERVAL_MILLIS))
  const texts = backlog[0]!.map(({ rows }) => unpackRows(rows))
  const name = (JSON.parse(texts.find((text) => text.includes('"name"'))!) as [{ name: string }])[0].name
  print(
    "fleet",
    `${AGENTS} agents, ${rounds * AGENTS * (GROUPS + 1)} rows; at most ${entriesMax} entries in the stream`
  )

  let scraped = 0
  let fresh = true
  const agents = yield* Effect.forEach(registered, ({ token }, n) =>
    Effect.gen(function* () {
      const spool = yield* Spool
      const status = yield* AgentStatus
      for (const records of backlog) yield* spool.append(records)
      scraped += rounds
      const push = yield* makePush
      const scraping = Effect.gen(function* () {
        yield* Effect.sleep((n * INTERVAL_MILLIS) / AGENTS)
        while (fresh) {
          yield* spool.append(recordsOf(Date.now()))
          scraped++
          yield* Effect.sleep(INTERVAL_MILLIS)
        }
      })
      yield* Effect.forkScoped(scraping)
      yield* Effect.forkScoped(push.run)
      return { spool, status }
    }).pipe(
      Effect.provide(
        layerStatus.pipe(
          Layer.provideMerge(layerMemory({ maxBytes: 1e9, maxAge: "1 day" })),
          Layer.provideMerge(
            Layer.succeed(AgentConfig, {
              serverName: `agent-${n}`,
              server: {
                url: server.url,
                token: Effect.succeed(Redacted.make(token)),
                timeout: Duration.seconds(30),
                ca: undefined
              },
              buffer: { path: undefined, maxBytes: 1e9, maxAge: Duration.days(1) },
              exporters: [],
              disabled: [],
              warnings: []
            })
          )
        ),
        { local: true }
      )
    )
  )
  // Long enough for all of them to have reached their longest wait.
  yield* Effect.sleep("45 seconds")

  yield* Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    const ids = registered.map(({ server_id }) => server_id)
    yield* server.start
    yield* server.ready
    const began = performance.now()
    const seconds = () => (performance.now() - began) / 1_000
    let current: number | undefined
    const ages: Array<number> = []
    let worst = 0
    let said = 0
    let left = Number.POSITIVE_INFINITY
    while (left > 0 && seconds() < GIVE_UP_SECONDS) {
      yield* Effect.sleep("1 second")
      const rows = yield* sql<{ readonly newest: number | null }>`
        select (select date_part('epoch', max(timestamp)) * 1000 from admiral.process_snapshots
          where server_id = ids.id and process_name = ${name} and timestamp > now() - interval '5 minutes')::float8 as newest
        from unnest(${ids}::text[]) ids(id)`
      const now = Date.now()
      const age = rows.map(({ newest }) => (newest === null ? 300 : (now - newest) / 1_000))
      const oldest = Math.max(...age)
      if (oldest < CURRENT_SECONDS) current ??= seconds()
      if (current !== undefined) {
        ages.push(...age)
        worst = Math.max(worst, oldest)
      }
      left = 0
      for (const { spool } of agents) left = Math.max(left, (yield* spool.stats).records)
      if (seconds() - said > 10) {
        said = seconds()
        const late = age.filter((one) => one >= CURRENT_SECONDS).length
        print(
          `after ${said.toFixed(0)} s`,
          `${late} servers not current, the oldest ${oldest.toFixed(0)} s; at most ${left} records in a spool`
        )
      }
      if (left <= 4) break
    }
    print("every server current after", `${current?.toFixed(1)} s`)
    print("drained after", `${seconds().toFixed(0)} s`)
    ages.sort((a, b) => a - b)
    const quantile = (q: number) => ages[Math.floor((ages.length - 1) * q)]?.toFixed(1)
    print(
      "newest row from then on: median, 99 %, worst",
      `${quantile(0.5)} s, ${quantile(0.99)} s, ${worst.toFixed(1)} s`
    )
    fresh = false
    yield* Effect.sleep(INTERVAL_MILLIS + 1_000)
    const expected = () => scraped * (GROUPS + 1)
    const counted = Effect.map(
      sql<{ readonly rows: number }>`
        select ((select count(*) from admiral.process_snapshots) + (select count(*) from admiral.node_snapshots))::int4 as rows`,
      ([row]) => row!.rows
    )
    const stored = yield* counted.pipe(
      Effect.repeat({ until: (count) => count >= expected(), schedule: Schedule.spaced("2 seconds") }),
      Effect.timeoutOrElse({ duration: "5 minutes", orElse: () => counted })
    )
    const requests: Record<string, number> = {}
    for (const { status } of agents) {
      for (const [answer, count] of Object.entries((yield* status.view).push.requests)) {
        requests[answer] = (requests[answer] ?? 0) + count
      }
    }
    print("requests", JSON.stringify(requests))
    print("rows stored", `${stored} of ${expected()}`)
    if (stored !== expected()) process.exitCode = 1
  }).pipe(Effect.provide(Database.layer({ url: server.postgres, maxConnections: 2 })))
}).pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "Error"))

await Effect.runPromise(bench)
