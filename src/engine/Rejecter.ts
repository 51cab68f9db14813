/**
 * The rejecter: records what can never succeed with its reason, then settles it.
 *
 * Recording is repeated until it succeeds: what was acknowledged is either written or recorded, never gone. What is not
 * to be recorded here, or not now (`isKept`), is kept.
 */
import { Cause, Effect, Option, Schedule } from "effect"
import type { Mailbox } from "./Mailbox.ts"
import { apart, type Rejection, totalOf } from "./Message.ts"
import type { Settlement } from "./Settlement.ts"
import type { Stage } from "./Stage.ts"
import { reasonOf } from "./Supervisor.ts"

/** How many are recorded at once. */
const BATCH = 500

const RETRY = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("10 seconds")]).pipe(Schedule.jittered)

export const run = <T, R>(options: {
  readonly record: (
    rejected: ReadonlyArray<{ readonly ticket: T; readonly reason: string }>
  ) => Effect.Effect<unknown, unknown, R>
  readonly isKept: (error: unknown, ticket: T) => boolean
  readonly from: Mailbox<Rejection<T>>
  readonly settlement: Settlement<T, R>
  readonly stage: Stage
}): Effect.Effect<void, never, R> =>
  Effect.gen(function* () {
    const { from, isKept, settlement, stage } = options
    const record = (rejections: ReadonlyArray<Rejection<T>>): Effect.Effect<void, never, R> => {
      const given = rejections.map(({ message, reason }) => ({ ticket: message.acknowledgement.ticket, reason }))
      const messages = rejections.map(({ message }) => message)
      const lostOf = (cause: Cause.Cause<unknown>) =>
        apart(messages, cause.reasons.find(Cause.isFailReason)?.error, isKept)[0]
      return Effect.suspend(() => options.record(given)).pipe(
        Effect.sandbox,
        Effect.tapError((cause) => stage.retry(`record: ${reasonOf(cause)}`)),
        Effect.retry({ schedule: RETRY, while: (cause) => lostOf(cause).length === 0 }),
        Effect.matchEffect({
          onSuccess: () => settlement.done(messages, "rejected", stage),
          onFailure: (cause) => {
            const lost = lostOf(cause)
            const rest = rejections.filter(({ message }) => !lost.includes(message))
            const kept = settlement.keep(lost, stage)
            return rest.length === 0 ? kept : Effect.andThen(kept, record(rest))
          }
        })
      )
    }
    while (true) {
      const taken = yield* from.take(BATCH)
      if (Option.isNone(taken)) return
      const rejections = taken.value
      const count = totalOf(rejections.map(({ message }) => message))
      stage.received += count
      stage.inHand = count
      yield* record(rejections)
    }
  })
