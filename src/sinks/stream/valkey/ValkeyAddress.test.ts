import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { addressOf, parseUrl } from "./ValkeyAddress.ts"

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

  it("may have user, password and database as parameters, and files for TLS", () => {
    const read = (url: string) => Result.getOrThrow(parseUrl(url))
    const signIn = { host: "h", port: 6379, db: 3, username: "me", password: "a b" }
    assert.deepStrictEqual(read("redis://h?user=me&password=a%20b&db=3").options, signIn)
    assert.deepStrictEqual(read("redis://h/3?username=me&password=a+b").options, signIn)
    assert.deepStrictEqual(read("redis://me@h/3?password=a+b").options, signIn)
    assert.deepStrictEqual(read("unix:///run/v.sock?db=2&password=x").options, {
      path: "/run/v.sock",
      password: "x",
      db: 2
    })
    const tls = read("rediss://h?ca_file=/etc/ca.crt&cert_file=/etc/me.crt&key_file=/etc/me.key")
    assert.deepStrictEqual(tls.files, { ca_file: "/etc/ca.crt", cert_file: "/etc/me.crt", key_file: "/etc/me.key" })
  })

  it("is refused with a reason where it makes no sense, and without its password", () => {
    for (const [url, reason] of [
      ["", /not an address/],
      ["localhost", /not an address/],
      ["http://user:secret@h", /"http:\/\/h\/": unknown http:/],
      ["redis://:secret@h/first", /"first" is not the number of a database/],
      ["redis:///0", /host is missing/],
      ["unix://", /path of the socket is missing/],
      ["redis://h:secret@:x", /not an address/],
      ["redis://h?enableOfflineQueue=true", /there is no parameter "enableOfflineQueue"/],
      ["redis://h?ca_file=/x", /ca_file is for rediss/],
      ["rediss://h?cert_file=/x", /go together/],
      ["redis://:secret@h?password=secret2", /password is given twice/],
      ["redis://h?db=first", /"first" is not the number/],
      ["redis://me:12/secret@h", /percent-encoded/],
      ["redis://me:12?secret@h", /percent-encoded/],
      ["redis://me:12#secret@h", /percent-encoded/]
    ] as const) {
      const refused = Result.getOrThrow(Result.flip(parseUrl(url)))
      assert.match(refused.message, reason)
      assert.notInclude(refused.message, "secret")
      assert.isFalse(refused.retryable)
    }
  })

  it("may be that of a cluster: several hosts, and all else as for one", () => {
    const read = (url: string) => Result.getOrThrow(parseUrl(url))
    const cluster = read("redis-cluster://me:a%2Cb@a:7000,b,[::1]:7002")
    assert.deepStrictEqual(cluster.seeds, [
      { host: "a", port: 7000 },
      { host: "b", port: 6379 },
      { host: "::1", port: 7002 }
    ])
    assert.strictEqual(cluster.shown, "redis-cluster://a:7000,b,[::1]:7002")
    const { options, shown } = addressOf(cluster, { host: "::2", port: 7003 })
    assert.deepStrictEqual(options, { host: "::2", port: 7003, db: 0, username: "me", password: "a,b" })
    assert.strictEqual(shown, "redis://[::2]:7003")
    for (const scheme of ["rediss", "valkeys"]) {
      const { files, options } = read(`${scheme}-cluster://a/0?ca_file=/etc/ca.crt&password=x`)
      assert.deepStrictEqual([options.tls, options.password, files.ca_file], [{}, "x", "/etc/ca.crt"])
    }
    for (const [url, reason] of [
      ["redis-cluster://:secret@a,b/1", /"redis-cluster:\/\/a,b": a cluster has only database 0, not 1/],
      ["redis-cluster://:secret@a,,b", /not an address|host is missing/],
      ["valkey-cluster://:secret@a,b?ca_file=/x", /ca_file is for rediss/],
      ["redis-cluster://me:12/secret@a,b", /percent-encoded/],
      [`redis-cluster://${"a,".repeat(100)}a`, /more than 100 hosts/],
      ["redis-cluster://", /not an address|host is missing/],
      ["unix-cluster:///run/x", /unknown unix-cluster:/]
    ] as const) {
      const refused = Result.getOrThrow(Result.flip(parseUrl(url)))
      assert.match(refused.message, reason)
      assert.notInclude(refused.message, "secret")
    }
  })

  it("is shown without user and password", () => {
    assert.strictEqual(Result.getOrThrow(parseUrl("redis://me:secret@h:1/2")).shown, "redis://h:1/2")
  })
})
