/**
 * What a browser could be made to do against its user: to show us in a frame, to run what is not ours, to change something
 * for another site, to be led here under another name. Asked for as raw requests, since a browser sends only some of them.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { ADMIN, AGENT_A, READ, startServer } from "../../src/http/TestServer.ts"

/** Sends bytes, and resolves to the whole answer. */
const raw = (port: number, bytes: string): Effect.Effect<string> =>
  Effect.callback((resume) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes))
    let text = ""
    socket.on("data", (chunk) => {
      text += chunk
    })
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.succeed(text)))
  })

const pageFolder = Effect.acquireRelease(
  Effect.sync(() => {
    const folder = mkdtempSync(join(tmpdir(), "nodepulse-page-"))
    writeFileSync(join(folder, "index.html"), "<!doctype html><title>x</title>")
    writeFileSync(join(folder, "app.js"), "1")
    return folder
  }),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
)

const PUSH = `POST /metrics/prometheus HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer ${AGENT_A}\r\n`

describe("every answer tells a browser to run, frame and guess nothing", () => {
  const requests: ReadonlyArray<readonly [name: string, bytes: string, status: number]> = [
    ["the page", "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 200],
    ["a script", "GET /app.js HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 200],
    ["the API's description", "GET /api/docs HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 200],
    ["nothing there", "GET /assets/none HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 404],
    ["nobody", "GET /api/servers HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 401],
    ["a path that is none", "GET /%ff HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 404],
    ["another method", "DELETE /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 405],
    ["a push", `${PUSH}content-type: application/json\r\ncontent-length: 2\r\n\r\n{}`, 202],
    ["a push that is none", `${PUSH}content-type: text/html\r\ncontent-length: 2\r\n\r\n{}`, 415],
    [
      "a push of nobody",
      "POST /metrics/prometheus HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
      401
    ],
    ["no HTTP at all", "hello\r\n\r\n", 400],
    ["headers beyond all bounds", `GET / HTTP/1.1\r\nhost: x\r\na: ${"a".repeat(20_000)}\r\n\r\n`, 431],
    ["two lengths", "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", 400],
    ["no host", "GET / HTTP/1.1\r\n\r\n", 400]
  ]

  it.live("pages, files, problems, and what is refused before there is a request", () =>
    Effect.gen(function* () {
      const { port } = yield* startServer({ page: yield* pageFolder })
      for (const [name, bytes, status] of requests) {
        const answer = yield* raw(port, bytes)
        const [head = ""] = answer.split("\r\n\r\n")
        const headers = head.toLowerCase()
        expect(headers, name).toMatch(new RegExp(`^http/1.1 ${status} `))
        const policy = /content-security-policy: (.*)/.exec(headers)?.[1] ?? ""
        if (name === "no host") continue
        expect(policy, name).toContain("default-src 'none'")
        expect(policy, name).toContain("frame-ancestors 'none'")
        expect(policy, name).not.toContain("unsafe-")
        expect(headers, name).toContain("x-content-type-options: nosniff")
        expect(headers, name).toContain("referrer-policy: no-referrer")
        expect(headers, name).toContain("x-frame-options: deny")
        expect(headers, name).not.toContain("access-control-allow-origin")
        expect(headers, name).not.toContain("x-powered-by")
      }
    }).pipe(Effect.scoped)
  )
})

describe("what changes something is done for this server's own page only", () => {
  const create = (headers: Readonly<Record<string, string>>, token = ADMIN) => ({
    method: "POST",
    token,
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ name: "web-9" })
  })

  it.live("another site's page is refused, with a token or a session; a program, which names no origin, is not", () =>
    Effect.gen(function* () {
      const { ask, port, world } = yield* startServer()
      const before = world.servers.size
      for (const headers of [
        { origin: "https://evil.example" },
        { origin: "null" },
        { origin: `http://127.0.0.1:${port}.evil.example` },
        { origin: `http://127.0.0.1:${port + 1}` },
        { origin: `http://127.0.0.1:${port}`, "sec-fetch-site": "cross-site" },
        { "sec-fetch-site": "same-site" }
      ]) {
        expect((yield* ask("/api/servers", create(headers))).status, JSON.stringify(headers)).toBe(403)
        expect((yield* ask("/api/session", { method: "DELETE", headers })).status).toBe(403)
      }
      expect(world.servers.size).toBe(before)
      expect((yield* ask("/api/servers", create({}))).status).toBe(201)
      expect((yield* ask("/api/servers", create({ origin: `http://127.0.0.1:${port}` }))).status).toBe(201)
    })
  )

  it.live("and a form's content types are not taken for JSON", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      const before = world.servers.size
      for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]) {
        expect((yield* ask("/api/servers", create({ "content-type": type }))).status).toBeGreaterThanOrEqual(400)
      }
      expect(world.servers.size).toBe(before)
    })
  )
})

describe("a name that leads here opens nothing, where the address is configured", () => {
  it.live("pages answer to that name, to localhost and to addresses of numbers", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer({ page: yield* pageFolder, publicUrl: "https://pulse.example.com" })
      const status = (path: string, host: string, token?: string) =>
        Effect.map(ask(path, { headers: { host }, ...(token === undefined ? {} : { token }) }), ({ status }) => status)
      for (const host of ["pulse.example.com", "PULSE.example.com:443", "localhost:8080", "10.1.2.3", "[fe80::1]:80"]) {
        expect(yield* status("/", host), host).toBe(200)
      }
      for (const host of [
        "evil.example",
        "pulse.example.com.evil.example",
        "pulse.example.com@evil",
        "10.1.2.3.nip.io"
      ]) {
        expect(yield* status("/", host), host).toBe(421)
        expect(yield* status("/api/servers", host), host).toBe(421)
      }
      expect(yield* status("/healthz", "evil.example")).toBe(200)
      expect(yield* status("/api/servers", "internal.example", READ)).toBe(200)
    }).pipe(Effect.scoped)
  )

  it.live("and a change comes from its page, whatever name a proxy asks by", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer({ publicUrl: "https://pulse.example.com" })
      const send = (origin: string) =>
        ask("/api/servers", {
          method: "POST",
          token: ADMIN,
          headers: { "content-type": "application/json", origin, host: "10.0.0.5:8080" },
          body: JSON.stringify({ name: "web-9" })
        })
      expect((yield* send("https://pulse.example.com")).status).toBe(201)
      expect((yield* send("http://pulse.example.com")).status).toBe(403)
    })
  )
})
