/**
 * The rule for increases, written once (docs/numbers.md): from a server's scrapes by one exporter, in order of time, to what
 * each group did between one scrape and the next. Top, history, roll-ups, the fleet and `/metrics` are sums of it.
 *
 * Guarantee: the result depends on the set of rows only. What was not seen has no increase (NaN); what cannot have been is
 * cut to what can, and counted. Pure: no I/O, no clock. Cost: some 0.12 µs of CPU a row and counter (`bench/increases.ts`).
 *
 * To measure the scrapes of (after, upto] exactly, it needs those of the last {@link lookbackOf} before them as well.
 */
import { Duration } from "effect"
import { isMoment } from "../plugins/Column.ts"
import type { Exporter } from "../plugins/Exporter.ts"
import { NumberSlab } from "../sinks/storage/NumberSlab.ts"
import { type RowFilter, rowsIn, type Scrape, sinceAt } from "../sinks/storage/Scrape.ts"
import type { Cores } from "./HostSteps.ts"

/** No CPU counter grows faster than the host's cores allow, give or take the jitter of two scrapes. */
export const CLAMP_SLACK = 1.05
/** Beginnings that differ by less are the same one: exporters derive them from clocks of whole seconds. */
const SAME_BEGINNING_MICROS = 2_000_000
/** The kernel corrects its sums by less than this; a larger fall means that something went. In seconds of CPU. */
const CORRECTION_SECONDS = 3

const SECOND = 1_000_000

/** What is asked of the rows: columns by name. */
export interface Measures {
  readonly counters: ReadonlyArray<string>
  readonly gauges: ReadonlyArray<string>
}

/** A count for each group; undefined where all are 0, as mostly. */
export type Counts = Uint16Array | undefined

/** One scrape, measured: a value for each of its groups. NaN is "not known". */
export interface Measured {
  readonly at: number
  /** Where the time that this scrape covers begins, epoch microseconds; NaN for the first scrape and after a gap. */
  readonly coveredFrom: number
  /** The ids of its groups, each once; `[0]` for an exporter without groups. */
  readonly groups: Int32Array
  /** Per counter: the increase since the row that it is compared with. */
  readonly increases: ReadonlyArray<Float64Array>
  /** Per counter: the increase per second of the time it was made in. */
  readonly rates: ReadonlyArray<Float64Array>
  /** Per counter: how many of the group's series restarted, were cut, or have an increase that nobody knows. */
  readonly resets: ReadonlyArray<Counts>
  readonly clamped: ReadonlyArray<Counts>
  readonly unknown: ReadonlyArray<Counts>
  /** Per gauge: the sum over the group's series. */
  readonly gauges: ReadonlyArray<Float64Array>
  /** Of an exporter without groups: where the time of the increases begins, epoch microseconds; NaN where there is none. */
  readonly start: number
  /** Of an exporter without groups: how long CPU can have been used in that time, in seconds. */
  readonly usable: number
}

/** Which scrapes to measure, and what must be known beside them. */
export interface Measuring {
  /** Epoch microseconds: those of (after, upto]. */
  readonly after: number
  readonly upto: number
  /** The host's cores; undefined where nothing tells them. */
  readonly cores: Cores | undefined
  /** Whether the row of a series at a moment is its first since its counters began; undefined: no row is. */
  readonly isFirst: ((at: number, series: number | string) => boolean) | undefined
  /** The rows that count: those with this value of a label. By default all do. */
  readonly only?: RowFilter | undefined
}

/** The rule for one exporter and some of its columns. */
export interface Measurer {
  /** The columns that scrapes must carry, in this order. */
  readonly columns: ReadonlyArray<string>
  readonly measure: (scrapes: ReadonlyArray<Scrape>, measuring: Measuring) => ReadonlyArray<Measured>
  /** How far before a scrape those lie that can change what it measures, microseconds: at most {@link lookbackOf}. */
  readonly lookback: number
  /** Whether all of `lookback` is needed whatever the scrapes say: a fall that came before them counts. */
  readonly looksBackAlways: boolean
  /** Whether measuring these scrapes takes more than the one before them: a series is missing in it, or a clock was set. */
  readonly looksFurther: (scrapes: ReadonlyArray<Scrape>, after: number) => boolean
}

export const staleMicros = (exporter: Exporter): number => Duration.toMillis(exporter.table.staleAfter) * 1_000

