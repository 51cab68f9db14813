/**
 * Rules as files: what `rules.d/*.yml` may hold, read into rules. Pure; how a file is read and bounded is `src/YamlDocument.ts`.
 *
 * ```yaml
 * rules:
 *   - name: "PostgreSQL is busy"
 *     resource: "processes"     # of GET /api/exporters
 *     group: "postgres*"        # * stands for any characters; absent: any group
 *     server: "db-*"
 *     metric: "cpu"             # a ranking or a gauge of the resource
 *     above: 80                 # or below; in the unit that the page shows
 *     of: "machine"             # absent: of a core, or as it is
 *     resolve: 60               # where it is over; absent: the same
 *     over: "1m"                # the window that is looked at
 *     for: "5m"
 *     keep_firing_for: "5m"
 *     severity: "warning"       # info, warning, critical
 *     runbook: "https://wiki.example.org/postgres"
 *     owners: ["dba"]
 * ```
 *
 * Instead of `metric` with `above` or `below`: `restarts_above: 3` (in `over`), `absent: true`, `silent: true` (for `over`),
 * `metric` with `growth_above: 50` (an hour), or `exhausts_in: "2h"`; these two look at `over` of 4 to 6 hours. Beside any of the first
 * three, `only_while: {metric: "busy", above: 90}` asks the same of the host.
 *
 * `{name: "...", enabled: false}` alone switches off the rule of that name of a layer below (`RuleLayers.ts`).
 */
import { Result, Schema } from "effect"
import type { Exporter } from "../plugins/Exporter.ts"
import { closest, type Place, readYaml, valueText } from "../YamlDocument.ts"
import { CountBetween, DurationBetween, HttpUrl, Switch } from "../YamlValue.ts"
import { installation } from "./installation/Installation.ts"
import {
  type Condition,
  type HostCondition,
  isPattern,
  isSlow,
  type Metric,
  metricsOf,
  PATTERN_ALLOWED,
  type Rule,
  SEVERITIES,
  unitText
} from "./Rule.ts"

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const OVER_DEFAULT = MINUTE
/** What is asked of rows is asked of an hour of them; growth shows in three hours at the least (`src/query/Growth.ts`), some not seen. */
const OVER_MAX = HOUR
const GROWTH_OVER_MIN = 4 * HOUR
const GROWTH_OVER_MAX = 6 * HOUR
/** Rules of all files together. */
export const RULES_MAX = 200
export const NAME_MAX = 100
export const OWNERS_MAX = 20
export const RUNBOOK_MAX = 1_000
export const RULE_FILE_BYTES_MAX = 256 * 1024

export const Text = (most: number) =>
  Schema.String.check(
    Schema.makeFilter((text: string) =>
      text.trim() === text && text.length >= 1 && text.length <= most && !/\p{Cc}/u.test(text)
        ? undefined
        : `a text of 1 to ${most} characters, without control characters`
    )
  )

export const Pattern = Schema.String.check(
  Schema.makeFilter((text: string) => (isPattern(text) ? undefined : PATTERN_ALLOWED))
)

const OnlyWhile = Schema.Struct({
  metric: Schema.String,
  above: Schema.optionalKey(Schema.Finite),
  below: Schema.optionalKey(Schema.Finite)
})

const FileRule = Schema.Struct({
  name: Text(NAME_MAX),
  /** Absent only where the rule of that name of a layer below is switched off. */
  resource: Schema.optionalKey(Schema.String),
  group: Schema.optionalKey(Pattern),
  server: Schema.optionalKey(Pattern),
  metric: Schema.optionalKey(Schema.String),
  above: Schema.optionalKey(Schema.Finite),
  below: Schema.optionalKey(Schema.Finite),
  of: Schema.optionalKey(Schema.Literals(["core", "machine"])),
  resolve: Schema.optionalKey(Schema.Finite),
  restarts_above: Schema.optionalKey(CountBetween(0, 1_000)),
  absent: Schema.optionalKey(Switch),
  silent: Schema.optionalKey(Switch),
  growth_above: Schema.optionalKey(Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))),
  exhausts_in: Schema.optionalKey(DurationBetween(MINUTE, 30 * 24 * HOUR)),
  only_while: Schema.optionalKey(OnlyWhile),
  over: Schema.optionalKey(DurationBetween(30 * SECOND, GROWTH_OVER_MAX)),
  for: Schema.optionalKey(DurationBetween(0, 24 * HOUR)),
  keep_firing_for: Schema.optionalKey(DurationBetween(0, 24 * HOUR)),
  severity: Schema.optionalKey(Schema.Literals(SEVERITIES)),
  runbook: Schema.optionalKey(HttpUrl.check(Schema.isMaxLength(RUNBOOK_MAX))),
  owners: Schema.optionalKey(Schema.Array(Text(NAME_MAX)).check(Schema.isMaxLength(OWNERS_MAX))),
  /** What is switched off is a rule and asks nothing (`RuleLayers.ts`). */
  enabled: Schema.optionalKey(Switch)
})
type FileRule = typeof FileRule.Type

