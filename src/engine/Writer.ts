/**
 * The writer: writes one batch at a time and settles its messages.
 *
 * - The write succeeds: all accepted.
 * - It fails for now (`retryable`), or does not answer in time: again, after a backoff with jitter, until it succeeds.
 *   Meanwhile the stage stands still, and with it, once the mailboxes are full, the demand: this is the backpressure.
 * - It fails for good, or dies: the batch is halved, and the halves are written, until the guilty message is alone. That
 *   one is rejected; a death is given a few more tries first, since it may have had nothing to do with the message.
 * - The writer itself dies, of a defect of ours: what it held is kept, so that no message waits for a dead fiber.
 */
import { Cause, Duration, Effect, Exit, Option, Schedule, Schema } from "effect"
import type { Mailbox } from "./Mailbox.ts"
import type { Message, Rejection } from "./Message.ts"
import type { Settlement } from "./Settlement.ts"
import type { Stage } from "./Stage.ts"
import { reasonOf } from "./Supervisor.ts"

/** An error of `write`. `retryable` says whether trying again, unchanged, can help. */
export interface WriteError {
  readonly retryable: boolean
  readonly message: string
}

/** How often a write of a single message may die before the message is rejected. */
const DEATHS_MAX = 3

class WriteTimedOut extends Schema.TaggedError<WriteTimedOut>()("WriteTimedOut", { after: Schema.String }) {
  readonly retryable = true
  override get message(): string {
    return `no answer within ${this.after}`
  }
}

class WriteDied extends Schema.TaggedError<WriteDied>()("WriteDied", { reason: Schema.String }) {
  readonly retryable = false
  override get message(): string {
    return `the writer died of it: ${this.reason}`
  }
}

export const run = <B, T, R>(options: {
  readonly write: (values: ReadonlyArray<B>) => Effect.Effect<unknown, WriteError, R>
  readonly timeout: Duration.Input
  readonly backoff: { readonly from: Duration.Input; readonly to: Duration.Input }
  readonly from: Mailbox<ReadonlyArray<Message<B, T>>>
  readonly rejected: Mailbox<Rejection<T>>
  readonly settlement: Settlement<T, R>
  readonly stage: Stage
}): Effect.Effect<void, never, R> => {
  const { from, rejected, settlement, stage } = options
  const after = Duration.format(Duration.fromInputUnsafe(options.timeout))
  const schedule = Schedule.min([Schedule.exponential(options.backoff.from), Schedule.spaced(options.backoff.to)]).pipe(
    Schedule.jittered
  )

  const attempt = (batch: ReadonlyArray<Message<B, T>>): Effect.Effect<unknown, WriteError, R> =>
    Effect.suspend(() => {
      let deathsLeft = batch.length === 1 ? DEATHS_MAX - 1 : 0
      return Effect.suspend(() => options.write(batch.map((message) => message.value))).pipe(
        Effect.timeoutOrElse({ duration: options.timeout, orElse: () => Effect.fail(new WriteTimedOut({ after })) }),
        Effect.catchDefect((defect) => Effect.fail(new WriteDied({ reason: reasonOf(Cause.die(defect)) }))),
        Effect.retry({
          schedule,
          while: (error: WriteError) => {
            const again = error.retryable || (error instanceof WriteDied && deathsLeft-- > 0)
            return again ? Effect.as(stage.retry(error.message), true) : Effect.succeed(false)
          }
        })
      )
    })

  /** `handedOn` collects those of the batch that are the rejecter's now. */
  const write = (batch: ReadonlyArray<Message<B, T>>, handedOn: Set<Message<B, T>>): Effect.Effect<void, never, R> =>
    Effect.flatMap(Effect.exit(attempt(batch)), (exit) => {
      if (Exit.isSuccess(exit)) {
        return Effect.andThen(
          settlement.done(batch, "accepted", stage),
          Effect.sync(() => {
            stage.passed += batch.length
            stage.inHand -= batch.length
          })
        )
      }
      // Only an interruption is left besides typed errors: the messages stay open and are kept by the pipeline.
      if (!Cause.hasFails(exit.cause)) return Effect.interrupt
      if (batch.length > 1) {
        const middle = batch.length >> 1
        return Effect.andThen(write(batch.slice(0, middle), handedOn), write(batch.slice(middle), handedOn))
      }
      return Effect.andThen(
        rejected.offer([{ message: batch[0]!, reason: reasonOf(exit.cause) }]),
        Effect.sync(() => {
          handedOn.add(batch[0]!)
          stage.rejected++
          stage.inHand--
        })
      )
    })

  /** What is left of a batch whose writer died goes back to the source. An interruption is the pipeline's to clean up. */
  const rescue = (
    batch: ReadonlyArray<Message<B, T>>,
    handedOn: ReadonlySet<Message<B, T>>,
    cause: Cause.Cause<never>
  ): Effect.Effect<void, never, R> =>
    Cause.hasInterrupts(cause)
      ? Effect.void
      : Effect.map(settlement.keep(batch.filter((message) => !handedOn.has(message))), (kept) => {
          stage.kept += kept
          stage.inHand -= kept
        })

  return Effect.gen(function* () {
    while (true) {
      const taken = yield* from.take(1)
      if (Option.isNone(taken)) return
      const batch = taken.value[0]!
      stage.received += batch.length
      stage.inHand += batch.length
      const handedOn = new Set<Message<B, T>>()
      yield* Effect.onError(write(batch, handedOn), (cause) => rescue(batch, handedOn, cause))
    }
  })
}
