import { describe, expect, it } from "@effect/vitest"
import { Array as Arr, Effect } from "effect"
import { DatabaseUnavailable } from "../../sinks/storage/DatabaseUnavailable.ts"
import { Api } from "../api/Api.ts"
import { ADMIN, AGENT_A, AGENT_B, type Answer, READ, row, startServer } from "../TestServer.ts"

const json = { "content-type": "application/json" }
const cookieOf = (answer: Answer): string =>
  String((answer.headers["set-cookie"] as ReadonlyArray<string>)[0]).split(";")[0]!

/** Every endpoint of the definition, with something in the place of its parameters. */
const endpoints = Object.values(Api.groups).flatMap((group) =>
  Object.values(group.endpoints as Record<string, { readonly method: string; readonly path: string }>).map(
    ({ method, path }) => ({
      method,
      path: path.replace(":resource", "processes").replace(":id", "alpha").replace(":name", "workers")
    })
  )
)
/** What agents send to. */
const SENDING = ["/metrics/prometheus", "/api/recordings", "/api/hands/poll"]
const OPEN = ["/healthz", "/readyz", "/signin"]
/** Reads that are answered where there is no database. */
const AT_HAND = ["/api/exporters", "/api/pipeline", "/api/rules/resources", "/api/session", "/api/sessions", "/metrics"]

describe("nobody reads or writes without a token; a token writes for its own server only", () => {
  it.live("every endpoint but the open ones refuses whoever is not known, and an agent reads nothing", () =>
    Effect.gen(function* () {
      const closed = endpoints.filter(({ path }) => !OPEN.includes(path))
      expect(closed.length).toBeGreaterThan(15)
      // Wrong tokens are counted by address: some endpoints a server.
      for (const some of Arr.chunksOf(closed, 15)) {
        const { ask, world } = yield* startServer()
        for (const { method, path } of some) {
          const body = method === "POST" ? { body: "{}", headers: json } : {}
          expect([path, (yield* ask(path, { method, ...body })).status]).toEqual([path, 401])
          expect([path, (yield* ask(path, { method, token: "wrong", ...body })).status]).toEqual([path, 401])
          expect([
            path,
            (yield* ask(path, { method, headers: { ...json, cookie: "nodepulse_session=wrong" } })).status
          ]).toEqual([path, 401])
          if (!SENDING.includes(path)) {
            expect([path, (yield* ask(path, { method, token: AGENT_A, ...body })).status]).toEqual([path, 403])
          }
        }
        expect(world.asked).toEqual([])
        expect(world.published).toEqual([])
      }
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
      expect((yield* ask("/api/session", { headers })).json).toMatchObject({ kind: "admin", via: "session" })
      expect((yield* ask("/api/session", { method: "DELETE", headers })).status).toBe(204)
      expect((yield* ask("/api/session", { headers })).status).toBe(401)
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

describe("a read ends in time, whatever the database does", () => {
  const query: Readonly<Record<string, string>> = {
    "/api/servers/alpha/processes/history": "?name=postgres",
    "/api/servers/alpha/processes/series": "?name=postgres",
    "/api/processes/across": "?name=postgres",
    "/api/processes/compare": "?server=alpha&server=beta",
    "/api/processes/spread": "?name=postgres",
    "/api/processes/groups/servers": "?name=postgres"
  }

  it.live("every read that the database never answers is a 504 that says so, and a write is not cut short", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer({ limits: { answerWithin: "1 second" } })
      world.reading = Effect.never
      const reads = endpoints.filter(({ method, path }) => method === "GET" && ![...OPEN, ...AT_HAND].includes(path))
      expect(reads.length).toBeGreaterThan(8)
      const answers = yield* Effect.forEach(
        reads,
        ({ path }) => Effect.map(ask(`${path}${query[path] ?? ""}`, { token: ADMIN }), (answer) => ({ path, answer })),
        { concurrency: "unbounded" }
      )
      for (const { answer, path } of answers) {
        expect([path, answer.status, answer.json?.type]).toEqual([path, 504, "urn:nodepulse:problem:answer-too-slow"])
        expect(answer.json).toMatchObject({ limit_seconds: 1, detail: expect.stringContaining("longer than 1s") })
      }
      const post = (path: string, body: unknown) =>
        ask(path, { method: "POST", token: ADMIN, body: JSON.stringify(body), headers: json })
      const rules = "rules: [{name: busy, resource: processes, metric: cpu, above: 80}]"
      // They change nothing, and are asked by POST only since their question is long.
      expect((yield* post("/api/rules/backtest", { text: rules })).status).toBe(504)
      expect((yield* post("/api/groupings/preview", { rules: [] })).status).toBe(504)
      world.reading = Effect.sleep("1500 millis")
      const made = yield* ask("/api/servers", { method: "POST", token: ADMIN, body: '{"name":"x"}', headers: json })
      expect(made.status).toBe(201)
    })
  )

  it.live(
    "a statement that PostgreSQL gives up on is told as too slow, never as a database that cannot be reached",
    () =>
      Effect.gen(function* () {
        const { ask, world } = yield* startServer()
        const fails = (because: "slow" | "read-only" | "full" | "busy" | "away" | "failing") =>
          Effect.fail(new DatabaseUnavailable({ operation: "read", because, cause: new Error("secret 10.1.2.3") }))
        world.reading = fails("slow")
        const slow = yield* ask("/api/fleet", { token: READ })
        expect([slow.status, slow.json.type]).toEqual([504, "urn:nodepulse:problem:answer-too-slow"])
        expect(slow.json.detail).not.toContain("reached")
        for (const because of ["read-only", "full", "busy", "away", "failing"] as const) {
          world.reading = fails(because)
          const answer = yield* ask("/api/fleet", { token: READ })
          expect([because, answer.status]).toEqual([because, 503])
          expect(/reached/.test(answer.json.detail)).toBe(because === "away")
          expect(answer.text).not.toContain("secret")
        }
      })
  )
})
