/** `/api/tokens`: making, listing and revoking tokens, for administrators. A token is shown once, when it is made. */
import { Effect, Redacted } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { type TokenInfo, Tokens } from "../sinks/Servers.ts"
import { Api } from "./Api.ts"
import { fromFailure, InvalidParameter, NotFound } from "./Problem.ts"

export const tokensHandlers = HttpApiBuilder.group(
  Api,
  "tokens",
  Effect.fnUntraced(function* (handlers) {
    const tokens = yield* Tokens
    return handlers.handleAll({
      create: Effect.fnUntraced(function* ({ payload: { kind, note = "", server_id } }) {
        if ((kind === "agent") !== (server_id !== undefined)) {
          return yield* new InvalidParameter({
            detail: `server_id: ${kind === "agent" ? "needed for" : "none for"} a token of kind ${kind}`,
            parameter: "server_id",
            value: server_id ?? null,
            allowed: "the id of a server for kind agent, else absent"
          })
        }
        const options = kind === "agent" ? { kind, serverId: server_id ?? "", note } : ({ kind, note } as const)
        const { info, token } = yield* Effect.mapError(tokens.create(options), (failure) => fromFailure(failure))
        return { ...show(info), token: Redacted.value(token) }
      }),
      list: () =>
        tokens.list.pipe(
          Effect.map((all) => ({ tokens: all.map(show) })),
          Effect.mapError((failure) => fromFailure(failure))
        ),
      revoke: ({ params }) =>
        /^[0-9A-Za-z_-]{1,64}$/.test(params.id)
          ? Effect.mapError(tokens.revoke(params.id), (failure) => fromFailure(failure))
          : Effect.fail(new NotFound({ detail: `there is no token "${params.id}"` }))
    })
  })
)

const show = (info: TokenInfo) => ({
  token_id: info.tokenId,
  kind: info.kind,
  server_id: info.serverId,
  note: info.note,
  created_at: new Date(info.createdAt).toISOString(),
  revoked_at: info.revokedAt === null ? null : new Date(info.revokedAt).toISOString()
})
