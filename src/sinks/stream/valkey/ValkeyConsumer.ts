/**
 * One consumer's place in the group of one Valkey stream; `ValkeySubscription.ts` reads several of them together.
 *
 * What comes to this consumer, in this order:
 * 1. What it holds and was never told of: left under its name by an earlier process, or lost with a connection that broke
 *    after the server had handed it out.
 * 2. What another consumer gave back, or left behind. A consumer is taken for dead when it was silent for `claimAfter`. A live one never
 *    is, however long its entries wait for PostgreSQL: a timer makes it heard five times in that span, whether anyone
 *    reads or not. It is a timer and not a fiber because it must not depend on a reader and cannot fail. A process that
 *    was frozen for longer loses its entries to another; both then store the same rows, once. With a lease all others are
 *    fenced off: what they hold comes at once.
 * 3. What is new.
 *
 * What was postponed comes between, in pages, each followed by something new: a small one every {@link LOOK_AT_WAITING_EVERY}, and a
 * large one at once when a row of one was acknowledged, or a new one of a server of which rows wait: they may be behind many of a
 * node that is still away. So none of it is kept in memory but the servers' ids, and whoever has the stream next goes on.
 *
 * With a lease, what it asks of Valkey carries the lease's fence, and is refused once Valkey has seen a higher one: it then hands
 * out nothing more, and its acknowledgements change nothing. The read that waits on the server carries none: what a consumer that is
 * fenced off gets by it is taken from it within `block`.
 *
 * An entry of several rows may be handed out in parts, and its rows be settled one by one: it is acknowledged when all of them
 * are, or given back whole.
 *
 * Bounds: it holds at most the rows of one read (5 000, and one entry) beyond what the reader has and has not acknowledged, and keeps at
 * most so many ids of acknowledged entries that are not yet removed as `DeferredRemovals` is made for.
 *
 * All the talking with the server happens in promises that run to their end and leave what they got in `fetched`: a read
 * that is interrupted loses nothing.
 */
import { Duration } from "effect"
import { EntryRows } from "../EntryRows.ts"
import { Delivery, type Lease, LOOK_AT_WAITING_EVERY, WAITING_TRIED_MAX } from "../SnapshotStream.ts"
import { contentOf, rowsIn } from "../StreamEntry.ts"
import type { DeferredRemovals } from "./DeferredRemovals.ts"
import type { Connection } from "./ValkeyConnection.ts"
import { ACKNOWLEDGE, LEAVE, POSTPONE, READ, RELEASE, TAKE_AGAIN, TAKE_OVER, TAKE_WAITING } from "./ValkeyScripts.ts"
import type { Script } from "./ValkeyServer.ts"

export interface ConsumerOptions {
  readonly stream: number
  readonly key: string
  readonly group: string
  readonly consumer: string
  /** The right to read this stream; none where consumers share it. */
  readonly lease?: Lease | undefined
  /** For everything that answers at once. */
  readonly commands: Connection
  /** For the read that waits: whatever is sent behind it waits too. */
  readonly blocking: Connection
  /** Milliseconds of silence after which another consumer's entries are taken over. */
  readonly claimAfter: number
  /** Milliseconds that a read waits on the server: what others give back is noticed in between. */
  readonly block: number
  /** Shared by all consumers of this stream in the process: one's acknowledgements can free another's entries. */
  readonly deferred: DeferredRemovals
  /** Milliseconds since whenever, of a clock that nobody sets. */
  readonly now: () => number
  /** Called after entries were given back: other consumers of this process need not wait to notice. */
  readonly onReleased: () => void
  /** Called when a step has ended: there may be something to take. */
  readonly onStep: () => void
  /** Called when Valkey has seen this higher fence. */
  readonly onFenced: (fence: number) => void
}

