import { describe, expect, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { Session } from "./Session.ts"

const codeOf = (link: string) => new URLSearchParams(link.split("?")[1]).get("code") ?? ""

describe("what was handed out ends", () => {
  it.effect("a link after an hour", () =>
    Effect.gen(function* () {
      const session = yield* Session
      const early = yield* session.newLink
      const late = yield* session.newLink
      yield* TestClock.adjust("59 minutes")
      expect(yield* session.openWithCode(codeOf(early))).toBeDefined()
      yield* TestClock.adjust("2 minutes")
      expect(yield* session.openWithCode(codeOf(late))).toBeUndefined()
    }).pipe(Effect.provide(Session.layer))
  )

  it.effect("a session after seven days", () =>
    Effect.gen(function* () {
      const session = yield* Session
      const key = Redacted.value((yield* session.openWithCode(codeOf(yield* session.newLink)))!)
      yield* TestClock.adjust("6 days")
      expect(yield* session.find(key)).toEqual({ kind: "admin" })
      yield* TestClock.adjust("2 days")
      expect(yield* session.find(key)).toBeUndefined()
    }).pipe(Effect.provide(Session.layer))
  )

  it.effect("the oldest session where there are more than 1 000", () =>
    Effect.gen(function* () {
      const session = yield* Session
      const token = Redacted.make("t")
      const first = Redacted.value(yield* session.openWithToken("read", token))
      for (let index = 0; index < 999; index++) yield* session.openWithToken("read", token)
      expect(yield* session.find(first)).toBeDefined()
      const last = Redacted.value(yield* session.openWithToken("read", token))
      expect(yield* session.find(first)).toBeUndefined()
      expect(yield* session.find(last)).toBeDefined()
    }).pipe(Effect.provide(Session.layer))
  )

  it.effect("no two links or keys are alike, and a link's code is no session's key", () =>
    Effect.gen(function* () {
      const session = yield* Session
      const links = yield* Effect.all(Array.from({ length: 50 }, () => session.newLink))
      expect(new Set(links).size).toBe(50)
      expect(codeOf(links[0]!).length).toBeGreaterThanOrEqual(43)
      expect(yield* session.find(codeOf(links[0]!))).toBeUndefined()
    }).pipe(Effect.provide(Session.layer))
  )
})
