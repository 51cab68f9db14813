/**
 * A rule as it is edited, the document that it becomes, and the address that opens it prefilled. Pure.
 *
 * The form has the fields that most rules need. What a rule has beyond them stays as it is (`rest`), and can be edited as text.
 */

import { PREFILLED } from "./Prefilled.ts"
import type { Metric, RuleResource } from "./Resources.ts"

export type Fields = Readonly<Record<string, unknown>>

/** What a rule asks, as the form offers it. */
export type Asks = "above" | "below" | "growth_above" | "exhausts_in" | "restarts_above" | "absent" | "silent"
const ASKS: ReadonlyArray<readonly [Asks, string]> = [
  ["above", "is above"],
  ["below", "is below"],
  ["growth_above", "grows faster than"],
  ["exhausts_in", "uses up the memory within"],
  ["restarts_above", "restarts more often than"],
  ["absent", "is absent"],
  ["silent", "is silent: nothing heard"]
]

/** What a resource can be asked. */
export const asksOf = (resource: RuleResource | undefined): typeof ASKS =>
  ASKS.filter(([asks]) => {
    if (resource === undefined) return true
    if (asks === "above" || asks === "below") return true
    if (asks === "growth_above") return resource.metrics.some(({ grows }) => grows)
    if (asks === "exhausts_in") return resource.exhausts
    // What NodePulse watches of itself is numbers.
    return resource.metrics.some(({ drawn }) => drawn !== null)
  })

/** The metrics that can be asked so. */
export const metricsFor = (resource: RuleResource | undefined, asks: Asks): ReadonlyArray<Metric> =>
  (resource?.metrics ?? []).filter(({ grows }) => asks !== "growth_above" || grows)

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
  /** A metric of the host that is asked beside; empty: none. */
  readonly hostMetric: string
  readonly hostSide: "above" | "below"
  readonly hostThreshold: string
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
  hostMetric: "",
  hostSide: "above",
  hostThreshold: "",
  rest: {}
}

/** How long is usually looked at, and held. */
const TIMES: Readonly<Record<Asks, Pick<Draft, "over" | "for">>> = {
  above: { over: "1m", for: "5m" },
  below: { over: "1m", for: "5m" },
  growth_above: { over: "6h", for: "6h" },
  exhausts_in: { over: "4h", for: "15m" },
  restarts_above: { over: "15m", for: "" },
  absent: { over: "1m", for: "5m" },
  silent: { over: "5m", for: "" }
}

/** What changes with what is asked: numbers and times of one question mean something else in another. */
export const asking = (draft: Draft, resource: RuleResource | undefined, asks: Asks): Partial<Draft> => {
  const isSide = (one: Asks) => one === "above" || one === "below"
  if (isSide(draft.asks) && isSide(asks)) return { asks, resolve: "" }
  const metrics = metricsFor(resource, asks)
  const metric = metrics.some(({ key }) => key === draft.metric) ? draft.metric : (metrics[0]?.key ?? "")
  const threshold = asks === "exhausts_in" ? "2h" : asks === "restarts_above" ? "5" : ""
  return { asks, metric, threshold, resolve: "", of: "core", ...TIMES[asks], ...(asks === "silent" && { group: "" }) }
}

/** Of another resource, with what it can be asked. */
export const about = (draft: Draft, resource: RuleResource | undefined): Partial<Draft> => {
  const asks = asksOf(resource).some(([key]) => key === draft.asks) ? draft.asks : "above"
  return {
    ...asking(draft, resource, asks),
    resource: resource?.resource ?? "",
    metric: metricsFor(resource, asks)[0]?.key ?? "",
    of: "core",
    ...(resource?.grouped !== true && { group: "" })
  }
}

const hasMetric = (asks: Asks): boolean => asks === "above" || asks === "below" || asks === "growth_above"
/** Whether a metric of the host may be asked beside. */
export const mayAskHost = (asks: Asks): boolean =>
  asks === "above" || asks === "below" || asks === "restarts_above" || asks === "absent"

const numberOr = (text: string): number | string | undefined => {
  const said = text.trim().replace(",", ".")
  return said === "" ? undefined : Number.isFinite(Number(said)) ? Number(said) : text
}

const askedValue = ({ asks, threshold }: Draft): unknown => {
  if (asks === "absent" || asks === "silent") return true
  return asks === "exhausts_in" ? threshold.trim() : (numberOr(threshold) ?? "")
}

