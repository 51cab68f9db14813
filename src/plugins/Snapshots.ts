/**
 * Several rows of one server and exporter on their way, as columns: what a request holds of an exporter, what an entry or a
 * run of entries of the stream holds, what a statement inserts. From ingest to the insert no row has an object of its own.
 *
 * Guarantee: who makes them (`Wire.ts`, `SnapshotCodec.ts`) has checked each value against its column; storage checks again.
 * Times are epoch microseconds, as in `Snapshot`; one for all rows where they agree.
 */
import type { Snapshot } from "./Snapshot.ts"

export type Value = string | number | null

export interface Snapshots {
  readonly exporter: string
  readonly serverId: string
  /** How many rows. At least one. */
  readonly length: number
  /** When the scrape was taken: of all rows, or of each. */
  readonly timestamp: number | ReadonlyArray<number>
  /** When counters began, of all rows or of each; null where the sender does not know. */
  readonly countersSince: number | null | ReadonlyArray<number | null>
  /** In declaration order, each with a value a row. */
  readonly columns: ReadonlyArray<ReadonlyArray<Value>>
}

export const timestampAt = ({ timestamp }: Snapshots, row: number): number =>
  typeof timestamp === "number" ? timestamp : timestamp[row]!

export const countersSinceAt = ({ countersSince }: Snapshots, row: number): number | null =>
  typeof countersSince === "object" && countersSince !== null ? countersSince[row]! : countersSince

/** One of the rows. */
export const snapshotAt = (snapshots: Snapshots, row: number): Snapshot => ({
  exporter: snapshots.exporter,
  serverId: snapshots.serverId,
  timestamp: timestampAt(snapshots, row),
  countersSince: countersSinceAt(snapshots, row),
  values: snapshots.columns.map((column) => column[row]!)
})

/** Some of the rows, in their order. */
export const part = (snapshots: Snapshots, from: number, to: number): Snapshots => {
  if (from === 0 && to === snapshots.length) return snapshots
  const { columns, countersSince, timestamp } = snapshots
  return {
    ...snapshots,
    length: to - from,
    timestamp: typeof timestamp === "number" ? timestamp : timestamp.slice(from, to),
    countersSince:
      typeof countersSince === "object" && countersSince !== null ? countersSince.slice(from, to) : countersSince,
    columns: columns.map((column) => column.slice(from, to))
  }
}

/** The rows by scrape: neighbours with one timestamp, at most `rowsMax` of them. */
export const byScrape = (snapshots: Snapshots, rowsMax: number): ReadonlyArray<Snapshots> => {
  const scrapes: Array<Snapshots> = []
  const { length } = snapshots
  for (let from = 0, to = 1; to <= length; to++) {
    const goes = to < length && to - from < rowsMax && timestampAt(snapshots, to) === timestampAt(snapshots, from)
    if (goes) continue
    const rows = part(snapshots, from, to)
    scrapes.push({ ...rows, timestamp: timestampAt(rows, 0) })
    from = to
  }
  return scrapes
}

/** A value of each of some rows: one where all agree. */
export class PerRow<A> {
  #one: A | undefined
  #each: Array<A> | undefined
  #length = 0

  push(value: A): void {
    if (this.#each !== undefined) this.#each.push(value)
    else if (this.#length === 0) this.#one = value
    else if (value !== this.#one) {
      this.#each = new Array<A>(this.#length).fill(this.#one as A)
      this.#each.push(value)
    }
    this.#length++
  }

  get value(): A | ReadonlyArray<A> {
    return this.#each ?? (this.#one as A)
  }
}

/** Rows one by one, put together: neighbours of one server and exporter. */
export const together = (rows: ReadonlyArray<Snapshot>): ReadonlyArray<Snapshots> => {
  const groups: Array<Snapshots> = []
  for (let from = 0, to = 1; to <= rows.length; to++) {
    const { exporter, serverId, values } = rows[from]!
    if (to < rows.length && rows[to]!.serverId === serverId && rows[to]!.exporter === exporter) continue
    const timestamp = new PerRow<number>()
    const countersSince = new PerRow<number | null>()
    const columns = values.map((): Array<Value> => [])
    for (const row of rows.slice(from, to)) {
      timestamp.push(row.timestamp)
      countersSince.push(row.countersSince)
      // What is missing is missing: storage says so.
      for (const [index, column] of columns.entries()) column.push(row.values[index]!)
    }
    groups.push({
      exporter,
      serverId,
      length: to - from,
      timestamp: timestamp.value,
      countersSince: countersSince.value,
      columns
    })
    from = to
  }
  return groups
}
