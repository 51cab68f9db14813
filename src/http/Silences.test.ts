import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { AGENT_A, OPERATOR, READ, startServer } from "./TestServer.ts"

const body = (method: string, token: string, value: unknown) => ({
  method,
  token,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(value)
})
const LATER = new Date(4_000_000_000_000).toISOString()

describe("silences, acknowledgements and stored rules", () => {
  it.live("are read by whoever may read, and made by operators only", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer()
      const rule = { document: { resource: "node", silent: true }, base_version: 0 }
      const changes = [
        ["POST", "/api/silences", { server: "*", until: LATER, comment: "x" }],
        ["DELETE", "/api/silences/1", {}],
        ["POST", "/api/alerts/1/acknowledge", {}],
        ["PUT", "/api/rules/quiet", rule],
        ["DELETE", "/api/rules/quiet", {}]
      ] as const
      for (const [method, path, value] of changes) {
        for (const token of [READ, AGENT_A]) {
          expect([path, (yield* ask(path, body(method, token, value))).status]).toEqual([path, 403])
        }
      }
      for (const path of ["/api/silences", "/api/rules"]) {
        expect((yield* ask(path, { token: READ })).status).toBe(200)
        expect((yield* ask(path, { token: AGENT_A })).status).toBe(403)
        expect((yield* ask(path)).status).toBe(401)
      }
      const saved = yield* ask("/api/rules/quiet", body("PUT", OPERATOR, rule))
      expect([saved.status, saved.json.source.kind, saved.json.document.name]).toEqual([200, "stored", "quiet"])
      expect((yield* ask("/api/rules", { token: READ })).json.rules).toHaveLength(1)
    })
  )

  it.live("say what is wrong with them", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      const silence = (value: unknown) => ask("/api/silences", body("POST", OPERATOR, value))
      const until = new Date(Date.now() + 3_600_000).toISOString()
      expect((yield* silence({ server: "db-*", until, comment: "vacuum" })).json).toMatchObject({
        state: "active",
        kind: "silence",
        rule: "*",
        server: "db-*",
        severity: null
      })
      const wrong: ReadonlyArray<readonly [unknown, string]> = [
        [{ until, comment: "x" }, "server"],
        [{ server: "*", until: "2020-01-01T00:00:00Z", comment: "x" }, "until"],
        [{ server: "*", until: LATER, comment: "x" }, "until"],
        [{ kind: "maintenance", until, comment: "x" }, "server"],
        [{ kind: "maintenance", server: "*", rule: "a", until, comment: "x" }, "rule"],
        [{ server: "*".repeat(9), until, comment: "x" }, "server"],
        [{ server: "*", until, comment: " " }, "comment"]
      ]
      for (const [value, parameter] of wrong) {
        const { json, status } = yield* silence(value)
        expect([status, json.parameter]).toEqual([400, parameter])
      }
      expect(world.silences).toHaveLength(1)
      const put = (document: unknown) => ask("/api/rules/a", body("PUT", OPERATOR, { document, base_version: 0 }))
      expect((yield* put({ name: "b", resource: "node", silent: true })).status).toBe(400)
      expect((yield* put({ resource: "nothing", silent: true })).status).toBe(422)
      expect((yield* ask("/api/alerts/9/acknowledge", body("POST", OPERATOR, {}))).status).toBe(404)
    })
  )
})
