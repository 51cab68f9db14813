/** Silences and acknowledgements, over PostgreSQL: which alerts they are about, until when, and what they leave behind. */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, layer, it as pure } from "@effect/vitest"
import { Clock, Effect, Layer, Result } from "effect"
import { Audit, CurrentAuthor } from "../src/access/Audit.ts"
import * as AuditPostgres from "../src/access/AuditPostgres.ts"
import { Alerts } from "../src/alerts/Alerts.ts"
import * as AlertsPostgres from "../src/alerts/AlertsPostgres.ts"
import { Rulebook } from "../src/alerts/Rulebook.ts"
import { type Silence, silencedBy } from "../src/alerts/silences/Silence.ts"
import { SILENCES_MAX, Silences } from "../src/alerts/silences/Silences.ts"
import * as SilencesPostgres from "../src/alerts/silences/SilencesPostgres.ts"
import { makeRegistry, Registry } from "../src/plugins/Registry.ts"
import * as TestDatabase from "./TestDatabase.ts"
import { exporters } from "./TruthRows.ts"

const live = Layer.mergeAll(AlertsPostgres.layer, SilencesPostgres.layer, AuditPostgres.layer).pipe(
  Layer.provideMerge(Layer.succeed(Rulebook, { rules: Effect.succeed([]) })),
  Layer.provideMerge(Layer.succeed(Registry, Result.getOrThrow(makeRegistry({ exporters })))),
  Layer.provideMerge(TestDatabase.layerWith({ exporters }))
)

const NOW = Date.UTC(2026, 0, 1, 12)
const HOUR = 3_600_000
const DAY = 24 * HOUR

const any: Silence = {
  id: "1",
  kind: "silence",
  rule: "*",
  server: "*",
  group: "*",
  severity: undefined,
  from: NOW,
  until: NOW + HOUR,
  by: "ann",
  comment: "known"
}

const at =
  (millis: number) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.flatMap(Clock.Clock, (clock) =>
      Effect.provideService(effect, Clock.Clock, { ...clock, currentTimeMillis: Effect.succeed(millis) } as Clock.Clock)
    )

describe("a silence", () => {
  const alert = {
    rule: "busy",
    serverId: "db-1",
    serverName: "Database",
    group: "postgres",
    severity: "warning" as const
  }
  const mutes = (silence: Partial<Silence>, moment = NOW, about: Parameters<typeof silencedBy>[0] = alert) =>
    silencedBy(about, [{ ...any, ...silence }], moment) !== undefined

  pure("mutes what all of its matchers are about, from its beginning until before its end", () => {
    for (const silence of [
      {},
      { rule: "bus*" },
      { server: "db-*" },
      { server: "Data*" },
      { severity: "warning" as const }
    ]) {
      assert.isTrue(mutes(silence), JSON.stringify(silence))
    }
    const others = [{ rule: "idle" }, { server: "web-*" }, { group: "node" }, { severity: "critical" as const }]
    for (const silence of [...others, { rule: "busy", group: "node" }]) {
      assert.isFalse(mutes(silence), JSON.stringify(silence))
    }
    assert.deepStrictEqual(
      [NOW - 1, NOW, NOW + HOUR - 1, NOW + HOUR].map((moment) => mutes({}, moment)),
      [false, true, true, false]
    )
  })

  pure("of servers is about NodePulse itself where it names it", () => {
    const itself = { ...alert, serverId: null, serverName: null }
    assert.isTrue(mutes({ server: "nodepulse" }, NOW, itself))
    assert.isTrue(mutes({}, NOW, itself))
    assert.isFalse(mutes({ server: "db-*" }, NOW, itself))
  })

  pure("that lasts longest is the one that counts", () => {
    const longer = { ...any, id: "2", until: NOW + 2 * HOUR }
    assert.strictEqual(silencedBy(alert, [any, longer, { ...any, id: "3" }], NOW)?.id, "2")
  })
})

/** An alert that fires. */
const firing = Effect.fnUntraced(function* (rule: string) {
  const sql = yield* PgClient.PgClient
  yield* sql`insert into admiral.servers (server_id, name) values ('db-1', 'Database') on conflict do nothing`
  const [row] = yield* sql<{ readonly id: string }>`
    insert into admiral.alerts (rule, sentence, severity, server_id, alert_group, asked, fired_at)
    select ${rule}::text, 'it is busy', 'warning', server.id, 'postgres', '{}'::jsonb, now()
    from admiral.servers server where server.server_id = 'db-1' returning id::text as id`
  return row!.id
})

