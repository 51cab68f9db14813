/**
 * A mailbox: the bounded queue before a stage.
 *
 * Guarantees: it never holds more than its capacity (whoever offers waits: this is the backpressure); `end` lets the
 * stage take what is there and then tells it that there is no more; a wait that is interrupted takes nothing.
 * A thin layer over Effect's `Queue`, which counts in messages: what it adds is its name, its depth for the live view,
 * and waiting for a limited time without the risk of losing a message that arrives at that very moment.
 */
import { type Cause, Effect, Option, Queue } from "effect"

/** What the live view shows of a mailbox. */
export interface Gauge {
  readonly name: string
  readonly capacity: number
  readonly depth: () => number
  /** The largest depth so far. */
  readonly highWater: () => number
}

export interface Mailbox<A> extends Gauge {
  /** Waits until there is room for each. Does nothing once the mailbox is closed. */
  readonly offer: (messages: ReadonlyArray<A>) => Effect.Effect<void>
  /** Waits for at least one message, gives at most `max`; none once the mailbox has ended and is empty. */
  readonly take: (max: number) => Effect.Effect<Option.Option<ReadonlyArray<A>>>
  /** As `take`, but gives an empty array where nothing came within `millis` (which may be infinite). */
  readonly takeWithin: (max: number, millis: number) => Effect.Effect<Option.Option<ReadonlyArray<A>>>
  /** No more will be offered. */
  readonly end: Effect.Effect<void>
  /** Lets go of whoever waits, and gives what was in it: those messages are the caller's to settle. */
  readonly close: Effect.Effect<ReadonlyArray<A>>
}

export const make = <A>(options: { readonly name: string; readonly capacity: number }): Effect.Effect<Mailbox<A>> =>
  Effect.map(Queue.bounded<A, Cause.Done>(options.capacity), (queue): Mailbox<A> => {
    let highWater = 0
    const note = () => {
      highWater = Math.max(highWater, Queue.sizeUnsafe(queue))
    }
    const ended = Effect.succeed(Option.none<ReadonlyArray<A>>())
    const take = (max: number) =>
      Queue.takeBetween(queue, 1, max).pipe(
        Effect.map((messages) => Option.some<ReadonlyArray<A>>(messages)),
        Effect.catch(() => ended)
      )
    // `peek` waits without taking: a message that arrives as the time runs out stays in the queue for the next take.
    const arrival = Queue.peek(queue).pipe(
      Effect.as(true),
      Effect.catch(() => Effect.succeed(true))
    )
    return {
      name: options.name,
      capacity: options.capacity,
      offer: (messages) =>
        Effect.suspend(() => {
          const offered = Queue.offerAll(queue, messages)
          note()
          return offered
        }).pipe(
          Effect.tap(() => Effect.sync(note)),
          Effect.asVoid
        ),
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
      close: Effect.tap(
        Effect.catch(Queue.clear(queue), () => Effect.succeed<ReadonlyArray<A>>([])),
        () => Queue.shutdown(queue)
      ),
      depth: () => Queue.sizeUnsafe(queue),
      highWater: () => highWater
    }
  })
