import { describe, expect, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import { type Columns, counter, gauge, label } from "./Column.ts"
import { defineExporter } from "./Exporter.ts"
import type { Snapshot } from "./Snapshot.ts"
import { fingerprints, makeSnapshotCodec } from "./SnapshotCodec.ts"
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

  it("that was written before columns were appended has null for them", () => {
    const appended = codecOf({ ...columns, swap_bytes: SWAP })
    const read = Result.getOrThrow(appended.decode(entry(codec.encode(snapshot))))
    expect(read.values).toEqual([...snapshot.values, null])
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
