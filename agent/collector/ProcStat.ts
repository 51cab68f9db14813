/**
 * One line of `/proc/<pid>/stat`, from its bytes.
 *
 * The command name stands in parentheses and may hold anything but NUL: spaces, newlines, `) (`, bytes that are not
 * UTF-8. It ends at the last parenthesis, since all fields behind it are numbers.
 */

export interface ProcStat {
  readonly pid: number
  /** The command name; bytes that are not UTF-8 as `\xff`. */
  readonly comm: string
  /** One letter: `R`, `S`, `D`, `Z`, … */
  readonly state: string
  readonly parent: number
  readonly kernelThread: boolean
  /** Faults that had to wait for a disk. */
  readonly majorFaults: number
  /** Clock ticks in user mode, of all threads, the dead ones included. */
  readonly userTicks: number
  readonly systemTicks: number
  /** Clock ticks of those of its children that it has waited for, with theirs. */
  readonly childTicks: number
  readonly threads: number
  /** Clock ticks after boot. With the pid it identifies a process. */
  readonly startTicks: number
  readonly residentPages: number
}

/** Parses the first `length` bytes; undefined where they are not a whole line. */
export const parseProcStat = (bytes: Buffer, length: number): ProcStat | undefined => {
  const open = bytes.indexOf(OPEN)
  const close = bytes.lastIndexOf(CLOSE, length - 1)
  if (open < 2 || close < open || close >= length) return undefined
  const pid = Number(bytes.toString("latin1", 0, open - 1))
  // From here on the fields are counted as in proc_pid_stat(5): the state is field 3.
  const state = bytes.toString("latin1", close + 2, close + 3)
  const wanted = WANTED.map(() => 0)
  let at = close + 4
  let field = 4
  while (field <= RESIDENT) {
    let value = 0
    const start = at
    for (; at < length && bytes[at]! >= DIGIT_0 && bytes[at]! <= DIGIT_9; at++)
      value = value * 10 + bytes[at]! - DIGIT_0
    // A negative number (tty, priority) is none of the wanted fields: pass over it.
    if (at === start) while (at < length && bytes[at] !== SPACE) at++
    if (at >= length) return undefined
    const slot = WANTED.indexOf(field)
    if (slot >= 0) wanted[slot] = value
    at++
    field++
  }
  const [
    parent,
    flags,
    majorFaults,
    userTicks,
    systemTicks,
    childUser,
    childSystem,
    threads,
    startTicks,
    residentPages
  ] = wanted as [number, number, number, number, number, number, number, number, number, number]
  if (!Number.isSafeInteger(pid)) return undefined
  return {
    pid,
    comm: legible(bytes, open + 1, close),
    state,
    parent,
    kernelThread: (flags & PF_KTHREAD) !== 0,
    majorFaults,
    userTicks,
    systemTicks,
    childTicks: childUser + childSystem,
    threads,
    startTicks,
    residentPages
  }
}

const OPEN = 0x28
const CLOSE = 0x29
const SPACE = 0x20
const DIGIT_0 = 0x30
const DIGIT_9 = 0x39
const PF_KTHREAD = 0x0020_0000
const RESIDENT = 24
/** Parent, flags, major faults, user and system ticks, those of waited children, threads, start, resident pages. */
const WANTED: ReadonlyArray<number> = [4, 9, 12, 14, 15, 16, 17, 20, 22, RESIDENT]

/** Bytes as text: UTF-8 where they are, each other byte as `\xff`. Names of process_exporter are the same wherever it can serve them. */
const legible = (bytes: Buffer, start: number, end: number): string => {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
  const whole = tryDecode(decoder, bytes.subarray(start, end))
  if (whole !== undefined) return whole
  let text = ""
  for (let at = start; at < end; ) {
    let size = 0
    for (let length = 1; length <= 4 && at + length <= end; length++) {
      const character = tryDecode(decoder, bytes.subarray(at, at + length))
      if (character === undefined) continue
      text += character
      size = length
      break
    }
    if (size === 0) text += `\\x${bytes[at]!.toString(16).padStart(2, "0")}`
    at += Math.max(size, 1)
  }
  return text
}

const tryDecode = (decoder: InstanceType<typeof TextDecoder>, bytes: Uint8Array): string | undefined => {
  try {
    return decoder.decode(bytes)
  } catch {
    return undefined
  }
}
