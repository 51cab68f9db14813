/**
 * Whether a group's level, such as its memory, grows without end; how fast, and since when. An estimate, and called so; what it
 * means is in `docs/numbers.md` ("Growth").
 *
 * A robust line (Theil–Sen: the median of the slopes of all pairs) is laid through means over five minutes of the run that
 * goes on at the end: the points since the count last changed. Single peaks, steps and sawteeth are no growth.
 *
 * Guarantee: the answer depends on the set of points only, not on their order or on repetitions. Pure.
 * Bound: {@link MEANS_MAX} means, so some 10 000 pairs, however many points there are.
 */
import { medianOf } from "./Median.ts"

/** What is known of a group at some moments, as columns: plain or typed arrays of the same length. */
export interface Levels {
  /** Epoch microseconds, in any order. */
  readonly at: ArrayLike<number>
  /** Bytes; NaN where it is not known. */
  readonly level: ArrayLike<number>
  /** How many members the group has; NaN where that changed, or it restarted, in the time that the point stands for. */
  readonly count: ArrayLike<number>
}

export interface Growth {
  /** When it began to grow, epoch microseconds: at the earliest when the run began. */
  readonly began: number
  /** Bytes an hour. */
  readonly perHour: number
}

/** What rises by less does not grow: bytes, the part of where it began, how long, and the part of pairs that rise. */
const RISE_MIN = 16 * 1024 * 1024
const RISE_SHARE_MIN = 0.05
const LASTS_MIN = 3 * 3_600_000_000
const RISING_MIN = 0.8
/** Fewer means than these fall into an order by chance. */
const MEANS_MIN = 6
/** Longer runs are thinned: neighbouring means are put together. */
const MEANS_MAX = 144
const MEAN_MICROS = 300_000_000
const HOUR = 3_600_000_000

/** Null where it does not grow, or too little is known. */
export const growthOf = (levels: Levels): Growth | null => {
  const run = lastRun(levels)
  if (run.length < MEANS_MIN || run.at(-1)!.at - run[0]!.at < LASTS_MIN || !mayGrow(run.map(({ level }) => level))) {
    return null
  }
  const means = thinned(meansOf(run))
  if (means.length < MEANS_MIN) return null
  const bend = bendOf(means)
  const last = run.at(-1)!.at
  for (const first of bend === 0 ? [0] : [bend, 0]) {
    const began = first === 0 ? run[0]!.at : means[first]!.at
    if (last - began < LASTS_MIN) continue
    const slope = risingSlope(means, first)
    if (slope !== null) return { began, perHour: slope * HOUR }
  }
  return null
}

/** Whether levels, NaN where they are not known, differ as much as those of a group that grows: mostly they do not. */
export const mayGrow = (levels: ArrayLike<number>): boolean => {
  let least = Number.POSITIVE_INFINITY
  let most = Number.NEGATIVE_INFINITY
  for (let n = 0; n < levels.length; n++) {
    if (levels[n]! < least) least = levels[n]!
    if (levels[n]! > most) most = levels[n]!
  }
  return most - least > RISE_MIN
}

/** In how many seconds what is available will be used up; null where it does not grow, or nothing is known to be available. */
export const exhaustsIn = (growth: Growth | null, available: number | null): number | null =>
  growth === null || available === null ? null : (3_600 * Math.max(0, available)) / growth.perHour

interface Point {
  readonly at: number
  readonly level: number
}

/** The points since the count last changed, in order of time, each moment once. */
const lastRun = ({ at, count, level }: Levels): ReadonlyArray<Point> => {
  const order = Array.from({ length: at.length }, (_, n) => n)
  // Of different points at one moment the highest counts: some rule that does not depend on their order.
  order.sort((a, b) => at[a]! - at[b]! || level[a]! - level[b]! || count[a]! - count[b]!)
  const run: Array<Point> = []
  const same = count[order.at(-1) ?? 0]
  for (let n = order.length - 1; n >= 0; n--) {
    const place = order[n]!
    if (count[place] !== same) break
    if (Number.isNaN(level[place]!) || run.at(-1)?.at === at[place]) continue
    run.push({ at: at[place]!, level: level[place]! })
  }
  return run.reverse()
}

