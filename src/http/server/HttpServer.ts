/**
 * The server: the API, the page and the boundary around them, on Node's own HTTP server.
 *
 * Bound: what a client can make it wait for or hold (`Connections.ts`). On shutdown it stops listening, lets
 * requests finish within `CLOSE_WITHIN`, then cuts what is left. No upgrades (web sockets, h2c): a request that asks for one
 * is answered as it is.
 */
import type { Server } from "node:http"
import { NodeHttpServer } from "@effect/platform-node"
import { ByteSize, Context, Duration, Effect, Layer, Schema } from "effect"
import { HttpIncomingMessage, HttpRouter, HttpServer, type HttpServerError } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { Gauge } from "prom-client"
import { FailedSignIns } from "../../access/FailedSignIns.ts"
import { Guesses } from "../../access/Guesses.ts"
import { Registry } from "../../plugins/Registry.ts"
import { Settings } from "../../Settings.ts"
import { Api } from "../api/Api.ts"
import { actingHandlers, handsHandlers } from "../handlers/ActingHandlers.ts"
import { alertsHandlers } from "../handlers/AlertsHandlers.ts"
import { auditHandlers } from "../handlers/AuditHandlers.ts"
import { breakdownHandlers } from "../handlers/BreakdownHandlers.ts"
import { changesHandlers } from "../handlers/ChangesHandlers.ts"
import { comparisonHandlers } from "../handlers/ComparisonHandlers.ts"
import { deadLettersHandlers } from "../handlers/DeadLettersHandlers.ts"
import { enrollHandlers } from "../handlers/EnrollHandlers.ts"
import { exportersHandlers } from "../handlers/ExportersHandlers.ts"
import { fleetRankingsHandlers } from "../handlers/FleetRankingsHandlers.ts"
import { groupingsHandlers } from "../handlers/GroupingsHandlers.ts"
import { groupsHandlers } from "../handlers/GroupsHandlers.ts"
import { ingestHandlers } from "../handlers/IngestHandlers.ts"
import { marksHandlers } from "../handlers/MarksHandlers.ts"
import { notificationsHandlers } from "../handlers/NotificationsHandlers.ts"
import { overviewHandlers } from "../handlers/OverviewHandlers.ts"
import { pipelineHandlers } from "../handlers/PipelineHandlers.ts"
import { HoursMax, hoursMaxOf, rankingsHandlers } from "../handlers/RankingsHandlers.ts"
import { recordingsHandlers, sendRecordingHandlers } from "../handlers/RecordingsHandlers.ts"
import { rulesHandlers } from "../handlers/RulesHandlers.ts"
import { serversHandlers } from "../handlers/ServersHandlers.ts"
import { sessionHandlers, signInHandlers } from "../handlers/SessionHandlers.ts"
import { sessionsHandlers } from "../handlers/SessionsHandlers.ts"
import { silencesHandlers } from "../handlers/SilencesHandlers.ts"
import { systemHandlers } from "../handlers/SystemHandlers.ts"
import { tokensHandlers } from "../handlers/TokensHandlers.ts"
import { verdictHandlers } from "../handlers/VerdictHandlers.ts"
import { HandsPoll } from "../ingest/HandsPoll.ts"
import { Ingest } from "../ingest/Ingest.ts"
import { Intake } from "../ingest/Intake.ts"
import { RecordingIngest } from "../ingest/RecordingIngest.ts"
import { authorization, MetricsArePublic } from "../session/Authorization.ts"
import { layerConfig as openIdConfig } from "../session/OpenId.ts"
import { openIdRoutes } from "../session/OpenIdRoutes.ts"
import { BasePath } from "./Address.ts"
import { makeBoundary, ROUTER_CONFIG } from "./Boundary.ts"
import { ClearText } from "./ClearText.ts"
import { layerConfig as clientConfig } from "./ClientAddress.ts"
import { boundedServer } from "./Connections.ts"
import { docs } from "./Docs.ts"
import { Limits, layerConfig as limitsConfig } from "./Limits.ts"
import { PublicUrl } from "./Origin.ts"
import { Readiness } from "./Readiness.ts"
import { SelfMetrics, streamMetrics } from "./SelfMetrics.ts"
import { Static } from "./Static.ts"
import { ServerTls } from "./Tls.ts"
import { topMetricsHandlers } from "./TopMetrics.ts"

const CLOSE_WITHIN = Duration.seconds(5)

/** Where the server listens. */
export class Listen extends Context.Service<Listen, { readonly host: string; readonly port: number }>()(
  "nodepulse/http/Listen"
) {
  /** NODEPULSE_HOST and NODEPULSE_PORT, as the settings have them. */
  static readonly layer: Layer.Layer<Listen, never, Settings> = Layer.effect(
    Listen,
    Effect.map(Settings, ({ host, port }) => Listen.of({ host, port }))
  )
}

