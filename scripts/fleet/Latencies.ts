/**
 * How long answers took, as counts in classes that are 2 % wide: a quantile is right to that, whatever the number of answers.
 * Plain arrays, so that processes can send theirs and add them up.
 */

const WIDTH = Math.log(1.02)
/** Up to 10 minutes; what takes longer counts as that. */
const CLASSES = Math.ceil(Math.log(600_000 / 0.01) / WIDTH) + 1

export type Latencies = Array<number>

export const noLatencies = (): Latencies => new Array<number>(CLASSES).fill(0)

export const addLatency = (latencies: Latencies, millis: number): void => {
  const place = Math.min(CLASSES - 1, Math.max(0, Math.round(Math.log(Math.max(millis, 0.01) / 0.01) / WIDTH)))
  latencies[place]! += 1
}

export const addLatencies = (sum: Latencies, more: ReadonlyArray<number>): void => {
  for (let n = 0; n < CLASSES; n++) sum[n]! += more[n] ?? 0
}

/** The latency that a part of all answers did not exceed, milliseconds; null where there was none. */
export const quantile = (latencies: ReadonlyArray<number>, part: number): number | null => {
  const count = latencies.reduce((sum, one) => sum + one, 0)
  if (count === 0) return null
  let seen = 0
  for (let n = 0; n < latencies.length; n++) {
    seen += latencies[n]!
    if (seen >= part * count) return 0.01 * Math.exp(n * WIDTH)
  }
  return null
}
