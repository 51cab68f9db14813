/**
 * Acting: what people ask of hosts, and what became of it, as a port. The server relays; it holds no key that acts, and what it says
 * here is for people to read. Whether anything is done is the host's decision (`docs/acting.md`).
 *
 * ```
 * preview:  asked -> sent -> answered                    or expired, {@link PREVIEW_SECONDS} s after it was asked
 * order:    asked -> approved … -> sent -> an outcome    or expired, before it was sent
 * ```
 *
 * Guarantees: all moments are the database's. A preview and an order are each handed out at most once, to the server that they are
 * of, however many processes there are; nothing is handed out again by itself. Once the approvals of an order suffice it is handed out
 * before the first of them expires, or not at all. What became of an order is stored as the host said it, each outcome once. Every step
 * that a person or a host takes and its entry in the audit are one transaction, and are only ever added.
 *
 * Bounds: the numbers below.
 */
import { Context, type Effect, Schema } from "effect"
import type { UnknownServer } from "../access/Servers.ts"
import type { Approval, Approver, Order, Outcome, Poll, Preview, PreviewTarget, RuleShown } from "../protocol/Orders.ts"
import type { Window } from "../query/Rankings.ts"
import type { DatabaseUnavailable } from "../sinks/storage/DatabaseUnavailable.ts"
import { ORDER_STATES, type OrderEventKind, type OrderState } from "./OrderStates.ts"

/** A preview that its host has not answered by then is over, seconds. */
export const PREVIEW_SECONDS = 60
/** An order is made of a preview that is no older than this, and waits as long for its approvals. */
export const ORDER_MINUTES = 10
/** Previews are kept for so long. */
export const PREVIEWS_KEPT_MINUTES = 60
/** Previews that are asked of a server, and by one person, in that time. */
export const PREVIEWS_MAX = 200
/** Orders that are asked of a server, and by one person, in a day: what becomes of them is kept for ever. */
export const ORDERS_A_DAY_MAX = 200
/** Approvals of an order, those that have expired among them. */
export const APPROVALS_KEPT_MAX = 16
/** Outcomes that a server tells in a day: there is one of each order, unless somebody else sends it some. Others wait there. */
export const OUTCOMES_A_DAY_MAX = 1_000
/** And of those that are of no order of this server, so many are told to people; the audit has all. */
export const STRANGE_TOLD_MAX = 20
/** A host that was not heard of for so long is called silent: it asks at least every half a minute. */
export const SILENT_SECONDS = 90
/** An order that was sent so long ago without an outcome is called unanswered. */
export const UNANSWERED_SECONDS = 120
/** Before and after an order that was done. */
export const LEDGER_MINUTES = 5

/** What the program that acts on a host last said of itself. Epoch milliseconds. */
export interface HandsSeen {
  readonly heardAt: number
  readonly isSilent: boolean
  readonly bootId: string
  /** Of its file: another where that has changed. */
  readonly rulesDigest: string
  readonly rules: ReadonlyArray<RuleShown>
  readonly approvers: ReadonlyArray<Approver>
}

/** Epoch milliseconds. */
export interface AskedPreview {
  readonly id: string
  readonly serverId: string
  readonly target: PreviewTarget
  /** As the audit calls them. */
  readonly by: string
  readonly askedAt: number
  readonly expiresAt: number
  readonly state: "waiting" | "sent" | "answered" | "expired"
  readonly answer: Preview | null
}

/** One step, of those that are only ever added. Epoch milliseconds. */
export interface OrderEvent {
  readonly kind: OrderEventKind
  readonly at: number
  /** As the audit calls whoever took it: a person, `hands:` and a server, or NodePulse itself. */
  readonly by: string
  readonly approval: Approval | null
  readonly outcome: Outcome | null
}

/** An order with all that happened to it. Epoch milliseconds. */
export interface OrderStory {
  readonly order: Order
  readonly serverName: string
  readonly previewId: string
  /** How many persons have to sign it, as the preview said. The host decides. */
  readonly needed: number
  readonly state: OrderState
  readonly askedAt: number
  /** It is over then, unless it was sent before. */
  readonly expiresAt: number
  /** What its host said became of it; null until it does. */
  readonly outcome: Outcome | null
  readonly events: ReadonlyArray<OrderEvent>
  /** When it was done, by the host's clock where that can be; null where it was not. */
  readonly actedAt: number | null
}

/** Something that was done to a server, as its charts show it. */
export interface Act {
  readonly orderId: string
  /** Epoch microseconds. */
  readonly at: number
  readonly verb: Order["verb"]
  /** The unit, or the name of the process. */
  readonly target: string
  /** The name that rows have the process under; null of a unit. */
  readonly group: string | null
  readonly result: "done" | "failed" | "interrupted"
  /** Whose signatures the host has verified. */
  readonly by: ReadonlyArray<string>
  /** When a timer of the host takes it back, epoch microseconds; null where none does. */
  readonly revertsAt: number | null
}

