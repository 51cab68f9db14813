/**
 * What the agent is doing, for its `/metrics`, the page and its log: the state of each exporter and of the push.
 *
 * Written by scrapers and push, read by anyone. It holds the latest of everything and counts the rest; of what the
 * server rejected, the last 50 reasons. Nothing survives the process.
 */
import { Clock, Context, Effect, Layer } from "effect"
import type { RefusedExporter } from "../src/protocol/AgentHello.ts"
import { type Resource, type Restraint, UNRESTRAINED, type Usage } from "./budget/Budget.ts"
import { AgentConfig } from "./config/AgentConfig.ts"
import { redactedUrl } from "./config/ShownUrl.ts"

/**
 * - `starting`: not scraped yet
 * - `up`: the last scrape gave rows
 * - `empty`: it answered as it should, there was nothing to report
 * - `unmatched`: it answered, and reports nothing though it should: `error` says what mends it. Rows, where there are any,
 *   are the built-in collector's (`source`)
 * - `unsupported`: it answered, but with nothing that we understand: another program, or a version that is too old
 * - `refused`: it serves more than the limits allow: `error` names the limit and what raises it
 * - `down`: it did not answer, not in time, or not with 200
 * - `absent`: there is none, nobody asked for one, and this machine can do without
 * - `disabled`: switched off in the config
 */
export type ExporterState =
  | "starting"
  | "up"
  | "empty"
  | "unmatched"
  | "unsupported"
  | "refused"
  | "down"
  | "absent"
  | "disabled"

/** A limit of a scrape, and how much it allows. */
export type OverLimit = Omit<RefusedExporter, "exporter">

export interface ExporterStatus {
  readonly name: string
  readonly endpoint: string
  readonly state: ExporterState
  /** Since when it is in this state, epoch milliseconds. */
  readonly since: number
  /** Who served the last scrape; null before the first. */
  readonly source: "endpoint" | "collector" | null
  /** What is wrong and what helps; null while it is up. */
  readonly error: string | null
  /** The limit that it is over; null but while it is refused. */
  readonly over: OverLimit | null
  /** The last thing that was wrong; stays when it is up again. */
  readonly lastError: { readonly at: number; readonly reason: string } | null
  /** When the last scrape began, and the last that succeeded; epoch milliseconds. */
  readonly lastScrapeAt: number | null
  readonly lastSuccessAt: number | null
  readonly durationMillis: number | null
  /** Of the last scrape that succeeded. */
  readonly rows: number
  readonly skipped: number
  /** The first reasons of `skipped`. */
  readonly skippedReasons: ReadonlyArray<string>
  readonly scrapesTotal: number
  readonly failuresTotal: number
  /** Those of the failures that were for a limit. */
  readonly refusedTotal: number
  readonly rowsTotal: number
  readonly skippedTotal: number
}

/** How one scrape ended. */
export interface ScrapeOutcome {
  readonly state: Exclude<ExporterState, "starting" | "disabled">
  readonly source: "endpoint" | "collector"
  readonly error: string | null
  readonly over?: OverLimit
  readonly startedAt: number
  readonly durationMillis: number
  readonly rows: number
  readonly skipped: number
  readonly skippedReasons: ReadonlyArray<string>
}

/**
 * - `idle`: nothing to send yet
 * - `delivering`: the last request was accepted
 * - `retrying`: the server is away or busy; it is tried again by itself
 * - `misconfigured`: token or address are wrong; somebody has to mend that, it is tried again slowly
 */
export type PushState = "idle" | "delivering" | "retrying" | "misconfigured" | "unconfigured"

/** Rows that the server did not take, and why. */
export interface Rejection {
  readonly at: number
  readonly exporter: string
  readonly reason: string
  /** The first of these rows as it was sent, clipped; null where a whole request was refused. */
  readonly row: string | null
  readonly rows: number
}

