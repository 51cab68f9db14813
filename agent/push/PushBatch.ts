/**
 * The decisions of the push, as pure functions: what goes into a request, what an answer means, and when to try again.
 */
import { gzipSync } from "node:zlib"
import { formatTimestamp, parseTimestamp } from "../../src/plugins/Timestamp.ts"
import { COUNTERS_SINCE_FIELD, TIMESTAMP_FIELD } from "../../src/plugins/Wire.ts"
import { clipped } from "../../src/protocol/PrintableText.ts"
import { redactedLocation } from "../config/ShownUrl.ts"
import { type PackedRows, packRows, unpackRows } from "../spool/PackedRows.ts"
import type { SpoolRecord } from "../spool/Spool.ts"

/**
 * The body of records: the gzip of `{"<exporter>":[row,…],…}`. Rows go out as they lie, in the order of the records; what
 * is around them are members of their own.
 */
export const bodyOf = (records: ReadonlyArray<SpoolRecord>): Buffer => {
  const lists = new Map<string, Array<Buffer>>()
  for (const { exporter, rows } of records) {
    if (rows.count === 0) continue
    const list = lists.get(exporter)
    if (list === undefined) lists.set(exporter, [rows.gzip])
    else list.push(COMMA, rows.gzip)
  }
  const parts: Array<Buffer> = []
  for (const [exporter, list] of lists) {
    parts.push(gzipSync(`${parts.length === 0 ? "{" : "],"}${JSON.stringify(exporter)}:[`), ...list)
  }
  return parts.length === 0 ? NO_ROWS : Buffer.concat([...parts, END])
}

const COMMA = gzipSync(",")
const END = gzipSync("]}")
const NO_ROWS = gzipSync("{}")

/**
 * Rows with their times moved: of the scrape, and since when its counters count, which comes from the same clock. What is no
 * time stays as it is, for the server to name.
 */
export const moveTimes = (rows: PackedRows, millis: number): PackedRows => {
  if (millis === 0) return rows
  const moved = rowsIn(rows).map((row) => (typeof row === "object" && row !== null ? movedRow(row, millis) : row))
  return moved.length === rows.count ? packRows(moved.map((row) => JSON.stringify(row))) : rows
}

/** The rows, read; none where they are damaged. */
export const rowsIn = (rows: PackedRows): ReadonlyArray<unknown> => {
  try {
    const read: unknown = JSON.parse(unpackRows(rows))
    return Array.isArray(read) ? read : []
  } catch {
    return []
  }
}

const movedRow = (row: object, millis: number): object => {
  const moved: Record<string, unknown> = { ...row }
  for (const field of [TIMESTAMP_FIELD, COUNTERS_SINCE_FIELD]) {
    const written = moved[field]
    const micros = typeof written === "string" ? parseTimestamp(written) : undefined
    if (micros !== undefined) moved[field] = formatTimestamp(micros + Math.round(millis) * 1_000)
  }
  return moved
}

/** What an answer means for the records of the request. */
export type Verdict =
  /** They are the server's now. */
  | "delivered"
  /** Nothing of them is taken now; the answer says of each row whether it ever is. */
  | "none-taken"
  /** Another agent writes with this token. */
  | "in-use"
  /** They will never be taken: given up. */
  | "refused"
  /** Smaller requests may be taken. */
  | "too-large"
  /** Later they may be taken. */
  | "later"
  /** They stay, and somebody has to look: token or address are wrong. */
  | "misconfigured"

export const verdictOf = (status: number): Verdict => {
  if (status === 202) return "delivered"
  if (status === 413) return "too-large"
  if (status === 422) return "none-taken"
  if (status === 409) return "in-use"
  if (status === 408 || status === 425 || status === 429 || status >= 500) return "later"
  // A redirect, or a 200 of something that is not a NodePulse server: a proxy's sign-in page answers like that.
  if (status === 401 || status === 403 || status < 400) return "misconfigured"
  return "refused"
}

/** What a status is to people. */
export const explain = (status: number, url: string, location: string | undefined): string => {
  if (status === 401)
    return `the server does not know the token (HTTP 401): make a new one there, and put it into nodepulse.yml`
  if (status === 403) return `the server does not let this token write (HTTP 403): use the token of an agent`
  if (status === 409) return `another agent writes with this token (HTTP 409)`
  if (status === 429 || status === 503) return `the server is busy (HTTP ${status})`
  if (status >= 300 && status < 400) {
    return `${url} redirects${location === undefined ? "" : ` to ${clipped(redactedLocation(location), 200)}`} (HTTP ${status}): put the final address into server.url`
  }
  if (status < 300) return `${url} answers with HTTP ${status} instead of 202: is it a NodePulse server?`
  return `the server answers with HTTP ${status}`
}

/** The first wait, and the longest: when the server is back the page is current within 30 s, with 10 s to get there. */
const BACKOFF_FIRST_MILLIS = 1_000
const BACKOFF_MAX_MILLIS = 20_000
/** While somebody has to mend the configuration. */
export const MISCONFIGURED_MILLIS = 60_000
const RETRY_AFTER_MAX_MILLIS = 5 * 60_000

/** The wait before the n-th retry in a row (from 0): exponential, full jitter (`random` in [0, 1)), at least 100 ms. */
export const backoffMillis = (retry: number, random: number): number =>
  Math.max(100, random * Math.min(BACKOFF_MAX_MILLIS, BACKOFF_FIRST_MILLIS * 2 ** Math.min(retry, 20)))

/**
 * `Retry-After` in milliseconds, of seconds or of a date, at most 5 minutes; undefined where it says nothing. A date is of the
 * server's clock: it is compared with the answer's own `date`, and with ours (`now`) only where there is none.
 */
export const retryAfterMillis = (
  header: string | undefined,
  now: number,
  date: string | undefined
): number | undefined => {
  if (header === undefined) return undefined
  const told = Date.parse(date ?? "")
  const at = Number.isFinite(told) ? told : now
  const text = header.trim()
  const millis = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : /[a-z]/i.test(text) ? Date.parse(text) - at : Number.NaN
  return Number.isFinite(millis) ? Math.min(Math.max(millis, 0), RETRY_AFTER_MAX_MILLIS) : undefined
}
