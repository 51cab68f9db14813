/** Random choices that a seed repeats: the same seed, the same sequence (mulberry32). */
export interface Chance {
  /** In [0, 1). */
  readonly next: () => number
  /** A whole number in [from, to]. */
  readonly between: (from: number, to: number) => number
  readonly oneOf: <A>(choices: ReadonlyArray<A>) => A
}

export const makeChance = (seed: number): Chance => {
  let state = seed | 0
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const between = (from: number, to: number) => from + Math.floor(next() * (to - from + 1))
  return { next, between, oneOf: (choices) => choices[between(0, choices.length - 1)]! }
}
