/**
 * The scraper of one exporter: asks it at every tick, parses the answer with its plugin, and puts the rows in the spool.
 *
 * Guarantees:
 * - It never ends and never fails: whatever the exporter does becomes a state (`AgentStatus`) and one log line when that
 *   state changes. What it cannot foresee is a defect, and the supervisor's.
 * - Scrapes never overlap. Ticks that were missed are skipped (`Cadence.ts`).
 * - The timestamp is the clock's when the response began, in milliseconds: exporters gather before they answer, so that
 *   is closest to the moment that the values are from. No two scrapes have the same one.
 * - A row that the wire cannot carry is left out and counted. Nothing is invented for a scrape that failed.
 *
 * Bounds: how much a scrape may be (`ScrapeLimits.ts`), the time (`timeout`), one record of the spool (`RECORD_BYTES`).
 *
 * Where an exporter is not there, or answers and reports nothing though it should, the built-in collector stands in
 * (`ScrapeSource.ts`). The latter is a state of its own, `unmatched`, with what mends it. One that a machine can do without
 * (`Exporter.scrape.optional`) is `absent` where it is not there: nothing to mend.
 */
import { Clock, Duration, Effect, Result } from "effect"
import type { Exporter, Skipped } from "../../src/plugins/Exporter.ts"
import { type Reading, readBody, readSamples } from "../../src/plugins/Reading.ts"
import { makeWire, type Wire } from "../../src/plugins/Wire.ts"
import { clipped } from "../../src/protocol/PrintableText.ts"
import { AgentStatus, type OverLimit, type ScrapeOutcome } from "../AgentStatus.ts"
import { MachineClock } from "../clock/MachineClock.ts"
import { Collection, type Collectors } from "../collector/Collector.ts"
import { samplesOf } from "../collector/ExpositionText.ts"
import { AgentConfig, type AgentExporter } from "../config/AgentConfig.ts"
import { redactedUrl } from "../config/ShownUrl.ts"
import { packRows } from "../spool/PackedRows.ts"
import { type NewSpoolRecord, Spool } from "../spool/Spool.ts"
import { jitterOf, nextTick, restrainedMillis, Timestamps } from "./Cadence.ts"
import {
  emptySentence,
  limitOf,
  ScrapeDown,
  type ScrapeError,
  ScrapeUnsupported,
  sentenceOf,
  stateOf
} from "./ScrapeError.ts"
import { hasMoreSeries, isSmall, SCRAPE_LIMITS, type ScrapeLimits } from "./ScrapeLimits.ts"
import { makeScrapeSource, type ScrapeBody } from "./ScrapeSource.ts"

/** A scrape is split into records of about this size, so that any of them fits into a request. */
const RECORD_BYTES = 128 * 1024
/** Counters cannot have begun after the scrape: a beginning further ahead is a broken clock's, and left out. */
const FUTURE_MILLIS = 60_000
const REASONS_MAX = 5
const REASON_LENGTH_MAX = 600

/** Scrapes the exporter for ever. */
export const runScraper = (
  settings: AgentExporter
): Effect.Effect<never, never, AgentConfig | AgentStatus | Collectors | MachineClock | Spool> =>
  Effect.gen(function* () {
    const config = yield* AgentConfig
    const status = yield* AgentStatus
    const { steadyMillis } = yield* MachineClock
    const scrape = yield* makeScrape(settings)
    const jitter = jitterOf(config.serverName)
    let last: number | null = null
    while (true) {
      const now = steadyMillis()
      const interval = restrainedMillis(settings, status.current().budget.restraint)
      if (last !== null) {
        const tick = nextTick(now, last, interval, jitter)
        yield* Effect.sleep(Duration.millis(tick - now))
      }
      last = steadyMillis()
      yield* scrape
    }
  })

