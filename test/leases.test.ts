/**
 * Digests that share streams, on a real PostgreSQL and a real Valkey: what becomes of a batch whose digest lost its stream while
 * the batch was in flight. Each beat is the test's, and a lease runs out by moving what the database has noted.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, References, Schedule, type Scope } from "effect"
import config from "../plugins.config.ts"
import { Servers } from "../src/access/Servers.ts"
import * as ServersPostgres from "../src/access/ServersPostgres.ts"
import { Registry } from "../src/plugins/Registry.ts"
import type { Snapshot } from "../src/plugins/Snapshot.ts"
import { makeSnapshotCodec } from "../src/plugins/SnapshotCodec.ts"
import { together } from "../src/plugins/Snapshots.ts"
import { makeWires } from "../src/plugins/Wire.ts"
import * as Digest from "../src/sinks/Digest.ts"
import { DeadLetters } from "../src/sinks/storage/DeadLetters.ts"
import * as DeadLettersPostgres from "../src/sinks/storage/DeadLettersPostgres.ts"
import { SnapshotRows } from "../src/sinks/storage/SnapshotRows.ts"
import * as SnapshotRowsPostgres from "../src/sinks/storage/SnapshotRowsPostgres.ts"
import { makeLeaseHolder } from "../src/sinks/stream/leases/LeaseHolder.ts"
import { openStreams } from "../src/sinks/stream/leases/LeaseTable.ts"
import { SnapshotStream } from "../src/sinks/stream/SnapshotStream.ts"
import { contentsOf } from "../src/sinks/stream/StreamEntry.ts"
import * as Valkey from "../src/sinks/stream/valkey/SnapshotStreamValkey.ts"
import { keyOf, streamOf } from "../src/sinks/stream/valkey/StreamNumber.ts"
import { processValues } from "./ProcessRows.ts"
import * as TestDatabase from "./TestDatabase.ts"
import { describeValkey, makeTestValkey, type TestValkey } from "./TestValkey.ts"

const exporter = config.exporters.find(({ top }) => top?.per !== undefined)!.name
const codec = makeSnapshotCodec(makeWires(config.exporters))
const ROWS = 40

const contents = (serverId: string, from: number, count: number) =>
  together(
    Array.from(
      { length: count },
      (_, n): Snapshot => ({
        exporter,
        serverId,
        timestamp: Date.now() * 1_000,
        countersSince: null,
        values: processValues(`group-${from + n}`, {
          num_procs: 1,
          cpu_seconds_total: from + n + 1,
          memory_bytes: 4096
        })
      })
    )
  ).flatMap((snapshots) => contentsOf(snapshots, "scrape", codec))

const ports = Layer.mergeAll(SnapshotRowsPostgres.layer, DeadLettersPostgres.layer, ServersPostgres.layer).pipe(
  Layer.provideMerge(Registry.layer(config)),
  Layer.provideMerge(TestDatabase.layer)
)

/** Where a digest stops until it is let on: before its rows are stored, or after, when they are to be acknowledged. */
type Gate = "before" | "after" | "letters" | undefined

/** A digest of which the test makes each beat. `reached` is done once it stands before its gate; `open` lets it on. */
const digest = Effect.fnUntraced(function* (name: string, gate?: Gate) {
  const rows = yield* SnapshotRows
  const letters = yield* DeadLetters
  const reached = yield* Deferred.make<void>()
  const open = yield* Deferred.make<void>()
  const wait = Effect.andThen(Deferred.succeed(reached, undefined), Deferred.await(open))
  const holder = yield* makeLeaseHolder({ name, lease: "10 seconds" })
  const made = yield* Digest.make({ consumer: name, leases: holder.leases, drainWithin: "5 seconds" }).pipe(
    Effect.provideService(SnapshotRows, {
      insert: (to, some, leases) => {
        const insert = rows.insert(to, some, leases)
        if (gate === "before") return Effect.andThen(wait, insert)
        return gate === "after" ? Effect.tap(insert, wait) : insert
      }
    }),
    Effect.provideService(DeadLetters, {
      ...letters,
      put: (some, leases) =>
        gate === "letters" ? Effect.andThen(wait, letters.put(some, leases)) : letters.put(some, leases)
    })
  )
  const fiber = yield* Effect.forkScoped(Effect.retry(made.run, Schedule.spaced(20)))
  return { holder, fiber, reached: Deferred.await(reached), open: Deferred.succeed(open, undefined), view: made.view }
})

const untilHeld = (
  one: { readonly holder: { readonly beat: Effect.Effect<void>; held: () => ReadonlyArray<unknown> } },
  count: number
) =>
  one.holder.beat.pipe(
    Effect.repeat({ until: () => one.holder.held().length === count, schedule: Schedule.spaced(20) }),
    Effect.timeout("30 seconds")
  )

