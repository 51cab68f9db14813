/** `GET /api/servers/{id}/marks`, and `/api/notes`: what happened, and what people say did. */
import { Clock, Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { type Note, Notes } from "../../access/Notes.ts"
import { UnknownServer } from "../../access/Servers.ts"
import { Acting } from "../../acting/Acting.ts"
import { formatTimestamp, parseTimestamp } from "../../plugins/Timestamp.ts"
import { type Mark, Marks } from "../../query/Marks.ts"
import { type RecordingHead, Recordings } from "../../recordings/Recordings.ts"
import { CurrentReader } from "../api/Access.ts"
import { Api } from "../api/Api.ts"
import { ALLOWED, isServerId } from "../api/Parameters.ts"
import { Forbidden, fromFailure, invalidParameter } from "../api/Problem.ts"
import { showAct } from "./ActedRows.ts"
import { aim, HoursMax } from "./RankingsHandlers.ts"

export const marksHandlers = HttpApiBuilder.group(
  Api,
  "marks",
  Effect.fnUntraced(function* (handlers) {
    const marks = yield* Marks
    const notes = yield* Notes
    const recordings = yield* Recordings
    const acting = yield* Acting
    const hoursMax = yield* HoursMax

    return handlers.handleAll({
      marks: Effect.fnUntraced(function* ({ params, query }) {
        const { window } = yield* aim(params.id, query, hoursMax, false)
        const [happened, said, recorded, acts] = yield* Effect.all(
          [
            marks.of(params.id, window),
            notes.between(params.id, window),
            recordings.between(params.id, window),
            acting.acts(params.id, window)
          ],
          { concurrency: 3 }
        ).pipe(Effect.mapError((failure) => fromFailure(failure)))
        const all = [
          ...happened.map((mark) => ({ at: mark.at, shown: showMark(mark) })),
          ...said.map((note) => ({ at: note.at, shown: { kind: "note" as const, ...showNote(note) } })),
          ...acts.map((act) => ({ at: act.at, shown: { kind: "act" as const, ...showAct(act) } })),
          ...marksIn(recorded).filter(({ at }) => at > window.from && at <= window.to)
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

/** A recording, and the kills in it that the one before it does not hold. */
const marksIn = (heads: ReadonlyArray<RecordingHead>) => {
  const told = new Set<string>()
  return heads.flatMap(({ id: recording_id, kills, reason, to }) => {
    const news = kills.filter(({ at, pid }) => !told.has(`${at} ${pid}`))
    for (const { at, pid } of news) told.add(`${at} ${pid}`)
    return [
      ...news.map(({ at, name, unit }) => {
        const micros = Math.round(at * 1e6)
        return {
          at: micros,
          shown: { kind: "oom_kill" as const, at: formatTimestamp(micros), recording_id, name, unit }
        }
      }),
      {
        at: to * 1_000,
        shown: { kind: "recording" as const, at: formatTimestamp(Math.round(to * 1_000)), recording_id, reason }
      }
    ]
  })
}

const showNote = ({ at, author, noteId, serverId, text }: Note) => ({
  note_id: noteId,
  server_id: serverId,
  at: formatTimestamp(at),
  text,
  author
})
