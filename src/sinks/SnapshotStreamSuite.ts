/**
 * What every layer of `SnapshotStream` promises, as tests to run on each of them.
 *
 * A layer may answer a publication when its entries are durable (Valkey) or when all were acknowledged (in process), so
 * the suite publishes on the side and goes on once the entries are in the stream.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, type Layer, Scope } from "effect"
import { type Delivery, SnapshotStream, type StreamEntry, type Subscription } from "./SnapshotStream.ts"

/** Runs the suite. `layer` gives an empty stream each time it is called. */
export const suite = (
  name: string,
  layer: (options: { readonly bound: number }) => Layer.Layer<SnapshotStream, unknown>
) => {
  const promise = (
    title: string,
    test: Effect.Effect<void, unknown, SnapshotStream | Scope.Scope>,
    options: { readonly bound?: number; readonly timeout?: number } = {}
  ) =>
    it.live(title, () => test.pipe(Effect.provide(layer({ bound: options.bound ?? 1_000 }))), options.timeout ?? 30_000)

  describe(`${name} keeps what it was given`, () => {
    promise(
      "what was published is delivered as it was, in order, once",
      Effect.gen(function* () {
        const stream = yield* SnapshotStream
        const entries = [
          entry(1),
          { serverId: "wéb-1", exporterName: "process_exporter", snapshot: '["\\u0000","日本 🚀",1e-300]' },
          { serverId: "", exporterName: "", snapshot: "" },
          entry(4)
        ]
        yield* publish(entries)
        const consumer = yield* stream.subscribe("a")
        const deliveries = yield* readAll(consumer, 4)
        assert.deepStrictEqual(deliveries.map(toEntry), entries)
        assert.deepStrictEqual(
          deliveries.map((delivery) => delivery.deliveries),
          [1, 1, 1, 1]
        )
        assert.isUndefined(yield* readSoon(consumer))
      })
    )

    promise(
      "what no consumer was there for waits for the first",
      Effect.gen(function* () {
        const stream = yield* SnapshotStream
        yield* publish(entries(3))
        const consumer = yield* stream.subscribe("late")
        assert.deepStrictEqual((yield* readAll(consumer, 3)).map(toEntry), entries(3))
      })
    )

    promise(
      "a read waits for the next publication and never hands out more than asked for",
      Effect.gen(function* () {
        const stream = yield* SnapshotStream
        const consumer = yield* stream.subscribe("a")
        const reading = yield* Effect.forkChild(consumer.read(2))
        yield* publish(entries(5))
        const first = yield* Fiber.join(reading)
        assert.isAtMost(first.length, 2)
        const second = yield* consumer.read(2)
        assert.isAtMost(second.length, 2)
        const rest = yield* readAll(consumer, 5 - first.length - second.length)
        assert.deepStrictEqual([...first, ...second, ...rest].map(toEntry), entries(5))
      })
    )

    promise(
      "several consumers share the entries, each goes to one of them",
      Effect.gen(function* () {
        const stream = yield* SnapshotStream
        const consumers = yield* Effect.forEach(["a", "b", "c"], stream.subscribe)
        yield* publish(entries(300))
        const deliveries = yield* Effect.forEach(consumers, (consumer) => readAll(consumer, 100, 100), {
          concurrency: 3
        })
        assert.deepStrictEqual(
          deliveries
            .flat()
            .map(toEntry)
            .sort((a, b) => numberOf(a) - numberOf(b)),
          entries(300)
        )
      })
    )

    promise(
      "an interrupted read loses nothing",
      Effect.gen(function* () {
        const stream = yield* SnapshotStream
        const consumer = yield* stream.subscribe("a")
        const seen: Array<StreamEntry> = []
        for (let i = 0; i < 30; i++) {
          const reading = yield* Effect.forkChild(consumer.read(10))
          if (i % 3 === 0) yield* Effect.yieldNow
          if (i % 3 === 1) yield* publish([entry(i)])
          if (i % 7 === 0) yield* Effect.sleep(2)
          const exit = yield* Effect.exit(Fiber.interrupt(reading).pipe(Effect.andThen(Fiber.await(reading))))
          if (Exit.isSuccess(exit) && Exit.isSuccess(exit.value)) seen.push(...exit.value.value.map(toEntry))
        }
        while (seen.length < 10) seen.push(...(yield* consumer.read(10)).map(toEntry))
        assert.deepStrictEqual(
          seen.map(numberOf),
          Array.from({ length: 10 }, (_, i) => 3 * i + 1)
        )
        assert.strictEqual((yield* stream.stats).pending, 10)
      })
    )
  })

  describe(`${name} delivers again`, () => {
    promise(
      "what a consumer leaves unacknowledged comes to another, counted",
      Effect.gen(function* () {
        const stream = yield* SnapshotStream
        yield* publish(entries(10))
        const { consumer, close } = yield* subscribeApart("dies")
        const first = yield* readAll(consumer, 10)
        yield* consumer.acknowledge(first.slice(0, 4).map((delivery) => delivery.id))
        yield* close
        assert.strictEqual((yield* stream.stats).pending, 0)
        const other = yield* stream.subscribe("lives")
        const again = yield* readAll(other, 6)
        assert.deepStrictEqual(again.map(toEntry), entries(10).slice(4))
        assert.deepStrictEqual(new Set(again.map((delivery) => delivery.deliveries)), new Set([2]))
        assert.isUndefined(yield* readSoon(other))
      })
    )

    promise(
      "it comes to one that waits already",
      Effect.gen(function* () {
        const stream = yield* SnapshotStream
        yield* publish(entries(5))
        const { consumer, close } = yield* subscribeApart("dies")
        yield* readAll(consumer, 5)
        const other = yield* stream.subscribe("waits")
        const reading = yield* Effect.forkChild(readAll(other, 5))
        yield* Effect.sleep(20)
        yield* close
        assert.deepStrictEqual((yield* Fiber.join(reading)).map(toEntry), entries(5))
      })
    )

    promise(
      "it comes to the next one of the same name",
      Effect.gen(function* () {
        const stream = yield* SnapshotStream
        yield* publish(entries(5))
        const { consumer, close } = yield* subscribeApart("same")
        yield* readAll(consumer, 5)
        yield* close
        const next = yield* stream.subscribe("same")
        assert.deepStrictEqual((yield* readAll(next, 5)).map(toEntry), entries(5))
      })
    )

    promise(
      "five hundred entries of a consumer that died are all taken over, and none is left pending",
      Effect.gen(function* () {
        const stream = yield* SnapshotStream
        yield* publish(entries(500))
        const { consumer, close } = yield* subscribeApart("dies")
        yield* readAll(consumer, 500)
        yield* close
        const other = yield* stream.subscribe("lives")
        const again = yield* readAll(other, 500, 100)
        assert.strictEqual(new Set(again.map((delivery) => delivery.id)).size, 500)
        yield* other.acknowledge(again.map((delivery) => delivery.id))
        assertStats(yield* stream.stats, { length: 0, pending: 0 })
      })
    )

    promise(
      "what was released comes again at once, to the same consumer too, and the rest does not",
      Effect.gen(function* () {
        const stream = yield* SnapshotStream
        yield* publish(entries(10))
        const consumer = yield* stream.subscribe("a")
        const first = yield* readAll(consumer, 10)
        yield* consumer.release([first[2]!.id, first[5]!.id, "0-7", "nonsense"])
        const again = yield* readAll(consumer, 2)
        assert.deepStrictEqual(again.map(toEntry), [entry(2), entry(5)])
        assert.deepStrictEqual(
          again.map((delivery) => delivery.deliveries),
          [2, 2]
        )
        assert.isUndefined(yield* readSoon(consumer))
        assertStats(yield* stream.stats, { length: 10, pending: 10 })
      })
    )

    promise(
      "a release wakes another consumer that waits",
      Effect.gen(function* () {
        const stream = yield* SnapshotStream
        const a = yield* stream.subscribe("a")
        const b = yield* stream.subscribe("b")
        yield* publish(entries(1))
        const [first] = yield* readAll(a, 1)
        const waiting = yield* Effect.forkChild(b.read(1))
        yield* Effect.sleep(20)
        yield* a.release([first!.id])
        assert.deepStrictEqual((yield* Fiber.join(waiting)).map(toEntry), entries(1))
      })
    )
  })

  describe(`${name} lets go of what was acknowledged`, () => {
    promise(
      "acknowledged entries are removed, in whatever order they are acknowledged",
      Effect.gen(function* () {
        const stream = yield* SnapshotStream
        yield* publish(entries(100))
        const consumer = yield* stream.subscribe("a")
        const ids = (yield* readAll(consumer, 100)).map((delivery) => delivery.id)
        yield* consumer.acknowledge(ids.filter((_, i) => i % 2 === 1))
        assertStats(yield* stream.stats, { length: 50, pending: 50 })
        yield* consumer.acknowledge(ids.filter((_, i) => i % 2 === 0))
        assertStats(yield* stream.stats, { length: 0, pending: 0 })
        assert.isUndefined(yield* readSoon(consumer))
      })
    )

    promise(
      "acknowledging again, or what is unknown, changes nothing",
      Effect.gen(function* () {
        const stream = yield* SnapshotStream
        yield* publish(entries(3))
        const consumer = yield* stream.subscribe("a")
        const ids = (yield* readAll(consumer, 3)).map((delivery) => delivery.id)
        yield* consumer.acknowledge([ids[0]!, ids[0]!])
        yield* consumer.acknowledge([ids[0]!, "1-1", "", "nonsense", "99999999999999999999999-1", "-"])
        yield* consumer.acknowledge([])
        assertStats(yield* stream.stats, { length: 2, pending: 2 })
      })
    )

    promise(
      "an acknowledgement that comes after the subscription has closed still counts",
      Effect.gen(function* () {
        const stream = yield* SnapshotStream
        yield* publish(entries(3))
        const { consumer, close } = yield* subscribeApart("slow writer")
        const ids = (yield* readAll(consumer, 3)).map((delivery) => delivery.id)
        yield* close
        yield* consumer.acknowledge([ids[1]!])
        const other = yield* stream.subscribe("other")
        assert.deepStrictEqual((yield* readAll(other, 2)).map(toEntry), [entry(0), entry(2)])
        assertStats(yield* stream.stats, { length: 2, pending: 2 })
      })
    )
  })

  describe(`${name} is bounded`, () => {
    promise(
      "a publication that does not fit is refused as a whole, and fits when there is room",
      Effect.gen(function* () {
        const stream = yield* SnapshotStream
        yield* publish(entries(7))
        const refused = yield* Effect.flip(stream.publish(entries(2)))
        assert.deepStrictEqual({ ...refused, retryable: refused.retryable }, {
          _tag: "StreamFull",
          length: 7,
          bound: 8,
          retryAfterSeconds: 5,
          retryable: true
        } as never)
        assertStats(yield* stream.stats, { length: 7, pending: 0 })
        yield* publish([entry(7)])
        const consumer = yield* stream.subscribe("a")
        const deliveries = yield* readAll(consumer, 8)
        assert.deepStrictEqual(deliveries.map(toEntry), entries(8))
        // What is handed out and not acknowledged still counts.
        assert.strictEqual((yield* Effect.flip(stream.publish([entry(9)])))._tag, "StreamFull")
        yield* consumer.acknowledge(deliveries.map((delivery) => delivery.id))
        yield* publish(entries(8))
        assertStats(yield* stream.stats, { length: 8, pending: 0 })
      }),
      { bound: 8 }
    )

    promise(
      "publishing nothing does nothing, and a large publication is one",
      Effect.gen(function* () {
        const stream = yield* SnapshotStream
        yield* stream.publish([])
        assertStats(yield* stream.stats, { length: 0, pending: 0 })
        yield* publish(entries(20_000))
        const consumer = yield* stream.subscribe("a")
        assert.deepStrictEqual((yield* readAll(consumer, 20_000, 20_000)).map(toEntry), entries(20_000))
      }),
      { bound: 20_000 }
    )
  })

  describe(`${name} tells how it is`, () => {
    promise(
      "stats tell length, pending, bound and the age of the oldest entry",
      Effect.gen(function* () {
        const stream = yield* SnapshotStream
        const empty = yield* stream.stats
        assert.deepStrictEqual([empty.length, empty.pending, empty.bound, empty.oldestSeconds], [0, 0, 1_000, null])
        yield* publish(entries(5))
        yield* Effect.sleep(5)
        const consumer = yield* stream.subscribe("a")
        yield* readAll(consumer, 5)
        const stats = yield* stream.stats
        assertStats(stats, { length: 5, pending: 5 })
        assert.isAbove(stats.oldestSeconds ?? 0, 0)
        assert.isBelow(stats.oldestSeconds ?? 0, 20)
        if (stats.bytes !== null) assert.isAbove(stats.bytes, 0)
        assert.include(["committed", "fsync-always", "fsync-everysec", "memory"], yield* stream.durability)
      })
    )
  })

  describe(`${name} behaves like its model`, () => {
    const seed = Number(process.env.NODEPULSE_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31))
    promise(`over 10 000 random operations (NODEPULSE_TEST_SEED=${seed})`, randomOperations(seed, 10_000, 400), {
      bound: 400,
      timeout: 120_000
    })
  })
}

