/**
 * The shapes of the answers, as schemas: for the handlers, the OpenAPI document and the typed client.
 *
 * What the numbers mean is in `docs/numbers.md`. Times are RFC 3339 in UTC.
 */
import { Schema } from "effect"
import { HttpApiSchema } from "effect/http-api"
import { Rejection } from "../plugins/Payload.ts"

const NullableText = Schema.NullOr(Schema.String)
const NullableNumber = Schema.NullOr(Schema.Finite)

/** 202 of the ingest: everything counted here as accepted is durable. */
export const IngestAccepted = Schema.Struct({
  accepted: Schema.Int,
  rejected: Schema.Array(Rejection)
}).pipe(HttpApiSchema.status(202))

/** The payload: exporter names to flat arrays of snapshots. Fields by exporter: `GET /api/exporters`. */
export const IngestPayload = Schema.Record(Schema.String, Schema.Array(Schema.Record(Schema.String, Schema.Unknown)))

export const ServerRegistered = Schema.Struct({
  server_id: Schema.String,
  name: Schema.String,
  token: Schema.String.annotate({ description: "The agent's token: shown now and never again." })
}).pipe(HttpApiSchema.status(201))

export const ServerState = Schema.Literals(["live", "stale", "silent"]).annotate({
  description: "live: reported within 2.5 intervals; stale: later than that; silent: a hole, or never reported."
})

export const Server = Schema.Struct({
  server_id: Schema.String,
  name: Schema.String,
  created_at: Schema.String,
  last_seen: NullableText,
  state: ServerState
})

export const Servers = Schema.Struct({ servers: Schema.Array(Server) })

const WindowAnswer = Schema.Struct({ from: Schema.String, to: Schema.String })

/** One group of a ranking: its name and the fields that follow from the exporter's rankings. */
export const Group = Schema.StructWithRest(Schema.Struct({ name: Schema.String }), [
  Schema.Record(Schema.String, Schema.Union([Schema.String, Schema.Finite, Schema.Null]))
])

/** Beside these, the list of groups under the resource's own name: `processes`. */
export const Top = Schema.StructWithRest(
  Schema.Struct({
    server_id: Schema.String,
    metric: Schema.String,
    time_range_hours: Schema.Finite,
    window: WindowAnswer,
    coverage: Schema.Finite,
    covered_seconds: Schema.Finite,
    scrapes: Schema.Int,
    last_seen: NullableText,
    stale: Schema.Boolean,
    resets: Schema.Int,
    clamped: Schema.Int,
    host: Schema.NullOr(Schema.Struct({ cpu_cores: NullableNumber, memory_total_mb: NullableNumber })),
    other: Schema.Record(Schema.String, Schema.Finite),
    unaccounted: Schema.NullOr(Schema.Struct({ cpu_seconds: Schema.Finite, avg_cpu_percent: Schema.Finite })),
    memory_overcounted: Schema.Boolean
  }),
  [Schema.Record(Schema.String, Schema.Unknown)]
)

/** As `Top`, over several servers. */
export const FleetTop = Schema.StructWithRest(
  Schema.Struct({
    metric: Schema.String,
    by: Schema.Literals(["server", "name"]),
    time_range_hours: Schema.Finite,
    window: WindowAnswer,
    other: Schema.Record(Schema.String, Schema.Finite),
    servers: Schema.Array(
      Schema.Struct({
        server_id: Schema.String,
        coverage: Schema.Finite,
        scrapes: Schema.Int,
        last_seen: NullableText,
        stale: Schema.Boolean
      })
    )
  }),
  [Schema.Record(Schema.String, Schema.Unknown)]
)

export const History = Schema.Struct({
  server_id: Schema.String,
  exporter: Schema.String,
  resource: Schema.String,
  name: NullableText,
  time_range_hours: Schema.Finite,
  window: WindowAnswer,
  step_seconds: Schema.Finite,
  coverage: Schema.Finite,
  timestamps: Schema.Array(Schema.String).annotate({ description: "Right end of each step." }),
  series: Schema.Record(Schema.String, Schema.Array(NullableNumber)).annotate({
    description: "One value per step and field; null where nothing was seen."
  })
})

