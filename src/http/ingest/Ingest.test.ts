import { connect, createServer } from "node:net"
import { gzipSync } from "node:zlib"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Schedule } from "effect"
import { StreamFull, StreamUnavailable } from "../../sinks/stream/SnapshotStream.ts"
import { rowsIn } from "../../sinks/stream/StreamEntry.ts"
import { ADMIN, AGENT_A, AGENT_B, READ, row, startServer } from "../TestServer.ts"

const names = (rows: ReadonlyArray<{ readonly snapshot: string }>) =>
  rows.map(({ snapshot }) => JSON.parse(snapshot)[3])

describe("a 202 says what was taken", () => {
  it.live("every acceptable snapshot is published, each by itself, in order", () =>
    Effect.gen(function* () {
      const { push, world } = yield* startServer()
      const answer = yield* push({ process_exporter: [row("nginx"), row("postgres")] })
      expect(answer.status).toBe(202)
      expect(answer.json).toEqual({ accepted: 2, rejected: [] })
      expect(world.published.map(({ exporterName, serverId }) => [serverId, exporterName])).toEqual([
        ["alpha", "process_exporter"],
        ["alpha", "process_exporter"]
      ])
      expect(names(world.published)).toEqual(["nginx", "postgres"])
    })
  )

  it.live("the answer comes only once the stream has everything", () =>
    Effect.gen(function* () {
      const { push, world } = yield* startServer()
      let open: (() => void) | undefined
      world.publishing = Effect.callback<void>((resume) => {
        open = () => resume(Effect.void)
      })
      let answered = false
      const pending = yield* Effect.forkChild(
        Effect.tap(push({ process_exporter: [row("a")] }), () => {
          answered = true
          return Effect.void
        })
      )
      yield* Effect.sleep("5 millis").pipe(Effect.repeat({ until: () => open !== undefined }))
      expect(answered).toBe(false)
      open?.()
      expect((yield* Fiber.join(pending)).status).toBe(202)
    })
  )

  it.live("a bad row is named with its reason and takes no neighbour with it", () =>
    Effect.gen(function* () {
      const { push, world } = yield* startServer()
      const answer = yield* push({
        process_exporter: [row("a"), row("b", { num_procs: -1 }), row("c")],
        who_exporter: [{}]
      })
      expect(answer.status).toBe(202)
      expect(answer.json.accepted).toBe(2)
      expect(answer.json.rejected).toEqual([
        { exporter: "process_exporter", index: 1, reason: expect.stringContaining("num_procs is -1"), code: "invalid" },
        {
          exporter: "who_exporter",
          index: 0,
          reason: expect.stringContaining("unknown exporter"),
          code: "exporter_unknown"
        }
      ])
      expect(names(world.published)).toEqual(["a", "c"])
    })
  )

  it.live("gzip is the same as plain", () =>
    Effect.gen(function* () {
      const { push, world } = yield* startServer()
      const body = gzipSync(JSON.stringify({ process_exporter: [row("zipped")] }))
      const answer = yield* push(body, { headers: { "content-encoding": "gzip" } })
      expect(answer.status).toBe(202)
      expect(names(world.published)).toEqual(["zipped"])
    })
  )

  it.live("gzip of several members is the same as of one, cut anywhere", () =>
    Effect.gen(function* () {
      const { push, world } = yield* startServer()
      const text = JSON.stringify({ process_exporter: [row("a"), row("b")] })
      for (const at of [1, 21, 100, text.length - 2]) {
        const body = Buffer.concat([text.slice(0, at), "", text.slice(at)].map((part) => gzipSync(part)))
        const answer = yield* push(body, { headers: { "content-encoding": "gzip" } })
        expect(answer.json).toEqual({ accepted: 2, rejected: [] })
      }
      expect(names(world.published)).toEqual(["a", "b", "a", "b", "a", "b", "a", "b"])
      const torn = Buffer.concat([gzipSync(text), gzipSync(" ").subarray(0, 12)])
      expect((yield* push(torn, { headers: { "content-encoding": "gzip" } })).status).toBe(400)
    })
  )

  it.live("an empty payload is accepted, and publishes nothing", () =>
    Effect.gen(function* () {
      const { push, world } = yield* startServer()
      expect((yield* push({})).json).toEqual({ accepted: 0, rejected: [] })
      expect((yield* push({ process_exporter: [] })).status).toBe(202)
      expect(world.published).toEqual([])
    })
  )

  it.live("a server that closed its scope listens no more, and the address is free again", () =>
    Effect.gen(function* () {
      const port = yield* Effect.scoped(Effect.map(startServer(), ({ port }) => port))
      const listen = Effect.callback<void, Error>((resume) => {
        const server = createServer().once("error", (error) => resume(Effect.fail(error)))
        server.listen(port, "127.0.0.1", () => server.close(() => resume(Effect.void)))
      })
      // A connection of another test that goes out may have been given it for a while.
      yield* Effect.retry(listen, Schedule.spaced("100 millis"))
    })
  )
})

