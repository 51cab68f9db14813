/** What the server does with what agents tell about themselves: identity, clock, exporters that are not known here. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { helloOf } from "../../protocol/AgentHello.fixture.ts"
import { type AgentHello, formatHello } from "../../protocol/AgentHello.ts"
import { ADMIN, row, startServer, type TestServer } from "../TestServer.ts"

const agent = (machine: string) => {
  let sequence = 0
  return (changes: Partial<AgentHello> = {}) => ({
    headers: { "nodepulse-agent": formatHello(helloOf(machine, { sequence: ++sequence, ...changes })) }
  })
}

const entryOf = ({ ask }: TestServer) =>
  Effect.gen(function* () {
    const [server] = (yield* ask("/api/servers", { token: ADMIN })).json.servers
    const [glance] = (yield* ask("/api/fleet", { token: ADMIN })).json.servers
    const one = (yield* ask("/api/servers/alpha", { token: ADMIN })).json
    expect(one).toEqual(server)
    expect(glance).toMatchObject({ conflict: server.conflict, clock_skew_seconds: server.clock_skew_seconds })
    return server
  })

describe("two machines on one token", () => {
  it.live("have one that writes and one that is told what to do, and the API says so", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const [one, other] = [agent("web-1"), agent("web-1-clone")]
      const body = (name: string) => ({ process_exporter: [row(name)] })
      expect((yield* server.push(body("a"), one())).status).toBe(202)
      const waiting = yield* server.push(body("b"), other())
      expect(waiting).toMatchObject({ status: 409, json: { reason: "waiting", title: expect.any(String) } })
      expect(Number(waiting.headers["retry-after"])).toBeGreaterThan(30)
      expect((yield* server.push(body("c"), one())).status).toBe(202)
      const refused = yield* server.push(body("d"), other())
      expect(refused).toMatchObject({ status: 409, json: { reason: "conflict" } })
      expect(refused.json.detail).toContain("nodepulse token create")
      expect((yield* server.push(body("e"), one({ sequence: 1 }))).json).toMatchObject({ reason: "replayed" })
      expect(server.world.published.map(({ snapshot }) => JSON.parse(snapshot)[3])).toEqual(["a", "c"])
      expect((yield* entryOf(server)).conflict).toMatchObject({
        writes: "web-1",
        refused: "web-1-clone",
        same_machine: false
      })
      expect((yield* server.ask("/metrics", { token: ADMIN })).text).toContain(
        'nodepulse_ingest_token_in_use_total{reason="conflict"} 1'
      )
    })
  )

  it.live("are not looked for among senders that do not say who they are", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      expect((yield* server.push({ process_exporter: [row("a")] }, agent("one")())).status).toBe(202)
      expect((yield* server.push({ process_exporter: [row("b")] })).status).toBe(202)
      const odd = { headers: { "nodepulse-agent": "machine=; boot" } }
      expect((yield* server.push({ process_exporter: [row("c")] }, odd)).status).toBe(202)
      expect((yield* entryOf(server)).conflict).toBeNull()
    })
  )
})

describe("an agent's clock", () => {
  it.live("is told ahead and behind, with its last step and what was corrected, also when nothing was accepted", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const one = agent("web-1")
      const now = Date.now() / 1_000
      const late = row("a", { timestamp: new Date((now + 1_200) * 1_000).toISOString() })
      const refused = yield* server.push({ process_exporter: [late] }, one({ sent: now + 1_200 }))
      expect(refused.status).toBe(422)
      expect(refused.json.rejected[0].code).toBe("clock_ahead")
      expect(refused.json.detail).toContain("ahead of the server's clock")
      expect((yield* entryOf(server)).clock_skew_seconds).toBeCloseTo(1_200, -1)
      const step = { seconds: -1_290.5, at: now }
      yield* server.push({ process_exporter: [row("b")] }, one({ sent: now - 90, step, corrected: -1_200 }))
      const entry = yield* entryOf(server)
      expect(entry.clock_skew_seconds).toBeCloseTo(-90, -1)
      expect(entry).toMatchObject({ clock_step_seconds: -1_290.5, clock_corrected_seconds: -1_200 })
      expect(Date.parse(entry.clock_stepped_at)).toBeCloseTo(now * 1_000, -4)
    })
  )

  it.live("that is ahead does not keep a dead server live", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const ahead = 540
      const now = Date.now()
      yield* server.push({}, agent("web-1")({ sent: now / 1_000 + ahead }))
      // Its last row came two minutes ago, and is seven minutes ahead of now.
      server.world.lastSeen.set("alpha", (now - 120_000) * 1_000 + ahead * 1_000_000)
      const entry = yield* entryOf(server)
      expect(entry.state).toBe("stale")
      expect(Date.parse(entry.last_seen)).toBeCloseTo(now - 120_000, -4)
      // Of one that does not tell its clock: never later than now.
      server.world.lastSeen.set("beta", (now + 300_000) * 1_000)
      const { servers } = (yield* server.ask("/api/servers", { token: ADMIN })).json
      expect(Date.parse(servers[1].last_seen)).toBeLessThanOrEqual(Date.now())
    })
  )
})

describe("an exporter that the server does not know", () => {
  it.live("is named in the API, its rows refused by a code that says to keep them, its neighbours taken", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const one = agent("web-1")
      const both = yield* server.push({ process_exporter: [row("a")], new_exporter: [{}, {}] }, one())
      expect(both.status).toBe(202)
      expect(both.json.rejected.map(({ code }: { code: string }) => code)).toEqual([
        "exporter_unknown",
        "exporter_unknown"
      ])
      yield* server.push({ "bad\u001b[2J": [{}] }, one())
      expect((yield* entryOf(server)).unknown_exporters).toEqual(["bad\\u001b[2J", "new_exporter"])
    })
  )

  it.live("never costs a row of an older agent, which lacks a column that was appended since", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const minimal = { timestamp: new Date().toISOString(), cpu_user_seconds_total: 1 }
      const answer = yield* server.push({ node_exporter: [minimal] })
      expect(answer.json).toEqual({ accepted: 1, rejected: [] })
      const values = JSON.parse(server.world.published[0]!.snapshot) as ReadonlyArray<unknown>
      // Fingerprint and moment; then what is not told, as far as it is written at all.
      expect(values.slice(2).filter((value) => value !== null)).toEqual([])
    })
  )
})

describe("an exporter that serves more than its agent takes", () => {
  it.live("is told with the setting that bounds it, also by a push without rows, until it is well", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const push = agent("web-1")
      const over = { exporter: "process_exporter", limit: "series" } as const
      for (const most of [50_000, 60_000]) {
        expect((yield* server.push({}, push({ refused: [{ ...over, most }] }))).status).toBe(202)
        expect((yield* entryOf(server)).refused_exporters).toEqual([
          { exporter: "process_exporter", setting: "series_limit", most }
        ])
      }
      expect((yield* server.push({ process_exporter: [row("a")] }, push())).status).toBe(202)
      expect((yield* entryOf(server)).refused_exporters).toEqual([])
    })
  )
})

describe("an agent that holds back", () => {
  it.live("is told of, by what it used and what it does without, until it does all again", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const push = agent("web-1")
      const body = { process_exporter: [row("a")] }
      for (const interval of [2, 4] as const) {
        const restrained = { causes: ["cpu", "memory"], interval, groups: 500, recorder: false } as const
        expect((yield* server.push(body, push({ restrained }))).status).toBe(202)
        expect((yield* entryOf(server)).restrained).toEqual({
          ...{ causes: ["cpu", "memory"], interval_factor: interval, groups_max: 500, recorder: false }
        })
      }
      expect((yield* server.push(body, push())).status).toBe(202)
      expect((yield* entryOf(server)).restrained).toBeNull()
    })
  )
})

describe("an exporter that answers and matches nothing", () => {
  it.live("is told with what mends it, until it is mended", () =>
    Effect.gen(function* () {
      const server = yield* startServer()
      const push = agent("web-1")
      const body = { process_exporter: [row("a")] }
      expect((yield* server.push(body, push({ unmatched: ["process_exporter", "cobol_exporter"] }))).status).toBe(202)
      expect((yield* entryOf(server)).unmatched_exporters).toMatchObject([
        {
          exporter: "process_exporter",
          complaint: expect.stringContaining("matches no process"),
          remedy: expect.arrayContaining([expect.stringContaining("/etc/process-exporter/config.yml")])
        },
        { exporter: "cobol_exporter", remedy: [] }
      ])
      expect((yield* server.push(body, push())).status).toBe(202)
      expect((yield* entryOf(server)).unmatched_exporters).toEqual([])
    })
  )
})
