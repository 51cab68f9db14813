/**
 * Taking in what agents push: from the request to the 202.
 *
 * Guarantee: a 202 comes once every accepted snapshot is durable in the stream, all of them or none; what was not accepted
 * is named with its reason. The rows' server is the token's, whatever the body says. Who is not known sends no body: the
 * token is checked first. A backlog yields to what is new: the stream is told which is which. Bound: `Limits`, kept by
 * `Admission` and `IngestBody`.
 *
 * This is the hot path: at most half as much again as bare `node:http` with `JSON.parse` (`bench/http.ts`). Hence closures
 * made once, no span, no logger, no router, and as few steps of Effect as there are things to wait for: who it is, the
 * body, the stream. `Boundary.ts` calls it before any route is looked for.
 */
import type { IncomingMessage } from "node:http"
import { NodeHttpServerRequest } from "@effect/platform-node"
import { Clock, Context, Effect, Layer, Option, Redacted, Result } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import { type DecodedPayload, decodePayload } from "../plugins/Payload.ts"
import { Registry } from "../plugins/Registry.ts"
import { makeSnapshotCodec } from "../plugins/SnapshotCodec.ts"
import { makeWires } from "../plugins/Wire.ts"
import { type Principal, Tokens } from "../sinks/Servers.ts"
import { SnapshotStream, type StreamEntry, type StreamFull, type StreamUnavailable } from "../sinks/SnapshotStream.ts"
import { AdminToken } from "./AdminToken.ts"
import { makeAdmission, type Refusal, type Ticket } from "./Admission.ts"
import { bearerOf } from "./Authorization.ts"
import { collect, type Encoding, encodingOf, parseJson, tooLarge, unpack } from "./IngestBody.ts"
import { Limits } from "./Limits.ts"
import {
  BodyTooLarge,
  Forbidden,
  fromFailure,
  NothingAcceptable,
  type Problem,
  Unauthorized,
  Unavailable
} from "./Problem.ts"
import { problemResponse } from "./ProblemResponse.ts"
import { SelfMetrics } from "./SelfMetrics.ts"

export const INGEST_PATH = "/metrics/prometheus"

type Response = HttpServerResponse.HttpServerResponse

export class Ingest extends Context.Service<
  Ingest,
  {
    /** Answers one request. What is wrong with the request is a response; only a defect of ours is none. */
    readonly answer: (request: HttpServerRequest.HttpServerRequest) => Effect.Effect<Response>
  }
>()("nodepulse/http/Ingest") {
  static readonly layer = Layer.effect(
    Ingest,
    Effect.suspend(() => make)
  )
}

