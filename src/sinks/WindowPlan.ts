/**
 * How a window is answered: the widest buckets that are whole and clean, and rows everywhere else. Pure.
 *
 * Guarantee: the parts do not overlap, together they are the window, and no part rests on a bucket whose rows have changed
 * since it was rolled up. So the answer is that of the rows, however far behind the roll-ups are; only the work grows.
 */
import type { Window } from "./Rankings.ts"
import { FINE, LEVELS, type Level } from "./RollupTables.ts"

/** A part of a window, read from rows (0) or from the buckets of `LEVELS[level - 1]`; epoch microseconds. */
export interface Part extends Window {
  readonly level: number
}

/** The parts of a window, in order of time. */
export type WindowPlan = ReadonlyArray<Part>

/** A bucket whose rows have changed, by its end in epoch microseconds. */
export interface DirtyBucket {
  readonly seconds: number
  readonly bucket: number
}

const SECOND = 1_000_000
const WIDTHS = LEVELS.map(({ seconds }) => seconds * SECOND)
/** Windows shorter than this are read from rows: their edges are most of them. */
export const ROWS_ONLY_MICROS = 900 * SECOND

/** How many five-minute buckets after its own a row can change: those that hold a row less than `staleAfter` later. */
export const successors = (staleAfterMillis: number): number => Math.ceil(staleAfterMillis / 1_000 / FINE.seconds)

/** `usable` says of each level whether its buckets may be used at all; by default all may. */
export const planWindow = (
  window: Window,
  dirty: ReadonlyArray<DirtyBucket>,
  staleAfterMillis: number,
  usable: ReadonlyArray<boolean> = LEVELS.map(() => true)
): WindowPlan => {
  if (window.to - window.from < ROWS_ONLY_MICROS) return rowsOnly(window)
  const unclean = LEVELS.map(() => new Set<number>())
  for (const { bucket, seconds } of dirty) {
    const level = LEVELS.findIndex((level) => level.seconds === seconds)
    const reach = level === 0 ? successors(staleAfterMillis) : 0
    for (let n = 0; n <= reach; n++) {
      const end = bucket + n * WIDTHS[0]!
      for (let wider = level; wider < LEVELS.length; wider++) unclean[wider]!.add(bucketOf(end, LEVELS[wider]!))
    }
  }
  const plan: Array<Part> = []
  const add = (level: number, from: number, to: number) => {
    const last = plan.at(-1)
    if (last?.level === level && last.to === from) plan[plan.length - 1] = { level, from: last.from, to }
    else plan.push({ level, from, to })
  }
  const cover = (index: number, from: number, to: number) => {
    if (index < 0) return add(0, from, to)
    const width = WIDTHS[index]!
    for (let begin = Math.floor(from / width) * width; begin < to; begin += width) {
      const end = begin + width
      const whole = begin >= from && end <= to
      if (whole && usable[index] === true && !unclean[index]!.has(end)) add(index + 1, begin, end)
      else cover(index - 1, Math.max(begin, from), Math.min(end, to))
    }
  }
  cover(LEVELS.length - 1, window.from, window.to)
  return plan
}

export const rowsOnly = (window: Window): WindowPlan => [{ level: 0, ...window }]

/** The end of the bucket that a moment belongs to. */
export const bucketOf = (micros: number, level: Level): number =>
  Math.ceil(micros / (level.seconds * SECOND)) * level.seconds * SECOND
