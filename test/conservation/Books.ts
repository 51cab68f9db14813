/**
 * The judge's books: what was sent, what was answered with 2xx, and whether PostgreSQL has exactly that.
 *
 * Kept outside of NodePulse, from what passed through the judge's door (`Door.ts`). Pure.
 */

/** A row as an agent sent it: wire names, plain JSON. */
export type SentRow = Readonly<Record<string, string | number | null>>

/** A row as PostgreSQL has it: wire names, times in epoch milliseconds. */
export interface StoredRow {
  readonly server: string
  readonly exporter: string
  readonly timestamp: number
  readonly values: SentRow
}

export interface Verdict {
  /** Rows that were sent, whatever the answer. */
  readonly sent: number
  /** Rows that were answered with 2xx. */
  readonly answered: number
  readonly stored: number
  /** How often a row was sent again, because no answer came or it was no 2xx. */
  readonly repeated: number
  /** Stored although no 2xx was seen: the answer was lost, and it was never sent again. */
  readonly unanswered: number
  /** Everything below has to be empty. */
  readonly missing: ReadonlyArray<string>
  readonly invented: ReadonlyArray<string>
  readonly different: ReadonlyArray<string>
  readonly twice: ReadonlyArray<string>
}

export interface Books {
  readonly sending: (server: string, payload: Payload) => void
  /** `rejected` names rows of the payload that were not taken. */
  readonly answered: (server: string, payload: Payload, rejected: ReadonlyArray<RejectedRow>) => void
  /** How many rows were answered with 2xx so far. */
  readonly answeredCount: () => number
  /** The keys of the rows answered so far. */
  readonly answeredKeys: () => ReadonlySet<string>
  readonly rejectedCount: () => number
  readonly judge: (stored: ReadonlyArray<StoredRow>) => Verdict
}

export type Payload = Readonly<Record<string, ReadonlyArray<SentRow>>>
export interface RejectedRow {
  readonly exporter: string
  readonly index: number
  readonly reason: string
}

/** Enough to find the cause; the counts are complete. */
const SHOWN = 10

export const keyOf = (server: string, exporter: string, timestamp: number, name: unknown): string =>
  `${server} ${exporter} ${new Date(timestamp).toISOString()} ${typeof name === "string" ? name : ""}`

/** `valueOf` gives the value that no other row of its exporter has. */
export const makeBooks = (valueOf: (exporter: string, row: SentRow) => number): Books => {
  const sent = new Map<string, SentRow>()
  const answered = new Set<string>()
  let repeated = 0
  let rejectedCount = 0
  const keys = (server: string, payload: Payload) =>
    Object.entries(payload).flatMap(([exporter, rows]) =>
      rows.map((row, index) => ({
        exporter,
        index,
        row,
        key: keyOf(server, exporter, Date.parse(String(row.timestamp)), row.name)
      }))
    )
  return {
    sending: (server, payload) => {
      for (const { key, row } of keys(server, payload)) {
        if (sent.has(key)) repeated++
        sent.set(key, row)
      }
    },
    answered: (server, payload, rejected) => {
      const not = new Set(rejected.map(({ exporter, index }) => `${exporter} ${index}`))
      rejectedCount += rejected.length
      for (const { exporter, index, key } of keys(server, payload)) {
        if (!not.has(`${exporter} ${index}`)) answered.add(key)
      }
    },
    answeredCount: () => answered.size,
    answeredKeys: () => new Set(answered),
    rejectedCount: () => rejectedCount,
    judge: (stored) => {
      const there = new Set<string>()
      const values = new Set<string>()
      const invented: Array<string> = []
      const different: Array<string> = []
      const twice: Array<string> = []
      let unanswered = 0
      for (const row of stored) {
        const key = keyOf(row.server, row.exporter, row.timestamp, row.values.name)
        const original = sent.get(key)
        const value = `${row.exporter} ${valueOf(row.exporter, row.values)}`
        if (there.has(key) || values.has(value)) twice.push(key)
        there.add(key)
        values.add(value)
        if (original === undefined) invented.push(key)
        else if (!isSame(original, row.values)) different.push(`${key}: ${JSON.stringify(row.values)}`)
        if (!answered.has(key)) unanswered++
      }
      const missing = [...answered].filter((key) => !there.has(key))
      return {
        sent: sent.size,
        answered: answered.size,
        stored: stored.length,
        repeated,
        unanswered,
        missing: clipped(missing),
        invented: clipped(invented),
        different: clipped(different),
        twice: clipped(twice)
      }
    }
  }
}

/** Every field that was sent is there with its value. */
const isSame = (sent: SentRow, stored: SentRow): boolean =>
  Object.entries(sent).every(([field, value]) => {
    if (field === "timestamp") return true
    if (field === "counters_since") return Date.parse(String(value)) === stored.counters_since
    return Object.is(value, stored[field])
  })

const clipped = (all: ReadonlyArray<string>): ReadonlyArray<string> =>
  all.length <= SHOWN ? all : [...all.slice(0, SHOWN), `… ${all.length} in all`]
