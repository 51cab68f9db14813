/**
 * The exporters that are enabled, checked once at start: agent and server are built from the same registry.
 *
 * Guarantee: what a registry holds has passed every rule that the compiler cannot check (names, collisions, times,
 * references of a declaration whose types were widened). A registry that breaks one does not start, and says which.
 * Bound: {@link EXPORTERS_MAX} exporters, {@link COLUMNS_MAX} columns each. It does not look for exporters: they are
 * listed in `plugins.config.ts`.
 */
import { Context, Duration, Effect, Layer, Result, Schema } from "effect"
import { otherLabels } from "./Catalog.ts"
import { type Column, type Columns, isMoment } from "./Column.ts"
import type { Exporter } from "./Exporter.ts"
import { IDENTIFIER_RULE, isIdentifier, RESERVED_COLUMNS, tableTakenBy } from "./Names.ts"
import { type AnyRanking, rankingFields } from "./TopQuery.ts"
import { wireName } from "./Wire.ts"

export interface Config {
  readonly exporters: ReadonlyArray<Exporter>
}

/** Names the enabled exporters: the default export of `plugins.config.ts`. */
export const defineConfig = (config: Config): Config => config

export const EXPORTERS_MAX = 50
const COLUMNS_MAX = 200

/** A declaration breaks a rule. Not retryable: the program must be changed. */
export class InvalidExporter extends Schema.TaggedError<InvalidExporter>()("InvalidExporter", {
  exporter: Schema.String,
  field: Schema.String,
  value: Schema.String,
  reason: Schema.String
}) {
  readonly retryable = false
  override get message(): string {
    return `exporter "${this.exporter}": ${this.field} "${this.value}" ${this.reason}`
  }
}

/**
 * The groups of one exporter are members of another's: a label of its rows, beside the one that it ranks by, is called like the label
 * that the other ranks by, such as the unit that a process runs in.
 */
export interface Membership {
  readonly members: Exporter
  readonly label: string
  readonly of: Exporter
}

export interface RegistryShape {
  /** In the order of `plugins.config.ts`. */
  readonly exporters: ReadonlyArray<Exporter>
  readonly get: (name: string) => Exporter | undefined
  /** The exporter behind `/api/servers/{id}/{resource}`. */
  readonly byResource: (resource: string) => Exporter | undefined
  /** The exporter that tells the host's cores, memory and busy CPU. */
  readonly host: Exporter | undefined
  /** The exporter that tells of units, and the one that tells of short-lived processes. */
  readonly units: Exporter | undefined
  readonly shortLived: Exporter | undefined
  /** Which exporters' groups are members of which others' groups, in the order of `plugins.config.ts`. */
  readonly memberships: ReadonlyArray<Membership>
}

export class Registry extends Context.Service<Registry, RegistryShape>()("nodepulse/plugins/Registry") {
  static readonly layer = (config: Config): Layer.Layer<Registry, InvalidExporter> =>
    Layer.effect(Registry, Effect.fromResult(makeRegistry(config)))
}

/** The registry of a config, or the first rule that the config breaks. */
export const makeRegistry = (config: Config): Result.Result<RegistryShape, InvalidExporter> => {
  const invalid = findInvalid(config.exporters)
  if (invalid !== undefined) return Result.fail(invalid)
  const byName = new Map(config.exporters.map((exporter) => [exporter.name, exporter]))
  const byResource = new Map(config.exporters.map((exporter) => [exporter.resource, exporter]))
  return Result.succeed({
    exporters: config.exporters,
    get: (name) => byName.get(name),
    byResource: (resource) => byResource.get(resource),
    host: config.exporters.find(({ host }) => host !== undefined),
    units: config.exporters.find(({ units }) => units !== undefined),
    shortLived: config.exporters.find(({ shortLived }) => shortLived !== undefined),
    memberships: membershipsOf(config.exporters)
  })
}