/** All servers at a glance, in one answer. */
export const Fleet = Schema.Struct({
  at: Schema.String,
  trend_until: Schema.String.annotate({ description: "Right end of the last step of each trend." }),
  trend_step_seconds: Schema.Finite,
  busiest_of: Schema.NullOr(Schema.Struct({ resource: Schema.String, metric: Schema.String })),
  servers: Schema.Array(
    Schema.Struct({
      server_id: Schema.String,
      name: Schema.String,
      state: ServerState,
      last_seen: NullableText,
      cpu_cores: NullableNumber,
      cpu_percent: NullableNumber.annotate({ description: "100 is one core kept busy." }),
      memory_used_mb: NullableNumber,
      memory_total_mb: NullableNumber,
      load: NullableNumber,
      uptime_seconds: NullableNumber,
      trend: Schema.Array(NullableNumber).annotate({ description: "Busy CPU in percent of one core, per step." }),
      busiest: Schema.NullOr(Schema.Struct({ name: Schema.String, value: Schema.Finite }))
    })
  )
})

/** The top groups over time, or fields of an exporter without groups. Four digits: to be drawn. */
export const Series = Schema.Struct({
  server_id: Schema.String,
  resource: Schema.String,
  metric: NullableText,
  time_range_hours: Schema.Finite,
  window: WindowAnswer,
  first: Schema.Finite.annotate({ description: "Right end of the first step, epoch seconds." }),
  step_seconds: Schema.Finite,
  steps: Schema.Int,
  series: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      last_seen: NullableText,
      resets: Schema.Int,
      values: Schema.Array(NullableNumber).annotate({ description: "One value per step; null where nothing was seen." })
    })
  ),
  other: Schema.NullOr(Schema.Array(NullableNumber)).annotate({ description: "All groups that are not listed." }),
  host: Schema.NullOr(Schema.Array(NullableNumber)).annotate({ description: "What the host says of itself." })
})

/** One group on every server, with the fields of the rankings that tell of now. */
export const Across = Schema.Struct({
  resource: Schema.String,
  name: Schema.String,
  metric: Schema.String,
  servers: Schema.Array(
    Schema.StructWithRest(Schema.Struct({ server_id: Schema.String, last_seen: Schema.String }), [
      Schema.Record(Schema.String, Schema.Union([Schema.String, Schema.Finite, Schema.Null]))
    ])
  ),
  total: Schema.Int
})

export const DeadLetters = Schema.Struct({
  dead_letters: Schema.Array(
    Schema.Struct({
      id: Schema.String,
      exporter: Schema.String,
      server_id: Schema.String,
      reason: Schema.String,
      payload: Schema.String,
      created_at: Schema.String
    })
  ),
  total: Schema.Int,
  next: NullableText.annotate({ description: "What `before` takes for the next page; null on the last." })
})

const tokenFields = {
  token_id: Schema.String,
  kind: Schema.Literals(["agent", "read", "admin"]),
  server_id: NullableText,
  note: Schema.String,
  created_at: Schema.String,
  revoked_at: NullableText
}

export const Tokens = Schema.Struct({ tokens: Schema.Array(Schema.Struct(tokenFields)) })

export const TokenCreated = Schema.Struct({
  ...tokenFields,
  token: Schema.String.annotate({ description: "Shown now and never again." })
}).pipe(HttpApiSchema.status(201))

export const NewToken = Schema.Struct({
  kind: Schema.Literals(["agent", "read", "admin"]),
  server_id: Schema.optionalKey(Schema.String),
  note: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(200)))
})

const isName = (text: string): boolean =>
  text.trim() !== "" && text.length <= 200 && text.isWellFormed() && !/[\u0000-\u001f\u007f]/.test(text)

export const NewServer = Schema.Struct({
  name: Schema.String.check(
    Schema.makeFilter(isName, {
      expected: "a text of 1 to 200 characters, not only blanks, without control characters"
    })
  )
})

export const SessionInfo = Schema.Struct({
  kind: Schema.Literals(["read", "admin"]),
  via: Schema.Literals(["token", "session", "public"])
})

export const SignInLink = Schema.Struct({
  path: Schema.String.annotate({ description: "To be opened once, on this server's address." })
}).pipe(HttpApiSchema.status(201))

export const Health = Schema.Struct({ status: Schema.Literal("ok") })

export const Ready = Schema.Struct({ ready: Schema.Literal(true), checks: Schema.Array(Schema.String) })

/** prom-client's text format. */
export const MetricsText = Schema.String.pipe(
  HttpApiSchema.asText({ contentType: "text/plain; version=0.0.4; charset=utf-8" })
)
