/**
 * What an exporter's stored rows and roll-ups mean, as a plain value: all of a declaration that gives them their meaning, and
 * nothing that an operator may set but `staleAfter`. It is kept with the migrations (`migrations/declared.json`) and in the database
 * (`DeclaredExporters.ts`), so that a meaning cannot change under what is stored.
 *
 * {@link refusal} says which changes are refused: those after which stored rows would be lost or read as something else.
 * {@link rebuilding} says which of the others change what roll-ups hold. Pure.
 */
import { Duration, Schema } from "effect"
import type { Column } from "../../plugins/Column.ts"
import type { Exporter } from "../../plugins/Exporter.ts"
import { IDENTIFIER_LENGTH_MAX, isIdentifier, RESERVED_COLUMNS, tableTakenBy } from "../../plugins/Names.ts"
import { wireName } from "../../plugins/Wire.ts"

const DeclaredColumn = Schema.Struct({
  name: Schema.String,
  /** Its name on the wire. */
  from: Schema.String,
  kind: Schema.Literals(["label", "gauge", "counter", "fingerprint"]),
  /** `text` for labels. */
  type: Schema.Literals(["text", "double", "integer", "bigint"]),
  nullable: Schema.Boolean,
  signed: Schema.Boolean,
  unit: Schema.NullOr(Schema.String),
  /** The columns that tell what a counter is a sum over. */
  over: Schema.Array(Schema.String),
  doc: Schema.String
})
export type DeclaredColumn = typeof DeclaredColumn.Type

const fields = {
  exporter: Schema.String,
  table: Schema.String,
  /** Whether the first row of a series says what was used since the scrape before. */
  beginsAtZero: Schema.Boolean,
  /** The label that roll-ups are grouped by; null where all rows of a scrape are one group. */
  per: Schema.NullOr(Schema.String),
  columns: Schema.Array(DeclaredColumn),
  /** Columns that are CPU time of the host, and so never grow faster than its cores allow. */
  clamped: Schema.Array(Schema.String),
  /** The column whose 0 says that a group is gone. */
  presence: Schema.NullOr(Schema.String),
  /** The columns that tell the host's state. */
  host: Schema.NullOr(
    Schema.Struct({ cores: Schema.String, memoryTotal: Schema.String, cpuBusy: Schema.Array(Schema.String) })
  )
}

export const DeclaredTable = Schema.Struct(fields)
export type DeclaredTable = typeof DeclaredTable.Type

/** The meaning of what is stored, with the one option of an operator that roll-ups rest on. */
export const DeclaredMeaning = Schema.Struct({
  ...fields,
  /** Milliseconds. */
  staleAfter: Schema.Number
})
export type DeclaredMeaning = typeof DeclaredMeaning.Type

export const declaredTable = ({ host, name, table, top }: Exporter): DeclaredTable => ({
  exporter: name,
  table: table.name,
  beginsAtZero: table.beginsAtZero,
  per: top?.per ?? null,
  columns: Object.entries(table.columns).map(([column, declared]) => declaredColumn(column, declared)),
  clamped: [
    ...new Set(
      Object.values(top?.rankings ?? {}).flatMap(({ by, column, share }) =>
        by === "rate" && share === "cpu" ? [column] : []
      )
    )
  ].sort(),
  presence: top?.presence ?? null,
  host: host === undefined ? null : { cores: host.cores, memoryTotal: host.memoryTotal, cpuBusy: host.cpuBusy }
})

const declaredColumn = (name: string, column: Column): DeclaredColumn => ({
  name,
  from: wireName(name, column),
  kind: column.kind,
  type: column.kind === "label" ? "text" : column.type,
  nullable: column.kind !== "label" && column.nullable,
  signed: column.kind === "gauge" && column.signed,
  unit: column.kind === "label" ? null : (column.unit ?? null),
  over: column.kind === "counter" ? (column.over ?? []) : [],
  doc: column.doc
})

export const declaredMeaning = (exporter: Exporter): DeclaredMeaning => ({
  ...declaredTable(exporter),
  staleAfter: Duration.toMillis(exporter.table.staleAfter)
})

// -- what may not change

const OTHER_COLUMN = "append a column of another name instead, and leave this one as it is"
const OTHER_TABLE =
  "declare a table of another name instead: the rows that are stored keep their meaning, and end with their retention"

