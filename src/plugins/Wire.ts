/**
 * An exporter's rows on the wire: one JSON object a row, derived from the exporter's columns.
 *
 * ```json
 * { "timestamp": "2025-10-30T12:00:00Z", "name": "nginx", "num_procs": 4, "cpu_seconds_total": 1234.56, "memory_bytes": 102400000 }
 * ```
 *
 * Guarantee: what `decode` lets through can be stored as it is, belongs to the retained past, and is what was sent; what
 * it refuses, it refuses with a sentence that names the field, its value and the rule. It never throws. `decode` and
 * `schema` agree on every input (`Wire.test.ts`), but for the rules that need a clock: those only `decode` knows.
 *
 * The checks are closures made once per column: with the columns that they fill some 0.05 µs a value, about what the rules alone
 * take as a schema compiled by `SchemaJITCompiler` (`bench/wire.ts`). The schema documents, in OpenAPI.
 */
import { Duration, Result, Schema } from "effect"
import type { Column, Columns, Row } from "./Column.ts"
import type { Exporter } from "./Exporter.ts"
import type { Snapshot } from "./Snapshot.ts"
import { PerRow, type Snapshots, snapshotAt, type Value } from "./Snapshots.ts"
import { absent, display, fits, LABEL_LENGTH_MAX, numberRange, rule } from "./Storable.ts"
import { formatTimestamp, parseTimestamp, TIMESTAMP_RULE } from "./Timestamp.ts"

/** A sender's clock may be this far ahead of ours. */
export const SKEW_MICROS_MAX = 600_000_000

/** Field of every row: when the scrape was taken. */
export const TIMESTAMP_FIELD = "timestamp"
/** Optional field of every row: when its counters began. */
export const COUNTERS_SINCE_FIELD = "counters_since"

/**
 * Why a row is refused, for programs: what may be sent again (`exporter_unknown`: to a server that knows it; `clock_ahead`,
 * `too_old`: with the times corrected), and what never (`invalid`; `too_many_groups`: others of its scrape were taken).
 */
export const RefusalCode = Schema.Literals(["exporter_unknown", "clock_ahead", "too_old", "too_many_groups", "invalid"])
export type RefusalCode = typeof RefusalCode.Type

export interface RowRefused {
  readonly code: RefusalCode
  /** For people. */
  readonly reason: string
}

const refuse = (code: RefusalCode, reason: string): RowRefused => ({ code, reason })

/** What a decoder must know beside the row. */
export interface DecodeContext {
  readonly serverId: string
  /** Our clock, epoch microseconds. */
  readonly nowMicros: number
  /** What else may be against a row that could be stored, of an exporter with labels; they are one text. */
  readonly refuse?: (exporter: string, group: string) => RowRefused | undefined
}

/** A row as JSON. */
export type WireRow = Readonly<Record<string, string | number | null>>

export interface Wire {
  readonly exporter: Exporter
  /** The columns' names on the wire, in the order of the table. */
  readonly fields: ReadonlyArray<string>
  /** One row on the wire, for documentation. */
  readonly schema: Schema.Codec<WireRow>
  /** Reads rows of one server, one after the other. */
  readonly reader: (context: DecodeContext) => RowReader
  /** The snapshot that a row on the wire is, or why it is none. */
  readonly decode: (input: unknown, context: DecodeContext) => Result.Result<Snapshot, RowRefused>
  /** Why these values, in the order of the columns, cannot be stored; undefined where they can. */
  readonly misfit: (values: ReadonlyArray<unknown>) => string | undefined
  /** Why a value of these columns cannot be stored; undefined where all can. */
  readonly misfitIn: (columns: ReadonlyArray<ReadonlyArray<unknown>>) => string | undefined
  /** The row as it is sent, without what it may lack and has not; times in epoch milliseconds. */
  readonly encodeRow: (row: Row<Columns>, scrapedAt: Date | number, countersSince: number | null) => WireRow
  /** The row as it is sent, without its times. */
  readonly encodeFields: (row: Row<Columns>) => WireRow
}

/** Rows on the wire, becoming columns. */
export interface RowReader {
  /** Takes a row in, or says why not; then nothing of it is there. */
  readonly add: (input: unknown) => RowRefused | undefined
  /** How many rows were taken in. */
  readonly count: () => number
  /** What was taken in. There is at least one row. */
  readonly snapshots: () => Snapshots
  /** How many fields of the rows taken in mean nothing here. */
  readonly ignoredFields: () => number
}

/** The name of a column on the wire. */
export const wireName = (name: string, column: Column): string => column.from ?? name

