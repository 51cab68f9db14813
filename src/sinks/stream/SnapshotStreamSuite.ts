/**
 * What every layer of `SnapshotStream` promises, as tests to run on each of them, with entries of one row and with entries of
 * {@link ROWS} (scrapes).
 *
 * A layer may answer a publication when its entries are durable (Valkey) or when all were acknowledged (in process), so
 * the suite publishes on the side and goes on once the entries are in the stream.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Exit, Fiber, type Layer, Scope } from "effect"
import { seededRandom } from "../../../test/Seeded.ts"
import {
  Delivery,
  LOOK_AT_WAITING_EVERY,
  SnapshotStream,
  type Subscription,
  WAITING_TRIED_MAX
} from "./SnapshotStream.ts"
import { type EntryKind, rowsIn, type StreamContent } from "./StreamEntry.ts"

/** Rows of the scrapes here. */
const ROWS = 3

/**
 * Runs the suite. `layer` gives an empty stream each time it is called; `bound` is in rows. `several`: it is several streams by
 * server, of which each has its own order and a share of the bound.
 */
export const suite = (
  name: string,
  layer: (options: { readonly bound: number }) => Layer.Layer<SnapshotStream, unknown>,
  /** `operations`: the share of the random ones that are done, where each takes its time. */
  { operations = 1, several = false } = {}
) => {
  suiteOf(`${name}, an entry a snapshot,`, "snapshot", layer, several, operations)
  suiteOf(`${name}, an entry a scrape,`, "scrape", layer, several, operations)
  entriesOfBothKinds(name, layer, several)
}

