/**
 * What is around every request: whatever happens inside becomes one well-formed answer.
 *
 * Guarantee: every error is `application/problem+json`, also for addresses that do not exist, methods that are not allowed
 * and parameters that do not decode (which names the parameter, its value and what is allowed). An unexpected error is a
 * 500 without its inside, and an error in the log with it. Every answer has the security headers, and is counted.
 *
 * There is no CORS: no other site's page has any business here.
 */
import { Cause, Clock, Context, Effect, Option, SchemaAST, SchemaIssue } from "effect"
import { FindMyWay, HttpRouter, HttpServerError, HttpServerRequest, HttpServerResponse } from "effect/http"
import { type HttpApiEndpoint, HttpApiError } from "effect/http-api"
import { placeOf } from "../../access/Networks.ts"
import { Api } from "../api/Api.ts"
import {
  BodyTooLarge,
  Forbidden,
  InvalidParameter,
  invalidParameter,
  MalformedBody,
  MethodNotAllowed,
  Misdirected,
  NotFound,
  type Problem,
  TooManyRequests,
  Unexpected,
  UnsupportedMedia
} from "../api/Problem.ts"
import { INGEST_PATH, Ingest } from "../ingest/Ingest.ts"
import { OPEN_ID_PATHS } from "../session/OpenIdRoutes.ts"
import { addressOf, BasePath, pathOf, segmentsOf } from "./Address.ts"
import { makeAllowance } from "./Allowance.ts"
import { ClearText } from "./ClearText.ts"
import { addressOfClient, clientOf, isTrustedProxy } from "./ClientAddress.ts"
import { DOCS_PATH, OPENAPI_PATH } from "./Docs.ts"
import { Limits } from "./Limits.ts"
import { isForeign, isMisdirected, PublicUrl } from "./Origin.ts"
import { packed } from "./Packed.ts"
import { problemResponse, withStatusHeaders } from "./ProblemResponse.ts"
import { POLICY, SECURITY_HEADERS } from "./SecurityHeaders.ts"
import { SelfMetrics } from "./SelfMetrics.ts"
import { Static } from "./Static.ts"

/** How addresses are matched: exactly, but for a slash at the end. */
export const ROUTER_CONFIG = { caseSensitive: true, ignoreDuplicateSlashes: false, ignoreTrailingSlash: true } as const

/** Route label of what matches no route. */
const NO_ROUTE = "(none)"

type Routes = Effect.Effect<HttpServerResponse.HttpServerResponse, unknown, HttpServerRequest.HttpServerRequest>

