import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Result } from "effect"
import { TestClock } from "effect/testing"
import { Batch } from "./Batcher.ts"
import * as Mailbox from "./Mailbox.ts"
import { numbers, sorted, upTo } from "./Numbers.fixture.ts"
import * as Pipeline from "./Pipeline.ts"

describe("what is written is acknowledged, in batches", () => {
  it.effect("full batches at once, the rest when it is due", () =>
    Effect.gen(function* () {
      const world = numbers(20)
      const pipeline = Pipeline.make(world.definition)
      const fiber = yield* Effect.forkChild(pipeline.run)
      // In small steps, since each hand-over between stages takes a turn of its own.
      for (let turn = 0; turn < 100; turn++) yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(
        world.written.map((batch) => batch.length),
        [8, 8]
      )
      yield* TestClock.adjust("200 millis")
      assert.deepStrictEqual(sorted(world.acknowledged), upTo(20))
      yield* Fiber.interrupt(fiber)
    })
  )

  it.effect("the counters of every stage balance", () =>
    Effect.gen(function* () {
      const world = numbers(50)
      const pipeline = Pipeline.make({
        ...world.definition,
        processor: {
          ...world.definition.processor,
          process: (id) => (id === 3 ? Result.fail("no") : Result.succeed(id))
        }
      })
      const fiber = yield* Effect.forkChild(pipeline.run)
      yield* TestClock.adjust("1 second")
      const view = pipeline.view()
      for (const stage of view.stages) {
        assert.strictEqual(stage.received, stage.passed + stage.rejected + stage.kept + stage.inHand, stage.stage)
      }
      assert.deepStrictEqual(view.books, { received: 50, accepted: 49, rejected: 1, kept: 0, inFlight: 0 })
      yield* Fiber.interrupt(fiber)
    })
  )
})

/** A pipeline in which everything is stuck behind its writers, which never answer. */
const stuck = (world: ReturnType<typeof numbers>) => {
  const { definition } = world
  return Pipeline.make({
    ...definition,
    // More may be under way than the mailboxes hold: the producer itself waits to hand on.
    producer: { ...definition.producer, inFlight: 400 },
    batcher: { ...definition.batcher, flushAfter: "1 millis", mailbox: 2 },
    processor: { ...definition.processor, mailbox: 3 },
    writer: { ...definition.writer, write: () => Effect.never, timeout: "1 hour" }
  })
}

describe("the books balance after a stop too", () => {
  it.effect("what was stuck anywhere is kept, by the books of the whole and of each stage", () =>
    Effect.gen(function* () {
      const world = numbers(300)
      const pipeline = stuck(world)
      const fiber = yield* Effect.forkChild(pipeline.run)
      for (let turn = 0; turn < 50; turn++) yield* TestClock.adjust("10 millis")
      const before = pipeline.view()
      assert.isAbove(before.stages.find(({ stage }) => stage === "producer")!.inHand, 0)
      for (const stage of before.stages) {
        assert.strictEqual(stage.received, stage.passed + stage.rejected + stage.kept + stage.inHand, stage.stage)
      }
      const stopping = yield* Effect.forkChild(Fiber.interrupt(fiber))
      for (let turn = 0; turn < 50; turn++) yield* TestClock.adjust("100 millis")
      yield* Fiber.join(stopping)
      const { books, stages } = pipeline.view()
      assert.deepStrictEqual({ accepted: books.accepted, inFlight: books.inFlight }, { accepted: 0, inFlight: 0 })
      assert.strictEqual(books.kept, books.received)
      assert.strictEqual(new Set(world.released).size, books.received)
      for (const stage of stages) {
        assert.strictEqual(stage.inHand, 0, stage.stage)
        assert.strictEqual(stage.received, stage.passed + stage.rejected + stage.kept, stage.stage)
      }
    })
  )
})

describe("a source that is away", () => {
  it.effect("is asked again at least every second, and answers within one when it is back", () =>
    Effect.gen(function* () {
      const world = numbers(5)
      let away = true
      let asked = 0
      const { source } = world.definition.producer
      const pipeline = Pipeline.make({
        ...world.definition,
        producer: {
          ...world.definition.producer,
          source: {
            ...source,
            ask: (demand) =>
              Effect.suspend(() => {
                asked++
                return away ? Effect.fail({ retryable: true, message: "away" }) : source.ask(demand)
              })
          }
        }
      })
      const fiber = yield* Effect.forkChild(pipeline.run)
      for (let second = 0; second < 600; second++) yield* TestClock.adjust("1 second")
      assert.isAtLeast(asked, 600)
      const producer = pipeline.view().stages.find(({ stage }) => stage === "producer")!
      assert.isAtLeast(producer.retries, 600)
      assert.strictEqual(producer.lastError?.reason, "away")
      away = false
      for (let turn = 0; turn < 40; turn++) yield* TestClock.adjust("50 millis")
      assert.strictEqual(world.acknowledged.length, 5)
      assert.isTrue(pipeline.view().children.every(({ restarts }) => restarts === 0))
      yield* Fiber.interrupt(fiber)
    })
  )
})

