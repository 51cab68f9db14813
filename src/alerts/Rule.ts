/**
 * Rules: what is worth telling somebody about, on which servers, of which groups. Pure.
 *
 * A rule asks one question of each server, or of each of its groups, every {@link EVERY_MILLIS}: is a value above or below a
 * threshold, is a group absent, did it restart too often, is the server silent. `Sight.ts` answers it from the stored rows,
 * `AlertState.ts` says what follows.
 */

import { historyFields, rankingsOf } from "../plugins/Catalog.ts"
import type { Exporter } from "../plugins/Exporter.ts"
import type { Asked } from "./Alerts.ts"
import { installationSentence, isOfInstallation } from "./installation/Installation.ts"

/** Rules are asked at the multiples of this since 1970, so that the past can be asked at the same moments. */
export const EVERY_MILLIS = 15_000
/** What is asked of means over five minutes is asked as often: nothing changes in between. */
export const SLOW_MILLIS = 300_000

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
  /** A level that rises by more than so much an hour; in the unit of the metric. */
  | { readonly kind: "growth"; readonly metric: string; readonly threshold: number; readonly resolve: number }
  /** What is left of the machine's memory is used up within so many hours, as fast as it grows. */
  | { readonly kind: "exhausts"; readonly within: number }

/** A condition of the host that has to hold beside the rule's own. */
export interface HostCondition {
  readonly metric: string
  readonly side: "above" | "below"
  readonly threshold: number
  /** As people read it, such as "%". */
  readonly unit: string
}

/**
 * What a rule's alerts are about. Where that changes, the rule's alerts are others; where it only asks for more or less of it, or waits
 * longer, they are the same.
 */
export const subjectOf = ({ condition, exporter, group }: Pick<Rule, "condition" | "exporter" | "group">): string =>
  JSON.stringify([
    exporter,
    group,
    condition.kind,
    "metric" in condition ? condition.metric : "",
    "side" in condition ? condition.side : ""
  ])

/** Whether a condition is asked of means over five minutes (`GrowthSight.ts`), every {@link SLOW_MILLIS}. */
export const isSlow = ({ condition }: Pick<Rule, "condition">): boolean =>
  condition.kind === "growth" || condition.kind === "exhausts"

export interface Rule {
  readonly name: string
  readonly exporter: string
  readonly resource: string
  /** Patterns of names: `*` stands for any characters, everything else for itself. */
  readonly group: string
  readonly server: string
  readonly condition: Condition
  readonly onlyWhile?: HostCondition | undefined
  /** The window that is looked at, which ends with the latest scrape; how long a server may be silent. Milliseconds. */
  readonly over: number
  readonly for: number
  readonly keepFiringFor: number
  readonly severity: Severity
  readonly runbook: string | undefined
  readonly owners: ReadonlyArray<string>
}

/**
 * A number that rules can ask of an exporter: a ranking, any other number of its history, a share of the host, or what the host used
 * beyond all groups.
 */
export interface Metric {
  readonly key: string
  readonly by: "rate" | "level" | "unaccounted"
  /** The columns that are added up, and one that is taken off. */
  readonly columns: ReadonlyArray<string>
  readonly less: string | undefined
  /** The gauge that it is a part of: the value is then a part of 1, at most 1, before it is scaled. */
  readonly partOf: string | undefined
  readonly share: "cpu" | "memory" | undefined
  /** Whether it is about the server as a whole, not about each of its groups. */
  readonly isOfServer: boolean
  /** From the stored unit (rates: per second) to the one that is shown. */
  readonly scale: number
  readonly unit: string
}

const PLAIN = { less: undefined, partOf: undefined, share: undefined, scale: 1, unit: "" }

/** The numbers that rules can ask of an exporter, by their keys. */
export const metricsOf = (exporter: Exporter): ReadonlyMap<string, Metric> => {
  const found = new Map<string, Metric>()
  const add = (metric: Declared) =>
    found.set(metric.key, { ...PLAIN, isOfServer: exporter.top === undefined, ...metric })
  const rankings = rankingsOf(exporter)
  for (const { fields, key, ranking } of rankings) {
    const by = ranking.by === "rate" ? "rate" : "level"
    add({ key, by, columns: [ranking.column], share: ranking.share, scale: fields.scale, unit: fields.unit })
  }
  const ranked = new Set(rankings.map(({ ranking }) => ranking.column))
  if (rankings.some(({ ranking }) => ranking.by === "rate" && ranking.share === "cpu")) {
    const shown = { share: "cpu", isOfServer: true, scale: 100, unit: "percent" } as const
    add({ key: "unaccounted", by: "unaccounted", columns: [], ...shown })
  }
  for (const metric of sharesOf(exporter)) add(metric)
  for (const { column, field, unit } of historyFields(exporter)) {
    if (ranked.has(column)) continue
    add({
      key: field,
      by: exporter.table.columns[column]!.kind === "gauge" ? "level" : "rate",
      columns: [column],
      unit
    })
  }
  return found
}

type Declared = Pick<Metric, "key" | "by" | "columns"> & Partial<Metric>

