/**
 * Units with counters that never fall, from one walk over the cgroups to the next. Pure: it is shown the trees.
 *
 * - A unit's counter is the sum of what its cgroups used since the first scan, less what the units in them used: a partition.
 *   What all rows gain between two scans is what the root gained.
 * - A cgroup that appears counts in whole, one that is made anew (another inode, or a count that fell) too. What a cgroup
 *   used between its last scan and its end stays with the unit above it, which had counted it.
 * - The root is never made anew, and what a cgroup read and wrote falls where a device goes, with all that it had counted:
 *   what is left of such a sum was counted before.
 * - A cgroup that appears with more than the one above it gained was there before, and hidden: it counts from now on.
 * - Where a sum would fall, since two cgroups are not read at one moment, it stays until it has been made up for.
 * - The time for which a unit's tasks waited is that of the cgroup in which they did the longest, scan by scan.
 * - A unit that has used nothing and holds nothing, as most slices, is left out until it does.
 * - A unit whose cgroups are all gone stays with no processes for {@link GONE_KEPT_MILLIS}.
 *
 * Bound: {@link UNITS_MAX} units; those beyond are one, {@link OTHER_UNITS}.
 */
import type { Counter, Levels } from "./CgroupReading.ts"
import { COUNTERS } from "./CgroupReading.ts"
import type { ReadCgroup } from "./CgroupTree.ts"

export const UNITS_MAX = 1_000
export const OTHER_UNITS = "(other units)"
/** Longer than a day: what runs once a day, a backup, has a row to be compared with, and all of it counts. */
const GONE_KEPT_MILLIS = 26 * 3_600_000
/**
 * By how much a cgroup may be ahead of the one above it, by `INCLUSIVE` counters: the root's own time is counted in ticks
 * (microseconds), and its disks count what is done, a cgroup what it asked for (bytes).
 */
const AHEAD = [100_000, 64 * 1024 * 1024, 64 * 1024 * 1024]

/** Less memory than this does not make a unit worth a row: the kernel's own for an empty slice. */
const NOTHING_BYTES = 1024 * 1024

const WIDTH = COUNTERS.length
/** What a cgroup counts of those below it, too: `cpu`, `read`, `written` come first. */
const INCLUSIVE = 3
const PRESSURE = COUNTERS.indexOf("cpuSome")

export interface UnitState {
  readonly unit: string
  readonly slice: string
  /** Undefined: never told. */
  readonly counters: Readonly<Partial<Record<Counter, number>>>
  readonly levels: Levels
}

interface Row {
  readonly unit: string
  readonly slice: string
  /** What it comes to, and what was shown: the highest of it. */
  readonly sums: Float64Array
  readonly shown: Float64Array
  /** What it had come to before this scan. */
  readonly begun: Float64Array
  readonly told: Uint8Array
  levels: { -readonly [L in keyof Levels]: Levels[L] }
  /** How many cgroups it has in this scan. */
  cgroups: number
  seenAt: number
  /** The last scan that it had any in. */
  scan: number
}

interface Known {
  readonly inode: number
  readonly counters: Float64Array
}

export class UnitCounters {
  readonly #rows = new Map<string, Row>()
  #known: Map<string, Known> | undefined
  #scan = 0

