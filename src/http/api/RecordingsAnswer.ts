/** Recordings of flight recorders, as `/api/recordings` and `GET /api/servers/{id}/recordings` say them. */
import { Schema } from "effect"
import { HttpApiSchema } from "effect/http-api"
import { HOST_COLUMNS, REASONS } from "../../protocol/Recording.ts"

const NullableText = Schema.NullOr(Schema.String)
const NullableNumber = Schema.NullOr(Schema.Finite)

/** `at`: RFC 3339. */
const Kill = Schema.Struct({
  at: Schema.String,
  name: NullableText,
  pid: Schema.NullOr(Schema.Int),
  unit: NullableText,
  memory_bytes: NullableNumber.annotate({ description: "What the process held." }),
  scope: Schema.Literals(["host", "unit", "unknown"]).annotate({
    description: "Whose limit was reached: that of the machine, or that of the unit `limited`."
  }),
  limited: NullableText,
  limit_bytes: NullableNumber,
  source: Schema.Literals(["kernel", "presumed"]).annotate({
    description: "`kernel`: by its own message. `presumed`: the largest process of that unit that was gone then."
  })
}).annotate({ title: "OomKill", description: "A process that the kernel killed for want of memory." })

const head = {
  recording_id: Schema.String,
  server_id: Schema.String,
  server_name: Schema.String,
  reason: Schema.Literals(REASONS),
  from: Schema.String,
  to: Schema.String,
  received_at: Schema.String,
  kills: Schema.Array(Kill)
}

const Request = Schema.Struct({
  reason: Schema.Literals(["alert", "asked"]),
  by: NullableText.annotate({ description: "Who asked, as the audit calls them; null: alerts that fired." }),
  state: Schema.Literals(["waiting", "answered", "expired"]),
  asked_at: Schema.String,
  expires_at: Schema.String
})

export const RecordingsAnswer = Schema.Struct({
  server_id: Schema.String,
  recordings: Schema.Array(Schema.Struct(head)).annotate({ description: "The latest first." }),
  request: Schema.NullOr(Request).annotate({ description: "The latest one; null where nobody asked lately." })
})

export const RecordingAsked = Request.pipe(HttpApiSchema.status(202))

const values = Schema.Array(NullableNumber)

export const RecordingAnswer = Schema.Struct({
  ...head,
  at: Schema.Array(Schema.Finite).annotate({
    description:
      "Of each sample: seconds from `to`, in order. Every other list has a value for each, null where nothing is known."
  }),
  cores: Schema.Int,
  memory_bytes: Schema.Finite,
  host: Schema.Struct(
    Object.fromEntries(HOST_COLUMNS.map((name) => [name, values])) as Record<
      (typeof HOST_COLUMNS)[number],
      typeof values
    >
  ).annotate({
    description: "CPU in percent of one core, pressure in percent of the time."
  }),
  processes: Schema.Array(
    Schema.Struct({ name: Schema.String, pid: Schema.Int, unit: Schema.String, cpu: values, memory_bytes: values })
  ),
  units: Schema.Array(
    Schema.Struct({ name: Schema.String, limit_bytes: NullableNumber, cpu: values, memory_bytes: values })
  ),
  degraded: Schema.Array(Schema.Struct({ at: Schema.Finite, level: Schema.Int })).annotate({
    description: "When the recorder had to do less, to stay within its budget: 0 is all, and each level less."
  })
})

/** What an agent sends: JSON as `src/protocol/Recording.ts` has it, gzip. */
export const RecordingPayload = Schema.Record(Schema.String, Schema.Unknown).annotate({
  description: "A recording as the built-in agent makes it, with Content-Encoding: gzip."
})

export const RecordingTaken = Schema.Struct({
  stored: Schema.Boolean.annotate({ description: "False: it was here already." })
}).pipe(HttpApiSchema.status(201))
