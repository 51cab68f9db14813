/**
 * What is fuzzed, and what has to hold of every input: everything that reads bytes of others. Each check throws where a
 * promise is broken; that it neither hangs nor grows is for whoever runs it to see.
 *
 * An input is made from a seed and its number alone, so any of them can be looked at again.
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { Result } from "effect"
import { readScrape } from "../../agent/Scraper.ts"
import {
  decodeAcks,
  decodeRecord,
  encodeAcks,
  encodeBody,
  encodeHeader,
  scanSegment
} from "../../agent/SpoolSegment.ts"
import config from "../../plugins.config.ts"
import { parseJson, unpack } from "../../src/http/IngestBody.ts"
import { DEFAULT_LIMITS } from "../../src/http/Limits.ts"
import { parseExposition } from "../../src/plugins/Exposition.ts"
import { decodePayload, REASON_LENGTH_MAX } from "../../src/plugins/Payload.ts"
import { makeSnapshotCodec } from "../../src/plugins/SnapshotCodec.ts"
import { makeWires } from "../../src/plugins/Wire.ts"
import { delivery } from "../../src/sinks/ValkeySubscription.ts"
import { type Chance, makeChance } from "../conservation/Chance.ts"
import { damaged, noise, repeated } from "./Mutation.ts"

/** Whether something came of an input. Both must occur, or nothing is tested. */
export type Outcome = "taken" | "refused"

export interface Target {
  readonly name: string
  readonly input: (chance: Chance) => Buffer
  readonly check: (input: Buffer, chance: Chance) => Outcome
}

/** The n-th input of a seed, and the choices that go on with it. */
export const inputOf = (
  target: Target,
  seed: number,
  n: number
): { readonly input: Buffer; readonly chance: Chance } => {
  const chance = makeChance(Math.imul(seed | 0, 0x9e3779b1) ^ Math.imul(n + 1, 0x85ebca6b))
  return { input: target.input(chance), chance }
}

const must = (isTrue: boolean, what: string): void => {
  if (!isTrue) throw new Error(what)
}

/** One in a thousand is large, one in ten is made of nothing, the others are what was meant, damaged. */
const shaped = (chance: Chance, meant: () => Buffer, large = 128 * 1024): Buffer => {
  const kind = chance.next()
  if (kind < 0.001) return repeated(chance, large)
  if (kind < 0.1) return noise(chance, 300)
  return damaged(meant(), chance)
}

const NOW = Date.parse("2025-10-30T12:00:00Z")
const wires = makeWires(config.exporters)
const codec = makeSnapshotCodec(wires)

// -- expositions

const fixtures = join(import.meta.dirname, "..", "..", "src", "plugins", "fixtures", "exposition")
const scrapes = ["node.prom", "process.prom", "process-odd-names.prom", "openmetrics.txt"].map((name) =>
  readFileSync(join(fixtures, name))
)

/** What one row needs, so that something comes of most scrapes. */
const WHOLE_GROUP = Buffer.from(
  [
    'namedprocess_namegroup_num_procs{groupname="g"} 2',
    'namedprocess_namegroup_cpu_seconds_total{groupname="g",mode="user"} 1.5',
    'namedprocess_namegroup_memory_bytes{groupname="g",memtype="resident"} 4096',
    'node_cpu_seconds_total{cpu="0",mode="idle"} 12.25\n'
  ].join("\n")
)

