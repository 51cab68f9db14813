/**
 * The memory of processes with each page that n of them share counted as 1/n (PSS): what is left when one of them ends
 * lies between it and 0, where the sum of resident memory counts a shared page n times.
 *
 * The kernel walks all pages of a process for it (`smaps_rollup`), so it is sampled: of groups with several processes and
 * at least `GROUP_BYTES_MIN` resident, the largest first, for `BUDGET_MILLIS` a scan. What a sample cost tells what the next
 * will. A sample is believed for `FRESH_SECONDS`, and taken anew before that. A process above `RESIDENT_BYTES_MAX` is never
 * walked. A group without a fresh sample of each of its processes tells no such memory: no sample is scaled up to others.
 */

import { parseProportional } from "./ProcessMeasures.ts"
import type { ProcFiles } from "./ProcFiles.ts"
import type { ProcStat } from "./ProcStat.ts"

const BUDGET_MILLIS = 20
const FRESH_SECONDS = 300
const AGAIN_SECONDS = 240
const GROUP_BYTES_MIN = 16 * 1024 * 1024
const RESIDENT_BYTES_MAX = 2 * 1024 * 1024 * 1024
/** What a first sample is taken to cost: the most of what a shared page was seen to. */
const MILLIS_A_PAGE = 50e-6

interface Sample {
  readonly startTicks: number
  /** NaN: it may not be read. */
  readonly bytes: number
  readonly takenTicks: number
  readonly millis: number
}

export class ProportionalMemory {
  readonly #files: ProcFiles
  readonly #units: { readonly ticksPerSecond: number; readonly pageBytes: number }
  readonly #millis: () => number
  #samples = new Map<number, Sample>()

  /** `millis` is a clock that only goes forward, in milliseconds. */
  constructor(
    files: ProcFiles,
    units: { readonly ticksPerSecond: number; readonly pageBytes: number },
    millis: () => number
  ) {
    this.#files = files
    this.#units = units
    this.#millis = millis
  }

  /** Takes samples of the processes of these groups, as far as the budget goes. */
  sample(nowTicks: number, groups: Iterable<ReadonlyArray<ProcStat>>): void {
    const kept = new Map<number, Sample>()
    const wanted: Array<{ readonly bytes: number; readonly processes: ReadonlyArray<ProcStat> }> = []
    for (const processes of groups) {
      const bytes = processes.reduce((sum, { residentPages }) => sum + residentPages, 0) * this.#units.pageBytes
      if (processes.length < 2 || bytes < GROUP_BYTES_MIN) continue
      wanted.push({ bytes, processes })
    }
    wanted.sort((one, two) => two.bytes - one.bytes)
    let left = BUDGET_MILLIS
    for (const stat of wanted.flatMap(({ processes }) => processes)) {
      let sample = this.#samples.get(stat.pid)
      if (sample?.startTicks !== stat.startTicks) sample = undefined
      const millis = Math.min(BUDGET_MILLIS, sample?.millis ?? stat.residentPages * MILLIS_A_PAGE)
      const isDue = sample === undefined || nowTicks - sample.takenTicks >= AGAIN_SECONDS * this.#units.ticksPerSecond
      if (isDue && millis <= left && stat.residentPages * this.#units.pageBytes <= RESIDENT_BYTES_MAX) {
        sample = this.#take(stat, nowTicks)
        left -= sample.millis
      }
      if (sample !== undefined) kept.set(stat.pid, sample)
    }
    this.#samples = kept
  }

  /** NaN: there is no fresh sample of the process. */
  bytesOf(pid: number, nowTicks: number): number {
    const sample = this.#samples.get(pid)
    if (sample === undefined || nowTicks - sample.takenTicks > FRESH_SECONDS * this.#units.ticksPerSecond)
      return Number.NaN
    return sample.bytes
  }

  #take({ pid, startTicks, state }: ProcStat, takenTicks: number): Sample {
    const began = this.#millis()
    const file = state === "Z" ? undefined : this.#files.record(`${pid}/smaps_rollup`)
    // A zombie has no memory left.
    const bytes = state === "Z" ? 0 : file === undefined ? Number.NaN : parseProportional(file)
    return { startTicks, bytes, takenTicks, millis: this.#millis() - began }
  }
}
