/**
 * What some groups did step by step: the sums that histories and series are drawn from. Pure, and the only state is its own.
 *
 * Steps are multiples of their width since 1970, so that a chart does not flicker as its window moves on. What is seen at a
 * moment belongs to the step that ends at it or after it: (from, to], as a window. Groups are told apart by slots; those
 * that have none are left out, or added up in a slot of their own.
 */
import type { Summary } from "./Aggregate.ts"
import { addCommon, type Common, type HostStep, nothingCommon } from "./HostSteps.ts"
import type { Measured, Measures } from "./Increases.ts"
import type { Window } from "./Rankings.ts"
import type { RawSpan } from "./RawReader.ts"
import type { Visitor } from "./WindowReader.ts"

/** Which groups are kept apart. */
export interface Slots {
  readonly count: number
  /** The slot of a group; undefined where it is left out. */
  readonly of: (group: number) => number | undefined
}

/** One slot, whatever the group: of an exporter without groups. */
export const ONE_SLOT: Slots = { count: 1, of: () => 0 }

/** The steps of a window, by the number of their right end: `n * width`. */
export interface Steps {
  readonly first: number
  readonly count: number
  /** Microseconds. */
  readonly width: number
}

export const stepsOf = (window: Window, width: number): Steps => {
  const first = Math.floor(window.from / width) + 1
  return { first, count: Math.max(0, Math.ceil(window.to / width) - first + 1), width }
}

/** A rate says nothing where more of its step than this is unknown. */
const UNKNOWN_SHARE_MAX = 0.3

export class StepSums implements Visitor {
  /** Of the server, per step. */
  readonly scrapes: Float64Array
  readonly covered: Float64Array
  /** Per slot and step. */
  readonly rows: Float64Array
  readonly counters: ReadonlyArray<{
    readonly increase: Float64Array
    readonly peak: Float64Array
    readonly unknown: Float64Array
  }>
  readonly gauges: ReadonlyArray<{
    readonly sum: Float64Array
    readonly count: Float64Array
    readonly max: Float64Array
  }>
  /** Per slot: the latest scrape in which it was present, and how often its counters restarted. */
  readonly lastSeen: Float64Array
  readonly resets: Float64Array
  /** What the host did in each step, as far as it is known. */
  readonly hosts: ReadonlyArray<Common>
  readonly steps: Steps
  private readonly slots: Slots
  private readonly presence: number | undefined

  constructor(steps: Steps, slots: Slots, measures: Measures, presence?: number) {
    const cells = steps.count * slots.count
    const unknown = () => new Float64Array(cells).fill(Number.NaN)
    this.steps = steps
    this.slots = slots
    this.presence = presence
    this.scrapes = new Float64Array(steps.count)
    this.covered = new Float64Array(steps.count)
    this.rows = new Float64Array(cells)
    this.counters = measures.counters.map(() => ({
      increase: unknown(),
      peak: unknown(),
      unknown: new Float64Array(cells)
    }))
    this.gauges = measures.gauges.map(() => ({ sum: unknown(), count: new Float64Array(cells), max: unknown() }))
    this.lastSeen = new Float64Array(slots.count).fill(Number.NaN)
    this.resets = new Float64Array(slots.count)
    this.hosts = Array.from({ length: steps.count }, nothingCommon)
  }

  /** Where the value of a slot and step stands. */
  cell(slot: number, step: number): number {
    return slot * this.steps.count + step
  }

  readonly scrape = (scrape: Measured): void => {
    const step = this.stepOf(scrape.at)
    this.scrapes[step]! += 1
    if (!Number.isNaN(scrape.coveredFrom)) this.covered[step]! += (scrape.at - scrape.coveredFrom) / 1_000_000
    for (let row = 0; row < scrape.groups.length; row++) {
      const slot = this.slots.of(scrape.groups[row]!)
      if (slot === undefined) continue
      const cell = this.cell(slot, step)
      this.rows[cell]! += 1
      for (let c = 0; c < this.counters.length; c++) {
        add(this.counters[c]!.increase, cell, scrape.increases[c]![row]!)
        raise(this.counters[c]!.peak, cell, scrape.rates[c]![row]!)
        this.counters[c]!.unknown[cell]! += scrape.unknown[c]?.[row] ?? 0
        this.resets[slot]! += scrape.resets[c]?.[row] ?? 0
      }
      for (let g = 0; g < this.gauges.length; g++) {
        const value = scrape.gauges[g]![row]!
        add(this.gauges[g]!.sum, cell, value)
        raise(this.gauges[g]!.max, cell, value)
        if (!Number.isNaN(value)) this.gauges[g]!.count[cell]! += 1
      }
      const present = this.presence === undefined || scrape.gauges[this.presence]![row] !== 0
      if (present) raise(this.lastSeen, slot, scrape.at)
    }
  }

  readonly host = (steps: ReadonlyArray<HostStep>, spans: RawSpan["spans"], { from, to }: Window): void => {
    for (const step of steps) {
      if (step.to > from && step.to <= to) addCommon(this.hosts[this.stepOf(step.to)]!, [step], spans, from, to)
    }
  }

