/**
 * A snapshot as it travels in the stream: a JSON array, some 85 bytes for a row of four columns.
 *
 * ```json
 * ["1k3f9z", 1761825600000000, 1761800000000000, "nginx", 4, 1234.56, 102400000]
 * ```
 *
 * fingerprint of the columns, timestamp and counters_since in epoch microseconds (or null), then the values in the
 * order of the columns.
 *
 * Guarantee: `decode` gives back exactly what `encode` was given, and trusts nobody: everything is checked again. A
 * message written before columns were appended is read with null for them. A message whose columns are not known, such
 * as one of a newer version, is refused with a reason and never guessed at. Bound: no message longer than its columns allow is parsed.
 *
 * It does not look at the clock: what was accepted is stored, however long it waited.
 */
import { Result } from "effect"
import type { Columns } from "./Column.ts"
import type { Exporter } from "./Exporter.ts"
import type { Snapshot, StreamEntry } from "./Snapshot.ts"
import { display, LABEL_LENGTH_MAX } from "./Storable.ts"
import { TIMESTAMP_MICROS_END } from "./Timestamp.ts"
import { type Wires, wireName } from "./Wire.ts"

export interface SnapshotCodec {
  /** The `snapshot` field of a stream entry. The snapshot is one that this registry's wires decoded. */
  readonly encode: (snapshot: Snapshot) => string
  /** The snapshot of a stream entry, or why there is none. */
  readonly decode: (entry: StreamEntry) => Result.Result<Snapshot, string>
}

/** The codec of all exporters of a registry. */
export const makeSnapshotCodec = (wires: Wires): SnapshotCodec => {
  const exporters = new Map([...wires.values()].map((wire) => [wire.exporter.name, { wire, ...layout(wire.exporter) }]))
  return {
    encode: ({ countersSince, exporter, timestamp, values }) => {
      const known = exporters.get(exporter)
      if (known === undefined) throw new Error(`the snapshot is of ${display(exporter)}, which is not in the registry`)
      // Twice as fast as JSON.stringify of an array made for it; numbers are written alike.
      let text = `["${known.fingerprint}",${timestamp},${countersSince}`
      for (const value of values) text += typeof value === "string" ? `,${JSON.stringify(value)}` : `,${value}`
      return `${text}]`
    },
    decode: (entry) => {
      const known = exporters.get(entry.exporterName)
      if (known === undefined) return Result.fail(`unknown exporter ${display(entry.exporterName)}`)
      if (!isServerId(entry.serverId)) return Result.fail(`server_id is ${display(entry.serverId)}`)
      if (entry.snapshot.length > known.lengthMax) {
        return Result.fail(
          `the snapshot has ${entry.snapshot.length} characters, at most ${known.lengthMax} are possible`
        )
      }
      const parts = parseArray(entry.snapshot)
      if (parts === undefined) return Result.fail(`the snapshot is no JSON array: ${display(entry.snapshot)}`)
      const [fingerprint, timestamp, countersSince] = parts
      const values = parts.slice(3)
      const width = known.widths.get(fingerprint)
      if (width === undefined) {
        return Result.fail(`the columns ${display(fingerprint)} of ${entry.exporterName} are not known to this version`)
      }
      if (values.length !== width) return Result.fail(`${values.length} values for ${width} columns`)
      if (!isTime(timestamp)) return Result.fail(`timestamp is ${display(timestamp)}, but must be epoch microseconds`)
      if (countersSince !== null && !isTime(countersSince)) {
        return Result.fail(`counters_since is ${display(countersSince)}, but must be epoch microseconds or null`)
      }
      while (values.length < known.wire.fields.length) values.push(null)
      const misfit = known.wire.misfit(values)
      if (misfit !== undefined) return Result.fail(misfit)
      return Result.succeed({
        exporter: entry.exporterName,
        serverId: entry.serverId,
        timestamp,
        countersSince,
        values: values as Array<string | number | null>
      })
    }
  }
}

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
  readonly fingerprint: string
  /** How many columns each known fingerprint stands for. */
  readonly widths: ReadonlyMap<unknown, number>
  readonly lengthMax: number
}

const layout = (exporter: Exporter): Layout => {
  const all = fingerprints(exporter.table.columns)
  // A character of a label is at most 6 in JSON (\u001f), a number at most 25 (-1.2345678901234567e-308).
  const lengthMax = Object.values(exporter.table.columns).reduce(
    (sum, column) => sum + (column.kind === "label" ? LABEL_LENGTH_MAX * 6 + 3 : 26),
    64
  )
  return {
    fingerprint: all.at(-1) ?? "",
    // The longest list wins should two ever hash alike.
    widths: new Map(all.map((fingerprint, index) => [fingerprint, index + 1])),
    lengthMax
  }
}

const SERVER_ID_LENGTH_MAX = 255

const isServerId = (text: string): boolean =>
  text.length > 0 && text.length <= SERVER_ID_LENGTH_MAX && text.isWellFormed() && !text.includes("\0")

const isTime = (value: unknown): value is number =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 && value < TIMESTAMP_MICROS_END

const parseArray = (text: string): Array<unknown> | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}
