/**
 * What an entry of the stream holds, and how it is written down. Two kinds, which tell themselves apart, so that any process may
 * write either and reads both:
 *
 * | kind | fields |
 * |---|---|
 * | a snapshot | `server_id`, `exporter_name`, `snapshot` |
 * | a scrape | `server_id`, `exporter_name`, `rows` (how many), `scrape` |
 *
 * `snapshot` and `scrape` are texts of `SnapshotCodec.ts`; the stream does not look into them. What else may lie in a stream that
 * somebody else writes to is one row that nobody can read, with all there is as its text: it becomes a dead letter.
 *
 * Bound: {@link SCRAPE_ROWS_MAX} rows an entry; a larger scrape takes several.
 */
import type { SnapshotCodec } from "../../plugins/SnapshotCodec.ts"
import { byScrape, type Snapshots } from "../../plugins/Snapshots.ts"

/** What an entry that is published holds. */
export const EntryKind = ["snapshot", "scrape"] as const
export type EntryKind = (typeof EntryKind)[number]

/** Rows of one server and exporter: snapshots, an entry each, or a scrape, one entry. */
export type StreamContent = SnapshotsContent | ScrapeContent

export interface SnapshotsContent {
  readonly serverId: string
  readonly exporterName: string
  readonly snapshots: ReadonlyArray<string>
  /** Why none of it may be stored (`SealedStream.ts`); absent where it may. */
  readonly refused?: string
}

export interface ScrapeContent {
  readonly serverId: string
  readonly exporterName: string
  readonly scrape: string
  readonly rows: number
  /** As of `SnapshotsContent`. */
  readonly refused?: string
}

/** More only makes what is handed out at once, and what is lost with it, larger. */
export const SCRAPE_ROWS_MAX = 1_000

export const rowsIn = (content: StreamContent): number =>
  "scrape" in content ? content.rows : content.snapshots.length

/** What is published of some snapshots. */
export const contentsOf = (
  snapshots: Snapshots,
  kind: EntryKind,
  codec: SnapshotCodec
): ReadonlyArray<StreamContent> => {
  const { exporter: exporterName, serverId } = snapshots
  if (kind === "snapshot") return [{ serverId, exporterName, snapshots: codec.encodeEach(snapshots) }]
  return byScrape(snapshots, SCRAPE_ROWS_MAX).map((scrape) => ({
    serverId,
    exporterName,
    scrape: codec.encodeScrape(scrape),
    rows: scrape.length
  }))
}

/**
 * The arguments that `PUBLISH` (`ValkeyScripts.ts`) writes down as entries: server, exporter, how many snapshots, those; of a
 * scrape 0, its rows, its text.
 */
export const publishedArguments = (contents: ReadonlyArray<StreamContent>): Array<string | number> => {
  const args: Array<string | number> = []
  for (const content of contents) {
    args.push(content.serverId, content.exporterName)
    if ("scrape" in content) args.push(0, content.rows, content.scrape)
    else {
      args.push(content.snapshots.length)
      for (const snapshot of content.snapshots) args.push(snapshot)
    }
  }
  return args
}

/** What an entry with these fields, names and values in turn, holds. */
export const contentOf = (fields: ReadonlyArray<string>): StreamContent => {
  const [first, serverId = "", second, exporterName = "", third, value = "", fourth, last = ""] = fields
  if (first === "server_id" && second === "exporter_name") {
    if (fields.length === 6 && third === "snapshot") return { serverId, exporterName, snapshots: [value] }
    const rows = fields.length === 8 && third === "rows" && fourth === "scrape" ? rowsOf(value) : undefined
    if (rows !== undefined) return { serverId, exporterName, rows, scrape: last }
  }
  const named = new Map<string, string>()
  for (let i = 0; i + 1 < fields.length; i += 2) named.set(fields[i]!, fields[i + 1]!)
  return {
    serverId: named.get("server_id") ?? "",
    exporterName: named.get("exporter_name") ?? "",
    snapshots: [named.get("snapshot") ?? JSON.stringify([...named])]
  }
}

const rowsOf = (text: string): number | undefined => {
  const rows = /^[1-9]\d{0,5}$/.test(text) ? Number(text) : 0
  return rows >= 1 && rows <= SCRAPE_ROWS_MAX ? rows : undefined
}