/** How far before a scrape those lie that can change what it measures: the row before, and the fall before that. */
export const lookbackOf = (exporter: Exporter): number => 2 * staleMicros(exporter)

/** Whether a column is CPU time of the host, which cannot grow faster than its cores. */
export const isHostCpu = (exporter: Exporter, column: string): boolean => {
  const { host, top } = exporter
  if (host !== undefined) {
    return [...host.cpuBusy, ...Object.values(host.cpuWaits ?? {}), host.cpuIdle].some((name) => name === column)
  }
  return Object.values(top?.rankings ?? {}).some(
    (ranking) => ranking.by === "rate" && ranking.share === "cpu" && ranking.column === column
  )
}

/** Every counter of an exporter, and every gauge that adds up. */
export const allMeasures = (exporter: Exporter): Measures => {
  const names = (kind: "counter" | "gauge") =>
    Object.entries(exporter.table.columns)
      .filter(([, column]) => column.kind === kind && !isMoment(column))
      .map(([name]) => name)
  return { counters: names("counter"), gauges: names("gauge") }
}

/** The key of a series: the id of its only label, else its ids together. */
export const seriesKey = (labels: ReadonlyArray<number>): number | string =>
  labels.length === 1 ? labels[0]! : labels.length === 0 ? 0 : labels.join(" ")

// -- how two rows are compared

/** A row by its place. */
interface Place {
  readonly scrape: Scrape
  readonly row: number
}

/** What is remembered of a series while its rows are read in order of time. */
interface Series {
  scrape: Scrape
  row: number
  /** Falls for an unknown reason: which counter, what it had reached before, and when it fell. Made when needed. */
  falls: Array<{ readonly counter: number; readonly level: number; readonly at: number }> | undefined
}

/**
 * How a row's counters are to be compared.
 * - `nothing`: there is no row to compare with.
 * - `first`: the group appeared: its counters began at zero and say all.
 * - `restart`: the counters began anew after the row before.
 * - `same`: the beginning is the same, or not known.
 * - `clock`: the beginnings differ though nothing restarted: the clock was set in between.
 */
type Comparison = "nothing" | "first" | "restart" | "same" | "clock"

/** One object for all rows: there are millions of them. */
interface Compared {
  comparison: Comparison
  base: Scrape | undefined
  baseRow: number
  /** Where the time of the increase begins, epoch microseconds. */
  start: number
  /** In seconds: the time that a rate is taken over, and the time that CPU can have been used in. */
  length: number
  usable: number
}

/** Which outcome an increase has beside its value. */
const PLAIN = 0
const RESET = 1
const UNKNOWN = 2

/** One counter among the columns that are read. */
interface CounterPlan {
  readonly index: number
  /** Where the columns are that tell what it is a sum over; none where it is no sum. */
  readonly over: ReadonlyArray<number>
  readonly cpu: boolean
}