/** The address cannot be listened on. Not retryable: somebody has to choose another one, or free it. */
export class AddressUnavailable extends Schema.TaggedError<AddressUnavailable>()("AddressUnavailable", {
  host: Schema.String,
  port: Schema.Int,
  code: Schema.String
}) {
  readonly retryable = false
  override get message(): string {
    const where = `${this.host}:${this.port}`
    switch (this.code) {
      case "EADDRINUSE":
        return `${where} is in use by another program; stop it, or choose another NODEPULSE_PORT`
      case "EACCES":
        return `${where} may not be listened on; choose a NODEPULSE_PORT of 1024 or more`
      case "EADDRNOTAVAIL":
        return `${where} is no address of this machine; choose another NODEPULSE_HOST`
      default:
        return `${where} cannot be listened on: ${this.code}`
    }
  }
}

/** All routes of the definition, with their handlers. */
const routes = Layer.mergeAll(HttpApiBuilder.layer(Api), docs, openIdRoutes).pipe(
  Layer.provide([
    ingestHandlers,
    serversHandlers,
    rankingsHandlers,
    changesHandlers,
    breakdownHandlers,
    verdictHandlers,
    marksHandlers,
    recordingsHandlers,
    sendRecordingHandlers,
    handsHandlers,
    actingHandlers,
    rulesHandlers,
    alertsHandlers,
    silencesHandlers,
    groupingsHandlers,
    overviewHandlers,
    fleetRankingsHandlers,
    comparisonHandlers,
    groupsHandlers,
    exportersHandlers,
    topMetricsHandlers,
    pipelineHandlers,
    deadLettersHandlers,
    notificationsHandlers,
    tokensHandlers,
    enrollHandlers,
    sessionsHandlers,
    auditHandlers,
    sessionHandlers,
    signInHandlers,
    systemHandlers
  ]),
  Layer.provide(authorization)
)

const nodeServer = Layer.effect(
  HttpServer.HttpServer,
  Effect.gen(function* () {
    const { host, port } = yield* Listen
    const tls = yield* ServerTls
    const server = boundedServer(yield* Limits, tls)
    if (tls !== undefined) yield* tls.renew(server)
    const service = yield* NodeHttpServer.make(() => server, {
      host,
      port,
      gracefulShutdownTimeout: CLOSE_WITHIN
    }).pipe(
      Effect.mapError(({ cause }: HttpServerError.ServeError) => {
        const code = (cause as NodeJS.ErrnoException | undefined)?.code ?? String(cause)
        return new AddressUnavailable({ host, port, code })
      })
    )
    yield* countConnections(server)
    // Runs once the requests had their time, and before the server waits for the last connection.
    yield* Effect.addFinalizer(() => Effect.sync(() => server.closeAllConnections()))
    return HttpServer.HttpServer.of({
      ...service,
      serve: ((app: never, middleware: never) =>
        // Without a listener for upgrades Node hands such requests over like any other.
        Effect.tap(service.serve(app, middleware), () =>
          Effect.sync(() => server.removeAllListeners("upgrade"))
        )) as typeof service.serve
    })
  })
)

/** Open connections as a gauge, asked for at each scrape. */
const countConnections = Effect.fnUntraced(function* (server: Server) {
  const metrics = yield* SelfMetrics
  const help = "Connections that are open."
  const open = new Gauge({ name: "nodepulse_http_connections", help, registers: [metrics.registry] })
  const count = Effect.callback<void>((resume) => {
    server.getConnections((error, connections) => {
      if (error === null) open.set(connections)
      resume(Effect.void)
    })
  })
  yield* metrics.beforeScrape("connections", count)
})

const serving = Layer.unwrap(
  Effect.gen(function* () {
    const { otherBodyBytesMax } = yield* Limits
    const app = yield* HttpRouter.toHttpEffect(routes)
    const bounded = yield* makeBoundary(app)
    return HttpServer.serve(bounded).pipe(
      Layer.provide(Layer.succeed(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(otherBodyBytesMax)))
    )
  })
).pipe(
  Layer.provide([Ingest.layer, RecordingIngest.layer, HandsPoll.layer]),
  Layer.provide(Layer.mergeAll(Guesses.layer, FailedSignIns.layer, ClearText.layer)),
  Layer.provide(Layer.succeed(HttpRouter.RouterConfig, ROUTER_CONFIG))
)

/**
 * Serves until its scope closes. `HttpServer.HttpServer` tells the address that was taken. What it needs beside the ports
 * is `defaults`, or a test's own.
 */
export const layer = Layer.mergeAll(serving, streamMetrics).pipe(
  Layer.provideMerge(nodeServer),
  Layer.provide(NodeHttpServer.layerHttpServices)
)

/** What `layer` needs beside the ports and the administrator's token, from settings, environment and registry. */
export const defaults = Layer.mergeAll(
  Listen.layer,
  limitsConfig,
  MetricsArePublic.layerConfig,
  clientConfig,
  openIdConfig,
  SelfMetrics.layer,
  Intake.layer.pipe(Layer.provide([limitsConfig, SelfMetrics.layer])),
  Readiness.layer(),
  Static.layer,
  Layer.effect(
    HoursMax,
    Effect.map(Registry, ({ exporters }) => hoursMaxOf(exporters))
  )
).pipe(
  Layer.provideMerge(
    Layer.mergeAll(
      Layer.effect(
        BasePath,
        Effect.map(Settings, ({ basePath }) => basePath ?? "")
      ),
      Layer.effect(
        PublicUrl,
        Effect.map(Settings, ({ publicUrl }) => publicUrl ?? "")
      )
    )
  )
)
