/**
 * The batcher: groups messages of one key into batches by size and time.
 *
 * A batch is full at `size` messages, and due `flushAfterMillis` after its first message. What is handed on never
 * exceeds `size`; nothing is ever dropped; the end of the mailbox flushes. Time is monotonic: a machine whose clock is set
 * back does not hold a batch back. A wait that has run out flushes whatever the clock says: a clock that is rounded a hair
 * short of the due time would else be asked again and again without a pause.
 */
import { Clock, Effect, Option } from "effect"
import type { Mailbox } from "./Mailbox.ts"
import type { Stage } from "./Stage.ts"

/** The pure part. */
export class Batch<M> {
  readonly #size: number
  readonly #flushAfterMillis: number
  #messages: Array<M> = []
  #dueAt = Number.POSITIVE_INFINITY

  constructor(options: { readonly size: number; readonly flushAfterMillis: number }) {
    this.#size = options.size
    this.#flushAfterMillis = options.flushAfterMillis
  }

  /** Adds messages that arrived at `now`, and gives the batches that became full. */
  add(messages: ReadonlyArray<M>, now: number): ReadonlyArray<ReadonlyArray<M>> {
    if (messages.length === 0) return []
    if (this.#messages.length === 0) this.#dueAt = now + this.#flushAfterMillis
    const full: Array<ReadonlyArray<M>> = []
    let start = 0
    while (this.#messages.length + messages.length - start >= this.#size) {
      const end = start + this.#size - this.#messages.length
      full.push(this.#messages.concat(messages.slice(start, end)))
      this.#messages = []
      start = end
      this.#dueAt = now + this.#flushAfterMillis
    }
    for (; start < messages.length; start++) this.#messages.push(messages[start]!)
    if (this.#messages.length === 0) this.#dueAt = Number.POSITIVE_INFINITY
    return full
  }

  /** The batch begun, where it is due at `now` or `always`; else none. */
  flush(now: number, always = false): ReadonlyArray<M> {
    if (this.#messages.length === 0 || !(always || now >= this.#dueAt)) return []
    const messages = this.#messages
    this.#messages = []
    this.#dueAt = Number.POSITIVE_INFINITY
    return messages
  }

  /** When the batch begun is due; infinite where there is none. */
  get dueAt(): number {
    return this.#dueAt
  }

  get length(): number {
    return this.#messages.length
  }
}

const monotonicMillis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)

/** The batcher stage: takes messages of one key, hands on full and due batches, and the last one when its mailbox ends. */
export const run = <M>(options: {
  readonly size: number
  readonly flushAfterMillis: number
  readonly from: Mailbox<M>
  readonly to: Mailbox<ReadonlyArray<M>>
  readonly stage: Stage
}): Effect.Effect<void> =>
  Effect.gen(function* () {
    const { from, size, stage, to } = options
    const batch = new Batch<M>(options)
    while (true) {
      const taken = yield* from.takeWithin(size, batch.dueAt - (yield* monotonicMillis))
      const now = yield* monotonicMillis
      const ended = Option.isNone(taken)
      const messages = ended ? [] : taken.value
      const begun = batch.length
      const ready = batch.add(messages, now).slice()
      const due = batch.flush(now, messages.length === 0)
      if (due.length > 0) ready.push(due)
      stage.received += messages.length
      stage.inHand = begun + messages.length
      if (ready.length > 0) yield* to.offer(ready)
      stage.inHand = batch.length
      stage.passed += begun + messages.length - batch.length
      if (ended) break
    }
    yield* to.end
  })
