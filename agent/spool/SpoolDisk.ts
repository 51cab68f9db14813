/**
 * The spool's layer on disk: what was scraped survives the process, the machine and most of what a disk can do.
 *
 * Guarantees, beside those of the port (`Spool.ts`; `SpoolSuite.ts`, `SpoolDisk.test.ts`):
 * - What `append` resolved for is synced to the disk while `stats` says `durable`: one `fdatasync` per call, and one of
 *   the folder where a segment begins.
 * - It starts from whatever is in the folder. A torn or damaged record costs itself and is counted, once.
 * - A removal is written down, not synced: it survives the process, and a power cut only makes a record go out twice.
 * - Where the disk refuses (full, read-only, gone), records are kept in memory, and written when it takes them again:
 *   tried every `RETRY_MILLIS`, with the next `append`.
 * - A second agent on the folder fails with `SpoolLocked`.
 *
 * Bounds: `maxBytes` of files, segment by segment (a sixteenth of it, at most 4 MiB), so that what is dropped frees its
 * space; `maxAge`, by the monotonic clock; `RECORDS_MAX` records, which bounds the index in memory (some 200 bytes a
 * record); `MEMORY_BYTES_MAX` of compressed records while the disk refuses.
 */
import { Clock, Duration, Effect, Latch, Layer, type Scope, Semaphore } from "effect"
import { type NewSpoolRecord, Spool, type SpoolRecord } from "./Spool.ts"
import { makeFolder, type Segment, SpoolDiskError } from "./SpoolFolder.ts"
import { type Held, makeIndex } from "./SpoolIndex.ts"
import { acquireLock, holdsLock, releaseLock, type SpoolLock, type SpoolLocked } from "./SpoolLock.ts"
import { decodeBody, encodeBody, encodeHeader, HEADER_BYTES, ID_MAX, type ScannedRecord } from "./SpoolSegment.ts"

export interface SpoolDiskOptions {
  /** The folder; made where it is missing, for this user only. */
  readonly path: string
  /** Defaults to 256 MiB: two weeks of two exporters with 150 groups every 15 s (`bench/spool.ts`). */
  readonly maxBytes?: number
  /** Defaults to 24 hours. */
  readonly maxAge?: Duration.Input
}

const ROLL_BYTES = 4 * 1024 * 1024
const MEMORY_BYTES_MAX = 32 * 1024 * 1024
const RECORDS_MAX = 100_000
const RETRY_MILLIS = 30_000

/** The spool in a folder. Building it reads what an earlier process left there. */
export const layerDisk = (options: SpoolDiskOptions): Layer.Layer<Spool, SpoolLocked> =>
  Layer.effect(Spool, make(options))

