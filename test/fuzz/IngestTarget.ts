/** Bodies that are posted: unpacked, parsed, decoded, and on their way through the stream. */
import { gzipSync } from "node:zlib"
import { Result } from "effect"
import { parseJson, unpack } from "../../src/http/ingest/IngestBody.ts"
import { DEFAULT_LIMITS } from "../../src/http/server/Limits.ts"
import {
  type DecodedPayload,
  decodePayload,
  RANGES_MAX,
  REASON_LENGTH_MAX,
  REJECTIONS_MAX
} from "../../src/plugins/Payload.ts"
import type { Snapshot } from "../../src/plugins/Snapshot.ts"
import { eachOfScrape, makeSnapshotCodec } from "../../src/plugins/SnapshotCodec.ts"
import { type Snapshots, snapshotAt } from "../../src/plugins/Snapshots.ts"
import { absent } from "../../src/plugins/Storable.ts"
import { contentsOf, type ScrapeContent } from "../../src/sinks/stream/StreamEntry.ts"
import type { Chance } from "../conservation/Chance.ts"
import { damaged, nested, repeated } from "./Mutation.ts"
import { isSame, must, NOW, shaped, type Target, wires } from "./Target.ts"

const codec = makeSnapshotCodec(wires)
/** Beyond the size from which brackets are counted before anything is parsed. */
const LARGE = 300 * 1024

const row = (chance: Chance): unknown => {
  /** The first is right, and taken mostly. */
  const one = (...choices: ReadonlyArray<unknown>) => (chance.next() < 0.9 ? choices[0] : chance.oneOf(choices))
  return {
    timestamp: one(
      "2025-10-30T12:00:00Z",
      "2025-10-30T11:59:59.123456+02:00",
      "2025-10-29T23:59:59.9999999Z",
      "2025-10-30T24:00:00Z",
      "2025-10-30",
      0,
      null,
      "x"
    ),
    name: one("nginx", "", "a\u0000b", "é".repeat(chance.between(0, 30)), 5, null, "\ud800"),
    num_procs: one(1, 0, -1, 1.5, 2 ** 31, null, "1"),
    cpu_seconds_total: one(1.5, 0, -0, 1e308, -1, null),
    memory_bytes: one(4096, 0, 2 ** 53, 1e300, null),
    cpu_idle_seconds: one(1, null, -1, "x"),
    counters_since: one("2025-10-30T10:00:00Z", null, 5, undefined),
    other: one(undefined, {}, [[[]]], "x")
  }
}

/** Deep, many, or the same again and again. */
const large = (chance: Chance): Buffer => {
  const rows = `{"${chance.oneOf([...wires.keys(), "unknown"])}":`
  switch (chance.between(0, 3)) {
    case 0:
      return nested(chance, LARGE)
    case 1:
      return Buffer.concat([Buffer.from(rows), nested(chance, chance.between(1, LARGE)), Buffer.from("}")])
    case 2: {
      const odd = chance.oneOf(["1", "null", "{}", "[]", '"x"', JSON.stringify(row(chance))])
      const text = `${odd},`.repeat(Math.min(30_000, Math.floor(LARGE / odd.length)))
      return Buffer.from(`${rows}[${text}${odd}]}`)
    }
    default:
      return repeated(chance, LARGE)
  }
}

