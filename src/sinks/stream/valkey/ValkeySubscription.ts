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
 * An entry of several rows may be handed out in parts, and its rows be settled one by one: it is acknowledged when all of them
 * are, or given back whole.
 *
 * Bounds: it holds at most the rows of one read (5 000, and one entry) beyond what the reader has and has not acknowledged, and keeps at
 * most so many ids of acknowledged entries that are not yet removed as `DeferredRemovals` is made for.
 *
 * All the talking with the server happens in promises that run to their end and leave what they got in `fetched`. A read
 * that is interrupted stops waiting for them, so that nothing is lost with it.
 */
import { Effect, Semaphore } from "effect"
import { EntryRows } from "../EntryRows.ts"
import { Delivery, type StreamUnavailable, type Subscription } from "../SnapshotStream.ts"
import { contentOf, rowsIn } from "../StreamEntry.ts"
import type { DeferredRemovals } from "./DeferredRemovals.ts"
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

/** No read asks the server for more rows: an answer of 5 000 process rows is some 0.7 MB. */
const READ_MAX = 5_000
/** Rows that one script claims at a time, so that no script keeps the server busy for more than a few milliseconds. */
const CLAIM_MAX = 1_000
/** From so many rows on a read may give fewer than it could, so that those of one scrape stay together. */
const TOGETHER_FROM = 1_000
/** Entries, of a thousand rows at most, that are asked for again at a time. */
const PAGE_MAX = 200

/** What deliveries are known by: the entry of each of the snapshots, or the one of a scrape and what has become of its rows. */
class Receipt {
  readonly ids: ReadonlyArray<string>
  readonly rows: EntryRows | undefined

