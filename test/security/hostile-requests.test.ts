/**
 * Requests that two programs would read differently, or that are large where nobody looks: each is refused or answered as it
 * is, and nothing of it is done. Sent as bytes, since no client writes them.
 */
import { connect } from "node:net"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { ADMIN, AGENT_A, AGENT_B, READ, row, startServer } from "../../src/http/TestServer.ts"

/** Sends bytes, and resolves to all that is answered before the connection is closed. */
const raw = (port: number, bytes: string | Buffer): Effect.Effect<string> =>
  Effect.callback((resume) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes))
    let text = ""
    socket.on("data", (chunk) => {
      text += chunk
    })
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.succeed(text)))
  })

const statuses = (answer: string) => [...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status))

describe("a second request that hides in the body of a first", () => {
  const row1 = JSON.stringify({ process_exporter: [row("smuggled")] })
  const hidden = `POST /metrics/prometheus HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${AGENT_B}\r\ncontent-type: application/json\r\ncontent-length: ${row1.length}\r\nconnection: close\r\n\r\n${row1}`
  const first = (headers: string, body: string) =>
    `POST /metrics/prometheus HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${AGENT_A}\r\ncontent-type: application/json\r\n${headers}\r\n\r\n${body}`
  const chunked = `2\r\n{}\r\n0\r\n\r\n${hidden}`

  it.live("is never taken for one: where length and chunks contradict each other, the first is refused too", () =>
    Effect.gen(function* () {
      const { port, world } = yield* startServer({ limits: { requestWithin: "1 second", headersWithin: "1 second" } })
      for (const [headers, body] of [
        ["content-length: 2\r\ntransfer-encoding: chunked", chunked],
        [`transfer-encoding: chunked\r\ncontent-length: ${hidden.length + 2}`, chunked],
        [`content-length: 2\r\ncontent-length: ${hidden.length + 2}`, `{}${hidden}`],
        [`content-length: 2, ${hidden.length + 2}`, `{}${hidden}`],
        ["content-length: +2", `{}${hidden}`],
        ["content-length: 0x2", `{}${hidden}`],
        ["content-length: -1", `{}${hidden}`],
        ["content-length : 2", `{}${hidden}`],
        ["content-length: 2\r\n transfer-encoding: chunked", `{}${hidden}`],
        ["transfer-encoding : chunked", chunked],
        ["transfer-encoding: xchunked", chunked],
        ["transfer-encoding: chunked, identity", chunked],
        ["transfer-encoding: chunked\r\ntransfer-encoding: identity", chunked],
        ["transfer-encoding: chunked", `2 \r\n{}\r\n0\r\n\r\n${hidden}`],
        ["transfer-encoding: chunked", `2;x=\n\r\n{}\r\n0\r\n\r\n${hidden}`],
        ["transfer-encoding: chunked", `ffffffffffffffff2\r\n{}\r\n0\r\n\r\n${hidden}`],
        ["transfer-encoding: chunked", `0x2\r\n{}\r\n0\r\n\r\n${hidden}`],
        ["transfer-encoding: chunked", `2\r\n{}XX0\r\n\r\n${hidden}`],
        ["x: y\ncontent-length: 2", `{}${hidden}`]
      ] as const) {
        const answered = statuses(yield* raw(port, first(headers, body)))
        expect(answered.at(-1), `${headers} / ${body.slice(0, 20)}`).toBe(400)
        expect(world.published, headers).toEqual([])
      }
      // One that is whole, and one after it that is not hidden: both are what they are.
      const both = statuses(yield* raw(port, first("transfer-encoding: chunked", chunked)))
      expect(both).toEqual([202, 202])
      expect(world.published.map(({ serverId }) => serverId)).toEqual(["beta"])
    })
  )

  it.live("does not begin in an address, nor does a header", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer()
      for (const path of [
        "/signin?code=a%0d%0aset-cookie:%20x=y",
        "/%0d%0aset-cookie:%20x=y",
        "/api/servers/a%0d%0aset-cookie:%20x=y",
        "//evil.example/%2e%2e",
        "http://evil.example/"
      ]) {
        const { headers, status, text } = yield* ask(path, { token: READ })
        expect([path, headers["set-cookie"], headers.location]).toEqual([path, undefined, undefined])
        expect(status, path).toBeGreaterThanOrEqual(200)
        expect(status, path).toBeLessThan(500)
        expect(text).not.toContain("\r\nset-cookie")
      }
    })
  )
})