/** The mean of each five minutes. */
const meansOf = (run: ReadonlyArray<Point>): ReadonlyArray<Point> => {
  const means: Array<Point> = []
  let first = 0
  for (let n = 1; n <= run.length; n++) {
    if (n < run.length && stepOf(run[n]!) === stepOf(run[first]!)) continue
    means.push(meanOf(run, first, n))
    first = n
  }
  return means
}

const stepOf = ({ at }: Point): number => Math.ceil(at / MEAN_MICROS)

/** As many neighbours together as it takes. */
const thinned = (means: ReadonlyArray<Point>): ReadonlyArray<Point> => {
  const together = Math.ceil(means.length / MEANS_MAX)
  if (together === 1) return means
  return Array.from({ length: Math.ceil(means.length / together) }, (_, n) =>
    meanOf(means, n * together, Math.min(means.length, (n + 1) * together))
  )
}

const meanOf = (points: ReadonlyArray<Point>, begin: number, end: number): Point => {
  if (end - begin === 1) return points[begin]!
  let at = 0
  let level = 0
  for (let n = begin; n < end; n++) {
    at += points[n]!.at - points[begin]!.at
    level += points[n]!.level
  }
  return { at: points[begin]!.at + at / (end - begin), level: level / (end - begin) }
}

/**
 * From where on a level that was flat rises: the place that leaves the smallest squares where a constant turns into a line. 0
 * where it rises from the beginning on, or not at all.
 */
const bendOf = (means: ReadonlyArray<Point>): number => {
  const count = means.length
  const middle = means.reduce((sum, { level }) => sum + level, 0) / count
  let best = 0
  let explained = 0
  for (let bend = 0; bend <= count - MEANS_MIN; bend++) {
    const from = means[bend]!.at
    let sum = 0
    let squares = 0
    let product = 0
    for (let n = bend; n < count; n++) {
      const since = means[n]!.at - from
      sum += since
      squares += since * since
      product += since * (means[n]!.level - middle)
    }
    if (product <= 0) continue
    const more = (product * product) / (squares - (sum * sum) / count)
    // By more than what rounding may be.
    if (more > explained * (1 + 1e-9)) {
      best = bend
      explained = more
    }
  }
  return best
}

/** The slope from a place on, bytes a microsecond, where that is growth. */
const risingSlope = (means: ReadonlyArray<Point>, first: number): number | null => {
  const count = means.length - first
  const pairs = (count * (count - 1)) / 2
  let falling = 0
  for (let n = first; n < means.length; n++) {
    const { level } = means[n]!
    for (let m = n + 1; m < means.length; m++) if (means[m]!.level <= level) falling++
    // Most levels do not grow, and this tells soon.
    if (pairs - falling <= RISING_MIN * pairs) return null
  }
  const slope = medianSlope(means, first, pairs)
  const zero = means[first]!.at
  const offset = medianOf(Float64Array.from({ length: count }, (_, n) => levelAbove(means[first + n]!, slope, zero)))
  const end = offset + slope * (means.at(-1)!.at - zero)
  // What only comes back to where it was before has not grown.
  let start = offset
  for (let n = 0; n < first; n++) start = Math.max(start, means[n]!.level)
  return end - start > RISE_MIN && end - start > RISE_SHARE_MIN * start ? slope : null
}

const levelAbove = ({ at, level }: Point, slope: number, zero: number): number => level - slope * (at - zero)

const medianSlope = (means: ReadonlyArray<Point>, first: number, pairs: number): number => {
  const slopes = new Float64Array(pairs)
  let next = 0
  for (let n = first; n < means.length; n++) {
    for (let m = n + 1; m < means.length; m++) {
      slopes[next++] = (means[m]!.level - means[n]!.level) / (means[m]!.at - means[n]!.at)
    }
  }
  return medianOf(slopes)
}
