/** Acting over PostgreSQL: what is handed to whom, how often, until when; and what is kept of it. */
import { PgClient, PgTypes } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Audit, CurrentAuthor } from "../src/access/Audit.ts"
import * as AuditPostgres from "../src/access/AuditPostgres.ts"
import { Servers } from "../src/access/Servers.ts"
import * as ServersPostgres from "../src/access/ServersPostgres.ts"
import { Acting, ORDERS_A_DAY_MAX, OUTCOMES_A_DAY_MAX, PREVIEWS_MAX, STRANGE_TOLD_MAX } from "../src/acting/Acting.ts"
import * as ActingPostgres from "../src/acting/ActingPostgres.ts"
import { actingStatements } from "../src/acting/ActingStatements.ts"
import { actAlertStatements } from "../src/alerts/Acts.ts"
import { alertStateStatements } from "../src/alerts/AlertStates.ts"
import type { Order, PreviewProcess, PreviewTarget } from "../src/protocol/Orders.ts"
import { orderFor, outcomeOf, person, pollOf, previewOf, signed, UNIT } from "./ActingWorld.ts"
import * as TestDatabase from "./TestDatabase.ts"
import { exporters } from "./TruthRows.ts"

const ports = Layer.mergeAll(ActingPostgres.layer, ServersPostgres.layer, AuditPostgres.layer)
const live = ports.pipe(Layer.provideMerge(TestDatabase.layerWith({ exporters })))

const [ada, bob] = [person("ada"), person("bob")]
const registered = Effect.flatMap(Servers, ({ register }) =>
  Effect.map(register("web"), ({ server }) => server.serverId)
)
const as = (name: string) => Effect.provideService(CurrentAuthor, { name, address: "10.0.0.7" })

/** Another process over the same database. */
const another = Effect.flatMap(Layer.build(Layer.fresh(ActingPostgres.layer)), (context) =>
  Effect.provideContext(Acting, context)
)

/** A preview of a server, asked and answered. */
const previewed = Effect.fnUntraced(function* (serverId: string) {
  const acting = yield* Acting
  const { id } = yield* as("token:1")(acting.preview(serverId, { pid: 4_711 }))
  const { previews } = yield* acting.hand(serverId, 0)
  yield* acting.heard(serverId, pollOf(serverId, { previews: previews.map((one) => previewOf(serverId, one)) }))
  return id
})

const SEEN: Omit<PreviewProcess, "pid" | "start_ticks" | "name" | "group"> = {
  ...{ parent: 1, user: "root", state: "R", command: "", unit: null, threads: 1, nice: 0, children: 0 },
  ...{ memory_bytes: 1, cpu_seconds: 1, container: false }
}

const restart: Partial<Order> = { verb: "restart", target: UNIT } as Partial<Order>

/** As if it had happened so long ago: events can be added, and never changed. */
const asLongAgo = Effect.fnUntraced(function* (order: Order, previewId: string, seconds: number) {
  const sql = yield* PgClient.PgClient
  yield* sql`insert into admiral.orders (order_id, server_id, at, event, author, content)
    select ${order.id}, id, now() - ${seconds}::float8 * interval '1 second', 'asked', 'token:1',
      ${JSON.stringify({ order, preview_id: previewId, needed: 1 })}::json
    from admiral.servers where server_id = ${order.server}`
})

const actions = Effect.fnUntraced(function* (orderId: string) {
  const { entries } = yield* (yield* Audit).list({ action: "act", limit: 1_000 })
  return entries.filter(({ subject }) => subject === `order ${orderId}`).reverse()
})

