/**
 * Checks who is asking, for every endpoint but the ingest: a token in `Authorization`, else the page's session.
 *
 * Guarantee (promise 5): nobody reads without a token. An agent's token reads nothing. A cookie changes nothing unless the
 * request comes from the page itself (`Origin` is this server's own address), so that another site cannot use it.
 */
import { Config, Context, Effect, Layer, Option, Redacted } from "effect"
import { HttpServerRequest, type HttpServerResponse } from "effect/http"
import type { HttpApiEndpoint } from "effect/http-api"
import { Tokens } from "../sinks/Servers.ts"
import { Access, Authorization, CurrentReader, type Reader, SESSION_COOKIE } from "./Access.ts"
import { AdminToken } from "./AdminToken.ts"
import { Forbidden, fromFailure, type Problem, Unauthorized } from "./Problem.ts"
import { problemResponse } from "./ProblemResponse.ts"
import { Session } from "./Session.ts"

/** The token of an `Authorization` header; undefined where it has none. */
export const bearerOf = (authorization: string | undefined): string | undefined =>
  authorization === undefined ? undefined : /^bearer +(\S+) *$/i.exec(authorization)?.[1]

/** Whether the self-metrics are shown without a token: NODEPULSE_METRICS_PUBLIC, false unless set. */
export class MetricsArePublic extends Context.Service<MetricsArePublic, boolean>()("nodepulse/http/MetricsArePublic") {
  static readonly layerConfig: Layer.Layer<MetricsArePublic, Config.ConfigError> = Layer.effect(
    MetricsArePublic,
    Config.withDefault(Config.Boolean("NODEPULSE_METRICS_PUBLIC"), false)
  )
}

export const authorization: Layer.Layer<Authorization, never, Tokens | AdminToken | Session | MetricsArePublic> =
  Layer.effect(
    Authorization,
    Effect.gen(function* () {
      const tokens = yield* Tokens
      const adminToken = yield* AdminToken
      const session = yield* Session
      const metricsArePublic = yield* MetricsArePublic

      const readerOf = Effect.fnUntraced(function* (token: Redacted.Redacted<string>, via: Reader["via"]) {
        if (adminToken.matches(token)) return { kind: "admin", via } as const
        const principal = yield* Effect.mapError(tokens.verify(token), (failure) => fromFailure(failure))
        if (Option.isNone(principal)) {
          return yield* new Unauthorized({ detail: "the token is not known, or was revoked" })
        }
        const kind = principal.value.kind
        if (kind === "agent") return yield* new Forbidden({ detail: "an agent's token only writes" })
        return { kind, via } as const
      })

      const byCookie = Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest) {
        const key = request.cookies[SESSION_COOKIE]
        const owner = key === undefined || key === "" ? undefined : yield* session.find(key)
        if (owner === undefined) {
          return yield* new Unauthorized({
            detail:
              key === undefined ? "send a token (Authorization: Bearer <token>), or sign in" : "the session has ended"
          })
        }
        if (!isSafe(request.method) && !isOwnOrigin(request)) {
          return yield* new Forbidden({ detail: "a session changes things from this server's own page only" })
        }
        return "token" in owner
          ? yield* readerOf(owner.token, "session")
          : ({ kind: owner.kind, via: "session" } as const)
      })

      type Handler = Effect.Effect<HttpServerResponse.HttpServerResponse, never, CurrentReader>
      const admit = <E>(
        handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, CurrentReader>,
        endpoint: HttpApiEndpoint.Top,
        reader: Effect.Effect<Reader, Problem>
      ) => {
        const access = Context.get(endpoint.annotations, Access)
        const checked =
          access === "metrics" && metricsArePublic
            ? Effect.succeed<Reader>({ kind: "read", via: "public" })
            : Effect.flatMap(reader, (reader) =>
                access === "admin" && reader.kind !== "admin"
                  ? Effect.fail(new Forbidden({ detail: "this needs the admin token" }))
                  : Effect.succeed(reader)
              )
        return Effect.matchEffect(checked, {
          onFailure: problemResponse,
          onSuccess: (reader) => Effect.provideService(handler as Handler, CurrentReader, reader)
        })
      }

      // A response ends the search for a scheme that fits, a failure goes on with the next one. So a session that is
      // refused is a response, and only a request that brings a token goes on.
      return Authorization.of({
        session: (handler, { endpoint }) =>
          Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
            request.headers.authorization === undefined
              ? admit(handler, endpoint, byCookie(request))
              : Effect.fail(new Unauthorized())
          ),
        token: (handler, { endpoint }) =>
          Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
            const bearer = bearerOf(request.headers.authorization)
            return admit(
              handler,
              endpoint,
              bearer === undefined
                ? Effect.fail(new Unauthorized({ detail: "send a token: Authorization: Bearer <token>" }))
                : readerOf(Redacted.make(bearer), "token")
            )
          })
      })
    })
  )

const isSafe = (method: string) => method === "GET" || method === "HEAD"

/** Whether a browser says that the request comes from a page of this very address. */
const isOwnOrigin = ({ headers }: HttpServerRequest.HttpServerRequest): boolean => {
  const site = headers["sec-fetch-site"]
  if (site !== undefined && site !== "same-origin") return false
  const { host, origin } = headers
  return origin !== undefined && host !== undefined && (origin === `http://${host}` || origin === `https://${host}`)
}
