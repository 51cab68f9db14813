/**
 * What the host's rows say beside the groups: how many cores there were when, how much CPU was busy between two scrapes,
 * and which part of that lies in time that another exporter covered (docs/numbers.md). Pure.
 */
import type { Exporter } from "../plugins/Exporter.ts"
import type { Scrape } from "../sinks/storage/Scrape.ts"
import { CLAMP_SLACK, type Measured, type Measures } from "./Increases.ts"

const SECOND = 1_000_000

// -- cores

/** How many cores the host had at a moment. */
export interface Cores {
  /** Those of its latest row until then, else of the first one after; infinity where no row tells. */
  readonly at: (micros: number) => number
}

export interface CoresAt {
  readonly at: number
  readonly cores: number
}

/** From what is known, in order of time. */
export const makeCores = (known: ReadonlyArray<CoresAt>): Cores => {
  if (known.length === 0) return { at: () => Number.POSITIVE_INFINITY }
  let last = 0
  return {
    at: (micros) => {
      // Questions come in order of time, mostly.
      if (known[last]!.at > micros) last = 0
      while (last + 1 < known.length && known[last + 1]!.at <= micros) last++
      return known[last]!.cores
    }
  }
}

/** What scrapes of the host tell of its cores; `column` is where they stand among the values. */
export const coresIn = (scrapes: ReadonlyArray<Scrape>, column: number): ReadonlyArray<CoresAt> =>
  scrapes.flatMap(({ at, values }) => {
    const cores = values[column]![0]!
    return Number.isNaN(cores) ? [] : [{ at, cores }]
  })

// -- busy CPU

/** The columns that tell the host's busy CPU. */
export const busyMeasures = (host: Exporter): Measures => ({ counters: host.host!.cpuBusy, gauges: [] })

/** What the host did between two of its scrapes. */
export interface HostStep {
  /** Epoch microseconds. The step belongs to its right end. */
  readonly from: number
  readonly to: number
  /** Core-seconds; NaN where nobody knows. */
  readonly busy: number
  /** Whether a sum of it fell or leapt for a reason that nobody knows. */
  readonly unknown: boolean
}

/** The steps that measured scrapes of the host make; `counters` are the places of the busy ones among its counters. */
export const hostSteps = (
  measured: ReadonlyArray<Measured>,
  counters: ReadonlyArray<number>,
  cores: Cores | undefined
): ReadonlyArray<HostStep> =>
  measured.flatMap((scrape): ReadonlyArray<HostStep> => {
    const from = scrape.start
    if (counters.length === 0 || Number.isNaN(from)) return []
    const unknown = counters.some((c) => (scrape.unknown[c]?.[0] ?? 0) > 0)
    const step = { from, to: scrape.at, unknown }
    if (unknown) return [{ ...step, busy: Number.NaN }]
    const known = counters.map((c) => scrape.increases[c]![0]!).filter((increase) => !Number.isNaN(increase))
    if (known.length === 0) return []
    const limit = cores === undefined ? Number.POSITIVE_INFINITY : cores.at(scrape.at) * CLAMP_SLACK
    const busy = known.reduce((sum, increase) => sum + increase, 0)
    return [{ ...step, busy: Math.min(busy, limit * scrape.usable) }]
  })

// -- what both saw

/** A stretch of time, epoch microseconds. */
interface Span {
  readonly from: number
  readonly to: number
}

/** The time between successive scrapes, gaps left out; `times` in order. */
export const coveredSpans = (times: ArrayLike<number>, stale: number): ReadonlyArray<Span> => {
  const spans: Array<{ from: number; to: number }> = []
  for (let n = 1; n < times.length; n++) {
    const from = times[n - 1]!
    const to = times[n]!
    if (to - from > stale) continue
    const last = spans.at(-1)
    if (last?.to === from) last.to = to
    else spans.push({ from, to })
  }
  return spans
}

/** The host's busy CPU in the time that somebody else covered. Sums of it add up. */
export interface Common {
  /** Core-seconds: each step counts by the share of it that was covered. */
  busy: number
  /** How long both saw, in seconds. */
  seconds: number
  /** Steps that nobody knows, covered or not. */
  unknown: number
}

export const nothingCommon = (): Common => ({ busy: 0, seconds: 0, unknown: 0 })

/** Adds to `sum` the steps whose right end is in (after, upto]. */
export const addCommon = (
  sum: Common,
  steps: ReadonlyArray<HostStep>,
  spans: ReadonlyArray<Span>,
  after: number,
  upto: number
): void => {
  let first = 0
  for (const step of steps) {
    if (step.to <= after || step.to > upto) continue
    if (step.unknown) sum.unknown++
    if (Number.isNaN(step.busy) || step.to <= step.from) continue
    // Steps may overlap where a clock was set back: then the search begins anew.
    if (first > 0 && spans[first - 1]!.to > step.from) first = 0
    while (first < spans.length && spans[first]!.to <= step.from) first++
    let covered = 0
    for (let n = first; n < spans.length && spans[n]!.from < step.to; n++) {
      covered += Math.min(step.to, spans[n]!.to) - Math.max(step.from, spans[n]!.from)
    }
    sum.busy += (step.busy * covered) / (step.to - step.from)
    sum.seconds += covered / SECOND
  }
}
