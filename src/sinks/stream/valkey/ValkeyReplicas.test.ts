import { assert, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { describeValkey } from "../../../../test/TestValkey.ts"
import { makeTestValkeyCluster } from "../../../../test/TestValkeyCluster.ts"
import { readAddress } from "./ValkeyAddress.ts"
import { type Connection, open } from "./ValkeyConnection.ts"
import { script } from "./ValkeyServer.ts"

const KEY = "nodepulse:{0}:test"
const ADD = script("return redis.call('SADD', KEYS[1], ARGV[1])")

const add = (connection: Connection, text: string) =>
  Effect.tryPromise({ try: () => connection.run(ADD, KEY, [text]), catch: (error) => error as Error })

describeValkey("a primary whose replica has to have what it answers", () => {
  it.live(
    "answers nothing that its replica has not, is refused while it lacks one, and is taken at its word after a while",
    () =>
      Effect.gen(function* () {
        const cluster = yield* makeTestValkeyCluster()
        const address = yield* readAddress(cluster.url)
        const replicas = { least: 1, patience: 3_000 }
        const connection = yield* open(address, { name: "test", silence: 2_500, maxBytesInFlight: 1_000, replicas })
        yield* Effect.promise(() => connection.ready(10_000))
        yield* add(connection, "both")
        const primary = yield* cluster.primaryOf(KEY)
        const [replica] = yield* cluster.replicasOf(primary)

        // As a primary that is cut off from its replica does not know: it would take what nobody else ever sees.
        yield* replica!.pause
        assert.match((yield* Effect.flip(add(connection, "alone"))).message, /0 of 1 answered in time/)
        yield* replica!.resume
        yield* Effect.retry(add(connection, "again"), { schedule: Schedule.spaced("100 millis"), times: 100 })

        yield* replica!.kill
        const refused = yield* Effect.flip(add(connection, "refused"))
        assert.match(refused.message, /lacks replicas that it had/)
        const taken = yield* Effect.promise(() => primary.client.call("SCARD", KEY))
        assert.match((yield* Effect.flip(add(connection, "not sent"))).message, /^not published/)
        assert.strictEqual(yield* Effect.promise(() => primary.client.call("SCARD", KEY)), taken)
        assert.deepStrictEqual(connection.alone(), [])
        yield* Effect.retry(add(connection, "at its word"), { schedule: Schedule.spaced("100 millis"), times: 200 })
        assert.deepStrictEqual(connection.alone(), [primary.name])

        yield* replica!.start
        yield* cluster.whole
        yield* Effect.retry(add(connection, "both again"), { schedule: Schedule.spaced("100 millis"), times: 100 })
        assert.deepStrictEqual(connection.alone(), [])
        yield* primary.kill
        yield* cluster.settled([primary])
        // The replica took its place just now and cannot have had one: nobody waits for patience to end.
        yield* Effect.retry(add(connection, "promoted"), { schedule: Schedule.spaced("100 millis"), times: 20 })
        assert.deepStrictEqual(connection.alone(), [replica!.name])
        const there = new Set(
          yield* Effect.promise(() => connection.call("SMEMBERS", KEY) as Promise<ReadonlyArray<string>>)
        )
        for (const answered of ["both", "again", "at its word", "both again", "promoted"]) {
          assert.isTrue(there.has(answered), answered)
        }
      })
  )
})
