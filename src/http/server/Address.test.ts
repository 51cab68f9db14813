import { describe, expect, it } from "@effect/vitest"
import { addressOf, basePathOf, segmentsOf } from "./Address.ts"

describe("the address of a request", () => {
  it("takes a path whole, whatever is in it", () => {
    for (const [target, address] of [
      ["/api/tokens/1;2", "/api/tokens/1%3B2"],
      ["/api/tokens/1#2", "/api/tokens/1%232"],
      ["/api/tokens/1;a=b?x=1;2#3", "/api/tokens/1%3Ba=b?x=1;2#3"],
      ["/api/tokens/%3b%2F%00", "/api/tokens/%3b%2F%00"],
      ["http://user@host:1/api/servers?x", "/api/servers?x"],
      ["http://host?x", "/?x"],
      ["http://host", "/"],
      ["*", "*"]
    ] as const) {
      expect([target, addressOf(target, "")]).toEqual([target, address])
    }
  })

  it("has the base path taken off where it is there, and only where it is whole", () => {
    for (const [target, address] of [
      ["/pulse/api/servers?x", "/api/servers?x"],
      ["/pulse/", "/"],
      ["/pulse", "/"],
      ["/pulse?x", "/?x"],
      ["/pulsed/api", "/pulsed/api"],
      ["/api/servers", "/api/servers"],
      ["/PULSE/api", "/PULSE/api"],
      ["/pulse/pulse/x", "/pulse/x"],
      ["/pulse;x", "/pulse%3Bx"],
      ["http://host/pulse/healthz", "/healthz"]
    ] as const) {
      expect([target, addressOf(target, "/pulse")]).toEqual([target, address])
    }
  })

  it("has segments that are decoded once, or none where they cannot be", () => {
    expect(segmentsOf("/servers/a%2Fb/%252F/")).toEqual(["servers", "a/b", "%2F", ""])
    for (const path of ["/%zz", "/%e0%a4", "/%"]) expect(segmentsOf(path)).toBeUndefined()
  })
})

describe("a base path", () => {
  it("begins with a slash and ends without one", () => {
    expect(["", "/", " ", "/pulse", "/pulse/", "/a.b/c_d~-"].map(basePathOf)).toEqual([
      "",
      "",
      "",
      "/pulse",
      "/pulse",
      "/a.b/c_d~-"
    ])
  })

  it("that cannot be told from the server's own addresses, or is no path, is refused", () => {
    for (const text of [
      "pulse",
      "//",
      "/a//b",
      "/a/../b",
      "/.",
      "/a b",
      "/a?b",
      "/a%2fb",
      '/"',
      "/<x>",
      "/api",
      "/servers/x",
      "https://host/pulse",
      `/${"x".repeat(200)}`
    ]) {
      expect([text, basePathOf(text)]).toEqual([text, undefined])
    }
  })
})
