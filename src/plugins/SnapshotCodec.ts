/**
 * Snapshots as they travel in the stream, one by one or a scrape at a time: JSON arrays. One is some 85 bytes for a row of four
 * columns, a scrape less than half of that a row.
 *
 * ```json
 * ["1k3f9z", 1761825600000000, 1761800000000000, "nginx", 4, 1234.56, 102400000]
 * ["1k3f9z", 1761825600000000, 1761800000000000, ["nginx", "postgres"], [4, 8], [1234.56, 99.5], [102400000, 4096]]
 * ```
 *
 * fingerprint of the columns, timestamp and counters_since in epoch microseconds (or null), then the values in the
 * order of the columns; of a scrape a list of values a column, and a list of counters_since where they differ.
 *
 * Guarantee: decoding gives back exactly what was encoded, and trusts nobody: everything is checked again. A
 * message written before columns were appended is read with null for them, and with the empty text for an optional label. A message whose columns are not known, such
 * as one of a newer version, is refused with a reason and never guessed at. Bound: nothing longer than its columns allow is parsed.
 *
 * It does not look at the clock: what was accepted is stored, however long it waited.
 */
import { Result } from "effect"
import type { Columns } from "./Column.ts"
import type { Exporter } from "./Exporter.ts"
import type { Snapshot } from "./Snapshot.ts"
import { countersSinceAt, PerRow, type Snapshots, snapshotAt, timestampAt, together, type Value } from "./Snapshots.ts"
import { absent, display, LABEL_LENGTH_MAX } from "./Storable.ts"
import { TIMESTAMP_MICROS_END } from "./Timestamp.ts"
import { type Wire, type Wires, wireName } from "./Wire.ts"

/** Whose snapshots a text holds. */
interface Origin {
  readonly serverId: string
  readonly exporterName: string
}

type ScrapeText = Origin & { readonly scrape: string; readonly rows: number }

/** What is encoded is of this registry's wires. */
export interface SnapshotCodec {
  readonly encode: (snapshot: Snapshot) => string
  /** A text a row. */
  readonly encodeEach: (snapshots: Snapshots) => ReadonlyArray<string>
  /** One text for rows of one timestamp. */
  readonly encodeScrape: (snapshots: Snapshots) => string
  readonly decode: (entry: Origin & { readonly snapshot: string }) => Result.Result<Snapshot, string>
  /** The snapshots that the texts are, or why one of them is none. */
  readonly decodeEach: (
    origin: Origin & { readonly snapshots: ReadonlyArray<string> }
  ) => Result.Result<Snapshots, string>
  /** The rows of a scrape, which are so many, or why they, or one of them, are none. */
  readonly decodeScrape: (entry: ScrapeText) => Result.Result<Snapshots, string>
  /** As `decodeScrape`, in two steps: the columns, whatever their values, */
  readonly columnsOfScrape: (entry: ScrapeText) => Result.Result<Snapshots, string>
  /** and whether the values of some of its rows can be stored. */
  readonly fitting: (snapshots: Snapshots) => Result.Result<Snapshots, string>
}

/**
 * The rows of a scrape as texts of one row each, whatever its columns and whether they are known here; undefined where it has not
 * so many rows, or they cannot be told apart.
 */
export const eachOfScrape = (scrape: string, rows: number): ReadonlyArray<string> | undefined => {
  const parsed = parseArray(scrape, "scrape", Number.POSITIVE_INFINITY)
  if (Result.isFailure(parsed)) return undefined
  const [fingerprint, timestamp, since, ...columns] = parsed.success
  const isList = Array.isArray(since)
  const lists: ReadonlyArray<unknown> = isList ? [since, ...columns] : columns
  if (columns.length === 0 || !lists.every((list) => Array.isArray(list) && list.length === rows)) return undefined
  try {
    const repeated = JSON.stringify([fingerprint, timestamp, isList ? null : since])
    if (repeated.length > REPEATED_LENGTH_MAX) return undefined
    return Array.from({ length: rows }, (_, row) =>
      JSON.stringify([
        fingerprint,
        timestamp,
        isList ? since[row] : since,
        ...columns.map((column) => (column as ReadonlyArray<unknown>)[row])
      ])
    )
  } catch {
    // Lists in lists, ten thousands deep: they can be read, and not written.
    return undefined
  }
}

/** Of what each row repeats, so that all rows are about as long as the scrape. A fingerprint has six, a time sixteen characters. */
const REPEATED_LENGTH_MAX = 100

