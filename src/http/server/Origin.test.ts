import { describe, expect, it } from "@effect/vitest"
import { reachedAt } from "./Origin.ts"

describe("the address that people reach the page by", () => {
  it("has the path below which a proxy serves it, and is unknown where nobody told the name", () => {
    expect(reachedAt({ publicUrl: "https://pulse.example" })).toBe("https://pulse.example")
    expect(reachedAt({ publicUrl: "https://example.org", basePath: "/pulse" })).toBe("https://example.org/pulse")
    expect(reachedAt({ publicUrl: "", basePath: "/pulse" })).toBeUndefined()
    expect(reachedAt({})).toBeUndefined()
  })
})
