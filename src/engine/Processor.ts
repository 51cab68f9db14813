/**
 * The processor: turns each message's value into what is written, and sorts by key.
 *
 * One bad message changes nothing for its neighbours: where `process` refuses it, or throws, it alone is rejected. Of messages
 * that travel together it is found by halving.
 */
import { Cause, Effect, Option, Result } from "effect"
import type { Mailbox } from "./Mailbox.ts"
import { countOf, type Message, type Rejection, totalOf } from "./Message.ts"
import type { Stage } from "./Stage.ts"
import { reasonOf } from "./Supervisor.ts"

/** How many are processed before other fibers get their turn: some 2 ms of work; where they are parcels, the mailbox bounds it. */
const CHUNK = 2_000

interface Options<A, B, K extends string, T> {
  readonly process: (value: A) => Result.Result<B, string>
  readonly key: (value: B) => K
  /** Two in the place of one that stands for several. */
  readonly cut: (message: Message<A, T>, at: number) => readonly [Message<A, T>, Message<A, T>]
  readonly to: ReadonlyMap<K, Mailbox<Message<B, T>>>
}

export const run = <A, B, K extends string, T>(
  options: Options<A, B, K, T> & {
    readonly from: Mailbox<Message<A, T>>
    readonly rejected: Mailbox<Rejection<T>>
    readonly stage: Stage
  }
): Effect.Effect<void> =>
  Effect.gen(function* () {
    const { from, rejected, stage, to } = options
    while (true) {
      const taken = yield* from.take(CHUNK)
      if (Option.isNone(taken)) break
      const count = totalOf(taken.value)
      const sorted = sort(options, taken.value)
      stage.received += count
      stage.inHand = count
      if (sorted.rejections.length > 0) yield* rejected.offer(sorted.rejections)
      // At once, so that a full mailbox holds up only its own key's share of this chunk.
      yield* Effect.forEach(sorted.byKey, ([key, messages]) => to.get(key)!.offer(messages), {
        concurrency: to.size,
        discard: true
      })
      const refused = sorted.rejections.reduce((sum, { message }) => sum + countOf(message), 0)
      stage.rejected += refused
      stage.passed += count - refused
      stage.inHand = 0
      yield* Effect.yieldNow
    }
    yield* Effect.forEach(to.values(), (mailbox) => mailbox.end, { discard: true })
  })

/** The pure part: each message ends up in exactly one of the groups or among the rejections. */
const sort = <A, B, K extends string, T>(
  options: Options<A, B, K, T>,
  messages: ReadonlyArray<Message<A, T>>
): {
  readonly byKey: ReadonlyMap<K, ReadonlyArray<Message<B, T>>>
  readonly rejections: ReadonlyArray<Rejection<T>>
} => {
  const byKey = new Map<K, Array<Message<B, T>>>()
  const rejections: Array<Rejection<T>> = []
  const place = (message: Message<A, T>): void => {
    const { acknowledgement } = message
    const result = processed(options, message.value)
    if (Result.isSuccess(result)) {
      const { key, value } = result.success
      const group = byKey.get(key)
      if (group === undefined) byKey.set(key, [{ value, acknowledgement }])
      else group.push({ value, acknowledgement })
    } else if (acknowledgement.count === 1) {
      rejections.push({ message, reason: result.failure })
    } else {
      for (const half of options.cut(message, acknowledgement.count >> 1)) place(half)
    }
  }
  for (const message of messages) place(message)
  return { byKey, rejections }
}

const processed = <A, B, K extends string, T>(
  { key: keyOf, process, to }: Options<A, B, K, T>,
  given: A
): Result.Result<{ readonly key: K; readonly value: B }, string> => {
  try {
    const result = process(given)
    if (Result.isFailure(result)) return Result.fail(result.failure)
    const key = keyOf(result.success)
    return to.has(key)
      ? Result.succeed({ key, value: result.success })
      : Result.fail(`there is no batcher for "${key}"`)
  } catch (defect) {
    return Result.fail(`the processor died of it: ${reasonOf(Cause.die(defect))}`)
  }
}
