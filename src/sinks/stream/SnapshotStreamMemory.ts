/**
 * The stream in process: what `npm start` runs on where no Valkey is named.
 *
 * Guarantee: `publish` resolves once every row of the call was acknowledged, that is, once it is committed. So a
 * 2xx means the same as with Valkey. A caller that gives up waiting (a time-out, a connection that closed) takes nothing
 * back: its rows stay, and sending them again is harmless.
 * Bound: rows, published and not yet acknowledged; `publish` fails with `StreamFull` beyond.
 *
 * It does not survive the process: whoever was answered nothing sends again.
 */
import { Clock, Deferred, Duration, Effect, Layer } from "effect"
import {
  Delivery,
  LOOK_AT_WAITING_EVERY,
  SnapshotStream,
  StreamFull,
  type StreamStats,
  type Subscription,
  WAITING_TRIED_MAX
} from "./SnapshotStream.ts"
import { type EntryKind, rowsIn, type StreamContent } from "./StreamEntry.ts"

export interface MemoryOptions {
  /** At most this many rows. Defaults to 50 000: some 15 MB of process rows. */
  readonly bound?: number
  /** What an entry holds. Defaults to a snapshot. */
  readonly entry?: EntryKind
}

/** A stream in the memory of this process. */
export const layerMemory = (options: MemoryOptions = {}): Layer.Layer<SnapshotStream> =>
  Layer.sync(SnapshotStream, () => make(options.bound ?? 50_000, options.entry ?? "snapshot"))

/** One call of `publish`: resolves when none of its rows is left. */
interface Call {
  left: number
  readonly done: Deferred.Deferred<void>
}

const WAITS = 0
const DONE = -1

/** What was published together of one server and exporter. */
class Item {
  /** In process nothing is leased. */
  readonly lease = undefined
  readonly content: StreamContent
  readonly call: Call
  /** Epoch milliseconds. */
  readonly publishedAt: number
  /** Of each row: who holds it (a number from 1), that it waits, or that it is done with. */
  readonly holders: Int32Array
  /** Of each row: how often it was handed out. */
  readonly deliveries: Uint16Array
  /** Whether rows of it were postponed. */
  waited = false
  left: number

  constructor(content: StreamContent, call: Call, publishedAt: number) {
    this.content = content
    this.call = call
    this.publishedAt = publishedAt
    this.left = rowsIn(content)
    this.holders = new Int32Array(this.left)
    this.deliveries = new Uint16Array(this.left)
  }
}

/** Rows of an item that wait. */
interface Waiting {
  readonly item: Item
  readonly from: number
  readonly to: number
}

/** A subscription, and what it was handed; what of that is done with is forgotten from time to time. */
interface Holder {
  readonly number: number
  handed: Array<Delivery>
  forgottenAt: number
}

interface GivingBack {
  /** As if it had never been handed out. */
  readonly undone?: boolean
  readonly to?: Fifo<Waiting>
}

