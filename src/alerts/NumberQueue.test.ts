/** Numbers that come and leave: what is in the queue is what came, whatever room it makes, and the room is bounded. */
import { assert, describe, it } from "@effect/vitest"
import { seededRandom } from "../../test/Seeded.ts"
import { NumberQueue } from "./NumberQueue.ts"

describe("a queue of numbers", () => {
  it("holds what came and has not left, at the places that it came to", () => {
    const next = seededRandom(4)
    const queue = new NumberQueue()
    const all: Array<number> = []
    let left = 0
    for (let n = 0; n < 2_000; n++) {
      const more = Float64Array.from({ length: Math.floor(12 * next()) }, () => next())
      queue.push(more)
      all.push(...more)
      if (all.length - left > 100) left = all.length - 40 - Math.floor(20 * next())
      queue.leave(left)
      const places = [left - 1, left, Math.floor(left + (all.length - left) * next()), all.length - 1, all.length]
      for (const place of places) {
        assert.deepStrictEqual(queue.at(place), place >= left && place < all.length ? all[place]! : Number.NaN)
      }
    }
    // A hundred at most, a scrape, and a quarter.
    assert.isAtMost(queue.bytes, 8 * 140)
  })

  it("adds up what is known, each number where it belongs", () => {
    const queue = new NumberQueue()
    queue.push(Float64Array.of(1, 2, Number.NaN, 4))
    queue.push(Float64Array.of(10, 20, 30, 40))
    const sums = new Float64Array(2)
    const places = Int32Array.of(1, -1, 0, 1)
    queue.addTo(sums, places, 0)
    queue.addTo(sums, places, 4)
    assert.deepStrictEqual([...sums], [30, 55])
    queue.leave(4)
    queue.addTo(sums, places, 0)
    assert.deepStrictEqual([...sums], [30, 55])
  })
})
