/** `/api/servers/{id}/acting` and `…/previews`, `/api/orders`: what people ask of hosts. And `/api/hands/poll`, where hosts ask. */
import { Clock, Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Servers } from "../../access/Servers.ts"
import {
  Acting,
  type AskedPreview,
  type HandsSeen,
  LEDGER_MINUTES,
  type OrderEvent,
  type OrderStory
} from "../../acting/Acting.ts"
import { Registry } from "../../plugins/Registry.ts"
import { formatTimestamp } from "../../plugins/Timestamp.ts"
import { Api } from "../api/Api.ts"
import { fromFailure } from "../api/Problem.ts"
import { HandsPoll } from "../ingest/HandsPoll.ts"

const LIMIT_DEFAULT = 20
/** What is stored later than it happened: an agent sends every quarter of a minute. */
const ARRIVED_SECONDS = 60

export const actingHandlers = HttpApiBuilder.group(
  Api,
  "acting",
  Effect.fnUntraced(function* (handlers) {
    const acting = yield* Acting
    const servers = yield* Servers
    const { exporters } = yield* Registry
    const ranked = exporters.flatMap(({ resource, top }) => (top === undefined ? [] : [{ resource, top }]))[0]

    const shown = (story: OrderStory) => Effect.map(Clock.currentTimeMillis, (now) => showOrder(story, ranked, now))

    return handlers.handleAll({
      get: Effect.fnUntraced(
        function* ({ params }) {
          const { name } = yield* servers.get(params.id)
          const hands = yield* acting.hands(params.id)
          return { server_id: params.id, server_name: name, hands: hands === undefined ? null : showHands(hands) }
        },
        Effect.mapError((failure) => fromFailure(failure))
      ),
      preview: Effect.fnUntraced(
        function* ({ params, payload }) {
          return showPreview(yield* acting.preview(params.id, payload.target))
        },
        Effect.mapError((failure) => fromFailure(failure))
      ),
      previewed: Effect.fnUntraced(
        function* ({ params }) {
          return showPreview(yield* acting.previewOf(params.id))
        },
        Effect.mapError((failure) => fromFailure(failure))
      ),
      order: Effect.fnUntraced(
        function* ({ params, payload: { approval, order, preview_id } }) {
          return yield* shown(yield* acting.ask({ serverId: params.id, previewId: preview_id, order, approval }))
        },
        Effect.mapError((failure) => fromFailure(failure))
      ),
      ordered: Effect.fnUntraced(
        function* ({ params }) {
          return yield* shown(yield* acting.order(params.id))
        },
        Effect.mapError((failure) => fromFailure(failure))
      ),
      approve: Effect.fnUntraced(
        function* ({ params, payload }) {
          return yield* shown(yield* acting.approve(params.id, payload.approval))
        },
        Effect.mapError((failure) => fromFailure(failure))
      ),
      orders: Effect.fnUntraced(
        function* ({ query: { before, limit = LIMIT_DEFAULT, server } }) {
          const page = yield* acting.list({
            limit,
            ...(before === undefined ? {} : { before }),
            ...(server === undefined ? {} : { serverId: server })
          })
          return { orders: yield* Effect.forEach(page.orders, shown), next: page.next }
        },
        Effect.mapError((failure) => fromFailure(failure))
      )
    })
  })
)

export const handsHandlers = HttpApiBuilder.group(
  Api,
  "hands",
  Effect.fnUntraced(function* (handlers) {
    const polls = yield* HandsPoll
    return handlers.handleRaw("poll", ({ request }) => polls.answer(request))
  })
)

/** Epoch milliseconds, as RFC 3339. */
const timeOf = (millis: number): string => formatTimestamp(Math.round(millis * 1_000))

const showHands = ({ approvers, bootId, heardAt, isSilent, rules, rulesDigest }: HandsSeen) => ({
  state: isSilent ? ("silent" as const) : ("listening" as const),
  heard_at: timeOf(heardAt),
  boot_id: bootId,
  rules_digest: rulesDigest,
  rules,
  approvers
})

const showPreview = ({ answer, askedAt, by, expiresAt, id, serverId, state, target }: AskedPreview) => ({
  preview_id: id,
  server_id: serverId,
  target,
  by,
  asked_at: timeOf(askedAt),
  expires_at: timeOf(expiresAt),
  state,
  preview: answer
})

/** What the ledger of an order is asked of. */
interface Ranked {
  readonly resource: string
  readonly top: { readonly default: string; readonly rankings: object }
}

const showOrder = (story: OrderStory, ranked: Ranked | undefined, now: number) => {
  const { actedAt, askedAt, events, expiresAt, needed, order, outcome, previewId, serverName, state } = story
  return {
    order_id: order.id,
    server_id: order.server,
    server_name: serverName,
    preview_id: previewId,
    order,
    state,
    needed,
    asked_by: events[0]!.by,
    asked_at: timeOf(askedAt),
    expires_at: timeOf(expiresAt),
    acted_at: actedAt === null ? null : timeOf(actedAt),
    outcome,
    events: events.map(showEvent),
    ledger: actedAt === null || ranked === undefined ? null : ledgerOf(order.verb, actedAt, ranked, now)
  }
}

const showEvent = ({ approval, at, by, kind, outcome }: OrderEvent) => ({
  event: kind,
  at: timeOf(at),
  by,
  approval,
  outcome
})

/** The windows are fixed by the order, so that everybody sees the same, now and later. */
const ledgerOf = (verb: string, actedAt: number, { resource, top }: Ranked, now: number) => {
  const ends = actedAt + LEDGER_MINUTES * 60_000
  const readyAt = ends + ARRIVED_SECONDS * 1_000
  return {
    state: now >= readyAt ? ("ready" as const) : ("waiting" as const),
    ready_at: timeOf(readyAt),
    resource,
    metric: verb === "memory_high" && "memory" in top.rankings ? "memory" : top.default,
    at: timeOf(ends),
    against_at: timeOf(actedAt),
    // With no more digits than the parameter takes.
    hours: Math.round((LEDGER_MINUTES / 60) * 1e12) / 1e12
  }
}
