/**
 * A rule as it is edited, the document that it becomes, and the address that opens it prefilled. Pure.
 *
 * The form has the fields that most rules need. What a rule has beyond them stays as it is (`rest`), and can be edited as text.
 */
import type { Exporter } from "../ask/Api.ts"
import { PREFILLED } from "./WatchThis.tsx"

export type Fields = Readonly<Record<string, unknown>>

/** What a rule asks, as the form offers it. */
export type Asks = "above" | "below" | "restarts_above" | "absent" | "silent"
export const ASKS: ReadonlyArray<readonly [Asks, string]> = [
  ["above", "is above"],
  ["below", "is below"],
  ["restarts_above", "restarted more often than"],
  ["absent", "is absent"],
  ["silent", "is silent: nothing heard"]
]

export interface Draft {
  readonly name: string
  readonly resource: string
  readonly group: string
  readonly server: string
  readonly asks: Asks
  readonly metric: string
  /** As it is typed. */
  readonly threshold: string
  readonly resolve: string
  readonly of: string
  readonly over: string
  readonly for: string
  readonly keepFiringFor: string
  readonly severity: string
  readonly runbook: string
  readonly owners: string
  readonly rest: Fields
}

const EMPTY: Draft = {
  name: "",
  resource: "",
  group: "",
  server: "",
  asks: "above",
  metric: "",
  threshold: "",
  resolve: "",
  of: "core",
  over: "1m",
  for: "5m",
  keepFiringFor: "5m",
  severity: "warning",
  runbook: "",
  owners: "",
  rest: {}
}

/** A number that the form can ask of an exporter: as `metricsOf` of the server has them. */
export interface Metric {
  readonly key: string
  readonly unit: string
  readonly share: "cpu" | "memory" | null
  readonly doc: string
  /** Its series in a history answer, with that of its highest values. */
  readonly field: string
  readonly peak: string | undefined
}

/** The rankings of an exporter, and its gauges. */
export const metricsOf = (exporter: Exporter): ReadonlyArray<Metric> => {
  const rankings = exporter.top?.rankings ?? []
  const ranked = new Set(rankings.map(({ column }) => column))
  return [
    ...rankings.map(
      ({ fields, key, share, unit }): Metric => ({ key, unit, share, doc: "", field: fields.now, peak: fields.peak })
    ),
    ...exporter.columns
      .filter(({ kind, name }) => kind === "gauge" && !ranked.has(name))
      .map(
        ({ doc, unit, wire_name }): Metric => ({
          key: wire_name,
          unit: unit ?? "",
          share: null,
          doc,
          field: wire_name,
          peak: undefined
        })
      )
  ]
}

const hasNumber = (asks: Asks): boolean => asks === "above" || asks === "below"

const numberOr = (text: string): number | string | undefined => {
  const said = text.trim().replace(",", ".")
  return said === "" ? undefined : Number.isFinite(Number(said)) ? Number(said) : text
}

/** What was left at what it means without being said is left out. */
export const documentOf = (draft: Draft): Fields => {
  const { asks } = draft
  const threshold = numberOr(draft.threshold)
  const owners = draft.owners
    .split(",")
    .map((owner) => owner.trim())
    .filter((owner) => owner !== "")
  const said: Fields = {
    name: draft.name.trim(),
    resource: draft.resource,
    group: asks === "silent" ? undefined : draft.group.trim() || undefined,
    server: draft.server.trim() || undefined,
    metric: hasNumber(asks) ? draft.metric : undefined,
    above: asks === "above" ? (threshold ?? "") : undefined,
    below: asks === "below" ? (threshold ?? "") : undefined,
    of: hasNumber(asks) && draft.of === "machine" ? "machine" : undefined,
    resolve: hasNumber(asks) ? numberOr(draft.resolve) : undefined,
    restarts_above: asks === "restarts_above" ? (threshold ?? "") : undefined,
    absent: asks === "absent" ? true : undefined,
    silent: asks === "silent" ? true : undefined,
    over: draft.over.trim() || undefined,
    for: draft.for.trim() || undefined,
    keep_firing_for: draft.keepFiringFor.trim() || undefined,
    severity: draft.severity,
    runbook: draft.runbook.trim() || undefined,
    owners: owners.length === 0 ? undefined : owners,
    ...draft.rest
  }
  return Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined))
}

