/** How an agent sends something to its server: gzip of JSON, with its token, over its own connection. */
import { Effect, Redacted } from "effect"
import { type AgentServer, connectionOf, type TokenUnreadable } from "../config/AgentConfig.ts"
import { type ExchangeFailed, type ExchangeResponse, exchange } from "../scrape/HttpExchange.ts"

export const post = (
  server: AgentServer,
  request: {
    readonly url: string
    /** Beside those that every request has. */
    readonly headers?: Readonly<Record<string, string>>
    readonly body: Uint8Array
    /** Bytes of the answer. */
    readonly bodyLimit: number
  }
): Effect.Effect<ExchangeResponse, ExchangeFailed | TokenUnreadable> =>
  Effect.gen(function* () {
    const token = yield* server.token
    return yield* exchange({
      ...request,
      method: "POST",
      headers: {
        ...request.headers,
        authorization: `Bearer ${Redacted.value(token)}`,
        "content-type": "application/json",
        "content-encoding": "gzip",
        accept: "application/json, application/problem+json"
      },
      timeout: server.timeout,
      ...(yield* connectionOf(server))
    })
  })
