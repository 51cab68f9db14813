/** `GET /api/servers/{id}/marks`, and `/api/notes`: what happened, and what people say did. */
import { Clock, Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { type Note, Notes } from "../../access/Notes.ts"
import { UnknownServer } from "../../access/Servers.ts"
import { formatTimestamp, parseTimestamp } from "../../plugins/Timestamp.ts"
import { type Mark, Marks } from "../../query/Marks.ts"
import { CurrentReader } from "../api/Access.ts"
import { Api } from "../api/Api.ts"
import { ALLOWED, isServerId } from "../api/Parameters.ts"
import { Forbidden, fromFailure, invalidParameter } from "../api/Problem.ts"
import { aim, HoursMax } from "./RankingsHandlers.ts"

export const marksHandlers = HttpApiBuilder.group(
  Api,
  "marks",
  Effect.fnUntraced(function* (handlers) {
    const marks = yield* Marks
    const notes = yield* Notes
    const hoursMax = yield* HoursMax

    return handlers.handleAll({
      marks: Effect.fnUntraced(function* ({ params, query }) {
        const { window } = yield* aim(params.id, query, hoursMax)
        const [happened, said] = yield* Effect.all([marks.of(params.id, window), notes.between(params.id, window)], {
          concurrency: 2
        }).pipe(Effect.mapError((failure) => fromFailure(failure)))
        const all = [
          ...happened.map((mark) => ({ at: mark.at, shown: showMark(mark) })),
          ...said.map((note) => ({ at: note.at, shown: { kind: "note" as const, ...showNote(note) } }))
        ]
        return {
          server_id: params.id,
          window: { from: formatTimestamp(window.from), to: formatTimestamp(window.to) },
          marks: all.sort((a, b) => a.at - b.at).map(({ shown }) => shown)
        }
      }),

      addNote: Effect.fnUntraced(function* ({ payload: { at, server_id = null, text } }) {
        if (server_id !== null && !isServerId(server_id)) {
          return yield* fromFailure(new UnknownServer({ serverId: server_id }))
        }
        const now = (yield* Clock.currentTimeMillis) * 1_000
        const moment = at === undefined ? now : parseTimestamp(at)!
        if (moment > now) return yield* invalidParameter("at", at, ALLOWED.at)
        const added = yield* Effect.mapError(notes.add({ serverId: server_id, at: moment, text }), (failure) =>
          fromFailure(failure)
        )
        return showNote(added)
      }),

      removeNote: Effect.fnUntraced(function* ({ params }) {
        const { kind } = yield* CurrentReader
        yield* Effect.mapError(notes.remove(params.id, kind === "admin" ? "any" : "own"), (failure) =>
          failure._tag === "NoteOfSomebodyElse" ? new Forbidden({ detail: failure.message }) : fromFailure(failure)
        )
      })
    })
  })
)

const showMark = (mark: Mark) => {
  const { at, exporter } = mark
  const moment = formatTimestamp(at)
  switch (mark.kind) {
    case "clock":
      return { kind: mark.kind, at: moment, exporter, by_seconds: mark.bySeconds }
    case "outage":
      return { kind: mark.kind, at: moment, exporter, until: mark.until === null ? null : formatTimestamp(mark.until) }
    default:
      return { kind: mark.kind, at: moment, exporter }
  }
}

const showNote = ({ at, author, noteId, serverId, text }: Note) => ({
  note_id: noteId,
  server_id: serverId,
  at: formatTimestamp(at),
  text,
  author
})