/** One scrape, with all that is remembered between two of them. */
export const makeScrape = (
  settings: AgentExporter
): Effect.Effect<Effect.Effect<void>, never, AgentConfig | AgentStatus | Collectors | MachineClock | Spool> =>
  Effect.gen(function* () {
    const { exporter } = settings
    const { serverName } = yield* AgentConfig
    const status = yield* AgentStatus
    const spool = yield* Spool
    const clock = yield* Clock.Clock
    const machine = yield* MachineClock
    const source = yield* makeScrapeSource(settings, `nodepulse-agent (${headerText(serverName)})`)
    const wire = makeWire(exporter)
    const timestamps = new Timestamps(Duration.toMillis(settings.interval) / 2)

    const take = (body: Result.Result<ScrapeBody, ScrapeDown>): Result.Result<Taken, ScrapeError> =>
      Result.flatMap(body, ({ at, body, format, source }) =>
        Result.map(readScrape(settings, wire, body, format, timestamps.next(at)), (scrape) => ({ ...scrape, source }))
      )

    const attempt = Effect.gen(function* () {
      const startedAt = clock.currentTimeMillisUnsafe()
      const startedNanos = clock.monotonicTimeNanosUnsafe()
      const body = yield* Effect.result(source.read)
      // Before there are rows: those from here on are of the new time.
      yield* machine.notice
      let scrape = take(body)
      const unmatched = reportsNothing(exporter, scrape)
      if (unmatched && source.standIn !== undefined) {
        const standIn = take(yield* Effect.result(source.standIn))
        if (Result.isSuccess(standIn)) scrape = standIn
      } else if (Result.isSuccess(scrape) && scrape.success.source === "endpoint") yield* source.served
      const durationMillis = Number(clock.monotonicTimeNanosUnsafe() - startedNanos) / 1e6
      if (Result.isFailure(scrape)) return yield* failed(scrape.failure, startedAt, durationMillis)
      const { records, rows, skipped, skippedReasons, source: from } = scrape.success
      yield* spool.append(records)
      const done = { source: from, startedAt, durationMillis, rows, skipped, skippedReasons }
      if (unmatched && exporter.scrape.empty !== undefined) {
        const where = { endpoint: redactedUrl(settings.endpoint), exporter: exporter.name }
        const error = emptySentence(where, exporter.scrape.empty, from === "collector")
        return { state: "unmatched", error, ...done } as const
      }
      return { state: rows === 0 ? "empty" : "up", error: null, ...done } as const
    })

    const failed = (error: ScrapeError, startedAt: number, durationMillis: number): Effect.Effect<ScrapeOutcome> =>
      Effect.gen(function* () {
        const before = (yield* status.view).exporters.find(({ name }) => name === exporter.name)
        if (isAbsent(settings, error)) return absent(startedAt, durationMillis)
        const state = stateOf(error)
        const since = before?.state === state ? before.since : startedAt
        const limit = limitOf(error)
        return {
          state,
          ...(limit === undefined ? {} : { over: { limit, most: mostOf(settings, limit) } }),
          source: error._tag === "ScrapeDown" && error.failure === "collector" ? "collector" : "endpoint",
          error: sentenceOf(error, since),
          startedAt,
          durationMillis,
          rows: 0,
          skipped: 0,
          skippedReasons: []
        }
      })

    return Effect.gen(function* () {
      const outcome: ScrapeOutcome = yield* attempt
      const before = yield* status.scraped(exporter.name, outcome)
      yield* announce(exporter, before, outcome)
    })
  })

/** Whether the exporter is one that this machine can do without: nothing listens where nobody said that something would. */
const isAbsent = ({ collector, endpoint, exporter }: AgentExporter, error: ScrapeError): boolean =>
  exporter.scrape.optional &&
  collector === "auto" &&
  endpoint === exporter.scrape.endpoint &&
  error._tag === "ScrapeDown" &&
  (error.failure === "refused" || error.failure === "collector")

const absent = (startedAt: number, durationMillis: number): ScrapeOutcome => ({
  ...{ state: "absent", source: "endpoint", error: null, startedAt, durationMillis },
  ...{ rows: 0, skipped: 0, skippedReasons: [] }
})

const mostOf = ({ bodyLimit, limits = SCRAPE_LIMITS }: AgentExporter, limit: OverLimit["limit"]): number =>
  limit === "body" ? bodyLimit : limits.series

/** A line in the log when state or source change; while nothing changes, silence. */
const announce = (
  { name }: Exporter,
  before: { readonly state: string; readonly source: string | null; readonly skipped: number },
  { error, rows, skipped, skippedReasons, source, state }: ScrapeOutcome
): Effect.Effect<void> =>
  Effect.gen(function* () {
    if (skipped > 0 && before.skipped === 0) {
      yield* Effect.logWarning(`${name}: ${skipped} parts of the scrape are left out: ${skippedReasons.join("; ")}`)
    }
    if (state === before.state && source === before.source) return
    if (error !== null) yield* Effect.logWarning(error)
    else if (state === "absent") yield* Effect.log(`${name} is not there, and this machine has none`)
    else if (state === "empty") yield* Effect.logWarning(`${name} answers, but has nothing to report`)
    else if (source === "collector")
      yield* Effect.log(`${name} is not there: the built-in collector stands in (${rows} rows)`)
    else yield* Effect.log(`${name} is up (${rows} rows)`)
  })

