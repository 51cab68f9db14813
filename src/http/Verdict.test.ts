import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { READ, startServer } from "./TestServer.ts"

const path = "/api/servers/alpha/verdict"

describe("what waits, as the API answers it", () => {
  it.live("is sentences with their numbers, the neighbours and the setting that changes it", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer()
      const { json, status } = yield* ask(`${path}?at=2025-10-30T12:00:00Z`, { token: READ })
      expect(status).toBe(200)
      expect(json).toMatchObject({
        server_id: "alpha",
        time_range_hours: 0.25,
        window: { from: "2025-10-30T11:45:00.000000Z", to: "2025-10-30T12:00:00.000000Z" },
        coverage: 1,
        judged: true,
        partial: [],
        resources: { units: "units" },
        sentence: "2 of 3 units wait."
      })
      expect(json.verdicts).toEqual([
        {
          kind: "throttled",
          subject: { kind: "unit", name: "web.service" },
          sentence:
            "web.service was throttled in 38 % of its periods by its own quota of 0.5 cores: raise CPUQuota, which is 50%.",
          evidence: expect.objectContaining({ throttled_percent: 38, cpu_limit_cores: 0.5, periods: 9_000 }),
          neighbours: [],
          setting: {
            what: "CPUQuota",
            where: "web.service",
            current: "50%",
            systemd: "systemctl set-property web.service CPUQuota=90%",
            docker: null,
            kubernetes: "resources.limits.cpu"
          }
        },
        expect.objectContaining({
          kind: "neighbours",
          subject: { kind: "unit", name: "db" },
          neighbours: [
            { name: "batch.service", avg_cpu_percent: 300 },
            { name: "web.service", avg_cpu_percent: 40 }
          ]
        })
      ])
    })
  )

  it.live("is about any window", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      yield* ask(`${path}?at=2025-10-30T12:00:00Z&hours=24`, { token: READ })
      const to = Date.UTC(2025, 9, 30, 12) * 1_000
      expect(world.asked).toEqual([{ serverId: "alpha", window: { from: to - 24 * 3_600_000_000, to } }])
    })
  )

  for (const [query, parameter] of [
    ["hours=0", "hours"],
    ["hours=9601", "hours"],
    ["at=then", "at"],
    ["limit=3", "limit"]
  ] as const) {
    it.live(`${query} is refused, naming the parameter`, () =>
      Effect.gen(function* () {
        const { ask, world } = yield* startServer()
        const { json, status } = yield* ask(`${path}?${query}`, { token: READ })
        expect([status, json.parameter]).toEqual([400, parameter])
        expect(world.asked).toEqual([])
      })
    )
  }

  it.live("of an unknown server is a 404", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer()
      expect((yield* ask("/api/servers/gamma/verdict", { token: READ })).status).toBe(404)
    })
  )
})
