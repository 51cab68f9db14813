/**
 * One consumer's place in the group of a Valkey stream.
 *
 * What comes to this consumer, in this order:
 * 1. What it holds and was never told of: left under its name by an earlier process, or lost with a connection that broke
 *    after the server had handed it out.
 * 2. What another consumer gave back, or left behind. A consumer is taken for dead when it was silent for `claimAfter`. A live one never
 *    is, however long its entries wait for PostgreSQL: a timer makes it heard five times in that span, whether anyone
 *    reads or not. It is a timer and not a fiber because it must not depend on a reader and cannot fail. A process that
 *    was frozen for longer loses its entries to another; both then store the same rows, once.
 * 3. What is new.
 *
 * Bounds: it holds at most the entries of one read (5 000) beyond what the reader has and has not acknowledged, and keeps at
 * most so many ids of acknowledged entries that are not yet removed as `DeferredRemovals` is made for.
 *
 * All the talking with the server happens in promises that run to their end and leave what they got in `fetched`. A read
 * that is interrupted stops waiting for them, so that nothing is lost with it.
 */
import { Effect, Semaphore } from "effect"
import type { DeferredRemovals } from "./DeferredRemovals.ts"
import type { Delivery, StreamUnavailable, Subscription } from "./SnapshotStream.ts"
import { attempt, type Connection } from "./ValkeyConnection.ts"
import { ACKNOWLEDGE, LEAVE, READ, RELEASE, TAKE_AGAIN, TAKE_OVER } from "./ValkeyScripts.ts"

export interface ConsumerOptions {
  readonly key: string
  readonly group: string
  readonly consumer: string
  /** For everything that answers at once. */
  readonly commands: Connection
  /** For the read that waits: whatever is sent behind it waits too. */
  readonly blocking: Connection
  /** Milliseconds of silence after which another consumer's entries are taken over. */
  readonly claimAfter: number
  /** Milliseconds that a read waits on the server: what others give back is noticed in between. */
  readonly block: number
  /** Shared by all consumers of the process: one's acknowledgements can free another's entries. */
  readonly deferred: DeferredRemovals
  /** Milliseconds since whenever, of a clock that nobody sets. */
  readonly now: () => number
  /** Called after entries were given back: other consumers of this process need not wait to notice. */
  readonly onReleased: () => void
}

export interface Consumer {
  readonly subscription: Subscription
  /** Looks for what was given back as soon as possible. */
  readonly lookAgain: () => void
  /** Makes this consumer heard. */
  readonly beat: () => void
  /** Gives back what it holds. Never rejects. */
  readonly leave: () => Promise<void>
}

/** No read asks the server for more: an answer of 5 000 process rows is some 0.7 MB. */
const READ_MAX = 5_000
/** What one script claims at a time, so that no script keeps the server busy for more than a few milliseconds. */
const CLAIM_MAX = 1_000

/** Makes a group that starts at the first entry, so that nothing is skipped. One that is there stays as it is. */
export const ensureGroup = async (commands: Connection, key: string, group: string): Promise<void> => {
  try {
    await commands.call("XGROUP", "CREATE", key, group, "0", "MKSTREAM")
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith("BUSYGROUP"))) throw error
  }
}

