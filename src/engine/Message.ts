/**
 * A message: one unit on its way, with the acknowledgement that settles it.
 *
 * What a stage hands on is the same message with another value: the acknowledgement stays with it from the source to its
 * outcome. Messages travel in arrays, and cost no fiber and no span each.
 */
import type { Acknowledgement } from "./Acknowledgement.ts"

export interface Message<A, T> {
  readonly value: A
  readonly acknowledgement: Acknowledgement<T>
}

/**
 * How a message ends. Exactly one of:
 * - `accepted`: its effect is durable; the source forgets it.
 * - `rejected`: it can never succeed; it went to the dead letters with a reason; the source forgets it.
 * - `kept`: it could not be handled now; the source delivers it again.
 */
export type Outcome = "accepted" | "rejected" | "kept"

/** A message that can never succeed, and why. */
export interface Rejection<T> {
  readonly message: Message<unknown, T>
  readonly reason: string
}
