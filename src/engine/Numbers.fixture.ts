/** What the tests of the engine share: the smallest world around a pipeline. */
import { Effect, Result } from "effect"
import type * as Pipeline from "./Pipeline.ts"

/** A source of the numbers from 0, which ends when it is empty, and a pipeline around it with small bounds. */
export const numbers = (count: number) => {
  const waiting = Array.from({ length: count }, (_, id) => id)
  const acknowledged: Array<number> = []
  const released: Array<number> = []
  const written: Array<ReadonlyArray<number>> = []
  const recorded: Array<{ readonly ticket: number; readonly reason: string }> = []
  const definition = {
    name: "numbers",
    producer: {
      source: {
        ask: (demand: number) =>
          Effect.suspend(() =>
            waiting.length === 0
              ? Effect.never
              : Effect.succeed(waiting.splice(0, demand).map((id) => ({ value: id, ticket: id })))
          ),
        acknowledge: (ids: ReadonlyArray<number>) => Effect.sync(() => void acknowledged.push(...ids)),
        release: (ids: ReadonlyArray<number>) => Effect.sync(() => void released.push(...ids))
      },
      demand: 10,
      inFlight: 40
    },
    processor: { process: (id: number): Result.Result<number, string> => Result.succeed(id), mailbox: 10 },
    batcher: {
      keys: ["even", "odd"] as ReadonlyArray<"even" | "odd">,
      key: (id: number): "even" | "odd" => (id % 2 === 0 ? "even" : "odd"),
      size: 8,
      flushAfter: "200 millis",
      mailbox: 10
    },
    writer: {
      write: (_key: "even" | "odd", ids: ReadonlyArray<number>): Effect.Effect<void, never> =>
        Effect.sync(() => void written.push(ids)),
      concurrency: 1,
      timeout: "5 seconds",
      backoff: { from: "100 millis", to: "1 second" }
    },
    rejecter: {
      record: (rejected: ReadonlyArray<{ readonly ticket: number; readonly reason: string }>) =>
        Effect.sync(() => void recorded.push(...rejected)),
      mailbox: 5
    },
    drainWithin: "3 seconds"
  } satisfies Pipeline.Definition<number, number, "even" | "odd", number, never>
  return { waiting, acknowledged, released, written, recorded, definition }
}

export const sorted = (ids: ReadonlyArray<number>) => ids.toSorted((a, b) => a - b)
export const upTo = (count: number) => Array.from({ length: count }, (_, id) => id)
