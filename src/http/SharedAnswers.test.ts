import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import type { Reader } from "./api/Access.ts"
import { makeShare } from "./server/SharedAnswers.ts"
import { READ, startServer } from "./TestServer.ts"

const request = (path: string) => HttpServerRequest.fromWeb(new Request(`http://localhost${path}`))
const READER: Reader = { kind: "read", via: "session", principal: "token:1" }

/** A question that waits until it is let go; how often it was asked, and given up. */
const makeQuestion = Effect.gen(function* () {
  const gate = yield* Deferred.make<void>()
  const counts = { asked: 0, givenUp: 0 }
  const answer = Effect.suspend(() => {
    const n = ++counts.asked
    return Effect.as(Deferred.await(gate), HttpServerResponse.text(`answer ${n}`))
  }).pipe(Effect.onInterrupt(() => Effect.sync(() => counts.givenUp++)))
  return { answer, counts, go: Deferred.succeed(gate, undefined) }
})

describe("a question that is under way", () => {
  it.effect("is asked once for all who ask it, and anew once it is answered", () =>
    Effect.gen(function* () {
      const share = yield* makeShare
      const { answer, counts, go } = yield* makeQuestion
      const waiting = yield* Effect.forEach(Array.from({ length: 50 }), () =>
        Effect.forkChild(share(request("/api/fleet?a=1"), READER, answer), { startImmediately: true })
      )
      yield* go
      const answers = yield* Effect.forEach(waiting, Fiber.join)
      expect(counts.asked).toBe(1)
      expect(new Set(answers).size).toBe(1)
      yield* share(request("/api/fleet?a=1"), READER, answer)
      expect(counts.asked).toBe(2)
    })
  )

  it.effect("is another one at another address, or with other rights", () =>
    Effect.gen(function* () {
      const share = yield* makeShare
      const { answer, counts, go } = yield* makeQuestion
      const asks = [
        share(request("/api/fleet?a=1"), READER, answer),
        share(request("/api/fleet?a=2"), READER, answer),
        share(request("/api/fleet?a=1"), { ...READER, kind: "admin" }, answer)
      ]
      const waiting = yield* Effect.forEach(asks, (ask) => Effect.forkChild(ask, { startImmediately: true }))
      yield* go
      yield* Effect.forEach(waiting, Fiber.join)
      expect(counts.asked).toBe(3)
    })
  )

  it.effect("goes on when whoever asked first goes away, and ends with the last one", () =>
    Effect.gen(function* () {
      const share = yield* makeShare
      const { answer, counts, go } = yield* makeQuestion
      const ask = Effect.forkChild(share(request("/"), READER, answer), { startImmediately: true })
      const [first, second, third] = [yield* ask, yield* ask, yield* ask]
      yield* Fiber.interrupt(first)
      yield* Fiber.interrupt(second)
      expect(counts).toEqual({ asked: 1, givenUp: 0 })
      yield* Fiber.interrupt(third)
      expect(counts).toEqual({ asked: 1, givenUp: 1 })
      // What was given up answers nobody.
      yield* go
      yield* share(request("/"), READER, answer)
      expect(counts.asked).toBe(2)
    })
  )

  it.effect("that breaks breaks for those who wait for it, and is asked anew", () =>
    Effect.gen(function* () {
      const share = yield* makeShare
      const gate = yield* Deferred.make<void>()
      const broken = Effect.andThen(Deferred.await(gate), Effect.die(new Error("broken")))
      const ask = Effect.forkChild(share(request("/"), READER, broken), { startImmediately: true })
      const waiting = [yield* ask, yield* ask]
      yield* Deferred.succeed(gate, undefined)
      for (const fiber of waiting) expect(Exit.isFailure(yield* Fiber.await(fiber))).toBe(true)
      const { answer, counts, go } = yield* makeQuestion
      yield* go
      yield* share(request("/"), READER, answer)
      expect(counts.asked).toBe(1)
    })
  )

  it.live("costs the database one question, however many pages ask", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      const gate = yield* Deferred.make<void>()
      const all = yield* Deferred.make<void>()
      world.reading = Deferred.await(gate)
      let verified = 0
      const find = world.tokens.get.bind(world.tokens)
      // Each request is let in before it asks: when the last one is, all wait for the first one's answer.
      world.tokens.get = (token) => {
        if (++verified === 20) setImmediate(() => Deferred.doneUnsafe(all, Effect.void))
        return find(token)
      }
      const asks = Array.from({ length: 20 }, () => ask("/api/servers/alpha/processes/top?hours=24", { token: READ }))
      const answers = yield* Effect.forkChild(Effect.all(asks, { concurrency: "unbounded" }))
      yield* Deferred.await(all)
      yield* Deferred.succeed(gate, undefined)
      for (const { json, status } of yield* Fiber.join(answers)) {
        expect(status).toBe(200)
        expect(json.processes).toHaveLength(1)
      }
      expect(world.asked).toHaveLength(1)
    })
  )
})
