import { connect } from "node:net"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { orderFor, outcomeOf, person, pollOf, previewOf, signed } from "../../test/ActingWorld.ts"
import { formatTimestamp } from "../plugins/Timestamp.ts"
import { ORDER_LIMITS } from "../protocol/OrderText.ts"
import { ADMIN, AGENT_A, AGENT_B, OPERATOR, READ, startServer } from "./TestServer.ts"

const json = { "content-type": "application/json" }
const post = (body: unknown, token: string) => ({
  method: "POST",
  token,
  headers: json,
  body: typeof body === "string" ? body : JSON.stringify(body)
})
const POLL = "/api/hands/poll"

/** A poll whose body never ends. */
const stalled = (port: number, token: string) =>
  Effect.acquireRelease(
    Effect.callback<ReturnType<typeof connect>>((resume) => {
      const socket = connect(port, "127.0.0.1", () => {
        socket.write(
          `POST ${POLL} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nauthorization: Bearer ${token}\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{`
        )
        setTimeout(() => resume(Effect.succeed(socket)), 200)
      })
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

describe("a host that asks what is to be done", () => {
  it.live("is handed what is for the server of its token, and for no other", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      const order = orderFor("alpha")
      const handed = { previews: [], orders: [{ order, approvals: [signed(order, person("ada"))] }] }
      world.toHand.set("alpha", handed)
      const other = yield* ask(POLL, post(pollOf("beta"), AGENT_B))
      expect([other.status, other.json.orders]).toEqual([200, []])
      // It says that it is alpha, with beta's token: it is told which it is, and gets nothing.
      const disguised = yield* ask(POLL, post(pollOf("alpha", { outcomes: [outcomeOf(order.id)] }), AGENT_B))
      expect(disguised.json).toEqual({ version: 1, server: "beta", previews: [], orders: [], recorded: [] })
      const outcomes = [outcomeOf(order.id)]
      const own = yield* ask(POLL, post(pollOf("alpha", { outcomes }), AGENT_A))
      expect(own.json).toEqual({ version: 1, server: "alpha", ...handed, recorded: [outcomes[0]!.id] })
      expect(world.polls.map(({ serverId }) => serverId)).toEqual(["beta", "alpha"])
    })
  )

  it.live("is refused where it is no agent, and where it says anything that is not exactly a poll", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      for (const token of [READ, OPERATOR, ADMIN]) expect((yield* ask(POLL, post({}, token))).status).toBe(403)
      const wrong: ReadonlyArray<readonly [unknown, RegExp]> = [
        [{ ...pollOf("alpha"), more: 1 }, /more/],
        [pollOf("alpha", { boot_id: "x" }), /boot_id/],
        [pollOf("alpha", { wait_seconds: 26 }), /wait_seconds/],
        [pollOf("alpha", { outcomes: [outcomeOf("x")] }), /order/],
        ["{", /not JSON/]
      ]
      for (const [body, said] of wrong) {
        const answer = yield* ask(POLL, post(body, AGENT_A))
        expect([answer.status, answer.json.detail]).toEqual([400, expect.stringMatching(said)])
      }
      const large = yield* ask(POLL, post(`[${" ".repeat(ORDER_LIMITS.pollBytes)}]`, AGENT_A))
      expect(large.status).toBe(413)
      expect(world.polls).toEqual([])
    })
  )

  it.live("takes no other's place, however slowly it asks, and asks no more often than is good", () =>
    Effect.gen(function* () {
      const { ask, port } = yield* startServer()
      yield* stalled(port, AGENT_A)
      yield* stalled(port, AGENT_A)
      expect((yield* ask(POLL, post(pollOf("alpha"), AGENT_A))).status).toBe(503)
      expect((yield* ask(POLL, post(pollOf("beta"), AGENT_B))).status).toBe(200)
      const statuses: Array<number> = []
      for (let n = 0; n < 40; n++) statuses.push((yield* ask(POLL, post(pollOf("beta"), AGENT_B))).status)
      expect(statuses.filter((status) => status === 429).length).toBeGreaterThan(3)
    })
  )

  it.live("keeps what it has to say where the database is away", () =>
    Effect.gen(function* () {
      const { ask, push, world } = yield* startServer()
      yield* push({ process_exporter: [] })
      world.databaseDown = true
      const answer = yield* ask(POLL, post(pollOf("alpha", { outcomes: [outcomeOf(null)] }), AGENT_A))
      expect(answer.status).toBe(503)
      expect(answer.text).not.toContain("secret")
    })
  )
})

