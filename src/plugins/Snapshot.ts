/**
 * One row on its way: what an agent sent, checked, bound to its server, with its values in the order of the exporter's
 * columns. Where there are many they travel as columns (`Snapshots.ts`).
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
