import { gzipSync } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber } from "effect"
import { type ExchangeRequest, exchange } from "./HttpExchange.ts"
import { closedPort, httpPeer, tcpPeer } from "./HttpPeer.fixture.ts"

const LIMIT = 100_000

const get = (url: string, changes: Partial<ExchangeRequest> = {}) =>
  exchange({ method: "GET", url, headers: {}, timeout: Duration.seconds(5), bodyLimit: LIMIT, ...changes })

const failure = (url: string, changes: Partial<ExchangeRequest> = {}) => Effect.flip(get(url, changes))

describe("an exchange", () => {
  it.live("brings status, headers and body, and closes its connection", () =>
    Effect.gen(function* () {
      const peer = yield* httpPeer((_, response) => response.writeHead(503, { "retry-after": "7" }).end("later"))
      const response = yield* get(`${peer.url}/metrics?x=1`, { headers: { accept: "text/plain" } })
      assert.strictEqual(response.status, 503)
      assert.strictEqual(response.headers["retry-after"], "7")
      assert.strictEqual(Buffer.from(response.body).toString(), "later")
      assert.strictEqual(peer.requests[0]?.path, "/metrics?x=1")
      assert.strictEqual(peer.requests[0]?.headers.accept, "text/plain")
      assert.strictEqual(peer.requests[0]?.headers.connection, "close")
    })
  )

  it.live("sends its body, and the address's user and password as basic authentication", () =>
    Effect.gen(function* () {
      const peer = yield* httpPeer((_, response) => response.writeHead(202).end())
      yield* get(peer.url.replace("//", "//scott:tiger@"), { method: "POST", body: Buffer.from("{}") })
      assert.strictEqual(peer.requests[0]?.body.toString(), "{}")
      assert.strictEqual(peer.requests[0]?.headers.authorization, `Basic ${btoa("scott:tiger")}`)
    })
  )

  it.live("does not follow a redirect", () =>
    Effect.gen(function* () {
      const peer = yield* httpPeer((_, response) =>
        response.writeHead(301, { location: "http://example.invalid/" }).end()
      )
      assert.strictEqual((yield* get(peer.url)).status, 301)
      assert.strictEqual(peer.requests.length, 1)
    })
  )

  it.live("reads a gzip body", () =>
    Effect.gen(function* () {
      const peer = yield* httpPeer((_, response) =>
        response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync("node_load1 1\n"))
      )
      assert.strictEqual(Buffer.from((yield* get(peer.url)).body).toString(), "node_load1 1\n")
    })
  )
})