describe("a person who asks for something to be done", () => {
  const asked: ReadonlyArray<readonly [method: string, path: string, body: unknown, operator: number]> = [
    ["GET", "/api/servers/alpha/acting", undefined, 200],
    ["GET", "/api/servers/nobody/acting", undefined, 404],
    ["POST", "/api/servers/alpha/previews", { target: { pid: 1 } }, 202],
    ["POST", "/api/servers/alpha/previews", { target: { unit: "../x.service" } }, 400],
    ["POST", "/api/servers/alpha/previews", { target: { pid: 1 }, more: 1 }, 400],
    ["GET", "/api/previews/x", undefined, 404],
    ["POST", "/api/servers/alpha/orders", { preview_id: "x", order: orderFor("alpha") }, 404],
    ["POST", "/api/servers/alpha/orders", { preview_id: "x", order: { ...orderFor("alpha"), verb: "reboot" } }, 400],
    ["GET", "/api/orders/x", undefined, 404],
    ["POST", "/api/orders/x/approvals", { approval: signed(orderFor("alpha"), person("ada")) }, 404],
    ["POST", "/api/orders/x/approvals", { approval: { by: "ada" } }, 400],
    ["GET", "/api/orders?server=alpha", undefined, 200],
    ["GET", "/api/orders?limit=0", undefined, 400]
  ]
  it.live("is an operator: a reader sees nothing of it, and an agent neither", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer()
      for (const [method, path, body, operator] of asked) {
        const more = body === undefined ? {} : { headers: json, body: JSON.stringify(body) }
        const statuses: Array<number> = []
        for (const token of [AGENT_A, READ, OPERATOR])
          statuses.push((yield* ask(path, { method, token, ...more })).status)
        expect([method, path, statuses]).toEqual([method, path, [403, 403, operator]])
      }
    })
  )

  it.live("sees what the host allows, what became of an order, and what to compare before and after it", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      expect((yield* ask("/api/servers/alpha/acting", { token: OPERATOR })).json).toEqual({
        ...{ server_id: "alpha", server_name: "ALPHA", hands: null }
      })
      const order = orderFor("alpha")
      const actedAt = Date.now() - 400_000
      const outcome = outcomeOf(order.id)
      world.stories.push({
        ...{
          order,
          serverName: "ALPHA",
          previewId: "p",
          needed: 1,
          state: "done",
          askedAt: actedAt,
          expiresAt: actedAt
        },
        outcome,
        events: [
          { kind: "asked", at: actedAt, by: "token:t4", approval: null, outcome: null },
          { kind: "done", at: actedAt, by: "hands:alpha", approval: null, outcome }
        ],
        actedAt
      })
      const { json: shown } = yield* ask(`/api/orders/${order.id}`, { token: OPERATOR })
      expect(shown).toMatchObject({ state: "done", asked_by: "token:t4", outcome, order, ledger: { state: "ready" } })
      const { against_at, at, hours, metric, resource } = shown.ledger
      expect(Date.parse(at) - Date.parse(against_at)).toBe(300_000)
      expect(Math.abs(Date.parse(against_at) - actedAt)).toBeLessThan(1)
      const query = new URLSearchParams({ metric, at, against_at, hours: String(hours) })
      const ledger = yield* ask(`/api/servers/alpha/${resource}/diff?${query}`, { token: OPERATOR })
      expect(ledger.status).toBe(200)
      expect(ledger.json.before.window.to).toBe(ledger.json.after.window.from)
    })
  )

  it.live("sees it as a mark in the charts, as everybody does who may read them", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      const at = (Date.now() - 60_000) * 1_000
      world.acts.push({
        orderId: "o",
        at,
        verb: "restart",
        target: "nginx.service",
        group: null,
        result: "done",
        by: ["ada", "bob"],
        revertsAt: at + 90_000_000
      })
      const { marks } = (yield* ask("/api/servers/alpha/marks?hours=1", { token: READ })).json
      expect(marks.filter(({ kind }: { kind: string }) => kind === "act")).toMatchObject([
        {
          order_id: "o",
          verb: "restart",
          target: "nginx.service",
          result: "done",
          by: ["ada", "bob"],
          at: formatTimestamp(at),
          reverts_at: formatTimestamp(at + 90_000_000)
        }
      ])
    })
  )

  it.live("sees in a row who did what to it in the window, or before where that still held, as everybody does", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      const now = Date.now() * 1_000
      const minutes = (count: number) => now + count * 60_000_000
      const act = (orderId: string, at: number, revertsAt: number | null, group = "postgres") =>
        world.acts.push({
          ...{ orderId, at, revertsAt, group, verb: "nice", target: group, result: "done", by: ["ada"] }
        })
      act("before", minutes(-70), null)
      act("over", minutes(-190), minutes(-61))
      act("held", minutes(-80), minutes(-30))
      act("within", minutes(-5), null)
      act("elsewhere", minutes(-5), null, "nginx")
      const rows = Effect.map(
        ask("/api/servers/alpha/processes/top?hours=1", { token: READ }),
        ({ json }): ReadonlyArray<Record<string, unknown>> => json.processes
      )
      expect(yield* rows).toMatchObject([
        { name: "postgres", acts_total: 2, acts: [{ order_id: "within", by: ["ada"] }, { order_id: "held" }] }
      ])
      world.acts.length = 0
      expect(Object.keys((yield* rows)[0]!)).not.toContain("acts")
    })
  )
})

describe("a preview on its way", () => {
  it.live("is taken in as the host said it", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      const preview = previewOf("alpha", { id: "00000000-0000-4000-8000-000000000001", target: { pid: 1 } })
      expect((yield* ask(POLL, post(pollOf("alpha", { previews: [preview] }), AGENT_A))).status).toBe(200)
      expect(world.polls[0]?.poll.previews).toEqual([preview])
    })
  )
})
