/** Vectors, and what holds of any values: what is odd is what a person would point at, and noise is not. */
import { describe, expect, test } from "vitest"
import { seededRandom } from "../../test/Seeded.ts"
import { deviationsOf, ODD_FROM } from "./Deviation.ts"

const LEAST = 5

describe("the odd one among values", () => {
  const vectors: ReadonlyArray<readonly [string, ReadonlyArray<number | null>, ReadonlyArray<number>, number | null]> =
    [
      ["nothing where all are alike", [40, 40, 40, 40], [], 40],
      ["nothing where all are 0", [0, 0, 0], [], 0],
      ["nothing where none is known", [null, null, null], [], null],
      ["nothing where there are two: either could be", [0, 400], [], 200],
      ["nothing where only two are known", [0, null, 400, null], [], 200],
      ["one among equals", [10, 10, 10, 31], [3], 10],
      ["one among three", [10, 90, 10], [1], 10],
      ["one below its equals", [100, 100, 2, 100], [2], 100],
      ["one where the others have none", [0, 0, 0, 5], [3], 0],
      ["nothing below what is worth telling", [0, 0, 0, 4.99], [], 0],
      ["nothing within half of the median", [100, 101, 99, 149], [], 100.5],
      ["one beyond half of the median", [100, 101, 99, 152], [3], 100.5],
      ["nothing where values scatter as widely", [10, 20, 30, 40, 75], [], 30],
      ["one that is beyond the scatter", [10, 20, 30, 40, 81], [4], 30],
      ["two of eight, the further one first", [10, 10, 30, 10, 10, 10, 90, 10], [6, 2], 10],
      ["nothing where there are two kinds", [0, 0, 0, 0, 60, 60, 60], [], 0],
      ["one where some are not known", [null, 20, 20, null, 90, 21], [4], 20.5],
      ["one, whatever a second one does", [10, 10, 11, 9, 10, 10, 1e9, 60], [6, 7], 10]
    ]
  for (const [what, values, odd, median] of vectors) {
    test(`is ${what}`, () => {
      const found = deviationsOf(values, LEAST)
      expect(found.odd).toEqual(odd)
      expect(found.median).toBe(median)
      expect(found.count).toBe(values.filter((value) => value !== null).length)
    })
  }

  test("is measured in median absolute deviations, and null where nobody can say", () => {
    expect(deviationsOf([10, 20, 30, 40, 130], LEAST).deviations).toEqual([2, 1, 0, 1, 10])
    expect(deviationsOf([10, null, 30], LEAST).deviations).toEqual([null, null, null])
    expect(deviationsOf([10, null, 30, 20], LEAST).deviations[1]).toBeNull()
  })

  test("is measured in what is worth telling where most are equal: a fifth of it is one", () => {
    expect(deviationsOf([0, 0, 0, 8], LEAST).deviations).toEqual([0, 0, 0, 8])
    expect(deviationsOf([100, 100, 100, 150], LEAST).deviations).toEqual([0, 0, 0, ODD_FROM])
  })
})

/** Up to 40 values that repeat, scatter, are 0 or not known. */
const generated = (seed: number): ReadonlyArray<number | null> => {
  const next = seededRandom(seed)
  const all = [() => null, () => 0, () => 50, () => next() * 10, () => 50 + next() * 10, () => next() * 1_000]
  const kinds = [...all.filter(() => next() < 0.5), () => next()]
  return Array.from({ length: 1 + Math.floor(next() * 40) }, () => kinds[Math.floor(next() * kinds.length)]!())
}

describe("of any values", () => {
  const seeds = Array.from({ length: 500 }, (_, seed) => seed + 1)

  test("the answer does not depend on their order", () => {
    for (const seed of seeds) {
      const values = generated(seed)
      const next = seededRandom(seed + 1_000)
      const order = values.map((_, place) => ({ place, key: next() })).sort((a, b) => a.key - b.key)
      const found = deviationsOf(values, LEAST)
      const shuffled = deviationsOf(
        order.map(({ place }) => values[place]!),
        LEAST
      )
      expect(shuffled.deviations, `seed ${seed}`).toEqual(order.map(({ place }) => found.deviations[place]))
      expect(shuffled.odd.map((place) => order[place]!.place).sort(), `seed ${seed}`).toEqual([...found.odd].sort())
      expect(shuffled.median, `seed ${seed}`).toBe(found.median)
    }
  })

  test("all of them times a number deviate as much, where what is worth telling is more as well", () => {
    for (const seed of seeds) {
      const values = generated(seed)
      const found = deviationsOf(values, LEAST)
      for (const factor of [1 / 1024, 8]) {
        const scaled = values.map((value) => (value === null ? null : value * factor))
        expect(deviationsOf(scaled, LEAST * factor), `seed ${seed}`).toEqual({
          ...found,
          median: found.median === null ? null : found.median * factor
        })
      }
    }
  })

  test("no deviation is below 0 or without an end, and what is odd deviates", () => {
    for (const seed of seeds) {
      const { deviations, odd } = deviationsOf(generated(seed), LEAST)
      for (const deviation of deviations) {
        if (deviation === null) continue
        expect(Number.isFinite(deviation) && deviation >= 0, `seed ${seed}`).toBe(true)
      }
      for (const place of odd) expect(deviations[place]!, `seed ${seed}`).toBeGreaterThanOrEqual(ODD_FROM)
    }
  })

  test("one that is far from all others is found, however many there are", () => {
    for (const seed of seeds) {
      const next = seededRandom(seed)
      const count = 2 + Math.floor(next() * 1_000)
      const values: Array<number> = Array.from({ length: count }, () => 50 + next() * 10)
      const place = Math.floor(next() * count)
      values.splice(place, 0, 500)
      expect(deviationsOf(values, LEAST).odd, `seed ${seed}`).toEqual([place])
    }
  })

  test("noise below what is worth telling is nothing, however it scatters", () => {
    for (const seed of seeds) {
      const next = seededRandom(seed)
      const values = Array.from({ length: 40 }, () => next() ** 8 * LEAST * 0.99)
      expect(deviationsOf(values, LEAST).odd, `seed ${seed}`).toEqual([])
    }
  })
})