export const makeConsumer = (options: ConsumerOptions): Consumer => {
  const { key, group, consumer, commands, blocking, deferred } = options
  /** Got from the server and not yet handed to the reader. */
  let fetched: Array<Delivery> = []
  /** `fetched`, and what the reader has and has not settled. */
  const held = new Set<string>()
  /** Where in this consumer's own list to go on looking for what it was never told of; undefined: not needed. */
  let ownFrom: string | undefined = "-"
  let lookForOthersAt = Number.NEGATIVE_INFINITY
  let step: Promise<void> | undefined
  /** The reader that waits, if any. */
  let waiting: { readonly max: number; readonly resume: () => void } | undefined

  const take = (delivery: Delivery) => {
    if (held.has(delivery.id)) return
    held.add(delivery.id)
    fetched.push(delivery)
  }

  /** A page of this consumer's own list, without what the reader has. */
  const fetchOwn = async (from: string, max: number) => {
    const page = (await commands.call("XPENDING", key, group, from, "+", max, consumer)) as ReadonlyArray<
      readonly [id: string, consumer: string, idle: number, deliveries: number]
    >
    const lost = page.filter(([id]) => !held.has(id))
    if (lost.length > 0) {
      const args = lost.flatMap(([id, , , deliveries]) => [id, deliveries])
      for (const entry of (await commands.run(TAKE_AGAIN, key, [group, consumer, ...args])) as ReadonlyArray<Claimed>) {
        take(claimed(entry))
      }
    }
    ownFrom = page.length < max ? undefined : `(${page[page.length - 1]?.[0]}`
  }

  const fetchOthers = async (max: number) => {
    lookForOthersAt = options.now() + options.block
    const [more, entries] = (await commands.run(TAKE_OVER, key, [
      group,
      consumer,
      max,
      options.claimAfter
    ])) as readonly [more: number, entries: ReadonlyArray<Claimed>]
    for (const entry of entries) take(claimed(entry))
    if (more === 1) lookForOthersAt = Number.NEGATIVE_INFINITY
  }

  const fetchNew = async (max: number) => {
    const runs = (await blocking.run(READ, key, [group, consumer, max])) as string
    if (runs !== "") {
      for (const run of JSON.parse(runs) as ReadonlyArray<Run>) {
        if (run.length === 2) take(delivery(run[0], 1, run[1]))
        else takeRun(run)
      }
      return
    }
    const args = ["COUNT", max, "BLOCK", options.block, "STREAMS", key, ">"]
    const reply = (await blocking.call("XREADGROUP", "GROUP", group, consumer, ...args)) as ReadonlyArray<
      readonly [key: string, entries: ReadonlyArray<readonly [id: string, fields: Fields]>]
    > | null
    for (const [id, fields] of reply?.[0]?.[1] ?? []) take(delivery(id, 1, fields))
  }

  const takeRun = ([serverId, exporterName, entries]: WellFormed) => {
    for (let i = 0; i + 1 < entries.length; i += 2) {
      take({ id: entries[i]!, deliveries: 1, serverId, exporterName, snapshot: entries[i + 1]! })
    }
  }

  const fetch = async (max: number) => {
    try {
      if (ownFrom !== undefined) await fetchOwn(ownFrom, Math.min(max, CLAIM_MAX))
      else if (options.now() >= lookForOthersAt) await fetchOthers(Math.min(max, CLAIM_MAX))
      else await fetchNew(Math.min(max, READ_MAX))
    } catch (error) {
      // The server may have done what it was asked, and the answer is lost: the own list tells.
      ownFrom = "-"
      if (!isMissing(error)) throw error
      await ensureGroup(commands, key, group)
    }
  }

  /** One step at a time, whoever waits for it. */
  const advance = (max: number): Promise<void> => {
    step ??= fetch(max).finally(() => {
      step = undefined
    })
    return step
  }

  const untilFetched = (max: number): Effect.Effect<void, StreamUnavailable> =>
    Effect.suspend(() =>
      Effect.raceFirst(
        attempt("read", () => advance(max)),
        Effect.callback<void>((resume) => {
          waiting = { max, resume: () => resume(Effect.void) }
          return Effect.sync(() => {
            waiting = undefined
          })
        })
      )
    )

  const read = (atMost: number): Effect.Effect<ReadonlyArray<Delivery>, StreamUnavailable> =>
    Effect.suspend(() => {
      const max = Math.max(1, Math.floor(atMost))
      let handed: Array<Delivery> = []
      const next: Effect.Effect<ReadonlyArray<Delivery>, StreamUnavailable> = Effect.suspend(() => {
        if (fetched.length === 0) return Effect.flatMap(untilFetched(max), () => next)
        handed = fetched.splice(0, max)
        return Effect.succeed(handed)
      })
      // Interrupted between here and the reader: it comes with the next read.
      return Effect.onInterrupt(next, () =>
        Effect.sync(() => {
          fetched = [...handed, ...fetched]
        })
      )
    })

  const acknowledge = (ids: ReadonlyArray<string>) =>
    attempt("acknowledge", async () => {
      const mine: Array<string> = []
      const others: Array<string> = []
      for (const id of ids) {
        if (held.delete(id)) mine.push(id)
        else if (isId(id)) others.push(id)
      }
      if (mine.length + others.length === 0) return
      const overdue = deferred.over(mine.length)
      try {
        const args = [group, mine.length, others.length, ...mine, ...others, ...overdue]
        const [count, floor] = (await commands.run(ACKNOWLEDGE, key, args)) as readonly [number, string]
        // Where the group no longer had some of them (it was made anew), they stay until the floor has passed them.
        if (count === mine.length) deferred.add(mine)
        if (floor !== "") deferred.raise(floor)
        await remove(deferred.over(0))
      } catch (error) {
        ownFrom = "-"
        throw error
      }
    })

  const remove = async (ids: ReadonlyArray<string>) => {
    if (ids.length > 0) await commands.run(ACKNOWLEDGE, key, [group, 0, 0, ...ids])
  }

  const release = (ids: ReadonlyArray<string>) =>
    attempt("release", async () => {
      const mine = ids.filter((id) => held.delete(id))
      if (mine.length === 0) return
      try {
        await commands.run(RELEASE, key, [group, consumer, ...mine])
      } catch (error) {
        ownFrom = "-"
        throw error
      }
      options.onReleased()
    })

  const lookAgain = () => {
    lookForOthersAt = Number.NEGATIVE_INFINITY
    // One that waits for PostgreSQL rather than for entries looks when it reads again.
    if (waiting === undefined) return
    fetchOthers(Math.min(waiting.max, CLAIM_MAX))
      .catch(() => {
        ownFrom = "-"
      })
      .finally(() => waiting?.resume())
  }

  // A page of the own list beyond any id: it hands out nothing and writes nothing, but the server has heard from us. (Of
  // the cheap commands this is the one that every version counts; Redis 7.0 does not count a read that finds nothing.)
  const beat = () => {
    const beyond = "18446744073709551614-0"
    commands.call("XREADGROUP", "GROUP", group, consumer, "COUNT", 1, "STREAMS", key, beyond).catch(() => {})
  }

  const leave = async () => {
    try {
      // End the read that waits on the server, or it would be handed entries that nobody takes.
      const id = blocking.clientId()
      if (step !== undefined && id !== undefined) await commands.call("CLIENT", "UNBLOCK", id)
      await step
    } catch {
      // Then the connection is broken, and the read has ended with it; or it ends by itself within `block`.
    }
    blocking.close()
    try {
      // The end often comes with trouble: give a connection that is just coming back its moment.
      await commands.ready(1_000)
      await remove(deferred.all())
      let more: unknown = 1
      while (more === 1) more = await commands.run(LEAVE, key, [group, consumer])
    } catch {
      // The server is away or the group is gone. Others take over what is left when this consumer has been silent.
    }
    held.clear()
    fetched = []
    options.onReleased()
  }

  const oneReader = Semaphore.makeUnsafe(1)
  return {
    subscription: { read: (max) => oneReader.withPermit(read(max)), acknowledge, release },
    lookAgain,
    beat,
    leave
  }
}

