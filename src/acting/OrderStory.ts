/** What is stored of an order, read as one story: what it is now, and when it was done. Pure. */
import type { Approval, Order, Outcome } from "../protocol/Orders.ts"
import { type Act, ORDER_MINUTES, type OrderEvent, type OrderStory, UNANSWERED_SECONDS } from "./Acting.ts"
import type { OrderState } from "./OrderStates.ts"

/** An event as it is stored; epoch milliseconds. */
export interface StoredEvent {
  readonly order_id: string
  readonly server_name: string
  readonly event: OrderEvent["kind"]
  readonly at: number
  readonly author: string
  readonly content: AskedContent | ApprovedContent | Outcome | object
}

export interface AskedContent {
  readonly order: Order
  readonly preview_id: string
  readonly needed: number
  /** The name that rows have the process under, as the host says; null of a unit, and where it does not say. */
  readonly group: string | null
}

/** `complete`: with this approval there were enough; until when all of them hold, epoch seconds. */
export interface ApprovedContent {
  readonly approval: Approval
  readonly complete: { readonly until: number; readonly approvals: ReadonlyArray<Approval> } | null
}

/** The story that the events of one order tell, in their order; `now` in epoch milliseconds. */
export const storyOf = (events: ReadonlyArray<StoredEvent>, now: number): OrderStory => {
  const asked = events.find(({ event }) => event === "asked")!
  const { needed, order, preview_id } = asked.content as AskedContent
  const expiresAt = untilOf(events) ?? asked.at + ORDER_MINUTES * 60_000
  return {
    order,
    serverName: asked.server_name,
    previewId: preview_id,
    needed,
    state: stateOf(events, expiresAt, now),
    askedAt: asked.at,
    expiresAt,
    outcome: (endingOf(events)?.content as Outcome | undefined) ?? null,
    events: events.map(eventOf),
    actedAt: actedAt(events)
  }
}

const isOutcome = (kind: OrderEvent["kind"]): kind is Outcome["result"] =>
  kind === "done" || kind === "failed" || kind === "refused" || kind === "interrupted"

/** Until when the approvals of an order hold, epoch milliseconds; undefined where they do not suffice. */
const untilOf = (events: ReadonlyArray<StoredEvent>): number | undefined => {
  const complete = events.findLast(
    ({ content, event }) => event === "approved" && (content as ApprovedContent).complete !== null
  )
  return complete === undefined ? undefined : (complete.content as ApprovedContent).complete!.until * 1_000
}

/**
 * What its host said became of it. One that was done, or tried, was; a refusal of the same order, given to it once more, does not change
 * that, whichever came first. Of refusals the first counts, and last that it was seen before, which tells no ending at all.
 */
const endingOf = (events: ReadonlyArray<StoredEvent>): StoredEvent | undefined => {
  const told = events.filter(({ event }) => isOutcome(event))
  const isReplay = ({ content }: StoredEvent) => (content as Outcome).code === "replayed"
  return told.find(({ event }) => event !== "refused") ?? told.find((one) => !isReplay(one)) ?? told[0]
}

/** What became of it counts, however late it was told; then whether it was sent, and whether it still can be. */
const stateOf = (events: ReadonlyArray<StoredEvent>, expiresAt: number, now: number): OrderState => {
  const outcome = endingOf(events)
  if (outcome !== undefined) return outcome.event as Outcome["result"]
  const sent = events.find(({ event }) => event === "sent")
  if (sent !== undefined) return now - sent.at > UNANSWERED_SECONDS * 1_000 ? "unanswered" : "sent"
  if (now >= expiresAt || events.some(({ event }) => event === "expired")) return "expired"
  return untilOf(events) === undefined ? "waiting" : "approved"
}

const eventOf = ({ at, author, content, event }: StoredEvent): OrderEvent => ({
  kind: event,
  at,
  by: author,
  approval: event === "approved" ? (content as ApprovedContent).approval : null,
  outcome: isOutcome(event) ? (content as Outcome) : null
})

/** By the host's clock, which may be wrong: not before it was sent, and not after it was told. */
const actedAt = (events: ReadonlyArray<StoredEvent>): number | null => {
  const outcome = endingOf(events)
  if (outcome?.event !== "done") return null
  return momentOf(outcome, events)
}

const momentOf = (outcome: StoredEvent, events: ReadonlyArray<StoredEvent>): number => {
  const sent = events.find(({ event }) => event === "sent")?.at ?? outcome.at
  return Math.min(outcome.at, Math.max(sent, (outcome.content as Outcome).at * 1_000))
}

/** What a chart says of it; undefined where nothing was done to the host. */
export const actOf = (events: ReadonlyArray<StoredEvent>): Act | undefined => {
  const asked = events.find(({ event }) => event === "asked")
  const outcome = endingOf(events)
  if (asked === undefined || outcome === undefined || outcome.event === "refused") return undefined
  const { group, order } = asked.content as AskedContent
  const { by, reverts_at } = outcome.content as Outcome
  return {
    orderId: order.id,
    at: momentOf(outcome, events) * 1_000,
    verb: order.verb,
    target: targetOf(order),
    group: "unit" in order.target ? null : (group ?? order.target.name),
    result: outcome.event as Act["result"],
    by,
    revertsAt: reverts_at === null ? null : reverts_at * 1_000_000
  }
}

/** The unit, or the name of the process. */
const targetOf = ({ target }: Order): string => ("unit" in target ? target.unit : target.name)

/** An order in one line, for the audit and for messages. */
export const orderText = (order: Order): string => {
  const { settings, target, verb } = order
  const set = Object.entries(settings).map(([name, value]) => ` ${name}=${value}`)
  const what = "unit" in target ? target.unit : `process ${target.pid} (${target.name})`
  return `${verb} ${what}${set.join("")}`
}