describe("a message that is somebody else's by now", () => {
  const lost = { retryable: false, message: "6 is somebody else's" }

  it.effect("is kept, and its batch is written without it", () =>
    Effect.gen(function* () {
      const world = numbers(16)
      const pipeline = Pipeline.make({
        ...world.definition,
        writer: {
          ...world.definition.writer,
          write: (_key, ids) => (ids.includes(6) ? Effect.fail(lost) : Effect.sync(() => void world.written.push(ids)))
        },
        isKept: (error, ticket) => error === lost && ticket === 6
      })
      const fiber = yield* Effect.forkChild(pipeline.run)
      yield* TestClock.adjust("1 second")
      const others = upTo(16).filter((id) => id !== 6)
      assert.deepStrictEqual(sorted(world.written.flat()), others)
      assert.deepStrictEqual(sorted(world.acknowledged), others)
      assert.deepStrictEqual([world.released, world.recorded], [[6], []])
      const { books, stages } = pipeline.view()
      assert.deepStrictEqual(books, { received: 16, accepted: 15, rejected: 0, kept: 1, inFlight: 0 })
      assert.strictEqual(stages.find(({ stage }) => stage === "writer:even")!.kept, 1)
      yield* Fiber.interrupt(fiber)
    })
  )

  it.effect("is not recorded as one that can never succeed", () =>
    Effect.gen(function* () {
      const world = numbers(4)
      const pipeline = Pipeline.make({
        ...world.definition,
        processor: { ...world.definition.processor, process: () => Result.fail("bad") },
        rejecter: {
          ...world.definition.rejecter,
          record: (rejected) =>
            rejected.some(({ ticket }) => ticket === 2)
              ? Effect.fail(lost)
              : Effect.sync(() => void world.recorded.push(...rejected))
        },
        isKept: (error, ticket) => error === lost && ticket === 2
      })
      const fiber = yield* Effect.forkChild(pipeline.run)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(sorted(world.recorded.map(({ ticket }) => ticket)), [0, 1, 3])
      assert.deepStrictEqual([sorted(world.acknowledged), world.released], [[0, 1, 3], [2]])
      assert.deepStrictEqual(pipeline.view().books, { received: 4, accepted: 0, rejected: 3, kept: 1, inFlight: 0 })
      yield* Fiber.interrupt(fiber)
    })
  )
})

describe("one bad message harms no other", () => {
  it.effect("a batch that fails for good is halved until the guilty one is alone", () =>
    Effect.gen(function* () {
      const world = numbers(16)
      const pipeline = Pipeline.make({
        ...world.definition,
        writer: {
          ...world.definition.writer,
          write: (_key, ids) =>
            ids.includes(6)
              ? Effect.fail({ retryable: false, message: "6 is not a number we like" })
              : Effect.sync(() => void world.written.push(ids))
        }
      })
      const fiber = yield* Effect.forkChild(pipeline.run)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(
        sorted(world.written.flat()),
        upTo(16).filter((id) => id !== 6)
      )
      assert.deepStrictEqual(world.recorded, [{ ticket: 6, reason: "6 is not a number we like" }])
      assert.deepStrictEqual(sorted(world.acknowledged), upTo(16))
      yield* Fiber.interrupt(fiber)
    })
  )

  it.effect("a message that kills the processor is rejected alone", () =>
    Effect.gen(function* () {
      const world = numbers(10)
      const pipeline = Pipeline.make({
        ...world.definition,
        processor: {
          ...world.definition.processor,
          process: (id) => {
            if (id === 4) throw new Error("boom")
            return Result.succeed(id)
          }
        }
      })
      const fiber = yield* Effect.forkChild(pipeline.run)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(world.written.flat().length, 9)
      assert.include(world.recorded[0]!.reason, "boom")
      yield* Fiber.interrupt(fiber)
    })
  )

  it.effect("a write that dies for no fault of the message is tried again", () =>
    Effect.gen(function* () {
      const world = numbers(1)
      let deaths = 2
      const pipeline = Pipeline.make({
        ...world.definition,
        writer: {
          ...world.definition.writer,
          write: (_key, ids) =>
            deaths-- > 0 ? Effect.die(new Error("a bad moment")) : Effect.sync(() => void world.written.push(ids))
        }
      })
      const fiber = yield* Effect.forkChild(pipeline.run)
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(world.written, [[0]])
      assert.deepStrictEqual(world.recorded, [])
      yield* Fiber.interrupt(fiber)
    })
  )
})