describe("an exchange fails, and says why,", () => {
  it.live("where nothing listens", () =>
    Effect.gen(function* () {
      const port = yield* closedPort
      const error = yield* failure(`http://127.0.0.1:${port}/metrics`)
      assert.deepStrictEqual([error.failure, error.detail], ["refused", "connection refused"])
      // A name of several addresses, each of which refuses.
      assert.strictEqual((yield* failure(`http://localhost:${port}/metrics`)).failure, "refused")
    })
  )

  it.live("where the name is unknown", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* failure("http://nowhere.invalid/metrics")).failure, "unreachable")
    })
  )

  it.live("where the peer accepts and says nothing", () =>
    Effect.gen(function* () {
      const peer = yield* tcpPeer(() => {})
      const error = yield* failure(peer.url, { timeout: Duration.millis(200) })
      assert.deepStrictEqual([error.failure, error.detail], ["timeout", "connected, but no response within 200 ms"])
    })
  )

  it.live("where the peer hangs after the headers, or in the body", () =>
    Effect.gen(function* () {
      const peer = yield* tcpPeer((socket) =>
        socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"))
      )
      const error = yield* failure(peer.url, { timeout: Duration.millis(200) })
      assert.strictEqual(error.failure, "timeout")
      assert.strictEqual(error.detail, "the response began, but was not complete within 200 ms (4 bytes came)")
    })
  )

  it.live("where a peer drips its body for longer than the time-out", () =>
    Effect.gen(function* () {
      const peer = yield* httpPeer((_, response) => {
        const drip = setInterval(() => response.write("# drip\n"), 20)
        response.on("close", () => clearInterval(drip))
      })
      assert.strictEqual((yield* failure(peer.url, { timeout: Duration.millis(300) })).failure, "timeout")
    })
  )

  it.live("where the connection breaks before the answer, or in the body", () =>
    Effect.gen(function* () {
      const silent = yield* tcpPeer((socket) => socket.once("data", () => socket.destroy()))
      assert.strictEqual((yield* failure(silent.url)).failure, "broken")
      const short = yield* tcpPeer((socket) =>
        socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"))
      )
      assert.strictEqual((yield* failure(short.url)).failure, "broken")
      const chunked = yield* tcpPeer((socket) =>
        socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"))
      )
      assert.strictEqual((yield* failure(chunked.url)).failure, "broken")
    })
  )

  it.live("where the body announces that it is larger than the limit, before it is read", () =>
    Effect.gen(function* () {
      const peer = yield* tcpPeer((socket) =>
        socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n"))
      )
      assert.strictEqual((yield* failure(peer.url)).failure, "too-large")
    })
  )

  it.live("where the body turns out to be larger than the limit", () =>
    Effect.gen(function* () {
      const peer = yield* httpPeer((_, response) => {
        response.writeHead(200)
        response.write("x".repeat(LIMIT))
        response.end("x")
      })
      assert.strictEqual((yield* failure(peer.url)).failure, "too-large")
    })
  )

  it.live("where a small gzip body unpacks to more than the limit", () =>
    Effect.gen(function* () {
      const bomb = gzipSync(Buffer.alloc(200 * 1024 * 1024))
      const peer = yield* httpPeer((_, response) => response.writeHead(200, { "content-encoding": "gzip" }).end(bomb))
      const error = yield* failure(peer.url)
      assert.deepStrictEqual(
        [error.failure, error.detail],
        ["too-large", `the body is larger than the limit of ${LIMIT} bytes`]
      )
    })
  )

  it.live("where gzip data is damaged or cut off, or the encoding was not asked for", () =>
    Effect.gen(function* () {
      const whole = gzipSync("node_load1 1\n".repeat(50))
      for (const body of [whole.subarray(0, 20), Buffer.from("no gzip at all")]) {
        const peer = yield* httpPeer((_, response) => response.writeHead(200, { "content-encoding": "gzip" }).end(body))
        assert.strictEqual((yield* failure(peer.url)).failure, "encoding")
      }
      const brotli = yield* httpPeer((_, response) => response.writeHead(200, { "content-encoding": "br" }).end("?"))
      assert.strictEqual((yield* failure(brotli.url)).failure, "encoding")
    })
  )

  it.live("where the answer is not HTTP, and where TLS is spoken to a plain port", () =>
    Effect.gen(function* () {
      const ssh = yield* tcpPeer((socket) => socket.write("SSH-2.0-OpenSSH_9.2\r\n"))
      assert.strictEqual((yield* failure(ssh.url)).failure, "protocol")
      const plain = yield* httpPeer((_, response) => response.end())
      assert.strictEqual((yield* failure(plain.url.replace("http:", "https:"))).failure, "tls")
    })
  )
})

it.live("an interrupted exchange closes its connection", () =>
  Effect.gen(function* () {
    const peer = yield* tcpPeer((socket) => socket.resume())
    const fiber = yield* Effect.forkChild(get(peer.url, { timeout: Duration.minutes(5) }))
    while (peer.openConnections() === 0) yield* Effect.sleep(1)
    yield* Fiber.interrupt(fiber)
    while (peer.openConnections() > 0) yield* Effect.sleep(1)
    assert.strictEqual(peer.openConnections(), 0)
  })
)
