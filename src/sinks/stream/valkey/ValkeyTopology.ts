/**
 * What is known of a cluster's servers: which is the primary of a slot, which is none any more, which was a replica before.
 *
 * It is read from any of the servers (`CLUSTER SLOTS`), those that the address names and those that they told of, by short
 * connections of their own, so that it waits behind nothing. A map that is older than the one it has, by its epoch, is not
 * believed unless nobody has a newer one.
 *
 * Bounds: one reading at a time, at most every {@link REFRESH_EVERY_MILLIS}, of {@link ASKED_AT_ONCE} servers at once and
 * {@link ASKED_MAX} in all.
 */
import { addressOf, type ValkeyAddress } from "./ValkeyAddress.ts"
import { type ClusterMap, type Endpoint, endpointOf, nameOf, rangeOf, readMap } from "./ValkeyClusterMap.ts"
import { NotSent, type ServerConnection, type ServerOptions } from "./ValkeyServer.ts"

const REFRESH_EVERY_MILLIS = 200
/** A server has so long to answer. */
const ASKED_WITHIN_MILLIS = 2_000
const ASKED_AT_ONCE = 3
const ASKED_MAX = 12

/** What a cluster is talked to with. */
export interface ClusterParts {
  readonly dial: (to: ValkeyAddress, options: ServerOptions) => ServerConnection
  /** Monotonic milliseconds. */
  readonly now: () => number
  /** From 0 to 1. */
  readonly random: () => number
}

export interface Topology {
  /** The name of the server that has a slot, as far as is known. Rejects with {@link NotSent} where none is. */
  readonly primaryOf: (slot: number) => Promise<string>
  readonly isPrimary: (name: string) => boolean
  /** Whether it was seen as a replica before it was the primary that it is. */
  readonly isPromoted: (name: string) => boolean
  /** A server said where a slot is now. */
  readonly learn: (slot: number, name: string) => void
  /** Reads the map anew, from others than this server where there are any. Never rejects. */
  readonly refresh: (not?: string) => Promise<void>
  /** Resolves once there is a map, rejects if that takes longer than `milliseconds`. */
  readonly ready: (milliseconds: number) => Promise<void>
  readonly close: () => void
}

export const pause = (millis: number) => new Promise<void>((resolve) => setTimeout(resolve, millis))

export const makeTopology = (
  address: ValkeyAddress,
  seeds: ReadonlyArray<Endpoint>,
  client: string,
  { dial, now, random }: ClusterParts,
  /** Told of a replica that is a primary now. */
  onPromoted: (name: string) => void
): Topology => {
  const roles = new Map<string, "primary" | "replica" | "promoted">()
  let map: ClusterMap = { ranges: [], epoch: 0 }
  /** What servers said after the map was read. */
  const moved = new Map<number, string>()
  let failure = new NotSent(`no connection to ${address.shown}`)
  let refreshing: Promise<void> | undefined
  let refreshedAt = Number.NEGATIVE_INFINITY
  let isClosed = false

  const becomes = (name: string, role: "primary" | "replica") => {
    const before = roles.get(name)
    if (role === "replica") roles.set(name, role)
    else if (before === undefined) roles.set(name, role)
    else if (before === "replica") {
      roles.set(name, "promoted")
      onPromoted(name)
    }
  }

  const adopt = (read: ClusterMap) => {
    map = read
    moved.clear()
    const primaries = new Set(read.ranges.map(({ primary }) => primary))
    const replicas = new Set(read.ranges.flatMap(({ replicas }) => replicas))
    for (const name of roles.keys()) if (!primaries.has(name) && !replicas.has(name)) roles.delete(name)
    for (const name of replicas) if (!primaries.has(name)) becomes(name, "replica")
    for (const name of primaries) becomes(name, "primary")
  }

  const read = async (name: string, server: ServerConnection): Promise<ClusterMap> => {
    await server.ready(ASKED_WITHIN_MILLIS)
    const ask = (what: string) => server.perform({ command: "CLUSTER", args: [what] })
    const [slots, info] = await Promise.all([ask("SLOTS"), ask("INFO")])
    const found = readMap(slots, String(info), endpointOf(name))
    if (found.epoch < map.epoch) throw new Error(`${name} knows only an older map of the cluster`)
    if (found.ranges.length === 0) throw new Error(`${name} is in no cluster that has slots`)
    return found
  }

  /** The first map that one of these has. */
  const readAny = async (names: ReadonlyArray<string>): Promise<ClusterMap> => {
    const asked = names.map((name) => {
      const server = dial(addressOf(address, endpointOf(name)), { name: client, silence: ASKED_WITHIN_MILLIS })
      return { name, server }
    })
    try {
      return await Promise.any(asked.map(({ name, server }) => read(name, server)))
    } finally {
      for (const { server } of asked) server.close()
    }
  }

  /** Whom to ask, in which order: whom we know, then whom the address names; last who is in trouble. */
  const candidates = (not: string | undefined): ReadonlyArray<string> => {
    const known = [...roles.keys()].map((name) => ({ name, at: random() })).toSorted((a, b) => a.at - b.at)
    const all = new Set([...known.map(({ name }) => name), ...seeds.map(nameOf)])
    if (not !== undefined && all.delete(not)) all.add(not)
    return [...all].slice(0, ASKED_MAX)
  }

  const readAnew = async (not: string | undefined): Promise<void> => {
    await pause(Math.max(0, refreshedAt + REFRESH_EVERY_MILLIS - now()))
    const names = candidates(not)
    const errors: Array<Error> = []
    for (let at = 0; at < names.length && !isClosed; at += ASKED_AT_ONCE) {
      try {
        adopt(await readAny(names.slice(at, at + ASKED_AT_ONCE)))
        refreshedAt = now()
        return
      } catch (error) {
        errors.push(...(error as AggregateError).errors)
      }
    }
    // Whoever answers next is believed, so that a cluster that was made anew is taken.
    map = { ...map, epoch: 0 }
    refreshedAt = now()
    const reason = errors.find(({ message }) => !message.includes("ECONNREFUSED")) ?? errors[0]
    failure = new NotSent(reason?.message ?? `no connection to ${address.shown}`)
  }

  const refresh = (not?: string): Promise<void> => {
    refreshing ??= readAnew(not).finally(() => {
      refreshing = undefined
    })
    return refreshing
  }
  void refresh()

  return {
    primaryOf: async (slot) => {
      if (map.ranges.length === 0) await refresh()
      if (map.ranges.length === 0) throw failure
      const name = moved.get(slot) ?? rangeOf(map, slot)?.primary
      if (name === undefined) throw new NotSent(`no server of ${address.shown} has slot ${slot}`)
      return name
    },
    isPrimary: (name) => {
      const role = roles.get(name)
      return role === "primary" || role === "promoted"
    },
    isPromoted: (name) => roles.get(name) === "promoted",
    learn: (slot, name) => {
      moved.set(slot, name)
      becomes(name, "primary")
      void refresh()
    },
    refresh,
    ready: async (milliseconds) => {
      const until = now() + milliseconds
      while (map.ranges.length === 0) {
        await Promise.race([refresh(), pause(Math.max(0, until - now()))])
        if (map.ranges.length === 0 && now() >= until) throw new Error(failure.message)
      }
    },
    close: () => {
      isClosed = true
    }
  }
}
