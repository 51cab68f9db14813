/** Addresses as strangers write them: what is in a path names what it says, or nothing. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { ADMIN, READ, row, startServer } from "./TestServer.ts"

describe("a parameter in a path is taken whole", () => {
  it.live("so that no address but its own revokes a token", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      const made = yield* ask("/api/tokens", {
        method: "POST",
        token: ADMIN,
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ kind: "read" })
      })
      const id: string = made.json.token_id
      const known = world.tokens.size
      for (const suffix of [
        ";2",
        ";a=b",
        "%3B2",
        "%3b2",
        "#2",
        "%232",
        "%3F2",
        "%00",
        "%00;2",
        "%2F",
        "%2f2",
        "/2",
        "//",
        "/;2",
        "/..",
        "%2F..",
        "%20",
        "+",
        "\\",
        "%5C",
        "%25",
        "%252F",
        "%E2%80%8B",
        "%F0%9F%90%98"
      ]) {
        const answer = yield* ask(`/api/tokens/${id}${suffix}`, { method: "DELETE", token: ADMIN })
        expect([suffix, answer.status]).toEqual([suffix, 404])
      }
      expect(world.tokens.size).toBe(known)
      expect((yield* ask(`/api/tokens/${id}?x=1`, { method: "DELETE", token: ADMIN })).status).toBe(204)
      expect(world.tokens.size).toBe(known - 1)
    })
  )

  it.live("and decoded once, so that a server is found under what its escapes mean and under nothing else", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      world.servers.set("db1.example.com", { serverId: "db1.example.com", name: "db1.example.com", createdAt: 0 })
      for (const [path, status] of [
        ["db1.example.com", 200],
        ["db1.example.com/", 200],
        ["db1%2Eexample%2ecom", 200],
        ["%64b1.example.com", 200],
        ["%2564b1.example.com", 404],
        ["db1.example.com;v=1", 404],
        ["db1.example.com%00", 404],
        ["db1.example.com%20", 404],
        ["DB1.example.com", 404],
        ["..", 404],
        ["%2e%2e", 404],
        ["a%2Fb", 404],
        ["", 404]
      ] as const) {
        const answer = yield* ask(`/api/servers/${path}${path === "" ? "/" : ""}`, { token: READ })
        expect([path, answer.status]).toEqual([path, status])
      }
      expect((yield* ask("/api/servers/db1.example.com/processes/top", { token: READ })).status).toBe(200)
      expect((yield* ask("/api/servers/db1.example.com;x/processes/top", { token: READ })).status).toBe(404)
      expect((yield* ask("/api/servers/alpha/processes;x/top", { token: READ })).status).toBe(404)
      expect((yield* ask("/api/servers/alpha/processes/top;x", { token: READ })).status).toBe(404)
    })
  )

  it.live("and where it is no UTF-8 the answer says so", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer()
      for (const path of [
        "/api/servers/%zz",
        "/api/servers/%E0%A4",
        "/servers/%",
        "/api/servers/%C3%28/processes/top"
      ]) {
        const answer = yield* ask(path, { token: READ })
        expect([path, answer.status, answer.json.detail]).toEqual([
          path,
          404,
          `the path ${JSON.stringify(path)} is not percent-encoded UTF-8`
        ])
      }
    })
  )

  it.live("also in the address that agents push to", () =>
    Effect.gen(function* () {
      const { push, ask, world } = yield* startServer()
      const body = JSON.stringify({ process_exporter: [row("nginx")] })
      const headers = { "content-type": "application/json" }
      for (const path of ["/metrics/prometheus;x", "/metrics/prometheus%3Bx", "/metrics/prometheus#x"]) {
        const answer = yield* ask(path, { method: "POST", token: ADMIN, body, headers })
        expect([path, answer.status]).toEqual([path, 404])
      }
      expect(world.published).toHaveLength(0)
      expect((yield* push(JSON.parse(body))).status).toBe(202)
    })
  )
})

describe("below a base path", () => {
  it.live(
    "everything answers: API, ingest, health, documentation; and without it too, for a proxy that takes it off",
    () =>
      Effect.gen(function* () {
        const { ask, push } = yield* startServer({ basePath: "/pulse" })
        for (const path of ["/api/servers", "/healthz", "/readyz", "/metrics", "/api/docs", "/api/openapi.json"]) {
          for (const base of ["", "/pulse"]) {
            expect([base, path, (yield* ask(`${base}${path}`, { token: READ })).status]).toEqual([base, path, 200])
          }
        }
        const pushed = yield* ask("/pulse/metrics/prometheus", {
          method: "POST",
          token: ADMIN,
          body: "{}",
          headers: { "content-type": "application/json" }
        })
        expect(pushed.status).toBe((yield* push({}, { token: ADMIN })).status)
        expect((yield* ask("/pulsed/healthz")).status).toBe(404)
        expect((yield* ask("/pulse/pulse/healthz")).status).toBe(404)
        expect((yield* ask("/pulse/api/openapi.json")).json.servers).toEqual([{ url: "/pulse" }])
        expect((yield* ask("/pulse/api/docs")).text).toContain('"url":"/pulse"')
      })
  )

  it.live("the sign-in link, the page that it leads to and the cookie lie below it", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer({ basePath: "/pulse" })
      const link = yield* ask("/pulse/api/session/links", { method: "POST", token: ADMIN })
      expect(link.json.path).toMatch(/^\/pulse\/signin\?code=/)
      const opened = yield* ask(link.json.path)
      expect([opened.status, opened.headers.location]).toEqual([303, "/pulse/"])
      const cookie = String(opened.headers["set-cookie"])
      expect(cookie).toContain("Path=/pulse;")
      const session = cookie.split(";")[0] ?? ""
      expect((yield* ask("/pulse/api/session", { headers: { cookie: session } })).json.kind).toBe("admin")
    })
  )
})
