/**
 * What is measured of a process, and how it stands in the files of `/proc/PID`. Pure. A measure that a file does not tell
 * is NaN, which makes every sum NaN that it is part of: it is never taken for 0.
 */
import type { ProcStat } from "./ProcStat.ts"

/** Counters of a process: none of them falls while it lives. */
export const COUNTERS = [
  "userTicks",
  "systemTicks",
  "majorFaults",
  "readBytes",
  "writeBytes",
  "voluntarySwitches",
  "nonvoluntarySwitches",
  "waitNanos"
] as const

/** What a process, or one of its threads, is doing: running, asleep, waiting for a disk, dead and not reaped, or else. */
export const STATES = ["running", "sleeping", "waiting", "zombie", "other"] as const

/** Levels of a process, whose sum is that of a group. */
export const GAUGES = ["residentPages", "threads", "openFiles", "swapBytes", "proportionalBytes", ...STATES] as const

/** The counters and levels of a process, or a group. */
export type Measures = Record<(typeof COUNTERS)[number] | (typeof GAUGES)[number], number>

/** Those that are in other files than `stat`. */
export type Readings = Omit<Measures, keyof ProcStat>

/** `/proc/PID/io`: bytes that a disk was made to read and to write. Truncated writes are not taken off, as by process_exporter. */
export const parseIo = (file: Buffer): Pick<Readings, "readBytes" | "writeBytes"> => ({
  readBytes: numberAfter(file, "\nread_bytes: "),
  writeBytes: numberAfter(file, "\nwrite_bytes: ")
})

/**
 * `/proc/PID/status`: swapped memory. What has no memory, has none swapped (a kernel thread, a zombie). A name cannot pass
 * for a line: the kernel writes a newline in it as `\n`.
 */
export const parseSwap = (status: Buffer): number =>
  status.includes("\nVmSize:") ? 1024 * numberAfter(status, "\nVmSwap:") : 0

/** `/proc/PID/status`, of a process's main thread, or `/proc/PID/task/TID/status`: what the thread is doing, and its context switches. */
export const parseThread = (
  status: Buffer
): Pick<Readings, "voluntarySwitches" | "nonvoluntarySwitches"> & { readonly state: string } => {
  const state = status.indexOf("\nState:\t")
  return {
    state: state < 0 ? "" : status.toString("latin1", state + 8, state + 9),
    voluntarySwitches: numberAfter(status, "\nvoluntary_ctxt_switches:"),
    nonvoluntarySwitches: numberAfter(status, "\nnonvoluntary_ctxt_switches:")
  }
}

/** The state of a letter in `stat` or `status`. */
export const stateOf = (letter: string): (typeof STATES)[number] => STATE_OF[letter] ?? "other"

const STATE_OF: Readonly<Record<string, (typeof STATES)[number]>> = {
  R: "running",
  S: "sleeping",
  D: "waiting",
  Z: "zombie"
}

/** `/proc/PID/task/TID/schedstat`: nanoseconds in which a thread was ready to run and waited for a CPU. */
export const parseSchedstat = (file: Buffer): number => Number(SCHEDSTAT.exec(file.toString("latin1", 0, 80))?.[1])

/** Whether the kernel counts waits, from the file of a thread that has run: one that does not writes three zeros. */
export const waitsAreCounted = (file: Buffer): boolean =>
  Number(SCHEDSTAT.exec(file.toString("latin1", 0, 80))?.[2]) > 0

/** `/proc/PID/smaps_rollup`: resident memory, of which a page that n processes share counts as 1/n. */
export const parseProportional = (file: Buffer): number => 1024 * numberAfter(file, "\nPss:")

/** On the CPU, waiting for one, how often it got one. */
const SCHEDSTAT = /^\d+ (\d+) (\d+)\n/

/** The whole number behind a word; NaN where there is none, or no newline behind it: the file was cut short. */
const numberAfter = (file: Buffer, word: string): number => {
  const found = file.indexOf(word, 0, "latin1")
  if (found < 0) return Number.NaN
  let at = found + word.length
  while (file[at] === SPACE || file[at] === TAB) at++
  const start = at
  let value = 0
  for (; at < file.length && file[at]! >= DIGIT_0 && file[at]! <= DIGIT_9; at++)
    value = value * 10 + file[at]! - DIGIT_0
  return at === start || file.indexOf(NEWLINE, at) < 0 ? Number.NaN : value
}

const TAB = 0x09
const NEWLINE = 0x0a
const SPACE = 0x20
const DIGIT_0 = 0x30
const DIGIT_9 = 0x39
