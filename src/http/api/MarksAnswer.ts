/** What happened to a server beside its load, as `GET /api/servers/{id}/marks` says it, and what a note is. */
import { Schema } from "effect"
import { HttpApiSchema } from "effect/http-api"
import { parseTimestamp } from "../../plugins/Timestamp.ts"
import { isPrintable } from "../../protocol/PrintableText.ts"
import { REASONS } from "../../protocol/Recording.ts"
import { actMark } from "./ActingAnswer.ts"

const NOTE_LENGTH_MAX = 500

/** What the text of a note may be. */
export const NOTE_ALLOWED = `a text of 1 to ${NOTE_LENGTH_MAX} characters, not only blanks, without control or invisible characters`

export const isNote = (text: string): boolean =>
  text.trim() !== "" && text.length <= NOTE_LENGTH_MAX && isPrintable(text)

export const NewNote = Schema.Struct({
  text: Schema.String.check(Schema.makeFilter(isNote, { expected: NOTE_ALLOWED })),
  server_id: Schema.optionalKey(Schema.String.annotate({ description: "All servers unless given." })),
  at: Schema.optionalKey(
    Schema.String.check(
      Schema.makeFilter((text: string) => parseTimestamp(text) !== undefined, {
        expected: "a moment in RFC 3339, such as 2025-10-30T12:00:00Z"
      })
    ).annotate({ format: "date-time", description: "Now unless given; not in the future." })
  )
})

const note = {
  note_id: Schema.String,
  server_id: Schema.NullOr(Schema.String).annotate({ description: "Null: of all servers." }),
  at: Schema.String,
  text: Schema.String,
  author: Schema.String.annotate({ description: "Whose token or session it was, as the audit calls them." })
}

export const NoteAdded = Schema.Struct(note).pipe(HttpApiSchema.status(201))

const exporter = Schema.String

export const MarksAnswer = Schema.Struct({
  server_id: Schema.String,
  window: Schema.Struct({ from: Schema.String, to: Schema.String }),
  marks: Schema.Array(
    Schema.Union([
      Schema.Struct({ kind: Schema.Literals(["restart", "reboot"]), at: Schema.String, exporter }),
      Schema.Struct({ kind: Schema.Literal("clock"), at: Schema.String, exporter, by_seconds: Schema.Finite }),
      Schema.Struct({
        kind: Schema.Literal("outage"),
        at: Schema.String,
        exporter,
        until: Schema.NullOr(Schema.String).annotate({ description: "Null: for the rest of the window." })
      }),
      Schema.Struct({ kind: Schema.Literal("note"), ...note }),
      Schema.Struct({
        kind: Schema.Literal("oom_kill"),
        at: Schema.String,
        recording_id: Schema.String,
        name: Schema.NullOr(Schema.String),
        unit: Schema.NullOr(Schema.String)
      }),
      Schema.Struct({
        kind: Schema.Literal("recording"),
        at: Schema.String,
        recording_id: Schema.String,
        reason: Schema.Literals(REASONS)
      }),
      Schema.Struct({ kind: Schema.Literal("act"), ...actMark })
    ])
  ).annotate({
    description:
      "In order of time, the latest thousand of notes and of the others: exporters that restarted or said nothing, reboots, clocks that were set, processes that were killed for want of memory, recordings, and what people have done to the server from here."
  })
})
