import { Effect, Layer } from "effect"
import { describeValkey, makeTestValkey } from "../../test/TestValkey.ts"
import { suite } from "./SnapshotStreamSuite.ts"
import { layer } from "./SnapshotStreamValkey.ts"

describeValkey("the stream in Valkey", () => {
  suite("the stream in Valkey", ({ bound }) =>
    Layer.unwrap(Effect.map(makeTestValkey(), ({ url }) => layer({ url, maxLength: bound }))))
})
