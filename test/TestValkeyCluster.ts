/**
 * A real Valkey (or Redis) cluster for tests: three primaries with a replica each, in cluster mode on loopback, each a server of
 * `TestValkey.ts`. Ended and removed with its scope.
 *
 * A primary that is silent for a second is replaced by its replica, two to three seconds after.
 */
import { Effect, type Scope } from "effect"
import { SLOTS, slotOf } from "../src/sinks/stream/valkey/ValkeyClusterMap.ts"
import { infoOf } from "../src/sinks/stream/valkey/ValkeyInfo.ts"
import { claimPort } from "./Ports.ts"
import { makeTestValkey, type TestValkey, type TestValkeyOptions } from "./TestValkey.ts"

export interface ClusterNode extends TestValkey {
  readonly id: string
  /** What users of the cluster know it by. */
  readonly name: string
  readonly tlsPort: number | undefined
}

interface Node extends ClusterNode {
  /** Where the others of the cluster find it. */
  readonly bus: number
}

export interface TestValkeyCluster {
  /** Names the first two servers. */
  readonly url: string
  /** The same over TLS, where it was asked for. */
  readonly tlsUrl: string
  readonly nodes: ReadonlyArray<ClusterNode>
  /** Who has the slot of this key, as the servers that answer have it. */
  readonly primaryOf: (key: string) => Effect.Effect<ClusterNode>
  readonly replicasOf: (primary: ClusterNode) => Effect.Effect<ReadonlyArray<ClusterNode>>
  /** Waits until all slots are served, by others than `but`, and every server that answers agrees. */
  readonly settled: (but?: ReadonlyArray<ClusterNode>) => Effect.Effect<void>
  /** As {@link settled}, and every primary has a replica that has all of it. */
  readonly whole: Effect.Effect<void>
  /** A replica takes its primary's place, in agreement with it. */
  readonly promote: (replica: ClusterNode) => Effect.Effect<void>
  /** Moves the slot of a key with all that is in it, as `--cluster reshard` does. `between`: while it is half there. */
  readonly moveSlot: (key: string, to: ClusterNode, between?: Effect.Effect<unknown>) => Effect.Effect<void>
  /** The same for slots, one after the other, from whoever has them. */
  readonly moveSlots: (
    slots: ReadonlyArray<number>,
    to: ClusterNode,
    between?: Effect.Effect<unknown>
  ) => Effect.Effect<void>
  /** A primary more, without slots and without a replica, as `--cluster add-node` does; {@link nodes} has it too. */
  readonly add: Effect.Effect<ClusterNode, never, Scope.Scope>
  /** Sends one away that has no slots any more, as `--cluster del-node` does. It goes on as a cluster of its own. */
  readonly remove: (node: ClusterNode) => Effect.Effect<void>
}

export interface TestValkeyClusterOptions extends TestValkeyOptions {
  /** Each server has a port for TLS too; its files are among the settings. */
  readonly tls?: boolean
}

export const makeTestValkeyCluster = (
  options: TestValkeyClusterOptions = {}
): Effect.Effect<TestValkeyCluster, never, Scope.Scope> =>
  Effect.gen(function* () {
    const nodes = yield* Effect.forEach(Array.from({ length: 6 }).keys(), () => makeNode(options), {
      concurrency: "unbounded"
    })
    yield* Effect.promise(() => join(nodes))
    const cluster = operate(nodes, makeNode(options))
    yield* cluster.whole
    return cluster
  })

const makeNode = (options: TestValkeyClusterOptions) =>
  Effect.gen(function* () {
    const bus = yield* Effect.promise(claimPort)
    const tlsPort = options.tls === true ? yield* Effect.promise(claimPort) : undefined
    const server = yield* makeTestValkey({
      ...options,
      settings: {
        "cluster-enabled": "yes",
        "cluster-port": String(bus),
        "cluster-node-timeout": "1000",
        "repl-diskless-sync-delay": "0",
        // A replica that has never been sent anything is not shown.
        "repl-ping-replica-period": "1",
        ...(tlsPort === undefined
          ? {}
          : { "tls-port": String(tlsPort), "tls-cluster": "yes", "tls-replication": "yes" }),
        ...options.settings
      }
    })
    const id = String(yield* Effect.promise(() => server.client.call("CLUSTER", "MYID")))
    return { ...server, id, bus, tlsPort, name: `127.0.0.1:${server.port}` }
  })

