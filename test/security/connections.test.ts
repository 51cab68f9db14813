/** Clients that send slowly, do not read, or come in hundreds: each is closed in its time, and the others are served. */
import { connect, type Socket } from "node:net"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { placeOf } from "../../src/access/Networks.ts"
import { AGENT_A, READ, row, startServer } from "../../src/http/TestServer.ts"

interface Client {
  readonly socket: Socket
  readonly text: () => string
  /** Resolves when the server has closed it. */
  readonly closed: Promise<void>
}

const open = (port: number, bytes: string, { reads = true } = {}): Effect.Effect<Client> =>
  Effect.callback((resume) => {
    let text = ""
    const socket = connect(port, "127.0.0.1", () => {
      socket.write(bytes)
      resume(Effect.succeed({ socket, text: () => text, closed }))
    })
    const closed = new Promise<void>((done) => socket.on("close", () => done()))
    socket.on("error", () => {})
    if (!reads) return void socket.pause()
    socket.on("data", (chunk) => {
      text += chunk
    })
  })

const opened = (port: number, count: number, bytes: string, options?: { readonly reads: boolean }) =>
  Effect.acquireRelease(
    Effect.all(
      Array.from({ length: count }, () => open(port, bytes, options)),
      { concurrency: "unbounded" }
    ),
    (clients) =>
      Effect.sync(() => {
        for (const { socket } of clients) socket.destroy()
      })
  )

const allClosed = (clients: ReadonlyArray<Client>) =>
  Effect.promise(() => Promise.all(clients.map(({ closed }) => closed)))

describe("whoever is slow is closed in time", () => {
  it.live("hundreds that never finish their headers are told 408, and others are served meanwhile", () =>
    Effect.gen(function* () {
      const { port, push } = yield* startServer({ limits: { headersWithin: "300 millis" } })
      const clients = yield* opened(port, 300, "GET / HTTP/1.1\r\nhost: x\r\na: b")
      expect((yield* push({ process_exporter: [row("a")] })).status).toBe(202)
      yield* allClosed(clients)
      expect(clients.every(({ text }) => text().startsWith("HTTP/1.1 408"))).toBe(true)
    }).pipe(Effect.scoped)
  )

  it.live(
    "300 clients that go on byte by byte are told 408 when their time is over, and others are served meanwhile",
    () =>
      Effect.gen(function* () {
        const { port, push } = yield* startServer({ limits: { headersWithin: "1 second", requestWithin: "1 second" } })
        const head = `POST /metrics/prometheus HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${AGENT_A}\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n{`
        const clients = [
          ...(yield* opened(port, 200, "GET / HTTP/1.1\r\nhost: x\r\na: b")),
          ...(yield* opened(port, 100, head))
        ]
        const drip = Effect.sync(() => {
          for (const { socket } of clients) if (socket.writable) socket.write(" ")
        })
        yield* Effect.forkScoped(Effect.forever(Effect.delay(drip, "100 millis")))
        expect((yield* push({ process_exporter: [row("a")] })).status).toBe(202)
        yield* allClosed(clients)
        expect(clients.filter(({ text }) => text().startsWith("HTTP/1.1 408")).length).toBeGreaterThanOrEqual(200)
        expect((yield* push({ process_exporter: [row("a")] })).status).toBe(202)
      }).pipe(Effect.scoped)
  )

  it.live("a body that never ends is told 408, and its place is free again", () =>
    Effect.gen(function* () {
      const { port, push } = yield* startServer({
        limits: { headersWithin: "100 millis", requestWithin: "300 millis", requestsInFlightMax: 40 }
      })
      const head = `POST /metrics/prometheus HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${AGENT_A}\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{`
      const clients = yield* opened(port, 20, head)
      yield* allClosed(clients)
      expect((yield* push({ process_exporter: [row("a")] })).status).toBe(202)
    }).pipe(Effect.scoped)
  )

  it.live("200 clients that do not read their answers are closed, and others are served meanwhile", () =>
    Effect.gen(function* () {
      const { ask, port } = yield* startServer({ limits: { stalledWithin: "500 millis" } })
      // The API's description is 2 MB: more than a kernel takes for a client that does not read.
      const asks = "GET /api/docs HTTP/1.1\r\nhost: x\r\n\r\n".repeat(4)
      const clients = yield* opened(port, 200, asks, { reads: false })
      expect((yield* ask("/api/servers", { token: READ })).status).toBe(200)
      // A paused socket does not see the end, so the server is asked how many it holds.
      const connections = Effect.map(ask("/metrics", { token: READ }), ({ text }) =>
        Number(/^nodepulse_http_connections (\d+)$/m.exec(text)?.[1])
      )
      yield* Effect.delay(connections, "100 millis").pipe(Effect.repeat({ until: (count) => count < 10 }))
      for (const { socket } of clients) socket.resume()
      yield* allClosed(clients)
      expect(Math.max(...clients.map(({ socket }) => socket.bytesRead))).toBeLessThan(8_000_000)
    }).pipe(Effect.scoped)
  )
})

describe("nobody takes all connections", () => {
  it.live("one more than an address may have is told so and closed, and they come back", () =>
    Effect.gen(function* () {
      const { ask, port } = yield* startServer({ limits: { addressConnectionsMax: 10 } })
      const clients = yield* opened(port, 10, "")
      const refused = yield* open(port, "GET / HTTP/1.1\r\nhost: x\r\n\r\n")
      yield* Effect.promise(() => refused.closed)
      expect(refused.text()).toContain("HTTP/1.1 429")
      expect(refused.text()).toContain("urn:nodepulse:problem:too-many-connections")
      clients[0]!.socket.destroy()
      yield* Effect.promise(() => clients[0]!.closed)
      const answer = yield* ask("/healthz").pipe(Effect.repeat({ until: ({ status }) => status === 200, times: 50 }))
      expect(answer.status).toBe(200)
    }).pipe(Effect.scoped)
  )

  it.live("more requests a second than an address may send are told to wait", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer({ limits: { addressRequestsPerSecond: 1 } })
      const statuses: Array<number> = []
      for (let index = 0; index < 11; index++) statuses.push((yield* ask("/healthz")).status)
      expect(statuses.slice(0, 10).every((status) => status === 200)).toBe(true)
      const last = yield* ask("/healthz")
      expect(last).toMatchObject({ status: 429, json: { limit_of: "address", limit: 1 } })
      expect(last.headers["x-content-type-options"]).toBe("nosniff")
    })
  )

  it.each([
    ["10.1.2.3", "10.1.2.3"],
    ["::ffff:10.1.2.3", "10.1.2.3"],
    ["2001:db8::1", "2001:db8:0:0"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
    ["2001:db8:1:2::6", "2001:db8:1:2"],
    ["::1", "0:0:0:0"],
    ["fe80::1", "fe80:0:0:0"],
    ["", ""]
  ])("%s counts as %s", (address, place) => {
    expect(placeOf(address)).toBe(place)
  })
})
