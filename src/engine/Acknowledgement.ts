/**
 * Acknowledgements, and the ledger in which each is settled exactly once.
 *
 * The ledger is the one place that knows which messages are under way. It holds that
 * `received = accepted + rejected + kept + in flight` at every moment, `in flight` being counted on its own (the
 * acknowledgements it holds), not derived from the others. Settling twice, or settling what was never received, is a
 * defect of the engine and dies as one.
 *
 * It holds no more than the pipeline's bound of messages in flight. It does not talk to the source.
 */
import type { Outcome } from "./Message.ts"

/** The right to settle one message, once. */
export interface Acknowledgement<T> {
  readonly ticket: T
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
  readonly #settled: Record<Outcome, number> = { accepted: 0, rejected: 0, kept: 0 }

  /** Notes that a message has arrived. */
  receive(ticket: T): Acknowledgement<T> {
    const acknowledgement: Acknowledgement<T> = { ticket }
    this.#open.add(acknowledgement)
    this.#received++
    return acknowledgement
  }

  /** Notes that a message has ended. Throws where it had already ended, or never began. */
  settle(acknowledgement: Acknowledgement<T>, outcome: Outcome): void {
    if (!this.#open.delete(acknowledgement)) {
      throw new Error(`message ${String(acknowledgement.ticket)} is settled twice: ${outcome}`)
    }
    this.#settled[outcome]++
  }

  /** All that is under way. */
  open(): ReadonlyArray<Acknowledgement<T>> {
    return [...this.#open]
  }

  counts(): LedgerCounts {
    return { received: this.#received, ...this.#settled, inFlight: this.#open.size }
  }
}
