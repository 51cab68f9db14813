/** `GET /api/alerts`: what fires, and what fired. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Alerts } from "../../alerts/Alerts.ts"
import { formatTimestamp } from "../../plugins/Timestamp.ts"
import { Api } from "../api/Api.ts"
import { fromFailure } from "../api/Problem.ts"

const LIMIT_DEFAULT = 100

export const alertsHandlers = HttpApiBuilder.group(
  Api,
  "alerts",
  Effect.fnUntraced(function* (handlers) {
    const alerts = yield* Alerts
    return handlers.handle("list", ({ query: { limit = LIMIT_DEFAULT } }) =>
      alerts.list({ limit }).pipe(
        Effect.map((found) => ({
          alerts: found.map(
            ({ firedAt, group, id, isUnknown, resolvedAt, rule, sentence, serverId, severity, value }) => ({
              alert_id: id,
              rule,
              sentence,
              severity,
              server_id: serverId,
              group,
              value,
              fired_at: formatTimestamp(firedAt * 1_000),
              resolved_at: resolvedAt === null ? null : formatTimestamp(resolvedAt * 1_000),
              unknown: isUnknown
            })
          )
        })),
        Effect.mapError((failure) => fromFailure(failure))
      )
    )
  })
)
