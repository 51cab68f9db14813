/**
 * Taking in what agents push: from the request to the 202.
 *
 * Guarantee: a 202 comes once every accepted snapshot is durable in the stream, all of them or none; what was not accepted
 * is named with its reason. The rows' server is the token's, whatever the body says. Unauthenticated requests are rejected
 * before the body is read, and so are those of a second machine on one token (`src/access/AgentHolder.ts`); an agent that
 * does not say who it is (an older one, a script) writes as it always did. A backlog yields to what is new: the stream is told which is which. Bound: `Limits`, kept by
 * `Admission` and `IngestBody`.
 *
 * This is the hot path: at most half as much again as bare `node:http` with `JSON.parse` (`bench/http.ts`). Hence closures
 * made once, no span, no logger, no router, and as few steps of Effect as there are things to wait for: who it is, the
 * body, the stream. `Boundary.ts` calls it before any route is looked for.
 */
import type { IncomingMessage } from "node:http"
import { NodeHttpServerRequest } from "@effect/platform-node"
import { Clock, Context, Effect, Layer, Option, Result } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import type { Verdict } from "../../access/AgentHolder.ts"
import { Agents } from "../../access/Agents.ts"
import { type DecodedPayload, decodePayload, rejectedFields } from "../../plugins/Payload.ts"
import { Registry } from "../../plugins/Registry.ts"
import { makeSnapshotCodec } from "../../plugins/SnapshotCodec.ts"
import { makeWires } from "../../plugins/Wire.ts"
import { AGENT_HEADER, parseHello } from "../../protocol/AgentHello.ts"
import { formatWanted, WANTS_HEADER, type Wanted } from "../../protocol/AgentWants.ts"
import { clipped } from "../../protocol/PrintableText.ts"
import { Recordings } from "../../recordings/Recordings.ts"
import { SnapshotStream, type StreamFull, type StreamUnavailable } from "../../sinks/stream/SnapshotStream.ts"
import { contentsOf } from "../../sinks/stream/StreamEntry.ts"
import {
  BodyTooLarge,
  fromFailure,
  NothingAcceptable,
  type Problem,
  TokenInUse,
  TooManyRequests,
  Unavailable
} from "../api/Problem.ts"
import { makeAllowance } from "../server/Allowance.ts"
import { Limits } from "../server/Limits.ts"
import { problemResponse } from "../server/ProblemResponse.ts"
import { ANSWER_HEADERS } from "../server/SecurityHeaders.ts"
import { SelfMetrics } from "../server/SelfMetrics.ts"
import type { Ticket } from "./Admission.ts"
import { makeAgentDoor } from "./AgentDoor.ts"
import { makeGroups } from "./Groups.ts"
import { collect, type Encoding, encodingOf, parseJson, tooLarge, unpack } from "./IngestBody.ts"
import { Intake } from "./Intake.ts"

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
  const agents = yield* Agents
  const recordings = yield* Recordings
  const door = yield* makeAgentDoor
  const { admission, refuse, turns } = yield* Intake
  const metrics = yield* SelfMetrics
  const limits = yield* Limits
  const clock = yield* Clock.Clock
  const wires = makeWires(exporters)
  const codec = makeSnapshotCodec(wires)
  const allowance = makeAllowance(limits.serverRequestsPerSecond * BURST_SECONDS, limits.serverRequestsPerSecond)
  const monotonic = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  const groups = makeGroups(limits, monotonic)

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
    const payload = decodePayload(wires, body.success, {
      serverId: ticket.serverId,
      nowMicros,
      refuse: groups.of(ticket.serverId)
    })
    return Result.isFailure(payload)
      ? Result.fail(new NothingAcceptable({ detail: payload.failure.message, accepted: 0, rejected: [] }))
      : Result.succeed(payload.success)
  }

  /** Exporters that were told of in the log, by server: once each, until there are too many. */
  const announced = new Set<string>()

  /** An agent's exporter that this server does not know is told here and on the page: its rows stay with the agent. */
  const noteUnknown = (serverId: string, { ranges, rejected }: DecodedPayload): Effect.Effect<void> => {
    const unknown = new Set<string>()
    for (const { code, exporter } of [...rejected, ...ranges]) {
      if (code === "exporter_unknown" && unknown.size < UNKNOWN_MAX) unknown.add(clipped(exporter, 80))
    }
    if (unknown.size === 0) return Effect.void
    const names = [...unknown]
    const news = names.filter((name) => !announced.has(`${serverId} ${name}`))
    if (announced.size > ANNOUNCED_MAX) announced.clear()
    for (const name of news) announced.add(`${serverId} ${name}`)
    const noted = agents.unknownExporters(serverId, names)
    if (news.length === 0) return noted
    const line = `server ${serverId} sends rows of ${news.join(", ")}, which is not enabled here: enable it in plugins.config.ts and restart. Its agent keeps them in its spool and offers them again`
    return Effect.andThen(Effect.logWarning(line), noted)
  }

  const tooFast = (seconds: number): TooManyRequests => {
    metrics.shed("rate")
    return new TooManyRequests({
      detail: `more than ${limits.serverRequestsPerSecond} requests a second for this server`,
      limit_of: "token",
      limit: limits.serverRequestsPerSecond,
      retry_after_seconds: seconds
    })
  }

  /** Makes the accepted snapshots durable, and the answer. */
  const publish = (payload: DecodedPayload): Effect.Effect<Response, Problem> => {
    const { accepted, acceptedCount } = payload
    if (acceptedCount === 0) {
      metrics.ingested(payload)
      return payload.rejectedCount === 0 ? Effect.succeed(accepting(payload)) : Effect.fail(nothingAcceptable(payload))
    }
    const contents = accepted.flatMap((snapshots) => contentsOf(snapshots, stream.entry, codec))
    const newest = accepted.reduce((latest, { timestamp }) => newestOf(timestamp, latest), 0)
    const past = newest < clock.currentTimeMillisUnsafe() * 1_000 - PAST_MICROS
    const publication = stream.publish(contents, { past })
    return Effect.matchEffect(Effect.timeoutOption(publication, limits.publishWithin), {
      onFailure: (failure) => Effect.fail(tooMany(failure, acceptedCount) ?? fromFailure(failure)),
      onSuccess: (published) => {
        if (Option.isNone(published)) return Effect.fail(new Unavailable({ detail: NOT_IN_TIME }))
        metrics.ingested(payload)
        return Effect.succeed(accepting(payload))
      }
    })
  }

  /** Reads the body, and takes in what it holds. */
  const admitted = (request: HttpServerRequest.HttpServerRequest, source: IncomingMessage, serverId: string) => {
    const wait = allowance.take(serverId, 1, monotonic())
    if (wait !== undefined) return Effect.fail(tooFast(wait))
    const encoding = encodingOf(source.headers)
    if (Result.isFailure(encoding)) return Effect.fail(encoding.failure)
    const announced = Number(source.headers["content-length"] ?? 0)
    if (announced > limits.bodyBytesMax) return Effect.fail(tooLarge(limits.bodyBytesMax, "as sent"))
    const ticket = admission.enter(serverId)
    if (typeof ticket === "string") return Effect.fail(refuse(ticket))
    if (source.headers.expect !== undefined) NodeHttpServerRequest.toServerResponse(request).writeContinue()
    const body = collect(source, limits, (bytes) => (admission.grow(ticket, bytes) ? undefined : refuse("bytes")))
    return Effect.ensuring(
      Effect.flatMap(
        Effect.flatMap(body, (sent) => turns.take(serverId, () => read(sent, encoding.success, ticket))),
        (payload) => {
          if (Result.isFailure(payload)) return Effect.fail(payload.failure)
          const published = publish(payload.success)
          if (payload.success.rejectedCount === 0) return published
          return Effect.andThen(noteUnknown(serverId, payload.success), published)
        }
      ),
      Effect.sync(() => admission.leave(ticket))
    )
  }

  return Ingest.of({
    answer: (request) =>
      door(request, (serverId, source) => {
        const hello = parseHello(source.headers[AGENT_HEADER])
        const taken = admitted(request, source, serverId)
        if (hello === undefined) return Effect.catch(taken, problemResponse)
        if (hello.corrected !== undefined) metrics.corrected()
        return Effect.flatMap(agents.greet(serverId, hello), (verdict) => {
          if (verdict._tag !== "Holder") {
            const problem = inUse(verdict)
            metrics.tokenInUse(problem.reason)
            return problemResponse(problem)
          }
          const wanted = recordings.wanted(serverId)
          const answered = wanted === undefined ? taken : Effect.map(taken, wanting(wanted))
          return Effect.catch(answered, problemResponse)
        })
      })
  })
})

