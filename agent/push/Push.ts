/**
 * The push: takes records from the spool and delivers them to the server, until the spool is empty, again and again.
 *
 * Guarantees:
 * - A record leaves the spool only when the server has answered 202 for it (it is then durable there), or has refused it
 *   for good (any 4xx but 401, 403, 408, 409, 413, 425, 429; or its rows, by a code): then it is counted, and the reason kept
 *   in `AgentStatus`. Sending one twice is harmless: rows have a natural key.
 * - What the server cannot take yet stays, and is offered again (`Parking.ts`): rows of an exporter that it does not know, and
 *   rows whose time it does not believe. The latter go out again with their times corrected, as soon as the answer's `Date`
 *   has told how far the clock is off (`ClockEras.ts`).
 * - Each request says who it comes from (`Identity.ts`). Where another agent writes with the token, nothing is sent twice
 *   or mixed: the records wait.
 * - Whatever else happens, the records stay, and it tries again: full-jitter backoff up to 20 s, or as `Retry-After` says
 *   (up to 5 min); every 60 s while token or address are wrong. The token file is read anew for each request.
 * - After an outage the newest records go first, so that the page is current at once; the backlog drains from both ends,
 *   alternately, and at most two requests a second (`PACE_MILLIS`).
 * - A fleet does not fall upon a server that has just come back, nor keep one busy with its past: at the start, and after
 *   each request that was not taken, the next carries no more than the latest scrape (`BODY_BYTES_FIRST`); with each that
 *   is taken it doubles.
 *
 * - Where there is nothing to send for three intervals, and at least {@link TOLD_AFTER_SECONDS}, although exporters answer,
 *   a request without rows tells the server which of them are refused, and by which limit, or report nothing.
 *
 * Bounds: one request at a time, `BODY_BYTES` of JSON each (some 3 000 rows; 413 halves it until the guilty record is alone,
 * which is then given up), an answer in proportion to
 * the rows sent (`ANSWER_BYTES_PER_ROW`), and the configured time-out.
 */
import { Clock, Duration, Effect, Option, Random, Result, Semaphore } from "effect"
import { AGENT_HEADER, type AgentHello, formatHello } from "../../src/protocol/AgentHello.ts"
import { WANTS_HEADER } from "../../src/protocol/AgentWants.ts"
import { printable } from "../../src/protocol/PrintableText.ts"
import { AgentStatus, type PushChange } from "../AgentStatus.ts"
import { MachineClock } from "../clock/MachineClock.ts"
import { AgentConfig, type AgentServer } from "../config/AgentConfig.ts"
import { redactedUrl } from "../config/ShownUrl.ts"
import { PushAnswered } from "../recorder/PushAnswered.ts"
import { restrainedMillis } from "../scrape/Cadence.ts"
import type { ExchangeResponse } from "../scrape/HttpExchange.ts"
import { Spool, type SpoolRecord } from "../spool/Spool.ts"
import { makeIdentity } from "./Identity.ts"
import { makeParking } from "./Parking.ts"
import { post } from "./Post.ts"
import { kindOf, kindsOf, type PushAnswer, problemOf, readAnswer } from "./PushAnswer.ts"
import {
  backoffMillis,
  bodyOf,
  explain,
  MISCONFIGURED_MILLIS,
  moveTimes,
  retryAfterMillis,
  type Verdict,
  verdictOf
} from "./PushBatch.ts"

const BODY_BYTES = 512 * 1024
/** One scrape of 150 groups and the node. */
const BODY_BYTES_FIRST = 32 * 1024
/** Of an answer: what it says of each row, and of the request. */
const ANSWER_BYTES_PER_ROW = 1_024
const ANSWER_BYTES = 64 * 1024
const ANSWER_BYTES_MAX = 4 * 1024 * 1024
/**
 * Before each request. Exporters with the same interval are scraped together: this lets their rows travel together. And it
 * is what bounds the rate at which a backlog drains: 24 hours of two exporters and 150 groups are some 245 requests, in
 * some 3 minutes (`bench/outage.ts`).
 */
const PACE_MILLIS = 500
const KINDS_MAX = 200
const TOLD_AFTER_SECONDS = 60
/** The group of records whose times cannot be corrected yet. */
const CLOCK_GROUP = "clock"
const groupOf = (exporter: string): string => `exporter ${exporter}`

