/**
 * The server, as a picture of its supervision tree:
 *
 * ```
 * nodepulse
 * ├── postgres      the embedded one, where no DATABASE_URL is given
 * ├── leases        which streams this digest reads, in Valkey        (role digest)
 * ├── digest        a pipeline: stream -> rows                        (role digest)
 * ├── retention     makes and drops partitions                        (role digest)
 * ├── roll-ups      computes closed buckets                           (role digest)
 * ├── packing       packs days that are over                          (role digest)
 * ├── alerts        asks the rules                                   (role digest)
 * ├── stories       keeps what alerts tell                            (role digest)
 * ├── notifications tells people what fires                           (role digest)
 * ├── heartbeat     says that the rules are asked                     (role digest)
 * ├── alertmanager  sends alerts, where one is configured            (role digest)
 * ├── streams       says which streams are used, in Valkey            (role ingest)
 * ├── http          ingest, API and page
 * ├── rates         notes what the stages count, for the live view
 * ├── recordings    learns which are wanted, and drops old ones
 * ├── acting        tells hosts what is asked of them, notes what has expired
 * ├── replica       looks how far the read replica is, where there is one (role api)
 * ├── agent         scrapers and push, for this machine               (`nodepulse start`)
 * └── systemd       ready, alive, stopping                            (in a unit)
 * ```
 *
 * Children stop in the reverse of this order: first nobody asks any more, then what was taken is written, then the
 * database goes. Past the supervisor's limit the program ends with the error, rather than run half dead.
 */
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Effect, Exit, Layer, Option, Scope } from "effect"
import { HttpServer } from "effect/http"
import { makeAgent } from "../agent/Agent.ts"
import { type AgentConfigShape, withDefaults } from "../agent/config/AgentConfig.ts"
import { makeAgreement } from "./Agreement.ts"
import * as AgentsPostgres from "./access/AgentsPostgres.ts"
import * as AuditPostgres from "./access/AuditPostgres.ts"
import * as NotesPostgres from "./access/NotesPostgres.ts"
import * as ServersPostgres from "./access/ServersPostgres.ts"
import { Sessions, signInPath } from "./access/Sessions.ts"
import * as SessionsPostgres from "./access/SessionsPostgres.ts"
import * as TokensPostgres from "./access/TokensPostgres.ts"
import { Acting } from "./acting/Acting.ts"
import * as ActingPostgres from "./acting/ActingPostgres.ts"
import { layerClient, makeAlertmanager } from "./alerts/Alertmanager.ts"
import { Alerts } from "./alerts/Alerts.ts"
import * as AlertsPostgres from "./alerts/AlertsPostgres.ts"
import * as BacktestPostgres from "./alerts/BacktestPostgres.ts"
import { DEFAULT_RULES } from "./alerts/DefaultRules.ts"
import { makeHeartbeat } from "./alerts/delivery/Heartbeat.ts"
import { Notifications } from "./alerts/delivery/Notifications.ts"
import * as NotificationsPostgres from "./alerts/delivery/NotificationsPostgres.ts"
import { NotifyBook } from "./alerts/delivery/NotifyBook.ts"
import { DataDisk, diskOf } from "./alerts/installation/InstallationReader.ts"
import { Rulebook } from "./alerts/Rulebook.ts"
import { RuleLayers } from "./alerts/RuleLayers.ts"
import * as StoredRulesPostgres from "./alerts/StoredRulesPostgres.ts"
import * as SilencesPostgres from "./alerts/silences/SilencesPostgres.ts"
import * as StoriesPostgres from "./alerts/story/StoriesPostgres.ts"
import { AlertStories } from "./alerts/story/Story.ts"
import { say } from "./commands/Terminal.ts"
import * as Supervisor from "./engine/Supervisor.ts"
import * as WaitingRoom from "./http/ingest/WaitingRoom.ts"
import { makePipelineRates } from "./http/live/PipelineRates.ts"
import { PipelineView, processOf, ThisProcess } from "./http/live/PipelineView.ts"
import { BasePath } from "./http/server/Address.ts"
import * as Http from "./http/server/HttpServer.ts"
import { reachedAt } from "./http/server/Origin.ts"
import { loadTls, ServerTls } from "./http/server/Tls.ts"
import { AdminToken } from "./http/session/AdminToken.ts"
import { ADMIN } from "./http/session/Authorization.ts"
import * as LocalAgent from "./LocalAgent.ts"
import * as PipelineMetrics from "./PipelineMetrics.ts"
import { Registry } from "./plugins/Registry.ts"
import * as BreakdownPostgres from "./query/BreakdownPostgres.ts"
import * as ChangesPostgres from "./query/ChangesPostgres.ts"
import * as ComparisonPostgres from "./query/ComparisonPostgres.ts"
import * as FleetGroupsPostgres from "./query/FleetGroupsPostgres.ts"
import * as GroupingsPostgres from "./query/grouping/GroupingsPostgres.ts"
import * as MarksPostgres from "./query/MarksPostgres.ts"
import * as OverviewPostgres from "./query/OverviewPostgres.ts"
import * as RankingsPostgres from "./query/RankingsPostgres.ts"
import * as SightingsPostgres from "./query/SightingsPostgres.ts"
import * as VerdictPostgres from "./query/VerdictPostgres.ts"
import { Recordings } from "./recordings/Recordings.ts"
import * as RecordingsPostgres from "./recordings/RecordingsPostgres.ts"
import { keptSecret, randomSecret, Settings } from "./Settings.ts"
import * as Storage from "./Storage.ts"
import * as Systemd from "./Systemd.ts"
import * as Digest from "./sinks/Digest.ts"
import { whileAway } from "./sinks/postgres/Database.ts"
import { layerAltering } from "./sinks/postgres/OwnerClient.ts"
import { layerReading, ReadReplica } from "./sinks/postgres/ReadReplica.ts"
import { Rollups } from "./sinks/rollups/Rollups.ts"
import * as DeadLettersPostgres from "./sinks/storage/DeadLettersPostgres.ts"
import { Packing } from "./sinks/storage/Packing.ts"
import { Retention } from "./sinks/storage/Retention.ts"
import * as SnapshotRowsPostgres from "./sinks/storage/SnapshotRowsPostgres.ts"
import { layerWriteHealth } from "./sinks/storage/WriteHealth.ts"
import { SnapshotStream } from "./sinks/stream/SnapshotStream.ts"
import { uniqueConsumer } from "./sinks/stream/valkey/SnapshotStreamValkey.ts"
import { isOpen } from "./sinks/stream/valkey/ValkeyAddress.ts"

