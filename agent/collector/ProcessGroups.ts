/**
 * Processes by command name, with counters that never fall: what process_exporter 0.7.10 keeps with
 * `name: "{{.Comm}}"`, `cmdline: ['.+']` and its defaults. Pure: it is shown the processes, scan after scan.
 *
 * As there:
 * - The CPU time that a process had used before the first scan does not count. One that started later counts in whole.
 * - A group keeps what its processes used when they exit, and stays, with no processes, when all are gone.
 * - A process without a command line is left out (kernel threads), unless its parent is in a group: then it belongs there
 *   (a zombie that was never seen alive). A zombie that was seen alive stays in its group until it is reaped.
 *
 * Otherwise than there: a process that changes its name moves to the group of its new name, from then on. process_exporter
 * keeps the name that it saw first, so that a daemon seen between fork and exec counts as its launcher for ever.
 *
 * Bound: `groupsMax` groups; beyond it those without processes are forgotten, the longest gone first. One that comes
 * back starts from 0, as after a restart. Processes are bounded by whoever shows them.
 */
import type { ProcStat } from "./ProcStat.ts"

export interface ProcessGroup {
  readonly name: string
  readonly processes: number
  readonly residentPages: number
  readonly userTicks: number
  readonly systemTicks: number
}

interface Group {
  processes: number
  residentPages: number
  userTicks: number
  systemTicks: number
  /** The scan that last saw a process of it. */
  seen: number
}

interface Tracked {
  readonly startTicks: number
  userTicks: number
  systemTicks: number
  /** Null: in no group. */
  group: string | null
  /** Whether the group is the process's own name, or its parent's for good. */
  readonly own: boolean
  seen: number
}

export class ProcessGroups {
  readonly #groupsMax: number
  readonly #tracked = new Map<number, Tracked>()
  readonly #groups = new Map<string, Group>()
  #scan = 0
  #firstScanTicks = 0

  constructor(groupsMax: number) {
    this.#groupsMax = groupsMax
  }

  /**
   * One scan. `upTicks` is the machine's time since boot in clock ticks when it begins; `hasCommandLine` is asked once
   * for each process that was not seen before, and again while the answer was no.
   */
  scan(upTicks: number, processes: Iterable<ProcStat>, hasCommandLine: (pid: number) => boolean): void {
    this.#scan++
    if (this.#scan === 1) this.#firstScanTicks = upTicks
    for (const group of this.#groups.values()) {
      group.processes = 0
      group.residentPages = 0
    }
    const orphans: Array<ProcStat> = []
    for (const stat of processes) {
      const known = this.#tracked.get(stat.pid)
      if (known === undefined || known.startTicks !== stat.startTicks) {
        if (hasCommandLine(stat.pid)) this.#add(stat, this.#track(stat, stat.comm, true), true)
        else orphans.push(stat)
        continue
      }
      known.seen = this.#scan
      if (known.group === null) {
        // In the middle of an exec a command line is empty, too: ask again.
        if (stat.kernelThread || stat.state === "Z" || !hasCommandLine(stat.pid)) continue
        this.#add(stat, this.#track(stat, stat.comm, true), true)
      } else {
        if (known.own) known.group = stat.comm
        this.#add(stat, known, false)
      }
    }
    this.#adopt(orphans)
    for (const [pid, tracked] of this.#tracked) if (tracked.seen !== this.#scan) this.#tracked.delete(pid)
    this.#forget()
  }

  /** The groups as of the last scan, by name. */
  groups(): ReadonlyArray<ProcessGroup> {
    return [...this.#groups]
      .map(([name, { seen: _, ...group }]) => ({ name, ...group }))
      .sort((one, other) => (one.name < other.name ? -1 : 1))
  }

  #track(stat: ProcStat, group: string | null, own: boolean): Tracked {
    const tracked = { startTicks: stat.startTicks, userTicks: 0, systemTicks: 0, group, own, seen: this.#scan }
    this.#tracked.set(stat.pid, tracked)
    return tracked
  }

  #add(stat: ProcStat, tracked: Tracked, first: boolean): void {
    const name = tracked.group!
    let group = this.#groups.get(name)
    if (group === undefined) {
      group = { processes: 0, residentPages: 0, userTicks: 0, systemTicks: 0, seen: 0 }
      this.#groups.set(name, group)
    }
    group.processes++
    group.residentPages += stat.residentPages
    group.seen = this.#scan
    if (!first || (this.#scan > 1 && stat.startTicks >= this.#firstScanTicks)) {
      group.userTicks += Math.max(0, stat.userTicks - tracked.userTicks)
      group.systemTicks += Math.max(0, stat.systemTicks - tracked.systemTicks)
    }
    tracked.userTicks = stat.userTicks
    tracked.systemTicks = stat.systemTicks
  }

  /** Puts processes without a command line into the groups of their parents, which may themselves be among them. */
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
        const group = parent === undefined || parent.seen !== this.#scan ? null : parent.group
        const tracked = this.#track(stat, group, false)
        if (group !== null) this.#add(stat, tracked, true)
      }
    }
  }

  #forget(): void {
    const over = this.#groups.size - this.#groupsMax
    if (over <= 0) return
    const gone = [...this.#groups].filter(([, group]) => group.processes === 0)
    gone.sort(([, one], [, other]) => one.seen - other.seen)
    for (const [name] of gone.slice(0, over)) this.#groups.delete(name)
  }
}
