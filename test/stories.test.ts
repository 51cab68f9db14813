/** What alerts tell, from PostgreSQL: the numbers of the diff for the same windows, what happened, and what is left of it later. */
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Clock, Effect, Layer, Option, Result } from "effect"
import { CurrentAuthor } from "../src/access/Audit.ts"
import { Notes } from "../src/access/Notes.ts"
import * as NotesPostgres from "../src/access/NotesPostgres.ts"
import { Alerts } from "../src/alerts/Alerts.ts"
import * as AlertsPostgres from "../src/alerts/AlertsPostgres.ts"
import type { Rule } from "../src/alerts/Rule.ts"
import { Rulebook } from "../src/alerts/Rulebook.ts"
import { readRules } from "../src/alerts/RuleFile.ts"
import * as StoriesPostgres from "../src/alerts/story/StoriesPostgres.ts"
import { AlertStories } from "../src/alerts/story/Story.ts"
import { storyText } from "../src/alerts/story/StoryText.ts"
import { makeRegistry, Registry } from "../src/plugins/Registry.ts"
import { Changes } from "../src/query/Changes.ts"
import * as ChangesPostgres from "../src/query/ChangesPostgres.ts"
import * as MarksPostgres from "../src/query/MarksPostgres.ts"
import * as SnapshotRowsPostgres from "../src/sinks/storage/SnapshotRowsPostgres.ts"
import * as TestDatabase from "./TestDatabase.ts"
import { EPOCH, exporters, processRow, SECOND, store } from "./TruthRows.ts"
import { times } from "./TruthVector.ts"

const registry = Layer.succeed(Registry, Result.getOrThrow(makeRegistry({ exporters })))
const book: { rules: ReadonlyArray<Rule> } = { rules: [] }
const live = StoriesPostgres.layer.pipe(
  Layer.provideMerge([ChangesPostgres.layer, MarksPostgres.layer, AlertsPostgres.layer, NotesPostgres.layer]),
  Layer.provideMerge(SnapshotRowsPostgres.layer),
  Layer.provideMerge(Layer.succeed(Rulebook, { rules: Effect.sync(() => book.rules) })),
  Layer.provideMerge(registry),
  Layer.provideMerge(TestDatabase.layerWith({ exporters }))
)

/** Milliseconds of a moment in seconds since `EPOCH`. */
const millis = (t: number) => (EPOCH + t * SECOND) / 1_000