export interface Consumer {
  readonly stream: number
  readonly lease: Lease | undefined
  /** Begins to get rows, at most so many, unless it is at it, has some, or has failed or ended. */
  readonly fetch: (max: number) => void
  /** How many rows there are to take. */
  readonly ready: () => number
  /** Some of the rows that were got. */
  readonly take: (max: number) => ReadonlyArray<Delivery>
  /** What was taken last, and did not reach its reader. */
  readonly putBack: (deliveries: ReadonlyArray<Delivery>) => void
  /** What the last step failed of, until the next begins. */
  readonly failure: () => Error | undefined
  readonly acknowledge: (deliveries: ReadonlyArray<Delivery>) => Promise<void>
  readonly release: (deliveries: ReadonlyArray<Delivery>) => Promise<void>
  readonly postpone: (deliveries: ReadonlyArray<Delivery>) => Promise<void>
  /** Looks for what was given back as soon as possible; at once where a reader waits. */
  readonly lookAgain: (waiting: boolean) => void
  /** Makes this consumer heard. */
  readonly beat: () => void
  /** Gets no more. Says how many entries its reader has and has not settled. */
  readonly stop: () => number
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
export class Receipt {
  readonly consumer: Consumer
  readonly ids: ReadonlyArray<string>
  readonly rows: EntryRows | undefined
  /** Whether these had been postponed. */
  readonly waited: boolean

  constructor(consumer: Consumer, ids: ReadonlyArray<string>, rows?: EntryRows, waited = false) {
    this.consumer = consumer
    this.ids = ids
    this.rows = rows
    this.waited = waited
  }