describe("each refusal has its status, and is a problem", () => {
  const problem = (status: number) => ({
    status,
    headers: expect.objectContaining({ "content-type": "application/problem+json" }),
    json: expect.objectContaining({
      status,
      type: expect.stringMatching(/^urn:nodepulse:problem:/),
      title: expect.any(String)
    })
  })

  it.live("400: not JSON, not UTF-8, not gzip", () =>
    Effect.gen(function* () {
      const { push, world } = yield* startServer()
      expect(yield* push('{"process_exporter":')).toMatchObject(problem(400))
      expect(yield* push("")).toMatchObject(problem(400))
      expect(yield* push(Buffer.from([0x22, 0xff, 0xfe, 0x22]))).toMatchObject(problem(400))
      const gzip = { headers: { "content-encoding": "gzip" } }
      expect(yield* push("{}", gzip)).toMatchObject(problem(400))
      const whole = gzipSync(JSON.stringify({ process_exporter: [row("a")] }))
      expect(yield* push(whole.subarray(0, whole.length - 12), gzip)).toMatchObject(problem(400))
      expect(world.published).toEqual([])
    })
  )

  it.live("401: no token, an unknown one, another scheme", () =>
    Effect.gen(function* () {
      const { ask, push } = yield* startServer()
      const body = { method: "POST", body: "{}", headers: { "content-type": "application/json" } }
      const without = yield* ask("/metrics/prometheus", body)
      expect(without).toMatchObject(problem(401))
      expect(without.headers["www-authenticate"]).toContain("Bearer")
      expect(yield* push({}, { token: "unknown" })).toMatchObject(problem(401))
      const basic = { ...body, headers: { ...body.headers, authorization: `Basic ${AGENT_A}` } }
      expect(yield* ask("/metrics/prometheus", basic)).toMatchObject(problem(401))
    })
  )

  it.live("403: a token that is no agent's", () =>
    Effect.gen(function* () {
      const { push, world } = yield* startServer()
      expect(yield* push({ process_exporter: [row("a")] }, { token: READ })).toMatchObject(problem(403))
      expect(yield* push({ process_exporter: [row("a")] }, { token: ADMIN })).toMatchObject(problem(403))
      expect(world.published).toEqual([])
    })
  )

  it.live("413: too large as sent, announced or not, and too large unpacked", () =>
    Effect.gen(function* () {
      const { port, push, world } = yield* startServer({ limits: { bodyBytesMax: 2_000, jsonBytesMax: 10_000 } })
      expect(yield* push(`"${"x".repeat(3_000)}"`)).toMatchObject(problem(413))
      const bomb = gzipSync(`"${"x".repeat(1_000_000)}"`)
      expect(bomb.length).toBeLessThan(2_000)
      expect(yield* push(bomb, { headers: { "content-encoding": "gzip" } })).toMatchObject(problem(413))
      const members = Buffer.concat(Array.from({ length: 20 }, () => gzipSync(" ".repeat(600))))
      expect(members.length).toBeLessThan(2_000)
      expect(yield* push(members, { headers: { "content-encoding": "gzip" } })).toMatchObject(problem(413))
      expect(yield* chunked(port, "x".repeat(3_000))).toContain("HTTP/1.1 413")
      expect(world.published).toEqual([])
    })
  )

  it.live("413: more snapshots at once than the stream ever takes, since trying again could not help", () =>
    Effect.gen(function* () {
      const { push, world } = yield* startServer()
      world.publishing = Effect.fail(new StreamFull({ length: 0, bound: 1, retryAfterSeconds: 1 }))
      expect(yield* push({ process_exporter: [row("a"), row("b")] })).toMatchObject(problem(413))
    })
  )

  it.live("415: another content type, charset or encoding", () =>
    Effect.gen(function* () {
      const { push } = yield* startServer()
      expect(yield* push("{}", { headers: { "content-type": "text/plain" } })).toMatchObject(problem(415))
      expect(yield* push("{}", { headers: { "content-type": "application/json; charset=latin1" } })).toMatchObject(
        problem(415)
      )
      const encoded = yield* push("{}", { headers: { "content-encoding": "br" } })
      expect(encoded).toMatchObject(problem(415))
      expect(encoded.headers["accept-encoding"]).toContain("gzip")
      expect((yield* push("{}", { headers: { "content-type": "application/json; charset=UTF-8" } })).status).toBe(202)
    })
  )

  it.live("422: nothing acceptable, with the reasons", () =>
    Effect.gen(function* () {
      const { push } = yield* startServer()
      const answer = yield* push({ process_exporter: [row("a", { cpu_seconds_total: "NaN" })] })
      expect(answer).toMatchObject(problem(422))
      expect(answer.json).toMatchObject({ accepted: 0, rejected: [{ exporter: "process_exporter", index: 0 }] })
      expect(yield* push([])).toMatchObject(problem(422))
      expect(yield* push("null")).toMatchObject(problem(422))
    })
  )

  it.live("429 where the stream is full, 503 where it or the database cannot be reached: with Retry-After", () =>
    Effect.gen(function* () {
      const { push, world } = yield* startServer()
      const body = { process_exporter: [row("a")] }
      world.publishing = Effect.fail(new StreamFull({ length: 10, bound: 10, retryAfterSeconds: 4 }))
      const full = yield* push(body)
      expect(full).toMatchObject(problem(429))
      expect(Number(full.headers["retry-after"])).toBeGreaterThanOrEqual(4)
      expect(Number(full.headers["retry-after"])).toBeLessThanOrEqual(8)
      world.publishing = Effect.fail(new StreamUnavailable({ operation: "publish", cause: new Error("secret host") }))
      const gone = yield* push(body)
      expect(gone).toMatchObject(problem(503))
      expect(Number(gone.headers["retry-after"])).toBeGreaterThanOrEqual(1)
      expect(gone.text).not.toContain("secret")
      world.publishing = Effect.void
      world.databaseDown = true
      const unknown = yield* push(body)
      expect(unknown).toMatchObject(problem(503))
      expect(unknown.text).not.toContain("10.1.2.3")
    })
  )

  it.live("503 where the stream does not answer in time", () =>
    Effect.gen(function* () {
      const { push, world } = yield* startServer({ limits: { publishWithin: "50 millis" } })
      world.publishing = Effect.never
      expect(yield* push({ process_exporter: [row("a")] })).toMatchObject(problem(503))
    })
  )

  it.live("500 without its inside where we are at fault", () =>
    Effect.gen(function* () {
      const { push, world } = yield* startServer()
      world.publishing = Effect.die(new Error("secret defect"))
      const answer = yield* push({ process_exporter: [row("a")] })
      expect(answer).toMatchObject(problem(500))
      expect(answer.text).not.toContain("secret")
      world.publishing = Effect.void
      expect((yield* push({ process_exporter: [row("a")] })).status).toBe(202)
    })
  )
})