export type Role = "ingest" | "digest" | "api"

export interface ServerOptions {
  readonly roles: ReadonlySet<Role>
  /** Whether to scrape this machine too, and as its file says; `true`: by the defaults. */
  readonly agent: boolean | AgentConfigShape
  /** Whether to listen at all: a digest without an address is a worker that nobody asks. */
  readonly listen: boolean
  /** Told where the server listens, once it does. Says it on the terminal unless given. */
  readonly onReady?: (url: string) => Effect.Effect<void>
}

/** One policy for the whole tree: ten failures in a row that trying again cannot help are too many. */
const POLICY = {
  maxRestarts: 10,
  backoff: { from: "100 millis", to: "30 seconds" },
  healthyAfter: "1 minute",
  stopWithin: "10 seconds"
} as const

/**
 * Layers that read a question's rows where that says. Of their own: a layer is built once for all who name it, and what it
 * stands on, such as the reader of scrapes, would be that of whoever was first.
 */
const reading = <A, E, R>(layer: Layer.Layer<A, E, R>) => Layer.fresh(layer).pipe(Layer.provide(layerReading))

/** What alerts tell, and to whom. */
const notifying = Layer.unwrap(
  Effect.map(Settings, (settings) => NotificationsPostgres.layerWith({ publicUrl: reachedAt(settings) }))
).pipe(
  Layer.provideMerge([StoriesPostgres.layer, SilencesPostgres.layer]),
  Layer.provideMerge([reading(ChangesPostgres.layer), MarksPostgres.layer, AlertsPostgres.layer, NotesPostgres.layer])
)

/** Questions about windows of rows. */
const questions = reading(
  Layer.mergeAll(
    RankingsPostgres.layer,
    BreakdownPostgres.layer,
    VerdictPostgres.layer,
    ComparisonPostgres.layer,
    FleetGroupsPostgres.layer,
    BacktestPostgres.layer
  )
)