const membershipsOf = (exporters: ReadonlyArray<Exporter>): ReadonlyArray<Membership> =>
  exporters.flatMap((members) =>
    Object.entries(members.table.columns).flatMap(([label, { kind }]) => {
      if (kind !== "label" || members.top === undefined || label === members.top.per) return []
      return exporters.flatMap((of) => (of !== members && of.top?.per === label ? [{ members, label, of }] : []))
    })
  )

type Rule = (field: string, value: unknown, holds: boolean, reason: string) => void

const findInvalid = (exporters: ReadonlyArray<Exporter>): InvalidExporter | undefined => {
  const found: Array<InvalidExporter> = []
  const names = new Set<string>()
  const resources = new Set<string>()
  const tables = new Set<string>()
  const declaredBy = new Map<string, string>()
  for (const exporter of exporters) {
    const rule: Rule = (field, value, holds, reason) => {
      if (!holds) found.push(new InvalidExporter({ exporter: exporter.name, field, value: String(value), reason }))
    }
    checkNames(exporter, rule)
    rule("name", exporter.name, !names.has(exporter.name), "is taken by another exporter")
    rule("resource", exporter.resource, !resources.has(exporter.resource), "is taken by another exporter")
    const owner = tableTakenBy(exporter.table.name, tables)
    rule("table.name", exporter.table.name, owner === undefined, `is one of ${owner}'s own`)
    for (const role of ["host", "units", "shortLived"] as const) {
      if (exporter[role] === undefined) continue
      rule(role, exporter.name, !declaredBy.has(role), `is declared by "${declaredBy.get(role)}" already`)
      declaredBy.set(role, exporter.name)
    }
    checkScrape(exporter, rule)
    checkColumns(exporter.table.columns, rule)
    checkTop(exporter, rule)
    checkHost(exporter, rule)
    checkUnits(exporter, rule)
    checkShortLived(exporter, rule)
    names.add(exporter.name)
    resources.add(exporter.resource)
    tables.add(exporter.table.name)
    if (found.length > 0) return found[0]
  }
  return exporters.length <= EXPORTERS_MAX
    ? undefined
    : new InvalidExporter({
        exporter: exporters[EXPORTERS_MAX]!.name,
        field: "exporters",
        value: String(exporters.length),
        reason: `are more than ${EXPORTERS_MAX}`
      })
}

const identifier = (rule: Rule, field: string, value: string) =>
  rule(field, value, isIdentifier(value), IDENTIFIER_RULE)

const checkNames = (exporter: Exporter, rule: Rule) => {
  identifier(rule, "name", exporter.name)
  identifier(rule, "resource", exporter.resource)
  for (const field of ["name", "resource"] as const) {
    rule(field, exporter[field], exporter[field] !== "nodepulse", "is what rules call NodePulse itself")
  }
  identifier(rule, "table.name", exporter.table.name)
  rule("title", exporter.title, exporter.title.trim() !== "", "must not be empty")
}

const checkScrape = ({ scrape, table }: Exporter, rule: Rule) => {
  const { endpoint, interval, timeout } = scrape
  const readable = URL.canParse(endpoint) && /^https?:$/.test(new URL(endpoint).protocol)
  rule("scrape.endpoint", endpoint, readable, "must be an http or https address")
  const show = Duration.format
  rule("scrape.interval", show(interval), Duration.toMillis(interval) >= 1_000, "must be at least 1 second")
  rule("scrape.interval", show(interval), Duration.isFinite(interval), "must be finite")
  rule("scrape.timeout", show(timeout), Duration.toMillis(timeout) > 0, "must be longer than nothing")
  const shorter = Duration.isLessThan(timeout, interval)
  rule("scrape.timeout", show(timeout), shorter, `must be shorter than scrape.interval (${show(interval)})`)
  const patient = Duration.isGreaterThan(table.staleAfter, interval)
  rule("table.staleAfter", show(table.staleAfter), patient, `must be longer than scrape.interval (${show(interval)})`)
  const kept = Duration.isGreaterThan(table.retention, table.staleAfter)
  rule(
    "table.retention",
    show(table.retention),
    kept,
    `must be longer than table.staleAfter (${show(table.staleAfter)})`
  )
}

