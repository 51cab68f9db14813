/**
 * One consumer's place in the streams: reads several as one.
 *
 * Each stream has its own connection that waits, so that one whose server is away, or has nothing, holds up no other. A read
 * starts all that are idle, gives what has come by then, a stream in turn first, and waits only where nothing has. It fails
 * where all streams do. A stream that fails while others do not is tried again, and the log says so.
 *
 * What one stream's server does not take as acknowledged while it takes that of others holds up nobody: it comes again once the
 * server is back, and is acknowledged then. So a primary that nobody replaces stops its own streams alone.
 *
 * Bound: it holds at most {@link READ_EACH_MIN} rows of each stream, or what was asked for where that is more for all together,
 * beyond what its reader has and has not acknowledged.
 */
import { Duration, Effect, Semaphore } from "effect"
import { type Delivery, StreamUnavailable, type Subscription } from "../SnapshotStream.ts"
import { attempt } from "./ValkeyConnection.ts"
import { type Consumer, Receipt } from "./ValkeyConsumer.ts"

/** Fewer rows a read would cut scrapes, and cost more a row. */
const READ_EACH_MIN = 1_000
/** Small reads of many streams cost more a row than a few larger ones (`bench/streams.ts`). */
const LINGER = Duration.millis(5)
/** A stream that failed waits so long before it is tried again, while others do not fail. */
const RETRY_AFTER_MILLIS = 500
/** The log says so often that it fails still. */
const SAY_EVERY_MILLIS = 60_000

/** A stream that failed. In monotonic milliseconds. */
interface Failing {
  againAt: number
  readonly saidAt: number
}

export class ValkeySubscription implements Subscription {
  readonly #now: () => number
  readonly #consumers = new Map<number, Consumer>()
  readonly #failing = new Map<number, Failing>()
  readonly #oneReader = Semaphore.makeUnsafe(1)
  /** Resumes the reader that waits. */
  #resume: (() => void) | undefined
  /** Which stream is first next time. */
  #turn = 0
  #closed = false

  /** `now`: monotonic milliseconds. */
  constructor(now: () => number) {
    this.#now = now
  }

