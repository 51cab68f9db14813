/**
 * Back-tests from PostgreSQL: a rule is asked of the past by the machine that asks it of the present. What is not read, since
 * roll-ups say that nothing can have held, changes nothing; nor does the order in which rows came.
 */
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer, Result } from "effect"
import { Backtest, type BacktestAnswer } from "../src/alerts/Backtest.ts"
import * as BacktestPostgres from "../src/alerts/BacktestPostgres.ts"
import type { Rule } from "../src/alerts/Rule.ts"
import { readRules } from "../src/alerts/RuleFile.ts"
import { makeRegistry, Registry } from "../src/plugins/Registry.ts"
import { Rollups } from "../src/sinks/rollups/Rollups.ts"
import * as SnapshotRowsPostgres from "../src/sinks/storage/SnapshotRowsPostgres.ts"
import { seededRandom } from "./Seeded.ts"
import * as TestDatabase from "./TestDatabase.ts"
import { EPOCH, exporters, nodeRow, processRow, SECOND, store } from "./TruthRows.ts"
import { cores, seconds, times } from "./TruthVector.ts"
import { generated, shuffled } from "./TruthWorld.ts"

const registry = Layer.succeed(Registry, Result.getOrThrow(makeRegistry({ exporters })))
const live = Layer.mergeAll(BacktestPostgres.layer, SnapshotRowsPostgres.layer, Rollups.layer).pipe(
  Layer.provideMerge(registry),
  Layer.provideMerge(TestDatabase.layerWith({ exporters }))
)

/** A rule as people write it. */
const rule = (text: string): Rule => Result.getOrThrow(readRules(`rules:\n  - {name: r, ${text}}`, exporters))[0]!

const tested = Effect.fnUntraced(function* (text: string, from: number, to: number) {
  return yield* (yield* Backtest).run(rule(text), seconds(from, to))
})

/** Server, group, and seconds since `EPOCH`, each within the 15 s in which a rule is asked once. */
const told = ({ incidents }: BacktestAnswer) =>
  incidents.map(({ from, group, serverId, to }) => [serverId, group, t(from), to === null ? null : t(to)])
const t = (millis: number) => Math.floor((millis * 1_000 - EPOCH) / SECOND / 15) * 15

/** A group's rows by what it uses of a core from when on; `percent` 100 is one core. */
const using = (
  server: string,
  name: string,
  at: ReadonlyArray<number>,
  percent: (t: number) => number,
  options: { readonly memory?: (t: number) => number } = {}
) => {
  let used = 1_000
  let before = at[0]!
  return at.map((moment) => {
    used += ((moment - before) * percent(moment)) / 100
    before = moment
    return processRow(server, moment, name, used, { since: -500, memory: options.memory?.(moment) ?? 0 })
  })
}

const MIB = 1024 * 1024
const busyBetween = (from: number, to: number, percent: number) => (t: number) => (t > from && t <= to ? percent : 5)