/** A read replica, where one is named. */
const replica = Layer.unwrap(
  Effect.map(Settings, ({ databaseReadUrl = Option.none(), replicaLagMax }) =>
    Option.match(databaseReadUrl, {
      onNone: () => ReadReplica.layerNone,
      onSome: (url) => ReadReplica.layerWith({ url, ...(replicaLagMax === undefined ? {} : { lagMax: replicaLagMax }) })
    })
  )
)

/** Ports on PostgreSQL. */
const rows = Layer.mergeAll(
  SnapshotRowsPostgres.layer,
  questions,
  notifying,
  GroupingsPostgres.layer,
  SightingsPostgres.layer,
  ServersPostgres.layer,
  TokensPostgres.layer,
  SessionsPostgres.layer,
  AuditPostgres.layer,
  AgentsPostgres.layer,
  RecordingsPostgres.layer,
  ActingPostgres.layer,
  DeadLettersPostgres.layer,
  // What makes, drops and rewrites partitions.
  Layer.mergeAll(
    Retention.layer,
    Layer.unwrap(
      Effect.map(Settings, ({ packAfter }) => Packing.layerWith(packAfter === undefined ? {} : { after: packAfter }))
    )
  ).pipe(Layer.provide(layerAltering)),
  Rollups.layer
).pipe(
  Layer.provideMerge(Rulebook.layer),
  Layer.provideMerge(
    Layer.effect(
      DataDisk,
      // Where PostgreSQL is another one, its disk is, too.
      Effect.map(Settings, ({ databaseUrl, dataDir }) =>
        Option.isNone(databaseUrl) ? diskOf(dataDir) : Effect.undefined
      )
    )
  ),
  Layer.provideMerge(
    Layer.unwrap(
      Effect.map(Settings, ({ dataDir, defaultRules = true, rulesDir }) =>
        RuleLayers.layerWith({
          folder: rulesDir ?? join(dataDir, "rules.d"),
          defaults: defaultRules ? DEFAULT_RULES : undefined
        })
      )
    )
  ),
  Layer.provideMerge(StoredRulesPostgres.layer),
  Layer.provideMerge(
    Layer.unwrap(
      Effect.map(Settings, ({ dataDir, notifyFile }) =>
        NotifyBook.layerFile(notifyFile ?? join(dataDir, "notify.yml"), notifyFile !== undefined)
      )
    )
  ),
  Layer.provideMerge(reading(OverviewPostgres.layer).pipe(Layer.provide(ServersPostgres.layer))),
  Layer.provideMerge(replica),
  Layer.provideMerge(Storage.migratedClient),
  Layer.provideMerge(Storage.DatabaseAddress.layer)
)

/**
 * The administrator's token. One that this process made would be nobody's on the others: of a role that runs apart there is only
 * the one that is configured.
 */
const adminTokenOf = (roles: ReadonlySet<Role>) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { adminToken, dataDir } = yield* Settings
      if (Option.isSome(adminToken) || roles.size < ALL_ROLES) return AdminToken.layer(adminToken)
      return AdminToken.layer(Option.some(yield* keptSecret(dataDir, "admin-token", randomSecret)))
    })
  )

const ALL_ROLES = 3

/** All that the tree stands on. */
const servicesOf = (roles: ReadonlySet<Role>) =>
  Http.defaults.pipe(
    Layer.provideMerge(Storage.streamOwners),
    Layer.provideMerge(Layer.mergeAll(rows, Storage.stream, adminTokenOf(roles), layerWriteHealth))
  )

/** Runs until interrupted, or until a part of it is given up. Waits for database and stream, and answers meanwhile. */
export const run = (options: ServerOptions) =>
  Effect.gen(function* () {
    const { tls: files = {} } = yield* Settings
    const tls = yield* loadTls(files)
    yield* Effect.provideService(runWith(options), ServerTls, tls)
  })

const runWith = (options: ServerOptions) =>
  Effect.gen(function* () {
    const built = Layer.build(servicesOf(options.roles))
    const context = yield* options.listen ? WaitingRoom.during(yield* Settings, built) : built
    yield* Effect.provideContext(Effect.andThen(Storage.streamKeys, tree(options)), context)
  }).pipe(Effect.scoped)

