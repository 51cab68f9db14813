/**
 * Reads what `/proc/PID/stat` does not tell of a process: its I/O, swap and open files, and of its threads the context
 * switches, states and the time that they waited for a CPU.
 *
 * A process that has used no tick of CPU since the scan before, and is in the same state, keeps its readings: it is read
 * again within the minute, spread evenly over the scans. A reading is whole or is left as it was: of a process that is
 * gone in the middle, the last one stands. What may not be read, or is not there, is NaN.
 *
 * The files of a process tell its main thread alone, so that one with several is the sum over its threads, as in
 * process_exporter, which also counts the states of such a process and of its threads together. What a thread counted
 * after its last reading is lost when it ends, and what it had counted before is kept. That is two files a thread:
 * `THREADS_MAX` threads a scan, in the order of their last reading, so that where there are more, all are read, less
 * often. A process that has more threads than that does not tell these measures. What is kept of a thread is three numbers.
 */

import {
  parseIo,
  parseSchedstat,
  parseSwap,
  parseThread,
  type Readings,
  type STATES,
  stateOf,
  waitsAreCounted
} from "./ProcessMeasures.ts"
import type { ProcFiles } from "./ProcFiles.ts"
import type { ProcStat } from "./ProcStat.ts"

/** What is read here, without the share of memory, which is sampled (`ProportionalMemory.ts`). */
type FileReadings = Omit<Readings, "proportionalBytes">

const REREAD_SECONDS = 60
/** A thread takes some 20 µs. */
const THREADS_MAX = 1_024

const THREAD_COUNTERS = ["waitNanos", "voluntarySwitches", "nonvoluntarySwitches"] as const
type ThreadCounts = Record<(typeof THREAD_COUNTERS)[number], number>
type StateCounts = Record<(typeof STATES)[number], number>

/** What its status tells of a thread. */
type ThreadStatus = ReturnType<typeof parseThread>

/** A process whose threads are to be read. */
interface Waiting {
  readonly stat: ProcStat
  readonly known: Known
  readonly main: ThreadStatus | undefined
}

interface Known {
  readonly startTicks: number
  usedTicks: number
  state: string
  /** When it is read again though it used no CPU. */
  dueTicks: number
  /** Undefined: never read. */
  readings: Pick<FileReadings, "readBytes" | "writeBytes" | "swapBytes" | "openFiles"> | undefined
  /** What each thread had counted when it was last read; undefined: never read. */
  threads: ReadonlyMap<number, ThreadCounts> | undefined
  /** The same of those that the last reading missed: where threads end, the kernel's list of them can be cut short. */
  missed: ReadonlyMap<number, ThreadCounts>
  /** What all of its threads counted, also those that are gone. */
  counted: ThreadCounts
  /** What its threads are doing, where there is more than one. */
  states: StateCounts
  threadsTicks: number
  seen: number
}

export class ProcessReader {
  readonly #files: ProcFiles
  readonly #ticksPerSecond: number
  readonly #threadsMax: number
  readonly #waitsAreCounted: boolean
  readonly #known = new Map<number, Known>()
  #scan = 0
  #nowTicks = 0
  #waiting: Array<Waiting> = []

