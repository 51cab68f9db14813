/**
 * The silences, as a port.
 *
 * Guarantee: a silence and its entry in the audit are one transaction. Bounds: {@link SILENCES_MAX} that are not over; those that are
 * over are kept for {@link KEPT_DAYS} days.
 */
import { Context, type Effect, Schema } from "effect"
import type { DatabaseUnavailable } from "../../sinks/storage/DatabaseUnavailable.ts"
import type { Silence } from "./Silence.ts"

export const SILENCES_MAX = 500
export const KEPT_DAYS = 30
/** From now until it ends. */
export const SILENCE_DAYS_MAX = 366

/** There is no such silence. Not retryable. */
export class UnknownSilence extends Schema.TaggedError<UnknownSilence>()("UnknownSilence", {
  silenceId: Schema.String
}) {
  readonly retryable = false
  override get message(): string {
    return `there is no silence ${JSON.stringify(this.silenceId)}`
  }
}

/** There are as many silences as there may be. Not retryable: somebody has to end one. */
export class TooManySilences extends Schema.TaggedError<TooManySilences>()("TooManySilences", { limit: Schema.Int }) {
  readonly retryable = false
  override get message(): string {
    return `there are ${this.limit} silences that are not over, as many as there may be: end one first`
  }
}

export type NewSilence = Omit<Silence, "id" | "by">

export class Silences extends Context.Service<
  Silences,
  {
    /** Those that mute at a moment, epoch milliseconds. */
    readonly active: (at: number) => Effect.Effect<ReadonlyArray<Silence>, DatabaseUnavailable>
    /** Those that are not over, by when they end; then those that are, the latest first. At most twice {@link SILENCES_MAX}. */
    readonly list: Effect.Effect<ReadonlyArray<Silence>, DatabaseUnavailable>
    readonly add: (silence: NewSilence) => Effect.Effect<Silence, TooManySilences | DatabaseUnavailable>
    /** Ends it now; one that has not begun is removed. One that is over stays as it is. */
    readonly end: (silenceId: string) => Effect.Effect<void, UnknownSilence | DatabaseUnavailable>
  }
>()("nodepulse/alerts/Silences") {}
