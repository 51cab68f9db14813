/**
 * What a server's latest scrapes by one exporter say at a moment: the values that rules ask for. Pure, and the only state is its own.
 *
 * A window ends with the latest scrape until the moment, so that it is whole whenever scrapes come in time. It is not known
 * where it was seen for less than {@link COVERAGE_MIN}, or where the server has been silent for longer than
 * {@link SILENT_INTERVALS} of its own intervals.
 *
 * Bound: it holds when the scrapes of the longest window were, and of those that a silent server may be late by; and each column only as
 * long as rules ask for it ({@link SightNeeds}), in one array.
 */
import { addCommon, type HostStep, nothingCommon } from "../query/HostSteps.ts"
import type { Counts, Measured, Measures } from "../query/Increases.ts"
import { NumberQueue } from "./NumberQueue.ts"
import type { Metric } from "./Rule.ts"
import type { SightNeeds } from "./SightNeeds.ts"

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

/** What is known of the groups of a window. */
export interface GroupValues {
  /** All that are there, in the order in which they come in the window. */
  readonly names: ReadonlyArray<string>
  readonly values: Float64Array
  readonly find: (name: string) => number | undefined
}

/** Puts groups together under names; those without one are left out. The same function says the same. */
type NameOf = (group: number) => string | undefined

/** The names that are there, and where each of them is among all that ever were. */
interface Order {
  readonly names: ReadonlyArray<string>
  readonly places: ReadonlyArray<number>
  /** Of each place, where it is in this order; -1 where it is not there. */
  readonly indexes: Int32Array
}

/** Where each name's sum is: most scrapes of a server have the same groups, so that it is looked up once. */
class Naming {
  readonly names: Array<string> = []
  readonly placeOf = new Map<string, number>()
  private readonly known = new WeakMap<Int32Array, { readonly places: Int32Array; order: Order | undefined }>()
  private readonly nameOf: NameOf

  constructor(nameOf: NameOf) {
    this.nameOf = nameOf
  }

  /** The place of each row's name; -1 where it has none. */
  placesOf(groups: Int32Array): Int32Array {
    return this.knownOf(groups).places
  }

  /** Of scrapes with these groups. */
  orderOf(all: ReadonlyArray<Int32Array>): Order {
    const [groups] = all
    if (all.length > 1 || groups === undefined) return this.orderIn(all)
    const known = this.knownOf(groups)
    known.order ??= this.orderIn(all)
    return known.order
  }

  private orderIn(all: ReadonlyArray<Int32Array>): Order {
    const there = new Set<number>()
    for (const groups of all) for (const place of this.placesOf(groups)) if (place >= 0) there.add(place)
    const places = [...there]
    const indexes = new Int32Array(this.names.length).fill(-1)
    for (const [n, place] of places.entries()) indexes[place] = n
    return { names: places.map((place) => this.names[place]!), places, indexes }
  }

  private knownOf(groups: Int32Array) {
    const known = this.known.get(groups)
    if (known !== undefined) return known
    const places = groups.map((group) => {
      const name = this.nameOf(group)
      return name === undefined ? -1 : this.place(name)
    })
    const made = { places, order: undefined }
    this.known.set(groups, made)
    return made
  }

  private place(name: string): number {
    const known = this.placeOf.get(name)
    if (known !== undefined) return known
    this.placeOf.set(name, this.names.length)
    return this.names.push(name) - 1
  }
}

/** A scrape that was seen. */
interface SeenScrape {
  readonly at: number
  readonly coveredFrom: number
  /** The same array as the scrape before, where it has the same groups. */
  readonly groups: Int32Array
  /** Where its rows begin, counted over all that were ever seen. */
  readonly begin: number
  /** How often each group restarted; undefined where none did, or no rule asks. */
  readonly restarts: Counts
}

/** The values of a column of the latest scrapes. */
interface SeenColumn {
  readonly kind: "counter" | "gauge"
  readonly place: number
  /** For how long before the latest scrape it is asked for, microseconds. */
  readonly over: number
  readonly values: NumberQueue
  /** From which scrape on, counted over all that were ever seen, its values are there. */
  first: number
}

/** Sums that were asked for since the latest scrape: rules differ in their thresholds more often than in what they ask. */
interface Summed {
  readonly naming: Naming
  readonly of: SeenColumn | "restarts"
  readonly first: number
  readonly last: number
  readonly sums: Float64Array
}

