/** `/api/sessions`: who is signed in, and signing them out. Whoever is no administrator sees and ends their own only. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Sessions, UnknownSession } from "../../access/Sessions.ts"
import { CurrentReader } from "../api/Access.ts"
import { Api } from "../api/Api.ts"
import { Forbidden, fromFailure } from "../api/Problem.ts"

export const sessionsHandlers = HttpApiBuilder.group(
  Api,
  "sessions",
  Effect.fnUntraced(function* (handlers) {
    const sessions = yield* Sessions
    const visible = Effect.gen(function* () {
      const { kind, principal } = yield* CurrentReader
      const all = yield* sessions.list
      return kind === "admin" ? all : all.filter((one) => one.principal === principal && one.role === kind)
    })
    return handlers.handleAll({
      list: () =>
        Effect.zip(visible, CurrentReader).pipe(
          Effect.map(([own, reader]) => ({
            sessions: own.map((session) => ({
              session_id: session.sessionId,
              current: session.sessionId === reader.session?.sessionId,
              kind: session.role,
              principal: session.principal,
              name: session.name,
              signed_in_by: session.via,
              address: session.address,
              browser: session.browser,
              created_at: new Date(session.createdAt).toISOString(),
              last_used_at: new Date(session.usedAt).toISOString(),
              expires_at: new Date(session.expiresAt).toISOString()
            }))
          })),
          Effect.mapError((failure) => fromFailure(failure))
        ),
      revoke: ({ params }) =>
        Effect.gen(function* () {
          const own = yield* visible
          if (!own.some(({ sessionId }) => sessionId === params.id)) {
            return yield* new UnknownSession({ sessionId: params.id })
          }
          yield* sessions.revoke(params.id)
        }).pipe(Effect.mapError((failure) => fromFailure(failure))),
      revokeAll: Effect.fnUntraced(function* ({ query }) {
        const { kind, principal } = yield* CurrentReader
        if (query.principal !== undefined && query.principal !== principal && kind !== "admin") return yield* OTHERS
        const whose = query.principal ?? principal
        // One principal may have signed in in several roles: a reader ends no administrator's session.
        const role = kind === "admin" || kind === "enrolment" ? undefined : kind
        const ended = yield* Effect.mapError(sessions.revokeAll(whose, role), (failure) => fromFailure(failure))
        return { ended }
      })
    })
  })
)

const OTHERS = new Forbidden({ detail: "the sessions of somebody else need an admin token" })
