import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { Api } from "./Api.ts"
import { ADMIN, AGENT_A, AGENT_B, type Answer, READ, row, startServer } from "./TestServer.ts"

const json = { "content-type": "application/json" }
const cookieOf = (answer: Answer): string =>
  String((answer.headers["set-cookie"] as ReadonlyArray<string>)[0]).split(";")[0]!

/** Every endpoint of the definition, with something in the place of its parameters. */
const endpoints = Object.values(Api.groups).flatMap((group) =>
  Object.values(group.endpoints as Record<string, { readonly method: string; readonly path: string }>).map(
    ({ method, path }) => ({
      method,
      path: path.replace(":resource", "processes").replace(":id", "alpha")
    })
  )
)
const OPEN = ["/healthz", "/readyz", "/signin"]

describe("nobody reads or writes without a token; a token writes for its own server only", () => {
  it.live("every endpoint but the open ones refuses whoever is not known, and an agent reads nothing", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      const closed = endpoints.filter(({ path }) => !OPEN.includes(path))
      expect(closed.length).toBeGreaterThan(15)
      for (const { method, path } of closed) {
        const body = method === "POST" ? { body: "{}", headers: json } : {}
        expect([path, (yield* ask(path, { method, ...body })).status]).toEqual([path, 401])
        expect([path, (yield* ask(path, { method, token: "wrong", ...body })).status]).toEqual([path, 401])
        expect([
          path,
          (yield* ask(path, { method, headers: { ...json, cookie: "nodepulse_session=wrong" } })).status
        ]).toEqual([path, 401])
        if (path !== "/metrics/prometheus") {
          expect([path, (yield* ask(path, { method, token: AGENT_A, ...body })).status]).toEqual([path, 403])
        }
      }
      expect(world.asked).toEqual([])
      expect(world.published).toEqual([])
    })
  )

  it.live("the rows' server is the token's, whatever the row says", () =>
    Effect.gen(function* () {
      const { push, world } = yield* startServer()
      yield* push({ process_exporter: [row("a", { server_id: "beta" })] }, { token: AGENT_A })
      yield* push({ process_exporter: [row("b", { server_id: "alpha" })] }, { token: AGENT_B })
      yield* push({ process_exporter: [row("c")] }, { token: AGENT_B, headers: { "x-server-id": "alpha" } })
      expect(world.published.map(({ serverId }) => serverId)).toEqual(["alpha", "beta", "beta"])
    })
  )

  it.live("a read token reads, and changes nothing", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      expect((yield* ask("/api/servers", { token: READ })).status).toBe(200)
      const register = { method: "POST", body: '{"name":"x"}', headers: json }
      expect((yield* ask("/api/servers", { token: READ, ...register })).status).toBe(403)
      expect((yield* ask("/api/tokens", { token: READ })).status).toBe(403)
      expect((yield* ask("/api/tokens/t1", { token: READ, method: "DELETE" })).status).toBe(403)
      expect((yield* ask("/api/session/links", { token: READ, method: "POST" })).status).toBe(403)
      expect(world.servers.size).toBe(2)
      expect((yield* ask("/api/servers", { token: ADMIN, ...register })).status).toBe(201)
    })
  )

  it.live("a revoked token is nobody's", () =>
    Effect.gen(function* () {
      const { ask, push } = yield* startServer()
      expect((yield* ask("/api/tokens/t1", { token: ADMIN, method: "DELETE" })).status).toBe(204)
      expect((yield* push({ process_exporter: [row("a")] }, { token: AGENT_A })).status).toBe(401)
      expect((yield* ask("/api/tokens/t1", { token: ADMIN, method: "DELETE" })).status).toBe(404)
    })
  )

  it.live("the administrator's own token works without a database", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      world.databaseDown = true
      expect((yield* ask("/api/exporters", { token: ADMIN })).status).toBe(200)
      expect((yield* ask("/api/exporters", { token: READ })).status).toBe(503)
    })
  )

  it.live("self-metrics need a token, unless they were made public", () =>
    Effect.gen(function* () {
      const closed = yield* startServer()
      expect((yield* closed.ask("/metrics")).status).toBe(401)
      expect((yield* closed.ask("/metrics", { token: READ })).status).toBe(200)
      const open = yield* startServer({ metricsArePublic: true })
      expect((yield* open.ask("/metrics")).status).toBe(200)
      expect((yield* open.ask("/api/servers")).status).toBe(401)
    })
  )
})

