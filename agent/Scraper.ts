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
 * Bounds: the body (`bodyLimit`), the time (`timeout`), one record of the spool (`RECORD_BYTES`).
 *
 * The built-in collector stands in, at the very tick, where the endpoint is this machine's and refuses the connection; the
 * endpoint is always asked first (a refusal costs 0.1 ms), so that an exporter takes over as soon as it answers.
 * Taking over later would count twice what both had seen. The collector is opened anew each time it stands in.
 */
import { Clock, Duration, Effect, Result } from "effect"
import type { Exporter, Skipped } from "../src/plugins/Exporter.ts"
import { type ExpositionRefused, formatOf, parseExposition } from "../src/plugins/Exposition.ts"
import { makeWire, type Wire } from "../src/plugins/Wire.ts"
import { AgentConfig, type AgentExporter, isLoopback } from "./AgentConfig.ts"
import { AgentStatus, redactedUrl, type ScrapeOutcome } from "./AgentStatus.ts"
import { jitterOf, nextTick, Timestamps } from "./Cadence.ts"
import { Collectors, type OpenCollector } from "./Collector.ts"
import { exchange } from "./HttpExchange.ts"
import { ScrapeDown, type ScrapeError, ScrapeUnsupported, sentenceOf } from "./ScrapeError.ts"
import { type NewSpoolRecord, Spool } from "./Spool.ts"

/** A scrape is split into records of about this size, so that any of them fits into a request. */
const RECORD_BYTES = 128 * 1024
/** Counters cannot have begun after the scrape: a beginning further ahead is a broken clock's, and left out. */
const FUTURE_MILLIS = 60_000
const REASONS_MAX = 5

/**
 * OpenMetrics is not asked for: it carries nothing that a plugin reads, and exporters that serve both spend more on it.
 * It is understood where it comes.
 */
const ACCEPT = "text/plain;version=0.0.4;q=1,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1"

/** Scrapes the exporter for ever. */
export const runScraper = (
  settings: AgentExporter
): Effect.Effect<never, never, AgentConfig | AgentStatus | Collectors | Spool> =>
  Effect.gen(function* () {
    const config = yield* AgentConfig
    const clock = yield* Clock.Clock
    const scrape = yield* makeScrape(settings)
    const jitter = jitterOf(config.serverName)
    const interval = Duration.toMillis(settings.interval)
    let last: number | null = null
    while (true) {
      const now = clock.currentTimeMillisUnsafe()
      if (last !== null) {
        const tick = nextTick(now, last, interval, jitter)
        yield* Effect.sleep(Duration.millis(tick - now))
      }
      last = clock.currentTimeMillisUnsafe()
      yield* scrape
    }
  })

/** One scrape, with all that is remembered between two of them. */
export const makeScrape = (
  settings: AgentExporter
): Effect.Effect<Effect.Effect<void>, never, AgentConfig | AgentStatus | Collectors | Spool> =>
  Effect.gen(function* () {
    const { exporter } = settings
    const { serverName } = yield* AgentConfig
    const status = yield* AgentStatus
    const spool = yield* Spool
    const clock = yield* Clock.Clock
    const read = yield* makeSource(settings, `nodepulse-agent (${headerText(serverName)})`)
    const wire = makeWire(exporter)
    const timestamps = new Timestamps(Duration.toMillis(settings.interval) / 2)

    const attempt = Effect.gen(function* () {
      const startedAt = clock.currentTimeMillisUnsafe()
      const startedNanos = clock.monotonicTimeNanosUnsafe()
      const body = yield* Effect.result(read)
      const taken = Result.flatMap(body, ({ at, format, source, text }) => {
        const { setBackBy, timestamp } = timestamps.next(at)
        return Result.map(readScrape(settings, wire, text, format, timestamp), (scrape) => ({
          ...scrape,
          source,
          setBackBy
        }))
      })
      const durationMillis = Number(clock.monotonicTimeNanosUnsafe() - startedNanos) / 1e6
      if (Result.isSuccess(taken)) {
        const { records, rows, setBackBy, skipped, skippedReasons, source } = taken.success
        if (setBackBy > 0) {
          yield* Effect.logWarning(
            `the clock was set back by ${Duration.format(Duration.millis(setBackBy))}: times of ${exporter.name} repeat`
          )
        }
        yield* spool.append(records)
        const state = rows === 0 ? "empty" : "up"
        return { state, source, error: null, startedAt, durationMillis, rows, skipped, skippedReasons } as const
      }
      const error = taken.failure
      const before = (yield* status.view).exporters.find(({ name }) => name === exporter.name)
      const state = error._tag === "ScrapeDown" ? "down" : "unsupported"
      const since = before?.state === state ? before.since : startedAt
      const outcome: ScrapeOutcome = {
        state,
        source: error._tag === "ScrapeDown" && error.failure === "collector" ? "collector" : "endpoint",
        error: sentenceOf(error, since),
        startedAt,
        durationMillis,
        rows: 0,
        skipped: 0,
        skippedReasons: []
      }
      return outcome
    })

    return Effect.gen(function* () {
      const outcome: ScrapeOutcome = yield* attempt
      const before = yield* status.scraped(exporter.name, outcome)
      yield* announce(exporter, before, outcome)
    })
  })

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
    else if (state === "empty") yield* Effect.logWarning(`${name} answers, but has nothing to report`)
    else if (source === "collector")
      yield* Effect.log(`${name} is not there: the built-in collector stands in (${rows} rows)`)
    else yield* Effect.log(`${name} is up (${rows} rows)`)
  })

