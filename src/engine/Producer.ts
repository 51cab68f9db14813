/**
 * The producer: asks the source for messages while there is room for them.
 *
 * It asks for `demand` at a time, and only once the pipeline has room for all of them, so that the bound of messages in
 * flight is never passed. A source that gives more than it was asked for is a defect. It ends when `stop` says so: a
 * question under way is then interrupted, what was received is handed on.
 */
import { Deferred, Effect, type Semaphore } from "effect"
import type { Ledger } from "./Acknowledgement.ts"
import type { Mailbox } from "./Mailbox.ts"
import type { Message } from "./Message.ts"
import type { Source } from "./Settlement.ts"
import type { Stage } from "./Stage.ts"

export const run = <A, T, R>(options: {
  readonly source: Source<A, T, R>
  readonly demand: number
  readonly room: Semaphore.Semaphore
  readonly ledger: Ledger<T>
  readonly to: Mailbox<Message<A, T>>
  readonly stage: Stage
  readonly stop: Deferred.Deferred<void>
}): Effect.Effect<void, unknown, R> => {
  const { demand, ledger, room, source, stage, stop, to } = options
  const once = Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      yield* restore(room.take(demand))
      const incoming = yield* Effect.onError(restore(source.ask(demand)), () => room.release(demand))
      if (incoming.length > demand) {
        return yield* Effect.die(new Error(`the source gave ${incoming.length} messages for a demand of ${demand}`))
      }
      yield* room.release(demand - incoming.length)
      stage.received += incoming.length
      yield* to.offer(incoming.map(({ ticket, value }) => ({ value, acknowledgement: ledger.receive(ticket) })))
      stage.passed += incoming.length
    })
  )
  return Effect.raceFirst(Effect.forever(once), Deferred.await(stop)).pipe(Effect.andThen(to.end))
}