layer(live, { timeout: "2 minutes" })("a back-test", (it) => {
  describe("of a group's use", () => {
    it.effect("says when the rule would have fired, and when it would have been over", () =>
      Effect.gen(function* () {
        yield* store([
          ...cores("busy"),
          ...using("busy", "postgres", times(0, 3_600), busyBetween(600, 1_800, 320)),
          ...using("busy", "nginx", times(0, 3_600), () => 30)
        ])
        const always = "resource: processes, server: busy, metric: cpu"
        assert.deepStrictEqual(told(yield* tested(`${always}, above: 200`, 0, 3_600)), [
          ["busy", "postgres", 645, 1_830]
        ])
        assert.deepStrictEqual(told(yield* tested(`${always}, above: 60, of: machine, for: 5m`, 0, 3_600)), [
          ["busy", "postgres", 945, 1_830]
        ])
        assert.deepStrictEqual(
          told(yield* tested(`${always}, above: 200, resolve: 10, keep_firing_for: 10m`, 0, 3_600)),
          [["busy", "postgres", 645, 2_460]]
        )
        assert.deepStrictEqual(told(yield* tested(`${always}, above: 330`, 0, 3_600)), [])
        assert.deepStrictEqual(told(yield* tested(`${always}, group: nginx, above: 20`, 0, 600)), [
          ["busy", "nginx", 60, null]
        ])
      })
    )

    it.effect("takes the mean for a level, and 0 for a group that has gone", () =>
      Effect.gen(function* () {
        yield* store(
          using("level", "java", times(0, 1_200), () => 1, { memory: (t) => (t > 600 ? 4_096 : 1_024) * MIB })
        )
        yield* store(times(0, 2_400).map((at) => processRow("level", at, "init", 1, { since: -500 })))
        const memory = "resource: processes, server: level, metric: memory"
        assert.deepStrictEqual(told(yield* tested(`${memory}, above: 2048`, 0, 2_400)), [["level", "java", 630, 1_230]])
        const absent = "resource: processes, server: level, group: java, absent: true, for: 2m"
        assert.deepStrictEqual(told(yield* tested(absent, 0, 2_400)), [["level", "java", 1_335, null]])
      })
    )

    it.effect("puts what differs from run to run only together, before it is compared", () =>
      Effect.gen(function* () {
        const at = times(0, 900)
        yield* store(["1001", "1002", "1003"].flatMap((id) => using("builds", `build-${id}`, at, () => 40)))
        const answer = yield* tested("resource: processes, server: builds, metric: cpu, above: 100", 0, 900)
        assert.deepStrictEqual(told(answer), [["builds", "build-#", 60, null]])
        assert.approximately(answer.incidents[0]!.value!, 120, 1e-6)
      })
    )
  })

  it.effect("neither fires nor ends while the server is silent, and tells silence by a rule of its own", () =>
    Effect.gen(function* () {
      const at = [...times(0, 600), ...times(1_200, 1_800)]
      yield* store(using("silent", "worker", at, () => 90))
      const cpu = "resource: processes, server: silent, metric: cpu, above: 50"
      assert.deepStrictEqual(told(yield* tested(`${cpu}, for: 5m`, 0, 1_800)), [["silent", "worker", 360, null]])
      assert.deepStrictEqual(told(yield* tested(`${cpu}, for: 15m`, 0, 1_800)), [])
      const silent = "resource: processes, server: silent, silent: true, over: 3m"
      assert.deepStrictEqual(told(yield* tested(silent, 0, 1_800)), [["silent", "", 780, 1_200]])
    })
  )

  it.effect("counts restarts in a span", () =>
    Effect.gen(function* () {
      const rows = times(0, 1_800).map((t, n) => {
        // Begins anew every minute for ten minutes.
        const since = t > 300 && t <= 900 ? Math.floor(t / 60) * 60 - 5 : t > 900 ? 895 : -500
        return processRow("loop", t, "crashy", n % 4, { since })
      })
      yield* store(rows)
      const found = told(yield* tested("resource: processes, server: loop, restarts_above: 3, over: 10m", 0, 1_800))
      assert.lengthOf(found, 1)
      assert.deepStrictEqual(found[0]!.slice(0, 2), ["loop", "crashy"])
      assert.deepStrictEqual(yield* tested("resource: processes, server: nobody, restarts_above: 3", 0, 1_800), {
        incidents: [],
        more: 0,
        servers: 0,
        tried: 0
      })
    })
  )

  it.effect("counts what is beyond the first thousand incidents, and keeps their order", () =>
    Effect.gen(function* () {
      const at = times(0, 1_920)
      const groups = Array.from(
        { length: 80 },
        (_, n) => `worker-${String.fromCharCode(97 + (n % 26))}${"x".repeat(n)}`
      )
      for (const server of ["flaps-1", "flaps-2"]) {
        yield* store(groups.flatMap((name) => using(server, name, at, (t) => (t % 240 < 120 ? 90 : 0))))
      }
      const { incidents, more, servers } = yield* tested(
        'resource: processes, server: "flaps-*", metric: cpu, above: 50, over: 30s',
        0,
        1_920
      )
      assert.strictEqual(servers, 2)
      assert.lengthOf(incidents, 1_000)
      assert.strictEqual(more, 280)
      assert.deepStrictEqual(
        incidents,
        incidents.toSorted((a, b) => a.from - b.from)
      )
      assert.sameMembers([...new Set(incidents.map(({ serverId }) => serverId))], ["flaps-1", "flaps-2"])
    })
  )

  it.effect("ends when its time is over, with all of the servers that it tried, and nothing of the others", () =>
    Effect.gen(function* () {
      const hours = 4 * 3_600
      for (let n = 0; n < 5; n++) {
        yield* store(using(`late-${n}`, "postgres", times(0, hours), busyBetween(600, 1_800, 320)))
      }
      const { run } = yield* Backtest
      const busy = rule('resource: processes, server: "late-*", metric: cpu, above: 200')
      let asked = 0
      const whole = yield* run(busy, seconds(0, hours), () => ++asked === 0)
      assert.deepStrictEqual([whole.servers, whole.tried, whole.incidents.length], [5, 5, 5])
      for (const most of [0, Math.ceil(asked / 2), asked - 1]) {
        let left = most
        const { incidents, servers, tried } = yield* run(busy, seconds(0, hours), () => left-- <= 0)
        assert.strictEqual(servers, 5)
        assert.isBelow(tried, 5)
        assert.strictEqual(tried > 0, most > 0)
        // What fired on servers that were tried to the end is the same; of one that was not, nothing is told.
        assert.lengthOf(incidents, tried)
        for (const one of incidents) assert.deepInclude(whole.incidents, one)
      }
    })
  )

  it.effect("asks of the host what it has no groups for", () =>
    Effect.gen(function* () {
      yield* store(
        times(0, 900).map((at) => nodeRow("load", at, { load_1min: at > 300 ? 9 : 1, cpu_cores: 4 }, { since: -500 }))
      )
      assert.deepStrictEqual(told(yield* tested("resource: node, server: load, metric: load_1min, above: 5", 0, 900)), [
        ["load", "", 345, null]
      ])
    })
  )

  it.effect("finds the same from rows and from roll-ups, in whatever order rows came, whatever goes wrong", () =>
    Effect.gen(function* () {
      const backtest = yield* Backtest
      const rollups = yield* Rollups
      const seeds = [1, 2, 3, 4]
      for (const seed of seeds) yield* store(shuffled(generated(`world-${seed}`, seed, 4), seed))
      const window = seconds(0, 5 * 3_600)
      const rules = seeds.flatMap((seed) => {
        const next = seededRandom(seed)
        return [
          `metric: cpu, above: ${Math.round(5 + 60 * next())}, for: 1m`,
          `metric: cpu, above: ${Math.round(1 + 20 * next())}, over: 12m, keep_firing_for: 3m`,
          `metric: cpu, above: ${Math.round(100 + 100 * next())}`,
          `metric: memory, above: ${Math.round(10 + 500 * next())}, over: 5m`
        ].map((asked) => rule(`resource: processes, server: world-${seed}, ${asked}`))
      })
      const before = yield* Effect.forEach(rules, (one) => backtest.run(one, window))
      for (let n = 0; n < 20; n++) yield* rollups.pass
      const after = yield* Effect.forEach(rules, (one) => backtest.run(one, window))
      assert.deepStrictEqual(after, before)
      assert.isAbove(before.filter(({ incidents }) => incidents.length > 0).length, rules.length / 4)
    })
  )
})
