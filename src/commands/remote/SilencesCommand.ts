/** `nodepulse silences`: which alerts nobody is told of, until when, over the API. */
import { Clock, Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { isPattern, PATTERN_ALLOWED, SEVERITIES } from "../../alerts/Rule.ts"
import { silenceText } from "../../alerts/silences/Silence.ts"
import { isNote, NOTE_ALLOWED } from "../../http/api/MarksAnswer.ts"
import type { NewSilence, SilencesAnswer } from "../../http/api/SilencesAnswer.ts"
import { formatTimestamp } from "../../plugins/Timestamp.ts"
import { CommandFailed } from "../Input.ts"
import { endsWithItsReader, room, say, sayLines } from "../Terminal.ts"
import { given } from "./Options.ts"
import { remote } from "./RemoteApi.ts"
import { moment, type Row, span, table } from "./Table.ts"
import { COMING, parseComing, parseSpan, SPANS } from "./TimeRange.ts"

type Silence = SilencesAnswer["silences"][number]

const fail = (reason: string) => new CommandFailed({ reason })

const pattern = (name: string, description: string) =>
  Flag.String(name).pipe(
    Flag.withDescription(`${description}; * stands for any characters`),
    Flag.filter(isPattern, (text) => `--${name} ${text} is not ${PATTERN_ALLOWED}`),
    Flag.optional
  )

const add = Command.make(
  "add",
  {
    rule: pattern("rule", "Of alerts of these rules"),
    server: pattern("server", "on these servers, by their ids or names"),
    group: pattern("group", "about these groups, as alerts have them"),
    severity: Flag.Literals("severity", SEVERITIES).pipe(Flag.withDescription("and of this severity"), Flag.optional),
    lasting: Flag.String("for").pipe(Flag.withDescription(`How long: ${SPANS}`)),
    from: Flag.String("from").pipe(Flag.withDescription(`When it begins, now unless given: ${COMING}`), Flag.optional),
    comment: Flag.String("comment").pipe(
      Flag.withDescription("Why, for whoever wonders"),
      Flag.filter(isNote, () => `--comment is not ${NOTE_ALLOWED}`)
    ),
    maintenance: Flag.Boolean("maintenance").pipe(
      Flag.withDescription("Of whole servers, announced as what it is: with --server only"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function* ({ comment, from, group, lasting, maintenance, rule, server, severity }) {
    const matchers = {
      ...asked("rule", rule),
      ...asked("server", server),
      ...asked("group", group),
      ...asked("severity", severity)
    }
    const unclear = maintenance ? ofMaintenance(matchers) : ofSilence(matchers)
    if (unclear !== undefined) return yield* fail(unclear)
    const times = yield* timesOf(lasting, given(from))
    const kind: Pick<NewSilence, "kind"> = maintenance ? { kind: "maintenance" } : {}
    const { ask } = yield* remote
    const added = yield* ask((client) => client.silences.add({ payload: { ...matchers, ...kind, ...times, comment } }))
    const now = yield* Clock.currentTimeMillis
    yield* say(
      `${added.kind} ${added.silence_id}: ${aboutOf(added)}, ${span({ from: added.from, to: added.until }, now)}`
    )
  })
).pipe(
  Command.withDescription(
    "Keep messages back about the alerts that all of --rule, --server, --group and --severity are about; at least one is needed. It needs an operator's or an admin token."
  ),
  Command.withExamples([
    {
      command: 'nodepulse silences add --rule "PostgreSQL is busy" --server "db-*" --for 2h --comment vacuum',
      description: "From now on"
    },
    {
      command: 'nodepulse silences add --maintenance --server web-1 --from 22:00 --for 90m --comment "new disks"',
      description: "A server, tonight"
    }
  ])
)

const asked = <Name extends string, A>(name: Name, value: Option.Option<A>): { readonly [K in Name]?: A } =>
  (Option.isNone(value) ? {} : { [name]: value.value }) as { readonly [K in Name]?: A }

/** What the server would say, in the words of the command line. */
const ofSilence = (matchers: object): string | undefined =>
  Object.keys(matchers).length > 0
    ? undefined
    : 'say which alerts: one of --rule, --server, --group and --severity is needed; --server "*" is all of them'

const ofMaintenance = (matchers: object): string | undefined => {
  const others = Object.keys(matchers).filter((name) => name !== "server")
  if (others.length > 0) return `--maintenance is of whole servers: it does not go with --${others[0]}`
  return "server" in matchers ? undefined : '--maintenance needs --server; "*" is all of them'
}

/** When it begins, where that is not now, and ends. */
const timesOf = Effect.fnUntraced(function* (lasting: string, from: string | undefined) {
  const length = parseSpan(lasting)
  if (length === undefined) return yield* fail(`--for ${lasting} is no span such as ${SPANS}`)
  const now = (yield* Clock.currentTimeMillis) * 1_000
  const begins = from === undefined ? now : parseComing(from, now)
  if (begins === undefined) return yield* fail(`--from ${from} is no moment such as ${COMING}`)
  const ends = begins + length
  if (ends <= now) return yield* fail(`--from ${from} and --for ${lasting} end in the past`)
  if (ends > LATEST) return yield* fail(`--for ${lasting} is more than a year`)
  const until = formatTimestamp(ends)
  return from === undefined ? { until } : { from: formatTimestamp(begins), until }
})

/** The last moment that RFC 3339 has; the server allows less. */
const LATEST = Date.UTC(9999, 11, 31) * 1_000

const end = Command.make(
  "end",
  {
    id: Argument.String("id").pipe(
      Argument.withDescription("The number of a silence, as `nodepulse silences` lists it")
    )
  },
  Effect.fnUntraced(function* ({ id }) {
    if (!/^\d{1,15}$/.test(id)) {
      return yield* fail(`${id || "an empty text"} is no number of a silence, such as 3: nodepulse silences lists them`)
    }
    const { ask } = yield* remote
    yield* ask((client) => client.silences.end({ params: { id } }))
    yield* say(`silence ${id} is over`)
  })
).pipe(
  Command.withDescription(
    "End a silence now; what still fires is told then. One that has not begun is removed. It needs an operator's or an admin token."
  )
)

export const silencesCommand = Command.make(
  "silences",
  {
    all: Flag.Boolean("all").pipe(
      Flag.withDescription("Also those that are over, for 30 days"),
      Flag.withDefault(false)
    ),
    json: Flag.Boolean("json").pipe(Flag.withDescription("The API's answer as it is"), Flag.withDefault(false))
  },
  Effect.fnUntraced(function* ({ all, json }) {
    yield* endsWithItsReader
    const { ask } = yield* remote
    const answer = yield* ask((client) => client.silences.list())
    if (json) return yield* say(JSON.stringify(answer, null, 2))
    const silences = answer.silences.filter(({ state }) => all || state !== "expired")
    if (silences.length === 0) return yield* say("there are no silences")
    const now = yield* Clock.currentTimeMillis
    const rows = silences.map((silence) => rowOf(silence, now))
    yield* sayLines(table(["ID", "STATE", "FROM", "UNTIL", "BY", "WHAT"], rows, (yield* room).columns))
  })
).pipe(
  Command.withDescription("Show which alerts nobody is told of, and which servers are in maintenance"),
  Command.withSubcommands([add, end]),
  Command.withExamples([
    { command: "nodepulse silences", description: "Those that are not over" },
    {
      command: 'nodepulse silences add --server "db-*" --for 2h --comment vacuum',
      description: "Nobody is told of these servers for two hours"
    },
    { command: "nodepulse silences end 3", description: "It is over sooner" }
  ])
)

const STATES: Readonly<Record<Silence["state"], string>> = { active: "active", pending: "to come", expired: "over" }

const rowOf = (silence: Silence, now: number): Row => [
  { text: silence.silence_id },
  { text: STATES[silence.state], ...(silence.state === "expired" ? { emphasis: "faint" as const } : {}) },
  { text: moment(silence.from, now) },
  { text: moment(silence.until, now) },
  { text: silence.by },
  { text: `${aboutOf(silence)}: ${silence.comment}` }
]

const aboutOf = ({ group, kind, rule, server, severity }: Silence): string =>
  kind === "maintenance"
    ? `maintenance of ${server === "*" ? "all servers" : server}`
    : silenceText({ group, rule, server, severity: severity ?? undefined })