/** Derives the wire form of an exporter. Costs microseconds to make; make it once. */
export const makeWire = (exporter: Exporter): Wire => {
  const columns = Object.entries(exporter.table.columns).map(([name, column]) => ({
    name,
    field: wireName(name, column),
    column,
    fits: fits(column),
    isLabel: column.kind === "label",
    absent: absent(column)
  }))
  const retention = Duration.toMillis(exporter.table.retention) * 1_000
  const complain = (index: number, value: unknown) => {
    const { column, field } = columns[index]!
    return value === undefined ? `${field} is missing` : `${field} is ${display(value)}, but ${rule(column)}`
  }

  const places = new Map(columns.map(({ field }, index) => [field, index]))
  const readTime = timeReader()
  const readSince = timeReader()

  /** Why a time of a scrape is refused. */
  const untimely = (written: unknown, timestamp: number, { nowMicros }: DecodeContext): RowRefused | undefined => {
    const age = nowMicros - timestamp
    if (age < -SKEW_MICROS_MAX) return refuse("clock_ahead", ahead(TIMESTAMP_FIELD, written, -age))
    if (age <= retention) return undefined
    const kept = Duration.format(exporter.table.retention)
    const reason = `${TIMESTAMP_FIELD} ${display(written)} is older than ${exporter.name} is kept (${kept})`
    return refuse("too_old", reason)
  }

  const reader = (context: DecodeContext): RowReader => {
    const timestamps = new PerRow<number>()
    const beginnings = new PerRow<number | null>()
    const values = columns.map((): Array<Value> => [])
    /** A row's values by column. Many rows lack most: to ask them for each column takes longer than to take what they have. */
    const found = columns.map((): unknown => undefined)
    let count = 0
    let ignored = 0
    return {
      count: () => count,
      ignoredFields: () => ignored,
      snapshots: () => {
        // What is left of a row that was refused.
        for (const column of values) column.length = count
        return {
          exporter: exporter.name,
          serverId: context.serverId,
          length: count,
          timestamp: timestamps.value,
          countersSince: beginnings.value,
          columns: values
        }
      },
      add: (input) => {
        if (typeof input !== "object" || input === null || Array.isArray(input)) {
          return refuse("invalid", `a row must be an object, not ${display(input)}`)
        }
        const fields = input as Readonly<Record<string, unknown>>
        const written = fields[TIMESTAMP_FIELD]
        const timestamp = typeof written === "string" ? readTime(written) : undefined
        if (timestamp === undefined) return refuse("invalid", badTime(TIMESTAMP_FIELD, written))
        const late = untimely(written, timestamp, context)
        if (late !== undefined) return late

        const begun = fields[COUNTERS_SINCE_FIELD]
        let countersSince: number | null = null
        if (begun !== undefined && begun !== null) {
          const micros = typeof begun === "string" ? readSince(begun) : undefined
          if (micros === undefined) return refuse("invalid", badTime(COUNTERS_SINCE_FIELD, begun))
          if (micros > context.nowMicros + SKEW_MICROS_MAX) {
            return refuse("clock_ahead", ahead(COUNTERS_SINCE_FIELD, begun, micros - context.nowMicros))
          }
          countersSince = micros
        }

        found.fill(undefined)
        let unknown = begun === undefined ? -1 : -2
        for (const field in fields) {
          const place = places.get(field)
          const value = place === undefined ? undefined : fields[field]
          if (value === undefined) unknown++
          else found[place!] = value
        }
        let group: string | undefined
        for (let index = 0; index < columns.length; index++) {
          const { absent, fits, isLabel } = columns[index]!
          const value = found[index] === undefined ? absent : found[index]
          if (value === null ? absent === null : fits(value)) {
            // Adding 0 turns -0 into 0.
            values[index]![count] = typeof value === "number" ? value + 0 : (value as string | null)
            if (isLabel && (value !== "" || absent !== "")) {
              group = group === undefined ? (value as string) : JSON.stringify([group, value])
            }
          } else {
            return refuse("invalid", complain(index, value))
          }
        }
        const unwanted = group === undefined ? undefined : context.refuse?.(exporter.name, group)
        if (unwanted !== undefined) return unwanted
        timestamps.push(timestamp)
        beginnings.push(countersSince)
        count++
        ignored += unknown
        return undefined
      }
    }
  }

  const encodeFields = (row: Row<Columns>): Record<string, string | number | null> => {
    const fields: Record<string, string | number | null> = {}
    for (const { field, name } of columns) fields[field] = row[name] ?? null
    return fields
  }

  return {
    exporter,
    fields: columns.map(({ field }) => field),
    schema: rowSchema(exporter),
    decode: (input, context) => {
      const one = reader(context)
      const refused = one.add(input)
      return refused === undefined ? Result.succeed(snapshotAt(one.snapshots(), 0)) : Result.fail(refused)
    },
    misfit: (values) => {
      if (values.length !== columns.length) return `${values.length} values for ${columns.length} columns`
      for (let index = 0; index < columns.length; index++) {
        if (!columns[index]!.fits(values[index])) return complain(index, values[index])
      }
      return undefined
    },
    misfitIn: (given) => {
      for (let index = 0; index < columns.length; index++) {
        const { fits } = columns[index]!
        for (const value of given[index]!) if (!fits(value)) return complain(index, value)
      }
      return undefined
    },
    reader,
    encodeFields,
    encodeRow: (row, scrapedAt, countersSince) => {
      const fields: Record<string, string | number | null> = { [TIMESTAMP_FIELD]: new Date(scrapedAt).toISOString() }
      if (countersSince !== null) fields[COUNTERS_SINCE_FIELD] = formatTimestamp(Math.trunc(countersSince * 1_000))
      for (const { absent, field, name } of columns) {
        const value = row[name] ?? null
        if (value !== absent) fields[field] = value
      }
      return fields
    }
  }
}

