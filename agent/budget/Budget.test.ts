import { assert, describe, it } from "@effect/vitest"
import {
  afterMinute,
  type Budget,
  type BudgetState,
  causesOf,
  restraintOf,
  restraintText,
  UNRESTRAINED,
  type Usage,
  WITHIN_BUDGET
} from "./Budget.ts"

const BUDGET: Budget = { cpuPercent: 1, memoryBytes: 100 }
const usage = (cpu: number, memory = 10, seconds = 60): Usage => ({
  seconds,
  cpuSeconds: (cpu / 100) * seconds,
  memoryBytes: memory
})
const minutes = (state: BudgetState, count: number, each: Usage, budget = BUDGET) =>
  Array.from({ length: count }).reduce<BudgetState>((now) => afterMinute(now, budget, each), state)
const HOT = usage(1.5)
const CALM = usage(0.2)
const WARM = usage(0.9)
const intervalOf = (state: BudgetState) => restraintOf(state).interval

describe("an agent over its budget", () => {
  it("does nothing for one hot minute, and scrapes less often after two", () => {
    assert.deepStrictEqual(restraintOf(minutes(WITHIN_BUDGET, 1, HOT)), UNRESTRAINED)
    assert.deepStrictEqual(restraintOf(minutes(WITHIN_BUDGET, 2, HOT)), { ...UNRESTRAINED, interval: 2 })
  })

  it("counts two hot minutes only in a row", () => {
    const between = minutes(minutes(WITHIN_BUDGET, 1, HOT), 1, WARM)
    assert.deepStrictEqual(restraintOf(minutes(between, 1, HOT)), UNRESTRAINED)
  })

  it("goes down step by step, two minutes each, to the last", () => {
    const after = (count: number) => restraintText(restraintOf(minutes(WITHIN_BUDGET, count, HOT)))
    assert.deepStrictEqual([2, 4, 6, 8, 10, 100].map(after), [
      "scrapes 2 times less often",
      "scrapes 4 times less often",
      "scrapes 4 times less often, keeps 500 groups apart",
      "scrapes 4 times less often, keeps 500 groups apart, records nothing",
      "scrapes 4 times less often, keeps 250 groups apart, records nothing",
      "scrapes 4 times less often, keeps 250 groups apart, records nothing"
    ])
  })

  it("holds back against memory what holds memory, and says which it was", () => {
    const state = minutes(WITHIN_BUDGET, 4, usage(0.2, 150))
    assert.deepStrictEqual(restraintOf(state), { interval: 1, groups: 250, recorder: true })
    assert.deepStrictEqual(causesOf(state), ["memory"])
    assert.deepStrictEqual(causesOf(minutes(WITHIN_BUDGET, 2, usage(2, 150))), ["cpu", "memory"])
  })
})

describe("an agent within its budget again", () => {
  const down = minutes(WITHIN_BUDGET, 4, HOT)

  it("comes back a step at a time, after ten calm minutes each", () => {
    assert.strictEqual(intervalOf(minutes(down, 9, CALM)), 4)
    assert.strictEqual(intervalOf(minutes(down, 10, CALM)), 2)
    assert.strictEqual(intervalOf(minutes(down, 20, CALM)), 1)
  })

  it("does not come back where it is near its budget, nor where a minute between was", () => {
    assert.strictEqual(intervalOf(minutes(down, 200, WARM)), 4)
    assert.strictEqual(intervalOf(minutes(minutes(minutes(down, 9, CALM), 1, WARM), 9, CALM)), 4)
  })

  it("waits twice as long after each relapse, a day at most", () => {
    let state = minutes(WITHIN_BUDGET, 2, HOT)
    const waits: Array<number> = []
    for (let relapse = 0; relapse < 10; relapse++) {
      let waited = 0
      for (; intervalOf(state) !== 1; waited++) state = minutes(state, 1, CALM)
      waits.push(waited)
      state = minutes(state, 2, HOT)
      assert.strictEqual(intervalOf(state), 2)
    }
    assert.deepStrictEqual(waits, [10, 20, 40, 80, 160, 320, 640, 1_280, 1_440, 1_440])
  })

  it("waits as long as at first once it has done well for as long as it had waited", () => {
    const back = (state: BudgetState, relapses: number): BudgetState =>
      relapses === 0 ? state : back(minutes(minutes(state, 2, HOT), 10 * 2 ** (3 - relapses), CALM), relapses - 1)
    const twice = back(WITHIN_BUDGET, 3)
    assert.strictEqual(intervalOf(twice), 1)
    const forgiven = minutes(minutes(twice, 41, CALM), 2, HOT)
    assert.strictEqual(intervalOf(minutes(forgiven, 10, CALM)), 1)
  })
})

describe("a minute", () => {
  it("that was none says nothing: a machine that was suspended, a timer that fired at once", () => {
    for (const seconds of [0, 5, 3_600, Number.NaN, -60, Number.POSITIVE_INFINITY]) {
      const state = minutes(WITHIN_BUDGET, 10, { seconds, cpuSeconds: 1e9, memoryBytes: 1e9 })
      assert.deepStrictEqual(state, WITHIN_BUDGET)
    }
  })

  it("does not count where the budget is switched off, and lets go of what was held back", () => {
    const off = { cpuPercent: undefined, memoryBytes: undefined }
    assert.deepStrictEqual(minutes(WITHIN_BUDGET, 50, usage(400, 1e12), off), WITHIN_BUDGET)
    assert.deepStrictEqual(restraintOf(minutes(minutes(WITHIN_BUDGET, 4, HOT), 1, HOT, off)), UNRESTRAINED)
  })
})
