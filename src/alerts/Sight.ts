/**
 * What a server's latest scrapes by one exporter say at a moment: the values that rules ask for. Pure, and the only state is its own.
 *
 * A window ends with the latest scrape until the moment, so that it is whole whenever scrapes come in time. It is not known
 * where it was seen for less than {@link COVERAGE_MIN}, or where the server has been silent for longer than
 * {@link SILENT_INTERVALS} of its own intervals.
 *
 * Bound: it holds the scrapes of the longest window and those that a silent server may be late by.
 */
import { addCommon, type HostStep, nothingCommon } from "../query/HostSteps.ts"
import type { Measured, Measures } from "../query/Increases.ts"
import type { Metric } from "./Rule.ts"

/** Below this, a rule neither fires nor resolves. */
export const COVERAGE_MIN = 0.8
/** As `stale` of an answer (docs/numbers.md). */
const SILENT_INTERVALS = 2.5
/** Two scrapes of a window are no more than this apart in moments of the clock, microseconds. */
const JITTER = 1_000_000
const SECOND = 1_000_000

/** The scrapes of a window, by their places in the sight. */
export interface SightWindow {
  readonly first: number
  readonly last: number
  /** Seconds that they cover. */
  readonly covered: number
}

/** Puts groups together under names; those without one are left out. The same function says the same. */
type NameOf = (group: number) => string | undefined

/** Where each name's sum is: most scrapes of a server have the same groups, so that it is looked up once. */
class Naming {
  readonly names: Array<string> = []
  private readonly placeOf = new Map<string, number>()
  private readonly known = new WeakMap<Int32Array, Int32Array>()
  private readonly nameOf: NameOf

  constructor(nameOf: NameOf) {
    this.nameOf = nameOf
  }

  /** The place of each row's name; -1 where it has none. */
  placesOf(groups: Int32Array): Int32Array {
    const known = this.known.get(groups)
    if (known !== undefined) return known
    const places = groups.map((group) => {
      const name = this.nameOf(group)
      return name === undefined ? -1 : this.place(name)
    })
    this.known.set(groups, places)
    return places
  }

  private place(name: string): number {
    const known = this.placeOf.get(name)
    if (known !== undefined) return known
    this.placeOf.set(name, this.names.length)
    return this.names.push(name) - 1
  }
}

export class Sight {
  private readonly scrapes: Array<Measured> = []
  private readonly namings = new WeakMap<NameOf, Naming>()
  private readonly measures: Measures
  private readonly presence: number

  /** `presence` is the gauge whose 0 says that a group is gone, where there is one. */
  constructor(measures: Measures, presence: string | undefined) {
    this.measures = measures
    this.presence = presence === undefined ? -1 : measures.gauges.indexOf(presence)
  }

  /** Adds a later scrape. */
  add(scrape: Measured): void {
    this.scrapes.push(scrape)
  }

  /** Forgets what is older, but for the latest scrape; epoch microseconds. */
  forget(before: number): void {
    let gone = 0
    while (gone < this.scrapes.length - 1 && this.scrapes[gone]!.at <= before) gone++
    if (gone > 0) this.scrapes.splice(0, gone)
  }

  /** The latest scrape until a moment; epoch microseconds. */
  lastAt(at: number): number | undefined {
    return this.scrapes.findLast((scrape) => scrape.at <= at)?.at
  }

  /** The window of `over` microseconds until a moment; undefined where it is not known. */
  window(at: number, over: number): SightWindow | undefined {
    const last = this.scrapes.findLastIndex((scrape) => scrape.at <= at)
    if (last < 0) return undefined
    const end = this.scrapes[last]!.at
    let first = last
    let covered = 0
    let intervals = 0
    for (; first >= 0 && this.scrapes[first]!.at > end - over + JITTER; first--) {
      const { at: to, coveredFrom } = this.scrapes[first]!
      if (Number.isNaN(coveredFrom)) continue
      covered += (to - coveredFrom) / 1_000_000
      intervals++
    }
    const interval = intervals === 0 ? 0 : (covered * 1_000_000) / intervals
    if (at - end > SILENT_INTERVALS * interval || covered * 1_000_000 < COVERAGE_MIN * over) return undefined
    return { first: first + 1, last, covered }
  }

  /**
   * The value of a metric for each group in a window: the average of a rate over the time that was covered, or the mean level, a scrape
   * without the group counting 0; in the unit that is shown. `nameOf` puts groups together: those without a name are left out.
   */
  values(
    metric: Metric,
    { covered, first, last }: SightWindow,
    nameOf: (group: number) => string | undefined
  ): Map<string, number> {
    const isRate = metric.by === "rate"
    const place = (isRate ? this.measures.counters : this.measures.gauges).indexOf(metric.columns[0]!)
    const divisor = isRate ? covered : last - first + 1
    const sums = this.sums(nameOf, first, last, (scrape) => (isRate ? scrape.increases : scrape.gauges)[place]!)
    for (const [name, sum] of sums) sums.set(name, (sum / divisor) * metric.scale)
    return sums
  }

  /**
   * The value of a metric of the server as a whole, in a window of `over` microseconds; in the unit that is shown. Undefined where
   * it is known for less than {@link COVERAGE_MIN} of it: a host that does not tell of a number has none.
   */
  valueOfServer(metric: Metric, window: SightWindow, over: number): number | undefined {
    const found = metric.by === "rate" ? this.rateOf(metric.columns, window, over) : this.levelOf(metric, window)
    if (found === undefined || metric.partOf === undefined)
      return found === undefined ? undefined : found * metric.scale
    const whole = this.levelOf({ columns: [metric.partOf], less: undefined }, window)
    if (whole === undefined || whole <= 0) return undefined
    return Math.min(1, found / whole) * metric.scale
  }

