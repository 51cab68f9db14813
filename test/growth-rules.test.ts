/**
 * Rules about growth, about what runs out, and about the host, from PostgreSQL: what is evaluated as time goes by is what a
 * back-test says of it later; and what nobody knows neither fires nor ends.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Clock, Effect, Layer, Result } from "effect"
import { Alerts } from "../src/alerts/Alerts.ts"
import * as AlertsPostgres from "../src/alerts/AlertsPostgres.ts"
import { Backtest } from "../src/alerts/Backtest.ts"
import * as BacktestPostgres from "../src/alerts/BacktestPostgres.ts"
import type { Rule } from "../src/alerts/Rule.ts"
import { Rulebook } from "../src/alerts/Rulebook.ts"
import { readRules } from "../src/alerts/RuleFile.ts"
import { makeRegistry, Registry } from "../src/plugins/Registry.ts"
import { Rollups } from "../src/sinks/rollups/Rollups.ts"
import * as SnapshotRowsPostgres from "../src/sinks/storage/SnapshotRowsPostgres.ts"
import { seededRandom } from "./Seeded.ts"
import * as TestDatabase from "./TestDatabase.ts"
import { EPOCH, exporters, nodeRow, processRow, SECOND, store } from "./TruthRows.ts"
import { seconds, times } from "./TruthVector.ts"
import { shuffled } from "./TruthWorld.ts"

const registry = Layer.succeed(Registry, Result.getOrThrow(makeRegistry({ exporters })))
const book: { rules: ReadonlyArray<Rule> } = { rules: [] }
const live = Layer.mergeAll(
  AlertsPostgres.layer,
  BacktestPostgres.layer,
  SnapshotRowsPostgres.layer,
  Rollups.layer
).pipe(
  Layer.provideMerge(Layer.succeed(Rulebook, { rules: Effect.sync(() => book.rules) })),
  Layer.provideMerge(registry),
  Layer.provideMerge(TestDatabase.layerWith({ exporters }))
)

const MIB = 1024 * 1024
const HOUR = 3_600

const rulesOf = (...texts: ReadonlyArray<string>): ReadonlyArray<Rule> =>
  Result.getOrThrow(readRules(`rules:\n${texts.map((text, n) => `  - {name: r${n}, ${text}}`).join("\n")}`, exporters))

/** Server, group and value of each incident, with hours since `EPOCH`. */
const tested = Effect.fnUntraced(function* (text: string, from: number, to: number) {
  const { incidents } = yield* (yield* Backtest).run(rulesOf(text)[0]!, seconds(from, to))
  const hours = (millis: number) => Math.round(((millis * 1_000 - EPOCH) / SECOND / HOUR) * 10) / 10
  return incidents.map(({ from, group, to, value }) => [group, hours(from), to === null ? null : hours(to), value])
})

/** A machine of four cores and 8 GiB: `worker` and `steady` use half a core each; the host uses `busy` cores, and holds what it is told. */
const machine = (
  server: string,
  at: ReadonlyArray<number>,
  of: {
    readonly memory: (t: number) => number
    readonly busy?: (t: number) => number
    readonly waited?: ((t: number) => number) | null
  }
) => {
  let [used, busy, before] = [1_000, 5_000, at[0]!]
  return at.flatMap((t) => {
    const passed = t - before
    before = t
    used += passed / 2
    busy += passed * (of.busy?.(t) ?? 1.2)
    const since = { since: -5_000 }
    return [
      processRow(server, t, "worker", used, { ...since, memory: Math.round(of.memory(t) * MIB) }),
      processRow(server, t, "steady", used, { ...since, memory: Math.round((400 + 5 * Math.sin(t / 900)) * MIB) }),
      nodeRow(
        server,
        t + 3,
        {
          cpu_user_seconds: busy,
          cpu_system_seconds: 10,
          cpu_idle_seconds: 4 * t + 1e6 - busy,
          cpu_cores: 4,
          memory_total_bytes: 8_192 * MIB,
          memory_available_bytes: Math.round((7_000 - of.memory(t)) * MIB),
          swap_free_bytes: 100 * MIB,
          pressure_cpu_seconds: of.waited === null ? null : (of.waited?.(t) ?? 0)
        },
        since
      )
    ]
  })
}

/** Grows by so many MiB an hour from an hour on. */
const growing = (from: number, perHour: number) => (t: number) => 500 + Math.max(0, (t - from * HOUR) / HOUR) * perHour

/** A scrape a minute is enough for hours. */
const minutes = (until: number) => times(0, until).filter((t) => t % 60 === 0)

