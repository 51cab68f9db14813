/**
 * Who waits for something to do, by server: woken by this process when a person asks something, and by its look at the database where
 * that was another process. How many wait is bounded where they come in (`HandsPoll.ts`).
 */
import { Effect } from "effect"

interface Wakes {
  /** Until it is woken, or so many milliseconds have passed. */
  readonly wait: (serverId: string, millis: number) => Effect.Effect<void>
  readonly wake: (serverId: string) => void
  /** Whether anybody waits. */
  readonly anybody: () => boolean
}

export const makeWakes = (): Wakes => {
  const waiting = new Map<string, Set<() => void>>()
  const leave = (serverId: string, one: () => void) => {
    const all = waiting.get(serverId)
    all?.delete(one)
    if (all?.size === 0) waiting.delete(serverId)
  }
  return {
    wait: (serverId, millis) =>
      Effect.callback<void>((resume) => {
        const one = () => {
          leave(serverId, one)
          resume(Effect.void)
        }
        const all = waiting.get(serverId) ?? new Set()
        waiting.set(serverId, all)
        all.add(one)
        return Effect.sync(() => leave(serverId, one))
      }).pipe(Effect.timeoutOption(millis), Effect.asVoid),
    wake: (serverId) => {
      for (const one of [...(waiting.get(serverId) ?? [])]) one()
    },
    anybody: () => waiting.size > 0
  }
}
