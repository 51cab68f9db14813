/**
 * What happens to leases over time. Each beat is the test's, and time passes by moving what the database has noted: nothing here
 * depends on speed.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Effect, Exit, Logger, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as TestDatabase from "../../../../test/TestDatabase.ts"
import { outsideTransaction } from "../../postgres/Database.ts"
import type { Lease, LeasedReader } from "../SnapshotStream.ts"
import { makeLeaseHolder } from "./LeaseHolder.ts"
import { openStreams, ownedStreams } from "./LeaseTable.ts"

/** A digest with a reader that notes what it is told. */
const digest = Effect.fnUntraced(function* (name: string) {
  const holder = yield* makeLeaseHolder({ name, lease: "10 seconds", settleWithin: "5 seconds" })
  const reading = new Map<number, Lease>()
  const inFlight = new Map<number, number>()
  const empty = new Set<number>()
  /** For how many milliseconds the servers of which streams were not heard. */
  const silent = new Map<number, number>()
  const reader: LeasedReader = {
    begin: (lease) => Effect.sync(() => void reading.set(lease.stream, lease)),
    stop: (stream) => inFlight.get(stream) ?? 0,
    end: (stream) => Effect.sync(() => void reading.delete(stream)),
    removeEmpty: ({ stream }) => Effect.sync(() => empty.has(stream) && reading.delete(stream)),
    silentFor: (millis) => [...silent].flatMap(([stream, since]) => (since > millis ? [stream] : []))
  }
  const scope = yield* Scope.make()
  yield* Scope.provide(holder.leases.attach(reader), scope)
  const streams = () => [...reading.keys()].sort((a, b) => a - b)
  const said: Array<string> = []
  const beat = Effect.provide(
    holder.beat,
    Logger.layer([Logger.make(({ message }) => void said.push(String(message)))])
  )
  return { ...holder, beat, said, name, reading, inFlight, empty, silent, streams, stop: Scope.close(scope, Exit.void) }
})

const fresh = Effect.fnUntraced(function* (streams: number) {
  const sql = yield* PgClient.PgClient
  yield* sql`truncate admiral.streams, admiral.digests`
  yield* openStreams(sql, streams)
})

/** A digest says nothing for longer than its lease. */
const silence = (name: string) =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    yield* sql`update admiral.streams set leased_until = now() - interval '1 millisecond' where owner = ${name}::text`
    yield* sql`update admiral.digests set seen_at = now() - interval '11 seconds' where name = ${name}::text`
  })

const owners = Effect.gen(function* () {
  return (yield* ownedStreams(yield* PgClient.PgClient)).map(({ owner }) => owner)
})

