/**
 * What NodePulse says about itself: one prom-client registry as a service, shown by `GET /metrics`.
 *
 * The HTTP side counts here. Other parts make their own metrics in `registry`, and register what has to be asked for at
 * each scrape with `beforeScrape`. Names begin with `nodepulse_`; Node's own metrics are beside them.
 *
 * Bound: labels have a fixed set of values (routes of the definition, statuses, exporters of the registry), so that no
 * request can add a series. A collector gets `COLLECT_WITHIN`; one that fails or hangs leaves its last values and is
 * counted, the others go on.
 */
import { Context, Duration, Effect, Layer } from "effect"
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry as PromRegistry } from "prom-client"
import type { DecodedPayload } from "../../plugins/Payload.ts"
import { Registry } from "../../plugins/Registry.ts"
import { StreamOwners } from "../../sinks/stream/leases/StreamOwners.ts"
import { SnapshotStream } from "../../sinks/stream/SnapshotStream.ts"

const COLLECT_WITHIN = Duration.seconds(2)
/** There are three, each with some statements of its own. */
const COLLECTORS_AT_ONCE = 8

/** Exporter label for what no exporter of the registry has sent. */
const UNKNOWN = "unknown"

export class SelfMetrics extends Context.Service<
  SelfMetrics,
  {
    /** Where other parts make their counters, gauges and histograms. */
    readonly registry: PromRegistry
    /** Runs before each scrape: sets gauges that nobody updates in between. It must not fail with an expected error. */
    readonly beforeScrape: (name: string, collect: Effect.Effect<void>) => Effect.Effect<void>
    /** All metrics as text. */
    readonly text: Effect.Effect<string>
    /** Counts one answered request. `route` is a path of the definition, never the address asked for. */
    readonly answered: (method: string, route: string, status: number, seconds: number) => void
    readonly received: (wireBytes: number, jsonBytes: number) => void
    /** Counts a payload that was answered: what it had accepted and rejected, by exporter. */
    readonly ingested: (payload: DecodedPayload) => void
    /** Counts a request that was turned away because there is too much at once. */
    /** Counts a request whose agent has corrected the times of its rows, since its clock is wrong. */
    readonly corrected: () => void
    /** Counts a request that was refused since another agent writes with its token. */
    readonly tokenInUse: (reason: "waiting" | "conflict" | "replayed") => void
    readonly shed: (reason: "requests" | "bytes" | "server_share" | "rate") => void
  }
>()("nodepulse/http/SelfMetrics") {
  static readonly layer: Layer.Layer<SelfMetrics, never, Registry> = Layer.effect(
    SelfMetrics,
    Effect.gen(function* () {
      const { exporters } = yield* Registry
      const registry = yield* makeRegistry
      const registers = [registry]

      const requests = new Counter({
        name: "nodepulse_http_requests_total",
        help: "Requests answered.",
        labelNames: ["method", "route", "status"],
        registers
      })
      const duration = new Histogram({
        name: "nodepulse_http_request_duration_seconds",
        help: "Time from the request's headers to its answer.",
        labelNames: ["route"],
        buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
        registers
      })
      const names = exporters.map((exporter) => exporter.name)
      const perExporter = (name: string, help: string) =>
        countedBy(new Counter({ name, help, labelNames: ["exporter"], registers }), names)
      const accepted = perExporter("nodepulse_ingest_accepted_total", "Snapshots accepted, durable in the stream.")
      const rejected = perExporter("nodepulse_ingest_rejected_total", "Snapshots rejected with a reason.")
      const ignored = new Counter({
        name: "nodepulse_ingest_ignored_fields_total",
        help: "Fields of accepted snapshots that mean nothing here.",
        registers
      })
      const bytes = new Counter({
        name: "nodepulse_ingest_bytes_total",
        help: "Bytes of ingest bodies, as sent (wire) and unpacked (json).",
        labelNames: ["form"],
        registers
      })
      const wire = bytes.labels("wire")
      const json = bytes.labels("json")
      const shed = new Counter({
        name: "nodepulse_ingest_shed_total",
        help: "Ingest requests turned away because there was too much at once.",
        labelNames: ["reason"],
        registers
      })
      const corrected = new Counter({
        name: "nodepulse_ingest_corrected_total",
        help: "Ingest requests whose agent corrected the times of its rows, since its clock is wrong.",
        registers
      })
      const tokenInUse = new Counter({
        name: "nodepulse_ingest_token_in_use_total",
        help: "Ingest requests refused since another agent writes with the same token.",
        labelNames: ["reason"],
        registers
      })
      const failures = new Counter({
        name: "nodepulse_collect_failures_total",
        help: "Collectors that failed or took too long at a scrape.",
        labelNames: ["collector"],
        registers
      })

      const collectors = new Map<string, Effect.Effect<void>>()
      const collect = collectAll(collectors, (name) => failures.inc({ collector: name }))
      // Children are looked up by their labels once: prom-client hashes them on each call otherwise.
      const answeredChildren = new Map<string, Counter.Internal>()
      const durationChildren = new Map<string, Histogram.Internal<"route">>()

      return SelfMetrics.of({
        registry,
        beforeScrape: (name, effect) => Effect.sync(() => void collectors.set(name, effect)),
        text: Effect.andThen(
          collect,
          Effect.promise(() => registry.metrics())
        ),
        answered: (method, route, status, seconds) => {
          const key = `${method} ${status} ${route}`
          remembered(answeredChildren, key, () => requests.labels(method, route, String(status))).inc()
          remembered(durationChildren, route, () => duration.labels(route)).observe(seconds)
        },
        received: (wireBytes, jsonBytes) => {
          wire.inc(wireBytes)
          json.inc(jsonBytes)
        },
        ingested: (payload) => {
          for (const { exporter, length } of payload.accepted) accepted(exporter, length)
          countRuns(payload.rejected, rejected)
          for (const { exporter, rows } of payload.ranges) rejected(exporter, rows)
          // Of so many that they were not told apart, the exporter is the last that was.
          for (const count of payload.further.values()) rejected(payload.ranges.at(-1)?.exporter ?? UNKNOWN, count)
          if (payload.ignoredFields > 0) ignored.inc(payload.ignoredFields)
        },
        shed: (reason) => shed.inc({ reason }),
        corrected: () => corrected.inc(),
        tokenInUse: (reason) => tokenInUse.inc({ reason })
      })
    })
  )
}