  constructor(files: ProcFiles, ticksPerSecond: number, threadsMax = THREADS_MAX) {
    this.#threadsMax = threadsMax
    this.#files = files
    this.#ticksPerSecond = ticksPerSecond
    const own = files.record("self/schedstat")
    this.#waitsAreCounted = own !== undefined && waitsAreCounted(own)
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
    const files = this.#files
    const io = files.record(`${stat.pid}/io`)
    const { readBytes, writeBytes } = io === undefined ? UNREAD : parseIo(io)
    // A zombie has closed them all, and its folder of them is gone.
    const openFiles = stat.state === "Z" ? 0 : (files.countOpen(stat.pid) ?? Number.NaN)
    const status = files.record(`${stat.pid}/status`)
    const unread = io === undefined || status === undefined || Number.isNaN(openFiles)
    if (unread && !files.exists(`${stat.pid}/stat`)) return
    const swapBytes = status === undefined ? Number.NaN : parseSwap(status)
    known.readings = { readBytes, writeBytes, swapBytes, openFiles }
    const main = status === undefined ? undefined : parseThread(status)
    if (stat.threads <= 1) this.#readThreads({ stat, known, main }, [stat.pid])
    else if (stat.threads <= this.#threadsMax) this.#waiting.push({ stat, known, main })
    else Object.assign(known, { threads: undefined, counted: NOT_COUNTED, states: NO_STATES_TOLD })
  }

  /** Ends a scan: reads threads, as many as there is room for, and forgets the processes that were not read. */
  end(): void {
    this.#waiting.sort((one, two) => one.known.threadsTicks - two.known.threadsTicks)
    let room = this.#threadsMax
    for (const waiting of this.#waiting) {
      const { known, stat } = waiting
      if (stat.threads > room) {
        known.dueTicks = this.#nowTicks
        continue
      }
      const threads = this.#files.numbersIn(`${stat.pid}/task`) ?? []
      this.#readThreads(waiting, threads.slice(0, this.#threadsMax))
      room -= threads.length
    }
    for (const [pid, { seen }] of this.#known) if (seen !== this.#scan) this.#known.delete(pid)
  }

  /** The latest readings of a process that was read in this scan. */
  readingsOf({ pid, state }: ProcStat): FileReadings {
    const known = this.#known.get(pid)
    if (known?.readings === undefined) return UNREAD
    const readings = { ...known.readings, ...known.counted, ...known.states }
    readings[stateOf(state)]++
    return readings
  }

  #knownOf({ pid, startTicks }: ProcStat): Known {
    const there = this.#known.get(pid)
    if (there?.startTicks === startTicks) return there
    const known: Known = {
      startTicks,
      usedTicks: 0,
      state: "",
      dueTicks: 0,
      readings: undefined,
      threads: undefined,
      missed: NONE_MISSED,
      counted: NOT_COUNTED,
      states: NO_STATES_TOLD,
      threadsTicks: 0,
      seen: 0
    }
    this.#known.set(pid, known)
    return known
  }

  /** Reads these threads, and adds what they counted since the last time. */
  #readThreads({ known, main, stat }: Waiting, threads: ReadonlyArray<number>): void {
    const folder = `${stat.pid}/task`
    const read = new Map<number, ThreadCounts>()
    const states = { ...NO_STATES }
    for (const thread of threads) {
      const schedstat = this.#waitsAreCounted ? this.#files.record(`${folder}/${thread}/schedstat`) : undefined
      const waitNanos = schedstat === undefined ? Number.NaN : parseSchedstat(schedstat)
      const status = thread === stat.pid ? main : this.#statusOf(`${folder}/${thread}/status`)
      if (status === undefined) continue
      const { nonvoluntarySwitches, state, voluntarySwitches } = status
      read.set(thread, { waitNanos, voluntarySwitches, nonvoluntarySwitches })
      if (threads.length > 1) states[stateOf(state)]++
    }
    // No thread is there any more: the process is gone, and the last reading stands.
    if (read.size === 0) return
    const before = known.threads
    const counted = { ...known.counted }
    for (const counter of THREAD_COUNTERS) {
      const anew = before === undefined || Number.isNaN(counted[counter])
      if (anew) counted[counter] = 0
      for (const [thread, { [counter]: now }] of read) {
        const last = anew ? 0 : ((before.get(thread) ?? known.missed.get(thread))?.[counter] ?? 0)
        // Less than before: another thread that got its number. What is new counts in whole.
        counted[counter] += now < last ? now : now - last
      }
    }
    const missed = new Map([...(before ?? [])].filter(([thread]) => !read.has(thread)))
    Object.assign(known, { threads: read, missed, counted, states, threadsTicks: this.#nowTicks })
  }

  #statusOf(path: string): ThreadStatus | undefined {
    const file = this.#files.record(path)
    return file === undefined ? undefined : parseThread(file)
  }
}

const NONE_MISSED: ReadonlyMap<number, ThreadCounts> = new Map()

const NO_STATES: StateCounts = { running: 0, sleeping: 0, waiting: 0, zombie: 0, other: 0 }

const NO_STATES_TOLD: StateCounts = {
  running: Number.NaN,
  sleeping: Number.NaN,
  waiting: Number.NaN,
  zombie: Number.NaN,
  other: Number.NaN
}

const NOT_COUNTED: ThreadCounts = {
  waitNanos: Number.NaN,
  voluntarySwitches: Number.NaN,
  nonvoluntarySwitches: Number.NaN
}

const UNREAD: FileReadings = {
  readBytes: Number.NaN,
  writeBytes: Number.NaN,
  swapBytes: Number.NaN,
  openFiles: Number.NaN,
  ...NOT_COUNTED,
  ...NO_STATES_TOLD
}