export const makeMeasurer = (exporter: Exporter, measures: Measures): Measurer => {
  const declared = exporter.table.columns
  const overOf = (counter: string): ReadonlyArray<string> => {
    const column = declared[counter]
    return column?.kind === "counter" ? (column.over ?? []) : []
  }
  const columns = [...new Set([...measures.counters, ...measures.gauges, ...measures.counters.flatMap(overOf)])]
  const counters = measures.counters.map(
    (name): CounterPlan => ({
      index: columns.indexOf(name),
      over: overOf(name).map((other) => columns.indexOf(other)),
      cpu: isHostCpu(exporter, name)
    })
  )
  const gauges = measures.gauges.map((name) => columns.indexOf(name))
  const stale = staleMicros(exporter)
  const { beginsAtZero } = exporter.table
  const labelNames = Object.keys(declared).filter((name) => declared[name]?.kind === "label")
  const groupLabel = exporter.top === undefined ? -1 : labelNames.indexOf(exporter.top.per)
  const several = labelNames.length > 1 || (labelNames.length === 1 && groupLabel < 0)
  const remembersFalls = counters.some(({ over }) => over.length > 0)
  const keyOf = (scrape: Scrape, row: number): number | string =>
    scrape.labels.length === 1
      ? scrape.labels[0]![row]!
      : scrape.labels.length === 0
        ? 0
        : seriesKey(scrape.labels.map((ids) => ids[row]!))

  /** The latest row of a series before scrape `n` that began when `since` did and is not stale. */
  const ofBeginning = (
    scrapes: ReadonlyArray<Scrape>,
    n: number,
    key: number | string,
    since: number
  ): Place | undefined => {
    const oldest = scrapes[n]!.at - stale
    for (let before = n - 1; before >= 0 && scrapes[before]!.at >= oldest; before--) {
      const scrape = scrapes[before]!
      const rows = rowsIn(scrape)
      for (let row = 0; row < rows; row++) {
        if (keyOf(scrape, row) !== key) continue
        if (Math.abs(sinceAt(scrape, row) - since) <= SAME_BEGINNING_MICROS) return { scrape, row }
      }
    }
    return undefined
  }

  const compared: Compared = { comparison: "nothing", base: undefined, baseRow: 0, start: 0, length: 0, usable: 0 }

  const set = (
    comparison: Comparison,
    base: Scrape | undefined,
    baseRow: number,
    start: number,
    seconds: number
  ): void => {
    compared.comparison = comparison
    compared.base = base
    compared.baseRow = baseRow
    compared.start = start
    compared.length = seconds
    compared.usable = seconds
  }

  /** Decides what a row is compared with, into `compared`. */
  const compare = (
    scrapes: ReadonlyArray<Scrape>,
    n: number,
    row: number,
    key: number | string,
    before: Series | undefined,
    isFirst: Measuring["isFirst"]
  ): void => {
    const scrape = scrapes[n]!
    const { at } = scrape
    const since = sinceAt(scrape, row)
    const previous = scrapes[n - 1]
    if (before === undefined || at - before.scrape.at > stale) {
      const appeared =
        beginsAtZero &&
        isFirst !== undefined &&
        previous !== undefined &&
        at - previous.at <= stale &&
        since <= previous.at &&
        isFirst(at, key)
      if (appeared) set("first", undefined, 0, previous.at, (at - previous.at) / SECOND)
      else set("nothing", undefined, 0, Number.NaN, 0)
      return
    }
    const base = before.scrape
    const begun = sinceAt(base, before.row)
    set("same", base, before.row, base.at, (at - base.at) / SECOND)
    // Comparisons with NaN are false: an unknown beginning is neither a restart nor another one.
    if (since > base.at && isKnown(begun) && !isSameAhead(since, begun, base.at)) {
      compared.comparison = "restart"
      // A beginning after the row itself is by another clock: how long the counters have existed is not known.
      if (since <= at) compared.usable = Math.min(compared.usable, (at - since) / SECOND)
    } else if (Math.abs(since - begun) > SAME_BEGINNING_MICROS) {
      compared.comparison = "clock"
      const own = ofBeginning(scrapes, n, key, since)
      if (own === undefined) return
      // Two clocks overlap: together they cannot have used more than the time since the scrape before.
      const start = previous?.at ?? own.scrape.at
      set("clock", own.scrape, own.row, start, (at - own.scrape.at) / SECOND)
      compared.usable = (at - start) / SECOND
    }
  }

  // What `increaseOf` found beside the increase: a field instead of an object for each row and counter.
  let outcome = PLAIN

  const isOtherSum = (plan: CounterPlan, base: Scrape, baseRow: number, scrape: Scrape, row: number): boolean => {
    for (const index of plan.over) {
      const was = base.values[index]![baseRow]!
      const is = scrape.values[index]![row]!
      if (was !== is && isKnown(was) && isKnown(is)) return true
    }
    return false
  }

  /** The increase of one counter of the row that was compared, and `outcome`. */
  const increaseOf = (series: Series | undefined, n: number, scrape: Scrape, row: number): number => {
    outcome = PLAIN
    const plan = counters[n]!
    const value = scrape.values[plan.index]![row]!
    const { base, baseRow, comparison } = compared
    if (comparison === "first") return value
    if (base === undefined || series === undefined) return Number.NaN
    const before = base.values[plan.index]![baseRow]!
    if (comparison === "restart") forgetFalls(series, n)
    if (!isKnown(value)) return Number.NaN
    const isSum = plan.over.length > 0
    const hasReturned = series.falls !== undefined && cameBack(series, n, value, scrape.at)
    if (!isKnown(before)) return Number.NaN
    if (comparison === "restart") return reset(series, n, value)
    if (isSum && isOtherSum(plan, base, baseRow, scrape, row)) return unknown()
    if (comparison === "clock") return value < before ? unknown() : value - before
    if (value >= before) return hasReturned ? unknown() : value - before
    if (isSum && plan.cpu && before - value < CORRECTION_SECONDS) return 0
    const told = isKnown(sinceAt(scrape, row)) && isKnown(sinceAt(base, baseRow))
    if (!isSum || !told) return reset(series, n, value)
    series.falls = [...(series.falls ?? []), { counter: n, level: before, at: scrape.at }]
    return unknown()
  }

  const reset = (series: Series, n: number, value: number): number => {
    outcome = RESET
    forgetFalls(series, n)
    return value
  }

  const forgetFalls = (series: Series, n: number): void => {
    series.falls = series.falls?.filter((fall) => fall.counter !== n)
  }

  const unknown = (): number => {
    outcome = UNKNOWN
    return Number.NaN
  }

  /**
   * Whether a sum is back where it was before it fell: what went has returned, and nobody used that CPU. Once it is, by
   * whatever step, the fall is forgotten.
   */
  const cameBack = (series: Series, n: number, value: number, at: number): boolean => {
    const recent = (series.falls ?? []).filter((fall) => at - fall.at <= stale)
    const left = recent.filter((fall) => fall.counter !== n || value < fall.level)
    series.falls = left.length === 0 ? undefined : left
    return left.length < recent.length
  }

  const measure = (
    scrapes: ReadonlyArray<Scrape>,
    { after, cores, isFirst, only, upto }: Measuring
  ): ReadonlyArray<Measured> => {
    const known = new Map<number | string, Series>()
    const result: Array<Measured> = []
    const slab = new NumberSlab()
    /** Those of the rows of the scrape before, and of this one. */
    let before: Array<Series> = []
    let own: Array<Series> = []
    for (const [n, scrape] of scrapes.entries()) {
      if (scrape.at > upto) break
      const wanted = scrape.at > after
      const rows = rowsIn(scrape)
      const previous = scrapes[n - 1]
      const measured = wanted ? emptyMeasured(scrape, previous, rows, slab) : undefined
      own.length = rows
      for (let row = 0; row < rows; row++) {
        const key = keyOf(scrape, row)
        // Mostly the series come in the same order.
        const isNext = row < before.length && keyOf(previous!, row) === key
        const series = isNext ? before[row] : known.get(key)
        if (measured !== undefined || remembersFalls) {
          compare(scrapes, n, row, key, series, isFirst)
          if (measured !== undefined) fill(measured, series, scrape, row, cores, slab)
          else for (let c = 0; c < counters.length; c++) increaseOf(series, c, scrape, row)
        }
        if (series === undefined) {
          const first: Series = { scrape, row, falls: undefined }
          known.set(key, first)
          own[row] = first
        } else {
          series.scrape = scrape
          series.row = row
          own[row] = series
        }
      }
      ;[before, own] = [own, before]
      if (measured !== undefined) result.push(several ? folded(measured, scrape, only) : measured)
    }
    return result
  }

  const emptyMeasured = (scrape: Scrape, previous: Scrape | undefined, rows: number, slab: NumberSlab) => {
    const numbers = () => counters.map(() => slab.float64(rows).fill(Number.NaN))
    const counts = () => counters.map((): Counts => undefined)
    return {
      at: scrape.at,
      coveredFrom: previous !== undefined && scrape.at - previous.at <= stale ? previous.at : Number.NaN,
      groups: groupLabel < 0 ? new Int32Array(rows) : scrape.labels[groupLabel]!,
      increases: numbers(),
      rates: numbers(),
      resets: counts(),
      clamped: counts(),
      unknown: counts(),
      gauges: gauges.map((index) => scrape.values[index]!),
      start: Number.NaN,
      usable: 0
    }
  }

  const fill = (
    measured: ReturnType<typeof emptyMeasured>,
    series: Series | undefined,
    scrape: Scrape,
    row: number,
    cores: Cores | undefined,
    slab: NumberSlab
  ): void => {
    measured.start = compared.start
    measured.usable = compared.usable
    if (compared.comparison === "nothing") return
    for (let c = 0; c < counters.length; c++) {
      let increase = increaseOf(series, c, scrape, row)
      if (outcome === UNKNOWN) count(measured.unknown, c, measured.groups.length, row, slab)
      if (!isKnown(increase)) continue
      if (outcome === RESET) count(measured.resets, c, measured.groups.length, row, slab)
      if (counters[c]!.cpu && cores !== undefined) {
        const limit = cores.at(scrape.at) * CLAMP_SLACK * compared.usable
        if (increase > limit) {
          increase = limit
          count(measured.clamped, c, measured.groups.length, row, slab)
        }
      }
      measured.increases[c]![row] = increase
      measured.rates[c]![row] = compared.length > 0 ? increase / compared.length : 0
    }
  }

  /** The series of each group added up, those that count. */
  const folded = (
    measured: ReturnType<typeof emptyMeasured>,
    scrape: Scrape,
    only: RowFilter | undefined
  ): Measured => {
    const slots = new Map<number, number>()
    const ids = groupLabel < 0 ? undefined : scrape.labels[groupLabel]!
    const others = only === undefined ? undefined : scrape.labels[labelNames.indexOf(only.label)]!
    const slotOf = Array.from(measured.groups, (_, row) => {
      if (others !== undefined && others[row] !== only!.id) return LEFT_OUT
      const group = ids === undefined ? 0 : ids[row]!
      const slot = slots.get(group) ?? slots.size
      slots.set(group, slot)
      return slot
    })
    return sumGroups(measured, slotOf, Int32Array.from(slots.keys()))
  }

  const looksFurther = (scrapes: ReadonlyArray<Scrape>, after: number): boolean => {
    if (remembersFalls) return true
    for (const [n, scrape] of scrapes.entries()) {
      if (scrape.at <= after) continue
      const before = scrapes[n - 1]
      // Nothing before it: the caller knows whether there is more to read.
      if (before === undefined) return true
      const rows = rowsIn(scrape)
      const rowsBefore = rowsIn(before)
      let places: Map<number | string, number> | undefined
      for (let row = 0; row < rows; row++) {
        const key = keyOf(scrape, row)
        // Mostly the series come in the same order.
        let place = row < rowsBefore && keyOf(before, row) === key ? row : undefined
        if (place === undefined) {
          places ??= new Map(Array.from({ length: rowsBefore }, (_, other) => [keyOf(before, other), other]))
          place = places.get(key)
        }
        if (place === undefined) return true
        if (Math.abs(sinceAt(scrape, row) - sinceAt(before, place)) > SAME_BEGINNING_MICROS) return true
      }
    }
    return false
  }

  return {
    columns,
    measure,
    lookback: remembersFalls ? lookbackOf(exporter) : stale,
    looksBackAlways: remembersFalls,
    looksFurther
  }
}

