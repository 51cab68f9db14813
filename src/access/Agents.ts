/**
 * What agents tell about themselves: who writes for a server (`AgentHolder.ts` has the rules), how its clock goes, which of
 * its exporters are not known here. Over a store that several processes share, so that those behind a balancer decide alike.
 *
 * A state is read at most every {@link REMEMBERED_MILLIS} a server, and written when it changes: with the version that was
 * read, so that of two processes that decide at the same time one decides again. A holder that reports writes once a minute.
 *
 * While the store is away each process decides by what it knew last, and goes on in memory: two machines are not mixed
 * meanwhile, and who is not known at all may write, as the stream is there to take what comes. A try that fails costs
 * {@link ANSWER_WITHIN} once in {@link REST_MILLIS}, for all servers together, not once a push.
 *
 * Bound: as many states as `REMEMBERED_COST_MAX` allows; what is forgotten is read again.
 */
import { Clock, Context, Effect, Layer, Result } from "effect"
import type { AgentHello } from "../protocol/AgentHello.ts"
import { printable } from "../protocol/PrintableText.ts"
import { makeRecentMap } from "../sinks/postgres/RecentMap.ts"
import type { DatabaseUnavailable } from "../sinks/storage/DatabaseUnavailable.ts"
import { type AgentState, decide, NO_AGENT, type Verdict, withUnknown } from "./AgentHolder.ts"

export class Agents extends Context.Service<
  Agents,
  {
    /** Whether this agent may write for the server. */
    readonly greet: (serverId: string, hello: AgentHello) => Effect.Effect<Verdict>
    /** Notes exporters that an agent sent and that are not known here. */
    readonly unknownExporters: (serverId: string, exporters: ReadonlyArray<string>) => Effect.Effect<void>
    /** By the server's id. */
    readonly all: Effect.Effect<ReadonlyMap<string, AgentState>, DatabaseUnavailable>
  }
>()("nodepulse/access/Agents") {
  /** In this process alone: for tests and benches. */
  static readonly layerMemory: Layer.Layer<Agents> = Layer.effect(
    Agents,
    Effect.suspend(() => makeAgents(memoryStore()))
  )
}

/** Where states are kept. */
export interface AgentStore {
  /** Version 0: there is none yet. */
  readonly read: (
    serverId: string
  ) => Effect.Effect<{ readonly state: AgentState; readonly version: number }, DatabaseUnavailable>
  /** Whether it was written as the next version: not where `version` is no longer the last. */
  readonly write: (serverId: string, version: number, state: AgentState) => Effect.Effect<boolean, DatabaseUnavailable>
  readonly all: Effect.Effect<ReadonlyMap<string, AgentState>, DatabaseUnavailable>
}

/** Less than the patience of any rival, so that a holder learns in time that it is contended. */
const REMEMBERED_MILLIS = 5_000
const REMEMBERED_COST_MAX = 20_000 * 2 * (64 + 64)
const ANSWER_WITHIN = "2 seconds"
const REST_MILLIS = 10_000
/** Processes that decide at the same time; in each round one of them is done. */
const ROUNDS_MAX = 4

/** What follows from a state; the same state where nothing is to be written. */
type Next<A> = (state: AgentState, now: number) => { readonly state: AgentState; readonly answer: A }

export const makeAgents = (store: AgentStore): Effect.Effect<Agents["Service"]> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const known = makeRecentMap<{ readonly state: AgentState; readonly version: number; readonly readAt: number }>(
      REMEMBERED_COST_MAX
    )
    /** The last sequence of a start that this process has seen: states are written less often. */
    const sequences = makeRecentMap<{ readonly start: string; readonly sequence: number }>(REMEMBERED_COST_MAX)
    let restUntil = 0

    const read = (serverId: string) =>
      Effect.map(store.read(serverId), (stored) => ({ ...stored, readAt: clock.currentTimeMillisUnsafe() }))

    /** Decides, and writes what changed; again where another process was first. */
    const change = Effect.fnUntraced(function* <A>(serverId: string, next: Next<A>) {
      const remembered = known.get(serverId)
      let current =
        remembered !== undefined && clock.currentTimeMillisUnsafe() - remembered.readAt < REMEMBERED_MILLIS
          ? remembered
          : yield* read(serverId)
      for (let round = 0; ; round++) {
        const { answer, state } = next(current.state, clock.currentTimeMillisUnsafe())
        if (state === current.state) {
          known.set(serverId, current)
          return answer
        }
        if (yield* store.write(serverId, current.version, state)) {
          known.set(serverId, { state, version: current.version + 1, readAt: clock.currentTimeMillisUnsafe() })
          return answer
        }
        if (round >= ROUNDS_MAX) return answer
        current = yield* read(serverId)
      }
    })

    /** The same; where the store does not answer, by what was known last. */
    const changeOrTrust = Effect.fnUntraced(function* <A>(serverId: string, next: Next<A>) {
      if (clock.currentTimeMillisUnsafe() >= restUntil) {
        const changed = yield* Effect.result(Effect.timeout(change(serverId, next), ANSWER_WITHIN))
        if (Result.isSuccess(changed)) return changed.success
        restUntil = clock.currentTimeMillisUnsafe() + REST_MILLIS
      }
      const last = known.get(serverId)
      const { answer, state } = next(last?.state ?? NO_AGENT, clock.currentTimeMillisUnsafe())
      known.set(serverId, { state, version: last?.version ?? 0, readAt: Number.NEGATIVE_INFINITY })
      return answer
    })

    const greet = Effect.fnUntraced(function* (serverId: string, hello: AgentHello) {
      const last = sequences.get(serverId)
      if (last?.start === hello.start && hello.sequence <= last.sequence) return REPLAYED
      const { event, verdict } = yield* changeOrTrust(serverId, (state, now) => {
        const decision = decide(state, hello, now)
        return { state: decision.state, answer: decision }
      })
      if (event !== undefined) {
        const log = event.level === "warning" ? Effect.logWarning : Effect.logInfo
        yield* log(`server ${printable(serverId)}: ${event.text}`)
      }
      if (verdict._tag === "Holder") sequences.set(serverId, { start: hello.start, sequence: hello.sequence })
      return verdict
    })

    return Agents.of({
      greet,
      unknownExporters: (serverId, exporters) =>
        changeOrTrust(serverId, (state, now) => ({ state: withUnknown(state, exporters, now), answer: undefined })),
      all: store.all
    })
  })

const REPLAYED: Verdict = { _tag: "Replayed" }

/** A store in memory; several `makeAgents` over one are several processes. */
export const memoryStore = (): AgentStore => {
  const stored = new Map<string, { readonly state: AgentState; readonly version: number }>()
  return {
    read: (serverId) => Effect.sync(() => stored.get(serverId) ?? { state: NO_AGENT, version: 0 }),
    write: (serverId, version, state) =>
      Effect.sync(() => {
        if ((stored.get(serverId)?.version ?? 0) !== version) return false
        stored.set(serverId, { state, version: version + 1 })
        return true
      }),
    all: Effect.sync(() => new Map([...stored].map(([serverId, { state }]) => [serverId, state])))
  }
}
