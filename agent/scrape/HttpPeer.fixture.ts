/**
 * A real HTTP (or plain TCP) server on a free port of 127.0.0.1, for the tests of the agent. Closed with its scope. It tells no
 * `Date` unless the handler does: tests have clocks of their own.
 */
import * as Http from "node:http"
import * as Net from "node:net"
import { Effect, type Scope } from "effect"
import { TestClock } from "effect/testing"

export interface HttpPeer {
  readonly url: string
  readonly port: number
  /** What was asked, in order, bodies included. */
  readonly requests: ReadonlyArray<PeerRequest>
  readonly openConnections: () => number
}

export interface PeerRequest {
  readonly method: string
  readonly path: string
  readonly headers: Http.IncomingHttpHeaders
  readonly body: Buffer
}

/** Answers each request with the handler, which is told how many came before. */
export const httpPeer = (
  handle: (request: PeerRequest, response: Http.ServerResponse, index: number) => void,
  port = 0
): Effect.Effect<HttpPeer, never, Scope.Scope> => {
  const requests: Array<PeerRequest> = []
  const server = Http.createServer((incoming, response) => {
    const chunks: Array<Buffer> = []
    response.sendDate = false
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk))
    incoming.on("end", () => {
      const request = {
        method: incoming.method ?? "",
        path: incoming.url ?? "",
        headers: incoming.headers,
        body: Buffer.concat(chunks)
      }
      requests.push(request)
      handle(request, response, requests.length - 1)
    })
  })
  return listening(server, requests, port)
}

/** Hands each connection to the handler as it is: for answers that are not HTTP, or end in the middle. */
export const tcpPeer = (handle: (socket: Net.Socket) => void): Effect.Effect<HttpPeer, never, Scope.Scope> =>
  listening(
    Net.createServer((socket) => {
      socket.on("error", () => {})
      handle(socket)
    }),
    [],
    0
  )

const listening = (
  server: Net.Server,
  requests: ReadonlyArray<PeerRequest>,
  port: number
): Effect.Effect<HttpPeer, never, Scope.Scope> => {
  const sockets = new Set<Net.Socket>()
  server.on("connection", (socket: Net.Socket) => {
    sockets.add(socket)
    socket.on("close", () => sockets.delete(socket))
  })
  return Effect.acquireRelease(
    Effect.callback<HttpPeer>((resume) => {
      server.listen(port, "127.0.0.1", () => {
        const taken = (server.address() as Net.AddressInfo).port
        const url = `http://127.0.0.1:${taken}`
        resume(Effect.succeed({ url, port: taken, requests, openConnections: () => sockets.size }))
      })
    }),
    () =>
      Effect.callback<void>((resume) => {
        for (const socket of sockets) socket.destroy()
        server.close(() => resume(Effect.void))
      })
  )
}

/** Until no request is on its way to it: under a test's clock, gzip, connecting and answering still take real time. */
export const settled = (peer: HttpPeer) =>
  TestClock.withLive(
    Effect.gen(function* () {
      for (let quiet = 0; quiet < 5; ) {
        yield* Effect.sleep(4)
        quiet = peer.openConnections() === 0 ? quiet + 1 : 0
      }
    })
  )

/** A port of 127.0.0.1 on which nothing listens. */
export { freePort as closedPort } from "../../test/Ports.ts"
