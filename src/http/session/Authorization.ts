/**
 * Checks who is asking, for every endpoint but the ingest: a token in `Authorization`, else the page's session.
 *
 * Guarantee (promise 5): nobody reads without a token. An agent's token reads nothing. A cookie changes nothing unless the
 * request comes from the page itself (`Origin` is this server's own address), so that another site cannot use it.
 *
 * Bound: a reader has so many reads under way at a time (`Reads.ts`); a read is answered within `Limits.answerWithin`, or ended
 * with a problem that says so. A reader makes so many changes a second, since each is in the audit; none is cut short, since
 * nobody could know whether it was done.
 */
import { Clock, Config, Context, Duration, Effect, Layer, Option, Redacted } from "effect"
import { HttpServerRequest, type HttpServerResponse } from "effect/http"
import type { HttpApiEndpoint } from "effect/http-api"
import { CurrentAuthor } from "../../access/Audit.ts"
import { FailedSignIns } from "../../access/FailedSignIns.ts"
import { Guesses } from "../../access/Guesses.ts"
import { ROLES, Tokens } from "../../access/Servers.ts"
import { Sessions } from "../../access/Sessions.ts"
import { ReadReplica, RowsFrom } from "../../sinks/postgres/ReadReplica.ts"
import { RowsAllowed } from "../../sinks/storage/RowsAllowed.ts"
import { Access, Asks, Authorization, CurrentReader, type Reader, SESSION_COOKIE, Shared } from "../api/Access.ts"
import {
  AnswerTooSlow,
  Forbidden,
  fromFailure,
  type Problem,
  TooManyGuesses,
  TooManyRequests,
  Unauthorized
} from "../api/Problem.ts"
import { makeAllowance } from "../server/Allowance.ts"
import { addressOfClient } from "../server/ClientAddress.ts"
import { Limits } from "../server/Limits.ts"
import { isForeign, PublicUrl } from "../server/Origin.ts"
import { problemResponse } from "../server/ProblemResponse.ts"
import { makeShare } from "../server/SharedAnswers.ts"
import { AdminToken } from "./AdminToken.ts"
import { makeReads } from "./Reads.ts"

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

/** Who may do what, from least to most: each may do what those before it may. */
const mayDo = (kind: Reader["kind"], access: "read" | "operator" | "admin"): boolean =>
  kind !== "enrolment" && ROLES.indexOf(kind) >= ROLES.indexOf(access)

/** What is long enough that nobody guesses it. */
const UNGUESSABLE = 32

export const authorization: Layer.Layer<
  Authorization,
  never,
  Tokens | AdminToken | Sessions | MetricsArePublic | Guesses | FailedSignIns
