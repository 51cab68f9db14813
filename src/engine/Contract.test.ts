/**
 * The contract checker: thousands of messages with unique ids through a pipeline whose every neighbour misbehaves at
 * random: then the books must balance. It prints its seed; `NODEPULSE_SEED=… npx vitest run src/engine` repeats a run.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Result } from "effect"
import { TestClock } from "effect/testing"
import * as Pipeline from "./Pipeline.ts"
import * as Supervisor from "./Supervisor.ts"

type Key = "a" | "b" | "c"
type Value = { readonly id: number; readonly key: Key }

/** mulberry32 */
const random = (seed: number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const seedOf = () => Number(process.env.NODEPULSE_SEED ?? Math.floor(Math.random() * 2 ** 32))

/** A source with unique ids that redelivers what was not acknowledged, and is out of order, slow or dead at random. */
class World {
  readonly seed: number
  readonly next: () => number
  readonly waiting: Array<number>
  readonly out = new Set<number>()
  readonly acknowledged = new Set<number>()
  readonly written = new Set<number>()
  readonly recorded = new Map<number, string>()
  readonly bound: number
  maxInFlight = 0
  asks = 0
  trouble = 1

  constructor(seed: number, count: number, bound: number) {
    this.seed = seed
    this.next = random(seed)
    this.waiting = Array.from({ length: count }, (_, id) => id)
    this.bound = bound
  }

  chance(p: number): boolean {
    return this.next() < p * this.trouble
  }

  isPoison = (id: number) => id % 97 === 13
  isMalformed = (id: number) => id % 89 === 7

  readonly pipeline = (): Pipeline.Pipeline<never> =>
    Pipeline.make<number, Value, Key, number, never>({
      name: "chaos",
      producer: {
        source: {
          ask: (demand) =>
            Effect.suspend(() => {
              this.asks++
              if (this.chance(0.05)) return Effect.fail(new Error("the source is away"))
              if (this.chance(0.03)) return Effect.die(new Error("the source died"))
              return Effect.delay(
                Effect.suspend(() => {
                  if (this.waiting.length === 0) return Effect.never
                  const ids = this.waiting.splice(0, 1 + Math.floor(this.next() * demand))
                  for (const id of ids) this.out.add(id)
                  return Effect.succeed(ids.map((id) => ({ value: id, ticket: id })))
                }),
                this.next() * 20
              )
            }),
          acknowledge: (ids) =>
            Effect.suspend(() => {
              if (this.chance(0.05)) return Effect.fail(new Error("not acknowledged"))
              for (const id of ids) {
                this.out.delete(id)
                this.acknowledged.add(id)
              }
              return this.chance(0.05) ? Effect.die(new Error("acknowledged, but the answer was lost")) : Effect.void
            }),
          release: (ids) =>
            Effect.sync(() => {
              for (const id of ids) if (this.out.delete(id)) this.waiting.push(id)
            })
        },
        demand: 50,
        inFlight: this.bound
      },
      processor: {
        process: (id) => {
          if (this.isMalformed(id)) {
            if (id % 2 === 0) throw new Error("malformed beyond words")
            return Result.fail("malformed")
          }
          return Result.succeed({ id, key: (["a", "b", "c"] as const)[id % 3]! })
        },
        mailbox: 60
      },
      batcher: { keys: ["a", "b", "c"], key: (value) => value.key, size: 20, flushAfter: "100 millis", mailbox: 40 },
      writer: {
        write: (key, values) =>
          Effect.suspend((): Effect.Effect<void, { retryable: boolean; message: string }> => {
            this.maxInFlight = Math.max(this.maxInFlight, this.out.size)
            assert.isAtMost(values.length, 20)
            for (const value of values) assert.strictEqual(value.key, key)
            if (this.chance(0.1)) return Effect.fail({ retryable: true, message: "away" })
            if (this.chance(0.02)) return Effect.die(new Error("the writer died"))
            if (this.chance(0.03)) return Effect.never
            if (values.some((value) => this.isPoison(value.id))) {
              return Effect.fail({ retryable: false, message: "poison" })
            }
            for (const value of values) this.written.add(value.id)
            if (this.chance(0.03)) return Effect.fail({ retryable: true, message: "written, but the answer was lost" })
            return Effect.sleep(this.next() * 30)
          }),
        concurrency: 2,
        timeout: "1 second",
        backoff: { from: "10 millis", to: "200 millis" }
      },
      rejecter: {
        record: (rejected) =>
          Effect.suspend(() => {
            if (this.chance(0.1)) return Effect.fail(new Error("the dead letters are away"))
            for (const { reason, ticket } of rejected) this.recorded.set(ticket, reason)
            return Effect.void
          }),
        mailbox: 10
      },
      drainWithin: "5 seconds"
    })

  /** Every id has ended as it must, exactly once by the pipeline's own books. */
  check(count: number, view: Pipeline.PipelineView): void {
    const { books } = view
    assert.strictEqual(this.acknowledged.size, count)
    assert.strictEqual(this.waiting.length + this.out.size, 0)
    for (let id = 0; id < count; id++) {
      const mustFail = this.isPoison(id) || this.isMalformed(id)
      assert.strictEqual(this.written.has(id), !mustFail, `written ${id}`)
      assert.strictEqual(this.recorded.has(id), mustFail, `recorded ${id}: ${this.recorded.get(id)}`)
    }
    assert.strictEqual(books.received, books.accepted + books.rejected + books.kept + books.inFlight)
    assert.strictEqual(books.accepted + books.rejected, count)
    assert.isAtMost(this.maxInFlight, this.bound)
    assert.isAbove(this.maxInFlight, 0)
  }
}

/** Nothing waits, nothing is out, and the pipeline's own books are closed: an acknowledgement may have to be repeated. */
const settled = (world: World, pipeline: Pipeline.Pipeline<never>) =>
  Effect.sync(() => world.waiting.length + world.out.size + pipeline.view().books.inFlight === 0)

const advanceUntil = (done: Effect.Effect<boolean>, limit = 20_000) =>
  Effect.gen(function* () {
    for (let turn = 0; turn < limit; turn++) {
      if (yield* done) return
      yield* TestClock.adjust("50 millis")
    }
    assert.fail("still not settled")
  })

describe("whatever the neighbours do, each message is acknowledged exactly once", () => {
  it.effect(
    "with a writer that succeeds, fails for now, fails for good, dies and hangs at random",
    () =>
      Effect.gen(function* () {
        const seed = seedOf()
        yield* Effect.log(`seed ${seed}`)
        const count = 1_500
        const world = new World(seed, count, 120)
        const pipeline = world.pipeline()
        // A producer that dies too often is given up; then the pipeline as a whole is started again by its own supervisor.
        const supervisor = Supervisor.make({
          name: "root",
          children: [{ name: "chaos", run: pipeline.run, view: pipeline.view }],
          maxRestarts: 1_000,
          backoff: { from: "10 millis", to: "1 second" },
          healthyAfter: "1 minute",
          stopWithin: "10 seconds"
        })
        const fiber = yield* Effect.forkChild(supervisor.run)
        yield* advanceUntil(settled(world, pipeline))
        world.check(count, pipeline.view())
        const producer = pipeline.view().children.find((child) => child.name === "producer")
        assert.isAbove(producer!.restarts, 0, "the producer died and came back")
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(pipeline.view().books.inFlight, 0)
      }),
    180_000
  )

  it.effect(
    "over stops and starts in the middle, of which each leaves nothing in flight",
    () =>
      Effect.gen(function* () {
        const seed = seedOf()
        yield* Effect.log(`seed ${seed}`)
        const count = 1_000
        const world = new World(seed, count, 120)
        const pipeline = world.pipeline()
        let stops = 0
        while (world.waiting.length + world.out.size > 0 && stops < 500) {
          const fiber = yield* Effect.forkChild(pipeline.run)
          yield* TestClock.adjust(Math.floor(world.next() * 600))
          const stopping = yield* Effect.forkChild(Fiber.interrupt(fiber))
          yield* advanceUntil(Effect.sync(() => stopping.pollUnsafe() !== undefined))
          const { books } = pipeline.view()
          assert.strictEqual(books.inFlight, 0)
          assert.strictEqual(world.out.size, 0, "what was not settled went back to the source")
          assert.strictEqual(books.received, books.accepted + books.rejected + books.kept)
          stops++
        }
        world.check(count, pipeline.view())
        assert.isAbove(stops, 0)
      }),
    180_000
  )
})