layer(TestDatabase.layer)("leases", (it) => {
  it.effect("one digest has all, two share, and the first keeps what it need not give", () =>
    Effect.gen(function* () {
      yield* fresh(4)
      const [a, b] = [yield* digest("a"), yield* digest("b")]
      yield* a.beat
      assert.deepStrictEqual(a.streams(), [0, 1, 2, 3])
      yield* b.beat
      assert.deepStrictEqual(b.streams(), [])
      yield* a.beat
      yield* b.beat
      assert.deepStrictEqual(
        [a.streams(), b.streams()],
        [
          [0, 1],
          [2, 3]
        ]
      )
      assert.deepStrictEqual(
        [...b.reading.values()],
        [
          { stream: 2, fence: 2 },
          { stream: 3, fence: 2 }
        ]
      )
      const before = new Map(a.reading)
      for (const one of [a, b, a, b]) yield* one.beat
      assert.deepStrictEqual(a.reading, before, "who beats moves nothing")
    })
  )

  it.effect("a server that does not answer one digest has its streams read by another, which gives up as many", () =>
    Effect.gen(function* () {
      yield* fresh(4)
      const [a, b] = [yield* digest("a"), yield* digest("b")]
      const beats = Effect.gen(function* () {
        for (let round = 0; round < 4; round++) for (const one of [a, b]) yield* one.beat
        return [a.streams(), b.streams()]
      })
      const share = [
        [0, 1],
        [2, 3]
      ]
      assert.deepStrictEqual(yield* beats, share)
      a.silent.set(0, 9_900)
      assert.deepStrictEqual(yield* beats, share, "it may have been a failover")

      a.silent.set(0, 10_100)
      // Nothing of it can be acknowledged, so nothing is waited for.
      a.inFlight.set(0, 7)
      const cut = [
        [1, 3],
        [0, 2]
      ]
      assert.deepStrictEqual(yield* beats, cut)
      // Now it answers nobody: whoever has it goes on, so that nothing waits when it is back.
      b.silent.set(0, 60_000)
      assert.deepStrictEqual(yield* beats, cut)
      const left = "Valkey does not answer this digest for what is left to the others, stream 0"
      assert.deepStrictEqual([a.said, b.said], [[left], []])
      a.silent.clear()
      assert.deepStrictEqual(yield* beats, [
        [0, 1],
        [2, 3]
      ])
      b.silent.clear()
      assert.deepStrictEqual(yield* beats, [
        [0, 1],
        [2, 3]
      ])
      const again = "Valkey answers this digest again for what was left to the others, stream 0"
      const both = [left, again]
      assert.deepStrictEqual([a.said, b.said], [both, both])
    })
  )

  it.effect(
    "who is cut off from Valkey leaves all to the others and takes its share again, and the last one stays",
    () =>
      Effect.gen(function* () {
        yield* fresh(2)
        const [a, b] = [yield* digest("a"), yield* digest("b")]
        const cutOff = (one: typeof a) => [0, 1].forEach((stream) => void one.silent.set(stream, 10_100))
        const beats = Effect.gen(function* () {
          for (let round = 0; round < 3; round++) for (const one of [a, b]) yield* one.beat
          return [a.streams(), b.streams()]
        })
        assert.deepStrictEqual(yield* beats, [[0], [1]])
        cutOff(a)
        assert.deepStrictEqual(yield* beats, [[], [0, 1]])
        cutOff(b)
        assert.deepStrictEqual(yield* beats, [[], [0, 1]])
        a.silent.clear()
        assert.deepStrictEqual(yield* beats, [[0, 1], []])
        b.silent.clear()
        assert.deepStrictEqual(
          (yield* beats).map(({ length }) => length),
          [1, 1]
        )
      })
  )

  it.effect("where all are cut off at once nothing moves", () =>
    Effect.gen(function* () {
      yield* fresh(2)
      const [a, b] = [yield* digest("a"), yield* digest("b")]
      for (const one of [a, b, a, b]) yield* one.beat
      for (const { silent } of [a, b]) for (const stream of [0, 1]) silent.set(stream, 10_100)
      // The one that looks first gives up what the other still seems to hear.
      for (const one of [b, a, b, a, b]) yield* one.beat
      const before = yield* owners
      assert.notInclude(before, null)
      for (let round = 0; round < 5; round++) for (const one of [a, b]) yield* one.beat
      assert.deepStrictEqual(yield* owners, before)
    })
  )

  it.effect("two that start at once share without one waiting for the other", () =>
    Effect.gen(function* () {
      yield* fresh(16)
      const both = [yield* digest("a"), yield* digest("b")]
      for (let n = 0; n < 3; n++)
        yield* Effect.all(
          both.map(({ beat }) => beat),
          { concurrency: 2 }
        )
      const all = both.flatMap(({ streams }) => streams())
      assert.strictEqual(new Set(all).size, 16)
      assert.deepStrictEqual(
        both.map(({ streams }) => streams().length),
        [8, 8]
      )
    })
  )

  it.effect("what has run out is taken over with a higher fence, and its holder drops it when it wakes up", () =>
    Effect.gen(function* () {
      yield* fresh(2)
      const [a, b] = [yield* digest("a"), yield* digest("b")]
      yield* a.beat
      yield* silence("a")
      yield* b.beat
      assert.deepStrictEqual(
        [...b.reading.values()],
        [
          { stream: 0, fence: 2 },
          { stream: 1, fence: 2 }
        ]
      )
      yield* a.beat
      assert.deepStrictEqual([a.streams(), a.held()], [[], []])
      // It lives, and is given its share again.
      yield* b.beat
      yield* a.beat
      assert.deepStrictEqual([...a.reading.values()], [{ stream: 1, fence: 3 }])
    })
  )

  it.effect("a holder that nobody displaced goes on when the database is back, however long that took", () =>
    Effect.gen(function* () {
      yield* fresh(2)
      const a = yield* digest("a")
      yield* a.beat
      const before = new Map(a.reading)
      yield* silence("a")
      yield* a.beat
      assert.deepStrictEqual(a.reading, before)
      const b = yield* digest("b")
      yield* b.beat
      assert.deepStrictEqual(b.streams(), [], "its lease was renewed")
    })
  )

  it.effect(
    "after an outage of the database each has what it had, whoever comes back first, and who is gone loses it",
    () =>
      Effect.gen(function* () {
        yield* fresh(4)
        const [a, b] = [yield* digest("a"), yield* digest("b")]
        for (const one of [a, b, a, b]) yield* one.beat
        const before = [new Map(a.reading), new Map(b.reading)]
        yield* silence("a")
        yield* silence("b")
        yield* TestClock.adjust("11 seconds")
        yield* a.beat
        yield* b.beat
        yield* a.beat
        assert.deepStrictEqual([a.reading, b.reading], before)
        yield* silence("a")
        yield* silence("b")
        yield* TestClock.adjust("11 seconds")
        yield* a.beat
        assert.deepStrictEqual(a.streams(), [0, 1])
        yield* TestClock.adjust("6 seconds")
        yield* a.beat
        assert.deepStrictEqual(a.streams(), [0, 1, 2, 3])
      })
  )

  it.effect("fifty digests that come and go move each stream at most once, and no more of them than they must", () =>
    Effect.gen(function* () {
      yield* fresh(16)
      const sql = yield* PgClient.PgClient
      const seen = Effect.map(
        sql<{ readonly owner: string; readonly fence: number }>`
          select owner, fence::int4 as fence from admiral.streams order by stream`,
        (rows) => ({ owners: rows.map(({ owner }) => owner), fences: rows.reduce((sum, { fence }) => sum + fence, 0) })
      )
      const digests = [yield* digest("d0")]
      yield* digests[0]!.beat
      let moved = 0
      for (let n = 1; n <= 50; n++) {
        const before = yield* seen
        const most = digests.length
        // By a fixed rule that begins with several starts, and ends any of them.
        if (digests.length === 1 || (digests.length < 6 && (n * 7) % 5 < 3)) digests.push(yield* digest(`d${n}`))
        else yield* digests.splice((n * 5) % digests.length, 1)[0]!.stop
        for (let round = 0; round < 4; round++) for (const one of digests) yield* one.beat
        const after = yield* seen
        const changed = after.owners.filter((owner, stream) => owner !== before.owners[stream]).length
        assert.strictEqual(after.fences - before.fences, changed, "none changed hands twice")
        assert.isAtMost(changed, Math.ceil(16 / Math.max(most, digests.length)))
        moved += changed
      }
      assert.isAbove(moved, 50)
    })
  )

  it.effect("only the database's clock counts: a process whose clock jumps keeps what it has and takes nothing", () =>
    Effect.gen(function* () {
      yield* fresh(2)
      const [a, b] = [yield* digest("a"), yield* digest("b")]
      yield* a.beat
      yield* TestClock.adjust("3 days")
      yield* b.beat
      assert.deepStrictEqual(b.streams(), [])
      yield* a.beat
      assert.deepStrictEqual(a.streams(), [0])
    })
  )

  it.effect("giving up waits for what is in flight, and no longer than it may", () =>
    Effect.gen(function* () {
      yield* fresh(2)
      const [a, b] = [yield* digest("a"), yield* digest("b")]
      yield* a.beat
      yield* b.beat
      a.inFlight.set(1, 7)
      yield* a.beat
      yield* b.beat
      assert.deepStrictEqual([a.streams(), b.streams()], [[0, 1], []])
      a.inFlight.delete(1)
      yield* a.beat
      assert.deepStrictEqual(a.streams(), [0])
      yield* b.beat
      assert.deepStrictEqual(b.streams(), [1])
      yield* b.stop
      yield* a.beat
      assert.deepStrictEqual(a.streams(), [0, 1])
      const c = yield* digest("c")
      yield* c.beat
      a.inFlight.set(1, 7)
      yield* a.beat
      yield* TestClock.adjust("6 seconds")
      yield* a.beat
      yield* c.beat
      assert.deepStrictEqual([a.streams(), c.streams()], [[0], [1]])
    })
  )

  it.effect("a stop frees all at once, and whoever is there takes it", () =>
    Effect.gen(function* () {
      yield* fresh(3)
      const [a, b] = [yield* digest("a"), yield* digest("b")]
      for (const one of [a, b, a, b]) yield* one.beat
      yield* b.stop
      assert.deepStrictEqual((yield* owners).filter((owner) => owner === null).length, 1)
      yield* a.beat
      assert.deepStrictEqual(a.streams(), [0, 1, 2])
      yield* b.beat
      assert.deepStrictEqual(b.held(), [], "who has stopped takes nothing")
    })
  )

  it.effect("a second failure during a take-over leaves each stream with one owner", () =>
    Effect.gen(function* () {
      yield* fresh(3)
      const [a, b, c] = [yield* digest("a"), yield* digest("b"), yield* digest("c")]
      yield* a.beat
      yield* silence("a")
      yield* b.beat
      yield* silence("b")
      yield* c.beat
      assert.deepStrictEqual(
        [...c.reading.values()].map(({ fence }) => fence),
        [3, 3, 3]
      )
      for (const one of [a, b, c, a, b, c]) yield* one.beat
      const all = [a, b, c].flatMap(({ streams }) => streams())
      assert.deepStrictEqual(all.sort(), [0, 1, 2])
      assert.deepStrictEqual(new Set(yield* owners), new Set(["a", "b", "c"]))
    })
  )

  it.effect("a stream is not taken while a transaction that looked at its fence is open", () =>
    Effect.gen(function* () {
      yield* fresh(1)
      const sql = yield* PgClient.PgClient
      const [a, b] = [yield* digest("a"), yield* digest("b")]
      yield* a.beat
      yield* silence("a")
      yield* sql.withTransaction(
        Effect.gen(function* () {
          yield* sql`select fence from admiral.streams for key share`
          yield* outside(b.beat)
          assert.deepStrictEqual(b.streams(), [], "it is passed by, without waiting")
        })
      )
      yield* b.beat
      assert.deepStrictEqual(b.streams(), [0])
    })
  )

  it.effect("the answer to taking a stream that was lost is found in the database", () =>
    Effect.gen(function* () {
      yield* fresh(1)
      const sql = yield* PgClient.PgClient
      const a = yield* digest("a")
      yield* sql`update admiral.streams set owner = 'a', fence = 9, leased_until = now() + interval '10 seconds'`
      yield* a.beat
      assert.deepStrictEqual([...a.reading.values()], [{ stream: 0, fence: 9 }])
    })
  )

  it.effect("where Valkey has seen a higher fence, its owner by the database takes one beyond", () =>
    Effect.gen(function* () {
      yield* fresh(1)
      const a = yield* digest("a")
      yield* a.beat
      a.leases.outfenced({ stream: 0, fence: 1 }, 41)
      yield* a.beat
      assert.deepStrictEqual([...a.reading.values()], [{ stream: 0, fence: 42 }])
      a.leases.outfenced({ stream: 0, fence: 1 }, 100)
      yield* a.beat
      assert.deepStrictEqual([...a.reading.values()], [{ stream: 0, fence: 42 }], "that was about an earlier lease")
    })
  )

  it.effect("streams that are added are read, and those that nobody uses are retired once they are empty", () =>
    Effect.gen(function* () {
      yield* fresh(1)
      const sql = yield* PgClient.PgClient
      const a = yield* digest("a")
      yield* a.beat
      yield* openStreams(sql, 4)
      yield* a.beat
      assert.deepStrictEqual(a.streams(), [0, 1, 2, 3])
      yield* sql`update admiral.streams set used_at = now() - interval '61 minutes' where stream > 1`
      a.empty.add(3)
      yield* a.beat
      assert.deepStrictEqual(a.streams(), [0, 1, 2], "2 holds something still")
      assert.deepStrictEqual(yield* owners, ["a", "a", "a"])
      yield* openStreams(sql, 4)
      a.empty.add(2)
      yield* a.beat
      assert.deepStrictEqual(a.streams(), [0, 1, 2, 3], "both are used again")
    })
  )

  it.effect("a database that is away costs a line in the log, and nothing is dropped", () =>
    Effect.gen(function* () {
      yield* fresh(2)
      const sql = yield* PgClient.PgClient
      const a = yield* digest("a")
      yield* a.beat
      yield* sql`alter table admiral.streams rename to away`
      yield* sql`alter table admiral.digests rename to away_too`
      yield* Effect.exit(a.beat)
      assert.deepStrictEqual(a.streams(), [0, 1])
      yield* sql`alter table admiral.away rename to streams`
      yield* sql`alter table admiral.away_too rename to digests`
      yield* a.beat
      assert.deepStrictEqual(a.streams(), [0, 1])
    })
  )
})

/** On a connection of its own. */
const outside = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    return yield* outsideTransaction(sql, self)
  })
