/**
 * Reads what `/proc/PID/stat` does not tell of a process: its I/O, swap, context switches, open files, and the time that
 * it waited for a CPU.
 *
 * A process that has used no tick of CPU since the scan before, and is in the same state, keeps its readings: it is read
 * again within the minute, spread evenly over the scans. A reading is whole or is left as it was: of a process that is
 * gone in the middle, the last one stands. What may not be read, or is not there, is NaN.
 *
 * The wait of a process with several threads is the sum over its threads, since `/proc/PID/schedstat` is that of its main
 * thread alone; what a thread waited after its last reading is lost when it ends. That is a file a thread: `THREAD_READS_MAX` of
 * them a scan, in the order of their last reading, so that where there are more, all are read, less often. A process that
 * has more threads than that tells no wait. What is kept of them is a number a thread of the machine.
 */

import { countsWaits, parseIo, parseSchedstat, parseStatus, type Readings } from "./ProcessMeasures.ts"
import type { ProcFiles } from "./ProcFiles.ts"
import type { ProcStat } from "./ProcStat.ts"

/** What is read here, without the share of memory, which is sampled (`ProportionalMemory.ts`). */
type FileReadings = Omit<Readings, "proportionalBytes">

const REREAD_SECONDS = 60
/** A reading takes 9 µs. */
const THREAD_READS_MAX = 1_024

interface Known {
  readonly startTicks: number
  usedTicks: number
  state: string
  /** When it is read again though it used no CPU. */
  dueTicks: number
  /** Undefined: never read. */
  readings: Omit<FileReadings, "waitNanos"> | undefined
  /** Each thread's wait when it was last read, in nanoseconds; undefined: never read. */
  waits: ReadonlyMap<number, number> | undefined
  /** What all of its threads waited, also those that are gone. */
  waitNanos: number
  waitTicks: number
  seen: number
}

export class ProcessReader {
  readonly #files: ProcFiles
  readonly #ticksPerSecond: number
  readonly #waitsAreCounted: boolean
  readonly #known = new Map<number, Known>()
  #scan = 0
  #nowTicks = 0
  #waiting: Array<ProcStat> = []

  constructor(files: ProcFiles, ticksPerSecond: number) {
    this.#files = files
    this.#ticksPerSecond = ticksPerSecond
    const own = files.record("self/schedstat")
    this.#waitsAreCounted = own !== undefined && countsWaits(own)
  }

  /** Begins a scan, at this time since boot. */
  begin(nowTicks: number): void {
    this.#scan++
    this.#nowTicks = nowTicks
    this.#waiting = []
  }

  /** Reads a process, if it is time. */
  read(stat: ProcStat): void {
    const known = this.#knownOf(stat)
    known.seen = this.#scan
    const usedTicks = stat.userTicks + stat.systemTicks
    const idle = known.readings !== undefined && known.usedTicks === usedTicks && known.state === stat.state
    if (idle && this.#nowTicks < known.dueTicks) return
    known.usedTicks = usedTicks
    known.state = stat.state
    const period = REREAD_SECONDS * this.#ticksPerSecond
    // The next moment that is this process's own in every minute: they are spread, also after all were read in one scan.
    const phase = (stat.pid % REREAD_SECONDS) * this.#ticksPerSecond
    known.dueTicks = this.#nowTicks + period - ((this.#nowTicks + period - phase) % period)
    const readings = this.#readingsOf(stat)
    if (readings === undefined) return
    known.readings = readings
    if (!this.#waitsAreCounted || stat.threads > THREAD_READS_MAX) known.waitNanos = Number.NaN
    else if (stat.threads > 1) this.#waiting.push(stat)
    else this.#wait(known, [stat.pid], `${stat.pid}/task`)
  }

  /** Ends a scan: reads threads, as many as there is room for, and forgets the processes that were not read. */
  end(): void {
    const order = this.#waiting.map((stat) => ({ stat, known: this.#known.get(stat.pid)! }))
    order.sort((one, two) => one.known.waitTicks - two.known.waitTicks)
    let room = THREAD_READS_MAX
    for (const { known, stat } of order) {
      if (stat.threads > room) {
        known.dueTicks = this.#nowTicks
        continue
      }
      room -= stat.threads
      const folder = `${stat.pid}/task`
      this.#wait(known, this.#files.numbersIn(folder)?.slice(0, THREAD_READS_MAX) ?? [], folder)
    }
    for (const [pid, { seen }] of this.#known) if (seen !== this.#scan) this.#known.delete(pid)
  }

  /** The latest readings of a process that was read in this scan; undefined where it was gone each time. */
  readingsOf(pid: number): FileReadings | undefined {
    const known = this.#known.get(pid)
    return known?.readings === undefined ? undefined : { ...known.readings, waitNanos: known.waitNanos }
  }

  #knownOf({ pid, startTicks }: ProcStat): Known {
    const there = this.#known.get(pid)
    if (there?.startTicks === startTicks) return there
    const never = { usedTicks: 0, state: "", dueTicks: 0, readings: undefined, waits: undefined }
    const known: Known = { startTicks, ...never, waitNanos: Number.NaN, waitTicks: 0, seen: 0 }
    this.#known.set(pid, known)
    return known
  }

  /** Undefined: the process is gone. */
  #readingsOf({ pid, state }: ProcStat): Omit<FileReadings, "waitNanos"> | undefined {
    const files = this.#files
    const io = files.record(`${pid}/io`)
    const { readBytes, writeBytes } = io === undefined ? UNREAD : parseIo(io)
    const status = files.record(`${pid}/status`)
    const { nonvoluntarySwitches, swapBytes, voluntarySwitches } = status === undefined ? UNREAD : parseStatus(status)
    // A zombie has closed them all, and its folder of them is gone.
    const openFiles = state === "Z" ? 0 : (files.countOpen(pid) ?? Number.NaN)
    const unread = io === undefined || status === undefined || Number.isNaN(openFiles)
    if (unread && !files.exists(`${pid}/stat`)) return undefined
    return { readBytes, writeBytes, swapBytes, voluntarySwitches, nonvoluntarySwitches, openFiles }
  }

  /** Reads these threads, and adds what they waited since the last time. */
  #wait(known: Known, threads: ReadonlyArray<number>, folder: string): void {
    const before = known.waits
    const waits = new Map<number, number>()
    let total = before === undefined ? 0 : known.waitNanos
    for (const thread of threads) {
      const file = this.#files.record(`${folder}/${thread}/schedstat`)
      if (file === undefined) continue
      const wait = parseSchedstat(file)
      waits.set(thread, wait)
      // A thread that is new, or has the number of another that is gone (it fell), counts in whole.
      const last = before?.get(thread) ?? 0
      total += wait >= last ? wait - last : wait
    }
    // No thread is there any more: the process is gone, and the last reading stands.
    if (waits.size === 0) return
    known.waits = waits
    known.waitNanos = total
    known.waitTicks = this.#nowTicks
  }
}

/** Of a process that could not be read. */
export const UNREAD: FileReadings = {
  readBytes: Number.NaN,
  writeBytes: Number.NaN,
  swapBytes: Number.NaN,
  voluntarySwitches: Number.NaN,
  nonvoluntarySwitches: Number.NaN,
  waitNanos: Number.NaN,
  openFiles: Number.NaN
}
