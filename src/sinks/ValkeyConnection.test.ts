import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { parseUrl } from "./ValkeyConnection.ts"

describe("the address of Valkey", () => {
  it("is read from its URL", () => {
    const read = (url: string) => Result.getOrThrow(parseUrl(url)).options
    assert.deepStrictEqual(read("redis://valkey"), { host: "valkey", port: 6379, db: 0 })
    assert.deepStrictEqual(read("valkey://10.0.0.1:7000/3"), { host: "10.0.0.1", port: 7000, db: 3 })
    assert.deepStrictEqual(read("rediss://me:a%2Fb%3A@[::1]:1"), {
      host: "::1",
      port: 1,
      db: 0,
      username: "me",
      password: "a/b:",
      tls: {}
    })
    assert.deepStrictEqual(read("valkeys://:secret@h"), { host: "h", port: 6379, db: 0, password: "secret", tls: {} })
    assert.deepStrictEqual(read("unix:///run/valkey.sock"), { path: "/run/valkey.sock" })
    assert.deepStrictEqual(read("/run/valkey.sock"), { path: "/run/valkey.sock" })
  })

  it("cannot switch on the queues that we switched off", () => {
    assert.deepStrictEqual(Result.getOrThrow(parseUrl("redis://h?enableOfflineQueue=true")).options, {
      host: "h",
      port: 6379,
      db: 0
    })
  })

  it("is refused with a reason where it makes no sense, and without its password", () => {
    for (const [url, reason] of [
      ["", /not an address/],
      ["localhost", /not an address/],
      ["http://user:secret@h", /"http:\/\/h\/": unknown http:/],
      ["redis://:secret@h/first", /"first" is not the number of a database/],
      ["redis:///0", /host is missing/],
      ["unix://", /path of the socket is missing/],
      ["redis://h:secret@:x", /not an address/]
    ] as const) {
      const refused = Result.getOrThrow(Result.flip(parseUrl(url)))
      assert.match(refused.message, reason)
      assert.notInclude(refused.message, "secret")
      assert.isFalse(refused.retryable)
    }
  })

  it("is shown without user and password", () => {
    assert.strictEqual(Result.getOrThrow(parseUrl("redis://me:secret@h:1/2")).shown, "redis://h:1/2")
  })
})
