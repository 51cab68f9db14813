/**
 * The shapes of the answers, as schemas: for the handlers, the OpenAPI document and the typed client.
 *
 * What the numbers mean is in `docs/numbers.md`. Times are RFC 3339 in UTC.
 */
import { Schema } from "effect"
import { HttpApiSchema } from "effect/http-api"
import { isNetwork } from "../../access/Networks.ts"
import { RejectedFields } from "../../plugins/Payload.ts"
import { isPrintable } from "../../protocol/PrintableText.ts"
import { UsedGrouping } from "./GroupingsAnswer.ts"

const NullableText = Schema.NullOr(Schema.String)
const NullableNumber = Schema.NullOr(Schema.Finite)

/** 202 of the ingest: everything counted here as accepted is durable. */
export const IngestAccepted = Schema.Struct({
  accepted: Schema.Int,
  ...RejectedFields
}).pipe(HttpApiSchema.status(202))

/** The payload: exporter names to flat arrays of snapshots. Fields by exporter: `GET /api/exporters`. */
export const IngestPayload = Schema.Record(Schema.String, Schema.Array(Schema.Record(Schema.String, Schema.Unknown)))

export const ServerRegistered = Schema.Struct({
  server_id: Schema.String,
  name: Schema.String,
  token: Schema.String.annotate({ description: "The agent's token: shown now and never again." })
}).pipe(HttpApiSchema.status(201))

export const ServerState = Schema.Literals(["live", "stale", "silent"]).annotate({
  description:
    "live: reported within 2.5 of its own intervals; stale: later than that; silent: a gap, or never reported."
})

/** What an agent tells about itself, in the answers about its server. */
const agentFields = {
  clock_skew_seconds: NullableNumber.annotate({
    description: "How far the agent's clock is ahead of the server's; negative: behind; null: it does not tell."
  }),
  clock_step_seconds: NullableNumber.annotate({
    description: "By how much the machine's clock was set last; negative: back."
  }),
  clock_stepped_at: NullableText.annotate({ description: "When it was set last, by its new time." }),
  clock_corrected_seconds: NullableNumber.annotate({
    description: "What the agent last added to the times of rows that were refused for its clock."
  }),
  conflict: Schema.NullOr(
    Schema.Struct({
      since: Schema.String,
      last_seen: Schema.String.annotate({ description: "When the refused machine last tried." }),
      writes: Schema.String.annotate({ description: "What the machine calls itself that writes." }),
      refused: Schema.String.annotate({ description: "And the one that is refused." }),
      same_machine: Schema.Boolean.annotate({ description: "Both have one machine id: one is a clone of the other." })
    })
  ).annotate({ description: "Two machines report with one token; null: one, or none." }),
  unmatched_exporters: Schema.Array(
    Schema.Struct({
      exporter: Schema.String,
      complaint: Schema.String.annotate({ description: "The rest of a sentence that begins with its name." }),
      remedy: Schema.Array(Schema.String).annotate({ description: "What mends it, as a person types it." })
    })
  ).annotate({
    description: "Exporters that answer there and report nothing though they should: the agent stands in for them."
  }),
  refused_exporters: Schema.Array(
    Schema.Struct({
      exporter: Schema.String,
      setting: Schema.Literals(["body_limit", "series_limit"]).annotate({
        description: "What bounds it, in the agent's configuration."
      }),
      most: Schema.Finite.annotate({ description: "What that allows: bytes of a body, or series." })
    })
  ).annotate({
    description: "Exporters that serve more than the agent's limits allow: nothing of their scrapes is taken."
  }),
  restrained: Schema.NullOr(
    Schema.Struct({
      causes: Schema.Array(Schema.Literals(["cpu", "memory"])).annotate({ description: "What it used too much of." }),
      interval_factor: Schema.Finite.annotate({
        description: "How many times longer the time between two scrapes is."
      }),
      groups_max: Schema.NullOr(Schema.Finite).annotate({
        description: "How many groups of processes it keeps apart; null: as many as ever."
      }),
      recorder: Schema.Boolean.annotate({ description: "Whether the flight recorder runs." })
    })
  ).annotate({ description: "What the agent does without, to keep within its budget; null: nothing." }),
  unknown_exporters: Schema.Array(Schema.String).annotate({
    description: "Exporters that the agent sends and this server does not know: their rows wait in its spool."
  })
}
const AgentAnswer = Schema.Struct(agentFields)
export type AgentFields = typeof AgentAnswer.Type

