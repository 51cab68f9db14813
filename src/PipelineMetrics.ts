/**
 * What the engine counts, in `/metrics`: messages by stage and outcome, mailboxes, restarts, the books of the ledger.
 *
 * Read from the live view at each scrape; nothing is counted twice. Labels come from the declared tree: their number is
 * bounded by the registry.
 */
import { Clock, Effect } from "effect"
import { Gauge } from "prom-client"
import { type Agreement, COMPARED } from "./Agreement.ts"
import type { Alerts } from "./alerts/Alerts.ts"
import type { Notifications } from "./alerts/delivery/Notifications.ts"
import type { PipelineView } from "./engine/Pipeline.ts"
import type { SupervisorView } from "./engine/Supervisor.ts"
import { SelfMetrics } from "./http/server/SelfMetrics.ts"
import type { ReadReplica } from "./sinks/postgres/ReadReplica.ts"
import type { Rollups } from "./sinks/rollups/Rollups.ts"
import type { Packing } from "./sinks/storage/Packing.ts"

/** `batcher:some_exporter` is the stage `batcher` of that exporter; a stage without a key has none. */
const labelsOf = (pipeline: string, stage: string) => {
  const [name, exporter] = stage.split(":")
  return { pipeline, stage: name!, exporter: exporter ?? "" }
}

/** Registers the metrics of a pipeline and of the root supervisor. */
export const register = (views: {
  readonly pipelines: () => ReadonlyArray<PipelineView>
  readonly root: () => SupervisorView
}): Effect.Effect<void, never, SelfMetrics> =>
  Effect.gen(function* () {
    const metrics = yield* SelfMetrics
    const registers = [metrics.registry]
    const gauge = (name: string, help: string, labelNames: ReadonlyArray<string>) =>
      new Gauge({ name, help, labelNames: [...labelNames], registers })

    const stage = ["pipeline", "stage", "exporter"]
    const messages = gauge(
      "nodepulse_stage_messages_total",
      "Messages that a stage handled (in digest a message is a row), by outcome.",
      [...stage, "outcome"]
    )
    const inHand = gauge(
      "nodepulse_stage_in_hand",
      "Messages (in digest: rows) that a stage holds outside its mailbox.",
      stage
    )
    const retries = gauge("nodepulse_stage_retries_total", "Attempts that failed and were repeated.", stage)
    const depth = gauge(
      "nodepulse_mailbox_depth",
      "Messages (in digest: rows) that wait before a stage; before a writer: batches.",
      stage
    )
    const capacity = gauge("nodepulse_mailbox_capacity", "How much may wait before a stage, in the same unit.", stage)
    const books = gauge(
      "nodepulse_pipeline_messages",
      "The books, in messages (in digest: rows): received = accepted + rejected + kept + in_flight.",
      ["pipeline", "what"]
    )
    const restarts = gauge("nodepulse_child_restarts_total", "How often a supervised fiber was started again.", [
      "child"
    ])
    const up = gauge("nodepulse_child_up", "1 while a supervised fiber runs, else 0.", ["child"])

    yield* metrics.beforeScrape(
      "pipeline",
      Effect.sync(() => {
        for (const view of views.pipelines()) {
          for (const one of view.stages) {
            const labels = labelsOf(view.name, one.stage)
            for (const outcome of ["received", "passed", "rejected", "kept"] as const) {
              messages.set({ ...labels, outcome }, one[outcome])
            }
            inHand.set(labels, one.inHand)
            retries.set(labels, one.retries)
            if (one.mailbox !== null) {
              depth.set(labels, one.mailbox.depth)
              capacity.set(labels, one.mailbox.capacity)
            }
          }
          const { accepted, inFlight, kept, received, rejected } = view.books
          const all = { received, accepted, rejected, kept, in_flight: inFlight, in_flight_bound: view.bounds.inFlight }
          for (const [what, value] of Object.entries(all)) books.set({ pipeline: view.name, what }, value)
          for (const child of view.children) note(`${view.name}/${child.name}`, child)
        }
        for (const child of views.root().children) note(child.name, child)
      })
    )

    function note(name: string, child: SupervisorView["children"][number]) {
      restarts.set({ child: name }, child.restarts)
      up.set({ child: name }, child.state === "running" ? 1 : 0)
    }
  })

/** How far behind the read replica is; nothing where there is none. */
export const registerReplica = ({ view }: ReadReplica["Service"]): Effect.Effect<void, never, SelfMetrics> =>
  Effect.gen(function* () {
    if (view() === undefined) return
    const { beforeScrape, registry } = yield* SelfMetrics
    const registers = [registry]
    const used = new Gauge({
      name: "nodepulse_replica_used",
      help: "1 where questions about rows are read from the read replica, 0 where the database itself answers them.",
      registers
    })
    const lag = new Gauge({
      name: "nodepulse_replica_lag_seconds",
      help: "How far the read replica is behind; NaN where that is not known.",
      registers
    })
    yield* beforeScrape(
      "replica",
      Effect.map(Clock.currentTimeMillis, (now) => {
        const { asOf, isUsed = false } = view() ?? {}
        used.set(isUsed ? 1 : 0)
        lag.set(asOf === undefined ? Number.NaN : Math.max(0, now / 1_000 - asOf / 1e6))
      })
    )
  })

/** Whether processes differ in what has to be the same. */
export const registerAgreement = ({ view }: Agreement): Effect.Effect<void, never, SelfMetrics> =>
  Effect.gen(function* () {
    const { beforeScrape, registry } = yield* SelfMetrics
    const differ = new Gauge({
      name: "nodepulse_processes_differ",
      help: "1 where processes have different rules, exporters or packing, which have to be the same, else 0.",
      labelNames: ["what"],
      registers: [registry]
    })
    yield* beforeScrape(
      "agreement",
      Effect.sync(() => {
        const now = view()
        for (const what of COMPARED) differ.set({ what }, now.some((one) => one.what === what) ? 1 : 0)
      })
    )
  })

