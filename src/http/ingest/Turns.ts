/**
 * Whose turn it is to have a body unpacked, parsed and checked: all that holds up the event loop, shared fairly by the time
 * that it took.
 *
 * Guarantee: whoever used little lately is never behind whoever used much: of those who wait, the server that has used least
 * comes first, some milliseconds' worth a turn of the event loop; then, unless nobody else is there, the loop is the others' for as
 * long as that took: those who wait never have more than half of it. What a server has used is forgotten at `SHARE` of real time. Whoever used less than `FREE_MILLIS`
 * does not wait: that is an agent, always. What takes long by its nature, a recording, waits also the first time.
 *
 * Bound: those who wait hold a ticket of `Admission`; {@link ACCOUNTS_MAX} servers are remembered.
 */
import { Effect } from "effect"

export interface Turns {
  /** Does the work, now or in its turn. */
  readonly take: <A>(serverId: string, work: () => A) => Effect.Effect<A>
  /** Does the work in its turn. */
  readonly queue: <A>(serverId: string, work: () => A) => Effect.Effect<A>
}

/** A server may use this much before it waits for its turn: some 100 requests of an agent. */
const FREE_MILLIS = 25
/** The part of a core that a server may use without ever waiting. */
const SHARE = 0.1
const ACCOUNTS_MAX = 10_000
/** So long those who wait are served before the others have the loop: some fifty requests of agents, or one large body. */
const SLICE_MILLIS = 10
const PAUSE_MILLIS_MAX = 1_000

interface Waiting {
  readonly serverId: string
  readonly run: () => void
}

/** In the next turn of the event loop, or after a time. */
const afterwards = (run: () => void, millis: number): void => {
  if (millis < 1) setImmediate(run)
  else setTimeout(run, millis)
}

/**
 * Not an Effect but for the waiting: it is on the hot path. `now` is monotonic; times are in milliseconds. `isAlone` says whether
 * one server at most has requests under way.
 */
export const makeTurns = (now: () => number, isAlone: () => boolean, later = afterwards): Turns => {
  const accounts = new Map<string, { readonly used: number; readonly at: number }>()
  const waiting = new Set<Waiting>()
  let isScheduled = false

  const used = (serverId: string, at: number): number => {
    const account = accounts.get(serverId)
    return account === undefined ? 0 : Math.max(0, account.used - (at - account.at) * SHARE)
  }

  const charged = <A>(serverId: string, work: () => A): A => {
    const began = now()
    const before = used(serverId, began)
    try {
      return work()
    } finally {
      const at = now()
      if (accounts.size >= ACCOUNTS_MAX && !accounts.has(serverId)) forget(at)
      accounts.set(serverId, { used: before + at - began, at })
    }
  }

  const forget = (at: number) => {
    for (const serverId of accounts.keys()) if (used(serverId, at) === 0) accounts.delete(serverId)
    if (accounts.size >= ACCOUNTS_MAX) accounts.clear()
  }

  const schedule = (millis: number) => {
    if (isScheduled || waiting.size === 0) return
    isScheduled = true
    later(next, millis)
  }

  const leastUsed = (at: number): Waiting | undefined => {
    let least: Waiting | undefined
    for (const one of waiting) {
      if (least === undefined || used(one.serverId, at) < used(least.serverId, at)) least = one
    }
    return least
  }

  const next = () => {
    isScheduled = false
    const began = now()
    do {
      const one = leastUsed(now())
      if (one === undefined) return
      waiting.delete(one)
      one.run()
    } while (now() - began < SLICE_MILLIS)
    schedule(isAlone() ? 0 : Math.min(PAUSE_MILLIS_MAX, now() - began))
  }

  const queue = <A>(serverId: string, work: () => A): Effect.Effect<A> =>
    Effect.callback((resume) => {
      const one: Waiting = {
        serverId,
        run: () => {
          try {
            resume(Effect.succeed(charged(serverId, work)))
          } catch (defect) {
            resume(Effect.die(defect))
          }
        }
      }
      waiting.add(one)
      schedule(0)
      return Effect.sync(() => waiting.delete(one))
    })

  return {
    take: (serverId, work) =>
      Effect.suspend(() =>
        used(serverId, now()) <= FREE_MILLIS ? Effect.succeed(charged(serverId, work)) : queue(serverId, work)
      ),
    queue
  }
}
