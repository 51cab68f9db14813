/**
 * Node's own server with a bound on everything that a client can make it wait for or hold.
 *
 * Bounds (`Limits`): headers, a whole request, an idle connection, and a connection on which nothing moves although something
 * should, as one whose client does not read its answer: each in its time, then it is closed. Connections in all and of one
 * address, where an IPv6 network of 64 bits counts as one. 16 KiB of headers. What Node's parser refuses is a problem, too,
 * with the headers of every answer.
 */
import { createServer, type Server, type ServerOptions } from "node:http"
import { createServer as createSecureServer } from "node:https"
import type { Socket } from "node:net"
import { Duration } from "effect"
import { placeOf } from "../../access/Networks.ts"
import type { LimitsShape } from "./Limits.ts"
import { ANSWER_HEADERS } from "./SecurityHeaders.ts"
import { secured, type Tls } from "./Tls.ts"

const HEADER_BYTES_MAX = 16 * 1024
/** How often Node looks for headers and requests that are late, at least. */
const CHECKED_EVERY_MILLIS = 5_000

/** A server that nobody listens to yet; it speaks TLS where it is given what for. */
export const boundedServer = (limits: LimitsShape, tls?: Tls): Server => {
  const headersTimeout = Duration.toMillis(limits.headersWithin)
  const options = {
    headersTimeout,
    requestTimeout: Duration.toMillis(limits.requestWithin),
    keepAliveTimeout: Duration.toMillis(limits.idleWithin),
    connectionsCheckingInterval: Math.min(CHECKED_EVERY_MILLIS, headersTimeout),
    maxHeaderSize: HEADER_BYTES_MAX
  }
  const server = tls === undefined ? createServer(options) : securedServer(options, tls, headersTimeout)
  // Also of an answer that is not read: bytes that are taken count as something that moves.
  server.timeout = Duration.toMillis(limits.stalledWithin)
  server.maxConnections = limits.connectionsMax
  boundAddresses(server, limits.addressConnectionsMax)
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
    if (socket.destroyed || !socket.writable || error.code === "ECONNRESET") return void socket.destroy()
    const [status, title] = CLIENT_ERRORS[error.code ?? ""] ?? [400, "Bad Request"]
    refuse(socket, status, title, "malformed-request")
  })
  return server
}

/** What comes by TLS is told from what only says so: a header that a client has set does not count. */
const securedServer = (options: ServerOptions, tls: Tls, handshakeTimeout: number): Server => {
  const asks = { requestCert: tls.asksAgents, rejectUnauthorized: false }
  const server = createSecureServer({ ...options, ...secured(tls.material()), ...asks, handshakeTimeout })
  server.on("request", (request, response) => {
    request.headers["x-forwarded-proto"] = "https"
    response.setHeader("strict-transport-security", HSTS)
  })
  return server as unknown as Server
}

/** A year. */
const HSTS = "max-age=31536000"

/** What Node's parser refuses before there is a request. */
const CLIENT_ERRORS: Readonly<Record<string, readonly [number, string]>> = {
  HPE_HEADER_OVERFLOW: [431, "Request Header Fields Too Large"],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, "Payload Too Large"],
  ERR_HTTP_REQUEST_TIMEOUT: [408, "Request Timeout"]
}

const boundAddresses = (server: Server, most: number): void => {
  const open = new Map<string, number>()
  server.on("connection", (socket: Socket) => {
    const place = placeOf(socket.remoteAddress ?? "")
    const count = (open.get(place) ?? 0) + 1
    open.set(place, count)
    socket.once("close", () => {
      const left = (open.get(place) ?? 1) - 1
      if (left === 0) open.delete(place)
      else open.set(place, left)
    })
    if (count > most) refuse(socket, 429, `more than ${most} connections from one address`, "too-many-connections")
  })
}

/** Answers without a request, and closes. */
const refuse = (socket: Socket, status: number, title: string, type: string): void => {
  const body = JSON.stringify({ type: `urn:nodepulse:problem:${type}`, title, status })
  const headers = {
    ...ANSWER_HEADERS,
    "content-type": "application/problem+json",
    "content-length": Buffer.byteLength(body),
    connection: "close"
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.end(`HTTP/1.1 ${status} ${title}\r\n${lines.join("")}\r\n${body}`)
  // A client that keeps sending, or does not read, does not keep it open.
  socket.destroySoon()
}
