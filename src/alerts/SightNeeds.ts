/** Which columns rules ask for, and for how long: what a sight has to keep. Pure. */
import type { Metric, Rule } from "./Rule.ts"

/** For how long columns are asked for until the latest scrape, microseconds; 0: of that one only. Others are not asked for. */
export interface SightNeeds {
  readonly counters: ReadonlyMap<string, number>
  readonly gauges: ReadonlyMap<string, number>
  readonly restarts: boolean
}

interface Needs extends SightNeeds {
  readonly counters: Map<string, number>
  readonly gauges: Map<string, number>
}

/** What rules ask of their own exporter. `presence` is the gauge whose 0 says that a group is gone, where there is one. */
export const needsOf = (
  rules: ReadonlyArray<Rule>,
  metrics: ReadonlyMap<string, Metric>,
  presence: string | undefined
): SightNeeds => {
  const needs = { ...nothing(), restarts: rules.some(({ condition }) => condition.kind === "restarts") }
  for (const { condition, over } of rules) {
    if (condition.kind === "absent" && presence !== undefined) need(needs.gauges, presence, 0)
    if (condition.kind !== "value") continue
    const metric = metrics.get(condition.metric)
    const asked = metric?.by === "unaccounted" ? cpuIn(metrics) : metric
    if (asked !== undefined) needMetric(needs, asked, over)
  }
  return needs
}

/** What rules about groups ask of the host beside. */
export const hostNeedsOf = (rules: ReadonlyArray<Rule>, metrics: ReadonlyMap<string, Metric>): SightNeeds => {
  const needs = nothing()
  for (const { onlyWhile, over } of rules) {
    const metric = onlyWhile === undefined ? undefined : metrics.get(onlyWhile.metric)
    if (metric !== undefined) needMetric(needs, metric, over)
  }
  return needs
}

/** The metric that says how much CPU groups use. */
export const cpuIn = (metrics: ReadonlyMap<string, Metric>): Metric | undefined =>
  [...metrics.values()].find(({ by, share }) => by === "rate" && share === "cpu")

const nothing = (): Needs => ({ counters: new Map(), gauges: new Map(), restarts: false })

const needMetric = ({ counters, gauges }: Needs, { by, columns, less, partOf }: Metric, over: number): void => {
  for (const column of columns) need(by === "rate" ? counters : gauges, column, over)
  for (const column of [less, partOf]) if (column !== undefined) need(gauges, column, over)
}

/** Milliseconds, as rules have them. */
const need = (columns: Map<string, number>, column: string, over: number): void => {
  columns.set(column, Math.max(columns.get(column) ?? 0, over * 1_000))
}
