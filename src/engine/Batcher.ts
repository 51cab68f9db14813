/**
 * The batcher: groups messages of one key into batches by size and time.
 *
 * A batch is full at `size` messages, and due `flushAfterMillis` after its first message. What is handed on never
 * exceeds `size`; nothing is ever dropped; the end of the mailbox flushes. Time is monotonic: a machine whose clock is set
 * back does not hold a batch back. A wait that has run out flushes whatever the clock says: a clock that is rounded a hair
 * short of the due time would else be asked again and again without a pause.
 */
import { Effect, Option } from "effect"
import type { Mailbox } from "./Mailbox.ts"
import { monotonicMillis } from "./Monotonic.ts"
import type { Stage } from "./Stage.ts"

/** How messages of a batch are counted, where one may stand for several (`Message.ts`). */
interface Counting<M> {
  readonly count: (message: M) => number
  /** Two in the place of one that stands for more than `at`. */
  readonly cut: (message: M, at: number) => readonly [M, M]
}

/** The pure part. */
export class Batch<M> {
  readonly #size: number
  readonly #flushAfterMillis: number
  readonly #counting: Counting<M>
  #messages: Array<M> = []
  #length = 0
  #dueAt = Number.POSITIVE_INFINITY

  constructor(options: { readonly size: number; readonly flushAfterMillis: number } & Partial<Counting<M>>) {
    const { count = () => 1, cut = (message) => [message, message], flushAfterMillis, size } = options
    this.#size = size
    this.#flushAfterMillis = flushAfterMillis
    this.#counting = { count, cut }
  }

  /**
   * Adds messages that arrived at `now`, and gives the batches that became full. Messages that travel together are in one
   * batch unless they are more than it takes: a batch may be full before its last place is taken.
   */
  add(messages: ReadonlyArray<M>, now: number): ReadonlyArray<ReadonlyArray<M>> {
    const full: Array<ReadonlyArray<M>> = []
    for (let message of messages) {
      let count = this.#counting.count(message)
      if (this.#length > 0 && this.#length + count > this.#size) full.push(this.#take())
      for (; count > this.#size; count -= this.#size) {
        const [whole, rest] = this.#counting.cut(message, this.#size)
        full.push([whole])
        message = rest
      }
      if (this.#length === 0) this.#dueAt = now + this.#flushAfterMillis
      this.#messages.push(message)
      this.#length += count
      if (this.#length === this.#size) full.push(this.#take())
    }
    return full
  }

  /** The batch begun, where it is due at `now` or `always`; else none. */
  flush(now: number, always = false): ReadonlyArray<M> {
    if (this.#messages.length === 0 || !(always || now >= this.#dueAt)) return []
    return this.#take()
  }

  #take(): ReadonlyArray<M> {
    const messages = this.#messages
    this.#messages = []
    this.#length = 0
    this.#dueAt = Number.POSITIVE_INFINITY
    return messages
  }

  /** When the batch begun is due; infinite where there is none. */
  get dueAt(): number {
    return this.#dueAt
  }

  /** Messages in the batch begun. */
  get length(): number {
    return this.#length
  }
}

/** The batcher stage: takes messages of one key, hands on full and due batches, and the last one when its mailbox ends. */
export const run = <M>(
  options: {
    readonly size: number
    readonly flushAfterMillis: number
    readonly from: Mailbox<M>
    readonly to: Mailbox<ReadonlyArray<M>>
    readonly stage: Stage
  } & Partial<Counting<M>>
): Effect.Effect<void> =>
  Effect.gen(function* () {
    const { count = () => 1, from, size, stage, to } = options
    const batch = new Batch<M>(options)
    while (true) {
      const taken = yield* from.takeWithin(size, batch.dueAt - (yield* monotonicMillis))
      const now = yield* monotonicMillis
      const ended = Option.isNone(taken)
      const messages = ended ? [] : taken.value
      const arrived = messages.reduce((sum, message) => sum + count(message), 0)
      const begun = batch.length
      const ready = [...batch.add(messages, now)]
      const due = batch.flush(now, messages.length === 0)
      if (due.length > 0) ready.push(due)
      stage.received += arrived
      stage.inHand = begun + arrived
      if (ready.length > 0) yield* to.offer(ready)
      stage.inHand = batch.length
      stage.passed += begun + arrived - batch.length
      if (ended) break
    }
    yield* to.end
  })