/**
 * Why rows of this declaration cannot be stored beside those of the other tables and of the declaration before it; undefined
 * where they can.
 */
export const refusal = (
  declared: DeclaredTable,
  others: ReadonlyArray<DeclaredTable>,
  before: DeclaredTable | undefined
): string | undefined => badName(declared, others) ?? (before === undefined ? undefined : badChange(declared, before))

const badName = (declared: DeclaredTable, others: ReadonlyArray<DeclaredTable>): string | undefined => {
  const plain = `is not [a-z][a-z0-9_]*, at most ${IDENTIFIER_LENGTH_MAX} long`
  if (!isIdentifier(declared.exporter)) return `name "${declared.exporter}" ${plain}`
  if (!isIdentifier(declared.table)) return `table "${declared.table}" ${plain}`
  const own = others.filter(({ exporter }) => exporter !== declared.exporter)
  const same = own.find(({ table }) => table === declared.table)
  if (same !== undefined) return `table "${declared.table}" belongs to ${same.exporter}`
  const owner = tableTakenBy(
    declared.table,
    own.map(({ table }) => table)
  )
  if (owner !== undefined) return `table "${declared.table}" is one of ${owner}'s own`
  for (const { name } of declared.columns) {
    if (!isIdentifier(name)) return `column "${name}" ${plain}`
    if (RESERVED_COLUMNS.has(name)) return `column "${name}" is one that every table has`
  }
  return undefined
}

const badChange = (declared: DeclaredTable, before: DeclaredTable): string | undefined => {
  const changed = (what: string, old: unknown, now: unknown, remedy: string) =>
    old === now ? undefined : `${what} was ${shown(old)} and cannot become ${shown(now)}: ${remedy}`
  if (before.table !== declared.table) return `table "${before.table}" cannot be renamed to "${declared.table}"`
  for (const [index, old] of before.columns.entries()) {
    const column = declared.columns[index]
    if (column?.name !== old.name) {
      return `column "${old.name}" was number ${index + 1} and now ${column === undefined ? "is missing" : `"${column.name}" is`}: columns are only ever appended`
    }
    for (const property of ["kind", "type", "nullable", "unit", "from"] as const) {
      const refused = changed(`column "${old.name}": ${property}`, old[property], column[property], OTHER_COLUMN)
      if (refused !== undefined) return refused
    }
    // That it may be negative from now on says nothing else about what is there.
    if (old.signed && !column.signed) return changed(`column "${old.name}": signed`, true, false, OTHER_COLUMN)
  }
  for (const column of declared.columns.slice(before.columns.length)) {
    if (column.kind === "label")
      return `column "${column.name}": a label cannot be added, rows are identified by labels: ${OTHER_TABLE}`
    if (!column.nullable) return `column "${column.name}": an added column must be nullable, rows from before lack it`
  }
  return (
    // Buckets whose rows are gone cannot be grouped by another label, and nobody has written down what was first seen.
    changed("top.per", before.per, declared.per, OTHER_TABLE) ??
    changed("table.beginsAtZero", before.beginsAtZero, declared.beginsAtZero, OTHER_TABLE)
  )
}

const shown = (value: unknown): string => (value === null ? "none" : String(value))

// -- what roll-ups rest on

/**
 * What changed that roll-ups were computed with, as sentences; they are to be computed anew from the rows that are still
 * there. What is older than those rows stays as it was computed.
 */
export const rebuilding = (now: DeclaredMeaning, before: DeclaredMeaning): ReadonlyArray<string> => {
  const sentences: Array<string> = []
  const compare = (what: string, old: unknown, value: unknown) => {
    if (JSON.stringify(old) !== JSON.stringify(value)) {
      sentences.push(`${what} was ${JSON.stringify(old)} and is ${JSON.stringify(value)}`)
    }
  }
  compare("table.staleAfter (milliseconds)", before.staleAfter, now.staleAfter)
  compare("the columns that are CPU time of the host", before.clamped, now.clamped)
  compare("top.presence", before.presence, now.presence)
  compare("host", before.host, now.host)
  for (const [index, { name, over }] of before.columns.entries()) {
    compare(`column "${name}": over`, over, now.columns[index]?.over)
  }
  return sentences
}
