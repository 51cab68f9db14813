/**
 * Waiting for a part that is not there yet: how often it is asked, and how often the log says so.
 *
 * A start that waits for an hour should be seen to wait, and not fill the log: the reason is told at once, again when it
 * becomes another one, and else after 10 seconds, 20, 40, then every minute. {@link PATIENCE} asks more often than that.
 */
import { Clock, Effect, Schedule } from "effect"

/** Soon at first, then every 5 seconds. */
export const PATIENCE = Schedule.min([Schedule.exponential("200 millis", 1.6), Schedule.spaced("5 seconds")])

const FIRST_PAUSE_MILLIS = 10_000
const PAUSE_MAX_MILLIS = 60_000

/** Says what is waited for, and why. One of them for one wait. */
export const makeNotice = (what: string): ((reason: string) => Effect.Effect<void>) => {
  let told: { readonly reason: string; readonly at: number; readonly pause: number } | undefined
  return (reason) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      if (told !== undefined && told.reason === reason && now - told.at < told.pause) return Effect.void
      const pause =
        told?.reason === reason ? Math.min(PAUSE_MAX_MILLIS, told.pause * 2) : (told?.pause ?? FIRST_PAUSE_MILLIS)
      told = { reason, at: now, pause }
      return Effect.logWarning(`waiting for ${what}: ${reason}`)
    })
}
