/**
 * The stream in Valkey (>= 7.2) or Redis (>= 7.0), with one group.
 *
 * Guarantees, beside those of the port:
 * - A call of `publish` is one Lua script: everything or nothing, also when the memory runs out half-way. One that
 *   times out is `StreamUnavailable`: its entries may be there or not. Sending again is harmless, rows are idempotent.
 * - The answer comes after the server's own write to disk, where it is configured so (`durability` says).
 * - A missing stream or group (flushed, deleted, failed over to an older copy) is made again, from the first entry on.
 *
 * Bounds: `maxLength` rows (an eighth of it for what is `past`) and `maxBytes` of memory in Valkey (to within one
 * request), `maxBytesInFlight` of requests in this process. Up to a tenth of `maxLength`, at most 50 000 for each process that reads, may be rows that are
 * acknowledged and not yet removed. A second group that does not read keeps every entry, until the stream is full: nothing unread is dropped.
 * An entry that our group is done with then counts as one row, whatever it holds; its bytes still count.
 *
 * It is one Valkey, with replicas or without; the keys of a cluster would do, its redirections are not followed.
 */
import { hostname } from "node:os"
import { Clock, Duration, Effect, Layer, Option, Random, type Redacted } from "effect"
import { type Durability, SnapshotStream, StreamFull, type StreamStats, StreamUnavailable } from "../SnapshotStream.ts"
import { type EntryKind, publishedArguments, rowsIn, type StreamContent } from "../StreamEntry.ts"
import { DeferredRemovals } from "./DeferredRemovals.ts"
import { attempt, type Connection, exposed, open, readAddress, type ValkeyUrlInvalid } from "./ValkeyConnection.ts"
import { PUBLISH, STATS } from "./ValkeyScripts.ts"
import { type Consumer, ensureGroup, makeConsumer } from "./ValkeySubscription.ts"

export interface ValkeyOptions {
  /** `redis://[user:password@]host[:port][/database]`, `rediss://`, `valkey(s)://`, `unix:///path`. */
  readonly url: Redacted.Redacted<string> | string
  /** Defaults to {@link DEFAULT_KEY}. */
  readonly key?: string
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
  /** How long anything but a waiting read may take. Defaults to 5 seconds. */
  readonly timeout?: Duration.Input
  /** How long a consumer is silent before its entries are given to another. Defaults to 15 seconds. */
  readonly claimAfter?: Duration.Input
  /** How long a read waits on the server at a time, and how often it looks for what others left. Defaults to 1 second. */
  readonly block?: Duration.Input
}

export const DEFAULT_KEY = "nodepulse:snapshots"

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
  const key = options.key ?? DEFAULT_KEY
  const group = options.group ?? "digest"
  const maxLength = options.maxLength ?? 2_000_000
  const maxBytes = options.maxBytes ?? 512 * 1024 * 1024
  const maxBytesInFlight = options.maxBytesInFlight ?? 64 * 1024 * 1024
  const timeout = Duration.toMillis(Duration.fromInputUnsafe(options.timeout ?? "5 seconds"))
  const claimAfter = Duration.toMillis(Duration.fromInputUnsafe(options.claimAfter ?? "15 seconds"))
  const block = Duration.toMillis(Duration.fromInputUnsafe(options.block ?? "1 second"))
  const address = yield* readAddress(exposed(options.url))
  const clock = yield* Clock.Clock
  const consumers = new Set<Consumer>()
  const deferred = new DeferredRemovals(Math.min(50_000, Math.floor(maxLength / 10)))

  const commands = yield* open(address, { name: "nodepulse", silence: timeout, maxBytesInFlight })
  const publishing = commands
  // A moment for the first connection, so that what comes next does not find it under way. Where it fails, so will they.
  yield* Effect.ignore(attempt("connect", () => commands.ready(timeout)))

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

  const publish = (
    contents: ReadonlyArray<StreamContent>,
    { past = false } = {}
  ): Effect.Effect<void, StreamFull | StreamUnavailable> => {
    const rows = contents.reduce((sum, content) => sum + rowsIn(content), 0)
    if (rows === 0) return Effect.void
    const args = publishedArguments(contents)
    const bytes = contents.reduce((sum, content) => sum + bytesOf(content), 0)
    const most = past ? Math.floor(maxLength * PAST_SHARE) : maxLength
    return command("publish", () =>
      publishing.run(PUBLISH, key, [maxLength, maxBytes, most, rows, ...args], bytes)
    ).pipe(
      Effect.catch((error) => Effect.fail(isOutOfMemory(error) ? full(0, "Valkey has no memory left") : error)),
      Effect.flatMap((reply) => {
        const [outcome, length = 0, used = 0] = reply as ReadonlyArray<number>
        if (outcome === 1) return Effect.fail(full(length))
        if (outcome === 2) return Effect.fail(full(length, `the stream uses ${used} bytes of at most ${maxBytes}`))
        return Effect.void
      })
    )
  }

  const subscribe = Effect.fnUntraced(function* (name: string) {
    const blocking = yield* open(address, {
      name: `nodepulse:${connectionName(name)}`,
      silence: block + timeout,
      maxBytesInFlight
    })
    yield* command("subscribe", async () => {
      await blocking.ready(timeout)
      await ensureGroup(commands, key, group)
    })
    const consumer = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const made = makeConsumer({
          key,
          group,
          consumer: name,
          commands,
          blocking,
          claimAfter,
          block,
          deferred,
          now: () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n),
          onReleased: () => {
            for (const one of consumers) one.lookAgain()
          }
        })
        const heartbeat = setInterval(made.beat, claimAfter / 5)
        consumers.add(made)
        return { made, heartbeat }
      }),
      ({ made, heartbeat }) =>
        Effect.promise(() => {
          clearInterval(heartbeat)
          consumers.delete(made)
          return made.leave()
        })
    )
    return consumer.made.subscription
  })

  const stats = Effect.map(
    command("stats", () => commands.run(STATS, key, [group])),
    (reply): StreamStats => {
      const [length, pending, bytes, first, now] = reply as readonly [number, number, number, string, string]
      return {
        length: first === "" ? 0 : Math.max(0, length - deferred.from(first)),
        pending,
        bound: maxLength,
        bytes: bytes < 0 ? null : bytes,
        oldestSeconds: first === "" ? null : Math.max(0, (Number(now) - Number(first.split("-")[0])) / 1000)
      }
    }
  )

  return SnapshotStream.of({
    entry: options.entry ?? "snapshot",
    publish,
    subscribe,
    stats,
    durability: command("durability", () => durability(commands, key)).pipe(
      Effect.flatMap(({ durability, note }) =>
        Option.match(note, {
          onNone: () => Effect.succeed(durability),
          onSome: (text) => Effect.as(Effect.logWarning(`Valkey at ${address.shown}: ${text}`), durability)
        })
      )
    )
  })
})

/** Valkey refuses spaces and control characters in the name of a connection. */
const connectionName = (name: string) => name.replace(/[^!-~]/g, "_")

/** About. */
const bytesOf = (content: StreamContent): number =>
  "scrape" in content
    ? content.scrape.length + 64
    : content.snapshots.reduce((sum, snapshot) => sum + snapshot.length + 64, 0)

const isOutOfMemory = (error: StreamUnavailable) =>
  error.cause instanceof Error && error.cause.message.includes("OOM command not allowed")

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
