/**
 * The hottest processes, each second. All processes are looked at in rounds of some 15 s, a part of them with each sample, and those that
 * used the most CPU or hold the most memory are read with every sample until the next round. A process that has just begun is read with
 * every sample from the start, so that one that grows and dies between two rounds is seen.
 *
 * Bound: {@link KNOWN_MAX} processes are known, {@link YOUNG_MAX} young ones are read at a time. A process that is gone between two
 * reads is left out; names are asked only of those that are shown.
 */
import { PROCESSES_MAX } from "../../src/protocol/Recording.ts"
import type { KernelUnits, ProcFiles } from "../collector/ProcFiles.ts"
import { type ProcStat, parseProcStat } from "../collector/ProcStat.ts"
import type { KeptFiles } from "./KeptFiles.ts"
import { LATE_PERIODS, type Level } from "./RecorderBudget.ts"
import { type Track, Tracks } from "./SampleRing.ts"

const KNOWN_MAX = 32_768
const YOUNG_MAX = 32
/** A young process is shown from then on: percent of a core, and bytes. */
const SHOWN_PERCENT = 10
const SHOWN_BYTES = 32 * 1024 * 1024

/** What a process is called, and what it belongs to. */
export interface ProcessName {
  readonly name: string
  readonly unit: string
}

/** Of a process that is about to be shown. */
export type ProcessNaming = (process: ProcStat) => ProcessName

export interface ShownProcess extends ProcessName {
  readonly pid: number
}

interface Known {
  readonly startTicks: number
  ticks: number
  /** Of the last round; clock ticks used in it. */
  used: number
  bytes: number
  round: number
  /** Milliseconds since boot of the last reading. */
  at: number
  track: Track<ShownProcess> | undefined
}

export class HotProcesses {
  readonly tracks = new Tracks<ShownProcess>(PROCESSES_MAX)
  readonly #files: ProcFiles
  readonly #kept: KeptFiles
  readonly #units: KernelUnits
  readonly #naming: ProcessNaming
  readonly #known = new Map<number, Known>()
  readonly #young = new Map<number, number>()
  #hot: ReadonlyArray<number> = []
  #queue: ReadonlyArray<number> = []
  #next = 0
  #round = 0
  #roundEnds = 0
  #lateSeconds = 0
  #lastPid: number | undefined

  /** `kept`: the same files, those that are read each second. */
  constructor(files: ProcFiles, kept: KeptFiles, units: KernelUnits, naming: ProcessNaming) {
    this.#files = files
    this.#kept = kept
    this.#units = units
    this.#naming = naming
  }