const make = Effect.gen(function* () {
  const { exporters } = yield* Registry
  const stream = yield* SnapshotStream
  const tokens = yield* Tokens
  const adminToken = yield* AdminToken
  const metrics = yield* SelfMetrics
  const limits = yield* Limits
  const clock = yield* Clock.Clock
  const wires = makeWires(exporters)
  const codec = makeSnapshotCodec(wires)
  const admission = makeAdmission(limits.requestsInFlightMax, limits.bytesInFlightMax)

  const refuse = (reason: Refusal): Unavailable => {
    metrics.shed(reason)
    return new Unavailable({ detail: REFUSED[reason] })
  }

  /** The server that the principal writes for. */
  const serverOf = (
    principal: Option.Option<Principal>,
    token: Redacted.Redacted<string>
  ): Result.Result<string, Problem> => {
    if (Option.isSome(principal) && principal.value.kind === "agent") return Result.succeed(principal.value.serverId)
    return Result.fail(
      Option.isSome(principal) || adminToken.matches(token)
        ? new Forbidden({ detail: "only an agent's token writes, and this is none" })
        : new Unauthorized({ detail: "the token is not known, or was revoked" })
    )
  }

  /** The payload of a complete body. */
  const read = (sent: Buffer, encoding: Encoding, ticket: Ticket): Result.Result<DecodedPayload, Problem> => {
    let json = sent
    if (encoding === "gzip") {
      const unpacked = unpack(sent, limits)
      if (Result.isFailure(unpacked)) return Result.fail(unpacked.failure)
      json = unpacked.success
      if (!admission.grow(ticket, json.length)) return Result.fail(refuse("bytes"))
    }
    metrics.received(sent.length, json.length)
    const body = parseJson(json, limits)
    if (Result.isFailure(body)) return Result.fail(body.failure)
    const nowMicros = clock.currentTimeMillisUnsafe() * 1_000
    const payload = decodePayload(wires, body.success, { serverId: ticket.serverId, nowMicros })
    return Result.isFailure(payload)
      ? Result.fail(new NothingAcceptable({ detail: payload.failure.message, accepted: 0, rejected: [] }))
      : Result.succeed(payload.success)
  }

  /** Makes the accepted snapshots durable, and the answer. */
  const publish = (serverId: string, payload: DecodedPayload): Effect.Effect<Response, Problem> => {
    const { accepted, rejected } = payload
    if (accepted.length === 0) {
      metrics.ingested(payload)
      return payload.rejectedCount === 0
        ? Effect.succeed(accepting(0, rejected))
        : Effect.fail(nothingAcceptable(payload))
    }
    const entries: Array<StreamEntry> = new Array(accepted.length)
    let newest = 0
    for (let index = 0; index < accepted.length; index++) {
      const snapshot = accepted[index]!
      if (snapshot.timestamp > newest) newest = snapshot.timestamp
      entries[index] = { serverId, exporterName: snapshot.exporter, snapshot: codec.encode(snapshot) }
    }
    const past = newest < clock.currentTimeMillisUnsafe() * 1_000 - PAST_MICROS
    const publication = stream.publish(entries, { past })
    return Effect.matchEffect(Effect.timeoutOption(publication, limits.publishWithin), {
      onFailure: (failure) => Effect.fail(tooMany(failure, entries.length) ?? fromFailure(failure)),
      onSuccess: (published) => {
        if (Option.isNone(published)) return Effect.fail(new Unavailable({ detail: NOT_IN_TIME }))
        metrics.ingested(payload)
        return Effect.succeed(accepting(accepted.length, rejected))
      }
    })
  }

  const admitted = (request: HttpServerRequest.HttpServerRequest, source: IncomingMessage, serverId: string) => {
    const encoding = encodingOf(source.headers)
    if (Result.isFailure(encoding)) return Effect.fail(encoding.failure)
    const announced = Number(source.headers["content-length"] ?? 0)
    if (announced > limits.bodyBytesMax) return Effect.fail(tooLarge(limits.bodyBytesMax, "as sent"))
    const ticket = admission.enter(serverId)
    if (typeof ticket === "string") return Effect.fail(refuse(ticket))
    if (source.headers.expect !== undefined) NodeHttpServerRequest.toServerResponse(request).writeContinue()
    const body = collect(
      source,
      limits,
      (bytes) => (admission.grow(ticket, bytes) ? undefined : refuse("bytes")),
      (sent) => read(sent, encoding.success, ticket)
    )
    return Effect.ensuring(
      Effect.flatMap(body, (payload) => publish(serverId, payload)),
      Effect.sync(() => admission.leave(ticket))
    )
  }

  return Ingest.of({
    answer: (request) => {
      const source = NodeHttpServerRequest.toIncomingMessage(request) as IncomingMessage
      const bearer = bearerOf(source.headers.authorization)
      if (bearer === undefined) return problemResponse(new Unauthorized({ detail: NO_TOKEN }))
      const token = Redacted.make(bearer)
      return Effect.matchEffect(tokens.verify(token), {
        onFailure: (failure) => problemResponse(fromFailure(failure)),
        onSuccess: (principal) => {
          const serverId = serverOf(principal, token)
          if (Result.isFailure(serverId)) return problemResponse(serverId.failure)
          return Effect.catch(admitted(request, source, serverId.success), problemResponse)
        }
      })
    }
  })
})

/** A request whose newest row is older than this is a backlog. An agent whose clock is this slow only waits more often. */
const PAST_MICROS = 120_000_000

const NO_TOKEN = "send the agent's token: Authorization: Bearer <token>"
const NOT_IN_TIME = "the stream did not take the snapshots in time"

const REFUSED: Readonly<Record<Refusal, string>> = {
  requests: "too many requests are being taken in",
  bytes: "too many bytes are being taken in",
  server_share: "this server's share of the requests being taken in is used up"
}

const ACCEPTED = { status: 202, contentType: "application/json" } as const

const accepting = (accepted: number, rejected: DecodedPayload["rejected"]): Response =>
  HttpServerResponse.text(JSON.stringify({ accepted, rejected }), ACCEPTED)

/** More snapshots than the stream ever takes: trying again cannot help, sending fewer at once does. */
const tooMany = (failure: StreamFull | StreamUnavailable, count: number): BodyTooLarge | undefined =>
  failure._tag === "StreamFull" && count > failure.bound
    ? new BodyTooLarge({ detail: `${count} snapshots at once, at most ${failure.bound} are taken` })
    : undefined

const nothingAcceptable = ({ rejected, rejectedCount }: DecodedPayload) =>
  new NothingAcceptable({ detail: `none of ${rejectedCount} could be accepted`, accepted: 0, rejected })