const exposition: Target = {
  name: "exposition",
  input: (chance) =>
    shaped(chance, () => {
      const scrape = chance.oneOf(scrapes)
      const start = scrape.indexOf("\n", chance.between(0, scrape.length - 1)) + 1
      const end = scrape.indexOf("\n", start + chance.between(0, 1_500))
      const lines = scrape.subarray(start, end < 0 ? scrape.length : end + 1)
      return chance.next() < 0.5 ? lines : Buffer.concat([WHOLE_GROUP, lines])
    }),
  check: (input, chance) => {
    const format = chance.oneOf(["text", "text", "openmetrics"] as const)
    const result = parseExposition(input, { format })
    if (Result.isFailure(result)) {
      must(result.failure.message.length < 500, "a refusal is short")
    } else {
      const { samples, skipped, skippedCount } = result.success
      must(skippedCount >= skipped.length, "what was skipped is counted")
      for (const { labels, name, timestamp, value } of samples) {
        must(name !== "" && name.isWellFormed() && typeof value === "number", "a sample is whole")
        must(timestamp === undefined || Number.isSafeInteger(timestamp), "a timestamp is a whole number")
        for (const [label, text] of Object.entries(labels)) {
          must(label !== "" && label.isWellFormed() && text.isWellFormed(), "labels are text")
        }
      }
    }
    // And on: what the agent makes of it is what ingest takes.
    let taken = false
    for (const exporter of config.exporters) {
      const wire = wires.get(exporter.name)!
      const read = readScrape({ exporter, endpoint: "http://127.0.0.1:1" }, wire, input, format, NOW)
      if (Result.isFailure(read)) continue
      taken = true
      for (const record of read.success.records) {
        const rows = JSON.parse(record.rows) as ReadonlyArray<unknown>
        for (const row of rows) {
          const decoded = wire.decode(row, { serverId: "fuzz", nowMicros: NOW * 1_000 })
          must(Result.isSuccess(decoded), `a row that the agent sends is taken: ${JSON.stringify(row)}`)
        }
      }
    }
    return taken ? "taken" : "refused"
  }
}

// -- ingest bodies

const row = (chance: Chance): unknown => {
  /** The first is right, and taken mostly. */
  const one = (...choices: ReadonlyArray<unknown>) => (chance.next() < 0.9 ? choices[0] : chance.oneOf(choices))
  return {
    timestamp: one("2025-10-30T12:00:00Z", "2025-10-30T11:59:59.123456+02:00", "2025-10-30", 0, null, "x"),
    name: one("nginx", "", "a\u0000b", "é".repeat(chance.between(0, 30)), 5, null, "\ud800"),
    num_procs: one(1, 0, -1, 1.5, 2 ** 31, null, "1"),
    cpu_seconds_total: one(1.5, 0, -0, 1e308, -1, null),
    memory_bytes: one(4096, 0, 2 ** 53, 1e300, null),
    cpu_idle_seconds: one(1, null, -1, "x"),
    counters_since: one("2025-10-30T10:00:00Z", null, 5, undefined),
    other: one(undefined, {}, [[[]]], "x")
  }
}

const ingestBody: Target = {
  name: "ingest-body",
  input: (chance) =>
    shaped(chance, () => {
      const body: Record<string, unknown> = {}
      for (let count = chance.between(0, 3); count > 0; count--) {
        const name = chance.oneOf([...wires.keys(), ...wires.keys(), "unknown", "__proto__", ""])
        body[name] =
          chance.next() < 0.9 ? Array.from({ length: chance.between(0, 4) }, () => row(chance)) : chance.between(0, 9)
      }
      return Buffer.from(JSON.stringify(body))
    }),
  check: (input, chance) => {
    let json = input
    if (chance.next() < 0.2) {
      const packed = damaged(gzipSync(input, { level: 1 }), chance)
      const unpacked = unpack(packed, DEFAULT_LIMITS)
      if (Result.isFailure(unpacked)) return "refused"
      json = unpacked.success
    }
    const body = parseJson(json, DEFAULT_LIMITS)
    if (Result.isFailure(body)) return "refused"
    const payload = decodePayload(wires, body.success, { serverId: "fuzz", nowMicros: NOW * 1_000 })
    if (Result.isFailure(payload)) return "refused"
    const { accepted, rejected, rejectedCount } = payload.success
    must(rejectedCount >= rejected.length, "what was rejected is counted")
    for (const { exporter, reason } of rejected) {
      must(reason !== "" && reason.length <= REASON_LENGTH_MAX && reason.isWellFormed(), "a reason is short text")
      must(exporter.isWellFormed() && exporter.length < 100, "an exporter's name is short text")
    }
    for (const snapshot of accepted) {
      must(wires.get(snapshot.exporter)!.misfit(snapshot.values) === undefined, "what is accepted can be stored")
      const { serverId } = snapshot
      const decoded = codec.decode({ serverId, exporterName: snapshot.exporter, snapshot: codec.encode(snapshot) })
      must(Result.isSuccess(decoded) && isSame(decoded.success, snapshot), "a snapshot travels unchanged")
    }
    return accepted.length > 0 ? "taken" : "refused"
  }
}