  /** One scan. `now` is in milliseconds of any clock that is not set. */
  scan(root: ReadCgroup, now: number): void {
    this.#scan++
    for (const row of this.#rows.values()) {
      row.cgroups = 0
      row.levels = {}
      row.begun.set(row.sums)
    }
    const known = new Map<string, Known>()
    this.#add(root, gainOf(root, this.#known, undefined), known, now)
    this.#known = known
    for (const [key, row] of this.#rows) if (now - row.seenAt > GONE_KEPT_MILLIS) this.#rows.delete(key)
  }

  /** The units as of the last scan, by name. */
  units(): ReadonlyArray<UnitState> {
    return [...this.#rows.values()]
      .filter(isSomething)
      .map(({ cgroups, levels, shown, slice, told, unit }) => ({
        unit,
        slice,
        counters: Object.fromEntries(COUNTERS.flatMap((name, at) => (told[at] === 1 ? [[name, shown[at]!]] : []))),
        levels: cgroups === 0 ? { processes: 0, memory: 0 } : levels
      }))
      .sort((one, other) => (one.unit < other.unit || (one.unit === other.unit && one.slice < other.slice) ? -1 : 1))
  }

  #add(cgroup: ReadCgroup, gain: Gain, known: Map<string, Known>, now: number): void {
    const { children, path, reading, unit } = cgroup
    known.set(path, reading)
    const row = this.#row(unit.unit, unit.slice, now)
    const own = Float64Array.from(gain.counters)
    for (const child of children) {
      const its = gainOf(child, this.#known, gain)
      for (let at = 0; at < INCLUSIVE; at++) own[at]! -= orZero(its.counters[at]!)
      this.#add(child, its, known, now)
    }
    // A slice's units are rows of their own: what all of them waited for says nothing about what is left.
    const isRemainder =
      unit.kind === "root" ||
      unit.kind === "slice" ||
      unit.kind === "pod" ||
      (unit.kind !== "user" && children.length > 0)
    for (let at = 0; at < (isRemainder ? PRESSURE : WIDTH); at++) {
      if (Number.isNaN(reading.counters[at]!)) continue
      row.told[at] = 1
      const gained = orZero(own[at]!)
      // Cgroups wait at the same time: added up they would wait longer than there is time.
      row.sums[at] = at < PRESSURE ? row.sums[at]! + gained : Math.max(row.sums[at]!, row.begun[at]! + gained)
      row.shown[at] = Math.max(row.shown[at]!, row.sums[at]!)
    }
    addLevels(row, cgroup, isRemainder)
    row.cgroups++
    row.seenAt = now
    row.scan = this.#scan
  }

  #row(unit: string, slice: string, now: number): Row {
    const key = `${slice.length}:${slice}${unit}`
    const found = this.#rows.get(key)
    if (found !== undefined) return found
    if (this.#rows.size >= UNITS_MAX && unit !== OTHER_UNITS && !this.#evict()) return this.#row(OTHER_UNITS, "", now)
    const row = {
      unit,
      slice,
      sums: new Float64Array(WIDTH),
      shown: new Float64Array(WIDTH),
      begun: new Float64Array(WIDTH),
      told: new Uint8Array(WIDTH),
      levels: {},
      cgroups: 0,
      seenAt: now,
      scan: this.#scan
    }
    this.#rows.set(key, row)
    return row
  }

  /** Forgets the unit that is gone the longest; false where none is. One of the scan before may come yet in this one. */
  #evict(): boolean {
    let oldest: [string, Row] | undefined
    for (const entry of this.#rows) {
      if (entry[1].scan < this.#scan - 1 && (oldest === undefined || entry[1].seenAt < oldest[1].seenAt)) oldest = entry
    }
    if (oldest !== undefined) this.#rows.delete(oldest[0])
    return oldest !== undefined
  }
}

/** What a cgroup used since the scan before. */
interface Gain {
  readonly counters: Float64Array
}

const gainOf = (
  { path, reading }: ReadCgroup,
  before: ReadonlyMap<string, Known> | undefined,
  above: Gain | undefined
): Gain => {
  const counters = new Float64Array(WIDTH)
  if (before === undefined) return { counters }
  const known = before.get(path)
  const isRoot = above === undefined
  const isSame = known !== undefined && (isRoot || known.inode === reading.inode)
  for (let at = 0; at < WIDTH; at++) {
    const is = reading.counters[at]!
    const was = isSame ? known.counters[at]! : 0
    const ofDevices = at > 0 && at < INCLUSIVE
    // What was not told before, and is now, has no beginning.
    if (Number.isNaN(was)) counters[at] = 0
    else if (is < was) counters[at] = isRoot || ofDevices ? 0 : is
    else counters[at] = is - was
  }
  // Where either is not told the comparison is false.
  const wasHidden =
    known === undefined && above !== undefined && AHEAD.some((ahead, at) => counters[at]! > above.counters[at]! + ahead)
  return wasHidden ? { counters: counters.fill(0) } : { counters }
}

/** Adds what a cgroup has now and the units in it have not. */
const addLevels = (row: Row, { children, reading: { levels } }: ReadCgroup, isRemainder: boolean): void => {
  for (const level of ["memory", "anon", "threads"] as const) {
    if (levels[level] === undefined) continue
    const inOthers = children.reduce((total, child) => total + (child.reading.levels[level] ?? 0), 0)
    row.levels[level] = (row.levels[level] ?? 0) + Math.max(0, levels[level] - inOthers)
  }
  // Nothing sits in a slice itself: that says nothing about whether it is still there.
  const processes = isRemainder && levels.processes === 0 ? undefined : levels.processes
  if (processes !== undefined) row.levels.processes = (row.levels.processes ?? 0) + processes
  const isFirst = row.cgroups === 0
  row.levels.peak = isFirst && !isRemainder ? levels.peak : undefined
  for (const limit of ["limit", "cores"] as const) {
    const [before, its] = [row.levels[limit], levels[limit]]
    if (isFirst) row.levels[limit] = its
    else row.levels[limit] = before === undefined || its === undefined ? undefined : before + its
  }
}

const isSomething = ({ levels: { memory = 0, processes = 0 }, shown }: Row): boolean =>
  shown[0]! > 0 || processes > 0 || memory >= NOTHING_BYTES

const orZero = (value: number): number => (Number.isNaN(value) ? 0 : value)
