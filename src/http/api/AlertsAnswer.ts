/** Alerts, as `GET /api/alerts` says them. */
import { Schema } from "effect"

const NullableNumber = Schema.NullOr(Schema.Finite)

const ShownAlert = Schema.Struct({
  alert_id: Schema.String,
  rule: Schema.String,
  sentence: Schema.String.annotate({ description: "What the rule asked when it fired." }),
  severity: Schema.String,
  server_id: Schema.NullOr(Schema.String).annotate({ description: "Null: the alert is about NodePulse itself." }),
  group: Schema.String.annotate({
    description: "What changes from run to run is folded into #; empty where the alert is about the server."
  }),
  value: NullableNumber.annotate({ description: "What made it fire, in `unit`." }),
  unit: Schema.String.annotate({ description: "As people read it, such as % of a core; empty where there is none." }),
  resource: Schema.String.annotate({
    description: "What the rule asked about, as in GET /api/exporters; or nodepulse."
  }),
  metric: Schema.NullOr(Schema.String).annotate({ description: "Null where the rule asks for no number." }),
  fired_at: Schema.String,
  resolved_at: Schema.NullOr(Schema.String).annotate({ description: "Null: it still fires." }),
  unknown: Schema.Boolean.annotate({ description: "It fires, and nobody knows whether it still holds." })
})

export const AlertsAnswer = Schema.Struct({
  alerts: Schema.Array(ShownAlert).annotate({ description: "Those that fire first, then the latest ones." })
})
