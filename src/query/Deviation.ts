/**
 * Which of some values is the odd one out: by its distance from the median in median absolute deviations, which one odd value
 * cannot move. Pure.
 *
 * Guarantees: the answer does not depend on the order of the values; all values (and `least`) times a number give the same
 * answer; where all are alike nothing is odd; noise is never odd, since a difference has to be worth telling.
 * It knows no time: a value is odd among the others of the same window, not against its own past.
 */
import { medianOf } from "./Median.ts"

/** Of fewer values nobody can say which is the odd one. */
const VALUES_MIN = 3

/** A value this many median absolute deviations away is odd. Of a normal distribution some 1 in 1 300 is. */
export const ODD_FROM = 5

/** What is closer to the median than this part of it is not worth telling. */
const EFFECT_SHARE_MIN = 0.5

/** Where more than this part of the values would be odd, there are two kinds of servers, and none of them is odd. */
const ODD_SHARE_MAX = 1 / 3

export interface Deviations {
  /** How many values are known. */
  readonly count: number
  /** Null where none is known. */
  readonly median: number | null
  /** Of each value |x − median| ÷ the median absolute deviation; null where it is not known, or fewer than three are. */
  readonly deviations: ReadonlyArray<number | null>
  /** The places of the odd values, those furthest away first. */
  readonly odd: ReadonlyArray<number>
}

/**
 * Measures how far each value lies from the others. Null is "not known". `least` is the smallest difference worth telling, in
 * the unit of the values, above 0 unless all values are 0.
 *
 * A difference is worth telling from half of the median and from `least` on. The deviation is measured in units that are no
 * smaller than that ÷ {@link ODD_FROM}: so it is finite where most values are equal, and `≥ ODD_FROM` always means both, far
 * from the others and worth telling.
 */
export const deviationsOf = (values: ReadonlyArray<number | null>, least: number): Deviations => {
  const known = values.filter((value) => value !== null)
  if (known.length === 0) return { count: 0, median: null, deviations: values.map(() => null), odd: [] }
  const median = medianOf(Float64Array.from(known))
  if (known.length < VALUES_MIN) return { count: known.length, median, deviations: values.map(() => null), odd: [] }
  const spread = medianOf(Float64Array.from(known, (value) => Math.abs(value - median)))
  const unit = Math.max(spread, Math.max(least, EFFECT_SHARE_MIN * Math.abs(median)) / ODD_FROM)
  const deviations = values.map((value) =>
    value === null ? null : value === median ? 0 : Math.abs(value - median) / unit
  )
  const far = deviations
    .flatMap((deviation, place) => (deviation !== null && deviation >= ODD_FROM ? [place] : []))
    .sort((a, b) => deviations[b]! - deviations[a]!)
  return { count: known.length, median, deviations, odd: far.length > ODD_SHARE_MAX * known.length ? [] : far }
}
