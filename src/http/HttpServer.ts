/**
 * The server: the API, the page and the boundary around them, on Node's own HTTP server.
 *
 * Bound: headers within `HEADERS_WITHIN`, a whole request within `REQUEST_WITHIN`, so that a client that sends slowly
 * cannot hold a connection; 16 KiB of headers; `CONNECTIONS_MAX` connections. On shutdown it stops listening, lets
 * requests finish within `CLOSE_WITHIN`, then cuts what is left. No upgrades (web sockets, h2c): a request that asks for one
 * is answered as it is.
 */
import { createServer, type Server } from "node:http"
import { NodeHttpServer } from "@effect/platform-node"
import { ByteSize, Context, Duration, Effect, Layer, Schema } from "effect"
import { HttpIncomingMessage, HttpRouter, HttpServer, type HttpServerError } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { Registry } from "../plugins/Registry.ts"
import { Settings } from "../Settings.ts"
import { Api } from "./Api.ts"
import { authorization, MetricsArePublic } from "./Authorization.ts"
import { makeBoundary, ROUTER_CONFIG } from "./Boundary.ts"
import { deadLettersHandlers } from "./DeadLettersHandlers.ts"
import { docs } from "./Docs.ts"
import { exportersHandlers } from "./ExportersHandlers.ts"
import { fleetRankingsHandlers } from "./FleetRankingsHandlers.ts"
import { Ingest } from "./Ingest.ts"
import { ingestHandlers } from "./IngestHandlers.ts"
import { Limits, layerConfig as limitsConfig } from "./Limits.ts"
import { overviewHandlers } from "./OverviewHandlers.ts"
import { pipelineHandlers } from "./PipelineHandlers.ts"
import { HoursMax, hoursMaxOf, rankingsHandlers } from "./RankingsHandlers.ts"
import { Readiness } from "./Readiness.ts"
import { SelfMetrics, streamMetrics } from "./SelfMetrics.ts"
import { serversHandlers } from "./ServersHandlers.ts"
import { Session } from "./Session.ts"
import { sessionHandlers, signInHandlers } from "./SessionHandlers.ts"
import { Static } from "./Static.ts"
import { systemHandlers } from "./SystemHandlers.ts"
import { tokensHandlers } from "./TokensHandlers.ts"
import { topMetricsHandlers } from "./TopMetrics.ts"

const HEADERS_WITHIN = Duration.seconds(10)
const REQUEST_WITHIN = Duration.seconds(60)
/** Longer than an agent's interval, so that it keeps its connection. */
const IDLE_WITHIN = Duration.seconds(75)
const CLOSE_WITHIN = Duration.seconds(5)
const HEADER_BYTES_MAX = 16 * 1024
const CONNECTIONS_MAX = 8_192

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
const routes = Layer.mergeAll(HttpApiBuilder.layer(Api), docs).pipe(
  Layer.provide([
    ingestHandlers,
    serversHandlers,
    rankingsHandlers,
    overviewHandlers,
    fleetRankingsHandlers,
    exportersHandlers,
    topMetricsHandlers,
    pipelineHandlers,
    deadLettersHandlers,
    tokensHandlers,
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
    const server = makeNodeServer()
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

const makeNodeServer = (): Server => {
  const server = createServer({
    headersTimeout: Duration.toMillis(HEADERS_WITHIN),
    requestTimeout: Duration.toMillis(REQUEST_WITHIN),
    keepAliveTimeout: Duration.toMillis(IDLE_WITHIN),
    connectionsCheckingInterval: 5_000,
    maxHeaderSize: HEADER_BYTES_MAX
  })
  server.maxConnections = CONNECTIONS_MAX
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    if (socket.destroyed || !socket.writable || error.code === "ECONNRESET") return void socket.destroy()
    const [status, title] = CLIENT_ERRORS[error.code ?? ""] ?? [400, "Bad Request"]
    const body = JSON.stringify({ type: "urn:nodepulse:problem:malformed-request", title, status })
    socket.end(
      `HTTP/1.1 ${status} ${title}\r\ncontent-type: application/problem+json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`
    )
  })
  return server
}

/** What Node's parser refuses before there is a request. */
const CLIENT_ERRORS: Readonly<Record<string, readonly [number, string]>> = {
  HPE_HEADER_OVERFLOW: [431, "Request Header Fields Too Large"],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, "Payload Too Large"],
  ERR_HTTP_REQUEST_TIMEOUT: [408, "Request Timeout"]
}

const serving = Layer.unwrap(
  Effect.gen(function* () {
    const { otherBodyBytesMax } = yield* Limits
    const app = yield* HttpRouter.toHttpEffect(routes)
    const bounded = yield* makeBoundary(app)
    return HttpServer.serve(bounded).pipe(
      Layer.provide(Layer.succeed(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(otherBodyBytesMax)))
    )
  })
).pipe(Layer.provide(Ingest.layer), Layer.provide(Layer.succeed(HttpRouter.RouterConfig, ROUTER_CONFIG)))

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
  Session.layer,
  SelfMetrics.layer,
  Readiness.layer(),
  Static.layer,
  Layer.effect(
    HoursMax,
    Effect.map(Registry, ({ exporters }) => hoursMaxOf(exporters))
  )
)
