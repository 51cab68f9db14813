/**
 * What counters grew by, row by row: the part of the reference computation (`Truth.ts`) that knows about restarts, clocks that
 * are set, sums over things that come and go, groups that appear, and what a machine can do at most.
 *
 * As slow and obvious as the rest of it: each row is judged by itself, from all rows of its server and exporter.
 */
import { Duration } from "effect"
import type { Exporter } from "../src/plugins/Exporter.ts"
import type { Snapshot } from "../src/plugins/Snapshot.ts"

export const SECOND = 1_000_000
/** Beginnings that differ by no more are the same: they are derived from a clock. */
const SAME_BEGINNING = 2 * SECOND
/** The kernel takes back some CPU time now and then: what falls by less has not fallen. */
const TAKEN_BACK_SECONDS = 3
/** How much faster than its cores a host may seem to work: clocks are not exact. */
const ALLOWANCE = 1.05

/** The distinct rows of one exporter and server, oldest first. */
export interface Seen {
  readonly exporter: Exporter
  readonly rows: ReadonlyArray<Snapshot>
  /** When scrapes were taken. */
  readonly times: ReadonlyArray<number>
  /** The rows of each series, oldest first. */
  readonly series: ReadonlyMap<string, ReadonlyArray<Snapshot>>
}

/** What one row says about one counter of its series. */
export interface Step {
  readonly row: Snapshot
  /** Since when the increase has been going on. */
  readonly begin: number
  readonly at: number
  /** What the increase is divided by to make a rate. */
  readonly seconds: number
  /** The time over which a CPU counter can have grown. */
  readonly limitSeconds: number
  /** Null where it grew by nobody knows what. */
  readonly increase: number | null
  readonly reset: boolean
  readonly clamped: boolean
}

/** Of rows with one natural key the first counts. */
export const seenOf = (rows: ReadonlyArray<Snapshot>, exporter: Exporter, serverId: string): Seen => {
  const distinct = new Map<string, Snapshot>()
  for (const row of rows) {
    if (row.exporter !== exporter.name || row.serverId !== serverId) continue
    const key = JSON.stringify([row.timestamp, seriesOf(exporter, row)])
    if (!distinct.has(key)) distinct.set(key, row)
  }
  const sorted = [...distinct.values()].sort((a, b) => a.timestamp - b.timestamp)
  return {
    exporter,
    rows: sorted,
    times: [...new Set(sorted.map((row) => row.timestamp))],
    series: Map.groupBy(sorted, (row) => seriesOf(exporter, row))
  }
}

/** What every row of every series says about a counter, oldest first; rows that say nothing are left out. */
export const stepsOf = (seen: Seen, column: string, coresAt: (at: number) => number | null): ReadonlyArray<Step> =>
  [...seen.series.values()]
    .flatMap((series) => series.map((_, n) => stepOf(seen, series, n, column)))
    .filter((step) => step !== undefined)
    .map((step) => limited(step, isCpu(seen.exporter, column) ? coresAt(step.at) : null))
    .sort((a, b) => a.at - b.at)

/** A CPU counter cannot have grown faster than all cores together. */
const limited = (step: Step, cores: number | null): Step => {
  if (step.increase === null || cores === null) return step
  const most = mostBusy(step, cores)
  return step.increase > most ? { ...step, increase: most, clamped: true } : step
}

export const mostBusy = (step: Step, cores: number): number => cores * ALLOWANCE * step.limitSeconds

