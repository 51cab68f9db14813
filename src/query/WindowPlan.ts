/**
 * How a window is answered: the widest buckets that are whole and clean, and rows everywhere else. Pure.
 *
 * Guarantee: the parts do not overlap, together they are the window, and no part rests on a bucket whose rows have changed
 * since it was rolled up. So the answer is that of the rows, however far behind the roll-ups are; only the work grows.
 */

import { LEVELS, type Level } from "../sinks/rollups/RollupTables.ts"
import type { Window } from "./Rankings.ts"

/** A part of a window, read from rows (0) or from the buckets of `LEVELS[level - 1]`; epoch microseconds. */
export interface Part extends Window {
  readonly level: number
}

/** The parts of a window, in order of time. */
export type WindowPlan = ReadonlyArray<Part>

/**
 * A bucket whose rows have changed, by its end in epoch microseconds. Where `seconds` is {@link ONWARD}, all that end then or
 * later may be wrong: the host's cores have changed.
 */
export interface ChangedBucket {
  readonly seconds: number
  readonly bucket: number
}

export const ONWARD = 0

const SECOND = 1_000_000
const WIDTHS = LEVELS.map(({ seconds }) => seconds * SECOND)
/** Windows shorter than this are read from rows: their edges are most of them. */
export const ROWS_ONLY_MICROS = 900 * SECOND

/** How many five-minute buckets after its own a row can change: those that are measured with it (`lookbackOf`). */
export const successors = (lookback: number): number => Math.ceil(lookback / WIDTHS[0]!)

/** `usable` says of each level whether its buckets may be used at all; by default all may. */
export const planWindow = (
  window: Window,
  changed: ReadonlyArray<ChangedBucket>,
  lookback: number,
  usable: ReadonlyArray<boolean> = LEVELS.map(() => true)
): WindowPlan => {
  if (window.to - window.from < ROWS_ONLY_MICROS) return rowsOnly(window)
  const unclean = LEVELS.map(() => new Set<number>())
  let onward = Number.POSITIVE_INFINITY
  for (const { bucket, seconds } of changed) {
    if (seconds === ONWARD) {
      onward = Math.min(onward, bucket)
      continue
    }
    const level = LEVELS.findIndex((level) => level.seconds === seconds)
    const reach = level === 0 ? successors(lookback) : 0
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
      const clean = end < onward && !unclean[index]!.has(end)
      if (whole && usable[index] === true && clean) add(index + 1, begin, end)
      else cover(index - 1, Math.max(begin, from), Math.min(end, to))
    }
  }
  cover(LEVELS.length - 1, window.from, window.to)
  return plan
}

/** At most so much of a window is read from rows at a time. */
const PIECE_MICROS = 3_600 * SECOND

/** The plan in pieces that are read one after the other, so that what is held at a time is bounded: mostly it is one. */
export const piecesOf = (plan: WindowPlan): ReadonlyArray<WindowPlan> => {
  const pieces: Array<Array<Part>> = [[]]
  for (const part of plan) {
    if (part.level > 0 || part.to - part.from <= PIECE_MICROS) {
      pieces.at(-1)!.push(part)
      continue
    }
    for (let from = part.from; from < part.to; from += PIECE_MICROS) {
      pieces.push([{ level: 0, from, to: Math.min(part.to, from + PIECE_MICROS) }])
    }
    pieces.push([])
  }
  return pieces.filter((piece) => piece.length > 0)
}

export const rowsOnly = (window: Window): WindowPlan => [{ level: 0, ...window }]

/** The end of the bucket that a moment belongs to. */
export const bucketOf = (micros: number, level: Level): number =>
  Math.ceil(micros / (level.seconds * SECOND)) * level.seconds * SECOND