/** Whether a row and the one before tell the same beginning though it is after both: a clock that is ahead dates beginnings. */
const isSameAhead = (since: number, begun: number, before: number): boolean =>
  begun > before && Math.abs(since - begun) <= SAME_BEGINNING_MICROS

const count = (counts: Array<Counts>, counter: number, rows: number, row: number, slab: NumberSlab): void => {
  const own = counts[counter] ?? slab.uint16(rows)
  own[row] = 1
  counts[counter] = own
}

/** NaN is what is not known. */
const isKnown = (value: number): boolean => !Number.isNaN(value)

/** The place of a row that does not count. */
const LEFT_OUT = -1

/**
 * A scrape with fewer groups: the values of each row are added to those of the group whose place `slotOf` gives; those whose place is
 * {@link LEFT_OUT} are not.
 */
export const sumGroups = (measured: Measured, slotOf: ArrayLike<number>, groups: Int32Array): Measured => {
  const sums = (of: ReadonlyArray<Float64Array>) => of.map((values) => summed(values, slotOf, groups.length))
  const totals = (of: ReadonlyArray<Counts>) =>
    of.map((values): Counts => {
      if (values === undefined) return undefined
      const total = new Uint16Array(groups.length)
      for (let row = 0; row < values.length; row++) if (slotOf[row]! >= 0) total[slotOf[row]!]! += values[row]!
      return total
    })
  return {
    at: measured.at,
    coveredFrom: measured.coveredFrom,
    groups,
    increases: sums(measured.increases),
    rates: sums(measured.rates),
    resets: totals(measured.resets),
    clamped: totals(measured.clamped),
    unknown: totals(measured.unknown),
    gauges: sums(measured.gauges),
    start: Number.NaN,
    usable: 0
  }
}

/** The sum of what is known of each slot; NaN where nothing is. */
const summed = (values: Float64Array, slotOf: ArrayLike<number>, slots: number): Float64Array => {
  const sums = new Float64Array(slots).fill(Number.NaN)
  for (let row = 0; row < values.length; row++) {
    const value = values[row]!
    const slot = slotOf[row]!
    if (slot < 0 || !isKnown(value)) continue
    const sum = sums[slot]!
    sums[slot] = isKnown(sum) ? sum + value : value
  }
  return sums
}
