/**
 * Bodies that cost much more to take in than to send: each is refused before it is decoded, by name and bound, or told of in an
 * answer of bounded size. That a busy sender does not keep its neighbours waiting is kept by `src/http/ingest/Turns.test.ts`.
 */
import { connect } from "node:net"
import { gzipSync } from "node:zlib"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { shapeOf } from "../../src/http/ingest/BodyShape.ts"
import { DEFAULT_LIMITS } from "../../src/http/server/Limits.ts"
import { AGENT_A, AGENT_B, row, startServer } from "../../src/http/TestServer.ts"

const GZIP = { headers: { "content-encoding": "gzip" } }
const worthless = (rows: number, text = "{}") => `{"process_exporter":[${`${text},`.repeat(rows - 1)}${text}]}`

const GB = 1_000_000_000

/** Sends a push's head and then `chunk` again and again, until there is an answer or the connection is closed. */
const streamed = (port: number, header: string, chunk: Buffer) =>
  Effect.callback<{ readonly answer: string; readonly sent: number }>((resume) => {
    let answer = ""
    let asked = 0
    const socket = connect(port, "127.0.0.1", () => {
      socket.write(
        `POST /metrics/prometheus HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${AGENT_A}\r\ncontent-type: application/json\r\n${header}\r\n\r\n`
      )
      const more = () => {
        while (answer === "" && !socket.destroyed && asked < GB) {
          asked += chunk.length
          if (!socket.write(chunk)) return void socket.once("drain", more)
        }
      }
      more()
    })
    socket.on("error", () => {})
    socket.on("data", (data) => {
      answer += data.toString()
      if (answer.includes("}")) socket.destroy()
    })
    socket.on("close", () => resume(Effect.succeed({ answer, sent: socket.bytesWritten })))
    return Effect.sync(() => socket.destroy())
  })

describe("a gigabyte", () => {
  it.live("that is announced is refused before it is sent, one that just comes at the bound, and both are closed", () =>
    Effect.gen(function* () {
      const { port, push, world } = yield* startServer()
      const announced = yield* streamed(port, `content-length: ${GB}`, Buffer.alloc(0x10000, " "))
      const chunk = Buffer.from(`10000\r\n${" ".repeat(0x10000)}\r\n`)
      const coming = yield* streamed(port, "transfer-encoding: chunked", chunk)
      for (const { answer, sent } of [announced, coming]) {
        expect(answer).toMatch(/^HTTP\/1\.1 413 /)
        expect(answer).toContain("body-too-large")
        // What the kernel's buffers hold, and what was on its way.
        expect(sent).toBeLessThan(GB / 10)
      }
      expect((yield* push({ process_exporter: [row("a")] })).status).toBe(202)
      expect(world.published).toHaveLength(1)
    })
  )

  it.live("in a megabyte of gzip is not unpacked beyond the bound", () =>
    Effect.gen(function* () {
      const { push, world } = yield* startServer()
      const megabyte = gzipSync(Buffer.alloc(1_000_000, " "), { level: 9 })
      const before = process.memoryUsage().arrayBuffers
      const answer = yield* push(Buffer.concat(Array.from({ length: 1_000 }, () => megabyte)), GZIP)
      expect(answer).toMatchObject({ status: 413, json: { limit_of: "bytes" } })
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(GB / 10)
      expect(world.published).toEqual([])
    })
  )
})

describe("work is bounded, not only bytes", () => {
  it.live("5 kB of gzip that are 480 000 worthless rows are refused with the bound, undecoded", () =>
    Effect.gen(function* () {
      const { push, world } = yield* startServer()
      const bomb = gzipSync(worthless(480_000), { level: 9 })
      expect(bomb.length).toBeLessThan(6_000)
      const answer = yield* push(bomb, GZIP)
      expect(answer).toMatchObject({ status: 413, json: { limit_of: "rows", limit: 10_000 } })
      expect(answer.text.length).toBeLessThan(500)
      expect(world.published).toEqual([])
    })
  )

  it("the count of rows stops at the bound: of a megabyte no more than 30 kB are looked at", () => {
    let looked = 0
    const body = new Proxy(Buffer.from(worthless(480_000)), {
      get: (target, key) => {
        if (typeof key === "string" && /^\d/.test(key)) looked = Math.max(looked, Number(key))
        return Reflect.get(target, key)
      }
    })
    expect(shapeOf(body, DEFAULT_LIMITS)).toMatchObject({ failure: { what: "rows" } })
    expect(looked).toBeLessThan(31_000)
  })

  const { depthMax, exportersMax, fieldsMax, rowsMax, valuesMax } = DEFAULT_LIMITS
  const shape = (text: string) => {
    const counted = shapeOf(Buffer.from(text), DEFAULT_LIMITS)
    return counted._tag === "Failure" ? counted.failure.what : "fits"
  }
  const keys = (count: number) => Array.from({ length: count }, (_, index) => `"k${index}":1`).join(",")

  it.each([
    ["rows", worthless(rowsMax), worthless(rowsMax + 1)],
    ["rows", worthless(rowsMax, "0"), worthless(rowsMax + 1, "0")],
    ["rows", `{"a":${worthless(rowsMax).slice(20, -1)},"b":[ ]}`, `{"a":${worthless(rowsMax).slice(20, -1)},"b":[1]}`],
    ["exporters", `{${keys(exportersMax)}}`, `{${keys(exportersMax + 1)}}`],
    ["fields", `{"a":[{${keys(fieldsMax)}}]}`, `{"a":[{${keys(fieldsMax + 1)}}]}`],
    ["fields", `{"a":{${keys(fieldsMax)}}}`, `{"a":{${keys(fieldsMax + 1)}}}`],
    ["levels", "[".repeat(depthMax), "[".repeat(depthMax + 1)],
    ["values", "", worthless(rowsMax, `{"a":[${"[],".repeat(valuesMax / rowsMax / 2)}[]]}`)]
  ])("the bound of %s is exact", (what, fits, exceeds) => {
    expect(shape(fits)).toBe("fits")
    expect(shape(exceeds)).toBe(what)
  })

  it("what is within texts counts as nothing, whatever it looks like", () => {
    expect(shape(JSON.stringify({ a: [{ text: `\\"[{,:${"[".repeat(100)}${",".repeat(20_000)}` }] }))).toBe("fits")
  })

  it.live("10 000 rejected rows are told in some 100 kB, as rows, ranges and counts", () =>
    Effect.gen(function* () {
      const { push } = yield* startServer()
      const rows = Array.from({ length: 10_000 }, (_, index) =>
        index % 2 === 0 ? row("a", { num_procs: -1 - index }) : {}
      )
      const { json, status, text } = yield* push({ process_exporter: rows })
      expect(status).toBe(422)
      expect(text.length).toBeLessThan(200_000)
      const ranges = json.rejected_ranges.reduce((sum: number, { rows }: { rows: number }) => sum + rows, 0)
      expect(json.rejected.length + ranges + (json.rejected_further?.invalid ?? 0)).toBe(10_000)
    })
  )
})

