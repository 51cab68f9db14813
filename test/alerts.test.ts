/**
 * Alerts from PostgreSQL: what is evaluated as time goes by is what a back-test says of it later, whoever evaluates, however often
 * it is interrupted.
 */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { type Alert, Alerts } from "../src/alerts/Alerts.ts"
import { Backtest } from "../src/alerts/Backtest.ts"
import { anew, book, busy, evaluated, live, rulesOf } from "./AlertsWorld.ts"
import { seededRandom } from "./Seeded.ts"
import { EPOCH, processRow, SECOND, store } from "./TruthRows.ts"
import { seconds, times } from "./TruthVector.ts"
import { generated } from "./TruthWorld.ts"

const told = (alerts: ReadonlyArray<Pick<Alert, "rule" | "serverId" | "group" | "firedAt" | "resolvedAt">>) =>
  alerts
    .map(({ firedAt, group, resolvedAt, rule, serverId }) => [rule, serverId, group, firedAt, resolvedAt] as const)
    .sort((a, b) => a[3] - b[3] || (String(a) < String(b) ? -1 : 1))

const all = Effect.flatMap(Alerts, ({ list }) => Effect.map(list({ limit: 1_000 }), told))

/** What a back-test of the same rules says. */
const lived = Effect.fnUntraced(function* (from: number, to: number) {
  const backtest = yield* Backtest
  const found = yield* Effect.forEach(book.rules, (rule) =>
    Effect.map(backtest.run(rule, seconds(from, to)), ({ incidents }) =>
      incidents.map(({ from, group, serverId, to }) => ({
        rule: rule.name,
        serverId,
        group,
        firedAt: from,
        resolvedAt: to
      }))
    )
  )
  return told(found.flat())
})

layer(live, { timeout: "2 minutes" })("alerts", (it) => {
  it.effect("fire once an incident, and are over once, however often and by however many they are evaluated", () =>
    Effect.gen(function* () {
      yield* anew(rulesOf("resource: processes, server: once, metric: cpu, above: 50, for: 2m, keep_firing_for: 1m"), 0)
      const rows = busy("once", times(0, 1_800), (t) => (t > 300 && t <= 900 ? 90 : 10))
      const { list, pass: _ } = yield* Alerts
      for (let t = 0; t <= 1_800; t += 60) {
        yield* store(
          rows.filter(({ timestamp }) => timestamp > EPOCH + (t - 60) * SECOND && timestamp <= EPOCH + t * SECOND)
        )
        yield* Effect.all([evaluated(t), evaluated(t), evaluated(t)], { concurrency: 3 })
      }
      assert.strictEqual((yield* evaluated(1_800)).moments, 0)
      const [one, ...more] = yield* list({ limit: 10 })
      assert.deepStrictEqual(more, [])
      assert.deepInclude(one, { rule: "r0", serverId: "once", group: "worker", severity: "warning", isUnknown: false })
      assert.match(one!.sentence, /^any group on once: cpu above 50 % of a core/)
      assert.deepStrictEqual(yield* all, yield* lived(0, 1_800))
    })
  )

  it.effect("are what a back-test says later, whatever goes wrong, evaluated in steps of any length", () =>
    Effect.gen(function* () {
      const seeds = [11, 12, 13]
      const hours = 2
      for (const seed of seeds) yield* store(generated(`world-${seed}`, seed, hours))
      const rules = rulesOf(
        "resource: processes, server: world-*, metric: cpu, above: 30, for: 1m",
        "resource: processes, server: world-*, metric: cpu, above: 4, of: machine, over: 5m, keep_firing_for: 3m",
        "resource: processes, server: world-*, metric: memory, above: 60, resolve: 40",
        "resource: processes, server: world-*, silent: true, over: 2m",
        "resource: node, server: world-*, metric: load_1min, above: 1, for: 2m"
      )
      yield* anew(rules, 0)
      const next = seededRandom(7)
      for (let t = 0; t < hours * 3_600; ) {
        t = Math.min(hours * 3_600, t + 15 * Math.ceil(40 * next()))
        yield* evaluated(t)
      }
      const found = yield* all
      assert.deepStrictEqual(found, yield* lived(0, hours * 3_600))
      assert.isAbove(found.length, 10)
    })
  )

  it.effect("go on while nobody asks, and of more than an hour nobody knows", () =>
    Effect.gen(function* () {
      yield* anew(rulesOf("resource: processes, server: away, metric: cpu, above: 50, for: 5m"), 0)
      yield* store(busy("away", times(0, 10_800), (t) => (t <= 600 ? 90 : t <= 7_200 ? 10 : 90)))
      yield* evaluated(600)
      assert.lengthOf(yield* all, 1)
      // It stops to hold at 600; who comes back 100 minutes later asks the last hour only.
      yield* evaluated(6_600)
      const [[, , , , resolvedAt]] = (yield* all) as ReadonlyArray<ReadonlyArray<unknown>> as [[1, 2, 3, 4, number]]
      assert.approximately((resolvedAt * 1_000 - EPOCH) / SECOND, 3_015, 60)
    })
  )

  it.effect("count rows that come late, and scrapes that come in pieces, at the next moment", () =>
    Effect.gen(function* () {
      yield* anew(rulesOf("resource: processes, server: late-*, metric: memory, above: 50, over: 5m"), 600)
      const at = times(0, 630)
      const large = (server: string, name: string, t: number) =>
        processRow(server, t, name, 1_000, { memory: 200 * 1_048_576, since: -500 })
      // Scrapes of one that come late; and rows that scrapes of the other lack, whose first piece is there.
      const late = at.filter((t) => t > 330 && t <= 460)
      const lacking = at.filter((t) => t > 510 && t <= 615)
      yield* store(
        at.filter((t) => !late.includes(t)).map((t) => processRow("late-scrapes", t, "worker", 1_000, { since: -500 }))
      )
      yield* store(at.map((t) => processRow("late-pieces", t, "worker", 1_000, { since: -500 })))
      yield* evaluated(615)
      assert.deepStrictEqual(yield* all, [])
      yield* store(late.map((t) => large("late-scrapes", "worker", t)))
      yield* store(lacking.map((t) => large("late-pieces", "other", t)))
      yield* evaluated(630)
      const found = (yield* all).map(([, server, group]) => [server, group])
      assert.sameDeepMembers(found, [
        ["late-scrapes", "worker"],
        ["late-pieces", "other"]
      ])
    })
  )

  it.effect("of a rule that is taken away, or that no server matches any more, are over", () =>
    Effect.gen(function* () {
      const rules = rulesOf("resource: processes, server: gone, metric: cpu, above: 50")
      yield* anew(rules, 0)
      yield* store(busy("gone", times(0, 600), () => 90))
      yield* evaluated(300)
      assert.lengthOf(
        (yield* all).filter(([, , , , resolved]) => resolved === null),
        1
      )
      book.rules = []
      yield* evaluated(330)
      assert.lengthOf(
        (yield* all).filter(([, , , , resolved]) => resolved === null),
        0
      )
      book.rules = rules
      yield* evaluated(600)
      assert.lengthOf(yield* all, 2)
    })
  )
})
