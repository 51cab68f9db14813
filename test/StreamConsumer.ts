/**
 * A consumer in a process of its own, for tests that kill it: reads so many entries, says "holding" and holds them.
 *
 * node test/StreamConsumer.ts <url> <consumer> <entries>
 */
import { Console, Effect } from "effect"
import { SnapshotStream } from "../src/sinks/stream/SnapshotStream.ts"
import { layer } from "../src/sinks/stream/valkey/SnapshotStreamValkey.ts"

const [url = "", consumer = "", count = "0"] = process.argv.slice(2)

await Effect.runPromise(
  Effect.gen(function* () {
    const stream = yield* SnapshotStream
    const subscription = yield* stream.subscribe(consumer)
    let held = 0
    while (held < Number(count)) held += (yield* subscription.read(Number(count) - held)).length
    yield* Console.log("holding")
    yield* Effect.never
  }).pipe(Effect.scoped, Effect.provide(layer({ url, claimAfter: "1 second" })))
)
