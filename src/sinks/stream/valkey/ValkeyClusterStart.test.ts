import { readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, expect, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { describeWith, makeAuthority } from "../../../../test/DebianServers.ts"
import { describeValkey, makeTestValkey } from "../../../../test/TestValkey.ts"
import { type ClusterNode, makeTestValkeyCluster } from "../../../../test/TestValkeyCluster.ts"
import { SnapshotStream } from "../SnapshotStream.ts"
import { layer } from "./SnapshotStreamValkey.ts"
import { keyOf, streamOf } from "./StreamNumber.ts"
import { slotOf } from "./ValkeyClusterMap.ts"
import { awaitValkey, describeCluster, VALKEY_CLUSTER_RIGHTS } from "./ValkeyStart.ts"

const asUser = (url: string) => url.replace("//", "//nodepulse:secret@")
const withRights = { user: `nodepulse on >secret ${VALKEY_CLUSTER_RIGHTS}` }

/** Something goes all the way through. */
const works = (url: string) =>
  Effect.gen(function* () {
    const stream = yield* SnapshotStream
    yield* stream.publish([{ serverId: "a", exporterName: "b", snapshots: ["c"] }])
    const consumer = yield* stream.subscribe("test")
    const [delivery] = yield* consumer.read(1)
    yield* consumer.acknowledge([delivery!])
    expect((yield* stream.stats).length).toBe(0)
  }).pipe(Effect.scoped, Effect.provide(layer({ url })))

describe("the rights in a cluster that the documentation names", () => {
  it("are those that are tested here", () => {
    const text = readFileSync(join(import.meta.dirname, "../../../../docs/deployment.md"), "utf8")
    expect(text.replaceAll(/\\\n\s*|'/g, "")).toContain(VALKEY_CLUSTER_RIGHTS)
  })
})

describeValkey("the start with a cluster", () => {
  it.live(
    "needs the rights that are documented on every server, and names the server and the right where one lacks",
    () =>
      Effect.gen(function* () {
        const { nodes, url } = yield* makeTestValkeyCluster({ settings: withRights })
        yield* awaitValkey({ url: asUser(url) })
        yield* works(asUser(url))
        const wrong = yield* Effect.flip(awaitValkey({ url: url.replace("//", "//nodepulse:other@") }))
        expect(wrong).toMatchObject({ _tag: "ValkeyUnfit", remedy: expect.stringContaining("user and password") })
        const replica = nodes[4]!
        for (const right of ["+wait", "+cluster|slots", "+xadd"]) {
          const rest = VALKEY_CLUSTER_RIGHTS.split(" ").filter((one) => one !== right)
          yield* Effect.promise(() =>
            replica.client.call("ACL", "SETUSER", "nodepulse", "reset", "on", ">secret", ...rest)
          )
          const error = yield* Effect.flip(awaitValkey({ url: asUser(url) }))
          expect(error._tag).toBe("ValkeyUnfit")
          expect(error.message).toContain(`${replica.name}: its user may not run ${right.slice(1)}`)
          expect(error.message).toContain(`ACL SETUSER <user> ${VALKEY_CLUSTER_RIGHTS}`)
        }
      })
  )

  it.live(
    "says what a cluster consists of and lacks, waits for it, and does not mistake one server for a cluster",
    () =>
      Effect.gen(function* () {
        const cluster = yield* makeTestValkeyCluster()
        const { url } = cluster
        const look = describeCluster({ url, replicas: 1, streams: 4 })
        expect(yield* look).toMatchObject({ saw: "a cluster of 3 primaries with 3 replicas", doubt: undefined })
        const [primary] = cluster.nodes
        const [replica] = yield* cluster.replicasOf(primary!)
        yield* replica!.kill
        expect(yield* look).toMatchObject({ doubt: `fewer than 1 replica of ${primary!.name} answer` })
        yield* awaitValkey({ url })
        yield* primary!.kill
        const error = yield* Effect.flip(awaitValkey({ url, within: "3 seconds" }))
        expect(error._tag).toBe("StreamUnavailable")
        yield* primary!.start
        yield* replica!.start
        yield* awaitValkey({ url, within: "30 seconds" })

        const single = url.replace("-cluster", "").replace(/,.*/, "")
        expect((yield* Effect.flip(awaitValkey({ url: single }))).message).toContain(
          "write redis-cluster:// in VALKEY_URL"
        )
        const alone = yield* makeTestValkey()
        const mistaken = yield* Effect.flip(awaitValkey({ url: alone.url.replace("redis:", "redis-cluster:") }))
        expect(mistaken.message).toContain("write redis:// instead of redis-cluster://")
      })
  )

  it.live(
    "says which streams a resharding left half moved, takes nothing for them alone, and goes on where it is ended",
    () =>
      Effect.gen(function* () {
        const cluster = yield* makeTestValkeyCluster()
        const { url } = cluster
        const key = keyOf(3)
        const slot = slotOf(key)
        const from = yield* cluster.primaryOf(key)
        const to = cluster.nodes.slice(0, 3).find((node) => node !== from)!
        const publish = Effect.gen(function* () {
          const stream = yield* SnapshotStream
          const to = (n: number) => Array.from({ length: 99 }, (_, i) => `s${i}`).find((one) => streamOf(one, 4) === n)!
          const row = (n: number) => [{ serverId: to(n), exporterName: "b", snapshots: ["c"] }]
          yield* stream.publish(row(0))
          // The first one waits for the slot until its time is over, and does not say for what.
          yield* Effect.ignore(stream.publish(row(3)))
          yield* Effect.sleep("500 millis")
          return yield* Effect.result(stream.publish(row(3)))
        }).pipe(Effect.scoped, Effect.provide(layer({ url, streams: 4, timeout: "1 second" }), { local: true }))
        yield* publish
        const say = ({ client }: ClusterNode, ...words: ReadonlyArray<string | number>) =>
          Effect.promise(() => client.call("CLUSTER", "SETSLOT", slot, ...words))
        yield* say(to, "IMPORTING", from.id)
        yield* say(from, "MIGRATING", to.id)
        const look = describeCluster({ url, replicas: 1, streams: 4 })
        expect(yield* look).toMatchObject({
          doubt: "the slot of stream 3 is half moved, so nothing is taken for it",
          remedy: expect.stringContaining("--cluster fix 127.0.0.1:")
        })
        yield* awaitValkey({ url, within: "5 seconds" })
        const refused = yield* publish
        assert(Result.isFailure(refused))
        expect(refused.failure.message).toContain(`slot ${slot} is half moved: TRYAGAIN`)
        yield* say(from, "STABLE")
        yield* say(to, "STABLE")
        expect(yield* look).toMatchObject({ doubt: undefined })
        assert(Result.isSuccess(yield* publish))
      })
  )
})

describeWith(["openssl"], "a cluster over TLS", () => {
  describeValkey("with an authority of one's own, a user and a password", () => {
    it.live("is found by one of its servers, follows slots that move, and outlives a failover", () =>
      Effect.gen(function* () {
        const authority = yield* makeAuthority
        const server = authority.issue("server", "IP:127.0.0.1")
        const cluster = yield* makeTestValkeyCluster({
          tls: true,
          settings: {
            ...withRights,
            "tls-cert-file": server.certFile,
            "tls-key-file": server.keyFile,
            "tls-ca-cert-file": authority.caFile,
            "tls-auth-clients": "no"
          }
        })
        const url = `${asUser(cluster.tlsUrl).replace(/,.*/, "")}?ca_file=${authority.caFile}`
        yield* awaitValkey({ url })
        yield* works(url)
        const key = "nodepulse:{0}:snapshots"
        const primary = yield* cluster.primaryOf(key)
        // Away from the one that the address names, which has to live on.
        yield* cluster.moveSlot(key, cluster.nodes.slice(1, 3).find((node) => node !== primary)!)
        yield* works(url)
        const now = yield* cluster.primaryOf(key)
        assert.notStrictEqual(now.name, primary.name)
        yield* now.kill
        yield* cluster.settled([now])
        yield* works(url)
      })
    )
  })
})
