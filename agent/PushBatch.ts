/**
 * The decisions of the push, as pure functions: what goes into a request, what an answer means, and when to try again.
 */
import type { SpoolRecord } from "./Spool.ts"

/** The JSON payload of records: `{"<exporter>":[row,…],…}`. Rows keep the order of the records. */
export const payloadOf = (records: ReadonlyArray<SpoolRecord>): string => {
  const rows = new Map<string, Array<string>>()
  for (const record of records) {
    const inner = record.rows.trim().slice(1, -1)
    if (inner.trim() === "") continue
    const list = rows.get(record.exporter)
    if (list === undefined) rows.set(record.exporter, [inner])
    else list.push(inner)
  }
  return `{${[...rows].map(([exporter, parts]) => `${JSON.stringify(exporter)}:[${parts.join(",")}]`).join(",")}}`
}

/** What an answer means for the records of the request. */
export type Verdict =
  /** They are the server's now. */
  | "delivered"
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
  if (status === 429 || status === 503) return `the server is busy (HTTP ${status})`
  if (status >= 300 && status < 400) {
    return `${url} redirects${location === undefined ? "" : ` to ${location}`} (HTTP ${status}): put the final address into server.url`
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

/** `Retry-After` in milliseconds, of seconds or of a date, at most 5 minutes; undefined where it says nothing. */
export const retryAfterMillis = (header: string | undefined, now: number): number | undefined => {
  if (header === undefined) return undefined
  const text = header.trim()
  const millis = /^\d{1,9}$/.test(text)
    ? Number(text) * 1000
    : /[a-z]/i.test(text)
      ? Date.parse(text) - now
      : Number.NaN
  return Number.isFinite(millis) ? Math.min(Math.max(millis, 0), RETRY_AFTER_MAX_MILLIS) : undefined
}
