/** `nodepulse diff`: what changed on a server between two windows, as a ledger that ends in the host's own change, over the API. */
import { Clock, Effect } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import type { ChangesAnswer } from "../../http/api/ChangesAnswer.ts"
import { CommandFailed } from "../Input.ts"
import { endsWithItsReader, type Piece, room, say, sayLines } from "../Terminal.ts"
import { given, groupedBy, options, windowQuery } from "./Options.ts"
import { findRanked, findServer, remote } from "./RemoteApi.ts"
import { type Cell, figure, NONE, type Row, share, signed, span, table } from "./Table.ts"
import { MOMENTS, parseMoment } from "./TimeRange.ts"

const text = (name: string, description: string) =>
  Flag.String(name).pipe(Flag.withDescription(description), Flag.optional)

export const diffCommand = Command.make(
  "diff",
  {
    ...options,
    server: Argument.String("server").pipe(Argument.withDescription("The id or name of a server")),
    against: Flag.Literals("against", ["previous", "day", "week"]).pipe(
      Flag.withDescription("Compare with the span just before (the default), or the same time a day or a week earlier"),
      Flag.optional
    ),
    againstAt: text("against-at", `or with the window that ends at a moment: ${MOMENTS}`),
    againstServer: text("against-server", "and that of another server: at the same time unless told otherwise")
  },
  Effect.fnUntraced(function* ({ against, againstAt, againstServer, by, json, limit, server, ...asked }) {
    yield* endsWithItsReader
    const remoteServer = yield* remote
    const now = yield* Clock.currentTimeMillis
    const moment = given(againstAt)
    const at = moment === undefined ? undefined : parseMoment(moment, now * 1_000)
    if (moment !== undefined && at === undefined) {
      return yield* new CommandFailed({ reason: `--against-at ${moment} is no moment such as ${MOMENTS}` })
    }
    const { resource } = yield* findRanked(remoteServer, given(asked.resource))
    const after = yield* findServer(remoteServer, server)
    const other = given(againstServer)
    const before = other === undefined ? undefined : yield* findServer(remoteServer, other)
    const [metric, previous, grouping] = [given(by), given(against), given(asked.grouping)]
    const query = {
      ...(yield* windowQuery(asked)),
      limit,
      ...(metric === undefined ? {} : { metric }),
      ...(grouping === undefined ? {} : { grouping }),
      ...(previous === undefined ? {} : { against: previous }),
      ...(at === undefined ? {} : { against_at: at }),
      ...(before === undefined ? {} : { against_server: before.server_id })
    }
    const answer = yield* remoteServer.ask((client) =>
      client.changes.diff({ params: { id: after.server_id, resource }, query })
    )
    if (json) return yield* say(JSON.stringify(answer, null, 2))
    yield* sayLines(ledgerLines(answer, after.name, (before ?? after).name, (yield* room).columns, now))
  })
).pipe(
  Command.withDescription(
    "Show what changed: two windows side by side, the largest differences first. The lines add up to the last one. Exits with 0, or with 1 and the reason on standard error."
  ),
  Command.withExamples([
    { command: "nodepulse diff web-1", description: "The last hour against the hour before" },
    { command: "nodepulse diff web-1 --last 6h --against week", description: "Against the same time last week" },
    {
      command: "nodepulse diff web-1 --from 14:05 --to 15:05 --against-at 14:00",
      description: "After a deploy, and before it"
    },
    { command: "nodepulse diff web-1 --against-server web-2 --by memory", description: "Two servers at the same time" }
  ])
)

/** The lines of the answer: coverage before any number, the changes, and what they add up to. */
export const ledgerLines = (
  answer: ChangesAnswer,
  nameAfter: string,
  nameBefore: string,
  columns: number,
  now: number
): Array<Array<Piece>> => {
  const { after, before, changes, other, partial, total, unaccounted, unit, waiting } = answer
  const by = groupedBy(answer.grouping)
  const counted = changes.some(({ count_after }) => count_after !== null)
  const line = (one: Line, name: string, count: string, emphasis?: Cell["emphasis"]): Row => [
    { text: signed(one.change, unit), emphasis: one.change > 0 ? "up" : one.change < 0 ? "down" : undefined },
    { text: one.share === null ? NONE : share(one.share) },
    { text: figure(one.before, unit) },
    { text: figure(one.after, unit) },
    ...(counted ? [{ text: count }] : []),
    { text: name, emphasis }
  ]
  const rows = [
    ...changes.map((one) =>
      line(one, [one.name, ...fates(one)].join("  "), `${one.count_before ?? NONE} > ${one.count_after ?? NONE}`)
    ),
    ...(other.groups === 0 ? [] : [line(other, `(${other.groups} more)`, "", "faint")]),
    ...(unaccounted === null ? [] : [line(unaccounted, "(unaccounted)", "", "faint")]),
    line(total, total.of === "host" ? "the host's busy CPU" : "all groups", "", "strong")
  ]
  const head = [
    `CHANGE${unit === "percent" ? " %" : ""}`,
    "SHARE",
    "BEFORE",
    "AFTER",
    ...(counted ? ["COUNT"] : []),
    "NAME"
  ]
  const seen = (what: string, name: string, one: ChangesAnswer["before"]): Array<Piece> => [
    { text: `${what} `, emphasis: "faint" },
    { text: `${name}  ${span(one.window, now)}  seen for ` },
    one.coverage < 0.8 ? { text: share(one.coverage), emphasis: "warning" } : { text: share(one.coverage) }
  ]
  return [
    seen("before", nameBefore, before),
    seen("after ", nameAfter, after),
    ...(by === undefined ? [] : [[{ text: by, emphasis: "faint" as const }]]),
    ...(partial
      ? [[{ text: "Not all of it was seen: read the changes with care.", emphasis: "warning" as const }]]
      : []),
    ...table(head, rows, columns),
    ...waiting.flatMap(({ after, before, change, field }) =>
      change === null || Math.abs(change) < 1
        ? []
        : [
            [
              {
                text: `${field}: ${figure(before, "percent")} % of a core before, ${figure(after, "percent")} % after; no group's fault`
              }
            ]
          ]
    )
  ]
}

interface Line {
  readonly before: number
  readonly after: number
  readonly change: number
  readonly share: number | null
}

const fates = ({ appeared, gone, restarted }: ChangesAnswer["changes"][number]): ReadonlyArray<string> => [
  ...(appeared ? ["appeared"] : []),
  ...(gone ? ["gone"] : []),
  ...(restarted ? ["restarted"] : [])
]