  get lease(): Lease | undefined {
    return this.consumer.lease
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
  const { key, group, consumer, commands, blocking, deferred, lease, stream } = options
  const fence = lease?.fence ?? 0
  /** Got from the server and not yet handed to the reader. */
  let fetched: Array<Delivery> = []
  /** The last run of a read that did not get all there is: the rest of its scrape comes with the next. */
  let tail: WellFormed | undefined
  /** `fetched`, and what the reader has and has not settled. */
  const held = new Set<string>()
  /** Where in this consumer's own list to go on looking for what it was never told of; undefined: not needed. */
  let ownFrom: string | undefined = "-"
  let lookForOthersAt = Number.NEGATIVE_INFINITY
  /** Whether something was postponed, where to go on in it, and when; `NEGATIVE_INFINITY`: as soon as something new had its turn. */
  let waits = false
  let waitingFrom = "-"
  let lookAtWaitingAt = 0
  let isTurnOfWaiting = true
  /** Servers of which something was postponed since all that waits was last looked at. */
  const waitingServers = new Set<string>()
  let step: Promise<void> | undefined
  let failure: Error | undefined
  let ended = false

  const take = (id: string, deliveries: number, fields: Fields, waited = false) => {
    if (held.has(id)) return
    held.add(id)
    fetched.push(delivery(id, deliveries, fields, waited))
  }

  /** Runs a script that is refused where another has the stream; undefined where it was. */
  const run = async (script: Script, args: ReadonlyArray<string | number>, on = commands): Promise<unknown> => {
    try {
      return await on.run(script, key, [fence, group, ...args])
    } catch (error) {
      const higher = fenceOf(error)
      if (higher === undefined) throw error
      ended = true
      options.onFenced(higher)
      return undefined
    }
  }

  const delivery = (id: string, deliveries: number, fields: Fields, waited: boolean): Delivery => {
    const content = contentOf(fields)
    const rows = "scrape" in content ? new EntryRows(content.rows) : undefined
    return new Delivery(content, deliveries, new Receipt(self, [id], rows, waited))
  }

  /** A page of this consumer's own list, without what the reader has. */
  const fetchOwn = async (from: string, max: number) => {
    const page = (await commands.call("XPENDING", key, group, from, "+", max, consumer)) as ReadonlyArray<
      readonly [id: string, consumer: string, idle: number, deliveries: number]
    >
    const lost = page.filter(([id]) => !held.has(id))
    if (lost.length > 0) {
      const args = lost.flatMap(([id, , , deliveries]) => [id, deliveries])
      const entries = (await run(TAKE_AGAIN, [consumer, ...args])) as ReadonlyArray<Claimed> | undefined
      for (const entry of entries ?? []) take(...entry)
    }
    ownFrom = page.length < max ? undefined : `(${page[page.length - 1]?.[0]}`
  }

  const fetchOthers = async (max: number) => {
    lookForOthersAt = options.now() + options.block
    // Whoever else is in the group of a stream that is leased to us is fenced off.
    const silent = lease === undefined ? options.claimAfter : 0
    const taken = (await run(TAKE_OVER, [consumer, max, silent])) as
      | readonly [more: number, entries: ReadonlyArray<Claimed>, waits: number]
      | undefined
    if (taken === undefined) return
    const [more, entries, some] = taken
    waits = some === 1
    for (const entry of entries) take(...entry)
    if (more === 1) lookForOthersAt = Number.NEGATIVE_INFINITY
  }

  const fetchWaiting = async (max: number) => {
    const isFlowing = lookAtWaitingAt === Number.NEGATIVE_INFINITY
    isTurnOfWaiting = false
    lookAtWaitingAt = options.now() + Duration.toMillis(LOOK_AT_WAITING_EVERY)
    const most = Math.min(max, isFlowing ? CLAIM_MAX : WAITING_TRIED_MAX)
    const taken = (await run(TAKE_WAITING, [consumer, waitingFrom, most])) as
      | readonly [from: string, entries: ReadonlyArray<Claimed>]
      | undefined
    if (taken === undefined) return
    const [from, entries] = taken
    for (const [id, deliveries, fields] of entries) take(id, deliveries, fields, true)
    waitingFrom = from === "" ? "-" : from
    if (from === "") waitingServers.clear()
  }

  const fetchNew = async (max: number) => {
    isTurnOfWaiting = true
    const text = (await run(READ, [consumer, max], blocking)) as string | undefined
    if (text === undefined) return
    const runs = text === "" ? [] : (JSON.parse(text) as Array<Run>)
    if (tail !== undefined) joinTail(runs, tail)
    tail = max < TOGETHER_FROM || runs.length < 2 || text === "" ? undefined : cutTail(runs)
    for (const run of runs) {
      if (run.length === 2) take(run[0], 1, run[1])
      else takeRun(run)
    }
    if (runs.length > 0 || ended || isWaitingDue()) return
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
    if (ids.length > 0) fetched.push(new Delivery({ serverId, exporterName, snapshots }, 1, new Receipt(self, ids)))
  }

  const isWaitingDue = () => waits && options.now() >= lookAtWaitingAt

  const fetch = async (max: number) => {
    try {
      if (ownFrom !== undefined) await fetchOwn(ownFrom, Math.min(max, PAGE_MAX))
      else if (isTurnOfWaiting && isWaitingDue()) await fetchWaiting(max)
      else if (options.now() >= lookForOthersAt) await fetchOthers(Math.min(max, CLAIM_MAX))
      else await fetchNew(Math.min(max, READ_MAX))
    } catch (error) {
      // The server may have done what it was asked, and the answer is lost: the own list tells.
      ownFrom = "-"
      if (!isMissing(error)) throw error
      await ensureGroup(commands, key, group)
    }
  }

  const begin = (max: number) => {
    if (step !== undefined || ended || fetched.length > 0) return
    failure = undefined
    step = fetch(max)
      .catch((error: unknown) => {
        failure = error instanceof Error ? error : new Error(String(error))
      })
      .finally(() => {
        step = undefined
        if (ended) forget()
        options.onStep()
      })
  }

  /** What was got and is not handed out: it stays with the server. */
  const forget = () => {
    for (const { from, receipt, to } of fetched) {
      if (!(receipt instanceof Receipt)) continue
      // Of a scrape of which its reader has a part, the reader's part decides.
      if (receipt.rows === undefined) for (const id of receipt.ids.slice(from, to)) held.delete(id)
      else if (from === 0) held.delete(receipt.ids[0]!)
    }
    fetched = []
    tail = undefined
  }

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

  const acknowledge = async (deliveries: ReadonlyArray<Delivery>) => {
    const mine: Array<string> = []
    /** With the rows beyond one that they hold, in turn. */
    const others: Array<string | number> = []
    /** Of these, rows were given back while the reader still had others. */
    const returned: Array<string> = []
    for (const { content, from, receipt, to } of deliveries) {
      if (!(receipt instanceof Receipt)) continue
      if (receipt.waited || waitingServers.has(content.serverId)) lookAtWaitingAt = Number.NEGATIVE_INFINITY
      if (receipt.rows === undefined) {
        for (let at = from; at < to; at++) {
          const id = receipt.ids[at]!
          if (held.delete(id)) mine.push(id)
          else others.push(id, 0)
        }
      } else {
        receipt.rows.settle(from, to)
        const [id = ""] = receipt.ids
        if (receipt.rows.isReturned && held.delete(id)) returned.push(id)
        if (!receipt.rows.isDone) continue
        held.delete(id)
        others.push(id, rowsIn(content) - 1)
      }
    }
    await giveUp(RELEASE, returned)
    if (mine.length + others.length === 0) return
    const overdue = deferred.over(mine.length)
    try {
      const args = [mine.length, others.length / 2, ...mine, ...others, ...overdue]
      const answer = (await run(ACKNOWLEDGE, args)) as readonly [number, string] | undefined
      if (answer === undefined) return
      const [count, floor] = answer
      // Where the group no longer had some of them (it was made anew), they stay until the floor has passed them.
      if (count === mine.length) deferred.add(mine)
      if (floor !== "") deferred.raise(floor)
      await remove(deferred.over(0))
    } catch (error) {
      ownFrom = "-"
      throw error
    }
  }

  const remove = async (ids: ReadonlyArray<string>) => {
    if (ids.length > 0) await run(ACKNOWLEDGE, [0, 0, ...ids])
  }

  /** Entries of these, of which the reader has no other rows, are not held any more. */
  const dropped = (deliveries: ReadonlyArray<Delivery>): ReadonlyArray<string> => {
    const mine: Array<string> = []
    for (const { from, receipt, to } of deliveries) {
      if (!(receipt instanceof Receipt)) continue
      receipt.rows?.giveBack(from, to)
      if (receipt.rows?.isReturned === false) continue
      const ids = receipt.rows === undefined ? receipt.ids.slice(from, to) : receipt.ids
      for (const id of ids) if (held.delete(id)) mine.push(id)
    }
    return mine
  }

  /** Says that these are not held any more. */
  const giveUp = async (script: Script, ids: ReadonlyArray<string>) => {
    if (ids.length === 0) return
    try {
      for (let at = 0; at < ids.length; at += CLAIM_MAX) await run(script, [consumer, ...ids.slice(at, at + CLAIM_MAX)])
    } catch (error) {
      ownFrom = "-"
      throw error
    }
    if (script === RELEASE) options.onReleased()
    else waits = true
  }

  const release = (deliveries: ReadonlyArray<Delivery>) => giveUp(RELEASE, dropped(deliveries))

  const postpone = (deliveries: ReadonlyArray<Delivery>) => {
    for (const { content } of deliveries) waitingServers.add(content.serverId)
    return giveUp(POSTPONE, dropped(deliveries))
  }

  const lookAgain = (waiting: boolean) => {
    lookForOthersAt = Number.NEGATIVE_INFINITY
    // One that waits for PostgreSQL rather than for entries looks when it reads again; one without a step under way, too.
    if (!waiting || ended || step === undefined) return
    fetchOthers(CLAIM_MAX)
      .catch(() => {
        ownFrom = "-"
      })
      .finally(() => {
        if (ended) forget()
        options.onStep()
      })
  }

  // A page of the own list beyond any id: it hands out nothing and writes nothing, but the server has heard from us. (Of
  // the cheap commands this is the one that every version counts; Redis 7.0 does not count a read that finds nothing.)
  const beat = () => {
    const beyond = "18446744073709551614-0"
    commands.call("XREADGROUP", "GROUP", group, consumer, "COUNT", 1, "STREAMS", key, beyond).catch(() => {})
  }

  const stop = () => {
    ended = true
    if (step === undefined) forget()
    return held.size
  }

  const leave = async () => {
    ended = true
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
      while (more === 1) more = await run(LEAVE, [consumer])
    } catch {
      // The server is away or the group is gone. Others take over what is left when this consumer has been silent.
    }
    held.clear()
    fetched = []
    tail = undefined
    options.onReleased()
  }

  const self: Consumer = {
    stream,
    lease,
    fetch: begin,
    ready: () => fetched.reduce((sum, { length }) => sum + length, 0),
    take: takeFetched,
    putBack: (deliveries) => {
      fetched = [...deliveries, ...fetched]
    },
    failure: () => failure,
    acknowledge,
    release,
    postpone,
    lookAgain,
    beat,
    stop,
    leave
  }
  return self
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

/** The higher fence that Valkey has seen; undefined where the error says something else. */
const fenceOf = (error: unknown): number | undefined => {
  const found = error instanceof Error ? /^FENCED (\d{1,15})$/.exec(error.message) : null
  return found === null ? undefined : Number(found[1])
}

const isMissing = (error: unknown) =>
  error instanceof Error &&
  (error.message.startsWith("NOGROUP") ||
    error.message.startsWith("UNBLOCKED") ||
    error.message.startsWith("ERR no such key"))
