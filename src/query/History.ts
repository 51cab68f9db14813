/**
 * The history of one group, or of an exporter without groups: how wide its steps are, and what their sums say. Pure.
 */
import { Duration } from "effect"
import { rankingsOf } from "../plugins/Catalog.ts"
import { isMoment } from "../plugins/Column.ts"
import type { Exporter } from "../plugins/Exporter.ts"
import { wireName } from "../plugins/Wire.ts"
import { FINE, LEVELS } from "../sinks/rollups/RollupTables.ts"
import type { Measures } from "./Increases.ts"
import type { HistoryAnswer, Window } from "./Rankings.ts"
import type { StepSums } from "./StepSums.ts"

const SECOND = 1_000_000

/** Longer windows have steps that roll-ups can answer. */
const FINE_STEPS_MAX = 4 * 3_600 * SECOND

/** Widths of steps that people read well, in seconds; beyond them whole days. */
const WIDTHS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400]

/**
 * The width of a step in microseconds: the smallest one that gives at most `points` steps and holds two scrapes, so that
 * a scrape which comes a little late leaves no gap.
 */
export const stepMicros = (
  exporter: Exporter,
  window: Window,
  points: number,
  /** How far apart the server's scrapes are, microseconds; by default as declared. */
  interval: number = Duration.toMillis(exporter.scrape.interval) * 1_000
): number => {
  const least = (2 * interval) / SECOND
  const fits = (seconds: number) => {
    const step = seconds * SECOND
    if (window.to - window.from > FINE_STEPS_MAX && seconds < FINE.seconds) return false
    return seconds >= least && Math.ceil(window.to / step) - Math.floor(window.from / step) <= Math.max(1, points)
  }
  const width = WIDTHS.find(fits)
  if (width !== undefined) return width * SECOND
  let days = Math.max(1, Math.floor((window.to - window.from) / (86_400 * SECOND) / Math.max(1, points)))
  while (!fits(days * 86_400) && days * 86_400 * SECOND < window.to - window.from) days++
  return days * 86_400 * SECOND
}

/** Which buckets lie within one step each. */
export const usableLevels = (step: number): ReadonlyArray<boolean> =>
  LEVELS.map(({ seconds }) => step % (seconds * SECOND) === 0)

/** The answer: every step of the window, null where nothing was seen. `sums` are those of one group, with these measures. */
export const historyOf = (exporter: Exporter, measures: Measures, window: Window, sums: StepSums): HistoryAnswer => {
  const { columns } = exporter.table
  const series: Record<string, ReadonlyArray<number | null>> = {}
  const scaled = (values: ReadonlyArray<number | null>, scale: number) =>
    values.map((value) => (value === null ? null : value * scale))
  const nullable = (name: string) => {
    const column = columns[name]!
    return column.kind !== "label" && column.nullable
  }

  const ranked = new Set<string>()
  for (const {
    fields: { now, peak, scale },
    ranking: { by, column }
  } of rankingsOf(exporter)) {
    ranked.add(column)
    if (by === "rate") {
      const counter = measures.counters.indexOf(column)
      series[now] = scaled(sums.rates(0, counter, nullable(column)), scale)
      series[peak] = scaled(sums.peakRates(0, counter, nullable(column)), scale)
    } else {
      const gauge = measures.gauges.indexOf(column)
      series[now] = scaled(sums.levels(0, gauge), scale)
      series[peak] = scaled(sums.peakLevels(0, gauge), scale)
    }
  }
  for (const [name, column] of Object.entries(columns)) {
    if (ranked.has(name) || isMoment(column)) continue
    if (column.kind === "gauge") series[wireName(name, column)] = sums.levels(0, measures.gauges.indexOf(name))
    if (column.kind === "counter") {
      const field = rateField(wireName(name, column))
      series[field] = sums.rates(0, measures.counters.indexOf(name), column.nullable)
    }
  }

  const covered = sums.covered.reduce((sum, seconds) => sum + seconds, 0)
  const { count, first, width } = sums.steps
  return {
    window,
    stepSeconds: width / SECOND,
    coverage: window.to <= window.from ? 0 : Math.min(1, (covered * SECOND) / (window.to - window.from)),
    timestamps: Array.from({ length: count }, (_, n) => Math.min((first + n) * width, window.to)),
    series
  }
}

/** What the rate of a counter that no ranking ranks is called. */
export const rateField = (counter: string): string => `${counter.replace(/_total$/, "")}_per_second`