const File = Schema.Struct({ rules: Schema.Array(FileRule) })

const decode = Schema.decodeUnknownResult(File, { errors: "all", onExcessProperty: "error" })

/** What a file says of one name: a rule, or nothing but that the rule of a layer below is switched off. */
export interface RuleEntry {
  readonly name: string
  readonly rule: Rule | undefined
}

/** Reads the rules in the text of a file. A failure is the list of problems, one sentence each. */
export const readRules = (
  text: string,
  exporters: ReadonlyArray<Exporter>
): Result.Result<ReadonlyArray<Rule>, ReadonlyArray<string>> =>
  Result.map(readEntries(text, exporters), (entries) => entries.flatMap(({ rule }) => rule ?? []))

/** Reads all that is in the text of a file, in its order. */
export const readEntries = (
  text: string,
  exporters: ReadonlyArray<Exporter>
): Result.Result<ReadonlyArray<RuleEntry>, ReadonlyArray<string>> => {
  const all = [...exporters, installation]
  const file = readYaml(text, {
    decode,
    keys: [
      [/^$/, Object.keys(File.fields)],
      [/^rules\[\d+\]$/, Object.keys(FileRule.fields)],
      [/^rules\[\d+\]\.only_while$/, Object.keys(OnlyWhile.fields)]
    ],
    contradictions: ({ rules }, place) => contradictions(rules, all, place),
    bounds: { bytes: RULE_FILE_BYTES_MAX, keys: 20 * RULES_MAX, parts: 100 * RULES_MAX }
  })
  return Result.map(file, ({ rules }) =>
    rules.map((rule) => ({
      name: rule.name,
      rule: isOnlyOff(rule) ? undefined : ruleOf(rule, exporterOf(rule, all)!, hostOf(exporters))
    }))
  )
}

const isOnlyOff = (rule: FileRule): boolean => rule.enabled === false && Object.keys(rule).length === 2

const exporterOf = ({ resource }: FileRule, exporters: ReadonlyArray<Exporter>): Exporter | undefined =>
  exporters.find((exporter) => exporter.resource === resource)

const contradictions = (
  rules: ReadonlyArray<FileRule>,
  exporters: ReadonlyArray<Exporter>,
  place: Place
): ReadonlyArray<string> => {
  const problems: Array<string> = []
  if (rules.length > RULES_MAX) problems.push(`rules: ${rules.length} of them, at most ${RULES_MAX}`)
  const names = new Set<string>()
  for (const [index, rule] of rules.entries()) {
    const at = (key: string) => place(["rules", index, key])
    if (names.has(rule.name)) problems.push(`${at("name")}: ${valueText(rule.name)} is the name of two rules`)
    names.add(rule.name)
    if (isOnlyOff(rule)) continue
    const exporter = exporterOf(rule, exporters)
    if (exporter === undefined) {
      problems.push(ofResource(rule, exporters, at))
      continue
    }
    problems.push(...ofCondition(rule, exporter, at), ...ofOver(rule, at), ...ofHost(rule, hostOf(exporters), at))
    if (exporter === installation) problems.push(...ofInstallation(rule, at))
  }
  return problems
}

const ofResource = ({ resource }: FileRule, exporters: ReadonlyArray<Exporter>, at: At): string =>
  resource === undefined
    ? `${at("resource")} is missing`
    : unknown(
        at("resource"),
        resource,
        "resource",
        exporters.map((exporter) => exporter.resource)
      )

