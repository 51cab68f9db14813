import { describe, expect, it } from "@effect/vitest"
import { Clock, Effect, Result } from "effect"
import { FetchHttpClient, HttpClient, HttpClientRequest } from "effect/http"
import { HttpApiClient } from "effect/http-api"
import { nodeExporter } from "../plugins/node-exporter/NodeExporter.ts"
import { processExporter } from "../plugins/process-exporter/ProcessExporter.ts"
import { defineConfig, makeRegistry } from "../plugins/Registry.ts"
import { Api } from "./api/Api.ts"
import { healthOf, stateOf } from "./handlers/ServersHandlers.ts"
import { ADMIN, READ, startServer } from "./TestServer.ts"

const json = { "content-type": "application/json" }

describe("the answer to who is on top", () => {
  it.live("has the requested shape and says how much it saw", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer()
      const { json, status } = yield* ask("/api/servers/alpha/processes/top?metric=memory&limit=5&hours=0.25", {
        token: READ
      })
      expect(status).toBe(200)
      expect(json).toMatchObject({
        server_id: "alpha",
        metric: "memory",
        time_range_hours: 0.25,
        processes: [
          {
            name: "postgres",
            num_procs: 8,
            cpu_percent: 45.2,
            memory_mb: 488.28125,
            avg_cpu_percent: 42.1,
            peak_memory_mb: 512
          }
        ],
        coverage: 0.995,
        covered_seconds: 3585,
        scrapes: 240,
        stale: false,
        resets: 0,
        clamped: 0,
        host: { cpu_cores: 4, memory_total_mb: 8192 },
        other: { groups: 3, cpu_seconds: 12, avg_cpu_percent: 0.3, memory_mb: 100 },
        unaccounted: { cpu_seconds: 30, avg_cpu_percent: 0.8 },
        memory_overcounted: false
      })
      expect(Date.parse(json.window.to) - Date.parse(json.window.from)).toBe(900_000)
      expect(json.last_seen).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
    })
  )

  it.live("defaults: cpu, 10, one hour that ends now", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      yield* ask("/api/servers/alpha/processes/top", { token: READ })
      expect(world.asked).toMatchObject([{ exporter: "process_exporter", serverId: "alpha", metric: "cpu", limit: 10 }])
      const { window } = world.asked[0] as { window: { from: number; to: number } }
      expect(window.to - window.from).toBe(3_600_000_000)
      expect(Math.abs(window.to / 1_000 - (yield* Clock.currentTimeMillis))).toBeLessThan(10_000)
    })
  )

  it.live("at= ends the window in the past, to the microsecond", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      yield* ask("/api/servers/alpha/processes/top?at=2025-10-30T13:00:00.000001%2B01:00&hours=1", { token: READ })
      const to = Date.UTC(2025, 9, 30, 12) * 1_000 + 1
      expect(world.asked).toMatchObject([{ window: { from: to - 3_600_000_000, to } }])
    })
  )

  const wrong: ReadonlyArray<readonly [string, string, unknown, RegExp]> = [
    ["limit=0", "limit", "0", /1 to 1000/],
    ["limit=1001", "limit", "1001", /1 to 1000/],
    ["limit=-1", "limit", "-1", /1 to 1000/],
    ["limit=1.5", "limit", "1.5", /whole number/],
    ["limit=", "limit", "", /whole number/],
    ["limit=0x10", "limit", "0x10", /whole number/],
    ["limit=ten", "limit", "ten", /whole number/],
    ["limit=1&limit=2", "limit", ["1", "2"], /once/],
    ["hours=0", "hours", "0", /above 0/],
    ["hours=-1", "hours", "-1", /above 0/],
    ["hours=NaN", "hours", "NaN", /above 0/],
    ["hours=Infinity", "hours", "Infinity", /above 0/],
    ["hours=1e999", "hours", "1e999", /above 0/],
    ["hours=9601", "hours", 9601, /at most 9600/],
    ["metric=disk", "metric", "disk", /cpu, memory/],
    ["metric=constructor", "metric", "constructor", /cpu, memory/],
    ["metric=__proto__", "metric", "__proto__", /cpu, memory/],
    ["at=yesterday", "at", "yesterday", /RFC 3339/],
    ["at=2025-02-30T00:00:00Z", "at", "2025-02-30T00:00:00Z", /RFC 3339/],
    ["at=2099-01-01T00:00:00Z", "at", "2099-01-01T00:00:00.000000Z", /not in the future/],
    ["unit=a&unit=b", "unit", ["a", "b"], /once/],
    ["unit=%00", "unit", "\0", /without NUL/],
    ["unit=a&hours=24.1", "hours", 24.1, /at most 24/],
    ["process_name=a", "process_name", "a", /metric, limit, hours, at, grouping, unit/],
    ["limt=5", "limt", "5", /metric, limit, hours, at/],
    ["%00=1", "\0", "1", /metric, limit, hours, at/],
    ["__proto__=1", "__proto__", "1", /metric, limit, hours, at/]
  ]
  for (const [query, parameter, value, allowed] of wrong) {
    it.live(`${query} is refused, naming the parameter, its value and what is allowed`, () =>
      Effect.gen(function* () {
        const { ask, world } = yield* startServer()
        const answer = yield* ask(`/api/servers/alpha/processes/top?${query}`, { token: READ })
        expect(answer.status).toBe(400)
        expect(answer.headers["content-type"]).toBe("application/problem+json")
        expect(answer.json).toMatchObject({ parameter, value, allowed: expect.stringMatching(allowed) })
        expect(answer.json.detail).toContain(parameter === "\0" ? "" : parameter)
        expect(world.asked).toEqual([])
      })
    )
  }

  it.live("asks for the groups of one value of another label, whatever it is made of", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      const get = (path: string) => ask(`/api/servers/alpha/processes/${path}`, { token: READ })
      expect((yield* get("top?unit=nginx.service")).status).toBe(200)
      expect((yield* get("top?unit=user%20%C3%A9&hours=24&limit=3")).status).toBe(200)
      expect((yield* get("top?unit=")).status).toBe(200)
      expect((yield* get("history?name=a&unit=a%26b")).status).toBe(200)
      expect((yield* get("top")).status).toBe(200)
      const only = (value: string) => ({ only: { label: "unit", value } })
      const [first, second, third, fourth, fifth] = world.asked
      expect([first, second, third, fourth]).toMatchObject(["nginx.service", "user é", "", "a&b"].map(only))
      expect(fifth).toMatchObject({ only: undefined })
    })
  )

  it.live("the longest window is the longest retention, said in one place", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer({ hoursMax: 9_600 })
      expect((yield* ask("/api/servers/alpha/processes/top?hours=9600", { token: READ })).status).toBe(200)
      expect((yield* ask("/api/servers/alpha/processes/top?hours=9600.1", { token: READ })).json.allowed).toContain(
        "9600"
      )
    })
  )

  it.live("an unknown server, resource or ranking is a 404 that says what there is", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      const get = (path: string) => ask(path, { token: READ })
      expect((yield* get("/api/servers/gamma/processes/top")).json).toMatchObject({
        status: 404,
        detail: 'there is no server "gamma"'
      })
      expect((yield* get("/api/servers/gamma/processes/history?name=x")).status).toBe(404)
      expect((yield* get("/api/servers/alpha/disks/top")).json).toMatchObject({
        status: 404,
        known: ["node", "processes"]
      })
      expect((yield* get("/api/servers/alpha/node/top")).json).toMatchObject({ status: 404, known: ["processes"] })
      for (const id of ["..%2f..", "a%00b", "A", "x".repeat(90), "%ff", "a'--"]) {
        expect([id, (yield* get(`/api/servers/${id}/processes/top`)).status]).toEqual([id, 404])
        expect([id, (yield* get(`/api/servers/${id}`)).status]).toEqual([id, 404])
      }
      expect(world.asked).toEqual([])
    })
  )
})

