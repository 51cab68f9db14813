/**
 * The stream in Valkey (>= 7.2) or Redis (>= 7.0): one stream, or several by server (`StreamNumber.ts`), with one group each.
 *
 * Guarantees, beside those of the port:
 * - A call of `publish` is one Lua script for each stream that its servers belong to, so one where it is about one server:
 *   everything or nothing, also when the memory runs out half-way. One that
 *   times out is `StreamUnavailable`: its entries may be there or not. Sending again is harmless, rows are idempotent.
 * - The answer comes after the server's own write to disk, where it is configured so (`durability` says).
 * - A missing stream or group (flushed, deleted, failed over to an older copy) is made again, from the first entry on.
 *
 * Bounds, of which each stream has its equal share: `maxLength` rows (an eighth of it for what is `past`) and `maxBytes` of memory in Valkey (to within one
 * request of each stream), `maxBytesInFlight` of requests in this process. Up to a tenth of `maxLength`, at most 50 000 for each process that reads, may be rows that are
 * acknowledged and not yet removed. A second group that does not read keeps every entry, until the stream is full: nothing unread is dropped.
 * An entry that our group is done with then counts as one row, whatever it holds; its bytes still count.
 *
 * - Where replicas are wanted, the answer comes after so many of them have it too: nothing is lost when a primary fails and one
 *   of them takes its place.
 *
 * It is one Valkey, or a cluster of them (`ValkeyCluster.ts`).
 */
import { hostname } from "node:os"
import { Clock, Duration, Effect, Exit, Layer, Option, Random, type Redacted, Result, Scope } from "effect"
import {
  type Durability,
  type Lease,
  type LeasedReader,
  type OneStreamStats,
  SnapshotStream,
  StreamFull,
  type StreamLeases,
  type StreamStats,
  StreamUnavailable
} from "../SnapshotStream.ts"
import { type EntryKind, publishedArguments, rowsIn, type StreamContent } from "../StreamEntry.ts"
import { DeferredRemovals } from "./DeferredRemovals.ts"
import { keyOf, streamOf } from "./StreamNumber.ts"
import { exposed, readAddress, type ValkeyUrlInvalid } from "./ValkeyAddress.ts"
import { attempt, type Connection, open } from "./ValkeyConnection.ts"
import { type Consumer, ensureGroup, makeConsumer } from "./ValkeyConsumer.ts"
import { PUBLISH, RETIRE, STATS } from "./ValkeyScripts.ts"
import { ValkeySubscription } from "./ValkeySubscription.ts"
import { pause } from "./ValkeyTopology.ts"

export interface ValkeyOptions {
  /** `redis://[user:password@]host[:port][/database]`, `rediss://`, `valkey(s)://`, `unix:///path`, `redis-cluster://a,b`. */
  readonly url: Redacted.Redacted<string> | string
  /** How many streams rows are published to. Defaults to 1. */
  readonly streams?: number
  /** What the keys of the streams begin with (`StreamNumber.ts`). */
  readonly prefix?: string
  /** Defaults to `digest`. */
  readonly group?: string
  /** What an entry holds. Defaults to a snapshot. */
  readonly entry?: EntryKind
  /** At most this many rows. Defaults to 2 000 000: 200 s of 1 000 servers with 150 groups each. */
  readonly maxLength?: number
  /** At most this much of Valkey's memory. Defaults to 512 MiB, twice what `maxLength` process rows need. */
  readonly maxBytes?: number
  /** At most so many bytes of snapshots wait for Valkey's answer. Defaults to 64 MiB. */
  readonly maxBytesInFlight?: number
  /** So many replicas have what `publish` resolves for (`ValkeyReplicas.ts`). Defaults to 1 in a cluster, else to 0. */
  readonly replicas?: number
  /** How long anything but a waiting read may take. Defaults to 5 seconds. */
  readonly timeout?: Duration.Input
  /** How long a consumer is silent before its entries are given to another. Defaults to 15 seconds. */
  readonly claimAfter?: Duration.Input
  /** How long a read waits on the server at a time, and how often it looks for what others left. Defaults to 1 second. */
  readonly block?: Duration.Input
}

