/**
 * Whether what is to be stored is being stored: the outcome of the last real writes, for the log and for readiness.
 *
 * A write that fails for now is repeated by the pipeline for as long as it takes, and nothing is lost meanwhile; but somebody
 * should know. The log says when it begins, again every minute with the number of attempts, and once when it is over. The
 * check fails from the second failure in a row on: one alone, such as a deadlock, is everyday life.
 *
 * What is refused for what it holds says nothing about the database, and is no failure here. Bound: an entry for each name
 * that is watched: the exporters, and the dead letters.
 */
import { Cause, Clock, Context, Duration, Effect, Exit, Layer } from "effect"

/** An error of a write, as `DatabaseUnavailable` and `RowsRefused` are. */
interface WriteFailure {
  readonly retryable: boolean
  readonly message: string
}

interface WriteHealthShape {
  /** Runs a write, and notes how it ended. `what` is what is written: `rows of process_exporter`. */
  readonly watch: <A, E extends WriteFailure, R>(what: string, write: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Fails with what cannot be written, since when and why. */
  readonly check: Effect.Effect<void, { readonly message: string }>
}

const AGAIN_AFTER = Duration.minutes(1)
/** Failures that come and go are told at most this often. */
const TOLD_AT_MOST_EVERY = Duration.seconds(10)
const IN_A_ROW = 2

export const makeWriteHealth = (): WriteHealthShape => {
  const failing = new Map<string, Failing>()
  const lastTold = new Map<string, number>()

  const failed = Effect.fnUntraced(function* (what: string, reason: string) {
    const now = yield* Clock.currentTimeMillis
    const known = failing.get(what)
    const state = known ?? { since: now, attempts: 0, reason, told: undefined }
    state.attempts++
    state.reason = reason
    failing.set(what, state)
    if (state.told === undefined) {
      if (now - (lastTold.get(what) ?? Number.NEGATIVE_INFINITY) < Duration.toMillis(TOLD_AT_MOST_EVERY)) return
      yield* Effect.logWarning(`${what} cannot be written, and wait: ${reason}`)
    } else {
      if (now - state.told < Duration.toMillis(AGAIN_AFTER)) return
      yield* Effect.logWarning(`${what} still cannot be written, ${sinceText(state, now)}: ${reason}`)
    }
    state.told = now
    lastTold.set(what, now)
  })

  const succeeded = (what: string) =>
    Effect.suspend(() => {
      const state = failing.get(what)
      if (state === undefined) return Effect.void
      failing.delete(what)
      if (state.told === undefined) return Effect.void
      return Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Effect.logInfo(`${what} are written again, after ${timeText(now - state.since)} and ${state.attempts} failures`)
      )
    })

  return {
    watch: (what, write) =>
      Effect.onExit(write, (exit) => {
        if (Exit.isSuccess(exit)) return succeeded(what)
        if (Cause.hasInterruptsOnly(exit.cause)) return Effect.void
        const failure = exit.cause.reasons.find(Cause.isFailReason)?.error
        if (failure?.retryable === false) return succeeded(what)
        return failed(what, failure?.message ?? String(Cause.squash(exit.cause)))
      }),
    check: Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const all = [...failing].filter(([, { attempts }]) => attempts >= IN_A_ROW)
      if (all.length === 0) return Effect.void
      const message = all.map(([what, state]) => `${what} ${sinceText(state, now)}: ${state.reason}`).join("; ")
      return Effect.fail({ message: `cannot be written: ${message}` })
    })
  }
}

/** For readiness and digest; without a layer nobody asks, and nothing is noted for long. */
export const WriteHealth = Context.Reference<WriteHealthShape>("nodepulse/sinks/WriteHealth", {
  defaultValue: makeWriteHealth
})

/** One for this server. */
export const layerWriteHealth: Layer.Layer<never> = Layer.effect(WriteHealth, Effect.sync(makeWriteHealth))

interface Failing {
  readonly since: number
  attempts: number
  reason: string
  /** When the log last said so; undefined where it has not yet. */
  told: number | undefined
}

const sinceText = ({ attempts, since }: Failing, now: number): string =>
  `for ${timeText(now - since)} (${attempts} failures)`

const timeText = (millis: number): string => Duration.format(Duration.seconds(Math.round(millis / 1_000)))
