/**
 * The rows of all exporters, as a port: what digest writes to.
 *
 * Guarantees (`SnapshotRowsSuite.ts`):
 * - `insert` is one transaction: all rows or none. A row whose natural key is already there changes nothing.
 * - Values come back as they went in, to the last bit.
 * - An error says whether trying again can help.
 */
import { Context, Data, type Effect, Schema } from "effect"
import type { Snapshot } from "../../plugins/Snapshot.ts"
import { type Snapshots, together } from "../../plugins/Snapshots.ts"
import type { LeaseLost } from "../stream/leases/Fence.ts"
import type { Lease } from "../stream/SnapshotStream.ts"
import type { DatabaseUnavailable } from "./DatabaseUnavailable.ts"

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

/** How many, in words. */
export const ofServers = ({ size }: ReadonlySet<string>): string => `${size} server${size === 1 ? "" : "s"}`

/**
 * Rows of some of the servers cannot be stored for now, though those of others can. Nothing of the batch was. Not retryable as it is:
 * without them the rest can be stored.
 */
export class ServersWait extends Data.TaggedError("ServersWait")<{
  readonly servers: ReadonlySet<string>
  readonly reason: string
}> {
  readonly retryable = false
  override get message(): string {
    return `rows of ${ofServers(this.servers)} wait: ${this.reason}`
  }
}

/** Rows as columns, or one by one. */
export type Rows = ReadonlyArray<Snapshots> | ReadonlyArray<Snapshot>

/** As columns, whatever they are. */
export const asColumns = (rows: Rows): ReadonlyArray<Snapshots> =>
  rows.length === 0 || "columns" in rows[0]!
    ? (rows as ReadonlyArray<Snapshots>)
    : together(rows as ReadonlyArray<Snapshot>)

export interface Inserted {
  /** Rows that were new. */
  readonly inserted: number
  /** Rows that were there already. */
  readonly duplicates: number
}

export class SnapshotRows extends Context.Service<
  SnapshotRows,
  {
    /**
     * Stores rows of one exporter, of any number of servers. `leases`: those that the rows were read under; fails, and stores nothing,
     * where others have taken one of them.
     */
    readonly insert: (
      exporter: string,
      rows: Rows,
      leases?: ReadonlyArray<Lease>
    ) => Effect.Effect<Inserted, DatabaseUnavailable | RowsRefused | LeaseLost | ServersWait>
    /** What rows of some servers wait for, in words; undefined where none do. */
    readonly waits?: Effect.Effect<string | undefined>
  }
>()("nodepulse/sinks/SnapshotRows") {}
