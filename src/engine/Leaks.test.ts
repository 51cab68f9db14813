/**
 * What may go wrong while a message is between two hands: none may stay in flight with nobody who holds it, and no room may
 * be gone for good.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Result } from "effect"
import { TestClock } from "effect/testing"
import { numbers, sorted, upTo } from "./Numbers.fixture.ts"
import * as Pipeline from "./Pipeline.ts"

const advance = (millis: number) =>
  Effect.gen(function* () {
    for (let turn = 0; turn < millis / 10; turn++) yield* TestClock.adjust("10 millis")
  })

describe("nothing stays in flight that nobody holds", () => {
  it.effect("a write that is interrupted by something of its own is tried again", () =>
    Effect.gen(function* () {
      const world = numbers(5)
      const { writer } = world.definition
      let interruptions = 3
      const pipeline = Pipeline.make({
        ...world.definition,
        writer: {
          ...writer,
          write: (key, ids) => Effect.suspend(() => (interruptions-- > 0 ? Effect.interrupt : writer.write(key, ids)))
        }
      })
      const fiber = yield* Effect.forkChild(pipeline.run)
      yield* advance(3_000)
      assert.deepStrictEqual(sorted(world.acknowledged), upTo(5))
      assert.deepStrictEqual(pipeline.view().books, { received: 5, accepted: 5, rejected: 0, kept: 0, inFlight: 0 })
      yield* Fiber.interrupt(fiber)
    })
  )

  it.effect("an acknowledgement that is interrupted by something of its own is repeated", () =>
    Effect.gen(function* () {
      const world = numbers(5)
      const { source } = world.definition.producer
      let interruptions = 3
      const pipeline = Pipeline.make({
        ...world.definition,
        processor: {
          ...world.definition.processor,
          process: (id) => (id === 3 ? Result.fail("no") : Result.succeed(id))
        },
        producer: {
          ...world.definition.producer,
          source: {
            ...source,
            acknowledge: (ids) =>
              Effect.suspend(() => (interruptions-- > 0 ? Effect.interrupt : source.acknowledge(ids)))
          }
        }
      })
      const fiber = yield* Effect.forkChild(pipeline.run)
      yield* advance(3_000)
      assert.deepStrictEqual(pipeline.view().books, { received: 5, accepted: 4, rejected: 1, kept: 0, inFlight: 0 })
      assert.deepStrictEqual(sorted(world.acknowledged), upTo(5))
      yield* Fiber.interrupt(fiber)
    })
  )

  it.effect("a message that is refused in a way that cannot be printed is rejected alone", () =>
    Effect.gen(function* () {
      const world = numbers(10)
      const pipeline = Pipeline.make({
        ...world.definition,
        processor: {
          ...world.definition.processor,
          process: (id) => {
            if (id === 4) throw Object.create(null)
            return Result.succeed(id)
          }
        }
      })
      const fiber = yield* Effect.forkChild(pipeline.run)
      yield* advance(1_000)
      assert.deepStrictEqual(pipeline.view().books, { received: 10, accepted: 9, rejected: 1, kept: 0, inFlight: 0 })
      yield* Fiber.interrupt(fiber)
    })
  )

  it.effect("a stage that dies ends the run, which keeps what it held; the next run goes on", () =>
    Effect.gen(function* () {
      const world = numbers(5)
      const { writer } = world.definition
      // Reading the message of this error kills whoever reports it: a stand-in for a defect of ours.
      const deadly = {
        retryable: true,
        get message(): string {
          throw new Error("the stage dies")
        }
      }
      const pipeline = Pipeline.make({
        ...world.definition,
        writer: {
          ...writer,
          write: (key, ids) => Effect.suspend(() => (dead ? Effect.fail(deadly) : writer.write(key, ids)))
        }
      })
      let dead = true
      const fiber = yield* Effect.forkChild(Effect.exit(pipeline.run))
      yield* advance(1_000)
      const exit = yield* Fiber.join(fiber)
      assert.isTrue(Exit.isFailure(exit))
      assert.include(String(exit), "the stage dies")
      assert.deepStrictEqual(sorted(world.released), upTo(5))
      assert.deepStrictEqual(pipeline.view().books, { received: 5, accepted: 0, rejected: 0, kept: 5, inFlight: 0 })
      dead = false
      world.waiting.push(...world.released)
      const again = yield* Effect.forkChild(pipeline.run)
      yield* advance(1_000)
      assert.deepStrictEqual(pipeline.view().books, { received: 10, accepted: 5, rejected: 0, kept: 5, inFlight: 0 })
      yield* Fiber.interrupt(again)
    })
  )
})

describe("no room is gone for good", () => {
  it.effect("a source that gives more than it was asked for uses none up", () =>
    Effect.gen(function* () {
      const world = numbers(60)
      const { source } = world.definition.producer
      let tooMuch = 6
      const pipeline = Pipeline.make({
        ...world.definition,
        producer: {
          ...world.definition.producer,
          source: {
            ...source,
            ask: (demand) =>
              Effect.suspend(() =>
                tooMuch-- > 0
                  ? Effect.succeed(upTo(demand + 1).map((id) => ({ value: id, ticket: id })))
                  : source.ask(demand)
              )
          }
        }
      })
      const fiber = yield* Effect.forkChild(pipeline.run)
      yield* advance(30_000)
      assert.deepStrictEqual(pipeline.view().books, { received: 60, accepted: 60, rejected: 0, kept: 0, inFlight: 0 })
      yield* Fiber.interrupt(fiber)
    })
  )
})

describe("a stop drains at once", () => {
  it.effect("also while a producer that failed waits to be started again", () =>
    Effect.gen(function* () {
      const world = numbers(5)
      const { source } = world.definition.producer
      const pipeline = Pipeline.make({
        ...world.definition,
        producer: {
          ...world.definition.producer,
          source: {
            ...source,
            ask: (demand) =>
              Effect.suspend(() => (world.waiting.length > 0 ? source.ask(demand) : Effect.die("broken")))
          }
        }
      })
      const fiber = yield* Effect.forkChild(pipeline.run)
      for (let turn = 0; turn < 20; turn++) yield* TestClock.adjust("1 millis")
      assert.strictEqual(pipeline.view().children[0]!.state, "waiting")
      // Nothing moves the clock: neither the restart nor the limit of the drain can come.
      const stopping = yield* Effect.forkChild(Fiber.interrupt(fiber))
      for (let turn = 0; turn < 200; turn++) yield* Effect.yieldNow
      const stopped = stopping.pollUnsafe() !== undefined
      yield* TestClock.adjust("1 minute")
      assert.isTrue(stopped)
      assert.deepStrictEqual(pipeline.view().books, { received: 5, accepted: 5, rejected: 0, kept: 0, inFlight: 0 })
    })
  )
})
