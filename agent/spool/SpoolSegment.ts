/**
 * The bytes of the spool's files: framing, checksums, and finding every good record again in a damaged file. Pure.
 *
 * A *segment* is a file of records, each framed with a magic, its place in the segment, its length and two CRC-32: one
 * over the header, one over the body. So a flipped length is known for what it is, the reader goes on at the next
 * magic, and no damage costs more than the records it touches. A CRC-32 sees every damage of up to 32 bits in a row;
 * of larger damage it misses one in 2^32, twice over, as header and body are checked apart.
 *
 * An *ack file* beside it lists the places of the records that are done with, 8 bytes each. A damaged entry is passed
 * over: its record is sent once more, and a repeated row changes nothing.
 *
 * Bound: `scanSegment` is linear in the file, whatever is in it, and keeps no bodies.
 *
 * | offset | header field |
 * |---|---|
 * | 0 | magic, 4 bytes; its first never occurs in UTF-8 |
 * | 4 | place in the segment from 0, u32 |
 * | 8 | id, f64 |
 * | 16 | scrapedAt in epoch milliseconds, f64 |
 * | 24 | bytes of the rows once unpacked, u32 |
 * | 28 | bytes of the body, u32 |
 * | 32 | CRC-32 of the body |
 * | 36 | CRC-32 of the 36 bytes before |
 *
 * Numbers are little-endian. The body is the exporter's name (u16 length with its highest bit set, UTF-8), how many rows
 * there are (u32), then the rows as they go out (`PackedRows.ts`). Where the highest bit is not set, an older agent wrote
 * it: there the rows follow the name, as a JSON array in raw deflate. It is packed anew when it is read.
 */
import { crc32, inflateRawSync } from "node:zlib"
import { isPacked, type PackedRows, packArray } from "./PackedRows.ts"

export const HEADER_BYTES = 40
/** The largest rows of one record, in bytes of UTF-8; what is larger is not stored. Ingest would refuse it anyway. */
export const ROWS_BYTES_MAX = 16 * 1024 * 1024
/** More of a segment's file is not read. What NodePulse writes is smaller: a segment is rolled at 4 MiB. */
export const SEGMENT_BYTES_MAX = 32 * 1024 * 1024
/** Larger ids are not valid: whatever is added to one stays an exact number. */
export const ID_MAX = 2 ** 52

const MAGIC = Buffer.from([0xf5, 0x4e, 0x50, 0xf6])
/** No deflate is this much larger than its input: a larger body is damage. */
const BODY_BYTES_MAX = ROWS_BYTES_MAX + ROWS_BYTES_MAX / 256 + 24 + 0xffff
/** In the length of the name: the rows are packed as they go out. */
const PACKED = 0x8000
const ACK_BYTES = 8
const ENDING = { segment: ".segment", acks: ".acks" } as const

/** What a body says. */
export interface Content {
  readonly exporter: string
  readonly rows: PackedRows
}

/** A record's body, ready to be written. */
export interface Body {
  readonly bytes: Buffer
  /** Bytes of the rows once unpacked. */
  readonly rowsBytes: number
}

/** A good record of a segment: where it is and what its header says. */
export interface ScannedRecord {
  readonly id: number
  readonly scrapedAt: number
  readonly rowsBytes: number
  readonly sequence: number
  readonly offset: number
  /** Header and body. */
  readonly length: number
}

export interface Scan {
  /** Ascending in place and id. */
  readonly records: ReadonlyArray<ScannedRecord>
  /** Places whose records are torn or damaged, both ends included. */
  readonly lost: ReadonlyArray<{ readonly from: number; readonly to: number }>
  /** The place after the last that is known of. */
  readonly nextSequence: number
}

