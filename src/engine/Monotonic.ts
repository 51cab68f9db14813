/** The time of the clock that nobody sets, for what is measured or waited for within a process. */
import { Clock, Effect } from "effect"

/** Milliseconds since some moment of this process's life; only differences mean something. */
export const monotonicMillis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)
