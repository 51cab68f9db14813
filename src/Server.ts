/**
 * The server, as a picture of its supervision tree:
 *
 * ```
 * nodepulse
 * ├── postgres      the embedded one, where no DATABASE_URL is given
 * ├── digest        a pipeline: stream -> rows                        (role digest)
 * ├── retention     makes and drops partitions                        (role digest)
 * ├── roll-ups      computes closed buckets                           (role digest)
 * ├── http          ingest, API and page
 * ├── rates         notes what the stages count, for the live view
 * ├── agent         scrapers and push, for this machine               (`nodepulse start`)
 * └── systemd       ready, alive, stopping                            (in a unit)
 * ```
 *
 * Children stop in the reverse of this order: first nobody asks any more, then what was taken is written, then the
 * database goes. Past the supervisor's limit the program ends with the error, rather than run half dead.
 */
import { Console, Effect, Exit, Layer, Option, Scope } from "effect"
import { HttpServer } from "effect/http"
import { makeAgent } from "../agent/Agent.ts"
import * as Supervisor from "./engine/Supervisor.ts"
import { AdminToken } from "./http/AdminToken.ts"
import * as Http from "./http/HttpServer.ts"
import { makePipelineRates } from "./http/PipelineRates.ts"
import { PipelineView } from "./http/PipelineView.ts"
import { Session } from "./http/Session.ts"
import * as WaitingRoom from "./http/WaitingRoom.ts"
import * as LocalAgent from "./LocalAgent.ts"
import * as PipelineMetrics from "./PipelineMetrics.ts"
import { keptSecret, randomSecret, Settings } from "./Settings.ts"
import * as Storage from "./Storage.ts"
import * as Systemd from "./Systemd.ts"
import * as DeadLettersPostgres from "./sinks/DeadLettersPostgres.ts"
import * as Digest from "./sinks/Digest.ts"
import * as OverviewPostgres from "./sinks/OverviewPostgres.ts"
import * as RankingsPostgres from "./sinks/RankingsPostgres.ts"
import { Retention } from "./sinks/Retention.ts"
import { Rollups } from "./sinks/Rollups.ts"
import * as ServersPostgres from "./sinks/ServersPostgres.ts"
import * as SnapshotRowsPostgres from "./sinks/SnapshotRowsPostgres.ts"
import { SnapshotStream } from "./sinks/SnapshotStream.ts"
import { uniqueConsumer } from "./sinks/SnapshotStreamValkey.ts"
import * as TokensPostgres from "./sinks/TokensPostgres.ts"

export type Role = "ingest" | "digest" | "api"

