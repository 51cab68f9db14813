/**
 * How a window is answered: whole hours and five-minute buckets where they are clean, rows everywhere else. Pure.
 *
 * Guarantee: the parts do not overlap, together they are the window, and no part rests on a bucket whose rows have changed
 * since it was rolled up. So the answer is that of the rows, however far behind the roll-ups are; only the work grows.
 */
import type { Window } from "./Rankings.ts"
import { COARSE, FINE, type Level } from "./RollupTables.ts"

/** Parts of a window, each in order of time; epoch microseconds. */
export interface WindowPlan {
  readonly rows: ReadonlyArray<Window>
  readonly fine: ReadonlyArray<Window>
  readonly coarse: ReadonlyArray<Window>
}

/** A bucket whose rows have changed, by its end in epoch microseconds. */
export interface DirtyBucket {
  readonly seconds: number
  readonly bucket: number
}

const SECOND = 1_000_000
const WIDTH = { fine: FINE.seconds * SECOND, coarse: COARSE.seconds * SECOND }
/** Windows shorter than this are read from rows: their edges are most of them. */
export const ROWS_ONLY_MICROS = 900 * SECOND

/** How many five-minute buckets after its own a row can change: those that hold a row less than `staleAfter` later. */
export const successors = (staleAfterMillis: number): number => Math.ceil(staleAfterMillis / 1_000 / FINE.seconds)

/** `levels` says which buckets may be used at all. */
export const planWindow = (
  window: Window,
  dirty: ReadonlyArray<DirtyBucket>,
  staleAfterMillis: number,
  levels: { readonly fine: boolean; readonly coarse: boolean } = { fine: true, coarse: true }
): WindowPlan => {
  if (!levels.fine || window.to - window.from < ROWS_ONLY_MICROS) return rowsOnly(window)
  const fine = new Set<number>()
  const coarse = new Set<number>()
  for (const { bucket, seconds } of dirty) {
    if (seconds === COARSE.seconds) coarse.add(bucket)
    else
      for (let n = 0; n <= successors(staleAfterMillis); n++) {
        fine.add(bucket + n * WIDTH.fine)
        coarse.add(Math.ceil((bucket + n * WIDTH.fine) / WIDTH.coarse) * WIDTH.coarse)
      }
  }
  const plan = { rows: [] as Array<Window>, fine: [] as Array<Window>, coarse: [] as Array<Window> }
  const add = (part: keyof WindowPlan, from: number, to: number) => {
    const last = plan[part].at(-1)
    if (last?.to === from) plan[part][plan[part].length - 1] = { from: last.from, to }
    else plan[part].push({ from, to })
  }
  const whole = (from: number, to: number) => from >= window.from && to <= window.to
  for (let hour = Math.floor(window.from / WIDTH.coarse) * WIDTH.coarse; hour < window.to; hour += WIDTH.coarse) {
    const end = hour + WIDTH.coarse
    if (levels.coarse && whole(hour, end) && !coarse.has(end)) {
      add("coarse", hour, end)
      continue
    }
    for (let from = hour; from < end; from += WIDTH.fine) {
      const to = from + WIDTH.fine
      if (to <= window.from || from >= window.to) continue
      if (whole(from, to) && !fine.has(to)) add("fine", from, to)
      else add("rows", Math.max(from, window.from), Math.min(to, window.to))
    }
  }
  return plan
}

export const rowsOnly = (window: Window): WindowPlan => ({ rows: [window], fine: [], coarse: [] })

/** The end of the bucket that a moment belongs to. */
export const bucketOf = (micros: number, level: Level): number =>
  Math.ceil(micros / (level.seconds * SECOND)) * level.seconds * SECOND
