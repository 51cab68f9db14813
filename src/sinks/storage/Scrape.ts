/**
 * One stored scrape as columns: what the rule for increases is computed over.
 *
 * Series are told apart by the ids of their labels; no text is looked up to compute a number.
 */

/** One scrape of one server by one exporter. */
export interface Scrape {
  /** Epoch microseconds. */
  readonly at: number
  /** When the counters of all its rows began, epoch microseconds; NaN where unknown, or where `sinceOf` says it row by row. */
  readonly since: number
  /** When each row's counters began, where that differs; NaN where unknown. */
  readonly sinceOf: Float64Array | undefined
  /** The ids of each label, in the order of the declaration; none for an exporter without labels, whose scrape is one row. */
  readonly labels: ReadonlyArray<Int32Array>
  /** The columns asked for, in that order; NaN is NULL. */
  readonly values: ReadonlyArray<Float64Array>
}

/** How many rows a scrape has. */
export const rowsIn = ({ labels }: Scrape): number => labels[0]?.length ?? 1

/** When the counters of a row began; NaN where unknown. */
export const sinceAt = ({ since, sinceOf }: Scrape, row: number): number =>
  sinceOf === undefined ? since : sinceOf[row]!

/** One value of a label, by its id; that of a value that nobody has is none. */
export interface RowFilter {
  readonly label: string
  readonly id: number
}
