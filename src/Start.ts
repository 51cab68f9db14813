/**
 * What a start waits for, so that whoever asks meanwhile can be told (`src/http/ingest/WaitingRoom.ts`). Without anybody who asks
 * it costs nothing.
 */
import { Context, Effect } from "effect"

/** Where a start notes what it waits for. */
export const Start = Context.Reference<{
  readonly waitingFor: <A, E, R>(name: string, effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}>("nodepulse/http/Start", { defaultValue: () => ({ waitingFor: (_, effect) => effect }) })

/** Notes that the start waits for `name` while the effect runs. */
export const waitingFor =
  (name: string) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.flatMap(Start, (start) => start.waitingFor(name, effect))