/** Puts the boundary around the routes. */
export const makeBoundary = Effect.fnUntraced(function* <R>(
  routes: Effect.Effect<HttpServerResponse.HttpServerResponse, unknown, R>
) {
  const metrics = yield* SelfMetrics
  const files = yield* Static
  const limits = yield* Limits
  const ingest = yield* Ingest
  const basePath = yield* BasePath
  const trusts = yield* isTrustedProxy
  const clearText = yield* ClearText
  const publicUrl = yield* PublicUrl
  const { addressRequestsPerSecond: perSecond } = limits
  const addresses = makeAllowance(perSecond * BURST_SECONDS, perSecond)
  const known = knownAddresses()

  /** An address that is no route: a file of the page, a question about methods, or nothing. */
  const elsewhere = (request: HttpServerRequest.HttpServerRequest) => {
    const path = pathOf(request.url)
    const shown = JSON.stringify(path.slice(0, 200))
    if (segmentsOf(path) === undefined) {
      return problemResponse(new NotFound({ detail: `the path ${shown} is not percent-encoded UTF-8` }))
    }
    const allowed = METHODS.filter((method) => known.find(method, path) !== undefined)
    if (allowed.length > 0) {
      const all = allowed.includes("GET") ? [...allowed, "HEAD", "OPTIONS"] : [...allowed, "OPTIONS"]
      return request.method === "OPTIONS"
        ? Effect.succeed(HttpServerResponse.empty({ status: 204, headers: { allow: all.join(", ") } }))
        : problemResponse(
            new MethodNotAllowed({
              detail: `${request.method} is not allowed here; ${all.join(", ")} are`,
              allowed: all
            })
          )
    }
    const readable = request.method === "GET" || request.method === "HEAD"
    const file = readable && !isProgramPath(path) ? files.find(path, request.headers) : undefined
    if (file !== undefined) return Effect.succeed(file)
    return problemResponse(new NotFound({ detail: `there is no ${shown}` }))
  }

  const failed = (request: HttpServerRequest.HttpServerRequest, cause: Cause.Cause<unknown>) => {
    if (Cause.hasInterrupts(cause)) return Effect.failCause(cause)
    for (const reason of cause.reasons) {
      const error = reason._tag === "Fail" ? reason.error : reason._tag === "Die" ? reason.defect : undefined
      if (error instanceof HttpServerError.HttpServerError) {
        const inner = error.reason
        if (inner._tag === "RouteNotFound") return elsewhere(request)
        if (inner._tag === "RequestParseError") {
          return problemResponse(
            inner.reason === "BodyTooLarge"
              ? new BodyTooLarge({
                  detail: `more than ${limits.otherBodyBytesMax} bytes`,
                  limit_of: "bytes",
                  limit: limits.otherBodyBytesMax
                })
              : new MalformedBody({ detail: "the request cannot be read" })
          )
        }
      }
      if (HttpApiError.HttpApiSchemaError.is(error) && error.kind !== "Body" && error.kind !== "ResponseHeaders") {
        return problemResponse(problemOf(error, request, known.find(request.method, pathOf(request.url))?.handler))
      }
    }
    return Effect.andThen(
      Effect.logError("unexpected error while answering a request", cause).pipe(
        Effect.annotateLogs({ method: request.method, path: pathOf(request.url) })
      ),
      problemResponse(new Unexpected())
    )
  }

  const counted = (
    request: HttpServerRequest.HttpServerRequest,
    route: string,
    response: HttpServerResponse.HttpServerResponse,
    seconds: number
  ) => {
    metrics.answered(METHODS_COUNTED.has(request.method) ? request.method : "other", route, response.status, seconds)
    return response
  }

  const tooMany = (request: HttpServerRequest.HttpServerRequest, clock: Clock.Clock): TooManyRequests | undefined => {
    const place = placeOf(addressOfClient(request))
    const wait = addresses.take(place, 1, Number(clock.monotonicTimeNanosUnsafe()) / 1e6)
    if (wait === undefined) return undefined
    const detail = `more than ${perSecond} requests a second from one address`
    return new TooManyRequests({ detail, limit_of: "address", limit: perSecond, retry_after_seconds: wait })
  }

  /** A browser's request that comes from elsewhere, or believes to be elsewhere. */
  const unwelcome = ({ headers, method, url }: HttpServerRequest.HttpServerRequest): Problem | undefined => {
    if (!SAFE.has(method) && isForeign(headers, publicUrl)) {
      return new Forbidden({ detail: "changes can be made only from this server's own page" })
    }
    if (!isMisdirected(headers, publicUrl) || PROBES.has(pathOf(url))) return undefined
    return new Misdirected({ detail: `this server is known as ${publicUrl} (NODEPULSE_PUBLIC_URL)` })
  }

  const routed = Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest, clock: Clock.Clock) {
    const began = clock.currentTimeNanosUnsafe()
    const answer = yield* Effect.catchCause(routes as Routes, (cause) => failed(request, cause))
    // The router leaves the route that it found in the fiber's context.
    const route = yield* Effect.withFiberSucceed((fiber) =>
      Context.getOrUndefined(fiber.context, HttpRouter.RouteContext)
    )
    const response = packed(yield* finish(answer), request)
    return counted(request, route?.route.path ?? NO_ROUTE, response, secondsSince(began, clock))
  })

  const pushed = (request: HttpServerRequest.HttpServerRequest, clock: Clock.Clock) => {
    const began = clock.currentTimeNanosUnsafe()
    return Effect.matchCauseEffect(
      Effect.suspend(() => ingest.answer(request)),
      {
        onSuccess: (answer) =>
          Effect.map(answer.status === 202 ? Effect.succeed(answer) : finish(answer), (response) =>
            counted(request, INGEST_PATH, response, secondsSince(began, clock))
          ),
        onFailure: (cause) => failed(request, cause)
      }
    )
  }

  return Effect.withFiber<HttpServerResponse.HttpServerResponse, unknown, HttpServerRequest.HttpServerRequest>(
    (fiber) => {
      const asked = Context.getUnsafe(fiber.context, HttpServerRequest.HttpServerRequest)
      const address = addressOf(asked.url, basePath)
      const client = forwarded(asked, trusts)
      const request =
        address === asked.url && client === undefined
          ? asked
          : asked.modify({ url: address, ...(client === undefined ? {} : { remoteAddress: Option.some(client) }) })
      if (request !== asked) {
        fiber.setContext(Context.add(fiber.context, HttpServerRequest.HttpServerRequest, request))
      }
      const clock = fiber.getRef(Clock.Clock)
      const isPush = request.method === "POST" && pathOf(request.url) === INGEST_PATH
      const refused = tooMany(request, clock) ?? (isPush ? undefined : unwelcome(request))
      if (refused !== undefined) {
        return Effect.map(Effect.flatMap(problemResponse(refused), finish), (response) =>
          counted(request, NO_ROUTE, response, 0)
        )
      }
      const answered = isPush ? Effect.interruptible(pushed(request, clock)) : routed(request, clock)
      const warning = clearText.observe(request)
      return warning === undefined ? answered : Effect.andThen(warning, answered)
    }
  )
})

