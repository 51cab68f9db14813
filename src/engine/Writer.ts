/**
 * The writer: writes one batch at a time and settles its messages.
 *
 * - The write succeeds: all accepted.
 * - It fails for now (`retryable`), or does not answer in time: again, after a backoff with jitter, until it succeeds.
 *   Meanwhile the stage stands still, and with it, once the mailboxes are full, the demand: this is the backpressure.
 * - It fails for good, or dies: the batch is halved, and the halves are written, until the guilty message is alone. That
 *   one is rejected; a death is given a few more tries first, since it may have had nothing to do with the message.
 * - It fails since some are not to be written here, or not now (`isKept`): those are kept, and the rest is written without them.
 * - It is interrupted from within, by a connection pool that closes: that too is a failure for now.
 */
import { Cause, Duration, Effect, Option, Schedule, Schema } from "effect"
import type { Mailbox } from "./Mailbox.ts"
import { apart, type Message, type Rejection, totalOf } from "./Message.ts"
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

class WriteInterrupted extends Schema.TaggedError<WriteInterrupted>()("WriteInterrupted", {}) {
  readonly retryable = true
  override get message(): string {
    return "the write was interrupted"
  }
}

/** What a failed write means, whatever it failed of. */
const errorOf = (cause: Cause.Cause<WriteError>): WriteError => {
  if (Cause.hasDies(cause)) return new WriteDied({ reason: reasonOf(cause) })
  return cause.reasons.find(Cause.isFailReason)?.error ?? new WriteInterrupted({})
}

export const run = <B, T, R>(options: {
  readonly write: (values: ReadonlyArray<B>, tickets: ReadonlyArray<T>) => Effect.Effect<unknown, WriteError, R>
  readonly isKept: (error: unknown, ticket: T) => boolean
  readonly timeout: Duration.Input
  readonly backoff: { readonly from: Duration.Input; readonly to: Duration.Input }
  /** Two in the place of one that stands for several. */
  readonly cut: (message: Message<B, T>, at: number) => readonly [Message<B, T>, Message<B, T>]
  readonly from: Mailbox<ReadonlyArray<Message<B, T>>>
  readonly rejected: Mailbox<Rejection<T>>
  readonly settlement: Settlement<T, R>
  readonly stage: Stage
}): Effect.Effect<void, never, R> => {
  const { from, isKept, rejected, settlement, stage } = options
  const after = Duration.format(Duration.fromInputUnsafe(options.timeout))
  const schedule = Schedule.min([Schedule.exponential(options.backoff.from), Schedule.spaced(options.backoff.to)]).pipe(
    Schedule.jittered
  )

  const attempt = (batch: ReadonlyArray<Message<B, T>>): Effect.Effect<unknown, WriteError, R> =>
    Effect.suspend(() => {
      let deathsLeft = totalOf(batch) === 1 ? DEATHS_MAX - 1 : 0
      const values = batch.map((message) => message.value)
      const tickets = batch.map((message) => message.acknowledgement.ticket)
      return Effect.suspend(() => options.write(values, tickets)).pipe(
        Effect.timeoutOrElse({ duration: options.timeout, orElse: () => Effect.fail(new WriteTimedOut({ after })) }),
        // An interruption of our own skips this, so one that arrives here is the write's.
        Effect.catchCause((cause) => Effect.fail(errorOf(cause))),
        Effect.retry({
          schedule,
          while: (error: WriteError) => {
            if (tickets.some((ticket) => isKept(error, ticket))) return Effect.succeed(false)
            const again = error.retryable || (error instanceof WriteDied && deathsLeft-- > 0)
            return again ? Effect.as(stage.retry(error.message), true) : Effect.succeed(false)
          }
        })
      )
    })

  /** Two of something that is more than one message. */
  const halves = (
    batch: ReadonlyArray<Message<B, T>>
  ): readonly [ReadonlyArray<Message<B, T>>, ReadonlyArray<Message<B, T>>] => {
    if (batch.length > 1) return [batch.slice(0, batch.length >> 1), batch.slice(batch.length >> 1)]
    const [first, rest] = options.cut(batch[0]!, totalOf(batch) >> 1)
    return [[first], [rest]]
  }

  const write = (batch: ReadonlyArray<Message<B, T>>): Effect.Effect<void, never, R> =>
    Effect.matchEffect(attempt(batch), {
      onSuccess: () => settlement.done(batch, "accepted", stage),
      onFailure: (error) => {
        const [kept, rest] = apart(batch, error, isKept)
        if (kept.length > 0) {
          const told = settlement.keep(kept, stage)
          return rest.length === 0 ? told : Effect.andThen(told, write(rest))
        }
        if (totalOf(batch) > 1) {
          const [first, rest] = halves(batch)
          return Effect.andThen(write(first), write(rest))
        }
        return Effect.andThen(
          rejected.offer([{ message: batch[0]!, reason: reasonOf(Cause.fail(error)) }]),
          Effect.sync(() => {
            stage.rejected++
            stage.inHand--
          })
        )
      }
    })

  return Effect.gen(function* () {
    while (true) {
      const taken = yield* from.take(1)
      if (Option.isNone(taken)) return
      const batch = taken.value[0]!
      const count = totalOf(batch)
      stage.received += count
      stage.inHand += count
      yield* write(batch)
    }
  })
}
