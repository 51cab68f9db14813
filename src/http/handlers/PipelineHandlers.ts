/** `GET /api/pipeline`: the live supervision tree, as the engine tells it; `GET /api/readiness`: what is missing. */
import { Clock, Duration, Effect, Option } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Alerts } from "../../alerts/Alerts.ts"
import { Notifications } from "../../alerts/delivery/Notifications.ts"
import { ReadReplica, type ReplicaView } from "../../sinks/postgres/ReadReplica.ts"
import { Api } from "../api/Api.ts"
import { PipelineView, ThisProcess } from "../live/PipelineView.ts"
import { makeStreamsView } from "../live/StreamsView.ts"
import { Readiness } from "../server/Readiness.ts"

const WITHIN = Duration.seconds(2)

export const pipelineHandlers = HttpApiBuilder.group(
  Api,
  "pipeline",
  Effect.fnUntraced(function* (handlers) {
    const view = yield* PipelineView
    const readiness = yield* Readiness
    const streams = yield* makeStreamsView
    const alerts = yield* Alerts
    const notifications = yield* Notifications
    const process = yield* ThisProcess
    const replica = Option.getOrUndefined(yield* Effect.serviceOption(ReadReplica))
    const replicaNow = Effect.map(Clock.currentTimeMillis, (now) => showReplica(replica?.view(), now))
    // The tree is what one looks at when the database is away: it does not wait for it.
    const told = Effect.all({ asking: alerts.stats, delivery: notifications.stats }).pipe(
      Effect.timeoutOption(WITHIN),
      Effect.map(Option.getOrNull),
      Effect.orElseSucceed(() => null)
    )
    return handlers.handleAll({
      snapshot: () =>
        Effect.map(
          Effect.all([view.snapshot, streams, told, replicaNow], { concurrency: 4 }),
          ([tree, streams, alerts, replica]) => ({ ...tree, streams, alerts, process, replica })
        ),
      readiness: () => Effect.map(readiness.checks, (checks) => ({ ready: checks.every(({ ready }) => ready), checks }))
    })
  })
)

const showReplica = (view: ReplicaView | undefined, now: number) =>
  view === undefined
    ? null
    : {
        isUsed: view.isUsed,
        lagSeconds: view.asOf === undefined ? null : Math.max(0, Math.round((now - view.asOf / 1_000) / 100) / 10),
        reason: view.reason ?? null
      }
