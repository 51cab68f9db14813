/**
 * The spool's layer in memory: for tests, and where no folder is configured or can be written.
 *
 * Guarantees those of the port (`Spool.ts`). Bound: `maxBytes` of rows, as they are packed, and `maxAge`; the oldest records go
 * first, a record that alone exceeds `maxBytes` goes at once. Records do not survive the process, and `stats` says so.
 */
import { Clock, Duration, Effect, Latch, Layer } from "effect"
import { type NewSpoolRecord, Spool, type SpoolRecord } from "./Spool.ts"

export interface SpoolMemoryOptions {
  readonly maxBytes: number
  readonly maxAge: Duration.Input
  /** Why records are not kept on disk, for `stats`. */
  readonly reason?: string
}

interface Held {
  readonly record: SpoolRecord
  readonly bytes: number
  /** Monotonic milliseconds. */
  readonly heldAt: number
}

export const layerMemory = (options: SpoolMemoryOptions): Layer.Layer<Spool> =>
  Layer.effect(
    Spool,
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const latch = yield* Latch.make(false)
      const maxAge = Duration.toMillis(options.maxAge)
      let held: Array<Held> = []
      let bytes = 0
      let bytesHighest = 0
      let nextId = 1
      let received = 0
      let removed = 0
      let dropped = 0

      const settle = () => {
        if (held.length === 0) latch.closeUnsafe()
        else latch.openUnsafe()
      }

      const drop = (count: number) => {
        for (const { bytes: size } of held.splice(0, count)) bytes -= size
        dropped += count
      }

      const now = () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)

      const enforce = () => {
        const horizon = now() - maxAge
        let over = 0
        let kept = bytes
        while (over < held.length && (kept > options.maxBytes || held[over]!.heldAt < horizon)) {
          kept -= held[over]!.bytes
          over++
        }
        if (over > 0) drop(over)
      }

      const append = (records: ReadonlyArray<NewSpoolRecord>) =>
        Effect.sync(() => {
          for (const { exporter, scrapedAt, rows } of records) {
            received++
            const size = rows.gzip.length
            if (size > options.maxBytes) {
              dropped++
              continue
            }
            held.push({ record: { id: nextId++, exporter, scrapedAt, rows }, bytes: size, heldAt: now() })
            bytes += size
            bytesHighest = Math.max(bytesHighest, bytes)
          }
          enforce()
          settle()
        })

      return Spool.of({
        append,
        peek: ({ order, maxBytes, skip }) =>
          Effect.sync(() => {
            enforce()
            settle()
            const found: Array<SpoolRecord> = []
            let size = 0
            for (let taken = 0; taken < held.length; taken++) {
              const next = order === "oldest" ? held[taken]! : held[held.length - 1 - taken]!
              if (skip?.has(next.record.id) === true) continue
              const { bytes: more } = next.record.rows
              if (found.length > 0 && size + more > maxBytes) break
              found.push(next.record)
              size += more
            }
            return found
          }),
        awaitRecord: Effect.suspend(() => latch.await),
        remove: (ids) =>
          Effect.sync(() => {
            const gone = new Set(ids)
            held = held.filter(({ record, bytes: size }) => {
              if (!gone.has(record.id)) return true
              bytes -= size
              removed++
              return false
            })
            settle()
          }),
        level: () => ({
          bytes,
          bytesHighest,
          maxBytes: options.maxBytes,
          records: held.length,
          lastId: nextId - 1,
          received,
          removed,
          dropped,
          damaged: 0,
          lastError: null
        }),
        stats: Effect.sync(() => {
          enforce()
          settle()
          return {
            records: held.length,
            bytes,
            maxBytes: options.maxBytes,
            dropped,
            damaged: 0,
            oldest: held[0]?.record.scrapedAt ?? null,
            durable: false,
            reason: options.reason ?? "no folder is configured for the buffer (buffer.path)"
          }
        })
      })
    })
  )