describe("the history", () => {
  it.live("comes in columns, null where nothing was seen", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      const { json } = yield* ask("/api/servers/alpha/processes/history?name=my%20app&hours=6&points=100", {
        token: READ
      })
      expect(json).toMatchObject({
        server_id: "alpha",
        exporter: "process_exporter",
        resource: "processes",
        name: "my app",
        time_range_hours: 6,
        step_seconds: 15,
        coverage: 0.5,
        series: { cpu_percent: [null, 12.5], memory_mb: [488.28125, 488.28125] }
      })
      expect(json.timestamps).toHaveLength(2)
      expect(world.asked).toMatchObject([{ name: "my app", points: 100 }])
    })
  )

  it.live(
    "needs the group's name where there are groups, which may be empty, and takes none where there are none",
    () =>
      Effect.gen(function* () {
        const { ask, world } = yield* startServer()
        const get = (path: string) => ask(path, { token: READ })
        expect((yield* get("/api/servers/alpha/processes/history")).json).toMatchObject({
          status: 400,
          parameter: "name"
        })
        expect((yield* get("/api/servers/alpha/processes/history?name=")).status).toBe(200)
        expect((yield* get("/api/servers/alpha/processes/history?name=a%00b")).json).toMatchObject({
          status: 400,
          parameter: "name"
        })
        expect((yield* get("/api/servers/alpha/node/history?hours=1")).status).toBe(200)
        expect((yield* get("/api/servers/alpha/node/history?name=x")).json).toMatchObject({
          status: 400,
          parameter: "name"
        })
        expect(world.asked).toHaveLength(2)
        expect(world.asked[1]).not.toHaveProperty("name")
      })
  )
})