/** The codec of all exporters of a registry. */
export const makeSnapshotCodec = (wires: Wires): SnapshotCodec => {
  const exporters = new Map([...wires.values()].map((wire) => [wire.exporter.name, { wire, ...layout(wire.exporter) }]))
  const layoutOf = (exporter: string): Known => {
    const known = exporters.get(exporter)
    if (known === undefined) throw new Error(`the snapshot is of ${display(exporter)}, which is not in the registry`)
    return known
  }
  const knownOf = ({ exporterName, serverId }: Origin): Result.Result<Known, string> => {
    const known = exporters.get(exporterName)
    if (known === undefined) return Result.fail(`unknown exporter ${display(exporterName)}`)
    return isServerId(serverId) ? Result.succeed(known) : Result.fail(`server_id is ${display(serverId)}`)
  }
  const encodeEach = (snapshots: Snapshots): ReadonlyArray<string> => {
    const { length } = snapshots
    const { columns, fingerprint } = told(layoutOf(snapshots.exporter), snapshots.columns)
    const texts = new Array<string>(length)
    for (let row = 0; row < length; row++) {
      // Twice as fast as JSON.stringify of an array made for it; numbers are written alike.
      let text = `["${fingerprint}",${timestampAt(snapshots, row)},${countersSinceAt(snapshots, row)}`
      for (let index = 0; index < columns.length; index++) {
        const value = columns[index]![row]
        text += typeof value === "string" ? `,${JSON.stringify(value)}` : `,${value}`
      }
      texts[row] = `${text}]`
    }
    return texts
  }
  const decodeEach: SnapshotCodec["decodeEach"] = (given) =>
    Result.flatMap(
      Result.flatMap(knownOf(given), (known) => readEach(known, given, given.snapshots)),
      fitting
    )
  const columnsOfScrape = (entry: ScrapeText) => Result.flatMap(knownOf(entry), (known) => readScrape(known, entry))
  /** Snapshots whose values fit their columns. */
  const fitting = (snapshots: Snapshots): Result.Result<Snapshots, string> => {
    const misfit = layoutOf(snapshots.exporter).wire.misfitIn(snapshots.columns)
    return misfit === undefined ? Result.succeed(snapshots) : Result.fail(misfit)
  }
  return {
    encode: (snapshot) => encodeEach(together([snapshot])[0]!)[0]!,
    encodeEach,
    encodeScrape: (snapshots) => {
      const { columns, fingerprint } = told(layoutOf(snapshots.exporter), snapshots.columns)
      return JSON.stringify([fingerprint, timestampAt(snapshots, 0), snapshots.countersSince, ...columns])
    },
    decode: (entry) =>
      Result.map(decodeEach({ ...entry, snapshots: [entry.snapshot] }), (snapshots) => snapshotAt(snapshots, 0)),
    decodeEach,
    decodeScrape: (entry) => Result.flatMap(columnsOfScrape(entry), fitting),
    columnsOfScrape,
    fitting
  }
}

/** The snapshots of texts that hold one each. */
const readEach = (
  known: Known,
  { exporterName, serverId }: Origin,
  texts: ReadonlyArray<string>
): Result.Result<Snapshots, string> => {
  const timestamps = new PerRow<number>()
  const beginnings = new PerRow<number | null>()
  const columns = known.wire.fields.map((): Array<Value> => [])
  for (const text of texts) {
    const parsed = parseArray(text, "snapshot", known.lengthMax)
    if (Result.isFailure(parsed)) return Result.fail(parsed.failure)
    const parts = parsed.success
    const width = widthOf(known, parts, exporterName)
    if (Result.isFailure(width)) return Result.fail(width.failure)
    const [, timestamp, since] = parts
    if (!isTime(timestamp)) return Result.fail(badTimestamp(timestamp))
    if (since !== null && !isTime(since)) return Result.fail(badSince(since))
    timestamps.push(timestamp)
    beginnings.push(since)
    for (let index = 0; index < columns.length; index++) {
      columns[index]!.push(index < width.success ? (parts[index + 3] as Value) : known.appended[index]!)
    }
  }
  return Result.succeed({
    exporter: exporterName,
    serverId,
    length: texts.length,
    timestamp: timestamps.value,
    countersSince: beginnings.value,
    columns
  })
}

const readScrape = (
  known: Known,
  { exporterName, rows, scrape, serverId }: ScrapeText
): Result.Result<Snapshots, string> => {
  const parsed = parseArray(scrape, "scrape", known.lengthMax * rows)
  if (Result.isFailure(parsed)) return Result.fail(parsed.failure)
  const parts = parsed.success
  const width = widthOf(known, parts, exporterName)
  if (Result.isFailure(width)) return Result.fail(width.failure)
  const [, timestamp, since] = parts
  if (!isTime(timestamp)) return Result.fail(badTimestamp(timestamp))
  const isList = Array.isArray(since)
  if (isList && since.length !== rows) return Result.fail(`counters_since has ${since.length} values for ${rows} rows`)
  for (const one of isList ? since : [since]) if (one !== null && !isTime(one)) return Result.fail(badSince(one))
  const columns = parts.slice(3)
  for (const [index, column] of columns.entries()) {
    const count = Array.isArray(column) ? column.length : display(column)
    if (count !== rows) return Result.fail(`${known.wire.fields[index]} has ${count} values for ${rows} rows`)
  }
  while (columns.length < known.wire.fields.length) {
    columns.push(new Array<Value>(rows).fill(known.appended[columns.length]!))
  }
  return Result.succeed({
    exporter: exporterName,
    serverId,
    length: rows,
    timestamp,
    countersSince: since as Snapshots["countersSince"],
    columns: columns as ReadonlyArray<ReadonlyArray<Value>>
  })
}

