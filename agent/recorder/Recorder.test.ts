import { gunzipSync } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Redacted, Result } from "effect"
import { TestClock } from "effect/testing"
import { formatWanted } from "../../src/protocol/AgentWants.ts"
import { type Recording, readRecording } from "../../src/protocol/Recording.ts"
import type { AgentServer } from "../config/AgentConfig.ts"
import { type HttpPeer, httpPeer, settled } from "../scrape/HttpPeer.fixture.ts"
import { type ProcTree, procTree } from "./ProcTree.fixture.ts"
import { makeRecorder } from "./Recorder.ts"

const idOf = (n: number) => n.toString(16).padStart(32, "0")
const wants = (n: number) => formatWanted({ id: idOf(n), reason: "asked" })

const serverAt = (url: string): AgentServer => ({
  url,
  token: Effect.succeed(Redacted.make("agent-token")),
  timeout: Duration.seconds(5),
  ca: undefined
})

const received = ({ requests }: HttpPeer): ReadonlyArray<Recording> =>
  requests.map(({ body }) => Result.getOrThrow(readRecording(JSON.parse(gunzipSync(body).toString()))))

/** A recorder that runs under the test's clock, before a server that answers with these statuses, the last one from then on. */
const started = Effect.fnUntraced(function* (...statuses: ReadonlyArray<number>) {
  const tree = yield* Effect.acquireRelease(
    Effect.sync((): ProcTree => procTree()),
    (tree) => Effect.sync(tree.remove)
  )
  tree.host(0)
  const peer = yield* httpPeer((_, response, n) =>
    response.writeHead(statuses[Math.min(n, statuses.length - 1)]!).end()
  )
  const recorder = yield* makeRecorder(serverAt(peer.url), tree.sources())
  for (const { run } of recorder.children) yield* Effect.forkScoped(run)
  const pass = Effect.fnUntraced(function* (seconds: number) {
    for (let second = 0; second < seconds; second++) {
      yield* TestClock.adjust("1 second")
      if (second % 10 === 9 || seconds < 30) yield* settled(peer)
    }
    yield* settled(peer)
  })
  return { tree, peer, pass, answered: recorder.answered }
})

describe("the flight recorder of an agent", () => {
  it.effect("sends what it has seen when the server asks for it, once, however often it asks", () =>
    Effect.gen(function* () {
      const { answered, pass, peer } = yield* started(201)
      yield* pass(20)
      assert.deepStrictEqual(peer.requests, [])
      for (let time = 0; time < 3; time++) {
        answered({ isTaken: true, wants: wants(1) })
        yield* pass(2)
      }
      // Past the rest between two.
      yield* pass(70)
      const [request] = peer.requests
      assert.strictEqual(request?.path, "/api/recordings")
      assert.strictEqual(request?.headers.authorization, "Bearer agent-token")
      const all = received(peer)
      assert.deepStrictEqual(
        all.map(({ id, reason }) => [id, reason]),
        [[idOf(1), "asked"]]
      )
      assert.strictEqual(all[0]?.at.length, 21)
    })
  )

  it.effect("is told nothing by a header that is anything else, nor by an answer that took no rows", () =>
    Effect.gen(function* () {
      const { answered, pass, peer } = yield* started(201)
      yield* pass(2)
      for (const header of [undefined, "recording", `${wants(1)};run=sh`, [wants(1)]]) {
        answered({ isTaken: true, wants: header })
      }
      answered({ isTaken: false, wants: wants(2) })
      yield* pass(5)
      assert.deepStrictEqual(peer.requests, [])
    })
  )

  it.effect("rests a minute between two recordings of one reason, whatever the server wants", () =>
    Effect.gen(function* () {
      const { answered, pass, peer } = yield* started(201)
      yield* pass(2)
      answered({ isTaken: true, wants: wants(1) })
      yield* pass(1)
      answered({ isTaken: true, wants: wants(2) })
      yield* pass(50)
      assert.strictEqual(peer.requests.length, 1)
      yield* pass(12)
      assert.deepStrictEqual(
        received(peer).map(({ id }) => id),
        [idOf(1), idOf(2)]
      )
    })
  )

  it.effect("tries again while the server is away or busy, a second time too, and not once it was refused", () =>
    Effect.gen(function* () {
      const { answered, pass, peer } = yield* started(503, 500, 201)
      yield* pass(2)
      answered({ isTaken: true, wants: wants(1) })
      yield* pass(29)
      yield* pass(29)
      assert.deepStrictEqual(
        received(peer).map(({ id }) => id),
        [idOf(1), idOf(1), idOf(1)]
      )
      const other = yield* started(400)
      yield* other.pass(2)
      other.answered({ isTaken: true, wants: wants(1) })
      yield* other.pass(29)
      yield* other.pass(29)
      assert.strictEqual(other.peer.requests.length, 1)
    })
  )

  it.effect("keeps the one that is on its way and the latest, while the server is away", () =>
    Effect.gen(function* () {
      let isAway = true
      const tree = yield* Effect.acquireRelease(Effect.sync(procTree), (tree) => Effect.sync(tree.remove))
      tree.host(0)
      const peer = yield* httpPeer((_, response) => response.writeHead(isAway ? 503 : 201).end())
      const { answered, children } = yield* makeRecorder(serverAt(peer.url), tree.sources())
      for (const { run } of children) yield* Effect.forkScoped(run)
      for (let n = 1; n <= 4; n++) {
        answered({ isTaken: true, wants: wants(n) })
        for (let second = 0; second < 62; second++) {
          yield* TestClock.adjust("1 second")
          if (second % 10 === 0) yield* settled(peer)
        }
      }
      isAway = false
      const before = peer.requests.length
      for (let second = 0; second < 60; second++) {
        yield* TestClock.adjust("1 second")
        if (second % 5 === 0) yield* settled(peer)
      }
      assert.deepStrictEqual(
        received(peer)
          .slice(before)
          .map(({ id }) => id),
        [idOf(1), idOf(4)]
      )
    })
  )

  it.effect("sends what it has seen when the kernel killed a process for want of memory, and what followed", () =>
    Effect.gen(function* () {
      const { answered, pass, peer, tree } = yield* started(201)
      answered({ isTaken: true, wants: undefined })
      tree.process(9, "hog", 0, 100_000)
      yield* pass(20)
      tree.exit(9)
      tree.host(0, 1)
      yield* pass(4)
      assert.strictEqual(peer.requests.length, 0)
      yield* pass(5)
      const [recording] = received(peer)
      assert.strictEqual(recording?.reason, "oom_kill")
      assert.deepInclude(recording?.kills[0], { name: "hog", pid: 9, source: "presumed" })
      tree.host(0, 2)
      yield* pass(29)
      assert.strictEqual(peer.requests.length, 1)
      yield* pass(29)
      yield* pass(20)
      assert.deepStrictEqual(
        received(peer).map(({ kills }) => kills.length),
        [1, 2]
      )
    })
  )

  it.effect("sends nothing of a machine whose rows the server does not take", () =>
    Effect.gen(function* () {
      const { answered, pass, peer, tree } = yield* started(201)
      yield* pass(3)
      tree.host(0, 1)
      yield* pass(20)
      answered({ isTaken: false, wants: undefined })
      yield* pass(20)
      assert.strictEqual(peer.requests.length, 0)
      answered({ isTaken: true, wants: undefined })
      yield* pass(3)
      assert.strictEqual(peer.requests.length, 1)
    })
  )
})
