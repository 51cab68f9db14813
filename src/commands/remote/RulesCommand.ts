/** `nodepulse rules`: rules for alerts, checked here, and tried on the past over the API. */
import { Clock, Effect, Result } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { DEFAULT_RULES } from "../../alerts/DefaultRules.ts"
import { installation } from "../../alerts/installation/Installation.ts"
import { metricsOf, sentence } from "../../alerts/Rule.ts"
import { type DocumentedEntry, documentsIn, readDocument, readDocuments } from "../../alerts/RuleDocument.ts"
import { RULES_MAX } from "../../alerts/RuleFile.ts"
import { switchesNothing } from "../../alerts/RuleLayers.ts"
import type { BacktestAnswer, LayeredRule } from "../../http/api/RulesAnswer.ts"
import { Registry, type RegistryShape } from "../../plugins/Registry.ts"
import { parseTimestamp } from "../../plugins/Timestamp.ts"
import { CommandFailed, readTextFile } from "../Input.ts"
import { rulesTestCommand } from "../RulesTestCommand.ts"
import { endsWithItsReader, type Piece, room, say, sayAside, sayLines } from "../Terminal.ts"
import { given } from "./Options.ts"
import { remote } from "./RemoteApi.ts"
import { duration, table } from "./Table.ts"
import { MOMENTS, rangeOf, SPANS } from "./TimeRange.ts"

const files = Argument.String("file").pipe(
  Argument.withDescription("A file of rules (YAML)"),
  Argument.variadic({ min: 1, max: 100 })
)

const checkCommand = Command.make(
  "check",
  { files },
  Effect.fnUntraced(function* ({ files }) {
    const registry = yield* Registry
    const names = new Map<string, string>()
    let wrong = 0
    for (const file of files) {
      const read = readDocuments(yield* readTextFile(file), registry.exporters)
      const problems = Result.isFailure(read) ? [...read.failure] : []
      const entries = Result.isSuccess(read) ? read.success : []
      for (const { name, rule } of entries) {
        const other = names.get(name)
        if (other !== undefined) problems.push(`"${name}" is the name of a rule in ${other}, too`)
        names.set(name, file)
        if (rule === undefined && !SHIPPED.has(name)) {
          problems.push(switchesNothing(name, [...SHIPPED.keys()], "no such rule is shipped"))
        }
      }
      wrong += problems.length
      for (const problem of problems) yield* sayAside(`${file}: ${problem}`)
      if (problems.length === 0) for (const entry of entries) yield* say(checked(entry, registry))
    }
    if (names.size > RULES_MAX) {
      wrong++
      yield* sayAside(`${names.size} rules in all files, at most ${RULES_MAX}`)
    }
    if (wrong > 0) return yield* new CommandFailed({ reason: `${wrong} ${wrong === 1 ? "problem" : "problems"}` })
  })
).pipe(
  Command.withDescription(
    "Say what each rule asks, or all that is wrong with it. Needs no server. Exits 1 on a problem."
  )
)

const SHIPPED = new Map(documentsIn(DEFAULT_RULES).map((document) => [String(document.name), document]))

/** What a rule asks, or what the one that it switches off would ask. */
const checked = ({ enabled, name, rule }: DocumentedEntry, registry: RegistryShape): string => {
  const below = SHIPPED.get(name)
  const shipped = below === undefined ? undefined : readDocument(below, registry.exporters)
  const asking = rule ?? (shipped !== undefined && Result.isSuccess(shipped) ? shipped.success.rule : undefined)
  const asks = asking === undefined ? [] : [sentence(asking, metricsOf(registry.get(asking.exporter) ?? installation))]
  return `${name}: ${[...(enabled ? [] : ["switched off"]), ...asks].join("; ")}`
}

const optional = (name: string, description: string) =>
  Flag.String(name).pipe(Flag.withDescription(description), Flag.optional)

