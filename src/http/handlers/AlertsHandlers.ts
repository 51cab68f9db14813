/** `GET /api/alerts`: what fires, and what fired. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { type Alert, Alerts } from "../../alerts/Alerts.ts"
import { formatTimestamp } from "../../plugins/Timestamp.ts"
import { Api } from "../api/Api.ts"
import { fromFailure } from "../api/Problem.ts"

const LIMIT_DEFAULT = 100

export const alertsHandlers = HttpApiBuilder.group(
  Api,
  "alerts",
  Effect.fnUntraced(function* (handlers) {
    const alerts = yield* Alerts
    return handlers.handle("list", ({ query: { from, limit = LIMIT_DEFAULT, rule, server, state, to } }) =>
      alerts
        .list({
          limit,
          ...(from === undefined ? {} : { from: from / 1_000 }),
          ...(to === undefined ? {} : { to: to / 1_000 }),
          ...(state === undefined ? {} : { state }),
          ...(server === undefined ? {} : { serverId: server }),
          ...(rule === undefined ? {} : { rule })
        })
        .pipe(
          Effect.map((found) => ({ alerts: found.map(showAlert) })),
          Effect.mapError((failure) => fromFailure(failure))
        )
    )
  })
)

const showAlert = (alert: Alert) => ({
  alert_id: alert.id,
  rule: alert.rule,
  sentence: alert.sentence,
  severity: alert.severity,
  server_id: alert.serverId,
  group: alert.group,
  value: alert.value,
  unit: alert.asked.unit,
  resource: alert.asked.resource,
  metric: alert.asked.metric,
  fired_at: formatTimestamp(alert.firedAt * 1_000),
  resolved_at: alert.resolvedAt === null ? null : formatTimestamp(alert.resolvedAt * 1_000),
  unknown: alert.isUnknown
})
