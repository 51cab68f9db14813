/** `/api/enroll`: a new machine exchanges the enrolment token that it was given for a token of its own. */
import { Effect, Redacted } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Tokens } from "../../access/Servers.ts"
import { Api } from "../api/Api.ts"
import { fromFailure } from "../api/Problem.ts"
import { addressOfClient } from "../server/ClientAddress.ts"
import { Limits } from "../server/Limits.ts"
import { bearerOf } from "../session/Authorization.ts"

export const enrollHandlers = HttpApiBuilder.group(
  Api,
  "enroll",
  Effect.fnUntraced(function* (handlers) {
    const tokens = yield* Tokens
    const { serversMax } = yield* Limits
    return handlers.handle("enroll", ({ payload, request }) =>
      tokens
        .exchange(
          Redacted.make(bearerOf(request.headers.authorization) ?? ""),
          { name: payload.name.trim(), address: addressOfClient(request) || null },
          serversMax
        )
        .pipe(
          Effect.map(({ server, token }) => ({
            server_id: server.serverId,
            name: server.name,
            token: Redacted.value(token)
          })),
          Effect.mapError((failure) => fromFailure(failure))
        )
    )
  })
)
