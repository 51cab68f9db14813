/**
 * The agent's own metrics, in the Prometheus text format: what `AgentStatus` and the spool say at this moment.
 *
 * Rendered when asked for, so that it costs nothing in between. Labels are exporter names and fixed words: the number of
 * series is bounded by the registry.
 */
import { Effect } from "effect"
import {
  AgentStatus,
  type AgentStatusView,
  type BudgetStatus,
  type ClockStatus,
  type ExporterState,
  type ExporterStatus,
  type PushState,
  type PushStatus
} from "./AgentStatus.ts"
import type { Resource } from "./budget/Budget.ts"
import { type Family, familyOf, renderExposition } from "./collector/ExpositionText.ts"
import { Spool, type SpoolStats } from "./spool/Spool.ts"

/** The exposition, ending in a line feed. */
export const agentMetrics: Effect.Effect<string, never, AgentStatus | Spool> = Effect.gen(function* () {
  const status = yield* (yield* AgentStatus).view
  const spool = yield* (yield* Spool).stats
  return renderExposition(agentFamilies(status, spool))
})

const EXPORTER_STATES: ReadonlyArray<ExporterState> = [
  "starting",
  "up",
  "empty",
  "unmatched",
  "unsupported",
  "refused",
  "down",
  "absent",
  "disabled"
]
const PUSH_STATES: ReadonlyArray<PushState> = ["idle", "delivering", "retrying", "misconfigured", "unconfigured"]

/** Names end in their unit; times are in seconds since the epoch. */
const agentFamilies = (
  { budget, clock, exporters, push }: AgentStatusView,
  spool: SpoolStats
): ReadonlyArray<Family> => [
  ...exporterFamilies(exporters),
  ...pushFamilies(push),
  ...clockFamilies(clock),
  ...budgetFamilies(budget),
  ...spoolFamilies(spool)
]

const exporterFamilies = (exporters: ReadonlyArray<ExporterStatus>): ReadonlyArray<Family> => {
  const perExporter = (
    name: string,
    help: string,
    type: Family["type"],
    value: (exporter: ExporterStatus) => number | null
  ) =>
    familyOf({
      name,
      help,
      type,
      samples: exporters.flatMap((exporter) => {
        const number = value(exporter)
        return number === null ? [] : [[{ exporter: exporter.name }, number] as const]
      })
    })
  return [
    perExporter(
      "nodepulse_agent_exporter_up",
      "1 if the exporter's last scrape was understood, rows or not. Not there of one that is absent.",
      "gauge",
      ({ state }) => (state === "absent" ? null : state === "up" || state === "empty" ? 1 : 0)
    ),
    familyOf({
      name: "nodepulse_agent_exporter_state",
      help: "1 for the state that the exporter is in.",
      type: "gauge",
      samples: exporters.flatMap(({ name, state }) =>
        EXPORTER_STATES.map((each) => [{ exporter: name, state: each }, each === state ? 1 : 0] as const)
      )
    }),
    perExporter(
      "nodepulse_agent_exporter_built_in",
      "1 if the built-in collector served the last scrape.",
      "gauge",
      ({ source }) => (source === null ? null : source === "collector" ? 1 : 0)
    ),
    perExporter("nodepulse_agent_scrapes_total", "Scrapes.", "counter", ({ scrapesTotal }) => scrapesTotal),
    perExporter(
      "nodepulse_agent_scrape_failures_total",
      "Scrapes that gave nothing.",
      "counter",
      (exporter) => exporter.failuresTotal
    ),
    perExporter(
      "nodepulse_agent_scrape_refused_total",
      "Scrapes that were refused because they were over a limit.",
      "counter",
      ({ refusedTotal }) => refusedTotal
    ),
    perExporter("nodepulse_agent_scrape_rows_total", "Rows scraped.", "counter", ({ rowsTotal }) => rowsTotal),
    perExporter(
      "nodepulse_agent_scrape_skipped_total",
      "Parts of scrapes that were left out.",
      "counter",
      ({ skippedTotal }) => skippedTotal
    ),
    perExporter(
      "nodepulse_agent_scrape_duration_seconds",
      "How long the last scrape took.",
      "gauge",
      ({ durationMillis }) => seconds(durationMillis)
    ),
    perExporter(
      "nodepulse_agent_scrape_last_success_timestamp_seconds",
      "When a scrape last succeeded.",
      "gauge",
      ({ lastSuccessAt }) => seconds(lastSuccessAt)
    )
  ]
}

