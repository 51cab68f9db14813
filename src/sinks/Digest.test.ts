import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { processValues } from "../../test/ProcessRows.ts"
import { processExporter } from "../plugins/process-exporter/ProcessExporter.ts"
import { defineConfig, Registry } from "../plugins/Registry.ts"
import type { Snapshot } from "../plugins/Snapshot.ts"
import { makeSnapshotCodec } from "../plugins/SnapshotCodec.ts"
import { together } from "../plugins/Snapshots.ts"
import { makeWires } from "../plugins/Wire.ts"
import * as Digest from "./Digest.ts"
import { DeadLetters, type NewDeadLetter } from "./storage/DeadLetters.ts"
import { asColumns, RowsRefused, ServersWait, SnapshotRows } from "./storage/SnapshotRows.ts"
import { layerMemory as layerRows, StoredRows } from "./storage/SnapshotRowsMemory.ts"
import { SnapshotStream } from "./stream/SnapshotStream.ts"
import { layerMemory } from "./stream/SnapshotStreamMemory.ts"
import { contentsOf, EntryKind, type StreamContent } from "./stream/StreamEntry.ts"

const exporter = processExporter()
const codec = makeSnapshotCodec(makeWires([exporter]))
const AT = 1_761_825_600_000_000

const row = (name: string, cpu = 1): Snapshot => ({
  exporter: exporter.name,
  serverId: "web-1",
  timestamp: AT,
  countersSince: null,
  values: processValues(name, { num_procs: 1, cpu_seconds_total: cpu, memory_bytes: 4096 })
})

const contents = (rows: ReadonlyArray<Snapshot>, kind: EntryKind) => contentsOf(together(rows)[0]!, kind, codec)

const scrapeOf = (scrape: string, rows: number, exporterName = exporter.name): StreamContent => ({
  serverId: "web-1",
  exporterName,
  scrape,
  rows
})

/** Runs a digest over what is published, twice: what is stored, the letters, and the books. */
const digested = (published: ReadonlyArray<StreamContent>) =>
  Effect.gen(function* () {
    const letters = new Map<string, NewDeadLetter>()
    const stream = yield* SnapshotStream
    const rows = yield* SnapshotRows
    const stored = yield* StoredRows
    const digest = yield* Digest.make({ consumer: "only" }).pipe(
      Effect.provideService(SnapshotRows, {
        insert: (name, given) =>
          asColumns(given).some(({ columns }) => columns[0]!.includes("poison"))
            ? Effect.fail(new RowsRefused({ reason: "poison", cause: "a test" }))
            : rows.insert(name, given)
      }),
      Effect.provideService(DeadLetters, {
        put: (some) =>
          Effect.sync(() => {
            for (const letter of some) letters.set(letter.key, letter)
          }),
        list: () => Effect.die("nobody lists"),
        get: () => Effect.die("nobody gets"),
        drop: () => Effect.die("nobody drops")
      })
    )
    const fiber = yield* Effect.forkChild(digest.run)
    yield* stream.publish(published)
    yield* stream.publish(published)
    yield* Fiber.interrupt(fiber)
    const { accepted, inFlight, received, rejected } = digest.view().books
    return {
      names: stored.all(exporter.name).map(({ values }) => values[0]),
      letters: [...letters.values()],
      books: { received, accepted, rejected, inFlight }
    }
  }).pipe(
    Effect.provide(
      Layer.mergeAll(layerMemory(), layerRows()).pipe(
        Layer.provideMerge(Registry.layer(defineConfig({ exporters: [exporter] })))
      )
    )
  )

describe("a row that can never be stored", () => {
  for (const kind of EntryKind) {
    it.live(`is one dead letter, however often it comes, and its neighbours are stored, an entry a ${kind}`, () =>
      Effect.gen(function* () {
        const good = Array.from({ length: 98 }, (_, n) => row(`group-${n}`))
        const rows = [...good.slice(0, 40), row("poison"), ...good.slice(40), row("negative", -1)]
        const { books, letters, names } = yield* digested(contents(rows, kind))
        assert.deepStrictEqual(
          names,
          good.map(({ values }) => values[0])
        )
        assert.deepStrictEqual(
          letters.map(({ exporter, payload, reason, serverId }) => [exporter, serverId, payload, reason]).sort(),
          [
            [
              exporter.name,
              "web-1",
              codec.encode(row("negative", -1)),
              letters.find(({ reason }) => /-1/.test(reason))?.reason
            ],
            [exporter.name, "web-1", codec.encode(row("poison")), "poison"]
          ]
        )
        assert.deepStrictEqual(books, { received: 200, accepted: 196, rejected: 4, inFlight: 0 })
      })
    )
  }

  it.live("is the same letter in whatever entry it comes", () =>
    Effect.gen(function* () {
      const rows = [row("poison"), row("fine")]
      const { letters } = yield* digested([...contents(rows, "snapshot"), ...contents(rows, "scrape")])
      assert.strictEqual(letters.length, 1)
    })
  )
})

