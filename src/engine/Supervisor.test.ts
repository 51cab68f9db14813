import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Ref } from "effect"
import { TestClock } from "effect/testing"
import * as Supervisor from "./Supervisor.ts"

const limits = {
  name: "test",
  maxRestarts: 3,
  backoff: { from: "100 millis", to: "1 second" },
  healthyAfter: "1 minute",
  stopWithin: "1 second"
} as const

class Away {
  readonly retryable = true
  readonly message = "away"
}

describe("a dead fiber is never silent", () => {
  for (const [how, failure] of [
    ["fails", Effect.fail(new Error("no"))],
    ["dies of a defect", Effect.die(new Error("no"))],
    ["is interrupted from elsewhere", Effect.interrupt],
    ["fails with what cannot be printed", Effect.fail(Object.create(null))],
    ["ends although it should not", Effect.void]
  ] as const) {
    it.effect(`a child that ${how} is started again, and counted`, () =>
      Effect.gen(function* () {
        const starts = yield* Ref.make(0)
        const supervisor = Supervisor.make({
          ...limits,
          children: [
            {
              name: "child",
              run: Effect.flatMap(
                Ref.updateAndGet(starts, (n) => n + 1),
                (n) => (n < 3 ? failure : Effect.never)
              )
            }
          ]
        })
        const fiber = yield* Effect.forkChild(supervisor.run)
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(yield* Ref.get(starts), 3)
        const [child] = supervisor.view().children
        assert.strictEqual(child!.state, "running")
        assert.strictEqual(child!.restarts, 2)
        assert.isNotNull(child!.lastError)
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(supervisor.view().children[0]!.state, "stopped")
      })
    )
  }

  it.effect("past its limit the others are stopped and the error names the child", () =>
    Effect.gen(function* () {
      const stopped = yield* Ref.make(false)
      const supervisor = Supervisor.make({
        ...limits,
        children: [
          { name: "well", run: Effect.onInterrupt(Effect.never, () => Ref.set(stopped, true)) },
          { name: "ill", run: Effect.die(new Error("broken for good")) }
        ]
      })
      const fiber = yield* Effect.forkChild(Effect.exit(supervisor.run))
      yield* TestClock.adjust("1 minute")
      const exit = yield* Fiber.join(fiber)
      assert.isTrue(Exit.isFailure(exit))
      assert.include(String(exit), "ill")
      assert.include(String(exit), "broken for good")
      assert.isTrue(yield* Ref.get(stopped))
      assert.strictEqual(supervisor.view().children[1]!.state, "failed")
    })
  )

  it.effect("a child that escalates is not started again alone, whatever it failed of", () =>
    Effect.gen(function* () {
      const starts = yield* Ref.make(0)
      const supervisor = Supervisor.make({
        ...limits,
        children: [
          { name: "well", run: Effect.never },
          {
            name: "stage",
            escalates: true,
            run: Effect.andThen(
              Ref.update(starts, (n) => n + 1),
              Effect.fail(new Away())
            )
          }
        ]
      })
      const exit = yield* Effect.exit(supervisor.run)
      assert.include(String(exit), "stage")
      assert.strictEqual(yield* Ref.get(starts), 1)
    })
  )

  it.effect("an error that says it is retryable never escalates, and waits longer and longer", () =>
    Effect.gen(function* () {
      const starts = yield* Ref.make(0)
      const supervisor = Supervisor.make({
        ...limits,
        children: [
          {
            name: "child",
            run: Effect.andThen(
              Ref.update(starts, (n) => n + 1),
              Effect.fail(new Away())
            )
          }
        ]
      })
      const fiber = yield* Effect.forkChild(supervisor.run)
      yield* TestClock.adjust("10 minutes")
      const count = yield* Ref.get(starts)
      assert.isAbove(count, 500)
      assert.isBelow(count, 1_300, "the backoff grows up to a second")
      assert.strictEqual(supervisor.view().children[0]!.lastError!.reason, "away")
      yield* Fiber.interrupt(fiber)
    })
  )

  // Four quick failures lengthen the backoff to half a second at least; after a reset it is a tenth at most.
  const lastDelay = (upFor: string) =>
    Effect.gen(function* () {
      let starts = 0
      const child = Effect.suspend(() =>
        Effect.andThen(++starts === 5 ? Effect.sleep(upFor as "1 minute") : Effect.void, Effect.fail(new Away()))
      )
      const supervisor = Supervisor.make({
        ...limits,
        backoff: { from: "100 millis", to: "1 second" },
        healthyAfter: "1 minute",
        children: [{ name: "child", run: child }]
      })
      const fiber = yield* Effect.forkChild(supervisor.run)
      const view = () => supervisor.view().children[0]!
      // The fifth failure is the fifth restart.
      for (let turn = 0; turn < 10_000 && view().restarts < 5; turn++) yield* TestClock.adjust("10 millis")
      const { retryAt, since } = view()
      yield* Fiber.interrupt(fiber)
      return retryAt! - since
    })

  it.effect("the backoff begins anew after a child stayed up for healthyAfter", () =>
    Effect.gen(function* () {
      assert.isAtMost(yield* lastDelay("60 seconds"), 100)
    })
  )

  it.effect("the backoff goes on growing after a child stayed up for less than healthyAfter", () =>
    Effect.gen(function* () {
      assert.isAtLeast(yield* lastDelay("59 seconds"), 500)
    })
  )

  it.effect("the count of restarts in a row resets after a child stayed up for healthyAfter", () =>
    Effect.gen(function* () {
      const supervisor = Supervisor.make({
        ...limits,
        children: [{ name: "child", run: Effect.andThen(Effect.sleep("2 minutes"), Effect.fail(new Error("no"))) }]
      })
      const fiber = yield* Effect.forkChild(supervisor.run)
      yield* TestClock.adjust("60 minutes")
      assert.isAbove(supervisor.view().children[0]!.restarts, 20)
      assert.isUndefined(fiber.pollUnsafe())
      yield* Fiber.interrupt(fiber)
    })
  )
})

