import { describe, expect, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import { type Columns, counter, gauge, label } from "./Column.ts"
import { defineExporter } from "./Exporter.ts"
import type { Snapshot } from "./Snapshot.ts"
import { eachOfScrape, fingerprints, makeSnapshotCodec } from "./SnapshotCodec.ts"
import { byScrape, part, snapshotAt, together } from "./Snapshots.ts"
import { makeWires } from "./Wire.ts"

const NAME = label({ from: "name", doc: "Name." })
const CPU = counter({ unit: "seconds", doc: "CPU." })
const MEMORY = gauge({ type: "bigint", unit: "bytes", doc: "Memory." })
const SWAP = gauge({ type: "bigint", unit: "bytes", nullable: true, doc: "Swap." })

const codecOf = (columns: Columns) =>
  makeSnapshotCodec(
    makeWires([
      defineExporter({
        name: "test_exporter",
        title: "Test",
        scrape: { endpoint: "http://127.0.0.1:1/metrics", interval: "15 seconds", timeout: "5 seconds" },
        table: { name: "test_snapshots", retention: "7 days", columns },
        parse: () => Result.succeed({ rows: [], skipped: [], countersSince: null })
      })()
    ])
  )
const columns = { process_name: NAME, cpu_seconds_total: CPU, memory_bytes: MEMORY }
const codec = codecOf(columns)
const snapshot: Snapshot = {
  exporter: "test_exporter",
  serverId: "web-1",
  timestamp: 1_761_825_600_000_001,
  countersSince: 1_761_800_000_000_000,
  values: ["postgres", 42.669999999999995, 2_869_620_736]
}
const entry = (text: string, change: object = {}) => ({
  serverId: "web-1",
  exporterName: "test_exporter",
  snapshot: text,
  ...change
})
const refused = (text: string, change: object = {}, by = codec) =>
  Result.getOrThrow(Result.flip(by.decode(entry(text, change))))
const array = (...parts: ReadonlyArray<unknown>) => JSON.stringify([fingerprints(columns).at(-1), ...parts])

describe("a snapshot in the stream", () => {
  it("is read as it was written, and is short", () => {
    expect(Result.getOrThrow(codec.decode(entry(codec.encode(snapshot))))).toEqual(snapshot)
    expect(codec.encode(snapshot).length).toBeLessThan(90)
  })

  it.prop(
    "keeps every text and every bit of every number",
    { cpu: Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)), name: Schema.String.check(Schema.isMaxLength(100)) },
    ({ cpu, name }) => {
      const sent = { ...snapshot, values: [name.toWellFormed().replaceAll("\0", ""), cpu + 0, 1] }
      expect(Result.getOrThrow(codec.decode(entry(codec.encode(sent))))).toEqual(sent)
    }
  )

  it("leaves out the last columns that say nothing of any row, alone or in a scrape, and is read with them", () => {
    const unit = label({ optional: true, doc: "Unit." })
    const wide = codecOf({ ...columns, swap_bytes: SWAP, unit })
    const plain = { ...snapshot, values: [...snapshot.values, null, ""] }
    expect(wide.encode(plain)).toBe(codec.encode(snapshot))
    expect(Result.getOrThrow(wide.decode(entry(wide.encode(plain))))).toEqual(plain)
    const told = { ...snapshot, values: ["nginx", 1, 2, 3, ""] }
    const [both] = together([plain, told])
    const origin = { serverId: "web-1", exporterName: "test_exporter" }
    const scrape = wide.encodeScrape(both!)
    expect(JSON.parse(scrape)).toHaveLength(3 + 4)
    expect(Result.getOrThrow(wide.decodeScrape({ ...origin, scrape, rows: 2 }))).toEqual(both)
    expect(Result.getOrThrow(wide.decodeEach({ ...origin, snapshots: wide.encodeEach(both!) }))).toEqual(both)
  })

  it("that was written before columns were appended has null for them", () => {
    const appended = codecOf({ ...columns, swap_bytes: SWAP })
    const read = Result.getOrThrow(appended.decode(entry(codec.encode(snapshot))))
    expect(read.values).toEqual([...snapshot.values, null])
  })

  it("that was written before an optional label was appended has the empty text for it, alone or in a scrape", () => {
    const unit = label({ optional: true, doc: "Unit." })
    const appended = codecOf({ ...columns, swap_bytes: SWAP, unit })
    const read = Result.getOrThrow(appended.decode(entry(codec.encode(snapshot))))
    expect(read.values).toEqual([...snapshot.values, null, ""])
    const scrape = codec.encodeScrape(together([snapshot, { ...snapshot, values: ["nginx", 1, 2] }])[0]!)
    const origin = { serverId: "web-1", exporterName: "test_exporter" }
    expect(Result.getOrThrow(appended.decodeScrape({ ...origin, scrape, rows: 2 })).columns[4]).toEqual(["", ""])
    expect(refused(codec.encode(snapshot), {}, codecOf({ ...columns, unit: label({ doc: "Unit." }) }))).toContain(
      "unit is null"
    )
  })

  it("that lacks a column which may not be null is refused", () => {
    const appended = codecOf({ ...columns, threads: gauge({ type: "integer", doc: "Threads." }) })
    expect(refused(codec.encode(snapshot), {}, appended)).toContain("threads is null")
  })

  it("of other columns is refused, not guessed at: newer, reordered, renamed, retyped", () => {
    const text = codec.encode(snapshot)
    for (const other of [
      { process_name: NAME, cpu_seconds_total: CPU },
      { process_name: NAME, memory_bytes: MEMORY, cpu_seconds_total: CPU },
      { process_name: NAME, cpu_seconds: CPU, memory_bytes: MEMORY },
      { process_name: NAME, cpu_seconds_total: CPU, memory_bytes: gauge({ unit: "bytes", doc: "Memory." }) }
    ]) {
      expect(refused(text, {}, codecOf(other))).toContain("are not known to this version")
    }
  })

  it("is checked again: a message that ingest would not have let through is refused with its reason", () => {
    const at = 1_761_825_600_000_000
    expect(refused(array(at, null, "a", -1, 2))).toContain("cpu_seconds_total is -1")
    expect(refused(array(at, null, "a", 1, 2.5))).toContain("memory_bytes is 2.5")
    expect(refused(array(at, null, "a\0", 1, 2))).toContain("name is")
    expect(refused(array(at, null, "a", 1))).toContain("2 values for 3 columns")
    expect(refused(array(at, null, "a", 1, 2, 3))).toContain("4 values for 3 columns")
    expect(refused(array("now", null, "a", 1, 2))).toContain("timestamp")
    expect(refused(array(1.5, null, "a", 1, 2))).toContain("timestamp")
    expect(refused(array(at, "x", "a", 1, 2))).toContain("counters_since")
    expect(refused(array(at, null, "a", 1, 2), { exporterName: "other" })).toContain('unknown exporter "other"')
    expect(refused(array(at, null, "a", 1, 2), { serverId: "" })).toContain("server_id")
    expect(refused(array(at, null, "a", 1, 2), { serverId: "a\0" })).toContain("server_id")
    expect(refused(array(at, null, "a", 5555, 2).replace("5555", "1e999"))).toContain("cpu_seconds_total is Infinity")
  })

  it.each(["", "[", "{}", "null", "[]", '["x"]', "[1,2,3]", '"text"', "[[[]]]"])("%j is refused", (text) => {
    expect(refused(text)).not.toBe("")
  })

  it("longer than its columns allow is not even parsed", () => {
    expect(refused(`[${"0,".repeat(100_000)}0]`)).toContain("at most")
  })

  it("with the longest label that ingest accepts still fits", () => {
    const sent = { ...snapshot, values: ["\u001f".repeat(16_384), Number.MIN_VALUE, 1] }
    expect(Result.getOrThrow(codec.decode(entry(codec.encode(sent))))).toEqual(sent)
  })
})

