/**
 * Processes by name and unit, with counters that never fall: what process_exporter 0.7.10 keeps with its defaults. Pure:
 * it is shown the processes, scan after scan, asks for their names and units, and then for the measures of those that are
 * in a group.
 *
 * As there:
 * - What a process had counted before the first scan does not count. One that started later counts in whole.
 * - A group keeps what its processes counted when they exit, and stays, with no processes, when all are gone.
 * - A process without a name of its own is left out (kernel threads), unless its parent is in a group: then it belongs
 *   there (a zombie that was never seen alive). A zombie that was seen alive stays in its group until it is reaped.
 *
 * Otherwise than there: a process that changes its command name (exec) is asked for its name again, and one that changes
 * its name or its unit moves, from then on. process_exporter keeps the name that it saw first, so that a daemon seen
 * between fork and exec counts as its launcher for ever.
 *
 * A group tells a counter or a level only where each of its processes told it. What a process counted while it could not be
 * read goes to its group when it can, if it started after the first scan. A group without processes tells the counters that
 * it told last.
 *
 * Bound: `groupsMax` groups, and one more. Where there is no room for a new one, that which has had no process for the
 * longest time, and at least `FORGET_SECONDS`, is forgotten; one that comes back starts from 0, as after a restart. Where
 * there is none to forget, the process counts in the group `other`, until there is room. What is told never falls and is
 * never told twice. Processes are bounded by whoever shows them, those remembered after their end by `DEPARTED_MAX`.
 */
import { COUNTERS, GAUGES, type Measures } from "./ProcessMeasures.ts"
import type { ProcStat } from "./ProcStat.ts"

/** The group of those for whom there was no room. It has no unit. */
const OTHER = "other"

/** A group that was without a process for less is not forgotten: longer than a server waits for its next row. */
const FORGET_SECONDS = 600
/** How many processes are remembered after their end. */
const DEPARTED_MAX = 4_096

/** A measure that is not told is NaN. */
export interface ProcessGroup extends Readonly<Measures> {
  readonly name: string
  /** "" where none is known. */
  readonly unit: string
  readonly processes: number
  /** When its oldest process started, in ticks after boot; NaN without one. */
  readonly oldestStartTicks: number
}

/** How a process gets its place. Asked when a process is new, changes its command name, and in the scan after that. */
export interface ProcessPlaces {
  /** Undefined: it has no name of its own. */
  readonly nameOf: (stat: ProcStat, unit: string) => string | undefined
  /** Asked again every `UNIT_SECONDS`, too: a session's processes are moved without an exec. */
  readonly unitOf: (pid: number) => string
}

/** What was last counted of a process. */
export interface CountedProcess {
  readonly pid: number
  readonly startTicks: number
  readonly userTicks: number
  readonly systemTicks: number
}

interface Group {
  readonly name: string
  readonly unit: string
  members: Array<ProcStat>
  /** What was counted, also while it was not told. */
  readonly counted: Counts
  /** The counters and levels of the last scan that saw a process of it. */
  told: Measures
  /** When a process of it was last seen, in ticks. */
  seenTicks: number
}

type Counts = Record<(typeof COUNTERS)[number], number>

interface Tracked {
  readonly pid: number
  readonly startTicks: number
  /** What was last counted; NaN: what it had counted before is not known. */
  readonly counted: Counts
  comm: string
  name: string | undefined
  unit: string
  /** Whether the name is the process's own, or its parent's. */
  own: boolean
  group: Group | undefined
  /** The scan that last saw it. */
  seen: number
  /** It is asked for its name once more: in the middle of an exec it has no command line. */
  askAgain: boolean
  unitTicks: number
}

/** How long a unit is believed. */
const UNIT_SECONDS = 60

