/**
 * Alerts where luck is out: a clock that was wrong for a while, rules that are changed while they fire, servers that die meanwhile, a
 * machine that is too slow for its rules.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { Alerts } from "../src/alerts/Alerts.ts"
import * as AlertsPostgres from "../src/alerts/AlertsPostgres.ts"
import { anew, book, busy, by, evaluated, live, rulesOf } from "./AlertsWorld.ts"
import { EPOCH, exporters, SECOND, store } from "./TruthRows.ts"
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

  it.effect("are left to a pass that takes long, and go on by another process once that one is gone", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* anew(rulesOf("resource: processes, server: slow, metric: cpu, above: 50, for: 1m"), 0)
      yield* store(busy("slow", times(0, 600), () => 90))
      const other = Context.get(yield* Layer.build(Layer.fresh(AlertsPostgres.layer)), Alerts)
      const isPassing = Effect.map(
        sql<{ readonly is: boolean }>`select passing_until > now() as is from admiral.alert_progress`,
        ([row]) => row!.is === true
      )
      // Nothing can be read meanwhile, so the pass lasts.
      const [isHeld, isOver] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const table = `admiral."${exporters.find(({ top }) => top !== undefined)!.table.name}_scrapes"`
      const lock = yield* Effect.forkChild(
        sql.withTransaction(
          Effect.gen(function* () {
            yield* sql.unsafe(`lock table ${table} in access exclusive mode`)
            yield* Deferred.succeed(isHeld, undefined)
            yield* Deferred.await(isOver)
          })
        )
      )
      yield* Deferred.await(isHeld)
      const pass = yield* Effect.forkChild(evaluated(600))
      const beaten = Effect.gen(function* () {
        yield* TestClock.adjust("10 seconds")
        yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 50)))
        return yield* isPassing
      })
      yield* Effect.repeat(beaten, { until: (is) => is })
      assert.strictEqual((yield* by(600, other.pass)).moments, 0)
      yield* sql`update admiral.alert_progress set passing_until = now() - interval '1 second'`
      yield* Effect.repeat(beaten, { until: (is) => is })

      yield* Fiber.interrupt(pass)
      yield* Deferred.succeed(isOver, undefined)
      yield* Fiber.join(lock)
      assert.strictEqual((yield* by(600, other.pass)).moments, 0)
      yield* sql`update admiral.alert_progress set passing_until = now() - interval '1 second'`
      assert.strictEqual((yield* by(600, other.pass)).moments, 40)
      assert.deepStrictEqual(yield* told, ["r0 slow/worker 128-"])
    }).pipe(Effect.scoped)
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
