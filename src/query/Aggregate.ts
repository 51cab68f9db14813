/**
 * What a server's groups did in a span of time, as values that merge: sums, counts and highest values, never averages; and
 * what each group's last scrape said. Roll-ups store it, answers are read off it.
 *
 * Guarantee: parts that are added in order of time give the same sums, to the last bit, for groups with the same values.
 * NaN is "not known". Pure, and the only state is its own.
 */
import { NumberSlab } from "../sinks/storage/NumberSlab.ts"
import { addCommon, type Common, type HostStep, nothingCommon } from "./HostSteps.ts"
import type { Measured } from "./Increases.ts"

/** A part of an aggregate as columns: what is stored of a bucket. */
export interface Summary {
  readonly scrapes: number
  /** Seconds. */
  readonly covered: number
  /** The latest scrape, epoch microseconds. */
  readonly lastAt: number
  readonly common: Common
  readonly groups: ArrayLike<number>
  /** In how many scrapes each group was. */
  readonly rows: ArrayLike<number>
  /** The latest scrape of each group; undefined where all were in the latest of all. */
  readonly groupsLastAt: ArrayLike<number> | undefined
  readonly counters: ReadonlyArray<CounterSummary>
  readonly gauges: ReadonlyArray<GaugeSummary>
}

/** A value for each group. Counts are undefined where all are 0. */
export interface CounterSummary {
  readonly increase: ArrayLike<number>
  /** The highest rate per second. */
  readonly peak: ArrayLike<number>
  /** The rate in the group's last scrape. */
  readonly now: ArrayLike<number>
  readonly resets: ArrayLike<number> | undefined
  readonly clamped: ArrayLike<number> | undefined
  readonly unknown: ArrayLike<number> | undefined
}

/** A value for each group. `count`, in how many scrapes it was known, is undefined where it was known in all. */
export interface GaugeSummary {
  readonly sum: ArrayLike<number>
  readonly max: ArrayLike<number>
  readonly last: ArrayLike<number>
  readonly count: ArrayLike<number> | undefined
}

interface CounterSums {
  increase: Float64Array
  peak: Float64Array
  now: Float64Array
  resets: Float64Array
  clamped: Float64Array
  unknown: Float64Array
}

interface GaugeSums {
  sum: Float64Array
  max: Float64Array
  last: Float64Array
  count: Float64Array
}

export class Aggregate implements Summary {
  scrapes = 0
  covered = 0
  lastAt = Number.NEGATIVE_INFINITY
  readonly common: Common = nothingCommon()
  readonly groups: Array<number> = []
  rows: Float64Array = new Float64Array(0)
  groupsLastAt: Float64Array = new Float64Array(0)
  readonly counters: ReadonlyArray<Readonly<CounterSums>>
  readonly gauges: ReadonlyArray<Readonly<GaugeSums>>
  private readonly slots = new Map<number, number>()

  constructor(counters: number, gauges: number) {
    const none = new Float64Array(0)
    this.counters = Array.from({ length: counters }, () => ({
      increase: none,
      peak: none,
      now: none,
      resets: none,
      clamped: none,
      unknown: none
    }))
    this.gauges = Array.from({ length: gauges }, () => ({ sum: none, max: none, last: none, count: none }))
  }

  /** Where a group's values stand; undefined where it was not seen. */
  slotOf(group: number): number | undefined {
    return this.slots.get(group)
  }

  /** Adds a measured scrape. */
  add(scrape: Measured): void {
    this.scrapes++
    if (!Number.isNaN(scrape.coveredFrom)) this.covered += (scrape.at - scrape.coveredFrom) / 1_000_000
    const slots = this.see(scrape.groups, scrape.at, undefined, undefined)
    for (let c = 0; c < this.counters.length; c++) {
      const sums = this.counters[c]!
      const rates = scrape.rates[c]!
      addKnown(sums.increase, slots, scrape.increases[c]!)
      raise(sums.peak, slots, rates)
      replace(sums.now, slots, rates)
      addCounts(sums.resets, slots, scrape.resets[c])
      addCounts(sums.clamped, slots, scrape.clamped[c])
      addCounts(sums.unknown, slots, scrape.unknown[c])
    }
    for (let g = 0; g < this.gauges.length; g++) {
      const sums = this.gauges[g]!
      const values = scrape.gauges[g]!
      addKnown(sums.sum, slots, values)
      raise(sums.max, slots, values)
      replace(sums.last, slots, values)
      for (let n = 0; n < values.length; n++) if (!Number.isNaN(values[n]!)) sums.count[slots[n]!]! += 1
    }
  }

  /** Adds the host's busy CPU in the time that `spans` cover, of steps whose right end is in (after, upto]. */
  addHost(
    steps: ReadonlyArray<HostStep>,
    spans: ReadonlyArray<{ readonly from: number; readonly to: number }>,
    after: number,
    upto: number
  ): void {
    addCommon(this.common, steps, spans, after, upto)
  }

