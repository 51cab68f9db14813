/**
 * A connection to a Valkey (or Redis) cluster: every command goes to the primary that has its key.
 *
 * Guarantees:
 * - What no server has carried out is tried again until `silence` has passed: no connection, a slot that has moved or is about
 *   to (`MOVED`, `ASK`, `TRYAGAIN`), a cluster or server that is not ready (`CLUSTERDOWN`, `LOADING`, …). Where that goes on for
 *   longer, commands fail at their first try. Nothing else is sent twice: a command whose connection breaks fails.
 * - A primary that was replaced is found as soon as its cluster has replaced it: the map (`ValkeyTopology.ts`) is read anew, from
 *   others than the server in trouble, whenever a command meets trouble and while a server owes an answer for long. What a
 *   server owes that is no primary any more fails then.
 * - One connection to each primary that is asked for something, closed when it is no primary any more: what waits on the server
 *   for one stream moves with its slot. Reads go to primaries too.
 *
 * Bound: `maxBytesInFlight` of arguments, those that wait to be tried again included.
 */
import { addressOf, type ValkeyAddress } from "./ValkeyAddress.ts"
import { type Endpoint, endpointOf, keyIn, redirection, slotOf } from "./ValkeyClusterMap.ts"
import type { Connection, ConnectionOptions } from "./ValkeyConnection.ts"
import { type Confirmed, makeConfirmed } from "./ValkeyReplicas.ts"
import { makeBound, NotSent, type ServerConnection, type Work } from "./ValkeyServer.ts"
import { type ClusterParts, makeTopology, pause } from "./ValkeyTopology.ts"

/** A first command waits so long for its connection, before it is tried again. */
const CONNECTED_WITHIN_MILLIS = 1_000
const LOOK_EVERY_MILLIS = 500

/** What a server says that has not done what it was asked, and will soon. An error within a script names the script. */
const NOT_DONE = /^(TRYAGAIN|CLUSTERDOWN|LOADING|MASTERDOWN|MOVED|ASK) (?!.* script: )/

/** What a command fails with whose slot stays between two servers. */
export const HALF_MOVED = /is half moved/

/** A primary that is asked for something. */
interface Node {
  readonly name: string
  readonly server: ServerConnection
  readonly confirmed: Confirmed | undefined
  /** Settles once it was connected, or was not for long. */
  readonly opening: Promise<void>
  /** How many answers it owes. */
  owed: number
  /** When it last answered, or was asked while it owed nothing. */
  heardAt: number
}

export const connectCluster = (
  address: ValkeyAddress,
  seeds: ReadonlyArray<Endpoint>,
  options: ConnectionOptions,
  { dial, now, random }: ClusterParts
): Connection => {
  const { silence } = options
  const nodes = new Map<string, Node>()
  const topology = makeTopology(address, seeds, options.name, { dial, now, random }, (name) =>
    nodes.get(name)?.confirmed?.promoted()
  )
  /** Since when nothing about a slot was carried out. */
  const troubled = new Map<number, number>()
  let last: Node | undefined
  let isClosed = false

  const nodeNamed = (name: string): Node => {
    const known = nodes.get(name)
    if (known !== undefined) return known
    const server = dial(addressOf(address, endpointOf(name)), options)
    const { replicas } = options
    const confirmed = replicas === undefined ? undefined : makeConfirmed(server, { ...replicas, silence, now })
    if (topology.isPromoted(name)) confirmed?.promoted()
    const opening = server.ready(CONNECTED_WITHIN_MILLIS).catch(() => {})
    const node = { name, server, confirmed, opening, owed: 0, heardAt: now() }
    nodes.set(name, node)
    return node
  }

  const drop = (node: Node) => {
    nodes.delete(node.name)
    node.server.close()
  }

  const ask = async (node: Node, work: Work, asking: boolean): Promise<unknown> => {
    await node.opening
    if (node.owed++ === 0) node.heardAt = now()
    last = node
    try {
      const to = "script" in work ? (node.confirmed ?? node.server) : node.server
      return await to.perform(work, asking)
    } finally {
      node.owed--
      node.heardAt = now()
    }
  }

  /** Sends it to whoever has the key, until somebody has done it, or it is unknown whether, or it is too late. */
  const perform = async (key: string, work: Work): Promise<unknown> => {
    const slot = slotOf(key)
    let firstFailedAt: number | undefined
    let askNext: string | undefined
    for (let tries = 1; ; tries++) {
      let node: Node | undefined
      try {
        if (isClosed) throw new Error(`the connection to ${address.shown} is closed`)
        node = nodeNamed(askNext ?? (await topology.primaryOf(slot)))
        const answer = await ask(node, work, askNext !== undefined)
        troubled.delete(slot)
        return answer
      } catch (error) {
        const { message } = error as Error
        const to = node === undefined ? undefined : redirection(message, endpointOf(node.name))
        if (to === undefined && !(error instanceof NotSent) && !NOT_DONE.test(message)) throw error
        firstFailedAt ??= now()
        if (to === undefined && !troubled.has(slot)) troubled.set(slot, firstFailedAt)
        if (now() - Math.min(firstFailedAt, troubled.get(slot) ?? firstFailedAt) >= silence) {
          // Nothing heals what a resharding leaves that was interrupted.
          throw message.startsWith("TRYAGAIN") ? new Error(`slot ${slot} is half moved: ${message}`) : error
        }
        askNext = to?.asking === true ? to.name : undefined
        if (to?.asking === false) topology.learn(to.slot, to.name)
        if (to === undefined) await topology.refresh(node?.name)
        // Two that each send to the other, or one that is not ready, are not asked without a pause.
        if (to === undefined || tries > 2) await pause(50 + 100 * random())
      }
    }
  }

  const looking = setInterval(() => {
    for (const node of nodes.values()) {
      const isStuck = node.owed > 0 && now() - node.heardAt > silence / 2
      if (isStuck) void topology.refresh(node.name)
      if (!topology.isPrimary(node.name) && (node.owed === 0 || isStuck)) drop(node)
    }
  }, LOOK_EVERY_MILLIS)

  const bounded = makeBound(options.maxBytesInFlight, address.shown)
  return {
    call: (command, ...args) => perform(keyIn(command, args), { command, args }),
    callOn: (key, command, ...args) => perform(key, { command, args }),
    run: (script, key, args, bytes = 0) => bounded(bytes, () => perform(key, { script, key, args, bytes })),
    ready: topology.ready,
    clientId: () => last?.server.clientId(),
    alone: () => [...nodes.values()].filter(({ confirmed }) => confirmed?.isAlone() === true).map(({ name }) => name),
    close: () => {
      isClosed = true
      clearInterval(looking)
      topology.close()
      for (const node of nodes.values()) drop(node)
    }
  }
}
