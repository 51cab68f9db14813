import { assert, describe, it } from "@effect/vitest"
import { type StreamRow, shareOf } from "./Shares.ts"

/** Streams by number, each with its owner. */
const rows = (owners: ReadonlyArray<string | null>): ReadonlyArray<StreamRow> =>
  owners.map((owner, stream) => ({ stream, owner, isFree: owner === null }))

/** Everybody gives up and takes what it should, again and again, until nobody does. Says how many streams moved. */
const settle = (digests: ReadonlyArray<string>, begin: ReadonlyArray<string | null>) => {
  let owners = [...begin]
  for (let round = 0; round < 10; round++) {
    const seen = rows(owners)
    const next = [...owners]
    for (const me of digests) {
      const { giveUp, take } = shareOf(me, digests, seen)
      for (const stream of giveUp) next[stream] = null
      for (const stream of take) {
        assert.isNull(next[stream], "nobody else reaches for it")
        next[stream] = me
      }
    }
    if (next.every((owner, n) => owner === owners[n])) break
    owners = next
  }
  const counts = digests.map((name) => owners.filter((owner) => owner === name).length)
  const moved = owners.filter((owner, n) => begin[n] !== null && owner !== begin[n]).length
  return { owners, counts, moved }
}

describe("streams are shared out", () => {
  it("all of them, and evenly, to any number of digests", () => {
    for (let streams = 0; streams <= 17; streams++) {
      for (let digests = 1; digests <= 6; digests++) {
        const names = Array.from({ length: digests }, (_, n) => `d${n}`)
        const { counts, owners } = settle(names, new Array(streams).fill(null))
        assert.notInclude(owners, null)
        assert.isAtMost(Math.max(...counts) - Math.min(...counts), 1, `${streams} for ${digests}`)
      }
    }
  })

  it("a digest that comes is given its share, and nothing else moves", () => {
    for (const streams of [1, 4, 16, 17]) {
      for (let digests = 1; digests <= 5; digests++) {
        const names = Array.from({ length: digests }, (_, n) => `d${n}`)
        const before = settle(names, new Array(streams).fill(null)).owners
        const { counts, moved } = settle([...names, "a-comes"], before)
        assert.strictEqual(moved, Math.floor(streams / (digests + 1)), `${streams} for ${digests}`)
        assert.isAtMost(Math.max(...counts) - Math.min(...counts), 1)
      }
    }
  })

  it("what a digest had that is gone is shared out, and nothing else moves", () => {
    for (const streams of [1, 4, 16, 17]) {
      const names = ["a", "b", "c"]
      const before = settle(names, new Array(streams).fill(null)).owners
      const left = before.map((owner) => (owner === "b" ? null : owner))
      const { counts, moved, owners } = settle(["a", "c"], left)
      assert.strictEqual(moved, 0)
      assert.notInclude(owners, null)
      assert.isAtMost(Math.abs(counts[0]! - counts[1]!), 1)
    }
  })

  it("a digest that is not in the list itself yet counts", () => {
    assert.deepStrictEqual(shareOf("new", [], rows([null, null])), { giveUp: [], take: [0, 1] })
  })

  it("what is free, since its lease has run out, is shared out whoever had it", () => {
    const expired = [{ stream: 0, owner: "gone", isFree: true }]
    assert.deepStrictEqual(shareOf("me", ["me"], expired), { giveUp: [], take: [0] })
  })
})
