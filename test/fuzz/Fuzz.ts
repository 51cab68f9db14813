/** Runs a target over many inputs, and remembers the slowest, by the CPU time of this thread: the machine may be busy. */
import { inputOf, type Target } from "./Targets.ts"

export interface Run {
  readonly inputs: number
  readonly taken: number
  readonly refused: number
  readonly bytes: number
  /** The slowest input, by its number. */
  readonly slowest: { readonly n: number; readonly millis: number; readonly bytes: number }
}

/** A promise was broken by the n-th input. */
export class Broken extends Error {
  constructor(target: string, seed: number, n: number, cause: unknown) {
    super(`${target}, seed ${seed}, input ${n}: ${cause instanceof Error ? (cause.stack ?? cause.message) : cause}`)
  }
}

/** Half a second a megabyte, and a tenth for a garbage collection: far above any, far below a hang. */
export const millisMax = (bytes: number): number => 100 + bytes / 2_000

const cpuMillis = (): number => {
  const { system, user } = process.threadCpuUsage()
  return (system + user) / 1_000
}

/** Tries inputs `from` up to but not including `to`. `note` is told the number of each before it is tried. */
export const fuzz = (
  target: Target,
  seed: number,
  from: number,
  to: number,
  note: (n: number) => void = () => {}
): Run => {
  const counts = { taken: 0, refused: 0 }
  let bytes = 0
  let slowest = { n: from, millis: 0, bytes: 0 }
  const once = (n: number) => {
    const { chance, input } = inputOf(target, seed, n)
    const began = cpuMillis()
    const outcome = target.check(input, chance)
    return { outcome, millis: cpuMillis() - began, bytes: input.length }
  }
  for (let n = from; n < to; n++) {
    note(n)
    try {
      const tried = once(n)
      counts[tried.outcome]++
      bytes += tried.bytes
      if (tried.millis > slowest.millis) {
        // A garbage collection may have fallen to it just then.
        const millis = Math.min(tried.millis, once(n).millis, once(n).millis)
        if (millis > slowest.millis) slowest = { n, millis, bytes: tried.bytes }
        if (millis > millisMax(tried.bytes)) throw new Error(`it took ${millis} ms for ${tried.bytes} bytes`)
      }
    } catch (cause) {
      throw new Broken(target.name, seed, n, cause)
    }
  }
  return { inputs: to - from, ...counts, bytes, slowest }
}
