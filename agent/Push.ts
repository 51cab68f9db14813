/**
 * The push: takes records from the spool and delivers them to the server, until the spool is empty, again and again.
 *
 * Guarantees:
 * - A record leaves the spool only when the server has answered 202 for it (it is then durable there), or has refused it
 *   for good (any 4xx but 401, 403, 408, 413, 425, 429): then it is counted, and the reason kept in `AgentStatus`. Sending
 *   one twice is harmless: rows have a natural key.
 * - Whatever else happens, the records stay, and it tries again: full-jitter backoff up to 20 s, or as `Retry-After` says
 *   (up to 5 min); every 60 s while token or address are wrong. The token file is read anew for each request.
 * - After an outage the newest records go first, so that the page is current at once; the backlog drains from both ends,
 *   alternately, and at most two requests a second (`PACE_MILLIS`).
 * - A fleet does not fall upon a server that has just come back, nor keep one busy with its past: at the start, and after
 *   each request that was not taken, the next carries no more than the latest scrape (`BODY_BYTES_FIRST`); with each that
 *   is taken it doubles.
 *
 * Bounds: one request at a time, `BODY_BYTES` of JSON each (some 3 000 rows; 413 halves it until the guilty record is alone,
 * which is then given up), `ANSWER_BYTES` of answer, and the configured time-out.
 */
import * as Zlib from "node:zlib"
import { Clock, Duration, Effect, Random, Redacted, Result, Schema, Semaphore } from "effect"
import { AgentConfig, type AgentServer, type TokenUnreadable } from "./AgentConfig.ts"
import { AgentStatus, type PushChange, type Rejection } from "./AgentStatus.ts"
import { type ExchangeFailed, type ExchangeResponse, exchange } from "./HttpExchange.ts"
import {
  backoffMillis,
  explain,
  MISCONFIGURED_MILLIS,
  payloadOf,
  retryAfterMillis,
  type Verdict,
  verdictOf
} from "./PushBatch.ts"
import { Spool, type SpoolRecord } from "./Spool.ts"

const BODY_BYTES = 512 * 1024
/** One scrape of 150 groups and the node. */
const BODY_BYTES_FIRST = 32 * 1024
const ANSWER_BYTES = 4 * 1024 * 1024
/**
 * Before each request. Exporters with the same interval are scraped together: this lets their rows travel together. And it
 * is what bounds the rate at which a backlog drains: 24 hours of two exporters and 150 groups are some 245 requests, in
 * some 3 minutes (`bench/outage.ts`).
 */
const PACE_MILLIS = 500
const REJECTIONS_PER_ANSWER_MAX = 10
const ROW_SHOWN_MAX = 500
const KINDS_MAX = 200

export interface Push {
  /** Delivers for ever. */
  readonly run: Effect.Effect<never>
  /** Delivers what there is, until the spool is empty or a request fails: for the end. Bounded by whoever calls it. */
  readonly flush: Effect.Effect<void>
}