const checkColumns = (columns: Columns, rule: Rule) => {
  const entries = Object.entries(columns)
  rule("table.columns", entries.length, entries.length > 0, "must be at least one")
  rule("table.columns", entries.length, entries.length <= COLUMNS_MAX, `must be at most ${COLUMNS_MAX}`)
  const fields = new Set<string>()
  for (const [name, column] of entries) {
    const at = `table.columns.${name}`
    const field = wireName(name, column)
    identifier(rule, at, name)
    identifier(rule, `${at}.from`, field)
    rule(at, name, !RESERVED_COLUMNS.has(name), "is a name that every table has")
    rule(`${at}.from`, field, !RESERVED_COLUMNS.has(field), "is a name that every row has")
    rule(`${at}.from`, field, !fields.has(field), "is taken by another column")
    rule(`${at}.doc`, column.doc, column.doc.trim() !== "", "must not be empty")
    for (const other of column.kind === "counter" ? (column.over ?? []) : []) {
      const kind = columnOf(columns, other)?.kind
      rule(
        `${at}.over`,
        other,
        kind === "fingerprint" || kind === "gauge",
        "must be a fingerprint or gauge of the table"
      )
    }
    fields.add(field)
  }
}

/** What every question about ranked groups takes: a label of such a name could not be asked for. */
const TOP_PARAMETERS: ReadonlySet<string> = new Set([
  ...["metric", "limit", "hours", "at", "grouping", "name", "points"]
])

const checkTop = (exporter: Exporter, rule: Rule) => {
  const {
    table: { columns },
    top
  } = exporter
  if (top === undefined) return
  const per = columnOf(columns, top.per)
  rule("top.per", top.per, per?.kind === "label" && !per.optional, "must be a label of the table that is not optional")
  const always: ReadonlyArray<[string, AnyRanking]> = Object.entries(top.rankings)
  const onDemand: ReadonlyArray<[string, AnyRanking]> = Object.entries(top.onDemand ?? {})
  rule("top.rankings", always.length, always.length > 0, "must be at least one")
  const present = top.presence === undefined ? undefined : columnOf(columns, top.presence)
  rule(
    "top.presence",
    top.presence,
    top.presence === undefined || present?.kind === "gauge",
    "must be a gauge of the table"
  )
  const shared = top.proportional === undefined ? undefined : columnOf(columns, top.proportional)
  rule(
    "top.proportional",
    top.proportional,
    top.proportional === undefined || (shared?.kind === "gauge" && shared.unit === "bytes"),
    "must be a gauge of bytes"
  )
  rule("top.default", top.default, Object.hasOwn(top.rankings, top.default), "must be one of the rankings")
  const fields = new Set(["name", "monitoring", "peak_is_bound", "acts", "acts_total"])
  const take = (at: string, field: string) => {
    rule(at, field, !fields.has(field), "is a field that the answer has already")
    fields.add(field)
  }
  for (const { field, name } of otherLabels(exporter)) {
    const at = `table.columns.${name}`
    rule(at, name, !TOP_PARAMETERS.has(name), "is a parameter of every question")
    for (const taken of [field, `${field}_total`]) take(at, taken)
  }
  for (const [key, ranking] of [...always, ...onDemand]) {
    const isOnDemand = Object.hasOwn(top.onDemand ?? {}, key)
    const at = `top.${isOnDemand ? "onDemand" : "rankings"}.${key}`
    rule(at, ranking.share, !isOnDemand || ranking.share === undefined, "is a share of the host, so it is always read")
    const kind = ranking.by === "rate" ? "counter" : "gauge"
    const column = columnOf(columns, ranking.column)
    identifier(rule, at, key)
    rule(`${at}.column`, ranking.column, column?.kind === kind, `must be a ${kind} of the table`)
    if (column?.kind !== kind) continue
    rule(`${at}.column`, ranking.column, !isMoment(column), "is a moment, which cannot be ranked")
    const { average, now, peak, total } = rankingFields(key, ranking.by, column)
    for (const field of [now, average, peak, ...(total === undefined ? [] : [total])]) take(at, field)
  }
  const ranked = new Set<string>([...always, ...onDemand].map(([, { column }]) => column))
  for (const [name, column] of Object.entries(columns)) {
    if (column.kind === "gauge" && !ranked.has(name)) take(`table.columns.${name}`, wireName(name, column))
  }
}

