/**
 * What was scraped and not yet delivered, as a port. One record is one scrape of one exporter.
 *
 * Guarantees of every layer (`SpoolSuite.ts`):
 * - It is the only place in NodePulse that may drop: the oldest first, when it is over its bound of bytes or age, and
 *   every dropped record is counted.
 * - `append` never fails and never blocks the scraper on the network: what cannot be kept on disk is kept in memory,
 *   within the same bound, and `stats` says so.
 * - A record stays until `remove` names it; an unknown id is ignored.
 * - Its age is counted by the monotonic clock from when it was appended; of what an earlier process left, from the time of
 *   its scrape. A clock that is set drops nothing.
 */
import { Context, type Effect } from "effect"
import type { PackedRows } from "./PackedRows.ts"

export interface NewSpoolRecord {
  readonly exporter: string
  /** When it was scraped, epoch milliseconds. */
  readonly scrapedAt: number
  /** As they go out. */
  readonly rows: PackedRows
}

export interface SpoolRecord extends NewSpoolRecord {
  /** Ascending in the order of appending, over restarts too. */
  readonly id: number
}

export interface SpoolStats {
  readonly records: number
  readonly bytes: number
  readonly maxBytes: number
  /** Records dropped because of the bounds, since the process started. */
  readonly dropped: number
  /** Records lost to torn or damaged segments, since the process started. */
  readonly damaged: number
  /** When the oldest record was scraped, epoch milliseconds. */
  readonly oldest: number | null
  /** Whether records survive the process; `reason` says why not. */
  readonly durable: boolean
  readonly reason: string | null
}

/** The books in records, since the process started: `received = removed + dropped + damaged + records`, each counted on its own. */
export interface SpoolLevel {
  readonly bytes: number
  readonly bytesHighest: number
  readonly maxBytes: number
  /** Held now. */
  readonly records: number
  /** The highest id so far; 0 before there is any. */
  readonly lastId: number
  /** Appended, or found in the folder at the start. */
  readonly received: number
  readonly removed: number
  readonly dropped: number
  readonly damaged: number
  /** Why records could not be written last; stays when they can again. */
  readonly lastError: { readonly at: number; readonly reason: string } | null
}

export class Spool extends Context.Service<
  Spool,
  {
    readonly append: (records: ReadonlyArray<NewSpoolRecord>) => Effect.Effect<void>
    /**
     * Up to `maxBytes` of rows, unpacked, but at least one record where there is one: the oldest or the newest first. Does not
     * remove, does not wait. Records in `skip` are passed over.
     */
    readonly peek: (options: {
      readonly order: "oldest" | "newest"
      readonly maxBytes: number
      readonly skip?: ReadonlySet<number>
    }) => Effect.Effect<ReadonlyArray<SpoolRecord>>
    /** Resolves once there is a record. */
    readonly awaitRecord: Effect.Effect<void>
    readonly remove: (ids: ReadonlyArray<number>) => Effect.Effect<void>
    readonly stats: Effect.Effect<SpoolStats>
    /** How full it is, for the live view: what was noted last, without looking at the disk or enforcing a bound. */
    readonly level: () => SpoolLevel
  }
>()("nodepulse/agent/Spool") {}
