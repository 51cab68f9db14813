/**
 * The rejecter: records what can never succeed with its reason, then settles it.
 *
 * Recording is repeated until it succeeds: what was acknowledged is either written or recorded, never gone.
 */
import { Effect, Option, Schedule } from "effect"
import type { Mailbox } from "./Mailbox.ts"
import { type Rejection, totalOf } from "./Message.ts"
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
  readonly from: Mailbox<Rejection<T>>
  readonly settlement: Settlement<T, R>
  readonly stage: Stage
}): Effect.Effect<void, never, R> =>
  Effect.gen(function* () {
    const { from, settlement, stage } = options
    while (true) {
      const taken = yield* from.take(BATCH)
      if (Option.isNone(taken)) return
      const rejections = taken.value
      const count = totalOf(rejections.map(({ message }) => message))
      stage.received += count
      stage.inHand = count
      yield* Effect.suspend(() =>
        options.record(rejections.map(({ message, reason }) => ({ ticket: message.acknowledgement.ticket, reason })))
      ).pipe(
        Effect.sandbox,
        Effect.tapError((cause) => stage.retry(`record: ${reasonOf(cause)}`)),
        Effect.retry(RETRY),
        Effect.orDie
      )
      yield* settlement.done(
        rejections.map((rejection) => rejection.message),
        "rejected",
        stage
      )
    }
  })