/** How far behind the roll-ups are: asked of the database at each scrape. */
export const registerRollups = (rollups: Rollups["Service"]): Effect.Effect<void, never, SelfMetrics> =>
  Effect.gen(function* () {
    const { beforeScrape, registry } = yield* SelfMetrics
    const registers = [registry]
    const help = "Buckets that have ended and wait to be rolled up."
    const backlog = new Gauge({ name: "nodepulse_rollup_backlog_buckets", help, registers })
    const late = "How long the oldest of the waiting buckets has waited."
    const lag = new Gauge({ name: "nodepulse_rollup_lag_seconds", help: late, registers })
    yield* beforeScrape(
      "roll-ups",
      rollups.stats.pipe(
        Effect.tap(({ buckets, lagSeconds }) =>
          Effect.sync(() => {
            backlog.set(buckets)
            lag.set(lagSeconds)
          })
        ),
        // Where the database is away the gauges keep their values; `readyz` says so.
        Effect.ignore
      )
    )
  })

/** How far packing is, and what packed days take: asked of the database at each scrape. */
export const registerPacking = (packing: Packing["Service"]): Effect.Effect<void, never, SelfMetrics> =>
  Effect.gen(function* () {
    const { beforeScrape, registry } = yield* SelfMetrics
    const registers = [registry]
    const gauge = (name: string, help: string) => new Gauge({ name, help, labelNames: ["exporter"], registers })
    const late = "Days that are over, and wait to be packed."
    const waits = new Gauge({ name: "nodepulse_packing_backlog_days", help: late, registers })
    const done = "Rows that this process has packed."
    const rows = new Gauge({ name: "nodepulse_packing_rows_total", help: done, registers })
    const days = gauge("nodepulse_packed_days", "Days that are packed.")
    const bytes = gauge("nodepulse_packed_bytes", "What packed days take on disk, with keys.")
    const scrapes = gauge("nodepulse_packed_scrapes", "Scrapes of packed days.")
    yield* beforeScrape(
      "packing",
      packing.stats.pipe(
        Effect.tap((stats) =>
          Effect.sync(() => {
            waits.set(stats.waiting)
            rows.set(stats.rows)
            for (const gauge of [days, bytes, scrapes]) gauge.reset()
            for (const { exporter, ...packed } of stats.packed) {
              days.set({ exporter }, packed.days)
              bytes.set({ exporter }, packed.bytes)
              scrapes.set({ exporter }, packed.scrapes)
            }
          })
        ),
        // Where the database is away the gauges keep their values; `readyz` says so.
        Effect.ignore
      )
    )
  })

/** Whether rules are asked in time, what that takes, and what fires: some of it asked of the database at each scrape. */
export const registerAlerts = (alerts: Alerts["Service"]): Effect.Effect<void, never, SelfMetrics> =>
  Effect.gen(function* () {
    const { beforeScrape, registry } = yield* SelfMetrics
    const gauge = (name: string, help: string) => new Gauge({ name, help, registers: [registry] })
    const firing = gauge("nodepulse_alerts_firing", "Alerts that fire.")
    const behind = gauge(
      "nodepulse_alerts_lag_seconds",
      "Age of the latest moment at which rules were asked, by any process."
    )
    const seconds = gauge("nodepulse_alerts_pass_seconds", "How long this process took to ask the rules the last time.")
    const moments = gauge(
      "nodepulse_alerts_pass_moments",
      "At how many moments it asked then: more than 1 where it was late."
    )
    const rules = gauge("nodepulse_alerts_rules", "How many rules it asked then.")
    const watches = gauge(
      "nodepulse_alerts_watches",
      "Servers that it keeps the scrapes of, by exporter that rules ask."
    )
    const bytes = gauge("nodepulse_alerts_watch_bytes", "What those scrapes take in memory, about.")
    yield* beforeScrape(
      "alerts",
      alerts.stats.pipe(
        Effect.tap((stats) =>
          Effect.sync(() => {
            firing.set(stats.firing)
            behind.set(stats.behindSeconds ?? 0)
            seconds.set(stats.pass?.seconds ?? 0)
            moments.set(stats.pass?.moments ?? 0)
            rules.set(stats.pass?.rules ?? 0)
            watches.set(stats.pass?.watches ?? 0)
            bytes.set(stats.pass?.bytes ?? 0)
          })
        ),
        // Where the database is away the gauges keep their values; `readyz` says so.
        Effect.ignore
      )
    )
  })

/** What waits in the outbox, and what was given up: asked of the database at each scrape. */
export const registerNotifications = (
  notifications: Notifications["Service"]
): Effect.Effect<void, never, SelfMetrics> =>
  Effect.gen(function* () {
    const { beforeScrape, registry } = yield* SelfMetrics
    const gauge = (name: string, help: string) => new Gauge({ name, help, registers: [registry] })
    const waiting = gauge("nodepulse_notifications_waiting", "Messages about alerts that are not sent yet.")
    const oldest = gauge("nodepulse_notifications_wait_seconds", "How long the oldest of them has waited.")
    const dead = gauge("nodepulse_notifications_dead", "Messages of the last 30 days that were given up.")
    yield* beforeScrape(
      "notifications",
      notifications.stats.pipe(
        Effect.tap((stats) =>
          Effect.sync(() => {
            waiting.set(stats.waiting)
            oldest.set(stats.oldestSeconds ?? 0)
            dead.set(stats.dead)
          })
        ),
        // Where the database is away the gauges keep their values; `readyz` says so.
        Effect.ignore
      )
    )
  })
