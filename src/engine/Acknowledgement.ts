/**
 * Acknowledgements, and the ledger in which each is settled exactly once.
 *
 * The ledger is the one place that knows which messages are under way. It holds that
 * `received = accepted + rejected + kept + in flight` at every moment, `in flight` being counted on its own (the
 * acknowledgements it holds), not derived from the others. Settling twice, or settling what was never received, is a
 * defect of the engine and dies as one.
 *
 * One acknowledgement may stand for several messages that travel together (`Message.ts`); everything is counted in messages.
 *
 * It holds no more than the pipeline's bound of messages in flight. It does not talk to the source.
 */
import type { Outcome } from "./Message.ts"

/** The right to settle a message, or several that travel together, once. */
export interface Acknowledgement<T> {
  readonly ticket: T
  /** How many messages it stands for. */
  readonly count: number
}

export interface LedgerCounts {
  readonly received: number
  readonly accepted: number
  readonly rejected: number
  readonly kept: number
  readonly inFlight: number
}

/** See the head of this file. */
export class Ledger<T> {
  readonly #open = new Set<Acknowledgement<T>>()
  #received = 0
  #inFlight = 0
  readonly #settled: Record<Outcome, number> = { accepted: 0, rejected: 0, kept: 0 }

  /** Notes that a message has arrived, or several together. */
  receive(ticket: T, count = 1): Acknowledgement<T> {
    const acknowledgement: Acknowledgement<T> = { ticket, count }
    this.#open.add(acknowledgement)
    this.#received += count
    this.#inFlight += count
    return acknowledgement
  }

  /** Notes that a message has ended. Throws where it had already ended, or never began. */
  settle(acknowledgement: Acknowledgement<T>, outcome: Outcome): void {
    this.#close(acknowledgement, outcome)
    this.#settled[outcome] += acknowledgement.count
    this.#inFlight -= acknowledgement.count
  }

  /** Two in the place of one: the first of `at` messages with one ticket, the rest with the other. */
  split(
    acknowledgement: Acknowledgement<T>,
    at: number,
    first: T,
    rest: T
  ): readonly [Acknowledgement<T>, Acknowledgement<T>] {
    this.#close(acknowledgement, "split")
    const both = [
      { ticket: first, count: at },
      { ticket: rest, count: acknowledgement.count - at }
    ] as const
    for (const one of both) this.#open.add(one)
    return both
  }

  #close(acknowledgement: Acknowledgement<T>, outcome: Outcome | "split"): void {
    if (!this.#open.delete(acknowledgement)) {
      throw new Error(`message ${String(acknowledgement.ticket)} is settled twice: ${outcome}`)
    }
  }

  /** All that is under way. */
  open(): ReadonlyArray<Acknowledgement<T>> {
    return [...this.#open]
  }

  counts(): LedgerCounts {
    return { received: this.#received, ...this.#settled, inFlight: this.#inFlight }
  }
}