describe("a sign-in link opens one session", () => {
  it.live("once, with a cookie that scripts and other sites do not get", () =>
    Effect.gen(function* () {
      const { ask, session } = yield* startServer()
      const link = yield* session.newLink
      const first = yield* ask(link)
      expect(first.status).toBe(303)
      expect(first.headers.location).toBe("/")
      const cookie = String(first.headers["set-cookie"])
      expect(cookie).toMatch(/HttpOnly/)
      expect(cookie).toMatch(/SameSite=Strict/)
      expect(cookie).not.toMatch(/Secure/)
      expect((yield* ask("/api/servers", { headers: { cookie: cookieOf(first) } })).status).toBe(200)
      const second = yield* ask(link)
      expect(second.status).toBe(401)
      expect(second.headers["set-cookie"]).toBeUndefined()
    })
  )

  it.live("a look at the link, by HEAD, does not use it up", () =>
    Effect.gen(function* () {
      const { ask, session } = yield* startServer()
      const link = yield* session.newLink
      const look = yield* ask(link, { method: "HEAD" })
      expect(look.headers["set-cookie"]).toBeUndefined()
      expect((yield* ask(link)).status).toBe(303)
    })
  )

  it.live("a made-up code, none, or two open nothing", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer()
      expect((yield* ask("/signin?code=made-up")).status).toBe(401)
      expect((yield* ask("/signin")).status).toBe(400)
      expect((yield* ask("/signin?code=a&code=b")).status).toBe(400)
    })
  )

  it.live("behind TLS the cookie is for TLS only", () =>
    Effect.gen(function* () {
      const { ask, session } = yield* startServer()
      const answer = yield* ask(yield* session.newLink, { headers: { "x-forwarded-proto": "https" } })
      expect(String(answer.headers["set-cookie"])).toMatch(/Secure/)
    })
  )
})

describe("a session changes things from its own page only", () => {
  it.live("a change needs this server's own Origin", () =>
    Effect.gen(function* () {
      const { ask, port, session, world } = yield* startServer()
      const cookie = cookieOf(yield* ask(yield* session.newLink))
      const register = (headers: Record<string, string>) =>
        ask("/api/servers", { method: "POST", body: '{"name":"new"}', headers: { ...json, cookie, ...headers } })
      expect((yield* register({})).status).toBe(403)
      expect((yield* register({ origin: "https://evil.example" })).status).toBe(403)
      expect((yield* register({ origin: "null" })).status).toBe(403)
      const own = `http://127.0.0.1:${port}`
      expect((yield* register({ origin: own, "sec-fetch-site": "cross-site" })).status).toBe(403)
      expect((yield* register({ origin: `http://127.0.0.1:${port}.evil.example` })).status).toBe(403)
      expect(world.servers.size).toBe(2)
      expect((yield* register({ origin: own, "sec-fetch-site": "same-origin" })).status).toBe(201)
    })
  )

  it.live("signing out ends the session", () =>
    Effect.gen(function* () {
      const { ask, port, session } = yield* startServer()
      const cookie = cookieOf(yield* ask(yield* session.newLink))
      const headers = { cookie, origin: `http://127.0.0.1:${port}` }
      expect((yield* ask("/api/session", { headers })).json).toEqual({ kind: "admin", via: "session" })
      expect((yield* ask("/api/session", { method: "DELETE", headers })).status).toBe(204)
      expect((yield* ask("/api/session", { headers })).status).toBe(401)
    })
  )

  it.live("a session opened with a token ends with that token", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      const signedIn = yield* ask("/api/session", { method: "POST", token: READ })
      expect(signedIn.json).toEqual({ kind: "read", via: "session" })
      const headers = { cookie: cookieOf(signedIn) }
      expect((yield* ask("/api/servers", { headers })).status).toBe(200)
      expect((yield* ask("/api/tokens", { headers })).status).toBe(403)
      world.tokens.delete(READ)
      expect((yield* ask("/api/servers", { headers })).status).toBe(401)
    })
  )

  it.live("a wrong token is not made good by a session", () =>
    Effect.gen(function* () {
      const { ask, session } = yield* startServer()
      const cookie = cookieOf(yield* ask(yield* session.newLink))
      expect((yield* ask("/api/servers", { token: "wrong", headers: { cookie } })).status).toBe(401)
    })
  )
})