  constructor(ids: ReadonlyArray<string>, rows?: EntryRows) {
    this.ids = ids
    this.rows = rows
  }
}

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
  /** The last run of a read that did not get all there is: the rest of its scrape comes with the next. */
  let tail: WellFormed | undefined
  /** `fetched`, and what the reader has and has not settled. */
  const held = new Set<string>()
  /** Where in this consumer's own list to go on looking for what it was never told of; undefined: not needed. */
  let ownFrom: string | undefined = "-"
  let lookForOthersAt = Number.NEGATIVE_INFINITY
  let step: Promise<void> | undefined
  /** The reader that waits, if any. */
  let waiting: { readonly max: number; readonly resume: () => void } | undefined

  const take = (id: string, deliveries: number, fields: Fields) => {
    if (held.has(id)) return
    held.add(id)
    fetched.push(delivery(id, deliveries, fields))
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
        take(...entry)
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
    for (const entry of entries) take(...entry)
    if (more === 1) lookForOthersAt = Number.NEGATIVE_INFINITY
  }

  const fetchNew = async (max: number) => {
    const text = (await blocking.run(READ, key, [group, consumer, max])) as string
    const runs = text === "" ? [] : (JSON.parse(text) as Array<Run>)
    if (tail !== undefined) joinTail(runs, tail)
    tail = max < TOGETHER_FROM || runs.length < 2 || text === "" ? undefined : cutTail(runs)
    for (const run of runs) {
      if (run.length === 2) take(run[0], 1, run[1])
      else takeRun(run)
    }
    if (runs.length > 0) return
    const args = ["COUNT", max, "BLOCK", options.block, "STREAMS", key, ">"]
    const reply = (await blocking.call("XREADGROUP", "GROUP", group, consumer, ...args)) as ReadonlyArray<
      readonly [key: string, entries: ReadonlyArray<readonly [id: string, fields: Fields]>]
    > | null
    for (const [id, fields] of reply?.[0]?.[1] ?? []) take(id, 1, fields)
  }

  const takeRun = ([serverId, exporterName, entries]: WellFormed) => {
    const ids: Array<string> = []
    const snapshots: Array<string> = []
    for (let i = 0; i + 1 < entries.length; i += 2) {
      const id = entries[i]!
      if (held.has(id)) continue
      held.add(id)
      ids.push(id)
      snapshots.push(entries[i + 1]!)
    }
    if (ids.length > 0) fetched.push(new Delivery({ serverId, exporterName, snapshots }, 1, new Receipt(ids)))
  }

  const fetch = async (max: number) => {
    try {
      if (ownFrom !== undefined) await fetchOwn(ownFrom, Math.min(max, PAGE_MAX))
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

  /** So many rows of what was fetched. */
  const takeFetched = (max: number): Array<Delivery> => {
    let rows = 0
    let count = 0
    while (count < fetched.length && rows + fetched[count]!.length <= max) rows += fetched[count++]!.length
    const taken = fetched.splice(0, count)
    const [next] = fetched
    if (next !== undefined && rows < max && (count === 0 || max < TOGETHER_FROM)) {
      taken.push(next.slice(0, max - rows))
      fetched[0] = next.slice(max - rows, next.length)
    }
    return taken
  }

  const read = (atMost: number): Effect.Effect<ReadonlyArray<Delivery>, StreamUnavailable> =>
    Effect.suspend(() => {
      const max = Math.max(1, Math.floor(atMost))
      let handed: Array<Delivery> = []
      const next: Effect.Effect<ReadonlyArray<Delivery>, StreamUnavailable> = Effect.suspend(() => {
        if (fetched.length === 0) return Effect.flatMap(untilFetched(max), () => next)
        handed = takeFetched(max)
        return Effect.succeed(handed)
      })
      // Interrupted between here and the reader: it comes with the next read.
      return Effect.onInterrupt(next, () =>
        Effect.sync(() => {
          fetched = [...handed, ...fetched]
        })
      )
    })

  const acknowledge = (deliveries: ReadonlyArray<Delivery>) =>
    attempt("acknowledge", async () => {
      const mine: Array<string> = []
      /** With the rows beyond one that they hold, in turn. */
      const others: Array<string | number> = []
      for (const { content, from, receipt, to } of deliveries) {
        if (!(receipt instanceof Receipt)) continue
        if (receipt.rows === undefined) {
          for (let at = from; at < to; at++) {
            const id = receipt.ids[at]!
            if (held.delete(id)) mine.push(id)
            else others.push(id, 0)
          }
        } else {
          receipt.rows.settle(from, to)
          if (!receipt.rows.isDone) continue
          held.delete(receipt.ids[0]!)
          others.push(receipt.ids[0]!, rowsIn(content) - 1)
        }
      }
      if (mine.length + others.length === 0) return
      const overdue = deferred.over(mine.length)
      try {
        const args = [group, mine.length, others.length / 2, ...mine, ...others, ...overdue]
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

  const release = (deliveries: ReadonlyArray<Delivery>) =>
    attempt("release", async () => {
      const mine: Array<string> = []
      for (const { from, receipt, to } of deliveries) {
        if (!(receipt instanceof Receipt)) continue
        receipt.rows?.giveBack(from, to)
        if (receipt.rows?.isReturned === false) continue
        const ids = receipt.rows === undefined ? receipt.ids.slice(from, to) : receipt.ids
        for (const id of ids) if (held.delete(id)) mine.push(id)
      }
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
      if (step !== undefined && id !== undefined) await commands.callOn(key, "CLIENT", "UNBLOCK", id)
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
    tail = undefined
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

/** Puts the rest of a run before what comes next. */
const joinTail = (runs: Array<Run>, [serverId, exporterName, entries]: WellFormed): void => {
  const [first] = runs
  if (first?.length === 3 && first[0] === serverId && first[1] === exporterName) {
    runs[0] = [serverId, exporterName, [...entries, ...first[2]]]
  } else {
    runs.unshift([serverId, exporterName, entries])
  }
}

/** Takes the last run out, where it is one. */
const cutTail = (runs: Array<Run>): WellFormed | undefined => {
  const last = runs.at(-1)
  return last?.length === 3 ? (runs.pop() as WellFormed) : undefined
}

/** An entry as it was published, or whatever somebody else added. */
export const delivery = (id: string, deliveries: number, fields: Fields): Delivery => {
  const content = contentOf(fields)
  const rows = "scrape" in content ? new EntryRows(content.rows) : undefined
  return new Delivery(content, deliveries, new Receipt([id], rows))
}

const isMissing = (error: unknown) =>
  error instanceof Error &&
  (error.message.startsWith("NOGROUP") ||
    error.message.startsWith("UNBLOCKED") ||
    error.message.startsWith("ERR no such key"))
