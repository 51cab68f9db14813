/**
 * `/signin/oidc`: to the provider, and back from it with a session. Beside the API, since only browsers come here; where no
 * provider is configured there is nothing.
 *
 * The cookie that remembers a sign-in that was begun is SameSite=Lax, because the provider's page leads back here; the
 * session's own is Strict, as always.
 */
import { Duration, Effect, type Layer } from "effect"
import { HttpRouter, type HttpServerRequest, HttpServerResponse } from "effect/http"
import { FailedSignIns } from "../../access/FailedSignIns.ts"
import { Guesses } from "../../access/Guesses.ts"
import { Sessions } from "../../access/Sessions.ts"
import { Forbidden, fromFailure, NotFound } from "../api/Problem.ts"
import { BasePath } from "../server/Address.ts"
import { addressOfClient } from "../server/ClientAddress.ts"
import { problemResponse } from "../server/ProblemResponse.ts"
import { tooMany } from "./Authorization.ts"
import { FLOW_LASTS, OpenId, type SignInRefused } from "./OpenId.ts"
import { from, isSecure, setCookie, wantsPage } from "./SessionCookie.ts"

export const OPEN_ID_PATHS = ["/signin/oidc", "/signin/oidc/callback", "/signin/oidc/configured"] as const
const FLOW_COOKIE = "nodepulse_signin"

export const openIdRoutes: Layer.Layer<never, never, HttpRouter.HttpRouter | Sessions | Guesses | FailedSignIns> =
  HttpRouter.use(
    Effect.fnUntraced(function* (router) {
      const openId = yield* OpenId
      const sessions = yield* Sessions
      const guesses = yield* Guesses
      const failedSignIns = yield* FailedSignIns
      const basePath = yield* BasePath
      const [begin, callback, configured] = OPEN_ID_PATHS
      const missing = problemResponse(new NotFound({ detail: "no provider is configured to sign in with" }))

      const remember = (
        response: HttpServerResponse.HttpServerResponse,
        request: HttpServerRequest.HttpServerRequest,
        flow: string
      ) =>
        HttpServerResponse.setCookieUnsafe(response, FLOW_COOKIE, flow, {
          httpOnly: true,
          sameSite: "lax",
          secure: isSecure(request),
          path: `${basePath}${begin}`,
          maxAge: flow === "" ? Duration.zero : FLOW_LASTS
        })

      // For the page, which offers it then.
      yield* router.add("GET", configured, HttpServerResponse.jsonUnsafe({ configured: openId !== undefined }))

      yield* router.add("GET", begin, (request) => {
        if (openId === undefined) return missing
        return Effect.matchEffect(openId.begin, {
          onFailure: (failure) => refused(failure, request, basePath),
          onSuccess: ({ flow, url }) =>
            Effect.succeed(
              remember(HttpServerResponse.empty({ status: 303, headers: { location: url } }), request, flow)
            )
        })
      })

      yield* router.add("GET", callback, (request) => {
        if (openId === undefined) return missing
        const address = addressOfClient(request)
        const wait = guesses.wait(address)
        if (wait > 0) return problemResponse(tooMany(wait))
        const at = request.url.indexOf("?")
        const query = at < 0 ? "" : request.url.slice(at)
        return openId.finish(query, request.cookies[FLOW_COOKIE] ?? "").pipe(
          Effect.tapError(({ reason, who }) => {
            guesses.failed(address)
            return failedSignIns.note("provider", address, reason, who)
          }),
          Effect.flatMap((person) => sessions.open(person, from(request, "provider"))),
          Effect.matchEffect({
            onFailure: (failure) =>
              failure._tag === "SignInRefused"
                ? refused(failure, request, basePath)
                : problemResponse(fromFailure(failure)),
            onSuccess: (key) => {
              const home = HttpServerResponse.empty({ status: 303, headers: { location: `${basePath}/` } })
              return Effect.succeed(remember(setCookie(home, request, basePath, key), request, ""))
            }
          })
        )
      })
    })
  )

/**
 * What the provider says goes to the log, in its words, and not to whoever asks; codes and tokens go nowhere. A person gets the
 * page, which says what to do now; a program the problem.
 */
const refused = (
  { cause, reason, why }: SignInRefused,
  request: HttpServerRequest.HttpServerRequest,
  basePath: string
) =>
  Effect.andThen(
    cause === undefined ? Effect.void : Effect.logWarning(`sign-in with the provider: ${reason}: ${wordsOf(cause)}`),
    wantsPage(request)
      ? Effect.succeed(HttpServerResponse.empty({ status: 303, headers: { location: `${basePath}/?refused=${why}` } }))
      : problemResponse(new Forbidden({ detail: reason }))
  )

const wordsOf = (error: unknown): string => {
  if (!(error instanceof Error)) return "no reason is given"
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message
}
