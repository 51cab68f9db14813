import { describe, expect, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { TestClock } from "effect/testing"
import { makeNotice } from "./Waiting.ts"

describe("waiting", () => {
  it.effect("is told at once, when its reason changes, and else less and less often: never a line a second", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const notice = makeNotice("Valkey")
      const wait = Effect.fnUntraced(function* (reason: string, seconds: number) {
        for (let at = 0; at < seconds * 4; at++) {
          yield* notice(reason)
          yield* TestClock.adjust("250 millis")
        }
      })
      yield* Effect.gen(function* () {
        yield* wait("refused", 3_600)
        expect(lines.length).toBeGreaterThan(55)
        expect(lines.length).toBeLessThan(70)
        lines.length = 0
        yield* wait("loading", 1)
        expect(lines).toEqual(["waiting for Valkey: loading"])
      }).pipe(
        Effect.provide(Logger.layer([Logger.make(({ message }) => void lines.push(String([message].flat()[0])))]))
      )
    })
  )
})
