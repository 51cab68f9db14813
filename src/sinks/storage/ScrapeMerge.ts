/**
 * A scrape that came in pieces: rows of series that it lacks are added at its end, and everything else stays as it is. Pure.
 */

import type { Scrape } from "./Scrape.ts"
import { beginningsOf, type FlatRows, type Series, seriesAt } from "./ScrapeBatch.ts"

export interface Merged {
  readonly scrape: Scrape
  /** Which of the rows were added, counted from the first of them. */
  readonly added: ReadonlyArray<number>
}

/** Adds rows, one per series, that begin at a place of the flat columns, to a scrape with all its number columns. */
export const mergeRows = (scrape: Scrape, series: ReadonlyArray<Series>, start: number, rows: FlatRows): Merged => {
  const count = scrape.labels[0]!.length
  const own = seriesAt(scrape.labels)
  const there = new Set(Array.from({ length: count }, (_, place) => own(place)))
  const added = [...series.keys()].filter((n) => !there.has(series[n]!))
  if (added.length === 0) return { scrape, added }
  const append = <A extends Int32Array | Float64Array>(whole: A, before: A | number, after: A): A => {
    if (typeof before === "number") whole.fill(before, 0, count)
    else whole.set(before)
    for (const [n, place] of added.entries()) whole[count + n] = after[start + place]!
    return whole
  }
  const length = count + added.length
  const since = append(new Float64Array(length), scrape.sinceOf ?? scrape.since, rows.since)
  return {
    scrape: {
      at: scrape.at,
      ...beginningsOf(since),
      labels: scrape.labels.map((ids, n) => append(new Int32Array(length), ids, rows.labels[n]!)),
      values: scrape.values.map((values, n) => append(new Float64Array(length), values, rows.values[n]!))
    },
    added
  }
}
