/** Random choices that a seed repeats: the same seed, the same choices. */
import { seededRandom } from "../Seeded.ts"

export interface Chance {
  /** In [0, 1). */
  readonly next: () => number
  /** A whole number in [from, to]. */
  readonly between: (from: number, to: number) => number
  readonly oneOf: <A>(choices: ReadonlyArray<A>) => A
}

export const makeChance = (seed: number): Chance => {
  const next = seededRandom(seed)
  const between = (from: number, to: number) => from + Math.floor(next() * (to - from + 1))
  return { next, between, oneOf: (choices) => choices[between(0, choices.length - 1)]! }
}
