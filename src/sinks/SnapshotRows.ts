/**
 * The rows of all exporters, as a port: what digest writes to.
 *
 * Guarantees (`SnapshotRowsSuite.ts`):
 * - `insert` is one transaction: all rows or none. A row whose natural key is already there changes nothing.
 * - Values come back as they went in, to the last bit.
 * - An error says whether trying again can help.
 */
import { Context, type Effect, Schema } from "effect"
import type { Snapshot } from "../plugins/Snapshot.ts"

/** The database cannot take rows now: connection, deadlock, serialization, time-out, disk full, read-only. Retryable. */
export class RowsUnavailable extends Schema.TaggedError<RowsUnavailable>()("RowsUnavailable", {
  operation: Schema.String,
  cause: Schema.Defect()
}) {
  readonly retryable = true
  override get message(): string {
    return `rows ${this.operation}: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
  }
}

/** At least one row of the batch can never be stored. Nothing of the batch was. Not retryable as it is. */
export class RowsRefused extends Schema.TaggedError<RowsRefused>()("RowsRefused", {
  reason: Schema.String,
  cause: Schema.Defect()
}) {
  readonly retryable = false
  override get message(): string {
    return this.reason
  }
}

export interface Inserted {
  /** Rows that were new. */
  readonly inserted: number
  /** Rows that were there already. */
  readonly duplicates: number
}

export class SnapshotRows extends Context.Service<
  SnapshotRows,
  {
    /** Stores rows of one exporter, of any number of servers. */
    readonly insert: (
      exporter: string,
      rows: ReadonlyArray<Snapshot>
    ) => Effect.Effect<Inserted, RowsUnavailable | RowsRefused>
  }
>()("nodepulse/sinks/SnapshotRows") {}
