/**
 * Rows as they lie in the spool and as they go out: what is between the brackets of a JSON array, `{…},{…}`, as one gzip
 * member.
 *
 * A gzip file is any number of members one after the other, and unpacks to what they hold, one after the other. So a
 * request's body is the members of its records between small ones with the JSON around them (`push/PushBatch.ts`): rows
 * are packed once, when they are scraped, and read again only where a row has to be named or its times corrected.
 *
 * Pure. Bound: `unpackRows` makes no more than the rows claim to be.
 */
import { gunzipSync, gzipSync } from "node:zlib"

export interface PackedRows {
  /** How many rows. */
  readonly count: number
  /** Bytes of the JSON between the brackets, unpacked. */
  readonly bytes: number
  readonly gzip: Buffer
}

/** Packs rows, each given as its JSON text. */
export const packRows = (rows: ReadonlyArray<string>): PackedRows => packed(rows.join(","), rows.length)

/** Packs the rows of a JSON array's text; undefined where it is none. */
export const packArray = (text: string): PackedRows | undefined => {
  try {
    const rows: unknown = JSON.parse(text)
    return Array.isArray(rows) ? packed(text.trim().slice(1, -1), rows.length) : undefined
  } catch {
    return undefined
  }
}

/** The rows as the text of a JSON array. Throws where they are damaged. */
export const unpackRows = ({ bytes, gzip }: PackedRows): string =>
  `[${gunzipSync(gzip, { maxOutputLength: Math.max(1, bytes) }).toString()}]`

/** Whether these bytes can be a whole member of rows of that size: its beginning and its end say so. */
export const isPacked = (gzip: Buffer, bytes: number): boolean =>
  gzip.length >= MEMBER_BYTES_MIN && gzip.readUInt16BE(0) === GZIP_MAGIC && gzip.readUInt32LE(gzip.length - 4) === bytes

/** Header and trailer without anything between them. */
const MEMBER_BYTES_MIN = 18
const GZIP_MAGIC = 0x1f8b

const packed = (inside: string, count: number): PackedRows => {
  const text = Buffer.from(inside)
  return { count, bytes: text.length, gzip: gzipSync(text) }
}
