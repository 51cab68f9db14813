/**
 * What a scrape is selected as, and how that is read: of tables with labels, whose columns are arrays, and without.
 */
import type { Exporter } from "../../plugins/Exporter.ts"
import { readInts, readMoment, readNumbers } from "./ArrayCodec.ts"
import { NumberSlab } from "./NumberSlab.ts"
import type { Scrape } from "./Scrape.ts"

export const quoted = (name: string): string => `"${name}"`

/** The columns of an exporter's table, by kind, in the order of the declaration. */
export const columnsOf = (exporter: Exporter) => {
  const all = Object.entries(exporter.table.columns)
  return {
    labels: all.flatMap(([name, column]) => (column.kind === "label" ? [name] : [])),
    numbers: all.flatMap(([name, column]) => (column.kind === "label" ? [] : [{ name, type: column.type }]))
  }
}

// -- reading, of tables with labels and without

/** A row as {@link selectedColumns} selects it. */
export interface StoredColumns {
  readonly at: Uint8Array
  readonly since: Uint8Array | null
  readonly since_of: Uint8Array | null
  /** The first moment of the chunk that holds its rows; null where they are here. */
  readonly packed_in: Uint8Array | null
  /** Of an exporter without labels, whose scrape is one row: all columns that were asked for. */
  readonly numbers: Uint8Array
  readonly [column: string]: Uint8Array | number | null
}

/**
 * What a statement selects of `scrape` so that {@link readScrape} understands it: all of its rows, or those from `found.first` to
 * `found.last` ({@link joinedRows}).
 */
export const selectedColumns = (
  labels: ReadonlyArray<string>,
  numbers: ReadonlyArray<string>,
  some = false
): string => {
  const rows = some ? "[found.first:found.last]" : ""
  return [
    `timestamptz_send(scrape."timestamp") as at`,
    "timestamptz_send(scrape.counters_since) as since",
    "timestamptz_send(scrape.packed_in) as packed_in",
    ...(labels.length === 0
      ? [
          `array_send(array[${numbers.map((name) => `scrape.${quoted(name)}::float8`).join(", ")}]::float8[]) as numbers`
        ]
      : [
          `array_send(scrape.counters_since_of${rows}) as since_of`,
          ...labels.map((name, n) => `array_send(scrape.${quoted(name)}${rows}) as ${labelKey(n)}`),
          ...numbers.map((name, n) => `array_send(scrape.${quoted(name)}${rows}) as ${numberKey(n)}`)
        ])
  ].join(", ")
}

/**
 * Joins to `scrape` where the rows with a value of a label are in it: from the first to the last, and whatever lies between.
 * Where there are none, `first` is after `last`. Bound: the id of the value.
 */
export const joinedRows = (label: string, parameter: string): string => `
cross join lateral (
  select coalesce(min(place), 1) as first, coalesce(max(place), 0) as last
  from unnest(array_positions(scrape.${quoted(label)}, ${parameter}::integer)) as place
) as found`

/** Made once: rows are read by the million. */
const keysOf = (letter: string) => {
  const keys: Array<string> = []
  return (n: number): string => {
    for (let next = keys.length; next <= n; next++) keys.push(`${letter}${next}`)
    return keys[n]!
  }
}
const labelKey = keysOf("l")
const numberKey = keysOf("n")

/** A scrape whose rows are not packed. Its arrays are cut from a slab where there is one. */
export const readScrape = (
  row: StoredColumns,
  labelCount: number,
  numberCount: number,
  slab = new NumberSlab()
): Scrape => {
  const at = readMoment(row.at)
  const since = readMoment(row.since)
  if (labelCount === 0) {
    const numbers = readNumbers(row.numbers, slab)
    const values = Array.from({ length: numberCount }, (_, n) => numbers.subarray(n, n + 1))
    return { at, since, sinceOf: undefined, labels: [], values }
  }
  const labels: Array<Int32Array> = []
  const values: Array<Float64Array> = []
  for (let n = 0; n < labelCount; n++) labels.push(readInts(row[labelKey(n)] as Uint8Array, slab))
  const length = labels[0]!.length
  const numbersOf = (value: unknown) =>
    value instanceof Uint8Array ? padded(readNumbers(value, slab), length) : slab.float64(length).fill(Number.NaN)
  for (let n = 0; n < numberCount; n++) values.push(numbersOf(row[numberKey(n)]))
  return { at, since, sinceOf: row.since_of === null ? undefined : numbersOf(row.since_of), labels, values }
}

/** Rows that came from a version without the column lack it. */
const padded = (values: Float64Array, length: number): Float64Array => {
  if (values.length === length) return values
  const whole = new Float64Array(length).fill(Number.NaN)
  whole.set(values)
  return whole
}
