/**
 * A message: one unit on its way, with the acknowledgement that settles it.
 *
 * What a stage hands on is the same message with another value: the acknowledgement stays with it from the source to its
 * outcome. Messages travel in arrays, and cost no fiber and no span each.
 *
 * Several messages may travel as one, a **parcel**: one value and one acknowledgement for all of them, as long as nothing tells
 * them apart. Where something does (a refusal, the size of a batch), the parcel is cut, down to the single message where it
 * must be. So each message keeps its own outcome, and costs nothing of its own on the way.
 */
import type { Acknowledgement, Ledger } from "./Acknowledgement.ts"

export interface Message<A, T> {
  readonly value: A
  readonly acknowledgement: Acknowledgement<T>
}

/** How values stand for several messages. */
export interface Parcels<V> {
  /** How many messages a value is. At least one, and the same for a ticket and for what is made of its value. */
  readonly size: (parcel: V) => number
  /** Some of them, in their order. */
  readonly part: <P extends V>(parcel: P, from: number, to: number) => P
}

/** Every value is one message. */
export const SINGLE: Parcels<unknown> = { size: () => 1, part: (parcel) => parcel }

/** Two messages in the place of one that stands for more than `at`. */
export const cut = <V, A extends V, T extends V>(
  { acknowledgement, value }: Message<A, T>,
  at: number,
  ledger: Ledger<T>,
  { part }: Parcels<V>
): readonly [Message<A, T>, Message<A, T>] => {
  const { count, ticket } = acknowledgement
  const [first, rest] = ledger.split(acknowledgement, at, part(ticket, 0, at), part(ticket, at, count))
  return [
    { value: part(value, 0, at), acknowledgement: first },
    { value: part(value, at, count), acknowledgement: rest }
  ]
}

export const countOf = (message: Message<unknown, unknown>): number => message.acknowledgement.count

/** Those that an error says are to be kept, and the others. */
export const apart = <M extends Message<unknown, T>, T>(
  messages: ReadonlyArray<M>,
  error: unknown,
  isKept: (error: unknown, ticket: T) => boolean
): readonly [kept: ReadonlyArray<M>, rest: ReadonlyArray<M>] => {
  const kept = messages.filter(({ acknowledgement }) => isKept(error, acknowledgement.ticket))
  if (kept.length === 0) return [kept, messages]
  const among = new Set(kept)
  return [kept, messages.filter((message) => !among.has(message))]
}

/** How many messages these are. */
export const totalOf = (messages: ReadonlyArray<Message<unknown, unknown>>): number => {
  let total = 0
  for (const { acknowledgement } of messages) total += acknowledgement.count
  return total
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