describe("servers and tokens", () => {
  it("a server is live up to 2.5 intervals, then stale, and silent once there is a gap", () => {
    const freshness = { staleAfterMicros: 37_500_000, silentAfterMicros: 300_000_000 }
    expect(stateOf(null, 0, freshness)).toBe("silent")
    expect(stateOf(0, 37_500_000, freshness)).toBe("live")
    expect(stateOf(0, 37_500_001, freshness)).toBe("stale")
    expect(stateOf(0, 300_000_000, freshness)).toBe("stale")
    expect(stateOf(0, 300_000_001, freshness)).toBe("silent")
    expect(stateOf(10, 0, freshness)).toBe("live")
  })

  it.live("a server that reports every two minutes is live between its scrapes, and says how often it reports", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      const now = (yield* Clock.currentTimeMillis) * 1_000
      world.lastSeen.set("alpha", now - 200_000_000)
      expect((yield* ask("/api/servers/alpha", { token: READ })).json.state).toBe("stale")
      world.intervals.set("alpha", 120_000_000)
      const alpha = (yield* ask("/api/servers/alpha", { token: READ })).json
      expect(alpha).toMatchObject({
        state: "live",
        exporters: ["node_exporter", "process_exporter"].map((name) => ({
          name,
          interval_seconds: 120,
          state: "live",
          last_seen: alpha.last_seen
        }))
      })
      for (const path of ["/api/servers", "/api/fleet"]) {
        const { servers } = (yield* ask(path, { token: READ })).json
        expect(servers.map((server: { readonly state: string }) => server.state)).toEqual(["live", "silent"])
      }
    })
  )

  it("a server is as well as the best of its exporters", () => {
    const registry = Result.getOrThrow(makeRegistry(defineConfig({ exporters: [nodeExporter(), processExporter()] })))
    const at = 1_700_000_000_000_000
    const health = (...ages: ReadonlyArray<readonly [string, number, number]>) =>
      healthOf(
        registry,
        ages.map(([exporter, age, interval]) => ({ exporter, lastSeen: at - age * 1e6, interval: interval * 1e6 })),
        at
      )
    expect(health(["node_exporter", 3_600, 15], ["process_exporter", 200, 120])).toMatchObject({
      state: "live",
      last_seen: "2023-11-14T22:10:00.000000Z",
      exporters: [{ state: "silent" }, { state: "live" }]
    })
    expect(health(["node_exporter", 60, 15], ["process_exporter", 3_600, 120]).state).toBe("stale")
    expect(health(["an_exporter_that_was_removed", 1, 15]).state).toBe("silent")
    expect(health()).toEqual({ state: "silent", last_seen: null, exporters: [] })
  })

  it.live("a new server gets its token once, and pushes with it", () =>
    Effect.gen(function* () {
      const { ask, push, world } = yield* startServer()
      const made = yield* ask("/api/servers", {
        method: "POST",
        token: ADMIN,
        body: '{"name":" Web 1 "}',
        headers: json
      })
      expect(made.status).toBe(201)
      expect(made.json).toEqual({ server_id: "web-1", name: "Web 1", token: expect.any(String) })
      expect((yield* push({}, { token: made.json.token })).status).toBe(202)
      const { servers } = (yield* ask("/api/servers", { token: READ })).json
      expect(servers).toContainEqual(
        expect.objectContaining({ server_id: "web-1", name: "Web 1", last_seen: null, state: "silent" })
      )
      expect((yield* ask("/api/servers", { token: READ })).text).not.toContain(made.json.token)
      world.lastSeen.set("web-1", (yield* Clock.currentTimeMillis) * 1_000)
      expect((yield* ask("/api/servers/web-1", { token: READ })).json.state).toBe("live")
    })
  )

  const bodies: ReadonlyArray<readonly [string, string, number]> = [
    ["no name", "{}", 400],
    ["an empty name", '{"name":"  "}', 400],
    ["a control character", '{"name":"a\\u0007"}', 400],
    ["half a character", '{"name":"\\ud800"}', 400],
    ["too long a name", JSON.stringify({ name: "x".repeat(201) }), 400],
    ["a number for a name", '{"name":1}', 400],
    ["a field nobody knows", '{"name":"x","token":"mine"}', 400],
    ["no JSON", "{", 400],
    ["an empty body", "", 400],
    ["a body beyond its bound", JSON.stringify({ name: "x", pad: "y".repeat(100_000) }), 413]
  ]
  for (const [what, body, status] of bodies) {
    it.live(`${what} adds no server`, () =>
      Effect.gen(function* () {
        const { ask, world } = yield* startServer()
        const answer = yield* ask("/api/servers", { method: "POST", token: ADMIN, body, headers: json })
        expect(answer.status).toBe(status)
        expect(answer.headers["content-type"]).toBe("application/problem+json")
        expect(world.servers.size).toBe(2)
      })
    )
  }

  it.live("another content type adds no server", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer()
      const answer = yield* ask("/api/servers", {
        method: "POST",
        token: ADMIN,
        body: "name=x",
        headers: { "content-type": "text/plain" }
      })
      expect(answer.status).toBe(415)
      expect(answer.headers["content-type"]).toBe("application/problem+json")
    })
  )

  it.live("a token is made for one server, or for reading", () =>
    Effect.gen(function* () {
      const { ask, push, world } = yield* startServer()
      const create = (body: unknown) =>
        ask("/api/tokens", { method: "POST", token: ADMIN, body: JSON.stringify(body), headers: json })
      const agent = yield* create({ kind: "agent", server_id: "beta", note: "second agent" })
      expect(agent.status).toBe(201)
      expect((yield* push({}, { token: agent.json.token })).status).toBe(202)
      const read = yield* create({ kind: "read" })
      expect((yield* ask("/api/servers", { token: read.json.token })).status).toBe(200)
      expect((yield* create({ kind: "agent" })).json).toMatchObject({ status: 400, parameter: "server_id" })
      expect((yield* create({ kind: "read", server_id: "beta" })).status).toBe(400)
      expect((yield* create({ kind: "agent", server_id: "gamma" })).status).toBe(404)
      expect((yield* create({ kind: "root" })).status).toBe(400)
      const list = yield* ask("/api/tokens", { token: ADMIN })
      expect(list.json.tokens).toHaveLength(world.tokens.size)
      expect(Object.keys(list.json.tokens[0])).not.toContain("token")
    })
  )
})

