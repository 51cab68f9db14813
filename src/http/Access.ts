/**
 * Who may call what: part of the API's definition, so that it is in the OpenAPI document and the typed client.
 *
 * Every endpoint that has the `Authorization` middleware needs a principal; `Access` on an endpoint says which one:
 * `read` (the default: a read token, an admin token or the page's session) or `admin`. What checks it is in
 * `Authorization.ts`. The ingest endpoint checks agent tokens itself (`IngestHandlers.ts`).
 */
import { Context } from "effect"
import { HttpApiMiddleware, HttpApiSecurity } from "effect/http-api"
import { Forbidden, Unauthorized, Unavailable } from "./Problem.ts"

/** What an endpoint needs; `metrics` is `read` unless the self-metrics are public. */
export const Access = Context.Reference<"read" | "admin" | "metrics">("nodepulse/http/Access", {
  defaultValue: () => "read"
})

/** Who is asking: never an agent, an agent's token only writes. */
export interface Reader {
  readonly kind: "read" | "admin"
  readonly via: "token" | "session" | "public"
}

export class CurrentReader extends Context.Service<CurrentReader, Reader>()("nodepulse/http/CurrentReader") {}

/** The cookie that carries the page's session. */
export const SESSION_COOKIE = "nodepulse_session"

export class Authorization extends HttpApiMiddleware.Service<Authorization, { provides: CurrentReader }>()(
  "nodepulse/http/Authorization",
  {
    security: {
      session: HttpApiSecurity.apiKey({ key: SESSION_COOKIE, in: "cookie" }),
      token: HttpApiSecurity.bearer
    },
    error: [Unauthorized, Forbidden, Unavailable]
  }
) {}