/** What the n-th row of a series says about a counter, whatever the machine could do. */
const stepOf = (seen: Seen, series: ReadonlyArray<Snapshot>, n: number, column: string): Step | undefined => {
  const { exporter } = seen
  const q = series[n]!
  const p = series[n - 1]
  const value = valueOf(exporter, q, column)
  if (value === null) return undefined

  // Not seen before, or not for long: only what begins at zero says what it has used since.
  if (p === undefined || q.timestamp - p.timestamp > staleAfter(exporter)) {
    const scrape = scrapeBefore(seen, q)
    if (scrape === undefined || !appears(seen, series, q, scrape)) return undefined
    return { ...spanning(q, scrape), increase: value }
  }

  const whole = spanning(q, p.timestamp)
  const valueBefore = valueOf(exporter, p, column)
  if (restarted(p, q)) {
    if (valueBefore === null) return undefined
    const existed = (q.timestamp - q.countersSince!) / SECOND
    const limitSeconds = existed < 0 ? whole.limitSeconds : Math.min(whole.limitSeconds, existed)
    return { ...whole, limitSeconds, increase: value, reset: true }
  }
  if (clockWasSet(p, q)) {
    const own = series
      .slice(0, n)
      .findLast((row) => sameBeginning(row, q) && q.timestamp - row.timestamp <= staleAfter(exporter))
    const base = own ?? p
    const from = valueOf(exporter, base, column)
    if (from === null) return undefined
    const increase = value < from || overChanged(exporter, base, q, column) ? null : value - from
    if (own === undefined) return { ...whole, increase }
    const scrape = scrapeBefore(seen, q)!
    const { begin, limitSeconds } = spanning(q, scrape)
    return { ...spanning(q, own.timestamp), begin, limitSeconds, increase }
  }

  if (valueBefore === null) return undefined
  if (overChanged(exporter, p, q, column)) return { ...whole, increase: null }
  if (value >= valueBefore) {
    return { ...whole, increase: cameBack(exporter, series, n, column) ? null : value - valueBefore }
  }
  if (takenBack(exporter, p, q, column)) return { ...whole, increase: 0 }
  if (fellUnknown(exporter, p, q, column)) return { ...whole, increase: null }
  return { ...whole, increase: value, reset: true }
}

const spanning = (q: Snapshot, begin: number): Omit<Step, "increase"> => {
  const seconds = (q.timestamp - begin) / SECOND
  return { row: q, begin, at: q.timestamp, seconds, limitSeconds: seconds, reset: false, clamped: false }
}

/** The server's latest scrape by this exporter before a row. */
const scrapeBefore = (seen: Seen, q: Snapshot): number | undefined => seen.times.findLast((at) => at < q.timestamp)

/**
 * Whether a row is the first of its series since its counters began, and these began before we looked the last time. Any row
 * from then on is an earlier one, whether or not it says when its counters began.
 */
const appears = (seen: Seen, series: ReadonlyArray<Snapshot>, q: Snapshot, scrape: number): boolean =>
  seen.exporter.table.beginsAtZero &&
  q.countersSince !== null &&
  q.timestamp - scrape <= staleAfter(seen.exporter) &&
  q.countersSince <= scrape &&
  !series.some(({ timestamp }) => timestamp >= q.countersSince! && timestamp < q.timestamp)

const beginningsKnown = (p: Snapshot, q: Snapshot): boolean => p.countersSince !== null && q.countersSince !== null

/** The clock that dates beginnings may be ahead of the one that dates rows: then p tells the same beginning, after itself. */
const restarted = (p: Snapshot, q: Snapshot): boolean =>
  beginningsKnown(p, q) && q.countersSince! > p.timestamp && !(sameBeginning(p, q) && p.countersSince! > p.timestamp)

const sameBeginning = (p: Snapshot, q: Snapshot): boolean =>
  beginningsKnown(p, q) && Math.abs(q.countersSince! - p.countersSince!) <= SAME_BEGINNING

const clockWasSet = (p: Snapshot, q: Snapshot): boolean => beginningsKnown(p, q) && !sameBeginning(p, q)

const overOf = (exporter: Exporter, column: string): ReadonlyArray<string> | undefined => {
  const declared = exporter.table.columns[column]!
  return declared.kind === "counter" ? declared.over : undefined
}

/** Whether a sum is over other things than before, as far as both rows tell. */
const overChanged = (exporter: Exporter, p: Snapshot, q: Snapshot, column: string): boolean =>
  (overOf(exporter, column) ?? []).some((what) => {
    const before = valueOf(exporter, p, what)
    const after = valueOf(exporter, q, what)
    return before !== null && after !== null && before !== after
  })

