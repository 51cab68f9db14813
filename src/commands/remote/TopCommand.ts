/**
 * `nodepulse top`: who uses most, of a server or of all of them, now or then, over the API.
 *
 * In a pipe it writes whole names, no colours, and ends with its reader. `--watch` asks again every {@link WATCH_EVERY}.
 */
import { Clock, Duration, Effect } from "effect"
import { Command, Flag } from "effect/cli"
import type { ActShown } from "../../http/api/ActingAnswer.ts"
import type { CatalogEntry } from "../../plugins/Catalog.ts"
import type { GroupingVersion } from "../../query/grouping/Rules.ts"
import type { CommandFailed } from "../Input.ts"
import { endsWithItsReader, type Piece, room, say, sayLines, sayOver } from "../Terminal.ts"
import { given, groupedBy, options, type When, windowQuery } from "./Options.ts"
import { findRanked, findServer, type Remote, remote } from "./RemoteApi.ts"
import { type Cell, figure, heading, moment, NONE, type Row, share, span, table } from "./Table.ts"

const WATCH_EVERY = Duration.seconds(5)
/** Seen for less than this, an answer says so. */
const COVERAGE_MIN = 0.8

type Top = NonNullable<CatalogEntry["top"]>
type Fields = Readonly<Record<string, unknown>>

