/**
 * Where the agent tells how it is doing: `GET /metrics` (see `AgentMetrics.ts`), on the address of `metrics.listen`.
 *
 * Off unless the config asks for it: one more open port is a decision. The packages' own config opens it on the loopback
 * address, since the alert rules read it. It answers without a token; it tells counts and states, no process names.
 *
 * Bound: `CONNECTIONS_MAX` connections, each request within `REQUEST_WITHIN`, no bodies. An address that is in use costs
 * the metrics only: it is tried again, scraping and delivery go on.
 */
import * as Http from "node:http"
import { Effect, Schema } from "effect"
import { agentMetrics } from "./AgentMetrics.ts"
import type { AgentStatus } from "./AgentStatus.ts"
import type { Spool } from "./Spool.ts"

const CONNECTIONS_MAX = 16
const REQUEST_WITHIN = 5_000
const HEADER_BYTES_MAX = 8 * 1024

/** The address of `metrics.listen` cannot be listened on. Retryable: another program may give it up. */
export class MetricsAddressUnavailable extends Schema.TaggedError<MetricsAddressUnavailable>()(
  "MetricsAddressUnavailable",
  { host: Schema.String, port: Schema.Number, code: Schema.String }
) {
  readonly retryable = true
  override get message(): string {
    const why = this.code === "EADDRINUSE" ? "is in use by another program" : `cannot be listened on (${this.code})`
    return `metrics.listen ${this.host}:${this.port} ${why}: the agent's own metrics are not served`
  }
}

/** Serves until interrupted. `onListening` is told the port that was taken. */
export const serveMetrics = (
  { host, port }: { readonly host: string; readonly port: number },
  onListening: (port: number) => void = () => {}
): Effect.Effect<never, MetricsAddressUnavailable, AgentStatus | Spool> =>
  Effect.gen(function* () {
    const services = yield* Effect.context<AgentStatus | Spool>()
    const text = () => Effect.runPromiseWith(services)(agentMetrics)
    return yield* Effect.callback<never, MetricsAddressUnavailable>((resume) => {
      const server = Http.createServer({
        headersTimeout: REQUEST_WITHIN,
        requestTimeout: REQUEST_WITHIN,
        keepAliveTimeout: REQUEST_WITHIN,
        maxHeaderSize: HEADER_BYTES_MAX
      })
      server.maxConnections = CONNECTIONS_MAX
      server.on("request", (request, response) => answer(request, response, text))
      server.on("error", (error: NodeJS.ErrnoException) => {
        resume(Effect.fail(new MetricsAddressUnavailable({ host, port, code: error.code ?? error.message })))
      })
      server.listen(port, host, () => {
        const address = server.address()
        onListening(typeof address === "object" && address !== null ? address.port : port)
      })
      return Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
    })
  })

const PLAIN = { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" }

const answer = (request: Http.IncomingMessage, response: Http.ServerResponse, metrics: () => Promise<string>): void => {
  const end = (status: number, body: string, headers: Http.OutgoingHttpHeaders = PLAIN): void => {
    response.writeHead(status, { ...headers, "content-length": Buffer.byteLength(body) })
    response.end(request.method === "HEAD" ? undefined : body)
  }
  if (request.method !== "GET" && request.method !== "HEAD") {
    end(405, "only GET and HEAD\n", { ...PLAIN, allow: "GET, HEAD", connection: "close" })
  } else if (request.url?.split("?")[0] !== "/metrics") {
    end(404, "there is only /metrics\n")
  } else {
    metrics().then(
      (body) => end(200, body, { "content-type": "text/plain; version=0.0.4; charset=utf-8" }),
      () => end(500, "the metrics cannot be told\n")
    )
  }
}
