import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { Backpressure, Unavailable } from "../api/Problem.ts"
import { problemResponse } from "./ProblemResponse.ts"

describe("Retry-After", () => {
  it.effect("spreads those that are turned away together over once to twice the time that is asked for", () =>
    Effect.gen(function* () {
      const seconds: Array<number> = []
      for (let n = 0; n < 400; n++) {
        const response = yield* problemResponse(new Backpressure({ retry_after_seconds: 20 }))
        seconds.push(Number(response.headers["retry-after"]))
      }
      expect(Math.min(...seconds)).toBeGreaterThanOrEqual(20)
      expect(Math.max(...seconds)).toBeLessThanOrEqual(40)
      expect(Math.min(...seconds)).toBeLessThan(24)
      expect(Math.max(...seconds)).toBeGreaterThan(36)
      expect(new Set(seconds).size).toBeGreaterThan(12)
    })
  )

  it.effect("is there where nobody has said how long, and is never less than a second", () =>
    Effect.gen(function* () {
      for (const problem of [new Unavailable({}), new Unavailable({ retry_after_seconds: 0 })]) {
        const response = yield* problemResponse(problem)
        expect(Number(response.headers["retry-after"])).toBeGreaterThanOrEqual(1)
        expect(Number(response.headers["retry-after"])).toBeLessThanOrEqual(4)
      }
    })
  )
})
