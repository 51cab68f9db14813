/** `nodepulse note`: says what happened, for everybody who looks at that time, such as a deploy. */
import { Clock, Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { isNote, NOTE_ALLOWED } from "../../http/api/MarksAnswer.ts"
import { formatTimestamp } from "../../plugins/Timestamp.ts"
import { CommandFailed } from "../Input.ts"
import { say } from "../Terminal.ts"
import { given } from "./Options.ts"
import { findServer, remote } from "./RemoteApi.ts"
import { MOMENTS, parseMoment } from "./TimeRange.ts"

export const noteCommand = Command.make(
  "note",
  {
    text: Argument.String("text").pipe(Argument.withDescription('What happened, such as "deploy 1.4"')),
    server: Flag.String("server").pipe(
      Flag.withDescription("The server that it is about, by its id or name; all of them unless given"),
      Flag.optional
    ),
    at: Flag.String("at").pipe(Flag.withDescription(`When it happened: ${MOMENTS}. Now unless given`), Flag.optional)
  },
  Effect.fnUntraced(function* ({ at, server, text }) {
    if (!isNote(text)) return yield* new CommandFailed({ reason: `a note is ${NOTE_ALLOWED}` })
    const moment = Option.isNone(at) ? undefined : parseMoment(at.value, (yield* Clock.currentTimeMillis) * 1_000)
    if (Option.isSome(at) && moment === undefined) {
      return yield* new CommandFailed({ reason: `--at ${at.value} is no moment such as ${MOMENTS}` })
    }
    const there = yield* remote
    const named = given(server)
    const about = named === undefined ? undefined : yield* findServer(there, named)
    const payload = {
      text,
      ...(about === undefined ? {} : { server_id: about.server_id }),
      ...(moment === undefined ? {} : { at: formatTimestamp(moment) })
    }
    const note = yield* there.ask((client) => client.marks.addNote({ payload }))
    yield* say(`noted at ${note.at}, on ${about === undefined ? "all servers" : about.name} (note ${note.note_id})`)
  })
).pipe(
  Command.withDescription(
    "Say what happened, as a mark in everybody's charts. It needs an operator's or an admin token."
  ),
  Command.withExamples([
    { command: 'nodepulse note "deploy 1.4"', description: "Now, on all servers" },
    { command: 'nodepulse note "moved to NVMe" --server web-1 --at 03:14', description: "Earlier, on one" }
  ])
)
