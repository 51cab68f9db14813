/**
 * One row on its way: what an agent sent, checked, bound to its server, with its values in the order of the exporter's
 * columns. From ingest to the insert statement this is the only form of a row.
 *
 * Times are epoch microseconds in a number (PostgreSQL's resolution; exact until the year 2255).
 */
export interface Snapshot {
  readonly exporter: string
  readonly serverId: string
  /** When the scrape was taken, epoch microseconds. */
  readonly timestamp: number
  /** When the row's counters began, epoch microseconds; null where the sender does not know. */
  readonly countersSince: number | null
  /** One value per column, in declaration order. */
  readonly values: ReadonlyArray<string | number | null>
}

/** One snapshot in the stream. Field names there: `server_id`, `exporter_name`, `snapshot`. */
export interface StreamEntry {
  readonly serverId: string
  readonly exporterName: string
  /** A JSON array, see `SnapshotCodec.ts`. */
  readonly snapshot: string
}
