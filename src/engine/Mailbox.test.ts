import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Option } from "effect"
import * as Mailbox from "./Mailbox.ts"

/** Each stands for as many messages as it says. */
const sized = (capacity: number) => Mailbox.make<number>({ name: "sized", capacity, size: (count) => count })

const drained = (mailbox: Mailbox.Mailbox<number>) =>
  Effect.gen(function* () {
    let count = 0
    while (mailbox.depth() > 0) for (const one of Option.getOrThrow(yield* mailbox.take(100))) count += one
    return count
  })

describe("a mailbox", () => {
  it.effect("counts the messages that travel as one, and holds no more of them than its capacity", () =>
    Effect.gen(function* () {
      const mailbox = yield* sized(10)
      yield* mailbox.offer([4, 6])
      expect(mailbox.depth()).toBe(10)
      const waiting = yield* Effect.forkChild(mailbox.offer([3]), { startImmediately: true })
      expect(mailbox.depth()).toBe(10)
      expect(Option.getOrThrow(yield* mailbox.take(1))).toEqual([4])
      yield* Fiber.join(waiting)
      expect(mailbox.depth()).toBe(9)
    })
  )

  it.effect("takes what is more than its capacity once it is empty", () =>
    Effect.gen(function* () {
      const mailbox = yield* sized(10)
      yield* mailbox.offer([1])
      const waiting = yield* Effect.forkChild(mailbox.offer([25]), { startImmediately: true })
      expect(mailbox.depth()).toBe(1)
      yield* mailbox.take(1)
      yield* Fiber.join(waiting)
      expect(mailbox.depth()).toBe(25)
      yield* mailbox.take(1)
      yield* mailbox.offer([10])
      expect(mailbox.depth()).toBe(10)
    })
  )

  it.effect("loses no room to those who stop waiting, and no message to those who go on", () =>
    Effect.gen(function* () {
      const mailbox = yield* sized(7)
      let offered = 0
      let taken = 0
      for (let round = 0; round < 300; round++) {
        const count = 1 + (round % 9)
        const offer = yield* Effect.forkChild(
          Effect.tap(mailbox.offer([count]), () => Effect.sync(() => (offered += count)))
        )
        const other = yield* Effect.forkChild(mailbox.offer([2, 3]))
        yield* Effect.yieldNow
        // What was stopped counts where it was offered all the same.
        yield* Fiber.interrupt(offer)
        taken += yield* drained(mailbox)
        yield* Fiber.join(other)
        offered += 5
        taken += yield* drained(mailbox)
      }
      expect(taken).toBeGreaterThanOrEqual(offered)
      yield* mailbox.offer([7])
      expect(mailbox.depth()).toBe(7)
    })
  )

  it.effect("lets go whoever waits for room when it is closed", () =>
    Effect.gen(function* () {
      const mailbox = yield* sized(2)
      yield* mailbox.offer([2])
      const waiting = yield* Effect.forkChild(mailbox.offer([1]), { startImmediately: true })
      expect(yield* mailbox.close).toEqual([2])
      yield* Fiber.join(waiting)
      expect(mailbox.depth()).toBe(0)
    })
  )
})
