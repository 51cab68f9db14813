/**
 * `nodepulse act show`: an order as its page has it: what was asked, who signed it, what became of it, what its host said before, and what
 * changed by it. Of the last two as much as is kept: previews are for an hour.
 */
import { Clock, Effect } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import type { OrderShown } from "../../http/api/ActingAnswer.ts"
import { parseTimestamp } from "../../plugins/Timestamp.ts"
import { endsWithItsReader, type Piece, room, say, sayLines } from "../Terminal.ts"
import { orderLines, outcomeLine, previewLines } from "./ActOrder.ts"
import { ledgerLines } from "./DiffCommand.ts"
import { type Remote, remote } from "./RemoteApi.ts"
import { moment } from "./Table.ts"

/** Groups that the ledger names. */
const NAMED = 8

const text = (line: string): Array<Piece> => [{ text: line }]
const head = (line: string): Array<Piece> => [{ text: line, emphasis: "strong" }]

/** All that there is of an order: what is not kept, or not there yet, is null. */
const toldOf = Effect.fnUntraced(function* ({ ask }: Remote, id: string) {
  const order = yield* ask((client) => client.acting.ordered({ params: { id } }))
  const preview = yield* ask((client) =>
    client.acting
      .previewed({ params: { id: order.preview_id } })
      .pipe(Effect.catchTag("NotFound", () => Effect.succeed(null)))
  )
  const { ledger, server_id } = order
  if (ledger === null || ledger.state === "waiting") return { order, preview, diff: null, marks: null }
  const { hours, metric, resource } = ledger
  const [at, against_at] = [parseTimestamp(ledger.at)!, parseTimestamp(ledger.against_at)!]
  const query = { metric, hours, at, against_at, limit: NAMED }
  const diff = yield* ask((client) => client.changes.diff({ params: { id: server_id, resource }, query }))
  const around = { hours: 2 * hours, at }
  const { marks } = yield* ask((client) => client.marks.marks({ params: { id: server_id }, query: around }))
  return { order, preview, diff, marks }
})

type Told = Effect.Success<ReturnType<typeof toldOf>>
type Mark = NonNullable<Told["marks"]>[number]

const shown = ({ diff, marks, order, preview }: Told, columns: number, now: number): Array<Array<Piece>> => [
  ...orderLines(order.order, order.server_name).map(text),
  text(`needs    ${order.needed === 1 ? "one signature" : `${order.needed} signatures, of as many persons`}`),
  text(`is       ${outcomeLine(order)}`),
  [],
  head("What happened to it"),
  ...order.events.map((event) => text(`  ${moment(event.at, now)}  ${eventText(event)}`)),
  [],
  ...(preview?.preview == null
    ? [head("What its host said before is not kept any more")]
    : [
        head(`What its host said before, at ${moment(new Date(preview.preview.at * 1_000).toISOString(), now)}`),
        ...previewLines(preview).map((line) => text(`  ${line}`))
      ]),
  ...(order.ledger === null
    ? []
    : diff === null
      ? [[], head(`What changed is told from ${moment(order.ledger.ready_at, now)} on`)]
      : [[], head("What changed"), ...ledgerLines(diff, order.server_name, order.server_name, columns, now)]),
  ...(marks === null
    ? []
    : [
        [],
        head("What happened in that time"),
        ...marks.map((mark) => text(`  ${moment(mark.at, now)}  ${markText(mark, order.order_id)}`))
      ])
]

const eventText = ({ approval, by, event, outcome }: OrderShown["events"][number]): string => {
  if (approval !== null) {
    const until = new Date(approval.expires * 1_000).toISOString().slice(11, 19)
    return `signed by ${approval.by} with key ${approval.key}, good until ${until} UTC; sent by ${by}`
  }
  if (outcome === null) return `${event} by ${by}`
  const code = outcome.code === null ? "" : ` (${outcome.code})`
  const signers = outcome.by.length === 0 ? "" : `, signed by ${outcome.by.join(" and ")}`
  return `${event}${code}${signers}, says ${by}${outcome.message === "" ? "" : `: ${outcome.message}`}`
}

const markText = (mark: Mark, orderId: string): string => {
  switch (mark.kind) {
    case "act":
      return `${mark.verb} ${mark.target}: ${mark.result}${mark.order_id === orderId ? " (this order)" : ""}`
    case "note":
      return `note by ${mark.author}: ${mark.text}`
    case "oom_kill":
      return `${mark.name ?? "a process"} was killed for want of memory`
    case "recording":
      return `recording ${mark.recording_id} (${mark.reason})`
    default:
      return `${mark.kind} of ${mark.exporter}`
  }
}

export const actShow = Command.make(
  "show",
  {
    order: Argument.String("order").pipe(
      Argument.withDescription("The id of an order, as `nodepulse act list --json` has it")
    ),
    json: Flag.Boolean("json").pipe(
      Flag.withDescription("The API's answers as they are: order, preview, diff and marks; null where there is none"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function* ({ json, order }) {
    yield* endsWithItsReader
    const told = yield* toldOf(yield* remote, order)
    if (json) return yield* say(JSON.stringify(told, null, 2))
    yield* sayLines(shown(told, (yield* room).columns, yield* Clock.currentTimeMillis))
  })
).pipe(
  Command.withDescription(
    "Show an order: what was asked, who signed it, what became of it, what its host said before, and what changed. It needs an operator's or an admin token."
  ),
  Command.withExamples([
    { command: "nodepulse act show 0b9d7c1e-8f7a-4c55-9a56-0f3f6f6f1c1b", description: "As its page tells it" }
  ])
)
