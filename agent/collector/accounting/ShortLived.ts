/**
 * Who lived between two scans of the processes, by command and parent: how often it ran, and the CPU time it used. Pure: it
 * is shown scans, and the records of those that ended.
 *
 * **Who counts.** A process whose end is recorded and that no scan saw. One that a scan saw is counted by its group; what it
 * used after that scan is its *last bit*, and goes to its group, too (`settle`). So no CPU time counts twice.
 *
 * **How much.** A record has whole hundredths of a second, cut off: of a thousand runs of `ls`, of 2 ms each, all say 0.
 * What is missing is in the kernel's sum of the children that a living process has waited for (`cutime` and `cstime`), to the
 * nanosecond. So each process that scans see has a *balance*: what that sum grew by, less what was counted of its
 * descendants already, less what their records tell. It is spread over those that ended, equally, at most `REST_SECONDS` each,
 * which is what a record can leave out. Hence the sum over the descendants of a parent is exact, to a tick a scan; how much of it is
 * whose, among those too short to be measured, is an average. Children that nobody waits for have what their records tell.
 *
 * Bounds: `PAIRS_MAX` pairs of command and parent, beyond it `other`; `REMEMBERED_MAX` processes that are gone and the same of
 * unseen ones; `DEPTH_MAX` ancestors. Processes are bounded by whoever shows them.
 */
import type { AccountingRecord } from "./AccountingRecord.ts"

/** A process as a scan saw it. Times in seconds. */
export interface ScannedProcess {
  readonly pid: number
  readonly parent: number
  /** After boot. With the pid it identifies a process. */
  readonly startSeconds: number
  /** What it has used itself. */
  readonly cpuSeconds: number
  /** What those of its children have used that it has waited for, with theirs. */
  readonly childSeconds: number
  /** What it is called where it is a parent: its group. */
  readonly name: string
}

export interface ShortLivedRow {
  readonly command: string
  readonly parent: string
  readonly runs: number
  readonly cpuSeconds: number
}

/** What a process used between the last scan that saw it and its end. */
export interface LastBit {
  readonly pid: number
  readonly startSeconds: number
  readonly cpuSeconds: number
}

interface Pair {
  readonly command: string
  readonly parent: string
  runs: number
  cpuSeconds: number
  /** The pass in which it last ran. */
  ranAt: number
}

interface Known {
  readonly pid: number
  readonly startSeconds: number
  parent: number
  name: string
  cpuSeconds: number
  childSeconds: number
  seenAt: number
  /** Of the machine's time since boot: when it was last seen. */
  seenSeconds: number
  balance: number
  /** For how many passes the balance has been of no use. */
  idle: number
  /** Runs among its descendants, of this pass and the one before. */
  runs: Map<Pair, number>
  runsBefore: Map<Pair, number>
  exit: { readonly parent: number; readonly cpuSeconds: number } | undefined
}

interface Waiting {
  readonly command: string
  readonly parent: number
  runs: number
  cpuSeconds: number
  readonly since: number
}

export const PAIRS_MAX = 1_000
const REMEMBERED_MAX = 8_192
const DEPTH_MAX = 64
/** User and system time are cut separately, to less than 0.01 s each; and a kernel that samples may miss a tick. */
const REST_SECONDS = 0.03
/** A parent may be seen, or have its record, a pass later. */
const WAIT_PASSES = 2
/** What a process has waited for shows up a pass after the record at the latest. */
const IDLE_PASSES = 2
/** A pair that has not run for so many passes gives way to a new one. */
const FORGET_PASSES = 40
const UNKNOWN = "unknown"
const OTHER = "other"

export class ShortLived {
  readonly #live = new Map<number, Known>()
  /** Who is gone, or was never seen: the latest last. */
  readonly #gone = new Map<number, Known>()
  readonly #unseen = new Map<number, { readonly command: string; readonly parent: number }>()
  readonly #waiting = new Map<string, Waiting>()
  /** That of the others is there from the beginning: a scrape without any row would be none, and begin nothing. */
  readonly #pairs = new Map<string, Pair>([[keyOf(OTHER, OTHER), newPair(OTHER, OTHER, Number.POSITIVE_INFINITY)]])
  #left: Array<Known> = []
  #pass = 0
  #unrecorded = 0