/** Publishes on the side and goes on when the entries are in the stream. */
export const publish = (entries: ReadonlyArray<StreamEntry>) =>
  Effect.gen(function* () {
    const stream = yield* SnapshotStream
    const before = (yield* stream.stats).length
    const publishing = yield* Effect.forkScoped(stream.publish(entries))
    while (publishing.pollUnsafe() === undefined && (yield* stream.stats).length === before) yield* Effect.yieldNow
    const exit = publishing.pollUnsafe()
    if (exit !== undefined) yield* exit
  })

/** Reads until there are `count`, `max` at a time. */
export const readAll = (consumer: Subscription, count: number, max = count) =>
  Effect.gen(function* () {
    const deliveries: Array<Delivery> = []
    while (deliveries.length < count) {
      deliveries.push(...(yield* consumer.read(Math.min(max, count - deliveries.length))))
    }
    return deliveries
  })

/** Reads for a moment: undefined where nothing comes. */
export const readSoon = (consumer: Subscription, max = 1) =>
  Effect.map(Effect.timeoutOption(consumer.read(max), 150), (read) => (read._tag === "Some" ? read.value : undefined))

/** A consumer whose end the test chooses. */
export const subscribeApart = (name: string) =>
  Effect.gen(function* () {
    const stream = yield* SnapshotStream
    const scope = yield* Scope.make()
    const consumer = yield* Scope.provide(stream.subscribe(name), scope)
    return { consumer, close: Scope.close(scope, Exit.void) }
  })

