/** What NodePulse watches of itself, in PostgreSQL: rules about dead letters, agents' clocks and its own disk. */
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Clock, Effect, Layer, Result } from "effect"
import { NO_AGENT } from "../src/access/AgentHolder.ts"
import { storeIn } from "../src/access/AgentsPostgres.ts"
import { Alerts } from "../src/alerts/Alerts.ts"
import * as AlertsPostgres from "../src/alerts/AlertsPostgres.ts"
import { Backtest } from "../src/alerts/Backtest.ts"
import * as BacktestPostgres from "../src/alerts/BacktestPostgres.ts"
import { DataDisk, diskOf } from "../src/alerts/installation/InstallationReader.ts"
import type { Rule } from "../src/alerts/Rule.ts"
import { Rulebook } from "../src/alerts/Rulebook.ts"
import { readRules } from "../src/alerts/RuleFile.ts"
import { makeRegistry, Registry } from "../src/plugins/Registry.ts"
import * as TestDatabase from "./TestDatabase.ts"
import { EPOCH, exporters, SECOND } from "./TruthRows.ts"
import { seconds } from "./TruthVector.ts"

const registry = Layer.succeed(Registry, Result.getOrThrow(makeRegistry({ exporters })))
const book: { rules: ReadonlyArray<Rule> } = { rules: [] }
let used: number | undefined
const live = Layer.mergeAll(AlertsPostgres.layer, BacktestPostgres.layer).pipe(
  Layer.provideMerge(Layer.succeed(Rulebook, { rules: Effect.sync(() => book.rules) })),
  Layer.provideMerge(
    Layer.succeed(
      DataDisk,
      Effect.sync(() => used)
    )
  ),
  Layer.provideMerge(registry),
  Layer.provideMerge(TestDatabase.layerWith({ exporters }))
)

const ruleOf = (text: string): Rule =>
  Result.getOrThrow(readRules(`rules:\n  - {name: r, resource: nodepulse, ${text}}`, exporters))[0]!

const millis = (t: number) => (EPOCH + t * SECOND) / 1_000

/** Evaluates at a moment, in seconds since `EPOCH`. */
const evaluated = (t: number) =>
  Effect.flatMap(Alerts, ({ pass }) =>
    Effect.flatMap(Clock.Clock, (clock) =>
      Effect.provideService(pass, Clock.Clock, {
        ...clock,
        currentTimeMillis: Effect.succeed(millis(t) + 5_000)
      } as Clock.Clock)
    )
  )

const anew = Effect.fnUntraced(function* (text: string) {
  const sql = yield* PgClient.PgClient
  for (const table of ["alerts", "alert_states", "alert_progress", "dead_letters"]) {
    yield* sql.unsafe(`delete from admiral.${table}`)
  }
  book.rules = [ruleOf(text)]
  yield* evaluated(0)
})

const letterAt = (t: number) =>
  Effect.flatMap(
    PgClient.PgClient,
    (sql) => sql`insert into admiral.dead_letters (key, exporter, server_id, reason, payload, created_at)
      values (${`k${t}`}::text, 'e', 's', 'r', '', to_timestamp(${millis(t) / 1_000}::float8))`
  )

const all = Effect.flatMap(Alerts, ({ list }) => list({ limit: 10 }))