  /** A scan, complete: whoever is not in it is gone. `upSeconds` is the time since boot. */
  scanned(upSeconds: number, processes: Iterable<ScannedProcess>): void {
    this.#pass++
    for (const { childSeconds, cpuSeconds, name, parent, pid, startSeconds } of processes) {
      const before = this.#live.get(pid)
      if (before?.startSeconds === startSeconds) {
        before.balance += Math.max(0, childSeconds - before.childSeconds)
        Object.assign(before, { parent, name, cpuSeconds, childSeconds, seenAt: this.#pass, seenSeconds: upSeconds })
        continue
      }
      if (before !== undefined) this.#leave(before)
      this.#gone.delete(pid)
      this.#unseen.delete(pid)
      this.#live.set(pid, {
        ...{ pid, startSeconds, parent, name, cpuSeconds, childSeconds, seenAt: this.#pass, seenSeconds: upSeconds },
        // What came before the first scan is not ours to tell.
        balance: this.#pass === 1 ? 0 : childSeconds,
        idle: 0,
        runs: new Map(),
        runsBefore: new Map(),
        exit: undefined
      })
    }
    for (const known of this.#live.values()) if (known.seenAt !== this.#pass) this.#leave(known)
  }

  /** The records of those that ended, in their order. */
  exited(records: ReadonlyArray<AccountingRecord>): void {
    const unseen: Array<AccountingRecord> = []
    if (records.length > 0) this.#unrecorded = 0
    for (const record of records) {
      const known = this.#seenBefore(record)
      if (known !== undefined) known.exit = { parent: record.parent, cpuSeconds: record.cpuSeconds }
      else {
        unseen.push(record)
        remember(this.#unseen, record.pid, record)
      }
    }
    for (const { command, cpuSeconds, parent } of unseen)
      this.#ran({ command, parent, runs: 1, cpuSeconds, since: this.#pass })
  }

  /** After both: spreads what is left over. Resolves to the last bits of those that are gone. */
  settle(): ReadonlyArray<LastBit> {
    for (const waiting of [...this.#waiting.values()]) {
      this.#waiting.delete(keyOf(waiting.command, waiting.parent))
      this.#ran(waiting)
    }
    const bits = new Map<Known, Array<Known>>()
    for (const known of this.#left) {
      if (known.exit === undefined) this.#unrecorded++
      const heir = this.#heirOf(known.exit?.parent ?? known.parent)
      if (heir === undefined) continue
      heir.balance += known.balance - known.cpuSeconds - known.childSeconds
      for (const runs of [known.runs, known.runsBefore]) for (const [pair, count] of runs) add(heir.runs, pair, count)
      if (known.exit !== undefined) bits.set(heir, [...(bits.get(heir) ?? []), known])
    }
    this.#left = []
    return [...this.#live.values()].flatMap((known) => spread(known, bits.get(known) ?? []))
  }

  /** All pairs that ran, and `other`, by command and parent. */
  rows(): ReadonlyArray<ShortLivedRow> {
    return [...this.#pairs.values()].sort(
      (one, two) => compare(one.command, two.command) || compare(one.parent, two.parent)
    )
  }

  /** How many processes that scans had seen went, since the last record, and had none. */
  get unrecorded(): number {
    return this.#unrecorded
  }

  /** The process that a scan saw and whose end this is. One that began after the scan that saw its pid is another. */
  #seenBefore({ elapsedSeconds, pid }: AccountingRecord): Known | undefined {
    for (const known of [this.#gone.get(pid), this.#live.get(pid)]) {
      if (known === undefined || known.exit !== undefined) continue
      if (elapsedSeconds + CUT_SECONDS >= known.seenSeconds - known.startSeconds) return known
    }
    return undefined
  }

  /** Counts runs for command and parent; those whose parent is not known yet wait. */
  #ran(ran: Waiting): void {
    const { command, cpuSeconds, parent, runs, since } = ran
    const name = this.#nameOf(parent)
    if (name === undefined && this.#pass - since < WAIT_PASSES) {
      const key = keyOf(command, parent)
      const waiting = this.#waiting.get(key)
      if (waiting !== undefined) {
        waiting.runs += runs
        waiting.cpuSeconds += cpuSeconds
      } else if (this.#waiting.size < REMEMBERED_MAX) this.#waiting.set(key, { ...ran })
      else this.#count(this.#pairOf(command, UNKNOWN), runs, cpuSeconds, undefined)
      return
    }
    this.#count(this.#pairOf(command, name ?? UNKNOWN), runs, cpuSeconds, this.#heirOf(parent))
  }

  #count(pair: Pair, runs: number, cpuSeconds: number, heir: Known | undefined): void {
    pair.runs += runs
    pair.cpuSeconds += cpuSeconds
    pair.ranAt = Math.max(pair.ranAt, this.#pass)
    if (heir === undefined) return
    heir.balance -= cpuSeconds
    add(heir.runs, pair, runs)
  }

  #pairOf(command: string, parent: string): Pair {
    const key = keyOf(command, parent)
    const there = this.#pairs.get(key)
    if (there !== undefined) return there
    if (this.#pairs.size > PAIRS_MAX && !this.#forget()) return this.#pairOf(OTHER, OTHER)
    const pair = newPair(command, parent, this.#pass)
    this.#pairs.set(key, pair)
    return pair
  }

  /** Forgets the pair that has not run for the longest time, where that is long. */
  #forget(): boolean {
    let [oldest, ranAt] = ["", this.#pass - FORGET_PASSES]
    for (const [key, pair] of this.#pairs) if (pair.ranAt < ranAt) [oldest, ranAt] = [key, pair.ranAt]
    return this.#pairs.delete(oldest)
  }

  #nameOf(pid: number): string | undefined {
    return (this.#live.get(pid) ?? this.#gone.get(pid))?.name ?? this.#unseen.get(pid)?.command
  }

  /** The nearest ancestor that lives and is seen: what its children used is in its sum. */
  #heirOf(pid: number): Known | undefined {
    for (let depth = 0; depth < DEPTH_MAX && pid > 0; depth++) {
      const live = this.#live.get(pid)
      if (live !== undefined) return live
      const gone = this.#gone.get(pid)
      const next = gone?.exit?.parent ?? gone?.parent ?? this.#unseen.get(pid)?.parent
      if (next === undefined || next === pid) return undefined
      pid = next
    }
    return undefined
  }

  #leave(known: Known): void {
    this.#live.delete(known.pid)
    remember(this.#gone, known.pid, known)
    this.#left.push(known)
  }
}

/** Gives what is in the balance to last bits, as far as records tell them, and the rest to all that ended. It does not keep. */
const spread = (known: Known, gone: ReadonlyArray<Known>): ReadonlyArray<LastBit> => {
  const bits = gone.map(({ cpuSeconds, exit, pid, startSeconds }) => {
    const told = Math.max(0, Math.min(exit!.cpuSeconds - cpuSeconds, known.balance))
    known.balance -= told
    return { pid, startSeconds, cpuSeconds: told }
  })
  const shares = [...known.runs, ...known.runsBefore]
  const ended = shares.reduce((sum, [, count]) => sum + count, bits.length)
  if (known.balance > 0 && ended > 0) {
    const each = Math.min(known.balance / ended, REST_SECONDS)
    for (const [pair, count] of shares) pair.cpuSeconds += each * count
    for (const bit of bits) bit.cpuSeconds += each
    known.balance = 0
  }
  known.idle = known.balance === 0 ? 0 : known.idle + 1
  if (known.idle >= IDLE_PASSES) {
    known.balance = 0
    known.idle = 0
  }
  known.runsBefore = known.runs
  known.runs = new Map()
  return bits.filter(({ cpuSeconds }) => cpuSeconds > 0)
}

const add = (runs: Map<Pair, number>, pair: Pair, count: number): void => {
  runs.set(pair, (runs.get(pair) ?? 0) + count)
}

/** The latest of each pid, and no more than `REMEMBERED_MAX` of them. */
const remember = <A>(among: Map<number, A>, pid: number, one: A): void => {
  among.delete(pid)
  among.set(pid, one)
  if (among.size > REMEMBERED_MAX) {
    const [oldest] = among.keys()
    among.delete(oldest!)
  }
}

/** A command is at most 15 bytes, and holds no NUL. */
const keyOf = (command: string, parent: string | number): string => `${command}\0${parent}`

const newPair = (command: string, parent: string, ranAt: number): Pair => ({
  command,
  parent,
  runs: 0,
  cpuSeconds: 0,
  ranAt
})

/** How much a record's time may be cut, and a scan's. */
const CUT_SECONDS = 0.05

const compare = (one: string, two: string): number => (one < two ? -1 : one > two ? 1 : 0)
