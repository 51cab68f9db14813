/**
 * What one digest has of the streams: it beats, takes what it should have, and gives up what it should not.
 *
 * - It reads a stream only under a lease, and beats several times in that span. Where PostgreSQL is away it goes on with what it has:
 *   nobody else can take it meanwhile, nor can anybody store rows. When it is back all leases have run out, and the first to
 *   come would take them all: who was away for longer than a lease takes nothing before the others had time to renew theirs.
 * - What others have taken while it was silent it drops at once, and says so. Rows of it that are in flight are refused where they
 *   would be stored, and where they would be acknowledged.
 * - Giving up: it reads no more of the stream, waits until what is in flight is settled (at most `settleWithin`), gives back
 *   the rest, and frees the lease. A stop does the same with all at once.
 * - A digest whose connection to a server of the streams is cut (`cutOffAfter`), while that server answers another digest, leaves the
 *   streams of that server to the others, and takes its share of the rest. A server that answers nobody moves nothing.
 * - Valkey that has seen a higher fence than the database (a backup of the database that was restored): its owner by the
 *   database takes one beyond.
 * - A stream that nobody publishes to and that is empty is retired by whoever has it.
 *
 * It is at rest while nobody reads (`attach`).
 */
import { PgClient } from "@effect/sql-pg"
import { Duration, Effect, Latch, Semaphore } from "effect"
import { monotonicMillis } from "../../../engine/Monotonic.ts"
import type { Lease, LeasedReader, StreamLeases } from "../SnapshotStream.ts"
import { STREAMS_MAX } from "../valkey/StreamNumber.ts"
import { makeLeaseTable, type SeenStream } from "./LeaseTable.ts"
import { isOthers, type LivingDigest, shareOf } from "./Shares.ts"

export interface LeaseOptions {
  /** Of this digest: no other has it. */
  readonly name: string
  /** How long it may be silent before others take its streams. Defaults to 6 seconds. */
  readonly lease?: Duration.Input
  /** How often it renews and looks around. Defaults to a quarter of the lease. */
  readonly beat?: Duration.Input
  /** How long a stream's server may be silent before the stream is left to others. Defaults to 10 seconds. */
  readonly cutOffAfter?: Duration.Input
  /** How long giving up a stream waits for what is in flight. Defaults to 5 seconds. */
  readonly settleWithin?: Duration.Input
}

export interface LeaseHolder {
  readonly leases: StreamLeases
  /** Beats until it is interrupted. */
  readonly run: Effect.Effect<never>
  /** One beat: renews, looks around, takes and gives up. Never fails: the next one tries again. */
  readonly beat: Effect.Effect<void>
  /** What it has now. */
  readonly held: () => ReadonlyArray<Lease>
}

/** While a stream is given up: how often to look whether it is settled. */
const SETTLED_EVERY = Duration.millis(100)
const LEAVE_WITHIN = Duration.seconds(2)