const checkHost = ({ host, table: { columns } }: Exporter, rule: Rule) => {
  if (host === undefined) return
  rule("host.cores", host.cores, columnOf(columns, host.cores)?.kind === "gauge", "must be a gauge of the table")
  const memory = columnOf(columns, host.memoryTotal)
  rule("host.memoryTotal", host.memoryTotal, memory?.kind === "gauge", "must be a gauge of the table")
  rule("host.cpuBusy", host.cpuBusy.length, host.cpuBusy.length > 0, "must be at least one")
  const cpu = {
    cpuBusy: host.cpuBusy,
    cpuWaits: Object.values(host.cpuWaits ?? {}),
    pressure: Object.values(host.pressure ?? {}),
    cpuIdle: host.cpuIdle === undefined ? [] : [host.cpuIdle]
  }
  for (const [field, names] of Object.entries(cpu)) {
    for (const name of names) {
      const column = columnOf(columns, name)
      const seconds = column?.kind === "counter" && column.unit === "seconds"
      rule(`host.${field}`, name, seconds, "must be a counter of the table, in seconds")
    }
  }
}

const checkUnits = ({ table: { columns }, top, units }: Exporter, rule: Rule) => {
  if (units === undefined) return
  const isCpu = (ranking: AnyRanking) => ranking.by === "rate" && ranking.share === "cpu"
  rule("units", "top", Object.values(top?.rankings ?? {}).some(isCpu), "needs a ranking by CPU of the host")
  rule("units.kernel", units.kernel, units.kernel !== "", "must not be empty")
  const {
    cpuLimit,
    memoryLimit,
    memoryPeak,
    oomKills,
    periods,
    pressure,
    readBytes,
    throttledPeriods,
    throttledSeconds,
    writeBytes
  } = units
  const role = (field: string, name: string | undefined, kind: "counter" | "gauge", unit: string | undefined) => {
    if (name === undefined) return
    const column = columnOf(columns, name)
    const fits = column?.kind === kind && (unit === undefined || column.unit === unit)
    rule(`units.${field}`, name, fits, `must be a ${kind} of the table${unit === undefined ? "" : `, in ${unit}`}`)
  }
  role("throttledSeconds", throttledSeconds, "counter", "seconds")
  role("periods", periods, "counter", undefined)
  role("throttledPeriods", throttledPeriods, "counter", undefined)
  role("cpuLimit", cpuLimit, "gauge", undefined)
  role("memoryLimit", memoryLimit, "gauge", "bytes")
  role("memoryPeak", memoryPeak, "gauge", "bytes")
  role("oomKills", oomKills, "counter", undefined)
  role("readBytes", readBytes, "counter", "bytes")
  role("writeBytes", writeBytes, "counter", "bytes")
  for (const [of, { full, some }] of Object.entries(pressure ?? {})) {
    role(`pressure.${of}.some`, some, "counter", "seconds")
    role(`pressure.${of}.full`, full, "counter", "seconds")
  }
}

const checkShortLived = ({ shortLived, table: { columns } }: Exporter, rule: Rule) => {
  if (shortLived === undefined) return
  const cpu = columnOf(columns, shortLived.cpu)
  const seconds = cpu?.kind === "counter" && cpu.unit === "seconds"
  rule("shortLived.cpu", shortLived.cpu, seconds, "must be a counter of the table, in seconds")
  const runs = columnOf(columns, shortLived.runs)
  rule("shortLived.runs", shortLived.runs, runs?.kind === "counter", "must be a counter of the table")
}

const columnOf = (columns: Columns, name: string): Column | undefined =>
  Object.hasOwn(columns, name) ? columns[name] : undefined