> = Layer.effect(
  Authorization,
  Effect.gen(function* () {
    const tokens = yield* Tokens
    const adminToken = yield* AdminToken
    const sessions = yield* Sessions
    const guesses = yield* Guesses
    const failedSignIns = yield* FailedSignIns
    const metricsArePublic = yield* MetricsArePublic
    const share = yield* makeShare
    const limits = yield* Limits
    const answerWithin = Duration.fromInputUnsafe(limits.answerWithin)
    const reads = makeReads(limits.readerReadsMax, limits.readerReadsMax * WAITING)
    const { readerChangesPerSecond: perSecond } = limits
    const changes = makeAllowance(perSecond * CHANGES_BURST_SECONDS, perSecond)
    const clock = yield* Clock.Clock
    const publicUrl = yield* PublicUrl
    const replica = Option.getOrUndefined(yield* Effect.serviceOption(ReadReplica))

    /** Nobody is told more than that, and only so often (`Guesses.ts`). */
    const refused = (address: string, detail: string): Unauthorized => {
      guesses.failed(address)
      return new Unauthorized({ detail })
    }

    const byToken = Effect.fnUntraced(function* (text: string, address: string) {
      const token = Redacted.make(text)
      const isAdmin = adminToken.matches(token)
      const wait = guesses.wait(address)
      if (wait > 0 && !(text.length >= UNGUESSABLE && (isAdmin || tokens.isKnown(token)))) return yield* tooMany(wait)
      if (isAdmin) return { kind: "admin", via: "token", principal: ADMIN } as const
      const found = yield* Effect.mapError(tokens.verify(token), (failure) => fromFailure(failure))
      if (Option.isNone(found)) return yield* refused(address, "the token is unknown, expired or was revoked")
      const { kind, tokenId } = found.value
      if (kind === "agent") return yield* new Forbidden({ detail: "an agent's token can only send data" })
      return { kind, via: "token", principal: `token:${tokenId}` } as const
    })

    const byCookie = Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest, address: string) {
      const cookie = request.cookies[SESSION_COOKIE]
      if (cookie === undefined) {
        return yield* new Unauthorized({ detail: "send a token (Authorization: Bearer <token>), or sign in" })
      }
      const wait = guesses.wait(address)
      if (wait > 0 && !(cookie.length >= UNGUESSABLE && sessions.isKnown(cookie))) return yield* tooMany(wait)
      const found = yield* Effect.mapError(sessions.find(cookie), (failure) => fromFailure(failure))
      if (Option.isNone(found)) return yield* refused(address, "the session has ended")
      const { name, principal, proof, role, sessionId, tokenId } = found.value
      if (proof !== null && !adminToken.isProven(cookie, proof)) {
        return yield* new Unauthorized({
          detail:
            "the session was opened with another admin token than this process has: sign in again, or give all processes the same NODEPULSE_ADMIN_TOKEN"
        })
      }
      // Without an origin it may be a form's of an old browser.
      const { headers, method } = request
      if (!isSafe(method) && (headers.origin === undefined || isForeign(headers, publicUrl))) {
        return yield* new Forbidden({ detail: "a session can make changes only from this server's own page" })
      }
      return { kind: role, via: "session", principal, session: { sessionId, name, tokenId } } as const
    })

    const tooManyReads = problemResponse(
      new TooManyRequests({
        detail: `more than ${limits.readerReadsMax * (1 + WAITING)} reads of one token or session at a time`,
        limit_of: "reader",
        limit: limits.readerReadsMax
      })
    )

    const ofSomeRows = (handler: Handler): Handler =>
      Effect.suspend(() =>
        handler.pipe(
          Effect.provideService(RowsAllowed, { most: limits.answerRowsMax, read: 0 }),
          Effect.provideService(RowsFrom, { is: "primary", view: replica?.view() })
        )
      )

    /** A change, or the problem that there were too many of that reader. */
    const inMeasure = (reader: string, change: Handler): Handler =>
      Effect.suspend(() => {
        const wait = changes.take(reader, 1, Number(clock.monotonicTimeNanosUnsafe()) / 1e6)
        if (wait === undefined) return change
        const detail = `more than ${perSecond} changes a second of one token or session`
        return problemResponse(
          new TooManyRequests({ detail, limit_of: "reader", limit: perSecond, retry_after_seconds: wait })
        )
      })

    const admit = <E>(
      handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, CurrentReader>,
      endpoint: HttpApiEndpoint.Top,
      address: string,
      reader: Effect.Effect<Reader, Problem>
    ) => {
      const access = Context.get(endpoint.annotations, Access)
      const checked =
        access === "metrics" && metricsArePublic
          ? Effect.succeed<Reader>({ kind: "read", via: "public", principal: "anyone" })
          : Effect.flatMap(reader, (reader) => {
              const needed = access === "metrics" ? "read" : access
              const may = needed === "enrolment" ? reader.kind === needed : mayDo(reader.kind, needed)
              return may ? Effect.succeed(reader) : Effect.fail(new Forbidden({ detail: NEEDS[needed] }))
            })
      return Effect.matchEffect(checked, {
        onFailure: problemResponse,
        onSuccess: (reader) => {
          const { principal } = reader
          const bounded =
            isSafe(endpoint.method) || Context.get(endpoint.annotations, Asks)
              ? inTime(reads.inTurn(principal, ofSomeRows(handler as Handler), tooManyReads), answerWithin)
              : inMeasure(principal, handler as Handler)
          const answer = bounded.pipe(
            Effect.provideService(CurrentReader, reader),
            Effect.provideService(CurrentAuthor, { name: reader.principal, address })
          )
          return Context.get(endpoint.annotations, Shared)
            ? Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => share(request, reader, answer))
            : answer
        }
      })
    }

    // A response ends the search for a scheme that fits, a failure goes on with the next one. So a session that is
    // refused is a response, and only a request that brings a token goes on.
    return Authorization.of({
      session: (handler, { endpoint }) =>
        Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
          if (request.headers.authorization !== undefined) return Effect.fail(new Unauthorized())
          const address = addressOfClient(request)
          return admit(handler, endpoint, address, byCookie(request, address))
        }),
      token: (handler, { endpoint }) =>
        Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
          const bearer = bearerOf(request.headers.authorization)
          const address = addressOfClient(request)
          return admit(
            handler,
            endpoint,
            address,
            bearer === undefined
              ? Effect.fail(new Unauthorized({ detail: "send a token: Authorization: Bearer <token>" }))
              : byToken(bearer, address).pipe(
                  Effect.tapErrorTag("Unauthorized", ({ detail = "" }) =>
                    isSignIn(endpoint) ? failedSignIns.note("token", address, detail) : Effect.void
                  )
                )
          )
        })
    })
  })
)

/** What the configured admin token is called. */
export const ADMIN = "admin"

/** Whether it exchanges a token for a cookie. Programs that send their token with each request sign in nowhere. */
const isSignIn = ({ method, path }: HttpApiEndpoint.Top): boolean => method === "POST" && path === "/api/session"

const NEEDS = {
  read: "this needs a token or session that reads",
  operator: "this needs an operator's or an admin token",
  admin: "this needs an admin token",
  enrolment: "this needs an enrolment token"
} as const

/** What whoever has used up the tries of an address is told. */
export const tooMany = (seconds: number): TooManyGuesses =>
  new TooManyGuesses({
    detail: "too many unknown tokens, sessions or links came from this address; try again later",
    retry_after_seconds: Math.ceil(seconds)
  })

/** So many times as many reads wait as are answered at a time: a page asks for a dozen things at once. */
const WAITING = 8

/** For so many seconds' worth of changes at once: a script that adds a fleet. */
const CHANGES_BURST_SECONDS = 200

type Handler = Effect.Effect<HttpServerResponse.HttpServerResponse, never, CurrentReader>

/** The answer, or the problem that it took too long. What was asked of the database meanwhile is cancelled. */
const inTime = (handler: Handler, limit: Duration.Duration): Handler =>
  Effect.timeoutOrElse(handler, {
    duration: limit,
    orElse: () =>
      problemResponse(
        new AnswerTooSlow({
          detail: `it takes longer than ${Duration.format(limit)}; ask for a shorter window, or for fewer servers`,
          limit_seconds: Duration.toSeconds(limit)
        })
      )
  })

const isSafe = (method: string) => method === "GET" || method === "HEAD"
