import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { READ, startServer } from "./TestServer.ts"

const HOUR = 3_600_000_000
const at = "2025-10-30T12:00:00Z"
const to = Date.UTC(2025, 9, 30, 12) * 1_000
const diff = `/api/servers/alpha/processes/diff?at=${at}&hours=2`

describe("what changed, as the API answers it", () => {
  it.live("is a ledger that ends in the total, with the coverage of both windows", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer()
      const { json, status } = yield* ask(`${diff}&limit=2`, { token: READ })
      expect(status).toBe(200)
      expect(json).toMatchObject({
        resource: "processes",
        metric: "cpu",
        unit: "percent",
        before: { server_id: "alpha", window: { to: "2025-10-30T10:00:00.000000Z" }, coverage: 0.995, scrapes: 240 },
        after: { window: { from: "2025-10-30T10:00:00.000000Z", to: "2025-10-30T12:00:00.000000Z" } },
        partial: false,
        changes: [
          {
            name: "node",
            before: 10,
            after: 40,
            change: 30,
            share: 1,
            restarted: true,
            count_before: 1,
            count_after: 2
          },
          { name: "cron", share: null, appeared: true, gone: false, count_before: 0 }
        ],
        other: { groups: 3, change: 0 },
        unaccounted: { change: -1 },
        total: { of: "host", change: 30, share: 1 },
        waiting: [{ field: "cpu_steal_seconds", before: 0, after: null, change: null }]
      })
    })
  )

  const against: ReadonlyArray<readonly [string, string, { from: number; to: number }, string?]> = [
    ["the span just before, unless it is told", "", { from: to - 4 * HOUR, to: to - 2 * HOUR }],
    ["the span just before", "&against=previous", { from: to - 4 * HOUR, to: to - 2 * HOUR }],
    ["the same time yesterday", "&against=day", { from: to - 26 * HOUR, to: to - 24 * HOUR }],
    ["the same time last week", "&against=week", { from: to - 170 * HOUR, to: to - 168 * HOUR }],
    ["any other moment", "&against_at=2025-10-01T00:00:00Z", { from: to - 710 * HOUR, to: to - 708 * HOUR }],
    ["any other length", "&against_hours=0.5", { from: to - 2.5 * HOUR, to: to - 2 * HOUR }],
    ["the same time on another server", "&against_server=beta", { from: to - 2 * HOUR, to }, "beta"],
    [
      "any time of another server",
      "&against_server=beta&against=day",
      { from: to - 26 * HOUR, to: to - 24 * HOUR },
      "beta"
    ]
  ]
  for (const [what, query, window, serverId = "alpha"] of against) {
    it.live(`compares with ${what}`, () =>
      Effect.gen(function* () {
        const { ask, world } = yield* startServer()
        expect((yield* ask(`${diff}${query}`, { token: READ })).status).toBe(200)
        expect(world.asked).toEqual([
          {
            exporter: "process_exporter",
            metric: "cpu",
            limit: 10,
            before: { serverId, window },
            after: { serverId: "alpha", window: { from: to - 2 * HOUR, to } }
          }
        ])
      })
    )
  }

  const wrong: ReadonlyArray<readonly [string, string, unknown, RegExp]> = [
    ["against=yesterday", "against", "yesterday", /previous/],
    ["against=day&against_at=2025-10-01T00:00:00Z", "against", "day", /none beside against_at/],
    ["against_at=then", "against_at", "then", /RFC 3339/],
    ["against_at=2099-01-01T00:00:00Z", "against_at", "2099-01-01T00:00:00.000000Z", /not in the future/],
    ["against_hours=0", "against_hours", "0", /above 0/],
    ["against_hours=9601", "against_hours", 9601, /at most 9600/],
    ["hours=9601", "hours", 9601, /at most 9600/],
    ["limit=0", "limit", "0", /1 to 1000/],
    ["metric=disk", "metric", "disk", /cpu, memory/],
    ["before=x", "before", "x", /against_server/]
  ]
  for (const [query, parameter, value, allowed] of wrong) {
    it.live(`${query} is refused, naming the parameter, its value and what is allowed`, () =>
      Effect.gen(function* () {
        const { ask, world } = yield* startServer()
        const { json, status } = yield* ask(`/api/servers/alpha/processes/diff?${query}`, { token: READ })
        expect(status).toBe(400)
        expect(json).toMatchObject({ parameter, value, allowed: expect.stringMatching(allowed) })
        expect(world.asked).toEqual([])
      })
    )
  }

  it.live("an unknown server is a 404, whichever of the two it is; nobody reads without a token", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer()
      for (const path of [
        "/api/servers/gamma/processes/diff",
        "/api/servers/alpha/processes/diff?against_server=gamma",
        "/api/servers/alpha/processes/diff?against_server=..%2F"
      ]) {
        expect([path, (yield* ask(path, { token: READ })).status]).toEqual([path, 404])
      }
      expect((yield* ask("/api/servers/alpha/processes/diff")).status).toBe(401)
    })
  )
})
