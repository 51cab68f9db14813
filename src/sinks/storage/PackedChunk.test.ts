import { assert, describe, it } from "@effect/vitest"
import { seededRandom } from "../../../test/Seeded.ts"
import { areSame, CELLS_MAX, packChunks, unpacker } from "./PackedChunk.ts"
import type { Scrape } from "./Scrape.ts"
import { beginningsOf } from "./ScrapeBatch.ts"

const MINUTE = 60_000_000

/** How the values of a column come about. */
const columns: Record<string, (next: () => number, before: number) => number> = {
  "counters of hundredths, that begin anew": (next, before) =>
    next() < 0.02 ? 0 : next() < 0.5 ? before : Math.round(before * 100 + next() * 900) / 100,
  "sums of hundredths in doubles": (next, before) => before + Math.floor(next() * 50) / 100,
  pages: (next, before) => Math.max(0, before + 4_096 * Math.floor((next() - 0.5) * 300)),
  "counts, mostly the same, or none": (next, before) => (next() < 0.9 ? before : Math.floor(next() * 3)),
  "whole numbers up to the largest": (next) => Math.floor(next() * Number.MAX_SAFE_INTEGER),
  "largest and least whole numbers": (next) => (next() < 0.5 ? Number.MAX_SAFE_INTEGER : -Number.MAX_SAFE_INTEGER),
  "as far apart as doubles tell, or one more": (next) =>
    [-2, -1, 0, Number.MAX_SAFE_INTEGER - 1, Number.MAX_SAFE_INTEGER][Math.floor(next() * 5)]!,
  "a steady climb": (next, before) => before + 75_000 + Math.floor(next() * 100),
  "a steep climb": (next, before) => Math.min(Number.MAX_SAFE_INTEGER, before + 2 ** 45 + Math.floor(next() * 9)),
  "any doubles": (next) => (next() - 0.5) * 10 ** Math.floor(next() * 600 - 300),
  "largest doubles": (next) => [Number.MAX_VALUE, -Number.MAX_VALUE, Number.MIN_VALUE, 0, -0][Math.floor(next() * 5)]!,
  "zeros of both signs": (next) => (next() < 0.5 ? 0 : -0),
  "below zero": (next) => -Math.floor(next() * 1_000) / 10,
  "mostly unknown": (next) => (next() < 0.8 ? Number.NaN : Math.floor(next() * 5)),
  "always unknown": () => Number.NaN
}

/** Scrapes of some series that come and go, in another order each time. */
const generated = (seed: number): ReadonlyArray<Scrape> => {
  const next = seededRandom(seed)
  const values = new Map<string, number>()
  const series = 1 + Math.floor(next() * 12)
  const size = 1 + Math.floor(next() * 40)
  const begin = Math.floor(next() * 1e15)
  return Array.from({ length: size }, (_, s) => {
    const there = Array.from({ length: series }, (_, g) => g).filter(() => next() < 0.9)
    if (there.length === 0) there.push(0)
    if (next() < 0.3) there.reverse()
    const since = Float64Array.from(there, (g) =>
      seed % 3 === 0 ? begin + g : next() < 0.1 ? Number.NaN : begin + Math.floor(s / 10)
    )
    return {
      at: begin + s * MINUTE + Math.floor(next() * 1_000),
      ...beginningsOf(since),
      labels: [Int32Array.from(there, (g) => 7 * g), Int32Array.from(there, (g) => g % 2)],
      values: Object.entries(columns).map(([name, make]) =>
        Float64Array.from(there, (g) => {
          const key = `${name} ${g}`
          const value = make(next, values.get(key) ?? 0)
          values.set(key, Number.isFinite(value) ? value : 0)
          return value
        })
      )
    }
  })
}

const everyColumn = [...Object.keys(columns).keys()]
const unpacked = (scrapes: ReadonlyArray<Scrape>, wanted: ReadonlyArray<number> = everyColumn) => {
  const since = new Map(scrapes.map((scrape) => [scrape.at, scrape.since]))
  return packChunks(scrapes).flatMap((chunk) => {
    const { scrape } = unpacker(chunk, wanted)
    return Array.from(chunk.at, (at) => scrape(at, since.get(at)!)!)
  })
}

describe("a chunk", () => {
  it("gives back every scrape to the last bit, with resets, holes, unknown values and several beginnings", () => {
    for (let seed = 0; seed < 200; seed++) {
      const scrapes = generated(seed)
      assert.isTrue(areSame(scrapes, unpacked(scrapes)), `seed ${seed}`)
    }
  })

  it("gives back single columns, and those that were appended later as unknown", () => {
    const scrapes = generated(5)
    const wanted = [2, everyColumn.length + 3]
    for (const [n, { values }] of unpacked(scrapes, wanted).entries()) {
      const expected = unpacked(scrapes)[n]!.values[2]
      assert.deepStrictEqual(values[0], expected)
      assert.isTrue(values[1]!.every(Number.isNaN))
    }
  })

  it("knows no scrape of another moment", () => {
    const [chunk] = packChunks(generated(1))
    assert.isUndefined(unpacker(chunk!, everyColumn).scrape(1, Number.NaN))
  })

  it("is bounded: more scrapes, or series that hardly meet, are several chunks", () => {
    const scrapes = Array.from({ length: 240 }, (_, s) => ({
      at: s * MINUTE,
      since: Number.NaN,
      sinceOf: undefined,
      labels: [Int32Array.from({ length: 100 }, (_, g) => s * 50 + g)],
      values: [Float64Array.from({ length: 100 }, (_, g) => g)]
    }))
    const chunks = packChunks(scrapes)
    for (const { at, labels } of chunks) assert.isAtMost(at.length * labels[0]!.length, CELLS_MAX)
    assert.deepStrictEqual(
      chunks.flatMap(({ at }) => [...at]),
      scrapes.map(({ at }) => at)
    )
    assert.isTrue(areSame(scrapes, unpacked(scrapes, [0])))
  })

  it("takes a byte for a value that moves, and next to nothing for one that does not", () => {
    const scrapes = Array.from({ length: 60 }, (_, s) => ({
      at: s * MINUTE,
      since: 1,
      sinceOf: undefined,
      labels: [Int32Array.from([1, 2])],
      values: [Float64Array.from([(500_000_017 + (s % 7)) / 100, 3]), Float64Array.from([409_600, 8_192])]
    }))
    const [chunk] = packChunks(scrapes)
    assert.strictEqual(chunk!.planes.length, 120)
    assert.deepStrictEqual([...chunk!.units], [Number.NaN, -100, 8_192])
  })
})
