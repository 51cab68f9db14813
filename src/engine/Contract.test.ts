/**
 * The contract checker: thousands of messages with unique ids through a pipeline whose every neighbour misbehaves at
 * random: then the books must balance. It prints its seed; `NODEPULSE_SEED=… npx vitest run src/engine` repeats a run, and
 * with `NODEPULSE_CONTRACT_SEEDS=…` so many runs follow each other, each of the next seed.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Logger, Random, Result } from "effect"
import { TestClock } from "effect/testing"
import { seededRandom } from "../../test/Seeded.ts"
import * as Pipeline from "./Pipeline.ts"
import * as Supervisor from "./Supervisor.ts"

type Key = "a" | "b" | "c"
type Value = { readonly id: number; readonly key: Key }

const SEEDS = Number(process.env.NODEPULSE_CONTRACT_SEEDS ?? 1)

/** What a run may take in turns of 50 ms; it takes some 100, and 2 000 where everything is away in a row. */
const TURNS_MAX = 10_000

class Lost {
  readonly retryable = false
  readonly message = "lost"
  readonly tickets: ReadonlySet<ReadonlyArray<number>>

  constructor(tickets: ReadonlyArray<ReadonlyArray<number>>) {
    this.tickets = new Set(tickets)
  }
}

/** A source with unique ids that redelivers what was not acknowledged, and is out of order, slow or dead at random. */
class World {
  readonly seed: number
  readonly next: () => number
  readonly waiting: Array<number>
  readonly out = new Set<number>()
  readonly acknowledged = new Set<number>()
  readonly written = new Set<number>()
  readonly recorded = new Map<number, string>()
  /** Acknowledged, but the answer was lost and there was no time to ask again: the pipeline has to count them as kept. */
  readonly keptInDoubt = new Set<number>()
  readonly deaths = new Map<number, number>()
  readonly bound: number
  /** What the writer or the rejecter said is somebody else's by now: it comes again. */
  lost = 0
  maxInFlight = 0
  asks = 0
  trouble = 1

  constructor(seed: number, count: number, bound: number, togetherMax: number) {
    this.togetherMax = togetherMax
    this.seed = seed
    this.next = seededRandom(seed)
    this.waiting = Array.from({ length: count }, (_, id) => id)
    this.bound = bound
  }

  chance(p: number): boolean {
    return this.next() < p * this.trouble
  }

  /** Values are lists of messages that travel together: of one, or of up to so many. */
  readonly togetherMax: number

  /** A message that is alone is rejected, and rightly so, when the writer dies of it for the third time. */
  mayDieOf(values: ReadonlyArray<Value>): boolean {
    if (values.length > 1) return true
    const { id } = values[0]!
    const deaths = (this.deaths.get(id) ?? 0) + 1
    this.deaths.set(id, deaths)
    return deaths < 3
  }

  isPoison = (id: number) => id % 97 === 13
  isMalformed = (id: number) => id % 89 === 7