describe("a server's groups are bounded", () => {
  it.live("the next is refused by a code, the rest of its scrape is taken, a neighbour's too", () =>
    Effect.gen(function* () {
      const { push, world } = yield* startServer({ limits: { groupsMax: 100, newGroupsPerHour: 1 } })
      const rows = Array.from({ length: 103 }, (_, index) => row(`group ${index}`))
      const { json, status } = yield* push({ process_exporter: rows })
      expect(status).toBe(202)
      expect(json).toMatchObject({
        accepted: 100,
        rejected: [100, 101, 102].map((index) => ({ index, code: "too_many_groups" }))
      })
      expect((yield* push({ process_exporter: rows })).json.accepted).toBe(100)
      expect((yield* push({ process_exporter: rows }, { token: AGENT_B })).json.accepted).toBe(100)
      expect(world.published).toHaveLength(300)
    })
  )
})

describe("a body says one thing", () => {
  const written = (rows: string) => `{"process_exporter":[${rows}]}`
  const good = JSON.stringify(row("a"))

  it.live("a name that is given twice is refused, since which of the two counts nobody could know", () =>
    Effect.gen(function* () {
      const { push, world } = yield* startServer()
      for (const body of [
        `{"process_exporter":[${good}],"process_exporter":[${good}]}`,
        `{"process_exporter":[${good}],"process\\u005fexporter":[]}`,
        written(good.replace('"name"', '"name":"b","name"')),
        written(`${good},${good.replace('"num_procs"', '"__proto__":1,"__proto__":2,"num_procs"')}`)
      ]) {
        expect(yield* push(body)).toMatchObject({ status: 400, json: { detail: expect.stringContaining("twice") } })
      }
      expect(world.published).toEqual([])
      expect((yield* push(written(good.replace('"num_procs"', '"x":{"a":1,"a":2},"num_procs"')))).status).toBe(202)
    })
  )

  it.live("a prototype's names are names like any other", () =>
    Effect.gen(function* () {
      const { push, world } = yield* startServer()
      const proto = `{"__proto__":${good}}`
      expect(yield* push(written(proto))).toMatchObject({ status: 422, json: { accepted: 0 } })
      expect(yield* push(`{"__proto__":[${good}],"hasOwnProperty":[${good}]}`)).toMatchObject({ status: 422 })
      expect(yield* push(written(good.replace('"num_procs"', '"constructor":{"name":"x"},"num_procs"')))).toMatchObject(
        {
          status: 202
        }
      )
      expect(world.published.map(({ snapshot }) => JSON.parse(snapshot)[3])).toEqual(["a"])
    })
  )

  it.live("bytes that are no UTF-8 are refused, not replaced", () =>
    Effect.gen(function* () {
      const { push, world } = yield* startServer()
      for (const bytes of [[0xc3, 0x28], [0xed, 0xa0, 0x80], [0xf8, 0x88, 0x80, 0x80, 0x80], [0xc0, 0xaf], [0xff]]) {
        const body = Buffer.concat([
          Buffer.from(good.slice(0, good.indexOf('"a"') + 1)),
          Buffer.from(bytes),
          Buffer.from('"}')
        ])
        expect((yield* push(body)).status).toBe(400)
      }
      expect(world.published).toEqual([])
    })
  )
})

describe("no sender can take the others' share of the server", () => {
  it.live("more requests a second than a server may send are told to wait, and cost it nothing", () =>
    Effect.gen(function* () {
      const { push } = yield* startServer({ limits: { serverRequestsPerSecond: 1 } })
      const statuses: Array<number> = []
      for (let index = 0; index < 12; index++) statuses.push((yield* push({ process_exporter: [row("a")] })).status)
      expect(statuses.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => 202))
      const last = yield* push({ process_exporter: [row("a")] })
      expect(last).toMatchObject({ status: 429, json: { limit_of: "token", limit: 1 } })
      expect(Number(last.headers["retry-after"])).toBeGreaterThanOrEqual(1)
      expect((yield* push({ process_exporter: [row("b")] }, { token: AGENT_B })).status).toBe(202)
    })
  )
})
