import { describe, expect, it } from "@effect/vitest"
import { Clock, Effect, Option } from "effect"
import type { HttpServerRequest } from "effect/http"
import { TestClock } from "effect/testing"
import { makeClearText } from "./ClearText.ts"

const request = (address: string, headers: Readonly<Record<string, string>>) =>
  ({ remoteAddress: Option.some(address), headers }) as unknown as HttpServerRequest.HttpServerRequest

const token = { authorization: "Bearer x" }

describe("a token that travels unencrypted", () => {
  it.effect("is warned of once an hour, where it comes from another machine and by no proxy that speaks TLS", () =>
    Effect.gen(function* () {
      const { lastToken, observe: toSay } = makeClearText(yield* Clock.Clock)
      const quiet = [
        request("127.0.0.1", token),
        request("::1", token),
        request("::ffff:127.0.0.1", token),
        request("192.0.2.1", {}),
        request("192.0.2.1", { ...token, "x-forwarded-proto": "https" })
      ]
      for (const one of quiet) expect(toSay(one)).toBeUndefined()
      expect(lastToken()).toBeUndefined()
      expect(toSay(request("192.0.2.1", token))).toBeDefined()
      expect(lastToken()).toEqual({ address: "192.0.2.1", at: 0 })
      expect(toSay(request("192.0.2.2", { cookie: "a=b" }))).toBeUndefined()
      yield* TestClock.adjust("1 hour")
      expect(toSay(request("192.0.2.2", { cookie: "a=b" }))).toBeDefined()
      expect(lastToken()?.address).toBe("192.0.2.1")
      yield* TestClock.adjust("1 day")
      expect(lastToken()).toBeUndefined()
    })
  )
})
