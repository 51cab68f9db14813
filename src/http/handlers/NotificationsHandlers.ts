/** `/api/notifications`: who was told of alerts, and a test of a receiver. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { type Notification, Notifications } from "../../alerts/delivery/Notifications.ts"
import { formatTimestamp } from "../../plugins/Timestamp.ts"
import { CurrentReader } from "../api/Access.ts"
import { Api } from "../api/Api.ts"
import { fromFailure } from "../api/Problem.ts"

const LIMIT_DEFAULT = 100

export const notificationsHandlers = HttpApiBuilder.group(
  Api,
  "notifications",
  Effect.fnUntraced(function* (handlers) {
    const notifications = yield* Notifications
    return handlers.handleAll({
      list: Effect.fnUntraced(function* ({ query: { limit = LIMIT_DEFAULT, ...page } }) {
        const { kind } = yield* CurrentReader
        const found = yield* Effect.mapError(notifications.list({ limit, ...page }), (failure) => fromFailure(failure))
        const { problems, receivers } = yield* notifications.configured
        return {
          notifications: found.map(show),
          next: found.length < limit ? null : found.at(-1)!.id,
          receivers,
          // They name files of the server's machine.
          problems: kind === "admin" ? problems : problems.map(() => "notify.yml has a problem: the log names it")
        }
      }),

      test: ({ payload: { receiver } }) =>
        notifications.test(receiver).pipe(
          Effect.map((error) => ({ receiver, sent: error === undefined, error: error ?? null })),
          Effect.mapError((failure) => fromFailure(failure))
        )
    })
  })
)

const show = (one: Notification) => ({
  notification_id: one.id,
  kind: one.kind,
  route: one.route,
  receiver: one.receiver,
  server_id: one.server,
  title: one.title,
  state: one.state,
  attempts: one.attempts,
  created_at: moment(one.createdAt),
  due_at: one.state === "waiting" ? moment(one.dueAt) : null,
  sent_at: one.sentAt === null ? null : moment(one.sentAt),
  dead_at: one.deadAt === null ? null : moment(one.deadAt),
  error: one.error
})

const moment = (millis: number): string => formatTimestamp(Math.round(millis * 1_000))
