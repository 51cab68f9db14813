import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { SnapshotStream } from "./SnapshotStream.ts"
import { layerMemory } from "./SnapshotStreamMemory.ts"
import { entries, partsOf, publish, readAll, suite } from "./SnapshotStreamSuite.ts"

suite("the stream in process", layerMemory)

describe("a 2xx of the stream in process", () => {
  it.effect("answers a publication when the last of its entries is acknowledged, not before", () =>
    Effect.gen(function* () {
      const stream = yield* SnapshotStream
      const publishing = yield* Effect.forkChild(stream.publish(entries(3)))
      const consumer = yield* stream.subscribe("a")
      const parts = partsOf(yield* readAll(consumer, 3))
      yield* consumer.acknowledge(parts.slice(0, 2))
      yield* consumer.acknowledge(parts.slice(0, 2))
      yield* Effect.yieldNow
      assert.isUndefined(publishing.pollUnsafe())
      yield* consumer.acknowledge(parts.slice(2))
      yield* Fiber.join(publishing)
      assert.strictEqual(yield* stream.durability, "committed")
    }).pipe(Effect.provide(layerMemory()))
  )

  it.effect("keeps the entries of a publisher that gave up waiting", () =>
    Effect.gen(function* () {
      const stream = yield* SnapshotStream
      const publishing = yield* Effect.forkChild(stream.publish(entries(3)))
      yield* publish(entries(1))
      yield* Fiber.interrupt(publishing)
      const consumer = yield* stream.subscribe("a")
      assert.lengthOf(yield* readAll(consumer, 4), 4)
    }).pipe(Effect.provide(layerMemory()))
  )

  it.effect("hands out what was published together, also where a read could end within it", () =>
    Effect.gen(function* () {
      const stream = yield* SnapshotStream
      const request = (n: number) => ({
        serverId: `server-${n}`,
        exporterName: "process_exporter",
        snapshots: Array.from({ length: 150 }, (_, row) => `[${n},${row}]`)
      })
      yield* publish([request(0), request(1), request(2)])
      const consumer = yield* stream.subscribe("a")
      const lengths = Effect.map(consumer.read(400), (read) => read.map(({ length }) => length))
      assert.deepStrictEqual([yield* lengths, yield* lengths], [[150, 150], [150]])
    }).pipe(Effect.provide(layerMemory()))
  )

  it.effect("tells the age of the oldest entry by the clock", () =>
    Effect.gen(function* () {
      const stream = yield* SnapshotStream
      yield* publish(entries(3))
      yield* TestClock.adjust("90 seconds")
      assert.strictEqual((yield* stream.stats).oldestSeconds, 90)
    }).pipe(Effect.provide(layerMemory()))
  )
})