const suiteOf = (
  name: string,
  kind: EntryKind,
  layer: (options: { readonly bound: number }) => Layer.Layer<SnapshotStream, unknown>,
  several: boolean,
  operations: number
) => {
  const rows = kind === "scrape" ? ROWS : 1
  const entry = (number: number) => entryOf(number, kind)
  const entries = (count: number) => Array.from({ length: count }, (_, i) => entry(i))
  const readAll = (consumer: Subscription, count: number, max?: number) =>
    Effect.map(readEntries(consumer, count, max, rows), (held) => sorted(held, several))
  const assertStats = (
    stats: { readonly length: number; readonly pending: number },
    expected: { readonly length: number; readonly pending: number }
  ) =>
    assert.deepStrictEqual(
      { length: stats.length, pending: stats.pending },
      { length: expected.length * rows, pending: expected.pending * rows }
    )
  const promise = (
    title: string,
    test: Effect.Effect<void, unknown, SnapshotStream | Scope.Scope>,
    options: { readonly bound?: number; readonly timeout?: number } = {}
  ) =>
    it.live(
      title,
      // Its subscriptions end before the stream does: one that cannot say goodbye waits for its connection a while.
      () => test.pipe(Effect.scoped, Effect.provide(layer({ bound: (options.bound ?? 1_000) * rows }))),
      options.timeout ?? 30_000
    )

  describe(`${name} keeps what it was given`, () => {
    promise(
      "what was published is delivered as it was, in order, once",
      Effect.gen(function* () {
        const stream = yield* SnapshotStream
        const entries = [
          entry(1),
          contentWith(kind, "wéb-1", "process_exporter", '["\\u0000","日本 🚀",1e-300]'),
          contentWith(kind, "", "", ""),
          entry(4)
        ]
        yield* publish(entries)
        const consumer = yield* stream.subscribe("a")
        const deliveries = yield* readAll(consumer, 4)
        const byServer = (some: ReadonlyArray<StreamContent>) => Map.groupBy(some, ({ serverId }) => serverId)
        if (several) assert.deepStrictEqual(byServer(deliveries.map(toEntry)).size, 4)
        else assert.deepStrictEqual(deliveries.map(toEntry), entries)
        for (const [server, some] of byServer(deliveries.map(toEntry))) {
          assert.deepStrictEqual(some, byServer(entries).get(server))
        }
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
        const assembled = assembling()
        const reading = yield* Effect.forkChild(consumer.read(2))
        yield* publish(entries(5))
        const reads = [yield* Fiber.join(reading)]
        while (reads.flat().reduce((sum, { length }) => sum + length, 0) < 5 * rows) reads.push(yield* consumer.read(2))
        for (const read of reads)
          assert.isAtMost(
            read.reduce((sum, { length }) => sum + length, 0),
            2
          )
        assert.deepStrictEqual(sorted(assembled(reads.flat()), several).map(toEntry), entries(5))
      })
    )

    promise(
      "several consumers share the entries, each goes to one of them",
      Effect.gen(function* () {
        // A reader of several streams holds some of each that it was not asked for yet.
        if (several) return
        const stream = yield* SnapshotStream
        const consumers = yield* Effect.forEach(["a", "b", "c"], (name) => stream.subscribe(name))
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
        const seen: Array<number> = []
        const assembled = assembling()
        for (let i = 0; i < 30; i++) {
          const reading = yield* Effect.forkChild(consumer.read(10))
          if (i % 3 === 0) yield* Effect.yieldNow
          if (i % 3 === 1) yield* publish([entry(i)])
          if (i % 7 === 0) yield* Effect.sleep(2)
          const exit = yield* Effect.exit(Fiber.interrupt(reading).pipe(Effect.andThen(Fiber.await(reading))))
          if (Exit.isSuccess(exit) && Exit.isSuccess(exit.value))
            seen.push(...assembled(exit.value.value).map(({ entry }) => numberOf(entry)))
        }
        while (seen.length < 10) {
          seen.push(...assembled(yield* consumer.read(10)).map(({ entry }) => numberOf(entry)))
        }
        assert.deepStrictEqual(
          several ? seen.toSorted((a, b) => a - b) : seen,
          Array.from({ length: 10 }, (_, i) => 3 * i + 1)
        )
        assertStats(yield* stream.stats, { length: 10, pending: 10 })
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
        yield* consumer.acknowledge(partsOf(first.slice(0, 4)))
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
        assert.strictEqual(new Set(again.map((held) => numberOf(held.entry))).size, 500)
        yield* other.acknowledge(partsOf(again))
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
        yield* consumer.release(partsOf([first[2]!, first[5]!]))
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
        const waiting = yield* Effect.forkChild(b.read(rows))
        yield* Effect.sleep(20)
        yield* a.release(partsOf([first!]))
        assert.deepStrictEqual(assembling()(yield* Fiber.join(waiting)).map(toEntry), entries(1))
      })
    )
  })

  describe(`${name} lets wait what was postponed`, () => {
    const COUNT = 300

    /** Every other entry is postponed, the rest acknowledged. */
    const halfPostponed = Effect.fnUntraced(function* (consumer: Subscription) {
      yield* publish(entries(COUNT))
      const held = yield* readAll(consumer, COUNT)
      yield* consumer.acknowledge(partsOf(held.filter((_, n) => n % 2 === 1)))
      yield* consumer.postpone(partsOf(held.filter((_, n) => n % 2 === 0)))
    })

    promise(
      "it is counted as what waits, holds up nothing, and comes to whoever reads next, each once",
      Effect.gen(function* () {
        const stream = yield* SnapshotStream
        const { close, consumer } = yield* subscribeApart("a")
        yield* halfPostponed(consumer)
        const stats = yield* stream.stats
        assertStats(stats, { length: COUNT / 2, pending: 0 })
        assert.strictEqual(stats.waiting, (COUNT / 2) * rows)
        yield* publish([entry(COUNT)])
        const isNew = (delivery: Delivery) => delivery.content.serverId === entry(COUNT).serverId
        yield* consumer.postpone((yield* readUntil(consumer, isNew)).filter((delivery) => !isNew(delivery)))
        yield* close
        const other = yield* stream.subscribe("b")
        const assembled = assembling()
        const came: Array<Delivery> = []
        while (came.reduce((sum, { length }) => sum + length, 0) < (COUNT / 2 + 1) * rows) {
          const read = yield* other.read(1_000)
          yield* other.acknowledge(read)
          came.push(...read)
        }
        assert.deepStrictEqual(sorted(assembled(came), true).map(toEntry), [
          ...entries(COUNT).filter((_, n) => n % 2 === 0),
          entry(COUNT)
        ])
        // Once more for what was on its way when the other left.
        assert.isTrue(came.every(({ deliveries }) => deliveries <= 2))
        assertStats(yield* stream.stats, { length: 0, pending: 0 })
        assert.isUndefined(yield* readSoon(other))
      })
    )

    promise(
      "some of it is tried from time to time, in turn, and the rest follows what is acknowledged",
      Effect.gen(function* () {
        // Each of several streams has its own.
        if (several) return
        const stream = yield* SnapshotStream
        const consumer = yield* stream.subscribe("a")
        yield* halfPostponed(consumer)
        const began = yield* Clock.currentTimeMillis
        const seen = new Set<number>()
        let pages = 0
        // One page more than there are: the first comes again.
        for (let all = false; !all; pages++) {
          const assembled = assembling()
          const read = yield* consumer.read(1_000)
          assert.isAtMost(
            read.reduce((sum, { length }) => sum + length, 0),
            WAITING_TRIED_MAX + ROWS
          )
          for (const one of assembled(read)) {
            if (pages > 0 && seen.has(numberOf(one.entry))) all = true
            seen.add(numberOf(one.entry))
          }
          // However often it was tried.
          assert.isTrue(read.every(({ deliveries }) => deliveries === 1))
          yield* consumer.postpone(read)
        }
        assert.strictEqual(seen.size, COUNT / 2)
        const took = (yield* Clock.currentTimeMillis) - began
        assert.isAtLeast(took, (pages - 1) * Duration.toMillis(LOOK_AT_WAITING_EVERY) - 100)
        // So many that page after page they would take longer than this test may.
        yield* publish(entries(4_000))
        yield* consumer.postpone(yield* readRows(consumer, 4_000 * rows))
        let left = (4_000 + COUNT / 2) * rows
        while (left > 0) {
          const read = yield* consumer.read(1_000)
          yield* consumer.acknowledge(read)
          for (const { length } of read) left -= length
        }
        assertStats(yield* stream.stats, { length: 0, pending: 0 })
      }),
      { bound: 10_000 }
    )

    promise(
      "what waits behind much that cannot be done yet follows when something new of its server was acknowledged",
      Effect.gen(function* () {
        if (several) return
        const consumer = yield* (yield* SnapshotStream).subscribe("a")
        const of = (server: string, number: number) => contentWith(kind, server, "process_exporter", `[${number}]`)
        yield* publish([...Array.from({ length: 600 }, (_, n) => of("away", n)), of("back", 600)])
        yield* consumer.postpone(yield* readRows(consumer, 601 * rows))
        /** How many of those that wait come next, once this was acknowledged, and wait again. */
        const afterNew = Effect.fnUntraced(function* (server: string, number: number) {
          yield* publish([of(server, number)])
          const isNew = ({ content }: Delivery) => numberOf(content) === number
          const read = yield* readUntil(consumer, (delivery) => isNew(delivery) && delivery.to === rows)
          yield* consumer.postpone(read.filter((delivery) => !isNew(delivery)))
          yield* consumer.acknowledge(read.filter(isNew))
          const next = yield* consumer.read(1_000)
          yield* consumer.postpone(next)
          return next.reduce((sum, { length }) => sum + length, 0)
        })
        assert.isAtMost(yield* afterNew("other", 700), WAITING_TRIED_MAX + ROWS)
        assert.isAbove(yield* afterNew("back", 701), WAITING_TRIED_MAX + ROWS)
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
        const held = yield* readAll(consumer, 100)
        yield* consumer.acknowledge(partsOf(held.filter((_, i) => i % 2 === 1)))
        assertStats(yield* stream.stats, { length: 50, pending: 50 })
        yield* consumer.acknowledge(partsOf(held.filter((_, i) => i % 2 === 0)))
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
        const [first] = yield* readAll(consumer, 3)
        yield* consumer.acknowledge(partsOf([first!, first!]))
        const unknown = new Delivery(entry(9), 1, { lease: undefined })
        yield* consumer.acknowledge([...first!.parts, unknown])
        yield* consumer.release([unknown])
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
        const held = yield* readAll(consumer, 3)
        yield* close
        yield* consumer.acknowledge(held[1]!.parts)
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
        if (several) return
        yield* publish(entries(7))
        const refused = yield* Effect.flip(stream.publish(entries(2)))
        assert.deepStrictEqual({ ...refused, retryable: refused.retryable }, {
          _tag: "StreamFull",
          length: 7 * rows,
          bound: 8 * rows,
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
        yield* consumer.acknowledge(partsOf(deliveries))
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
        const large = Math.floor(20_000 / rows)
        yield* publish(entries(large))
        const consumer = yield* stream.subscribe("a")
        assert.deepStrictEqual((yield* readAll(consumer, large, 20_000)).map(toEntry), entries(large))
      }),
      { bound: several ? 80_000 : 20_000 }
    )
  })

  describe(`${name} tells how it is`, () => {
    promise(
      "stats tell length, pending, bound and the age of the oldest entry",
      Effect.gen(function* () {
        const stream = yield* SnapshotStream
        const empty = yield* stream.stats
        assert.deepStrictEqual(
          [empty.length, empty.pending, empty.bound, empty.oldestSeconds],
          [0, 0, 1_000 * rows, null]
        )
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
    const count = operations * (kind === "scrape" ? 4_000 : 10_000)
    promise(
      `over ${count} random operations (NODEPULSE_TEST_SEED=${seed})`,
      randomOperations({ seed, count, bound: 400, kind, several }),
      // Of several streams none is to be full: which one is would be chance.
      { bound: several ? 4_000 : 400, timeout: 600_000 }
    )
  })
}

/** Publishes on the side and goes on when the entries are in the stream. */
export const publish = (entries: ReadonlyArray<StreamContent>) =>
  Effect.gen(function* () {
    const stream = yield* SnapshotStream
    const before = (yield* stream.stats).length
    const publishing = yield* Effect.forkScoped(stream.publish(entries))
    const after = before + entries.reduce((sum, entry) => sum + rowsIn(entry), 0)
    while (publishing.pollUnsafe() === undefined && (yield* stream.stats).length < after) yield* Effect.yieldNow
    const exit = publishing.pollUnsafe()
    if (exit !== undefined) yield* exit
  })

/** An entry that was handed out: one snapshot, or a scrape with all of its rows. */
export interface Held {
  readonly entry: StreamContent
  readonly deliveries: number
  readonly parts: ReadonlyArray<Delivery>
}

export const partsOf = (held: ReadonlyArray<Held>): ReadonlyArray<Delivery> => held.flatMap(({ parts }) => parts)

/** By number, where several streams give theirs in any order. */
const sorted = (held: ReadonlyArray<Held>, several: boolean): ReadonlyArray<Held> =>
  several ? held.toSorted((a, b) => numberOf(a.entry) - numberOf(b.entry)) : held

export const toEntry = ({ entry }: Held): StreamContent => entry

/** Puts together what is read: gives the entries of which all rows have come. */
const assembling = () => {
  const open = new Map<object, Array<Delivery>>()
  return (read: ReadonlyArray<Delivery>): ReadonlyArray<Held> =>
    read.flatMap((delivery): ReadonlyArray<Held> => {
      const { content: entry, deliveries, length, receipt } = delivery
      if ("snapshots" in entry) {
        return Array.from({ length }, (_, row) => ({
          entry: { ...entry, snapshots: [entry.snapshots[delivery.from + row]!] },
          deliveries,
          parts: [delivery.slice(row, row + 1)]
        }))
      }
      const parts = [...(open.get(receipt) ?? []), delivery]
      open.set(receipt, parts)
      if (parts.reduce((sum, { length }) => sum + length, 0) < entry.rows) return []
      open.delete(receipt)
      return [{ entry, deliveries, parts }]
    })
}

/** Reads `count` entries of `rows` each, at most `max` rows at a time, and nothing beyond. */
const readEntries = (consumer: Subscription, count: number, max = Number.POSITIVE_INFINITY, rows = 1) =>
  Effect.gen(function* () {
    const held: Array<Held> = []
    const assembled = assembling()
    for (let left = count * rows; left > 0; ) {
      const read = yield* consumer.read(Math.min(max, left))
      left -= read.reduce((sum, { length }) => sum + length, 0)
      held.push(...assembled(read))
    }
    return held
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
const entryOf = (number: number, kind: EntryKind): StreamContent => {
  const exporter = number % 10 === 0 ? "node_exporter" : "process_exporter"
  return contentWith(kind, `server-${number % 7}`, exporter, `["a1b2c3",1761825600000000,null,"postgres",${number}]`)
}

const contentWith = (kind: EntryKind, serverId: string, exporterName: string, text: string): StreamContent =>
  kind === "scrape"
    ? { serverId, exporterName, scrape: text, rows: ROWS }
    : { serverId, exporterName, snapshots: [text] }

export const entry = (number: number): StreamContent => entryOf(number, "snapshot")

export const entries = (count: number): Array<StreamContent> => Array.from({ length: count }, (_, i) => entry(i))

/** What an entry says. */
export const textOf = (entry: StreamContent): string => ("scrape" in entry ? entry.scrape : entry.snapshots[0]!)

export const numberOf = (entry: StreamContent) => Number(/(\d+)\]$/.exec(textOf(entry))?.[1])

const randomOperations = ({
  bound,
  count,
  kind,
  seed,
  several
}: {
  readonly seed: number
  readonly count: number
  readonly bound: number
  readonly kind: EntryKind
  readonly several: boolean
}) =>
  Effect.gen(function* () {
    const stream = yield* SnapshotStream
    const rows = kind === "scrape" ? ROWS : 1
    const next = seededRandom(seed)
    const random = (below: number) => Math.floor(next() * below)
    /** By number: how often each entry in the stream was handed out, and who holds it. */
    const model = new Map<number, { deliveries: number; holder: number | undefined }>()
    const acknowledged: Array<Held> = []
    const consumers: Array<{
      readonly consumer: Subscription
      readonly close: Effect.Effect<void>
      readonly held: Map<number, Held>
    }> = []
    let published = 0
    let nextFresh = 0
    let names = 0
    const join = Effect.gen(function* () {
      return { ...(yield* subscribeApart(`consumer-${names++}`)), held: new Map<number, Held>() }
    })
    // A reader of several streams holds some of each that it was not asked for yet: one alone gets to all.
    for (let i = 0; i < (several ? 1 : 3); i++) consumers.push(yield* join)
    const statsOf = Effect.map(stream.stats, ({ length, pending }) => ({ length, pending }))
    /** Whole entries, although what is read may end within one. */
    const readSome = (consumer: Subscription, entries: number) =>
      Effect.gen(function* () {
        const assembled = assembling()
        const held: Array<Held> = []
        let read = 0
        for (let want = 1 + random(entries * rows); want > 0; want = read - held.length * rows === 0 ? 0 : 1) {
          const some = yield* consumer.read(want)
          read += some.reduce((sum, { length }) => sum + length, 0)
          held.push(...assembled(some))
        }
        return held
      })

    for (let i = 0; i < count; i++) {
      const at = random(consumers.length)
      const { consumer, held, close } = consumers[at]!
      const some = [...held.keys()].filter(() => random(2) === 0)
      const operation = random(100)
      if (operation < 30) {
        const batch = Array.from({ length: 1 + random(40) }, (_, i) => entryOf(published + i, kind))
        if (several && model.size + batch.length > bound) continue
        const exit = yield* Effect.exit(publish(batch))
        const after = model.size + batch.length
        // Acknowledged entries that are not removed yet may take a tenth of the bound.
        if (after > bound) assert.isTrue(Exit.isFailure(exit), `${after} entries fit into ${bound}`)
        else if (after <= bound * 0.9) assert.isTrue(Exit.isSuccess(exit), `${after} entries do not fit into ${bound}`)
        if (Exit.isFailure(exit)) continue
        for (const _ of batch) model.set(published++, { deliveries: 0, holder: undefined })
      } else if (operation < 60) {
        if (![...model.values()].some((entry) => entry.holder === undefined)) continue
        for (const one of yield* readSome(consumer, 60)) {
          const number = numberOf(one.entry)
          const known = model.get(number)
          assert.isDefined(known, `${number} was acknowledged and came again`)
          assert.isUndefined(known.holder, `${number} was handed out twice`)
          assert.deepStrictEqual(one.entry, entryOf(number, kind))
          if (several) assert.isAtLeast(one.deliveries, known.deliveries + 1)
          else assert.strictEqual(one.deliveries, known.deliveries + 1)
          if (one.deliveries === 1 && !several) assert.strictEqual(number, nextFresh++)
          model.set(number, { deliveries: one.deliveries, holder: at })
          held.set(number, one)
        }
      } else if (operation < 85) {
        const done = some.map((number) => held.get(number)!)
        // Of an entry of several rows first some, then all, in one of two orders.
        const parts = partsOf(done)
        const first = parts.filter(() => random(2) === 0).map((part) => part.slice(0, 1))
        yield* consumer.acknowledge(kind === "scrape" ? first : [])
        yield* consumer.acknowledge([...parts, ...partsOf(acknowledged.slice(-3))])
        for (const number of some) {
          model.delete(number)
          held.delete(number)
        }
        acknowledged.push(...done)
      } else if (operation < 95) {
        const back = some.slice(0, 5)
        yield* consumer.release(partsOf(back.map((number) => held.get(number)!)))
        for (const number of back) {
          model.get(number)!.holder = undefined
          held.delete(number)
        }
      } else if (operation < 97) {
        yield* close
        for (const number of held.keys()) model.get(number)!.holder = undefined
        consumers[at] = yield* join
      } else {
        const pending = [...model.values()].filter((entry) => entry.holder !== undefined).length * rows
        const told = yield* statsOf
        assert.deepStrictEqual(told, { length: model.size * rows, pending: several ? told.pending : pending })
        assert.isAtLeast(told.pending, pending)
      }
    }
    for (const { close } of consumers) yield* close
    const last = yield* stream.subscribe("last")
    const rest = yield* readEntries(last, model.size, undefined, rows)
    assert.deepStrictEqual(new Set(rest.map(({ entry }) => numberOf(entry))), new Set(model.keys()))
    yield* last.acknowledge(partsOf(rest))
    assert.deepStrictEqual(yield* statsOf, { length: 0, pending: 0 })
  })

/** What an entry holds may be changed at any time, and differ from process to process. */
const entriesOfBothKinds = (
  name: string,
  layer: (options: { readonly bound: number }) => Layer.Layer<SnapshotStream, unknown>,
  several: boolean
) => {
  const promise = (title: string, bound: number, test: Effect.Effect<void, unknown, SnapshotStream | Scope.Scope>) =>
    it.live(title, () => test.pipe(Effect.scoped, Effect.provide(layer({ bound }))))
  const mixed = (count: number) =>
    Array.from({ length: count }, (_, n) => entryOf(n, n % 4 < 2 ? "snapshot" : "scrape"))

  describe(`${name}, with entries of both kinds,`, () => {
    promise(
      "delivers each as it is, and again from a consumer that died, and counts rows",
      1_000,
      Effect.gen(function* () {
        const stream = yield* SnapshotStream
        yield* publish(mixed(200))
        assert.strictEqual((yield* stream.stats).length, 100 + 100 * ROWS)
        const { consumer, close } = yield* subscribeApart("dies")
        const held = yield* readMixed(consumer, 100 + 100 * ROWS, 7)
        assert.deepStrictEqual(sorted(held, several).map(toEntry), mixed(200))
        yield* consumer.acknowledge(partsOf(sorted(held, several).slice(0, 101)))
        const left = 49 + 50 * ROWS
        assert.deepStrictEqual(rowsOf(yield* stream.stats), { length: left, pending: left })
        yield* close
        assert.deepStrictEqual(rowsOf(yield* stream.stats), { length: left, pending: 0 })
        const other = yield* stream.subscribe("lives")
        const again = yield* readMixed(other, left, 50)
        assert.deepStrictEqual(sorted(again, true).map(toEntry), mixed(200).slice(101))
        yield* other.acknowledge(partsOf(again))
        assert.deepStrictEqual(rowsOf(yield* stream.stats), { length: 0, pending: 0 })
      })
    )

    promise(
      "takes rows up to its bound, whatever holds them",
      2 * ROWS + 2,
      Effect.gen(function* () {
        const stream = yield* SnapshotStream
        if (several) return
        yield* publish([entryOf(0, "scrape"), entryOf(1, "snapshot"), entryOf(2, "snapshot")])
        const refused = yield* Effect.flip(stream.publish([entryOf(3, "scrape"), entryOf(4, "snapshot")]))
        assert.strictEqual(refused.message, `the stream holds ${ROWS + 2} rows of at most ${2 * ROWS + 2}`)
        yield* publish([entryOf(5, "scrape")])
        assert.strictEqual((yield* Effect.flip(stream.publish([entryOf(6, "snapshot")])))._tag, "StreamFull")
      })
    )

    promise(
      "is done with a scrape when all of its rows are settled, in whatever parts",
      1_000,
      Effect.gen(function* () {
        const stream = yield* SnapshotStream
        yield* publish([entryOf(0, "scrape"), entryOf(1, "scrape")])
        const { consumer, close } = yield* subscribeApart("dies")
        const [first, second] = yield* readMixed(consumer, 2 * ROWS, 2)
        const rows = partsOf([first!]).flatMap((part) =>
          Array.from({ length: part.length }, (_, row) => part.slice(row, row + 1))
        )
        assert.strictEqual(rows.length, ROWS)
        yield* consumer.acknowledge([rows[2]!, rows[0]!, rows[2]!])
        yield* consumer.release([rows[1]!])
        // What is left of it comes again, perhaps with the rest.
        const again = yield* readUntil(consumer, (delivery) => delivery.from <= 1 && delivery.to > 1)
        yield* consumer.acknowledge(again)
        assert.strictEqual((yield* stream.stats).length, ROWS)
        yield* consumer.acknowledge(second!.parts.slice(0, 1))
        yield* close
        const other = yield* stream.subscribe("lives")
        yield* other.acknowledge(yield* readUntil(other, (delivery) => delivery.to === ROWS))
        assert.deepStrictEqual(rowsOf(yield* stream.stats), { length: 0, pending: 0 })
      })
    )

    for (const how of ["release", "postpone"] as const)
      promise(
        `hands out again what it was told to ${how} of a scrape before the rest of it was settled`,
        1_000,
        Effect.gen(function* () {
          const stream = yield* SnapshotStream
          yield* publish([entryOf(0, "scrape")])
          const consumer = yield* stream.subscribe("a")
          const [scrape] = yield* readRows(consumer, ROWS)
          yield* consumer[how]([scrape!.slice(0, 1)])
          yield* consumer.acknowledge([scrape!.slice(1, ROWS)])
          yield* consumer.acknowledge(yield* readUntil(consumer, ({ from }) => from === 0))
          assert.deepStrictEqual(rowsOf(yield* stream.stats), { length: 0, pending: 0 })
        })
      )
  })
}

/** Reads snapshots. */
export const readAll = (consumer: Subscription, count: number, max?: number) => readEntries(consumer, count, max)

/** Reads entries of so many rows in all. */
const readMixed = (consumer: Subscription, rows: number, max: number) => readEntries(consumer, rows, max)

/** Reads until one that is looked for has come, and gives all that came. */
const readUntil = (consumer: Subscription, isLast: (delivery: Delivery) => boolean) =>
  Effect.gen(function* () {
    const read: Array<Delivery> = []
    while (!read.some(isLast)) read.push(...(yield* consumer.read(1_000)))
    return read
  })

/** Reads so many rows, and whatever waits in between. */
const readRows = (consumer: Subscription, count: number) =>
  Effect.gen(function* () {
    const read: Array<Delivery> = []
    while (read.reduce((sum, { length }) => sum + length, 0) < count) read.push(...(yield* consumer.read(5_000)))
    return read
  })

const rowsOf = ({ length, pending }: { readonly length: number; readonly pending: number }) => ({ length, pending })