layer(live, { timeout: "1 minute", excludeTestServices: true })("a preview", (it) => {
  it.effect("is handed to its own server, once, whatever process asks, and answered once by that", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* registered, yield* registered]
      const acting = yield* Acting
      const second = yield* another
      const { id } = yield* as("token:1")(acting.preview(one, { unit: "burner.service" }))
      assert.strictEqual((yield* acting.previewOf(id)).state, "waiting")
      assert.deepStrictEqual(yield* acting.hand(other, 0), { previews: [], orders: [] })
      const handed = yield* Effect.all([acting.hand(one, 0), second.hand(one, 0)], { concurrency: 2 })
      assert.deepStrictEqual(
        handed.flatMap(({ previews }) => previews),
        [{ id, target: { unit: "burner.service" } }]
      )
      assert.strictEqual((yield* acting.previewOf(id)).state, "sent")
      const request = { id, target: { unit: "burner.service" } }
      // Of another server, or in its name.
      yield* acting.heard(other, pollOf(other, { previews: [previewOf(other, request)] }))
      yield* acting.heard(other, pollOf(other, { previews: [previewOf(one, request)] }))
      assert.isNull((yield* acting.previewOf(id)).answer)
      yield* acting.heard(one, pollOf(one, { previews: [previewOf(one, request)] }))
      yield* acting.heard(one, pollOf(one, { previews: [{ ...previewOf(one, request), processes_more: 9 }] }))
      const { answer, by, state } = yield* acting.previewOf(id)
      assert.deepStrictEqual([state, by, answer?.processes_more], ["answered", "token:1", 0])
    }).pipe(Effect.scoped)
  )

  it.effect("is over when nobody has asked for it in time, by the clock of the database", () =>
    Effect.gen(function* () {
      const one = yield* registered
      const acting = yield* Acting
      const sql = yield* PgClient.PgClient
      const { id } = yield* acting.preview(one, { pid: 1 })
      yield* sql`update admiral.previews set asked_at = now() - interval '61 seconds' where preview_id = ${id}`
      assert.strictEqual((yield* acting.previewOf(id)).state, "expired")
      assert.deepStrictEqual((yield* acting.hand(one, 0)).previews, [])
      yield* acting.heard(one, pollOf(one, { previews: [previewOf(one, { id, target: { pid: 1 } })] }))
      assert.strictEqual((yield* acting.previewOf(id)).state, "expired")
      yield* sql`update admiral.previews set asked_at = now() - interval '61 minutes' where preview_id = ${id}`
      yield* (yield* another).refresh
      assert.strictEqual((yield* Effect.flip(acting.previewOf(id)))._tag, "UnknownPreview")
    }).pipe(Effect.scoped)
  )

  it.effect("is asked so often in an hour, of a server and by a person", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* registered, yield* registered]
      const acting = yield* Acting
      const sql = yield* PgClient.PgClient
      yield* sql`insert into admiral.previews (preview_id, server_id, target, author)
        select 'many-' || n, id, '{"pid":1}', 'token:many' from admiral.servers, generate_series(1, ${PREVIEWS_MAX}::int4) n
        where server_id = ${one}`
      const ofServer = yield* Effect.flip(as("token:2")(acting.preview(one, { pid: 1 })))
      assert.include(ofServer.message, "of this server")
      const byPerson = yield* Effect.flip(as("token:many")(acting.preview(other, { pid: 1 })))
      assert.include(byPerson.message, "by one person")
      yield* as("token:2")(acting.preview(other, { pid: 1 }))
      assert.strictEqual((yield* Effect.flip(acting.preview("nobody", { pid: 1 })))._tag, "UnknownServer")
    })
  )
})