const make = (bound: number, entry: EntryKind): SnapshotStream["Service"] => {
  /** In the order of publishing. */
  const items = new Set<Item>()
  const fresh = new Fifo<Waiting>()
  /** Handed out before and given back: these go first. */
  const returned = new Fifo<Waiting>()
  /** Postponed. */
  const postponed = new Fifo<Waiting>()
  /** Servers of which something was postponed since all of it was last handed out. */
  const waitingServers = new Set<string>()
  /** Monotonic milliseconds: when some of those are tried again. */
  let lookAtPostponedAt = 0
  const readers = new Set<() => void>()
  let holders = 0
  let length = 0
  let pending = 0
  /** Rows in `postponed`. */
  let waiting = 0

  const wake = () => {
    for (const resume of [...readers]) resume()
  }

  const hold = (holder: Holder, { from, item, to }: Waiting): Delivery => {
    item.holders.fill(holder.number, from, to)
    item.deliveries.fill(item.deliveries[from]! + 1, from, to)
    pending += to - from
    const delivery = new Delivery(item.content, item.deliveries[from]!, item, from, to)
    holder.handed.push(delivery)
    return delivery
  }

  const take = (holder: Holder, max: number): Array<Delivery> => {
    const taken: Array<Delivery> = []
    let room = max
    while (room > 0) {
      const queue = returned.isEmpty ? fresh : returned
      const next = queue.shift()
      if (next === undefined) break
      const { from, item, to } = next
      // Some may have been acknowledged while they waited, by a consumer that had given them back.
      const first = item.holders.indexOf(WAITS, from)
      if (first < 0 || first >= to) continue
      let last = first
      const isAlike = (row: number) => item.holders[row] === WAITS && item.deliveries[row] === item.deliveries[first]
      while (last < to && last - first < room && isAlike(last)) last++
      // Rather fewer rows than a part of what was published together.
      if (taken.length > 0 && last < to && last - first === room) {
        queue.unshift(next)
        break
      }
      if (last < to) queue.unshift({ ...next, from: last })
      taken.push(hold(holder, { item, from: first, to: last }))
      room -= last - first
    }
    return taken
  }

  /** Hands out again what was postponed: some, or all once rows that had been, or others of their servers, were acknowledged. */
  const lookAtPostponed = (now: number) => {
    if (postponed.isEmpty || now < lookAtPostponedAt) return
    const isFlowing = lookAtPostponedAt === Number.NEGATIVE_INFINITY
    lookAtPostponedAt = now + Duration.toMillis(LOOK_AT_WAITING_EVERY)
    if (isFlowing) waitingServers.clear()
    for (let rows = 0; !postponed.isEmpty && (isFlowing || rows < WAITING_TRIED_MAX); ) {
      const next = postponed.shift()!
      rows += next.to - next.from
      waiting -= next.to - next.from
      returned.push(next)
    }
  }

  /** Gives back what the holder has of a delivery. */
  const giveBack = (
    holder: Holder,
    { from, receipt, to }: Delivery,
    { undone = false, to: queue = returned }: GivingBack = {}
  ) => {
    if (!(receipt instanceof Item)) return
    for (let row = from; row < to; ) {
      let end = row
      while (end < to && receipt.holders[end] === holder.number) end++
      if (end > row) {
        receipt.holders.fill(WAITS, row, end)
        if (undone) for (let at = row; at < end; at++) receipt.deliveries[at]!--
        pending -= end - row
        queue.push({ item: receipt, from: row, to: end })
      }
      row = Math.max(end, row + 1)
    }
  }

  const giveBackAll = (holder: Holder, deliveries: ReadonlyArray<Delivery>, how?: GivingBack) => {
    for (const delivery of deliveries) giveBack(holder, delivery, how)
    if (!returned.isEmpty || how?.to !== undefined) wake()
  }

  const postpone = (holder: Holder, deliveries: ReadonlyArray<Delivery>) => {
    for (const { from, receipt, to } of deliveries) {
      if (!(receipt instanceof Item)) continue
      receipt.waited = true
      waitingServers.add(receipt.content.serverId)
      for (let row = from; row < to; row++) {
        if (receipt.holders[row] !== holder.number) continue
        receipt.deliveries[row] = 0
        waiting++
      }
    }
    giveBackAll(holder, deliveries, { to: postponed })
  }

  const untilPublished = Effect.callback<void>((resume) => {
    const woken = () => {
      readers.delete(woken)
      resume(Effect.void)
    }
    readers.add(woken)
    return Effect.sync(() => readers.delete(woken))
  })

  const publish = Effect.fnUntraced(function* (contents: ReadonlyArray<StreamContent>) {
    const rows = contents.reduce((sum, content) => sum + rowsIn(content), 0)
    if (rows === 0) return
    if (length + rows > bound) return yield* new StreamFull({ length, bound, retryAfterSeconds: 5 })
    const publishedAt = yield* Clock.currentTimeMillis
    const call: Call = { left: rows, done: Deferred.makeUnsafe<void>() }
    for (const content of contents) {
      const item = new Item(content, call, publishedAt)
      items.add(item)
      fresh.push({ item, from: 0, to: item.left })
    }
    length += rows
    wake()
    yield* Deferred.await(call.done)
  })

  const settle = ({ from, receipt, to }: Delivery) => {
    if (!(receipt instanceof Item)) return
    if (receipt.waited || waitingServers.has(receipt.content.serverId)) lookAtPostponedAt = Number.NEGATIVE_INFINITY
    let settled = 0
    for (let row = from; row < to; row++) {
      const holder = receipt.holders[row]!
      if (holder === DONE) continue
      if (holder !== WAITS) pending--
      receipt.holders[row] = DONE
      settled++
    }
    length -= settled
    receipt.left -= settled
    if (receipt.left === 0) items.delete(receipt)
    receipt.call.left -= settled
    if (settled > 0 && receipt.call.left === 0) Deferred.doneUnsafe(receipt.call.done, Effect.void)
  }

  const subscription = (holder: Holder): Subscription => {
    const read = (max: number) =>
      Effect.suspend(() => {
        let taken: ReadonlyArray<Delivery> = []
        const next: Effect.Effect<ReadonlyArray<Delivery>> = Effect.flatMap(Clock.monotonicTimeNanos, (nanos) => {
          const now = Number(nanos) / 1e6
          forget(holder)
          lookAtPostponed(now)
          taken = take(holder, Math.max(1, max))
          if (taken.length > 0) return Effect.succeed(taken)
          const due = Duration.millis(Math.max(0, lookAtPostponedAt - now))
          const woken = postponed.isEmpty ? untilPublished : Effect.raceFirst(untilPublished, Effect.sleep(due))
          return Effect.andThen(woken, next)
        })
        // Interrupted after taking and before the caller had them: as if never read.
        return Effect.onInterrupt(next, () => Effect.sync(() => giveBackAll(holder, taken, { undone: true })))
      })
    return {
      read,
      acknowledge: (deliveries) => Effect.sync(() => deliveries.forEach(settle)),
      release: (deliveries) => Effect.sync(() => giveBackAll(holder, deliveries)),
      postpone: (deliveries) => Effect.sync(() => postpone(holder, deliveries))
    }
  }

  const subscribe = () =>
    Effect.acquireRelease(
      Effect.sync((): Holder => ({ number: ++holders, handed: [], forgottenAt: 0 })),
      (holder) => Effect.sync(() => giveBackAll(holder, holder.handed))
    ).pipe(Effect.map(subscription))

  const stats = Effect.map(Clock.currentTimeMillis, (now): StreamStats => {
    const oldest = items.values().next().value
    const oldestSeconds = oldest === undefined ? null : Math.max(0, (now - oldest.publishedAt) / 1000)
    const all = { length, pending, waiting, bound, bytes: null, oldestSeconds }
    return { ...all, streams: [{ stream: 0, ...all }], silent: [] }
  })

  const durability = Effect.succeed("committed" as const)
  return SnapshotStream.of({ entry, publish, subscribe, stats, statsWith: () => stats, durability })
}

/** Drops what is done with from the list of what was handed out, once that has doubled. */
const forget = (holder: Holder): void => {
  if (holder.handed.length <= 2 * holder.forgottenAt + 100) return
  holder.handed = holder.handed.filter(({ receipt }) => receipt instanceof Item && receipt.left > 0)
  holder.forgottenAt = holder.handed.length
}

/** First in, first out, in constant time. Bounded by whoever fills it: here by the stream's bound. */
class Fifo<A> {
  private items: Array<A | undefined> = []
  private head = 0

  get isEmpty(): boolean {
    return this.head === this.items.length
  }

  push(item: A): void {
    this.items.push(item)
  }

  /** Puts one before the first: what was shifted just now, or a part of it. */
  unshift(item: A): void {
    if (this.head === 0) this.items.unshift(item)
    else this.items[--this.head] = item
  }

  shift(): A | undefined {
    if (this.isEmpty) return undefined
    const item = this.items[this.head]
    this.items[this.head] = undefined
    this.head += 1
    if (this.head === this.items.length || (this.head > 1024 && this.head * 2 > this.items.length)) {
      this.items = this.items.slice(this.head)
      this.head = 0
    }
    return item
  }
}