/** The push to the configured server; without one, records stay in the spool. */
export const makePush: Effect.Effect<Push, never, AgentConfig | AgentStatus | Spool> = Effect.gen(function* () {
  const { server, serverName } = yield* AgentConfig
  const status = yield* AgentStatus
  const spool = yield* Spool
  const oneAtATime = yield* Semaphore.make(1)
  if (server === undefined) return { run: Effect.never, flush: Effect.void }
  const url = `${server.url}/metrics/prometheus`
  let bodyBytes = BODY_BYTES_FIRST
  /** Kinds of rejections that were logged: once each. */
  const announced = new Set<string>()

  /** Sends the newest or the oldest records. Resolves to what is to be done next. */
  const deliver = (order: "newest" | "oldest"): Effect.Effect<Next> =>
    Effect.gen(function* (): Effect.fn.Return<Next> {
      const records = yield* spool.peek({ order, maxBytes: bodyBytes })
      if (records.length === 0) return CONTINUE
      const sent = yield* Effect.result(send(server, url, serverName, payloadOf(records)))
      const now = yield* Clock.currentTimeMillis
      if (Result.isFailure(sent)) {
        const { _tag, message } = sent.failure
        const error = _tag === "TokenUnreadable" ? message : `${url} cannot be reached: ${message}`
        yield* change({ request: "error" })
        bodyBytes = BODY_BYTES_FIRST
        return _tag === "TokenUnreadable" ? { wait: "long", error } : { wait: "backoff", error }
      }
      const { bytes, response } = sent.success
      yield* change({ request: String(response.status), bytesSent: bytes })
      return yield* settle(verdictOf(response.status), records, response, now)
    }).pipe((effect) => oneAtATime.withPermit(effect))

  const settle = (
    verdict: Verdict,
    records: ReadonlyArray<SpoolRecord>,
    response: ExchangeResponse,
    now: number
  ): Effect.Effect<Next> =>
    Effect.gen(function* (): Effect.fn.Return<Next> {
      const error = `${explain(response.status, url, response.headers.location)}${detailOf(response)}`
      switch (verdict) {
        case "delivered": {
          const { accepted, rejections, rejected } = readAnswer(response.body, records)
          yield* spool.remove(records.map(({ id }) => id))
          yield* change({ succeeded: true, rowsAccepted: accepted, rowsRejected: rejected, rejections })
          for (const { exporter, reason, rows } of rejections) {
            const kind = `${exporter} ${kindOf(reason)}`
            if (announced.has(kind)) continue
            if (announced.size >= KINDS_MAX) announced.clear()
            announced.add(kind)
            yield* Effect.logWarning(`the server rejected ${rows} rows of ${exporter}: ${reason}`)
          }
          bodyBytes = Math.min(BODY_BYTES, bodyBytes * 2)
          return CONTINUE
        }
        case "too-large": {
          if (records.length > 1) {
            const size = records.reduce((sum, { rows }) => sum + Buffer.byteLength(rows), 0)
            bodyBytes = Math.max(1, Math.floor(Math.min(size, bodyBytes) / 2))
            return CONTINUE
          }
          yield* giveUp(records, error)
          bodyBytes = BODY_BYTES
          return CONTINUE
        }
        case "refused":
          yield* giveUp(records, error)
          return CONTINUE
        case "later":
          bodyBytes = BODY_BYTES_FIRST
          return { wait: "backoff", error, retryAfter: retryAfterMillis(response.headers["retry-after"], now) }
        case "misconfigured":
          return { wait: "long", error }
      }
    })

  const giveUp = (records: ReadonlyArray<SpoolRecord>, reason: string): Effect.Effect<void> =>
    Effect.gen(function* () {
      yield* spool.remove(records.map(({ id }) => id))
      const exporters = [...new Set(records.map(({ exporter }) => exporter))]
      const rejections = exporters.map((exporter) => {
        const rows = records.reduce((sum, one) => sum + (one.exporter === exporter ? rowsIn(one) : 0), 0)
        return { exporter, reason, row: null, rows }
      })
      const rowsRejected = rejections.reduce((sum, { rows }) => sum + rows, 0)
      yield* change({ recordsRefused: records.length, rowsRejected, rejections })
      yield* Effect.logError(`${records.length} scrapes of ${exporters.join(", ")} are given up: ${reason}`)
    })

  const change = (update: PushChange) => Effect.asVoid(status.pushed(update))

  /** Makes known what the next step is, and waits for it. */
  const rest = (next: Next, retry: number): Effect.Effect<void> =>
    Effect.gen(function* () {
      if (next.wait === "no") {
        const before = yield* status.pushed({ state: "delivering", error: null, retryAt: null })
        if (before.state === "retrying" || before.state === "misconfigured") yield* Effect.log(`${url} accepts again`)
        return
      }
      const millis =
        next.wait === "long"
          ? MISCONFIGURED_MILLIS
          : Math.max(backoffMillis(retry, yield* Random.next), next.retryAfter ?? 0)
      const now = yield* Clock.currentTimeMillis
      const state = next.wait === "long" ? "misconfigured" : "retrying"
      const before = yield* status.pushed({ state, error: next.error, retryAt: now + millis })
      if (before.state !== state || before.error !== next.error) {
        yield* Effect.logWarning(
          `push: ${next.error}; tried again in ${Duration.format(Duration.millis(Math.round(millis)))}`
        )
      }
      yield* Effect.sleep(Duration.millis(millis))
    })

  const run: Effect.Effect<never> = Effect.gen(function* () {
    let retry = 0
    let order: "newest" | "oldest" = "newest"
    while (true) {
      yield* spool.awaitRecord
      if (retry === 0) yield* Effect.sleep(Duration.millis(PACE_MILLIS))
      const next: Next = yield* deliver(order)
      // What was not taken leaves the next turn to the newest, so that the past never stands in the way of the present.
      order = next.wait === "no" && order === "newest" ? "oldest" : "newest"
      yield* rest(next, retry)
      retry = next.wait === "no" ? 0 : retry + 1
    }
  })

  const flush: Effect.Effect<void> = Effect.gen(function* () {
    while ((yield* spool.stats).records > 0) {
      const next = yield* deliver("newest")
      if (next.wait !== "no") return
    }
  })

  return { run, flush }
})