/** The wires of several exporters by the exporter's name. A map, so that no name on the wire finds what was not put in. */
export type Wires = ReadonlyMap<string, Wire>

/** Derives the wires of several exporters. */
export const makeWires = (exporters: ReadonlyArray<Exporter>): Wires =>
  new Map(exporters.map((exporter) => [exporter.name, makeWire(exporter)]))

/** Reads times, and remembers the last one: the rows of a scrape have the same. */
const timeReader = () => {
  let last = ""
  let micros: number | undefined
  return (text: string): number | undefined => {
    if (text === last) return micros
    const read = parseTimestamp(text)
    if (read === undefined) return undefined
    last = text
    micros = read
    return micros
  }
}

const badTime = (field: string, value: unknown): string =>
  value === undefined ? `${field} is missing` : `${field} is ${display(value)}, but ${TIMESTAMP_RULE}`

const ahead = (field: string, value: unknown, micros: number): string => {
  const skew = Duration.format(Duration.seconds(Math.round(micros / 1_000_000)))
  return `${field} ${display(value)} is ${skew} ahead of the server's clock; at most 10m are let through`
}

const Time = Schema.String.check(
  Schema.makeFilter((text: string) => parseTimestamp(text) !== undefined, { expected: "an RFC 3339 date and time" })
).annotate({ format: "date-time" })

const rowSchema = (exporter: Exporter): Schema.Codec<WireRow> => {
  const fields: Record<string, Schema.Codec<string | number | null>> = {
    [TIMESTAMP_FIELD]: Time.annotateKey({ description: "When the scrape was taken." }),
    [COUNTERS_SINCE_FIELD]: Schema.optionalKey(Schema.NullOr(Time)).annotateKey({
      description: "When the counters of this row began, where the sender knows it."
    })
  }
  for (const [name, column] of Object.entries(exporter.table.columns)) {
    const description =
      column.kind === "label" || column.unit === undefined ? column.doc : `${column.doc} In ${column.unit}.`
    const value = columnSchema(column).annotateKey({ description })
    const may = absent(column)
    fields[wireName(name, column)] =
      may === undefined
        ? value
        : Schema.optionalKey(may === null ? Schema.NullOr(value) : value).annotateKey({ description })
  }
  return Schema.Struct(fields).annotate({
    title: exporter.name,
    description: `One row of ${exporter.name}.`
  }) as Schema.Codec<WireRow>
}

const columnSchema = (column: Column) => {
  if (column.kind === "label") {
    return Schema.String.check(
      Schema.isMaxLength(LABEL_LENGTH_MAX),
      Schema.makeFilter((text: string) => text.isWellFormed() && !text.includes("\0"), {
        expected: "well-formed Unicode without U+0000"
      })
    )
  }
  const { greatest, least, whole } = numberRange(column)
  const range =
    greatest !== Number.MAX_VALUE
      ? Schema.isBetween({ minimum: least, maximum: greatest })
      : least === 0
        ? Schema.isGreaterThanOrEqualTo(0)
        : Schema.isFinite()
  return whole ? Schema.Int.check(range) : Schema.Finite.check(range)
}