/** Longer than a cluster takes to replace a primary, and than one that is cut off from the others takes writes: 15 seconds by default. */
const REPLICAS_PATIENCE_MILLIS = 30_000
/** Of several streams each has so long to say how it is: less than those who ask wait for all (`SelfMetrics.ts`). */
const STATS_WITHIN = Duration.millis(700)
/** As many as there may be: those that do not answer hold up none that do. */
const STATS_AT_ONCE = 256
/** Giving a stream back waits so long for its server. Whoever has it next takes over what is not given back. */
const LEAVE_WITHIN_MILLIS = 1_000

/** A stream in Valkey. It connects by itself, now and whenever the connection breaks; see `ValkeyStart.ts` for the start. */
export const layer = (options: ValkeyOptions): Layer.Layer<SnapshotStream, ValkeyUrlInvalid> =>
  Layer.effect(SnapshotStream, make(options))

/** A name that no other consumer has: `<host>.<process id>.<random>`. */
export const uniqueConsumer: Effect.Effect<string> = Effect.map(
  Random.nextIntBetween(0, 36 ** 6),
  (random) => `${hostname()}.${process.pid}.${random.toString(36).padStart(6, "0")}`
)

/**
 * The present goes before the past. A stream is first in, first out: after an outage the backlog of a fleet would fill it to
 * its bound, and what is new would wait behind 2 000 000 old entries. So the past is refused where more than an eighth of
 * the bound is taken: 25 s of the 1 000 servers that it is made for. Their pages then stay current within 30 s where digest
 * is no faster than they are (`bench/outage-fleet.ts`). In process the bound is a second or two of digest's work.
 */
const PAST_SHARE = 1 / 8