const tree = (options: ServerOptions) =>
  Effect.gen(function* () {
    const address = yield* Storage.DatabaseAddress
    const stream = yield* SnapshotStream
    const retention = yield* Retention
    const rollups = yield* Rollups
    const packing = yield* Packing
    const consumer = yield* uniqueConsumer
    const holder = options.roles.has("digest") ? yield* Storage.leaseHolder(consumer) : undefined
    const digest = options.roles.has("digest") ? yield* Digest.make({ consumer, leases: holder?.leases }) : undefined
    const opening = options.roles.has("ingest") ? yield* Storage.opening : undefined

    const before: Array<Supervisor.Child<never>> = []
    if (Option.isSome(address.supervise)) before.push({ name: "postgres", run: address.supervise.value })
    if (digest !== undefined) {
      yield* Storage.requireOwner
      // Stopped after digest, which frees its leases when it has given back what it read.
      if (holder !== undefined) before.push({ name: "leases", run: holder.run, stopWithin: "1 second" })
      // It drains for up to 8 seconds, gives back what it could not write, and leaves the group.
      before.push({ name: "digest", run: digest.run, view: digest.view, stopWithin: "20 seconds" })
      before.push({ name: "retention", run: retention.run, stopWithin: "1 second" })
      before.push({ name: "roll-ups", run: rollups.run, stopWithin: "1 second" })
      before.push({ name: "packing", run: packing.run, stopWithin: "1 second" })
      before.push(...(yield* alerting))
    }

    const children: Array<Supervisor.Child<never>> = [...before]
    if (opening !== undefined) children.push({ name: "streams", run: opening, stopWithin: "1 second" })
    const agreement = yield* agreeing(consumer, options.roles)
    children.push({ name: "agreement", run: agreement.run, stopWithin: "2 seconds" })
    const view = () => root?.view() ?? { name: "nodepulse", children: [] }
    let root: Supervisor.Supervisor<never> | undefined

    if (options.listen) {
      const rates = yield* makePipelineRates(view)
      const listening = yield* Effect.provideService(listen(rates.snapshot), ThisProcess, processOf([...options.roles]))
      children.push({ name: "http", run: listening.untilClosed, stopWithin: "8 seconds" })
      children.push({ name: "rates", run: rates.run, stopWithin: "1 second" })
      children.push({ name: "recordings", run: (yield* Recordings).run, stopWithin: "1 second" })
      children.push({ name: "acting", run: (yield* Acting).run, stopWithin: "1 second" })
      yield* PipelineMetrics.registerRollups(rollups)
      yield* PipelineMetrics.registerPacking(packing)
      yield* PipelineMetrics.registerAlerts(yield* Alerts)
      yield* PipelineMetrics.registerNotifications(yield* Notifications)
      yield* PipelineMetrics.registerReplica(yield* ReadReplica)
      yield* PipelineMetrics.registerAgreement(agreement)
      yield* PipelineMetrics.register({ pipelines: () => (digest === undefined ? [] : [digest.view()]), root: view })
      if (options.roles.has("api"))
        children.push({ name: "replica", run: (yield* ReadReplica).run, stopWithin: "1 second" })
      if (options.agent !== false) children.push(yield* localAgent(listening.url, options.agent))
      const shownAt = `${listening.url}${yield* BasePath}`
      yield* options.onReady?.(listening.url) ?? announce(shownAt, options)
    }
    if (options.roles.has("ingest")) {
      yield* warnOfLaxStream(stream)
      yield* warnOfOpenValkey
    }
    children.push(...(yield* Systemd.children))
    root = Supervisor.make({ name: "nodepulse", children, ...POLICY })
    yield* root.run
  }).pipe(Effect.scoped)

/** Whether this process has what the others have. */
const agreeing = Effect.fnUntraced(function* (name: string, roles: ReadonlySet<Role>) {
  const { packAfter } = yield* Settings
  const { exporters } = yield* Registry
  const [sql, rules] = [yield* PgClient.PgClient, yield* RuleLayers]
  return makeAgreement({ sql, name, roles: [...roles], exporters, rules, packAfter })
})

