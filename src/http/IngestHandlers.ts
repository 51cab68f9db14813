/**
 * `POST /metrics/prometheus`: where agents push.
 *
 * Guarantee: a 202 comes once every accepted snapshot is durable in the stream, all of them or none; what was not accepted
 * is named with its reason. The rows' server is the token's, whatever the body says. Who is not known sends no body: the
 * token is checked first. Bound: `Limits`, kept by `Admission` and `IngestBody`.
 *
 * This is the hot path: at most half as much again as bare `node:http` with `JSON.parse` (`bench/http.ts`). Hence the raw
 * request, no span, no logger, and closures made once.
 */
import type { IncomingMessage } from "node:http"
import { NodeHttpServerRequest } from "@effect/platform-node"
import { Clock, Effect, Option, Redacted, Result } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { type DecodedPayload, decodePayload } from "../plugins/Payload.ts"
import { Registry } from "../plugins/Registry.ts"
import { makeSnapshotCodec } from "../plugins/SnapshotCodec.ts"
import { makeWires } from "../plugins/Wire.ts"
import { Tokens } from "../sinks/Servers.ts"
import { SnapshotStream, type StreamEntry } from "../sinks/SnapshotStream.ts"
import { AdminToken } from "./AdminToken.ts"
import { makeAdmission, type Refusal } from "./Admission.ts"
import { Api } from "./Api.ts"
import { bearerOf } from "./Authorization.ts"
import { announcedTooLarge, collect, encodingOf, parseJson, unpack } from "./IngestBody.ts"
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

const REFUSED: Readonly<Record<Refusal, string>> = {
  requests: "too many requests are being taken in",
  bytes: "too many bytes are being taken in",
  server_share: "this server's share of the requests being taken in is used up"
}

