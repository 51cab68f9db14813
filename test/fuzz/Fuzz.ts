/**
 * Runs a target over many inputs. Each is bounded by the CPU time of this thread (the machine may be busy) and by the
 * memory that is in use after it and was not before; and after all of them no more is in use than after the first tenth.
 */
import { getHeapStatistics, setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { chanceOf, inputOf, type Outcome, type Target } from "./Target.ts"

export interface Run {
  readonly inputs: number
  readonly taken: number
  readonly refused: number
  readonly bytes: number
  /** The slowest input, by its number. */
  readonly slowest: { readonly n: number; readonly millis: number; readonly bytes: number }
  /** The input that used the most memory, by its number. */
  readonly hungriest: { readonly n: number; readonly used: number; readonly bytes: number }
  /** By how much the memory in use grew from the first tenth of the inputs to the last, in bytes. */
  readonly grown: number
}

/** A promise was broken by the n-th input. */
export class Broken extends Error {
  readonly n: number
  readonly input: Buffer
  constructor(target: string, seed: number, n: number, input: Buffer, cause: unknown) {
    const what = cause instanceof Error ? (cause.stack ?? cause.message) : cause
    super(`${target}, seed ${seed}, input ${n}: ${what}\n${shown(input)}`)
    this.n = n
    this.input = input
  }
}

/** An input as one line that can be tried again, if it is short. */
export const shown = (input: Buffer): string =>
  `${input.length} bytes, base64: ${input.subarray(0, SHOWN_BYTES).toString("base64")}${input.length > SHOWN_BYTES ? "…" : ""}`

const SHOWN_BYTES = 3_000

/** A second a megabyte, and a twentieth for nothing: far above any, far below a hang. */
const millisMax = (bytes: number): number => 50 + bytes / 1_000

/**
 * Three hundred times its size, and 4 MiB for nothing. JSON of nothing but brackets costs 30 times its size, in a few forms;
 * an exposition of nothing but bad lines of two bytes 60 times, and it is read three times, once for each exporter and once
 * by itself.
 */
const usedMax = (bytes: number): number => 4 * 2 ** 20 + 300 * bytes

const GROWN_MAX = 16 * 2 ** 20
/** A garbage collection may fall to any input, and code that is compiled too. */
const TRIES = 5

const cpuMillis = (): number => {
  const { system, user } = process.threadCpuUsage()
  return (system + user) / 1_000
}

/** Heap and buffers of this thread, garbage included. */
const bytesInUse = (): number => {
  const { external_memory, used_heap_size } = getHeapStatistics()
  return used_heap_size + external_memory
}

interface Tried {
  readonly outcome: Outcome
  readonly millis: number
  readonly used: number
}

/** Tries one input, again where it seems to cost too much. Throws where a promise is broken. */
export const tryOne = async (target: Target, input: Buffer, seed: number, n: number): Promise<Tried> => {
  const once = (): Tried => {
    const chance = chanceOf(seed, n)
    const before = bytesInUse()
    const began = cpuMillis()
    const outcome = target.check(input, chance)
    return { outcome, millis: cpuMillis() - began, used: bytesInUse() - before }
  }
  let best = once()
  const isDear = () => best.millis > millisMax(input.length) || best.used > usedMax(input.length)
  for (let tries = 1; tries < TRIES && isDear(); tries++) {
    // Of what is garbage already none is collected meanwhile, which would hide what this input uses.
    await collect()
    const { millis, used } = once()
    best = { ...best, millis: Math.min(best.millis, millis), used: Math.min(best.used, used) }
  }
  if (best.millis > millisMax(input.length)) throw new Error(`it took ${best.millis} ms`)
  if (best.used > usedMax(input.length)) throw new Error(`it used ${best.used} bytes of memory`)
  return best
}

/** Tries inputs `from` up to but not including `to`. `note` is told the number of each before it is tried. */
export const fuzz = async (
  target: Target,
  seed: number,
  from: number,
  to: number,
  note: (n: number) => void = () => {}
): Promise<Run> => {
  const counts = { taken: 0, refused: 0 }
  const warm = from + Math.floor((to - from) / 10)
  let warmBytes = 0
  let bytes = 0
  let slowest = { n: from, millis: 0, bytes: 0 }
  let hungriest = { n: from, used: 0, bytes: 0 }
  for (let n = from; n < to; n++) {
    note(n)
    const input = inputOf(target, seed, n)
    try {
      const { millis, outcome, used } = await tryOne(target, input, seed, n)
      counts[outcome]++
      bytes += input.length
      if (millis > slowest.millis) slowest = { n, millis, bytes: input.length }
      if (used > hungriest.used) hungriest = { n, used, bytes: input.length }
    } catch (cause) {
      throw new Broken(target.name, seed, n, input, cause)
    }
    if (n === warm) {
      await collect()
      warmBytes = bytesInUse()
    } else if (n % 1_000 === 0) await breath()
  }
  await collect()
  const grown = bytesInUse() - warmBytes
  if (grown > GROWN_MAX) throw new Error(`${target.name}, seed ${seed}: ${grown} bytes more are in use at the end`)
  return { inputs: to - from, ...counts, bytes, slowest, hungriest, grown }
}

/** What compression holds outside of the heap is given back between two tasks only. */
const breath = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Collects the garbage of this thread, and what hangs on it. */
const collect = async (): Promise<void> => {
  setFlagsFromString("--expose-gc")
  const gc = runInNewContext("gc") as () => void
  for (let round = 0; round < 3; round++) {
    gc()
    await breath()
  }
}