const evaluated = (t: number) =>
  Effect.flatMap(Alerts, ({ pass }) =>
    Effect.flatMap(Clock.Clock, (clock) =>
      Effect.provideService(pass, Clock.Clock, {
        ...clock,
        currentTimeMillis: Effect.succeed((EPOCH + t * SECOND) / 1_000 + 5_000)
      } as Clock.Clock)
    )
  )

layer(live, { timeout: "3 minutes" })("rules about growth and the host", (it) => {
  it.effect("fire for what grows fast enough, and say how fast", () =>
    Effect.gen(function* () {
      yield* store(machine("leaks", minutes(9 * HOUR), { memory: growing(2, 60) }))
      const leak = "resource: processes, server: leaks, metric: memory"
      const found = yield* tested(`${leak}, growth_above: 50, over: 4h`, 0, 9 * HOUR)
      assert.lengthOf(found, 1)
      const [[group, from, to, value]] = found as [[string, number, null, number]]
      assert.deepStrictEqual([group, to], ["worker", null])
      // It rises from 2 on; an estimate, and it says so once most of the window rises.
      assert.isTrue(from >= 4.2 && from <= 6.2, String(from))
      assert.isTrue(value > 50 && value < 66, String(value))
      assert.deepStrictEqual(yield* tested(`${leak}, growth_above: 80, over: 4h`, 0, 9 * HOUR), [])
      assert.deepStrictEqual(yield* tested(`${leak}, group: steady, growth_above: 1, over: 4h`, 0, 9 * HOUR), [])
    })
  )

  it.effect("fire where memory will run out in time, for a group and for the host", () =>
    Effect.gen(function* () {
      // 7 100 MiB are left at 500, swap included: at 900 MiB an hour they last until the ninth hour.
      yield* store(machine("fills", minutes(8 * HOUR), { memory: growing(1, 900) }))
      const soon = "server: fills, exhausts_in: 2h, over: 4h"
      for (const [resource, group] of [
        ["processes", "worker"],
        ["node", ""]
      ]) {
        const found = yield* tested(`resource: ${resource}, ${soon}`, 0, 8 * HOUR)
        assert.lengthOf(found, 1, resource)
        const [[who, from, , value]] = found as [[string, number, null, number]]
        assert.strictEqual(who, group)
        assert.isTrue(from >= 6.1 && from <= 6.7, `${resource} ${from}`)
        assert.isTrue(value < 2 && value > 1.6, `${resource} ${value}`)
      }
      assert.deepStrictEqual(yield* tested("resource: node, server: fills, exhausts_in: 1m", 0, 8 * HOUR), [])
    })
  )

  it.effect("ask what no group accounts for, and only while the host is as they say", () =>
    Effect.gen(function* () {
      const busy = (t: number) => (t > 600 && t <= 1_800 ? 3.8 : 1.2)
      yield* store(machine("hides", times(0, 3_600), { memory: () => 500, busy }))
      const hidden = "resource: processes, server: hides, metric: unaccounted, above: 200, over: 3m"
      const [one, ...more] = yield* tested(hidden, 0, 3_600)
      assert.lengthOf(more, 0)
      assert.deepStrictEqual(one!.slice(0, 3), ["", 0.2, 0.5])
      assert.isTrue((one![3] as number) > 200 && (one![3] as number) < 290)
      const cpu = "resource: processes, server: hides, group: worker, metric: cpu, above: 40"
      assert.deepStrictEqual(yield* tested(`${cpu}, only_while: {metric: busy, above: 99}`, 0, 3_600), [])
      const beside = yield* tested(`${cpu}, only_while: {metric: busy, above: 90}`, 0, 3_600)
      assert.deepStrictEqual(
        beside.map(([group, from, to]) => [group, from, to]),
        [["worker", 0.2, 0.5]]
      )
      assert.lengthOf(yield* tested("resource: node, server: hides, metric: busy, above: 90", 0, 3_600), 1)
      assert.lengthOf(yield* tested("resource: node, server: hides, metric: memory_used, above: 20", 0, 3_600), 1)
      assert.lengthOf(yield* tested("resource: node, server: hides, metric: memory_used, above: 21", 0, 3_600), 0)
    })
  )

  it.effect("ask for pressure where the kernel tells it, and nobody knows where it does not", () =>
    Effect.gen(function* () {
      yield* store(machine("waits", times(0, 1_800), { memory: () => 500, waited: (t) => 7_000 + t * 0.3 }))
      yield* store(machine("old", times(0, 1_800), { memory: () => 500, waited: null }))
      const pressure = (server: string, asked: string) =>
        tested(`resource: node, server: ${server}, metric: pressure_cpu, ${asked}`, 0, 1_800)
      assert.lengthOf(yield* pressure("waits", "above: 29"), 1)
      assert.lengthOf(yield* pressure("waits", "above: 31"), 0)
      assert.lengthOf(yield* pressure("waits", "below: 31"), 1)
      assert.lengthOf(yield* pressure("old", "below: 31"), 0)
      assert.lengthOf(yield* pressure("old", "above: 0"), 0)
    })
  )

  it.effect("neither fire nor end where less than 80 % of the hours was seen", () =>
    Effect.gen(function* () {
      const at = minutes(10 * HOUR)
      const holed = at.filter((t) => t < 5 * HOUR || t > 6.2 * HOUR)
      yield* store(machine("holed", holed, { memory: growing(0, 60) }))
      yield* store(machine("whole", at, { memory: growing(0, 60) }))
      const leak = (server: string) =>
        tested(
          `resource: processes, server: ${server}, group: worker, metric: memory, growth_above: 50, over: 4h, for: 2h`,
          0,
          10 * HOUR
        )
      const from = (found: ReadonlyArray<ReadonlyArray<unknown>>) => found.map(([, from]) => from as number)
      const [whole] = from(yield* leak("whole"))
      assert.isTrue(whole! >= 5 && whole! <= 6, String(whole))
      // The wait of two hours begins anew once four hours are seen to 80 % again.
      const late = from(yield* leak("holed"))
      assert.isTrue(late.length === 1 && late[0]! > 10 - 0.7 ? true : late.length === 0, String(late))
    })
  )

  it.effect("are what a back-test says later, evaluated in steps of any length, from rows and from roll-ups", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const rollups = yield* Rollups
      const backtest = yield* Backtest
      const until = 8 * HOUR
      const next = seededRandom(3)
      const at = minutes(until).filter(() => next() > 0.05)
      const sawtooth = (t: number) => 500 + ((t / HOUR) % 4) * 80 + 20 * Math.sin(t)
      yield* store(
        shuffled(machine("live-a", at, { memory: growing(1, 70), busy: (t) => 1 + 2.8 * ((t / 1_500) % 1) }), 5)
      )
      yield* store(shuffled(machine("live-b", at, { memory: sawtooth, waited: (t) => t * 0.2 }), 6))
      book.rules = rulesOf(
        'resource: processes, server: "live-*", metric: memory, growth_above: 40, over: 4h',
        'resource: processes, server: "live-*", metric: memory, growth_above: 60, over: 5h, for: 10m, keep_firing_for: 20m',
        'resource: node, server: "live-*", exhausts_in: 7d, over: 4h',
        'resource: processes, server: "live-*", metric: unaccounted, above: 150, over: 5m',
        'resource: processes, server: "live-*", metric: cpu, above: 40, over: 5m, only_while: {metric: busy, above: 60}',
        'resource: node, server: "live-*", metric: pressure_cpu, above: 19, over: 5m, for: 10m'
      )
      yield* sql`delete from admiral.alerts`
      yield* sql`delete from admiral.alert_states`
      yield* sql`delete from admiral.alert_progress`
      yield* evaluated(0)
      for (let t = 0; t < until; ) {
        t = Math.min(until, t + 15 * Math.ceil(200 * next()))
        yield* evaluated(t)
      }
      const { list } = yield* Alerts
      const told = (rows: ReadonlyArray<ReadonlyArray<unknown>>) => rows.map((row) => JSON.stringify(row)).sort()
      const lived = told(
        (yield* list({ limit: 1_000 })).map((alert) => [
          alert.rule,
          alert.serverId,
          alert.group,
          alert.firedAt,
          alert.resolvedAt
        ])
      )
      const past = Effect.map(
        Effect.forEach(book.rules, (rule) =>
          Effect.map(backtest.run(rule, seconds(0, until)), ({ incidents }) =>
            incidents.map(({ from, group, serverId, to }) => [rule.name, serverId, group, from, to])
          )
        ),
        (found) => told(found.flat())
      )
      assert.deepStrictEqual(lived, yield* past)
      for (let n = 0; n < 20; n++) yield* rollups.pass
      assert.deepStrictEqual(lived, yield* past)
      for (const { name } of book.rules)
        assert.isTrue(
          lived.some((row) => row.startsWith(`["${name}"`)),
          name
        )
    })
  )
})
