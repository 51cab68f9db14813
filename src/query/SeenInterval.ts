/**
 * How far apart a server's scrapes of one exporter really are. What the exporter declares is a default: an agent may be set to
 * 5 seconds or to 2 minutes, and then steps of charts, gaps and lateness follow what it sends.
 *
 * Guarantee: one missed scrape, one gap or one scrape out of turn does not change the answer; a new interval is noticed once
 * it was seen twice in a row; a time longer than `gapMax`, after which nothing is said about what lies between, is no
 * interval. Where too little was seen the declared interval counts, and a shorter one has to be seen three times.
 * Everything is of one exporter: the scrapes of two of them interleave, and their distances mean nothing.
 *
 * Pure. Times are epoch microseconds, intervals microseconds.
 */

/** How many of the latest scrapes are enough. */
export const SCRAPES_MAX = 8

/** A scrape later than this many intervals is late: one that comes a little late is not yet news. */
export const LATE_INTERVALS = 2.5

export interface Declared {
  readonly interval: number
  /** The time after which two scrapes have a gap between them: the exporter's `staleAfter`. */
  readonly gapMax: number
}

/** The interval of the latest scrapes, in any order: for what is true now. */
export const seenInterval = (scrapes: ReadonlyArray<number>, { gapMax, interval }: Declared): number => {
  const latest = distancesOf(scrapes, gapMax).slice(-(SCRAPES_MAX - 1))
  const last = latest.at(-1)
  const before = latest.at(-2)
  if (last === undefined) return interval
  const seen = before !== undefined && areClose(before, last) ? Math.min(before, last) : lowerMedian(latest.slice(-5))
  return settled(latest.length < 3 ? Math.max(seen, interval) : seen, interval)
}

/**
 * The longest interval that a window holds for three scrapes in a row: for the steps of its chart, each of which is to hold
 * two scrapes, before and after the interval was changed.
 */
export const longestInterval = (scrapes: ReadonlyArray<number>, declared: Declared): number => {
  const distances = distancesOf(scrapes, declared.gapMax)
  if (distances.length < 3) return seenInterval(scrapes, declared)
  let longest = 0
  for (let n = 2; n < distances.length; n++) {
    longest = Math.max(longest, Math.min(distances[n - 2]!, distances[n - 1]!, distances[n]!))
  }
  return settled(longest, declared.interval)
}

/** Whether the latest scrape is later than it should be. */
export const isLate = (lastSeen: number | null, at: number, interval: number): boolean =>
  lastSeen === null || at - lastSeen > LATE_INTERVALS * interval

/** What lies between neighbours, in order of time; gaps and what came twice are left out. */
const distancesOf = (scrapes: ReadonlyArray<number>, gapMax: number): ReadonlyArray<number> => {
  const ordered = scrapes.filter(Number.isFinite).toSorted((a, b) => a - b)
  return ordered.flatMap((at, n) => {
    const distance = n === 0 ? 0 : at - ordered[n - 1]!
    return distance > 0 && distance <= gapMax ? [distance] : []
  })
}

const lowerMedian = (values: ReadonlyArray<number>): number =>
  values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)]!

/** Within a quarter of the longer one: scrapes jitter. */
const areClose = (a: number, b: number): boolean => Math.abs(a - b) <= Math.max(a, b) / 4

const SECOND = 1_000_000
/** Intervals that people set, in seconds. */
const USUAL = [1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 300, 600]

/** Scrapes jitter: what is within a tenth of the declared interval, or of a usual one, is that. At least a second. */
const settled = (seen: number, declared: number): number => {
  const near = [declared, ...USUAL.map((seconds) => seconds * SECOND)].find(
    (known) => Math.abs(seen - known) <= known / 10
  )
  return Math.max(SECOND, near ?? Math.round(seen))
}
