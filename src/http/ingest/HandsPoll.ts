/**
 * What programs that act ask: `POST /api/hands/poll`.
 *
 * Guarantee: it speaks for the token's server only, and is handed what is for that, once. What is not exactly a poll is refused with the
 * field and the value, and nothing of it is taken in. Unauthenticated requests are rejected before the body is read.
 * Bounds: {@link ORDER_LIMITS} say how large a body is, also unpacked; {@link BODIES_MAX} bodies at a time, {@link SERVER_POLLS_MAX} polls of one server
 * and {@link POLLS_MAX} in all, those that wait among them; of one server {@link BURST} at once, and {@link PER_SECOND} a second.
 */
import type { IncomingMessage } from "node:http"
import { NodeHttpServerRequest } from "@effect/platform-node"
import { Clock, Context, Effect, Layer, Result, Schema } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import { CurrentAuthor } from "../../access/Audit.ts"
import { Acting } from "../../acting/Acting.ts"
import { Poll, type PollAnswer, STRICT } from "../../protocol/Orders.ts"
import { ORDER_LIMITS } from "../../protocol/OrderText.ts"
import { clipped } from "../../protocol/PrintableText.ts"
import { fromFailure, MalformedBody, type Problem, TooManyRequests, Unavailable } from "../api/Problem.ts"
import { makeAllowance } from "../server/Allowance.ts"
import { addressOfClient } from "../server/ClientAddress.ts"
import { Limits, type LimitsShape } from "../server/Limits.ts"
import { problemResponse } from "../server/ProblemResponse.ts"
import { makeAgentDoor } from "./AgentDoor.ts"
import { collect, encodingOf, parseJson, unpack } from "./IngestBody.ts"

export const POLLS_MAX = 2_000
/** One waits; where its connection was cut and nobody noticed yet, another one comes. */
export const SERVER_POLLS_MAX = 2
const BODIES_MAX = 16
const BURST = 30
const PER_SECOND = 2

type Response = HttpServerResponse.HttpServerResponse

export class HandsPoll extends Context.Service<
  HandsPoll,
  { readonly answer: (request: HttpServerRequest.HttpServerRequest) => Effect.Effect<Response> }
>()("nodepulse/http/HandsPoll") {
  static readonly layer = Layer.effect(
    HandsPoll,
    Effect.suspend(() => make)
  )
}

const make = Effect.gen(function* () {
  const acting = yield* Acting
  const limits: LimitsShape = {
    ...(yield* Limits),
    bodyBytesMax: ORDER_LIMITS.pollBytes,
    jsonBytesMax: ORDER_LIMITS.pollBytes
  }
  const clock = yield* Clock.Clock
  const door = yield* makeAgentDoor
  const allowance = makeAllowance(BURST, PER_SECOND)
  const polls = places(POLLS_MAX, SERVER_POLLS_MAX, "polls are under way")
  const bodies = places(BODIES_MAX, SERVER_POLLS_MAX, "polls are being taken in")

  const read = (request: HttpServerRequest.HttpServerRequest, source: IncomingMessage, serverId: string) =>
    bodies(
      serverId,
      Effect.gen(function* (): Effect.fn.Return<Poll, Problem> {
        const encoding = yield* Effect.fromResult(encodingOf(source.headers))
        if (source.headers.expect !== undefined) NodeHttpServerRequest.toServerResponse(request).writeContinue()
        const body = yield* collect<never>(source, limits, () => undefined)
        const json = encoding === "gzip" ? yield* Effect.fromResult(unpack(body, limits)) : body
        const value = yield* Effect.fromResult(parseJson(json, limits))
        return yield* Effect.fromResult(
          Result.mapError(decode(value), ({ message }) => new MalformedBody({ detail: clipped(message, 500) }))
        )
      })
    )

  const answered = (request: HttpServerRequest.HttpServerRequest, source: IncomingMessage, serverId: string) =>
    Effect.gen(function* (): Effect.fn.Return<Response, Problem> {
      const wait = allowance.take(serverId, 1, Number(clock.monotonicTimeNanosUnsafe()) / 1e6)
      if (wait !== undefined) return yield* tooFast(wait)
      const poll = yield* read(request, source, serverId)
      const answer: PollAnswer = { version: 1, server: serverId, previews: [], orders: [], recorded: [] }
      // Its file says that it is another: it is told whose token it has, and stops.
      if (poll.server !== serverId) return HttpServerResponse.jsonUnsafe(answer)
      const recorded = yield* Effect.mapError(acting.heard(serverId, poll), (failure) => fromFailure(failure))
      // What became of its orders is told at once, and so is that there are more to tell.
      const waitSeconds = recorded.length > 0 ? 0 : poll.wait_seconds
      const handed = yield* Effect.mapError(acting.hand(serverId, waitSeconds), (failure) => fromFailure(failure))
      return HttpServerResponse.jsonUnsafe({ ...answer, ...handed, recorded } satisfies PollAnswer)
    })

  return HandsPoll.of({
    answer: (request) =>
      door(request, (serverId, source) =>
        polls(serverId, answered(request, source, serverId)).pipe(
          Effect.provideService(CurrentAuthor, { name: `hands:${serverId}`, address: addressOfClient(request) }),
          Effect.catch(problemResponse)
        )
      )
  })
})

const decode = Schema.decodeUnknownResult(Poll, STRICT)

/** So many at a time, and so many of one server: who is slow takes no other's place. */
const places = (most: number, ofServer: number, what: string) => {
  const taken: Array<string> = []
  return <A>(serverId: string, self: Effect.Effect<A, Problem>): Effect.Effect<A, Problem> =>
    Effect.suspend(() => {
      if (taken.length >= most || taken.filter((id) => id === serverId).length >= ofServer)
        return Effect.fail(new Unavailable({ detail: `too many ${what}` }))
      taken.push(serverId)
      return Effect.ensuring(
        self,
        Effect.sync(() => taken.splice(taken.indexOf(serverId), 1))
      )
    })
}

const tooFast = (seconds: number) =>
  new TooManyRequests({
    detail: `more than ${BURST} polls at once for this server, and ${PER_SECOND} a second`,
    limit_of: "token",
    limit: BURST,
    retry_after_seconds: Math.ceil(seconds)
  })
