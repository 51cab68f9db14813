import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { makeReads } from "./Reads.ts"

describe("the reads of one reader", () => {
  it.effect("are so many at a time, then wait, then are told; another reader's are not its", () =>
    Effect.gen(function* () {
      const reads = makeReads(2, 3)
      const gate = yield* Deferred.make<void>()
      let underWay = 0
      const answer = Effect.andThen(
        Effect.sync(() => underWay++),
        Effect.as(Deferred.await(gate), "answered")
      )
      const ask = (reader: string) => reads.inTurn(reader, answer, Effect.succeed("too many"))
      const all = yield* Effect.forkChild(
        Effect.all(
          Array.from({ length: 7 }, () => ask("a")),
          { concurrency: "unbounded" }
        )
      )
      const other = yield* Effect.forkChild(ask("b"))
      yield* Effect.yieldNow
      yield* Effect.yieldNow
      expect(underWay).toBe(3)
      yield* Deferred.succeed(gate, undefined)
      expect((yield* Fiber.join(all)).filter((said) => said === "too many")).toHaveLength(2)
      expect(yield* Fiber.join(other)).toBe("answered")
      expect(yield* ask("a")).toBe("answered")
    })
  )

  it.effect("that are given up leave their turn to the next", () =>
    Effect.gen(function* () {
      const reads = makeReads(1, 1)
      const never = yield* Effect.forkChild(reads.inTurn("a", Effect.never, Effect.void))
      yield* Effect.yieldNow
      yield* Fiber.interrupt(never)
      expect(yield* reads.inTurn("a", Effect.succeed(1), Effect.succeed(0))).toBe(1)
    })
  )
})
