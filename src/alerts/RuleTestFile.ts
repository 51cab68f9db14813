/**
 * Tests of rules as files, read into what is to be tried and expected. Pure; how a file is read and bounded is `src/YamlDocument.ts`.
 *
 * ```yaml
 * rules_file: "postgres.yml"    # beside this file; or default_rules: true
 * tests:
 *   - name: "a query that goes on is told after five minutes"
 *     only: ["PostgreSQL is busy"]   # absent: all rules of the file
 *     series:
 *       - server: "db-1"
 *         resource: "processes"
 *         interval: "15s"       # between scrapes
 *         cores: 4              # of the server; a part of it is asked of them
 *         memory: "16GiB"
 *         groups:               # of resource node instead: values: {busy: "95x60"}
 *           postgres: {cpu: "20x20 360x40", memory: 512}
 *     alerts:                   # all of them; [] is none
 *       - {rule: "PostgreSQL is busy", server: "db-1", group: "postgres", fires_at: "10m", resolves_at: "20m"}
 * ```
 *
 * Values are those of metrics in the unit that a rule names (`SeriesText.ts` has their language).
 */
import { Result, Schema } from "effect"
import type { Exporter } from "../plugins/Exporter.ts"
import { closest, type Place, readYaml, valueText } from "../YamlDocument.ts"
import { BytesBetween, CountBetween, DurationBetween, FilePath, Switch } from "../YamlValue.ts"
import { EVERY_MILLIS } from "./Rule.ts"
import { Text } from "./RuleFile.ts"
import { type Entry, entriesOf, type Facts } from "./RuleTestSeries.ts"

const SECOND = 1_000
const DAY = 86_400 * SECOND
const TESTS_MAX = 200
const ENTRIES_MAX = 50
const GROUPS_MAX = 100
const ALERTS_MAX = 200
const NAME_MAX = 200
const INTERVAL_DEFAULT = 15 * SECOND
/** A longer time between two scrapes is a hole (docs/numbers.md). */
const INTERVAL_MAX = 300 * SECOND

/** A metric's values, in the language of `SeriesText.ts`; a number is the same in all scrapes. */
const Values = Schema.Record(Schema.String, Schema.Union([Schema.String, Schema.Finite]))

const FileEntry = Schema.Struct({
  server: Text(NAME_MAX),
  resource: Schema.String,
  interval: Schema.optionalKey(DurationBetween(SECOND, INTERVAL_MAX)),
  cores: Schema.optionalKey(CountBetween(1, 10_000)),
  memory: Schema.optionalKey(BytesBetween(1, Number.MAX_SAFE_INTEGER)),
  groups: Schema.optionalKey(Schema.Record(Schema.String, Values)),
  values: Schema.optionalKey(Values)
})
type FileEntry = typeof FileEntry.Type

const FileAlert = Schema.Struct({
  rule: Schema.String,
  server: Schema.String,
  group: Schema.optionalKey(Schema.String),
  fires_at: DurationBetween(0, 7 * DAY),
  resolves_at: Schema.optionalKey(DurationBetween(0, 7 * DAY))
})
type FileAlert = typeof FileAlert.Type

const FileTest = Schema.Struct({
  name: Text(NAME_MAX),
  only: Schema.optionalKey(Schema.Array(Schema.String).check(Schema.isMinLength(1), Schema.isMaxLength(TESTS_MAX))),
  series: Schema.Array(FileEntry).check(Schema.isMinLength(1), Schema.isMaxLength(ENTRIES_MAX)),
  alerts: Schema.Array(FileAlert).check(Schema.isMaxLength(ALERTS_MAX))
})
type FileTest = typeof FileTest.Type

const File = Schema.Struct({
  rules_file: Schema.optionalKey(FilePath),
  default_rules: Schema.optionalKey(Switch),
  tests: Schema.Array(FileTest).check(Schema.isMinLength(1), Schema.isMaxLength(TESTS_MAX))
})
type File = typeof File.Type

/** One alert, from when it fires until it is over; milliseconds since the beginning. */
export interface TestedAlert {
  readonly rule: string
  readonly server: string
  /** Empty where the rule is about the server. */
  readonly group: string
  readonly firesAt: number
  /** Undefined: it still fires at the end. */
  readonly resolvesAt: number | undefined
}

export interface RuleTest {
  readonly name: string
  /** Names of rules; undefined: all. */
  readonly only: ReadonlyArray<string> | undefined
  readonly entries: ReadonlyArray<Entry>
  readonly facts: ReadonlyMap<string, Facts>
  readonly expected: ReadonlyArray<TestedAlert>
}

export interface RuleTestFile {
  /** Undefined: the shipped ones. */
  readonly rulesFile: string | undefined
  readonly tests: ReadonlyArray<RuleTest>
  readonly place: Place
}

const decode = Schema.decodeUnknownResult(File, { errors: "all", onExcessProperty: "error" })