describe("dead letters, page by page", () => {
  it.live("newest first, with what to ask for next", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      for (let id = 3; id > 0; id--) {
        world.deadLetters.push({
          id: String(id),
          exporter: "e",
          serverId: "alpha",
          reason: "r",
          payload: "[1]",
          createdAt: 0
        })
      }
      const first = yield* ask("/api/dead-letters?limit=2", { token: READ })
      expect(first.json).toMatchObject({
        total: 3,
        next: "2",
        dead_letters: [{ id: "3", created_at: "1970-01-01T00:00:00.000Z" }, { id: "2" }]
      })
      const second = yield* ask("/api/dead-letters?limit=2&before=2", { token: READ })
      expect(second.json).toMatchObject({ total: 3, next: null, dead_letters: [{ id: "1" }] })
      expect((yield* ask("/api/dead-letters?before=1;drop", { token: READ })).json).toMatchObject({
        status: 400,
        parameter: "before"
      })
    })
  )
})

describe("the definition is a client too", () => {
  it.live("answers decode, and problems are typed errors", () =>
    Effect.gen(function* () {
      const { port } = yield* startServer()
      const client = yield* HttpApiClient.make(Api, {
        transformClient: HttpClient.mapRequest((request) =>
          HttpClientRequest.bearerToken(HttpClientRequest.prependUrl(request, `http://127.0.0.1:${port}`), READ)
        )
      })
      const top = yield* client.rankings.top({
        params: { id: "alpha", resource: "processes" },
        query: { limit: 3, hours: 0.5 }
      })
      expect(top.time_range_hours).toBe(0.5)
      const catalog = yield* client.exporters.catalog()
      expect(catalog.exporters.map(({ resource }) => resource)).toEqual(["node", "processes"])
      const error = yield* Effect.flip(
        client.rankings.top({ params: { id: "alpha", resource: "processes" }, query: { metric: "disk" } })
      )
      expect(error._tag).toBe("InvalidParameter")
      const missing = yield* Effect.flip(client.servers.get({ params: { id: "gamma" } }))
      expect(missing._tag).toBe("NotFound")
      const ready = yield* client.readyz()
      expect(ready.checks).toEqual(["database", "stream", "writes"])
    }).pipe(Effect.provide(FetchHttpClient.layer))
  )
})