/** The handler of an ingest request. Never fails: every problem is a response. */
export const makeIngest = Effect.gen(function* () {
  const { exporters } = yield* Registry
  const stream = yield* SnapshotStream
  const tokens = yield* Tokens
  const adminToken = yield* AdminToken
  const metrics = yield* SelfMetrics
  const limits = yield* Limits
  const wires = makeWires(exporters)
  const codec = makeSnapshotCodec(wires)
  const admission = makeAdmission(limits.requestsInFlightMax, limits.bytesInFlightMax)

  /** The server that the request's token writes for. */
  const authenticate = (headers: IncomingMessage["headers"]): Effect.Effect<string, Problem> => {
    const bearer = bearerOf(headers.authorization)
    if (bearer === undefined) {
      return Effect.fail(new Unauthorized({ detail: "send the agent's token: Authorization: Bearer <token>" }))
    }
    const token = Redacted.make(bearer)
    return tokens.verify(token).pipe(
      Effect.mapError((failure) => fromFailure(failure)),
      Effect.flatMap((principal) => {
        if (Option.isSome(principal) && principal.value.kind === "agent")
          return Effect.succeed(principal.value.serverId)
        return Effect.fail(
          Option.isSome(principal) || adminToken.matches(token)
            ? new Forbidden({ detail: "only an agent's token writes, and this is none" })
            : new Unauthorized({ detail: "the token is not known, or was revoked" })
        )
      })
    )
  }

  const refuse = (reason: Refusal): Unavailable => {
    metrics.shed(reason)
    return new Unavailable({ detail: REFUSED[reason] })
  }

  /** Makes the accepted snapshots durable, and the answer. */
  const publish = (
    serverId: string,
    payload: DecodedPayload
  ): Effect.Effect<HttpServerResponse.HttpServerResponse, Problem> => {
    const acceptedByExporter = new Map<string, number>()
    const entries: Array<StreamEntry> = new Array(payload.accepted.length)
    let index = 0
    for (const snapshot of payload.accepted) {
      entries[index++] = { serverId, exporterName: snapshot.exporter, snapshot: codec.encode(snapshot) }
      acceptedByExporter.set(snapshot.exporter, (acceptedByExporter.get(snapshot.exporter) ?? 0) + 1)
    }
    const answer = () => {
      const { ignoredFields, rejected } = payload
      metrics.ingested({ acceptedByExporter, rejectedByExporter: countRejected(payload), ignoredFields })
      return HttpServerResponse.text(JSON.stringify({ accepted: entries.length, rejected }), ACCEPTED)
    }
    if (entries.length === 0) {
      if (payload.rejectedCount === 0) return Effect.sync(answer)
      return Effect.suspend(() => {
        answer()
        return Effect.fail(nothingAcceptable(payload))
      })
    }
    return stream.publish(entries).pipe(
      Effect.mapError((failure) => fromFailure(failure)),
      Effect.timeoutOrElse({
        duration: limits.publishWithin,
        orElse: () => Effect.fail(new Unavailable({ detail: "the stream did not take the snapshots in time" }))
      }),
      Effect.map(answer)
    )
  }

  const handle = Effect.fnUntraced(function* (source: IncomingMessage, request: HttpServerRequest.HttpServerRequest) {
    const headers = source.headers
    const serverId = yield* authenticate(headers)
    const encoding = yield* Effect.fromResult(encodingOf(headers))
    if (announcedTooLarge(headers, limits)) {
      const detail = `content-length ${headers["content-length"]} is more than ${limits.bodyBytesMax}`
      return yield* new BodyTooLarge({ detail, limit_bytes: limits.bodyBytesMax })
    }
    const ticket = admission.enter(serverId)
    if (typeof ticket === "string") return yield* refuse(ticket)
    const take = (bytes: number) => (admission.grow(ticket, bytes) ? undefined : refuse("bytes"))
    const leave = Effect.sync(() => admission.leave(ticket))

    return yield* Effect.ensuring(
      Effect.gen(function* () {
        if (headers.expect !== undefined) NodeHttpServerRequest.toServerResponse(request).writeContinue()
        const sent = yield* collect(source, limits, take)
        const json = encoding === "gzip" ? yield* Effect.fromResult(unpack(sent, limits)) : sent
        if (json !== sent) {
          const refused = take(json.length)
          if (refused !== undefined) return yield* refused
        }
        metrics.received(sent.length, json.length)
        const body = yield* Effect.fromResult(parseJson(json, limits))
        const nowMicros = (yield* Clock.currentTimeMillis) * 1_000
        const payload = decodePayload(wires, body, { serverId, nowMicros })
        if (Result.isFailure(payload)) {
          return yield* new NothingAcceptable({ detail: payload.failure.message, accepted: 0, rejected: [] })
        }
        return yield* publish(serverId, payload.success)
      }),
      leave
    )
  })

  return (request: HttpServerRequest.HttpServerRequest): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
    Effect.catch(handle(NodeHttpServerRequest.toIncomingMessage(request) as IncomingMessage, request), problemResponse)
})

const ACCEPTED = { status: 202, contentType: "application/json" } as const

const nothingAcceptable = ({ rejected, rejectedCount }: DecodedPayload) =>
  new NothingAcceptable({ detail: `none of ${rejectedCount} could be accepted`, accepted: 0, rejected })

const countRejected = ({ rejected, rejectedCount }: DecodedPayload): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>()
  for (const { exporter } of rejected) counts.set(exporter, (counts.get(exporter) ?? 0) + 1)
  // What is beyond the list counts for the exporter that the list ends with.
  const beyond = rejectedCount - rejected.length
  const last = rejected.at(-1)
  if (last !== undefined && beyond > 0) counts.set(last.exporter, (counts.get(last.exporter) ?? 0) + beyond)
  return counts
}

export const ingestHandlers = HttpApiBuilder.group(
  Api,
  "ingest",
  Effect.fnUntraced(function* (handlers) {
    const ingest = yield* makeIngest
    return handlers.handleRaw("ingest", ({ request }) => ingest(request))
  })
)
