/**
 * Acting over PostgreSQL: `admiral.hands`, `admiral.previews`, and `admiral.orders`, which takes new events and nothing else. That an order
 * is sent once or expires, and that an outcome is stored once, is what unique indexes say; that approvals are counted one after the other
 * is a lock of each server. What an order's events tell is `OrderStory.ts`.
 */
import { randomUUID } from "node:crypto"
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Clock, Duration, Effect, Layer } from "effect"
import { CurrentAuthor } from "../access/Audit.ts"
import { record } from "../access/AuditPostgres.ts"
import { getServer } from "../access/ServersPostgres.ts"
import { ACT_SEVERITY, actAlertStatements as alertSqls } from "../alerts/Acts.ts"
import type { Approval, Order, Outcome, Poll, Preview, PreviewTarget } from "../protocol/Orders.ts"
import { canonical, ORDER_LIMITS } from "../protocol/OrderText.ts"
import { answering } from "../sinks/postgres/Database.ts"
import {
  Acting,
  APPROVALS_KEPT_MAX,
  type AskedPreview,
  type Handed,
  type HandsSeen,
  ORDER_MINUTES,
  ORDERS_A_DAY_MAX,
  OrderClosed,
  type OrderStory,
  OrderUnfit,
  OUTCOMES_A_DAY_MAX,
  PREVIEW_SECONDS,
  PREVIEWS_KEPT_MINUTES,
  PREVIEWS_MAX,
  SILENT_SECONDS,
  STRANGE_TOLD_MAX,
  TooMuchAsked,
  UnknownOrder,
  UnknownPreview
} from "./Acting.ts"
import { actingStatements as sqls } from "./ActingStatements.ts"
import { type ApprovedContent, type AskedContent, actOf, orderText, type StoredEvent, storyOf } from "./OrderStory.ts"
import { makeWakes } from "./Wakes.ts"

const LOOK_EVERY = Duration.seconds(1)
/** In how many looks what has expired is noted, and old previews are dropped, once. */
const EXPIRE_EVERY = 5
const PRUNE_EVERY = 300
/** Any number that no other advisory lock of two numbers takes; the other is the server's. */
const LOCK = 7_246

interface PreviewRow {
  readonly preview_id: string
  readonly server_id: string
  readonly target: PreviewTarget
  readonly author: string
  readonly asked: number
  readonly age: number
  readonly is_sent: boolean
  readonly answer: Preview | null
}

interface Moment {
  readonly now: number
}