describe("too much at once is turned away, and everyone keeps a share", () => {
  it.live("beyond the bound: 503 with Retry-After, and as before once there is room", () =>
    Effect.gen(function* () {
      const { push, world } = yield* startServer({ limits: { requestsInFlightMax: 2 } })
      const body = { process_exporter: [row("a")] }
      let open = () => {}
      const gate = new Promise<void>((resolve) => {
        open = resolve
      })
      let entered = 0
      world.publishing = Effect.suspend(() => {
        entered++
        return Effect.promise(() => gate)
      })
      const held = yield* Effect.forkChild(
        Effect.all([push(body), push(body, { token: AGENT_B })], { concurrency: "unbounded" })
      )
      yield* Effect.sleep("10 millis").pipe(Effect.repeat({ until: () => entered === 2 }))
      const refused = yield* push(body)
      expect(refused.status).toBe(503)
      expect(Number(refused.headers["retry-after"])).toBeGreaterThanOrEqual(1)
      open()
      expect((yield* Fiber.join(held)).map(({ status }) => status)).toEqual([202, 202])
      expect((yield* push(body)).status).toBe(202)
    })
  )

  it.live("a scrape is one entry where that is asked for: one a timestamp and exporter, with the same rows", () =>
    Effect.gen(function* () {
      const { push, world } = yield* startServer()
      world.entry = "scrape"
      const earlier = { timestamp: new Date(Date.now() - 15_000).toISOString() }
      const body = {
        node_exporter: [{ timestamp: new Date().toISOString(), cpu_idle_seconds: 1, cpu_user_seconds_total: 1 }],
        process_exporter: [row("a", earlier), row("b", earlier), row("bad", { num_procs: -1 }), row("a"), row("b")]
      }
      const answer = yield* push(body)
      expect(answer.json).toMatchObject({ accepted: 5, rejected: [{ index: 2 }] })
      expect(world.contents.map((content) => [content.exporterName, rowsIn(content)])).toEqual([
        ["node_exporter", 1],
        ["process_exporter", 2],
        ["process_exporter", 2]
      ])
      expect(names(world.published.slice(1))).toEqual(["a", "b", "a", "b"])
      expect(world.published.every(({ serverId }) => serverId === "alpha")).toBe(true)
    })
  )

  it.live("a backlog is told from what is new by its newest row, so that the stream can put the present first", () =>
    Effect.gen(function* () {
      const { push, world } = yield* startServer()
      const at = (secondsAgo: number) => ({ timestamp: new Date(Date.now() - secondsAgo * 1_000).toISOString() })
      const isPast = (...ages: ReadonlyArray<number>) =>
        Effect.map(push({ process_exporter: ages.map((age) => row(`g${age}`, at(age))) }), ({ status }) => {
          expect(status).toBe(202)
          return world.publishedPast
        })
      expect(yield* isPast(0)).toBe(false)
      expect(yield* isPast(90)).toBe(false)
      expect(yield* isPast(150)).toBe(true)
      expect(yield* isPast(86_000, 3_600, 150)).toBe(true)
      expect(yield* isPast(3_600, 15, 86_000)).toBe(false)
    })
  )

  it.live("a client that goes away in the middle of its body gives its place back", () =>
    Effect.gen(function* () {
      const { port, push } = yield* startServer({ limits: { requestsInFlightMax: 1 } })
      yield* Effect.callback<void>((resume) => {
        const socket = connect(port, "127.0.0.1", () => {
          socket.write(
            `POST /metrics/prometheus HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${AGENT_A}\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{`
          )
          setTimeout(() => socket.destroy(), 50)
        })
        socket.on("close", () => resume(Effect.void))
      })
      const answer = yield* push({ process_exporter: [row("a")] }).pipe(
        Effect.repeat({ until: ({ status }) => status === 202, times: 50 })
      )
      expect(answer.status).toBe(202)
    })
  )
})