  get consumers(): ReadonlyArray<Consumer> {
    return [...this.#consumers.values()]
  }

  /** No stream is added any more. */
  close(): void {
    this.#closed = true
  }

  get isClosed(): boolean {
    return this.#closed
  }

  add(consumer: Consumer): void {
    this.#consumers.set(consumer.stream, consumer)
    this.wake()
  }

  remove(consumer: Consumer): void {
    if (this.#consumers.get(consumer.stream) === consumer) this.#consumers.delete(consumer.stream)
    this.wake()
  }

  /** There may be something to take. */
  wake(): void {
    this.#resume?.()
  }

  lookAgain(): void {
    for (const consumer of this.#consumers.values()) consumer.lookAgain(this.#resume !== undefined)
  }

  readonly read = (atMost: number): Effect.Effect<ReadonlyArray<Delivery>, StreamUnavailable> =>
    this.#oneReader.withPermit(
      Effect.suspend(() => {
        const max = Math.max(1, Math.floor(atMost))
        let handed: ReadonlyArray<Delivery> = []
        let lingered = false
        const next: Effect.Effect<ReadonlyArray<Delivery>, StreamUnavailable> = Effect.suspend(() => {
          const failed = this.#begin(max)
          if (!lingered && this.#isWorthWaiting(max)) {
            lingered = true
            return Effect.andThen(Effect.sleep(LINGER), next)
          }
          handed = this.#take(max)
          if (handed.length > 0) return Effect.as(Effect.forEach(failed, warn, { discard: true }), handed)
          const cause = this.#allFailed()
          if (cause !== undefined) return Effect.fail(new StreamUnavailable({ operation: "read", cause }))
          return Effect.forEach(failed, warn, { discard: true }).pipe(
            Effect.andThen(this.#untilWoken),
            Effect.andThen(next)
          )
        })
        // Interrupted between here and the reader: it comes with the next read.
        return Effect.onInterrupt(next, () => Effect.sync(() => putBack(handed)))
      })
    )

  readonly acknowledge = (deliveries: ReadonlyArray<Delivery>): Effect.Effect<void, StreamUnavailable> =>
    attempt("acknowledge", async () => {
      const failed = await settle(deliveries, (consumer, some) => consumer.acknowledge(some))
      // Whatever failed for all is tried again as it is; else whoever waits for one would wait with the rows of all.
      if (failed.length > 0 && !this.#hasOthers(failed)) throw failed[0]!.error
    })

  readonly release = (deliveries: ReadonlyArray<Delivery>): Effect.Effect<void, StreamUnavailable> =>
    this.#giveBack("release", deliveries)

  readonly postpone = (deliveries: ReadonlyArray<Delivery>): Effect.Effect<void, StreamUnavailable> =>
    this.#giveBack("postpone", deliveries)

  readonly #giveBack = (how: "release" | "postpone", deliveries: ReadonlyArray<Delivery>) =>
    attempt(how, () =>
      settle(deliveries, async (consumer, some) => {
        // What another subscription reads is not ours to give back.
        if (this.#consumers.get(consumer.stream) === consumer) await consumer[how](some)
      }).then(([failed]) => {
        if (failed !== undefined) throw failed.error
      })
    )

  /** Whether there is a stream that neither failed now nor in its last step. */
  #hasOthers(failed: ReadonlyArray<Failed>): boolean {
    return this.consumers.some(
      (consumer) => consumer.failure() === undefined && failed.every((one) => one.consumer.stream !== consumer.stream)
    )
  }

  /** Begins a step of all that are idle. Gives those that fail, and of which nothing was said yet. */
  #begin(max: number): ReadonlyArray<Consumer> {
    const each = Math.min(max, Math.max(READ_EACH_MIN, Math.ceil(max / this.#consumers.size)))
    const now = this.#now()
    const unsaid: Array<Consumer> = []
    for (const consumer of this.#consumers.values()) {
      if (consumer.failure() === undefined) consumer.fetch(each)
      else {
        const failing = this.#failing.get(consumer.stream)
        const isNews = failing === undefined || now - failing.saidAt > SAY_EVERY_MILLIS
        if (isNews) unsaid.push(consumer)
        if (failing !== undefined && now >= failing.againAt) consumer.fetch(each)
        if (isNews || now >= failing.againAt) {
          const saidAt = isNews ? now : failing.saidAt
          this.#failing.set(consumer.stream, { againAt: now + RETRY_AFTER_MILLIS, saidAt })
        }
      }
    }
    return unsaid
  }

  /** Whether a few rows have come of some of several streams: soon there are more. */
  #isWorthWaiting(max: number): boolean {
    if (this.#consumers.size < 2) return false
    let rows = 0
    for (const consumer of this.#consumers.values()) rows += consumer.ready()
    return rows > 0 && rows < Math.min(max, READ_EACH_MIN)
  }

  /** What has come, at most so many rows; each time another stream is first. */
  #take(max: number): ReadonlyArray<Delivery> {
    const consumers = this.consumers
    const taken: Array<Delivery> = []
    let room = max
    for (let i = 0; i < consumers.length && room > 0; i++) {
      for (const delivery of consumers[(this.#turn + i) % consumers.length]!.take(room)) {
        taken.push(delivery)
        room -= delivery.length
      }
    }
    this.#turn++
    return taken
  }

  /** What the first stream failed of, where all have. They are then tried again at once. */
  #allFailed(): Error | undefined {
    const failures = this.consumers.map((consumer) => consumer.failure())
    if (failures.length === 0 || failures.includes(undefined)) return undefined
    for (const { stream } of this.consumers) this.#failing.set(stream, { againAt: 0, saidAt: this.#now() })
    return failures[0]
  }

  readonly #untilWoken = Effect.callback<void>((resume) => {
    this.#resume = () => resume(Effect.void)
    return Effect.sync(() => {
      this.#resume = undefined
    })
  })
}

const warn = (consumer: Consumer): Effect.Effect<void> =>
  Effect.logWarning(`stream ${consumer.stream} cannot be read, retrying: ${consumer.failure()?.message}`)

const putBack = (deliveries: ReadonlyArray<Delivery>): void => {
  for (const [consumer, some] of byConsumer(deliveries)) consumer.putBack(some)
}

interface Failed {
  readonly consumer: Consumer
  readonly error: unknown
}

/** Tells each consumer of what it handed out, also those that have left. Gives those that could not. */
const settle = async (
  deliveries: ReadonlyArray<Delivery>,
  tell: (consumer: Consumer, some: ReadonlyArray<Delivery>) => Promise<void>
): Promise<ReadonlyArray<Failed>> => {
  const told = [...byConsumer(deliveries)].map(async ([consumer, some]) => {
    try {
      await tell(consumer, some)
      return []
    } catch (error) {
      return [{ consumer, error }]
    }
  })
  return (await Promise.all(told)).flat()
}

const byConsumer = (deliveries: ReadonlyArray<Delivery>): ReadonlyMap<Consumer, Array<Delivery>> => {
  const found = new Map<Consumer, Array<Delivery>>()
  for (const delivery of deliveries) {
    if (!(delivery.receipt instanceof Receipt)) continue
    const some = found.get(delivery.receipt.consumer)
    if (some === undefined) found.set(delivery.receipt.consumer, [delivery])
    else some.push(delivery)
  }
  return found
}