describe("backpressure", () => {
  it.effect("while nothing can be written no more is asked for than the bound", () =>
    Effect.gen(function* () {
      const world = numbers(1_000)
      let away = true
      const pipeline = Pipeline.make({
        ...world.definition,
        writer: {
          ...world.definition.writer,
          write: (_key, ids) =>
            away ? Effect.fail({ retryable: true, message: "away" }) : Effect.sync(() => void world.written.push(ids))
        }
      })
      const fiber = yield* Effect.forkChild(pipeline.run)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(world.waiting.length, 1_000 - 40)
      assert.strictEqual(pipeline.view().books.inFlight, 40)
      const writer = pipeline.view().stages.find((stage) => stage.stage === "writer:even")
      assert.strictEqual(writer!.lastError!.reason, "away")
      assert.isAbove(writer!.retries, 10)
      away = false
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(sorted(world.acknowledged), upTo(1_000))
      yield* Fiber.interrupt(fiber)
    })
  )

  it.effect("a key that is stuck does not hold up the others while its mailbox has room", () =>
    Effect.gen(function* () {
      const world = numbers(30)
      const pipeline = Pipeline.make({
        ...world.definition,
        writer: {
          ...world.definition.writer,
          write: (key, ids) => (key === "odd" ? Effect.never : Effect.sync(() => void world.written.push(ids)))
        }
      })
      const fiber = yield* Effect.forkChild(pipeline.run)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(
        sorted(world.acknowledged),
        upTo(30).filter((id) => id % 2 === 0)
      )
      const stopping = yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(stopping)
      assert.deepStrictEqual(
        sorted(world.released),
        upTo(30).filter((id) => id % 2 === 1)
      )
    })
  )
})

describe("stopping drains", () => {
  it.effect("a begun batch is written and acknowledged before the end", () =>
    Effect.gen(function* () {
      const world = numbers(5)
      const pipeline = Pipeline.make(world.definition)
      const fiber = yield* Effect.forkChild(pipeline.run)
      yield* TestClock.adjust("10 millis")
      assert.deepStrictEqual(world.written, [])
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(sorted(world.acknowledged), upTo(5))
      assert.strictEqual(pipeline.view().books.inFlight, 0)
    })
  )

  it.effect("what cannot be written in time goes back to its source", () =>
    Effect.gen(function* () {
      const world = numbers(12)
      const started = yield* Deferred.make<void>()
      const pipeline = Pipeline.make({
        ...world.definition,
        writer: {
          ...world.definition.writer,
          write: () => Effect.andThen(Deferred.succeed(started, undefined), Effect.never)
        }
      })
      const fiber = yield* Effect.forkChild(pipeline.run)
      yield* TestClock.adjust("1 second")
      yield* Deferred.await(started)
      const stopping = yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* TestClock.adjust("4 seconds")
      yield* Fiber.join(stopping)
      assert.deepStrictEqual(sorted(world.released), upTo(12))
      assert.deepStrictEqual(world.acknowledged, [])
      assert.deepStrictEqual(pipeline.view().books, { received: 12, accepted: 0, rejected: 0, kept: 12, inFlight: 0 })
    })
  )
})

describe("bounds", () => {
  it("a bound that makes no sense is refused by name", () => {
    const { definition } = numbers(0)
    const make = (producer: { demand: number; inFlight: number }) =>
      Pipeline.make({ ...definition, producer: { ...definition.producer, ...producer } })
    assert.throws(() => make({ demand: 0, inFlight: 10 }), /producer\.demand is 0/)
    assert.throws(() => make({ demand: 11, inFlight: 10 }), /inFlight \(10\) is less than producer\.demand \(11\)/)
  })

  it.effect("a mailbox never holds more than its capacity, and gives all of it after its end", () =>
    Effect.gen(function* () {
      const mailbox = yield* Mailbox.make<number>({ name: "test", capacity: 4 })
      const offering = yield* Effect.forkChild(Effect.andThen(mailbox.offer(upTo(10)), mailbox.end))
      const taken: Array<number> = []
      while (true) {
        yield* Effect.yieldNow
        const next = yield* mailbox.take(3)
        if (next._tag === "None") break
        taken.push(...next.value)
      }
      yield* Fiber.join(offering)
      assert.deepStrictEqual(taken, upTo(10))
      assert.strictEqual(mailbox.highWater(), 4)
    })
  )

  it("batches hold every message once, in order, and never more than their size", () => {
    for (let seed = 1; seed <= 300; seed++) {
      const size = 1 + (seed % 13)
      const batch = new Batch<number>({ size, flushAfterMillis: 100 })
      const out: Array<number> = []
      let next = 0
      for (let turn = 0; turn < 40; turn++) {
        const arrived = Array.from({ length: (turn * seed) % 29 }, () => next++)
        for (const full of batch.add(arrived, turn * 30)) {
          assert.strictEqual(full.length, size)
          out.push(...full)
        }
        assert.isBelow(batch.length, size)
        if (batch.length > 0) assert.isAtMost(batch.dueAt, turn * 30 + 100)
        else assert.strictEqual(batch.dueAt, Number.POSITIVE_INFINITY)
        out.push(...batch.flush(turn * 30))
      }
      out.push(...batch.flush(0, true))
      assert.deepStrictEqual(out, upTo(next))
    }
  })
})