export interface Push {
  /** Delivers for ever. */
  readonly run: Effect.Effect<never>
  /** Delivers what there is, until the spool is empty or a request fails: for the end. Bounded by whoever calls it. */
  readonly flush: Effect.Effect<void>
}

/** The push to the configured server; without one, records stay in the spool. */
export const makePush: Effect.Effect<Push, never, AgentConfig | AgentStatus | MachineClock | Spool> = Effect.gen(
  function* () {
    const config = yield* AgentConfig
    return config.server === undefined ? { run: Effect.never, flush: Effect.void } : yield* makePushTo(config.server)
  }
)

const makePushTo = Effect.fnUntraced(function* (server: AgentServer) {
  const { buffer, exporters, serverName } = yield* AgentConfig
  const status = yield* AgentStatus
  const machine = yield* MachineClock
  const spool = yield* Spool
  const clock = yield* Clock.Clock
  const identity = yield* makeIdentity(buffer.path)
  const answered = yield* PushAnswered
  const oneAtATime = yield* Semaphore.make(1)
  const parking = makeParking()
  const url = `${server.url}/metrics/prometheus`
  /** The address as it may be shown. */
  const shownUrl = redactedUrl(url)
  const intervalSeconds = () => {
    const { restraint } = status.current().budget
    const intervals = exporters.map((exporter) => restrainedMillis(exporter, restraint) / 1_000)
    return intervals.length === 0 ? 15 : Math.max(1, Math.min(...intervals))
  }
  const toldAfter = Duration.seconds(Math.max(TOLD_AFTER_SECONDS, 3 * intervalSeconds()))
  const monotonic = () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
  let bodyBytes = BODY_BYTES_FIRST
  /** Kinds of refusals that were logged: once each. */
  const announced = new Set<string>()
  const announce = (kind: string, line: Effect.Effect<void>): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (announced.has(kind)) return Effect.void
      if (announced.size >= KINDS_MAX) announced.clear()
      announced.add(kind)
      return line
    })

  /** What goes into the next request: records with one correction. Those of a group that waits join it. */
  const batch = Effect.fnUntraced(function* (order: "newest" | "oldest") {
    parking.release(monotonic())
    for (;;) {
      const found = yield* spool.peek({ order, maxBytes: bodyBytes, skip: parking.ids })
      const waiting = found.filter(({ exporter }) => parking.holds(groupOf(exporter)))
      for (const { exporter, id } of waiting) parking.join(groupOf(exporter), [id])
      const [first, ...rest] = found.filter((record) => !waiting.includes(record))
      if (first === undefined) {
        if (waiting.length > 0) continue
        return { records: [], correction: 0 }
      }
      const correction = machine.correctionOf(first.id)
      return { records: [first, ...rest.filter(({ id }) => machine.correctionOf(id) === correction)], correction }
    }
  })

  /** What is wrong with exporters here, which no row of theirs tells. */
  const troubles = () => {
    const { exporters } = status.current()
    return {
      unmatched: exporters.filter(({ state }) => state === "unmatched").map(({ name }) => name),
      refused: exporters.flatMap(({ name, over }) => (over === null ? [] : [{ exporter: name, ...over }]))
    }
  }

  /** What the agent does without. */
  const restraint = (): Pick<AgentHello, "restrained"> => {
    const { causes, restraint } = status.current().budget
    return causes.length === 0 ? {} : { restrained: { ...restraint, causes, groups: restraint.groups ?? null } }
  }

  const hasTroubles = () => Object.values(troubles()).some((exporters) => exporters.length > 0)

  const headersFor = (correction: number) => ({
    [AGENT_HEADER]: formatHello({
      ...identity.next(),
      name: serverName,
      intervalSeconds: intervalSeconds(),
      sent: clock.currentTimeMillisUnsafe() / 1_000,
      step: machine.step(),
      corrected: correction === 0 ? undefined : correction / 1_000,
      ...restraint(),
      ...troubles()
    }),
    "user-agent": `nodepulse-agent (${serverName.replace(/[^\x20-\x7e]|[()\\]/g, "?")})`
  })

  /** Sends the newest or the oldest records, or none, where only troubles are to be told. Resolves to what is to be done next. */
  const deliver = (what: "newest" | "oldest" | "troubles"): Effect.Effect<Next> =>
    Effect.gen(function* (): Effect.fn.Return<Next> {
      const { correction, records } = what === "troubles" ? NOTHING : yield* batch(what)
      if (records.length === 0 && what !== "troubles") return { wait: "records" }
      yield* machine.notice
      const body = bodyOf(records.map((record) => ({ ...record, rows: moveTimes(record.rows, correction) })))
      const sent = yield* Effect.result(
        post(server, { url, headers: headersFor(correction), body, bodyLimit: answerLimit(records) })
      )
      if (Result.isFailure(sent)) {
        const { _tag, message } = sent.failure
        const error = _tag === "TokenUnreadable" ? message : `${shownUrl} cannot be reached: ${message}`
        yield* change({ request: "error" })
        bodyBytes = BODY_BYTES_FIRST
        return _tag === "TokenUnreadable" ? { wait: "long", error } : { wait: "backoff", error }
      }
      const response = sent.success
      const { elapsedMillis, headers, respondedAt } = response
      yield* machine.answered({ date: headers.date, at: respondedAt, roundTripMillis: elapsedMillis })
      yield* change({ request: String(response.status), bytesSent: body.byteLength })
      return yield* settle(verdictOf(response.status), records, response, correction)
    }).pipe((effect) => oneAtATime.withPermit(effect))

  const settle = (
    verdict: Verdict,
    records: ReadonlyArray<SpoolRecord>,
    response: ExchangeResponse,
    correction: number
  ): Effect.Effect<Next> =>
    Effect.gen(function* (): Effect.fn.Return<Next> {
      const problem = problemOf(response)
      const error = `${explain(response.status, shownUrl, response.headers.location)}${problem.text === "" ? "" : `: ${problem.text}`}`
      const later = () => {
        const { date, "retry-after": header } = response.headers
        return retryAfterMillis(header, clock.currentTimeMillisUnsafe(), date)
      }
      switch (verdict) {
        case "delivered":
          yield* identity.accepted
          answered({ isTaken: true, wants: response.headers[WANTS_HEADER] })
          yield* taken(records, yield* understood(response, records), correction)
          yield* change({ succeeded: true })
          bodyBytes = Math.min(BODY_BYTES, bodyBytes * 2)
          return CONTINUE
        case "none-taken": {
          const answer = yield* understood(response, records)
          if (answer === undefined) yield* giveUp(records, error)
          else yield* taken(records, answer, correction)
          return CONTINUE
        }
        case "too-large": {
          if (records.length > 1) {
            const size = records.reduce((sum, { rows }) => sum + rows.bytes, 0)
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
        case "in-use":
          bodyBytes = BODY_BYTES_FIRST
          answered({ isTaken: false, wants: undefined })
          if (problem.reason === "replayed") yield* identity.renew
          return problem.reason === "waiting" || problem.reason === "replayed"
            ? { wait: "backoff", error, retryAfter: later() }
            : { wait: "long", error, retryAfter: later() }
        case "later":
          bodyBytes = BODY_BYTES_FIRST
          return { wait: "backoff", error, retryAfter: later() }
        case "misconfigured":
          return { wait: "long", error }
      }
    })

  /** What the answer says; undefined, and told in log and status, where it cannot be used. */
  const understood = (
    { body, status: code }: ExchangeResponse,
    records: ReadonlyArray<SpoolRecord>
  ): Effect.Effect<PushAnswer | undefined> =>
    Effect.gen(function* () {
      const answer = readAnswer(body, records)
      if (Result.isSuccess(answer)) return answer.success
      const error = `the server's answer (HTTP ${code}) cannot be used: ${answer.failure}`
      yield* change({ error })
      yield* announce("answer", Effect.logWarning(error))
      return undefined
    })

  /** Removes what the server has, or never takes; keeps what it may take later. Without an answer that can be read, all is taken. */
  const taken = Effect.fnUntraced(function* (
    records: ReadonlyArray<SpoolRecord>,
    answer: PushAnswer | undefined,
    correction: number
  ) {
    const kept = answer === undefined ? new Set<number>() : yield* keep(answer, correction)
    const done = records.filter(({ id }) => !kept.has(id))
    yield* spool.remove(done.map(({ id }) => id))
    for (const { exporter } of done) parking.accept(groupOf(exporter))
    const rows = (some: ReadonlyArray<SpoolRecord>) => some.reduce((sum, one) => sum + one.rows.count, 0)
    const bad = (answer?.rejected ?? []).filter(({ record }) => !kept.has(record))
    const rejections = kindsOf(bad)
    yield* change({
      rowsAccepted: answer?.accepted ?? 0,
      rowsRejected: bad.reduce((sum, { rows }) => sum + rows, answer?.further ?? 0),
      rowsKept: kept.size === 0 ? 0 : rows(records.filter(({ id }) => kept.has(id))),
      rowsCorrected: correction === 0 ? 0 : rows(done),
      rejections
    })
    for (const { exporter, reason, rows } of rejections) {
      const line = `the server rejected ${rows} rows of ${printable(exporter)}: ${reason}`
      yield* announce(kindOf(exporter, reason), Effect.logWarning(line))
    }
  })

  /** Sets aside what may be taken later. Resolves to the ids of the records that stay. */
  const keep = Effect.fnUntraced(function* (answer: PushAnswer, correction: number) {
    const kept = new Set<number>()
    const now = monotonic()
    for (const [exporter, ids] of answer.unknown) {
      for (const id of ids) kept.add(id)
      parking.refuse(groupOf(exporter), ids, now, yield* Random.next)
      const line = `the server does not know ${printable(exporter)}: its rows stay in the spool and are offered again, until they are ${Duration.format(buffer.maxAge)} old; enable it on the server, or switch it off here`
      yield* announce(groupOf(exporter), Effect.logWarning(line))
    }
    const wrong = [...answer.ahead, ...answer.tooOld]
    if (wrong.length === 0) return kept
    yield* machine.refused(wrong)
    const corrected = wrong.filter((id) => machine.correctionOf(id) !== correction)
    const waiting = answer.ahead.filter((id) => machine.correctionOf(id) === correction)
    for (const id of [...corrected, ...waiting]) kept.add(id)
    if (waiting.length > 0) parking.refuse(CLOCK_GROUP, waiting, now, yield* Random.next)
    const remedy =
      corrected.length > 0
        ? "their times are corrected, and they are sent again"
        : "they stay in the spool and are offered again"
    if (kept.size > 0) {
      const line = `the server refused rows for their time: ${answer.timeReason}; ${remedy}`
      yield* announce(`${CLOCK_GROUP} ${remedy}`, Effect.logWarning(line))
    }
    return kept
  })

  const giveUp = (records: ReadonlyArray<SpoolRecord>, reason: string): Effect.Effect<void> =>
    Effect.gen(function* () {
      if (records.length === 0) return yield* change({ error: reason })
      yield* spool.remove(records.map(({ id }) => id))
      const exporters = [...new Set(records.map(({ exporter }) => exporter))]
      const rejections = exporters.map((exporter) => {
        const rows = records.reduce((sum, one) => sum + (one.exporter === exporter ? one.rows.count : 0), 0)
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
      if (next.wait === "records") return yield* Effect.sleep(Duration.millis(PACE_MILLIS))
      if (next.wait === "no") {
        const before = yield* status.pushed({ state: "delivering", error: null, retryAt: null })
        if (before.state === "retrying" || before.state === "misconfigured")
          yield* Effect.log(`${shownUrl} accepts again`)
        return
      }
      const millis =
        next.wait === "long"
          ? (next.retryAfter ?? MISCONFIGURED_MILLIS)
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
      const isIdle = Option.isNone(yield* Effect.timeoutOption(spool.awaitRecord, toldAfter))
      if (isIdle) {
        if (hasTroubles()) yield* rest(yield* deliver("troubles"), retry)
        continue
      }
      if (retry === 0) yield* Effect.sleep(Duration.millis(PACE_MILLIS))
      const next: Next = yield* deliver(order)
      // What was not taken leaves the next turn to the newest, so that the past never stands in the way of the present.
      order = next.wait === "no" && order === "newest" ? "oldest" : "newest"
      yield* rest(next, retry)
      retry = next.wait === "no" || next.wait === "records" ? 0 : retry + 1
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

/** What follows from a request, or from finding nothing to send. */
type Next =
  | { readonly wait: "no" }
  | { readonly wait: "records" }
  | { readonly wait: "backoff" | "long"; readonly error: string; readonly retryAfter?: number | undefined }

const CONTINUE: Next = { wait: "no" }
const NOTHING = { records: [], correction: 0 } as const

/** The largest answer that an honest server gives. */
const answerLimit = (records: ReadonlyArray<SpoolRecord>): number => {
  const rows = records.reduce((sum, one) => sum + one.rows.count, 0)
  return Math.min(ANSWER_BYTES + rows * ANSWER_BYTES_PER_ROW, ANSWER_BYTES_MAX)
}
