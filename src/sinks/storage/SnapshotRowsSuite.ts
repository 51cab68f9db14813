/**
 * What every layer of `SnapshotRows` promises, as tests. Each layer's test file calls `suite` with its layer and a way to
 * read back what is stored.
 */
import { expect, layer as withLayer } from "@effect/vitest"
import { Effect, type Layer, Result, Schema } from "effect"
import { counter, gauge, label } from "../../plugins/Column.ts"
import { defineExporter } from "../../plugins/Exporter.ts"
import type { Snapshot } from "../../plugins/Snapshot.ts"
import { SnapshotRows } from "./SnapshotRows.ts"

/** One exporter with every kind of column, one with neither label nor much else. */
export const suiteExporters = [
  defineExporter({
    name: "suite_exporter",
    title: "Suite",
    scrape: { endpoint: "http://127.0.0.1:1/metrics", interval: "15 seconds", timeout: "5 seconds" },
    table: {
      name: "suite_snapshots",
      retention: "7 days",
      columns: {
        name: label({ doc: "A name." }),
        user: label({ doc: "A name that is a word of SQL." }),
        whole: gauge({ type: "integer", doc: "A small whole number." }),
        large: counter({ type: "bigint", unit: "bytes", doc: "A large whole number." }),
        exact: counter({ unit: "seconds", doc: "A double." }),
        temperature: gauge({ signed: true, nullable: true, doc: "May be negative, may be missing; it's a quote." }),
        offset: gauge({ type: "bigint", signed: true, nullable: true, doc: "May be negative, may be missing." })
      }
    },
    parse: () => Result.succeed({ rows: [], skipped: [], countersSince: null })
  })(),
  defineExporter({
    name: "bare_exporter",
    title: "Bare",
    scrape: { endpoint: "http://127.0.0.1:1/metrics", interval: "15 seconds", timeout: "5 seconds" },
    table: { name: "bare_snapshots", retention: "7 days", columns: { load: gauge({ doc: "A load." }) } },
    parse: () => Result.succeed({ rows: [], skipped: [], countersSince: null })
  })()
]

/** The servers that the layer must know. */
export const suiteServers = ["alpha", "beta", "gamma"]

/** A row of `suite_exporter`; times are around 1970-01-01, which is when tests take place. */
export const suiteRow = (over: {
  readonly serverId?: string
  readonly timestamp?: number
  readonly countersSince?: number | null
  readonly name?: string
  readonly user?: string
  readonly numbers?: readonly [number, number, number, number | null, number | null]
}): Snapshot => ({
  exporter: "suite_exporter",
  serverId: over.serverId ?? "alpha",
  timestamp: over.timestamp ?? 1_000_000,
  countersSince: over.countersSince ?? null,
  values: [over.name ?? "nginx", over.user ?? "www", ...(over.numbers ?? [1, 2, 3.5, null, null])]
})

const ODD_NAMES = [
  "",
  " ",
  "null",
  "NULL",
  "nginx: worker",
  "Robert'); DROP TABLE admiral.servers;--",
  "a\tb\rc\nd\u001be\u007f",
  "line\u2028separator\u2029",
  'quote " back\\slash {brace} $1 $$ %s',
  "emoji 🦀 é e\u0301",
  "ÅÅngström",
  "\u{10FFFF}\uFFFF\uFEFF",
  "__proto__",
  "constructor",
  "x".repeat(16_384),
  "é".repeat(16_384),
  `${"x".repeat(16_383)}y`
]

const EXTREMES: ReadonlyArray<readonly [number, number, number, number | null, number | null]> = [
  [0, 0, 0, 0, 0],
  [2_147_483_647, Number.MAX_SAFE_INTEGER, Number.MAX_VALUE, -Number.MAX_VALUE, -Number.MAX_SAFE_INTEGER],
  [1, 1, Number.MIN_VALUE, -Number.MIN_VALUE, -1],
  [2, 2 ** 52 + 1, 0.1 + 0.2, -1e-300, null],
  [3, 4_503_599_627_370_497, 7184190.53, null, Number.MAX_SAFE_INTEGER],
  [4, 123_456_789_012_345, 1 / 3, 1e21, -(2 ** 40) - 1]
]

const AnyName = Schema.String.check(
  Schema.makeFilter((text: string) => text.isWellFormed() && !text.includes("\0") && text.length <= 16_384)
)
const Whole = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2_147_483_647 }))
/** Without -0, which JSON does not carry. */
const Exact = Schema.Finite.check(Schema.isBetween({ minimum: Number.MIN_VALUE, maximum: Number.MAX_VALUE }))
const Offset = Schema.Int.check(
  Schema.isBetween({ minimum: -Number.MAX_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER })
)

