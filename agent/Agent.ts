/**
 * The agent: scrape -> spool -> push, as a list of fiber bodies for a supervisor.
 *
 * ```
 * exporter ── scrape:<exporter> ──> Spool ── push ──> POST /metrics/prometheus
 *                     └──────────── AgentStatus ─────────────┘
 * /proc ── recorder ──> the last 15 minutes ── recordings ──> POST /api/recordings
 * ```
 *
 * It forks nothing itself. The children share nothing but the spool and the status, so one of them can fail and start
 * again without the others. To stop it: let `drain` run for a short time (a last delivery), then interrupt the
 * children; the spool is left as it is.
 */
import { Clock, Effect, Layer } from "effect"
import type { StageView } from "../src/engine/Stage.ts"
import { AgentStatus, type AgentStatusView } from "./AgentStatus.ts"
import { watchBudget } from "./budget/BudgetWatch.ts"
import { MachineClock } from "./clock/MachineClock.ts"
import { Collectors } from "./collector/Collector.ts"
import { AgentConfig, type AgentConfigShape } from "./config/AgentConfig.ts"
import { type MetricsAddressUnavailable, serveMetrics } from "./MetricsEndpoint.ts"
import { makePush } from "./push/Push.ts"
import { machineSources } from "./recorder/MachineSources.ts"
import { PushAnswered } from "./recorder/PushAnswered.ts"
import { makeRecorder, type Recorder } from "./recorder/Recorder.ts"
import { runScraper } from "./scrape/Scraper.ts"
import { Spool, type SpoolLevel } from "./spool/Spool.ts"
import { layerDisk } from "./spool/SpoolDisk.ts"
import type { SpoolLocked } from "./spool/SpoolLock.ts"
import { layerMemory } from "./spool/SpoolMemory.ts"

export interface AgentChild {
  readonly name: string
  /** Never ends by itself, and fails only where trying again can help. */
  readonly run: Effect.Effect<never, MetricsAddressUnavailable>
}

export interface Agent {
  /** `scrape:<exporter>` for each enabled exporter, then `push`, the recorder's, `budget` where there is one, then
   * `metrics` where they are served. */
  readonly children: ReadonlyArray<AgentChild>
  /** A last delivery of what is in the spool: ends when it is empty, or at the first request that fails. */
  readonly drain: Effect.Effect<void>
  /** What its children count, in the form of a pipeline's stages: the push's mailbox is the spool, in bytes. */
  readonly stages: () => ReadonlyArray<StageView>
}

export type AgentServices = AgentConfig | AgentStatus | Collectors | MachineClock | Spool

/** What the agent notes of itself and of its clock. */
export const layerStatus: Layer.Layer<AgentStatus | MachineClock, never, AgentConfig | Spool> = MachineClock.layer.pipe(
  Layer.provideMerge(AgentStatus.layer)
)

/** The children of the configured agent. */
export const makeAgent: Effect.Effect<Agent, never, AgentServices> = Effect.gen(function* () {
  const config = yield* AgentConfig
  const services = yield* Effect.context<AgentServices>()
  const status = yield* AgentStatus
  const recorder = yield* recorderOf(config, () => !status.current().budget.restraint.recorder)
  const push = yield* Effect.provideService(makePush, PushAnswered, recorder.answered)
  for (const warning of config.warnings) yield* Effect.logWarning(warning)
  if (config.server === undefined)
    yield* Effect.logWarning("no server is configured (server.url): nothing is delivered")
  const scrapers = config.exporters.map((settings) => ({
    name: `scrape:${settings.exporter.name}`,
    run: Effect.provideContext(runScraper(settings), services)
  }))
  const children: Array<AgentChild> = [...scrapers, { name: "push", run: push.run }, ...recorder.children]
  const { budget } = config
  if (budget?.cpuPercent !== undefined || budget?.memoryBytes !== undefined) {
    children.push({ name: "budget", run: Effect.provideContext(watchBudget(budget), services) })
  }
  if (config.metrics !== undefined) {
    children.push({ name: "metrics", run: Effect.provideContext(serveMetrics(config.metrics), services) })
  }
  const spool = yield* Spool
  return { children, drain: push.flush, stages: () => stagesOf(status.current(), spool.level()) }
})

/** The flight recorder, on Linux and where there is a server to send to; unless it is switched off. */
const recorderOf = Effect.fnUntraced(function* (config: AgentConfigShape, isResting: () => boolean) {
  const { recorder, server } = config
  const { available } = yield* Collectors
  if (server === undefined || !available || recorder?.enabled === false) return NO_RECORDER
  return yield* makeRecorder(server, machineSources(config, yield* Clock.Clock), isResting)
})

const NO_RECORDER: Recorder = { children: [], answered: () => {} }

/** Rows by stage, records in the spool. Last errors stay, as those of every stage do. Pure. */
const stagesOf = ({ exporters, push }: AgentStatusView, spool: SpoolLevel): ReadonlyArray<StageView> => [
  ...exporters
    .filter(({ state }) => state !== "disabled")
    .map(
      ({ failuresTotal, lastError, name, rowsTotal, skippedTotal }): StageView => ({
        stage: `scrape:${name}`,
        received: rowsTotal + skippedTotal,
        passed: rowsTotal,
        rejected: skippedTotal,
        kept: 0,
        inHand: 0,
        retries: failuresTotal,
        lastError,
        mailbox: null
      })
    ),
  {
    stage: "spool",
    received: spool.received,
    passed: spool.removed,
    rejected: spool.dropped + spool.damaged,
    kept: 0,
    inHand: spool.records,
    retries: 0,
    lastError: spool.lastError,
    mailbox: null
  },
  {
    stage: "push",
    received: push.rowsAccepted + push.rowsRejected,
    passed: push.rowsAccepted,
    rejected: push.rowsRejected,
    kept: 0,
    inHand: 0,
    retries: Object.entries(push.requests).reduce((sum, [status, count]) => sum + (status === "202" ? 0 : count), 0),
    lastError: push.lastError,
    mailbox: { depth: spool.bytes, capacity: spool.maxBytes, highWater: spool.bytesHighest, unit: "bytes" }
  }
]

/** The spool that the config asks for: in its folder, else in memory. */
export const layerSpool: Layer.Layer<Spool, SpoolLocked, AgentConfig> = Layer.unwrap(
  Effect.map(AgentConfig, ({ buffer: { maxAge, maxBytes, path } }) =>
    path === undefined ? layerMemory({ maxBytes, maxAge }) : layerDisk({ path, maxBytes, maxAge })
  )
)
