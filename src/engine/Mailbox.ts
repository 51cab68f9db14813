/**
 * A mailbox: the bounded queue before a stage.
 *
 * Guarantees: it never holds more than its capacity (offering to a full one waits: this is the backpressure); `end` lets the
 * stage take what is there and then tells it that there is no more; a wait that is interrupted takes nothing.
 * A thin layer over Effect's `Queue`: what it adds is its name, its depth for the live view, that it counts in messages where
 * several travel as one, and waiting for a limited time without the risk of losing a message that arrives at that very moment.
 */
import { type Cause, Effect, Option, Queue, Semaphore } from "effect"

/** What the live view shows of a mailbox. */
export interface Gauge {
  readonly name: string
  readonly capacity: number
  readonly depth: () => number
  /** The largest depth so far. */
  readonly highWater: () => number
}

export interface Mailbox<A> extends Gauge {
  /** Waits until there is room for each; what alone is more than the capacity waits for an empty mailbox. Does nothing once it is closed. */
  readonly offer: (messages: ReadonlyArray<A>) => Effect.Effect<void>
  /** Waits for at least one, gives at most `max` (each of which may be several messages); none once the mailbox has ended and is empty. */
  readonly take: (max: number) => Effect.Effect<Option.Option<ReadonlyArray<A>>>
  /** As `take`, but gives an empty array where nothing came within `millis` (which may be infinite). */
  readonly takeWithin: (max: number, millis: number) => Effect.Effect<Option.Option<ReadonlyArray<A>>>
  /** No more will be offered. */
  readonly end: Effect.Effect<void>
  /** Lets go of whoever waits, and gives what was in it: those messages are the caller's to settle. */
  readonly close: Effect.Effect<ReadonlyArray<A>>
}

/** `size`: how many messages one stands for; one where nothing is said. */
export const make = <A>(options: {
  readonly name: string
  readonly capacity: number
  readonly size?: (message: A) => number
}): Effect.Effect<Mailbox<A>> =>
  Effect.map(Queue.bounded<A, Cause.Done>(options.capacity), (queue): Mailbox<A> => {
    const { capacity, size = () => 1 } = options
    const room = Semaphore.makeUnsafe(capacity)
    let depth = 0
    let highWater = 0
    let closed = false
    const roomOf = (message: A) => Math.min(size(message), capacity)

    /** There is room for these. */
    const put = (messages: ReadonlyArray<A>) =>
      Effect.suspend(() => {
        if (closed) return Effect.void
        for (const message of messages) depth += size(message)
        highWater = Math.max(highWater, depth)
        return Effect.asVoid(Queue.offerAll(queue, messages))
      })
    /** As many at a time as there is room for now. */
    const offer = (messages: ReadonlyArray<A>): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (closed || messages.length === 0) return Effect.void
        let taken = roomOf(messages[0]!)
        let end = 1
        while (end < messages.length && depth + taken + roomOf(messages[end]!) <= capacity) {
          taken += roomOf(messages[end]!)
          end++
        }
        // Masked, so that room is never taken for nothing.
        const some = Effect.uninterruptibleMask((restore) =>
          Effect.andThen(restore(room.take(taken)), put(end === messages.length ? messages : messages.slice(0, end)))
        )
        return end === messages.length ? some : Effect.andThen(some, offer(messages.slice(end)))
      })

    const ended = Effect.succeed(Option.none<ReadonlyArray<A>>())
    const take = (max: number): Effect.Effect<Option.Option<ReadonlyArray<A>>> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(restore(Queue.takeBetween(queue, 1, max)), (messages) => {
          let taken = 0
          for (const message of messages) {
            depth -= size(message)
            taken += roomOf(message)
          }
          return Effect.as(room.release(taken), Option.some<ReadonlyArray<A>>(messages))
        })
      ).pipe(Effect.catch(() => ended))
    // `peek` waits without taking: a message that arrives as the time runs out stays in the queue for the next take.
    const arrival = Queue.peek(queue).pipe(
      Effect.as(true),
      Effect.catch(() => Effect.succeed(true))
    )
    return {
      name: options.name,
      capacity,
      offer,
      take,
      takeWithin: (max, millis) =>
        Effect.suspend(() =>
          Queue.sizeUnsafe(queue) > 0 || millis === Number.POSITIVE_INFINITY
            ? take(max)
            : Effect.flatMap(Effect.timeoutOption(arrival, Math.max(0, millis)), (arrived) =>
                Option.isSome(arrived) ? take(max) : Effect.succeed(Option.some<ReadonlyArray<A>>([]))
              )
        ),
      end: Effect.asVoid(Queue.end(queue)),
      close: Effect.suspend(() => {
        closed = true
        depth = 0
        return Effect.catch(Queue.clear(queue), () => Effect.succeed<ReadonlyArray<A>>([])).pipe(
          Effect.tap(() => Queue.shutdown(queue)),
          // Whoever waits for room finds it closed.
          Effect.tap(() => room.resize(Number.MAX_SAFE_INTEGER))
        )
      }),
      depth: () => depth,
      highWater: () => highWater
    }
  })
