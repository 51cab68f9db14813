import { createHash } from "node:crypto"
import { connect } from "node:net"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { ADMIN, READ, row, startServer } from "../TestServer.ts"
import { AddressUnavailable } from "./HttpServer.ts"

/** Everything that comes back for these bytes. */
const raw = (port: number, bytes: string | Buffer): Effect.Effect<string> =>
  Effect.callback((resume) => {
    let seen = ""
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes))
    socket.on("data", (chunk) => {
      seen += chunk.toString("latin1")
    })
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.succeed(seen)))
  })

describe("every error is a problem", () => {
  it.live("404, also below the API, and for what looks like a page", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer()
      for (const path of [
        "/nope",
        "/api",
        "/api/nope",
        "/api/servers/a/b/c/d",
        "/API/servers",
        "/metrics/other",
        "/x.js"
      ]) {
        const answer = yield* ask(path, { token: READ })
        expect([path, answer.status, answer.headers["content-type"]]).toEqual([path, 404, "application/problem+json"])
      }
    })
  )

  it.live("405 names the methods that are allowed; OPTIONS tells them, HEAD has no body", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer()
      const put = yield* ask("/api/servers", { method: "PUT", token: ADMIN })
      expect(put.status).toBe(405)
      expect(put.headers.allow).toBe("GET, POST, HEAD, OPTIONS")
      expect(put.json).toMatchObject({ status: 405, allowed: ["GET", "POST", "HEAD", "OPTIONS"] })
      expect((yield* ask("/metrics/prometheus", { token: READ })).headers.allow).toBe("POST, OPTIONS")
      expect((yield* ask("/api/docs", { method: "POST" })).status).toBe(405)
      const options = yield* ask("/api/servers/alpha/processes/top", { method: "OPTIONS" })
      expect([options.status, options.headers.allow]).toEqual([204, "GET, HEAD, OPTIONS"])
      expect(options.headers["access-control-allow-origin"]).toBeUndefined()
      const head = yield* ask("/api/servers", { method: "HEAD", token: READ })
      expect([head.status, head.text]).toEqual([200, ""])
      expect(Number(head.headers["content-length"])).toBeGreaterThan(0)
    })
  )

  it.live("500 without its inside, and everything goes on", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      world.servers.set("alpha", { serverId: "alpha", name: 7 as unknown as string, createdAt: 0 })
      const answer = yield* ask("/api/servers/alpha", { token: READ })
      expect(answer.json).toEqual({
        type: "urn:nodepulse:problem:unexpected",
        status: 500,
        title: "Unexpected error."
      })
      expect((yield* ask("/healthz")).status).toBe(200)
    })
  )

  it.live("503 with Retry-After where the database cannot be reached, without its address", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      world.databaseDown = true
      const answer = yield* ask("/api/servers", { token: ADMIN })
      expect(answer.status).toBe(503)
      expect(Number(answer.headers["retry-after"])).toBeGreaterThanOrEqual(1)
      expect(answer.text).not.toContain("10.1.2.3")
    })
  )

  it.live("what is no HTTP, or too much of it, is refused and the server goes on", () =>
    Effect.gen(function* () {
      const { ask, port } = yield* startServer()
      expect(yield* raw(port, "hello\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 [\s\S]*application\/problem\+json/)
      expect(yield* raw(port, `GET / HTTP/1.1\r\nhost: x\r\nx: ${"y".repeat(20_000)}\r\n\r\n`)).toMatch(
        /^HTTP\/1\.1 431/
      )
      expect(yield* raw(port, "GET / HTTP/1.1\r\nconnection: close\r\n\r\n")).toMatch(/^HTTP\/1\.1 400/)
      const both =
        "POST /metrics/prometheus HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
      expect(yield* raw(port, both)).toMatch(/^HTTP\/1\.1 400/)
      expect((yield* ask("/healthz")).status).toBe(200)
    })
  )

  it.live("a request for an upgrade is answered like any other", () =>
    Effect.gen(function* () {
      const { port } = yield* startServer()
      const upgrade = "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: upgrade, close\r\nupgrade: websocket\r\n\r\n"
      expect(yield* raw(port, upgrade)).toMatch(/^HTTP\/1\.1 200/)
    })
  )
})

