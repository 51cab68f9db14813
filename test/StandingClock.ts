/**
 * A clock that stands where it is put, while timers run in real time. (A TestClock put years ahead would run the timers of
 * a pool of connections millions of times.)
 */
import { Clock, Effect } from "effect"

export interface StandingClock {
  /** Epoch milliseconds. */
  readonly set: (millis: number) => void
  readonly stood: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

export const makeStandingClock = (): StandingClock => {
  let now = 0
  const nanos = () => BigInt(Math.round(now * 1_000)) * 1_000n
  const over = (real: Clock.Clock): Clock.Clock => ({
    sleep: (duration) => real.sleep(duration),
    monotonicTimeNanosUnsafe: () => real.monotonicTimeNanosUnsafe(),
    monotonicTimeNanos: real.monotonicTimeNanos,
    currentTimeNanosUnsafe: nanos,
    currentTimeNanos: Effect.sync(nanos),
    currentTimeMillisUnsafe: () => now,
    currentTimeMillis: Effect.sync(() => now)
  })
  return {
    set: (millis) => {
      now = millis
    },
    stood: (self) => Clock.clockWith((real) => Effect.provideService(self, Clock.Clock, over(real)))
  }
}