type Taken = ReadScrape & { readonly source: ScrapeBody["source"] }

/** Whether an exporter answered and has nothing at all, where that is a fault. */
const reportsNothing = ({ scrape }: Exporter, taken: Result.Result<Taken, ScrapeError>): boolean =>
  scrape.empty !== undefined &&
  Result.isSuccess(taken) &&
  taken.success.source === "endpoint" &&
  taken.success.rows === 0 &&
  taken.success.skipped === 0

interface ReadScrape {
  readonly records: ReadonlyArray<NewSpoolRecord>
  readonly rows: number
  readonly skipped: number
  readonly skippedReasons: ReadonlyArray<string>
}

/** The records of a body. Pure. */
export const readScrape = (
  { endpoint, exporter, limits = SCRAPE_LIMITS }: Pick<AgentExporter, "endpoint" | "exporter" | "limits">,
  wire: Wire,
  body: ScrapeBody["body"],
  format: ScrapeBody["format"],
  scrapedAt: number
): Result.Result<ReadScrape, ScrapeError> => {
  const collected = body instanceof Collection ? readCollection(exporter, body, limits, new Date(scrapedAt)) : undefined
  if (collected !== undefined) return Result.succeed(recordsOf(exporter, wire, collected, scrapedAt))
  const text = body instanceof Collection ? body.text : body
  const of = { exporter: exporter.name, endpoint: redactedUrl(endpoint) }
  if (hasMoreSeries(text, limits.series)) {
    const detail = `the body has more than ${limits.series} series, which is the limit`
    return Result.fail(new ScrapeDown({ ...of, failure: "too-many", detail }))
  }
  const bounds = { lineBytes: limits.line, labelBytes: limits.label }
  const reading = readBody(exporter, text, format, new Date(scrapedAt), bounds)
  if (Result.isSuccess(reading)) return Result.succeed(recordsOf(exporter, wire, reading.success, scrapedAt))
  return Result.fail(new ScrapeUnsupported({ ...of, detail: clipped(reading.failure, REASON_LENGTH_MAX) }))
}

/** What was collected, where nothing of it is beyond a limit and the plugin takes it. Else undefined: its text says what is wrong where. */
const readCollection = (
  exporter: Exporter,
  { families }: Collection,
  limits: Omit<ScrapeLimits, "body">,
  scrapedAt: Date
): Reading | undefined => {
  if (!isSmall(families, limits)) return undefined
  const reading = readSamples(exporter, samplesOf(families, exporter.scrape.families), scrapedAt)
  return Result.isSuccess(reading) ? reading.success : undefined
}

const recordsOf = (exporter: Exporter, wire: Wire, reading: Reading, scrapedAt: number): ReadScrape => {
  const { countersSince: since, rows, skipped, skippedCount } = reading
  const columns = Object.keys(exporter.table.columns)
  const countersSince = since !== null && since > 0 && since <= scrapedAt + FUTURE_MILLIS ? since : null
  const records: Array<NewSpoolRecord> = []
  let texts: Array<string> = []
  let length = 0
  let written = 0
  const left: Array<string> = []
  const flush = () => {
    if (texts.length > 0) records.push({ exporter: exporter.name, scrapedAt, rows: packRows(texts) })
    texts = []
    length = 0
  }
  for (const row of rows) {
    const misfit = wire.misfit(columns.map((column) => row[column]))
    if (misfit !== undefined) {
      left.push(misfit)
      continue
    }
    const text = JSON.stringify(wire.encodeRow(row, scrapedAt, countersSince))
    if (length > 0 && length + text.length > RECORD_BYTES) flush()
    texts.push(text)
    length += text.length
    written++
  }
  flush()
  const reasons = [...skipped.map(reasonOf), ...left]
  return {
    records,
    rows: written,
    skipped: skippedCount + left.length,
    skippedReasons: reasons.slice(0, REASONS_MAX).map((reason) => clipped(reason, REASON_LENGTH_MAX))
  }
}

const reasonOf = ({ line, reason }: Skipped): string => (line === undefined ? reason : `line ${line}: ${reason}`)

/** Other characters than these cannot stand in a header. */
const headerText = (text: string): string => text.replace(/[^\x20-\x7e]|[()\\]/g, "?")
