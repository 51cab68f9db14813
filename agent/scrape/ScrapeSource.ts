/**
 * Where the body of a scrape comes from: the exporter's endpoint, or the built-in collector in its place.
 *
 * The collector stands in, at the very tick, where the endpoint is this machine's and refuses the connection, or answers
 * and reports nothing though it should (`Exporter.scrape.empty`). The endpoint is always asked first (a refusal costs
 * 0.1 ms), so that an exporter takes over as soon as it serves: taking over later would count twice what both had seen. The
 * collector is opened anew each time it begins to stand in.
 */
import { Effect, Result } from "effect"
import { formatOf } from "../../src/plugins/Exposition.ts"
import { type Collection, Collectors, type OpenCollector } from "../collector/Collector.ts"
import { type AgentExporter, isLocal } from "../config/AgentConfig.ts"
import { redactedUrl } from "../config/ShownUrl.ts"
import { type ExchangeRequest, exchange } from "./HttpExchange.ts"
import { ScrapeDown, statusDetail } from "./ScrapeError.ts"

/** What one scrape brought. */
export interface ScrapeBody {
  readonly body: string | Uint8Array | Collection
  readonly format: "text" | "openmetrics"
  /** Epoch milliseconds. */
  readonly at: number
  readonly source: "endpoint" | "collector"
}

export interface ScrapeSource {
  /** The endpoint's answer; the collector's where that is to serve, or stands in for an endpoint that refuses. */
  readonly read: Effect.Effect<ScrapeBody, ScrapeDown>
  /** The collector's, for an endpoint that reports nothing; undefined where it may not stand in. */
  readonly standIn: Effect.Effect<ScrapeBody, ScrapeDown> | undefined
  /** The endpoint served: a collector that stood in before is forgotten. */
  readonly served: Effect.Effect<void>
}

/**
 * OpenMetrics is not asked for: it carries nothing that a plugin reads, and exporters that serve both spend more on it.
 * It is understood where it comes.
 */
const ACCEPT = "text/plain;version=0.0.4;q=1,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1"

/** The request for the metrics of an exporter. */
export const scrapeRequest = (
  {
    bodyLimit,
    connection,
    endpoint,
    timeout
  }: Pick<AgentExporter, "bodyLimit" | "connection" | "endpoint" | "timeout">,
  userAgent: string
): Effect.Effect<ExchangeRequest> =>
  Effect.map(connection ?? Effect.succeed({}), (certificates) => ({
    ...certificates,
    method: "GET",
    url: endpoint,
    headers: { accept: ACCEPT, "accept-encoding": "identity", "user-agent": userAgent },
    timeout,
    bodyLimit
  }))

export const makeScrapeSource = (
  settings: AgentExporter,
  userAgent: string
): Effect.Effect<ScrapeSource, never, Collectors> =>
  Effect.gen(function* () {
    const { collector, endpoint, exporter } = settings
    const collectors = yield* Collectors
    const kind = exporter.scrape.collector
    const shown = redactedUrl(endpoint)
    const down = (failure: ScrapeDown["failure"], detail: string, status?: number) =>
      new ScrapeDown({
        exporter: exporter.name,
        endpoint: shown,
        failure,
        detail,
        ...(status === undefined ? {} : { status })
      })
    let open: OpenCollector | undefined

    const fromEndpoint: Effect.Effect<ScrapeBody, ScrapeDown> = Effect.gen(function* () {
      const response = yield* exchange(yield* scrapeRequest(settings, userAgent)).pipe(
        Effect.mapError(({ detail, failure }) => down(failure, detail))
      )
      const { body, headers, respondedAt, status } = response
      if (status !== 200) return yield* down("status", statusDetail(status, headers.location), status)
      return { body, format: formatOf(headers["content-type"]), at: respondedAt, source: "endpoint" }
    })

    const fromCollector: Effect.Effect<ScrapeBody, ScrapeDown> = Effect.gen(function* () {
      if (kind === undefined) return yield* down("collector", "there is no built-in collector for it")
      open ??= yield* collectors.open(kind)
      const body = yield* open.collect
      return { body, format: "text", at: body.collectedAt, source: "collector" } as const
    }).pipe(Effect.catchTag("CollectorUnavailable", ({ reason }) => Effect.fail(down("collector", reason))))

    const served = Effect.sync(() => {
      open = undefined
    })
    if (collector === "always") return { read: fromCollector, standIn: undefined, served: Effect.void }
    if (collector === "never" || kind === undefined || !collectors.available || !isLocal(endpoint)) {
      return { read: fromEndpoint, standIn: undefined, served }
    }
    const read = Effect.gen(function* () {
      const body = yield* Effect.result(fromEndpoint)
      if (Result.isFailure(body) && body.failure.failure === "refused") return yield* fromCollector
      if (Result.isFailure(body)) yield* served
      return yield* Effect.fromResult(body)
    })
    return { read, standIn: fromCollector, served }
  })