export const Server = Schema.Struct({
  server_id: Schema.String,
  name: Schema.String,
  created_at: Schema.String,
  last_seen: NullableText,
  state: ServerState.annotate({ description: "The best of its exporters." }),
  exporters: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      last_seen: Schema.String,
      interval_seconds: Schema.Finite.annotate({ description: "How far apart its scrapes really are." }),
      state: ServerState
    })
  ).annotate({ description: "Those that were ever heard of." }),
  ...agentFields
})

export const Servers = Schema.Struct({ servers: Schema.Array(Server) })

/** The time that an answer is about. */
export const WindowAnswer = Schema.Struct({
  from: Schema.String,
  to: Schema.String,
  replica_lag_seconds: Schema.optionalKey(
    Schema.Finite.annotate({
      description:
        "The rows were read from a read replica that is so far behind: a window that ends now ends so much earlier. Absent: from the database itself."
    })
  )
})

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
    unknown: Schema.Int.annotate({ description: "Increases that nobody knows: what a counter sums up had changed." }),
    host: Schema.NullOr(Schema.Struct({ cpu_cores: NullableNumber, memory_total_mb: NullableNumber })),
    other: Schema.Record(Schema.String, Schema.Finite),
    unaccounted: Schema.NullOr(Schema.Struct({ cpu_seconds: Schema.Finite, avg_cpu_percent: Schema.Finite })),
    memory_overcounted: Schema.Boolean,
    grouping: UsedGrouping
  }),
  [Schema.Record(Schema.String, Schema.Unknown)]
).annotate({
  description:
    "A row of a group that somebody acted on from here, in the window or so that it still held then, has `acts`: the latest three, the latest first, each as a mark of the kind `act` has them; and `acts_total`, how many there are. Other rows have neither. An act on a unit stands in the rows of the processes in it, too."
})

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
    ),
    grouping: UsedGrouping
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
  }),
  grouping: UsedGrouping,
  peak_is_bound: Schema.optionalKey(Schema.Boolean).annotate({
    description: "Where names are put together: a peak may be the sum of peaks that were not at the same time."
  })
})

/** All servers at a glance, in one answer. */
export const Fleet = Schema.Struct({
  at: Schema.String,
  trend_until: Schema.String.annotate({ description: "Right end of the last step of each trend." }),
  trend_step_seconds: Schema.Finite,
  busiest_of: Schema.NullOr(Schema.Struct({ resource: Schema.String, metric: Schema.String })),
  matching: Schema.Int.annotate({ description: "Servers that match, of which `servers` may be a part." }),
  states: Schema.Struct({ live: Schema.Int, stale: Schema.Int, silent: Schema.Int }).annotate({
    description: "How many servers of each state there are in all."
  }),
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
      busiest: Schema.NullOr(Schema.Struct({ name: Schema.String, value: Schema.Finite })),
      match: Schema.NullOr(Schema.Struct({ name: Schema.String, value: NullableNumber })).annotate({
        description: "Of a server that is found by what runs on it: the one that uses most."
      }),
      ...agentFields
    })
  )
})

/** The top groups over time, or fields of an exporter without groups. Four digits, three below 10: to be drawn. */
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
  host: Schema.NullOr(Schema.Array(NullableNumber)).annotate({ description: "What the host says of itself." }),
  grouping: UsedGrouping
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
  total: Schema.Int,
  grouping: UsedGrouping
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

const TokenKind = Schema.Literals(["agent", "enrolment", "read", "operator", "admin"])
const Role = Schema.Literals(["read", "operator", "admin"])

const tokenFields = {
  token_id: Schema.String,
  kind: TokenKind,
  prefix: Schema.String.annotate({ description: "Its first characters, to tell it by." }),
  server_id: NullableText,
  note: Schema.String,
  created_by: Schema.String.annotate({ description: "Who made it, as the audit calls them." }),
  created_at: Schema.String,
  expires_at: NullableText,
  last_used_at: NullableText.annotate({ description: "To within some minutes; null: never." }),
  revoked_at: NullableText,
  uses_left: Schema.NullOr(Schema.Int).annotate({
    description: "Of kind enrolment: how many machines it still takes in."
  }),
  networks: Schema.Array(Schema.String).annotate({ description: "Where those may come from; anywhere if empty." })
}

export const Tokens = Schema.Struct({ tokens: Schema.Array(Schema.Struct(tokenFields)) })

