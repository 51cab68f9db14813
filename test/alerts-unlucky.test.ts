/** Alerts where luck is out: a clock that was wrong for a while, rules that are changed while they fire, servers that die meanwhile. */
import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Alerts } from "../src/alerts/Alerts.ts"
import * as AlertsPostgres from "../src/alerts/AlertsPostgres.ts"
import { anew, book, busy, evaluated, live, rulesOf } from "./AlertsWorld.ts"
import { EPOCH, SECOND, store } from "./TruthRows.ts"
import { times } from "./TruthVector.ts"

const since = (at: number) => (at * 1_000 - EPOCH) / SECOND

/** "rule server/group from-to" of all, in order of time; seconds since `EPOCH`. */
const told = Effect.flatMap(Alerts, ({ list }) =>
  Effect.map(list({ limit: 1_000 }), (alerts) =>
    [...alerts]
      .sort((a, b) => a.firedAt - b.firedAt)
      .map(
        ({ firedAt, group, resolvedAt, rule, serverId }) =>
          `${rule} ${serverId}/${group} ${since(firedAt)}-${resolvedAt === null ? "" : since(resolvedAt)}`
      )
  )
)

const DAY = 86_400

layer(live, { timeout: "2 minutes" })("alerts", (it) => {
  it.effect("go on after a clock that was ahead for a while", () =>
    Effect.gen(function* () {
      const rules = rulesOf(
        "resource: processes, server: ahead, metric: cpu, above: 50, for: 1m",
        "resource: processes, server: ahead, metric: cpu, above: 50, for: 30m"
      )
      yield* anew(rules, 0)
      yield* store(busy("ahead", times(0, 3_600), (t) => (t <= 690 || t > 1_200 ? 90 : 10)))
      yield* evaluated(600)
      const [held, ...more] = yield* told
      assert.deepStrictEqual(more, [])
      yield* evaluated(600 + 400 * DAY)
      assert.deepStrictEqual(yield* told, [held])
      // The clock is set right: what fires goes on, and waits begin anew.
      let moments = 0
      for (let t = 615; t <= 675; t += 15) moments += (yield* evaluated(t)).moments
      assert.isAbove(moments, 0)
      assert.deepStrictEqual(yield* told, [held])
      yield* evaluated(3_600)
      const found = yield* told
      assert.lengthOf(found, 3)
      assert.match(found[0]!, /^r0 ahead\/worker 128-7[0-4]\d$/)
      assert.match(found[1]!, /^r0 ahead\/worker 1[2-3]\d\d-$/)
      assert.match(found[2]!, /^r1 ahead\/worker 3[0-1]\d\d-$/)
    })
  )

  it.effect("of groups that a changed rule is not about any more are over", () =>
    Effect.gen(function* () {
      const below = (group: string) =>
        rulesOf(`resource: processes, server: below, group: "${group}", metric: cpu, below: 20`)
      yield* anew(below("*"), 0)
      yield* store(busy("below", times(0, 600), () => 10))
      yield* evaluated(300)
      const [one, ...more] = yield* told
      assert.deepStrictEqual(more, [])
      assert.match(one!, /^r0 below\/worker \d+-$/)
      book.rules = below("other*")
      yield* evaluated(330)
      assert.match((yield* told)[0]!, /-3\d\d$/)
    })
  )

  it.effect("tell of a server that died while nobody asked for longer than is asked afterwards", () =>
    Effect.gen(function* () {
      yield* anew(rulesOf("resource: processes, server: died*, silent: true, over: 5m"), 0)
      yield* store(busy("died", times(0, 900), () => 10))
      yield* store(busy("died-not", times(0, 12_000), () => 10))
      yield* evaluated(600)
      assert.deepStrictEqual(yield* told, [])
      yield* evaluated(11_000)
      const found = yield* told
      assert.lengthOf(found, 1)
      assert.match(found[0]!, /^r0 died\/ 7[34]\d\d-$/)
      // Who goes on knows nothing but rows and states.
      const { moments } = yield* Effect.provide(evaluated(11_100), Layer.fresh(AlertsPostgres.layer))
      assert.isAbove(moments, 0)
      const { list } = yield* Alerts
      const [alert] = yield* list({ limit: 10 })
      assert.deepInclude(alert, { serverId: "died", resolvedAt: null, isUnknown: false })
    })
  )
})