const make = Effect.fnUntraced(function* (options: ValkeyOptions) {
  const streams = options.streams ?? 1
  const numbers = Array.from({ length: streams }, (_, stream) => stream)
  const keyOfStream = (stream: number) => keyOf(stream, options.prefix)
  const group = options.group ?? "digest"
  const maxLength = Math.ceil((options.maxLength ?? 2_000_000) / streams)
  const maxBytes = Math.ceil((options.maxBytes ?? 512 * 1024 * 1024) / streams)
  const maxBytesInFlight = options.maxBytesInFlight ?? 64 * 1024 * 1024
  const timeout = Duration.toMillis(Duration.fromInputUnsafe(options.timeout ?? "5 seconds"))
  const claimAfter = Duration.toMillis(Duration.fromInputUnsafe(options.claimAfter ?? "15 seconds"))
  const block = Duration.toMillis(Duration.fromInputUnsafe(options.block ?? "1 second"))
  const address = yield* readAddress(exposed(options.url))
  const clock = yield* Clock.Clock
  const now = () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
  const subscriptions = new Set<ValkeySubscription>()
  const removals = new Map<number, DeferredRemovals>()
  const deferredOf = (stream: number): DeferredRemovals => {
    const deferred = removals.get(stream) ?? new DeferredRemovals(Math.min(50_000, Math.floor(maxLength / 10)))
    removals.set(stream, deferred)
    return deferred
  }

  const commands = yield* open(address, { name: "nodepulse", silence: timeout, maxBytesInFlight })
  // In a connection of its own: what waits for replicas holds up what is asked behind it.
  const replicas = options.replicas ?? (address.seeds === undefined ? 0 : 1)
  const wanted = { least: replicas, patience: REPLICAS_PATIENCE_MILLIS }
  const publishing =
    replicas === 0
      ? commands
      : yield* open(address, { name: "nodepulse-publish", silence: timeout, maxBytesInFlight, replicas: wanted })
  // A moment for the first connection, so that what comes next does not find it under way. Where it fails, so will they.
  yield* Effect.ignore(attempt("connect", () => commands.ready(timeout)))

  const startedAt = now()
  /** Those that it publishes to or reads. */
  const known = new Set(numbers)
  const heardAt = new Map<number, number>()
  const asked = new Set<number>()
  /** Whether the server of each stream answers, in its own time: one that does not holds up no other. */
  const listen = () => {
    for (const stream of known) {
      if (asked.has(stream)) continue
      asked.add(stream)
      commands
        .call("XLEN", keyOfStream(stream))
        .then(
          () => void heardAt.set(stream, now()),
          () => {}
        )
        .finally(() => asked.delete(stream))
    }
  }

  /** Runs something that answers at once. */
  const command = <A>(operation: string, run: () => Promise<A>): Effect.Effect<A, StreamUnavailable> =>
    Effect.timeoutOrElse(attempt(operation, run), {
      duration: timeout,
      orElse: () =>
        Effect.fail(
          new StreamUnavailable({ operation, cause: new Error(`${address.shown} did not answer within ${timeout} ms`) })
        )
    })

  const full = (length: number, reason?: string) =>
    new StreamFull({
      length,
      bound: maxLength,
      retryAfterSeconds: 5,
      ...(reason === undefined ? {} : { reason })
    })

  let aloneTold = ""
  /** Says so once where primaries are taken at their word, and once where they need not be any more. */
  const tellOfReplicas = Effect.suspend(() => {
    const alone = publishing.alone().join(", ")
    if (alone === aloneTold) return Effect.void
    aloneTold = alone
    if (alone === "") return Effect.logInfo(`Valkey at ${address.shown}: all primaries have replicas again`)
    return Effect.logWarning(
      `Valkey at ${address.shown}: ${alone} lacks replicas: what it takes is lost if it fails before one has come`
    )
  })

  /** To one stream. */
  const publishTo = (
    stream: number,
    contents: ReadonlyArray<StreamContent>,
    past: boolean
  ): Effect.Effect<void, StreamFull | StreamUnavailable> => {
    const rows = contents.reduce((sum, content) => sum + rowsIn(content), 0)
    if (rows === 0) return Effect.void
    const args = publishedArguments(contents)
    const bytes = contents.reduce((sum, content) => sum + bytesOf(content), 0)
    const most = past ? Math.floor(maxLength * PAST_SHARE) : maxLength
    return command("publish", () =>
      publishing.run(PUBLISH, keyOfStream(stream), [maxLength, maxBytes, most, rows, ...args], bytes)
    ).pipe(
      Effect.catch((error) => Effect.fail(isOutOfMemory(error) ? full(0, "Valkey has no memory left") : error)),
      Effect.flatMap((reply) => {
        const [outcome, length = 0, used = 0] = reply as ReadonlyArray<number>
        if (outcome === 1) return Effect.fail(full(length))
        if (outcome === 2) return Effect.fail(full(length, `the stream uses ${used} bytes of at most ${maxBytes}`))
        return tellOfReplicas
      })
    )
  }

  const publish = (
    contents: ReadonlyArray<StreamContent>,
    { past = false } = {}
  ): Effect.Effect<void, StreamFull | StreamUnavailable> => {
    if (streams === 1) return publishTo(0, contents, past)
    const parts = Map.groupBy(contents, ({ serverId }) => streamOf(serverId, streams))
    return Effect.forEach(parts, ([stream, some]) => publishTo(stream, some, past), { discard: true })
  }

  /** A consumer of one stream, with a connection of its own. */
  const consumerOf = Effect.fnUntraced(function* (
    subscription: ValkeySubscription,
    name: string,
    stream: number,
    leased?: { readonly lease: Lease; readonly leases: StreamLeases }
  ) {
    known.add(stream)
    const blocking = yield* open(address, {
      name: `nodepulse:${connectionName(name)}`,
      silence: block + timeout,
      maxBytesInFlight
    })
    return {
      blocking,
      consumer: makeConsumer({
        stream,
        key: keyOfStream(stream),
        group,
        consumer: name,
        lease: leased?.lease,
        commands,
        blocking,
        claimAfter,
        block,
        deferred: deferredOf(stream),
        now,
        onReleased: () => {
          for (const one of subscriptions) one.lookAgain()
        },
        onStep: () => subscription.wake(),
        onFenced: (fence) => {
          if (leased !== undefined) leased.leases.outfenced(leased.lease, fence)
        }
      })
    }
  })

  const subscribe = Effect.fnUntraced(function* (name: string, leases?: StreamLeases) {
    const subscription = new ValkeySubscription(now)
    // Before what follows, so that leases are freed after what was read under them is given back.
    if (leases !== undefined) yield* leases.attach(yield* leasedReader(subscription, name, leases))
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        subscriptions.add(subscription)
        return setInterval(() => {
          for (const { beat } of subscription.consumers) beat()
          listen()
        }, claimAfter / 5)
      }),
      (heartbeat) =>
        Effect.promise(async () => {
          clearInterval(heartbeat)
          subscriptions.delete(subscription)
          subscription.close()
          await Promise.all(subscription.consumers.map(({ leave }) => leave()))
        })
    )
    if (leases === undefined) {
      for (const stream of numbers) {
        const { blocking, consumer } = yield* consumerOf(subscription, name, stream)
        yield* command("subscribe", async () => {
          await blocking.ready(timeout)
          await ensureGroup(commands, keyOfStream(stream), group)
        })
        subscription.add(consumer)
      }
    }
    return subscription
  })

  /** Reads what is leased: the first thing that is asked of a stream takes it over, and makes its group where there is none. */
  const leasedReader = Effect.fnUntraced(function* (
    subscription: ValkeySubscription,
    name: string,
    leases: StreamLeases
  ) {
    const scope = yield* Effect.scope
    const open = new Map<number, { readonly consumer: Consumer; readonly scope: Scope.Closeable }>()
    const end = (stream: number) =>
      Effect.suspend(() => {
        const found = open.get(stream)
        open.delete(stream)
        if (found === undefined) return Effect.void
        // Where its server is away it leaves by itself: nobody waits for that, least of all the other leases.
        return Effect.promise(() => Promise.race([found.consumer.leave(), pause(LEAVE_WITHIN_MILLIS)])).pipe(
          Effect.andThen(Scope.close(found.scope, Exit.void)),
          Effect.andThen(Effect.sync(() => subscription.remove(found.consumer)))
        )
      })
    const begin = (lease: Lease): Effect.Effect<void> =>
      Effect.gen(function* () {
        yield* end(lease.stream)
        if (subscription.isClosed) return
        const own = yield* Scope.fork(scope)
        const { consumer } = yield* Scope.provide(consumerOf(subscription, name, lease.stream, { lease, leases }), own)
        open.set(lease.stream, { consumer, scope: own })
        subscription.add(consumer)
      })
    /** It is empty now, and is removed unless somebody publishes in between. */
    const removeEmpty = (lease: Lease) =>
      Effect.gen(function* () {
        const key = keyOfStream(lease.stream)
        const length = yield* command("look", () => commands.call("XLEN", key))
        if (length !== 0) return false
        yield* end(lease.stream)
        const removed = yield* Effect.option(command("retire", () => commands.run(RETIRE, key, [lease.fence])))
        if (Option.isSome(removed) && removed.value === 1) return true
        yield* begin(lease)
        return false
      }).pipe(Effect.catch(() => Effect.succeed(false)))
    return {
      begin,
      stop: (stream) => open.get(stream)?.consumer.stop() ?? 0,
      end,
      removeEmpty,
      silentFor: (millis) => [...known].filter((stream) => now() - (heardAt.get(stream) ?? startedAt) > millis)
    } satisfies LeasedReader as LeasedReader
  })

  const statsOf = (stream: number) =>
    Effect.map(
      command("stats", () => commands.run(STATS, keyOfStream(stream), [group])),
      (reply): OneStreamStats => {
        const [length, pending, bytes, first, now, waiting] = reply as readonly [
          number,
          number,
          number,
          string,
          string,
          number
        ]
        return {
          stream,
          length: first === "" ? 0 : Math.max(0, length - (removals.get(stream)?.from(first) ?? 0)),
          pending,
          waiting,
          bound: maxLength,
          bytes: bytes < 0 ? null : bytes,
          oldestSeconds: first === "" ? null : Math.max(0, (Number(now) - Number(first.split("-")[0])) / 1000)
        }
      }
    )

  /** Of one stream. Of several, one whose server is away hides no other. */
  const statsInTime = (stream: number) =>
    Effect.result(
      Effect.timeoutOrElse(statsOf(stream), {
        duration: STATS_WITHIN,
        orElse: () =>
          Effect.fail(
            new StreamUnavailable({ operation: "stats", cause: new Error(`stream ${stream} does not answer`) })
          )
      })
    )

  const statsWith = (further: ReadonlyArray<number>) =>
    Effect.gen(function* () {
      const read = [...subscriptions].flatMap(({ consumers }) => consumers.map(({ stream }) => stream))
      const all = [...new Set([...numbers, ...read, ...further])].sort((a, b) => a - b)
      if (all.length === 1) return statsOfAll([yield* statsOf(all[0]!)], [], options.maxLength)
      const asked = yield* Effect.forEach(all, statsInTime, { concurrency: STATS_AT_ONCE })
      const streams = asked.flatMap((one) => (Result.isSuccess(one) ? [one.success] : []))
      const failure = asked.find(Result.isFailure)
      if (failure !== undefined && streams.length === 0) return yield* failure.failure
      const silent = all.filter((_, n) => Result.isFailure(asked[n]!))
      return statsOfAll(streams, silent, options.maxLength)
    })

  return SnapshotStream.of({
    entry: options.entry ?? "snapshot",
    publish,
    subscribe,
    stats: statsWith([]),
    statsWith,
    durability: command("durability", async () => {
      const all = await Promise.all(numbers.map((stream) => durability(commands, keyOfStream(stream))))
      return all.reduce((worst, one) =>
        WORST_FIRST.indexOf(one.durability) < WORST_FIRST.indexOf(worst.durability) ? one : worst
      )
    }).pipe(
      Effect.flatMap(({ durability, note }) =>
        Option.match(note, {
          onNone: () => Effect.succeed(durability),
          onSome: (text) => Effect.as(Effect.logWarning(`Valkey at ${address.shown}: ${text}`), durability)
        })
      )
    )
  })
})