layer(live, { timeout: "1 minute", excludeTestServices: true })("an order", (it) => {
  it.effect("is sent once, to its own server, as it was signed; and each step is in the audit", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* registered, yield* registered]
      const acting = yield* Acting
      const second = yield* another
      const order = orderFor(one)
      const approval = signed(order, ada)
      const asked = yield* as("token:1")(
        acting.ask({ serverId: one, previewId: yield* previewed(one), order, approval })
      )
      assert.deepStrictEqual([asked.state, asked.needed], ["approved", 1])
      assert.deepStrictEqual((yield* acting.hand(other, 0)).orders, [])
      const takes = Array.from({ length: 6 }, (_, n) => (n % 2 === 0 ? acting : second).hand(one, 0))
      const handed = yield* Effect.all(takes, { concurrency: "unbounded" })
      assert.deepStrictEqual(
        handed.flatMap(({ orders }) => orders),
        [{ order, approvals: [approval] }]
      )
      assert.strictEqual((yield* acting.order(order.id)).state, "sent")
      const outcome = outcomeOf(order.id)
      // Told twice, as where the first answer was lost.
      for (let n = 0; n < 2; n++) {
        assert.deepStrictEqual(yield* acting.heard(one, pollOf(one, { outcomes: [outcome] })), [outcome.id])
      }
      const done = yield* acting.order(order.id)
      assert.strictEqual(done.state, "done")
      assert.deepStrictEqual(
        done.events.map(({ kind }) => kind),
        ["asked", "approved", "sent", "done"]
      )
      assert.deepStrictEqual(done.events.at(-1)?.outcome, outcome)
      const audited = yield* actions(order.id)
      assert.deepStrictEqual(
        audited.map(({ action }) => action),
        ["act.order", "act.approve", "act.send", "act.end"]
      )
      assert.include(audited[1]!.detail, ada.key)
      assert.include(audited[3]!.detail, "done as asked")
    }).pipe(Effect.scoped)
  )

  it.effect("that two persons have to sign waits for both, each of whose signatures holds when it is sent", () =>
    Effect.gen(function* () {
      const one = yield* registered
      const acting = yield* Acting
      const order = orderFor(one, restart)
      const asked = { serverId: one, previewId: yield* previewed(one), order }
      const first = yield* acting.ask({ ...asked, approval: signed(order, ada) })
      assert.deepStrictEqual([first.state, first.needed], ["waiting", 2])
      // The same person again, also with the other's name on it, is one.
      assert.strictEqual((yield* acting.approve(order.id, signed(order, ada))).state, "waiting")
      const disguised = signed(order, { ...ada, name: "bob" })
      assert.strictEqual((yield* acting.approve(order.id, disguised)).state, "waiting")
      assert.deepStrictEqual((yield* acting.hand(one, 0)).orders, [])
      assert.strictEqual((yield* acting.approve(order.id, signed(order, bob, 30))).state, "approved")
      const story = yield* acting.order(order.id)
      assert.isBelow(story.expiresAt - Date.now(), 31_000)
      const { orders } = yield* acting.hand(one, 0)
      assert.deepStrictEqual(orders[0]?.approvals.map(({ by }) => by).sort(), ["ada", "bob"])
      assert.strictEqual((yield* Effect.flip(acting.approve(order.id, signed(order, ada))))._tag, "OrderClosed")
    })
  )

  it.effect("tells that it waits for a second person, while it does and no longer, the latest in the same words", () =>
    Effect.gen(function* () {
      const one = yield* registered
      const acting = yield* Acting
      const sql = yield* PgClient.PgClient
      const previewId = yield* previewed(one)
      const alerts = Effect.map(
        sql<{
          readonly order: string | null
          readonly rule: string
          readonly sentence: string
          readonly open: boolean
        }>`
          select rule, asked ->> 'order_id' as order, sentence, resolved_at is null as open from admiral.alerts
          where server_id = (select id from admiral.servers where server_id = ${one}) order by id`,
        (rows) => rows.map(({ open, order, rule, sentence }) => ({ open, order, rule, sentence }))
      )
      // One that needs one person tells nothing.
      yield* acting.ask({ serverId: one, previewId, order: orderFor(one), approval: undefined })
      assert.deepStrictEqual(yield* alerts, [])
      const [first, second, signedOne] = [orderFor(one, restart), orderFor(one, restart), orderFor(one, restart)]
      const asked = { serverId: one, previewId, approval: undefined }
      const story = yield* as("token:1")(acting.ask({ ...asked, order: first, approval: signed(first, ada) }))
      // The same again, and a signature that does not suffice, tell nothing new.
      yield* as("token:2")(acting.ask({ ...asked, order: first }))
      yield* acting.approve(first.id, signed(first, ada))
      const until = new Date(story.expiresAt).toISOString().slice(11, 19)
      const said = `restart burner.service waits for a second signature until ${until} UTC: asked by token:1.`
      const [only, ...more] = yield* alerts
      assert.deepStrictEqual([only!.open, only!.order, only!.rule, more.length], [true, first.id, "Act", 0])
      assert.include(only!.sentence, said)
      assert.include(only!.sentence, `nodepulse approve ${first.id}`)
      // Rules are asked meanwhile: an order is none of theirs.
      yield* sql.unsafe(alertStateStatements.CLOSE_OTHERS, [PgTypes.float8(Date.now() * 1_000)])
      const opened = Effect.map(alerts, (all) => all.filter(({ open }) => open).map(({ order }) => order))
      assert.deepStrictEqual(yield* opened, [first.id])
      yield* acting.ask({ ...asked, order: second })
      assert.deepStrictEqual(yield* opened, [second.id])
      yield* acting.approve(second.id, signed(second, ada))
      yield* acting.approve(second.id, signed(second, bob))
      assert.deepStrictEqual(yield* opened, [])
      yield* acting.ask({ ...asked, order: signedOne })
      assert.deepStrictEqual(yield* opened, [signedOne.id])
    })
  )

  it.effect("that waited in vain tells nobody any more that it waits", () =>
    Effect.gen(function* () {
      const one = yield* registered
      const sql = yield* PgClient.PgClient
      const order = orderFor(one, restart)
      yield* asLongAgo(order, yield* previewed(one), 601)
      yield* sql.unsafe(
        actAlertStatements.WAITS,
        [one, "restart burner.service", "it waits", order.id].map(PgTypes.text)
      )
      yield* (yield* another).refresh
      const open =
        yield* sql`select from admiral.alerts where asked ->> 'order_id' = ${order.id} and resolved_at is null`
      assert.strictEqual(open.length, 0)
    }).pipe(Effect.scoped)
  )

  it.effect("whose approval ran out before its host asked is never sent, and is noted as expired", () =>
    Effect.gen(function* () {
      const one = yield* registered
      const acting = yield* Acting
      const order = orderFor(one)
      const sql = yield* PgClient.PgClient
      const previewId = yield* previewed(one)
      yield* acting.ask({ serverId: one, previewId, order, approval: signed(order, ada, 2) })
      const unsigned = orderFor(one)
      yield* asLongAgo(unsigned, previewId, 601)
      yield* sql`select pg_sleep(2.1)`
      assert.strictEqual((yield* acting.order(order.id)).state, "expired")
      assert.deepStrictEqual((yield* acting.hand(one, 0)).orders, [])
      yield* (yield* another).refresh
      for (const { id } of [order, unsigned]) {
        const story = yield* acting.order(id)
        assert.deepStrictEqual([story.state, story.events.at(-1)?.kind], ["expired", "expired"])
        assert.include((yield* actions(id)).at(-1)?.detail, "not sent in time")
        assert.strictEqual((yield* Effect.flip(acting.approve(id, signed(order, ada))))._tag, "OrderClosed")
      }
    }).pipe(Effect.scoped)
  )

  it.effect("fits a preview of its server that was answered lately, and what that offers", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* registered, yield* registered]
      const acting = yield* Acting
      const sql = yield* PgClient.PgClient
      const previewId = yield* previewed(one)
      const approval = undefined
      const refused = (order: Order, preview = previewId, serverId = one) =>
        Effect.map(Effect.flip(acting.ask({ serverId, previewId: preview, order, approval })), (failure) =>
          failure._tag === "OrderUnfit" ? failure.field : failure._tag
        )
      assert.strictEqual(yield* refused(orderFor(other)), "order.server")
      assert.strictEqual(yield* refused(orderFor(other), previewId, other), "preview_id")
      const boot_id = "99999999-2222-4333-8444-555555555555"
      assert.strictEqual(yield* refused(orderFor(one, { boot_id })), "order.boot_id")
      assert.strictEqual(yield* refused(orderFor(one, { verb: "kill" } as Partial<Order>)), "order.verb")
      const target = { pid: 4_711, start_ticks: 123_457, name: "burner" }
      assert.strictEqual(yield* refused(orderFor(one, { target } as Partial<Order>)), "order.verb")
      const unanswered = yield* acting.preview(one, { pid: 1 })
      assert.strictEqual(yield* refused(orderFor(one), unanswered.id), "preview_id")
      assert.strictEqual(yield* refused(orderFor(one), "none"), "UnknownPreview")
      const order = orderFor(one)
      yield* acting.ask({ serverId: one, previewId, order, approval })
      // The same again is the same; another one of its id is none.
      assert.strictEqual((yield* acting.ask({ serverId: one, previewId, order, approval })).events.length, 1)
      assert.strictEqual(yield* refused({ ...order, reason: "another" }), "order.id")
      const [late, early] = [signed(order, ada, 300), signed(order, ada, -1)]
      for (const wrong of [late, early]) {
        const failure = yield* Effect.flip(acting.approve(order.id, wrong))
        assert.strictEqual(failure._tag === "OrderUnfit" && failure.field, "approval.expires")
      }
      yield* sql`update admiral.previews set asked_at = now() - interval '11 minutes' where preview_id = ${previewId}`
      assert.strictEqual(yield* refused(orderFor(one)), "preview_id")
    })
  )

  it.effect("is one of so many in a day, of a server and by a person", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* registered, yield* registered]
      const acting = yield* Acting
      const sql = yield* PgClient.PgClient
      yield* sql`insert into admiral.orders (order_id, server_id, event, author, content)
        select 'many-' || n, id, 'asked', 'token:orders', '{}' from admiral.servers, generate_series(1, ${ORDERS_A_DAY_MAX}::int4) n
        where server_id = ${one}`
      const approval = undefined
      const ofServer = { serverId: one, previewId: yield* previewed(one), order: orderFor(one), approval }
      assert.include((yield* Effect.flip(as("token:2")(acting.ask(ofServer)))).message, "of this server")
      const ofOther = { serverId: other, previewId: yield* previewed(other), order: orderFor(other), approval }
      assert.include((yield* Effect.flip(as("token:orders")(acting.ask(ofOther)))).message, "by one person")
      assert.strictEqual((yield* as("token:2")(acting.ask(ofOther))).state, "waiting")
    })
  )

  it.effect("of which its host never told is called unanswered, and what it tells later counts", () =>
    Effect.gen(function* () {
      const one = yield* registered
      const acting = yield* Acting
      const sql = yield* PgClient.PgClient
      const order = orderFor(one)
      yield* asLongAgo(order, "none", 300)
      yield* sql`insert into admiral.orders (order_id, server_id, at, event, author, content)
        select ${order.id}, id, now() - interval '121 seconds', 'sent', 'hands', '{}' from admiral.servers where server_id = ${one}`
      assert.strictEqual((yield* acting.order(order.id)).state, "unanswered")
      // Nothing is sent again by itself.
      assert.deepStrictEqual((yield* acting.hand(one, 0)).orders, [])
      const outcome = outcomeOf(order.id, { result: "interrupted", message: "the host stopped" })
      yield* acting.heard(one, pollOf(one, { outcomes: [outcome] }))
      assert.strictEqual((yield* acting.order(order.id)).state, "interrupted")
      // The first ending counts; what comes after it is kept beside it.
      const again = outcomeOf(order.id, { result: "refused", code: "replayed" })
      yield* acting.heard(one, pollOf(one, { outcomes: [again] }))
      const story = yield* acting.order(order.id)
      assert.deepStrictEqual([story.state, story.events.at(-1)?.outcome], ["interrupted", again])
      assert.strictEqual(story.outcome?.id, outcome.id)
    })
  )

  it.effect("that was done is done, also where its host first told that it refused to do it again", () =>
    Effect.gen(function* () {
      const one = yield* registered
      const acting = yield* Acting
      const order = orderFor(one)
      yield* acting.ask({ serverId: one, previewId: yield* previewed(one), order, approval: signed(order, ada) })
      yield* acting.hand(one, 0)
      const tell = (more: object) =>
        Effect.andThen(
          acting.heard(one, pollOf(one, { outcomes: [outcomeOf(order.id, more)] })),
          Effect.map(acting.order(order.id), ({ outcome, state }) => [state, outcome?.code])
        )
      assert.deepStrictEqual(yield* tell({ result: "refused", code: "replayed" }), ["refused", "replayed"])
      assert.deepStrictEqual(yield* tell({ result: "refused", code: "expired" }), ["refused", "expired"])
      assert.deepStrictEqual(yield* tell({ result: "done" }), ["done", null])
      assert.isNotNull((yield* acting.order(order.id)).actedAt)
    })
  )

  it.effect("that this server never sent, and its host has carried out, is in the audit; so many a day", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* registered, yield* registered]
      const acting = yield* Acting
      const sql = yield* PgClient.PgClient
      const order = orderFor(one)
      yield* acting.ask({ serverId: one, previewId: yield* previewed(one), order, approval: signed(order, ada) })
      // Another host may say nothing of it.
      const foreign = outcomeOf(order.id)
      assert.deepStrictEqual(yield* acting.heard(other, pollOf(other, { outcomes: [foreign] })), [foreign.id])
      assert.strictEqual((yield* acting.order(order.id)).state, "approved")
      assert.include((yield* actions(`unknown ${order.id}`)).at(-1)?.detail, "has not sent")
      const malformed = outcomeOf(null, { result: "refused", code: "malformed" })
      assert.deepStrictEqual(yield* acting.heard(other, pollOf(other, { outcomes: [malformed] })), [malformed.id])
      assert.include((yield* actions(`unknown ${malformed.id}`)).at(-1)?.detail, "refused (malformed)")
      // People are told of so many, the audit of each.
      for (let count = 0; count < STRANGE_TOLD_MAX; count++) {
        yield* acting.heard(other, pollOf(other, { outcomes: [outcomeOf(null)] }))
      }
      const told = yield* sql<{ readonly told: number }>`select count(*)::int4 as told from admiral.alerts
        where server_id = (select id from admiral.servers where server_id = ${other})`
      assert.strictEqual(told[0]!.told, STRANGE_TOLD_MAX)
      yield* sql`insert into admiral.orders (order_id, server_id, event, author, content)
        select 'x', id, 'refused', 'hands', json_build_object('id', 'outcome-' || n)
        from admiral.servers, generate_series(1, ${OUTCOMES_A_DAY_MAX}::int4) n where server_id = ${other}`
      const more = outcomeOf(null)
      assert.deepStrictEqual(yield* acting.heard(other, pollOf(other, { outcomes: [more, malformed] })), [malformed.id])
    })
  )

  it.effect("wakes its host that waits, also through another process", () =>
    Effect.gen(function* () {
      const one = yield* registered
      const acting = yield* Acting
      const second = yield* another
      const previewId = yield* previewed(one)
      for (const asking of [acting, second]) {
        const order = orderFor(one)
        const began = Date.now()
        const looking = Effect.forever(Effect.andThen(Effect.sleep("100 millis"), acting.refresh))
        const [handed] = yield* Effect.all(
          [
            Effect.raceFirst(acting.hand(one, 20), Effect.orDie(looking)),
            Effect.delay(asking.ask({ serverId: one, previewId, order, approval: signed(order, ada) }), "200 millis")
          ],
          { concurrency: 2 }
        )
        assert.deepStrictEqual(handed.orders[0]?.order, order)
        assert.isBelow(Date.now() - began, 15_000)
      }
    }).pipe(Effect.scoped)
  )

  it.effect("is listed with its story, the latest first; what became of it is never changed", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* registered, yield* registered]
      const acting = yield* Acting
      const sql = yield* PgClient.PgClient
      const orders = Array.from({ length: 3 }, () => orderFor(one))
      const previewId = yield* previewed(one)
      for (const order of orders) yield* acting.ask({ serverId: one, previewId, order, approval: undefined })
      const first = yield* acting.list({ serverId: one, limit: 2 })
      const rest = yield* acting.list({ serverId: one, limit: 2, before: first.next! })
      assert.deepStrictEqual(
        [...first.orders, ...rest.orders].map(({ order }) => order.id),
        orders.map(({ id }) => id).reverse()
      )
      assert.isNull(rest.next)
      assert.deepStrictEqual((yield* acting.list({ serverId: other, limit: 9 })).orders, [])
      for (const change of [
        "update admiral.orders set author = 'x'",
        "delete from admiral.orders",
        "truncate admiral.orders"
      ]) {
        assert.include(String(yield* Effect.flip(sql.unsafe(change).unprepared)), "SqlError")
      }
    })
  )

  it.effect("that was done is a mark of its server, at the moment of its host where that can be", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* registered, yield* registered]
      const acting = yield* Acting
      const previewId = yield* previewed(one)
      const results = ["done", "refused", "failed", "interrupted"] as const
      for (const result of results) {
        const order = orderFor(one)
        yield* acting.ask({ serverId: one, previewId, order, approval: signed(order, ada) })
        yield* acting.hand(one, 0)
        // Its clock is a day behind.
        const at = Math.floor(Date.now() / 1_000) - 86_400
        yield* acting.heard(one, pollOf(one, { outcomes: [outcomeOf(order.id, { result, at })] }))
      }
      const to = Date.now() * 1_000 + 60_000_000
      const acts = yield* acting.acts(one, { from: to - 3_600_000_000, to })
      assert.deepStrictEqual(acts.map(({ result }) => result).sort(), ["done", "failed", "interrupted"])
      assert.deepInclude(acts[0], {
        verb: "terminate",
        target: "burner",
        group: "burner",
        by: ["ada"],
        revertsAt: null
      })
      assert.deepStrictEqual(yield* acting.acts(other, { from: 0, to }), [])
    })
  )
})