export class Sight {
  private readonly scrapes: Array<SeenScrape> = []
  private readonly namings = new WeakMap<NameOf, Naming>()
  private readonly columns: ReadonlyMap<string, SeenColumn>
  private readonly presence: string | undefined
  private readonly keepsRestarts: boolean
  /** How many rows were ever seen, and how many scrapes were forgotten. */
  private rows = 0
  private gone = 0
  private groupBytes = 0
  private readonly summed: Array<Summed> = []

  /** `presence` is the gauge whose 0 says that a group is gone, where there is one. */
  constructor(measures: Measures, presence: string | undefined, needs: SightNeeds) {
    this.presence = presence
    this.keepsRestarts = needs.restarts
    const columns = new Map<string, SeenColumn>()
    const keep = (kind: SeenColumn["kind"], among: ReadonlyArray<string>, of: ReadonlyMap<string, number>) => {
      for (const [name, over] of of) {
        const place = among.indexOf(name)
        if (place >= 0) columns.set(keyOf(kind, name), { kind, place, over, values: new NumberQueue(), first: 0 })
      }
    }
    keep("counter", measures.counters, needs.counters)
    keep("gauge", measures.gauges, needs.gauges)
    this.columns = columns
  }

  /** Adds a later scrape: what is kept of it is copied. */
  add(scrape: Measured): void {
    const { at, coveredFrom } = scrape
    const before = this.scrapes.at(-1)?.groups
    const groups = before !== undefined && isSame(before, scrape.groups) ? before : scrape.groups.slice()
    if (groups !== before) this.groupBytes += GROUP_BYTES * groups.length
    const restarts = this.keepsRestarts ? restartsIn(scrape) : undefined
    this.scrapes.push({ at, coveredFrom, groups, begin: this.rows, restarts })
    this.rows += groups.length
    for (const column of this.columns.values()) {
      this.leave(column, at)
      column.values.push((column.kind === "counter" ? scrape.increases : scrape.gauges)[column.place]!)
    }
    this.summed.length = 0
  }

  /** Forgets what is older, but for the latest scrape; epoch microseconds. */
  forget(before: number): void {
    let gone = 0
    while (gone < this.scrapes.length - 1 && this.scrapes[gone]!.at <= before) gone++
    if (gone === 0) return
    for (let n = 0; n < gone; n++) {
      const { groups } = this.scrapes[n]!
      if (groups !== this.scrapes[n + 1]!.groups) this.groupBytes -= GROUP_BYTES * groups.length
    }
    this.scrapes.splice(0, gone)
    this.gone += gone
    for (const column of this.columns.values()) this.leave(column, Number.NEGATIVE_INFINITY)
    this.summed.length = 0
  }

  /** What it takes, about. */
  get bytes(): number {
    let bytes = this.scrapes.length * SCRAPE_BYTES + this.groupBytes
    for (const { values } of this.columns.values()) bytes += values.bytes
    return bytes
  }

  /** Lets values of a column go that no window reaches any more once there is a scrape at a moment, or whose scrape is gone. */
  private leave(column: SeenColumn, at: number): void {
    let n = Math.max(column.first, this.gone) - this.gone
    while (n < this.scrapes.length && this.scrapes[n]!.at <= at - column.over && this.scrapes[n]!.at < at) n++
    column.first = n + this.gone
    column.values.leave(this.scrapes[n]?.begin ?? this.rows)
  }

  private column(kind: SeenColumn["kind"], name: string): SeenColumn | undefined {
    return this.columns.get(keyOf(kind, name))
  }

