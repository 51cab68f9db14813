import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { READ, startServer } from "./TestServer.ts"

const HOUR = 3_600_000_000
const at = "2025-10-30T12:00:00Z"
const to = Date.UTC(2025, 9, 30, 12) * 1_000
const window = { from: to - 2 * HOUR, to }
const compare = `/api/processes/compare?at=${at}&hours=2`

describe("servers side by side, as the API answers it", () => {
  it.live("have their series, a matrix and their names, in the order in which they are named, each once", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      world.lastSeen.set("beta", to)
      world.intervals.set("beta", 60_000_000)
      const { json, status } = yield* ask(`${compare}&server=beta&server=alpha&server=beta&limit=1`, { token: READ })
      expect(status).toBe(200)
      const series = { series: [null, 12.35], host: [null, 20], coverage: 0.995, scrapes: 240, cpu_cores: 4 }
      expect(json).toMatchObject({
        resource: "processes",
        metric: "cpu",
        scale: "own",
        unit: "percent",
        time_range_hours: 2,
        window: { from: "2025-10-30T10:00:00.000000Z", to: "2025-10-30T12:00:00.000000Z" },
        step_seconds: 30,
        steps: 2,
        servers: [
          { server_id: "beta", name: "BETA", memory_total_mb: 8192, stale: false, ...series },
          { server_id: "alpha", name: "ALPHA", ...series }
        ],
        groups: [{ name: "postgres", values: [42.1, 42.1], median: 42.1, deviations: [null, null] }],
        other: { groups: 0, values: [0.3, 0.3] },
        total: { values: [42.4, 42.4] },
        odd: []
      })
      expect(world.asked).toContainEqual({
        exporter: "process_exporter",
        metric: "cpu",
        serverIds: ["beta", "alpha"],
        window,
        points: 120,
        interval: 60_000_000
      })
    })
  )

  it.live("are percent of the machine where that is asked for", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer()
      const cpu = yield* ask(`${compare}&server=beta&server=alpha&scale=machine`, { token: READ })
      expect(cpu.json).toMatchObject({
        unit: "percent_of_machine",
        groups: [{ values: [42.1 / 4, 42.1 / 4] }],
        servers: [{ series: [null, 3.086], host: [null, 5] }, {}]
      })
      const memory = yield* ask("/api/processes/spread?name=node&metric=memory&scale=machine", { token: READ })
      expect(memory.json).toMatchObject({ unit: "percent_of_machine", values: [null, null], median: null, of: 0 })
    })
  )

  it.live("one group over all servers comes with their names", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      const { json, status } = yield* ask(`/api/processes/spread?name=node&at=${at}&hours=2`, { token: READ })
      expect(status).toBe(200)
      expect(json).toMatchObject({
        resource: "processes",
        name: "node",
        server_ids: ["alpha", "beta"],
        names: ["ALPHA", "BETA"],
        values: [10, 20],
        median: 15,
        of: 2,
        odd: [],
        absent: 0,
        unseen: 0
      })
      expect(world.asked).toEqual([
        { exporter: "process_exporter", metric: "cpu", name: "node", serverIds: ["alpha", "beta"], window }
      ])
    })
  )

  const many = (count: number) => Array.from({ length: count }, (_, n) => `server=s${n}`).join("&")
  const wrong: ReadonlyArray<readonly [string, string, unknown, RegExp]> = [
    ["compare", "server", 0, /2 to 8/],
    ["compare?server=alpha", "server", 1, /2 to 8/],
    ["compare?server=alpha&server=alpha", "server", 1, /2 to 8/],
    [`compare?${many(9)}`, "server", 9, /at most 8/],
    ["compare?server=alpha&server=beta&scale=core", "scale", "core", /machine/],
    ["compare?server=alpha&server=beta&metric=disk", "metric", "disk", /cpu, memory/],
    ["compare?server=alpha&server=beta&limit=0", "limit", "0", /1 to 1000/],
    ["compare?server=alpha&server=beta&points=1", "points", "1", /2 to 2000/],
    ["compare?server=alpha&server=beta&hours=9601", "hours", 9601, /at most 9600/],
    ["spread", "name", null, /name of a group/],
    ["spread?name=a&name=b", "name", ["a", "b"], /given once/],
    ["spread?name=%00", "name", "\0", /without NUL/],
    ["spread?name=a&server=alpha", "server", "alpha", /./]
  ]
  for (const [path, parameter, value, allowed] of wrong) {
    it.live(`${path} is refused, naming the parameter, its value and what is allowed`, () =>
      Effect.gen(function* () {
        const { ask, world } = yield* startServer()
        const { json, status } = yield* ask(`/api/processes/${path}`, { token: READ })
        expect(status).toBe(400)
        expect(json).toMatchObject({ parameter, value, allowed: expect.stringMatching(allowed) })
        expect(world.asked).toEqual([])
      })
    )
  }

  it.live("a server or resource that is not there is a 404; nobody reads without a token", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer()
      for (const path of [
        "/api/processes/compare?server=alpha&server=gamma",
        "/api/processes/compare?server=alpha&server=..%2F%00",
        "/api/nothing/compare?server=alpha&server=beta",
        "/api/nodes/spread?name=a"
      ]) {
        expect([path, (yield* ask(path, { token: READ })).status]).toEqual([path, 404])
      }
      expect((yield* ask("/api/processes/compare?server=alpha&server=beta")).status).toBe(401)
      expect((yield* ask("/api/processes/spread?name=a")).status).toBe(401)
    })
  )
})
