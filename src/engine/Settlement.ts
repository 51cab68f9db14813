/**
 * Settling messages: tells the source first, then the ledger, then gives back the room they took.
 *
 * Telling the source that messages are done is repeated until it succeeds: what was written must not be delivered for
 * ever. Telling it that messages are kept is tried for a short while only: a source delivers again what it does not hear
 * of, so nothing is lost. A message whose acknowledgement was under way when the time was up counts as kept too, although
 * the source may have heard it: the outcome is unknown.
 */
import { Effect, Schedule, type Semaphore } from "effect"
import type { Acknowledgement, Ledger } from "./Acknowledgement.ts"
import { type Message, type Outcome, totalOf } from "./Message.ts"
import type { Stage } from "./Stage.ts"
import { reasonOf } from "./Supervisor.ts"

/**
 * Where messages come from, and where their outcome is told. Safe to call from several fibers. Where one stands for several
 * (`Parcels`), tickets are parts of those that were given: each message is in one of them.
 */
export interface Source<A, T, R> {
  /** Waits for messages, gives at most `demand`. Interruptible without loss. */
  readonly ask: (demand: number) => Effect.Effect<ReadonlyArray<{ readonly value: A; readonly ticket: T }>, unknown, R>
  /** These are done for good. May be called again with the same tickets. */
  readonly acknowledge: (tickets: ReadonlyArray<T>) => Effect.Effect<void, unknown, R>
  /** These are to be delivered again. */
  readonly release: (tickets: ReadonlyArray<T>) => Effect.Effect<void, unknown, R>
}

export interface Settlement<T, R> {
  /** Tells the source, until it hears, that these are done; the stage then has them no more in hand. */
  readonly done: (
    messages: ReadonlyArray<Message<unknown, T>>,
    outcome: Exclude<Outcome, "kept">,
    stage: Stage
  ) => Effect.Effect<void, never, R>
  /** Gives these back to the source, which delivers them again where it still can; the stage has them no more in hand. */
  readonly keep: (messages: ReadonlyArray<Message<unknown, T>>, stage: Stage) => Effect.Effect<void, never, R>
  /** Gives all that is still under way back to the source, and says how many. */
  readonly keepAll: Effect.Effect<number, never, R>
}

const RETRY = Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("5 seconds")]).pipe(Schedule.jittered)

export const make = <T, R>(options: {
  readonly source: Source<unknown, T, R>
  readonly ledger: Ledger<T>
  readonly room: Semaphore.Semaphore
}): Settlement<T, R> => {
  const { ledger, room, source } = options
  const settle = (acknowledgements: ReadonlyArray<Acknowledgement<T>>, outcome: Outcome) =>
    Effect.suspend(() => {
      let count = 0
      for (const acknowledgement of acknowledgements) {
        ledger.settle(acknowledgement, outcome)
        count += acknowledgement.count
      }
      return Effect.asVoid(room.release(count))
    })
  /** Tells the source, for a moment, that these are not done. */
  const given = (acknowledgements: ReadonlyArray<Acknowledgement<T>>, count: number) =>
    Effect.suspend(() => source.release(acknowledgements.map((a) => a.ticket))).pipe(
      Effect.timeout("2 seconds"),
      Effect.catchCause((cause) => Effect.logWarning(`${count} messages are delivered again later: ${reasonOf(cause)}`))
    )
  const keepAll = Effect.suspend(() => {
    const open = ledger.open()
    const count = ledger.counts().inFlight
    if (count === 0) return Effect.succeed(0)
    return Effect.as(Effect.andThen(given(open, count), settle(open, "kept")), count)
  })
  return {
    done: (messages, outcome, stage) =>
      Effect.uninterruptibleMask((restore) => {
        const acknowledgements = messages.map((message) => message.acknowledgement)
        // Whatever its cause: an interruption of our own skips the retries, so one that arrives here is the source's.
        const told = Effect.suspend(() => source.acknowledge(acknowledgements.map((a) => a.ticket))).pipe(
          Effect.sandbox,
          Effect.tapError((cause) => stage.retry(`acknowledge: ${reasonOf(cause)}`)),
          Effect.retry(RETRY),
          Effect.orDie
        )
        const noted = Effect.sync(() => {
          const count = totalOf(messages)
          stage.inHand -= count
          if (outcome === "accepted") stage.passed += count
          else stage.rejected += count
        })
        return Effect.andThen(restore(told), Effect.andThen(settle(acknowledgements, outcome), noted))
      }),
    keep: (messages, stage) =>
      Effect.uninterruptibleMask((restore) => {
        const acknowledgements = messages.map((message) => message.acknowledgement)
        const count = totalOf(messages)
        const noted = Effect.sync(() => {
          stage.inHand -= count
          stage.kept += count
        })
        return restore(given(acknowledgements, count)).pipe(
          Effect.andThen(settle(acknowledgements, "kept")),
          Effect.andThen(noted)
        )
      }),
    keepAll
  }
}