/** The body of a record, or undefined where it is larger than a record can be. */
export const encodeBody = (exporter: string, rows: PackedRows): Body | undefined => {
  const name = Buffer.from(exporter)
  if (name.length >= PACKED || rows.bytes > ROWS_BYTES_MAX) return undefined
  const head = Buffer.alloc(2 + name.length + 4)
  head.writeUInt16LE(PACKED | name.length)
  name.copy(head, 2)
  head.writeUInt32LE(rows.count, 2 + name.length)
  return { bytes: Buffer.concat([head, rows.gzip]), rowsBytes: rows.bytes }
}

/** What `encodeBody` was given, or undefined where the bytes are no body of `rowsBytes`. Never throws, and unpacks nothing. */
export const decodeBody = (bytes: Buffer, rowsBytes: number): Content | undefined => {
  if (bytes.length < 2) return undefined
  const length = bytes.readUInt16LE(0)
  const from = 2 + (length & ~PACKED)
  if (from + 4 > bytes.length) return undefined
  const exporter = bytes.toString("utf8", 2, from)
  if ((length & PACKED) === 0) {
    const rows = inflated(bytes.subarray(from), rowsBytes)
    return rows === undefined ? undefined : { exporter, rows }
  }
  const gzip = bytes.subarray(from + 4)
  if (!isPacked(gzip, rowsBytes)) return undefined
  return { exporter, rows: { count: bytes.readUInt32LE(from), bytes: rowsBytes, gzip } }
}

/** The rows of an older agent's record. */
const inflated = (bytes: Buffer, rowsBytes: number): PackedRows | undefined => {
  try {
    const text = inflateRawSync(bytes, { maxOutputLength: Math.max(1, rowsBytes) })
    return text.length === rowsBytes ? packArray(text.toString()) : undefined
  } catch {
    return undefined
  }
}

/** The header that goes before `body`, for place `sequence` of a segment. */
export const encodeHeader = (
  record: { readonly id: number; readonly scrapedAt: number; readonly body: Body },
  sequence: number
): Buffer => {
  const header = Buffer.alloc(HEADER_BYTES)
  MAGIC.copy(header)
  header.writeUInt32LE(sequence, 4)
  header.writeDoubleLE(record.id, 8)
  header.writeDoubleLE(record.scrapedAt, 16)
  header.writeUInt32LE(record.body.rowsBytes, 24)
  header.writeUInt32LE(record.body.bytes.length, 28)
  header.writeUInt32LE(crc32(record.body.bytes), 32)
  header.writeUInt32LE(crc32(header.subarray(0, 36)), 36)
  return header
}

/** The record that `bytes` is, if it is `expected` from its first byte to its last; undefined where it is damaged. */
export const decodeRecord = (bytes: Buffer, expected: Pick<ScannedRecord, "id" | "sequence">): Content | undefined => {
  const header = readHeader(bytes, 0)
  if (header === undefined || header.id !== expected.id || header.sequence !== expected.sequence) return undefined
  if (bytes.length !== header.length || !isWhole(bytes, 0, header)) return undefined
  return decodeBody(bytes.subarray(HEADER_BYTES, header.length), header.rowsBytes)
}

/**
 * Every good record of a segment, and the places of those that are not. Total and linear: any bytes are a segment.
 * Places are counted by the gaps between good headers, so what is lost is exact; after the last good header, one torn
 * record is assumed where there are bytes left.
 */
export const scanSegment = (bytes: Buffer): Scan => {
  const records: Array<ScannedRecord> = []
  const lost: Array<{ from: number; to: number }> = []
  let offset = 0
  let nextSequence = 0
  let lastId = 0
  let unexplained = false
  while (offset < bytes.length) {
    const header = readHeader(bytes, offset)
    if (header === undefined || header.sequence < nextSequence || header.id <= lastId) {
      const next = bytes.indexOf(MAGIC, offset + 1)
      offset = next === -1 ? bytes.length : next
      unexplained = true
      continue
    }
    // The header's own checksum holds, so its length does, even where the body is damaged or cut off.
    const good = isWhole(bytes, offset, header)
    const known = good ? header.sequence : header.sequence + 1
    if (known > nextSequence) lost.push({ from: nextSequence, to: known - 1 })
    if (good) {
      const { id, scrapedAt, rowsBytes, sequence, length } = header
      records.push({ id, scrapedAt, rowsBytes, sequence, offset, length })
    }
    nextSequence = header.sequence + 1
    lastId = header.id
    unexplained = false
    offset += header.length
  }
  if (unexplained) {
    lost.push({ from: nextSequence, to: nextSequence })
    nextSequence++
  }
  return { records, lost, nextSequence }
}

