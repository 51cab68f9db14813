/**
 * The stream between ingest and digest, as a port. What it carries is rows, of which each is a message with an outcome of its
 * own; an entry of it holds one row, or the rows of a scrape (`StreamEntry.ts`).
 *
 * Guarantees that every layer keeps (`SnapshotStreamSuite.ts` runs on all of them, with both kinds of entries):
 * - `publish` is atomic per call (everything or nothing) and resolves only once it is durable: in the
 *   stream's own storage (Valkey), or, in process, in PostgreSQL (it resolves when every row was acknowledged).
 * - Each row is delivered to one consumer of the group, and again, to any consumer, until it is acknowledged. An entry is
 *   done with when all of its rows are; until then those that were acknowledged may come again with the rest.
 * - The stream never holds more rows than its bound: `publish` fails with `StreamFull` instead. Nothing unread is dropped.
 * - Acknowledged entries are removed.
 *
 * It does not look into a snapshot, and does not order entries between servers.
 */
import { Context, Duration, type Effect, Schema, type Scope } from "effect"
import { type EntryKind, rowsIn, type StreamContent } from "./StreamEntry.ts"

/** The right to read a stream, until somebody has a higher fence. */
export interface Lease {
  readonly stream: number
  readonly fence: number
}

/** What a layer knows rows by that it handed out, and the lease that they were read under. */
export interface Receipt {
  readonly lease?: Lease | undefined
}

/** Rows handed to a consumer: all that an entry holds or entries that follow each other hold, or a part of it. */
export class Delivery {
  readonly content: StreamContent
  /** How often these have been handed out, this time included. */
  readonly deliveries: number
  readonly receipt: Receipt
  /** The first row of the content that this is, and the one after the last. */
  readonly from: number
  readonly to: number

  constructor(content: StreamContent, deliveries: number, receipt: Receipt, from = 0, to = rowsIn(content)) {
    this.content = content
    this.deliveries = deliveries
    this.receipt = receipt
    this.from = from
    this.to = to
  }

  /** How many rows. */
  get length(): number {
    return this.to - this.from
  }

  /** Some of the rows. */
  slice(from: number, to: number): Delivery {
    const { content, deliveries, receipt } = this
    return from === 0 && to === this.length
      ? this
      : new Delivery(content, deliveries, receipt, this.from + from, this.from + to)
  }
}

/**
 * The stream is at its bound: digest is behind. Retryable, after `retryAfterSeconds`. `length` and `bound` are rows;
 * `reason` is there where it was not their number that was too much but the storage's memory.
 */
export class StreamFull extends Schema.TaggedError<StreamFull>()("StreamFull", {
  length: Schema.Number,
  bound: Schema.Number,
  retryAfterSeconds: Schema.Number,
  reason: Schema.optionalKey(Schema.String)
}) {
  readonly retryable = true
  override get message(): string {
    return this.reason ?? `the stream holds ${this.length} rows of at most ${this.bound}`
  }
}

/** The stream cannot be reached, or does not answer in time. Retryable. */
export class StreamUnavailable extends Schema.TaggedError<StreamUnavailable>()("StreamUnavailable", {
  operation: Schema.String,
  cause: Schema.Defect()
}) {
  readonly retryable = true
  override get message(): string {
    return `stream ${this.operation}: ${this.cause instanceof Error ? this.cause.message : JSON.stringify(this.cause)}`
  }
}

/** Of one stream of several. */
export interface OneStreamStats {
  readonly stream: number
  readonly length: number
  readonly pending: number
  readonly waiting: number
  readonly bound: number
  readonly bytes: number | null
  readonly oldestSeconds: number | null
}

export interface StreamStats {
  /** Rows in the stream: unread and unacknowledged. */
  readonly length: number
  /** Rows handed out and not yet acknowledged, those of entries that are not done with included. */
  readonly pending: number
  /** Rows that were postponed, in entries of several rows about. */
  readonly waiting: number
  /** The most rows that it takes. */
  readonly bound: number
  /** Bytes that the stream's storage uses, where it can tell. */
  readonly bytes: number | null
  /** Age of the oldest entry in seconds, where there is one. */
  readonly oldestSeconds: number | null
  /** The same of each: those that are published to, and those that this process reads. */
  readonly streams: ReadonlyArray<OneStreamStats>
  /** Those that did not answer, while others did: they are in none of the numbers above. */
  readonly silent: ReadonlyArray<number>
}

