/**
 * What the groups of one server did, step by step, for the fleet: used again for the next server, so that of each only the
 * sums stay. The only state is its own.
 */
import type { Summary } from "./Aggregate.ts"
import type { FleetRanking, FleetShape } from "./FleetShape.ts"
import { type Growth, growthOf, mayGrow } from "./Growth.ts"
import type { Measured } from "./Increases.ts"
import type { Steps } from "./StepSums.ts"
import type { Visitor } from "./WindowReader.ts"

const SECOND = 1_000_000

export class ServerSums implements Visitor {
  readonly groups: Array<number> = []
  /** Per step. */
  readonly scrapes: Float64Array
  readonly covered: Float64Array
  /** Per group and step; per counter or gauge first, where there are several. */
  private rows: Float64Array = new Float64Array(0)
  private resets: Float64Array = new Float64Array(0)
  private increases: Array<Float64Array> = []
  private sums: Array<Float64Array> = []
  private known: Array<Float64Array> = []
  private most: Array<Float64Array> = []
  /** Per group. */
  private peaks: Array<Float64Array> = []
  private lastSeen: Float64Array = new Float64Array(0)
  private readonly slots = new Map<number, number>()
  private room = 0
  readonly shape: FleetShape
  private readonly steps: Steps
  private readonly until: number
  private readonly only: ((group: number) => boolean) | undefined
  /** Of one group: its level in each step. */
  private readonly levels: Float64Array

  /** Steps until a moment. `only`: the one group that is looked at. */
  constructor(shape: FleetShape, steps: Steps, until: number, only?: (group: number) => boolean) {
    this.shape = shape
    this.steps = steps
    this.until = until
    this.only = only
    this.scrapes = new Float64Array(steps.count)
    this.covered = new Float64Array(steps.count)
    this.levels = new Float64Array(steps.count)
  }

  /** Forgets everything. */
  clear(): void {
    this.groups.length = 0
    this.slots.clear()
    this.scrapes.fill(0)
    this.covered.fill(0)
  }

  readonly scrape = (scrape: Measured): void => {
    const step = this.stepOf(scrape.at)
    this.scrapes[step]! += 1
    if (!Number.isNaN(scrape.coveredFrom)) this.covered[step]! += (scrape.at - scrape.coveredFrom) / SECOND
    const { counters, gauges } = this.shape.measures
    for (let row = 0; row < scrape.groups.length; row++) {
      const slot = this.slotOf(scrape.groups[row]!, row)
      if (slot < 0) continue
      const cell = slot * this.steps.count + step
      this.rows[cell]! += 1
      for (let n = 0; n < counters.length; n++) {
        this.addRate(n, slot, cell, scrape.increases[n]![row]!, scrape.rates[n]![row]!)
        this.resets[cell]! += scrape.resets[n]?.[row] ?? 0
      }
      for (let n = 0; n < gauges.length; n++) {
        const value = scrape.gauges[n]![row]!
        this.addLevel(n, cell, value, value, Number.isNaN(value) ? 0 : 1)
      }
      this.see(slot, scrape.at, this.shape.presence < 0 ? 1 : scrape.gauges[this.shape.presence]![row]!)
    }
  }

  readonly bucket = (end: number, part: Summary): void => {
    const step = this.stepOf(end)
    this.scrapes[step]! += part.scrapes
    this.covered[step]! += part.covered
    const { counters, gauges } = this.shape.measures
    for (let row = 0; row < part.groups.length; row++) {
      const slot = this.slotOf(part.groups[row]!, row)
      if (slot < 0) continue
      const cell = slot * this.steps.count + step
      const rows = part.rows[row]!
      this.rows[cell]! += rows
      for (let n = 0; n < counters.length; n++) {
        const { increase, peak, resets } = part.counters[n]!
        this.addRate(n, slot, cell, increase[row]!, peak[row]!)
        if (resets !== undefined) this.resets[cell]! += resets[row]!
      }
      for (let n = 0; n < gauges.length; n++) {
        const { count, max, sum } = part.gauges[n]!
        this.addLevel(n, cell, sum[row]!, max[row]!, count === undefined ? rows : count[row]!)
      }
      const present = this.shape.presence < 0 ? 1 : part.gauges[this.shape.presence]!.max[row]!
      this.see(slot, part.groupsLastAt === undefined ? part.lastAt : part.groupsLastAt[row]!, present)
    }
  }

  get coveredSeconds(): number {
    return this.covered.reduce((sum, seconds) => sum + seconds, 0)
  }

  /** The latest scrape in which the group was there; NaN where it never was. */
  lastSeenOf(slot: number): number {
    return this.lastSeen[slot]!
  }

  /** What a ranking adds up to over all steps: increases, or levels times seconds. */
  totalOf(ranking: FleetRanking, slot: number): number {
    const first = slot * this.steps.count
    if (ranking.by === "rate") {
      let total = 0
      for (let step = 0; step < this.steps.count; step++) total += this.increases[ranking.n]![first + step]!
      return total
    }
    const mean = this.valueIn(ranking, slot, 0, this.steps.count)
    return Number.isNaN(mean) ? 0 : mean * this.coveredSeconds
  }