  /** A second, over the time in which all columns are known. */
  private rateOf(columns: ReadonlyArray<string>, { first, last }: SightWindow, over: number): number | undefined {
    const places = columns.map((column) => this.measures.counters.indexOf(column))
    let sum = 0
    let seconds = 0
    for (let n = first; n <= last; n++) {
      const { at, coveredFrom, increases } = this.scrapes[n]!
      const increase = places.reduce((sum, place) => sum + (increases[place]?.[0] ?? Number.NaN), 0)
      if (Number.isNaN(increase) || Number.isNaN(coveredFrom)) continue
      sum += increase
      seconds += (at - coveredFrom) / SECOND
    }
    return seconds * SECOND < COVERAGE_MIN * over ? undefined : sum / seconds
  }

  /** The mean over the scrapes in which all columns are known. */
  private levelOf(
    { columns, less }: Pick<Metric, "columns" | "less">,
    { first, last }: SightWindow
  ): number | undefined {
    const places = columns.map((column) => this.measures.gauges.indexOf(column))
    const off = less === undefined ? undefined : this.measures.gauges.indexOf(less)
    let sum = 0
    let known = 0
    for (let n = first; n <= last; n++) {
      const { gauges } = this.scrapes[n]!
      let level = off === undefined ? 0 : -(gauges[off]?.[0] ?? Number.NaN)
      for (const place of places) level += gauges[place]?.[0] ?? Number.NaN
      if (Number.isNaN(level)) continue
      sum += level
      known++
    }
    return known < COVERAGE_MIN * (last - first + 1) ? undefined : sum / known
  }

  /**
   * The CPU that the host used beyond all groups, in cores: what it used a second of the time that both saw, less what all groups
   * used. Undefined where both saw less than {@link COVERAGE_MIN} of the window's `over` microseconds.
   */
  unaccounted(
    column: string,
    { covered, first, last }: SightWindow,
    over: number,
    steps: ReadonlyArray<HostStep>
  ): number | undefined {
    const place = this.measures.counters.indexOf(column)
    const spans: Array<{ readonly from: number; readonly to: number }> = []
    let used = 0
    for (let n = first; n <= last; n++) {
      const { at, coveredFrom, increases } = this.scrapes[n]!
      if (!Number.isNaN(coveredFrom)) spans.push({ from: coveredFrom, to: at })
      for (const increase of increases[place]!) used += Number.isNaN(increase) ? 0 : increase
    }
    const common = nothingCommon()
    addCommon(common, steps, spans, spans[0]?.from ?? 0, this.scrapes[last]!.at)
    if (common.seconds * SECOND < COVERAGE_MIN * over) return undefined
    return common.busy / common.seconds - used / covered
  }

  /** How often the counters of each group began anew in a window. */
  restarts({ first, last }: SightWindow, nameOf: (group: number) => string | undefined): Map<string, number> {
    return this.sums(nameOf, first, last, ({ groups, resets }) => {
      if (resets.every((counts) => counts === undefined)) return undefined
      const most = new Float64Array(groups.length)
      for (const counts of resets) {
        if (counts === undefined) continue
        for (const [row, count] of counts.entries()) most[row] = Math.max(most[row]!, count)
      }
      return most
    })
  }

  /** Whether any of the groups with a name runs in the latest scrape of a window. */
  isPresent({ last }: SightWindow, nameOf: (group: number) => string | undefined): boolean {
    let found = false
    this.each(last, last, nameOf, (_, scrape, row) => {
      found ||= this.presence < 0 || scrape.gauges[this.presence]![row] !== 0
    })
    return found
  }

  /** The sums of a column over the scrapes of a window, by name, of all names that are there; what is not known counts 0. */
  private sums(nameOf: NameOf, first: number, last: number, columnOf: (scrape: Measured) => Float64Array | undefined) {
    const naming = this.namingBy(nameOf)
    const places: Array<Int32Array> = []
    for (let n = first; n <= last; n++) places.push(naming.placesOf(this.scrapes[n]!.groups))
    const sums = new Float64Array(naming.names.length)
    const isThere = new Uint8Array(naming.names.length)
    /** In the order in which they come in the window, whatever came before it. */
    const there: Array<number> = []
    for (let n = first; n <= last; n++) {
      const values = columnOf(this.scrapes[n]!)
      const own = places[n - first]!
      for (let row = 0; row < own.length; row++) {
        const place = own[row]!
        if (place < 0) continue
        if (isThere[place] === 0) {
          isThere[place] = 1
          there.push(place)
        }
        const value = values === undefined ? 0 : values[row]!
        if (!Number.isNaN(value)) sums[place]! += value
      }
    }
    return new Map(there.map((place) => [naming.names[place]!, sums[place]!]))
  }

  private namingBy(nameOf: NameOf): Naming {
    const known = this.namings.get(nameOf)
    if (known !== undefined) return known
    const naming = new Naming(nameOf)
    this.namings.set(nameOf, naming)
    return naming
  }

  private each(
    first: number,
    last: number,
    nameOf: (group: number) => string | undefined,
    visit: (name: string, scrape: Measured, row: number) => void
  ): void {
    for (let n = first; n <= last; n++) {
      const scrape = this.scrapes[n]!
      for (let row = 0; row < scrape.groups.length; row++) {
        const name = nameOf(scrape.groups[row]!)
        if (name !== undefined) visit(name, scrape, row)
      }
    }
  }
}
