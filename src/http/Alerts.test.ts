import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { ADMIN, AGENT_A, READ, startServer } from "./TestServer.ts"

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
        serverName: "ALPHA",
        firedAt,
        value: 91,
        asked: { resource: "processes", metric: "cpu", unit: "% of a core", span: 360_000 }
      }
      world.alerts.push(
        { ...one, id: "2", group: "g", resolvedAt: null, isUnknown: true, isSilenced: true, acknowledged: undefined },
        {
          ...one,
          id: "1",
          group: "",
          serverId: null,
          serverName: null,
          resolvedAt: firedAt + 60_000,
          isUnknown: false,
          isSilenced: false,
          acknowledged: undefined
        }
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
            server_name: "ALPHA",
            group: "g",
            value: 91,
            unit: "% of a core",
            resource: "processes",
            metric: "cpu",
            fired_at: "2025-10-30T12:00:00.000000Z",
            resolved_at: null,
            unknown: true,
            silenced: true,
            acknowledged: null
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

  it.live("tell what ran before and then to whoever may read; what is none is not found", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      const firedAt = Date.UTC(2025, 9, 30, 12)
      world.alerts.push({
        id: "7",
        rule: "busy",
        sentence: "g on alpha: busy",
        severity: "critical",
        serverId: "alpha",
        serverName: "ALPHA",
        group: "g",
        value: 91,
        asked: { resource: "processes", metric: "cpu", unit: "% of a core", span: 300_000, held: 240_000 },
        firedAt,
        resolvedAt: null,
        isUnknown: false,
        isSilenced: false,
        acknowledged: undefined
      })
      const { json } = yield* ask("/api/alerts/7", { token: READ })
      expect(json).toMatchObject({
        alert_id: "7",
        held_since: "2025-10-30T11:56:00.000000Z",
        runbook: null,
        owners: [],
        split: "2025-10-30T11:55:00.000000Z",
        window: { from: "2025-10-30T11:50:00.000000Z", to: "2025-10-30T12:00:00.000000Z" },
        tops: [{ group: "g", before: 12, after: 91, difference: 79, subject: true }],
        events: [{ kind: "outage", at: "2025-10-30T11:59:00.000000Z", until: null }],
        link: "/servers/alpha?window=a~b"
      })
      const rule = { name: "busy", resource: "processes", metric: "cpu", above: 1 }
      const put = { token: ADMIN, method: "PUT", headers: { "content-type": "application/json" } }
      const document = { ...rule, runbook: "https://wiki.example/busy", owners: ["dba", "on-call"] }
      const { status } = yield* ask("/api/rules/busy", {
        ...put,
        body: JSON.stringify({ document, base_version: 0 })
      })
      expect(status).toBe(200)
      expect((yield* ask("/api/alerts/7", { token: READ })).json).toMatchObject({
        runbook: "https://wiki.example/busy",
        owners: ["dba", "on-call"]
      })
      expect(json.text.split("\n").slice(0, 2)).toEqual(["g on alpha: busy (91 % of a core)", "critical: g on alpha"])
      for (const id of ["8", "-7", "7e0", "%00", "%C0%AF", "a".repeat(5_000), "7%20"]) {
        const { status } = yield* ask(`/api/alerts/${id}`, { token: READ })
        expect([id.slice(0, 20), [400, 404, 414].includes(status)]).toEqual([id.slice(0, 20), true])
      }
      expect((yield* ask("/api/alerts/7", { token: AGENT_A })).status).toBe(403)
      expect((yield* ask("/api/alerts/7")).status).toBe(401)
    })
  )
})