/** Does something as if it were that late. */
const at = <A, E, R>(t: number, effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(Clock.Clock, (clock) =>
    Effect.provideService(effect, Clock.Clock, {
      ...clock,
      currentTimeMillis: Effect.succeed(millis(t) + 5_000)
    } as Clock.Clock)
  )

/** Fires what a rule finds between two moments, and says the alert. */
const fired = Effect.fnUntraced(function* (text: string, from: number, to: number) {
  const sql = yield* PgClient.PgClient
  const { list, pass } = yield* Alerts
  for (const table of ["alerts", "alert_states", "alert_progress"]) yield* sql.unsafe(`delete from admiral.${table}`)
  book.rules = Result.getOrThrow(readRules(`rules:\n  - {name: r, ${text}}`, exporters))
  yield* at(from, pass)
  yield* at(to, pass)
  const [alert, ...more] = yield* list({ limit: 10 })
  assert.deepStrictEqual(more, [])
  return alert!
})

const story = (id: string) => Effect.flatMap(AlertStories, ({ of }) => Effect.map(of(id), Option.getOrThrow))

/** A process that uses some percent of a core, which may change. */
const running = (server: string, name: string, percent: (t: number) => number, since: (t: number) => number) => {
  let used = 0
  return times(0, 2_400).map((t) => {
    if (t > 0 && since(t) !== since(t - 15)) used = 0
    else used += (15 * percent(t)) / 100
    return processRow(server, t, name, used, { since: since(t) })
  })
}

layer(live, { timeout: "2 minutes" })("what an alert tells", (it) => {
  it.effect("are the numbers of the diff for the same windows, what happened, and a link to them", () =>
    Effect.gen(function* () {
      const began = () => -500
      yield* store([
        ...running("told", "worker-1234567", (t) => (t > 900 ? 90 : 10), began),
        ...running("told", "steady", () => 50, began),
        ...running("told", "leaver", (t) => (t > 900 ? 0 : 30), began),
        ...Array.from({ length: 9 }, (_, n) => running("told", `small${n}`, () => 1 + n / 10, began)).flat()
      ])
      const { add } = yield* Notes
      const noted = { serverId: "told", at: EPOCH + 930 * SECOND, text: "deploy 4.2\u001b[2J" }
      yield* Effect.provideService(add(noted), CurrentAuthor, { name: "ann", address: null })
      const alert = yield* fired("resource: processes, server: told, metric: cpu, above: 80, for: 4m", 600, 1_500)
      assert.deepStrictEqual(alert.asked, {
        resource: "processes",
        metric: "cpu",
        unit: "% of a core",
        span: 300_000,
        held: 240_000
      })
      const found = yield* story(alert.id)
      const { from, to } = found.window
      assert.strictEqual(to, alert.firedAt)
      assert.strictEqual(found.split - from, 300_000)
      const changes = yield* Changes
      const diff = yield* changes.between({
        exporter: "process_exporter",
        metric: "cpu",
        limit: 100,
        before: { serverId: "told", window: { from: from * 1_000, to: found.split * 1_000 } },
        after: { serverId: "told", window: { from: found.split * 1_000, to: to * 1_000 } }
      })
      const told = new Map(diff.groups.map((group) => [group.name, group]))
      for (const { after, before, difference, group } of found.tops) {
        assert.deepInclude(told.get(group), { before, after, change: difference })
      }
      assert.deepStrictEqual(found.tops.map(({ group, isSubject }) => [group, isSubject]).slice(0, 3), [
        ["worker-1234567", true],
        ["leaver", false],
        ["steady", false]
      ])
      assert.isAtMost(found.tops.length, 10)
      const all = [...found.tops, found.other!, found.unaccounted ?? { difference: 0 }]
      assert.approximately(
        all.reduce((sum, { difference }) => sum + difference, 0),
        diff.total.change,
        1e-9
      )
      assert.deepStrictEqual(found.notes, [{ at: noted.at / 1_000, text: noted.text, author: "ann" }])
      const url = new URL(found.link, "http://pulse.test")
      assert.strictEqual(url.pathname, "/servers/told")
      assert.deepStrictEqual(url.searchParams.get("brush")!.split("~").map(Date.parse), [found.split, to])
      const lines = storyText(found, "https://pulse.example.org").split("\n")
      assert.match(
        lines[0]!,
        /^any group on told: cpu above 80 % of a core, averaged over 60 s, for 4 min \([\d.]+ % of a core\)$/
      )
      assert.isTrue(lines.some((line) => line === "steady 50 → 50 (0)"))
      assert.isTrue(lines.some((line) => line.includes("deploy 4.2\\u001b[2J (ann)")))
      assert.strictEqual(lines.at(-1), `https://pulse.example.org${found.link}`)
      assert.isAtMost(lines.length, 25)
    })
  )

  it.effect("of a server that is silent is what ran until it was", () =>
    Effect.gen(function* () {
      yield* store(
        running(
          "mute",
          "worker",
          () => 70,
          () => -500
        ).filter(({ timestamp }) => timestamp <= EPOCH + 900 * SECOND)
      )
      const alert = yield* fired("resource: processes, server: mute, silent: true, over: 5m", 900, 1_500)
      assert.strictEqual(alert.value, null)
      const found = yield* story(alert.id)
      assert.isTrue(found.partial)
      assert.deepInclude(found.tops[0], { group: "worker", after: 0, gone: true })
      assert.approximately(found.tops[0]!.before, 70, 1e-6)
      assert.deepStrictEqual(
        found.events.map(({ at, kind, until }) => [kind, at, until]),
        [["outage", millis(900), null]]
      )
      assert.isTrue(storyText(found, undefined).split("\n").includes("(not all of it was seen)"))
    })
  )

  it.effect("names what restarted", () =>
    Effect.gen(function* () {
      yield* store([
        ...running(
          "anew",
          "crasher",
          () => 20,
          (t) => Math.floor(t / 120) * 120 - 10
        ),
        ...running(
          "anew",
          "calm",
          () => 20,
          (t) => Math.floor(t / 120) * 120 - 10
        ).map((row) => ({ ...row, countersSince: null }))
      ])
      const alert = yield* fired(
        "resource: processes, server: anew, group: crasher, restarts_above: 1, over: 5m",
        900,
        1_500
      )
      const found = yield* story(alert.id)
      assert.include(found.restarts, "crasher")
      assert.isTrue(storyText(found, undefined).includes("restarted: "))
    })
  )

  it.effect("stays as it was once it is complete, also where the rows are gone", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const { keep } = yield* AlertStories
      yield* store(
        running(
          "kept",
          "worker",
          (t) => (t > 900 ? 90 : 10),
          () => -500
        )
      )
      const alert = yield* fired("resource: processes, server: kept, metric: cpu, above: 80, for: 4m", 600, 1_500)
      const before = yield* story(alert.id)
      const hour = 3_600
      assert.strictEqual(yield* at(1_500 + hour / 2, keep), 0)
      assert.strictEqual(yield* at(1_500 + 2 * hour, keep), 1)
      assert.strictEqual(yield* at(1_500 + 2 * hour, keep), 0)
      yield* sql.unsafe("delete from admiral.process_snapshots_scrapes")
      assert.deepStrictEqual(yield* story(alert.id), before)
      yield* sql.unsafe("update admiral.alerts set story = null")
      assert.deepStrictEqual((yield* story(alert.id)).tops, [])
    })
  )

  it.effect("is none for what is no alert, whatever the text", () =>
    Effect.gen(function* () {
      const { of } = yield* AlertStories
      for (const id of ["", "0", "-1", "1e3", "999999999999999999", "9".repeat(40), "x'; --", "\0", "١"]) {
        assert.isTrue(Option.isNone(yield* of(id)), JSON.stringify(id))
      }
    })
  )

  it.effect("is kept for a year", () =>
    Effect.gen(function* () {
      const { list } = yield* Alerts
      const { keep } = yield* AlertStories
      yield* store(
        running(
          "old",
          "worker",
          (t) => (t > 900 && t < 1_600 ? 90 : 10),
          () => -500
        )
      )
      yield* fired("resource: processes, server: old, metric: cpu, above: 80, for: 4m", 600, 2_300)
      const day = 86_400
      yield* at(364 * day, keep)
      assert.lengthOf(yield* list({ limit: 10 }), 1)
      yield* at(366 * day, keep)
      assert.lengthOf(yield* list({ limit: 10 }), 0)
    })
  )

  it.effect("and which alerts there are can be asked by time, state, server and rule", () =>
    Effect.gen(function* () {
      const { list } = yield* Alerts
      yield* store(
        running(
          "asked",
          "worker",
          (t) => (t > 300 && t < 900 ? 90 : 10),
          () => -500
        )
      )
      const alert = yield* fired("resource: processes, server: asked, metric: cpu, above: 80", 0, 1_500)
      assert.isNotNull(alert.resolvedAt)
      const count = (filter: Omit<Parameters<typeof list>[0], "limit">) =>
        Effect.map(list({ ...filter, limit: 10 }), ({ length }) => length)
      assert.strictEqual(yield* count({ state: "firing" }), 0)
      assert.strictEqual(yield* count({ state: "resolved", serverId: "asked", rule: "r" }), 1)
      assert.strictEqual(yield* count({ serverId: "other" }), 0)
      assert.strictEqual(yield* count({ rule: "R" }), 0)
      assert.strictEqual(yield* count({ from: alert.firedAt, to: alert.firedAt }), 1)
      assert.strictEqual(yield* count({ to: alert.firedAt - 1 }), 0)
      assert.strictEqual(yield* count({ from: alert.resolvedAt! }), 0)
      assert.strictEqual(yield* count({ id: alert.id }), 1)
    })
  )
})
