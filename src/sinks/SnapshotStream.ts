/**
 * The stream between ingest and digest, as a port: one entry per snapshot.
 *
 * Guarantees that every layer keeps (`SnapshotStreamSuite.ts` runs on all of them):
 * - `publish` is atomic per call (all entries or none) and resolves only once the entries are durable: in the
 *   stream's own storage (Valkey), or, in process, in PostgreSQL (it resolves when every entry was acknowledged).
 * - Each entry is delivered to one consumer of the group, and again, to any consumer, until it is acknowledged.
 * - The stream never holds more than its bound: `publish` fails with `StreamFull` instead. Nothing unread is dropped.
 * - Acknowledged entries are removed.
 *
 * It does not look into a snapshot, and does not order entries between servers.
 */
import { Context, type Effect, Schema, type Scope } from "effect"
import type { StreamEntry } from "../plugins/Snapshot.ts"

export type { StreamEntry }

/** An entry handed to a consumer, to be acknowledged by `id`. */
export interface Delivery extends StreamEntry {
  readonly id: string
  /** How often it has been handed out, this time included. */
  readonly deliveries: number
}

/**
 * The stream is at its bound: digest is behind. Retryable, after `retryAfterSeconds`. `length` and `bound` are entries;
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
    return this.reason ?? `the stream holds ${this.length} entries of at most ${this.bound}`
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

export interface StreamStats {
  /** Entries in the stream: unread and unacknowledged. */
  readonly length: number
  /** Entries handed out and not yet acknowledged. */
  readonly pending: number
  readonly bound: number
  /** Bytes that the stream's storage uses, where it can tell. */
  readonly bytes: number | null
  /** Age of the oldest entry in seconds, where there is one. */
  readonly oldestSeconds: number | null
}

/** What a 2xx is worth: on disk before the answer, within a second, or only in memory. */
export type Durability = "committed" | "fsync-always" | "fsync-everysec" | "memory"

/** One consumer's place in the group. */
export interface Subscription {
  /**
   * The next entries, at most `max`: waits until there is at least one. What this consumer, or one that died, left
   * unacknowledged comes again. Interruptible: an interrupted read loses nothing.
   */
  readonly read: (max: number) => Effect.Effect<ReadonlyArray<Delivery>, StreamUnavailable>
  /**
   * Done with these, for good, even where they have been handed to another consumer since or the subscription is closed.
   * Unknown or already acknowledged ids are ignored.
   */
  readonly acknowledge: (ids: ReadonlyArray<string>) => Effect.Effect<void, StreamUnavailable>
  /**
   * Not done with these: they come again, to this consumer or another, without waiting for a time-out. Ids that this
   * subscription does not hold are ignored.
   */
  readonly release: (ids: ReadonlyArray<string>) => Effect.Effect<void, StreamUnavailable>
}

export class SnapshotStream extends Context.Service<
  SnapshotStream,
  {
    /** `past`: nobody waits for these, so they may be refused earlier, where others would have to wait behind them. */
    readonly publish: (
      entries: ReadonlyArray<StreamEntry>,
      options?: { readonly past?: boolean }
    ) => Effect.Effect<void, StreamFull | StreamUnavailable>
    /** Joins the group as `consumer` until the scope closes; what it then holds unacknowledged comes again at once. */
    readonly subscribe: (consumer: string) => Effect.Effect<Subscription, StreamUnavailable, Scope.Scope>
    readonly stats: Effect.Effect<StreamStats, StreamUnavailable>
    readonly durability: Effect.Effect<Durability, StreamUnavailable>
  }
>()("nodepulse/sinks/SnapshotStream") {}
