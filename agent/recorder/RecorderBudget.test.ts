import { describe, expect, it } from "@effect/vitest"
import { BUDGET_MILLIS, LEVELS, RecorderBudget } from "./RecorderBudget.ts"

/** Samples for so many seconds, each of which costs what `cost` says of the level; what was spent, by the second. */
const run = (budget: RecorderBudget, seconds: number, cost: (level: number) => number, from = 0) => {
  const spent: Array<number> = []
  for (let boot = from * 1_000; boot < (from + seconds) * 1_000; boot += budget.now.periodMillis) {
    const millis = budget.allows(boot) ? cost(budget.level) : 0
    budget.note(millis)
    spent[Math.floor(boot / 1_000) - from] = millis
  }
  return Array.from({ length: seconds }, (_, second) => spent[second] ?? 0)
}

describe("the budget of the flight recorder", () => {
  it("leaves a recorder alone that stays within it", () => {
    const budget = new RecorderBudget()
    const spent = run(budget, 3_600, () => BUDGET_MILLIS / 70)
    expect(budget.level).toBe(0)
    expect(spent.every((millis) => millis > 0)).toBe(true)
  })

  it("does less, level by level, until what is left fits", () => {
    const budget = new RecorderBudget()
    run(budget, 600, (level) => 12 / (level + 1))
    expect(budget.level).toBe(3)
    const hopeless = new RecorderBudget()
    run(hopeless, 3_600, () => 1_000)
    expect(hopeless.level).toBe(LEVELS.length - 1)
  })

  it("never lets a minute cost more than it has and the one sample that went over, whatever samples cost", () => {
    for (const cost of [1, 3, 5, 17, 50, 190, 400]) {
      const spent = run(new RecorderBudget(), 900, (level) => cost / (1 + level / 4))
      for (let second = 0; second + 60 <= spent.length; second++) {
        const minute = spent.slice(second, second + 60).reduce((sum, millis) => sum + millis, 0)
        expect([cost, second, minute < BUDGET_MILLIS + cost]).toEqual([cost, second, true])
      }
    }
  })

  it("does more again after five easy minutes, and not before", () => {
    const budget = new RecorderBudget()
    run(budget, 60, () => 6)
    expect(budget.level).toBeGreaterThan(0)
    const { level } = budget
    run(budget, 290, () => 0.1, 60)
    expect(budget.level).toBe(level)
    run(budget, 80, () => 0.1, 350)
    expect(budget.level).toBe(level - 1)
  })

  it("begins anew after the machine was suspended", () => {
    const budget = new RecorderBudget()
    run(budget, 20, () => 30)
    expect(budget.allows(20_000)).toBe(false)
    expect(budget.allows(50_000_000)).toBe(true)
  })
})
