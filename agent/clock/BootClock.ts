/**
 * Milliseconds since the machine booted, suspended time included: the clock that nobody sets, to tell a wall clock that was
 * set from time that passed. (The monotonic clock of `Clock` stands still while the machine is suspended.)
 */
import { uptime } from "node:os"
import { type Clock, Context, Layer } from "effect"

/** By default the monotonic clock, which tests move. */
export const BootClock = Context.Reference<(clock: Clock.Clock) => number>("nodepulse/agent/BootClock", {
  defaultValue: () => (clock) => Number(clock.monotonicTimeNanosUnsafe() / 1_000n) / 1_000
})

/** What /proc/uptime says, to 10 ms; elsewhere than on Linux the default. */
export const layer: Layer.Layer<never> =
  process.platform === "linux" ? Layer.succeed(BootClock, () => uptime() * 1_000) : Layer.empty
