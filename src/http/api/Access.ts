/**
 * Who may call what: part of the API's definition, so that it is in the OpenAPI document and the typed client.
 *
 * Every endpoint that has the `Authorization` middleware needs a principal; `Access` on an endpoint says which one:
 * `read` (the default: any token but an agent's, or the page's session), `operator` or `admin`. What checks it is in
 * `Authorization.ts`. The ingest endpoint checks agent tokens itself (`IngestHandlers.ts`).
 */
import { Context } from "effect"
import { HttpApiMiddleware, HttpApiSecurity } from "effect/http-api"
import {
  AnswerTooSlow,
  Forbidden,
  QuestionTooLarge,
  TooManyGuesses,
  TooManyRequests,
  Unauthorized,
  Unavailable
} from "./Problem.ts"

/**
 * What an endpoint needs. `operator`: adds servers and lets machines in; `admin`: all the rest; `enrolment`: such a token, and
 * nothing else. `metrics` is `read` unless the self-metrics are public.
 */
export const Access = Context.Reference<"read" | "operator" | "admin" | "enrolment" | "metrics">(
  "nodepulse/http/Access",
  {
    defaultValue: () => "read"
  }
)

/** Whether a POST only asks, with more than an address can hold, and changes nothing: it is bounded as a read is. */
export const Asks = Context.Reference<boolean>("nodepulse/http/Asks", { defaultValue: () => false })

/**
 * Whether answers depend on the address and the reader's rights alone, so that one that is under way serves all who ask for it
 * (`SharedAnswers.ts`).
 */
export const Shared = Context.Reference<boolean>("nodepulse/http/Shared", { defaultValue: () => false })

/** Who is asking: never an agent, an agent's token only writes. */
export interface Reader {
  readonly kind: "read" | "operator" | "admin" | "enrolment"
  readonly via: "token" | "session" | "public"
  /** `admin` (the configured token), `token:12`, `oidc:…`; what the audit calls them. */
  readonly principal: string
  /** Where it is a session: which one, and what whoever signed in is called, if that is known. */
  readonly session?: { readonly sessionId: string; readonly name: string; readonly tokenId: string | null }
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
    error: [Unauthorized, Forbidden, TooManyGuesses, TooManyRequests, Unavailable, AnswerTooSlow, QuestionTooLarge]
  }
) {}
