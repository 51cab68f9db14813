/**
 * The cookie of the page's session, as every way of signing in sets it: HttpOnly, SameSite=Strict, and Secure where the request
 * came over TLS.
 */
import { Duration, Redacted } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import { type From, SESSION_LASTS, type SignInBy } from "../../access/Sessions.ts"
import { SESSION_COOKIE } from "../api/Access.ts"
import { addressOfClient } from "../server/ClientAddress.ts"

/** Whether the request came over TLS: to this server (`Connections.ts`), or to a proxy that says so. */
export const isSecure = (request: HttpServerRequest.HttpServerRequest): boolean =>
  request.headers["x-forwarded-proto"] === "https"

/** Whether a person waits for a page, and no program for an answer. */
export const wantsPage = (request: HttpServerRequest.HttpServerRequest): boolean =>
  /\btext\/html\b/.test(request.headers.accept ?? "")

/** Where a sign-in comes from, for the list of sessions. */
export const from = (request: HttpServerRequest.HttpServerRequest, via: SignInBy): From => ({
  via,
  address: addressOfClient(request) || null,
  browser: request.headers["user-agent"] ?? ""
})

/** Sets the session's cookie; without a key it takes it away. */
export const setCookie = (
  response: HttpServerResponse.HttpServerResponse,
  request: HttpServerRequest.HttpServerRequest,
  basePath: string,
  key: Redacted.Redacted<string> | undefined
) =>
  HttpServerResponse.setCookieUnsafe(response, SESSION_COOKIE, key === undefined ? "" : Redacted.value(key), {
    httpOnly: true,
    sameSite: "strict",
    secure: isSecure(request),
    path: basePath === "" ? "/" : basePath,
    maxAge: key === undefined ? Duration.zero : SESSION_LASTS
  })