  /** One sample, the one of this number, at `boot` (milliseconds since boot). */
  sample(sample: number, boot: number, level: Level): void {
    this.tracks.begin(sample)
    this.#lateSeconds = (LATE_PERIODS * level.periodMillis) / 1_000
    if (level.processes === 0) return
    const read = new Set<number>()
    const look = (pid: number, isHot = false) => {
      if (read.has(pid)) return
      read.add(pid)
      this.#read(pid, isHot, sample, boot)
    }
    for (const pid of this.#hot.slice(0, level.processes)) look(pid, true)
    if (level.newcomers) {
      this.#lookForNew(boot)
      for (const pid of this.#young.keys()) look(pid)
    }
    this.#goOn(sample, boot, level, look)
  }

  /** The largest process that is gone since it was read last, of a unit where one is named; undefined where none is. */
  vanished(unit: string | undefined): (ShownProcess & { readonly bytes: number }) | undefined {
    const gone = [...this.#known]
      .filter(
        ([pid, { track }]) =>
          track !== undefined && (unit === undefined || track.what.unit === unit) && !this.#files.exists(String(pid))
      )
      .sort(([, one], [, other]) => other.bytes - one.bytes)
    const [first] = gone
    return first === undefined ? undefined : { ...first[1].track!.what, bytes: first[1].bytes }
  }

  /** A process that was shown. */
  named(pid: number): ShownProcess | undefined {
    return this.#known.get(pid)?.track?.what
  }

  /**
   * Processes that began since the last sample: numbers are given in order, and the kernel tells the last one. Where they are many, or it
   * has begun anew, the folder tells.
   */
  #lookForNew(boot: number): void {
    const last = Number(this.#kept.text("loadavg")?.trimEnd().split(" ").at(-1))
    const before = this.#lastPid
    this.#lastPid = last
    if (this.#known.size === 0 || last === before || this.#young.size >= YOUNG_MAX) return
    const isFew = before !== undefined && last > before && last - before <= YOUNG_MAX
    const pids = isFew ? Array.from({ length: last - before }, (_, n) => before + 1 + n) : (this.#files.pids() ?? [])
    for (const pid of pids) {
      if (this.#young.size >= YOUNG_MAX) return
      if (!this.#known.has(pid) && (!isFew || this.#isProcess(pid))) this.#young.set(pid, boot)
    }
  }

  /** Threads have numbers of the same row, and a folder under theirs that is not listed. */
  #isProcess(pid: number): boolean {
    return this.#files.text(`${pid}/status`)?.includes(`\nTgid:\t${pid}\n`) === true
  }

  /** A part of the round; at its end, who is hottest. */
  #goOn(sample: number, boot: number, level: Level, look: (pid: number) => void): void {
    if (this.#next >= this.#queue.length && boot >= this.#roundEnds) {
      this.#choose(sample, level)
      this.#queue = (this.#files.pids() ?? []).slice(0, KNOWN_MAX)
      this.#next = 0
      this.#round++
      this.#roundEnds = boot + level.roundSeconds * 1_000
      this.#young.clear()
    }
    const parts = Math.max(1, (level.roundSeconds * 1_000) / level.periodMillis - 1)
    // The first round knows nobody: it is over at once.
    const upto = this.#round === 1 ? this.#queue.length : this.#next + Math.ceil(this.#queue.length / parts)
    for (; this.#next < Math.min(upto, this.#queue.length); this.#next++) look(this.#queue[this.#next]!)
    if (this.#round === 1 && this.#hot.length === 0) this.#choose(sample, level)
  }

  #choose(sample: number, level: Level): void {
    const now: Array<readonly [number, Known]> = []
    for (const entry of this.#known) {
      const [pid, known] = entry
      if (known.round < this.#round) this.#known.delete(pid)
      else now.push(entry)
    }
    const byMemory = now.toSorted(([, a], [, b]) => b.bytes - a.bytes).slice(0, Math.ceil(level.processes / 2))
    const byCpu = now.toSorted(([, a], [, b]) => b.used - a.used).filter(([, { used }]) => used > 0)
    const hot = new Set(byMemory.map(([pid]) => pid))
    for (const [pid] of byCpu) if (hot.size < level.processes) hot.add(pid)
    for (const [, known] of now) known.used = 0
    this.#hot = [...hot].filter((pid) => this.#show(pid, sample))
  }

  /** Gives a process a track. */
  #show(pid: number, sample: number): boolean {
    const known = this.#known.get(pid)
    if (known === undefined) return false
    const key = `${pid} ${known.startTicks}`
    if (known.track !== undefined && this.tracks.get(key) === known.track) return true
    const stat = this.#stat(pid, false)
    if (stat === undefined || stat.startTicks !== known.startTicks) return false
    known.track = this.tracks.open(key, () => ({ pid, ...this.#naming(stat) }), sample)
    return true
  }

  #read(pid: number, isHot: boolean, sample: number, boot: number): void {
    const stat = this.#stat(pid, isHot)
    const before = this.#known.get(pid)
    if (stat === undefined) return
    const ticks = stat.userTicks + stat.systemTicks
    const bytes = stat.residentPages * this.#units.pageBytes
    if (before === undefined || before.startTicks !== stat.startTicks) {
      const { startTicks } = stat
      // What it used since it began, where that was after this recorder knew the machine.
      const isNew = this.#round > 1 || this.#hot.length > 0
      const used = isNew ? ticks : 0
      this.#known.set(pid, { startTicks, ticks, used, bytes, round: this.#round, at: boot, track: undefined })
      const lasted = boot / 1_000 - startTicks / this.#units.ticksPerSecond
      if (isNew) this.#notice(pid, sample, this.#percent(ticks, Math.max(1, lasted)), Number.NaN, bytes)
      return
    }
    const seconds = (boot - before.at) / 1_000
    const grown = Math.max(0, ticks - before.ticks)
    before.used += grown
    before.ticks = ticks
    before.bytes = bytes
    before.at = boot
    before.round = this.#round
    // Of one that was not read with the sample before the rate is of a longer time: only its memory is of now.
    const percent = seconds > 0 && seconds <= this.#lateSeconds ? this.#percent(grown, seconds) : Number.NaN
    if (before.track === undefined) this.#notice(pid, sample, percent, percent, bytes)
    else this.tracks.write(before.track, sample, percent, bytes)
  }

  #percent(ticks: number, seconds: number): number {
    return (100 * ticks) / this.#units.ticksPerSecond / seconds
  }

  /** Shows a young process that has become large or busy. */
  #notice(pid: number, sample: number, percent: number, shown: number, bytes: number): void {
    if (!this.#young.has(pid) || !(percent >= SHOWN_PERCENT || bytes >= SHOWN_BYTES)) return
    if (this.#show(pid, sample)) this.tracks.write(this.#known.get(pid)!.track!, sample, shown, bytes)
  }

  #stat(pid: number, isHot: boolean): ProcStat | undefined {
    const bytes = (isHot ? this.#kept : this.#files).bytes(`${pid}/stat`)
    return bytes === undefined ? undefined : parseProcStat(bytes, bytes.length)
  }
}