export interface ServerOptions {
  readonly roles: ReadonlySet<Role>
  /** Whether to scrape this machine too. */
  readonly agent: boolean
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

/** Ports on PostgreSQL. */
const rows = Layer.mergeAll(
  SnapshotRowsPostgres.layer,
  RankingsPostgres.layer,
  ServersPostgres.layer,
  TokensPostgres.layer,
  DeadLettersPostgres.layer,
  Retention.layer,
  Rollups.layer
).pipe(
  Layer.provideMerge(OverviewPostgres.layer.pipe(Layer.provide([RankingsPostgres.layer, ServersPostgres.layer]))),
  Layer.provideMerge(Storage.migratedClient),
  Layer.provideMerge(Storage.DatabaseAddress.layer)
)

const adminToken = Layer.unwrap(
  Effect.gen(function* () {
    const { adminToken, dataDir } = yield* Settings
    if (Option.isSome(adminToken)) return AdminToken.layer(adminToken)
    return AdminToken.layer(Option.some(yield* keptSecret(dataDir, "admin-token", randomSecret)))
  })
)

/** All that the tree stands on. */
const ground = Layer.mergeAll(rows, Storage.stream, adminToken)
const services = Http.defaults.pipe(Layer.provideMerge(ground))

/** Runs until interrupted, or until a part of it is given up. Waits for database and stream, and answers meanwhile. */
export const run = (options: ServerOptions) =>
  Effect.gen(function* () {
    const built = Layer.build(services)
    const context = yield* options.listen ? WaitingRoom.during(yield* Settings, built) : built
    yield* Effect.provideContext(tree(options), context)
  }).pipe(Effect.scoped)

const tree = (options: ServerOptions) =>
  Effect.gen(function* () {
    const address = yield* Storage.DatabaseAddress
    const stream = yield* SnapshotStream
    const retention = yield* Retention
    const rollups = yield* Rollups
    const digest = options.roles.has("digest") ? yield* Digest.make({ consumer: yield* uniqueConsumer }) : undefined

    const before: Array<Supervisor.Child<never>> = []
    if (Option.isSome(address.supervise)) before.push({ name: "postgres", run: address.supervise.value })
    if (digest !== undefined) {
      // It drains for up to 8 seconds, gives back what it could not write, and leaves the group.
      before.push({ name: "digest", run: digest.run, view: digest.view, stopWithin: "20 seconds" })
      before.push({ name: "retention", run: retention.run, stopWithin: "1 second" })
      before.push({ name: "roll-ups", run: rollups.run, stopWithin: "1 second" })
    }

    const children: Array<Supervisor.Child<never>> = [...before]
    const view = () => root?.view() ?? { name: "nodepulse", children: [] }
    let root: Supervisor.Supervisor<never> | undefined

    if (options.listen) {
      const rates = yield* makePipelineRates(view)
      const listening = yield* listen(rates.snapshot)
      children.push({ name: "http", run: listening.untilClosed, stopWithin: "8 seconds" })
      children.push({ name: "rates", run: rates.run, stopWithin: "1 second" })
      yield* PipelineMetrics.registerRollups(rollups)
      yield* PipelineMetrics.register({ pipelines: () => (digest === undefined ? [] : [digest.view()]), root: view })
      if (options.agent) {
        const agent = yield* localAgent(listening.url)
        children.push(agent)
      }
      yield* options.onReady?.(listening.url) ?? announce(listening.url, options)
    }
    if (options.roles.has("ingest")) yield* warnOfLaxStream(stream)
    children.push(...(yield* Systemd.children))
    root = Supervisor.make({ name: "nodepulse", children, ...POLICY })
    yield* root.run
  }).pipe(Effect.scoped)

/** Listens before the tree runs, so that an address in use is said at once; stops as the child `http`, in its turn. */
const listen = Effect.fnUntraced(function* (snapshot: Effect.Effect<unknown>) {
  const scope = yield* Scope.make()
  const close = Scope.close(scope, Exit.void)
  yield* Effect.addFinalizer(() => close)
  const layer = Http.layer.pipe(Layer.provide(Layer.succeed(PipelineView, { snapshot })))
  const context = yield* Layer.buildWithScope(layer, scope)
  const { address } = yield* Effect.provideContext(HttpServer.HttpServer, context)
  const url = reachable(HttpServer.formatAddress(address))
  return { url, untilClosed: Effect.onInterrupt(Effect.never, () => close) }
})

/** A wildcard address is everywhere; this machine reaches it on its loopback. */
const reachable = (url: string): string => url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")

const localAgent = Effect.fnUntraced(function* (url: string) {
  const context = yield* Layer.build(LocalAgent.layer(url))
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

const announce = Effect.fnUntraced(function* (url: string, { agent, roles }: ServerOptions) {
  if (!roles.has("api")) return yield* Effect.logInfo(`ready: ${[...roles].join(", ")} on ${url}`)
  const session = yield* Session
  const link = yield* session.newLink
  yield* Console.log(
    [
      "",
      `  NodePulse is ready on ${url}`,
      `  Sign in once with this link (it works for an hour):`,
      "",
      `    ${url}${link}`,
      "",
      agent ? "  This machine's processes show up within 30 seconds. Ctrl-C stops it." : "  Ctrl-C stops it.",
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
