/** The stream's suite on four streams of a cluster, with a replica that has to have what is answered. */
import { afterAll, beforeAll } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import { describeValkey } from "../../../../test/TestValkey.ts"
import { makeTestValkeyCluster } from "../../../../test/TestValkeyCluster.ts"
import { suite } from "../SnapshotStreamSuite.ts"
import { layer } from "./SnapshotStreamValkey.ts"

describeValkey("the stream in a cluster", () => {
  // One for all tests: each has streams of its own.
  const scope = Effect.runSync(Scope.make())
  let url = ""
  let tests = 0
  beforeAll(async () => {
    url = (await Effect.runPromise(Scope.provide(makeTestValkeyCluster(), scope))).url
  }, 60_000)
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  suite(
    "the stream in a cluster",
    ({ bound }) => Layer.suspend(() => layer({ url, maxLength: bound, streams: 4, prefix: `test-${tests++}` })),
    { several: true, operations: 0.1 }
  )
})
