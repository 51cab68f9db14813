/**
 * Makes what a primary has done count only once replicas have it too, so that nothing is lost that was answered when the primary
 * fails and a replica takes its place.
 *
 * What is asked goes to the primary at once; its answers are handed on after a `WAIT` on the same connection says that at
 * least so many replicas have all of them. One `WAIT` is for all that came while the last one waited, so that a replica's
 * distance costs time and not throughput. A connection that breaks in between, and one on which too few replicas answer in
 * time, fails what it was for: it may be there or not.
 *
 * A primary without enough replicas is refused, before it is asked for more, for `patience`: it may be one that others have
 * replaced already and that does not know it. Then, or at once where it never had one since it was promoted or started, it is
 * taken at its word, and `isAlone` tells; what it then takes is lost if it fails before replicas have come and copied it.
 *
 * It says nothing of a disk: that is the server's own configuration.
 */
import type { ReplicasWanted } from "./ValkeyConnection.ts"
import { infoOf } from "./ValkeyInfo.ts"
import type { ServerConnection, Work } from "./ValkeyServer.ts"

export interface Confirmed {
  readonly perform: ServerConnection["perform"]
  /** It was a replica and is the primary now. */
  readonly promoted: () => void
  /** Whether it lacks replicas, and is taken at its word. */
  readonly isAlone: () => boolean
}

interface Asked {
  readonly work: Work
  readonly asking: boolean
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: unknown) => void
}

const LACKING = "the primary lacks replicas that it had until lately"
/** A primary that lacks replicas is asked for them so often. */
const LOOK_EVERY_MILLIS = 1_000

export const makeConfirmed = (
  server: ServerConnection,
  options: ReplicasWanted & {
    /** Milliseconds that an answer may take in all. */
    readonly silence: number
    /** Monotonic milliseconds. */
    readonly now: () => number
  }
): Confirmed => {
  const { least, now, patience } = options
  let queue: Array<Asked> = []
  let isAtWork = false
  /** Whether it had enough replicas since it was promoted; undefined: not known yet. */
  let hadReplicas: boolean | undefined
  /** When it was first seen without enough of them; undefined: it has them. */
  let aloneSince: number | undefined
  let areJoining = false
  let isTrusted = false
  let lookedAt = Number.NEGATIVE_INFINITY
  /** The connection on which it was last looked at. */
  let lookedOn = -1

  const call = (command: string, ...args: ReadonlyArray<string | number>) => server.perform({ command, args })

  /** Counts its replicas, and decides what it is worth without enough of them. */
  const look = async (): Promise<void> => {
    const info = (await Promise.all([call("INFO", "replication"), call("INFO", "stats")])).join("")
    const number = (name: string) => Number(infoOf(info)(name) ?? 0)
    lookedAt = now()
    lookedOn = server.generation()
    if ((info.match(/^slave\d+:.*state=online/gm)?.length ?? 0) >= least) {
      hadReplicas = true
      areJoining = false
      aloneSince = undefined
      return
    }
    const joins = number("connected_slaves") >= least
    hadReplicas ??= number("sync_full") + number("sync_partial_ok") > 0
    // What it takes while replicas copy the rest is not with them before they are done: patience begins anew.
    if (aloneSince === undefined || (joins && !areJoining)) aloneSince = lookedAt
    hadReplicas ||= joins
    areJoining = joins
    isTrusted = !hadReplicas || lookedAt - aloneSince >= patience
  }

  /** Whether it is known to have no replica that could come to have what it does. */
  const isAlone = () => aloneSince !== undefined && !areJoining

  /** Rejects unless replicas have what was done on the connection of that number, or need not. */
  const confirm = async (generation: number): Promise<void> => {
    // One may have come since: whether it has what was done just now is asked after it was done.
    if (isAlone()) await look()
    if (isAlone() && isTrusted) return
    if (generation < 0 || server.generation() !== generation) throw new Error("its connection broke")
    const count = Number(await call("WAIT", least, Math.ceil(options.silence * 0.4)))
    if (count < least || aloneSince !== undefined) await look()
    if (count >= least) return
    if (aloneSince === undefined) throw new Error(`${count} of ${least} answered in time`)
    if (!isTrusted) throw new Error(LACKING)
  }

  const performAll = async (batch: ReadonlyArray<Asked>): Promise<void> => {
    const generation = server.generation()
    if (lookedOn !== generation || (aloneSince !== undefined && now() - lookedAt >= LOOK_EVERY_MILLIS)) await look()
    if (isAlone() && !isTrusted) throw new Error(`not published: ${LACKING}`)
    const outcomes = await Promise.allSettled(batch.map(({ asking, work }) => server.perform(work, asking)))
    // A new error in any case: what was done must not look like what was not sent, or it would be sent again.
    const unconfirmed = (error: unknown) => new Error(`no replica may have it: ${(error as Error).message}`)
    const isDone = outcomes.some(({ status }) => status === "fulfilled")
    const failure = isDone ? await confirm(generation).then(() => undefined, unconfirmed) : undefined
    for (const [n, outcome] of outcomes.entries()) {
      if (outcome.status === "rejected") batch[n]!.reject(outcome.reason)
      else if (failure !== undefined) batch[n]!.reject(failure)
      else batch[n]!.resolve(outcome.value)
    }
  }

  const work = async (): Promise<void> => {
    isAtWork = true
    while (queue.length > 0) {
      const batch = queue
      queue = []
      try {
        await performAll(batch)
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    isAtWork = false
  }

  return {
    perform: (asked, asking = false) =>
      new Promise((resolve, reject) => {
        queue.push({ work: asked, asking, resolve, reject })
        if (!isAtWork) void work()
      }),
    promoted: () => {
      hadReplicas = false
      aloneSince = undefined
      lookedOn = -1
    },
    isAlone: () => aloneSince !== undefined && isTrusted
  }
}