/** What was left at what it means without being said is left out. */
export const documentOf = (draft: Draft): Fields => {
  const { asks } = draft
  const owners = draft.owners
    .split(",")
    .map((owner) => owner.trim())
    .filter((owner) => owner !== "")
  const isValue = asks === "above" || asks === "below"
  const said: Fields = {
    name: draft.name.trim(),
    resource: draft.resource,
    group: draft.group.trim() || undefined,
    server: draft.server.trim() || undefined,
    metric: hasMetric(asks) ? draft.metric : undefined,
    [asks]: askedValue(draft),
    of: isValue && draft.of === "machine" ? "machine" : undefined,
    resolve: hasMetric(asks) ? numberOr(draft.resolve) : undefined,
    over: draft.over.trim() || undefined,
    for: draft.for.trim() || undefined,
    keep_firing_for: draft.keepFiringFor.trim() || undefined,
    only_while:
      draft.hostMetric !== "" && mayAskHost(asks)
        ? { metric: draft.hostMetric, [draft.hostSide]: numberOr(draft.hostThreshold) ?? "" }
        : undefined,
    severity: draft.severity,
    runbook: draft.runbook.trim() || undefined,
    owners: owners.length === 0 ? undefined : owners,
    ...draft.rest
  }
  return Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined))
}

const KNOWN = new Set([
  ...["name", "resource", "group", "server", "metric", "above", "below", "of", "resolve", "restarts_above", "absent"],
  ...["silent", "growth_above", "exhausts_in", "only_while"],
  ...["over", "for", "keep_firing_for", "severity", "runbook", "owners"]
])

const textOf = (value: unknown): string => (value === undefined || value === null ? "" : String(value))

/** The draft of a document as it is stored or as a file has it. */
export const draftOf = (fields: Fields): Draft => {
  const [asks = "above"] = askedIn(fields)
  const host = isObject(fields.only_while) ? fields.only_while : {}
  return {
    name: textOf(fields.name),
    resource: textOf(fields.resource),
    group: textOf(fields.group),
    server: textOf(fields.server),
    asks,
    metric: textOf(fields.metric),
    threshold: asks === "absent" || asks === "silent" ? "" : textOf(fields[asks]),
    resolve: textOf(fields.resolve),
    of: textOf(fields.of) || "core",
    over: textOf(fields.over),
    for: textOf(fields.for),
    keepFiringFor: textOf(fields.keep_firing_for),
    severity: textOf(fields.severity) || "warning",
    runbook: textOf(fields.runbook),
    owners: Array.isArray(fields.owners) ? fields.owners.join(", ") : "",
    hostMetric: textOf(host.metric),
    hostSide: host.below === undefined ? "above" : "below",
    hostThreshold: textOf(host.above ?? host.below),
    rest: Object.fromEntries(Object.entries(fields).filter(([key]) => !KNOWN.has(key)))
  }
}

/** Which questions a document holds: one, unless it is wrong. */
const askedIn = (fields: Fields): ReadonlyArray<Asks> =>
  ASKS.flatMap(([key]) => (fields[key] === undefined || fields[key] === false ? [] : [key]))

const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Whether the form shows all that the rule says, and gives it back: else it is edited as JSON. */
export const fitsForm = (fields: Fields): boolean => {
  const { only_while: host, owners = [] } = fields
  const isHostShown =
    host === undefined ||
    (isObject(host) && (host.above === undefined) !== (host.below === undefined) && Object.keys(host).length === 2)
  const areOwnersShown = Array.isArray(owners) && owners.every((owner) => !String(owner).includes(","))
  return (
    askedIn(fields).length === 1 &&
    isHostShown &&
    areOwnersShown &&
    Object.keys(fields).every((key) => KNOWN.has(key) || key === "enabled")
  )
}

/** As a file of rules, which the check and the back-test take: JSON is YAML. */
export const fileOf = (fields: Fields): string => JSON.stringify({ rules: [fields] })

const NUMBERS = new Set(["above", "below", "restarts_above", "growth_above", "exhausts_in"])

/** What is wrong, by the field of the form it is about; what is about none is in `""`. Lines of a made-up file say nothing. */
export const problemsByField = (problems: ReadonlyArray<string>): ReadonlyMap<string, string> => {
  const found = new Map<string, string>()
  for (const problem of problems) {
    const [, key = "", rest = problem] = /^rules\[0\]\.(\w+)(?:\.\w+)?(?: \(line \d+\))?:? ?(.*)$/s.exec(problem) ?? []
    const field = NUMBERS.has(key) ? "threshold" : key
    if (!found.has(field)) found.set(field, rest)
  }
  return found
}

/** What the address says of a new rule. */
export const prefilled = (query: URLSearchParams, resources: ReadonlyArray<RuleResource>): Draft => {
  const [resource, metric, group = "", server = "", above, asked] = PREFILLED.map((key) => query.get(key) ?? "")
  const about = resources.find((one) => one.resource === resource) ?? resources.find(({ grouped }) => grouped)
  if (about === undefined) return EMPTY
  const asks = asksOf(about).find(([key]) => key === asked)?.[0] ?? "above"
  const metrics = metricsFor(about, asks)
  const chosen = metrics.find(({ key }) => key === metric) ?? metrics[0]
  const draft = { ...EMPTY, resource: about.resource, group, metric: chosen?.key ?? "" }
  return {
    ...draft,
    ...(asks === "above" ? {} : asking(draft, about, asks)),
    server,
    threshold: above || (asks === "above" && chosen?.share === "cpu" ? "80" : ""),
    name: suggestedName(group, asks === "silent" ? "silent" : (chosen?.key ?? ""), server)
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
