/**
 * A range of slots with several streams in it, each some megabytes, goes to a primary that was just added, and back, and that primary is
 * sent away: while rows are published, read and acknowledged. What `redis-cli --cluster add-node`, `reshard` and `del-node` do.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Schedule } from "effect"
import { describeEachValkey } from "../../../../test/TestValkey.ts"
import {
  makeTestValkeyCluster,
  reshardThereAndBack,
  type TestValkeyCluster
} from "../../../../test/TestValkeyCluster.ts"
import { type Delivery, SnapshotStream } from "../SnapshotStream.ts"
import { layer } from "./SnapshotStreamValkey.ts"
import { keyOf, streamOf } from "./StreamNumber.ts"

/** Of nine streams the first, the fifth and the ninth are in slots near each other: on one primary. */
const STREAMS = 9
const NEAR = [0, 4, 8]
/** Of each of those streams: so much that a server stands still for a while when it moves. */
const BALLAST = 3_000
const KILOBYTE = "x".repeat(1_024)

describeEachValkey("a range of slots with several streams", (server) => {
  it.live(
    "goes to a new primary and back under load: nothing is lost, refused or handed out twice",
    () =>
      Effect.gen(function* () {
        const cluster = yield* makeTestValkeyCluster({ server })
        yield* Effect.gen(function* () {
          const stream = yield* SnapshotStream
          const subscription = yield* stream.subscribe("one")
          const row = (serverId: string, text: string) => ({ serverId, exporterName: "process", snapshots: [text] })
          const servers = NEAR.map(serverIn)
          for (const one of servers) {
            const rows = Array.from({ length: BALLAST }, (_, n) => row(one, `${KILOBYTE} ${n}`))
            yield* stream.publish(rows)
          }

          let isOver = false
          const published: Array<string> = []
          const read: Array<string> = []
          const ballast: Array<Delivery> = []
          const reading = yield* subscription.read(1_000).pipe(
            Effect.flatMap((some) => {
              const isBallast = ({ content }: Delivery) =>
                "snapshots" in content && content.snapshots[0]!.startsWith("x")
              // It stays in the stream, so that there is much to move.
              ballast.push(...some.filter(isBallast))
              const fresh = some.filter((one) => !isBallast(one))
              read.push(...fresh.flatMap(textsOf))
              return subscription.acknowledge(fresh)
            }),
            Effect.forever,
            Effect.forkScoped
          )
          const publishing = yield* Effect.forEach([...servers, serverIn(1)], (one) =>
            Effect.gen(function* () {
              for (let n = 0; !isOver; n++) {
                const text = `${one}/${n}`
                yield* stream.publish([row(one, text)])
                published.push(text)
                yield* Effect.sleep(5)
              }
            }).pipe(Effect.forkScoped)
          )

          let met: Record<string, number> = {}
          yield* reshardThereAndBack(
            cluster,
            NEAR.map((number) => keyOf(number)),
            {
              half: Effect.sleep(100),
              there: Effect.gen(function* () {
                assert.strictEqual((yield* ownersOf(cluster)).size, 1)
                yield* Effect.sleep(300)
                met = yield* metIn(cluster)
              })
            }
          )
          yield* Effect.sleep(300)

          isOver = true
          yield* Effect.forEach(publishing, Fiber.join)
          yield* Effect.sync(() => read.length >= published.length).pipe(
            Effect.repeat({ until: (all) => all, schedule: Schedule.spaced(50) }),
            Effect.timeout("20 seconds")
          )
          yield* Fiber.interrupt(reading)
          assert.deepStrictEqual(read.toSorted(), published.toSorted())
          assert.strictEqual(new Set(ballast.flatMap(textsOf)).size, BALLAST)
          assert.strictEqual(ballast.flatMap(textsOf).length, BALLAST * NEAR.length)
          yield* subscription.acknowledge(ballast)
          const { length, pending } = yield* stream.stats
          assert.deepStrictEqual({ length, pending }, { length: 0, pending: 0 })
          process.stdout.write(`resharding (${server.name}): ${published.length} rows, ${JSON.stringify(met)}\n`)
          for (const kind of ["MOVED", "ASK", "TRYAGAIN"]) assert.isAbove(met[kind] ?? 0, 0, kind)
        }).pipe(Effect.scoped, Effect.provide(layer({ url: cluster.url, streams: STREAMS }), { local: true }))
      }),
    120_000
  )
})

const textsOf = ({ content, from, to }: Delivery) => ("snapshots" in content ? content.snapshots.slice(from, to) : [])

const serverIn = (stream: number): string => {
  const number = Array.from({ length: 1_000 }).findIndex((_, n) => streamOf(`server-${n}`, STREAMS) === stream)
  return `server-${number}`
}

const ownersOf = (cluster: TestValkeyCluster) =>
  Effect.map(
    Effect.forEach(NEAR, (stream) => cluster.primaryOf(keyOf(stream))),
    (owners) => new Set(owners)
  )

/** How often the servers sent somebody elsewhere, or asked to come again. */
const metIn = (cluster: TestValkeyCluster) =>
  Effect.promise(async () => {
    const met: Record<string, number> = {}
    for (const { client } of cluster.nodes) {
      for (const [, kind, count] of String(await client.call("INFO", "errorstats")).matchAll(
        /^errorstat_(\w+):count=(\d+)/gm
      )) {
        met[kind!] = (met[kind!] ?? 0) + Number(count)
      }
    }
    return met
  })
