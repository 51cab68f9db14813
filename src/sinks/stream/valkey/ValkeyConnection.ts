/**
 * A connection to where the stream is kept, as what talks with it sees it: one server (`ValkeyServer.ts`), or a cluster
 * (`ValkeyCluster.ts`), with replicas that count or without (`ValkeyReplicas.ts`).
 *
 * It fails fast and sends nothing twice. Bound: at most `maxBytesInFlight` of arguments wait for an answer; a command beyond
 * fails at once.
 */
import { Clock, Effect, Random, type Scope } from "effect"
import { StreamUnavailable } from "../SnapshotStream.ts"
import type { ValkeyAddress } from "./ValkeyAddress.ts"
import { connectCluster } from "./ValkeyCluster.ts"
import { makeConfirmed } from "./ValkeyReplicas.ts"
import { dialServer, makeBound, type Script, type ServerConnection, type ServerOptions } from "./ValkeyServer.ts"

export interface ConnectionOptions {
  /** How the connection calls itself in `CLIENT LIST`. */
  readonly name: string
  /**
   * Milliseconds without a byte from the server, while it owes an answer, after which the connection is given up; in a cluster
   * also how long a command is tried again that no server has carried out.
   */
  readonly silence: number
  readonly maxBytesInFlight: number
  /** What `run` waits for beside the server's own answer: that replicas have it too (`ValkeyReplicas.ts`). */
  readonly replicas?: ReplicasWanted
}

export interface ReplicasWanted {
  /** So many of each primary's. */
  readonly least: number
  /** A primary that has fewer for so many milliseconds is taken at its word. */
  readonly patience: number
}

export interface Connection {
  /** Rejects with an error that says what is wrong with the connection, or with the server's own. */
  readonly call: (command: string, ...args: ReadonlyArray<string | number>) => Promise<unknown>
  /** The same for a command that names no key: to the server that has this one. */
  readonly callOn: (key: string, command: string, ...args: ReadonlyArray<string | number>) => Promise<unknown>
  /** Runs a script in one call; where the server does not know it, sends it along. `bytes`: the size of the arguments. */
  readonly run: (script: Script, key: string, args: ReadonlyArray<string | number>, bytes?: number) => Promise<unknown>
  /** Resolves once the server has taken the connection, rejects if that takes longer than `milliseconds`. */
  readonly ready: (milliseconds: number) => Promise<void>
  /** The server's id of the present connection, where it tells. */
  readonly clientId: () => number | undefined
  /** Servers that lack the replicas that are wanted, and are taken at their word: where they are. */
  readonly alone: () => ReadonlyArray<string>
  readonly close: () => void
}

/** Opens a connection that closes with the scope. It is under way, not there: see `ready`. */
export const open = (
  address: ValkeyAddress,
  options: ConnectionOptions
): Effect.Effect<Connection, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const random = yield* Random.Random
      const now = () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
      const dial = (to: ValkeyAddress, how: ServerOptions) => dialServer(to, how, random)
      return address.seeds === undefined
        ? single(address, dial(address, options), options, now)
        : connectCluster(address, address.seeds, options, { dial, now, random: () => random.nextDoubleUnsafe() })
    }),
    (connection) => Effect.sync(() => connection.close())
  )

/** All keys are on one server. */
const single = (
  address: ValkeyAddress,
  server: ServerConnection,
  options: ConnectionOptions,
  now: () => number
): Connection => {
  const { replicas, silence } = options
  const confirmed = replicas === undefined ? undefined : makeConfirmed(server, { ...replicas, silence, now })
  const bounded = makeBound(options.maxBytesInFlight, address.shown)
  return {
    call: (command, ...args) => server.perform({ command, args }),
    callOn: (_key, command, ...args) => server.perform({ command, args }),
    run: (script, key, args, bytes = 0) =>
      bounded(bytes, () => (confirmed ?? server).perform({ script, key, args, bytes })),
    ready: server.ready,
    clientId: server.clientId,
    alone: () => (confirmed?.isAlone() === true ? [address.shown] : []),
    close: server.close
  }
}

/** Turns a call into an Effect. Interrupting it stops waiting, not the server. */
export const attempt = <A>(operation: string, run: () => Promise<A>): Effect.Effect<A, StreamUnavailable> =>
  Effect.tryPromise({ try: run, catch: (cause) => new StreamUnavailable({ operation, cause }) })