layer(live, { timeout: "1 minute", excludeTestServices: true })("an act", (it) => {
  const done = Effect.fnUntraced(function* (serverId: string, previewId: string, changes: Partial<Order>, more = {}) {
    const acting = yield* Acting
    const order = orderFor(serverId, changes)
    yield* acting.ask({ serverId, previewId, order, approval: signed(order, ada) })
    if (changes.verb === "restart") yield* acting.approve(order.id, signed(order, bob))
    yield* acting.hand(serverId, 0)
    yield* acting.heard(serverId, pollOf(serverId, { outcomes: [outcomeOf(order.id, more)] }))
    return order.id
  })

  it.effect("is of the name that was asked about, else of the one that its host has, else of the kernel's", () =>
    Effect.gen(function* () {
      const one = yield* registered
      const acting = yield* Acting
      const asked = Effect.fnUntraced(function* (target: PreviewTarget, group: string | null) {
        const { id } = yield* acting.preview(one, target)
        const { previews } = yield* acting.hand(one, 0)
        const process = { pid: 4_711, start_ticks: 123_456, name: "burner", group }
        const answers = previews.map((one_) => ({ ...previewOf(one, one_), processes: [{ ...SEEN, ...process }] }))
        yield* acting.heard(one, pollOf(one, { previews: answers }))
        return id
      })
      yield* done(one, yield* asked({ group: "shop" }, "other"), {})
      yield* done(one, yield* asked({ pid: 4_711 }, "bakery"), {})
      yield* done(one, yield* asked({ pid: 4_711 }, null), {})
      const reverts_at = Math.floor(Date.now() / 1_000) + 600
      yield* done(one, yield* asked({ group: "shop" }, "other"), restart, { reverts_at })
      const acts = yield* acting.acts(one, { from: 0, to: Date.now() * 1_000 + 60_000_000 })
      assert.deepStrictEqual(
        acts.map(({ group, revertsAt, target }) => [group, target, revertsAt]).sort(),
        [
          ["bakery", "burner", null],
          ["burner", "burner", null],
          ["shop", "burner", null],
          [null, UNIT.unit, reverts_at * 1_000_000]
        ].sort()
      )
    })
  )

  it.effect("is among the latest thousand of a window, and is found without looking at any other", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* registered, yield* registered]
      const acting = yield* Acting
      const sql = yield* PgClient.PgClient
      yield* sql`insert into admiral.orders (order_id, server_id, at, event, author, content)
        select server_id || '-' || n, id, now() - n * interval '1 minute', event, 'x',
          case event when 'asked' then json_build_object('order', ${JSON.stringify(orderFor(one))}::json, 'preview_id', 'p', 'needed', 1, 'group', 'g-' || n)
          else json_build_object('id', server_id || '-' || n, 'at', 0, 'by', '[]'::json, 'reverts_at', null) end
        from admiral.servers, generate_series(1, 1100) n, unnest(array['asked', 'done']) event where server_id in (${one}, ${other})`
      const acts = yield* acting.acts(one, { from: 0, to: Date.now() * 1_000 })
      assert.deepStrictEqual([acts.length, acts[0]!.group, acts.at(-1)!.group], [1_000, "g-1000", "g-1"])
      yield* sql`analyze admiral.orders`
      const statement = actingStatements.ACTS.replaceAll("$1", `'${one}'`).replaceAll("$2", "1").replaceAll("$3", "2")
      const plan = yield* sql.unsafe<{ readonly "QUERY PLAN": string }>(`explain ${statement}`).unprepared
      const text = plan.map((row) => row["QUERY PLAN"]).join("\n")
      assert.include(text, "orders_server")
      assert.notInclude(text, "Seq Scan on orders")
    })
  )
})

layer(live, { timeout: "1 minute", excludeTestServices: true })("what acts on a server", (it) => {
  it.effect("is shown as it last said of itself, and called silent when nothing was heard of it", () =>
    Effect.gen(function* () {
      const one = yield* registered
      const acting = yield* Acting
      const sql = yield* PgClient.PgClient
      assert.isUndefined(yield* acting.hands(one))
      yield* acting.heard(one, pollOf(one))
      const approvers = [{ name: "ada", role: "admin" as const, key: ada.key }]
      yield* acting.heard(one, pollOf(one, { approvers }))
      assert.deepInclude(yield* acting.hands(one), { isSilent: false, approvers, rules: [] })
      yield* sql`update admiral.hands set heard_at = now() - interval '91 seconds'`
      assert.deepInclude(yield* acting.hands(one), { isSilent: true })
      assert.strictEqual((yield* Effect.flip(acting.hands("nobody")))._tag, "UnknownServer")
    })
  )
})
