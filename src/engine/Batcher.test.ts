import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as Batcher from "./Batcher.ts"
import * as Mailbox from "./Mailbox.ts"
import { Stage } from "./Stage.ts"

/** A batcher that flushes after 100 ms, and how often it has asked its mailbox. */
const start = Effect.gen(function* () {
  const from = yield* Mailbox.make<number>({ name: "from", capacity: 10 })
  const to = yield* Mailbox.make<ReadonlyArray<number>>({ name: "to", capacity: 10 })
  let asked = 0
  const counted: Mailbox.Mailbox<number> = {
    ...from,
    takeWithin: (max, millis) => (++asked > 100 ? Effect.die("it asks again and again") : from.takeWithin(max, millis))
  }
  const fiber = yield* Effect.forkChild(
    Batcher.run({ size: 5, flushAfterMillis: 100, from: counted, to, stage: new Stage("batcher") })
  )
  return { from, to, fiber, asked: () => asked }
})

describe("a batch is handed on when it is due", () => {
  // The rounding of these instants ended a wait a hair before the due time, and the batcher spun without a pause.
  it.effect("without asking again and again, whatever fraction of a millisecond it is", () =>
    Effect.gen(function* () {
      const { asked, fiber, from, to } = yield* start
      yield* TestClock.adjust(214.7789448120283)
      yield* from.offer([1])
      yield* TestClock.adjust(14.193819484983328)
      yield* from.offer([2])
      for (let turn = 0; turn < 12; turn++) yield* TestClock.adjust("10 millis")
      assert.isAtMost(asked(), 5)
      assert.strictEqual(to.depth(), 1)
      yield* Fiber.interrupt(fiber)
    })
  )

  it.effect("also where the machine's clock is set back meanwhile", () =>
    Effect.gen(function* () {
      const { fiber, from, to } = yield* start
      yield* TestClock.adjust("2 hours")
      yield* from.offer([1])
      yield* TestClock.adjust("10 millis")
      yield* TestClock.setTime(3_600_000)
      yield* from.offer([2])
      yield* TestClock.adjust("120 millis")
      assert.strictEqual(to.depth(), 1)
      yield* Fiber.interrupt(fiber)
    })
  )
})

describe("what is left over when a batch is full", () => {
  it("begins a batch of its own, due a whole wait after it came, not when the full one was", () => {
    const batch = new Batcher.Batch<number>({ size: 5, flushAfterMillis: 100 })
    assert.deepStrictEqual(batch.add([1, 2, 3], 0), [])
    assert.deepStrictEqual(batch.add([4, 5, 6, 7], 60), [[1, 2, 3, 4, 5]])
    assert.strictEqual(batch.dueAt, 160)
    assert.deepStrictEqual(batch.flush(159), [])
    assert.deepStrictEqual(batch.flush(160), [6, 7])
    assert.strictEqual(batch.dueAt, Number.POSITIVE_INFINITY)
  })

  it("is nothing where the messages fill batches exactly, and then nothing is due", () => {
    const batch = new Batcher.Batch<number>({ size: 2, flushAfterMillis: 100 })
    assert.deepStrictEqual(batch.add([1, 2, 3, 4], 10), [
      [1, 2],
      [3, 4]
    ])
    assert.strictEqual(batch.dueAt, Number.POSITIVE_INFINITY)
    assert.deepStrictEqual(batch.add([5], 50), [])
    assert.strictEqual(batch.dueAt, 150)
  })
})