  readonly pipeline = (): Pipeline.Pipeline<never> =>
    Pipeline.make<ReadonlyArray<number>, ReadonlyArray<Value>, Key, ReadonlyArray<number>, never>({
      name: "chaos",
      parcels: {
        size: ({ length }) => length,
        part: (parcel, from, to) => parcel.slice(from, to) as unknown as typeof parcel
      },
      producer: {
        source: {
          ask: (demand) =>
            Effect.suspend(() => {
              this.asks++
              if (this.chance(0.05)) return Effect.fail(new Error("the source is away"))
              if (this.asks === 1 || this.chance(0.03)) return Effect.die(new Error("the source died"))
              return Effect.delay(
                Effect.suspend(() => {
                  // What is given back has to be found by whoever asks already.
                  if (this.waiting.length === 0) return Effect.as(Effect.sleep("50 millis"), [])
                  const ids = this.waiting.splice(0, 1 + Math.floor(this.next() * demand))
                  for (const id of ids) this.out.add(id)
                  return Effect.succeed(this.together(ids).map((some) => ({ value: some, ticket: some })))
                }),
                this.next() * 20
              )
            }),
          acknowledge: (ids) =>
            Effect.suspend(() => {
              if (this.chance(0.05)) return Effect.fail(new Error("not acknowledged"))
              for (const id of ids.flat()) {
                this.out.delete(id)
                this.acknowledged.add(id)
              }
              if (this.chance(0.01)) return Effect.interrupt
              return this.chance(0.05) ? Effect.die(new Error("acknowledged, but the answer was lost")) : Effect.void
            }),
          release: (ids) =>
            Effect.sync(() => {
              for (const id of ids.flat()) {
                if (this.out.delete(id)) this.waiting.push(id)
                else this.keptInDoubt.add(id)
              }
            })
        },
        demand: 50,
        inFlight: this.bound
      },
      processor: {
        process: (ids) => {
          const malformed = ids.find(this.isMalformed)
          if (malformed !== undefined) {
            if (malformed % 2 === 0) throw new Error("malformed beyond words")
            return Result.fail("malformed")
          }
          return Result.succeed(ids.map((id) => ({ id, key: (["a", "b", "c"] as const)[id % 3]! })))
        },
        mailbox: 60
      },
      batcher: { keys: ["a", "b", "c"], key: ([value]) => value!.key, size: 20, flushAfter: "100 millis", mailbox: 40 },
      writer: {
        write: (key, parcels, tickets) =>
          Effect.suspend((): Effect.Effect<void, { retryable: boolean; message: string }> => {
            assert.deepStrictEqual(
              tickets.flat(),
              parcels.flat().map(({ id }) => id)
            )
            if (this.chance(0.05)) return Effect.fail(this.loses(tickets))
            const values = parcels.flat()
            this.maxInFlight = Math.max(this.maxInFlight, this.out.size)
            assert.isAtMost(values.length, 20)
            for (const value of values) assert.strictEqual(value.key, key)
            if (this.chance(0.1)) return Effect.fail({ retryable: true, message: "away" })
            if (this.chance(0.02) && this.mayDieOf(values)) return Effect.die(new Error("the writer died"))
            if (this.chance(0.03)) return Effect.never
            if (this.chance(0.02)) return Effect.interrupt
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
          Effect.suspend((): Effect.Effect<void, unknown> => {
            if (this.chance(0.1)) return Effect.fail(new Error("the dead letters are away"))
            if (this.chance(0.1)) return Effect.fail(this.loses(rejected.map(({ ticket }) => ticket)))
            if (this.chance(0.02)) return Effect.interrupt
            for (const { reason, ticket } of rejected) for (const id of ticket) this.recorded.set(id, reason)
            return Effect.void
          }),
        mailbox: 10
      },
      isKept: (error, ticket) => error instanceof Lost && error.tickets.has(ticket),
      drainWithin: "5 seconds"
    })

  /** Some of these, at least one, are somebody else's by now. */
  loses(tickets: ReadonlyArray<ReadonlyArray<number>>): Lost {
    const some = tickets.filter(() => this.next() < 0.3)
    const lost = new Lost(some.length === 0 ? [tickets[0]!] : some)
    this.lost += lost.tickets.size
    return lost
  }

  /** Neighbours of one key. */
  together(ids: ReadonlyArray<number>): ReadonlyArray<ReadonlyArray<number>> {
    const parcels: Array<Array<number>> = []
    const open = new Map<number, Array<number>>()
    for (const id of ids) {
      const parcel = open.get(id % 3)
      if (parcel !== undefined && parcel.length < this.togetherMax) parcel.push(id)
      else {
        const begun = [id]
        open.set(id % 3, begun)
        parcels.push(begun)
      }
    }
    return parcels
  }

  /** Every id has ended as it must, exactly once by the pipeline's own books. */
  check(count: number, view: Pipeline.PipelineView): void {
    const { books, stages } = view
    assert.strictEqual(this.acknowledged.size, count)
    assert.strictEqual(this.waiting.length + this.out.size, 0)
    for (let id = 0; id < count; id++) {
      const mustFail = this.isPoison(id) || this.isMalformed(id)
      assert.strictEqual(this.written.has(id), !mustFail, `written ${id}`)
      assert.strictEqual(this.recorded.has(id), mustFail, `recorded ${id}: ${this.recorded.get(id)}`)
    }
    assert.strictEqual(books.received, books.accepted + books.rejected + books.kept + books.inFlight)
    assert.strictEqual(books.accepted + books.rejected + this.keptInDoubt.size, count)
    const writers = stages.filter(({ stage }) => stage.startsWith("writer:"))
    const rejecter = stages.find(({ stage }) => stage === "rejecter")!
    assert.strictEqual(sum(writers.map(({ passed }) => passed)), books.accepted, "what the writers count")
    assert.strictEqual(rejecter.rejected, books.rejected, "what the rejecter counts")
    for (const stage of stages) {
      assert.strictEqual(stage.received, stage.passed + stage.rejected + stage.kept + stage.inHand, stage.stage)
    }
    assert.isAbove(this.lost, 0)
    assert.isAtMost(this.maxInFlight, this.bound)
    assert.isAbove(this.maxInFlight, 0)
  }

  /** Nothing waits, nothing is out, and the pipeline's own books are closed: an acknowledgement may have to be repeated. */
  isSettled(view: Pipeline.PipelineView): boolean {
    return this.waiting.length + this.out.size + view.books.inFlight === 0
  }

  /** What a person needs to find out why it stands still. */
  dump(view: Pipeline.PipelineView): string {
    const { acknowledged, asks, keptInDoubt, out, recorded, waiting, written } = this
    const sizes = Object.entries({
      waiting,
      out: [...out],
      acknowledged: [...acknowledged],
      keptInDoubt: [...keptInDoubt]
    })
      .map(([name, ids]) => `${name} ${ids.length}: ${ids.slice(0, 20).join(" ")}`)
      .join("\n")
    return `seed ${this.seed}, ${asks} asks, ${written.size} written, ${recorded.size} recorded\n${sizes}\n${JSON.stringify(view, null, 1)}`
  }
}

const sum = (numbers: ReadonlyArray<number>) => numbers.reduce((a, b) => a + b, 0)

const advanceUntil = (done: () => boolean, dump: () => string) =>
  Effect.gen(function* () {
    for (let turn = 0; turn < TURNS_MAX; turn++) {
      if (done()) return
      yield* TestClock.adjust("50 millis")
    }
    assert.fail(`it stands still: ${dump()}`)
  })

/** Runs `main` until `use` ends, however it ends, then stops it; stopping may need the clock to move. */
const whileRunning = <A, E>(main: Effect.Effect<unknown, unknown>, dump: () => string, use: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(main)
    const exit = yield* Effect.exit(use)
    const stopping = yield* Effect.forkChild(Fiber.interrupt(fiber))
    const stopped = yield* Effect.exit(advanceUntil(() => stopping.pollUnsafe() !== undefined, dump))
    return yield* Exit.isFailure(exit) ? exit : Effect.andThen(stopped, exit)
  })

/** One run for each seed. The log is the engine's complaints about its neighbours, hundreds of them. */
const eachSeed = (run: (seed: number) => Effect.Effect<void>) =>
  Effect.gen(function* () {
    const first = Number(process.env.NODEPULSE_SEED ?? Math.floor(Math.random() * 2 ** 32))
    for (let seed = first; seed < first + SEEDS; seed++) {
      yield* Effect.log(`seed ${seed}`)
      yield* run(seed).pipe(
        Effect.provideService(Logger.CurrentLoggers, new Set()),
        Random.withSeed(seed),
        Effect.provide(TestClock.layer()),
        Effect.onError(() => Effect.logError(`seed ${seed} failed`))
      )
    }
  })

describe.each([
  ["alone", 1],
  ["with up to 30 others", 30]
] as const)(
  "whatever the neighbours do, each message is acknowledged exactly once, on its way %s,",
  (_, togetherMax) => {
    it.live(
      "with a writer that succeeds, fails for now, fails for good, dies and hangs at random",
      () =>
        eachSeed((seed) =>
          Effect.gen(function* () {
            const count = 1_500
            const world = new World(seed, count, 120, togetherMax)
            const pipeline = world.pipeline()
            const dump = () => world.dump(pipeline.view())
            // A producer that dies too often is given up; then the pipeline as a whole is started again by its own supervisor.
            const supervisor = Supervisor.make({
              name: "root",
              children: [{ name: "chaos", run: pipeline.run, view: pipeline.view }],
              maxRestarts: 1_000,
              backoff: { from: "10 millis", to: "1 second" },
              healthyAfter: "1 minute",
              stopWithin: "10 seconds"
            })
            yield* whileRunning(
              supervisor.run,
              dump,
              Effect.gen(function* () {
                yield* advanceUntil(() => world.isSettled(pipeline.view()), dump)
                world.check(count, pipeline.view())
                const producer = pipeline.view().children.find((child) => child.name === "producer")
                assert.isAbove(producer!.restarts, 0, "the producer died and came back")
              })
            )
            assert.strictEqual(pipeline.view().books.inFlight, 0)
          })
        ),
      180_000 * SEEDS
    )

    it.live(
      "over stops and starts in the middle, of which each leaves nothing in flight",
      () =>
        eachSeed((seed) =>
          Effect.gen(function* () {
            const count = 1_000
            const world = new World(seed, count, 120, togetherMax)
            const pipeline = world.pipeline()
            const dump = () => world.dump(pipeline.view())
            let stops = 0
            while (world.waiting.length + world.out.size > 0 && stops < 500) {
              yield* whileRunning(pipeline.run, dump, TestClock.adjust(Math.floor(world.next() * 600)))
              const { books } = pipeline.view()
              assert.strictEqual(books.inFlight, 0)
              assert.strictEqual(world.out.size, 0, "what was not settled went back to the source")
              assert.strictEqual(books.received, books.accepted + books.rejected + books.kept)
              stops++
            }
            world.check(count, pipeline.view())
            assert.isAbove(stops, 0)
          })
        ),
      180_000 * SEEDS
    )
  }
)