export const layer: Layer.Layer<Acting, never, PgClient.PgClient> = Layer.effect(
  Acting,
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    const wakes = makeWakes()
    let looks = 0

    const text = PgTypes.text
    const idsOf = (ids: ReadonlyArray<string>) => PgTypes.json(ids)

    /** The server, and nobody else counts anything of it until the transaction is over. */
    const locked = Effect.fnUntraced(function* (serverId: string) {
      const server = yield* getServer(sql, serverId)
      yield* sql.unsafe(sqls.LOCK, [PgTypes.int4(LOCK), text(serverId)])
      return server
    })

    const now = Effect.map(sql.unsafe<Moment>(sqls.NOW), ([row]) => row!.now)

    const eventsOf = Effect.fnUntraced(function* (ids: ReadonlyArray<string>) {
      const rows = yield* sql.unsafe<StoredEvent>(sqls.EVENTS, [idsOf(ids)])
      return Map.groupBy(rows, ({ order_id }) => order_id)
    })

    const storiesOf = Effect.fnUntraced(function* (ids: ReadonlyArray<string>) {
      if (ids.length === 0) return []
      const events = yield* eventsOf(ids)
      const at = yield* now
      return ids.flatMap((id) => (events.has(id) ? [storyOf(events.get(id)!, at)] : []))
    })

    const find = Effect.fnUntraced(function* (orderId: string) {
      const [story] = isUuid(orderId) ? yield* storiesOf([orderId]) : []
      return story === undefined ? yield* new UnknownOrder({ orderId }) : story
    })

    const findPreview = Effect.fnUntraced(function* (previewId: string) {
      const [row] = isUuid(previewId) ? yield* sql.unsafe<PreviewRow>(sqls.PREVIEW, [text(previewId)]) : []
      return row === undefined ? yield* new UnknownPreview({ previewId }) : row
    })

    const atMost = Effect.fnUntraced(function* (statement: string, serverId: string, limit: number, what: string) {
      const { name } = yield* CurrentAuthor
      const [row] = yield* sql.unsafe<{ readonly server: number; readonly author: number }>(statement, [
        text(serverId),
        text(name)
      ])
      if (row!.server >= limit) return yield* new TooMuchAsked({ what: `${what} of this server`, limit })
      if (row!.author >= limit) return yield* new TooMuchAsked({ what: `${what} by one person`, limit })
    })

    const add = Effect.fnUntraced(function* (
      event: { readonly orderId: string; readonly serverId: string; readonly kind: string },
      content: object
    ) {
      const { address, name } = yield* CurrentAuthor
      const rows = yield* sql.unsafe(sqls.ADD, [
        text(event.orderId),
        text(event.serverId),
        text(event.kind),
        text(name),
        text(address),
        PgTypes.json(content)
      ])
      return rows.length > 0
    })

    const preview = Effect.fnUntraced(function* (serverId: string, target: PreviewTarget) {
      const server = yield* locked(serverId)
      yield* atMost(sqls.COUNT_PREVIEWS, serverId, PREVIEWS_MAX, `previews in ${PREVIEWS_KEPT_MINUTES} minutes`)
      const { name } = yield* CurrentAuthor
      const id = randomUUID()
      yield* sql.unsafe(sqls.ADD_PREVIEW, [text(id), text(serverId), PgTypes.json(target), text(name)])
      yield* record(sql, "act.preview", `server ${server.name}`, previewText(target))
      return askedPreviewOf(yield* there(findPreview(id)))
    })

    const approveIn = Effect.fnUntraced(function* (story: OrderStory, approval: Approval) {
      const { id: orderId, server: serverId } = story.order
      if (story.state !== "waiting") return yield* new OrderClosed({ orderId, state: story.state })
      const earlier = story.events.flatMap((event) => event.approval ?? [])
      if (earlier.length >= APPROVALS_KEPT_MAX)
        return yield* new TooMuchAsked({ what: "approvals of an order", limit: APPROVALS_KEPT_MAX })
      const seconds = (yield* now) / 1_000
      if (
        approval.expires <= seconds ||
        approval.expires > seconds + ORDER_LIMITS.approvalSeconds + ORDER_LIMITS.aheadSeconds
      ) {
        const allowed = `a moment in the next ${ORDER_LIMITS.approvalSeconds} seconds (is this machine's clock right?)`
        return yield* new OrderUnfit({ field: "approval.expires", value: approval.expires, allowed })
      }
      const content: ApprovedContent = { approval, complete: completeOf([...earlier, approval], story.needed, seconds) }
      yield* add({ orderId, serverId, kind: "approved" }, content)
      if (content.complete !== null) yield* sql.unsafe(alertSqls.WAITS_NO_MORE, [idsOf([orderId])])
      const detail = `${orderText(story.order)} on ${story.serverName}: signed by ${approval.by} with key ${approval.key}`
      yield* record(sql, "act.approve", `order ${orderId}`, detail)
    })

    const ask = Effect.fnUntraced(function* (asked: Parameters<Acting["Service"]["ask"]>[0]) {
      const { approval, order, previewId, serverId } = asked
      const server = yield* locked(serverId)
      const [known] = yield* storiesOf([order.id])
      if (known !== undefined) {
        if (canonical(known.order) !== canonical(order) || known.previewId !== previewId)
          return yield* new OrderUnfit({ field: "order.id", value: order.id, allowed: "the id of no other order" })
        const isNew = known.events.every(({ approval: one }) => one?.signature !== approval?.signature)
        if (approval !== undefined && isNew) yield* approveIn(known, approval)
        return yield* there(find(order.id))
      }
      const shown = yield* findPreview(previewId)
      const { group, needed } = yield* offeredBy(shown, order, serverId)
      yield* atMost(sqls.COUNT_ORDERS, serverId, ORDERS_A_DAY_MAX, "orders in a day")
      const content: AskedContent = { order, preview_id: previewId, needed, group }
      yield* add({ orderId: order.id, serverId, kind: "asked" }, content)
      yield* record(sql, "act.order", `order ${order.id}`, `${orderText(order)} on ${server.name}: ${order.reason}`)
      if (approval !== undefined) yield* approveIn(yield* there(find(order.id)), approval)
      const story = yield* there(find(order.id))
      if (needed > 1 && story.state === "waiting") {
        const { name } = yield* CurrentAuthor
        const told = [serverId, orderText(order), waitsText(story, name), order.id].map(text)
        yield* sql.unsafe(alertSqls.WAITS_IN_ITS_PLACE, told.slice(0, 2))
        yield* sql.unsafe(alertSqls.WAITS, told)
      }
      return story
    })

    const approve = Effect.fnUntraced(function* (orderId: string, approval: Approval) {
      const { order } = yield* find(orderId)
      yield* Effect.orDie(locked(order.server))
      yield* approveIn(yield* find(orderId), approval)
      return yield* find(orderId)
    })

    /** Whether it needs not come again. */
    const ended = Effect.fnUntraced(function* (serverId: string, serverName: string, outcome: Outcome) {
      const [row] = yield* sql.unsafe<{ readonly told: number; readonly strange: number; readonly known: boolean }>(
        sqls.COUNT_OUTCOMES,
        [text(serverId), text(outcome.id)]
      )
      if (row!.known) return true
      if (row!.told >= OUTCOMES_A_DAY_MAX) return false
      const [story] = outcome.order === null ? [] : yield* storiesOf([outcome.order])
      const isOurs = story !== undefined && story.order.server === serverId
      // What a host says of orders that are not its own is kept, and touches none of those.
      const orderId = isOurs ? story.order.id : `unknown ${outcome.order ?? outcome.id}`
      if (!(yield* add({ orderId, serverId, kind: outcome.result }, outcome))) return true
      const said = outcomeText(outcome)
      const what = isOurs ? orderText(story.order) : "an order that this server has not sent"
      yield* record(sql, "act.end", `order ${orderId}`, `${what} on ${serverName}: ${said}`)
      const severity = ACT_SEVERITY[isOurs ? outcome.result : "foreign"]
      if (isOurs || row!.strange < STRANGE_TOLD_MAX)
        yield* sql.unsafe(alertSqls.TELL, [text(serverId), text(what), text(`${what}: ${said}`), text(severity)])
      if (!isOurs) yield* Effect.logWarning(`${serverName} tells what became of ${what} (${orderId}): ${said}`)
      return true
    })

    const heard = Effect.fnUntraced(function* (serverId: string, poll: Poll) {
      const server = yield* locked(serverId)
      const { approvers, boot_id, rules, rules_digest } = poll
      yield* sql.unsafe(sqls.HEARD, [text(serverId), PgTypes.json({ boot_id, rules_digest, rules, approvers })])
      for (const answer of poll.previews) {
        if (answer.server !== serverId) continue
        yield* sql.unsafe(sqls.ANSWER, [text(serverId), text(answer.id), PgTypes.json(answer)])
      }
      const recorded: Array<string> = []
      for (const outcome of poll.outcomes) if (yield* ended(serverId, server.name, outcome)) recorded.push(outcome.id)
      return recorded
    })

    const take = Effect.fnUntraced(function* (serverId: string) {
      const { name } = yield* CurrentAuthor
      const previews = yield* sql.unsafe<{ readonly preview_id: string; readonly target: PreviewTarget }>(
        sqls.TAKE_PREVIEWS,
        [text(serverId)]
      )
      const orders = yield* sql.unsafe<{ readonly order: Order; readonly approvals: ReadonlyArray<Approval> }>(
        sqls.TAKE_ORDERS,
        [text(serverId), text(name)]
      )
      for (const { approvals, order } of orders) {
        const by = approvals.map((one) => one.by).join(", ")
        yield* record(sql, "act.send", `order ${order.id}`, `${orderText(order)}, signed by ${by}`)
      }
      return { previews: previews.map(({ preview_id, target }) => ({ id: preview_id, target })), orders }
    })

    /** What was taken is handed over: nobody who goes away meanwhile may leave it taken and unknown. */
    const taken = (serverId: string) => Effect.uninterruptible(sql.withTransaction(take(serverId)))

    const hand = Effect.fnUntraced(function* (serverId: string, waitSeconds: number) {
      const clock = yield* Clock.Clock
      const millis = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
      const until = millis() + waitSeconds * 1_000
      for (;;) {
        const handed: Handed = yield* taken(serverId)
        const left = until - millis()
        if (handed.orders.length + handed.previews.length > 0 || left <= 0) return handed
        yield* wakes.wait(serverId, left)
      }
    })

    const expire = Effect.gen(function* () {
      const expired = yield* sql.unsafe<{ readonly order_id: string; readonly order: Order }>(sqls.EXPIRE)
      if (expired.length > 0)
        yield* sql.unsafe(alertSqls.WAITS_NO_MORE, [idsOf(expired.map(({ order_id }) => order_id))])
      for (const { order, order_id } of expired)
        yield* record(sql, "act.end", `order ${order_id}`, `${orderText(order)}: it was not sent in time`)
    })

    const refresh = Effect.gen(function* () {
      const look = looks++
      if (look % EXPIRE_EVERY === 0) yield* sql.withTransaction(expire)
      if (look % PRUNE_EVERY === 0) yield* sql.unsafe(sqls.PRUNE)
      if (!wakes.anybody()) return
      const rows = yield* sql.unsafe<{ readonly server_id: string }>(sqls.WAITING)
      for (const { server_id } of rows) wakes.wake(server_id)
    }).pipe(answering("look for what hosts are asked"))

    return Acting.of({
      hands: Effect.fn("Acting.hands")(function* (serverId) {
        yield* getServer(sql, serverId)
        const [row] = yield* sql.unsafe<HandsRow>(sqls.HANDS, [text(serverId)])
        return row === undefined ? undefined : handsOf(row)
      }, answering("look for who acts")),
      preview: Effect.fn("Acting.preview")(function* (serverId, target) {
        const asked = yield* sql.withTransaction(preview(serverId, target))
        wakes.wake(serverId)
        return asked
      }, answering("ask for a preview")),
      previewOf: Effect.fn("Acting.previewOf")(
        (previewId) => Effect.map(findPreview(previewId), askedPreviewOf),
        answering("read a preview")
      ),
      ask: Effect.fn("Acting.ask")(function* (asked) {
        const story = yield* sql.withTransaction(ask(asked))
        wakes.wake(asked.serverId)
        return story
      }, answering("take an order")),
      approve: Effect.fn("Acting.approve")(function* (orderId, approval) {
        const story = yield* sql.withTransaction(approve(orderId, approval))
        wakes.wake(story.order.server)
        return story
      }, answering("take an approval")),
      order: Effect.fn("Acting.order")(find, answering("read an order")),
      list: Effect.fn("Acting.list")(function* ({ before, limit, serverId }) {
        if (serverId !== undefined) yield* getServer(sql, serverId)
        const last = /^\d{1,15}$/.test(before ?? "") ? Number(before) : Number.MAX_SAFE_INTEGER
        const rows = yield* sql.unsafe<{ readonly id: string; readonly order_id: string }>(sqls.LIST, [
          text(serverId ?? null),
          PgTypes.float8(last),
          PgTypes.int4(limit + 1)
        ])
        const page = rows.slice(0, limit)
        const orders = yield* storiesOf(page.map(({ order_id }) => order_id))
        return { orders, next: rows.length > limit ? page.at(-1)!.id : null }
      }, answering("list orders")),
      acts: Effect.fn("Acting.acts")(function* (serverId, window) {
        const rows = yield* sql.unsafe<{ readonly order_id: string }>(sqls.ACTS, [
          text(serverId),
          PgTypes.float8(window.from),
          PgTypes.float8(window.to)
        ])
        if (rows.length === 0) return []
        const events = yield* eventsOf(rows.map(({ order_id }) => order_id))
        return [...events.values()]
          .flatMap((one) => actOf(one) ?? [])
          .filter(({ at }) => at > window.from && at <= window.to)
          .sort((a, b) => a.at - b.at)
      }, answering("find what was done")),
      heard: Effect.fn("Acting.heard")(
        (serverId, poll) => sql.withTransaction(heard(serverId, poll)),
        answering("take in what a host says")
      ),
      hand: Effect.fn("Acting.hand")(hand, answering("hand over what a host is asked")),
      refresh,
      run: Effect.forever(
        refresh.pipe(
          Effect.catch((error) => Effect.logWarning(error.message)),
          Effect.andThen(Effect.sleep(LOOK_EVERY))
        )
      )
    })
  })
)

