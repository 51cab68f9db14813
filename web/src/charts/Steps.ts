/**
 * What a chart draws of the values of its steps. A value holds for its whole step, the time up to its right end: so a run of
 * values begins at the left end of its first step, and a single value between two gaps is as wide as its step. Pure.
 */

export interface Drawn {
  /** Places on the time axis, in order, epoch seconds. */
  readonly times: ReadonlyArray<number>
  /** Per line, a value for each place: null ends the line, undefined lets it pass. */
  readonly columns: ReadonlyArray<ReadonlyArray<number | null | undefined>>
  /** Which step each place belongs to. */
  readonly steps: ReadonlyArray<number>
}

type Values = ReadonlyArray<number | null>

/** How far to the right of a step's end the next one begins, in steps: two places at one moment would be one. */
const BESIDE = 0.001

/** `columns` are the values of each line, per step; `times` the right ends of the steps, in order. */
export const drawnOf = (times: ReadonlyArray<number>, stepSeconds: number, columns: ReadonlyArray<Values>): Drawn => {
  const places: Array<number> = []
  const steps: Array<number> = []
  const drawn: Array<Array<number | null | undefined>> = columns.map(() => [])
  for (const [n, time] of times.entries()) {
    const begins = (values: Values) => isKnown(values[n]) && !isKnown(values[n - 1])
    if (columns.some(begins)) {
      const before = times[n - 1]
      places.push(before === undefined ? time - stepSeconds : before + BESIDE * stepSeconds)
      steps.push(n)
      for (const [line, values] of columns.entries()) {
        const value = values[n] ?? null
        drawn[line]?.push(value === null || begins(values) ? value : undefined)
      }
    }
    places.push(time)
    steps.push(n)
    for (const [line, values] of columns.entries()) drawn[line]?.push(values[n] ?? null)
  }
  return { times: places, columns: drawn, steps }
}

const isKnown = (value: number | null | undefined): boolean => value !== null && value !== undefined