describe("rows of servers that cannot be stored now, though others can", () => {
  for (const kind of EntryKind) {
    it.live(`wait and hold up no others; then all are stored, and none became a dead letter, an entry a ${kind}`, () =>
      Effect.gen(function* () {
        const away = new Set(["web-2", "web-4"])
        const stream = yield* SnapshotStream
        const rows = yield* SnapshotRows
        const stored = yield* StoredRows
        let refused = 0
        const digest = yield* Digest.make({ consumer: "only" }).pipe(
          Effect.provideService(SnapshotRows, {
            insert: (name, given) => {
              const servers = new Set(asColumns(given).map(({ serverId }) => serverId))
              if (![...servers].some((server) => away.has(server))) return rows.insert(name, given)
              refused++
              return Effect.fail(new ServersWait({ servers: new Set(away), reason: "their node is away" }))
            }
          }),
          Effect.provideService(DeadLetters, {
            put: () => Effect.die("nothing is put"),
            list: () => Effect.die("nobody lists"),
            get: () => Effect.die("nobody gets"),
            drop: () => Effect.die("nobody drops")
          })
        )
        const fiber = yield* Effect.forkChild(digest.run)
        const publish = (from: number) =>
          Effect.forkChild(
            stream.publish(
              Array.from({ length: 5 }, (_, server) =>
                Array.from({ length: 40 }, (_, n) => ({ ...row(`group-${from + n}`), serverId: `web-${server}` }))
              ).flatMap((some) => contents(some, kind))
            )
          )
        const published = [yield* publish(0), yield* publish(40)]
        const count = () => stored.all(exporter.name).length
        while (count() < 3 * 80) yield* Effect.sleep(10)
        const before = refused
        while (refused < before + 2) yield* Effect.sleep(50)
        const waiting = yield* stream.stats
        assert.deepStrictEqual([count(), waiting.length], [3 * 80, 2 * 80])
        assert.strictEqual(waiting.waiting + waiting.pending, 2 * 80)
        away.clear()
        for (const one of published) yield* Fiber.join(one)
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(count(), 5 * 80)
        const { accepted, inFlight, kept, received, rejected } = digest.view().books
        assert.deepStrictEqual({ accepted, rejected, inFlight }, { accepted: 5 * 80, rejected: 0, inFlight: 0 })
        assert.strictEqual(received, accepted + kept)
      }).pipe(
        Effect.provide(
          Layer.mergeAll(layerMemory({ entry: kind }), layerRows()).pipe(
            Layer.provideMerge(Registry.layer(defineConfig({ exporters: [exporter] })))
          )
        )
      )
    )
  }
})

describe("a scrape that somebody else wrote", () => {
  const text = codec.encodeScrape(together([row("a"), row("b"), row("c")])[0]!)

  it.live("and is no columns is one dead letter with all of its text, and all of its rows are rejected", () =>
    Effect.gen(function* () {
      for (const scrape of ["", "nonsense", "[]", "{}", "[[[", text.slice(0, -1), "[1,2,3,[4],[5]]"]) {
        const { books, letters } = yield* digested([scrapeOf(scrape, 3), ...contents([row("fine")], "scrape")])
        assert.deepStrictEqual(books, { received: 8, accepted: 2, rejected: 6, inFlight: 0 }, scrape)
        assert.deepStrictEqual(
          letters.map(({ payload }) => payload),
          [scrape]
        )
        assert.isNotEmpty(letters[0]!.reason)
      }
    })
  )

  it.live(
    "and cannot be taken apart is one dead letter: lists in lists without end, and what each row would repeat",
    () =>
      Effect.gen(function* () {
        const deep = `${"[".repeat(60_000)}${"]".repeat(60_000)}`
        const repeated = "x".repeat(10_000)
        for (const scrape of [
          `["zzzzzz",1,null,[1,${deep}]]`,
          `["${repeated}",1,null,[1,2]]`,
          `["zzzzzz",1,${deep},[1,2]]`
        ]) {
          const { books, letters } = yield* digested([scrapeOf(scrape, 2), ...contents([row("fine")], "scrape")])
          assert.deepStrictEqual(books, { received: 6, accepted: 2, rejected: 4, inFlight: 0 })
          assert.deepStrictEqual(
            letters.map(({ payload }) => payload),
            [scrape]
          )
        }
      })
  )

  it.live("and has more or fewer rows than it says stores none of them", () =>
    Effect.gen(function* () {
      for (const rows of [2, 4, 1_000]) {
        const { letters, names } = yield* digested([scrapeOf(text, rows)])
        assert.deepStrictEqual([names, letters.map(({ payload }) => payload)], [[], [text]])
        assert.include(letters[0]!.reason, `${rows} rows`)
      }
    })
  )

  it.live(
    "and is of columns or an exporter that are not known here is a letter a row, which a later version reads",
    () =>
      Effect.gen(function* () {
        const newer = text.replace(/^\["\w+"/, '["zzzzzz"')
        for (const [content, reason] of [
          [scrapeOf(newer, 3), /columns "zzzzzz" .* are not known to this version/],
          [scrapeOf(text, 3, "new_exporter"), /unknown exporter "new_exporter"/]
        ] as const) {
          const { letters } = yield* digested([content])
          assert.strictEqual(letters.length, 3)
          for (const letter of letters) {
            assert.match(letter.reason, reason)
            assert.match(letter.payload, /^\["\w{6}",1761825600000000,null,"[abc]",1,1,4096[,\]]/)
          }
        }
      })
  )
})