/** The answer with what is wanted of the agent. */
const wanting = (wanted: Wanted) => (response: Response) =>
  HttpServerResponse.setHeader(response, WANTS_HEADER, formatWanted(wanted))

/** A request whose newest row is older than this is a backlog. An agent whose clock is this slow only waits more often. */
const PAST_MICROS = 120_000_000

const UNKNOWN_MAX = 10
/** For so many seconds' worth of requests at once: a backlog, or many agents behind one address. */
const BURST_SECONDS = 10
const ANNOUNCED_MAX = 1_000

const newestOf = (timestamp: number | ReadonlyArray<number>, latest: number): number =>
  typeof timestamp === "number" ? Math.max(timestamp, latest) : timestamp.reduce((a, b) => Math.max(a, b), latest)

const NOT_IN_TIME = "the stream did not take the snapshots in time"

const ACCEPTED = { status: 202, contentType: "application/json", headers: ANSWER_HEADERS } as const

const accepting = (payload: DecodedPayload): Response =>
  HttpServerResponse.text(
    payload.rejectedCount === 0
      ? `{"accepted":${payload.acceptedCount},"rejected":[]}`
      : JSON.stringify({ accepted: payload.acceptedCount, ...rejectedFields(payload) }),
    ACCEPTED
  )

/** More snapshots than the stream ever takes: trying again cannot help, sending fewer at once does. */
const tooMany = (failure: StreamFull | StreamUnavailable, count: number): BodyTooLarge | undefined =>
  failure._tag === "StreamFull" && count > failure.bound
    ? new BodyTooLarge({ detail: `${count} snapshots in one request, at most ${failure.bound} are accepted` })
    : undefined

