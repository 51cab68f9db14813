import { PgClient } from "@effect/sql-pg"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import { TestClock } from "effect/testing"
import * as TestDatabase from "../../test/TestDatabase.ts"
import { helloOf } from "../protocol/AgentHello.fixture.ts"
import { type AgentHello, hashOf } from "../protocol/AgentHello.ts"
import { DatabaseUnavailable } from "../sinks/storage/DatabaseUnavailable.ts"
import { type AgentStore, makeAgents, memoryStore } from "./Agents.ts"
import { storeIn } from "./AgentsPostgres.ts"
import { Servers } from "./Servers.ts"
import { layer as layerServers } from "./ServersPostgres.ts"

const sequences = new Map<string, number>()
const hello = (machine: string, start = machine): AgentHello => {
  const sequence = (sequences.get(start) ?? 0) + 1
  sequences.set(start, sequence)
  return helloOf(machine, { start: hashOf("start", start), sequence })
}

/** A store that can be away, and counts. */
const watched = (store: AgentStore) => {
  const watch = { away: false, reads: 0, writes: 0 }
  const unlessAway = <A>(effect: Effect.Effect<A, DatabaseUnavailable>) =>
    Effect.suspend(() =>
      watch.away
        ? Effect.fail(new DatabaseUnavailable({ operation: "test", because: "away", cause: new Error("away") }))
        : effect
    )
  const counting: AgentStore = {
    read: (serverId) => {
      watch.reads++
      return unlessAway(store.read(serverId))
    },
    write: (...args) => {
      watch.writes++
      return unlessAway(store.write(...args))
    },
    all: store.all
  }
  return { watch, store: counting }
}

const quiet = Layer.mergeAll(Logger.layer([]))

describe("several processes behind a balancer", () => {
  it.effect("let one of two machines write, whichever process each push comes to", () =>
    Effect.gen(function* () {
      const store = memoryStore()
      const processes = [yield* makeAgents(store), yield* makeAgents(store), yield* makeAgents(store)]
      for (let push = 0; push < 60; push++) {
        const first = yield* processes[push % 3]!.greet("web", hello("one"))
        assert.strictEqual(first._tag, "Holder")
        yield* TestClock.adjust("7 seconds")
        assert.notStrictEqual((yield* processes[(push * 2) % 3]!.greet("web", hello("two")))._tag, "Holder")
        yield* TestClock.adjust("8 seconds")
      }
      assert.isNotNull((yield* store.all).get("web")?.conflict)
    }).pipe(Effect.provide(quiet))
  )

  it.effect("let one of many that come at once be the first", () =>
    Effect.gen(function* () {
      const store = memoryStore()
      const processes = yield* Effect.all(Array.from({ length: 4 }, () => makeAgents(store)))
      const verdicts = yield* Effect.forEach(
        ["a", "b", "c", "d"],
        (machine, index) => processes[index]!.greet("web", hello(`race-${machine}`)),
        { concurrency: 4 }
      )
      assert.strictEqual(verdicts.filter(({ _tag }) => _tag === "Holder").length, 1)
    }).pipe(Effect.provide(quiet))
  )

  it.effect("tell a copied process from its original by the sequence, within a minute also across processes", () =>
    Effect.gen(function* () {
      const store = memoryStore()
      const [one, two] = [yield* makeAgents(store), yield* makeAgents(store)]
      const original = hello("copied")
      let refused = 0
      for (let push = 1; push <= 12; push++) {
        const sequence = push * 2
        yield* one.greet("web", { ...original, sequence })
        if ((yield* two.greet("web", { ...original, sequence: sequence - 1 }))._tag === "Replayed") refused++
        yield* TestClock.adjust("15 seconds")
      }
      assert.isAbove(refused, 0)
      assert.strictEqual((yield* one.greet("web", { ...original, sequence: 3 }))._tag, "Replayed")
    }).pipe(Effect.provide(quiet))
  )
})

describe("a store that is away", () => {
  it.effect("keeps nobody from writing, and still lets only one of two machines", () =>
    Effect.gen(function* () {
      const { store, watch } = watched(memoryStore())
      const agents = yield* makeAgents(store)
      watch.away = true
      for (let push = 0; push < 40; push++) {
        assert.strictEqual((yield* agents.greet("web", hello("up")))._tag, "Holder")
        yield* TestClock.adjust("7 seconds")
        assert.notStrictEqual((yield* agents.greet("web", hello("second")))._tag, "Holder")
        yield* TestClock.adjust("8 seconds")
      }
      assert.isAtMost(watch.reads + watch.writes, 62)
      watch.away = false
      yield* TestClock.adjust("15 seconds")
      assert.strictEqual((yield* agents.greet("web", hello("up")))._tag, "Holder")
      assert.strictEqual((yield* store.all).get("web")?.holder?.name, "up")
    }).pipe(Effect.provide(quiet))
  )

  it.effect("is read at most every five seconds for a server, however often its agent pushes", () =>
    Effect.gen(function* () {
      const { store, watch } = watched(memoryStore())
      const agents = yield* makeAgents(store)
      for (let push = 0; push < 120; push++) {
        yield* agents.greet("web", hello("busy"))
        yield* TestClock.adjust("500 millis")
      }
      assert.isAtMost(watch.reads, 13)
      assert.isAtMost(watch.writes, 2)
    })
  )
})

layer(layerServers.pipe(Layer.provideMerge(TestDatabase.layer)))("in PostgreSQL", (it) => {
  it.effect("a state is kept as it was, and of two that write the same version one is told", () =>
    Effect.gen(function* () {
      const { server } = yield* (yield* Servers).register("agent of a store")
      const store = storeIn(yield* PgClient.PgClient)
      const agents = yield* makeAgents(store)
      yield* agents.greet(server.serverId, {
        ...hello("stored"),
        sent: 1_200,
        step: { seconds: -60.5, at: 12 },
        corrected: -3
      })
      yield* agents.unknownExporters(server.serverId, ["数据库\0"])
      const { state, version } = yield* store.read(server.serverId)
      assert.deepStrictEqual((yield* store.all).get(server.serverId), state)
      assert.strictEqual(state.holder?.name, "stored")
      assert.strictEqual(state.unknown[0]?.exporter, "数据库\0")
      assert.isTrue(yield* store.write(server.serverId, version, state))
      assert.isFalse(yield* store.write(server.serverId, version, state))
      assert.isFalse(yield* store.write("nobody", 0, state))
      assert.strictEqual((yield* agents.greet("nobody", hello("nobody")))._tag, "Holder")
    }).pipe(Effect.provide(quiet))
  )

  it.effect("a state that cannot be read is none", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const { server } = yield* (yield* Servers).register("agent of another version")
      const store = storeIn(sql)
      yield* (yield* makeAgents(store)).greet(server.serverId, hello("other"))
      yield* sql`update admiral.agents set state = '{"holder": 7}'`
      assert.isNull((yield* store.read(server.serverId)).state.holder)
    }).pipe(Effect.provide(quiet))
  )
})
