import { assert, it } from "@effect/vitest"
import { Schema } from "effect"
import { describe, expect } from "vitest"
import { NumberSlab } from "../storage/NumberSlab.ts"
import { readColumns, writeColumns } from "./NumberColumns.ts"

/** What a column costs beside the header and its code. */
const bytesOf = (values: ReadonlyArray<number>) => writeColumns(values.length, [values]).byteLength - 7

const back = (columns: ReadonlyArray<ReadonlyArray<number> | undefined>) => {
  const count = columns.find((column) => column !== undefined)?.length ?? 0
  const read = readColumns(writeColumns(count, columns))
  return columns.map((_, n) => read.column(n))
}

const same = (given: ReadonlyArray<ReadonlyArray<number> | undefined>) => {
  for (const [n, column] of back(given).entries()) {
    const expected = given[n]
    assert.strictEqual(column === undefined, expected === undefined)
    for (const [place, value] of (expected ?? []).entries()) {
      assert.isTrue(Object.is(column![place], value), `${column![place]} is ${value} of column ${n}`)
    }
  }
}

describe("columns of numbers", () => {
  it("come back to the last bit, whatever is in them", () => {
    const odd = [Number.NaN, -0, 0, Number.POSITIVE_INFINITY, -1, 0.1, Number.MIN_VALUE, Number.MAX_VALUE, 2 ** 53 - 1]
    same([odd, undefined, odd.toReversed(), odd.map(() => Number.NaN), odd.map(() => 0), odd.map(() => -0)])
    for (const most of [1, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, 4_096 * 2 ** 21, 4_096 * 2 ** 32, 2 ** 44]) {
      const others = [
        [0, most],
        [most, 1, 2],
        [most, 4_096, 0, 8_192],
        [most, -1],
        [most, 0.5]
      ]
      const mostlyNothing = [most, -most].map((value) => Array.from({ length: 20 }, (_, n) => (n === 7 ? value : 0)))
      for (const column of [[most], ...others, ...mostlyNothing]) same([column])
    }
  })

  const Column = Schema.Array(Schema.Literals([0, 1, 255, 256, 65_536, 2 ** 33, 4_096, 0.1, -1]))
  it.prop("come back to the last bit, whatever their number", [Column, Column, Column], (columns) => {
    const count = Math.min(...columns.map((column) => column.length))
    const cut = columns.map((column) => column.slice(0, count))
    same([undefined, ...cut])
    const read = readColumns(writeColumns(count, cut))
    const places = Array.from({ length: count }, (_, n) => n).filter((n) => n % 3 !== 1)
    for (const [n, column] of cut.entries()) {
      expect([...read.column(n, places)!]).toEqual(places.map((place) => column[place]))
    }
  })

  it("are read into a slab that was used before", () => {
    const slab = new NumberSlab()
    const sparse = [0, 0, 0, 0, 0, 0, 0, 0.5]
    const columns = [sparse, sparse.map(() => 0), sparse.map(() => Number.NaN), sparse.map((_, n) => 300 + n)]
    const bytes = writeColumns(sparse.length, columns)
    for (let round = 0; round < 3; round++) {
      slab.reuse()
      const read = readColumns(bytes, slab)
      const found = columns.map((_, n) => read.column(n)!)
      expect(found.map((values) => [...values])).toEqual(columns)
      for (const values of found) values.fill(7)
    }
  })

  it("are as narrow as their widest value, and take next to nothing where all are the same or most are 0", () => {
    const of = (value: (n: number) => number) => bytesOf(Array.from({ length: 160 }, (_, n) => value(n)))
    expect(of(() => 0)).toBe(0)
    expect(of(() => Number.NaN)).toBe(0)
    expect(of(() => 7.5)).toBe(8)
    expect(of((n) => 1 + n)).toBe(160)
    expect(of((n) => 1_000 + n)).toBe(320)
    expect(of((n) => 100_000 + n)).toBe(640)
    expect(of((n) => 2 ** 40 + n * 4_096)).toBe(640)
    expect(of((n) => 2 ** 40 + n)).toBe(1_280)
    expect(of((n) => (n % 20 === 0 ? 0.1 + n : 0))).toBe(20 + 8 * 8)
  })

  it("that were appended later are undefined, and bytes that are cut short are refused", () => {
    const bytes = writeColumns(2, [[1, 2]])
    const read = readColumns(bytes)
    expect([read.count, read.size, read.column(1)]).toEqual([2, 1, undefined])
    expect(() => readColumns(bytes.subarray(0, -1))).toThrow("columns of numbers take 9 bytes, and there are 8")
  })
})
