import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schedule, type Scope } from "effect"
import { describeValkey } from "../../../../test/TestValkey.ts"
import { makeTestValkeyCluster, type TestValkeyCluster } from "../../../../test/TestValkeyCluster.ts"
import { readAddress } from "./ValkeyAddress.ts"
import { keyIn, readMap, redirection, slotOf } from "./ValkeyClusterMap.ts"
import { type Connection, open, type ReplicasWanted } from "./ValkeyConnection.ts"
import { script } from "./ValkeyServer.ts"

/** Adds one, as the stream's publishing does: a script on two keys that stay together. */
const ADD = script(
  `redis.call('SADD', KEYS[1], ARGV[1]) redis.call('INCR', KEYS[2]) return redis.call('SCARD', KEYS[1])`
)
const key = (stream: number) => `nodepulse:{${stream}}:test`

describe("the map of a cluster", () => {
  it("names a server that announces no host by the host that was asked", () => {
    const slots = [
      [0, 100, ["", 7_000, "a"], [null, 7_001, "b"]],
      [101, 16_383, ["10.0.0.2", 7_002, "c", []], ["?", 7_003, "d"]]
    ]
    const map = readMap(slots, "cluster_state:ok\r\ncluster_current_epoch:12\r\n", { host: "asked", port: 7_001 })
    assert.deepStrictEqual(map, {
      epoch: 12,
      ranges: [
        { from: 0, to: 100, primary: "asked:7000", replicas: ["asked:7001"] },
        { from: 101, to: 16_383, primary: "10.0.0.2:7002", replicas: ["asked:7003"] }
      ]
    })
    const moved = (message: string) => redirection(message, { host: "asked", port: 1 })
    assert.deepStrictEqual(moved("MOVED 5 ::1:7000"), { slot: 5, name: "::1:7000", asking: false })
    assert.deepStrictEqual(moved("ASK 5 :7000"), { slot: 5, name: "asked:7000", asking: true })
    assert.isUndefined(moved("ERR MOVED 5 h:7000"))
  })

  it("leaves out a server whose address nobody knows, and asks others then", () => {
    const slots = [
      [0, 100, ["10.0.0.1", 7_000, "a"], ["", 0, "b"]],
      [101, 16_383, ["", 0, "c"]]
    ]
    const { ranges } = readMap(slots, "cluster_current_epoch:1\r\n", { host: "asked", port: 7_001 })
    assert.deepStrictEqual(ranges, [{ from: 0, to: 100, primary: "10.0.0.1:7000", replicas: [] }])
    assert.isUndefined(redirection("MOVED 5 :0", { host: "asked", port: 1 }))
  })

  it("finds the key of every command that the stream uses", () => {
    assert.strictEqual(keyIn("XREADGROUP", ["GROUP", "g", "c", "COUNT", 1, "STREAMS", "key", ">"]), "key")
    assert.strictEqual(keyIn("XGROUP", ["CREATE", "key", "g", "0"]), "key")
    assert.strictEqual(keyIn("XPENDING", ["key", "g"]), "key")
  })
})

describeValkey("a connection to a cluster", () => {
  const promise = (
    title: string,
    test: (cluster: TestValkeyCluster) => Effect.Effect<unknown, unknown, Scope.Scope>,
    timeout = 60_000
  ) => it.live(title, () => Effect.flatMap(makeTestValkeyCluster(), test), timeout)

  promise("takes every key to the server that has it, and knows the slot as the servers do", (cluster) =>
    Effect.gen(function* () {
      const connection = yield* connected(cluster)
      for (let stream = 0; stream < 20; stream++) {
        assert.strictEqual(yield* add(connection, stream, "a"), 1)
        const [node] = cluster.nodes
        const slot = yield* Effect.promise(() => node!.client.call("CLUSTER", "KEYSLOT", key(stream)))
        assert.strictEqual(slotOf(key(stream)), slot)
      }
      for (const odd of ["", "a", "{}a", "a{b", "}{x}{y}", "é{ß}"]) {
        const slot = yield* Effect.promise(() => cluster.nodes[0]!.client.call("CLUSTER", "KEYSLOT", odd))
        assert.strictEqual(slotOf(odd), slot)
      }
    })
  )

  promise("loses nothing and does nothing twice that was answered while slots move back and forth", (cluster) =>
    Effect.gen(function* () {
      const connection = yield* connected(cluster)
      const load = yield* loading(connection, 2)
      for (let round = 0; round < 4; round++) {
        for (const stream of [0, 1]) {
          const now = yield* cluster.primaryOf(key(stream))
          const others = cluster.nodes.slice(0, 3).filter((node) => node !== now)
          yield* cluster.moveSlot(key(stream), others[round % 2]!, Effect.sleep(100))
        }
      }
      const { answered, failed } = yield* load.end
      assert.deepStrictEqual(failed, [])
      assert.isAbove(answered.length, 20)
      yield* assertOnce(connection, answered)
    })
  )

  promise("finds a primary that took over in agreement, without a failure", (cluster) =>
    Effect.gen(function* () {
      const connection = yield* connected(cluster)
      const load = yield* loading(connection, 3)
      for (let round = 0; round < 2; round++) {
        yield* cluster.whole
        const [replica] = yield* cluster.replicasOf(yield* cluster.primaryOf(key(0)))
        yield* cluster.promote(replica!)
        // Nobody is elected in the place of the same primary twice in two seconds.
        yield* Effect.sleep("2 seconds")
      }
      const { answered, failed } = yield* load.end
      assert.deepStrictEqual(failed, [])
      yield* assertOnce(connection, answered)
    })
  )

  promise("finds the primary that replaces one that was killed, and the one that replaces that", (cluster) =>
    Effect.gen(function* () {
      const connection = yield* connected(cluster, { least: 1, patience: 30_000 })
      const load = yield* loading(connection, 3)
      for (let round = 0; round < 2; round++) {
        yield* cluster.whole
        const primary = yield* cluster.primaryOf(key(0))
        yield* primary.kill
        yield* cluster.settled([primary])
        yield* works(connection, 0)
        yield* primary.start
      }
      const { answered } = yield* load.end
      yield* assertThere(connection, answered)
    })
  )

  promise("leaves a primary that was paused once it is replaced", (cluster) =>
    Effect.gen(function* () {
      const connection = yield* connected(cluster, { least: 1, patience: 30_000 })
      const load = yield* loading(connection, 3)
      const primary = yield* cluster.primaryOf(key(0))
      yield* primary.pause
      yield* cluster.settled([primary])
      yield* works(connection, 0)
      yield* primary.resume
      yield* cluster.whole
      const { answered } = yield* load.end
      yield* assertThere(connection, answered)
    })
  )

  promise(
    "fails in time while most of the cluster is away, holds no more than its bound, and works again after",
    (cluster) =>
      Effect.gen(function* () {
        const connection = yield* connected(cluster, undefined, { silence: 1_500, maxBytesInFlight: 1_000 })
        yield* add(connection, 0, "first")
        for (const node of cluster.nodes) yield* node.kill
        const began = performance.now()
        const waiting = yield* Effect.forkChild(Effect.exit(add(connection, 0, "second", 900)))
        yield* Effect.sleep(200)
        const refused = yield* Effect.flip(add(connection, 0, "third", 900))
        assert.match(String(refused), /is slow: 900 bytes wait/)
        assert.strictEqual((yield* Fiber.join(waiting))._tag, "Failure")
        assert.isBelow(performance.now() - began, 30_000)
        for (const node of cluster.nodes) yield* node.start
        yield* works(connection, 0)
      })
  )
})

