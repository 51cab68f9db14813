import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { AGENT_A, READ, startServer } from "./TestServer.ts"

describe("alerts", () => {
  it.live("are listed for whoever may read, those that fire first", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      const firedAt = Date.UTC(2025, 9, 30, 12)
      const one = {
        rule: "busy",
        sentence: "g: busy",
        severity: "warning" as const,
        serverId: "alpha",
        firedAt,
        value: 91,
        asked: { resource: "processes", metric: "cpu", unit: "% of a core", span: 360_000 }
      }
      world.alerts.push(
        { ...one, id: "2", group: "g", resolvedAt: null, isUnknown: true },
        { ...one, id: "1", group: "", serverId: null, resolvedAt: firedAt + 60_000, isUnknown: false }
      )
      const { json } = yield* ask("/api/alerts", { token: READ })
      expect(json).toEqual({
        alerts: [
          {
            alert_id: "2",
            rule: "busy",
            sentence: "g: busy",
            severity: "warning",
            server_id: "alpha",
            group: "g",
            value: 91,
            unit: "% of a core",
            resource: "processes",
            metric: "cpu",
            fired_at: "2025-10-30T12:00:00.000000Z",
            resolved_at: null,
            unknown: true
          },
          expect.objectContaining({
            alert_id: "1",
            group: "",
            server_id: null,
            resolved_at: "2025-10-30T12:01:00.000000Z",
            unknown: false
          })
        ]
      })
      expect((yield* ask("/api/alerts?limit=1", { token: READ })).json).toMatchObject({ alerts: [{ alert_id: "2" }] })
      yield* ask("/api/alerts?state=firing&server=alpha&rule=busy&from=2025-10-30T12:00:00Z&to=2025-10-30T13:00:00Z", {
        token: READ
      })
      expect(world.asked.at(-1)).toEqual({
        state: "firing",
        serverId: "alpha",
        rule: "busy",
        from: firedAt,
        to: firedAt + 3_600_000
      })
      for (const query of [
        "limit=0",
        "limit=1001",
        "state=odd",
        "server=A%2FB",
        "rule=a%00b",
        "from=yesterday",
        "to=9"
      ]) {
        expect([query, yield* ask(`/api/alerts?${query}`, { token: READ })]).toEqual([
          query,
          expect.objectContaining({ status: 400, json: expect.objectContaining({ parameter: query.split("=")[0] }) })
        ])
      }
      expect((yield* ask("/api/alerts?state=live", { token: READ })).json).toMatchObject({
        allowed: "firing or resolved"
      })
      expect((yield* ask("/api/alerts", { token: AGENT_A })).status).toBe(403)
      expect((yield* ask("/api/alerts")).status).toBe(401)
    })
  )
})