/** `readBack` gives what is stored of an exporter, in any order. */
export const suite = <R, E>(
  name: string,
  layer: Layer.Layer<SnapshotRows | R, E>,
  readBack: (exporter: string) => Effect.Effect<ReadonlyArray<Snapshot>, unknown, R>
): void =>
  withLayer(layer)(`SnapshotRows, ${name}`, (it) => {
    const insert = (rows: ReadonlyArray<Snapshot>) =>
      Effect.flatMap(SnapshotRows, (sink) => sink.insert(rows[0]?.exporter ?? "suite_exporter", rows))
    const storedAt = (timestamps: ReadonlySet<number>, exporter = "suite_exporter") =>
      Effect.map(readBack(exporter), (rows) => rows.filter((row) => timestamps.has(row.timestamp)))
    const byName = (rows: ReadonlyArray<Snapshot>) =>
      [...rows].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))

    it.effect("rows come back as they went in, whatever their names", () =>
      Effect.gen(function* () {
        const timestamp = 2_000_000
        const rows = ODD_NAMES.flatMap((name, index) => [
          suiteRow({ timestamp, name, user: ODD_NAMES[(index + 5) % ODD_NAMES.length]! }),
          suiteRow({ timestamp, name, user: "same", serverId: "beta" })
        ])
        expect(yield* insert(rows)).toEqual({ inserted: rows.length, duplicates: 0 })
        expect(byName(yield* storedAt(new Set([timestamp])))).toEqual(byName(rows))
      })
    )

    it.effect("numbers and times come back to the last bit", () =>
      Effect.gen(function* () {
        const times = [0, 1, 999_999, 3_000_001, 86_399_999_999, 1_761_825_600_123_457, 8_000_000_000_000_001]
        const rows = times.flatMap((timestamp, t) =>
          EXTREMES.map((numbers, n) =>
            suiteRow({ timestamp, countersSince: times[(t + n) % times.length]!, name: `extreme ${n}`, numbers })
          )
        )
        expect(yield* insert(rows)).toEqual({ inserted: rows.length, duplicates: 0 })
        const stored = (yield* readBack("suite_exporter")).filter((row) => String(row.values[0]).startsWith("extreme "))
        expect(byName(stored)).toEqual(byName(rows))
      })
    )

    let drawn = 0
    it.effect.prop(
      "whatever fits its columns comes back as it went in",
      [
        Schema.Array(
          Schema.Struct({ name: AnyName, user: AnyName, whole: Whole, exact: Exact, offset: Schema.NullOr(Offset) })
        )
      ],
      ([cells]) =>
        Effect.gen(function* () {
          drawn++
          // A row each second, so that equal names do not make equal keys.
          const rows = cells.map(({ exact, name, offset, user, whole }, second) =>
            suiteRow({
              timestamp: drawn * 10_000_000_000 + second * 1_000_000,
              name,
              user,
              numbers: [
                whole,
                Math.abs(offset ?? 0),
                exact,
                offset === null ? null : -exact,
                offset === null ? null : offset + 0
              ]
            })
          )
          expect(yield* insert(rows)).toEqual({ inserted: rows.length, duplicates: 0 })
          expect(byName(yield* storedAt(new Set(rows.map((row) => row.timestamp))))).toEqual(byName(rows))
        })
    )

    it.effect("a repeated row changes nothing, within a batch and between batches", () =>
      Effect.gen(function* () {
        const timestamp = 4_000_000
        const first = suiteRow({ timestamp, numbers: [1, 1, 1, 1, 1] })
        const again = suiteRow({ timestamp, numbers: [2, 2, 2, 2, 2] })
        const other = suiteRow({ timestamp, name: "other" })
        expect(yield* insert([first, again])).toEqual({ inserted: 1, duplicates: 1 })
        expect(yield* insert([again, other, first])).toEqual({ inserted: 1, duplicates: 2 })
        expect(byName(yield* storedAt(new Set([timestamp])))).toEqual(byName([first, other]))
      })
    )

    it.effect("a scrape that comes in pieces is whole, and each row keeps its own beginning and values", () =>
      Effect.gen(function* () {
        const timestamp = 4_500_000
        const rows = Array.from({ length: 90 }, (_, n) =>
          suiteRow({
            timestamp,
            name: `piece ${n % 45}`,
            user: n < 45 ? "one" : "other",
            // Of some the beginning is known, and not the same.
            countersSince: n % 4 === 0 ? null : n % 3,
            numbers: [n, n, n, n % 2 === 0 ? null : -n, n % 5 === 0 ? null : n]
          })
        )
        const changed = rows.map((row) => ({
          ...row,
          countersSince: 9,
          values: [...row.values.slice(0, 2), 7, 7, 7, 7, 7]
        }))
        let inserted = 0
        for (let n = 0; n < rows.length; n += 7) {
          // With each piece, some of those before it come again, and say something else.
          const piece = [...changed.slice(Math.max(0, n - 3), n), ...rows.slice(n, n + 7)]
          const result = yield* insert(piece)
          inserted += result.inserted
          expect(result.inserted + result.duplicates).toBe(piece.length)
        }
        expect(inserted).toBe(rows.length)
        expect(byName(yield* storedAt(new Set([timestamp])))).toEqual(byName(rows))
      })
    )

    it.effect("a table without labels has one row per server and scrape", () =>
      Effect.gen(function* () {
        const row = (serverId: string, load: number): Snapshot => ({
          exporter: "bare_exporter",
          serverId,
          timestamp: 5_000_000,
          countersSince: null,
          values: [load]
        })
        expect(yield* insert([row("alpha", 1), row("beta", 2), row("alpha", 3)])).toEqual({
          inserted: 2,
          duplicates: 1
        })
        expect(byName(yield* readBack("bare_exporter"))).toEqual(byName([row("alpha", 1), row("beta", 2)]))
      })
    )

    it.effect("late and early days find their place", () =>
      Effect.gen(function* () {
        const rows = [40, 3, 0, 17, 400].map((day) => suiteRow({ timestamp: day * 86_400_000_000 + 7, name: "late" }))
        expect(yield* insert(rows)).toEqual({ inserted: 5, duplicates: 0 })
        expect(byName(yield* storedAt(new Set(rows.map((row) => row.timestamp))))).toEqual(byName(rows))
      })
    )

    it.effect("an empty batch is stored", () =>
      Effect.gen(function* () {
        expect(yield* insert([])).toEqual({ inserted: 0, duplicates: 0 })
      })
    )

    it.effect("a row that cannot be stored is refused by name, and nothing of its batch is stored", () =>
      Effect.gen(function* () {
        const timestamp = 6_000_000
        const good = suiteRow({ timestamp, name: "good" })
        const bad: ReadonlyArray<readonly [Snapshot, RegExp]> = [
          [suiteRow({ timestamp, serverId: "nobody" }), /row 1 .*"nobody".*no such server/],
          [suiteRow({ timestamp, name: "nul\0" }), /row 1 .*name is "nul\\u0000"/],
          [suiteRow({ timestamp, name: "lone \ud800" }), /row 1 .*name is/],
          [suiteRow({ timestamp, name: "x".repeat(16_385) }), /row 1 .*name is/],
          [suiteRow({ timestamp, numbers: [2_147_483_648, 2, 3, null, null] }), /row 1 .*whole is 2147483648/],
          [suiteRow({ timestamp, numbers: [1.5, 2, 3, null, null] }), /row 1 .*whole is 1.5/],
          [suiteRow({ timestamp, numbers: [1, 2 ** 53, 3, null, null] }), /row 1 .*large is 9007199254740992/],
          [suiteRow({ timestamp, numbers: [1, 2, Number.NaN, null, null] }), /row 1 .*exact is NaN/],
          [suiteRow({ timestamp, numbers: [1, 2, Number.POSITIVE_INFINITY, null, null] }), /row 1 .*exact is Infinity/],
          [suiteRow({ timestamp, numbers: [1, -1, 3, null, null] }), /row 1 .*large is -1/],
          [{ ...suiteRow({ timestamp }), values: ["short"] }, /row 1 .*user is/],
          [{ ...suiteRow({ timestamp }), values: ["a", "b", "1", 2, 3, null, null] }, /row 1 .*whole is "1"/],
          [{ ...suiteRow({ timestamp }), values: ["a", "b", null, 2, 3, null, null] }, /row 1 .*whole is null/]
        ]
        for (const [row, reason] of bad) {
          const error = yield* Effect.flip(insert([good, row]))
          expect(error._tag).toBe("RowsRefused")
          expect(error.message).toMatch(reason)
        }
        const unknown = yield* Effect.flip(insert([{ ...good, exporter: "unknown_exporter" }]))
        expect(unknown.message).toMatch(/"unknown_exporter"/)
        expect(yield* storedAt(new Set([timestamp]))).toEqual([])
        expect(yield* insert([good])).toEqual({ inserted: 1, duplicates: 0 })
      })
    )

    it.effect("inserts at the same time store every row once", () =>
      Effect.gen(function* () {
        const timestamps = [7_000_000, 7_000_001, 90_000_000_000_000]
        const rows = timestamps.flatMap((timestamp) =>
          suiteServers.flatMap((serverId) =>
            Array.from({ length: 60 }, (_, n) =>
              suiteRow({ timestamp, serverId, name: `concurrent ${n}`, user: `u${n % 7}` })
            )
          )
        )
        // The same rows in other orders: their keys and their new names collide. Deadlocks are retryable.
        const results = yield* Effect.forEach(
          [rows, [...rows].reverse(), [...rows.slice(200), ...rows.slice(0, 200)], rows],
          (batch) => insert(batch).pipe(Effect.retry({ while: (error) => error.retryable, times: 20 })),
          { concurrency: "unbounded" }
        )
        expect(results.reduce((sum, { inserted }) => sum + inserted, 0)).toBe(rows.length)
        expect(results.reduce((sum, { duplicates }) => sum + duplicates, 0)).toBe(rows.length * 3)
        expect(byName(yield* storedAt(new Set(timestamps)))).toEqual(byName(rows))
      })
    )
  })
