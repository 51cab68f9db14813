/**
 * The producer: asks the source for messages while there is room for them.
 *
 * It asks for `demand` at a time, and only once the pipeline has room for all of them, so that the bound of messages in
 * flight is never passed. A source that gives more than it was asked for is a defect, and nothing of it is received. It ends when `stop` says so: a
 * question under way is then interrupted. What it has received and cannot hand on is open in the ledger, and kept.
 *
 * A source that fails for now (`retryable`) is asked again, at least every second, and said to be away once. Anything else
 * is the supervisor's.
 */
import { Cause, Deferred, Effect, Schedule, type Semaphore } from "effect"
import type { Ledger } from "./Acknowledgement.ts"
import type { Mailbox } from "./Mailbox.ts"
import { type Message, type Parcels, totalOf } from "./Message.ts"
import type { Source } from "./Settlement.ts"
import type { Stage } from "./Stage.ts"
import { reasonOf, saysRetryable } from "./Supervisor.ts"

const RETRY = Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("1 second")]).pipe(Schedule.jittered)

export const run = <A, T, R>(options: {
  readonly source: Source<A, T, R>
  readonly demand: number
  readonly room: Semaphore.Semaphore
  readonly ledger: Ledger<T>
  readonly parcels: Parcels<T>
  readonly to: Mailbox<Message<A, T>>
  readonly stage: Stage
  readonly stop: Deferred.Deferred<void>
}): Effect.Effect<void, unknown, R> => {
  const { demand, ledger, parcels, room, source, stage, stop, to } = options
  let away = false
  const ask = Effect.suspend(() => source.ask(demand)).pipe(
    Effect.retry({
      schedule: RETRY,
      while: (error) =>
        saysRetryable(error) ? Effect.as(noteAway(reasonOf(Cause.fail(error))), true) : Effect.succeed(false)
    }),
    Effect.tap(() => (away ? noteBack : Effect.void))
  )
  const noteAway = Effect.fnUntraced(function* (reason: string) {
    yield* stage.retry(reason)
    if (away) return
    away = true
    yield* Effect.logWarning(`the source is away and is asked again until it answers: ${reason}`)
  })
  const noteBack = Effect.suspend(() => {
    away = false
    return Effect.logInfo("the source answers again")
  })
  const asDemanded = Effect.tap(ask, (incoming) => {
    const count = incoming.reduce((sum, { ticket }) => sum + parcels.size(ticket), 0)
    return count > demand
      ? Effect.die(new Error(`the source gave ${count} messages for a demand of ${demand}`))
      : Effect.void
  })
  const once = Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      yield* restore(room.take(demand))
      const incoming = yield* Effect.onError(restore(asDemanded), () => room.release(demand))
      const messages = incoming.map(({ ticket, value }) => ({
        value,
        acknowledgement: ledger.receive(ticket, parcels.size(ticket))
      }))
      const count = totalOf(messages)
      yield* room.release(demand - count)
      stage.received += count
      stage.inHand = count
      // Interruptible: behind a full mailbox whose stage has been stopped it would wait for ever.
      yield* restore(to.offer(messages))
      stage.inHand = 0
      stage.passed += count
    })
  )
  // `stop` first, so that a producer that is started again after it asks no more.
  return Effect.raceFirst(Deferred.await(stop), Effect.forever(once)).pipe(Effect.andThen(to.end))
}