describe("stopping", () => {
  it.effect("children stop one by one in the reverse of their order, after the drain", () =>
    Effect.gen(function* () {
      const log = yield* Ref.make<ReadonlyArray<string>>([])
      const note = (what: string) => Ref.update(log, (all) => [...all, what])
      const child = (name: string) => ({ name, run: Effect.onInterrupt(Effect.never, () => note(name)) })
      const supervisor = Supervisor.make({
        ...limits,
        children: [child("database"), child("digest"), child("http")],
        drain: note("drain")
      })
      const fiber = yield* Effect.forkChild(supervisor.run)
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* Ref.get(log), ["drain", "http", "digest", "database"])
    })
  )

  it.effect("a drain that does not end is cut off at its limit", () =>
    Effect.gen(function* () {
      const supervisor = Supervisor.make({
        ...limits,
        children: [{ name: "child", run: Effect.never }],
        drain: Effect.never
      })
      const fiber = yield* Effect.forkChild(supervisor.run)
      yield* TestClock.adjust("1 second")
      const stopping = yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* TestClock.adjust("900 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("200 millis")
      yield* Fiber.join(stopping)
      assert.isDefined(fiber.pollUnsafe())
    })
  )

  it.effect("a child that does not stop is left behind after its time, and the others stop all the same", () =>
    Effect.gen(function* () {
      const log = yield* Ref.make<ReadonlyArray<string>>([])
      const note = (what: string) => Ref.update(log, (all) => [...all, what])
      const answer = yield* Deferred.make<void>()
      const supervisor = Supervisor.make({
        ...limits,
        children: [
          { name: "digest", run: Effect.onInterrupt(Effect.never, () => note("digest")) },
          { name: "hangs", run: Effect.uninterruptible(Deferred.await(answer)), stopWithin: "3 seconds" }
        ]
      })
      const fiber = yield* Effect.forkChild(supervisor.run)
      yield* TestClock.adjust("1 second")
      const stopping = yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* TestClock.adjust("2900 millis")
      assert.deepStrictEqual(yield* Ref.get(log), [])
      yield* TestClock.adjust("200 millis")
      yield* Fiber.join(stopping)
      assert.deepStrictEqual(yield* Ref.get(log), ["digest"])
      yield* Deferred.succeed(answer, undefined)
    })
  )

  it.effect("it ends by itself once every child has finished", () =>
    Effect.gen(function* () {
      const supervisor = Supervisor.make({
        ...limits,
        children: [{ name: "child", completes: true, run: Effect.void }]
      })
      yield* supervisor.run
      assert.strictEqual(supervisor.view().children[0]!.state, "finished")
    })
  )
})