/** What the same transaction has just made. */
const there = <A, E extends { readonly _tag: string }>(self: Effect.Effect<A, E>) =>
  Effect.catchIf(
    self,
    (failure): failure is Extract<E, UnknownOrder | UnknownPreview> =>
      failure._tag === "UnknownOrder" || failure._tag === "UnknownPreview",
    Effect.die
  )

const isUuid = (id: string): boolean => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)

/**
 * Whether the approvals suffice, and until when: the latest of each person that still holds, by different keys. What the host makes of
 * them is its own affair.
 */
const completeOf = (
  approvals: ReadonlyArray<Approval>,
  needed: number,
  seconds: number
): ApprovedContent["complete"] => {
  const latest = new Map(approvals.map((approval) => [approval.by, approval]))
  const valid = [...latest.values()].filter(({ expires }) => expires > seconds).slice(-ORDER_LIMITS.approvals)
  if (new Set(valid.map(({ key }) => key)).size < needed) return null
  return { until: Math.min(...valid.map(({ expires }) => expires)), approvals: valid }
}

/** How many persons have to sign it, as the preview says, and what the page calls it: where it offers that. */
const offeredBy = Effect.fnUntraced(function* (preview: PreviewRow, order: Order, serverId: string) {
  const unfit = (field: string, value: unknown, allowed: string) => new OrderUnfit({ field, value, allowed })
  const { age, answer, preview_id } = preview
  if (preview.server_id !== serverId || answer === null)
    return yield* unfit("preview_id", preview_id, "an answered preview of this server")
  if (age > ORDER_MINUTES * 60_000)
    return yield* unfit("preview_id", preview_id, `a preview of the last ${ORDER_MINUTES} minutes: ask for another`)
  if (order.server !== serverId) return yield* unfit("order.server", order.server, serverId)
  if (order.boot_id !== answer.boot_id) return yield* unfit("order.boot_id", order.boot_id, answer.boot_id)
  const target = canonical(order.target)
  const offer = answer.offers.find((one) => one.verb === order.verb && canonical(one.target) === target)
  if (offer === undefined)
    return yield* unfit("order.verb", order.verb, "what the preview offers for this target: the host's file decides")
  return { needed: offer.second_person ? 2 : 1, group: groupOf(order, answer) }
})