/** Whether a sum of CPU time fell by so little that the kernel has corrected itself. */
const takenBack = (exporter: Exporter, p: Snapshot, q: Snapshot, column: string): boolean =>
  overOf(exporter, column) !== undefined &&
  isCpu(exporter, column) &&
  valueOf(exporter, p, column)! - valueOf(exporter, q, column)! < TAKEN_BACK_SECONDS

/** Whether a sum fell though it did not begin anew: something that it counted has gone. */
const fellUnknown = (exporter: Exporter, p: Snapshot, q: Snapshot, column: string): boolean => {
  const before = valueOf(exporter, p, column)
  const after = valueOf(exporter, q, column)
  return (
    overOf(exporter, column) !== undefined &&
    beginningsKnown(p, q) &&
    before !== null &&
    after !== null &&
    after < before &&
    !takenBack(exporter, p, q, column)
  )
}

/**
 * Whether a sum that grew is where it was before something went: what had gone is back, with all that it had counted. So it
 * is where the sum fell from a level within `staleAfter`, has been below it ever since, has not begun anew since, and
 * reaches it with this row.
 */
const cameBack = (exporter: Exporter, series: ReadonlyArray<Snapshot>, n: number, column: string): boolean => {
  if (overOf(exporter, column) === undefined) return false
  const q = series[n]!
  const value = valueOf(exporter, q, column)!
  for (let m = n - 1; m > 0; m--) {
    const r = series[m]!
    const before = series[m - 1]!
    if (q.timestamp - r.timestamp > staleAfter(exporter)) return false
    if (beganAnew(exporter, before, r, column)) return false
    if (r.timestamp - before.timestamp > staleAfter(exporter) || clockWasSet(before, r)) continue
    if (overChanged(exporter, before, r, column) || !fellUnknown(exporter, before, r, column)) continue
    const level = valueOf(exporter, before, column)!
    const between = series.slice(m, n).map((row) => valueOf(exporter, row, column))
    if (value >= level && between.every((known) => known === null || known < level)) return true
  }
  return false
}

const beganAnew = (exporter: Exporter, p: Snapshot, q: Snapshot, column: string): boolean => {
  if (restarted(p, q)) return true
  const before = valueOf(exporter, p, column)
  const after = valueOf(exporter, q, column)
  return (
    !beginningsKnown(p, q) &&
    before !== null &&
    after !== null &&
    after < before &&
    !overChanged(exporter, p, q, column) &&
    !takenBack(exporter, p, q, column)
  )
}

const isHostCpu = ({ host }: Exporter, column: string): boolean =>
  host !== undefined &&
  (host.cpuIdle === column || [...host.cpuBusy, ...Object.values(host.cpuWaits ?? {})].some((busy) => busy === column))

/** Whether a counter is CPU time of the host, or a share of it. */
const isCpu = (exporter: Exporter, column: string): boolean =>
  isHostCpu(exporter, column) ||
  Object.values(exporter.top?.rankings ?? {}).some(
    (ranking) => ranking.by === "rate" && ranking.share === "cpu" && ranking.column === column
  )

export const staleAfter = (exporter: Exporter): number => Duration.toMillis(exporter.table.staleAfter) * 1_000

export const valueOf = (exporter: Exporter, row: Snapshot, column: string): number | null =>
  row.values[indexOf(exporter, column)] as number | null

export const labelOf = (exporter: Exporter, row: Snapshot, column: string): string =>
  row.values[indexOf(exporter, column)] as string

const indexOf = (exporter: Exporter, column: string): number => {
  let index = 0
  for (const name in exporter.table.columns) {
    if (name === column) return index
    index++
  }
  return -1
}

/** All labels together. */
const seriesOf = (exporter: Exporter, row: Snapshot): string =>
  JSON.stringify(
    Object.entries(exporter.table.columns)
      .filter(([, column]) => column.kind === "label")
      .map(([name]) => labelOf(exporter, row, name))
  )
