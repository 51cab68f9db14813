import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { asOfIn, fromPrimary, type ReplicaView, RowsFrom, readUntil } from "./ReadReplica.ts"

const samples = [
  { at: 10, position: 100 },
  { at: 20, position: 150 },
  { at: 30, position: 150 },
  { at: 40, position: 200 }
]

describe("what a replica has", () => {
  it("is all that was written before the latest moment whose log is replayed", () => {
    assert.strictEqual(asOfIn(samples, 100), 10)
    assert.strictEqual(asOfIn(samples, 149), 10)
    assert.strictEqual(asOfIn(samples, 150), 30)
    assert.strictEqual(asOfIn(samples, 1_000), 40)
  })
  it("is not known before the first such moment", () => {
    assert.isUndefined(asOfIn(samples, 99))
    assert.isUndefined(asOfIn([], 99))
  })
})

const asking = (view: ReplicaView | undefined, at?: number) => {
  const question: RowsFrom = { is: "primary", view }
  return readUntil(50_000_000, at).pipe(
    Effect.map((end) => ({ ...end, is: question.is })),
    Effect.provideService(RowsFrom, question)
  )
}
const used: ReplicaView = { asOf: 40_000_000, isUsed: true, reason: undefined }

describe("a question's window", () => {
  it.effect("that ends now ends with what the replica has, and says how far that is behind", () =>
    Effect.map(asking(used), (end) =>
      assert.deepStrictEqual(end, { to: 40_000_000, replicaLagSeconds: 10, is: "replica" })
    )
  )
  it.effect("that ended before is read from the replica as it is", () =>
    Effect.map(asking(used, 39_000_000), (end) =>
      assert.deepStrictEqual(end, { to: 39_000_000, replicaLagSeconds: 10, is: "replica" })
    )
  )
  it.effect("that ends later than the replica, or has none, is the primary's", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* asking(used, 40_000_001), { to: 40_000_001, is: "primary" })
      assert.deepStrictEqual(yield* asking(undefined), { to: 50_000_000, is: "primary" })
      assert.deepStrictEqual(yield* asking({ ...used, isUsed: false }), { to: 50_000_000, is: "primary" })
      // A clock that was set back: what is there now is not known.
      assert.deepStrictEqual(yield* asking({ ...used, asOf: 60_000_000 }), { to: 50_000_000, is: "primary" })
      assert.deepStrictEqual(yield* readUntil(50_000_000), { to: 50_000_000 })
    })
  )
  it.effect("says nothing of what has to be of this moment", () =>
    Effect.gen(function* () {
      assert.isUndefined(yield* fromPrimary(RowsFrom))
    }).pipe(Effect.provideService(RowsFrom, { is: "replica", view: used }))
  )
})
