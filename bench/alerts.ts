/**
 * What the evaluation of rules costs: servers with process groups every 15 s, and rules of all kinds (`node bench/alerts.ts 1000 20`).
 *
 * Each pass is what it is in operation: the next scrape of every server is stored, then the rules are asked at the next moment.
 * Printed: ms a pass, CPU of Node and PostgreSQL, memory, and µs a rule and server. The first pass of a process reads all windows
 * from rows; the others what is new.
 */
import { chmod, mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Clock, Console, Effect, Layer, Result } from "effect"
import config from "../plugins.config.ts"
import { Alerts } from "../src/alerts/Alerts.ts"
import * as AlertsPostgres from "../src/alerts/AlertsPostgres.ts"
import { EVERY_MILLIS } from "../src/alerts/Rule.ts"
import { Rulebook } from "../src/alerts/Rulebook.ts"
import { readRules } from "../src/alerts/RuleFile.ts"
import { Registry } from "../src/plugins/Registry.ts"
import * as Database from "../src/sinks/postgres/Database.ts"
import { make as embedded } from "../src/sinks/postgres/embedded/EmbeddedPostgres.ts"
import * as Migrations from "../src/sinks/storage/Migrations.ts"
import { cpuMillis, fill, GROUPS, scrapeAt } from "./alerts-load.ts"

const SERVERS = Number(process.argv[2] ?? 1_000)
const RULES = Number(process.argv[3] ?? 20)
const PASSES = Number(process.argv[4] ?? 8)
/** Of rows, in minutes: the longest window and what lies before it. */
const MINUTES = Number(process.argv[5] ?? 40)

/** Rules as somebody with a fleet has them; more of them are the same ones about other thresholds. */
const KINDS = [
  "resource: processes, metric: cpu, above: 300, for: 5m",
  "resource: processes, metric: cpu, above: 80, of: machine, over: 5m, for: 5m",
  "resource: processes, metric: cpu, above: 45, over: 10m, keep_firing_for: 5m",
  "resource: processes, metric: memory, above: 100000, over: 5m",
  "resource: processes, metric: memory, above: 50, of: machine, for: 10m",
  "resource: processes, group: 'process-1*', metric: cpu, above: 100, over: 30s",
  "resource: processes, group: 'process-7', absent: true, for: 2m",
  "resource: processes, restarts_above: 3, over: 30m",
  "resource: processes, silent: true, over: 3m",
  "resource: node, metric: load_1min, above: 64, for: 5m"
]
const book = Array.from(
  { length: RULES },
  (_, n) =>
    `  - {name: rule ${n}, ${KINDS[n % KINDS.length]!.replace(/above: (\d+)/, (_, most) => `above: ${Number(most) + Math.floor(n / KINDS.length)}`)}}`
)
const rules = Result.getOrThrow(readRules(`rules:\n${book.join("\n")}`, config.exporters))

const megabytes = () => process.memoryUsage.rss() / 1_048_576

const bench = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const clock = yield* Clock.Clock
  const { list, pass } = yield* Alerts
  const began = performance.now()
  const end = yield* fill(SERVERS, MINUTES)
  yield* Console.log(
    `${SERVERS} servers × ${GROUPS} groups × ${MINUTES} min loaded in ${((performance.now() - began) / 1_000).toFixed(0)} s; ${rules.length} rules`
  )
  yield* sql`insert into admiral.alert_progress (asked_until) values (to_timestamp(${(end - 15_000) / 1_000}::float8))`
  let peak = 0
  const watched = setInterval(() => {
    peak = Math.max(peak, megabytes())
  }, 50)
  yield* Console.log("pass      ms   Node ms   PostgreSQL ms   resident MiB (most)   µs a rule and server   alerts")
  for (let n = 0; n <= PASSES; n++) {
    const at = end + n * EVERY_MILLIS
    if (n > 0) yield* scrapeAt(SERVERS, at)
    peak = 0
    const before = cpuMillis()
    const from = performance.now()
    const then: Clock.Clock = Object.assign(Object.create(clock), { currentTimeMillis: Effect.succeed(at + 5_000) })
    const { moments } = yield* Effect.provideService(pass, Clock.Clock, then)
    const took = performance.now() - from
    const after = cpuMillis()
    const fired = (yield* list({ limit: 1_000 })).length
    yield* Console.log(
      [
        `${n === 0 ? "first" : String(n)}${moments === 1 ? "" : ` (${moments})`}`.padEnd(5),
        took.toFixed(0).padStart(7),
        (after.node - before.node).toFixed(0).padStart(9),
        (after.postgres - before.postgres).toFixed(0).padStart(15),
        `${megabytes().toFixed(0)} (${peak.toFixed(0)})`.padStart(21),
        ((took * 1_000) / SERVERS / rules.length).toFixed(1).padStart(22),
        String(fired).padStart(8)
      ].join(" ")
    )
  }
  clearInterval(watched)
})

const main = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "nodepulse-bench-"))),
    (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
  )
  yield* Effect.promise(() => chmod(folder, 0o711))
  const { url } = yield* embedded({ dataDir: join(folder, "data"), unreachableBase: join(folder, "reachable") })
  yield* Effect.gen(function* () {
    yield* Migrations.migrate(Result.getOrThrow(Migrations.generate(config.exporters)).added)
    yield* bench
  }).pipe(
    Effect.provide(
      AlertsPostgres.layer.pipe(
        Layer.provide(Layer.succeed(Rulebook, { rules: Effect.succeed(rules) })),
        Layer.provideMerge(Layer.merge(Registry.layer(config), Database.layer({ url, statementTimeout: "10 minutes" })))
      )
    )
  )
}).pipe(Effect.scoped)

await Effect.runPromise(main)
