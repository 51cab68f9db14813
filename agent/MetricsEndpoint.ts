/**
 * Where the agent tells how it is doing: `GET /metrics` (see `AgentMetrics.ts`), on the address of `metrics.listen`.
 *
 * Off unless the config asks for it: one more open port is a decision. The packages' own config opens it on the loopback
 * address, since the alert rules read it. It answers without a token; it tells counts and states, no process names.
 *
 * Bounds: `CONNECTIONS_MAX` connections, `CONNECTIONS_PER_ADDRESS_MAX` from one address, each for one request and at most
 * `CONNECTION_WITHIN`, reading and writing included; no bodies. Where there are too many, the oldest gives way, so that
 * whoever holds connections open keeps nobody out: an honest scrape takes milliseconds. An address that is in use
 * costs the metrics only: it is tried again, scraping and delivery go on.
 */
import type * as Http from "node:http"
import type { Socket } from "node:net"
import { Effect, Schema } from "effect"
import { agentMetrics } from "./AgentMetrics.ts"
import type { AgentStatus } from "./AgentStatus.ts"
import { nodeHttp } from "./NodeHttp.ts"
import type { Spool } from "./spool/Spool.ts"

const CONNECTIONS_MAX = 16
const CONNECTIONS_PER_ADDRESS_MAX = 4
const CONNECTION_WITHIN = 5_000
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
      const server = nodeHttp().createServer({ maxHeaderSize: HEADER_BYTES_MAX })
      server.on("connection", admission())
      // Requests that are sent without waiting for an answer would each be answered.
      server.maxRequestsPerSocket = 1
      server.on("dropRequest", (_, socket) => socket.destroy())
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

/** Keeps connections few and short. */
const admission = () => {
  /** The oldest first. */
  const open = new Set<Socket>()
  return (socket: Socket): void => {
    const { remoteAddress } = socket
    const same = [...open].filter((other) => other.remoteAddress === remoteAddress)
    if (same.length >= CONNECTIONS_PER_ADDRESS_MAX) same[0]?.destroy()
    else if (open.size >= CONNECTIONS_MAX) [...open][0]?.destroy()
    open.add(socket)
    const deadline = setTimeout(() => socket.destroy(), CONNECTION_WITHIN).unref()
    socket.on("close", () => {
      clearTimeout(deadline)
      open.delete(socket)
    })
  }
}

const PLAIN = { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" }

const answer = (request: Http.IncomingMessage, response: Http.ServerResponse, metrics: () => Promise<string>): void => {
  const end = (status: number, body: string, headers: Http.OutgoingHttpHeaders = PLAIN): void => {
    response.writeHead(status, { ...headers, "content-length": Buffer.byteLength(body) })
    response.end(request.method === "HEAD" ? undefined : body)
  }
  if (request.method !== "GET" && request.method !== "HEAD") {
    end(405, "only GET and HEAD\n", { ...PLAIN, allow: "GET, HEAD" })
  } else if (request.url?.split("?")[0] !== "/metrics") {
    end(404, "there is only /metrics\n")
  } else {
    metrics().then(
      (body) => end(200, body, { "content-type": "text/plain; version=0.0.4; charset=utf-8" }),
      () => end(500, "the metrics cannot be told\n")
    )
  }
}