export const topCommand = Command.make(
  "top",
  {
    ...options,
    watch: Flag.Boolean("watch").pipe(
      Flag.withAlias("w"),
      Flag.withDescription("Ask again every 5 seconds, until Ctrl-C"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function* ({ json, watch, ...asked }) {
    yield* endsWithItsReader
    const server = yield* remote
    const query = {
      ...asked,
      by: given(asked.by),
      grouping: given(asked.grouping),
      resource: given(asked.resource),
      server: given(asked.server)
    }
    const { resource, top } = yield* findRanked(server, query.resource)
    const named = query.server === undefined ? undefined : yield* findServer(server, query.server)
    const question: Question = { ...query, resource, top, named }
    const once = Effect.gen(function* () {
      const answer = yield* answerTo(server, question)
      if (json) return yield* say(JSON.stringify(answer, null, watch ? 0 : 2))
      const { columns, rows } = yield* room
      const lines = shown(question, answer, columns, yield* Clock.currentTimeMillis)
      yield* watch ? sayOver(lines.length > rows - 1 ? lines.slice(0, rows - 1) : lines) : sayLines(lines)
    })
    if (!watch) return yield* once
    // Once it has worked, a server that is away is waited for.
    yield* once
    yield* Effect.forever(Effect.delay(Effect.catchTag(once, "CommandFailed", sayFailure), WATCH_EVERY))
  })
).pipe(
  Command.withDescription(
    "Show who uses most, of one server or of all. Exits with 0, or with 1 and the reason on standard error."
  ),
  Command.withExamples([
    { command: "nodepulse top web-1 --watch", description: "The last hour, live" },
    { command: "nodepulse top web-1 --at 03:14", description: "Who it was at 03:14: the five minutes before" },
    { command: "nodepulse top --by memory --last 7d", description: "Of all servers, over a week" },
    { command: "nodepulse top web-1 --json | jq '.processes[0]'", description: "For a program" }
  ])
)

const sayFailure = ({ message }: CommandFailed) => sayOver([[{ text: message, emphasis: "warning" }]])

interface Question extends When {
  readonly by: string | undefined
  readonly grouping: string | undefined
  readonly limit: number
  readonly resource: string
  readonly top: Top
  readonly named: { readonly server_id: string; readonly name: string } | undefined
}

const answerTo = Effect.fnUntraced(function* (
  { ask }: Remote,
  { by, grouping, limit, named, resource, ...when }: Question
) {
  const query = {
    ...(yield* windowQuery(when)),
    limit,
    ...(by === undefined ? {} : { metric: by }),
    ...(grouping === undefined ? {} : { grouping })
  }
  return named === undefined
    ? yield* ask((client) => client.fleetRankings.top({ params: { resource }, query }))
    : yield* ask((client) => client.rankings.top({ params: { id: named.server_id, resource }, query }))
})

type Answer = Effect.Success<ReturnType<typeof answerTo>>

const shown = (question: Question, answer: Answer, columns: number, now: number): Array<Array<Piece>> => {
  const { named, resource, top } = question
  const fleet = named === undefined
  const fields = columnsOf(top, answer.metric)
  const head = [...fields.map((field) => field.heading), ...(fleet ? ["SERVER"] : []), "NAME"]
  const cells = (row: Fields): Array<Cell> =>
    fields.map(({ field, unit }) => ({ text: field in row ? figure(row[field], unit) : NONE }))
  const line = (row: Fields, name: string, emphasis?: Cell["emphasis"]): Row => [
    ...cells(row),
    ...(fleet ? [{ text: typeof row.server_id === "string" ? row.server_id : "" }] : []),
    { text: name, emphasis }
  ]
  const rows = answer[resource] as ReadonlyArray<Fields>
  const others = answer.other.groups ?? 0
  const list = [
    ...rows.map((row) => line(row, `${row.name}${actedOn(row, now)}`)),
    ...(others === 0 ? [] : [line(answer.other, `(${others} more)`, "faint")]),
    ...("unaccounted" in answer && answer.unaccounted !== null
      ? [line(unaccountedOf(top, answer.metric, answer.unaccounted as Fields), "(unaccounted)", "faint")]
      : [])
  ]
  const title = fleet ? fleetTitle(answer) : serverTitle(named.name, answer)
  const by = groupedBy((answer as Fields).grouping as GroupingVersion | undefined)
  const rules: ReadonlyArray<Piece> = by === undefined ? [] : [{ text: `  ${by}`, emphasis: "faint" }]
  return [
    [{ text: title.of, emphasis: "strong" }, { text: `  ${span(answer.window, now)}` }, ...rules, ...title.notes],
    ...(list.length === 0 ? [[{ text: "No data in this time range." }]] : table(head, list, columns))
  ]
}

/** Who did what to it last, and how many acts there are. */
const actedOn = ({ acts, acts_total }: Fields, now: number): string => {
  const [latest] = (acts ?? []) as ReadonlyArray<ActShown>
  if (latest === undefined) return ""
  const { at, by, result, verb } = latest
  const who = by.length === 0 ? "" : ` by ${by.join(" and ")}`
  const more = acts_total === 1 ? "" : `, ${acts_total} acts`
  return `  (${verb}${result === "done" ? "" : ` ${result}`}${who}, ${moment(at, now)}${more})`
}

/** The fields that are shown: all of the ranking that was asked for, what the others are now, and what stands beside them. */
const columnsOf = (top: Top, metric: string) => {
  const asked = top.rankings.filter(({ key }) => key === metric)
  const others = top.rankings.filter(({ key, on_demand }) => key !== metric && !on_demand)
  const one = ({ fields, key, unit }: Top["rankings"][number], which: "now" | "average" | "peak") => ({
    field: fields[which],
    unit,
    heading: `${which === "now" ? "" : which === "average" ? "AVG " : "PEAK "}${heading(key, unit)}`
  })
  return [
    ...asked.flatMap((ranking) => [one(ranking, "now"), one(ranking, "average"), one(ranking, "peak")]),
    ...others.flatMap((ranking) => [one(ranking, "now"), one(ranking, "peak")]),
    ...top.also
      .filter(({ nullable }) => !nullable)
      .map(({ field, unit }) => ({ field, unit, heading: heading(field, unit) }))
  ]
}

/** What no group accounts for, in the fields of the ranking. */
const unaccountedOf = (top: Top, metric: string, { avg_cpu_percent }: Fields): Fields => {
  const ranking = top.rankings.find(({ key, share }) => key === metric && share === "cpu")
  return ranking === undefined ? {} : { [ranking.fields.average]: Math.max(0, Number(avg_cpu_percent)) }
}

interface Title {
  readonly of: string
  readonly notes: ReadonlyArray<Piece>
}

const warning = (text: string): Piece => ({ text: `  ${text}`, emphasis: "warning" })

const serverTitle = (name: string, answer: Answer): Title => {
  const { coverage, host, memory_overcounted, stale } = answer as Fields
  const facts = host as { readonly cpu_cores: number | null; readonly memory_total_mb: number | null } | null
  const size = [
    ...(facts?.cpu_cores == null ? [] : [`${facts.cpu_cores} cores`]),
    ...(facts?.memory_total_mb == null ? [] : [figure(facts.memory_total_mb, "mb")])
  ]
  return {
    of: size.length === 0 ? name : `${name} (${size.join(", ")})`,
    notes: [
      ...(Number(coverage) < COVERAGE_MIN ? [warning(`seen for ${share(Number(coverage))} of it`)] : []),
      ...(stale === true ? [warning("no news since")] : []),
      ...(memory_overcounted === true ? [warning("shared memory counts more than once")] : [])
    ]
  }
}

const fleetTitle = (answer: Answer): Title => {
  const servers = (answer as Fields).servers as ReadonlyArray<{ readonly coverage: number }>
  const unseen = servers.filter(({ coverage }) => coverage < COVERAGE_MIN).length
  return {
    of: servers.length === 1 ? "1 server" : `${servers.length} servers`,
    notes: unseen === 0 ? [] : [warning(`${unseen} of them not seen for all of it`)]
  }
}
