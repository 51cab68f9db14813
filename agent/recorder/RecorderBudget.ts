/**
 * What the flight recorder may cost, and what it does without when that is not enough. Pure: it is told what each sample cost.
 *
 * Guarantee: in any 60 s the samples cost no more than {@link BUDGET_MILLIS} of CPU, and what the one cost that went over. A level is
 * left for a cheaper one as soon as half a minute would, at that rate, be too much for a minute; and for a dearer one after five
 * minutes at less than {@link EASE} of the budget.
 */

export const BUDGET_MILLIS = 200
const WINDOW_MILLIS = 10_000
const WINDOWS = 6
const JUDGED = 3
const EASE = 0.4
const EASY_WINDOWS = 30

/** A sample that comes after more periods than this has no rates: there is a gap before it. */
export const LATE_PERIODS = 1.75

export interface Level {
  readonly periodMillis: number
  readonly processes: number
  readonly units: number
  /** Whether it looks for processes that have just begun, at each sample. */
  readonly newcomers: boolean
  /** In how many seconds it looks at all processes and units once. */
  readonly roundSeconds: number
}

/** From all that it does to the least. */
export const LEVELS: ReadonlyArray<Level> = [
  { periodMillis: 1_000, processes: 20, units: 20, newcomers: true, roundSeconds: 15 },
  { periodMillis: 1_000, processes: 10, units: 10, newcomers: true, roundSeconds: 30 },
  { periodMillis: 1_000, processes: 5, units: 5, newcomers: false, roundSeconds: 60 },
  { periodMillis: 2_000, processes: 5, units: 5, newcomers: false, roundSeconds: 60 },
  { periodMillis: 5_000, processes: 5, units: 5, newcomers: false, roundSeconds: 120 },
  { periodMillis: 5_000, processes: 0, units: 0, newcomers: false, roundSeconds: 120 }
]

export class RecorderBudget {
  #level = 0
  /** What the windows cost, the current one last. */
  readonly #spent: Array<number> = [0]
  #windowEnds: number | undefined
  #easy = 0
  /** Windows at this level. */
  #windows = 0

  get level(): number {
    return this.#level
  }

  get now(): Level {
    return LEVELS[this.#level]!
  }

  /** Whether a sample may be taken at `boot` (milliseconds since boot), or the last minute has used all there is. */
  allows(boot: number): boolean {
    this.#advance(boot)
    return this.#spent.reduce((sum, cost) => sum + cost, 0) < BUDGET_MILLIS
  }

  /** Notes what a sample cost, in milliseconds of CPU. */
  note(cost: number): void {
    this.#spent[this.#spent.length - 1]! += cost
  }

  #advance(boot: number): void {
    this.#windowEnds ??= boot + WINDOW_MILLIS
    if (boot < this.#windowEnds) return
    // A machine that was suspended begins anew.
    const missed = Math.floor((boot - this.#windowEnds) / WINDOW_MILLIS)
    this.#judge()
    for (let window = 0; window <= Math.min(missed, WINDOWS); window++) this.#spent.push(0)
    this.#spent.splice(0, Math.max(0, this.#spent.length - WINDOWS - 1))
    this.#windowEnds += (missed + 1) * WINDOW_MILLIS
  }

  #judge(): void {
    const judged = this.#spent.slice(-JUDGED)
    if (++this.#windows < JUDGED) return
    const rate = (judged.reduce((sum, cost) => sum + cost, 0) * 60_000) / JUDGED / WINDOW_MILLIS
    this.#easy = rate < EASE * BUDGET_MILLIS ? this.#easy + 1 : 0
    if (rate > BUDGET_MILLIS && this.#level < LEVELS.length - 1) {
      this.#level++
      this.#windows = 0
    } else if (this.#easy >= EASY_WINDOWS && this.#level > 0) {
      this.#level--
      this.#easy = 0
    }
  }
}