const connected = (
  cluster: TestValkeyCluster,
  replicas?: ReplicasWanted,
  more: { readonly silence?: number; readonly maxBytesInFlight?: number } = {}
) =>
  Effect.gen(function* () {
    const address = yield* readAddress(cluster.url)
    const wanted = replicas === undefined ? {} : { replicas }
    const connection = yield* open(address, {
      name: "test",
      silence: 5_000,
      maxBytesInFlight: 1 << 20,
      ...wanted,
      ...more
    })
    yield* Effect.promise(() => connection.ready(10_000))
    return connection
  })

const add = (connection: Connection, stream: number, text: string, bytes = 0) =>
  Effect.tryPromise({
    try: () => connection.run(ADD, key(stream), [text], bytes),
    catch: (error) => error
  })

/** Until it does. */
const works = (connection: Connection, stream: number) =>
  Effect.retry(add(connection, stream, "works"), { schedule: Schedule.spaced("100 millis"), times: 300 })

interface Added {
  readonly stream: number
  readonly text: string
}

/** Adds one after the other to each of so many streams, until its end. */
const loading = (connection: Connection, streams: number) =>
  Effect.gen(function* () {
    const answered: Array<Added> = []
    const failed: Array<string> = []
    let isOver = false
    const one = Effect.fnUntraced(function* (stream: number) {
      for (let n = 0; !isOver; n++) {
        const text = `${stream}/${n}`
        const exit = yield* Effect.exit(add(connection, stream, text))
        if (exit._tag === "Success") answered.push({ stream, text })
        else failed.push(String(exit.cause))
        yield* Effect.sleep(2)
      }
    })
    const fibers = yield* Effect.forEach(Array.from({ length: streams }).keys(), (stream) =>
      Effect.forkScoped(one(stream))
    )
    return {
      end: Effect.gen(function* () {
        isOver = true
        yield* Effect.forEach(fibers, Fiber.join)
        return { answered, failed }
      })
    }
  })

const membersOf = (connection: Connection, stream: number) =>
  Effect.promise(async () => new Set((await connection.call("SMEMBERS", key(stream))) as ReadonlyArray<string>))

const assertThere = (connection: Connection, answered: ReadonlyArray<Added>) =>
  Effect.gen(function* () {
    assert.isAbove(answered.length, 0)
    for (const stream of new Set(answered.map(({ stream }) => stream))) {
      yield* works(connection, stream)
      const there = yield* membersOf(connection, stream)
      const missing = answered.filter((one) => one.stream === stream && !there.has(one.text))
      assert.deepStrictEqual(missing, [])
    }
  })

/** Nothing failed, so each was done exactly once: the counter beside them says so. */
const assertOnce = (connection: Connection, answered: ReadonlyArray<Added>) =>
  Effect.gen(function* () {
    for (const stream of new Set(answered.map(({ stream }) => stream))) {
      const there = yield* membersOf(connection, stream)
      const mine = answered.filter((one) => one.stream === stream)
      assert.deepStrictEqual(there, new Set(mine.map(({ text }) => text)))
      const count = yield* Effect.promise(() => connection.call("GET", `${key(stream)}:rows`))
      assert.strictEqual(Number(count), mine.length)
    }
  })