/** The address that a trusted proxy says the request comes from; undefined where none says so. */
const forwarded = (
  request: HttpServerRequest.HttpServerRequest,
  trusts: ((address: string) => boolean) | undefined
): string | undefined => {
  const said = trusts === undefined ? undefined : request.headers["x-forwarded-for"]
  return said === undefined ? undefined : clientOf(addressOfClient(request), said, trusts)
}

const secondsSince = (began: bigint, clock: Clock.Clock): number => Number(clock.currentTimeNanosUnsafe() - began) / 1e9

/** For so many seconds' worth of requests at once. */
const BURST_SECONDS = 10

/** What only looks. */
const SAFE: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"])
/** What asks by whatever name it was given, and is no page. */
const PROBES: ReadonlySet<string> = new Set(["/healthz", "/readyz", "/metrics"])

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"] as const
const METHODS_COUNTED: ReadonlySet<string> = new Set([...METHODS, "HEAD", "OPTIONS"])

/** Every address of the definition, to tell "not here" from "not this way". */
const knownAddresses = () => {
  const known = FindMyWay.make<HttpApiEndpoint.Top | undefined>(ROUTER_CONFIG)
  for (const group of Object.values(Api.groups)) {
    for (const endpoint of Object.values(group.endpoints) as ReadonlyArray<HttpApiEndpoint.Top>) {
      known.on(endpoint.method, endpoint.path as FindMyWay.PathInput, endpoint)
    }
  }
  for (const path of [DOCS_PATH, OPENAPI_PATH, ...OPEN_ID_PATHS] as const) known.on("GET", path, undefined)
  return known
}

/** Addresses of programs: what is missing there is missing, and not the page. */
const isProgramPath = (path: string): boolean => /^\/(api|metrics|healthz|readyz|signin)(\/|$)/.test(path)

/** Adds the headers of every answer, and turns an error that is no problem yet into one. */
const finish = (
  answer: HttpServerResponse.HttpServerResponse
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  if (answer.status >= 400 && answer.headers["content-type"] !== "application/problem+json") {
    return Effect.flatMap(problemResponse(problemOfStatus(answer.status)), finish)
  }
  return Effect.map(withStatusHeaders(answer), (response) =>
    HttpServerResponse.setHeaders(response, {
      ...SECURITY_HEADERS,
      "content-security-policy": response.headers["content-security-policy"] ?? POLICY,
      "cache-control": response.headers["cache-control"] ?? "no-store"
    })
  )
}

const problemOfStatus = (status: number): Problem => {
  switch (status) {
    case 400:
      return new MalformedBody({})
    case 404:
      return new NotFound({})
    case 413:
      return new BodyTooLarge({})
    case 415:
      return new UnsupportedMedia({ detail: "only application/json is supported" })
    default:
      return new Unexpected()
  }
}

const formatIssues = SchemaIssue.makeFormatterStandardSchemaV1()

/** The problem of a part of a request that does not decode: names what, its value, and what is allowed. */
const problemOf = (
  error: HttpApiError.HttpApiSchemaError,
  request: HttpServerRequest.HttpServerRequest,
  endpoint: HttpApiEndpoint.Top | undefined
): Problem => {
  const issue = formatIssues(error.cause.issue).issues[0]
  const path = (issue?.path ?? []).map((segment) => String(typeof segment === "object" ? segment.key : segment))
  const parameter = path[0]
  if (parameter === undefined) return new MalformedBody({ detail: issue?.message ?? "the body cannot be read" })
  if (error.kind === "Payload") {
    return new InvalidParameter({
      detail: `${path.join(".")}: ${issue?.message ?? "not allowed"}`,
      parameter: path.join("."),
      value: null,
      allowed: issue?.message ?? "see /api/docs"
    })
  }
  const values = new URLSearchParams(request.url.slice(pathOf(request.url).length)).getAll(parameter)
  const value = values.length > 1 ? values : (values[0] ?? null)
  const known = parametersOf(endpoint)
  const allowed = !known.has(parameter)
    ? `one of the parameters ${[...known.keys()].join(", ")}`
    : values.length > 1
      ? "given once"
      : known.get(parameter)!
  return invalidParameter(parameter, value, allowed)
}

/** What an endpoint takes in its query, and what each may be: parameters of one name differ between endpoints. */
const parametersOf = (endpoint: HttpApiEndpoint.Top | undefined): ReadonlyMap<string, string> => {
  const ast = endpoint?.query?.ast
  if (ast === undefined || !SchemaAST.isObjects(ast)) return new Map()
  return new Map(
    ast.propertySignatures.map(({ name, type }) => [
      String(name),
      SchemaAST.resolveDescription(SchemaAST.toEncoded(type)) ?? "see /api/docs"
    ])
  )
}