const make = (options: SpoolDiskOptions): Effect.Effect<Spool["Service"], SpoolLocked, Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const folder = yield* makeFolder(options.path)
    const oneAtATime = yield* Semaphore.make(1)
    const latch = yield* Latch.make(false)
    const maxBytes = options.maxBytes ?? 256 * 1024 * 1024
    const maxAge = Duration.toMillis(options.maxAge ?? "24 hours")
    const segmentBytes = Math.min(ROLL_BYTES, Math.ceil(maxBytes / 16))

    const index = makeIndex()
    /** Ascending; only the last is appended to. */
    let segments: Array<Segment> = []
    /** Their records are gone, their files could not be deleted yet. */
    let undeleted: Array<Segment> = []
    let nextId = 1
    let received = 0
    let removed = 0
    let dropped = 0
    let damaged = 0
    let bytesHighest = 0
    let lock: SpoolLock | undefined
    let recovered = false
    let failure: { readonly reason: string; readonly since: number } | undefined
    let lastError: { readonly reason: string; readonly at: number } | null = null

    const wall = () => clock.currentTimeMillisUnsafe()
    /** Monotonic milliseconds: ages and retries follow no clock that can be set. */
    const now = () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
    const fail = (error: SpoolDiskError | SpoolLocked) =>
      Effect.suspend(() => {
        const isNew = failure?.reason !== error.message
        failure = { reason: error.message, since: now() }
        lastError = { reason: error.message, at: wall() }
        return isNew
          ? Effect.logWarning(`what is scraped is kept in memory, and lost when the agent stops: ${error.message}`)
          : Effect.void
      })

    /** What an earlier process had written and nobody can read. */
    const lose = (count: number) => {
      received += count
      damaged += count
    }

    const drop = (record: Held) => {
      index.forget(record)
      dropped++
    }

    /** Writes down what is done with, and deletes the segments of which nothing is held. The last stays: it knows the last id. */
    const tidy = Effect.fnUntraced(function* () {
      const done = segments.filter((segment, at) => segment.live === 0 && at < segments.length - 1)
      if (done.length > 0) {
        segments = segments.filter((segment) => !done.includes(segment))
        undeleted.push(...done)
      }
      const kept: Array<Segment> = []
      for (const segment of undeleted) {
        yield* Effect.catch(folder.delete(segment), () => Effect.sync(() => kept.push(segment)))
      }
      undeleted = kept
      // What cannot be saved now is saved with the next.
      for (const segment of segments) yield* Effect.ignore(folder.saveAcks(segment))
      if (index.size() === 0) latch.closeUnsafe()
      else latch.openUnsafe()
    })

    /** Drops the oldest until what is held keeps the bounds. */
    const enforce = () => {
      const horizon = now() - maxAge
      for (const record of index.records()) if (record.heldSince < horizon) drop(record)
      for (const record of index.records()) {
        if (index.size() <= RECORDS_MAX) break
        drop(record)
      }
      let files = segments.reduce((sum, segment) => sum + segment.size + segment.acksSize, 0)
      while (files + index.waitingBytes() > maxBytes) {
        const oldest = segments.shift()
        if (oldest === undefined) {
          const [record] = index.waiting()
          if (record === undefined) break
          drop(record)
          continue
        }
        files -= oldest.size + oldest.acksSize
        for (const record of index.records()) {
          if (!("segment" in record.at) || record.at.segment !== oldest) break
          drop(record)
        }
        undeleted.push(oldest)
      }
    }

    /** Reads what earlier processes left. */
    const recover = Effect.fnUntraced(function* () {
      let lastId = 0
      const loaded: Array<Segment> = []
      const records: Array<Held> = []
      for (const firstId of yield* folder.list) {
        // A file that cannot be read at all is left where it is, for a person to look at.
        const file = yield* Effect.orElseSucceed(folder.load(firstId), () => undefined)
        if (file === undefined) {
          lose(1)
          lastId = Math.max(lastId, firstId)
          continue
        }
        lose(file.damaged)
        const { segment } = file
        loaded.push(segment)
        for (const place of file.records) {
          const { id, scrapedAt, rowsBytes, length } = place
          // A write whose sync failed may have reached the disk, and again in a later segment.
          if (id > lastId) {
            const heldSince = now() - Math.max(0, wall() - scrapedAt)
            records.push({ id, scrapedAt, heldSince, rowsBytes, length, at: { segment, place } })
          } else segment.done.add(place.sequence)
        }
        lastId = Math.max(lastId, file.lastId)
      }
      const [first] = index.records()
      if (first !== undefined && first.id <= lastId) {
        const cause = new Error(`its ids, up to ${lastId}, are not below ${first.id}: a restart of the agent helps`)
        return yield* new SpoolDiskError({ operation: "read", path: options.path, cause })
      }
      index.holdOlder(records)
      received += records.length
      segments = loaded
      nextId = Math.max(nextId, lastId + 1)
      recovered = true
    })

    /** Makes the folder ours and reads it, as far as that is still to be done. */
    const ready = Effect.fnUntraced(function* () {
      if (lock !== undefined && !(yield* holdsLock(lock))) {
        // Somebody deleted the folder: what is written to the open segment would go nowhere.
        const last = segments.at(-1)
        if (last !== undefined) last.sealed = true
        lock = undefined
      }
      if (lock === undefined) {
        yield* folder.prepare
        lock = yield* acquireLock(options.path)
      }
      if (!recovered) yield* recover()
    })

    /** The segment that takes `bytes` more. */
    const segmentFor = Effect.fnUntraced(function* (bytes: number, firstId: number) {
      const last = segments.at(-1)
      if (last !== undefined && !last.sealed && (last.size === 0 || last.size + bytes <= segmentBytes)) return last
      const next = yield* folder.create(firstId)
      segments.push(next)
      return next
    })

    /** Writes what waits. */
    const flush = Effect.fnUntraced(function* () {
      for (;;) {
        const batch: Array<Held> = []
        let bytes = 0
        for (const record of index.waiting()) {
          if (batch.length > 0 && bytes + record.length > segmentBytes) break
          batch.push(record)
          bytes += record.length
        }
        const [first] = batch
        if (first === undefined) return
        const segment = yield* segmentFor(bytes, first.id)
        const chunks: Array<Buffer> = []
        const places: Array<ScannedRecord> = []
        let offset = segment.size
        let sequence = segment.nextSequence
        for (const { id, scrapedAt, rowsBytes, length, at } of batch) {
          if ("segment" in at) continue
          chunks.push(encodeHeader({ id, scrapedAt, body: at.body }, sequence), at.body.bytes)
          places.push({ id, scrapedAt, rowsBytes, length, sequence, offset })
          offset += length
          sequence++
        }
        yield* Effect.tapError(folder.write(segment, Buffer.concat(chunks)), () =>
          Effect.sync(() => {
            // The next try begins with the same record, so it wants the same name.
            if (segment.size === 0) undeleted.push(...segments.splice(-1))
          })
        )
        segment.nextSequence = sequence
        batch.forEach((record, at) => {
          index.move(record, { segment, place: places[at]! })
        })
      }
    })

    const append = Effect.fnUntraced(function* (records: ReadonlyArray<NewSpoolRecord>) {
      const time = wall()
      // From the clock, so that ids ascend over restarts also where the folder was lost; from the last id otherwise.
      if (time * 1000 < ID_MAX) nextId = Math.max(nextId, Math.floor(time * 1000))
      for (const { exporter, scrapedAt, rows } of records) {
        received++
        const body = encodeBody(exporter, rows)
        const length = HEADER_BYTES + (body?.bytes.length ?? 0)
        if (body === undefined || length > maxBytes) {
          dropped++
          continue
        }
        index.hold({
          id: nextId++,
          scrapedAt: Number.isFinite(scrapedAt) ? scrapedAt : time,
          heldSince: now(),
          rowsBytes: body.rowsBytes,
          length,
          at: { body }
        })
      }
      bytesHighest = Math.max(bytesHighest, index.bytes())
      enforce()
      if (failure === undefined || now() - failure.since >= RETRY_MILLIS) {
        yield* ready().pipe(
          Effect.andThen(flush()),
          Effect.andThen(
            Effect.suspend(() => {
              const isOver = failure !== undefined
              failure = undefined
              return isOver ? Effect.logInfo(`the spool in ${options.path} is written again`) : Effect.void
            })
          ),
          Effect.catch(fail)
        )
      }
      while (index.waitingBytes() > MEMORY_BYTES_MAX) {
        const [record] = index.waiting()
        if (record === undefined) break
        drop(record)
      }
      yield* tidy()
    })

    /** What a record says; undefined, and the record is no longer held, where it is damaged or cannot be read. */
    const content = (record: Held) =>
      ("segment" in record.at
        ? folder.read(record.at.segment, record.at.place)
        : Effect.succeed(decodeBody(record.at.body.bytes, record.rowsBytes))
      ).pipe(
        Effect.tap((read) => (read === undefined ? Effect.sync(() => index.forget(record)) : Effect.void)),
        Effect.catch(() => Effect.sync(() => index.setAside(record))),
        Effect.map((read) => read ?? undefined)
      )

    const peek = Effect.fnUntraced(function* (request: {
      readonly order: "oldest" | "newest"
      readonly maxBytes: number
      readonly skip?: ReadonlySet<number>
    }) {
      enforce()
      const found: Array<SpoolRecord> = []
      let bytes = 0
      for (const record of request.order === "oldest" ? index.records() : [...index.records()].reverse()) {
        if (request.skip?.has(record.id) === true) continue
        if (found.length > 0 && bytes + record.rowsBytes > request.maxBytes) break
        const read = yield* content(record)
        if (read === undefined) {
          damaged++
          continue
        }
        found.push({ id: record.id, exporter: read.exporter, scrapedAt: record.scrapedAt, rows: read.rows })
        bytes += record.rowsBytes
      }
      yield* tidy()
      return found
    })

    yield* Effect.addFinalizer(() =>
      oneAtATime.withPermit(
        tidy().pipe(Effect.andThen(lock === undefined ? Effect.void : Effect.ignore(releaseLock(lock))))
      )
    )
    yield* ready().pipe(
      Effect.catchTag("SpoolDiskError", (error) =>
        // Even where nothing can be written, what is there can be read and sent.
        Effect.andThen(fail(error), recovered ? Effect.void : Effect.ignore(recover()))
      )
    )
    enforce()
    yield* tidy()

    /** Whole or not at all: an interrupt between the disk and the index would part them. */
    const exclusive = <A>(effect: Effect.Effect<A>): Effect.Effect<A> =>
      Effect.uninterruptible(oneAtATime.withPermit(effect))

    return Spool.of({
      append: (records) => exclusive(append(records)),
      peek: (request) => exclusive(peek(request)),
      awaitRecord: latch.await,
      remove: (ids) =>
        exclusive(
          Effect.suspend(() => {
            for (const id of ids) {
              const record = index.get(id)
              if (record === undefined) continue
              index.forget(record)
              removed++
            }
            return tidy()
          })
        ),
      level: () => ({
        bytes: index.bytes(),
        bytesHighest: Math.max(bytesHighest, index.bytes()),
        maxBytes,
        records: index.size(),
        lastId: nextId - 1,
        received,
        removed,
        dropped,
        damaged,
        lastError
      }),
      stats: exclusive(
        Effect.gen(function* () {
          enforce()
          yield* tidy()
          let oldest: number | null = null
          for (const { scrapedAt } of index.records()) if (oldest === null || scrapedAt < oldest) oldest = scrapedAt
          const durable = failure === undefined && index.waitingBytes() === 0
          return {
            records: index.size(),
            bytes: index.bytes(),
            maxBytes,
            dropped,
            damaged,
            oldest,
            durable,
            reason: durable ? null : (failure?.reason ?? "not written yet")
          }
        })
      )
    })
  })