  peakOf(ranking: FleetRanking, slot: number): number {
    if (ranking.by === "rate") return this.peaks[ranking.n]![slot]!
    let most = Number.NEGATIVE_INFINITY
    const first = slot * this.steps.count
    for (let step = 0; step < this.steps.count; step++) most = Math.max(most, this.most[ranking.n]![first + step]!)
    return most === Number.NEGATIVE_INFINITY ? 0 : most
  }

  /** The rate per second, or the mean level, of the steps [first, end); NaN where nothing was seen. */
  valueIn(ranking: FleetRanking, slot: number, first: number, end = first + 1): number {
    let sum = 0
    let parts = 0
    for (let step = first; step < end; step++) {
      const cell = slot * this.steps.count + step
      if (ranking.by === "rate") {
        sum += this.increases[ranking.n]![cell]!
        parts += this.covered[step]!
      } else {
        sum += this.sums[ranking.n]![cell]!
        parts += this.scrapes[step]! - this.unknownIn(ranking.n, cell)
      }
    }
    return parts > 0 ? sum / parts : Number.NaN
  }

  /** Whether, how fast and since when the group's memory grows. */
  growthOf(slot: number): Growth | null {
    const { grows, presence, rankings } = this.shape
    const ranking = rankings[grows]
    if (ranking === undefined) return null
    const { count, first, width } = this.steps
    for (let step = 0; step < count; step++) this.levels[step] = this.valueIn(ranking, slot, step)
    if (!mayGrow(this.levels)) return null
    const steps = Array.from(this.levels.keys()).filter((step) => this.scrapes[step]! > 0)
    const members = (step: number) => {
      const cell = slot * count + step
      if (this.rows[cell] === 0) return 0
      if (this.rows[cell] !== this.scrapes[step] || this.resets[cell]! > 0) return Number.NaN
      if (presence < 0) return 1
      const mean = this.sums[presence]![cell]! / this.known[presence]![cell]!
      return mean === this.most[presence]![cell] ? mean : Number.NaN
    }
    return growthOf({
      at: steps.map((step) => Math.min((first + step) * width, this.until)),
      level: steps.map((step) => this.levels[step]!),
      count: steps.map(members)
    })
  }

  private unknownIn(gauge: number, cell: number): number {
    return this.rows[cell]! - this.known[gauge]![cell]!
  }

  private addRate(n: number, slot: number, cell: number, increase: number, rate: number): void {
    if (increase > 0) this.increases[n]![cell]! += increase
    if (rate > this.peaks[n]![slot]!) this.peaks[n]![slot] = rate
  }

  private addLevel(n: number, cell: number, sum: number, most: number, known: number): void {
    if (known === 0) return
    this.sums[n]![cell]! += sum
    this.known[n]![cell]! += known
    if (most > this.most[n]![cell]!) this.most[n]![cell] = most
  }

  private see(slot: number, at: number, present: number): void {
    // Not known is not gone.
    if (present !== 0 && !(this.lastSeen[slot]! >= at)) this.lastSeen[slot] = at
  }

  private stepOf(at: number): number {
    return Math.ceil(at / this.steps.width) - this.steps.first
  }

  /** Where a group's values stand; mostly at the place that it has in what is added. -1: it is not looked at. */
  private slotOf(group: number, place: number): number {
    if (this.groups[place] === group) return place
    const known = this.slots.get(group)
    if (known !== undefined) return known
    if (this.only?.(group) === false) return -1
    const slot = this.groups.length
    if (slot === this.room) this.grow()
    this.slots.set(group, slot)
    this.groups.push(group)
    this.begin(slot)
    return slot
  }

  private begin(slot: number): void {
    const [first, end] = [slot * this.steps.count, (slot + 1) * this.steps.count]
    for (const cells of [this.rows, this.resets, ...this.increases, ...this.sums, ...this.known])
      cells.fill(0, first, end)
    for (const cells of this.most) cells.fill(Number.NEGATIVE_INFINITY, first, end)
    for (const peaks of this.peaks) peaks[slot] = 0
    this.lastSeen[slot] = Number.NaN
  }

  private grow(): void {
    this.room = Math.max(this.only === undefined ? 256 : 1, 2 * this.room)
    const { counters, gauges } = this.shape.measures
    const cells = (before?: Float64Array) => grown(before, this.room * this.steps.count)
    this.rows = cells(this.rows)
    this.resets = cells(this.resets)
    this.increases = counters.map((_, n) => cells(this.increases[n]))
    this.sums = gauges.map((_, n) => cells(this.sums[n]))
    this.known = gauges.map((_, n) => cells(this.known[n]))
    this.most = gauges.map((_, n) => cells(this.most[n]))
    this.peaks = counters.map((_, n) => grown(this.peaks[n], this.room))
    this.lastSeen = grown(this.lastSeen, this.room)
  }
}

const grown = (before: Float64Array | undefined, room: number): Float64Array => {
  const more = new Float64Array(room)
  if (before !== undefined) more.set(before)
  return more
}