/** Asks the rules, and tells people and Alertmanagers what fires. */
const alerting = Effect.gen(function* () {
  const settings = yield* Settings
  const { alertmanagers: urls = [] } = settings
  const alerts = yield* Alerts
  const stories = yield* AlertStories
  const asking: Supervisor.Child<never> = { name: "alerts", run: alerts.run, stopWithin: "1 second" }
  const notifications = yield* Notifications
  const heartbeat = yield* makeHeartbeat
  const children: Array<Supervisor.Child<never>> = [
    asking,
    { name: "stories", run: stories.run, stopWithin: "1 second" },
    // What is being sent is noted as sent, or is sent again.
    { name: "notifications", run: notifications.run, stopWithin: "5 seconds" },
    { name: "heartbeat", run: heartbeat.run, stopWithin: "1 second" }
  ]
  if (urls.length === 0) return children
  const alertmanager = yield* makeAlertmanager({ urls, publicUrl: reachedAt(settings) })
  children.push({ name: "alertmanager", run: alertmanager.run, stopWithin: "1 second" })
  return children
}).pipe(Effect.provide(layerClient))

/** Listens before the tree runs, so that an address in use is said at once; stops as the child `http`, in its turn. */
const listen = Effect.fnUntraced(function* (snapshot: PipelineView["Service"]["snapshot"]) {
  const scope = yield* Scope.make()
  const close = Scope.close(scope, Exit.void)
  yield* Effect.addFinalizer(() => close)
  const layer = Http.layer.pipe(Layer.provide(Layer.succeed(PipelineView, { snapshot })))
  const context = yield* Layer.buildWithScope(layer, scope)
  const { address } = yield* Effect.provideContext(HttpServer.HttpServer, context)
  const tls = yield* ServerTls
  const plain = reachable(HttpServer.formatAddress(address))
  const url = tls === undefined ? plain : plain.replace(/^http:/, "https:")
  return { url, untilClosed: Effect.onInterrupt(Effect.never, () => close) }
})

/** A wildcard address is everywhere; this machine reaches it on its loopback. */
const reachable = (url: string): string => url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")

const localAgent = Effect.fnUntraced(function* (url: string, configured: true | AgentConfigShape) {
  const { exporters } = yield* Registry
  const settings = configured === true ? withDefaults({}, exporters, undefined, []) : configured
  const context = yield* Layer.build(LocalAgent.layer(url, settings))
  const agent = yield* Effect.provideContext(makeAgent, context)
  const supervisor = Supervisor.make({
    name: "agent",
    children: agent.children,
    drain: agent.drain,
    ...POLICY,
    stopWithin: "2 seconds"
  })
  return { name: "agent", run: supervisor.run, view: () => ({ ...supervisor.view(), stages: agent.stages() }) }
})

const announce = Effect.fnUntraced(function* (shownAt: string, { agent, roles }: ServerOptions) {
  if (!roles.has("api")) return yield* Effect.logInfo(`ready: ${[...roles].join(", ")} on ${shownAt}`)
  const sessions = yield* Sessions
  const code = yield* whileAway(sessions.newLink({ role: "admin", principal: ADMIN, name: "", tokenId: null }))
  yield* say(
    [
      "",
      `  NodePulse is ready on ${shownAt}`,
      `  Sign in once with this link (it works for an hour):`,
      "",
      `    ${shownAt}${signInPath(code)}`,
      "",
      agent !== false ? "  This machine's processes show up within 30 seconds. Ctrl-C stops it." : "  Ctrl-C stops it.",
      ""
    ].join("\n")
  )
})

const warnOfLaxStream = Effect.fnUntraced(function* (stream: SnapshotStream["Service"]) {
  const durability = yield* Effect.option(stream.durability)
  if (Option.isNone(durability) || durability.value === "committed" || durability.value === "fsync-always") return
  yield* Effect.logWarning(
    durability.value === "memory"
      ? "Valkey keeps the stream in memory only: what it answered with 2xx is lost when it stops. Set `appendonly yes` and `appendfsync always`"
      : "Valkey writes to disk once a second: what it answered with 2xx in the last second is lost when the machine stops. Set `appendfsync always`"
  )
})

/** Without a password, whoever reaches it can read and delete what waits there. A socket is closed by its folder. */
const warnOfOpenValkey = Effect.gen(function* () {
  const { valkeyUrl } = yield* Settings
  if (Option.isNone(valkeyUrl) || !isOpen(valkeyUrl.value)) return
  yield* Effect.logWarning(
    "VALKEY_URL holds no password: whoever reaches Valkey can read and delete what waits there. Set `requirepass`, or give NodePulse a user of its own"
  )
})
