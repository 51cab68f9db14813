/**
 * What every layer of the spool promises, as tests: `suite(name, layer)` runs on each of them.
 *
 * `layer` gives an empty spool with the given bounds each time it is built.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Fiber, type Layer } from "effect"
import { TestClock } from "effect/testing"
import { seededRandom } from "../../test/Seeded.ts"
import { type PackedRows, packRows, unpackRows } from "./PackedRows.ts"
import { type NewSpoolRecord, Spool } from "./Spool.ts"

export interface SpoolBounds {
  readonly maxBytes: number
  readonly maxAge: Duration.Input
}

/** Rows of `bytes` bytes that do not compress by more than half, so that a bound in bytes means something. */
export const randomRows = (random: () => number, bytes: number): PackedRows => {
  let text = ""
  while (text.length < bytes) text += Math.floor(random() * 2 ** 32).toString(16)
  return packRows([JSON.stringify({ timestamp: "2025-10-30T12:00:00Z", value: text.slice(0, bytes) })])
}

const everything = { order: "oldest", maxBytes: Number.MAX_SAFE_INTEGER } as const

export const suite = <E>(name: string, layer: (bounds: SpoolBounds) => Layer.Layer<Spool, E>): void => {
  const roomy = layer({ maxBytes: 16 * 1024 * 1024, maxAge: "24 hours" })
  const record = (label: number | string): NewSpoolRecord => ({
    exporter: "process_exporter",
    scrapedAt: 0,
    rows: packRows([JSON.stringify({ timestamp: "1970-01-01T00:00:00Z", name: `${label}` })])
  })

  describe(`the spool ${name}`, () => {
    it.effect("gives back what was appended as it was, oldest or newest first", () =>
      Effect.gen(function* () {
        const spool = yield* Spool
        const records: ReadonlyArray<NewSpoolRecord> = [
          { exporter: "node_exporter", scrapedAt: 0, rows: packRows([]) },
          { exporter: "process_exporter", scrapedAt: 1, rows: packRows([`{"name":"tab\\t \u2028 \u{1f600} naïve"}`]) },
          { exporter: "gpü", scrapedAt: 2, rows: packRows(Array.from({ length: 2000 }, (_, n) => `{"n":${n}}`)) },
          { exporter: "", scrapedAt: 3, rows: packRows([""]) }
        ]
        yield* spool.append(records.slice(0, 2))
        yield* spool.append(records.slice(2))
        const oldest = yield* spool.peek(everything)
        assert.deepStrictEqual(
          oldest.map(({ id: _, ...rest }) => rest),
          records
        )
        const newest = yield* spool.peek({ ...everything, order: "newest" })
        assert.deepStrictEqual(newest, [...oldest].reverse())
      }).pipe(Effect.provide(roomy))
    )

    it.effect("numbers records in the order of appending", () =>
      Effect.gen(function* () {
        const spool = yield* Spool
        yield* spool.append([record(1), record(2)])
        const before = (yield* spool.peek(everything)).map(({ id }) => id)
        yield* spool.remove(before)
        yield* spool.append([record(3), record(4)])
        const ids = [...before, ...(yield* spool.peek(everything)).map(({ id }) => id)]
        assert.strictEqual(ids.length, 4)
        assert.deepStrictEqual(
          ids,
          [...new Set(ids)].sort((a, b) => a - b)
        )
      }).pipe(Effect.provide(roomy))
    )

    it.effect("hands out at most the bytes asked for, but at least one record", () =>
      Effect.gen(function* () {
        const spool = yield* Spool
        assert.deepStrictEqual(yield* spool.peek(everything), [])
        const rows = packRows(["€".repeat(100)])
        yield* spool.append([1, 2, 3].map((scrapedAt) => ({ exporter: "e", scrapedAt, rows })))
        const taken = (maxBytes: number) =>
          Effect.map(spool.peek({ order: "oldest", maxBytes }), (found) => found.length)
        assert.strictEqual(yield* taken(0), 1)
        assert.strictEqual(yield* taken(599), 1)
        assert.strictEqual(yield* taken(600), 2)
        assert.strictEqual(yield* taken(900), 3)
        const [newest] = yield* spool.peek({ order: "newest", maxBytes: 0 })
        assert.strictEqual(newest?.scrapedAt, 3)
      }).pipe(Effect.provide(roomy))
    )

    it.effect("keeps a record until its id is removed, and ignores ids that it does not know", () =>
      Effect.gen(function* () {
        const spool = yield* Spool
        yield* spool.append(["a", "b", "c", "d", "e"].map(record))
        const all = yield* spool.peek(everything)
        assert.deepStrictEqual(yield* spool.peek(everything), all)
        yield* spool.remove([all[1]!.id, all[3]!.id, -1, 0.5, Number.NaN, all[4]!.id + 1])
        yield* spool.remove([all[1]!.id])
        yield* spool.remove([])
        assert.deepStrictEqual(yield* spool.peek(everything), [all[0]!, all[2]!, all[4]!])
        const stats = yield* spool.stats
        assert.strictEqual(stats.records, 3)
        assert.strictEqual(stats.dropped, 0)
        yield* spool.remove(all.map(({ id }) => id))
        const empty = yield* spool.stats
        assert.deepStrictEqual([empty.records, empty.bytes, empty.oldest], [0, 0, null])
      }).pipe(Effect.provide(roomy))
    )

    it.effect("wakes who waits for a record, and lets them wait while there is none", () =>
      Effect.gen(function* () {
        const spool = yield* Spool
        const waiting = yield* Effect.forkChild(spool.awaitRecord, { startImmediately: true })
        yield* TestClock.adjust("1 minute")
        assert.isUndefined(waiting.pollUnsafe())
        yield* spool.append([record(1)])
        yield* Fiber.join(waiting)
        yield* spool.awaitRecord
        yield* spool.remove((yield* spool.peek(everything)).map(({ id }) => id))
        const again = yield* Effect.forkChild(spool.awaitRecord, { startImmediately: true })
        yield* TestClock.adjust("1 minute")
        assert.isUndefined(again.pollUnsafe())
        yield* spool.append([record(2)])
        yield* Fiber.join(again)
      }).pipe(Effect.provide(roomy))
    )

    it.effect("drops the oldest first where it is over its bytes, and counts them", () =>
      Effect.gen(function* () {
        const spool = yield* Spool
        const random = seededRandom(1)
        for (let scrapedAt = 0; scrapedAt < 200; scrapedAt++) {
          yield* spool.append([{ exporter: "e", scrapedAt, rows: randomRows(random, 1000) }])
          const stats = yield* spool.stats
          assert.isAtMost(stats.bytes, stats.maxBytes)
          assert.strictEqual(stats.records + stats.dropped, scrapedAt + 1)
          assert.deepInclude(spool.level(), {
            received: scrapedAt + 1,
            removed: 0,
            dropped: stats.dropped,
            records: stats.records
          })
          assert.strictEqual(stats.oldest, stats.dropped)
        }
        const { records, dropped, maxBytes } = yield* spool.stats
        assert.strictEqual(maxBytes, 20_000)
        assert.isAtLeast(records, 10)
        const kept = (yield* spool.peek(everything)).map(({ scrapedAt }) => scrapedAt)
        assert.deepStrictEqual(
          kept,
          Array.from({ length: records }, (_, n) => dropped + n)
        )
      }).pipe(Effect.provide(layer({ maxBytes: 20_000, maxAge: "24 hours" })))
    )

    it.effect("drops a record that alone is over the bound, and no other for it", () =>
      Effect.gen(function* () {
        const spool = yield* Spool
        yield* spool.append([record("small")])
        yield* spool.append([
          { exporter: "e", scrapedAt: 0, rows: randomRows(seededRandom(2), 100_000) },
          record("next")
        ])
        const kept = yield* spool.peek(everything)
        assert.deepStrictEqual(
          kept.map(({ rows }) => rows),
          [record("small").rows, record("next").rows]
        )
        assert.strictEqual((yield* spool.stats).dropped, 1)
      }).pipe(Effect.provide(layer({ maxBytes: 20_000, maxAge: "24 hours" })))
    )

    it.effect("drops what is older than its age, and counts it", () =>
      Effect.gen(function* () {
        const spool = yield* Spool
        for (let minute = 0; minute < 120; minute++) {
          yield* spool.append([{ exporter: "e", scrapedAt: yield* Clock.currentTimeMillis, rows: packRows([]) }])
          yield* TestClock.adjust("1 minute")
        }
        const full = yield* spool.stats
        assert.strictEqual(full.records, 60)
        assert.strictEqual(full.dropped, 60)
        assert.strictEqual(full.oldest, Duration.toMillis("60 minutes"))
        yield* TestClock.adjust("30 minutes")
        assert.strictEqual((yield* spool.peek(everything)).length, 30)
        yield* TestClock.adjust("1 hour")
        assert.strictEqual((yield* spool.stats).dropped, 120)
        assert.deepStrictEqual(yield* spool.peek(everything), [])
      }).pipe(Effect.provide(layer({ maxBytes: 1_000_000, maxAge: "1 hour" })))
    )

    it.effect("holds what a list would hold, whatever is appended and removed", () =>
      Effect.gen(function* () {
        const seed = Number(process.env.NODEPULSE_SEED ?? 20_251_030)
        const random = seededRandom(seed)
        const spool = yield* Spool
        let model: Array<NewSpoolRecord> = []
        let appended = 0
        for (let step = 0; step < 400; step++) {
          const order = random() < 0.5 ? "oldest" : "newest"
          if (random() < 0.5) {
            const fresh = Array.from({ length: Math.floor(random() * 4) }, () => record(appended++))
            yield* spool.append(fresh)
            model.push(...fresh)
          } else {
            const found = yield* spool.peek({ order, maxBytes: Math.floor(random() * 400) })
            const expected = order === "oldest" ? model : [...model].reverse()
            assert.deepStrictEqual(
              found.map(({ rows }) => rows),
              expected.slice(0, found.length).map(({ rows }) => rows),
              `seed ${seed}, step ${step}`
            )
            assert.strictEqual(found.length > 0, model.length > 0, `seed ${seed}, step ${step}`)
            const gone = found.filter(() => random() < 0.7)
            yield* spool.remove(gone.map(({ id }) => id))
            const rows = new Set(gone.map((one) => unpackRows(one.rows)))
            model = model.filter((one) => !rows.has(unpackRows(one.rows)))
          }
          assert.strictEqual((yield* spool.stats).records, model.length, `seed ${seed}, step ${step}`)
          const { records, ...books } = spool.level()
          assert.deepInclude(
            books,
            { received: appended, removed: appended - model.length, dropped: 0, damaged: 0 },
            `seed ${seed}, step ${step}`
          )
          assert.strictEqual(records, model.length)
        }
        assert.isAbove(appended, 100)
      }).pipe(Effect.provide(roomy))
    )
  })
}
