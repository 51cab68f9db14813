/**
 * What all groups did on all servers, added up a server at a time; of each group also where it did most.
 *
 * Bounds: {@link GROUPS_MAX} groups are told apart, of what is beyond only the totals. The only state is its own.
 */
import type { FleetShape } from "./FleetShape.ts"
import type { Growth } from "./Growth.ts"
import type { ServerSums } from "./ServerSums.ts"
import type { Steps } from "./StepSums.ts"

/** Some 40 MB. */
const GROUPS_MAX = 100_000

/** The columns of one ranking, a value for each group. */
interface RankingColumns {
  total: Float64Array
  peak: Float64Array
  /** The servers with the highest total and the highest peak, and that total. */
  worst: Int32Array
  worstTotal: Float64Array
  highest: Int32Array
  /** Rates or levels, summed over servers, per group and step; NaN where nothing was seen. */
  trend: Float32Array
}

/** What all groups did on all servers. Groups are at the place at which they were first seen. */
export class FleetTable {
  readonly groups: Array<number> = []
  /** On how many servers the group ran, and when it was seen last. */
  servers: Uint32Array = new Uint32Array(0)
  lastSeen: Float64Array = new Float64Array(0)
  readonly rankings: ReadonlyArray<RankingColumns>
  /** Of all groups, in the order of the rankings: also those that are not told apart. */
  readonly totals: Float64Array
  /** How many times a group of a server was not told apart. */
  beyond = 0
  /** Bytes an hour, summed over the servers where it grows; where it grows fastest; how many servers that are. */
  growth: Float64Array = new Float64Array(0)
  fastest: Int32Array = new Int32Array(0)
  private fastestGrowth: Float64Array = new Float64Array(0)
  growing: Uint32Array = new Uint32Array(0)
  /** How many servers were seen, and their covered time together, in seconds. */
  seen = 0
  covered = 0
  readonly shape: FleetShape
  readonly steps: Steps
  private readonly places = new Map<number, number>()
  private room = 0

  constructor(shape: FleetShape, steps: Steps) {
    this.shape = shape
    this.steps = steps
    this.totals = new Float64Array(shape.rankings.length)
    this.rankings = shape.rankings.map(() => ({
      total: new Float64Array(0),
      peak: new Float64Array(0),
      worst: new Int32Array(0),
      worstTotal: new Float64Array(0),
      highest: new Int32Array(0),
      trend: new Float32Array(0)
    }))
  }

  /** Adds what a server's groups did. */
  add(server: number, sums: ServerSums): void {
    if (sums.scrapes.some((count) => count > 0)) this.seen++
    this.covered += sums.coveredSeconds
    for (let slot = 0; slot < sums.groups.length; slot++) {
      const totals = this.shape.rankings.map((ranking) => sums.totalOf(ranking, slot))
      for (const [n, total] of totals.entries()) this.totals[n]! += total
      const lastSeen = sums.lastSeenOf(slot)
      // An exporter may go on listing what is gone.
      if (Number.isNaN(lastSeen) && totals.every((total) => total === 0)) continue
      const place = this.placeOf(sums.groups[slot]!)
      if (place < 0) {
        this.beyond++
        continue
      }
      this.servers[place]! += 1
      if (lastSeen > this.lastSeen[place]!) this.lastSeen[place] = lastSeen
      for (let n = 0; n < this.rankings.length; n++) this.addRanking(n, place, server, sums, slot, totals[n]!)
      this.addGrowth(place, server, sums.growthOf(slot))
    }
  }

  private addRanking(n: number, place: number, server: number, sums: ServerSums, slot: number, total: number): void {
    const columns = this.rankings[n]!
    const ranking = this.shape.rankings[n]!
    columns.total[place]! += total
    if (isWorse(total, server, columns.worstTotal[place]!, columns.worst[place]!)) {
      columns.worst[place] = server
      columns.worstTotal[place] = total
    }
    const peak = sums.peakOf(ranking, slot)
    if (isWorse(peak, server, columns.peak[place]!, columns.highest[place]!)) {
      columns.highest[place] = server
      columns.peak[place] = peak
    }
    const { count } = this.steps
    for (let step = 0; step < count; step++) {
      const value = sums.valueIn(ranking, slot, step)
      if (Number.isNaN(value)) continue
      const cell = place * count + step
      const before = columns.trend[cell]!
      columns.trend[cell] = Number.isNaN(before) ? value : before + value
    }
  }

  private addGrowth(place: number, server: number, growth: Growth | null): void {
    if (growth === null) return
    this.growth[place]! += growth.perHour
    this.growing[place]! += 1
    if (isWorse(growth.perHour, server, this.fastestGrowth[place]!, this.fastest[place]!)) {
      this.fastestGrowth[place] = growth.perHour
      this.fastest[place] = server
    }
  }

  /** -1: there are too many groups. */
  private placeOf(group: number): number {
    const known = this.places.get(group)
    if (known !== undefined) return known
    const place = this.groups.length
    if (place === GROUPS_MAX) return -1
    if (place === this.room) this.makeRoom()
    this.places.set(group, place)
    this.groups.push(group)
    return place
  }

  private makeRoom(): void {
    const before = this.room
    this.room = Math.min(GROUPS_MAX, Math.max(256, 2 * before))
    const more = <A extends Float64Array | Float32Array | Int32Array | Uint32Array>(
      values: A,
      made: A,
      usual: number
    ): A => {
      made.set(values)
      made.fill(usual, values.length)
      return made
    }
    const none = (values: Int32Array) => more(values, new Int32Array(this.room), -1)
    const nothing = (values: Float64Array) => more(values, new Float64Array(this.room), 0)
    this.servers = more(this.servers, new Uint32Array(this.room), 0)
    this.growing = more(this.growing, new Uint32Array(this.room), 0)
    this.lastSeen = more(this.lastSeen, new Float64Array(this.room), Number.NEGATIVE_INFINITY)
    this.growth = nothing(this.growth)
    this.fastestGrowth = nothing(this.fastestGrowth)
    this.fastest = none(this.fastest)
    for (const columns of this.rankings) {
      columns.total = nothing(columns.total)
      columns.peak = nothing(columns.peak)
      columns.worstTotal = nothing(columns.worstTotal)
      columns.worst = none(columns.worst)
      columns.highest = none(columns.highest)
      columns.trend = more(columns.trend, new Float32Array(this.room * this.steps.count), Number.NaN)
    }
  }
}

/** Of equal servers the first in the list counts, in whatever order they were read. */
const isWorse = (value: number, server: number, most: number, of: number): boolean =>
  of < 0 || value > most || (value === most && server < of)