  /** The only value of a scrape of a host; NaN where it is not known, or not kept. */
  private alone(column: SeenColumn | undefined, n: number): number {
    return column === undefined ? Number.NaN : column.values.at(this.scrapes[n]!.begin)
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
  values(metric: Metric, { covered, first, last }: SightWindow, nameOf: NameOf): GroupValues {
    const isRate = metric.by === "rate"
    const column = this.column(isRate ? "counter" : "gauge", metric.columns[0]!)!
    const divisor = isRate ? covered : last - first + 1
    return this.sums(nameOf, first, last, column, (sum) => (sum / divisor) * metric.scale)
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
    const counters = columns.map((column) => this.column("counter", column))
    let sum = 0
    let seconds = 0
    for (let n = first; n <= last; n++) {
      const { at, coveredFrom } = this.scrapes[n]!
      const increase = counters.reduce((sum, counter) => sum + this.alone(counter, n), 0)
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
    const gauges = columns.map((column) => this.column("gauge", column))
    const off = less === undefined ? undefined : this.column("gauge", less)
    let sum = 0
    let known = 0
    for (let n = first; n <= last; n++) {
      let level = less === undefined ? 0 : -this.alone(off, n)
      for (const gauge of gauges) level += this.alone(gauge, n)
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
    const increases = this.column("counter", column)
    const spans: Array<{ readonly from: number; readonly to: number }> = []
    let used = 0
    for (let n = first; n <= last; n++) {
      const { at, begin, coveredFrom, groups } = this.scrapes[n]!
      if (!Number.isNaN(coveredFrom)) spans.push({ from: coveredFrom, to: at })
      for (let row = 0; row < groups.length; row++) {
        const increase = increases?.values.at(begin + row) ?? Number.NaN
        used += Number.isNaN(increase) ? 0 : increase
      }
    }
    const common = nothingCommon()
    addCommon(common, steps, spans, spans[0]?.from ?? 0, this.scrapes[last]!.at)
    if (common.seconds * SECOND < COVERAGE_MIN * over) return undefined
    return common.busy / common.seconds - used / covered
  }

  /** How often the counters of each group began anew in a window. */
  restarts({ first, last }: SightWindow, nameOf: NameOf): GroupValues {
    return this.sums(nameOf, first, last, "restarts", (sum) => sum)
  }

  /** Whether any of the groups with a name runs in the latest scrape of a window. */
  isPresent({ last }: SightWindow, nameOf: NameOf): boolean {
    const { begin, groups } = this.scrapes[last]!
    const presence = this.presence === undefined ? undefined : this.column("gauge", this.presence)
    return this.namingBy(nameOf)
      .placesOf(groups)
      .some((place, row) => place >= 0 && (presence === undefined || presence.values.at(begin + row) !== 0))
  }

  /** What follows from the sums of a column, or of restarts, over the scrapes of a window, by name; what is not known counts 0. */
  private sums(
    nameOf: NameOf,
    first: number,
    last: number,
    of: Summed["of"],
    valueOf: (sum: number) => number
  ): GroupValues {
    const naming = this.namingBy(nameOf)
    const all: Array<Int32Array> = []
    for (let n = first; n <= last; n++) {
      const { groups } = this.scrapes[n]!
      if (all.at(-1) !== groups) all.push(groups)
    }
    const { indexes, names, places } = naming.orderOf(all)
    const isAsked = (one: Summed) => one.of === of && one.first === first && one.last === last && one.naming === naming
    let known = this.summed.find(isAsked)
    if (known === undefined) {
      known = { naming, of, first, last, sums: new Float64Array(naming.names.length) }
      this.addUp(known)
      this.summed.push(known)
    }
    const { sums } = known
    const values = Float64Array.from(places, (place) => valueOf(sums[place]!))
    return { names, values, find: (name) => values[indexes[naming.placeOf.get(name) ?? -1] ?? -1] }
  }

  private addUp({ first, last, naming, of, sums }: Summed): void {
    for (let n = first; n <= last; n++) {
      const { begin, groups, restarts } = this.scrapes[n]!
      if (of !== "restarts") of.values.addTo(sums, naming.placesOf(groups), begin)
      else if (restarts !== undefined) {
        const places = naming.placesOf(groups)
        for (const [row, count] of restarts.entries()) if (places[row]! >= 0) sums[places[row]!]! += count
      }
    }
  }

  private namingBy(nameOf: NameOf): Naming {
    const known = this.namings.get(nameOf)
    if (known !== undefined) return known
    const naming = new Naming(nameOf)
    this.namings.set(nameOf, naming)
    return naming
  }
}

/** What a scrape takes beside its values, and a group where the groups are others than before; as V8 has it. */
const SCRAPE_BYTES = 150
const GROUP_BYTES = 16

const keyOf = (kind: SeenColumn["kind"], name: string): string => `${kind} ${name}`

const isSame = (a: Int32Array, b: Int32Array): boolean => {
  if (a.length !== b.length) return false
  for (let n = 0; n < a.length; n++) if (a[n] !== b[n]) return false
  return true
}

/** How often each group's counters began anew: as often as that of them that did most often. */
const restartsIn = ({ groups, resets }: Measured): Counts => {
  if (resets.every((counts) => counts === undefined)) return undefined
  const most = new Uint16Array(groups.length)
  for (const counts of resets) {
    if (counts === undefined) continue
    for (const [row, count] of counts.entries()) most[row] = Math.max(most[row]!, count)
  }
  return most
}
