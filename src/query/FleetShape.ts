/**
 * What is asked of a fleet over a span of time: which window, in which steps, and how each ranking adds up over it. Pure. What
 * the numbers mean is in `docs/numbers.md` ("Processes of the fleet").
 */
import { rankingsFor } from "../plugins/Catalog.ts"
import type { Exporter } from "../plugins/Exporter.ts"
import { rankingFields } from "../plugins/TopQuery.ts"
import { FINE, LEVELS } from "../sinks/rollups/RollupTables.ts"
import type { Measures } from "./Increases.ts"
import type { Window } from "./Rankings.ts"
import { type Steps, stepsOf } from "./StepSums.ts"
import { ROWS_ONLY_MICROS } from "./WindowPlan.ts"

const SECOND = 1_000_000
const HOUR = 3_600 * SECOND

/** Longer windows begin and end where buckets do. */
const EXACT_MAX = HOUR
/** Where shorter ones begin and end, so that all who ask at about the same time ask for the same. */
const TURN = 10 * SECOND

/**
 * The window that is answered where one is asked for. What a fleet did in the odd minutes at both ends of a long one would
 * cost more than all the rest.
 */
export const fleetWindow = ({ from, to }: Window): Window => {
  const turn = to - from > EXACT_MAX ? FINE.seconds * SECOND : TURN
  const end = Math.floor(to / turn) * turn
  return { from: end - Math.max(turn, Math.round((to - from) / turn) * turn), to: end }
}

const WIDTHS = [60, 300, 900, 3_600, 6 * 3_600, 86_400].map((seconds) => seconds * SECOND)
/** How many buckets an answer is made of, of all servers together: some seconds of work at most. */
const BUCKETS_MAX = 40_000

/**
 * The steps of a window, at most so many: as narrow as they can be without more buckets than {@link BUCKETS_MAX}, since of a
 * step only the buckets count that lie in it.
 */
export const fleetSteps = (window: Window, servers: number, most: number): Steps => {
  const length = window.to - window.from
  const fits = (width: number) => {
    const bucket = LEVELS.findLast(({ seconds }) => width % (seconds * SECOND) === 0)
    if (bucket === undefined) return length < ROWS_ONLY_MICROS
    return length / width <= most - 1 && (length / bucket.seconds / SECOND) * servers <= BUCKETS_MAX
  }
  const day = WIDTHS.at(-1)!
  return stepsOf(window, WIDTHS.find(fits) ?? Math.ceil(length / day / (most - 1)) * day)
}

/** A ranking, and where its values stand among the measures. */
export interface FleetRanking {
  readonly key: string
  readonly by: "rate" | "peak"
  readonly n: number
  /** What totals and peaks are multiplied with, to be shown. */
  readonly totalScale: number
  readonly totalUnit: string
  readonly peakScale: number
  readonly peakUnit: string
}

export interface FleetShape {
  readonly measures: Measures
  readonly rankings: ReadonlyArray<FleetRanking>
  /** Among the gauges: whether a group is there. */
  readonly presence: number
  /** Among the rankings: the memory whose growth is told. */
  readonly grows: number
}

const GIB = 1 / (1024 * 1024 * 1024)

/** What the rankings of an answer by a metric are over a fleet and a span of time. */
export const fleetShape = (exporter: Exporter, metric: string): FleetShape => {
  const ranked = rankingsFor(exporter, metric)
  const columns = (by: "rate" | "peak") => [
    ...new Set(ranked.filter(({ ranking }) => ranking.by === by).map(({ ranking }) => ranking.column))
  ]
  const counters = columns("rate")
  const presence = exporter.top?.presence
  const levels = columns("peak")
  const gauges = presence === undefined || levels.includes(presence) ? levels : [...levels, presence]
  const rankings = ranked.map(({ column, key, ranking }): FleetRanking => {
    const { scale, unit } = rankingFields(key, ranking.by, column)
    return {
      key,
      by: ranking.by,
      n: (ranking.by === "rate" ? counters : gauges).indexOf(ranking.column),
      ...totalOf(ranking.by, column.unit, ranking.share),
      peakScale: scale,
      peakUnit: unit
    }
  })
  return {
    measures: { counters, gauges },
    rankings,
    presence: presence === undefined ? -1 : gauges.indexOf(presence),
    grows: ranked.findIndex(({ ranking }) => ranking.by === "peak" && ranking.share === "memory")
  }
}

/** The unit of a total: of a rate what it added up to, of a level how much for how long. */
const totalOf = (by: "rate" | "peak", unit: string | undefined, share: string | undefined) => {
  if (by === "rate") {
    if (unit === "seconds") return { totalScale: 1 / 3_600, totalUnit: share === "cpu" ? "core_hours" : "hours" }
    return unit === "bytes" ? { totalScale: GIB, totalUnit: "gib" } : { totalScale: 1, totalUnit: "" }
  }
  return unit === "bytes"
    ? { totalScale: GIB / 3_600, totalUnit: "gib_hours" }
    : { totalScale: 1 / 3_600, totalUnit: unit === undefined ? "hours" : `${unit}_hours` }
}
