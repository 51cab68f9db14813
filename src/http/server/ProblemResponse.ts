/**
 * A problem as a response: `application/problem+json` with the headers that its status asks for.
 *
 * `Retry-After` is jittered, up to twice the time, so that agents that were turned away together do not come back
 * together.
 */
import { Effect, Random } from "effect"
import { HttpServerRespondable, HttpServerResponse } from "effect/http"
import type { Problem } from "../api/Problem.ts"

const RETRY_AFTER_SECONDS = 2

export const problemResponse = (problem: Problem): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
  Effect.flatMap(HttpServerRespondable.toResponse(problem), (response) =>
    withStatusHeaders(
      problem._tag === "MethodNotAllowed"
        ? HttpServerResponse.setHeader(response, "allow", problem.allowed.join(", "))
        : response,
      "retry_after_seconds" in problem ? problem.retry_after_seconds : undefined
    )
  )

/** Adds what a status needs and the response does not have yet. */
export const withStatusHeaders = (
  response: HttpServerResponse.HttpServerResponse,
  retryAfterSeconds?: number
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  switch (response.status) {
    case 401:
      return Effect.succeed(HttpServerResponse.setHeader(response, "www-authenticate", 'Bearer realm="nodepulse"'))
    case 415:
      return Effect.succeed(HttpServerResponse.setHeader(response, "accept-encoding", "gzip, identity"))
    case 409:
      // For one agent, which is told how long: nobody comes back together with it.
      return Effect.succeed(
        retryAfterSeconds === undefined
          ? response
          : HttpServerResponse.setHeader(response, "retry-after", String(Math.ceil(retryAfterSeconds)))
      )
    case 429:
    case 503:
      return response.headers["retry-after"] === undefined
        ? Effect.map(Random.next, (random) => {
            const seconds = Math.ceil(Math.max(1, retryAfterSeconds ?? RETRY_AFTER_SECONDS) * (1 + random))
            return HttpServerResponse.setHeader(response, "retry-after", String(seconds))
          })
        : Effect.succeed(response)
    default:
      return Effect.succeed(response)
  }
}