layer(live, { timeout: "2 minutes" })("over PostgreSQL", (it) => {
  it.effect("a silence mutes until it ends, and is kept for a month after", () =>
    Effect.gen(function* () {
      const { active, add, end, list } = yield* Silences
      const by = Effect.provideService(CurrentAuthor, { name: "token:7", address: null })
      const { id: _, by: __, ...silence } = any
      const now = yield* by(at(NOW)(add({ ...silence, rule: "busy", comment: "known" })))
      const later = yield* at(NOW)(add({ ...silence, kind: "maintenance", from: NOW + DAY, until: NOW + 2 * DAY }))
      assert.deepInclude(now, { rule: "busy", by: "token:7", comment: "known", from: NOW, until: NOW + HOUR })
      const ids = (found: ReadonlyArray<Silence>) => found.map((one) => one.id)
      assert.deepStrictEqual(ids(yield* active(NOW)), [now.id])
      assert.deepStrictEqual(ids(yield* active(NOW + DAY)), [later.id])
      yield* at(NOW + 1_000)(end(now.id))
      yield* at(NOW + 1_000)(end(later.id))
      yield* at(NOW + 2_000)(end(now.id))
      assert.deepStrictEqual(ids(yield* active(NOW + 1_000)), [])
      // What never began is gone.
      assert.deepStrictEqual(
        (yield* at(NOW + 2_000)(list)).map(({ id, until }) => [id, until]),
        [[now.id, NOW + 1_000]]
      )
      assert.strictEqual((yield* Effect.flip(end(later.id)))._tag, "UnknownSilence")
      assert.strictEqual((yield* Effect.flip(end("x'; drop")))._tag, "UnknownSilence")
      const last = yield* at(NOW + 32 * DAY)(add({ ...silence, until: NOW + 33 * DAY }))
      assert.deepStrictEqual(ids(yield* at(NOW + 32 * DAY)(list)), [last.id])
      const { entries } = yield* (yield* Audit).list({ limit: 10, action: "silence" })
      assert.deepStrictEqual(entries.map(({ action, subject }) => [action, subject]).reverse(), [
        ["silence.create", `silence ${now.id}`],
        ["silence.create", `maintenance ${later.id}`],
        ["silence.end", `silence ${now.id}`],
        ["silence.end", `maintenance ${later.id}`],
        ["silence.create", `silence ${last.id}`]
      ])
      yield* (yield* PgClient.PgClient)`delete from admiral.silences`
    })
  )

  it.effect("there are as many as there may be, and those that are over do not count", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const { add } = yield* Silences
      const { id: _, by: __, ...silence } = any
      yield* sql`delete from admiral.silences`
      yield* sql`insert into admiral.silences (kind, rule, server, alert_group, from_at, until_at, author, comment)
        select 'silence', '*', '*', '*', timestamptz 'epoch', timestamptz 'epoch' + ${(NOW + HOUR) / 1_000}::float8 * interval '1 second', 'ann', 'x'
        from generate_series(1, ${SILENCES_MAX}::int)`
      assert.strictEqual((yield* Effect.flip(at(NOW)(add(silence))))._tag, "TooManySilences")
      yield* at(NOW + HOUR)(add({ ...silence, until: NOW + 2 * HOUR }))
      yield* sql`delete from admiral.silences`
    })
  )

  it.effect("an alert says that it is silenced while it is, and who knows of it until it is over", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const { acknowledge, firing: counts, list } = yield* Alerts
      const { add } = yield* Silences
      const id = yield* firing("acknowledged")
      const one = (moment: number) => Effect.map(at(moment)(list({ id, limit: 1 })), ([alert]) => alert!)
      const { id: _, by: __, ...silence } = any
      yield* at(NOW)(add({ ...silence, server: "Data*" }))
      assert.deepStrictEqual([(yield* one(NOW)).isSilenced, (yield* one(NOW + HOUR)).isSilenced], [true, false])
      assert.isUndefined((yield* one(NOW)).acknowledged)
      const by = (name: string) => Effect.provideService(CurrentAuthor, { name, address: null })
      yield* by("ann")(at(NOW)(acknowledge(id, "")))
      yield* by("bob")(at(NOW + 1)(acknowledge(id, "I look at it")))
      assert.deepStrictEqual((yield* one(NOW)).acknowledged, { at: NOW + 1, by: "bob", note: "I look at it" })
      assert.strictEqual((yield* counts).get("acknowledged"), 1)
      yield* sql`update admiral.alerts set resolved_at = now() where rule = 'acknowledged'`
      assert.isFalse((yield* one(NOW)).isSilenced)
      assert.strictEqual((yield* Effect.flip(acknowledge(id, "")))._tag, "AlertIsOver")
      assert.strictEqual((yield* Effect.flip(acknowledge("99999", "")))._tag, "UnknownAlert")
      assert.strictEqual((yield* Effect.flip(acknowledge("one", "")))._tag, "UnknownAlert")
      assert.isUndefined((yield* counts).get("acknowledged"))
      const { list: listed } = yield* Audit
      const [silenced] = (yield* listed({ limit: 1, action: "silence.create" })).entries
      const [from, until] = [silence.from, silence.until].map((at) => new Date(at).toISOString())
      assert.strictEqual(silenced!.detail, `any rule on Data*, from ${from} until ${until}: ${silence.comment}`)
      const { entries } = yield* listed({ limit: 10, action: "alert.acknowledge" })
      assert.deepStrictEqual(entries.map(({ author, detail, subject }) => [author, subject, detail]).reverse(), [
        ["ann", `alert ${id}`, "acknowledged, postgres, Database"],
        ["bob", `alert ${id}`, "acknowledged, postgres, Database: I look at it"]
      ])
      yield* sql`delete from admiral.silences`
    })
  )
})