  /** Adds a later part. */
  merge(part: Summary): void {
    this.scrapes += part.scrapes
    this.covered += part.covered
    this.common.busy += part.common.busy
    this.common.seconds += part.common.seconds
    this.common.unknown += part.common.unknown
    const slots = this.see(part.groups, part.lastAt, part.groupsLastAt, part.rows)
    for (let c = 0; c < this.counters.length; c++) {
      const sums = this.counters[c]!
      const more = part.counters[c]!
      addKnown(sums.increase, slots, more.increase)
      raise(sums.peak, slots, more.peak)
      replace(sums.now, slots, more.now)
      addCounts(sums.resets, slots, more.resets)
      addCounts(sums.clamped, slots, more.clamped)
      addCounts(sums.unknown, slots, more.unknown)
    }
    for (let g = 0; g < this.gauges.length; g++) {
      const sums = this.gauges[g]!
      const more = part.gauges[g]!
      addKnown(sums.sum, slots, more.sum)
      raise(sums.max, slots, more.max)
      replace(sums.last, slots, more.last)
      addCounts(sums.count, slots, more.count ?? part.rows)
    }
  }

  /**
   * Where the values of some groups stand, which are in so many scrapes each (by default one), and whose last one was at
   * `lastAts`, by default all at `lastAt`. Then {@link replace} knows for which of them that is the latest.
   */
  private see(
    groups: ArrayLike<number>,
    lastAt: number,
    lastAts: ArrayLike<number> | undefined,
    rows: ArrayLike<number> | undefined
  ): Int32Array {
    this.lastAt = Math.max(this.lastAt, lastAt)
    const count = groups.length
    if (places.length < count) {
      places = new Int32Array(2 * count)
      latest = new Uint8Array(2 * count)
    }
    for (let n = 0; n < count; n++) places[n] = this.slotFor(groups[n]!, n)
    if (this.rows.length < this.groups.length) this.grow(this.groups.length)
    for (let n = 0; n < count; n++) {
      const slot = places[n]!
      const at = lastAts === undefined ? lastAt : lastAts[n]!
      latest[n] = at >= this.groupsLastAt[slot]! ? 1 : 0
      if (latest[n] === 1) this.groupsLastAt[slot] = at
      this.rows[slot]! += rows === undefined ? 1 : rows[n]!
    }
    return places
  }

  /** Where a group's values stand; mostly at the place that it has in what is added. */
  private slotFor(group: number, place: number): number {
    if (this.groups[place] === group) return place
    const known = this.slots.get(group)
    if (known !== undefined) return known
    const slot = this.groups.length
    this.slots.set(group, slot)
    this.groups.push(group)
    return slot
  }

  /** Makes place for as many groups. */
  private grow(count: number): void {
    const slab = new NumberSlab()
    const grown = (values: Float64Array, unseen: number) => {
      const more = slab.float64(count)
      more.set(values)
      return more.fill(unseen, values.length)
    }
    this.rows = grown(this.rows, 0)
    this.groupsLastAt = grown(this.groupsLastAt, Number.NEGATIVE_INFINITY)
    for (const sums of this.counters as ReadonlyArray<CounterSums>) {
      sums.increase = grown(sums.increase, Number.NaN)
      sums.peak = grown(sums.peak, Number.NaN)
      sums.now = grown(sums.now, Number.NaN)
      sums.resets = grown(sums.resets, 0)
      sums.clamped = grown(sums.clamped, 0)
      sums.unknown = grown(sums.unknown, 0)
    }
    for (const sums of this.gauges as ReadonlyArray<GaugeSums>) {
      sums.sum = grown(sums.sum, Number.NaN)
      sums.max = grown(sums.max, Number.NaN)
      sums.last = grown(sums.last, Number.NaN)
      sums.count = grown(sums.count, 0)
    }
  }
}

/** A visitor that adds up a server's window. */
export const aggregating = (sums: Aggregate) => ({
  scrape: (scrape: Measured) => sums.add(scrape),
  bucket: (_: number, summary: Summary) => sums.merge(summary),
  host: (
    steps: Parameters<Aggregate["addHost"]>[0],
    spans: Parameters<Aggregate["addHost"]>[1],
    { from, to }: { readonly from: number; readonly to: number }
  ) => sums.addHost(steps, spans, from, to)
})

// -- a column at a time

/** Of what is being added: the slot of each group, and whether its last scrape is the latest of its slot. Made once for all. */
let places = new Int32Array(0)
let latest = new Uint8Array(0)

/** Adds what is known. */
const addKnown = (sums: Float64Array, slots: Int32Array, values: ArrayLike<number>): void => {
  for (let n = 0; n < values.length; n++) {
    const value = values[n]!
    if (Number.isNaN(value)) continue
    const slot = slots[n]!
    const sum = sums[slot]!
    sums[slot] = Number.isNaN(sum) ? value : sum + value
  }
}

const raise = (most: Float64Array, slots: Int32Array, values: ArrayLike<number>): void => {
  for (let n = 0; n < values.length; n++) {
    const value = values[n]!
    const slot = slots[n]!
    // False where the value is not known; true where nothing was.
    if (value > most[slot]! || Number.isNaN(most[slot]!)) most[slot] = value
  }
}

const replace = (last: Float64Array, slots: Int32Array, values: ArrayLike<number>): void => {
  for (let n = 0; n < values.length; n++) if (latest[n] === 1) last[slots[n]!] = values[n]!
}

const addCounts = (sums: Float64Array, slots: Int32Array, counts: ArrayLike<number> | undefined): void => {
  if (counts === undefined) return
  for (let n = 0; n < counts.length; n++) sums[slots[n]!]! += counts[n]!
}