/** Its lease has run out, and it has not been heard of. */
const silence = (name: string) =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    yield* sql`update admiral.streams set leased_until = now() - interval '1 second' where owner = ${name}::text`
    yield* sql`update admiral.digests set seen_at = now() - interval '11 seconds' where name = ${name}::text`
  })

const untilEmpty = Effect.flatMap(SnapshotStream, (stream) => stream.stats).pipe(
  Effect.repeat({ until: ({ length }) => length === 0, schedule: Schedule.spaced(20) }),
  Effect.timeout("30 seconds")
)

const untilBooks = (
  one: { readonly view: Digest.Digest["view"] },
  done: (books: ReturnType<Digest.Digest["view"]>["books"]) => boolean
) =>
  Effect.sync(() => one.view().books).pipe(
    Effect.repeat({ until: done, schedule: Schedule.spaced(20) }),
    Effect.timeout("30 seconds")
  )

const storedRows = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const [row] = yield* sql<{ readonly rows: number; readonly values: number }>`
    select count(*)::int4 as rows, count(distinct cpu_seconds_total)::int4 as values from admiral.process_snapshots`
  return row!
})

const promise = (
  title: string,
  streams: number,
  test: (world: {
    readonly valkey: TestValkey
    readonly servers: ReadonlyArray<string>
  }) => Effect.Effect<
    void,
    unknown,
    SnapshotStream | SnapshotRows | DeadLetters | Registry | PgClient.PgClient | Scope.Scope
  >
) =>
  it.live(
    title,
    () =>
      Effect.gen(function* () {
        const valkey = yield* makeTestValkey()
        const registered = yield* Servers
        const servers = yield* Effect.forEach(["s-1", "s-2", "s-3", "s-4", "s-5"], (name) =>
          Effect.map(registered.register(name), ({ server }) => server.serverId)
        )
        yield* openStreams(yield* PgClient.PgClient, streams)
        yield* test({ valkey, servers }).pipe(
          Effect.provide(Valkey.layer({ url: valkey.url, streams, block: "100 millis" }), { local: true })
        )
      }).pipe(
        Effect.scoped,
        Effect.provide(ports, { local: true }),
        Effect.provideService(References.MinimumLogLevel, "Fatal")
      ),
    120_000
  )

const publishAll = (servers: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const stream = yield* SnapshotStream
    for (const [n, server] of servers.entries()) yield* stream.publish(contents(server, n * ROWS, ROWS))
    return servers.length * ROWS
  })