export interface PushStatus {
  readonly state: PushState
  readonly since: number
  readonly error: string | null
  /** The last thing that was wrong; stays when it delivers again. */
  readonly lastError: { readonly at: number; readonly reason: string } | null
  readonly lastSuccessAt: number | null
  /** When it is tried again, in the states `retrying` and `misconfigured`. */
  readonly retryAt: number | null
  /** Requests by what became of them: `202`, `429`, …, or `error` where there was no answer. */
  readonly requests: Readonly<Record<string, number>>
  readonly rowsAccepted: number
  readonly rowsRejected: number
  /** Rows that the server did not take yet, each time that they were offered: they stay in the spool. */
  readonly rowsKept: number
  /** Rows that were sent with their times corrected. */
  readonly rowsCorrected: number
  /** Records given up because the server refused them for good. */
  readonly recordsRefused: number
  readonly bytesSent: number
  /** The latest last. */
  readonly rejections: ReadonlyArray<Rejection>
}

/** What is known of this machine's wall clock. */
export interface ClockStatus {
  /** How often it was set while somebody looked. */
  readonly steps: number
  readonly lastStepSeconds: number | null
  /** How far it is ahead of the server's; null before the first answer. */
  readonly skewSeconds: number | null
}

/** What the agent used in the last minute, and what it does without to keep within its budget. */
export interface BudgetStatus {
  /** Null before the first minute, and where nobody watches. */
  readonly usage: Usage | null
  readonly restraint: Restraint
  /** What it does without something for. */
  readonly causes: ReadonlyArray<Resource>
}

export interface AgentStatusView {
  readonly serverName: string
  readonly exporters: ReadonlyArray<ExporterStatus>
  readonly push: PushStatus
  readonly clock: ClockStatus
  readonly budget: BudgetStatus
}

/** What changed in the push; absent fields stay. Counts are added. */
export interface PushChange {
  readonly state?: PushState
  readonly error?: string | null
  readonly retryAt?: number | null
  readonly succeeded?: boolean
  readonly request?: string
  readonly rowsAccepted?: number
  readonly rowsRejected?: number
  readonly rowsKept?: number
  readonly rowsCorrected?: number
  readonly recordsRefused?: number
  readonly bytesSent?: number
  readonly rejections?: ReadonlyArray<Omit<Rejection, "at">>
}

export class AgentStatus extends Context.Service<
  AgentStatus,
  {
    readonly view: Effect.Effect<AgentStatusView>
    /** The same, for the live view of a supervisor. */
    readonly current: () => AgentStatusView
    /** Resolves to the state before. */
    readonly scraped: (exporter: string, outcome: ScrapeOutcome) => Effect.Effect<ExporterStatus>
    /** Resolves to the state before. */
    readonly pushed: (change: PushChange) => Effect.Effect<PushStatus>
    readonly restrained: (budget: BudgetStatus) => Effect.Effect<void>
    readonly clockStepped: (seconds: number) => Effect.Effect<void>
    readonly clockSkew: (millis: number) => Effect.Effect<void>
  }
>()("nodepulse/agent/AgentStatus") {
  static readonly layer: Layer.Layer<AgentStatus, never, AgentConfig> = Layer.effect(
    AgentStatus,
    Effect.suspend(() => make)
  )
}

const REJECTIONS_MAX = 50