/** Makes strangers a cluster: the first three get the slots, the others follow one each. */
const join = async (nodes: ReadonlyArray<Node>): Promise<void> => {
  const [first] = nodes
  for (const [n, { client }] of nodes.entries()) {
    await client.call("CLUSTER", "SET-CONFIG-EPOCH", n + 1)
    if (n < 3) {
      const from = Math.ceil((SLOTS * n) / 3)
      await client.call("CLUSTER", "ADDSLOTSRANGE", from, Math.ceil((SLOTS * (n + 1)) / 3) - 1)
    }
    if (n > 0) await client.call("CLUSTER", "MEET", "127.0.0.1", first!.tlsPort ?? first!.port, first!.bus)
  }
  await until(async () => {
    const known = await Promise.all(
      nodes.map(async ({ client }) => infoOf(String(await client.call("CLUSTER", "INFO"))))
    )
    return known.every((info) => info("cluster_known_nodes") === String(nodes.length))
  })
  for (const [n, { client }] of nodes.entries()) {
    if (n < 3) continue
    await until(async () => (await client.call("CLUSTER", "REPLICATE", nodes[n - 3]!.id)) === "OK")
  }
}

const operate = (nodes: Array<Node>, makeAnother: Effect.Effect<Node, never, Scope.Scope>): TestValkeyCluster => {
  /** Who has which slots and who follows, by somebody who answers. */
  const view = async (by?: ClusterNode): Promise<ReadonlyArray<Seen>> => {
    const ask = ({ client }: ClusterNode) => within(500, client.call("CLUSTER", "NODES"))
    const text = String(await (by === undefined ? Promise.any(nodes.map(ask)) : ask(by)))
    return text.trim().split("\n").map(seen)
  }
  const nodeOf = (id: string): ClusterNode => nodes.find((node) => node.id === id)!
  const primaryOf = async (key: string): Promise<ClusterNode> => {
    const slot = slotOf(key)
    let found: Seen | undefined
    await until(async () => {
      found = (await view()).find((one) => one.isAlive && one.ranges.some(([from, to]) => from <= slot && slot <= to))
      return found !== undefined
    })
    return nodeOf(found!.id)
  }

  const isSettled = async (but: ReadonlyArray<ClusterNode>): Promise<boolean> => {
    const living = nodes.filter((node) => !but.includes(node))
    const views = await Promise.all(living.map((node) => view(node)))
    const infos = await Promise.all(
      living.map(async ({ client }) => infoOf(String(await client.call("CLUSTER", "INFO"))))
    )
    const owners = views.map((one) =>
      JSON.stringify(
        one
          .filter(({ ranges }) => ranges.length > 0)
          .map(({ id, ranges }) => [id, ranges])
          .toSorted()
      )
    )
    const isAway = (id: string) => but.some((node) => node.id === id)
    return (
      infos.every((info) => info("cluster_state") === "ok") &&
      new Set(owners).size === 1 &&
      views[0]!.every(({ id, ranges }) => ranges.length === 0 || !isAway(id))
    )
  }

  const isWhole = async (): Promise<boolean> => {
    if (!(await isSettled([]))) return false
    const slots = await Promise.all(nodes.map(({ client }) => client.call("CLUSTER", "SLOTS")))
    // Who has a part, and its replica.
    const isShown = (ranges: unknown) =>
      (ranges as ReadonlyArray<ReadonlyArray<unknown>>).every(({ length }) => length === 4)
    if (!slots.every(isShown)) return false
    const infos = await Promise.all(
      nodes.map(async ({ client }) => infoOf(String(await client.call("INFO", "replication"))))
    )
    return infos.every((info) =>
      info("role") === "master" ? /state=online/.test(info("slave0") ?? "") : info("master_link_status") === "up"
    )
  }

  const moveSlot = async (
    slot: number,
    from: ClusterNode,
    to: ClusterNode,
    between: Effect.Effect<unknown>
  ): Promise<void> => {
    await to.client.call("CLUSTER", "SETSLOT", slot, "IMPORTING", from.id)
    await from.client.call("CLUSTER", "SETSLOT", slot, "MIGRATING", to.id)
    const keys = (await from.client.call("CLUSTER", "GETKEYSINSLOT", slot, 1_000)) as ReadonlyArray<string>
    for (const one of keys) {
      await from.client.call("MIGRATE", "127.0.0.1", to.tlsPort ?? to.port, one, 0, 60_000)
      await Effect.runPromise(between)
    }
    const tell = (node: ClusterNode) => node.client.call("CLUSTER", "SETSLOT", slot, "NODE", to.id)
    await tell(to)
    // Replicas learn it from their primaries, and refuse: one that has just given its last slot away too.
    await tell(from).catch(() => {})
    await Promise.all(nodes.map((node) => (node === to || node === from ? undefined : tell(node).catch(() => {}))))
  }

  const moveSlots = async (
    slots: ReadonlyArray<number>,
    to: ClusterNode,
    between: Effect.Effect<unknown> = Effect.void
  ): Promise<void> => {
    const all = await view()
    for (const slot of slots) {
      const from = all.find(({ ranges }) => ranges.some(([first, last]) => first <= slot && slot <= last))!
      if (from.id !== to.id) await moveSlot(slot, nodeOf(from.id), to, between)
    }
  }

  const add = async (node: Node): Promise<ClusterNode> => {
    const [first] = nodes
    await node.client.call("CLUSTER", "MEET", "127.0.0.1", first!.tlsPort ?? first!.port, first!.bus)
    nodes.push(node)
    await until(async () => {
      const views = await Promise.all(nodes.map((one) => view(one)))
      const info = infoOf(String(await node.client.call("CLUSTER", "INFO")))
      return (
        info("cluster_state") === "ok" &&
        views.every((one) => one.filter(({ isAlive }) => isAlive).length === nodes.length)
      )
    })
    return node
  }

  const remove = async (node: ClusterNode): Promise<void> => {
    nodes.splice(nodes.indexOf(node as Node), 1)
    for (const { client } of nodes) await client.call("CLUSTER", "FORGET", node.id)
    await node.client.call("CLUSTER", "RESET", "SOFT")
  }

  return {
    url: `redis-cluster://${nodes[0]!.name},${nodes[1]!.name}`,
    tlsUrl: `rediss-cluster://127.0.0.1:${nodes[0]!.tlsPort},127.0.0.1:${nodes[1]!.tlsPort}`,
    nodes,
    primaryOf: (key) => Effect.promise(() => primaryOf(key)),
    replicasOf: (primary) =>
      Effect.promise(async () => {
        let found: ReadonlyArray<ClusterNode> = []
        await until(async () => {
          found = (await view(primary)).filter(({ follows }) => follows === primary.id).map(({ id }) => nodeOf(id))
          return found.length > 0
        })
        return found
      }),
    settled: (but = []) => Effect.promise(() => until(() => isSettled(but))),
    whole: Effect.promise(() => until(isWhole)),
    promote: ({ client, id }) =>
      Effect.promise(async () => {
        const isPrimary = async () => (await view()).some((one) => one.id === id && one.ranges.length > 0)
        // A slow machine may not come to it in the time that the servers give each other.
        while (!(await isPrimary())) {
          await client.call("CLUSTER", "FAILOVER").catch(() => {})
          await until(isPrimary, 6_000).catch(() => {})
        }
      }),
    moveSlot: (key, to, between) => Effect.promise(() => moveSlots([slotOf(key)], to, between)),
    moveSlots: (slots, to, between) => Effect.promise(() => moveSlots(slots, to, between)),
    add: Effect.flatMap(makeAnother, (node) => Effect.promise(() => add(node))),
    remove: (node) => Effect.promise(() => remove(node))
  }
}