const hostOf = (exporters: ReadonlyArray<Exporter>): Exporter | undefined =>
  exporters.find(({ host }) => host !== undefined)

const unknown = (where: string, value: string, what: string, known: ReadonlyArray<string>): string => {
  const meant = closest(value, known)
  const hint = meant === undefined ? "" : `, did you mean "${meant}"?`
  return `${where} is ${valueText(value)}, which is no ${what}${hint} (known: ${known.join(", ")})`
}

/** What a rule may ask: it has exactly one of these keys. */
const ASKS = ["above", "below", "restarts_above", "absent", "silent", "growth_above", "exhausts_in"] as const
type Asks = (typeof ASKS)[number]

const asksOf = (rule: FileRule): ReadonlyArray<Asks> =>
  ASKS.filter((key) => rule[key] !== undefined && rule[key] !== false)

/** The keys that say something beside only some of them. */
const BESIDE: ReadonlyArray<readonly [key: keyof FileRule, asks: ReadonlyArray<Asks>]> = [
  ["metric", ["above", "below", "growth_above"]],
  ["of", ["above", "below"]],
  ["resolve", ["above", "below", "growth_above"]],
  ["only_while", ["above", "below", "restarts_above", "absent"]]
]

const ofCondition = (rule: FileRule, exporter: Exporter, at: At): ReadonlyArray<string> => {
  const [asks, ...more] = asksOf(rule)
  if (asks === undefined || more.length > 0) {
    const given = asks === undefined ? "none is" : `${[asks, ...more].join(" and ")} are`
    return [`${at("name")}: a rule has one of ${ASKS.slice(0, -1).join(", ")} and ${ASKS.at(-1)}; ${given} given`]
  }
  const idle = BESIDE.filter(([key, beside]) => rule[key] !== undefined && !beside.includes(asks))
  if (idle.length > 0) return idle.map(([key]) => `${at(key)} says nothing beside ${asks}`)
  if (exporter.top === undefined && rule.group !== undefined) {
    return [`${at("group")} says nothing: ${rule.resource} has no groups`]
  }
  if (asks === "absent" && exporter.top === undefined) {
    return [`${at(asks)} says nothing: ${rule.resource} has no groups; silent asks whether nothing is heard of it`]
  }
  if (asks === "silent" && rule.group !== undefined) {
    return [`${at("group")} says nothing beside silent: absent asks whether a group runs`]
  }
  if (asks === "exhausts_in") return tellsMemory(exporter) ? [] : [`${at(asks)}: ${rule.resource} tells of no memory`]
  return asks === "above" || asks === "below" || asks === "growth_above" ? ofMetric(rule, exporter, asks, at) : []
}

/** Names a key of the rule, with its line. */
type At = (key: string) => string

const ofMetric = (
  rule: FileRule,
  exporter: Exporter,
  asks: "above" | "below" | "growth_above",
  at: At
): ReadonlyArray<string> => {
  const metrics = metricsOf(exporter)
  if (rule.metric === undefined) return [`${at("name")}: metric is missing: one of ${[...metrics.keys()].join(", ")}`]
  const metric = metrics.get(rule.metric)
  if (metric === undefined)
    return [unknown(at("metric"), rule.metric, `metric of ${rule.resource}`, [...metrics.keys()])]
  if (rule.of === "machine" && metric.share === undefined) {
    return [`${at("of")}: ${rule.metric} is no share of the machine`]
  }
  if (asks === "growth_above" && !isLevelOfBytes(metric, exporter)) {
    const known = [...metrics.values()].filter((one) => isLevelOfBytes(one, exporter)).map(({ key }) => key)
    return [
      `${at("metric")} is ${valueText(rule.metric)}, but growth is that of a level in bytes (${known.join(", ")})`
    ]
  }
  const { [asks]: threshold, resolve } = rule
  if (resolve === undefined || threshold === undefined) return []
  if (asks === "below" ? resolve >= threshold : resolve <= threshold) return []
  const most = asks === "below" ? "at least" : "at most"
  return [`${at("resolve")} is ${resolve}, but must be ${most} ${threshold}: it is where an alert is over`]
}

/** Whether rules may ask how fast it grows. */
export const isLevelOfBytes = ({ by, columns, less }: Metric, { table }: Exporter): boolean => {
  const column = by === "level" && columns.length === 1 && less === undefined ? table.columns[columns[0]!] : undefined
  return column?.kind === "gauge" && column.unit === "bytes"
}