const make = Effect.gen(function* () {
  const config = yield* AgentConfig
  const clock = yield* Clock.Clock
  const since = clock.currentTimeMillisUnsafe()
  const exporters = new Map<string, ExporterStatus>()
  for (const { endpoint, exporter } of config.exporters) {
    exporters.set(exporter.name, initial(exporter.name, redactedUrl(endpoint), "starting", since))
  }
  for (const name of config.disabled) exporters.set(name, initial(name, "", "disabled", since))
  let push: PushStatus = {
    state: config.server === undefined ? "unconfigured" : "idle",
    since,
    error: null,
    lastError: null,
    lastSuccessAt: null,
    retryAt: null,
    requests: {},
    rowsAccepted: 0,
    rowsRejected: 0,
    rowsKept: 0,
    rowsCorrected: 0,
    recordsRefused: 0,
    bytesSent: 0,
    rejections: []
  }
  let machine: ClockStatus = { steps: 0, lastStepSeconds: null, skewSeconds: null }
  let budget: BudgetStatus = { usage: null, restraint: UNRESTRAINED, causes: [] }
  const current = () => ({
    serverName: config.serverName,
    exporters: [...exporters.values()],
    push,
    clock: machine,
    budget
  })
  return AgentStatus.of({
    view: Effect.sync(current),
    current,
    scraped: (name, outcome) =>
      Effect.sync(() => {
        const now = clock.currentTimeMillisUnsafe()
        const before = exporters.get(name) ?? initial(name, "", "starting", now)
        exporters.set(name, afterScrape(before, outcome, now))
        return before
      }),
    pushed: (change) =>
      Effect.sync(() => {
        const before = push
        push = afterPush(before, change, clock.currentTimeMillisUnsafe())
        return before
      }),
    restrained: (status) =>
      Effect.sync(() => {
        budget = status
      }),
    clockStepped: (seconds) =>
      Effect.sync(() => {
        machine = { ...machine, steps: machine.steps + 1, lastStepSeconds: seconds }
      }),
    clockSkew: (millis) =>
      Effect.sync(() => {
        machine = { ...machine, skewSeconds: Math.round(millis) / 1_000 }
      })
  })
})

const initial = (name: string, endpoint: string, state: ExporterState, since: number): ExporterStatus => ({
  name,
  endpoint,
  state,
  since,
  source: null,
  error: null,
  over: null,
  lastError: null,
  lastScrapeAt: null,
  lastSuccessAt: null,
  durationMillis: null,
  rows: 0,
  skipped: 0,
  skippedReasons: [],
  scrapesTotal: 0,
  failuresTotal: 0,
  refusedTotal: 0,
  rowsTotal: 0,
  skippedTotal: 0
})

const afterScrape = (before: ExporterStatus, outcome: ScrapeOutcome, now: number): ExporterStatus => {
  const { startedAt, ...latest } = outcome
  const refused = outcome.state === "refused"
  const failed = refused || outcome.state === "down" || outcome.state === "unsupported"
  return {
    ...before,
    ...latest,
    over: outcome.over ?? null,
    since: outcome.state === before.state ? before.since : now,
    lastError: outcome.error === null ? before.lastError : { at: startedAt, reason: outcome.error },
    lastScrapeAt: startedAt,
    lastSuccessAt: failed || outcome.state === "absent" ? before.lastSuccessAt : startedAt,
    scrapesTotal: before.scrapesTotal + 1,
    failuresTotal: before.failuresTotal + (failed ? 1 : 0),
    refusedTotal: before.refusedTotal + (refused ? 1 : 0),
    rowsTotal: before.rowsTotal + outcome.rows,
    skippedTotal: before.skippedTotal + outcome.skipped
  }
}

const afterPush = (before: PushStatus, change: PushChange, now: number): PushStatus => ({
  state: change.state ?? before.state,
  since: change.state === undefined || change.state === before.state ? before.since : now,
  error: change.error === undefined ? before.error : change.error,
  lastError: change.error === undefined || change.error === null ? before.lastError : { at: now, reason: change.error },
  lastSuccessAt: change.succeeded === true ? now : before.lastSuccessAt,
  retryAt: change.retryAt === undefined ? before.retryAt : change.retryAt,
  requests:
    change.request === undefined
      ? before.requests
      : { ...before.requests, [change.request]: (before.requests[change.request] ?? 0) + 1 },
  rowsAccepted: before.rowsAccepted + (change.rowsAccepted ?? 0),
  rowsRejected: before.rowsRejected + (change.rowsRejected ?? 0),
  rowsKept: before.rowsKept + (change.rowsKept ?? 0),
  rowsCorrected: before.rowsCorrected + (change.rowsCorrected ?? 0),
  recordsRefused: before.recordsRefused + (change.recordsRefused ?? 0),
  bytesSent: before.bytesSent + (change.bytesSent ?? 0),
  rejections:
    change.rejections === undefined || change.rejections.length === 0
      ? before.rejections
      : [...before.rejections, ...change.rejections.map((rejection) => ({ at: now, ...rejection }))].slice(
          -REJECTIONS_MAX
        )
})