const pushFamilies = (push: PushStatus): ReadonlyArray<Family> => [
  familyOf({
    name: "nodepulse_agent_push_state",
    help: "1 for the state that the push is in.",
    type: "gauge",
    samples: PUSH_STATES.map((each) => [{ state: each }, each === push.state ? 1 : 0] as const)
  }),
  familyOf({
    name: "nodepulse_agent_push_requests_total",
    help: "Requests by the status of their answer; error where there was none.",
    type: "counter",
    samples: Object.entries(push.requests).map(([status, count]) => [{ status }, count] as const)
  }),
  single("nodepulse_agent_push_rows_accepted_total", "Rows that the server accepted.", "counter", push.rowsAccepted),
  single("nodepulse_agent_push_rows_rejected_total", "Rows that the server rejected.", "counter", push.rowsRejected),
  single(
    "nodepulse_agent_push_rows_kept_total",
    "Rows that the server did not take yet, each time they were offered; they stay in the spool.",
    "counter",
    push.rowsKept
  ),
  single(
    "nodepulse_agent_push_rows_corrected_total",
    "Rows sent with their times corrected, since the clock was wrong.",
    "counter",
    push.rowsCorrected
  ),
  single(
    "nodepulse_agent_push_records_refused_total",
    "Scrapes given up because the server refused them for good.",
    "counter",
    push.recordsRefused
  ),
  single("nodepulse_agent_push_bytes_total", "Bytes of request bodies, compressed.", "counter", push.bytesSent),
  single(
    "nodepulse_agent_push_last_success_timestamp_seconds",
    "When the server last accepted a request.",
    "gauge",
    seconds(push.lastSuccessAt)
  )
]

const clockFamilies = (clock: ClockStatus): ReadonlyArray<Family> => [
  single(
    "nodepulse_agent_clock_steps_total",
    "Times that the machine's clock was set by a second or more.",
    "counter",
    clock.steps
  ),
  single(
    "nodepulse_agent_clock_last_step_seconds",
    "By how much it was set last; negative: back.",
    "gauge",
    clock.lastStepSeconds
  ),
  single(
    "nodepulse_agent_clock_skew_seconds",
    "How far it is ahead of the server's, within the time of a request; 0 where that cannot be told.",
    "gauge",
    clock.skewSeconds
  )
]

const RESOURCES: ReadonlyArray<Resource> = ["cpu", "memory"]

const budgetFamilies = ({ causes, restraint, usage }: BudgetStatus): ReadonlyArray<Family> => [
  single(
    "nodepulse_agent_cpu_ratio",
    "CPU that the agent used in the last minute, in cores.",
    "gauge",
    usage === null ? null : usage.cpuSeconds / usage.seconds
  ),
  single(
    "nodepulse_agent_memory_bytes",
    "Memory that the agent held, without rows that wait in memory.",
    "gauge",
    usage?.memoryBytes ?? null
  ),
  familyOf({
    name: "nodepulse_agent_restrained",
    help: "1 where the agent does without something to keep within its budget.",
    type: "gauge",
    samples: RESOURCES.map((resource) => [{ budget: resource }, causes.includes(resource) ? 1 : 0] as const)
  }),
  single(
    "nodepulse_agent_interval_factor",
    "How many times longer the time between two scrapes is than configured.",
    "gauge",
    restraint.interval
  ),
  single(
    "nodepulse_agent_groups_limit",
    "Groups kept apart; absent: as many as ever.",
    "gauge",
    restraint.groups ?? null
  ),
  single("nodepulse_agent_recorder_off", "1 where nothing is recorded.", "gauge", restraint.recorder ? 0 : 1)
]

const spoolFamilies = (spool: SpoolStats): ReadonlyArray<Family> => [
  single("nodepulse_agent_spool_records", "Scrapes waiting for delivery.", "gauge", spool.records),
  single("nodepulse_agent_spool_bytes", "Bytes waiting for delivery.", "gauge", spool.bytes),
  single("nodepulse_agent_spool_limit_bytes", "Bytes from which the oldest are dropped.", "gauge", spool.maxBytes),
  single(
    "nodepulse_agent_spool_oldest_timestamp_seconds",
    "When the oldest waiting scrape was taken.",
    "gauge",
    seconds(spool.oldest)
  ),
  single("nodepulse_agent_spool_dropped_total", "Scrapes dropped because of the bounds.", "counter", spool.dropped),
  single("nodepulse_agent_spool_damaged_total", "Scrapes lost to damaged files.", "counter", spool.damaged),
  single("nodepulse_agent_spool_durable", "1 if waiting scrapes survive the process.", "gauge", spool.durable ? 1 : 0)
]

const single = (name: string, help: string, type: Family["type"], value: number | null) =>
  familyOf({ name, help, type, samples: value === null ? [] : [[{}, value]] })

const seconds = (millis: number | null) => (millis === null ? null : millis / 1000)