  readonly bucket = (end: number, part: Summary): void => {
    const step = this.stepOf(end)
    const host = this.hosts[step]!
    host.busy += part.common.busy
    host.seconds += part.common.seconds
    host.unknown += part.common.unknown
    this.scrapes[step]! += part.scrapes
    this.covered[step]! += part.covered
    for (let n = 0; n < part.groups.length; n++) {
      const slot = this.slots.of(part.groups[n]!)
      if (slot === undefined) continue
      const cell = this.cell(slot, step)
      this.rows[cell]! += part.rows[n]!
      for (let c = 0; c < this.counters.length; c++) {
        add(this.counters[c]!.increase, cell, part.counters[c]!.increase[n]!)
        raise(this.counters[c]!.peak, cell, part.counters[c]!.peak[n]!)
        this.counters[c]!.unknown[cell]! += part.counters[c]!.unknown?.[n] ?? 0
        this.resets[slot]! += part.counters[c]!.resets?.[n] ?? 0
      }
      for (let g = 0; g < this.gauges.length; g++) {
        add(this.gauges[g]!.sum, cell, part.gauges[g]!.sum[n]!)
        raise(this.gauges[g]!.max, cell, part.gauges[g]!.max[n]!)
        this.gauges[g]!.count[cell]! += part.gauges[g]!.count?.[n] ?? part.rows[n]!
      }
      const present = this.presence === undefined || part.gauges[this.presence]!.max[n] !== 0
      if (present) raise(this.lastSeen, slot, part.groupsLastAt?.[n] ?? part.lastAt)
    }
  }

  /** The increase per second of a slot in each step; null where no time was covered, or `nullable` and it is not known. */
  rates(slot: number, counter: number, nullable: boolean): ReadonlyArray<number | null> {
    return this.perStep((step) => {
      const increase = this.counters[counter]!.increase[this.cell(slot, step)]!
      const unknown = this.unknownShare(slot, counter, step)
      if (this.covered[step] === 0 || (nullable && Number.isNaN(increase)) || unknown > UNKNOWN_SHARE_MAX) return null
      return Number.isNaN(increase) ? 0 : increase / (this.covered[step]! * (1 - unknown))
    })
  }

  /** The highest rate of a slot in each step; null as for `rates`. */
  peakRates(slot: number, counter: number, nullable: boolean): ReadonlyArray<number | null> {
    return this.perStep((step) => {
      const cell = this.cell(slot, step)
      const { increase, peak } = this.counters[counter]!
      if (this.covered[step] === 0 || (nullable && Number.isNaN(increase[cell]!))) return null
      return Number.isNaN(peak[cell]!) ? 0 : peak[cell]!
    })
  }

  /** The mean level of a slot in each step: a scrape without the group counts 0, one that does not know it does not count. */
  levels(slot: number, gauge: number): ReadonlyArray<number | null> {
    return this.perStep((step) => {
      const cell = this.cell(slot, step)
      const counted = this.counted(gauge, cell, step)
      const sum = this.gauges[gauge]!.sum[cell]!
      return counted <= 0 ? null : Number.isNaN(sum) ? 0 : sum / counted
    })
  }

  /** The mean of the sum over the groups of a slot in each step. */
  summedLevels(slot: number, gauge: number): ReadonlyArray<number | null> {
    return this.perStep((step) => {
      const sum = this.gauges[gauge]!.sum[this.cell(slot, step)]!
      return this.scrapes[step] === 0 ? null : Number.isNaN(sum) ? 0 : sum / this.scrapes[step]!
    })
  }

  /** The highest level of a slot in each step. */
  peakLevels(slot: number, gauge: number): ReadonlyArray<number | null> {
    return this.perStep((step) => {
      const cell = this.cell(slot, step)
      if (this.counted(gauge, cell, step) <= 0) return null
      const max = this.gauges[gauge]!.max[cell]!
      const absent = this.scrapes[step]! > this.rows[cell]!
      return absent ? Math.max(0, Number.isNaN(max) ? 0 : max) : max
    })
  }

  /** Of an exporter without groups: the share of a step's scrapes whose increase nobody knows. */
  private unknownShare(slot: number, counter: number, step: number): number {
    if (this.slots !== ONE_SLOT) return 0
    const { unknown } = this.counters[counter]!
    return unknown[this.cell(slot, step)]! / this.scrapes[step]!
  }

  private counted(gauge: number, cell: number, step: number): number {
    return this.scrapes[step]! - (this.rows[cell]! - this.gauges[gauge]!.count[cell]!)
  }

  /** A value for each step; null where nothing was seen. */
  private perStep(value: (step: number) => number | null): ReadonlyArray<number | null> {
    return Array.from({ length: this.steps.count }, (_, step) => (this.scrapes[step] === 0 ? null : value(step)))
  }

  private stepOf(at: number): number {
    return Math.ceil(at / this.steps.width) - this.steps.first
  }
}

const add = (sums: Float64Array, cell: number, value: number): void => {
  if (Number.isNaN(value)) return
  const sum = sums[cell]!
  sums[cell] = Number.isNaN(sum) ? value : sum + value
}

const raise = (most: Float64Array, cell: number, value: number): void => {
  if (Number.isNaN(value)) return
  if (Number.isNaN(most[cell]!) || value > most[cell]!) most[cell] = value
}
