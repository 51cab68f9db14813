import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { READ, startServer } from "./TestServer.ts"

const path = "/api/servers/alpha/breakdown"

describe("where the CPU went, as the API answers it", () => {
  it.live("is lines that add up to the host, each with its error and what that is made of", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer()
      const { json, status } = yield* ask(`${path}?at=2025-10-30T12:00:00Z&limit=2`, { token: READ })
      expect(status).toBe(200)
      expect(json).toMatchObject({
        server_id: "alpha",
        time_range_hours: 1,
        window: { from: "2025-10-30T11:00:00.000000Z", to: "2025-10-30T12:00:00.000000Z" },
        coverage: 1,
        scrapes: 240,
        host: { cpu_seconds: 1_800, avg_cpu_percent: 50, cores: 4 },
        partial: [],
        below_zero: [],
        resources: { groups: "processes", units: "units", short_lived: "short_lived" },
        short_lived: [{ name: "ls", runs: 1_312, cpu_seconds: 240 }]
      })
      const lines = json.lines as ReadonlyArray<Record<string, unknown>>
      expect(lines.map(({ cpu_seconds, groups, kind, name }) => [kind, name, groups, cpu_seconds])).toEqual([
        ["named", "postgres", 1, 900],
        ["named", "node", 1, 300],
        ["other", null, 1, 60],
        ["remainder", "web.service", 1, 160],
        ["remainder", null, 0, 0],
        ["short_lived", null, 1, 240],
        ["kernel", "(kernel)", 1, 100],
        ["unknown", null, 0, 40]
      ])
      for (const { error_seconds, errors } of lines) {
        const parts = Object.values(errors as Record<string, number>)
        expect(error_seconds).toBeCloseTo(
          parts.reduce((sum, part) => sum + part, 0),
          9
        )
      }
      expect(lines[0]).toMatchObject({ share: 0.5, avg_cpu_percent: 25, errors: { ticks: 0.02, edges: 0 } })
    })
  )

  it.live("lists five groups in the hour until now, unless it is asked for others", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      yield* ask(path, { token: READ })
      yield* ask(`${path}?at=2025-10-30T12:00:00Z&hours=24&limit=1000`, { token: READ })
      const to = Date.UTC(2025, 9, 30, 12) * 1_000
      expect(world.asked).toMatchObject([
        { serverId: "alpha", limit: 5 },
        { limit: 1_000, window: { from: to - 24 * 3_600_000_000, to } }
      ])
    })
  )

  for (const [query, parameter] of [
    ["limit=0", "limit"],
    ["hours=9601", "hours"],
    ["at=2099-01-01T00:00:00Z", "at"],
    ["grouping=../x", "grouping"],
    ["metric=cpu", "metric"]
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
      expect((yield* ask("/api/servers/gamma/breakdown", { token: READ })).status).toBe(404)
    })
  )
})