/** Whether rules may ask when memory is used up. */
export const tellsMemory = ({ host, top }: Exporter): boolean =>
  host?.memoryAvailable !== undefined ||
  Object.values(top?.rankings ?? {}).some(({ by, share }) => by === "peak" && share === "memory")

/** What NodePulse knows of itself is a number each, and but for clocks it is of no server. */
const ofInstallation = (rule: FileRule, at: At): ReadonlyArray<string> => {
  const problems: Array<string> = []
  const asks = asksOf(rule)[0]
  if (asks !== undefined && asks !== "above" && asks !== "below") {
    problems.push(`${at(asks)}: of ${installation.resource} itself a rule asks for a metric above or below a number`)
  }
  if (rule.only_while !== undefined)
    problems.push(`${at("only_while")}: ${installation.resource} has no host beside it`)
  if (rule.server !== undefined && rule.metric !== "clock_skew") {
    problems.push(`${at("server")} says nothing: only clock_skew is of a server`)
  }
  return problems
}

/** How long a window may be depends on what is asked of it. */
const ofOver = (rule: FileRule, at: At): ReadonlyArray<string> => {
  if (rule.over === undefined) return []
  const slow = rule.growth_above !== undefined || rule.exhausts_in !== undefined
  if (slow && rule.over < GROWTH_OVER_MIN) {
    return [`${at("over")} is ${rule.over / MINUTE} minutes, but growth shows in 4 to 6 hours, such as "6h"`]
  }
  if (!slow && rule.over > OVER_MAX) {
    return [`${at("over")} is ${rule.over / MINUTE} minutes, but must be at most an hour: only growth is asked of more`]
  }
  return []
}

/** The host beside which a rule is asked. */
const ofHost = ({ only_while }: FileRule, host: Exporter | undefined, at: At): ReadonlyArray<string> => {
  if (only_while === undefined) return []
  if (host === undefined) return [`${at("only_while")}: no exporter tells of the host`]
  if ((only_while.above === undefined) === (only_while.below === undefined)) {
    return [`${at("only_while")} has one of above and below`]
  }
  const known = [...metricsOf(host).keys()]
  return known.includes(only_while.metric)
    ? []
    : [unknown(at("only_while"), only_while.metric, "metric of the host", known)]
}

const ruleOf = (rule: FileRule, exporter: Exporter, host: Exporter | undefined): Rule => {
  const condition = conditionOf(rule)
  return {
    name: rule.name,
    exporter: exporter.name,
    resource: exporter.resource,
    group: rule.group ?? "*",
    server: rule.server ?? "*",
    condition,
    ...(rule.only_while === undefined || host === undefined ? {} : { onlyWhile: besideOf(rule.only_while, host) }),
    over: rule.over ?? (isSlow({ condition }) ? GROWTH_OVER_MAX : OVER_DEFAULT),
    for: rule.for ?? 0,
    keepFiringFor: rule.keep_firing_for ?? 0,
    severity: rule.severity ?? "warning",
    runbook: rule.runbook,
    owners: rule.owners ?? []
  }
}

const besideOf = ({ above, below, metric }: typeof OnlyWhile.Type, host: Exporter): HostCondition => ({
  metric,
  side: above === undefined ? "below" : "above",
  threshold: above ?? below!,
  unit: unitText(metricsOf(host).get(metric))
})

const conditionOf = (rule: FileRule): Condition => {
  const { above, below, exhausts_in, growth_above, metric, resolve } = rule
  if (rule.silent === true) return { kind: "silent" }
  if (rule.absent === true) return { kind: "absent" }
  if (rule.restarts_above !== undefined) return { kind: "restarts", moreThan: rule.restarts_above }
  if (exhausts_in !== undefined) return { kind: "exhausts", within: exhausts_in / HOUR }
  if (growth_above !== undefined) {
    return { kind: "growth", metric: metric!, threshold: growth_above, resolve: resolve ?? growth_above }
  }
  const threshold = above ?? below!
  const side = above === undefined ? "below" : "above"
  return { kind: "value", metric: metric!, side, of: rule.of ?? "core", threshold, resolve: resolve ?? threshold }
}
