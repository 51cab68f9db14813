/**
 * Taking in what flight recorders send: `POST /api/recordings`.
 *
 * Guarantee: a 201 comes once the recording is in the database; it is the token's server's, whatever is in it. What is not exactly a
 * recording is refused with the field and the value. Unauthenticated requests are rejected before the body is read. It takes its turn
 * with all else that agents send (`Intake.ts`), so that a flood of recordings holds up no neighbour's push.
 * Bounds: {@link PACKED_BYTES_MAX} as sent, {@link UNPACKED_BYTES_MAX} unpacked, {@link VALUES_MAX} values, {@link IN_FLIGHT_MAX} at a
 * time, {@link SERVER_IN_FLIGHT_MAX} of one server; of one server {@link BURST} at once, and one in {@link REST_SECONDS} s.
 */
import type { IncomingMessage } from "node:http"
import { NodeHttpServerRequest } from "@effect/platform-node"
import { Clock, Context, Effect, Layer, Result } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import { clipped } from "../../protocol/PrintableText.ts"
import { PACKED_BYTES_MAX, type Recording, readRecording, SPAN_SECONDS } from "../../protocol/Recording.ts"
import { Recordings } from "../../recordings/Recordings.ts"
import { BodyTooLarge, fromFailure, MalformedBody, type Problem, TooManyRequests, Unavailable } from "../api/Problem.ts"
import { makeAllowance } from "../server/Allowance.ts"
import { Limits, type LimitsShape } from "../server/Limits.ts"
import { problemResponse } from "../server/ProblemResponse.ts"
import type { Ticket } from "./Admission.ts"
import { makeAgentDoor } from "./AgentDoor.ts"
import { collect, type Encoding, encodingOf, tooLarge, unpack } from "./IngestBody.ts"
import { Intake } from "./Intake.ts"

const UNPACKED_BYTES_MAX = 8 * 1024 * 1024
/** A recording with all that it may have: some 220 000. */
const VALUES_MAX = 300_000
export const IN_FLIGHT_MAX = 16
/** An agent sends one at a time, and another where the first is lost on its way. Who sends slowly takes no other's place. */
export const SERVER_IN_FLIGHT_MAX = 2
const BURST = 5
const REST_SECONDS = 20
/** An agent tries for an hour; its clock may be a little off. */
const AGE_SECONDS_MAX = 2 * 3_600
const AHEAD_SECONDS_MAX = 600

type Response = HttpServerResponse.HttpServerResponse

export class RecordingIngest extends Context.Service<
  RecordingIngest,
  { readonly answer: (request: HttpServerRequest.HttpServerRequest) => Effect.Effect<Response> }
>()("nodepulse/http/RecordingIngest") {
  static readonly layer = Layer.effect(
    RecordingIngest,
    Effect.suspend(() => make)
  )
}