const backtestCommand = Command.make(
  "backtest",
  {
    file: Argument.String("file").pipe(Argument.withDescription("A file of rules (YAML)")),
    rule: optional("rule", "Only the rule of this name"),
    last: optional("last", `How far back: ${SPANS}. 7d unless given`),
    to: optional("to", `until a moment: ${MOMENTS}; now unless given`),
    json: Flag.Boolean("json").pipe(Flag.withDescription("The API's answer as it is"), Flag.withDefault(false))
  },
  Effect.fnUntraced(function* ({ file, json, last, rule, to }) {
    yield* endsWithItsReader
    const text = yield* readTextFile(file)
    const now = yield* Clock.currentTimeMillis
    const asked = { at: undefined, from: undefined, to: given(to), last: given(last) ?? "7d" }
    const range = rangeOf(asked, now * 1_000)
    if (Result.isFailure(range)) return yield* new CommandFailed({ reason: range.failure })
    const { at, hours } = range.success
    const query = at === undefined ? { hours } : { hours, at }
    const there = yield* remote
    const answer = yield* there.ask((client) => client.rules.backtest({ payload: { text }, query }))
    const only = given(rule)
    const rules = answer.rules.filter(({ name }) => only === undefined || name === only)
    if (rules.length === 0 && only !== undefined) {
      const known = answer.rules.map(({ name }) => name).join(", ")
      return yield* new CommandFailed({ reason: `there is no rule "${only}" in ${file} (there: ${known})` })
    }
    if (json) return yield* say(JSON.stringify({ ...answer, rules }, null, 2))
    yield* sayLines(rules.flatMap((one) => told(one, answer.window.to)))
  })
).pipe(
  Command.withDescription(
    "Say when rules would have fired in the past, by the machine that asks them now. Nothing is stored. It needs an operator's or an admin token."
  ),
  Command.withExamples([
    { command: "nodepulse rules backtest rules.yml", description: "The last seven days" },
    { command: 'nodepulse rules backtest rules.yml --rule "PostgreSQL is busy" --last 1d', description: "One rule" }
  ])
)

const listCommand = Command.make(
  "list",
  { json: Flag.Boolean("json").pipe(Flag.withDescription("The API's answer as it is"), Flag.withDefault(false)) },
  Effect.fnUntraced(function* ({ json }) {
    yield* endsWithItsReader
    const { ask } = yield* remote
    const answer = yield* ask((client) => client.rules.list())
    if (json) return yield* say(JSON.stringify(answer, null, 2))
    for (const problem of answer.problems) yield* sayAside(problem)
    if (answer.rules.length === 0) return yield* say("there are no rules")
    const rows = answer.rules.map((rule) => [
      { text: rule.enabled ? String(rule.firing) : "off" },
      { text: rule.severity },
      { text: sourceText(rule) },
      { text: `${rule.name}: ${rule.sentence}`, ...(rule.enabled ? {} : { emphasis: "faint" as const }) }
    ])
    yield* sayLines(table(["FIRING", "SEVERITY", "FROM", "RULE"], rows, (yield* room).columns))
  })
).pipe(
  Command.withDescription(
    "List the server's rules: where each comes from, how many of its alerts fire, and what it asks. What is wrong with files is told on standard error."
  ),
  Command.withExamples([
    { command: "nodepulse rules list", description: "All rules" },
    {
      command: "nodepulse rules list --json | jq -r '.rules[] | select(.source.kind == \"stored\") | .text'",
      description: "Those that were saved on the page, as files"
    }
  ])
)

/** Of which layer a rule is: `default`, `file` with its name, `saved by ann`. */
const sourceText = ({ source: { by, file, kind } }: LayeredRule): string =>
  kind === "file" ? `file ${file}` : kind === "stored" ? `saved by ${by}` : "default"

export const rulesCommand = Command.make("rules").pipe(
  Command.withDescription("Rules for alerts: list them, check them, test them, and try them on the past"),
  Command.withSubcommands([listCommand, checkCommand, rulesTestCommand, backtestCommand])
)

type Tested = BacktestAnswer["rules"][number]

const told = (rule: Tested, until: string): ReadonlyArray<ReadonlyArray<Piece>> => {
  const { incidents, more, name, sentence, servers, tried } = rule
  const count = incidents.length + more
  const times = count === 1 ? "once" : `${count} times`
  const longest = Math.max(0, ...incidents.map((one) => lengthOf(one, until)))
  const where = tried === 1 ? "1 server" : `${tried} servers`
  return [
    [{ text: name, emphasis: "strong" }, { text: `  ${sentence}` }],
    [
      {
        text:
          count === 0
            ? `  would never have fired, on ${where}`
            : `  would have fired ${times} on ${where}, for ${duration(longest)} at the longest`,
        ...(count === 0 ? {} : { emphasis: "warning" as const })
      }
    ],
    ...(tried === servers
      ? []
      : [
          [
            {
              text: `  only ${tried} of ${servers} servers could be tried in time: ask for fewer rules, fewer servers or a shorter span`,
              emphasis: "warning" as const
            }
          ]
        ]),
    ...incidents.map(
      (one): ReadonlyArray<Piece> => [
        { text: `  ${one.from}  ${one.to === null ? "still" : duration(lengthOf(one, until))}`, emphasis: "faint" },
        { text: `  ${one.server_id}  ${one.group}${one.value === null ? "" : `  ${Number(one.value.toFixed(1))}`}` }
      ]
    ),
    ...(more === 0 ? [] : [[{ text: `  and ${more} more`, emphasis: "faint" as const }]])
  ]
}

/** Seconds. */
const lengthOf = ({ from, to }: Tested["incidents"][number], until: string): number =>
  (parseTimestamp(to ?? until)! - parseTimestamp(from)!) / 1_000_000