export class ProcessGroups {
  #groupsMax: number
  readonly #ticksPerSecond: number
  readonly #tracked = new Map<number, Tracked>()
  readonly #departed = new Map<number, Tracked>()
  readonly #groups = new Map<string, Group>()
  #scan = 0
  #scanTicks = 0
  #lastScanTicks = 0
  /** The scan that found nothing to forget: it is not looked for again until the next. */
  #fullScan = 0
  #firstScanTicks = 0

  constructor(groupsMax: number, ticksPerSecond: number) {
    this.#groupsMax = groupsMax
    this.#ticksPerSecond = ticksPerSecond
  }

  /**
   * From the next scan on there are so many groups, and one more. Where there are more now, the largest stay; what the
   * processes of the others use from then on counts in `other`.
   */
  limit(groupsMax: number): void {
    this.#groupsMax = groupsMax
    const named = [...this.#groups].filter(([, { name, unit }]) => !(name === OTHER && unit === ""))
    if (named.length <= groupsMax) return
    named.sort(([, one], [, two]) => sizeOf(two) - sizeOf(one))
    for (const [key] of named.slice(groupsMax)) this.#groups.delete(key)
    for (const tracked of [...this.#tracked.values(), ...this.#departed.values()]) {
      if (tracked.group !== undefined && !this.#groups.has(keyOf(tracked.group))) tracked.group = undefined
    }
  }

  /**
   * The first half of a scan: gives each process its place, and resolves to the processes of each group. `upTicks` is the
   * machine's time since boot in clock ticks when it begins.
   */
  place(upTicks: number, processes: Iterable<ProcStat>, places: ProcessPlaces): ReadonlyArray<ReadonlyArray<ProcStat>> {
    this.#scan++
    this.#lastScanTicks = this.#scanTicks
    this.#scanTicks = upTicks
    if (this.#scan === 1) this.#firstScanTicks = upTicks
    for (const group of this.#groups.values()) group.members = []
    const orphans: Array<ProcStat> = []
    for (const stat of processes) {
      const known = this.#tracked.get(stat.pid) ?? this.#missed(stat)
      if (known !== undefined && known.startTicks === stat.startTicks) this.#again(stat, known, places, orphans)
      else {
        if (known !== undefined) this.#depart(known)
        this.#first(stat, places, orphans)
      }
    }
    this.#adopt(orphans)
    for (const [pid, tracked] of this.#tracked) {
      if (tracked.seen === this.#scan) continue
      this.#tracked.delete(pid)
      this.#depart(tracked)
    }
    return [...this.#groups.values()].map(({ members }) => members).filter(({ length }) => length > 0)
  }

  /** The second half: counts what the processes in groups measured. */
  count(measuresOf: (stat: ProcStat) => Measures): void {
    for (const group of this.#groups.values()) {
      if (group.members.length === 0) continue
      const told = noMeasures(0)
      for (const stat of group.members) {
        const measures = measuresOf(stat)
        for (const gauge of GAUGES) told[gauge] += measures[gauge]
        for (const counter of COUNTERS) told[counter] += measures[counter]
        count(group, this.#tracked.get(stat.pid)!, measures)
      }
      group.told = told
    }
  }

  /** The groups as of the last scan, by name and unit. */
  groups(): ReadonlyArray<ProcessGroup> {
    return [...this.#groups.values()]
      .sort((one, two) => compare(one.name, two.name) || compare(one.unit, two.unit))
      .map(shown)
  }

  /** What the process is called that the last scan saw under this pid. */
  nameOf(pid: number): string | undefined {
    return this.#tracked.get(pid)?.name
  }

  /** Whom scans saw under this pid, the last one that is gone and the one that lives: what was last counted of each. */
  counted(pid: number): ReadonlyArray<CountedProcess> {
    return [this.#departed.get(pid), this.#tracked.get(pid)]
      .filter((tracked) => tracked !== undefined)
      .map(({ counted: { systemTicks, userTicks }, pid, startTicks }) => ({ pid, startTicks, userTicks, systemTicks }))
  }

  /**
   * A last reading of a process that has exited: what it used since it was last counted goes to its group. False where
   * the process is not among those of `counted`, or in no group.
   */
  settle({ pid, startTicks, systemTicks, userTicks }: CountedProcess): boolean {
    const seen = [this.#departed.get(pid), this.#tracked.get(pid)]
    const tracked = seen.find((one) => one?.startTicks === startTicks)
    if (tracked?.group === undefined) return false
    count(tracked.group, tracked, { userTicks, systemTicks })
    return true
  }

  /** A process that was not seen before. */
  #first(stat: ProcStat, places: ProcessPlaces, orphans: Array<ProcStat>): void {
    const unit = places.unitOf(stat.pid)
    const name = places.nameOf(stat, unit)
    const tracked: Tracked = {
      pid: stat.pid,
      startTicks: stat.startTicks,
      // What has started since the first scan began at 0; of an older one that is not known yet.
      counted: counts(this.#scan > 1 && stat.startTicks >= this.#firstScanTicks ? 0 : Number.NaN),
      comm: stat.comm,
      name,
      unit,
      own: name !== undefined,
      group: undefined,
      seen: this.#scan,
      askAgain: true,
      unitTicks: this.#scanTicks
    }
    this.#tracked.set(stat.pid, tracked)
    if (name === undefined) orphans.push(stat)
    else this.#add(stat, tracked)
  }

  /** A process that a scan did not see though it lived: it is not another, that would count in whole once more. */
  #missed({ pid, startTicks }: ProcStat): Tracked | undefined {
    const missed = this.#departed.get(pid)
    if (missed?.startTicks !== startTicks) return undefined
    this.#departed.delete(pid)
    this.#tracked.set(pid, missed)
    // It may have been forgotten meanwhile.
    missed.group = undefined
    return missed
  }

  /** A process that the scan before saw, too. */
  #again(stat: ProcStat, known: Tracked, places: ProcessPlaces, orphans: Array<ProcStat>): void {
    known.seen = this.#scan
    const renamed = known.comm !== stat.comm
    // What has no command line, and never will have one, is not asked again.
    if (!stat.kernelThread && stat.state !== "Z") {
      const stale = this.#scanTicks - known.unitTicks >= UNIT_SECONDS * this.#ticksPerSecond
      if (renamed || known.askAgain || stale) {
        known.unit = places.unitOf(stat.pid)
        known.unitTicks = this.#scanTicks
      }
      if (renamed || known.askAgain) {
        known.askAgain = renamed
        known.comm = stat.comm
        const name = places.nameOf(stat, known.unit)
        if (name !== undefined) {
          known.name = name
          known.own = true
        } else if (known.own || known.name === undefined) {
          known.name = undefined
          known.own = false
          orphans.push(stat)
          return
        }
      }
    }
    this.#add(stat, known)
  }

  /** Puts a process into the group of its name and unit. */
  #add(stat: ProcStat, tracked: Tracked): void {
    const { name, unit } = tracked
    if (name === undefined) {
      tracked.group = undefined
      return
    }
    let group = tracked.group
    if (group === undefined || group.name !== name || group.unit !== unit) group = this.#groupOf(name, unit)
    tracked.group = group
    group.members.push(stat)
    group.seenTicks = this.#scanTicks
  }

  #groupOf(name: string, unit: string): Group {
    const key = keyOf({ name, unit })
    const there = this.#groups.get(key)
    if (there !== undefined) return there
    const room = this.#groups.size < this.#groupsMax || this.#forget()
    if (!room && !(name === OTHER && unit === "")) return this.#groupOf(OTHER, "")
    const group: Group = { name, unit, members: [], counted: counts(0), told: noMeasures(Number.NaN), seenTicks: 0 }
    this.#groups.set(key, group)
    return group
  }

  /**
   * Forgets the group that has been without a process the longest, if it has been so for long. Whom the scan before saw is
   * there, however long ago that was: a machine that slept.
   */
  #forget(): boolean {
    if (this.#fullScan === this.#scan) return false
    const [oldest] = [...this.#groups].reduce<readonly [string, number]>(
      (found, [key, { seenTicks }]) => (seenTicks < found[1] ? [key, seenTicks] : found),
      ["", Math.min(this.#scanTicks - FORGET_SECONDS * this.#ticksPerSecond, this.#lastScanTicks)]
    )
    const forgotten = this.#groups.delete(oldest)
    if (!forgotten) this.#fullScan = this.#scan
    return forgotten
  }

  /** Puts processes without a name into the groups of their parents, which may themselves be among them. */
  #adopt(orphans: ReadonlyArray<ProcStat>): void {
    const waiting = new Map(orphans.map((stat) => [stat.pid, stat]))
    for (const orphan of orphans) {
      const line: Array<ProcStat> = []
      for (let next = waiting.get(orphan.pid); next !== undefined; next = waiting.get(next.parent)) {
        waiting.delete(next.pid)
        line.push(next)
      }
      for (const stat of line.reverse()) {
        const parent = this.#tracked.get(stat.parent)
        const tracked = this.#tracked.get(stat.pid)!
        if (parent !== undefined && parent.seen === this.#scan) {
          tracked.name = parent.name
          // A zombie is in no unit any more.
          if (stat.state === "Z") tracked.unit = parent.unit
        }
        this.#add(stat, tracked)
      }
    }
  }

  #depart(tracked: Tracked): void {
    this.#departed.delete(tracked.pid)
    this.#departed.set(tracked.pid, tracked)
    if (this.#departed.size <= DEPARTED_MAX) return
    const [oldest] = this.#departed.keys()
    this.#departed.delete(oldest!)
  }
}

/** Adds what a process counted since the last time to its group. What it does not tell now is counted when it does. */
const count = (group: Group, tracked: Tracked, measures: Readonly<Partial<Counts>>): void => {
  for (const counter of COUNTERS) {
    const now = measures[counter] ?? Number.NaN
    const before = tracked.counted[counter]
    if (now > before) group.counted[counter] += now - before
    if (now > before || Number.isNaN(before)) tracked.counted[counter] = now
  }
}

const shown = ({ counted, members, name, told, unit }: Group): ProcessGroup => {
  const alone = members.length === 0
  const group = {
    ...(alone ? { ...told, ...noLevels(0), proportionalBytes: Number.NaN } : told),
    name,
    unit,
    processes: members.length,
    oldestStartTicks: members.reduce((oldest, { startTicks }) => Math.min(oldest, startTicks), Number.POSITIVE_INFINITY)
  }
  if (alone) group.oldestStartTicks = Number.NaN
  for (const counter of COUNTERS) if (!Number.isNaN(told[counter])) group[counter] = counted[counter]
  return group
}

const keyOf = ({ name, unit }: Pick<Group, "name" | "unit">): string => `${unit}\0${name}`

/** Those without processes are the smallest. */
const sizeOf = ({ members, told }: Group): number => (members.length === 0 ? -1 : told.residentPages || 0)

const compare = (one: string, two: string): number => (one < two ? -1 : one > two ? 1 : 0)

const counts = (value: number): Counts => ({
  userTicks: value,
  systemTicks: value,
  majorFaults: value,
  readBytes: value,
  writeBytes: value,
  voluntarySwitches: value,
  nonvoluntarySwitches: value,
  waitNanos: value
})

const noLevels = (value: number) => ({
  residentPages: value,
  threads: value,
  openFiles: value,
  swapBytes: value,
  proportionalBytes: value,
  running: value,
  sleeping: value,
  waiting: value,
  zombie: value,
  other: value
})

const noMeasures = (value: number): Measures => ({ ...counts(value), ...noLevels(value) })