/**
 * A primary is added, gets the slots of these keys with all that is in them, gives them back to who has the first now, and is sent away.
 * `half`: while a slot is half there; `there`: while the new one has all of them.
 */
export const reshardThereAndBack = (
  cluster: TestValkeyCluster,
  keys: ReadonlyArray<string>,
  { half = Effect.void, there = Effect.void }: { half?: Effect.Effect<unknown>; there?: Effect.Effect<unknown> } = {}
): Effect.Effect<void> =>
  Effect.gen(function* () {
    // One beside each: a slot without anything in it moves too.
    const slots = keys.map(slotOf).flatMap((slot) => [slot, (slot + 1) % SLOTS])
    const from = yield* cluster.primaryOf(keys[0]!)
    const added = yield* cluster.add
    yield* cluster.moveSlots(slots, added, half)
    yield* there
    yield* cluster.moveSlots(slots, from, half)
    yield* cluster.settled()
    yield* cluster.remove(added)
  }).pipe(Effect.scoped)

interface Seen {
  readonly id: string
  readonly follows: string | undefined
  readonly isAlive: boolean
  readonly ranges: ReadonlyArray<readonly [from: number, to: number]>
}

/** A line of `CLUSTER NODES`. */
const seen = (line: string): Seen => {
  const [id = "", , flags = "", follows = "", , , , , ...slots] = line.split(" ")
  return {
    id,
    follows: follows === "-" ? undefined : follows,
    isAlive: !/fail|noaddr|handshake/.test(flags),
    ranges: slots
      .filter((slot) => !slot.startsWith("["))
      .map((slot) => {
        const [from = 0, to = from] = slot.split("-").map(Number)
        return [from, to] as const
      })
  }
}

const within = <A>(millis: number, answer: Promise<A>): Promise<A> =>
  Promise.race([
    answer,
    new Promise<never>((_, reject) => setTimeout(() => reject(new Error(`no answer in ${millis} ms`)), millis))
  ])

/** Until it is true; what fails in between is asked again. */
const until = async (isTrue: () => Promise<boolean>, millis = 60_000): Promise<void> => {
  const deadline = performance.now() + millis
  while (!(await isTrue().catch(() => false))) {
    if (performance.now() > deadline) throw new Error("the cluster does not come to what a test waits for")
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
