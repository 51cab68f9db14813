/**
 * What the parts of the exposition parser share: a sample, its labels, the formats and the bounds.
 */

/** One sample of a scrape. */
export interface Sample {
  readonly name: string
  /**
   * Label names to values. Only own properties count, and there are no others: a label may be called `__proto__`.
   * Samples with the same labels may share one object.
   */
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
  /** Epoch milliseconds, where the exposition carries one. */
  readonly timestamp?: number
}

/** The Prometheus text format 0.0.4, or OpenMetrics 1.0. */
export type ExpositionFormat = "text" | "openmetrics"

/** The bounds of the parser. */
export const limits = {
  /** A larger body is refused. Those of one machine have 0.1 MB, those of a large cluster's state 20 MB. */
  bodyBytes: 64 * 1024 * 1024,
  /** A longer sample line is bad. In bytes. */
  lineBytes: 64 * 1024,
  /** A sample with more labels is a bad line. */
  labels: 128,
  /** How many bad lines are named; all are counted. */
  reasons: 1000
} as const

/** The name of the metric where it is written as a label. Reserved. */
export const NAME_LABEL = "__name__"

/** The characters of unquoted names: letters and `_`; `:` in metric names only; digits, but not in front. */
export const isNameStart = (char: number): boolean =>
  (char >= 97 && char <= 122) || (char >= 65 && char <= 90) || char === 95
export const isDigit = (char: number): boolean => char >= 48 && char <= 57

/** An empty set of labels: it inherits nothing, so that `__proto__` and `constructor` are names like any other. */
export const emptyLabels = (): Record<string, string> => new Labels()

// Its instances are as fast as plain objects; those of `Object.create(null)` are not.
class Labels {
  [name: string]: string
  static {
    Object.setPrototypeOf(Labels.prototype, null)
    Reflect.deleteProperty(Labels.prototype, "constructor")
  }
}
