/** What can happen to an order, and what it is then. Loaded by clients as well. */

export const ORDER_EVENTS = [
  "asked",
  "approved",
  "sent",
  "done",
  "failed",
  "refused",
  "interrupted",
  "expired"
] as const
export type OrderEventKind = (typeof ORDER_EVENTS)[number]

/**
 * `waiting`: for approvals; `approved`: for its host to ask for it; `unanswered`: sent, and the host has not said what became of it, which
 * it may still do.
 */
export const ORDER_STATES = [
  "waiting",
  "approved",
  "sent",
  "unanswered",
  "done",
  "failed",
  "refused",
  "interrupted",
  "expired"
] as const
export type OrderState = (typeof ORDER_STATES)[number]
