import { spawn } from "node:child_process"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Schedule, type Scope } from "effect"
import {
  describeEachValkey,
  makeTestValkey,
  type TestValkey,
  type TestValkeyOptions
} from "../../../../test/TestValkey.ts"
import { type Delivery, SnapshotStream, type Subscription } from "../SnapshotStream.ts"
import {
  entries,
  entry,
  numberOf,
  partsOf,
  readAll,
  readSoon,
  subscribeApart,
  suite,
  textOf,
  toEntry
} from "../SnapshotStreamSuite.ts"
import type { StreamContent } from "../StreamEntry.ts"
import { layer, uniqueConsumer, type ValkeyOptions } from "./SnapshotStreamValkey.ts"
import { keyOf } from "./StreamNumber.ts"
import { awaitValkey } from "./ValkeyStart.ts"

const KEY = keyOf(0)

describeEachValkey("the stream in Valkey", (server) => {
  /** A test with a server and a stream of its own. */
  const promise = (
    title: string,
    settings: TestValkeyOptions,
    options: Omit<ValkeyOptions, "url">,
    test: (valkey: TestValkey) => Effect.Effect<void, unknown, SnapshotStream | Scope.Scope>
  ) =>
    it.live(title, () =>
      Effect.gen(function* () {
        const valkey = yield* makeTestValkey({ server, ...settings })
        yield* test(valkey).pipe(Effect.scoped, Effect.provide(layer({ url: valkey.url, ...options })))
      })
    )

  suite("the stream in Valkey", ({ bound }) =>
    Layer.unwrap(Effect.map(makeTestValkey({ server }), ({ url }) => layer({ url, maxLength: bound }))))

  suite(
    "four streams in Valkey",
    ({ bound }) =>
      Layer.unwrap(Effect.map(makeTestValkey({ server }), ({ url }) => layer({ url, streams: 4, maxLength: bound }))),
    { several: true }
  )

  describe("what was published survives", () => {
    promise(
      "a power cut of Valkey, where it writes before it answers",
      { appendOnly: true },
      { claimAfter: "1 second" },
      (valkey) =>
        Effect.gen(function* () {
          const stream = yield* SnapshotStream
          const { consumer, close } = yield* subscribeApart("a")
          yield* stream.publish(entries(100))
          const held = yield* readAll(consumer, 40)
          yield* consumer.acknowledge(partsOf(held.slice(0, 10)))
          let published = 100
          const publishing = yield* Effect.forkChild(
            Effect.forever(
              Effect.gen(function* () {
                yield* stream.publish(entries(published + 50).slice(published))
                published += 50
              })
            ).pipe(Effect.ignore)
          )
          yield* Effect.sleep(50)
          yield* valkey.kill
          yield* Fiber.await(publishing)
          yield* valkey.start
          yield* close
          const other = yield* retrying(stream.subscribe("b"))
          const numbers = new Set<string>()
          // What was answered is there; what was under way may be.
          while (numbers.size < published - 10) {
            for (const held of yield* retrying(readAll(other, 1))) numbers.add(textOf(held.entry))
          }
          const has = (entry: StreamContent) => numbers.has(textOf(entry))
          for (const entry of entries(published).slice(40)) assert.isTrue(has(entry), textOf(entry))
          for (const { entry } of held.slice(10)) assert.isTrue(has(entry), textOf(entry))
          for (const { entry } of held.slice(0, 10)) assert.isFalse(has(entry), textOf(entry))
        })
    )

    promise(
      "a restart, which a reader outlives without being given again what it holds",
      { appendOnly: true },
      {},
      (valkey) =>
        Effect.gen(function* () {
          const stream = yield* SnapshotStream
          const consumer = persistent(yield* stream.subscribe("a"))
          yield* stream.publish(entries(10))
          const held = yield* readAll(consumer, 4)
          yield* valkey.stop
          const reading = yield* Effect.forkChild(readAll(consumer, 6))
          yield* Effect.sleep(20)
          yield* valkey.start
          const rest = yield* Fiber.join(reading)
          assert.strictEqual(new Set([...held, ...rest].map(({ entry }) => numberOf(entry))).size, 10)
          assert.isUndefined(yield* readSoon(consumer))
          yield* retrying(consumer.acknowledge(partsOf([...held, ...rest])))
          assert.strictEqual((yield* stream.stats).length, 0)
        })
    )

    promise(
      "the death of a consumer's process: all that it held is taken over, and it is forgotten",
      {},
      { claimAfter: "1 second" },
      (valkey) =>
        Effect.gen(function* () {
          const stream = yield* SnapshotStream
          yield* stream.publish(entries(600))
          yield* Effect.acquireUseRelease(
            Effect.sync(() =>
              spawn(process.execPath, ["test/StreamConsumer.ts", valkey.url, "victim", "500"], {
                stdio: ["ignore", "pipe", "inherit"]
              })
            ),
            (victim) =>
              Effect.promise(() => new Promise<void>((resolve) => victim.stdout.once("data", () => resolve()))),
            (victim) => Effect.sync(() => victim.kill("SIGKILL"))
          )
          const consumer = yield* stream.subscribe("survivor")
          const deliveries = yield* readAll(consumer, 600)
          assert.deepStrictEqual(
            new Set(deliveries.map(({ entry }) => textOf(entry))),
            new Set(entries(600).map(textOf))
          )
          assert.strictEqual(deliveries.filter((delivery) => delivery.deliveries === 2).length, 500)
          yield* consumer.acknowledge(partsOf(deliveries))
          const { length, pending } = yield* stream.stats
          assert.deepStrictEqual({ length, pending }, { length: 0, pending: 0 })
          assert.deepStrictEqual(yield* consumerNames(valkey), ["survivor"])
        })
    )

    promise("a connection that is cut after the server has handed entries out", {}, {}, (valkey) =>
      Effect.gen(function* () {
        const stream = yield* SnapshotStream
        yield* stream.publish(entries(10))
        const consumer = persistent(yield* stream.subscribe("a"))
        const held = yield* readAll(consumer, 3)
        // As if the answer to this read had been lost with the connection.
        yield* raw(valkey, "XREADGROUP", "GROUP", "digest", "a", "COUNT", "5", "STREAMS", KEY, ">")
        yield* valkey.cutConnections
        const rest = yield* readAll(consumer, 7)
        assert.deepStrictEqual(
          [...held, ...rest].map(toEntry).sort((a, b) => numberOf(a) - numberOf(b)),
          entries(10)
        )
        assert.strictEqual(rest.filter((delivery) => delivery.deliveries === 2).length, 5)
        assert.isUndefined(yield* readSoon(consumer))
      })
    )

    promise("a reader that waits while its connections are cut", {}, {}, (valkey) =>
      Effect.gen(function* () {
        const stream = yield* SnapshotStream
        const consumer = yield* stream.subscribe("a")
        const reading = yield* Effect.forkChild(retrying(consumer.read(10)))
        yield* Effect.sleep(20)
        yield* valkey.cutConnections
        yield* retrying(stream.publish(entries(5)))
        assert.isAbove((yield* Fiber.join(reading)).length, 0)
      })
    )
  })

  describe("nothing unread is skipped", () => {
    for (const [title, command, ...args] of [
      ["when the group is deleted", "XGROUP", "DESTROY", KEY, "digest"],
      ["when its scripts are forgotten", "SCRIPT", "FLUSH"]
    ] as const) {
      promise(title, {}, {}, (valkey) =>
        Effect.gen(function* () {
          const stream = yield* SnapshotStream
          const consumer = yield* stream.subscribe("a")
          yield* stream.publish(entries(10))
          const held = yield* readAll(consumer, 4)
          const waiting = yield* stream.subscribe("b")
          yield* readAll(waiting, 6)
          const reading = yield* Effect.forkChild(readAll(waiting, 1))
          yield* Effect.sleep(20)
          yield* raw(valkey, command, ...args)
          yield* stream.publish(entries(20).slice(10))
          const numbers = new Set([...held, ...(yield* Fiber.join(reading))].map(({ entry }) => textOf(entry)))
          const hasAll = () =>
            entries(20)
              .slice(10)
              .every((entry) => numbers.has(textOf(entry)))
          while (!hasAll()) for (const { entry } of yield* readAll(consumer, 1)) numbers.add(textOf(entry))
        })
      )
    }

    promise("when everything is flushed, what comes after arrives", {}, {}, (valkey) =>
      Effect.gen(function* () {
        const stream = yield* SnapshotStream
        const consumer = yield* stream.subscribe("a")
        yield* stream.publish(entries(3))
        const held = yield* readAll(consumer, 3)
        const reading = yield* Effect.forkChild(readAll(consumer, 2))
        yield* Effect.sleep(20)
        yield* raw(valkey, "FLUSHALL")
        yield* stream.publish(entries(5).slice(3))
        yield* consumer.acknowledge(partsOf(held))
        assert.deepStrictEqual((yield* Fiber.join(reading)).map(toEntry), entries(5).slice(3))
      })
    )

    promise(
      "when another group reads the same stream, nothing is removed that it has not finished",
      {},
      { maxLength: 20 },
      (valkey) =>
        Effect.gen(function* () {
          const stream = yield* SnapshotStream
          yield* raw(valkey, "XGROUP", "CREATE", KEY, "audit", "0", "MKSTREAM")
          const consumer = yield* stream.subscribe("a")
          yield* stream.publish(entries(10))
          const held = yield* readAll(consumer, 10)
          const ids = yield* idsIn(valkey)
          yield* consumer.acknowledge(partsOf([...held.slice(5), ...held.slice(0, 5)]))
          assert.strictEqual(yield* raw(valkey, "XLEN", KEY), 10)
          yield* raw(valkey, "XREADGROUP", "GROUP", "audit", "x", "COUNT", "4", "STREAMS", KEY, ">")
          yield* raw(valkey, "XACK", KEY, "audit", ids[0]!, ids[1]!)
          yield* stream.publish([entry(10)])
          const [last] = yield* readAll(consumer, 1)
          const [lastId] = (yield* idsIn(valkey)).slice(-1)
          yield* consumer.acknowledge(last!.parts)
          assert.strictEqual(yield* raw(valkey, "XLEN", KEY), 9)
          assert.deepStrictEqual(
            (yield* raw(valkey, "XRANGE", KEY, "-", "+", "COUNT", "1") as Effect.Effect<Array<[string]>>)[0]?.[0],
            ids[2]
          )
          yield* raw(valkey, "XREADGROUP", "GROUP", "audit", "x", "STREAMS", KEY, ">")
          yield* raw(valkey, "XACK", KEY, "audit", ...ids.slice(2), lastId!)
          yield* stream.publish([entry(11)])
          yield* consumer.acknowledge(partsOf(yield* readAll(consumer, 1)))
          // The one that "audit" has not read.
          assert.strictEqual(yield* raw(valkey, "XLEN", KEY), 1)
        })
    )

    promise("when somebody else deletes entries that a dead consumer held, the others still come", {}, {}, (valkey) =>
      Effect.gen(function* () {
        const stream = yield* SnapshotStream
        yield* stream.publish(entries(10))
        const { consumer, close } = yield* subscribeApart("dies")
        yield* readAll(consumer, 10)
        const ids = yield* idsIn(valkey)
        yield* close
        yield* raw(valkey, "XDEL", KEY, ...ids.slice(0, 3), ids[6]!)
        const other = yield* stream.subscribe("lives")
        const rest = yield* readAll(other, 6)
        yield* other.acknowledge(partsOf(rest))
        const { length, pending } = yield* stream.stats
        assert.deepStrictEqual({ length, pending }, { length: 0, pending: 0 })
      })
    )
  })

  describe("a consumer", () => {
    promise(
      "that lives keeps what it holds, however long it takes",
      {},
      { claimAfter: "300 millis", block: "50 millis" },
      () =>
        Effect.gen(function* () {
          const stream = yield* SnapshotStream
          const slow = yield* stream.subscribe("slow")
          yield* stream.publish(entries(5))
          yield* readAll(slow, 5)
          const other = yield* stream.subscribe("other")
          const reading = yield* Effect.forkChild(other.read(5))
          yield* Effect.sleep(1_500)
          assert.isUndefined(reading.pollUnsafe())
          assert.strictEqual((yield* stream.stats).pending, 5)
        })
    )

    promise("is handed what somebody else added, whatever it is", {}, {}, (valkey) =>
      Effect.gen(function* () {
        const stream = yield* SnapshotStream
        yield* raw(valkey, "XADD", KEY, "*", "hello", "world", "snapshot ", "x")
        yield* raw(valkey, "XADD", KEY, "*", "snapshot", "s", "server_id", "a")
        yield* raw(valkey, "XADD", KEY, "*", "server_id", "a", "exporter_name", "b", "snapshot", "c", "more", "d")
        yield* Effect.promise(() => valkey.client.call("XADD", KEY, "*", Buffer.from([0xff, 0]), Buffer.from([0xfe])))
        const consumer = yield* stream.subscribe("a")
        const deliveries = yield* readAll(consumer, 4)
        assert.deepStrictEqual(deliveries.map(toEntry), [
          { serverId: "", exporterName: "", snapshots: ['[["hello","world"],["snapshot ","x"]]'] },
          { serverId: "a", exporterName: "", snapshots: ["s"] },
          { serverId: "a", exporterName: "b", snapshots: ["c"] },
          {
            serverId: "",
            exporterName: "",
            snapshots: ['[["\\ufffd\\u0000","\\ufffd"]]'.replaceAll("\\ufffd", "\ufffd")]
          }
        ])
        yield* consumer.acknowledge(partsOf(deliveries))
        assert.strictEqual((yield* stream.stats).length, 0)
      })
    )

    promise(
      "is handed a scrape that says a wrong number of rows as one row, and the stream counts it as one",
      {},
      {},
      (valkey) =>
        Effect.gen(function* () {
          const stream = yield* SnapshotStream
          const wrong = ["0", "-1", "1001", "1e3", "nan", "", "9".repeat(30)]
          for (const rows of wrong) {
            yield* raw(valkey, "XADD", KEY, "*", "server_id", "a", "exporter_name", "b", "rows", rows, "scrape", "[]")
          }
          yield* stream.publish([{ serverId: "a", exporterName: "b", rows: 1_000, scrape: "[]" }])
          const consumer = yield* stream.subscribe("a")
          const read: Array<Delivery> = []
          while (read.length < wrong.length + 1) read.push(...(yield* consumer.read(5_000)))
          assert.deepStrictEqual(
            read.map(({ length }) => length),
            [...wrong.map(() => 1), 1_000]
          )
          for (const [n, rows] of wrong.entries()) {
            assert.include(textOf(read[n]!.content), JSON.stringify(["rows", rows]))
          }
          const { length, pending } = yield* stream.stats
          assert.deepStrictEqual({ length, pending }, { length: 1_000 + wrong.length, pending: 1_000 + wrong.length })
          yield* consumer.acknowledge(read)
          assert.strictEqual((yield* stream.stats).length, 0)
          assert.strictEqual(yield* raw(valkey, "EXISTS", `${KEY}:rows`), 0)
        })
    )

    promise("is handed the rows of a request together, also where a large read ends within them", {}, {}, () =>
      Effect.gen(function* () {
        const stream = yield* SnapshotStream
        const requests = Array.from({ length: 20 }, (_, n) => ({
          serverId: `server-${n}`,
          exporterName: "process_exporter",
          snapshots: Array.from({ length: 150 }, (_, row) => `["a1b2c3",${n},${row}]`)
        }))
        for (const request of requests) yield* stream.publish([request])
        const consumer = yield* stream.subscribe("a")
        const read: Array<Delivery> = []
        while (read.length < 20) {
          const some = yield* consumer.read(1_000)
          assert.isAtMost(
            some.reduce((sum, { length }) => sum + length, 0),
            1_000
          )
          read.push(...some)
        }
        assert.deepStrictEqual(
          read.map(({ content }) => content),
          requests
        )
        yield* consumer.acknowledge(read)
        assert.strictEqual((yield* stream.stats).length, 0)
      })
    )

    promise("gets what is new between pages of what waits, however fast those follow each other", {}, {}, () =>
      Effect.gen(function* () {
        const stream = yield* SnapshotStream
        const consumer = yield* stream.subscribe("a")
        yield* stream.publish(entries(5_000))
        for (let left = 5_000; left > 0; ) {
          const read = yield* consumer.read(5_000)
          yield* consumer.postpone(read)
          for (const { length } of read) left -= length
        }
        const isNew = ({ content }: Delivery) => numberOf(content) === 5_000
        yield* consumer.acknowledge(yield* consumer.read(1_000))
        yield* stream.publish([entry(5_000)])
        let waited = 0
        for (let came = false; !came; ) {
          const read = yield* consumer.read(1_000)
          yield* consumer.acknowledge(read)
          came = read.some(isNew)
          for (const { length } of read) waited += length
        }
        assert.isAtMost(waited, 2_001)
      })
    )

    it.effect("has a name that no other has", () =>
      Effect.gen(function* () {
        const names = new Set(yield* Effect.replicateEffect(uniqueConsumer, 50))
        assert.strictEqual(names.size, 50)
      })
    )
  })

  describe("its bounds", () => {
    promise("entries: the past is refused beyond an eighth, the present is not", {}, { maxLength: 80 }, () =>
      Effect.gen(function* () {
        const stream = yield* SnapshotStream
        const consumer = yield* stream.subscribe("a")
        // What is there already counts, not what is to come: else a large one would never fit.
        yield* stream.publish(entries(60), { past: true })
        const refused = yield* Effect.flip(stream.publish([entry(60)], { past: true }))
        assert.deepInclude(refused, { _tag: "StreamFull", length: 60, bound: 80 })
        yield* stream.publish(entries(80).slice(60))
        assert.strictEqual((yield* Effect.flip(stream.publish([entry(80)])))._tag, "StreamFull")
        const deliveries = yield* readAll(consumer, 80)
        assert.deepStrictEqual(deliveries.map(toEntry), entries(80))
        yield* consumer.acknowledge(partsOf(deliveries.slice(0, 70)))
        yield* stream.publish([entry(80)], { past: true })
      })
    )

    promise("memory: a publication beyond is refused, whole, until there is room", {}, { maxBytes: 60_000 }, (valkey) =>
      Effect.gen(function* () {
        const stream = yield* SnapshotStream
        const consumer = yield* stream.subscribe("a")
        let published = 0
        const full = yield* Effect.flip(
          Effect.forever(Effect.tap(stream.publish(entries(50)), () => Effect.sync(() => published++)))
        )
        assert.strictEqual(full._tag, "StreamFull")
        assert.match(full.message, /^the stream uses \d+ bytes of at most 60000$/)
        assert.strictEqual(yield* raw(valkey, "XLEN", KEY), published * 50)
        const deliveries = yield* readAll(consumer, published * 50)
        yield* consumer.acknowledge(partsOf(deliveries))
        assert.isBelow((yield* stream.stats).bytes ?? Number.POSITIVE_INFINITY, 10_000)
        yield* stream.publish(entries(50))
      })
    )

    promise(
      "Valkey's own memory: out of it is full, not broken, and reading goes on",
      { settings: { maxmemory: "3mb" } },
      {},
      (valkey) =>
        Effect.gen(function* () {
          const stream = yield* SnapshotStream
          const consumer = yield* stream.subscribe("a")
          let published = 0
          const full = yield* Effect.flip(
            Effect.forever(Effect.tap(stream.publish(entries(500)), () => Effect.sync(() => published++)))
          )
          assert.strictEqual(full._tag, "StreamFull")
          assert.strictEqual(full.message, "Valkey has no memory left")
          assert.strictEqual(yield* raw(valkey, "XLEN", KEY), published * 500)
          const deliveries = yield* readAll(consumer, published * 500)
          yield* consumer.acknowledge(partsOf(deliveries))
          yield* stream.publish(entries(500))
        })
    )

    promise(
      "an entry that is not acknowledged for long does not keep the acknowledged ones",
      {},
      { maxLength: 10_000 },
      (valkey) =>
        Effect.gen(function* () {
          const stream = yield* SnapshotStream
          const consumer = yield* stream.subscribe("a")
          const stuck: Array<Delivery> = []
          for (let round = 0; round < 8; round++) {
            yield* stream.publish(entries(5_000))
            const parts = [...partsOf(yield* readAll(consumer, 5_000))]
            if (round === 0) stuck.push(parts.shift()!)
            for (let i = 0; i < parts.length; i += 500) yield* consumer.acknowledge(parts.slice(i, i + 500))
            assert.isAtMost(Number(yield* raw(valkey, "XLEN", KEY)), 1 + 1_000)
            assert.strictEqual((yield* stream.stats).length, 1)
          }
          yield* consumer.acknowledge(stuck)
          assert.strictEqual(yield* raw(valkey, "XLEN", KEY), 0)
        })
    )

    promise(
      "requests under way: a paused Valkey costs no more memory than allowed",
      {},
      { timeout: "400 millis", maxBytesInFlight: 20_000 },
      (valkey) =>
        Effect.gen(function* () {
          const stream = yield* SnapshotStream
          yield* stream.publish([entry(0)])
          yield* valkey.pause
          const exits = yield* Effect.forEach(
            Array.from({ length: 20 }),
            () => Effect.flip(stream.publish(entries(50))),
            { concurrency: "unbounded" }
          )
          assert.isTrue(exits.every((error) => error._tag === "StreamUnavailable"))
          const messages = exits.map((error) => error.message)
          assert.isAbove(messages.filter((message) => message.includes("bytes wait for its answer already")).length, 10)
          assert.isAbove(messages.filter((message) => /did not answer within|no connection/.test(message)).length, 0)
          yield* valkey.resume
          yield* retrying(stream.publish(entries(2)))
        })
    )
  })

  describe("while Valkey is away", () => {
    promise("every call fails at once with what is wrong, and works again when it is back", {}, {}, (valkey) =>
      Effect.gen(function* () {
        const stream = yield* SnapshotStream
        const consumer = yield* stream.subscribe("a")
        yield* stream.publish(entries(1))
        const held = partsOf(yield* readAll(consumer, 1))
        yield* valkey.stop
        const failures = yield* Effect.forEach(
          [
            stream.publish(entries(1)),
            consumer.read(1),
            consumer.acknowledge(held),
            stream.stats,
            stream.durability
          ] as ReadonlyArray<Effect.Effect<unknown, { readonly _tag: string; readonly message: string }>>,
          (call) => Effect.timeout(Effect.flip(call), "1 second")
        )
        assert.deepStrictEqual(new Set(failures.map((error) => error._tag)), new Set(["StreamUnavailable"]))
        for (const error of failures) assert.match(error.message, /no connection to redis:\/\/127\.0\.0\.1:\d+/)
        yield* valkey.start
        yield* retrying(stream.publish(entries(1)))
        assert.deepStrictEqual((yield* retrying(readAll(consumer, 1))).map(toEntry), entries(1))
      })
    )

    it.live("the start waits for it and says so, and gives up with the reason", () =>
      Effect.gen(function* () {
        const valkey = yield* makeTestValkey({ server })
        yield* valkey.stop
        const error = yield* Effect.flip(awaitValkey({ url: valkey.url, within: "300 millis" }))
        assert.match(error.message, /^stream connect: no connection to redis:\/\/127\.0\.0\.1:\d+.*ECONNREFUSED/)
        const waiting = yield* Effect.forkChild(awaitValkey({ url: valkey.url }))
        yield* Effect.sleep(100)
        yield* valkey.start
        yield* Fiber.join(waiting)
      })
    )

    it.live("the layer is built all the same, and connects when it comes", () =>
      Effect.gen(function* () {
        const valkey = yield* makeTestValkey({ server })
        yield* valkey.stop
        yield* Effect.gen(function* () {
          const stream = yield* SnapshotStream
          assert.strictEqual((yield* Effect.flip(stream.subscribe("a")))._tag, "StreamUnavailable")
          yield* valkey.start
          yield* retrying(stream.publish(entries(1)))
        }).pipe(Effect.scoped, Effect.provide(layer({ url: valkey.url, timeout: "200 millis" })))
      })
    )

    it.live("a password is in no message", () =>
      Effect.gen(function* () {
        const valkey = yield* makeTestValkey({ server, settings: { user: "digest on >right ~* +@all" } })
        const url = valkey.url.replace("//", "//digest:se%20cret@")
        const error = yield* Effect.flip(awaitValkey({ url, within: "200 millis" }))
        assert.match(error.message, /WRONGPASS/)
        assert.notMatch(`${error.message} ${error.stack}`, /se( |%20)cret/)
      })
    )
  })

  describe("what a 2xx is worth", () => {
    for (const [options, durability] of [
      [{ appendOnly: true }, "fsync-always"],
      [{ appendOnly: true, appendFsync: "everysec" }, "fsync-everysec"],
      [{ appendOnly: true, appendFsync: "no" }, "memory"],
      [{}, "memory"],
      [{ appendOnly: true, settings: { maxmemory: "100mb", "maxmemory-policy": "allkeys-lru" } }, "memory"],
      [{ appendOnly: true, settings: { user: "default on nopass ~* +@all -config" } }, "memory"]
    ] as ReadonlyArray<readonly [TestValkeyOptions, string]>) {
      promise(`with ${JSON.stringify(options)} is ${durability}`, options, {}, () =>
        Effect.gen(function* () {
          const stream = yield* SnapshotStream
          assert.strictEqual(yield* stream.durability, durability)
        })
      )
    }
  })

  promise("a key that holds something else is reported, not overwritten", {}, {}, (valkey) =>
    Effect.gen(function* () {
      const stream = yield* SnapshotStream
      yield* raw(valkey, "SET", KEY, "mine")
      const error = yield* Effect.flip(stream.publish(entries(1)))
      assert.match(error.message, /WRONGTYPE/)
      assert.match((yield* Effect.flip(stream.subscribe("a"))).message, /WRONGTYPE/)
      assert.strictEqual(yield* raw(valkey, "GET", KEY), "mine")
    })
  )
})

/** What digest and the agents do: try again until it works. */
const retrying = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.retry(effect, { schedule: Schedule.spaced("20 millis"), times: 500 })

/** A consumer that goes on reading when a read has failed. */
const persistent = (consumer: Subscription): Subscription => ({
  ...consumer,
  read: (max) => retrying(consumer.read(max))
})

const raw = (valkey: TestValkey, command: string, ...args: ReadonlyArray<string>): Effect.Effect<unknown> =>
  Effect.promise(() => valkey.client.call(command, ...args))

/** The ids of all entries. */
const idsIn = (valkey: TestValkey) =>
  Effect.map(raw(valkey, "XRANGE", KEY, "-", "+"), (entries) =>
    (entries as ReadonlyArray<readonly [id: string, ...unknown: ReadonlyArray<unknown>]>).map(([id]) => id)
  )

const consumerNames = (valkey: TestValkey) =>
  Effect.map(raw(valkey, "XINFO", "CONSUMERS", KEY, "digest"), (consumers) =>
    (consumers as ReadonlyArray<ReadonlyArray<unknown>>).map((consumer) => consumer[1])
  )