describe("a scrape in the stream", () => {
  const rows = ["postgres", "nginx", "sshd"].map(
    (name, n): Snapshot => ({ ...snapshot, values: [name, n + 0.5, n * 4096] })
  )
  const [snapshots] = together(rows)
  const decode = (scrape: string, change: object = {}, by = codec) =>
    by.decodeScrape({ serverId: "web-1", exporterName: "test_exporter", rows: 3, scrape, ...change })
  const refusedScrape = (...parts: ReadonlyArray<unknown>) => Result.getOrThrow(Result.flip(decode(array(...parts))))
  const at = 1_761_825_600_000_000

  it("is read as it was written, and is shorter than its rows one by one", () => {
    const text = codec.encodeScrape(snapshots!)
    expect(Result.getOrThrow(decode(text))).toEqual(snapshots)
    expect(text.length).toBeLessThan(0.6 * codec.encodeEach(snapshots!).join("").length)
  })

  it("may have rows whose counters began at different times", () => {
    const differ = rows.map((row, n) => ({ ...row, countersSince: n === 1 ? null : row.countersSince! + n }))
    const read = Result.getOrThrow(decode(codec.encodeScrape(together(differ)[0]!)))
    expect([0, 1, 2].map((row) => snapshotAt(read, row))).toEqual(differ)
  })

  it("is cut where its time changes, and where it has more rows than an entry takes", () => {
    const mixed = together([...rows, ...rows.map((row) => ({ ...row, timestamp: row.timestamp + 1 }))])[0]!
    const cut = byScrape(mixed, 2)
    expect(cut.map(({ length, timestamp }) => [length, timestamp])).toEqual([
      [2, snapshot.timestamp],
      [1, snapshot.timestamp],
      [2, snapshot.timestamp + 1],
      [1, snapshot.timestamp + 1]
    ])
    expect(snapshotAt(part(mixed, 2, 5), 1)).toEqual({ ...rows[0], timestamp: snapshot.timestamp + 1 })
  })

  it("can be taken apart into the texts of its rows, also where its columns are not known", () => {
    const text = codec.encodeScrape(snapshots!)
    expect(eachOfScrape(text, 3)).toEqual(rows.map(codec.encode))
    expect(eachOfScrape(text.replace(/^\["\w+"/, '["zzzzzz"'), 3)).toHaveLength(3)
    for (const scrape of ["", "{}", "[]", text.slice(0, -1), array(at, null, ["a"], [1, 2, 3], [1, 2, 3])]) {
      expect(eachOfScrape(scrape, 3), scrape).toBeUndefined()
    }
    expect(eachOfScrape(text, 2)).toBeUndefined()
  })

  it("that was written before columns were appended has null for them", () => {
    const appended = codecOf({ ...columns, swap_bytes: SWAP })
    const read = Result.getOrThrow(decode(codec.encodeScrape(snapshots!), {}, appended))
    expect(snapshotAt(read, 2).values).toEqual([...rows[2]!.values, null])
    expect(Result.getOrThrow(decode(appended.encodeScrape(read))).columns).toHaveLength(3)
    const newer = appended.encodeScrape({ ...read, columns: [...read.columns.slice(0, -1), [1, 2, 3]] })
    expect(Result.getOrThrow(Result.flip(decode(newer)))).toContain("are not known to this version")
  })

  it("is checked again: what ingest would not have let through is refused with its reason", () => {
    const names = ["a", "b", "c"]
    const numbers = [1, 2, 3]
    expect(refusedScrape(at, null, names, [1, -1, 1], numbers)).toContain("cpu_seconds_total is -1")
    expect(refusedScrape(at, null, ["a", 5, "c"], numbers, numbers)).toContain("name is 5")
    expect(refusedScrape(at, null, names, [1, 2], numbers)).toContain("cpu_seconds_total has 2 values for 3 rows")
    expect(refusedScrape(at, null, names, numbers, 7)).toContain("memory_bytes has 7 values for 3 rows")
    expect(refusedScrape(at, null, names, numbers)).toContain("2 values for 3 columns")
    expect(refusedScrape([at, at, at], null, names, numbers, numbers)).toContain("timestamp is an array")
    expect(refusedScrape(at, [at, at], names, numbers, numbers)).toContain("counters_since has 2 values for 3 rows")
    expect(refusedScrape(at, [at, "x", null], names, numbers, numbers)).toContain('counters_since is "x"')
    expect(Result.isFailure(decode("x".repeat(10_000_000)))).toBe(true)
  })
})
