/** Alerts, as `GET /api/alerts` says them. */
import { Schema } from "effect"

export const AlertsAnswer = Schema.Struct({
  alerts: Schema.Array(
    Schema.Struct({
      alert_id: Schema.String,
      rule: Schema.String,
      sentence: Schema.String.annotate({ description: "What the rule asked when it fired." }),
      severity: Schema.String,
      server_id: Schema.String,
      group: Schema.String.annotate({
        description: "What changes from run to run is folded into #; empty where the alert is about the server."
      }),
      value: Schema.NullOr(Schema.Finite).annotate({ description: "What made it fire, in the metric's unit." }),
      fired_at: Schema.String,
      resolved_at: Schema.NullOr(Schema.String).annotate({ description: "Null: it still fires." }),
      unknown: Schema.Boolean.annotate({ description: "It fires, and nobody knows whether it still holds." })
    })
  ).annotate({ description: "Those that fire first, then the latest ones." })
})
