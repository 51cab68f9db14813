/**
 * Acting on hosts, as the API takes and says it: previews, orders, approvals. What a host is told and says is `src/protocol/Orders.ts`.
 */
import { Schema } from "effect"
import { HttpApiSchema } from "effect/http-api"
import { ORDER_EVENTS, ORDER_STATES } from "../../acting/OrderStates.ts"
import { Approval, Approver, Order, Outcome, Preview, PreviewTarget, RuleShown, Verb } from "../../protocol/Orders.ts"

const By = Schema.String.annotate({ description: "Whose token or session it was, as the audit calls them." })

export const NewPreview = Schema.Struct({ target: PreviewTarget })

export const NewOrder = Schema.Struct({
  preview_id: Schema.String.annotate({ description: "Of the preview that offered this verb for this target." }),
  order: Order.annotate({ description: "Made by whoever signs it, with an id and a nonce of its own." }),
  approval: Schema.optionalKey(Approval)
})

export const NewApproval = Schema.Struct({ approval: Approval })

export const PreviewShown = Schema.Struct({
  preview_id: Schema.String,
  server_id: Schema.String,
  target: PreviewTarget,
  by: By,
  asked_at: Schema.String,
  expires_at: Schema.String,
  state: Schema.Literals(["waiting", "sent", "answered", "expired"]),
  preview: Schema.NullOr(Preview).annotate({ description: "What the host says would happen; null until it does." })
})
export type PreviewShown = typeof PreviewShown.Type

export const PreviewAsked = PreviewShown.pipe(HttpApiSchema.status(202))

const Event = Schema.Struct({
  event: Schema.Literals(ORDER_EVENTS),
  at: Schema.String,
  by: By.annotate({
    description: "As the audit calls them: a person, `hands:` and a server, or `nodepulse` itself."
  }),
  approval: Schema.NullOr(Approval).annotate({ description: "Of `approved`." }),
  outcome: Schema.NullOr(Outcome).annotate({ description: "What the host said, as it said it." })
})

/** The parameters of `GET /api/servers/{id}/{resource}/diff` that show what changed. */
const Ledger = Schema.Struct({
  state: Schema.Literals(["waiting", "ready"]),
  ready_at: Schema.String,
  resource: Schema.String,
  metric: Schema.String,
  at: Schema.String,
  against_at: Schema.String,
  hours: Schema.Finite
}).annotate({ title: "OrderLedger" })

const order = {
  order_id: Schema.String,
  server_id: Schema.String,
  server_name: Schema.String,
  preview_id: Schema.String,
  order: Order,
  state: Schema.Literals(ORDER_STATES).annotate({
    description:
      "`waiting`: for approvals; `approved`: for its host to ask for it; `unanswered`: sent two minutes ago or more, and nobody knows what became of it. It is sent once, and nothing is tried again."
  }),
  needed: Schema.Int.annotate({
    description: "How many persons have to sign it, as the preview said. The host decides."
  }),
  asked_by: By,
  asked_at: Schema.String,
  expires_at: Schema.String.annotate({ description: "It is over then, unless it was sent before." }),
  acted_at: Schema.NullOr(Schema.String),
  outcome: Schema.NullOr(Outcome).annotate({
    description:
      "What the host said became of it: that it was done or tried before that it was refused, then the first."
  }),
  events: Schema.Array(Event).annotate({ description: "All that happened to it, in order of time." }),
  ledger: Schema.NullOr(Ledger).annotate({
    description: "What to ask of `diff` to see the five minutes before and after; null unless it was done."
  })
}

export const OrderShown = Schema.Struct(order)
export type OrderShown = typeof OrderShown.Type

export const OrderAsked = OrderShown.pipe(HttpApiSchema.status(201))

export const OrdersAnswer = Schema.Struct({
  orders: Schema.Array(OrderShown).annotate({ description: "The latest first." }),
  next: Schema.NullOr(Schema.String).annotate({ description: "`before` of the next page; null: there is none." })
})

const Hands = Schema.Struct({
  state: Schema.Literals(["listening", "silent"]).annotate({ description: "Silent: not heard of for 90 seconds." }),
  heard_at: Schema.String,
  boot_id: Schema.String,
  rules_digest: Schema.String.annotate({ description: "SHA-256 of the host's file: another where that has changed." }),
  rules: Schema.Array(RuleShown),
  approvers: Schema.Array(Approver)
})

export const ActingAnswer = Schema.Struct({
  server_id: Schema.String,
  server_name: Schema.String,
  hands: Schema.NullOr(Hands).annotate({ description: "What the host allows, as it says; null: nothing acts there." })
})
export type ActingAnswer = typeof ActingAnswer.Type

/** What a chart says of an act, and a row. */
export const actMark = {
  at: Schema.String,
  order_id: Schema.String,
  verb: Verb,
  target: Schema.String.annotate({ description: "The unit, or the name of the process." }),
  result: Schema.Literals(["done", "failed", "interrupted"]),
  by: Schema.Array(Schema.String).annotate({ description: "Who signed it, as the host's file calls them." }),
  reverts_at: Schema.NullOr(Schema.String).annotate({
    description: "When a timer of the host takes it back; null where none does."
  })
}
export type ActShown = Schema.Struct.Type<typeof actMark>
