/**
 * `/api/tokens`: making, listing, rotating and revoking tokens. A token is shown once, when it is made.
 *
 * An operator has to do with the tokens of machines only, so that it cannot make itself an administrator.
 */
import { Effect, Redacted } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { type MadeToken, type NewToken, type TokenInfo, type TokenKind, Tokens } from "../../access/Servers.ts"
import { CurrentReader } from "../api/Access.ts"
import type * as Answers from "../api/Answers.ts"
import { Api } from "../api/Api.ts"
import { Forbidden, fromFailure, InvalidParameter, NotFound } from "../api/Problem.ts"

const ENROLMENT_SECONDS = 3_600
const OVERLAP_SECONDS = 86_400

export const tokensHandlers = HttpApiBuilder.group(
  Api,
  "tokens",
  Effect.fnUntraced(function* (handlers) {
    const tokens = yield* Tokens

    /** The token of that id, where whoever asks may change one of its kind. */
    const changeable = Effect.fnUntraced(function* (id: string) {
      if (!/^[0-9A-Za-z_-]{1,64}$/.test(id)) return yield* new NotFound({ detail: `there is no token "${id}"` })
      const info = yield* Effect.mapError(tokens.get(id), (failure) => fromFailure(failure))
      yield* mayChange(info.kind)
      return info
    })

    return handlers.handleAll({
      create: Effect.fnUntraced(function* ({ payload }) {
        yield* mayChange(payload.kind)
        const options = optionsOf(payload)
        if (options instanceof InvalidParameter) return yield* options
        return showMade(yield* Effect.mapError(tokens.create(options), (failure) => fromFailure(failure)))
      }),
      list: () =>
        tokens.list.pipe(
          Effect.map((all) => ({ tokens: all.map(show) })),
          Effect.mapError((failure) => fromFailure(failure))
        ),
      revoke: Effect.fnUntraced(function* ({ params }) {
        yield* changeable(params.id)
        yield* Effect.mapError(tokens.revoke(params.id), (failure) => fromFailure(failure))
      }),
      rotate: Effect.fnUntraced(function* ({ params, payload }) {
        yield* changeable(params.id)
        const overlap = (payload.overlap_seconds ?? OVERLAP_SECONDS) * 1_000
        return showMade(yield* Effect.mapError(tokens.rotate(params.id, overlap), (failure) => fromFailure(failure)))
      })
    })
  })
)

const mayChange = (kind: TokenKind): Effect.Effect<void, Forbidden, CurrentReader> =>
  Effect.flatMap(CurrentReader, (reader) =>
    reader.kind === "admin" || kind === "agent" || kind === "enrolment"
      ? Effect.void
      : Effect.fail(new Forbidden({ detail: `a token of kind ${kind} needs an admin token` }))
  )

const optionsOf = (payload: typeof Answers.NewToken.Type): NewToken | InvalidParameter => {
  const { expires_in_seconds, kind, networks = [], note = "", server_id, uses = 1 } = payload
  const misplaced = (parameter: "server_id" | "uses" | "networks", allowed: string) =>
    new InvalidParameter({
      detail: `${parameter}: ${payload[parameter] === undefined ? "required" : "not allowed"} for a token of kind ${kind}`,
      parameter,
      value: payload[parameter] ?? null,
      allowed
    })
  const hasServer = server_id !== undefined
  if ((kind === "agent" && !hasServer) || (kind !== "agent" && kind !== "enrolment" && hasServer)) {
    return misplaced("server_id", "the id of a server for kind agent or enrolment, else absent")
  }
  if (kind !== "enrolment" && payload.uses !== undefined) return misplaced("uses", "a number for kind enrolment")
  if (kind !== "enrolment" && payload.networks !== undefined) return misplaced("networks", "a list for kind enrolment")
  const lasts = expires_in_seconds === undefined ? {} : { lastsMillis: expires_in_seconds * 1_000 }
  if (kind === "agent") return { kind, serverId: server_id ?? "", note, ...lasts }
  if (kind !== "enrolment") return { kind, note, ...lasts }
  const lastsMillis = (expires_in_seconds ?? ENROLMENT_SECONDS) * 1_000
  return { kind, note, uses, networks, lastsMillis, ...(server_id === undefined ? {} : { serverId: server_id }) }
}

const showMade = ({ info, token }: MadeToken) => ({ ...show(info), token: Redacted.value(token) })

const moment = (millis: number | null) => (millis === null ? null : new Date(millis).toISOString())

const show = (info: TokenInfo) => ({
  token_id: info.tokenId,
  kind: info.kind,
  prefix: info.prefix,
  server_id: info.serverId,
  note: info.note,
  created_by: info.createdBy,
  created_at: new Date(info.createdAt).toISOString(),
  expires_at: moment(info.expiresAt),
  last_used_at: moment(info.usedAt),
  revoked_at: moment(info.revokedAt),
  uses_left: info.usesLeft,
  networks: info.networks
})
