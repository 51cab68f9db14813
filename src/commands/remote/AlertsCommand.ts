/** `nodepulse alerts`: what fires and what fired, what one of them tells, and that somebody knows of it, over the API. */
import { Clock, Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import type { AlertsAnswer } from "../../http/api/AlertsAnswer.ts"
import { isNote, NOTE_ALLOWED } from "../../http/api/MarksAnswer.ts"
import { parseTimestamp } from "../../plugins/Timestamp.ts"
import { CommandFailed } from "../Input.ts"
import { endsWithItsReader, type Piece, room, say, sayLines } from "../Terminal.ts"
import { given } from "./Options.ts"
import { findServer, remote } from "./RemoteApi.ts"
import { duration, moment, NONE, type Row, table } from "./Table.ts"
import { MOMENTS, parseMoment } from "./TimeRange.ts"

/** As many as the API says unless it is asked for more. */
const LIMIT_DEFAULT = 100
/** Of the name of a rule, as `RuleFile.ts` has it. */
const RULE_NAME_MAX = 100

type Alert = (typeof AlertsAnswer.Type)["alerts"][number]

const fail = (reason: string) => new CommandFailed({ reason })

const json = Flag.Boolean("json").pipe(Flag.withDescription("The API's answer as it is"), Flag.withDefault(false))

const id = Argument.String("id").pipe(
  Argument.withDescription("The number of an alert, as `nodepulse alerts` lists it")
)

/** What cannot be an id is asked of no server. */
const alertId = (text: string): Effect.Effect<string, CommandFailed> =>
  /^\d{1,18}$/.test(text)
    ? Effect.succeed(text)
    : Effect.fail(fail(`${text || "an empty text"} is no number of an alert, such as 17: nodepulse alerts lists them`))

const show = Command.make(
  "show",
  { id, json },
  Effect.fnUntraced(function* ({ id, json }) {
    yield* endsWithItsReader
    const asked = yield* alertId(id)
    const { ask } = yield* remote
    const story = yield* ask((client) => client.alerts.get({ params: { id: asked } }))
    if (json) return yield* say(JSON.stringify(story, null, 2))
    const now = yield* Clock.currentTimeMillis
    yield* say(story.text)
    yield* sayLines(toldOf(story, now))
  })
).pipe(
  Command.withDescription(
    "Say what an alert tells: who used how much before it fired and then, what restarted, notes. The times in it are UTC."
  )
)

/** Who knows of it, and whether anybody is told: what is said of an alert beside its story. */
const toldOf = ({ acknowledged, silenced }: Pick<Alert, "acknowledged" | "silenced">, now: number) => {
  const lines: Array<ReadonlyArray<Piece>> = []
  if (silenced) lines.push([{ text: "silenced: nobody is told of it", emphasis: "warning" }])
  if (acknowledged !== null) {
    const { at, by, note } = acknowledged
    const said = note === "" ? "" : `: ${note}`
    lines.push([{ text: `acknowledged by ${by}, ${moment(at, now)}${said}`, emphasis: "strong" }])
  }
  return lines
}

const acknowledge = Command.make(
  "ack",
  {
    id,
    note: Flag.String("note").pipe(Flag.withDescription('What to say about it, such as "I look at it"'), Flag.optional)
  },
  Effect.fnUntraced(function* ({ id, note }) {
    const asked = yield* alertId(id)
    const said = given(note)
    if (said !== undefined && !isNote(said)) return yield* fail(`--note is not ${NOTE_ALLOWED}`)
    const { ask } = yield* remote
    const payload = said === undefined ? {} : { note: said }
    const alert = yield* ask((client) => client.alerts.acknowledge({ params: { id: asked }, payload }))
    yield* say(`acknowledged alert ${alert.alert_id}, ${subjectOf(alert)}, as ${alert.acknowledged?.by ?? NONE}`)
  })
).pipe(
  Command.withDescription(
    "Say that you know of an alert that fires. It needs an operator's or an admin token. Exits with 1 where it is over."
  )
)

export const alertsCommand = Command.make(
  "alerts",
  {
    state: Flag.Literals("state", ["firing", "resolved"]).pipe(
      Flag.withDescription("Only those that fire, or that are over"),
      Flag.optional
    ),
    server: Flag.String("server").pipe(Flag.withDescription("Only of a server, by its id or name"), Flag.optional),
    rule: Flag.String("rule").pipe(Flag.withDescription("Only of the rule of this name"), Flag.optional),
    since: Flag.String("since").pipe(
      Flag.withDescription(`Only those that still fired after a moment: ${MOMENTS}`),
      Flag.optional
    ),
    limit: Flag.Int("limit").pipe(
      Flag.withAlias("n"),
      Flag.withDescription(`How many, 1 to 1000; ${LIMIT_DEFAULT} unless given`),
      Flag.filter(
        (limit) => limit >= 1 && limit <= 1_000,
        (limit) => `--limit is ${limit}, but must be 1 to 1000`
      ),
      Flag.withDefault(LIMIT_DEFAULT)
    ),
    json
  },
  Effect.fnUntraced(function* ({ json, limit, rule, server, since, state }) {
    yield* endsWithItsReader
    const now = yield* Clock.currentTimeMillis
    const from = Option.isNone(since) ? undefined : parseMoment(since.value, now * 1_000)
    if (Option.isSome(since) && from === undefined) {
      return yield* fail(`--since ${since.value} is no moment such as ${MOMENTS}`)
    }
    const [of, named] = [given(rule), given(server)]
    if (of !== undefined && of.length > RULE_NAME_MAX) {
      return yield* fail(`--rule has ${of.length} characters; the name of a rule has at most ${RULE_NAME_MAX}`)
    }
    const there = yield* remote
    const about = named === undefined ? undefined : yield* findServer(there, named)
    const query = {
      limit,
      ...(Option.isNone(state) ? {} : { state: state.value }),
      ...(about === undefined ? {} : { server: about.server_id }),
      ...(of === undefined ? {} : { rule: of }),
      ...(from === undefined ? {} : { from })
    }
    const answer = yield* there.ask((client) => client.alerts.list({ query }))
    if (json) return yield* say(JSON.stringify(answer, null, 2))
    if (answer.alerts.length === 0) return yield* say(`no alerts${Object.keys(query).length > 1 ? " like that" : ""}`)
    const { columns } = yield* room
    const more: ReadonlyArray<Piece> = [{ text: `The first ${limit}; --limit shows more.`, emphasis: "faint" }]
    yield* sayLines([
      ...table(
        HEAD,
        answer.alerts.map((alert) => rowOf(alert, now)),
        columns
      ),
      ...(answer.alerts.length === limit ? [more] : [])
    ])
  })
).pipe(
  Command.withDescription(
    "Show what fires now, then what fired last, of all servers or of one. Exits with 0 also where something fires; with 1 and the reason on standard error where it cannot be told."
  ),
  Command.withSubcommands([show, acknowledge]),
  Command.withExamples([
    { command: "nodepulse alerts", description: "What fires now, then the latest" },
    {
      command: "nodepulse alerts --server web-1 --since 'yesterday 18:00'",
      description: "Of a server, over the night"
    },
    { command: "nodepulse alerts show 17", description: "Who it was, and what changed" },
    { command: 'nodepulse alerts ack 17 --note "I look at it"', description: "Somebody knows" },
    {
      command: "nodepulse alerts --state firing --json | jq -e '.alerts == []'",
      description: "For a script: fails while something fires"
    }
  ])
)

const HEAD = ["ID", "FIRED", "LASTED", "STATE", "SEVERITY", "VALUE", "SERVER", "WHAT"]

const rowOf = (alert: Alert, now: number): Row => {
  const { alert_id, fired_at, resolved_at, server_id, severity, unit, value } = alert
  const seconds = (parseTimestamp(resolved_at ?? "") ?? now * 1_000) / 1e6 - parseTimestamp(fired_at)! / 1e6
  const shown = value === null ? NONE : `${Number(value.toFixed(1))}${unit === "" ? "" : ` ${unit}`}`
  return [
    { text: alert_id },
    { text: moment(fired_at, now) },
    { text: duration(Math.max(0, seconds)) },
    { text: stateOf(alert), emphasis: resolved_at === null ? "warning" : "faint" },
    { text: severity },
    { text: shown },
    { text: server_id ?? "nodepulse" },
    { text: subjectOf(alert) }
  ]
}

/** Its rule, and the group that it is about. */
const subjectOf = ({ group, rule }: Alert): string => (group === "" ? rule : `${rule}: ${group}`)

const stateOf = ({ acknowledged, resolved_at, silenced, unknown }: Alert): string =>
  resolved_at !== null
    ? "over"
    : [unknown ? "unknown" : "firing", silenced ? "silenced" : "", acknowledged === null ? "" : "acknowledged"]
        .filter((word) => word !== "")
        .join(", ")