/** What a 2xx is worth: on disk before the answer, within a second, or only in memory. */
export type Durability = "committed" | "fsync-always" | "fsync-everysec" | "memory"

/** Reads streams as their leases come and go. */
export interface LeasedReader {
  readonly begin: (lease: Lease) => Effect.Effect<void>
  /** Hands out no more of it. Says how much of it is in flight still: 0 once all is settled. */
  readonly stop: (stream: number) => number
  /** Gives back what it still holds of it, unless another has it by now. */
  readonly end: (stream: number) => Effect.Effect<void>
  /** Ends it and removes it from the stream's storage, where it is empty. Says whether it did. */
  readonly removeEmpty: (lease: Lease) => Effect.Effect<boolean>
  /** Streams whose server was not heard to answer for so many milliseconds. */
  readonly silentFor: (millis: number) => ReadonlyArray<number>
}

/** Says which streams may be read. */
export interface StreamLeases {
  /** Tells the reader, until the scope closes. The reader itself ends what it reads. */
  readonly attach: (reader: LeasedReader) => Effect.Effect<void, never, Scope.Scope>
  /** A reader was refused, since the stream's storage has seen this higher fence. */
  readonly outfenced: (lease: Lease, fence: number) => void
  /** Rows were refused where they would be stored, since others have the stream by now: nothing more of it is handed out. */
  readonly lost: (lease: Lease) => void
}

/** One consumer's place in the group. */
export interface Subscription {
  /**
   * The next rows, at most `max`: waits until there is at least one. What this consumer, or one that died, left
   * unacknowledged comes again. Interruptible: an interrupted read loses nothing.
   */
  readonly read: (max: number) => Effect.Effect<ReadonlyArray<Delivery>, StreamUnavailable>
  /**
   * Done with these, for good, even where they have been handed to another consumer since or the subscription is closed.
   * What is unknown or already acknowledged is ignored.
   */
  readonly acknowledge: (deliveries: ReadonlyArray<Delivery>) => Effect.Effect<void, StreamUnavailable>
  /**
   * Not done with these: they come again, to this consumer or another, without waiting for a time-out, but for those of an
   * entry of which this subscription still has other rows: they come when it is done with those. What it does not hold is ignored.
   */
  readonly release: (deliveries: ReadonlyArray<Delivery>) => Effect.Effect<void, StreamUnavailable>
  /**
   * Cannot be done with these for now: the same as `release`, but they wait in the stream, and hold up nothing else. A few of all that
   * wait come again every {@link LOOK_AT_WAITING_EVERY}; where some of them, or others of their servers, are acknowledged, more of
   * them follow at once. How often rows were handed out is counted anew.
   */
  readonly postpone: (deliveries: ReadonlyArray<Delivery>) => Effect.Effect<void, StreamUnavailable>
}

/** Rows that were postponed are tried again so often. */
export const LOOK_AT_WAITING_EVERY = Duration.seconds(1)
/** So many of them, and one entry, as long as none is acknowledged. */
export const WAITING_TRIED_MAX = 100

export class SnapshotStream extends Context.Service<
  SnapshotStream,
  {
    /** What an entry that is published shall hold. What is read may hold either. */
    readonly entry: EntryKind
    /** `past`: nobody waits for these, so they may be refused earlier, where others would have to wait behind them. */
    readonly publish: (
      contents: ReadonlyArray<StreamContent>,
      options?: { readonly past?: boolean }
    ) => Effect.Effect<void, StreamFull | StreamUnavailable>
    /**
     * Joins the group as `consumer` until the scope closes; what it then holds unacknowledged comes again at once. With `leases` it
     * reads the streams that they name, alone; without, it shares all with the other consumers.
     */
    readonly subscribe: (
      consumer: string,
      leases?: StreamLeases
    ) => Effect.Effect<Subscription, StreamUnavailable, Scope.Scope>
    readonly stats: Effect.Effect<StreamStats, StreamUnavailable>
    /** The same, and of further streams, which others publish to or read. */
    readonly statsWith: (further: ReadonlyArray<number>) => Effect.Effect<StreamStats, StreamUnavailable>
    readonly durability: Effect.Effect<Durability, StreamUnavailable>
  }
>()("nodepulse/sinks/SnapshotStream") {}
