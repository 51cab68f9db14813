/**
 * Who may send data: an agent, by its token, with a certificate where this server wants one. Of all endpoints that agents send to.
 *
 * Guarantee: who is not known is turned away before a body is read; the server is the token's. Closures made once, and one step of Effect:
 * it is on the hot path of ingest.
 */
import type { IncomingMessage } from "node:http"
import { NodeHttpServerRequest } from "@effect/platform-node"
import { Effect, Option, Redacted, Result } from "effect"
import type { HttpServerRequest, HttpServerResponse } from "effect/http"
import { Guesses } from "../../access/Guesses.ts"
import { type Principal, Tokens } from "../../access/Servers.ts"
import { Forbidden, fromFailure, type Problem, Unauthorized } from "../api/Problem.ts"
import { addressOfClient } from "../server/ClientAddress.ts"
import { problemResponse } from "../server/ProblemResponse.ts"
import { isCertified, ServerTls } from "../server/Tls.ts"
import { AdminToken } from "../session/AdminToken.ts"
import { bearerOf, tooMany as tooManyGuesses } from "../session/Authorization.ts"

type Response = HttpServerResponse.HttpServerResponse

/** Lets an agent in, or answers why not. */
export const makeAgentDoor = Effect.gen(function* () {
  const tokens = yield* Tokens
  const adminToken = yield* AdminToken
  const guesses = yield* Guesses
  const tls = yield* ServerTls

  /** The server that the principal writes for. */
  const serverOf = (
    principal: Option.Option<Principal>,
    token: Redacted.Redacted<string>
  ): Result.Result<string, Problem> => {
    if (Option.isSome(principal) && principal.value.kind === "agent") return Result.succeed(principal.value.serverId)
    return Result.fail(
      Option.isSome(principal) || adminToken.matches(token)
        ? new Forbidden({ detail: "only an agent's token can send data, and this is not one" })
        : new Unauthorized({ detail: "the token is unknown, expired or was revoked" })
    )
  }

  return (
    request: HttpServerRequest.HttpServerRequest,
    enter: (serverId: string, source: IncomingMessage) => Effect.Effect<Response>
  ): Effect.Effect<Response> => {
    const source = NodeHttpServerRequest.toIncomingMessage(request) as IncomingMessage
    const bearer = bearerOf(source.headers.authorization)
    if (bearer === undefined) return problemResponse(new Unauthorized({ detail: NO_TOKEN }))
    if (tls?.asksAgents === true && !isCertified(source))
      return problemResponse(new Forbidden({ detail: NO_CERTIFICATE }))
    const token = Redacted.make(bearer)
    const address = addressOfClient(request)
    const wait = guesses.wait(address)
    if (wait > 0 && !tokens.isKnown(token)) return problemResponse(tooManyGuesses(wait))
    return Effect.matchEffect(tokens.verify(token), {
      onFailure: (failure) => problemResponse(fromFailure(failure)),
      onSuccess: (principal) => {
        const serverId = serverOf(principal, token)
        if (Result.isSuccess(serverId)) return enter(serverId.success, source)
        if (serverId.failure._tag === "Unauthorized") guesses.failed(address)
        return problemResponse(serverId.failure)
      }
    })
  }
})

const NO_TOKEN = "send the agent's token: Authorization: Bearer <token>"
const NO_CERTIFICATE =
  "agents show a certificate here (server.cert_file and server.key_file), signed by the server's authority for agents"