const KNOWN = new Set([
  ...["name", "resource", "group", "server", "metric", "above", "below", "of", "resolve", "restarts_above", "absent"],
  ...["silent", "over", "for", "keep_firing_for", "severity", "runbook", "owners"]
])

const textOf = (value: unknown): string => (value === undefined || value === null ? "" : String(value))

/** The draft of a document as it is stored or as a file has it. */
export const draftOf = (fields: Fields): Draft => {
  const asks = ASKS.find(([key]) => fields[key] !== undefined && fields[key] !== false)?.[0]
  return {
    name: textOf(fields.name),
    resource: textOf(fields.resource),
    group: textOf(fields.group),
    server: textOf(fields.server),
    asks: asks ?? "above",
    metric: textOf(fields.metric),
    threshold: textOf(fields.above ?? fields.below ?? fields.restarts_above),
    resolve: textOf(fields.resolve),
    of: textOf(fields.of) || "core",
    over: textOf(fields.over),
    for: textOf(fields.for),
    keepFiringFor: textOf(fields.keep_firing_for),
    severity: textOf(fields.severity) || "warning",
    runbook: textOf(fields.runbook),
    owners: Array.isArray(fields.owners) ? fields.owners.join(", ") : "",
    rest: Object.fromEntries(Object.entries(fields).filter(([key]) => !KNOWN.has(key)))
  }
}

/** Whether the form has all that the rule asks: else it is edited as JSON. */
export const fitsForm = (fields: Fields): boolean =>
  ASKS.some(([key]) => fields[key] !== undefined && fields[key] !== false) &&
  Object.keys(fields).every((key) => KNOWN.has(key) || key === "enabled")

/** As a file of rules, which the check and the back-test take: JSON is YAML. */
export const fileOf = (fields: Fields): string => JSON.stringify({ rules: [fields] })

/** What is wrong, by the field of the form it is about; what is about none is in `""`. Lines of a made-up file say nothing. */
export const problemsByField = (problems: ReadonlyArray<string>): ReadonlyMap<string, string> => {
  const found = new Map<string, string>()
  for (const problem of problems) {
    const [, key = "", rest = problem] = /^rules\[0\]\.(\w+)(?: \(line \d+\))?:? ?(.*)$/s.exec(problem) ?? []
    const field = key === "above" || key === "below" || key === "restarts_above" ? "threshold" : key
    if (!found.has(field)) found.set(field, rest)
  }
  return found
}

/** What the address says of a new rule. */
export const prefilled = (query: URLSearchParams, exporters: ReadonlyArray<Exporter>): Draft => {
  const [resource, metric, group, server, above, asks] = PREFILLED.map((key) => query.get(key) ?? "")
  const exporter =
    exporters.find((one) => one.resource === resource) ?? exporters.find(({ top }) => top !== null) ?? exporters[0]
  if (exporter === undefined) return EMPTY
  const metrics = metricsOf(exporter)
  const chosen = metrics.find(({ key }) => key === metric) ?? metrics[0]
  return {
    ...EMPTY,
    resource: exporter.resource,
    asks: ASKS.find(([key]) => key === asks)?.[0] ?? "above",
    over: asks === "silent" ? "5m" : EMPTY.over,
    for: asks === "silent" ? "" : EMPTY.for,
    metric: chosen?.key ?? "",
    group: group ?? "",
    server: server ?? "",
    threshold: above || (chosen?.share === "cpu" ? "80" : ""),
    name: suggestedName(group ?? "", asks === "silent" ? "silent" : (chosen?.key ?? ""), server ?? "")
  }
}

/** "postgres: cpu on db-1", at most as long as a name may be. */
const suggestedName = (group: string, metric: string, server: string): string =>
  `${group === "" ? "Any" : [...group].slice(0, 50).join("")}: ${metric}${server === "" ? "" : ` on ${server}`}`
    .replaceAll(/\p{Cc}|\p{Cf}/gu, " ")
    .slice(0, 100)
    .trim()

/** As people write it into a file of `rules.d`. */
export const yamlOf = (fields: Fields): string => {
  const lines = Object.entries(fields).map(([key, value]) => `${key}: ${JSON.stringify(value)}`)
  return `rules:\n  - ${lines.join("\n    ")}\n`
}