const statsOfAll = (
  streams: ReadonlyArray<OneStreamStats>,
  silent: ReadonlyArray<number>,
  bound = 2_000_000
): StreamStats => {
  const sum = (valueOf: (one: OneStreamStats) => number) => streams.reduce((total, one) => total + valueOf(one), 0)
  const ages = streams.flatMap(({ oldestSeconds }) => oldestSeconds ?? [])
  return {
    length: sum(({ length }) => length),
    pending: sum(({ pending }) => pending),
    waiting: sum(({ waiting }) => waiting),
    bound,
    bytes: streams.some(({ bytes }) => bytes === null) ? null : sum(({ bytes }) => bytes!),
    oldestSeconds: ages.length === 0 ? null : Math.max(...ages),
    streams,
    silent
  }
}

/** Valkey refuses spaces and control characters in the name of a connection. */
const connectionName = (name: string) => name.replace(/[^!-~]/g, "_")

/** About. */
const bytesOf = (content: StreamContent): number =>
  "scrape" in content
    ? content.scrape.length + 64
    : content.snapshots.reduce((sum, snapshot) => sum + snapshot.length + 64, 0)

const isOutOfMemory = (error: StreamUnavailable) =>
  error.cause instanceof Error && error.cause.message.includes("OOM command not allowed")