/** What of the host is in use, in percent of it: CPU of its cores, memory and swap of all, pressure of the time. */
const sharesOf = ({ host }: Exporter): ReadonlyArray<Declared> => {
  if (host === undefined) return []
  const { cores, memoryAvailable, memoryTotal, swapFree, swapTotal } = host
  const found: Array<Declared> = []
  const percent = { scale: 100, unit: "percent" }
  const part = (key: string, by: "rate" | "level", columns: ReadonlyArray<string>, partOf: string, less?: string) =>
    found.push({ key, by, columns, less, partOf, ...percent })
  part("busy", "rate", host.cpuBusy, cores)
  for (const [key, column] of Object.entries<string>(host.cpuWaits ?? {})) part(key, "rate", [column], cores)
  if (memoryAvailable !== undefined) {
    part("memory_used", "level", [memoryTotal], memoryTotal, memoryAvailable)
    part("memory_available", "level", [memoryAvailable], memoryTotal)
  }
  if (swapTotal !== undefined && swapFree !== undefined) {
    part("swap_used", "level", [swapTotal], swapTotal, swapFree)
  }
  if (host.load !== undefined) found.push({ key: "load", by: "level", columns: [host.load] })
  for (const [what, column] of Object.entries<string>(host.pressure ?? {})) {
    found.push({ key: `pressure_${what}`, by: "rate", columns: [column], ...percent })
  }
  return found
}

const PATTERN_MAX = 200
const STARS_MAX = 8

export const PATTERN_ALLOWED = `a pattern of 1 to ${PATTERN_MAX} characters, at most ${STARS_MAX} of them *`

export const isPattern = (text: string): boolean =>
  text.length >= 1 && text.length <= PATTERN_MAX && text.split("*").length <= STARS_MAX + 1 && !/\p{Cc}/u.test(text)

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
  per_second: "a second",
  bytes_per_second: "bytes a second",
  seconds_per_second: "seconds a second"
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
  const { condition, group, server } = rule
  const who = isOfServer(condition, metrics) ? "" : group === "*" ? "any group " : `${group} `
  const where = server === "*" ? "on any server" : `on ${server}`
  const held = rule.for === 0 ? "" : `, for ${lengthText(rule.for)}`
  if (isOfInstallation(rule)) return installationSentence(rule, held, lengthText(rule.over))
  return `${who}${where}: ${askedText(rule, metrics)}${held}${whileText(rule.onlyWhile)}`
}

/** What is kept of a rule with the alerts that it fires. */
export const askedOf = (rule: Rule, metrics: ReadonlyMap<string, Metric>): Asked => {
  const { condition, resource } = rule
  const metric = "metric" in condition ? condition.metric : condition.kind === "exhausts" ? "memory" : null
  return { resource, metric, unit: unitOf(condition, metrics), span: rule.over + rule.for, held: rule.for }
}

const askedText = ({ condition, over }: Rule, metrics: ReadonlyMap<string, Metric>): string => {
  switch (condition.kind) {
    case "silent":
      return `nothing heard for ${lengthText(over)}`
    case "absent":
      return "absent"
    case "restarts": {
      const times = condition.moreThan === 1 ? "once" : `${condition.moreThan} times`
      return `restarted more than ${times} in ${lengthText(over)}`
    }
    case "growth":
      return `${spoken(condition.metric)} grows by more than ${withUnit(condition.threshold, unitOf(condition, metrics))}, seen over ${lengthText(over)}`
    case "exhausts":
      return `memory runs out within ${lengthText(condition.within * 3_600_000)}, as it has grown over ${lengthText(over)}`
    case "value": {
      const { metric, side, threshold } = condition
      return `${spoken(metric)} ${side} ${withUnit(threshold, unitOf(condition, metrics))}, averaged over ${lengthText(over)}`
    }
  }
}

const whileText = (asked: HostCondition | undefined): string =>
  asked === undefined
    ? ""
    : `, only while host ${spoken(asked.metric)} is ${asked.side} ${withUnit(asked.threshold, asked.unit)}`

const spoken = (metric: string): string => metric.replaceAll("_", " ")

const withUnit = (value: number, unit: string): string => (unit === "" ? String(value) : `${value} ${unit}`)

/** The unit of what a condition asks for, as people read it: "% of a core", "MiB an hour"; empty where it asks for no number. */
const unitOf = (condition: Condition, metrics: ReadonlyMap<string, Metric>): string => {
  if (condition.kind === "exhausts") return "h"
  if (condition.kind === "growth") return `${unitText(metrics.get(condition.metric))} an hour`
  if (condition.kind !== "value") return ""
  return condition.of === "machine" ? "% of the machine" : unitText(metrics.get(condition.metric))
}

/** Whether a rule is about the server as a whole, not about each of its groups. */
const isOfServer = (condition: Condition, metrics: ReadonlyMap<string, Metric>): boolean => {
  if (condition.kind === "silent") return true
  const metric = "metric" in condition ? metrics.get(condition.metric) : metrics.values().next().value
  return metric?.isOfServer ?? false
}

/** The unit of a metric, as people read it; empty where it is a plain number. */
export const unitText = (metric: Metric | undefined): string => {
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