describe("every answer is safe to show in a browser", () => {
  it.live("security headers, nothing cached, no other site", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer()
      for (const path of ["/healthz", "/api/servers", "/api/nope", "/"]) {
        const { headers } = yield* ask(path, { token: READ, headers: { origin: "https://evil.example" } })
        expect(headers).toMatchObject({
          "x-content-type-options": "nosniff",
          "x-frame-options": "DENY",
          "referrer-policy": "no-referrer",
          "cross-origin-resource-policy": "same-origin",
          "content-security-policy": expect.stringContaining("default-src 'none'")
        })
        expect(headers["access-control-allow-origin"]).toBeUndefined()
      }
      expect((yield* ask("/api/servers", { token: READ })).headers["cache-control"]).toBe("no-store")
    })
  )

  it.live("the documentation loads nothing from elsewhere, and only its own scripts may run", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer()
      const { headers, status, text } = yield* ask("/api/docs")
      expect(status).toBe(200)
      expect(text).not.toMatch(/<(script|link|img)[^>]+(src|href)=/)
      const policy = String(headers["content-security-policy"])
      expect(policy).not.toMatch(/https?:/)
      expect(/script-src [^;]*/.exec(policy)?.[0]).not.toContain("unsafe")
      for (const [, script] of text.matchAll(/<script(?:\s[^>]*)?>([\s\S]*?)<\/script>/g)) {
        expect(policy).toContain(createHash("sha256").update(script!).digest("base64"))
      }
      const packed = yield* ask("/api/docs", { headers: { "accept-encoding": "gzip" } })
      expect(Number(packed.headers["content-length"])).toBeLessThan(text.length / 2)
    })
  )

  it.live("the OpenAPI document has every endpoint, its token and its problems", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer()
      const { json } = yield* ask("/api/openapi.json")
      expect(json.openapi).toMatch(/^3\.1/)
      expect(Object.keys(json.paths)).toEqual(
        expect.arrayContaining([
          "/metrics/prometheus",
          "/api/servers/{id}/{resource}/top",
          "/api/servers/{id}/{resource}/history",
          "/api/exporters",
          "/api/pipeline",
          "/api/dead-letters",
          "/healthz",
          "/readyz",
          "/metrics"
        ])
      )
      const ingest = json.paths["/metrics/prometheus"].post
      expect(Object.keys(ingest.responses)).toEqual(
        expect.arrayContaining(["202", "400", "401", "403", "413", "415", "422", "429", "503"])
      )
      expect(ingest.security).toEqual([{ token: [] }])
      expect(Object.keys(json.components.securitySchemes)).toEqual(["session", "token"])
      const top = json.paths["/api/servers/{id}/{resource}/top"].get
      expect(top.parameters.find(({ name }: { name: string }) => name === "limit").schema.description).toContain(
        "1 to 1000"
      )
    })
  )
})

describe("the server tells the truth about itself", () => {
  it.live("ready, or which part is missing and why", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer({ checks: { migrations: Effect.void } })
      expect((yield* ask("/readyz")).json).toEqual({
        ready: true,
        checks: ["database", "stream", "writes", "migrations"]
      })
      const broken = yield* startServer({
        checks: { migrations: Effect.fail({ message: "0007 is not applied" }), defect: Effect.die("secret") }
      })
      const answer = yield* broken.ask("/readyz")
      expect(answer.status).toBe(503)
      expect(answer.json.checks).toEqual([
        { name: "database", ready: true, reason: null },
        { name: "stream", ready: true, reason: null },
        { name: "writes", ready: true, reason: null },
        { name: "migrations", ready: false, reason: "0007 is not applied" },
        { name: "defect", ready: false, reason: "unexpected error" }
      ])
      expect((yield* broken.ask("/healthz")).status).toBe(200)
      expect(world.databaseDown).toBe(false)
    })
  )

  it.live("counts what it answered and took in, by route and exporter, and no address makes a series", () =>
    Effect.gen(function* () {
      const { ask, metrics, push } = yield* startServer()
      yield* metrics.beforeScrape("broken", Effect.die("a collector that breaks"))
      yield* push({ process_exporter: [row("a", { unknown_field: 1 }), row("b", { num_procs: -1 })], nope: [{}, {}] })
      yield* ask("/api/servers/alpha", { token: READ })
      yield* ask("/api/servers/gamma", { token: READ })
      yield* ask("/some/address/nonesuch/knows")
      yield* ask("/", { method: "TRACE" })
      const { text } = yield* ask("/metrics", { token: READ })
      const lines = text.split("\n")
      expect(lines).toContain('nodepulse_ingest_accepted_total{exporter="process_exporter"} 1')
      expect(lines).toContain('nodepulse_ingest_accepted_total{exporter="node_exporter"} 0')
      expect(lines).toContain('nodepulse_ingest_rejected_total{exporter="process_exporter"} 1')
      expect(lines).toContain('nodepulse_ingest_rejected_total{exporter="unknown"} 2')
      expect(lines).toContain("nodepulse_ingest_ignored_fields_total 1")
      expect(lines).toContain('nodepulse_http_requests_total{method="POST",route="/metrics/prometheus",status="202"} 1')
      expect(lines).toContain('nodepulse_http_requests_total{method="GET",route="/api/servers/:id",status="200"} 1')
      expect(lines).toContain('nodepulse_http_requests_total{method="GET",route="/api/servers/:id",status="404"} 1')
      expect(lines).toContain('nodepulse_http_requests_total{method="GET",route="(none)",status="404"} 1')
      expect(lines).toContain('nodepulse_http_requests_total{method="other",route="(none)",status="404"} 1')
      expect(lines).toContain('nodepulse_http_request_duration_seconds_count{route="/metrics/prometheus"} 1')
      expect(lines).toContain("nodepulse_stream_length 3")
      expect(lines).toContain("nodepulse_stream_up 1")
      expect(lines).toContain('nodepulse_collect_failures_total{collector="broken"} 1')
      expect(text).toContain("nodejs_eventloop_lag_seconds")
      expect(text).not.toContain("nonesuch")
    })
  )

  it.live("an address in use is said so", () =>
    Effect.gen(function* () {
      const { port } = yield* startServer()
      const error = yield* Effect.flip(startServer({ port }))
      expect(error).toBeInstanceOf(AddressUnavailable)
      expect((error as AddressUnavailable).message).toBe(
        `127.0.0.1:${port} is in use by another program; stop it, or choose another NODEPULSE_PORT`
      )
    })
  )
})
