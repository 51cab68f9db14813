import { describe, expect, it } from "@effect/vitest"
import { KEYS_MAX, makeAllowance } from "./Allowance.ts"

describe("an allowance", () => {
  it("is used up, says how long to wait, and comes back with time", () => {
    const { take } = makeAllowance(10, 2)
    for (let index = 0; index < 10; index++) expect(take("a", 1, 0)).toBeUndefined()
    expect(take("a", 1, 0)).toBe(0.5)
    expect(take("a", 1, 499)).toBeGreaterThan(0)
    expect(take("a", 1, 500)).toBeUndefined()
    expect(take("a", 5, 500)).toBe(2.5)
    expect(take("a", 10, 60_000)).toBeUndefined()
  })

  it("is each one's own", () => {
    const { take } = makeAllowance(1, 1)
    expect(take("a", 1, 0)).toBeUndefined()
    expect(take("a", 1, 0)).toBe(1)
    expect(take("b", 1, 0)).toBeUndefined()
  })

  it("forgets those with a full allowance first, and stays bounded", () => {
    const { take } = makeAllowance(1, 1)
    expect(take("old", 1, 0)).toBeUndefined()
    for (let index = 1; index < KEYS_MAX; index++) take(`${index}`, 1, 900)
    expect(take("new", 1, 1_500)).toBeUndefined()
    expect(take("1", 1, 1_500)).toBeGreaterThan(0)
    expect(take("old", 1, 1_500)).toBeUndefined()
  })
})
