/**
 * `/api/session` and `/signin`: how a person gets the page's cookie, and gets rid of it.
 *
 * The cookie is HttpOnly and SameSite=Strict, and Secure where the request came over TLS (also by a proxy that says so).
 * The page itself needs no cookie, only what it asks for does: so Strict works although a link leads here from elsewhere.
 */
import { Duration, Effect, Redacted } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { CurrentReader, SESSION_COOKIE } from "./Access.ts"
import { Api } from "./Api.ts"
import { bearerOf } from "./Authorization.ts"
import { Unauthorized } from "./Problem.ts"
import { SESSION_LASTS, Session } from "./Session.ts"

export const sessionHandlers = HttpApiBuilder.group(
  Api,
  "session",
  Effect.fnUntraced(function* (handlers) {
    const session = yield* Session
    return handlers.handleAll({
      whoAmI: () => CurrentReader,
      signInWithToken: Effect.fnUntraced(function* ({ request }) {
        const reader = yield* CurrentReader
        const bearer = bearerOf(request.headers.authorization)
        if (bearer === undefined) return reader
        const key = yield* session.openWithToken(reader.kind, Redacted.make(bearer))
        return setCookie(HttpServerResponse.jsonUnsafe({ kind: reader.kind, via: "session" }), request, key)
      }),
      signOut: Effect.fnUntraced(function* ({ request }) {
        yield* session.close(request.cookies[SESSION_COOKIE] ?? "")
        return setCookie(HttpServerResponse.empty({ status: 204 }), request, undefined)
      }),
      newLink: () => Effect.map(session.newLink, (path) => ({ path }))
    })
  })
)

export const signInHandlers = HttpApiBuilder.group(
  Api,
  "signIn",
  Effect.fnUntraced(function* (handlers) {
    const session = yield* Session
    return handlers.handle("signIn", ({ query, request }) =>
      Effect.gen(function* () {
        // A HEAD, as of a program that only looks at a link, must not use it up.
        if (request.method !== "GET") return HttpServerResponse.empty()
        const key = yield* session.openWithCode(query.code)
        if (key === undefined) {
          return yield* new Unauthorized({ detail: "the link was used already, or is too old; ask for a new one" })
        }
        return setCookie(HttpServerResponse.empty({ status: 303, headers: { location: "/" } }), request, key)
      })
    )
  })
)

/** Sets the session's cookie; without a key it takes it away. */
const setCookie = (
  response: HttpServerResponse.HttpServerResponse,
  request: HttpServerRequest.HttpServerRequest,
  key: Redacted.Redacted<string> | undefined
) =>
  HttpServerResponse.setCookieUnsafe(response, SESSION_COOKIE, key === undefined ? "" : Redacted.value(key), {
    httpOnly: true,
    sameSite: "strict",
    secure: request.headers["x-forwarded-proto"] === "https" || request.originalUrl.startsWith("https:"),
    path: "/",
    maxAge: key === undefined ? Duration.zero : SESSION_LASTS
  })