/** The streams of a cluster may be on servers that differ: what counts is the worst of them. */
const WORST_FIRST: ReadonlyArray<Durability> = ["memory", "fsync-everysec", "fsync-always"]

/** What the server's configuration makes a 2xx worth, and what a person should know about it. */
const durability = async (
  commands: Connection,
  key: string
): Promise<{ readonly durability: Durability; readonly note: Option.Option<string> }> => {
  let settings: ReadonlyArray<string>
  try {
    const names = ["appendonly", "appendfsync", "maxmemory-policy", "maxmemory"]
    settings = (await commands.callOn(key, "CONFIG", "GET", ...names)) as ReadonlyArray<string>
  } catch (error) {
    if (!(error instanceof Error) || !/^(NOPERM|ERR)/.test(error.message)) throw error
    return { durability: "memory", note: Option.some(`its configuration may not be read (${error.message})`) }
  }
  const setting = (name: string) => settings[settings.indexOf(name) + 1]
  if ((setting("maxmemory-policy") ?? "").startsWith("allkeys") && setting("maxmemory") !== "0") {
    const note = `maxmemory-policy ${setting("maxmemory-policy")} may evict the stream; set it to noeviction`
    return { durability: "memory", note: Option.some(note) }
  }
  const fsync = setting("appendfsync")
  if (setting("appendonly") !== "yes" || (fsync !== "always" && fsync !== "everysec")) {
    return { durability: "memory", note: Option.none() }
  }
  return { durability: fsync === "always" ? "fsync-always" : "fsync-everysec", note: Option.none() }
}
