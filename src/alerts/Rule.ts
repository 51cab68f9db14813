/**
 * Rules: what is worth telling somebody about, on which servers, of which groups. Pure.
 *
 * A rule asks one question of each server, or of each of its groups, every {@link EVERY_MILLIS}: is a value above or below a
 * threshold, is a group absent, did it restart too often, is the server silent. `Sight.ts` answers it from the stored rows,
 * `AlertState.ts` says what follows.
 */

import { answerFields, rankingsOf } from "../plugins/Catalog.ts"
import type { Exporter } from "../plugins/Exporter.ts"
import type { Asked } from "./Alerts.ts"

/** Rules are asked at the multiples of this since 1970, so that the past can be asked at the same moments. */
export const EVERY_MILLIS = 15_000

export const SEVERITIES = ["info", "warning", "critical"] as const
export type Severity = (typeof SEVERITIES)[number]

/** What a value is a part of: one core, or nothing (`core`), or the whole machine, in percent. */
export type ShareOf = "core" | "machine"

/** What a rule asks. Thresholds are in the unit that the metric is shown in. */
export type Condition =
  | {
      readonly kind: "value"
      readonly metric: string
      readonly side: "above" | "below"
      readonly of: ShareOf
      /** Where it begins to hold, and where a firing alert stops to. */
      readonly threshold: number
      readonly resolve: number
    }
  | { readonly kind: "restarts"; readonly moreThan: number }
  | { readonly kind: "absent" }
  | { readonly kind: "silent" }

export interface Rule {
  readonly name: string
  readonly exporter: string
  readonly resource: string
  /** Patterns of names: `*` stands for any characters, everything else for itself. */
  readonly group: string
  readonly server: string
  readonly condition: Condition
  /** The window that is looked at, which ends with the latest scrape; how long a server may be silent. Milliseconds. */
  readonly over: number
  readonly for: number
  readonly keepFiringFor: number
  readonly severity: Severity
  readonly runbook: string | undefined
  readonly owners: ReadonlyArray<string>
}

/** A number that rules can ask of an exporter: a ranking, or any of its gauges. */
export interface Metric {
  readonly key: string
  readonly by: "rate" | "level"
  readonly column: string
  readonly share: "cpu" | "memory" | undefined
  /** From the stored unit (rates: per second) to the one that is shown. */
  readonly scale: number
  readonly unit: string
}

/** The numbers that rules can ask of an exporter, by their keys. */
export const metricsOf = (exporter: Exporter): ReadonlyMap<string, Metric> => {
  const found = new Map<string, Metric>()
  for (const { fields, key, ranking } of rankingsOf(exporter)) {
    found.set(key, {
      key,
      by: ranking.by === "rate" ? "rate" : "level",
      column: ranking.column,
      share: ranking.share,
      scale: fields.scale,
      unit: fields.unit
    })
  }
  for (const { column, field, unit } of answerFields(exporter)) {
    found.set(field, { key: field, by: "level", column, share: undefined, scale: 1, unit })
  }
  return found
}

/** Whether a name matches a pattern. Linear in both but for their product, which is bounded by their lengths. */
export const matches = (pattern: string, name: string): boolean => {
  const parts = pattern.split("*")
  if (parts.length === 1) return pattern === name
  const [first = "", ...rest] = parts
  const last = rest.pop() ?? ""
  if (name.length < first.length + last.length || !name.startsWith(first) || !name.endsWith(last)) return false
  let from = first.length
  const end = name.length - last.length
  for (const part of rest) {
    const at = name.indexOf(part, from)
    if (at < 0 || at + part.length > end) return false
    from = at + part.length
  }
  return true
}

const UNITS: Readonly<Record<string, string>> = {
  percent: "%",
  mb: "MiB",
  mb_per_second: "MiB/s",
  per_second: "a second"
}

/** A length of time as people say it: 90 s, 5 min, 2 h. */
const lengthText = (millis: number): string => {
  const seconds = millis / 1000
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7200) return `${Math.round(seconds / 6) / 10} min`
  return `${Math.round(seconds / 360) / 10} h`
}

/** The rule as a sentence: "postgres on db-*: cpu above 80 % of the machine, averaged over 1 min, for 5 min". */
export const sentence = (rule: Rule, metrics: ReadonlyMap<string, Metric>): string => {
  const { condition, group, over, server } = rule
  const who = condition.kind === "silent" ? "" : group === "*" ? "any group " : `${group} `
  const where = server === "*" ? "on any server" : `on ${server}`
  const held = rule.for === 0 ? "" : `, for ${lengthText(rule.for)}`
  if (condition.kind === "silent") return `${where}: nothing heard for ${lengthText(over)}`
  if (condition.kind === "absent") return `${who}${where}: absent${held}`
  if (condition.kind === "restarts") {
    const times = condition.moreThan === 1 ? "once" : `${condition.moreThan} times`
    return `${who}${where}: restarted more than ${times} in ${lengthText(over)}`
  }
  const { metric, of, side, threshold } = condition
  const known = metrics.get(metric)
  const unit = of === "machine" ? "% of the machine" : unitText(known)
  return `${who}${where}: ${metric} ${side} ${threshold}${unit === "" ? "" : ` ${unit}`}, averaged over ${lengthText(over)}${held}`
}

/** What is kept of a rule with the alerts that it fires. */
export const askedOf = (rule: Rule, metrics: ReadonlyMap<string, Metric>): Asked => {
  const { condition, resource } = rule
  const metric = condition.kind === "value" ? condition.metric : null
  const unit =
    condition.kind !== "value"
      ? ""
      : condition.of === "machine"
        ? "% of the machine"
        : unitText(metrics.get(condition.metric))
  return { resource, metric, unit, span: rule.over + rule.for }
}

const unitText = (metric: Metric | undefined): string => {
  if (metric === undefined) return ""
  if (metric.unit === "percent" && metric.share === "cpu") return "% of a core"
  return UNITS[metric.unit] ?? metric.unit
}

/**
 * The name that an alert goes by: parts that differ from run to run (numbers of processes, builds, containers) are folded into
 * `#`, so that one thing that comes back under another number is one alert. Linear.
 */
export const foldedName = (name: string): string =>
  name.replace(/[0-9a-f]{8,}/gi, (found) => (/\d/.test(found) ? "#" : found)).replace(/\d{4,}|(?<=[-/:@])\d+/g, "#")