/** What is handed to a host. */
export interface Handed {
  readonly previews: ReadonlyArray<{ readonly id: string; readonly target: PreviewTarget }>
  readonly orders: ReadonlyArray<{ readonly order: Order; readonly approvals: ReadonlyArray<Approval> }>
}

/** There is no such preview, or it is not kept any more. Not retryable. */
export class UnknownPreview extends Schema.TaggedError<UnknownPreview>()("UnknownPreview", {
  previewId: Schema.String
}) {
  readonly retryable = false
  override get message(): string {
    return `there is no preview ${JSON.stringify(this.previewId.slice(0, 100))}: they are kept for ${PREVIEWS_KEPT_MINUTES} minutes`
  }
}

/** There is no such order. Not retryable. */
export class UnknownOrder extends Schema.TaggedError<UnknownOrder>()("UnknownOrder", { orderId: Schema.String }) {
  readonly retryable = false
  override get message(): string {
    return `there is no order ${JSON.stringify(this.orderId.slice(0, 100))}`
  }
}

/** The order does not fit what was shown, or what is there: `field` says where. Not retryable. */
export class OrderUnfit extends Schema.TaggedError<OrderUnfit>()("OrderUnfit", {
  field: Schema.String,
  value: Schema.Unknown,
  allowed: Schema.String
}) {
  readonly retryable = false
  override get message(): string {
    return `${this.field}: ${JSON.stringify(this.value)?.slice(0, 200)} is not ${this.allowed}`
  }
}

/** The order takes no approvals any more. Not retryable. */
export class OrderClosed extends Schema.TaggedError<OrderClosed>()("OrderClosed", {
  orderId: Schema.String,
  state: Schema.Literals(ORDER_STATES)
}) {
  readonly retryable = false
  override get message(): string {
    return `order ${this.orderId} is ${this.state}: it can no longer be approved`
  }
}

/** As much was asked as may be. Not retryable at once. */
export class TooMuchAsked extends Schema.TaggedError<TooMuchAsked>()("TooMuchAsked", {
  what: Schema.String,
  limit: Schema.Int
}) {
  readonly retryable = false
  override get message(): string {
    return `${this.what}: ${this.limit} at most`
  }
}

export class Acting extends Context.Service<
  Acting,
  {
    /** What acts on a server; undefined where nothing ever said so. */
    readonly hands: (serverId: string) => Effect.Effect<HandsSeen | undefined, UnknownServer | DatabaseUnavailable>
    /** Asks the host what would happen. */
    readonly preview: (
      serverId: string,
      target: PreviewTarget
    ) => Effect.Effect<AskedPreview, UnknownServer | TooMuchAsked | DatabaseUnavailable>
    readonly previewOf: (previewId: string) => Effect.Effect<AskedPreview, UnknownPreview | DatabaseUnavailable>
    /** Takes an order of what a preview offered, with a first approval. The same one again changes nothing. */
    readonly ask: (asked: {
      readonly serverId: string
      readonly previewId: string
      readonly order: Order
      readonly approval: Approval | undefined
    }) => Effect.Effect<
      OrderStory,
      UnknownServer | UnknownPreview | OrderUnfit | OrderClosed | TooMuchAsked | DatabaseUnavailable
    >
    /** Adds an approval; it takes the place of an earlier one of the same person. Only its form is looked at. */
    readonly approve: (
      orderId: string,
      approval: Approval
    ) => Effect.Effect<OrderStory, UnknownOrder | OrderUnfit | OrderClosed | TooMuchAsked | DatabaseUnavailable>
    readonly order: (orderId: string) => Effect.Effect<OrderStory, UnknownOrder | DatabaseUnavailable>
    /** The latest first; `before` is what the last page ended with. */
    readonly list: (page: {
      readonly serverId?: string
      readonly before?: string
      readonly limit: number
    }) => Effect.Effect<
      { readonly orders: ReadonlyArray<OrderStory>; readonly next: string | null },
      UnknownServer | DatabaseUnavailable
    >
    /** What was done in a window of a server (epoch microseconds), in order of time; the latest thousand. */
    readonly acts: (serverId: string, window: Window) => Effect.Effect<ReadonlyArray<Act>, DatabaseUnavailable>
    /** Takes in what a host says; answers which outcomes need not come again. */
    readonly heard: (
      serverId: string,
      poll: Poll
    ) => Effect.Effect<ReadonlyArray<string>, UnknownServer | DatabaseUnavailable>
    /** Hands a host what waits for it, once; waits for as long as the time given where there is nothing. */
    readonly hand: (serverId: string, waitSeconds: number) => Effect.Effect<Handed, DatabaseUnavailable>
    /** Notes what has expired, drops old previews, and looks for what other processes were asked, once. */
    readonly refresh: Effect.Effect<void, DatabaseUnavailable>
    /** The same for ever. For the supervisor. */
    readonly run: Effect.Effect<never>
  }
>()("nodepulse/acting/Acting") {}
