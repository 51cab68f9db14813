/**
 * `/api/session` and `/signin`: how a person gets the page's cookie, and gets rid of it.
 *
 * The cookie is HttpOnly and SameSite=Strict, and Secure where the request came over TLS (also by a proxy that says so).
 * The page itself needs no cookie, only what it asks for does: so Strict works although a link leads here from elsewhere.
 */
import { Effect, Option } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { FailedSignIns } from "../../access/FailedSignIns.ts"
import { Guesses } from "../../access/Guesses.ts"
import type { Role } from "../../access/Servers.ts"
import { Sessions, type SignedIn, signInPath } from "../../access/Sessions.ts"
import { CurrentReader, type Reader, SESSION_COOKIE } from "../api/Access.ts"
import { Api } from "../api/Api.ts"
import { fromFailure, invalidParameter, Unauthorized } from "../api/Problem.ts"
import { BasePath } from "../server/Address.ts"
import { ClearText, isInTheClear } from "../server/ClearText.ts"
import { addressOfClient } from "../server/ClientAddress.ts"
import { AdminToken } from "../session/AdminToken.ts"
import { ADMIN, tooMany } from "../session/Authorization.ts"
import { from, setCookie, wantsPage } from "../session/SessionCookie.ts"

export const sessionHandlers = HttpApiBuilder.group(
  Api,
  "session",
  Effect.fnUntraced(function* (handlers) {
    const sessions = yield* Sessions
    const adminToken = yield* AdminToken
    const basePath = yield* BasePath
    const clearText = yield* ClearText

    /** What travels unencrypted: this request, or a token lately; whence, those learn who can do something about it. */
    const unencrypted = (reader: Reader, request: HttpServerRequest.HttpServerRequest) => {
      if (isInTheClear(request)) return { what: "session", address: null, at: null } as const
      const last = reader.kind === "read" ? undefined : clearText.lastToken()
      if (last === undefined) return null
      return { what: "token", address: last.address, at: new Date(last.at).toISOString() } as const
    }
    const show = (reader: Reader, request: HttpServerRequest.HttpServerRequest) => ({
      kind: roleOf(reader.kind),
      via: reader.via,
      principal: reader.principal,
      name: reader.session?.name ?? "",
      unencrypted: unencrypted(reader, request)
    })

    return handlers.handleAll({
      whoAmI: ({ request }) => Effect.map(CurrentReader, (reader) => show(reader, request)),
      signInWithToken: Effect.fnUntraced(function* ({ request }) {
        const reader = yield* CurrentReader
        if (reader.via !== "token") return show(reader, request)
        const prove = reader.principal === ADMIN ? adminToken.prove : undefined
        const key = yield* Effect.mapError(sessions.open(ownerOf(reader), from(request, "token"), prove), (failure) =>
          fromFailure(failure)
        )
        const answer = HttpServerResponse.jsonUnsafe({ ...show(reader, request), via: "session" })
        return setCookie(answer, request, basePath, key)
      }),
      signOut: Effect.fnUntraced(function* ({ request }) {
        yield* Effect.mapError(sessions.close(request.cookies[SESSION_COOKIE] ?? ""), (failure) => fromFailure(failure))
        return setCookie(HttpServerResponse.empty({ status: 204 }), request, basePath, undefined)
      }),
      newLink: Effect.fnUntraced(function* ({ query }) {
        const owner = ownerOf(yield* CurrentReader)
        const name = (query.for ?? "").trim()
        if (name === "" && query.role !== undefined) {
          return yield* invalidParameter("for", null, "whom the link is for, where it has a role")
        }
        // Somebody else is somebody else in the audit, too.
        const { role = "read" } = query
        const signsIn = name === "" ? owner : { ...owner, role, name, principal: `link:${name}` }
        const code = yield* Effect.mapError(sessions.newLink(signsIn), (failure) => fromFailure(failure))
        return { path: `${basePath}${signInPath(code)}` }
      })
    })
  })
)

export const signInHandlers = HttpApiBuilder.group(
  Api,
  "signIn",
  Effect.fnUntraced(function* (handlers) {
    const sessions = yield* Sessions
    const guesses = yield* Guesses
    const failedSignIns = yield* FailedSignIns
    const basePath = yield* BasePath
    return handlers.handle("signIn", ({ query, request }) =>
      Effect.gen(function* () {
        // A HEAD, as of a program that only looks at a link, must not use it up.
        if (request.method !== "GET") return HttpServerResponse.empty()
        const address = addressOfClient(request)
        const wait = guesses.wait(address)
        if (wait > 0) return yield* tooMany(wait)
        const key = yield* Effect.mapError(sessions.openWithCode(query.code, from(request, "link")), (failure) =>
          fromFailure(failure)
        )
        if (Option.isNone(key)) {
          guesses.failed(address)
          yield* failedSignIns.note("link", address, "the link was already used, has expired, or never was one")
          // A person gets the page, which says what to do now; a program gets the problem.
          if (wantsPage(request)) {
            return HttpServerResponse.empty({ status: 303, headers: { location: `${basePath}/?link=used` } })
          }
          return yield* new Unauthorized({ detail: "the link was already used or has expired; request a new one" })
        }
        const toThePage = HttpServerResponse.empty({ status: 303, headers: { location: `${basePath}/` } })
        return setCookie(toThePage, request, basePath, key.value)
      })
    )
  })
)

/** Nobody comes here with an enrolment token: `Authorization.ts` sees to that. */
const roleOf = (kind: Reader["kind"]): Role => (kind === "enrolment" ? "read" : kind)

const ownerOf = ({ kind, principal, session }: Reader): SignedIn => ({
  role: roleOf(kind),
  principal,
  name: session?.name ?? "",
  tokenId: session === undefined ? (/^token:(\d+)$/.exec(principal)?.[1] ?? null) : session.tokenId
})
