/**
 * Where the judge has the stream kept, and what may happen to it there: one Valkey behind a connection that can be cut, or a
 * cluster of three primaries with a replica each, whose primaries fail one at a time, and whose slots move, also to a primary that was just added.
 *
 * In a cluster the next primary fails only when the last one has come back and copied what it missed: the promise is about one
 * failure, and what a promoted primary takes alone is in one place.
 */
import { Effect, type Scope, Semaphore } from "effect"
import { keyOf } from "../../src/sinks/stream/valkey/StreamNumber.ts"
import { makeTestValkey } from "../TestValkey.ts"
import {
  type ClusterNode,
  makeTestValkeyCluster,
  reshardThereAndBack,
  type TestValkeyCluster
} from "../TestValkeyCluster.ts"
import type { Chance } from "./Chance.ts"
import { type Link, makeLink } from "./Link.ts"

/** What can be killed or stopped, and comes back. */
export interface Victim {
  readonly name: string
  readonly kill: Effect.Effect<void>
  readonly restart: Effect.Effect<void>
  readonly pause: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
}

export interface StreamPlace {
  /** What the programs are told. */
  readonly env: Readonly<Record<string, string>>
  readonly streams: number
  readonly ingests: number
  readonly digests: number
  /** Where it is one. */
  readonly cluster?: TestValkeyCluster
  readonly victim: Victim
  readonly cuts: ReadonlyArray<readonly [what: string, Effect.Effect<void>]>
  /** Entries that are there, and those of them that were handed out. */
  readonly left: () => Promise<readonly [length: number, pending: number]>
}

export const held = (link: Link, chance: Chance) =>
  Effect.suspend(() => {
    const millis = chance.between(1_000, 15_000)
    link.hold()
    return Effect.andThen(Effect.sleep(millis), Effect.sync(link.letGo))
  })

export const inOneValkey = (chance: Chance): Effect.Effect<StreamPlace, never, Scope.Scope> =>
  Effect.gen(function* () {
    const valkey = yield* makeTestValkey({ appendOnly: true, appendFsync: "always" })
    const link = yield* makeLink({ port: valkey.port })
    return {
      env: { VALKEY_URL: `redis://127.0.0.1:${link.port}` },
      streams: 1,
      ingests: 1,
      digests: 2,
      victim: {
        name: "valkey",
        kill: valkey.kill,
        restart: valkey.start,
        pause: valkey.pause,
        resume: valkey.resume
      },
      cuts: [
        ["cut: connections to valkey", Effect.sync(() => void link.cut())],
        ["hold: connections to valkey", held(link, chance)]
      ],
      left: () => leftOf(valkey.client, keyOf(0))
    }
  })

const STREAMS = 4

export const inCluster = (chance: Chance): Effect.Effect<StreamPlace, never, Scope.Scope> =>
  Effect.gen(function* () {
    const cluster = yield* makeTestValkeyCluster({ appendOnly: true, appendFsync: "always" })
    const one = Semaphore.makeUnsafe(1)
    let away: ClusterNode | undefined
    const someStream = Effect.sync(() => keyOf(chance.between(0, STREAMS - 1)))
    const leaves = (how: (node: ClusterNode) => Effect.Effect<void>) =>
      one.withPermit(
        Effect.gen(function* () {
          away = yield* cluster.primaryOf(yield* someStream)
          yield* how(away)
        })
      )
    const comesBack = (how: (node: ClusterNode) => Effect.Effect<void>) =>
      Effect.gen(function* () {
        yield* how(away!)
        yield* cluster.whole
        away = undefined
      })
    const move = one.withPermit(
      Effect.gen(function* () {
        // Who reshards a cluster does not while a part of it is away.
        if (away !== undefined) return
        const key = yield* someStream
        const from = yield* cluster.primaryOf(key)
        const others = yield* Effect.forEach(["a", "b", "c", "d", "e", "f"], cluster.primaryOf)
        const to = others.find((node) => node !== from)
        if (to !== undefined) yield* cluster.moveSlot(key, to, Effect.sleep(100))
      })
    )
    const reshard = one.withPermit(
      Effect.suspend(() => {
        if (away !== undefined) return Effect.void
        const keys = Array.from({ length: STREAMS }, (_, stream) => keyOf(stream)).filter(
          () => chance.between(0, 1) === 1
        )
        return keys.length === 0 ? Effect.void : reshardThereAndBack(cluster, keys, { half: Effect.sleep(100) })
      })
    )
    return {
      env: { VALKEY_URL: cluster.url, NODEPULSE_STREAMS: String(STREAMS) },
      streams: STREAMS,
      ingests: 2,
      digests: 3,
      cluster,
      victim: {
        name: "a primary of valkey",
        kill: leaves(({ kill }) => kill),
        restart: comesBack(({ start }) => start),
        pause: leaves(({ pause }) => pause),
        resume: comesBack(({ resume }) => resume)
      },
      cuts: [
        ["move: a slot with a stream in it", move],
        ["reshard: some streams to a new primary and back", reshard]
      ],
      left: async () => {
        const all = await Promise.all(
          Array.from({ length: STREAMS }, async (_, stream) => {
            const { client } = await Effect.runPromise(cluster.primaryOf(keyOf(stream)))
            return leftOf(client, keyOf(stream))
          })
        )
        return [all.reduce((sum, [length]) => sum + length, 0), all.reduce((sum, [, pending]) => sum + pending, 0)]
      }
    }
  })

const leftOf = async (
  client: { readonly call: (command: string, ...args: ReadonlyArray<string>) => Promise<unknown> },
  key: string
): Promise<readonly [length: number, pending: number]> => {
  const length = Number(await client.call("XLEN", key))
  // A stream that nobody ever published to has no group.
  const summary = (await client.call("XPENDING", key, "digest").catch(() => [0])) as ReadonlyArray<number>
  return [length, summary[0] ?? 0]
}
