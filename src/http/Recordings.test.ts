import { connect, type Socket } from "node:net"
import { gzipSync } from "node:zlib"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Queue } from "effect"
import { helloOf } from "../protocol/AgentHello.fixture.ts"
import { formatHello } from "../protocol/AgentHello.ts"
import { parseWanted, WANTS_HEADER } from "../protocol/AgentWants.ts"
import { kill, recording } from "../protocol/Recording.fixture.ts"
import type { Recording } from "../protocol/Recording.ts"
import type { Turns } from "./ingest/Turns.ts"
import { AGENT_A, AGENT_B, OPERATOR, READ, row, startServer } from "./TestServer.ts"

const now = () => Math.floor(Date.now() / 1_000)
const made = (changes: Partial<Recording> = {}, seconds = 3) => recording({ ended: now(), ...changes }, seconds)

/** A recording as an agent sends it. */
const sent = (value: unknown, token = AGENT_A) => ({
  method: "POST",
  token,
  body: gzipSync(typeof value === "string" ? value : JSON.stringify(value)),
  headers: { "content-type": "application/json", "content-encoding": "gzip" }
})

/** A recording that is announced, and of which nothing comes: resolves once the server waits for it. */
const stalled = (port: number, token: string) =>
  Effect.callback<Socket>((resume) => {
    const socket = connect(port, "127.0.0.1")
    const headers = ["host: 127.0.0.1", `authorization: Bearer ${token}`, "content-length: 9", "expect: 100-continue"]
    socket.on("error", () => {})
    socket.once("data", () => resume(Effect.succeed(socket)))
    socket.write(`POST /api/recordings HTTP/1.1\r\n${headers.join("\r\n")}\r\n\r\n`)
  })

describe("a recording that is sent", () => {
  it.live("belongs to the server of the token, is stored once, and is read by whoever may read", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      const one = made({ reason: "oom_kill", kills: [kill({ at: now() - 1 })] }, 900)
      const first = yield* ask("/api/recordings", sent(one, AGENT_B))
      expect([first.status, first.json]).toEqual([201, { stored: true }])
      const second = yield* ask("/api/recordings", sent(one, AGENT_B))
      expect([second.status, second.json]).toEqual([201, { stored: false }])
      expect((yield* ask("/api/recordings", sent(one, AGENT_A))).json).toEqual({ stored: true })
      expect(world.recordings.map(({ serverId }) => serverId)).toEqual(["beta", "alpha"])
      const { recordings } = (yield* ask("/api/servers/beta/recordings", { token: READ })).json
      expect(recordings).toMatchObject([
        { recording_id: "1", server_id: "beta", reason: "oom_kill", kills: [{ name: "hog", limit_bytes: 67_108_864 }] }
      ])
      const whole = yield* ask("/api/recordings/1", { token: READ })
      expect(whole.status).toBe(200)
      expect(whole.json.at).toEqual(one.at)
      expect(whole.json.host).toEqual(one.host)
      expect(whole.json.processes[0]).toMatchObject({ name: "hog", pid: 9, cpu: one.processes[0]!.cpu })
      expect((yield* ask("/api/recordings/2000", { token: READ })).status).toBe(404)
      expect((yield* ask("/api/recordings/a%00b", { token: READ })).status).toBe(404)
    })
  )

  it.live("is refused where it is no recording, is too large in any way, or of another time", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      const answer = (value: unknown, token: string) => ask("/api/recordings", sent(value, token))
      const malformed = yield* answer({ ...made(), cores: "four" }, AGENT_A)
      expect([malformed.status, malformed.json.detail]).toEqual([
        400,
        'cores is "four", but must be a whole number from 1 to 65536'
      ])
      expect((yield* answer("{", AGENT_A)).status).toBe(400)
      expect((yield* answer(made({ ended: now() - 90_000 }), AGENT_A)).json.detail).toMatch(/behind the server's clock/)
      expect((yield* answer(made({ ended: now() + 3_600 }), AGENT_A)).json.detail).toMatch(
        /ahead of the server's clock/
      )
      // A bomb: some kilobytes as sent.
      expect((yield* answer(`[${" ".repeat(9 * 1024 * 1024)}]`, AGENT_B)).status).toBe(413)
      const values = yield* answer(`[${"[],".repeat(400_000)}[]]`, AGENT_B)
      expect([values.status, values.json.limit_of]).toEqual([413, "values"])
      const large = { ...sent(made(), AGENT_B), body: Buffer.alloc(1024 * 1024 + 1) }
      expect((yield* ask("/api/recordings", large)).status).toBe(413)
      const plain = { ...sent(made(), AGENT_B), headers: { "content-type": "text/plain" } }
      expect((yield* ask("/api/recordings", plain)).status).toBe(415)
      expect(world.recordings).toEqual([])
    })
  )

  it.live("comes from an agent, and no more often than an agent that means well sends one", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      for (const token of [READ, OPERATOR]) {
        expect((yield* ask("/api/recordings", sent(made(), token))).status).toBe(403)
      }
      expect((yield* ask("/api/recordings", sent(made(), "made-up"))).status).toBe(401)
      expect(world.recordings).toEqual([])
      const statuses: Array<number> = []
      for (let n = 0; n < 7; n++) {
        const id = n.toString(16).padStart(32, "0")
        statuses.push((yield* ask("/api/recordings", sent(made({ id })))).status)
      }
      expect(statuses).toEqual([201, 201, 201, 201, 201, 429, 429])
      expect((yield* ask("/api/recordings", sent(made(), AGENT_B))).status).toBe(201)
    })
  )

  it.live("is taken in beside those of another server that never end, of which there are two at a time", () =>
    Effect.gen(function* () {
      const { ask, port } = yield* startServer()
      const sockets = [yield* stalled(port, AGENT_A), yield* stalled(port, AGENT_A)]
      expect((yield* ask("/api/recordings", sent(made(), AGENT_A))).status).toBe(503)
      expect((yield* ask("/api/recordings", sent(made(), AGENT_B))).status).toBe(201)
      for (const socket of sockets) socket.destroy()
      const again = ask("/api/recordings", sent(made({ id: "f".repeat(32) }), AGENT_A))
      expect((yield* Effect.delay(again, "200 millis")).status).toBe(201)
    })
  )

  it.live("is unpacked and read in the turn that its server has of all ingest, and gives back what it held", () =>
    Effect.gen(function* () {
      const asked = yield* Queue.unbounded<string>()
      const turn = yield* Deferred.make<void>()
      const turns: Turns = {
        take: (_, work) => Effect.sync(work),
        queue: (serverId, work) =>
          Queue.offer(asked, serverId).pipe(Effect.andThen(Deferred.await(turn)), Effect.andThen(Effect.sync(work)))
      }
      const { ask, push, world } = yield* startServer({ turns, limits: { requestsInFlightMax: 3 } })
      const ids = ["1", "2"].map((id) => id.repeat(32))
      const waiting = yield* Effect.forkScoped(
        Effect.forEach(ids, (id) => ask("/api/recordings", sent(made({ id }))), { concurrency: 2 })
      )
      expect([yield* Queue.take(asked), yield* Queue.take(asked)]).toEqual(["alpha", "alpha"])
      // Those that wait count as requests under way: of their own server none is let in beside them, of another one is.
      expect((yield* push({ process_exporter: [row("a")] })).status).toBe(503)
      expect((yield* push({ process_exporter: [row("a")] }, { token: AGENT_B })).status).toBe(202)
      expect(world.recordings).toEqual([])
      yield* Deferred.succeed(turn, undefined)
      expect((yield* Fiber.join(waiting)).map(({ status }) => status)).toEqual([201, 201])
      expect((yield* push({ process_exporter: [row("a")] })).status).toBe(202)
    }).pipe(Effect.scoped)
  )

  it.live("counts with all bytes under way, as it is sent and as it is unpacked", () =>
    Effect.gen(function* () {
      const { ask, push } = yield* startServer({ limits: { bytesInFlightMax: 100_000 } })
      const blanks = sent(`[${" ".repeat(200_000)}]`)
      const refused = yield* ask("/api/recordings", blanks)
      expect([refused.status, refused.json.detail]).toEqual([503, "too many bytes are being taken in"])
      const plain = { ...blanks, body: Buffer.alloc(200_000, " "), headers: { "content-type": "application/json" } }
      expect((yield* ask("/api/recordings", plain)).status).toBe(503)
      expect((yield* push({ process_exporter: [row("a")] })).status).toBe(202)
    })
  )

  it.live("is tried again where the database is away", () =>
    Effect.gen(function* () {
      const { ask, push, world } = yield* startServer()
      // The token is known from then on.
      yield* push({ process_exporter: [row("a")] })
      world.databaseDown = true
      const answer = yield* ask("/api/recordings", sent(made()))
      expect(answer.status).toBe(503)
      expect(answer.text).not.toContain("secret")
    })
  )
})

