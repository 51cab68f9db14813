import { describe, expect, it } from "vitest"
import { makeRecentMap } from "./RecentMap.ts"

describe("a recent map", () => {
  it("never holds more than its bound, whatever it is fed", () => {
    const map = makeRecentMap<number>(100_000)
    for (let n = 1; n <= 50_000; n++) {
      map.set(`${"x".repeat((n * 7919) % 1_000)}${n}`, n)
      expect(map.size() * 64).toBeLessThanOrEqual(100_000 + 2_200)
    }
    const long = makeRecentMap<number>(100_000)
    for (let n = 1; n <= 100; n++) long.set(`${n}`.padEnd(16_384, "x"), n)
    expect(long.size()).toBeLessThanOrEqual(8)
  })

  it("keeps what is used, and forgets what is not", () => {
    const map = makeRecentMap<number>(100 * 70)
    map.set("used", 1)
    map.set("unused", 2)
    for (let n = 0; n < 1_000; n++) {
      map.set(`new ${n}`, n + 3)
      if (n % 20 === 0) expect(map.get("used")).toBe(1)
    }
    expect(map.get("unused")).toBeUndefined()
    expect(map.get("never")).toBeUndefined()
  })
})
