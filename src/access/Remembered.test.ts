import { describe, expect, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { TestClock } from "effect/testing"
import { type Known, makeRemembered } from "./Remembered.ts"

describe("what is remembered of a secret", () => {
  it.effect("ends when the secret expires, not only when it is forgotten", () =>
    Effect.gen(function* () {
      let asked = 0
      const remembered = yield* makeRemembered("ask", () =>
        Effect.sync(() => {
          asked++
          return Option.some<Known>({ expiresAt: 2_000 })
        })
      )
      expect(remembered.isKnown("secret")).toBe(false)
      expect(Option.isSome(yield* remembered.find("secret"))).toBe(true)
      expect([remembered.isKnown("secret"), remembered.isKnown("another")]).toEqual([true, false])
      yield* TestClock.adjust("1999 millis")
      expect(Option.isSome(yield* remembered.find("secret"))).toBe(true)
      yield* TestClock.adjust("1 millis")
      expect(yield* remembered.find("secret")).toEqual(Option.none())
      expect(asked).toBe(1)
    })
  )
})
