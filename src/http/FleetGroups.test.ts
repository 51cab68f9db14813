import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { READ, startServer } from "./TestServer.ts"

const at = "2025-10-30T12:00:00Z"
const to = Date.UTC(2025, 9, 30, 12) * 1_000

describe("the groups of the fleet, as the API answers them", () => {
  it.live("are ranked with their totals, peaks, worst server, trend and growth", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      const path = `/api/processes/groups?at=${at}&hours=24&by=peak&metric=memory&search=NO&offset=5&limit=7`
      const { json, status } = yield* ask(path, { token: READ })
      expect(status).toBe(200)
      const window = { from: to - 24 * 3_600_000_000, to }
      expect(world.asked).toEqual([
        { exporter: "process_exporter", metric: "memory", by: "peak", search: "NO", offset: 5, limit: 7, window }
      ])
      const values = { total: 12, peak: 99.5, worst: { server_id: "alpha", total: 7 }, highest: "beta" }
      expect(json).toEqual({
        resource: "processes",
        metric: "memory",
        by: "peak",
        time_range_hours: 24,
        window: { from: "2025-10-29T12:00:00.000000Z", to: "2025-10-30T12:00:00.000000Z" },
        first: to / 1_000_000,
        step_seconds: 300,
        steps: 1,
        units: { cpu: { total: "core_hours", peak: "percent" }, memory: { total: "gib_hours", peak: "mb" } },
        servers: { all: 2, seen: 2, coverage: 0.5 },
        totals: { cpu: 20, memory: 30 },
        groups: [
          {
            name: "node",
            servers: 2,
            last_seen: "2025-10-30T11:59:59.999999Z",
            values: { cpu: values, memory: values },
            trend: [null, 12.35],
            growth: { mb_per_hour: 3, servers: 1, fastest: "beta" }
          }
        ],
        matching: 1,
        all: 3,
        beyond: 0,
        gone: [{ name: "cron", last_seen: "2023-11-14T22:13:20.000000Z" }]
      })
    })
  )

  it.live("are told on each server, with when its memory will be used up", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      const { json, status } = yield* ask(`/api/processes/groups/servers?at=${at}&name=a%2Fb%20%3F&by=growth`, {
        token: READ
      })
      expect(status).toBe(200)
      expect(world.asked[0]).toMatchObject({ name: "a/b ?", metric: "cpu", by: "growth", offset: 0, limit: 50 })
      expect(json).toMatchObject({
        name: "a/b ?",
        growth_step_seconds: 3_600,
        servers: [
          {
            server_id: "alpha",
            server_name: "ALPHA",
            last_seen: null,
            values: { cpu: { total: 12, peak: 99.5 } },
            growth: { mb_per_hour: 3, began: "2023-11-14T22:13:20.000000Z", exhausts_in_seconds: 7_200 }
          }
        ],
        all: 1
      })
    })
  )

  const refused: ReadonlyArray<readonly [string, number, string]> = [
    ["/api/nothing/groups", 404, "there is no resource"],
    ["/api/node/groups", 404, "has no ranking"],
    ["/api/processes/groups?metric=disk", 400, "metric"],
    ["/api/processes/groups?by=name", 400, "by"],
    ["/api/processes/groups?limit=0", 400, "limit"],
    ["/api/processes/groups?limit=1001", 400, "limit"],
    ["/api/processes/groups?offset=-1", 400, "offset"],
    ["/api/processes/groups?hours=0", 400, "hours"],
    [`/api/processes/groups?search=${"x".repeat(201)}`, 400, "search"],
    ["/api/processes/groups?search=%00", 400, "search"],
    ["/api/processes/groups?name=node", 400, "name"],
    ["/api/processes/groups?grouping=A", 400, "grouping"],
    ["/api/processes/groups?grouping=nobody", 404, "nobody"],
    ["/api/processes/groups/servers?name=a&grouping=nobody@2", 404, "nobody"],
    ["/api/processes/groups/servers", 400, "name"]
  ]
  for (const [path, expected, names] of refused) {
    it.live(`refuses ${path.slice(0, 60)} and names what is wrong`, () =>
      Effect.gen(function* () {
        const { ask, world } = yield* startServer()
        const { json, status } = yield* ask(path, { token: READ })
        expect(status).toBe(expected)
        expect(JSON.stringify(json)).toContain(names)
        expect(world.asked).toEqual([])
      })
    )
  }
})