/** How many columns the message was written with. */
const widthOf = (
  { widths }: Known,
  parts: ReadonlyArray<unknown>,
  exporterName: string
): Result.Result<number, string> => {
  const width = widths.get(parts[0])
  if (width === undefined) {
    return Result.fail(`the columns ${display(parts[0])} of ${exporterName} are not known to this version`)
  }
  const count = Math.max(0, parts.length - 3)
  return count === width ? Result.succeed(width) : Result.fail(`${count} values for ${width} columns`)
}

const badTimestamp = (value: unknown): string => `timestamp is ${display(value)}, but must be epoch microseconds`
const badSince = (value: unknown): string =>
  `counters_since is ${display(value)}, but must be epoch microseconds or null`

/**
 * The fingerprints of all beginnings of a column list, the whole list last: since columns are only ever appended, these
 * are all the lists that messages on their way were written with. Each is a hash (FNV-1a with a final mix, 31 bits in
 * base 36) of wire name, kind and type in order.
 */
export const fingerprints = (columns: Columns): ReadonlyArray<string> => {
  let hash = 0x811c9dc5
  return Object.entries(columns).map(([name, column]) => {
    const text = `${wireName(name, column)} ${column.kind} ${column.kind === "label" ? "text" : column.type}\n`
    for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
    let mixed = hash ^ (hash >>> 16)
    mixed = Math.imul(mixed, 0x85ebca6b)
    mixed ^= mixed >>> 13
    mixed = Math.imul(mixed, 0xc2b2ae35)
    mixed ^= mixed >>> 16
    return (mixed >>> 1).toString(36).padStart(6, "0")
  })
}

interface Layout {
  /** Of the first column, of the first two, and so on. */
  readonly fingerprints: ReadonlyArray<string>
  /** How many columns each known fingerprint stands for. */
  readonly widths: ReadonlyMap<unknown, number>
  /** What each column holds in messages that were written before it was appended. */
  readonly appended: ReadonlyArray<"" | null>
  /** Of the text of one row. */
  readonly lengthMax: number
}

interface Known extends Layout {
  readonly wire: Wire
}

const layout = (exporter: Exporter): Layout => {
  const all = fingerprints(exporter.table.columns)
  // A character of a label is at most 6 in JSON (\u001f), a number at most 25 (-1.2345678901234567e-308).
  const lengthMax = Object.values(exporter.table.columns).reduce(
    (sum, column) => sum + (column.kind === "label" ? LABEL_LENGTH_MAX * 6 + 3 : 26),
    64
  )
  return {
    fingerprints: all,
    // The longest list wins should two ever hash alike.
    widths: new Map(all.map((fingerprint, index) => [fingerprint, index + 1])),
    appended: Object.values(exporter.table.columns).map((column) => absent(column) ?? null),
    lengthMax
  }
}

/**
 * The columns that a message is written with: the last ones that say nothing of any row are left out, as if they had not been
 * appended yet. So what few senders tell costs the others nothing.
 */
const told = ({ appended, fingerprints }: Layout, columns: Snapshots["columns"]) => {
  let width = columns.length
  while (width > 1 && columns[width - 1]!.every((value) => value === appended[width - 1])) width--
  const isWhole = width === columns.length
  return { columns: isWhole ? columns : columns.slice(0, width), fingerprint: fingerprints[width - 1] ?? "" }
}

const SERVER_ID_LENGTH_MAX = 255

const isServerId = (text: string): boolean =>
  text.length > 0 && text.length <= SERVER_ID_LENGTH_MAX && text.isWellFormed() && !text.includes("\0")

const isTime = (value: unknown): value is number =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 && value < TIMESTAMP_MICROS_END

const parseArray = (
  text: string,
  what: "snapshot" | "scrape",
  lengthMax: number
): Result.Result<Array<unknown>, string> => {
  if (text.length > lengthMax) {
    return Result.fail(`the ${what} has ${text.length} characters, at most ${lengthMax} are possible`)
  }
  try {
    const value: unknown = JSON.parse(text)
    if (Array.isArray(value)) return Result.succeed(value)
  } catch {
    // The same as below.
  }
  return Result.fail(`the ${what} is no JSON array: ${display(text)}`)
}
