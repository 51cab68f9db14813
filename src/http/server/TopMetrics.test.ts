import { describe, expect, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { AGENT_A, READ, startServer } from "../TestServer.ts"

describe("the top groups of every server, for Prometheus", () => {
  it.live("are gauges with the server and the group as labels, named after the resource and its fields", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer()
      const { status, text } = yield* ask("/api/metrics/processes", { token: READ })
      expect(status).toBe(200)
      expect(text).toContain(
        'nodepulse_processes_avg_cpu_percent{server_id="alpha",server="ALPHA",name="postgres"} 42.1\n'
      )
      expect(text).toContain(
        'nodepulse_processes_memory_mb{server_id="alpha",server="ALPHA",name="postgres"} 488.28125\n'
      )
      expect(text).toContain('nodepulse_processes_stale{server_id="alpha",server="ALPHA"} 0\n')
      expect(text).toContain("nodepulse_processes_servers_omitted 0\n")
    })
  )

  it.live("say when a server was last seen in seconds since 1970, the unit that their name has", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer()
      const { text } = yield* ask("/api/metrics/processes", { token: READ })
      const value = /^nodepulse_processes_last_seen_timestamp_seconds\{[^}]*\} (\S+)$/m.exec(text)?.[1]
      const seen = (yield* Clock.currentTimeMillis) / 1_000 - Number(value)
      // Five seconds before the question, as the answer of this test has it.
      expect(seen).toBeGreaterThan(4)
      expect(seen).toBeLessThan(600)
    })
  )

  it.live("call a server stale by the interval that it really sends at, not by the one that is declared", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      // Its latest scrape is five seconds old, and it sends every second.
      world.lastSeen.set("alpha", (yield* Clock.currentTimeMillis) * 1_000)
      world.intervals.set("alpha", 1_000_000)
      const { text } = yield* ask("/api/metrics/processes", { token: READ })
      expect(text).toContain('nodepulse_processes_stale{server_id="alpha",server="ALPHA"} 1\n')
      expect(text).toContain('nodepulse_processes_stale{server_id="beta",server="BETA"} 0\n')
    })
  )

  it.live("are asked for once where several scrape at the same time, with the number of groups that was wanted", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      const asking = Array.from({ length: 5 }, () => ask("/api/metrics/processes?groups=3", { token: READ }))
      const answers = yield* Effect.all(asking, { concurrency: "unbounded" })
      expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
      const asked = world.asked.filter((request) => (request as { serverId?: string }).serverId === "alpha")
      expect(asked).toMatchObject([
        { metric: "cpu", limit: 3 },
        { metric: "memory", limit: 3 }
      ])
    })
  )

  it.live("name who may ask, for what, and for how much", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer()
      expect((yield* ask("/api/metrics/processes", {})).status).toBe(401)
      expect((yield* ask("/api/metrics/processes", { token: AGENT_A })).status).toBe(403)
      const unknown = yield* ask("/api/metrics/nothing", { token: READ })
      expect([unknown.status, unknown.json]).toMatchObject([404, { known: ["processes"] }])
      const many = yield* ask("/api/metrics/processes?groups=51", { token: READ })
      expect([many.status, many.json]).toMatchObject([
        400,
        { parameter: "groups", allowed: "a whole number from 1 to 50" }
      ])
    })
  )
})