/** An entry that is told by its number. */
export const entry = (number: number): StreamEntry => ({
  serverId: `server-${number % 3}`,
  exporterName: number % 10 === 0 ? "node_exporter" : "process_exporter",
  snapshot: `["a1b2c3",1761825600000000,null,"postgres",${number}]`
})

export const entries = (count: number): Array<StreamEntry> => Array.from({ length: count }, (_, i) => entry(i))

export const toEntry = ({ serverId, exporterName, snapshot }: Delivery): StreamEntry => ({
  serverId,
  exporterName,
  snapshot
})

const numberOf = (entry: StreamEntry) => Number(/(\d+)\]$/.exec(entry.snapshot)?.[1])

const assertStats = (
  stats: { readonly length: number; readonly pending: number },
  expected: { readonly length: number; readonly pending: number }
) => assert.deepStrictEqual({ length: stats.length, pending: stats.pending }, expected)

/** A generator of numbers that a seed repeats (mulberry32). */
const generator = (seed: number) => {
  let state = seed
  return (below: number) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

const randomOperations = (seed: number, count: number, bound: number) =>
  Effect.gen(function* () {
    const stream = yield* SnapshotStream
    const random = generator(seed)
    /** By number: how often each entry in the stream was handed out, and who holds it. */
    const model = new Map<number, { deliveries: number; holder: number | undefined }>()
    const acknowledged: Array<string> = []
    const consumers: Array<{
      readonly consumer: Subscription
      readonly close: Effect.Effect<void>
      readonly held: Map<string, number>
    }> = []
    let published = 0
    let nextFresh = 0
    let names = 0
    const join = Effect.gen(function* () {
      return { ...(yield* subscribeApart(`consumer-${names++}`)), held: new Map<string, number>() }
    })
    for (let i = 0; i < 3; i++) consumers.push(yield* join)

    for (let i = 0; i < count; i++) {
      const at = random(consumers.length)
      const { consumer, held, close } = consumers[at]!
      const some = [...held.keys()].filter(() => random(2) === 0)
      const operation = random(100)
      if (operation < 30) {
        const batch = Array.from({ length: 1 + random(40) }, (_, i) => entry(published + i))
        const exit = yield* Effect.exit(publish(batch))
        const after = model.size + batch.length
        // Acknowledged entries that are not removed yet may take a tenth of the bound.
        if (after > bound) assert.isTrue(Exit.isFailure(exit), `${after} entries fit into ${bound}`)
        else if (after <= bound * 0.9) assert.isTrue(Exit.isSuccess(exit), `${after} entries do not fit into ${bound}`)
        if (Exit.isFailure(exit)) continue
        for (const _ of batch) model.set(published++, { deliveries: 0, holder: undefined })
      } else if (operation < 60) {
        if (![...model.values()].some((entry) => entry.holder === undefined)) continue
        for (const delivery of yield* consumer.read(1 + random(60))) {
          const number = numberOf(delivery)
          const known = model.get(number)
          assert.isDefined(known, `${number} was acknowledged and came again`)
          assert.isUndefined(known.holder, `${number} was handed out twice`)
          assert.deepStrictEqual(toEntry(delivery), entry(number))
          assert.strictEqual(delivery.deliveries, known.deliveries + 1)
          if (delivery.deliveries === 1) assert.strictEqual(number, nextFresh++)
          model.set(number, { deliveries: delivery.deliveries, holder: at })
          held.set(delivery.id, number)
        }
      } else if (operation < 85) {
        yield* consumer.acknowledge([...some, ...acknowledged.slice(-3)])
        for (const id of some) {
          model.delete(held.get(id)!)
          held.delete(id)
          acknowledged.push(id)
        }
      } else if (operation < 95) {
        yield* consumer.release(some.slice(0, 5))
        for (const id of some.slice(0, 5)) {
          model.get(held.get(id)!)!.holder = undefined
          held.delete(id)
        }
      } else if (operation < 97) {
        yield* close
        for (const number of held.values()) model.get(number)!.holder = undefined
        consumers[at] = yield* join
      } else {
        assertStats(yield* stream.stats, {
          length: model.size,
          pending: [...model.values()].filter((entry) => entry.holder !== undefined).length
        })
      }
    }
    for (const { close } of consumers) yield* close
    const last = yield* stream.subscribe("last")
    const rest = yield* readAll(last, model.size)
    assert.deepStrictEqual(new Set(rest.map(numberOf)), new Set(model.keys()))
    yield* last.acknowledge(rest.map((delivery) => delivery.id))
    assertStats(yield* stream.stats, { length: 0, pending: 0 })
  })
