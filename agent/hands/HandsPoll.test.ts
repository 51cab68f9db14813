import { rmSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Redacted, Result, Schema } from "effect"
import { Poll, type PollAnswer, STRICT } from "../../src/protocol/Orders.ts"
import { fileAt, pollOnce } from "./HandsPoll.ts"
import {
  ada,
  bob,
  eve,
  fileOf,
  folder,
  hostIn,
  orderOf,
  processes,
  signed,
  sleeper,
  targetOf,
  terminating
} from "./HandsWorld.fixture.ts"

interface Answer {
  readonly status: number
  readonly body: string
}

/** A server that answers every poll with what it is told, and keeps what it was asked. */
const hostile = Effect.acquireRelease(
  Effect.promise(async () => {
    const polls: Array<Poll> = []
    const told: { answer: Answer } = { answer: { status: 200, body: "" } }
    const server = createServer((request, response) => {
      const chunks: Array<Buffer> = []
      request.on("data", (chunk) => chunks.push(chunk))
      request.on("end", () => {
        polls.push(Schema.decodeUnknownSync(Poll, STRICT)(JSON.parse(Buffer.concat(chunks).toString())))
        response.writeHead(told.answer.status).end(told.answer.body)
      })
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    return { polls, told, server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
  }),
  ({ server }) => Effect.sync(() => server.close())
)

const world = Effect.gen(function* () {
  const at = yield* folder
  fileOf(at, `  - {verbs: [terminate], names: [sleep]}\n`)
  const host = yield* hostIn(at)
  const server = yield* hostile
  const to = { url: server.url, token: Effect.succeed(Redacted.make("t")), timeout: Duration.seconds(5), ca: undefined }
  const poll = (body: string | Partial<PollAnswer>, status = 200) => {
    const answer = { version: 1, server: "web-1", previews: [], orders: [], recorded: [], ...(body as object) }
    server.told.answer = { status, body: typeof body === "string" ? body : JSON.stringify(answer) }
    return Effect.result(pollOnce({ host, file: fileAt(join(at, "hands.yml")), server: to }, []))
  }
  return { at, host, poll, polls: server.polls }
})

const isAlive = (pid: number) => !["Z", "X", undefined].includes(processes.startOf(pid)?.state)

describe("a host that polls", () => {
  it.live("does what is signed, tells it until it is recorded, and says what it allows", () =>
    Effect.gen(function* () {
      const { host, poll, polls } = yield* world
      const { pid } = yield* sleeper()
      const order = terminating(pid!)
      assert.isTrue(Result.isSuccess(yield* poll({ orders: [yield* signed(order, ada)] })))
      assert.isFalse(isAlive(pid!))
      assert.include(polls[0], { server: "web-1", wait_seconds: 25 })
      assert.deepStrictEqual(
        polls[0]?.approvers.map(({ name }) => name),
        ["ada", "bob"]
      )
      yield* poll({})
      yield* poll({})
      assert.deepStrictEqual(
        polls.slice(1).map(({ outcomes }) => outcomes.map((one) => one.order)),
        [[order.id], [order.id]]
      )
      yield* poll({ recorded: polls[1]!.outcomes.map(({ id }) => id) })
      assert.lengthOf(host.journal.unsent(), 0)
    })
  )

  it.live("does nothing that a server under an attacker's control makes up, and tells each try", () =>
    Effect.gen(function* () {
      const { host, poll } = yield* world
      const { pid } = yield* sleeper()
      const other = yield* sleeper("exec cat /dev/zero >/dev/null", "cat")
      const good = yield* signed(terminating(pid!), ada)
      const strange = yield* signed(terminating(other.pid!), ada)
      const made = [
        { ...good, approvals: [] },
        yield* signed(terminating(pid!), eve),
        { order: terminating(pid!), approvals: good.approvals },
        { ...good, order: { ...good.order, target: targetOf(process.pid) } },
        strange,
        { order: orderOf({ verb: "kill", target: targetOf(pid!), settings: {} } as never), approvals: good.approvals },
        "rm -rf /",
        { exec: "sh" }
      ]
      assert.isTrue(Result.isSuccess(yield* poll({ orders: made })))
      assert.deepStrictEqual(
        host.journal.unsent().map(({ code }) => code),
        [
          ...(["unsigned", "unknown-key", "bad-signature", "bad-signature", "not-allowed", "bad-signature"] as const),
          ...(["malformed", "malformed"] as const)
        ]
      )
      for (const body of [
        "",
        "{",
        "[]",
        "x".repeat(300_000),
        '{"version":2}',
        JSON.stringify({ version: 1, run: "sh" })
      ]) {
        assert.isTrue(Result.isFailure(yield* poll(body)), body.slice(0, 20))
      }
      for (const status of [301, 401, 404, 500])
        assert.isTrue(Result.isFailure(yield* poll({ orders: [good] }, status)))
      // One that takes this host for another is not listened to at all.
      assert.isTrue(Result.isFailure(yield* poll({ server: "web-2", orders: [good] })))
      assert.isTrue(Result.isFailure(yield* poll({ orders: Array(9).fill(good) })))
      assert.isTrue(isAlive(pid!) && isAlive(other.pid!))
      assert.isTrue(Result.isSuccess(yield* poll({ orders: [good] })))
      assert.isFalse(isAlive(pid!))
    })
  )

  it.live("tells of a preview what its file is about, and nothing else", () =>
    Effect.gen(function* () {
      const { poll } = yield* world
      const [one, other] = [yield* sleeper(), yield* sleeper("exec cat /dev/zero >/dev/null", "cat")]
      const id = "0f8a2c11-0000-4000-8000-000000000001"
      const asked = [{ pid: one.pid! }, { pid: other.pid! }, { pid: 1 }, { group: "no such group" }]
      const answer = yield* poll({ previews: asked.map((target) => ({ id, target })) })
      const [seen, strange, first, none] = Result.getOrThrow(answer)
      assert.include(seen?.offers[0], { verb: "terminate", refusal: null, second_person: false, left_this_hour: 6 })
      assert.include(seen?.processes[0], { pid: one.pid!, name: "sleep", parent: process.pid })
      assert.deepStrictEqual(
        seen?.approvers.map(({ name }) => name),
        [ada.name, bob.name]
      )
      for (const [preview, code] of [
        [strange, "not-allowed"],
        [first, "forbidden-target"],
        [none, "target-changed"]
      ] as const) {
        assert.include(preview?.refusal, { code })
        assert.deepInclude(preview, { unit: null, processes: [], offers: [], approvers: [], shares: [] })
      }
      assert.isTrue(Result.isSuccess(yield* poll({ previews: [{ id, target: { path: "/etc" } }, 5] })))
    })
  )

  it.live("looks at itself for so many previews a minute, whoever asks for more", () =>
    Effect.gen(function* () {
      const { poll } = yield* world
      const previews = Array(4).fill({ id: "0f8a2c11-0000-4000-8000-000000000001", target: { pid: 1 } })
      let told = 0
      for (let count = 0; count < 9; count++) told += Result.getOrThrow(yield* poll({ previews })).length
      assert.strictEqual(told, 30)
    })
  )

  it.live("ends where its file is gone or open to others", () =>
    Effect.gen(function* () {
      const { at, poll } = yield* world
      rmSync(join(at, "hands.yml"))
      const gone = yield* poll({})
      assert.strictEqual(Result.isFailure(gone) ? gone.failure._tag : "", "HandsFileInvalid")
    })
  )
})
