import { assert, describe, it } from "@effect/vitest"
import { type LivingDigest, type StreamRow, shareOf } from "./Shares.ts"

/** Streams by number, each with its owner. */
const rows = (owners: ReadonlyArray<string | null>): ReadonlyArray<StreamRow> =>
  owners.map((owner, stream) => ({ stream, owner, isFree: owner === null }))

/** Digests by name, each with the streams whose servers do not answer it. */
const living = (names: ReadonlyArray<string>, unreachable: Readonly<Record<string, ReadonlyArray<number>>> = {}) =>
  names.map((name): LivingDigest => ({ name, unreachable: new Set(unreachable[name]) }))

/** Everybody gives up and takes what it should, again and again, until nobody does. Says how many streams moved. */
const settle = (
  digests: ReadonlyArray<string>,
  begin: ReadonlyArray<string | null>,
  unreachable: Readonly<Record<string, ReadonlyArray<number>>> = {}
) => {
  let owners = [...begin]
  let isSettled = false
  for (let round = 0; round < 10 && !isSettled; round++) {
    const seen = rows(owners)
    const next = [...owners]
    for (const me of digests) {
      const { giveUp, take } = shareOf(me, living(digests, unreachable), seen)
      for (const stream of giveUp) next[stream] = null
      for (const stream of take) {
        assert.isNull(next[stream], "nobody else reaches for it")
        next[stream] = me
      }
    }
    isSettled = next.every((owner, n) => owner === owners[n])
    owners = next
  }
  assert.isTrue(isSettled, "it comes to rest")
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
    assert.deepStrictEqual(shareOf("me", living(["me"]), expired), { giveUp: [], take: [0] })
  })

  it("what one cannot reach is read by others, evenly as far as that goes, and moves back", () => {
    const names = ["a", "b", "c"]
    const before = settle(names, new Array(12).fill(null)).owners
    const ofA = before.flatMap((owner, stream) => (owner === "a" ? [stream] : []))
    const [first, second] = ofA as [number, number]
    const cut = settle(names, before, { a: [first, second] })
    assert.deepStrictEqual(cut.counts, [4, 4, 4])
    assert.notStrictEqual(cut.owners[first], "a")
    assert.notStrictEqual(cut.owners[second], "a")
    assert.isAtMost(cut.moved, 4, "those two, and two for them")

    const all = Array.from({ length: 12 }, (_, stream) => stream)
    const none = settle(names, before, { a: all })
    assert.deepStrictEqual(none.counts, [0, 6, 6])
    assert.deepStrictEqual(settle(names, none.owners).counts, [4, 4, 4])
    // One is left that reaches it: all of it is there, however uneven.
    assert.deepStrictEqual(settle(names, before, { a: all, b: all }).counts, [0, 0, 12])
  })

  it("what nobody can reach stays where it is, and is shared out where it is free", () => {
    const names = ["a", "b"]
    const unreachable = { a: [0, 1, 2], b: [0, 1, 2] }
    assert.deepStrictEqual(settle(names, ["a", "a", "a", "b"], unreachable).owners, ["a", "a", "a", "b"])
    assert.deepStrictEqual(settle(names, [null, null, null, null], unreachable).counts, [2, 2])
  })

  it("comes to rest whoever reaches what", () => {
    for (let n = 0; n < 300; n++) {
      const bit = (stream: number, digest: number) =>
        ((n * 2_654_435_761 + stream * 40_503 + digest * 97) >>> 7) % 3 === 0
      const names = ["a", "b", "c"].slice(0, 1 + (n % 3))
      const unreachable = Object.fromEntries(
        names.map((name, digest) => [name, [0, 1, 2, 3, 4, 5, 6].filter((stream) => bit(stream, digest))])
      )
      const begin = [0, 1, 2, 3, 4, 5, 6].map((stream) => [...names, null][(n + stream * stream) % (names.length + 1)]!)
      const { owners } = settle(names, begin, unreachable)
      for (const [stream, owner] of owners.entries()) {
        assert.isNotNull(owner)
        const readers = names.filter((name) => !unreachable[name]!.includes(stream))
        if (readers.length > 0) assert.include(readers, owner)
      }
    }
  })
})
