import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import type { PipelineStage, PipelineTree } from "../api/PipelineAnswer.ts"
import { countersOf, makePipelineRates, withRates } from "./PipelineRates.ts"

const stage = (received: number, passed: number, rejected = 0): PipelineStage => ({
  stage: "writer",
  received,
  passed,
  rejected,
  kept: 0,
  inHand: 0,
  retries: 0,
  lastError: null,
  mailbox: null
})
const running = { state: "running", since: 0, restarts: 0, lastError: null, retryAt: null } as const
const treeOf = (one: PipelineStage): PipelineTree => ({
  name: "root",
  children: [
    { ...running, name: "db", tree: null },
    {
      ...running,
      name: "digest",
      tree: {
        name: "digest",
        books: { received: 1, accepted: 1, rejected: 0, kept: 0, inFlight: 0 },
        stages: [one],
        children: []
      }
    }
  ]
})
const stageIn = (tree: PipelineTree) => tree.children[1]!.tree!.stages![0]!
const perSecondIn = (tree: PipelineTree) => stageIn(tree).perSecond ?? null

describe("the rates of the live view", () => {
  it.effect("are over the last minute, whoever looked before, and over the time since the start until then", () =>
    Effect.gen(function* () {
      let count = 0
      const { run, snapshot } = yield* makePipelineRates(() => treeOf(stage(count, count / 2, 1)))
      assert.isNull(perSecondIn(yield* snapshot))
      const running = yield* Effect.forkChild(run)
      const pass = (seconds: number, perSecond: number) =>
        Effect.gen(function* () {
          for (let second = 0; second < seconds; second++) {
            yield* TestClock.adjust("1 second")
            count += perSecond
          }
          return perSecondIn(yield* snapshot)
        })
      assert.deepStrictEqual(yield* pass(10, 100), { received: 100, passed: 50, rejected: 0, overSeconds: 10 })
      const later = (yield* pass(300, 8)) as { received: number; overSeconds: number }
      assert.closeTo(later.received, 8, 0.2)
      assert.isAtLeast(later.overSeconds, 55)
      assert.isAtMost(later.overSeconds, 65)
      assert.deepStrictEqual(yield* pass(70, 0), { received: 0, passed: 0, rejected: 0, overSeconds: 60 })
      yield* Fiber.interrupt(running)
    })
  )

  it("leave everything else in the tree as it is", () => {
    const before = treeOf(stage(1, 1))
    const { perSecond, ...rest } = stageIn(withRates(before, countersOf(before), 5))
    assert.deepStrictEqual(rest, stage(1, 1))
    assert.deepStrictEqual(perSecond, { received: 0, passed: 0, rejected: 0, overSeconds: 5 })
  })

  it("are never negative, and count a stage that is new from nothing", () => {
    const before = countersOf(treeOf(stage(100, 100)))
    assert.include(perSecondIn(withRates(treeOf(stage(10, 10)), before, 10)) as object, { received: 0, passed: 0 })
    assert.include(perSecondIn(withRates(treeOf(stage(10, 20)), new Map(), 10)) as object, { received: 1, passed: 2 })
  })
})