export const ingestTarget: Target = {
  name: "ingest-body",
  input: (chance) =>
    shaped(
      chance,
      () => {
        const body: Record<string, unknown> = {}
        for (let count = chance.between(0, 3); count > 0; count--) {
          const name = chance.oneOf([...wires.keys(), ...wires.keys(), "unknown", "__proto__", ""])
          body[name] =
            chance.next() < 0.9 ? Array.from({ length: chance.between(0, 4) }, () => row(chance)) : chance.between(0, 9)
        }
        return Buffer.from(JSON.stringify(body))
      },
      large
    ),
  check: (input, chance) => {
    let json = input
    if (chance.next() < 0.2) {
      const packed = damaged(gzipSync(input, { level: 1 }), chance)
      const unpacked = unpack(packed, DEFAULT_LIMITS)
      if (Result.isFailure(unpacked)) return "refused"
      json = unpacked.success
    }
    if (chance.next() < 0.000_3) bombStops(input)
    const body = parseJson(json, DEFAULT_LIMITS)
    if (Result.isFailure(body)) {
      must(String(body.failure.detail).length < 500, "a refusal is short")
      return "refused"
    }
    const payload = decodePayload(wires, body.success, { serverId: "fuzz", nowMicros: NOW * 1_000 })
    if (Result.isFailure(payload)) return "refused"
    const { acceptedCount, further, ranges, rejected, rejectedCount } = payload.success
    const accepted = each(payload.success)
    must(accepted.length === acceptedCount, "what is accepted is counted")
    must(rejected.length <= REJECTIONS_MAX && ranges.length <= RANGES_MAX, "what was rejected is told within bounds")
    const summed = [...ranges.map(({ rows }) => rows), ...further.values()].reduce((sum, rows) => sum + rows, 0)
    must(rejectedCount === rejected.length + summed, "what was rejected is listed, or counted")
    for (const { exporter, reason } of [...rejected, ...ranges]) {
      must(reason !== "" && reason.length <= REASON_LENGTH_MAX && reason.isWellFormed(), "a reason is short text")
      must(exporter.isWellFormed() && exporter.length < 100, "an exporter's name is short text")
    }
    for (const snapshot of accepted) {
      must(wires.get(snapshot.exporter)!.misfit(snapshot.values) === undefined, "what is accepted can be stored")
      const { serverId } = snapshot
      const decoded = codec.decode({ serverId, exporterName: snapshot.exporter, snapshot: codec.encode(snapshot) })
      must(Result.isSuccess(decoded) && isSame(decoded.success, snapshot), "a snapshot travels unchanged")
    }
    for (const snapshots of payload.success.accepted) travelsTogether(snapshots)
    isWhatWasSent(body.success as Readonly<Record<string, unknown>>, payload.success)
    return accepted.length > 0 ? "taken" : "refused"
  }
}

const each = ({ accepted }: DecodedPayload): ReadonlyArray<Snapshot> =>
  accepted.flatMap((some) => Array.from({ length: some.length }, (_, row) => snapshotAt(some, row)))

/** A scrape at a time, rows arrive as they do one by one, and can be taken apart into the same texts. */
const travelsTogether = (snapshots: Snapshots): void => {
  const texts = codec.encodeEach(snapshots)
  let from = 0
  for (const content of contentsOf(snapshots, "scrape", codec)) {
    must("scrape" in content, "it is one entry")
    const { rows, scrape } = content as ScrapeContent
    const read = codec.decodeScrape({ ...content, rows, scrape })
    must(Result.isSuccess(read), "a scrape is read")
    const own = texts.slice(from, from + rows)
    must(String(codec.encodeEach(Result.getOrThrow(read))) === String(own), "a scrape travels unchanged")
    must(String(eachOfScrape(scrape, rows)) === String(own), "a scrape can be taken apart")
    from += rows
  }
  must(from === snapshots.length, "all rows are in a scrape")
}

/** Every row is accepted or rejected, and an accepted one has the values that were sent, each in its column. */
const isWhatWasSent = (body: Readonly<Record<string, unknown>>, payload: DecodedPayload): void => {
  const { rejected, rejectedCount } = payload
  const accepted = each(payload)
  const sent = Object.values(body).reduce<number>((sum, rows) => sum + (Array.isArray(rows) ? rows.length : 1), 0)
  must(accepted.length + rejectedCount === sent, "every row is accepted or rejected")
  if (rejectedCount > rejected.length) return
  for (const [name, rows] of Object.entries(body)) {
    const wire = wires.get(name)
    if (wire === undefined || !Array.isArray(rows)) continue
    const left = new Set(rejected.flatMap(({ exporter, index }) => (exporter === name ? [index] : [])))
    const kept = rows.filter((_, index) => !left.has(index)) as ReadonlyArray<Readonly<Record<string, unknown>>>
    const snapshots = accepted.filter(({ exporter }) => exporter === name)
    must(kept.length === snapshots.length, "those that were not rejected are accepted")
    snapshots.forEach(({ timestamp, values }, at) => {
      const fields = kept[at]!
      const columns = Object.values(wire.exporter.table.columns)
      wire.fields.forEach((field, column) => {
        const value = fields[field] ?? absent(columns[column]!) ?? null
        must(Object.is(values[column], typeof value === "number" ? value + 0 : value), `${field} is as it was sent`)
      })
      const millis = Date.parse(String(fields.timestamp))
      must(Math.floor(timestamp / 1_000) === millis, `${fields.timestamp} is the time that it says`)
    })
  }
}

/** A megabyte of next to nothing stops at its bound. */
const bombStops = (input: Buffer): void => {
  const bomb = gzipSync(Buffer.alloc(1_048_576, input.length === 0 ? "0" : input.subarray(0, 1)))
  const unpacked = unpack(bomb, { ...DEFAULT_LIMITS, jsonBytesMax: 65_536 })
  must(Result.isFailure(unpacked) && unpacked.failure._tag === "BodyTooLarge", "a bomb stops at its bound")
}
