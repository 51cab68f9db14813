/**
 * What a row costs between JSON and the stream: the checks of `Wire` beside the same rules as an Effect Schema, interpreted
 * and compiled, and the stream codec beside plain JSON. CPU time of this process, medians, all in one run.
 *
 *     node bench/wire.ts
 */
import { Result, Schema } from "effect"
import { enable } from "effect/schema/SchemaJITCompiler"
import config from "../plugins.config.ts"
import { decodePayload } from "../src/plugins/Payload.ts"
import { makeSnapshotCodec } from "../src/plugins/SnapshotCodec.ts"
import { makeWires } from "../src/plugins/Wire.ts"

const ROWS = 150
const ROUNDS = 9
const ROUND_MILLIS = 150

const wires = makeWires(config.exporters)
const wire = wires.get("process_exporter")!
const codec = makeSnapshotCodec(wires)
const context = { serverId: "web-1", nowMicros: Date.parse("2025-10-30T12:00:01Z") * 1_000 }
const text = JSON.stringify({
  process_exporter: Array.from({ length: ROWS }, (_, index) => ({
    timestamp: "2025-10-30T12:00:00.123Z",
    counters_since: "2025-10-30T10:00:00.000000Z",
    name: `process-${index}`,
    num_procs: index,
    cpu_seconds_total: index * 1.37,
    memory_bytes: index * 4096 * 77
  }))
})
const body = JSON.parse(text) as { readonly process_exporter: ReadonlyArray<unknown> }
const rows = body.process_exporter
/** Rows of the built-in collector, which tells every column. */
const everyColumn = {
  process_exporter: rows.map((row) => ({
    ...Object.fromEntries(wire.fields.map((field, index) => [field, field === "unit" ? "nginx.service" : index])),
    ...(row as object)
  }))
}
const longText = JSON.stringify(everyColumn)
const longBody: unknown = JSON.parse(longText)
const snapshots = Result.getOrThrow(decodePayload(wires, body, context)).accepted[0]!
const texts = codec.encodeEach(snapshots)
const origin = { serverId: "web-1", exporterName: "process_exporter" }
const scrape = codec.encodeScrape(snapshots)
const interpreted = Schema.decodeUnknownResult(wire.schema)
const compiledSchema = makeWires(config.exporters).get("process_exporter")!.schema
enable(compiledSchema.ast)
const compiled = Schema.decodeUnknownResult(compiledSchema)

const microsPerRow = (run: () => void): number => {
  const rounds = Array.from({ length: ROUNDS }, () => {
    const until = performance.now() + ROUND_MILLIS
    const start = process.cpuUsage()
    let runs = 0
    for (; runs < 20 || performance.now() < until; runs++) run()
    const used = process.cpuUsage(start)
    return (used.user + used.system) / runs / ROWS
  })
  return rounds.sort((a, b) => a - b)[Math.trunc(ROUNDS / 2)]!
}

const each =
  <A>(values: ReadonlyArray<A>, use: (value: A) => unknown) =>
  () => {
    for (const value of values) use(value)
  }

const results = {
  "JSON.parse of the body": microsPerRow(() => JSON.parse(text)),
  "Wire.decode": microsPerRow(each(rows, (row) => wire.decode(row, context))),
  "Schema, interpreted": microsPerRow(each(rows, interpreted)),
  "Schema, SchemaJITCompiler": microsPerRow(each(rows, compiled)),
  decodePayload: microsPerRow(() => decodePayload(wires, body, context)),
  "JSON.parse, every column": microsPerRow(() => JSON.parse(longText)),
  "decodePayload, every column": microsPerRow(() => decodePayload(wires, longBody, context)),
  "SnapshotCodec.encodeEach": microsPerRow(() => codec.encodeEach(snapshots)),
  "SnapshotCodec.encodeScrape": microsPerRow(() => codec.encodeScrape(snapshots)),
  "SnapshotCodec.decodeEach": microsPerRow(() => codec.decodeEach({ ...origin, snapshots: texts })),
  "SnapshotCodec.decodeScrape": microsPerRow(() => codec.decodeScrape({ ...origin, scrape, rows: ROWS })),
  "JSON.parse of the same texts": microsPerRow(each(texts, (text) => JSON.parse(text)))
}
for (const [name, micros] of Object.entries(results)) {
  process.stdout.write(`${name.padEnd(34)} ${micros.toFixed(3)} µs a row\n`)
}
const length = texts.reduce((sum, text) => sum + text.length, 0) / texts.length
process.stdout.write(`${"snapshot in the stream".padEnd(34)} ${length.toFixed(0)} characters\n`)
process.stdout.write(
  `${"a row of a scrape in the stream".padEnd(34)} ${(scrape.length / ROWS).toFixed(0)} characters\n`
)