/** Reads the text of a file. A failure is the list of problems, one sentence each. */
export const readRuleTests = (
  text: string,
  exporters: ReadonlyArray<Exporter>
): Result.Result<RuleTestFile, ReadonlyArray<string>> => {
  let where: Place = () => ""
  const tests: Array<RuleTest> = []
  const file = readYaml(text, {
    decode,
    keys: [
      [/^$/, Object.keys(File.fields)],
      [/^tests\[\d+\]$/, Object.keys(FileTest.fields)],
      [/^tests\[\d+\]\.series\[\d+\]$/, Object.keys(FileEntry.fields)],
      [/^tests\[\d+\]\.alerts\[\d+\]$/, Object.keys(FileAlert.fields)]
    ],
    contradictions: (file, place) => {
      where = place
      const problems = ofRules(file)
      for (const [n, test] of file.tests.entries()) tests.push(testOf(test, n, exporters, place, problems))
      return problems
    },
    bounds: { bytes: 512 * 1024, keys: 20_000, parts: 200_000 }
  })
  return Result.map(file, ({ rules_file }) => ({ rulesFile: rules_file, tests, place: where }))
}

const ofRules = (file: File): Array<string> =>
  (file.rules_file === undefined) === (file.default_rules === true)
    ? []
    : ["the file has one of rules_file and default_rules: true: they say which rules are tested"]

const testOf = (
  test: FileTest,
  n: number,
  exporters: ReadonlyArray<Exporter>,
  place: Place,
  problems: Array<string>
): RuleTest => {
  const facts = new Map<string, Facts>()
  for (const [m, entry] of test.series.entries()) {
    const known = facts.get(entry.server)
    for (const key of ["cores", "memory"] as const) {
      if (entry[key] === undefined || known?.[key] === undefined || entry[key] === known[key]) continue
      problems.push(
        `${place(["tests", n, "series", m, key])} is ${entry[key]}, but ${valueText(entry.server)} had ${known[key]} above`
      )
    }
    facts.set(entry.server, { cores: known?.cores ?? entry.cores, memory: known?.memory ?? entry.memory })
    const groups = Object.keys(entry.groups ?? {}).length
    if (groups > GROUPS_MAX) {
      problems.push(`${place(["tests", n, "series", m, "groups"])}: ${groups} of them, at most ${GROUPS_MAX}`)
    }
  }
  for (const [m, alert] of test.alerts.entries()) {
    problems.push(...ofAlert(alert, facts, (key) => place(["tests", n, "alerts", m, key])))
  }
  const entries = entriesOf(test.series.map(plain), facts, exporters, (path) => place(["tests", n, "series", ...path]))
  if (Result.isFailure(entries)) problems.push(...entries.failure)
  return {
    name: test.name,
    only: test.only,
    entries: Result.getOrElse(entries, () => []),
    facts,
    expected: test.alerts.map(({ fires_at, group, resolves_at, rule, server }) => ({
      rule,
      server,
      group: group ?? "",
      firesAt: fires_at,
      resolvesAt: resolves_at
    }))
  }
}

const plain = ({ groups, interval, resource, server, values }: FileEntry) => ({
  server,
  resource,
  interval: interval ?? INTERVAL_DEFAULT,
  groups,
  values
})

const ofAlert = (
  { fires_at, resolves_at, server }: FileAlert,
  servers: ReadonlyMap<string, Facts>,
  at: (key: string) => string
): ReadonlyArray<string> => {
  const problems: Array<string> = []
  if (!servers.has(server))
    problems.push(unknownName(at("server"), server, "server of the series", [...servers.keys()]))
  for (const [key, value] of [
    ["fires_at", fires_at],
    ["resolves_at", resolves_at]
  ] as const) {
    if (value === undefined || value % EVERY_MILLIS === 0) continue
    problems.push(
      `${at(key)} is ${value / SECOND} s, but rules are asked every ${EVERY_MILLIS / SECOND} s since the beginning`
    )
  }
  if (resolves_at !== undefined && resolves_at <= fires_at) {
    problems.push(
      `${at("resolves_at")} is ${resolves_at / SECOND} s, but must be after fires_at, ${fires_at / SECOND} s`
    )
  }
  return problems
}

/** What is wrong with names of rules in a file of tests: `names` are those that there are. */
export const unknownRules = ({ place, tests }: RuleTestFile, names: ReadonlyArray<string>): ReadonlyArray<string> =>
  tests.flatMap(({ expected, only }, n) => {
    const asked = only ?? names
    return [
      ...(only ?? []).flatMap((name, m) =>
        names.includes(name) ? [] : [unknownName(place(["tests", n, "only", m]), name, "rule", names)]
      ),
      ...expected.flatMap(({ rule }, m) =>
        asked.includes(rule)
          ? []
          : [unknownName(place(["tests", n, "alerts", m, "rule"]), rule, "rule that is asked", asked)]
      )
    ]
  })

const unknownName = (where: string, value: string, what: string, known: ReadonlyArray<string>): string => {
  const meant = closest(value, known)
  const hint = meant === undefined ? "" : `, did you mean "${meant}"?`
  return `${where} is ${valueText(value)}, which is no ${what}${hint} (known: ${known.join(", ")})`
}