/** With what Node tells of itself. */
const makeRegistry = Effect.acquireRelease(
  Effect.sync(() => {
    const registry = new PromRegistry()
    collectDefaultMetrics({ register: registry })
    return registry
  }),
  (registry) => Effect.sync(() => registry.clear())
)

/** Counts by exporter, from 0 for each known one; what is not known counts together, so that nobody makes up labels. */
const countedBy = (counter: Counter<"exporter">, exporters: ReadonlyArray<string>) => {
  const children = new Map([...exporters, UNKNOWN].map((name) => [name, counter.labels(name)]))
  for (const child of children.values()) child.inc(0)
  return (exporter: string, count: number): void => (children.get(exporter) ?? children.get(UNKNOWN)!).inc(count)
}

/** Runs every collector, each in its time; whoever fails is told by name and keeps nobody else from being collected. */
const collectAll = (
  collectors: ReadonlyMap<string, Effect.Effect<void>>,
  failed: (name: string) => void
): Effect.Effect<void> =>
  Effect.suspend(() =>
    Effect.forEach(
      collectors,
      ([name, effect]) =>
        effect.pipe(
          Effect.timeout(COLLECT_WITHIN),
          Effect.catchCause(() => Effect.sync(() => failed(name)))
        ),
      { concurrency: COLLECTORS_AT_ONCE, discard: true }
    )
  )

/** Counts rows by exporter. A payload has the rows of an exporter together, so a run is counted at once. */
const countRuns = (
  rows: ReadonlyArray<{ readonly exporter: string }>,
  count: (exporter: string, count: number) => void
) => {
  let from = 0
  for (let at = 1; at <= rows.length; at++) {
    const exporter = rows[from]!.exporter
    if (at < rows.length && rows[at]!.exporter === exporter) continue
    count(exporter, at - from)
    from = at
  }
}

const remembered = <A>(values: Map<string, A>, key: string, make: () => A): A => {
  let value = values.get(key)
  if (value === undefined) {
    value = make()
    values.set(key, value)
  }
  return value
}

/** Gauges of the stream, asked for at each scrape. */
export const streamMetrics: Layer.Layer<never, never, SelfMetrics | SnapshotStream> = Layer.effectDiscard(
  Effect.gen(function* () {
    const metrics = yield* SelfMetrics
    const stream = yield* SnapshotStream
    const gauge = (name: string, help: string) => new Gauge({ name, help, registers: [metrics.registry] })
    const up = gauge("nodepulse_stream_up", "1 where every stream answered, else 0.")
    const length = gauge("nodepulse_stream_length", "Rows in the stream, unread and unacknowledged.")
    const pending = gauge("nodepulse_stream_pending", "Rows handed out and not yet acknowledged.")
    const postponed = gauge("nodepulse_stream_waiting", "Rows that wait for a node of the database that is away.")
    const bound = gauge("nodepulse_stream_bound", "The most rows that the stream takes.")
    const used = gauge("nodepulse_stream_bytes", "Bytes that the stream's storage uses; absent where it cannot tell.")
    const oldest = gauge("nodepulse_stream_oldest_seconds", "Age of the oldest entry; 0 where there is none.")
    const each = (name: string, help: string) =>
      new Gauge({ name, help, labelNames: ["stream"], registers: [metrics.registry] })
    const rows = each("nodepulse_streams_rows", "Rows in each stream, by its number.")
    const waited = each("nodepulse_streams_oldest_seconds", "Age of each stream's oldest entry; 0 where there is none.")
    const owned = each("nodepulse_streams_owned", "1 where a digest reads the stream, else 0.")
    const owners = yield* StreamOwners
    yield* metrics.beforeScrape(
      "owners of streams",
      owners.pipe(
        Effect.tap((all) =>
          Effect.sync(() => {
            owned.reset()
            for (const { owner, stream } of all ?? []) owned.set({ stream }, owner === null ? 0 : 1)
          })
        ),
        Effect.timeout("1 second"),
        // Where the database is away the gauge keeps its values; `readyz` says so.
        Effect.ignore
      )
    )
    yield* metrics.beforeScrape(
      "stream",
      stream.stats.pipe(
        Effect.tap((stats) =>
          Effect.sync(() => {
            up.set(stats.silent.length === 0 ? 1 : 0)
            length.set(stats.length)
            pending.set(stats.pending)
            postponed.set(stats.waiting)
            bound.set(stats.bound)
            if (stats.bytes !== null) used.set(stats.bytes)
            oldest.set(stats.oldestSeconds ?? 0)
            for (const one of [rows, waited]) one.reset()
            for (const { length, oldestSeconds, stream } of stats.streams) {
              rows.set({ stream }, length)
              waited.set({ stream }, oldestSeconds ?? 0)
            }
          })
        ),
        Effect.asVoid,
        Effect.catch(() => Effect.sync(() => up.set(0))),
        Effect.timeoutOrElse({ duration: "1 second", orElse: () => Effect.sync(() => up.set(0)) })
      )
    )
  })
)