describeValkey("digests that share streams by leases", () => {
  promise(
    "a digest that wakes up late cannot store the batch that it had in flight; its new owner does, once",
    1,
    ({ servers }) =>
      Effect.gen(function* () {
        const a = yield* digest("a", "before")
        yield* untilHeld(a, 1)
        const published = yield* publishAll(servers)
        yield* a.reached
        yield* silence("a")
        const b = yield* digest("b")
        yield* untilHeld(b, 1)
        yield* untilEmpty
        assert.deepStrictEqual(yield* storedRows, { rows: published, values: published })
        yield* a.open
        const books = yield* untilBooks(a, ({ kept, inFlight }) => kept > 0 && inFlight === 0)
        assert.strictEqual(books.accepted + books.rejected, 0)
        assert.strictEqual(b.view().books.accepted, published)
        assert.deepStrictEqual(yield* storedRows, { rows: published, values: published })
      })
  )

  promise(
    "what it stored before it lost the stream is not its to acknowledge: it comes again, and is stored once",
    1,
    ({ servers, valkey }) =>
      Effect.gen(function* () {
        const a = yield* digest("a", "after")
        yield* untilHeld(a, 1)
        const published = yield* publishAll(servers)
        yield* a.reached
        yield* silence("a")
        const b = yield* digest("b", "before")
        yield* untilHeld(b, 1)
        yield* b.reached
        yield* a.open
        yield* untilBooks(a, ({ inFlight }) => inFlight === 0)
        assert.isAbove(
          yield* Effect.promise(() => valkey.client.xlen(keyOf(0))),
          0,
          "its acknowledgement changed nothing"
        )
        yield* b.open
        yield* untilEmpty
        assert.deepStrictEqual(yield* storedRows, { rows: published, values: published })
        assert.strictEqual(b.view().books.accepted, published)
      })
  )

  promise("of a batch over several streams only the rows of the one that was lost are kept", 4, ({ servers }) =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const a = yield* digest("a", "before")
      yield* untilHeld(a, 4)
      const published = yield* publishAll(servers)
      yield* untilBooks(a, ({ received }) => received === published)
      yield* a.reached
      const used = yield* Effect.map(SnapshotStream, (stream) => stream).pipe(Effect.flatMap(({ stats }) => stats))
      assert.strictEqual(used.length, published)
      // One stream changes hands: to somebody who does nothing with it.
      yield* sql`update admiral.streams set owner = 'x', fence = fence + 1, leased_until = now() + interval '1 hour'
        where stream = ${streamOfMost(servers)}::int4`
      yield* a.open
      const books = yield* untilBooks(a, ({ inFlight }) => inFlight === 0)
      const lost = servers.filter((server) => streamNumber(server) === streamOfMost(servers)).length * ROWS
      assert.deepStrictEqual([books.accepted, books.kept], [published - lost, lost])
      assert.deepStrictEqual(yield* storedRows, { rows: published - lost, values: published - lost })
    })
  )

  promise("a letter of a digest that lost its stream is written by the new owner, once", 1, ({ valkey }) =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const a = yield* digest("a", "letters")
      yield* untilHeld(a, 1)
      yield* Effect.promise(() => valkey.client.call("XADD", keyOf(0), "*", "who", "knows"))
      yield* a.reached
      yield* silence("a")
      const b = yield* digest("b")
      yield* untilHeld(b, 1)
      yield* untilEmpty
      yield* a.open
      yield* untilBooks(a, ({ kept }) => kept === 1)
      assert.deepStrictEqual(yield* sql`select count(*)::int4 as letters from admiral.dead_letters`, [{ letters: 1 }])
    })
  )

  promise("what a stop leaves behind is read by the next at once", 4, ({ servers }) =>
    Effect.gen(function* () {
      const a = yield* digest("a", "before")
      yield* untilHeld(a, 4)
      const published = yield* publishAll(servers)
      yield* a.reached
      const b = yield* digest("b")
      yield* b.holder.beat
      assert.deepStrictEqual(b.holder.held(), [])
      yield* Fiber.interrupt(a.fiber)
      yield* b.holder.beat
      assert.lengthOf(b.holder.held(), 4)
      yield* untilEmpty
      assert.deepStrictEqual(yield* storedRows, { rows: published, values: published })
    })
  )

  promise(
    "a fence that Valkey forgot is set again by the owner, and one that is too high is passed",
    1,
    ({ servers, valkey }) =>
      Effect.gen(function* () {
        const a = yield* digest("a")
        yield* untilHeld(a, 1)
        const fence = () => Effect.promise(() => valkey.client.get(`${keyOf(0)}:fence`))
        yield* publishAll(servers)
        yield* untilEmpty
        assert.strictEqual(yield* fence(), "1")
        for (const [forged, expected] of [
          [undefined, "1"],
          ["rubbish", "1"],
          ["41", "42"]
        ] as const) {
          yield* Effect.promise<unknown>(() =>
            forged === undefined
              ? valkey.client.del(`${keyOf(0)}:fence`)
              : valkey.client.set(`${keyOf(0)}:fence`, forged)
          )
          yield* Effect.andThen(a.holder.beat, fence()).pipe(
            Effect.repeat({ until: (text) => text === expected, schedule: Schedule.spaced(50) }),
            Effect.timeout("30 seconds")
          )
          yield* publishAll(servers)
          yield* untilEmpty
        }
      })
  )

  promise("streams that are added and taken away again lose nothing", 1, ({ servers, valkey }) =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      let published = yield* publishAll(servers)
      for (const streams of [4, 2]) {
        yield* openStreams(sql, streams)
        published += yield* publishFrom(servers, published).pipe(
          Effect.provide(Valkey.layer({ url: valkey.url, streams }), { local: true })
        )
      }
      const a = yield* digest("a")
      yield* untilHeld(a, 4)
      yield* untilBooks(a, ({ accepted, inFlight }) => accepted === published && inFlight === 0)
      assert.deepStrictEqual(yield* storedRows, { rows: published, values: published })
      yield* sql`update admiral.streams set used_at = now() - interval '2 hours' where stream >= 2`
      yield* untilHeld(a, 2)
      assert.deepStrictEqual(yield* sql`select stream from admiral.streams order by stream`, [
        { stream: 0 },
        { stream: 1 }
      ])
      assert.strictEqual(yield* Effect.promise(() => valkey.client.exists(keyOf(2), keyOf(3), `${keyOf(3)}:fence`)), 0)
    })
  )
})

const publishFrom = (servers: ReadonlyArray<string>, from: number) =>
  Effect.gen(function* () {
    const stream = yield* SnapshotStream
    for (const [n, server] of servers.entries()) yield* stream.publish(contents(server, from + n * ROWS, ROWS))
    return servers.length * ROWS
  })

const streamNumber = (server: string) => streamOf(server, 4)

/** The stream that the first server is in. */
const streamOfMost = (servers: ReadonlyArray<string>) => streamNumber(servers[0]!)
