/**
 * The stream in process: what `npm start` runs on where no Valkey is named.
 *
 * Guarantee: `publish` resolves once every entry of the call was acknowledged, that is, once its row is committed. So a
 * 2xx means the same as with Valkey. A caller that gives up waiting (a time-out, a connection that closed) takes nothing
 * back: its entries stay, and sending them again is harmless.
 * Bound: entries, published and not yet acknowledged; `publish` fails with `StreamFull` beyond.
 *
 * It does not survive the process: whoever was answered nothing sends again.
 */
import { Clock, Deferred, Effect, Layer } from "effect"
import {
  type Delivery,
  SnapshotStream,
  type StreamEntry,
  StreamFull,
  type StreamStats,
  type Subscription
} from "./SnapshotStream.ts"

export interface MemoryOptions {
  /** At most this many entries. Defaults to 50 000: some 15 MB of process rows. */
  readonly bound?: number
}

/** A stream in the memory of this process. */
export const layerMemory = (options: MemoryOptions = {}): Layer.Layer<SnapshotStream> =>
  Layer.sync(SnapshotStream, () => make(options.bound ?? 50_000))

/** One call of `publish`: resolves when none of its entries is left. */
interface Call {
  left: number
  readonly done: Deferred.Deferred<void>
}

interface Item {
  readonly id: string
  readonly entry: StreamEntry
  readonly call: Call
  /** Epoch milliseconds. */
  readonly publishedAt: number
  deliveries: number
  /** Who holds it; undefined while it waits. */
  holder: Holder | undefined
}

/** What one subscription was handed and has not acknowledged. */
type Holder = Set<Item>

const make = (bound: number): SnapshotStream["Service"] => {
  /** All entries in the order of publishing, by id. */
  const items = new Map<string, Item>()
  const fresh = new Fifo<Item>()
  /** Handed out before and given back: these go first. */
  const returned = new Fifo<Item>()
  const waiting = new Set<() => void>()
  let lastId = 0
  let pending = 0

  const wake = () => {
    for (const resume of [...waiting]) resume()
  }

  const take = (holder: Holder, max: number): ReadonlyArray<Item> => {
    const taken: Array<Item> = []
    while (taken.length < max) {
      const item = returned.shift() ?? fresh.shift()
      if (item === undefined) break
      // Acknowledged while it waited, by a consumer that had given it back.
      if (!items.has(item.id)) continue
      item.holder = holder
      item.deliveries += 1
      holder.add(item)
      taken.push(item)
    }
    pending += taken.length
    return taken
  }

  const giveBack = (holder: Holder, given: Iterable<Item>) => {
    let count = 0
    for (const item of given) {
      if (!holder.delete(item)) continue
      item.holder = undefined
      returned.push(item)
      count += 1
    }
    pending -= count
    if (count > 0) wake()
  }

  const untilPublished = Effect.callback<void>((resume) => {
    const woken = () => {
      waiting.delete(woken)
      resume(Effect.void)
    }
    waiting.add(woken)
    return Effect.sync(() => waiting.delete(woken))
  })

  const publish = Effect.fnUntraced(function* (entries: ReadonlyArray<StreamEntry>) {
    if (entries.length === 0) return
    if (items.size + entries.length > bound) {
      return yield* new StreamFull({ length: items.size, bound, retryAfterSeconds: 5 })
    }
    const publishedAt = yield* Clock.currentTimeMillis
    const call: Call = { left: entries.length, done: Deferred.makeUnsafe<void>() }
    for (const entry of entries) {
      const item: Item = { id: `${++lastId}`, entry, call, publishedAt, deliveries: 0, holder: undefined }
      items.set(item.id, item)
      fresh.push(item)
    }
    wake()
    yield* Deferred.await(call.done)
  })

  const acknowledge = (ids: ReadonlyArray<string>) =>
    Effect.sync(() => {
      for (const id of ids) {
        const item = items.get(id)
        // Only what has been handed out can be done with.
        if (item === undefined || item.deliveries === 0) continue
        items.delete(id)
        if (item.holder?.delete(item)) pending -= 1
        item.call.left -= 1
        if (item.call.left === 0) Deferred.doneUnsafe(item.call.done, Effect.void)
      }
    })

  const subscription = (holder: Holder): Subscription => {
    const read = (max: number) =>
      Effect.suspend(() => {
        let taken: ReadonlyArray<Item> = []
        const next: Effect.Effect<ReadonlyArray<Delivery>> = Effect.suspend(() => {
          taken = take(holder, Math.max(1, max))
          return taken.length > 0 ? Effect.succeed(taken.map(delivery)) : Effect.flatMap(untilPublished, () => next)
        })
        // Interrupted after taking and before the caller had them: as if never read.
        return Effect.onInterrupt(next, () =>
          Effect.sync(() => {
            for (const item of taken) item.deliveries -= 1
            giveBack(holder, taken)
          })
        )
      })
    const release = (ids: ReadonlyArray<string>) =>
      Effect.sync(() =>
        giveBack(
          holder,
          ids.flatMap((id) => items.get(id) ?? [])
        )
      )
    return { read, acknowledge, release }
  }

  const subscribe = () =>
    Effect.acquireRelease(
      Effect.sync((): Holder => new Set()),
      (holder) => Effect.sync(() => giveBack(holder, [...holder]))
    ).pipe(Effect.map(subscription))

  const stats = Effect.map(Clock.currentTimeMillis, (now): StreamStats => {
    const oldest = items.values().next().value
    return {
      length: items.size,
      pending,
      bound,
      bytes: null,
      oldestSeconds: oldest === undefined ? null : Math.max(0, (now - oldest.publishedAt) / 1000)
    }
  })

  return SnapshotStream.of({ publish, subscribe, stats, durability: Effect.succeed("committed") })
}

const delivery = (item: Item): Delivery => ({
  id: item.id,
  deliveries: item.deliveries,
  serverId: item.entry.serverId,
  exporterName: item.entry.exporterName,
  snapshot: item.entry.snapshot
})

/** First in, first out, in constant time. Bounded by whoever fills it: here by the stream's bound. */
class Fifo<A> {
  private items: Array<A | undefined> = []
  private head = 0

  push(item: A): void {
    this.items.push(item)
  }

  shift(): A | undefined {
    if (this.head === this.items.length) return undefined
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
