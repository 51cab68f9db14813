import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { DeferredRemovals, precedes } from "./DeferredRemovals.ts"

const Part = Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 53 - 1 })))

describe("ids of a stream", () => {
  it.prop("are in the order of their time, then of their sequence", [Part, Part, Part, Part], ([a, b, c, d]) => {
    for (const [time, sequence] of [
      [c, d],
      [a, d],
      [a, b]
    ] as const) {
      const before = a < time || (a === time && b < sequence)
      assert.strictEqual(precedes(`${a}-${b}`, `${time}-${sequence}`), before)
    }
  })
})

describe("entries that are acknowledged and not yet removed", () => {
  it("are gone when the floor has passed them, a batch at a time, and counted exactly", () => {
    const deferred = new DeferredRemovals(100)
    deferred.add(["5-0", "7-0", "6-0"])
    deferred.add(["8-0", "10-0"])
    assert.strictEqual(deferred.from("0-0"), 5)
    assert.strictEqual(deferred.from("6-0"), 4)
    deferred.raise("7-0")
    assert.strictEqual(deferred.from("0-0"), 5)
    deferred.raise("7-1")
    assert.strictEqual(deferred.from("0-0"), 2)
    deferred.raise("11-0")
    assert.deepStrictEqual([deferred.from("0-0"), deferred.all()], [0, []])
  })

  it("are never more than the limit: the oldest are removed one by one", () => {
    const deferred = new DeferredRemovals(4)
    deferred.add(["1-0", "2-0"])
    deferred.add(["3-0", "4-0"])
    assert.deepStrictEqual(deferred.over(0), [])
    assert.deepStrictEqual(deferred.over(1), ["1-0", "2-0"])
    assert.deepStrictEqual(deferred.over(5), ["3-0", "4-0"])
    deferred.add(["5-0", "6-0", "7-0", "8-0", "9-0"])
    assert.lengthOf(deferred.over(0), 5)
  })
})