/** Entries of an ack file. */
export const encodeAcks = (sequences: ReadonlyArray<number>): Buffer => {
  const bytes = Buffer.alloc(sequences.length * ACK_BYTES)
  sequences.forEach((sequence, at) => {
    bytes.writeUInt32LE(sequence, at * ACK_BYTES)
    bytes.writeUInt32LE(crc32(bytes.subarray(at * ACK_BYTES, at * ACK_BYTES + 4)), at * ACK_BYTES + 4)
  })
  return bytes
}

/** The places that an ack file names; a damaged entry names none. Total: any bytes are an ack file. */
export const decodeAcks = (bytes: Buffer): Set<number> => {
  const sequences = new Set<number>()
  for (let at = 0; at + ACK_BYTES <= bytes.length; at += ACK_BYTES) {
    if (crc32(bytes.subarray(at, at + 4)) === bytes.readUInt32LE(at + 4)) sequences.add(bytes.readUInt32LE(at))
  }
  return sequences
}

/** The length of an ack file without a torn entry at its end: where the next entry goes. */
export const wholeAcks = (bytes: number): number => bytes - (bytes % ACK_BYTES)

/** The name of the segment whose first record is `firstId`, and of its ack file. Names sort as ids do. */
export const fileName = (firstId: number, kind: keyof typeof ENDING): string =>
  `${String(firstId).padStart(16, "0")}${ENDING[kind]}`

/** The `firstId` of a file of this kind; undefined for any other file. */
export const parseFileName = (name: string, kind: keyof typeof ENDING): number | undefined => {
  const firstId = Number(name.slice(0, 16))
  return /^\d{16}\./.test(name) && firstId <= ID_MAX && name === fileName(firstId, kind) ? firstId : undefined
}

interface Header extends Omit<ScannedRecord, "offset"> {
  readonly bodyCrc: number
}

const readHeader = (bytes: Buffer, offset: number): Header | undefined => {
  if (offset + HEADER_BYTES > bytes.length || bytes.compare(MAGIC, 0, 4, offset, offset + 4) !== 0) return undefined
  if (crc32(bytes.subarray(offset, offset + 36)) !== bytes.readUInt32LE(offset + 36)) return undefined
  const id = bytes.readDoubleLE(offset + 8)
  const scrapedAt = bytes.readDoubleLE(offset + 16)
  const sequence = bytes.readUInt32LE(offset + 4)
  const rowsBytes = bytes.readUInt32LE(offset + 24)
  const bodyBytes = bytes.readUInt32LE(offset + 28)
  // Nobody wrote these: a header that only looks like one would otherwise swallow what comes after it.
  if (!Number.isInteger(id) || id < 1 || id > ID_MAX || !Number.isFinite(scrapedAt)) return undefined
  if (sequence > SEGMENT_BYTES_MAX / HEADER_BYTES) return undefined
  if (rowsBytes > ROWS_BYTES_MAX || bodyBytes > BODY_BYTES_MAX) return undefined
  return {
    id,
    scrapedAt,
    rowsBytes,
    sequence,
    length: HEADER_BYTES + bodyBytes,
    bodyCrc: bytes.readUInt32LE(offset + 32)
  }
}

const isWhole = (bytes: Buffer, offset: number, header: Header): boolean => {
  const end = offset + header.length
  return end <= bytes.length && crc32(bytes.subarray(offset + HEADER_BYTES, end)) === header.bodyCrc
}