describe("a request that is large where nobody looks", () => {
  it.live(
    "costs no more than to read it: addresses, parameters, cookies, header lines, ranges and tags by the thousand",
    () =>
      Effect.gen(function* () {
        const { ask } = yield* startServer()
        const many = (count: number, of: (n: number) => string, by: string) =>
          Array.from({ length: count }, (_, n) => of(n)).join(by)
        for (const [name, path, headers, status] of [
          ["a long parameter", `/api/fleet?search=${"a".repeat(15_000)}`, {}, 400],
          ["many parameters", `/api/fleet?${many(2_000, (n) => `p${n}=`, "&")}`, {}, 400],
          ["one parameter many times", `/api/fleet?${many(1_500, () => "search=a", "&")}`, {}, 400],
          ["names of a prototype", "/api/fleet?__proto__=1&constructor=2&toString=3", {}, 400],
          ["a deep path", `/api/${"a/".repeat(7_000)}`, {}, 404],
          ["a path of dots", `/${"%2e%2e/".repeat(2_000)}etc/passwd`, {}, 404],
          ["many servers", `/api/processes/top?${many(1_200, (n) => `server=s${n}`, "&")}`, {}, 404],
          ["many cookies", "/api/session", { cookie: many(2_000, (n) => `c${n}=1`, ";") }, 401],
          ["a long cookie", "/api/session", { cookie: `nodepulse_session=${"a".repeat(15_000)}` }, 401],
          ["cookies of a prototype", "/api/session", { cookie: "__proto__=1; nodepulse_session=toString" }, 401],
          ["ranges", "/api/openapi.json", { range: `bytes=${many(1_200, (n) => `${n}-${n}`, ",")}` }, 200],
          ["tags", "/api/openapi.json", { "if-none-match": many(1_500, (n) => `"${n}"`, ",") }, 200],
          ["encodings", "/api/openapi.json", { "accept-encoding": many(3_000, () => "x", ",") }, 200],
          ["headers beyond their bound", "/healthz", { a: "a".repeat(20_000) }, 431]
        ] as const) {
          const token = path.startsWith("/api/session") ? {} : { token: READ }
          const answer = yield* ask(path, { ...token, headers })
          expect([name, answer.status]).toEqual([name, status])
          expect(answer.text.length, name).toBeLessThan(status === 200 ? 3_000_000 : 32_000)
        }
        expect((yield* ask("/healthz")).status).toBe(200)
      })
  )

  it.live("or deep, or no text, or a promise of more than comes, is refused wherever a body goes", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      const before = [world.servers.size, world.tokens.size, world.notes.length]
      const headers = { "content-type": "application/json" }
      for (const path of ["/api/servers", "/api/tokens", "/api/notes"]) {
        for (const body of [
          "[".repeat(60_000),
          `${'{"a":'.repeat(10_000)}1${"}".repeat(10_000)}`,
          `{"name":"${"a".repeat(65_000)}"}`,
          Buffer.concat([Buffer.from('{"name":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"')]),
          '{"name":"x","name":"y","__proto__":{"admin":true}}',
          '{"name":{"toString":"x"}}',
          "null",
          '"a"',
          "\u0000"
        ]) {
          const answer = yield* ask(path, { method: "POST", token: ADMIN, headers, body })
          expect(answer.status, `${path} ${String(body).slice(0, 30)}`).toBeGreaterThanOrEqual(400)
          expect(answer.status, `${path} ${String(body).slice(0, 30)}`).toBeLessThan(500)
          expect(answer.headers["content-type"]).toBe("application/problem+json")
        }
      }
      expect([world.servers.size, world.tokens.size, world.notes.length]).toEqual(before)
    })
  )
})