export const TokenCreated = Schema.Struct({
  ...tokenFields,
  token: Schema.String.annotate({ description: "Shown now and never again." })
}).pipe(HttpApiSchema.status(201))

const wholeNumber = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

const YEAR_SECONDS = 366 * 86_400

export const NewToken = Schema.Struct({
  kind: TokenKind,
  server_id: Schema.optionalKey(Schema.String),
  note: Schema.optionalKey(
    Schema.String.check(
      Schema.isMaxLength(200),
      Schema.makeFilter(isPrintable, { expected: "a text without control or invisible characters" })
    )
  ),
  expires_in_seconds: Schema.optionalKey(
    wholeNumber(60, 10 * YEAR_SECONDS).annotate({ description: "Of kind enrolment: an hour unless given; else never." })
  ),
  uses: Schema.optionalKey(wholeNumber(1, 100_000).annotate({ description: "Of kind enrolment: 1 unless given." })),
  networks: Schema.optionalKey(
    Schema.Array(
      Schema.String.check(Schema.makeFilter(isNetwork, { expected: "an address, or a network such as 10.0.0.0/8" }))
    ).check(Schema.isMaxLength(50))
  )
})

export const Rotation = Schema.Struct({
  overlap_seconds: Schema.optionalKey(
    wholeNumber(0, YEAR_SECONDS).annotate({
      description: "How long the old token is good beside the new one; a day unless given."
    })
  )
})

export const Sessions = Schema.Struct({
  sessions: Schema.Array(
    Schema.Struct({
      session_id: Schema.String,
      current: Schema.Boolean.annotate({ description: "Whether it is the one that asks." }),
      kind: Role,
      principal: Schema.String,
      name: Schema.String,
      signed_in_by: Schema.Literals(["link", "token", "provider"]),
      address: NullableText,
      browser: Schema.String,
      created_at: Schema.String,
      last_used_at: Schema.String.annotate({ description: "To within some minutes." }),
      expires_at: Schema.String
    })
  )
})

export const SessionsEnded = Schema.Struct({ ended: Schema.Int })

export const Audit = Schema.Struct({
  entries: Schema.Array(
    Schema.Struct({
      id: Schema.String,
      at: Schema.String,
      author: Schema.String,
      address: NullableText,
      action: Schema.String,
      subject: Schema.String,
      detail: Schema.String
    })
  ),
  next: NullableText.annotate({ description: "What `before` takes for the next page; null on the last." })
})

const isName = (text: string): boolean => text.trim() !== "" && text.length <= 200 && isPrintable(text)

export const NewServer = Schema.Struct({
  name: Schema.String.check(
    Schema.makeFilter(isName, {
      expected: "a text of 1 to 200 characters, not only blanks, without control or invisible characters"
    })
  )
})

export const SessionInfo = Schema.Struct({
  kind: Role,
  via: Schema.Literals(["token", "session", "public"]),
  principal: Schema.String.annotate({ description: "As the audit calls whoever asks." }),
  name: Schema.String.annotate({ description: "What a person is called; empty where that is not known." }),
  unencrypted: Schema.NullOr(
    Schema.Struct({
      what: Schema.Literals(["session", "token"]),
      address: NullableText.annotate({ description: "Where the token came from." }),
      at: NullableText
    })
  ).annotate({
    description: "What came over a network without TLS: this request, or a token within the last day; else null."
  })
})

export const SignInLink = Schema.Struct({
  path: Schema.String.annotate({ description: "To be opened once, on this server's address." })
}).pipe(HttpApiSchema.status(201))

export const Health = Schema.Struct({ status: Schema.Literal("ok") })

const Check = Schema.Struct({
  name: Schema.String,
  ready: Schema.Boolean,
  reason: NullableText.annotate({
    description: "Why it is not; of a part that is ready, what does its work instead. Else null."
  })
})

export const Readiness = Schema.Struct({ ready: Schema.Boolean, checks: Schema.Array(Check) })

export const Ready = Schema.Struct({
  ready: Schema.Literal(true),
  checks: Schema.Array(Schema.String),
  notes: Schema.optionalKey(
    Schema.Array(Schema.String).annotate({ description: "What does the work of a part that is not used." })
  )
})

/** prom-client's text format. */
export const MetricsText = Schema.String.pipe(
  HttpApiSchema.asText({ contentType: "text/plain; version=0.0.4; charset=utf-8" })
)