const make = Effect.gen(function* () {
  const recordings = yield* Recordings
  const limits: LimitsShape = {
    ...(yield* Limits),
    bodyBytesMax: PACKED_BYTES_MAX,
    jsonBytesMax: UNPACKED_BYTES_MAX
  }
  const clock = yield* Clock.Clock
  const door = yield* makeAgentDoor
  const { admission, refuse, turns } = yield* Intake
  const allowance = makeAllowance(BURST, 1 / REST_SECONDS)
  const inFlight: Array<string> = []

  const taken = (request: HttpServerRequest.HttpServerRequest, source: IncomingMessage, serverId: string) =>
    Effect.gen(function* (): Effect.fn.Return<Response, Problem> {
      const wait = allowance.take(serverId, 1, Number(clock.monotonicTimeNanosUnsafe()) / 1e6)
      if (wait !== undefined) return yield* tooFast(wait)
      const encoding = yield* Effect.fromResult(encodingOf(source.headers))
      if (Number(source.headers["content-length"] ?? 0) > PACKED_BYTES_MAX) {
        return yield* tooLarge(PACKED_BYTES_MAX, "as sent")
      }
      if (inFlight.length >= IN_FLIGHT_MAX || inFlight.filter((id) => id === serverId).length >= SERVER_IN_FLIGHT_MAX) {
        return yield* new Unavailable({ detail: "too many recordings are being taken in" })
      }
      const ticket = admission.enter(serverId)
      if (typeof ticket === "string") return yield* refuse(ticket)
      inFlight.push(serverId)
      const leave = Effect.sync(() => {
        inFlight.splice(inFlight.indexOf(serverId), 1)
        admission.leave(ticket)
      })
      return yield* Effect.ensuring(stored(request, source, encoding, ticket), leave)
    })

  /** Reads the body of an admitted request, and stores the recording. */
  const stored = (
    request: HttpServerRequest.HttpServerRequest,
    source: IncomingMessage,
    encoding: Encoding,
    ticket: Ticket
  ) =>
    Effect.gen(function* (): Effect.fn.Return<Response, Problem> {
      if (source.headers.expect !== undefined) NodeHttpServerRequest.toServerResponse(request).writeContinue()
      const grow = (bytes: number) => (admission.grow(ticket, bytes) ? undefined : refuse("bytes"))
      const sent = yield* collect(source, limits, grow)
      const now = clock.currentTimeMillisUnsafe() / 1_000
      const read = yield* turns.queue(ticket.serverId, (): Result.Result<Read, Problem> => {
        const json = encoding === "gzip" ? unpack(sent, limits) : Result.succeed(sent)
        if (Result.isFailure(json)) return Result.fail(json.failure)
        const refused = encoding === "gzip" ? grow(json.success.length) : undefined
        return refused === undefined ? recordingIn(json.success, now) : Result.fail(refused)
      })
      const { json, recording } = yield* Effect.fromResult(read)
      const isNew = yield* Effect.mapError(recordings.put(ticket.serverId, recording, json), (failure) =>
        fromFailure(failure)
      )
      return HttpServerResponse.jsonUnsafe({ stored: isNew }, { status: 201 })
    })

  return RecordingIngest.of({
    answer: (request) =>
      door(request, (serverId, source) => Effect.catch(taken(request, source, serverId), problemResponse))
  })
})

interface Read {
  readonly recording: Recording
  /** The same as it is kept. */
  readonly json: string
}

/** The recording of a body, or why there is none. `now` in epoch seconds. */
const recordingIn = (json: Buffer, now: number): Result.Result<Read, BodyTooLarge | MalformedBody> => {
  if (json.length > UNPACKED_BYTES_MAX) return Result.fail(tooLarge(UNPACKED_BYTES_MAX, "unpacked"))
  if (isOver(json)) {
    const detail = `the body has more than ${VALUES_MAX} values`
    return Result.fail(new BodyTooLarge({ detail, limit_of: "values", limit: VALUES_MAX }))
  }
  let value: unknown
  try {
    value = JSON.parse(json.toString("utf8"))
  } catch (cause) {
    return Result.fail(new MalformedBody({ detail: `the body is not JSON: ${clipped((cause as Error).message, 200)}` }))
  }
  const recording = readRecording(value)
  if (Result.isFailure(recording)) return Result.fail(new MalformedBody({ detail: clipped(recording.failure, 300) }))
  const age = now - recording.success.ended
  if (age > AGE_SECONDS_MAX + SPAN_SECONDS || age < -AHEAD_SECONDS_MAX) {
    const side = age < 0 ? `${Math.round(-age)} s ahead of` : `${Math.round(age)} s behind`
    return Result.fail(new MalformedBody({ detail: `ended is ${side} the server's clock` }))
  }
  return Result.succeed({ recording: recording.success, json: JSON.stringify(recording.success) })
}

/** Counted before anything is made of them: a body of empty lists would take many times its size. */
const isOver = (json: Buffer): boolean => {
  let values = 0
  for (const byte of json) if (byte === COMMA || byte === OPEN_LIST || byte === OPEN_OBJECT) values++
  return values > VALUES_MAX
}

const COMMA = 0x2c
const OPEN_LIST = 0x5b
const OPEN_OBJECT = 0x7b

const tooFast = (seconds: number) =>
  new TooManyRequests({
    detail: `more than ${BURST} recordings at once for this server, and one in ${REST_SECONDS} s`,
    limit_of: "token",
    limit: BURST,
    retry_after_seconds: Math.ceil(seconds)
  })