export const makeLeaseHolder = (options: LeaseOptions): Effect.Effect<LeaseHolder, never, PgClient.PgClient> =>
  Effect.gen(function* () {
    const { name } = options
    const lease = Duration.fromInputUnsafe(options.lease ?? "6 seconds")
    const beat = options.beat === undefined ? Duration.times(lease, 0.25) : Duration.fromInputUnsafe(options.beat)
    /** A connection that went silent holds up no more than this, and costs no lease. */
    const beatWithin = Duration.times(lease, 0.5)
    const settleMillis = Duration.toMillis(Duration.fromInputUnsafe(options.settleWithin ?? "5 seconds"))
    const cutOffMillis = Duration.toMillis(Duration.fromInputUnsafe(options.cutOffAfter ?? "10 seconds"))
    const table = makeLeaseTable(yield* PgClient.PgClient, name, lease)
    const oneAtATime = Semaphore.makeUnsafe(1)
    const awake = Latch.makeUnsafe(false)
    const held = new Map<number, Lease>()
    /** What is being given up, until when it may take. */
    const leaving = new Map<number, number>()
    /** What is read no more, and is not free in the database yet. */
    const ended = new Set<number>()
    /** The higher fences that Valkey has seen. */
    const outfenced = new Map<number, number>()
    let reader: LeasedReader | undefined
    let away = false
    /** Streams that are left to others, since their servers do not answer this digest. */
    let leftToOthers: ReadonlyArray<number> = []
    /** When the database answered last; undefined: never yet. Monotonic milliseconds, as below. */
    let answeredAt: number | undefined
    let takesFrom = Number.NEGATIVE_INFINITY

    const begin = (lease: Lease) =>
      Effect.suspend(() => {
        held.set(lease.stream, lease)
        leaving.delete(lease.stream)
        outfenced.delete(lease.stream)
        // Whole, or what is held would not be what is read.
        return Effect.uninterruptible(reader?.begin(lease) ?? Effect.void)
      })

    const end = (stream: number) =>
      Effect.suspend(() => {
        held.delete(stream)
        leaving.delete(stream)
        outfenced.delete(stream)
        // Whole, or its connection would stay.
        return Effect.uninterruptible(reader?.end(stream) ?? Effect.void)
      })

    /** Makes what is held what the database says. */
    const reconcile = Effect.fnUntraced(function* (streams: ReadonlyArray<SeenStream>) {
      const rows = new Map(streams.map((row) => [row.stream, row]))
      for (const { fence, stream } of [...held.values()]) {
        const row = rows.get(stream)
        if (row?.owner === name && row.fence === fence) continue
        yield* end(stream)
        if (row?.owner === name) continue
        const who = row === undefined ? "is not there any more" : `was taken over by ${row.owner ?? "nobody"}`
        yield* Effect.logWarning(`stream ${stream} ${who}: this digest was silent for longer than its lease`)
      }
      // The answer to taking it was lost.
      for (const { fence, owner, stream } of streams) {
        if (owner === name && !held.has(stream) && !ended.has(stream)) yield* begin({ stream, fence })
      }
    })

    const raise = Effect.gen(function* () {
      for (const [stream, beyond] of [...outfenced]) {
        if (!held.has(stream)) continue
        const [raised] = yield* table.raise(stream, beyond)
        if (raised !== undefined) yield* begin(raised)
      }
    })

    /** Ends what is settled, or has had its time. */
    const finishLeaving = Effect.gen(function* () {
      const now = yield* monotonicMillis
      const ends = [...leaving].flatMap(([stream, until]) =>
        (reader?.stop(stream) ?? 0) > 0 && now < until ? [] : [stream]
      )
      // What takes too long to end is freed by the next beat.
      for (const stream of ends) ended.add(stream)
      yield* Effect.forEach(ends, end, { discard: true, concurrency: STREAMS_MAX })
      if (ended.size > 0) yield* table.free([...ended])
      ended.clear()
    })

    const retire = Effect.fnUntraced(function* (streams: ReadonlyArray<SeenStream>) {
      for (const { isUnused, stream } of streams) {
        const own = held.get(stream)
        if (!isUnused || own === undefined || leaving.has(stream)) continue
        if (reader === undefined || !(yield* reader.removeEmpty(own))) continue
        held.delete(stream)
        yield* table.retire(own)
        yield* Effect.logInfo(`stream ${stream} is empty and nobody publishes to it: it is retired`)
      }
    })

    /** Tells what is left to others when it changes. Where a server answers nobody any more, what was told still holds. */
    const tellWhatIsLeft = Effect.fnUntraced(function* (
      unreachable: ReadonlySet<number>,
      digests: ReadonlyArray<LivingDigest>
    ) {
      const left = [...unreachable].filter((stream) => isOthers(stream, { name, unreachable }, digests))
      if (left.length === 0 && leftToOthers.some((stream) => unreachable.has(stream))) return
      const [before, now] = [leftToOthers.join(", "), left.join(", ")]
      leftToOthers = left
      if (now === before) return
      yield* now === ""
        ? Effect.logInfo(`Valkey answers this digest again for what was left to the others, stream ${before}`)
        : Effect.logWarning(`Valkey does not answer this digest for what is left to the others, stream ${now}`)
    })

    const once = Effect.gen(function* () {
      const unreachable = new Set(reader?.silentFor(cutOffMillis))
      const { digests, streams } = yield* table.beat([...unreachable])
      yield* reconcile(streams)
      yield* raise
      yield* tellWhatIsLeft(unreachable, digests)
      const share = shareOf(name, digests, streams)
      const now = yield* monotonicMillis
      if (answeredAt !== undefined && now - answeredAt > Duration.toMillis(lease)) {
        takesFrom = now + 2 * Duration.toMillis(beat)
      }
      answeredAt = now
      for (const stream of share.giveUp) {
        // What is in flight of a stream that cannot be reached cannot be acknowledged: nothing to wait for.
        const until = unreachable.has(stream) ? now : (leaving.get(stream) ?? now + settleMillis)
        leaving.set(stream, until)
      }
      if (share.take.length > 0 && now >= takesFrom) {
        for (const taken of yield* table.take(share.take)) yield* begin(taken)
      }
      yield* finishLeaving
      yield* retire(streams)
    })

    /** A beat, or, between beats, a look at what is being given up. */
    const step = (full: boolean) =>
      oneAtATime
        .withPermit(Effect.suspend(() => (reader === undefined ? Effect.void : full ? once : finishLeaving)))
        .pipe(
          Effect.timeout(beatWithin),
          Effect.tap(() => {
            if (!away) return Effect.void
            away = false
            return Effect.logInfo("leases are renewed again")
          }),
          Effect.catch((error) => {
            if (away) return Effect.void
            away = true
            return Effect.logWarning(`leases are not renewed, streams that are held are still read: ${error.message}`)
          })
        )

    const run = Effect.gen(function* () {
      let nextBeat = Number.NEGATIVE_INFINITY
      while (true) {
        const now = yield* monotonicMillis
        const due = now >= nextBeat
        if (due) nextBeat = now + Duration.toMillis(beat)
        yield* step(due)
        const wait =
          leaving.size > 0 ? SETTLED_EVERY : Duration.millis(Math.max(1, nextBeat - (yield* monotonicMillis)))
        const woken = yield* Effect.raceFirst(
          Effect.as(Effect.sleep(reader === undefined ? Duration.hours(1) : wait), false),
          Effect.as(awake.await, true)
        )
        awake.closeUnsafe()
        if (woken) nextBeat = Number.NEGATIVE_INFINITY
      }
    })

    const attach = (given: LeasedReader) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          reader = given
          awake.openUnsafe()
        }),
        () =>
          oneAtATime.withPermit(
            Effect.suspend(() => {
              reader = undefined
              held.clear()
              leaving.clear()
              ended.clear()
              outfenced.clear()
              return Effect.timeout(table.leave, LEAVE_WITHIN).pipe(
                Effect.catch((error) => Effect.logWarning(`leases are not freed, and will expire: ${error.message}`))
              )
            })
          )
      )

    return {
      leases: {
        attach,
        outfenced: ({ fence, stream }, seen) => {
          if (held.get(stream)?.fence !== fence) return
          outfenced.set(stream, seen)
          awake.openUnsafe()
        },
        lost: ({ fence, stream }) => {
          if (held.get(stream)?.fence !== fence) return
          // Else they would come again at once, and be refused again, until the next beat.
          reader?.stop(stream)
          awake.openUnsafe()
        }
      },
      run,
      beat: step(true),
      held: () => [...held.values()]
    }
  })
