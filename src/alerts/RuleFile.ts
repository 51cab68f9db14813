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
 * Instead of `metric` with `above` or `below`: `restarts_above: 3` (in `over`), `absent: true`, or `silent: true` (for `over`).
 */
import { Result, Schema } from "effect"
import type { Exporter } from "../plugins/Exporter.ts"
import { closest, type Place, readYaml, valueText } from "../YamlDocument.ts"
import { CountBetween, DurationBetween, HttpUrl, Switch } from "../YamlValue.ts"
import { type Condition, metricsOf, type Rule, SEVERITIES } from "./Rule.ts"

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const OVER_DEFAULT = MINUTE
/** Rules of all files together. */
export const RULES_MAX = 200
const NAME_MAX = 100
const PATTERN_MAX = 200
const STARS_MAX = 8

const Text = (most: number) =>
  Schema.String.check(
    Schema.makeFilter((text: string) =>
      text.trim() === text && text.length >= 1 && text.length <= most && !/\p{Cc}/u.test(text)
        ? undefined
        : `a text of 1 to ${most} characters, without control characters`
    )
  )

const Pattern = Schema.String.check(
  Schema.makeFilter((text: string) =>
    text.length >= 1 && text.length <= PATTERN_MAX && text.split("*").length <= STARS_MAX + 1
      ? undefined
      : `a pattern of 1 to ${PATTERN_MAX} characters, at most ${STARS_MAX} of them *`
  )
)

const FileRule = Schema.Struct({
  name: Text(NAME_MAX),
  resource: Schema.String,
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
  over: Schema.optionalKey(DurationBetween(30 * SECOND, HOUR)),
  for: Schema.optionalKey(DurationBetween(0, 24 * HOUR)),
  keep_firing_for: Schema.optionalKey(DurationBetween(0, 24 * HOUR)),
  severity: Schema.optionalKey(Schema.Literals(SEVERITIES)),
  runbook: Schema.optionalKey(HttpUrl),
  owners: Schema.optionalKey(Schema.Array(Text(NAME_MAX)).check(Schema.isMaxLength(20)))
})
type FileRule = typeof FileRule.Type

const File = Schema.Struct({ rules: Schema.Array(FileRule) })

const decode = Schema.decodeUnknownResult(File, { errors: "all", onExcessProperty: "error" })

/** Reads the text of a file. A failure is the list of problems, one sentence each. */
export const readRules = (
  text: string,
  exporters: ReadonlyArray<Exporter>
): Result.Result<ReadonlyArray<Rule>, ReadonlyArray<string>> => {
  const file = readYaml(text, {
    decode,
    keys: [
      [/^$/, Object.keys(File.fields)],
      [/^rules\[\d+\]$/, Object.keys(FileRule.fields)]
    ],
    contradictions: ({ rules }, place) => contradictions(rules, exporters, place),
    bounds: { bytes: 256 * 1024, keys: 20 * RULES_MAX, parts: 100 * RULES_MAX }
  })
  return Result.map(file, ({ rules }) => rules.map((rule) => ruleOf(rule, exporterOf(rule, exporters)!)))
}

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
    const exporter = exporterOf(rule, exporters)
    if (exporter === undefined) {
      problems.push(
        unknown(
          at("resource"),
          rule.resource,
          "resource",
          exporters.map((exporter) => exporter.resource)
        )
      )
      continue
    }
    problems.push(...ofCondition(rule, exporter, at))
  }
  return problems
}

const unknown = (where: string, value: string, what: string, known: ReadonlyArray<string>): string => {
  const meant = closest(value, known)
  const hint = meant === undefined ? "" : `, did you mean "${meant}"?`
  return `${where} is ${valueText(value)}, which is no ${what}${hint} (known: ${known.join(", ")})`
}

const ofCondition = (rule: FileRule, exporter: Exporter, at: (key: string) => string): ReadonlyArray<string> => {
  const asks = [
    rule.above !== undefined && "above",
    rule.below !== undefined && "below",
    rule.restarts_above !== undefined && "restarts_above",
    rule.absent === true && "absent",
    rule.silent === true && "silent"
  ].filter((key) => key !== false)
  if (asks.length !== 1) {
    const given = asks.length === 0 ? "none is" : `${asks.join(" and ")} are`
    return [`${at("name")}: a rule has one of above, below, restarts_above, absent and silent; ${given} given`]
  }
  if (rule.above === undefined && rule.below === undefined) {
    return (["metric", "of", "resolve"] as const).flatMap((key) =>
      rule[key] === undefined ? [] : [`${at(key)} says nothing beside ${asks[0]}`]
    )
  }
  const metrics = metricsOf(exporter)
  if (rule.metric === undefined) return [`${at("name")}: metric is missing: one of ${[...metrics.keys()].join(", ")}`]
  const metric = metrics.get(rule.metric)
  if (metric === undefined)
    return [unknown(at("metric"), rule.metric, `metric of ${rule.resource}`, [...metrics.keys()])]
  if (rule.of === "machine" && metric.share === undefined) {
    return [`${at("of")}: ${rule.metric} is no share of the machine`]
  }
  const { above, below, resolve } = rule
  if (resolve !== undefined && above !== undefined && resolve > above) {
    return [`${at("resolve")} is ${resolve}, but must be at most ${above}: it is where an alert is over`]
  }
  if (resolve !== undefined && below !== undefined && resolve < below) {
    return [`${at("resolve")} is ${resolve}, but must be at least ${below}: it is where an alert is over`]
  }
  return []
}

const ruleOf = (rule: FileRule, exporter: Exporter): Rule => ({
  name: rule.name,
  exporter: exporter.name,
  resource: rule.resource,
  group: rule.group ?? "*",
  server: rule.server ?? "*",
  condition: conditionOf(rule),
  over: rule.over ?? OVER_DEFAULT,
  for: rule.for ?? 0,
  keepFiringFor: rule.keep_firing_for ?? 0,
  severity: rule.severity ?? "warning",
  runbook: rule.runbook,
  owners: rule.owners ?? []
})

const conditionOf = ({ above, absent, below, metric, of, resolve, restarts_above, silent }: FileRule): Condition => {
  if (silent === true) return { kind: "silent" }
  if (absent === true) return { kind: "absent" }
  if (restarts_above !== undefined) return { kind: "restarts", moreThan: restarts_above }
  const threshold = above ?? below!
  const side = above === undefined ? "below" : "above"
  return { kind: "value", metric: metric!, side, of: of ?? "core", threshold, resolve: resolve ?? threshold }
}
