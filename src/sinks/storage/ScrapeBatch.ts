/**
 * Rows of a batch, put together as the scrapes that they are of. Pure.
 *
 * Guarantee: scrapes come in the order of their keys, (server, moment), with each series once: of rows with one key the first
 * counts. Rows of one scrape follow each other as a rule, and what was looked up for one is at hand for the next.
 */
import { countersSinceAt, type Snapshots, timestampAt, type Value } from "../../plugins/Snapshots.ts"

/** Tells the rows of one scrape apart: the id of its label, or the ids of all of them. */
export type Series = number | string

export interface BatchedScrape {
  readonly server: number
  readonly at: number
  /** The places of its rows in the batch. */
  readonly rows: ReadonlyArray<number>
  /** Of each of those rows. */
  readonly series: ReadonlyArray<Series>
}

/** `servers` are the ids of the batch's parts, `labels` those of its rows, by place. */
export const scrapesOf = (
  batch: ReadonlyArray<Snapshots>,
  servers: ReadonlyArray<number>,
  labels: ReadonlyArray<ArrayLike<number>>
): ReadonlyArray<BatchedScrape> => {
  interface Open extends BatchedScrape {
    readonly rows: Array<number>
    readonly series: Array<Series>
    readonly seen: Set<Series>
  }
  const byKey = new Map<string, Open>()
  const key = seriesAt(labels)
  let current: Open | undefined
  let place = 0
  for (const [n, snapshots] of batch.entries()) {
    const server = servers[n]!
    for (let row = 0; row < snapshots.length; row++, place++) {
      const at = timestampAt(snapshots, row)
      if (current === undefined || current.server !== server || current.at !== at) {
        const name = `${server} ${at}`
        current = byKey.get(name)
        if (current === undefined) {
          current = { server, at, rows: [], series: [], seen: new Set() }
          byKey.set(name, current)
        }
      }
      const series = key(place)
      if (current.seen.has(series)) continue
      current.seen.add(series)
      current.rows.push(place)
      current.series.push(series)
    }
  }
  return [...byKey.values()].sort((a, b) => a.server - b.server || a.at - b.at)
}

/** The series at a place of columns of label ids. */
export const seriesAt = (labels: ReadonlyArray<ArrayLike<number>>): ((place: number) => Series) => {
  const [first, ...others] = labels
  if (first === undefined) return () => 0
  if (others.length === 0) return (place) => first[place]!
  return (place) => labels.map((ids) => ids[place]).join(" ")
}

/** When the counters of some rows began: one moment where they agree. NaN is unknown. */
export interface Beginnings {
  readonly since: number
  readonly sinceOf: Float64Array | undefined
}

export const beginningsOf = (of: Float64Array): Beginnings => {
  const since = of.length === 0 ? Number.NaN : of[0]!
  return of.every((other) => Object.is(other, since))
    ? { since, sinceOf: undefined }
    : { since: Number.NaN, sinceOf: of }
}

/** The columns of the rows to store, in the order of the scrapes that they belong to. */
export interface FlatRows {
  readonly labels: ReadonlyArray<Int32Array>
  /** In the order of the number columns; NaN is NULL. */
  readonly values: ReadonlyArray<Float64Array>
  /** When their counters began; NaN is unknown. */
  readonly since: Float64Array
}

/** Where the rows of each scrape begin in the flat columns. */
export const startsOf = (scrapes: ReadonlyArray<BatchedScrape>): ReadonlyArray<number> => {
  let start = 0
  return scrapes.map(({ rows }) => {
    const own = start
    start += rows.length
    return own
  })
}

/** The columns of a batch, in the order of its scrapes. */
export const flatten = (
  batch: ReadonlyArray<Snapshots>,
  scrapes: ReadonlyArray<BatchedScrape>,
  labels: ReadonlyArray<Int32Array>,
  numberPlaces: ReadonlyArray<number>
): FlatRows => {
  const length = batch.reduce((sum, snapshots) => sum + snapshots.length, 0)
  const order = Int32Array.from(scrapes.flatMap(({ rows }) => rows))
  const inOrder = <A extends Int32Array | Float64Array>(column: A, ordered: A): A => {
    for (let n = 0; n < order.length; n++) ordered[n] = column[order[n]!]!
    return ordered
  }
  const numbers = (fill: (column: Float64Array, snapshots: Snapshots, from: number) => void) => {
    const column = new Float64Array(length)
    let from = 0
    for (const snapshots of batch) {
      fill(column, snapshots, from)
      from += snapshots.length
    }
    return inOrder(column, new Float64Array(order.length))
  }
  return {
    labels: labels.map((ids) => inOrder(ids, new Int32Array(order.length))),
    values: numberPlaces.map((place) =>
      numbers((column, { columns }, from) => putNumbers(column, columns[place]!, from))
    ),
    since: numbers((column, snapshots, from) => {
      for (let row = 0; row < snapshots.length; row++)
        column[from + row] = countersSinceAt(snapshots, row) ?? Number.NaN
    })
  }
}

const putNumbers = (column: Float64Array, values: ReadonlyArray<Value>, from: number): void => {
  for (let row = 0; row < values.length; row++) column[from + row] = (values[row] as number | null) ?? Number.NaN
}
