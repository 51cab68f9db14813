/**
 * The processor: turns each message's value into what is written, and sorts by key.
 *
 * One bad message changes nothing for its neighbours: where `process` refuses it, or throws, it alone is rejected.
 */
import { Cause, Effect, Option, Result } from "effect"
import type { Mailbox } from "./Mailbox.ts"
import type { Message, Rejection } from "./Message.ts"
import type { Stage } from "./Stage.ts"
import { reasonOf } from "./Supervisor.ts"

/** How many messages are processed before other fibers get their turn: some 2 ms of work. */
const CHUNK = 2_000

export const run = <A, B, K extends string, T>(options: {
  readonly process: (value: A) => Result.Result<B, string>
  readonly key: (value: B) => K
  readonly from: Mailbox<Message<A, T>>
  readonly to: ReadonlyMap<K, Mailbox<Message<B, T>>>
  readonly rejected: Mailbox<Rejection<T>>
  readonly stage: Stage
}): Effect.Effect<void> =>
  Effect.gen(function* () {
    const { from, rejected, stage, to } = options
    while (true) {
      const taken = yield* from.take(CHUNK)
      if (Option.isNone(taken)) break
      const sorted = sort(options, taken.value)
      stage.received += taken.value.length
      stage.inHand = taken.value.length
      if (sorted.rejections.length > 0) yield* rejected.offer(sorted.rejections)
      // At once, so that a full mailbox holds up only its own key's share of this chunk.
      yield* Effect.forEach(sorted.byKey, ([key, messages]) => to.get(key)!.offer(messages), {
        concurrency: "unbounded",
        discard: true
      })
      stage.rejected += sorted.rejections.length
      stage.passed += taken.value.length - sorted.rejections.length
      stage.inHand = 0
      yield* Effect.yieldNow
    }
    yield* Effect.forEach(to.values(), (mailbox) => mailbox.end, { discard: true })
  })

/** The pure part: each message ends up in exactly one of the groups or among the rejections. */
const sort = <A, B, K extends string, T>(
  options: {
    readonly process: (value: A) => Result.Result<B, string>
    readonly key: (value: B) => K
    readonly to: ReadonlyMap<K, unknown>
  },
  messages: ReadonlyArray<Message<A, T>>
): {
  readonly byKey: ReadonlyMap<K, ReadonlyArray<Message<B, T>>>
  readonly rejections: ReadonlyArray<Rejection<T>>
} => {
  const byKey = new Map<K, Array<Message<B, T>>>()
  const rejections: Array<Rejection<T>> = []
  for (const message of messages) {
    try {
      const result = options.process(message.value)
      if (Result.isFailure(result)) {
        rejections.push({ message, reason: result.failure })
        continue
      }
      const key = options.key(result.success)
      if (!options.to.has(key)) {
        rejections.push({ message, reason: `there is no batcher for "${key}"` })
        continue
      }
      const group = byKey.get(key)
      const processed = { value: result.success, acknowledgement: message.acknowledgement }
      if (group === undefined) byKey.set(key, [processed])
      else group.push(processed)
    } catch (defect) {
      rejections.push({ message, reason: `the processor died of it: ${reasonOf(Cause.die(defect))}` })
    }
  }
  return { byKey, rejections }
}