const nothingAcceptable = (payload: DecodedPayload) =>
  new NothingAcceptable({
    detail: `none of ${payload.rejectedCount} could be accepted; the first: ${payload.rejected[0]?.reason ?? "no reason"}`,
    accepted: 0,
    ...rejectedFields(payload)
  })

const inUse = (verdict: Exclude<Verdict, { readonly _tag: "Holder" }>): TokenInUse => {
  switch (verdict._tag) {
    case "Wait":
      return new TokenInUse({
        reason: "waiting",
        retry_after_seconds: verdict.seconds,
        detail: `another agent wrote with this token a moment ago: this one takes over when that has been silent for ${verdict.patienceSeconds} s; until then its rows wait in its spool`
      })
    case "Conflict":
      return new TokenInUse({
        reason: "conflict",
        retry_after_seconds: verdict.seconds,
        detail: `two machines report with one token, and the other one, "${verdict.holder}", came first${verdict.sameMachine ? " (one is a clone of the other: same machine id)" : ""}: give this machine a token of its own (on the server: nodepulse token create --server <a new name>, or Add server on the page), or stop the agent there; until then its rows wait in its spool`
      })
    case "Replayed":
      return new TokenInUse({
        reason: "replayed",
        retry_after_seconds: 1,
        detail: "this request, or a later one, was already sent under this start: a copy of this machine may be running"
      })
  }
}