describe("a recording that is wanted", () => {
  const hello = formatHello(helloOf("web-1"))

  it.live("is asked for by an operator, and told to the agent of that server alone, with the answer to its push", () =>
    Effect.gen(function* () {
      const { ask, push } = yield* startServer()
      const path = "/api/servers/alpha/recordings"
      expect((yield* ask(path, { method: "POST", token: READ })).status).toBe(403)
      expect((yield* ask("/api/servers/nobody/recordings", { method: "POST", token: OPERATOR })).status).toBe(404)
      const asked = yield* ask(path, { method: "POST", token: OPERATOR })
      expect([asked.status, asked.json.state]).toEqual([202, "waiting"])
      const body = { process_exporter: [row("a")] }
      const told = yield* push(body, { headers: { "nodepulse-agent": hello } })
      expect(told.status).toBe(202)
      expect(parseWanted(told.headers[WANTS_HEADER])).toEqual({ id: "a".repeat(32), reason: "asked" })
      // Who does not say who it is has no recorder.
      expect((yield* push(body)).headers[WANTS_HEADER]).toBeUndefined()
      const other = yield* push(body, { token: AGENT_B, headers: { "nodepulse-agent": hello } })
      expect([other.status, other.headers[WANTS_HEADER]]).toEqual([202, undefined])
    })
  )

  it.live("is a mark on the server's charts once it is there, and so is each kill, once", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer()
      const kills = [kill({ at: now() - 60 })]
      for (const id of ["1", "2"]) {
        yield* ask("/api/recordings", sent(made({ id: id.repeat(32), reason: "oom_kill", kills, ended: now() - 5 })))
      }
      const { marks } = (yield* ask("/api/servers/alpha/marks?hours=1", { token: READ })).json
      const shown = marks.filter(({ kind }: { kind: string }) => kind === "oom_kill" || kind === "recording")
      expect(shown.map(({ kind, recording_id }: Record<string, string>) => [kind, recording_id])).toEqual([
        ["oom_kill", "1"],
        ["recording", "1"],
        ["recording", "2"]
      ])
      expect(shown[0]).toMatchObject({ name: "hog", unit: "hog.service" })
    })
  )
})
