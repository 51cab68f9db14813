/** Silences, as `/api/silences` takes and says them. */
import { Schema } from "effect"
import { HttpApiSchema } from "effect/http-api"
import { isPattern, PATTERN_ALLOWED, SEVERITIES } from "../../alerts/Rule.ts"
import { SILENCE_KINDS } from "../../alerts/silences/Silence.ts"
import { parseTimestamp } from "../../plugins/Timestamp.ts"
import { isNote, NOTE_ALLOWED } from "./MarksAnswer.ts"

const Moment = Schema.String.check(
  Schema.makeFilter((text: string) => parseTimestamp(text) !== undefined, {
    expected: "a moment in RFC 3339, such as 2025-10-30T12:00:00Z"
  })
)

const pattern = (description: string) =>
  Schema.optionalKey(
    Schema.String.check(Schema.makeFilter(isPattern, { expected: PATTERN_ALLOWED })).annotate({
      description: `${description}; * stands for any characters. Any unless given.`
    })
  )

export const NewSilence = Schema.Struct({
  kind: Schema.optionalKey(
    Schema.Literals(SILENCE_KINDS).annotate({
      description: "A maintenance is of servers only. A silence unless given."
    })
  ),
  rule: pattern("Names of rules"),
  server: pattern("Ids or names of servers"),
  group: pattern("Names of groups as alerts have them"),
  severity: Schema.optionalKey(Schema.Literals(SEVERITIES)),
  from: Schema.optionalKey(Moment.annotate({ format: "date-time", description: "Now unless given." })),
  until: Moment.annotate({ format: "date-time", description: "At most 366 days from now." }),
  comment: Schema.String.check(Schema.makeFilter(isNote, { expected: NOTE_ALLOWED }))
})
export type NewSilence = typeof NewSilence.Type

const silence = {
  silence_id: Schema.String,
  kind: Schema.Literals(SILENCE_KINDS),
  state: Schema.Literals(["active", "pending", "expired"]),
  rule: Schema.String,
  server: Schema.String,
  group: Schema.String,
  severity: Schema.NullOr(Schema.Literals(SEVERITIES)).annotate({ description: "Null where it does not matter." }),
  from: Schema.String,
  until: Schema.String,
  by: Schema.String.annotate({ description: "Whose token or session it was, as the audit calls them." }),
  comment: Schema.String
}

export const SilenceAdded = Schema.Struct(silence).pipe(HttpApiSchema.status(201))

export const SilencesAnswer = Schema.Struct({
  silences: Schema.Array(Schema.Struct(silence)).annotate({
    description: "Those that are not over, by when they end; then those that are, for 30 days, the latest first."
  })
})
export type SilencesAnswer = typeof SilencesAnswer.Type
