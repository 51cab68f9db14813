/** A clock whose wall time a test can set, while the monotonic time of the clock below goes on. */
import { Clock, Effect } from "effect"

export interface SetClock {
  /** Sets the wall clock by so many milliseconds; negative: back. */
  readonly set: (millis: number) => void
  readonly provided: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

export const makeSetClock = (): SetClock => {
  let ahead = 0
  const over = (real: Clock.Clock): Clock.Clock => {
    const millis = () => real.currentTimeMillisUnsafe() + ahead
    const nanos = () => real.currentTimeNanosUnsafe() + BigInt(ahead) * 1_000_000n
    return {
      // What a TestClock has beside.
      ...real,
      sleep: (duration) => real.sleep(duration),
      monotonicTimeNanosUnsafe: () => real.monotonicTimeNanosUnsafe(),
      monotonicTimeNanos: real.monotonicTimeNanos,
      currentTimeNanosUnsafe: nanos,
      currentTimeNanos: Effect.sync(nanos),
      currentTimeMillisUnsafe: millis,
      currentTimeMillis: Effect.sync(millis)
    }
  }
  return {
    set: (millis) => {
      ahead += millis
    },
    provided: (self) => Clock.clockWith((real) => Effect.provideService(self, Clock.Clock, over(real)))
  }
}