/** What follows from a request. */
type Next =
  | { readonly wait: "no" }
  | { readonly wait: "backoff"; readonly error: string; readonly retryAfter?: number | undefined }
  | { readonly wait: "long"; readonly error: string }

const CONTINUE: Next = { wait: "no" }

const send = (
  server: AgentServer,
  url: string,
  serverName: string,
  payload: string
): Effect.Effect<{ readonly response: ExchangeResponse; readonly bytes: number }, ExchangeFailed | TokenUnreadable> =>
  Effect.gen(function* () {
    const token = yield* server.token
    const body = yield* gzip(payload)
    const response = yield* exchange({
      method: "POST",
      url,
      headers: {
        authorization: `Bearer ${Redacted.value(token)}`,
        "content-type": "application/json",
        "content-encoding": "gzip",
        accept: "application/json, application/problem+json",
        "user-agent": `nodepulse-agent (${serverName.replace(/[^\x20-\x7e]|[()\\]/g, "?")})`
      },
      body,
      timeout: server.timeout,
      bodyLimit: ANSWER_BYTES,
      ...(server.ca === undefined ? {} : { ca: server.ca })
    })
    return { response, bytes: body.byteLength }
  })

const gzip = (text: string): Effect.Effect<Uint8Array> =>
  Effect.callback((resume) => {
    Zlib.gzip(text, (error, body) => resume(error === null ? Effect.succeed(body) : Effect.die(error)))
  })

const Answer = Schema.Struct({
  accepted: Schema.Number,
  rejected: Schema.Array(Schema.Struct({ exporter: Schema.String, index: Schema.Number, reason: Schema.String }))
})
const decodeAnswer = Schema.decodeUnknownResult(Schema.fromJsonString(Answer))

/** Counts what was accepted and rejected, and groups the rejected by reason, the first row of each as it was sent. */
export const readAnswer = (
  body: Uint8Array,
  records: ReadonlyArray<SpoolRecord>
): {
  readonly accepted: number
  readonly rejected: number
  readonly rejections: ReadonlyArray<Omit<Rejection, "at">>
} => {
  const answer = decodeAnswer(Buffer.from(body).toString("utf8"))
  if (Result.isFailure(answer)) return { accepted: 0, rejected: 0, rejections: [] }
  const { accepted, rejected } = answer.success
  const kinds = new Map<string, { exporter: string; reason: string; row: string | null; rows: number }>()
  for (const { exporter, index, reason } of rejected) {
    const kind = `${exporter} ${kindOf(reason)}`
    const known = kinds.get(kind)
    if (known !== undefined) known.rows++
    else if (kinds.size < REJECTIONS_PER_ANSWER_MAX) {
      const row = sentRow(records, exporter, index)?.slice(0, ROW_SHOWN_MAX) ?? null
      kinds.set(kind, { exporter, reason: reason.slice(0, ROW_SHOWN_MAX), row, rows: 1 })
    }
  }
  return { accepted, rejected: rejected.length, rejections: [...kinds.values()] }
}

/** The row that the server names by its place among the rows of its exporter; undefined where there is none. */
const sentRow = (records: ReadonlyArray<SpoolRecord>, exporter: string, index: number): string | undefined => {
  let before = 0
  for (const record of records) {
    if (record.exporter !== exporter) continue
    const rows = decodeRows(record.rows)
    if (Result.isFailure(rows)) return undefined
    if (index < before + rows.success.length) return JSON.stringify(rows.success[index - before])
    before += rows.success.length
  }
  return undefined
}

const rowsIn = ({ rows }: SpoolRecord): number => Result.getOrElse(decodeRows(rows), () => []).length

const decodeRows = Schema.decodeUnknownResult(Schema.fromJsonString(Schema.Array(Schema.Unknown)))

/** A reason without its numbers and quotations, so that the same complaint about two rows is one kind. */
const kindOf = (reason: string): string => reason.replace(/"[^"]*"|-?\d[\d.:TZ+-]*/g, "…")

/** The sentence of an `application/problem+json`, where there is one. */
const detailOf = ({ body, headers }: ExchangeResponse): string => {
  if (!String(headers["content-type"] ?? "").includes("json")) return ""
  const problem = decodeProblem(Buffer.from(body).toString("utf8"))
  const text = Result.isSuccess(problem) ? (problem.success.detail ?? problem.success.title ?? "") : ""
  return text === "" ? "" : `: ${text.slice(0, ROW_SHOWN_MAX)}`
}

const Problem = Schema.Struct({ title: Schema.optionalKey(Schema.String), detail: Schema.optionalKey(Schema.String) })
const decodeProblem = Schema.decodeUnknownResult(Schema.fromJsonString(Problem))
