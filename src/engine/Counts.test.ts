/** What each stage counts, to the message: a change of any of these counters fails here. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Result } from "effect"
import { TestClock } from "effect/testing"
import { numbers } from "./Numbers.fixture.ts"
import * as Pipeline from "./Pipeline.ts"

/** Fails the first so many times. */
const failing = (times: number, error: unknown) => {
  let left = times
  return Effect.suspend((): Effect.Effect<void, unknown> => (left-- > 0 ? Effect.fail(error) : Effect.void))
}

const away = { retryable: true, message: "away" }
const counted = (pipeline: Pipeline.Pipeline<never>) =>
  Object.fromEntries(
    pipeline
      .view()
      .stages.map(({ inHand, kept, passed, received, rejected, retries, stage }) => [
        stage,
        { received, passed, rejected, kept, inHand, retries }
      ])
  )
const clean = { rejected: 0, kept: 0, inHand: 0, retries: 0 }

describe("what is counted", () => {
  it.effect("is each message once a stage, by what became of it there, and each failed attempt once", () =>
    Effect.gen(function* () {
      const world = numbers(50)
      const { definition } = world
      const asking = failing(2, away)
      const acknowledging = failing(1, new Error("deaf"))
      const recording = failing(3, new Error("full"))
      const writing = failing(2, away)
      const pipeline = Pipeline.make<number, number, "even" | "odd", number, never>({
        ...definition,
        producer: {
          ...definition.producer,
          source: {
            ...definition.producer.source,
            ask: (demand) => Effect.andThen(asking, definition.producer.source.ask(demand)),
            acknowledge: (ids) => Effect.andThen(acknowledging, definition.producer.source.acknowledge(ids))
          }
        },
        processor: {
          ...definition.processor,
          process: (id) => (id === 3 ? Result.fail("no") : Result.succeed(id))
        },
        writer: {
          ...definition.writer,
          write: (key, ids) => {
            if (ids.includes(10)) return Effect.fail({ retryable: false, message: "bad" })
            const first = key === "odd" ? Effect.mapError(writing, () => away) : Effect.void
            return Effect.andThen(first, definition.writer.write(key, ids))
          }
        },
        rejecter: {
          ...definition.rejecter,
          record: (rejected) => Effect.andThen(recording, definition.rejecter.record(rejected))
        }
      })
      const fiber = yield* Effect.forkChild(pipeline.run)
      for (let turn = 0; turn < 100; turn++) yield* TestClock.adjust("100 millis")
      const stages = counted(pipeline)
      const acknowledgements = Object.values(stages).reduce((sum, { retries }) => sum + retries, 0) - 2 - 2 - 3
      assert.strictEqual(acknowledgements, 1, "one acknowledgement was repeated, by whichever stage was first")
      const withoutRetries = Object.fromEntries(
        Object.entries(stages).map(([stage, counts]) => [stage, { ...counts, retries: 0 }])
      )
      assert.deepStrictEqual(withoutRetries, {
        producer: { ...clean, received: 50, passed: 50 },
        processor: { ...clean, received: 50, passed: 49, rejected: 1 },
        "batcher:even": { ...clean, received: 25, passed: 25 },
        "batcher:odd": { ...clean, received: 24, passed: 24 },
        "writer:even": { ...clean, received: 25, passed: 24, rejected: 1 },
        "writer:odd": { ...clean, received: 24, passed: 24 },
        rejecter: { ...clean, received: 2, passed: 0, rejected: 2 }
      })
      assert.strictEqual(stages.producer!.retries, 2)
      assert.isAtLeast(stages["writer:odd"]!.retries, 2)
      assert.isAtLeast(stages.rejecter!.retries, 3)
      assert.deepStrictEqual(pipeline.view().books, { received: 50, accepted: 48, rejected: 2, kept: 0, inFlight: 0 })
      assert.match(pipeline.view().stages[0]!.lastError!.reason, /away/)
      yield* Fiber.interrupt(fiber)
    })
  )

  it.effect("as in hand or in flight is what is under way at this moment, and as kept what a stop left", () =>
    Effect.gen(function* () {
      const world = numbers(12)
      const { definition } = world
      const written = yield* Deferred.make<void>()
      const pipeline = Pipeline.make({
        ...definition,
        writer: {
          ...definition.writer,
          timeout: "1 hour",
          write: (key: "even" | "odd", ids: ReadonlyArray<number>) =>
            key === "odd" ? Deferred.await(written) : definition.writer.write(key, ids)
        }
      })
      const fiber = yield* Effect.forkChild(pipeline.run)
      for (let turn = 0; turn < 20; turn++) yield* TestClock.adjust("50 millis")
      assert.deepStrictEqual(pipeline.view().books, { received: 12, accepted: 6, rejected: 0, kept: 0, inFlight: 6 })
      assert.deepStrictEqual(counted(pipeline)["writer:odd"], { ...clean, received: 6, passed: 0, inHand: 6 })
      assert.deepStrictEqual(counted(pipeline)["writer:even"], { ...clean, received: 6, passed: 6 })
      const stopping = yield* Effect.forkChild(Fiber.interrupt(fiber))
      for (let turn = 0; turn < 50; turn++) yield* TestClock.adjust("100 millis")
      yield* Fiber.await(stopping)
      assert.deepStrictEqual(pipeline.view().books, { received: 12, accepted: 6, rejected: 0, kept: 6, inFlight: 0 })
      assert.deepStrictEqual(counted(pipeline)["writer:odd"], { ...clean, received: 6, passed: 0, kept: 6 })
      assert.strictEqual(world.released.length, 6)
    })
  )
})