layer(live, { timeout: "2 minutes" })("NodePulse watches itself", (it) => {
  it.effect("for new dead letters, and the past says the same", () =>
    Effect.gen(function* () {
      const text = "metric: dead_letters, above: 2, over: 5m"
      yield* anew(text)
      for (const t of [100, 130, 170, 190]) yield* letterAt(t)
      for (const t of [60, 150, 240, 400, 600]) yield* evaluated(t)
      const [alert, ...more] = yield* all
      assert.deepStrictEqual(more, [])
      assert.deepInclude(alert, {
        serverId: null,
        group: "",
        sentence: "NodePulse: more than 2 new dead letters in 5 min",
        isUnknown: false
      })
      assert.deepInclude(alert!.asked, { resource: "nodepulse", metric: "dead_letters" })
      assert.approximately(alert!.firedAt, millis(170), 15_000)
      assert.approximately(alert!.resolvedAt!, millis(430), 15_000)
      const { incidents } = yield* Effect.flatMap(Backtest, ({ run }) => run(ruleOf(text), seconds(0, 600)))
      assert.deepStrictEqual(
        incidents.map(({ from, serverId, to }) => [serverId, from, to]),
        [[null, alert!.firedAt, alert!.resolvedAt]]
      )
    })
  )

  it.effect("for its disk, of which nobody knows where nothing tells", () =>
    Effect.gen(function* () {
      yield* anew("metric: disk_used, above: 90, resolve: 85, for: 30s, severity: critical")
      used = undefined
      for (const t of [15, 30, 45]) yield* evaluated(t)
      assert.lengthOf(yield* all, 0)
      used = 95
      for (const t of [60, 75, 90, 105]) yield* evaluated(t)
      assert.lengthOf(yield* all, 1)
      used = undefined
      yield* evaluated(120)
      assert.deepInclude((yield* all)[0], { resolvedAt: null, isUnknown: true, value: 95 })
      used = 87
      yield* evaluated(135)
      assert.deepInclude((yield* all)[0], { resolvedAt: null, isUnknown: false })
      used = 80
      yield* evaluated(150)
      assert.isNotNull((yield* all)[0]!.resolvedAt)
      const here = yield* diskOf(".")
      assert.isTrue(here !== undefined && here > 0 && here <= 100)
      assert.isUndefined(yield* diskOf("/nowhere/at/all"))
    })
  )

  it.effect("for the clocks of agents, a server each, as long as they are heard of", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* anew("metric: clock_skew, server: 'clock-*', above: 30")
      const { write } = storeIn(sql)
      for (const [id, skewSeconds, seen] of [
        ["clock-slow", -45, 10],
        ["clock-fine", 1, 10],
        ["clock-gone", 90, -600],
        ["other", 90, 10]
      ] as const) {
        yield* sql`insert into admiral.servers (server_id, name) values (${id}, ${id})`
        yield* write(id, 0, { ...NO_AGENT, seenAt: millis(seen), clock: { skewSeconds, at: millis(0) } })
      }
      yield* evaluated(30)
      const [alert, ...more] = yield* all
      assert.deepStrictEqual(more, [])
      assert.deepInclude(alert, {
        serverId: "clock-slow",
        value: 45,
        sentence: "on clock-*: the agent's clock is more than 30 seconds off"
      })
      // It is not heard of any more: nobody knows.
      yield* evaluated(400)
      assert.deepInclude((yield* all)[0], { resolvedAt: null, isUnknown: true })
      book.rules = []
      yield* evaluated(430)
      assert.isNotNull((yield* all)[0]!.resolvedAt)
    })
  )

  it.effect("by rules that say what they cannot ask", () =>
    Effect.sync(() => {
      const problems = (text: string) =>
        Result.match(readRules(`rules:\n  - {name: r, resource: nodepulse, ${text}}`, exporters), {
          onFailure: (found) => found.join("\n"),
          onSuccess: () => ""
        })
      assert.strictEqual(problems("metric: disk_used, above: 90"), "")
      assert.match(problems("metric: disk_usd, above: 90"), /did you mean "disk_used"/)
      assert.match(problems("silent: true"), /nodepulse/)
      assert.match(problems("restarts_above: 1"), /nodepulse/)
      assert.match(problems("absent: true"), /nodepulse/)
      assert.match(problems("metric: disk_used, above: 90, group: a"), /group/)
      assert.match(problems("metric: disk_used, above: 90, server: a"), /server/)
      assert.strictEqual(problems("metric: clock_skew, above: 90, server: a"), "")
      assert.match(problems("metric: disk_used, above: 90, of: machine"), /of/)
    })
  )
})
