/**
 * The files of the spool. `spool-segment` is what we wrote, damaged: the checksums find it. `spool-forged` is what somebody
 * else wrote, with checksums that hold: what lies behind them must hold by itself.
 */
import { crc32, deflateRawSync, gzipSync } from "node:zlib"
import { type PackedRows, packRows, unpackRows } from "../../agent/spool/PackedRows.ts"
import {
  type Content,
  decodeAcks,
  decodeRecord,
  encodeAcks,
  encodeBody,
  encodeHeader,
  HEADER_BYTES,
  ID_MAX,
  ROWS_BYTES_MAX,
  SEGMENT_BYTES_MAX,
  scanSegment
} from "../../agent/spool/SpoolSegment.ts"
import type { Chance } from "../conservation/Chance.ts"
import { damaged, noise, repeated } from "./Mutation.ts"
import { must, shaped, type Target } from "./Target.ts"

/** What holds of any bytes; `good` is told each record that the scan found. */
const scanHolds = (input: Buffer, good: (read: Content | undefined, id: number, rowsBytes: number) => void): number => {
  const { lost, nextSequence, records } = scanSegment(input)
  let last = -1
  let lastId = 0
  let end = 0
  for (const record of records) {
    must(record.sequence > last && record.sequence < nextSequence, "places ascend")
    must(record.id > lastId && record.id <= ID_MAX, "ids ascend")
    must(record.offset >= end, "records do not overlap")
    last = record.sequence
    lastId = record.id
    end = record.offset + record.length
    must(end <= input.length, "a record lies within the file")
    must(
      record.rowsBytes <= ROWS_BYTES_MAX && Number.isFinite(record.scrapedAt),
      "a record is no larger than one may be"
    )
    good(decodeRecord(input.subarray(record.offset, end), record), record.id, record.rowsBytes)
  }
  // Places that are in question cost memory when the file is read: there are no more than a file has room for.
  must(nextSequence <= SEGMENT_BYTES_MAX / HEADER_BYTES + 2, "there are no more places than a file has room for")
  const taken = new Set(records.map(({ sequence }) => sequence))
  for (const { from, to } of lost) {
    must(from <= to && to < nextSequence, "what is lost has its place")
    must(!taken.has(from) && !taken.has(to), "what is lost is not there")
  }
  return records.length
}

const acksHold = (input: Buffer, chance: Chance): void => {
  for (const sequence of decodeAcks(input)) must(Number.isInteger(sequence) && sequence >= 0, "an ack names a place")
  for (const sequence of decodeAcks(damaged(encodeAcks([0, 1, 2, 3]), chance))) {
    must(sequence <= 3, "a damaged ack names none")
  }
}

const RECORDS_MAX = 6
const PADS_MAX = 40
/** The n-th record with each padding: packing them is most of the work. */
const bodies = Array.from({ length: RECORDS_MAX }, (_, n) =>
  Array.from(
    { length: PADS_MAX + 1 },
    (_, pad) => encodeBody("e", packRows([JSON.stringify({ n, pad: "x".repeat(pad) })]))!
  )
)

export const segmentTarget: Target = {
  name: "spool-segment",
  input: (chance) =>
    shaped(chance, () => {
      const chunks: Array<Buffer> = []
      const count = chance.between(0, RECORDS_MAX)
      for (let n = 0; n < count; n++) {
        const body = bodies[n]![chance.between(0, PADS_MAX)]!
        chunks.push(encodeHeader({ id: n + 1, scrapedAt: n, body }, n), body.bytes)
      }
      return Buffer.concat(chunks)
    }),
  check: (input, chance) => {
    const found = scanHolds(input, (read, id) => {
      // The checksums hold, so it is what was written, or a second piece of that.
      must(read !== undefined && read.exporter === "e", "a good record can be read")
      must(
        (JSON.parse(unpackRows(read!.rows)) as [{ readonly n: number }])[0].n === id - 1,
        "a record has its own value"
      )
    })
    acksHold(input, chance)
    return found > 0 ? "taken" : "refused"
  }
}

/** A header that says what it likes, and whose checksum holds. */
const forgedHeader = (chance: Chance, n: number, bytes: Buffer, rowsBytes: number): Buffer => {
  /** The first is right, and taken mostly. */
  const one = (...choices: ReadonlyArray<number>) => (chance.next() < 0.85 ? choices[0]! : chance.oneOf(choices))
  const header = encodeHeader({ id: 1, scrapedAt: 0, body: { bytes, rowsBytes: 0 } }, 0)
  header.writeUInt32LE(one(n, 0, n + 1, 838_860, 838_861, 2 ** 32 - 1), 4)
  header.writeDoubleLE(one(n + 1, 0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, ID_MAX, ID_MAX + 2, 1e308), 8)
  header.writeDoubleLE(one(n, Number.NaN, Number.NEGATIVE_INFINITY, 1e308, -1), 16)
  header.writeUInt32LE(one(rowsBytes, 0, rowsBytes + 1, ROWS_BYTES_MAX, ROWS_BYTES_MAX + 1, 2 ** 32 - 1), 24)
  header.writeUInt32LE(one(bytes.length, 0, bytes.length + 1, 2 ** 24, 2 ** 32 - 1), 28)
  header.writeUInt32LE(crc32(header.subarray(0, 36)), 36)
  return header
}

const forgedBody = (chance: Chance): { readonly bytes: Buffer; readonly rowsBytes: number } => {
  const kind = chance.next()
  // A thousand times its size.
  const rows = kind < 0.001 ? repeated(chance, 1_048_576) : noise(chance, 60)
  const name = noise(chance, 8)
  const isOlder = chance.next() < 0.3
  const length = Buffer.alloc(isOlder ? 2 : 6, 1)
  length.writeUInt16LE(chance.next() < 0.9 ? name.length + (isOlder ? 0 : 0x8000) : chance.between(0, 0xffff))
  const packed = isOlder ? deflateRawSync(rows) : gzipSync(rows)
  const bytes =
    kind < 0.2
      ? noise(chance, 60)
      : Buffer.concat([length.subarray(0, 2), name, length.subarray(2), kind < 0.4 ? damaged(packed, chance) : packed])
  return { bytes, rowsBytes: rows.length }
}

/** What the rows unpack to; nothing where they cannot be. */
const unpackedBytes = (rows: PackedRows): number => {
  try {
    return Buffer.byteLength(unpackRows(rows))
  } catch {
    return 0
  }
}

export const forgedTarget: Target = {
  name: "spool-forged",
  input: (chance) => {
    const chunks: Array<Buffer> = []
    for (let n = chance.between(0, 2), count = chance.between(1, 4); count > 0; count--, n++) {
      const { bytes, rowsBytes } = forgedBody(chance)
      chunks.push(forgedHeader(chance, n, bytes, rowsBytes), bytes)
      if (chance.next() < 0.1) chunks.push(noise(chance, 50))
    }
    return Buffer.concat(chunks)
  },
  check: (input, chance) => {
    let readable = 0
    scanHolds(input, (read, _, rowsBytes) => {
      if (read === undefined) return
      readable++
      must(read.rows.bytes <= rowsBytes, "a body has the size that its header says")
      // Text that is not UTF-8 becomes longer by its replacement characters, three bytes for one.
      must(unpackedBytes(read.rows) <= rowsBytes * 3 + 2, "rows unpack to no more than their header says")
      must(read.exporter.length <= 0xffff, "a name is short")
    })
    acksHold(input, chance)
    return readable > 0 ? "taken" : "refused"
  }
}