type Fields = ReadonlyArray<string>
type WellFormed = readonly [serverId: string, exporterName: string, entries: ReadonlyArray<string>]
type Run = WellFormed | readonly [id: string, fields: Fields]
type Claimed = readonly [id: string, deliveries: number, fields: Fields]

const claimed = ([id, deliveries, fields]: Claimed): Delivery => delivery(id, deliveries, fields)

/**
 * An entry as it was published; of one that somebody else added, whatever there is, so that digest can put it aside: its
 * fields as JSON where there is no `snapshot`.
 */
export const delivery = (id: string, deliveries: number, fields: Fields): Delivery => {
  if (fields.length === 6 && fields[0] === "server_id" && fields[2] === "exporter_name" && fields[4] === "snapshot") {
    return { id, deliveries, serverId: fields[1]!, exporterName: fields[3]!, snapshot: fields[5]! }
  }
  const named = new Map<string, string>()
  for (let i = 0; i + 1 < fields.length; i += 2) named.set(fields[i]!, fields[i + 1]!)
  return {
    id,
    deliveries,
    serverId: named.get("server_id") ?? "",
    exporterName: named.get("exporter_name") ?? "",
    snapshot: named.get("snapshot") ?? JSON.stringify([...named])
  }
}

const isId = (id: string) => /^\d{1,19}-\d{1,19}$/.test(id)

const isMissing = (error: unknown) =>
  error instanceof Error &&
  (error.message.startsWith("NOGROUP") ||
    error.message.startsWith("UNBLOCKED") ||
    error.message.startsWith("ERR no such key"))