describe("no input crashes the server or is stored as something it was not", () => {
  const hostile: ReadonlyArray<readonly [string, string]> = [
    ["deep nesting", `{"process_exporter":${"[".repeat(200_000)}${"]".repeat(200_000)}}`],
    ["deep nesting, never closed", "[".repeat(1_000_000)],
    ["nothing but brackets", `{"process_exporter":[${"[],".repeat(700_000)}[]]}`],
    [
      "a number beyond all numbers",
      `{"process_exporter":[{"timestamp":"${new Date().toISOString()}","name":"a","num_procs":1,"cpu_seconds_total":1e999,"memory_bytes":1}]}`
    ],
    ["a huge key", `{"${"k".repeat(1_000_000)}":[{}]}`],
    ["a huge name", JSON.stringify({ process_exporter: [row("n".repeat(1_000_000))] })],
    ["__proto__ as an exporter", '{"__proto__":[{"timestamp":"x"}]}'],
    ["constructor as an exporter", '{"constructor":[{}],"toString":[{}]}'],
    [
      "__proto__ as a row's field",
      `{"process_exporter":[{"__proto__":{"timestamp":"${new Date().toISOString()}","name":"a","num_procs":1,"cpu_seconds_total":1,"memory_bytes":1}}]}`
    ],
    ["half a character", JSON.stringify({ process_exporter: [row("\ud800")] })],
    ["NUL in a name", JSON.stringify({ process_exporter: [row("a\0b")] })],
    ["a row that is null", '{"process_exporter":[null,1,"x",[]]}'],
    ["an array for a name", JSON.stringify({ process_exporter: [row("x", { name: ["x"] })] })]
  ]
  for (const [what, body] of hostile) {
    it.live(what, () =>
      Effect.gen(function* () {
        const { push, world } = yield* startServer()
        const answer = yield* push(body)
        expect([400, 413, 422]).toContain(answer.status)
        expect(answer.headers["content-type"]).toBe("application/problem+json")
        expect(answer.text.length).toBeLessThan(5_000)
        expect(world.published).toEqual([])
        expect((yield* push({ process_exporter: [row("still here")] })).status).toBe(202)
        expect(({} as Record<string, unknown>).timestamp).toBeUndefined()
      })
    )
  }

  it.live("brackets within names are no nesting", () =>
    Effect.gen(function* () {
      const { push } = yield* startServer()
      const rows = Array.from({ length: 3_000 }, (_, index) => row(`[[[[kworker/${index}:"\\]${"[".repeat(20)}`))
      expect((yield* push({ process_exporter: rows })).json.accepted).toBe(3_000)
    })
  )
})

/** Posts a body in chunks, without announcing its length; gives back all that came. */
const chunked = (port: number, body: string): Effect.Effect<string> =>
  Effect.callback((resume) => {
    let seen = ""
    const socket = connect(port, "127.0.0.1", () => {
      socket.write(
        `POST /metrics/prometheus HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${AGENT_A}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n`
      )
      socket.write(`${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`)
    })
    socket.on("data", (chunk) => {
      seen += chunk.toString("latin1")
    })
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.succeed(seen)))
  })