/** What one scrape brought. */
interface Body {
  readonly text: string | Uint8Array
  readonly format: "text" | "openmetrics"
  /** Epoch milliseconds. */
  readonly at: number
  readonly source: "endpoint" | "collector"
}

/** Reads from the endpoint, or from the collector where that stands in. */
const makeSource = (
  { bodyLimit, collector, endpoint, exporter, timeout }: AgentExporter,
  userAgent: string
): Effect.Effect<Effect.Effect<Body, ScrapeError>, never, Collectors> =>
  Effect.gen(function* () {
    const collectors = yield* Collectors
    const kind = exporter.scrape.collector
    const shown = redactedUrl(endpoint)
    const down = (failure: ScrapeDown["failure"], detail: string) =>
      new ScrapeDown({ exporter: exporter.name, endpoint: shown, failure, detail })
    let open: OpenCollector | undefined

    const fromEndpoint: Effect.Effect<Body, ScrapeDown> = Effect.gen(function* () {
      const response = yield* exchange({
        method: "GET",
        url: endpoint,
        headers: { accept: ACCEPT, "accept-encoding": "identity", "user-agent": userAgent },
        timeout,
        bodyLimit
      }).pipe(Effect.mapError(({ detail, failure }) => down(failure, detail)))
      if (response.status !== 200) return yield* down("status", `HTTP ${response.status}`)
      const format = formatOf(response.headers["content-type"])
      return { text: response.body, format, at: response.respondedAt, source: "endpoint" }
    })

    const fromCollector: Effect.Effect<Body, ScrapeDown> = Effect.gen(function* () {
      if (kind === undefined) return yield* down("collector", "there is no built-in collector for it")
      open ??= yield* collectors.open(kind)
      const { collectedAt, text } = yield* open.collect
      return { text, format: "text", at: collectedAt, source: "collector" } as const
    }).pipe(Effect.catchTag("CollectorUnavailable", ({ reason }) => Effect.fail(down("collector", reason))))

    if (collector === "always") return fromCollector
    if (collector === "never" || kind === undefined || !collectors.available || !isLoopback(endpoint))
      return fromEndpoint
    return Effect.gen(function* () {
      const body = yield* Effect.result(fromEndpoint)
      if (Result.isFailure(body) && body.failure.failure === "refused") return yield* fromCollector
      open = undefined
      return yield* Effect.fromResult(body)
    })
  })

interface ReadScrape {
  readonly records: ReadonlyArray<NewSpoolRecord>
  readonly rows: number
  readonly skipped: number
  readonly skippedReasons: ReadonlyArray<string>
}

/** The records of a body. Pure. */
export const readScrape = (
  { endpoint, exporter }: Pick<AgentExporter, "endpoint" | "exporter">,
  wire: Wire,
  body: string | Uint8Array,
  format: "text" | "openmetrics",
  scrapedAt: number
): Result.Result<ReadScrape, ScrapeUnsupported> => {
  const unsupported = (detail: string) =>
    new ScrapeUnsupported({ exporter: exporter.name, endpoint: redactedUrl(endpoint), detail })
  const { families } = exporter.scrape
  const exposition = parseExposition(body, { format, ...(families === undefined ? {} : { families }) })
  if (Result.isFailure(exposition)) return Result.fail(unsupported(refusal(exposition.failure)))
  const parsed = exporter.parse(exposition.success.samples, new Date(scrapedAt))
  if (Result.isFailure(parsed)) return Result.fail(unsupported(parsed.failure.reason))
  const { rows, skipped } = parsed.success
  const columns = Object.keys(exporter.table.columns)
  const since = parsed.success.countersSince
  const countersSince = since !== null && since >= 0 && since <= scrapedAt + FUTURE_MILLIS ? since : null
  const records: Array<NewSpoolRecord> = []
  let texts: Array<string> = []
  let length = 0
  let written = 0
  const left: Array<string> = []
  const flush = () => {
    if (texts.length > 0) records.push({ exporter: exporter.name, scrapedAt, rows: `[${texts.join(",")}]` })
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
  const reasons = [...[...exposition.success.skipped, ...skipped].map(reasonOf), ...left]
  return Result.succeed({
    records,
    rows: written,
    skipped: exposition.success.skippedCount + skipped.length + left.length,
    skippedReasons: reasons.slice(0, REASONS_MAX)
  })
}

const refusal = ({ message }: ExpositionRefused): string => message

const reasonOf = ({ line, reason }: Skipped): string => (line === undefined ? reason : `line ${line}: ${reason}`)

/** Other characters than these cannot stand in a header. */
const headerText = (text: string): string => text.replace(/[^\x20-\x7e]|[()\\]/g, "?")
