/**
 * One look at all servers of a cluster: who has the slots, who follows whom, and whether each would let us do what we do. Any
 * replica may be the primary tomorrow, and users are not copied from server to server.
 *
 * Bound: at most {@link SERVERS_MAX} servers, {@link AT_ONCE} at a time; a server that does not answer in time is told as away,
 * and fails nothing: a cluster that lacks one does what it is for.
 */
import { Effect, type Scope } from "effect"
import type { StreamUnavailable } from "../SnapshotStream.ts"
import { keyOf, STREAMS_MAX } from "./StreamNumber.ts"
import { addressOf, type ValkeyAddress } from "./ValkeyAddress.ts"
import { HALF_MOVED } from "./ValkeyCluster.ts"
import { type ClusterMap, type Endpoint, endpointOf, readMap, uncovered } from "./ValkeyClusterMap.ts"
import { attempt, type Connection, open } from "./ValkeyConnection.ts"
import { script } from "./ValkeyServer.ts"

const SERVERS_MAX = 256
const AT_ONCE = 8
const ANSWER_WITHIN_MILLIS = 2_000
/** A slot that is only just moving is whole again by then. */
const HALF_MOVED_AFTER_MILLIS = 2_000

interface SeenServer {
  readonly name: string
  /** The server whose data it copies; undefined: it is a primary. */
  readonly follows: string | undefined
  /** Undefined: it does not answer; `reason` says why. */
  readonly found: FoundServer | undefined
  readonly reason: string
}

/** What one server says. */
export interface FoundServer {
  /** `INFO server`. */
  readonly info: string
  /** Commands that our user may not run there. */
  readonly lacking: ReadonlyArray<string>
}

export interface SeenCluster {
  /** Slots that nobody has. */
  readonly uncovered: number
  /** Primaries first, each with those that follow it behind. */
  readonly servers: ReadonlyArray<SeenServer>
}

/** Looks at one server, over a connection to it. */
type Look = (connection: Connection) => Promise<FoundServer>

/** Fails where none of the servers that the address names gives a map. */
export const lookAtCluster = (
  address: ValkeyAddress,
  seeds: ReadonlyArray<Endpoint>,
  look: Look
): Effect.Effect<SeenCluster, StreamUnavailable> =>
  Effect.gen(function* () {
    const map = yield* Effect.firstSuccessOf(seeds.map((seed) => mapOf(address, seed)))
    const servers = serversOf(map)
    return {
      uncovered: uncovered(map),
      servers: yield* Effect.forEach(servers, (server) => lookAt(address, server, look), { concurrency: AT_ONCE })
    }
  })

/** What lacks, for people; undefined: each primary has at least so many replicas that answer. */
export const lackingReplicas = ({ servers }: SeenCluster, least: number): string | undefined => {
  const lacking = servers.filter(
    ({ follows, name }) =>
      follows === undefined && servers.filter((one) => one.follows === name && one.found !== undefined).length < least
  )
  if (lacking.length === 0) return undefined
  return `fewer than ${least} replica${least === 1 ? "" : "s"} of ${lacking.map(({ name }) => name).join(", ")} answer`
}

const mapOf = (address: ValkeyAddress, seed: Endpoint): Effect.Effect<ClusterMap, StreamUnavailable> =>
  Effect.gen(function* () {
    const connection = yield* toServer(address, seed)
    return yield* attempt("connect", async () => {
      await connection.ready(ANSWER_WITHIN_MILLIS)
      const [slots, info] = await Promise.all([connection.call("CLUSTER", "SLOTS"), connection.call("CLUSTER", "INFO")])
      return readMap(slots, String(info), seed)
    })
  }).pipe(Effect.scoped)

/**
 * Those of the first so many streams whose slot is not wholly anywhere, as an interrupted resharding leaves it: nothing is taken
 * for them, nor given.
 */
export const halfMoved = (
  address: ValkeyAddress,
  streams: number
): Effect.Effect<ReadonlyArray<number>, StreamUnavailable> =>
  Effect.gen(function* () {
    const connection = yield* open(address, {
      name: "nodepulse-look",
      silence: HALF_MOVED_AFTER_MILLIS,
      maxBytesInFlight: 1 << 20
    })
    const isHalf = (stream: number) =>
      attempt("look", () => connection.run(NOTHING, keyOf(stream), [])).pipe(
        Effect.as(false),
        Effect.catch(({ message }) => Effect.succeed(HALF_MOVED.test(message)))
      )
    return yield* Effect.filter(Array.from({ length: streams }).keys(), isHalf, { concurrency: STREAMS_MAX })
  }).pipe(Effect.scoped)

/** It uses no key: the server looks itself whether it has all of them. */
const NOTHING = script("return 0")

interface ToLookAt {
  readonly name: string
  readonly follows: string | undefined
}

const serversOf = (map: ClusterMap): ReadonlyArray<ToLookAt> => {
  const found = new Map<string, ToLookAt>()
  for (const { primary, replicas } of map.ranges) {
    found.set(primary, { name: primary, follows: undefined })
    for (const name of replicas) found.set(name, { name, follows: primary })
  }
  return [...found.values()].slice(0, SERVERS_MAX)
}

const lookAt = (address: ValkeyAddress, { follows, name }: ToLookAt, look: Look): Effect.Effect<SeenServer> =>
  Effect.gen(function* () {
    const connection = yield* toServer(address, endpointOf(name))
    const found = yield* attempt("connect", async () => {
      await connection.ready(ANSWER_WITHIN_MILLIS)
      return await look(connection)
    })
    return { name, follows, found, reason: "" }
  }).pipe(
    Effect.scoped,
    Effect.catch(({ message }) => Effect.succeed({ name, follows, found: undefined, reason: message }))
  )

const toServer = (address: ValkeyAddress, endpoint: Endpoint): Effect.Effect<Connection, never, Scope.Scope> =>
  open(addressOf(address, endpoint), {
    name: "nodepulse-look",
    silence: ANSWER_WITHIN_MILLIS,
    maxBytesInFlight: 1 << 20
  })
