/** The stream's suite on four streams of a cluster, with a replica that has to have what is answered. */
import { afterAll, assert, beforeAll, it } from "@effect/vitest"
import { Effect, Exit, Layer, Schedule, Scope } from "effect"
import { describeValkey } from "../../../../test/TestValkey.ts"
import { makeTestValkeyCluster } from "../../../../test/TestValkeyCluster.ts"
import { type Delivery, type LeasedReader, SnapshotStream } from "../SnapshotStream.ts"
import { suite } from "../SnapshotStreamSuite.ts"
import { layer } from "./SnapshotStreamValkey.ts"
import { keyOf, streamOf } from "./StreamNumber.ts"

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

  it.live("a primary that nobody replaces stops its own streams alone, and loses nothing", () =>
    Effect.gen(function* () {
      const settings = { "cluster-require-full-coverage": "no" }
      const cluster = yield* makeTestValkeyCluster({ settings, appendOnly: true })
      const of = (server: string) => cluster.primaryOf(keyOf(streamOf(server, 4)))
      const [dead, ...others] = Array.from({ length: 20 }, (_, n) => `server-${n}`)
      const victim = yield* of(dead!)
      const alive = (yield* Effect.filter(others, (server) => Effect.map(of(server), (node) => node !== victim)))[0]!
      const lost = streamOf(dead!, 4)
      const row = (serverId: string, snapshot: string) => [{ serverId, exporterName: "process", snapshots: [snapshot] }]

      yield* Effect.gen(function* () {
        const stream = yield* SnapshotStream
        for (const server of [dead!, alive]) yield* stream.publish(row(server, "first"))
        const subscription = yield* stream.subscribe("one")
        let listener: LeasedReader | undefined
        const attach = (given: LeasedReader) =>
          Effect.sync(() => {
            listener = given
          })
        yield* stream.subscribe("another", { attach, outfenced: () => {}, lost: () => {} })
        /** Longer than it takes to ask again. */
        const unheard = Effect.sync(() => listener!.silentFor(4_000).join())
        const readFrom = (server: string, until: number) => {
          const all: Array<Delivery> = []
          return subscription.read(100).pipe(
            Effect.map((some) => all.push(...some.filter(({ content }) => content.serverId === server))),
            Effect.repeat({ until: (count) => count >= until }),
            Effect.timeout("60 seconds"),
            Effect.as(all)
          )
        }
        const read: Array<Delivery> = []
        while (read.length < 2) read.push(...(yield* subscription.read(100)))
        const ofVictim = yield* Effect.filter([0, 1, 2, 3], (n) =>
          Effect.map(cluster.primaryOf(keyOf(n)), (node) => node === victim)
        )
        const away = [...(yield* cluster.replicasOf(victim)), victim]
        for (const node of away) yield* node.kill

        yield* Effect.timeout(subscription.acknowledge(read), "60 seconds")
        const { silent, streams } = yield* stream.stats
        assert.include(silent, lost)
        assert.strictEqual(streams.find((one) => one.stream === streamOf(alive, 4))?.length, 0, "it is acknowledged")
        yield* Effect.retry(stream.publish(row(alive, "second")), { schedule: Schedule.spaced(100), times: 50 })
        yield* subscription.acknowledge(yield* readFrom(alive, 1))
        assert.strictEqual((yield* Effect.flip(stream.publish(row(dead!, "refused"))))._tag, "StreamUnavailable")

        const hears = (expected: ReadonlyArray<number>) =>
          unheard.pipe(
            Effect.repeat({ until: (is) => is === expected.join(), schedule: Schedule.spaced(100) }),
            Effect.timeout("60 seconds")
          )
        yield* hears(ofVictim)

        for (const node of away) yield* node.start
        yield* hears([])
        const again = yield* readFrom(dead!, 1)
        assert.isAbove(again[0]!.deliveries, 1)
        yield* Effect.retry(subscription.acknowledge(again), { schedule: Schedule.spaced(100), times: 50 })
        yield* stream.stats.pipe(
          Effect.repeat({
            until: (all) => all.length === 0 && all.silent.length === 0,
            schedule: Schedule.spaced(100)
          }),
          Effect.timeout("60 seconds")
        )
      }).pipe(
        Effect.scoped,
        Effect.provide(layer({ url: cluster.url, streams: 4, replicas: 0, timeout: "1 second" }), { local: true })
      )
    })
  )
})
