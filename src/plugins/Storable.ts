/**
 * What a column can hold, said once: parse, ingest and digest all ask here, so that nothing is stored as something it
 * was not.
 *
 * Guarantee: a value that {@link fits} its column comes back from the database as it went in. Bound: texts of
 * {@link LABEL_LENGTH_MAX}, and no more than {@link SKIPPED_MAX} notes a scrape. It does not know rows of other scrapes.
 */
import type { Column, Columns, NumberType, ParsedRow, Row } from "./Column.ts"
import type { ParsedScrape, Skipped } from "./Exporter.ts"

/** The longest label, in UTF-16 units. */
export const LABEL_LENGTH_MAX = 16_384

/** The longest list of notes about one scrape; the last one then says how many more there were. */
const SKIPPED_MAX = 1_000

const LARGEST: Readonly<Record<NumberType, number>> = {
  double: Number.MAX_VALUE,
  integer: 2_147_483_647,
  bigint: Number.MAX_SAFE_INTEGER
}

/** The least and the greatest number that a column can hold, and whether it must be whole. */
export const numberRange = (column: Exclude<Column, { readonly kind: "label" }>) => ({
  least: column.kind === "gauge" && column.signed ? -LARGEST[column.type] : 0,
  greatest: LARGEST[column.type],
  whole: column.type !== "double"
})

/** Whether the column can hold the value. Null only where the column is nullable; undefined never. */
export const fits = (column: Column): ((value: unknown) => boolean) => {
  if (column.kind === "label") return isLabel
  const { least, greatest, whole } = numberRange(column)
  const nullable = column.nullable
  // NaN fails the comparisons, an infinity exceeds the greatest finite number.
  return (value) =>
    typeof value === "number"
      ? value >= least && value <= greatest && (!whole || Number.isInteger(value))
      : value === null && nullable
}

/** What {@link fits} asks of a value, for messages: "must be …". */
export const rule = (column: Column): string => {
  if (column.kind === "label") {
    return `must be a text of at most ${LABEL_LENGTH_MAX} characters, well-formed Unicode without U+0000`
  }
  const { least, greatest, whole } = numberRange(column)
  const range = greatest === Number.MAX_VALUE ? (least === 0 ? ", 0 or more" : "") : ` from ${least} to ${greatest}`
  return `must be a ${whole ? "whole" : "finite"} number${range}${column.nullable ? ", or null" : ""}`
}

/** A value as it may appear in a message: short, printable, whatever it is. */
export const display = (value: unknown): string => {
  if (typeof value === "string") {
    return value.length > DISPLAY_MAX ? `${JSON.stringify(value.slice(0, DISPLAY_MAX))}…` : JSON.stringify(value)
  }
  if (value === undefined) return "missing"
  if (typeof value !== "object" || value === null) return Object.is(value, -0) ? "-0" : String(value)
  return Array.isArray(value) ? "an array" : "an object"
}

const DISPLAY_MAX = 60
const MINUTE_MILLIS = 60_000

/** Whether a row may lack the column's field on the wire, and what it holds then; undefined: it must be there. */
export const absent = (column: Column): "" | null | undefined =>
  column.kind === "label" ? (column.optional ? "" : undefined) : column.nullable ? null : undefined

/**
 * What of a parsed scrape can be stored. An optional label that is left out is empty. A number that does not fit becomes null where its column allows it, else the
 * row is left out; both are noted in `skipped`. Counters cannot have begun after the scrape (clocks of one machine, so a
 * minute is much): a beginning that is no such time is not known, and the rows are worth having without it.
 */
export const storable = <C extends Columns>(
  columns: C,
  parsed: ParsedScrape<ParsedRow<C>>,
  scrapedAt: Date
): ParsedScrape<Row<C>> => {
  const checks = Object.entries(columns).map(([name, column]) => ({ name, column, fits: fits(column) }))
  const skipped: Array<Skipped> = [...parsed.skipped]
  const rows: Array<Row<C>> = []
  for (const row of parsed.rows) {
    const kept = mend(checks, row as unknown as Row<Columns>, skipped)
    if (kept !== undefined) rows.push(kept as Row<C>)
  }
  const since = parsed.countersSince
  return {
    rows,
    skipped: bounded(skipped),
    countersSince: since !== null && since > 0 && since <= scrapedAt.getTime() + MINUTE_MILLIS ? since : null
  }
}

const mend = (
  checks: ReadonlyArray<{ readonly name: string; readonly column: Column; readonly fits: (value: unknown) => boolean }>,
  row: Row<Columns>,
  skipped: Array<Skipped>
): Row<Columns> | undefined => {
  let mended: Record<string, string | number | null> | undefined
  for (const check of checks) {
    const value = row[check.name]
    if (check.fits(value)) continue
    const instead = absent(check.column)
    const left = value === undefined && instead === ""
    if (!left)
      skipped.push({ reason: `${about(checks, row)}${check.name} is ${display(value)}, but ${rule(check.column)}` })
    if (instead === undefined || (instead === "" && !left)) return undefined
    mended ??= { ...row }
    mended[check.name] = instead
  }
  return (mended as Row<Columns> | undefined) ?? row
}

/** Which row a note is about: the first label and its value. */
const about = (checks: ReadonlyArray<{ readonly name: string; readonly column: Column }>, row: Row<Columns>) => {
  const named = checks.find(({ column }) => column.kind === "label")
  return named === undefined ? "" : `${named.name} ${display(row[named.name])}: `
}

const bounded = (skipped: ReadonlyArray<Skipped>): ReadonlyArray<Skipped> =>
  skipped.length <= SKIPPED_MAX
    ? skipped
    : [...skipped.slice(0, SKIPPED_MAX - 1), { reason: `and ${skipped.length - SKIPPED_MAX + 1} more` }]

const isLabel = (value: unknown): boolean =>
  typeof value === "string" && value.length <= LABEL_LENGTH_MAX && value.isWellFormed() && !value.includes("\0")