/** What rows call the process of an order: what was asked about, else what the host says of it. */
const groupOf = ({ target }: Order, { processes, target: asked }: Preview): string | null => {
  if ("unit" in target) return null
  return "group" in asked ? asked.group : (processes.find(({ pid }) => pid === target.pid)?.group ?? null)
}

interface HandsRow {
  readonly heard: number
  readonly age: number
  readonly said: Pick<Poll, "boot_id" | "rules_digest" | "rules" | "approvers">
}

const handsOf = ({ age, heard, said }: HandsRow): HandsSeen => ({
  heardAt: heard,
  isSilent: age > SILENT_SECONDS * 1_000,
  bootId: said.boot_id,
  rulesDigest: said.rules_digest,
  rules: said.rules,
  approvers: said.approvers
})

const askedPreviewOf = (row: PreviewRow): AskedPreview => ({
  id: row.preview_id,
  serverId: row.server_id,
  target: row.target,
  by: row.author,
  askedAt: row.asked,
  expiresAt: row.asked + PREVIEW_SECONDS * 1_000,
  state:
    row.answer !== null ? "answered" : row.age > PREVIEW_SECONDS * 1_000 ? "expired" : row.is_sent ? "sent" : "waiting",
  answer: row.answer
})

/** As it is told: "refused (expired): …", "done, signed by ada: …". */
const outcomeText = ({ by, code, message, result }: Outcome): string => {
  const signed = by.length === 0 ? "" : `, signed by ${by.join(" and ")}`
  return `${result}${code === null ? "" : ` (${code})`}${signed}${message === "" ? "" : `: ${message}`}`
}

/** What a second person is told: first what and how long, then where to sign it. */
const waitsText = ({ expiresAt, order }: OrderStory, by: string): string =>
  `${orderText(order)} waits for a second signature until ${new Date(expiresAt).toISOString().slice(11, 19)} UTC: asked by ${by}. A signature counts for a minute, so sign it together: nodepulse approve ${order.id}`

const previewText = (target: PreviewTarget): string =>
  "unit" in target ? target.unit : "pid" in target ? `process ${target.pid}` : `processes called ${target.group}`