/** Unchanged to the last bit, where PostgreSQL can tell: -0 is 0. */
const isSame = (a: { readonly values: ReadonlyArray<unknown> }, b: { readonly values: ReadonlyArray<unknown> }) =>
  JSON.stringify(a) === JSON.stringify(b)

// -- the spool

const spool: Target = {
  name: "spool-segment",
  input: (chance) =>
    shaped(chance, () => {
      const chunks: Array<Buffer> = []
      const count = chance.between(0, 6)
      for (let n = 0; n < count; n++) {
        const body = encodeBody("e", JSON.stringify({ n, pad: "x".repeat(chance.between(0, 40)) }))!
        chunks.push(encodeHeader({ id: n + 1, scrapedAt: n, body }, n), body.bytes)
      }
      return Buffer.concat(chunks)
    }),
  check: (input, chance) => {
    const { lost, nextSequence, records } = scanSegment(input)
    let last = -1
    for (const record of records) {
      must(record.sequence > last && record.sequence < nextSequence, "places ascend")
      last = record.sequence
      must(record.offset + record.length <= input.length, "a record lies within the file")
      const read = decodeRecord(input.subarray(record.offset, record.offset + record.length), record)
      // The checksums hold, so it is what was written, or a second piece of that.
      must(read !== undefined && read.exporter === "e", "a good record can be read")
      must((JSON.parse(read!.rows) as { readonly n: number }).n === record.id - 1, "a record has its own value")
    }
    for (const { from, to } of lost) must(from <= to && to < nextSequence, "what is lost has its place")
    const acks = decodeAcks(chance.next() < 0.5 ? damaged(encodeAcks([0, 1, 2, 3]), chance) : input)
    for (const sequence of acks) must(Number.isInteger(sequence), "an ack names a place")
    return records.length > 0 ? "taken" : "refused"
  }
}

// -- the stream

const streamEntry: Target = {
  name: "stream-entry",
  input: (chance) =>
    shaped(chance, () => {
      const exporter = chance.oneOf(config.exporters)
      const values = Object.values(exporter.table.columns).map((column) =>
        column.kind === "label"
          ? chance.oneOf(["nginx", "", 'quote " \\ é', "\u2028"])
          : column.nullable && chance.next() < 0.3
            ? null
            : chance.oneOf([0, 1, 4096, column.type === "double" ? 0.1 : 7])
      )
      const since = chance.oneOf([null, (NOW - 5) * 1_000])
      const snapshot = { exporter: exporter.name, serverId: "s", timestamp: NOW * 1_000, countersSince: since, values }
      return Buffer.from(`${exporter.name}\n${codec.encode(snapshot)}`)
    }),
  check: (input, chance) => {
    const text = input.toString()
    const line = text.indexOf("\n")
    const [exporterName, snapshot] = line < 0 ? ["", text] : [text.slice(0, line), text.slice(line + 1)]
    const fields = ["server_id", "web-1", "exporter_name", exporterName, "snapshot", snapshot]
    if (chance.next() < 0.1) fields.splice(chance.between(0, 6), chance.between(0, 3), text.slice(0, 20))
    const decoded = codec.decode(delivery("1-1", 1, fields))
    if (Result.isFailure(decoded)) {
      must(decoded.failure !== "" && decoded.failure.length < 2_000, "a reason is short")
      return "refused"
    }
    const { exporter, values } = decoded.success
    must(wires.get(exporter)!.misfit(values) === undefined, "what is decoded can be stored")
    const again = codec.decode({ serverId: "web-1", exporterName: exporter, snapshot: codec.encode(decoded.success) })
    must(
      Result.isSuccess(again) && isSame(again.success, { ...decoded.success, serverId: "web-1" } as never),
      "it means one thing"
    )
    return "taken"
  }
}

export const targets: ReadonlyArray<Target> = [exposition, ingestBody, spool, streamEntry]
