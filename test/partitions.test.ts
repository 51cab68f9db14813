/**
 * A digest that a network cuts off from one of the two that it needs, while the other answers: its streams go to the others, what it
 * read and did not finish comes again, and it takes its share again. On a real PostgreSQL and a real Valkey, behind links that lose
 * everything.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Context, Effect, Layer, type Redacted, Schedule } from "effect"
import * as Database from "../src/sinks/postgres/Database.ts"
import { makeLeaseHolder } from "../src/sinks/stream/leases/LeaseHolder.ts"
import { openStreams } from "../src/sinks/stream/leases/LeaseTable.ts"
import { SnapshotStream } from "../src/sinks/stream/SnapshotStream.ts"
import { layer } from "../src/sinks/stream/valkey/SnapshotStreamValkey.ts"
import { streamOf } from "../src/sinks/stream/valkey/StreamNumber.ts"
import { linkToDatabase, makeLink } from "./conservation/Link.ts"
import * as TestDatabase from "./TestDatabase.ts"
import { describeValkey, makeTestValkey } from "./TestValkey.ts"

const STREAMS = 2
const servers = Array.from(
  { length: STREAMS },
  (_, stream) => Array.from({ length: 99 }, (_, n) => `server-${n}`).find((one) => streamOf(one, STREAMS) === stream)!
)

const streamAt = (url: string) =>
  Effect.map(Layer.build(layer({ url, streams: STREAMS, claimAfter: "1 second", timeout: "1 second" })), (built) =>
    Context.get(built, SnapshotStream)
  )

/** Reads what it has a lease for, notes it in `read`, and acknowledges it. */
const digest = Effect.fnUntraced(function* (name: string, valkeyUrl: string, databaseUrl: Redacted.Redacted<string>) {
  const sql = Context.get(yield* Layer.build(Layer.fresh(Database.layer({ url: databaseUrl }))), PgClient.PgClient)
  const holder = yield* Effect.provideService(
    makeLeaseHolder({ name, lease: "2 seconds", cutOffAfter: "2 seconds" }),
    PgClient.PgClient,
    sql
  )
  const stream = yield* streamAt(valkeyUrl)
  const subscription = yield* stream.subscribe(name, holder.leases)
  const read: Array<string> = []
  yield* Effect.forkScoped(holder.run)
  yield* subscription.read(100).pipe(
    Effect.flatMap((some) => {
      for (const { content } of some) if ("snapshots" in content) read.push(...content.snapshots)
      return subscription.acknowledge(some)
    }),
    Effect.ignore,
    Effect.andThen(Effect.sleep(10)),
    Effect.forever,
    Effect.forkScoped
  )
  return { held: holder.held, read }
})

const until = (isTrue: () => boolean) =>
  Effect.sync(isTrue).pipe(
    Effect.repeat({ until: (is) => is, schedule: Schedule.spaced(50) }),
    Effect.timeout("60 seconds")
  )

describeValkey("a digest that is cut off", () => {
  for (const from of ["Valkey", "PostgreSQL"] as const) {
    it.live(
      `from ${from} alone loses its streams to another, which reads everything, and takes its share again`,
      () =>
        Effect.gen(function* () {
          const { url: databaseUrl } = yield* TestDatabase.TestDatabase
          const valkey = yield* makeTestValkey()
          const toValkey = yield* makeLink({ port: valkey.port })
          const toDatabase = yield* linkToDatabase(databaseUrl)
          yield* openStreams(yield* PgClient.PgClient, STREAMS)
          const stream = yield* streamAt(valkey.url)
          const published: Array<string> = []
          const publish = Effect.forEach(servers, (serverId) => {
            const text = `${serverId}/${published.length}`
            published.push(text)
            return stream.publish([{ serverId, exporterName: "process", snapshots: [text] }])
          })

          const one = yield* digest("one", `redis://127.0.0.1:${toValkey.port}`, toDatabase.url)
          const other = yield* digest("other", valkey.url, databaseUrl)
          yield* until(() => one.held().length === 1 && other.held().length === 1)
          yield* publish
          yield* until(() => one.read.length + other.read.length === published.length)

          const link = from === "Valkey" ? toValkey : toDatabase.link
          link.hold()
          yield* publish
          yield* until(() => other.held().length === STREAMS)
          yield* publish
          const all = () => new Set([...one.read, ...other.read]).size === published.length
          yield* until(all)
          const before = one.read.length
          yield* publish
          yield* until(all)
          assert.strictEqual(one.read.length, before, "it hands out nothing that is no longer its own")

          link.letGo()
          yield* until(() => one.held().length === 1 && other.held().length === 1)
          yield* publish
          yield* until(() => all() && one.read.length > before)
          yield* stream.stats.pipe(
            Effect.repeat({ until: ({ length }) => length === 0, schedule: Schedule.spaced(50) }),
            Effect.timeout("20 seconds")
          )
        }).pipe(Effect.scoped, Effect.provide(Layer.fresh(TestDatabase.layer))),
      120_000
    )
  }
})
