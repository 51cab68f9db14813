/**
 * The tables of the schema `admiral`, as SQL made from declarations. Pure: it is text in, text out.
 *
 * An exporter's rows are stored in `<table>_rows`, partitioned by UTC day, with servers and labels as integers
 * (`docs/adr/0002-dictionary-ids.md`), and read through the view `<table>`, which has the names and types that were asked for.
 */
import type { Column } from "../plugins/Column.ts"
import type { Exporter } from "../plugins/Exporter.ts"

/** A table whose rows are kept for a time: `admiral.<name>_rows`. */
export const rowsTable = (table: string): string => `${table}_rows`

/** What migrations need to know of an exporter: no functions, no options of the operator. */
export interface DeclaredTable {
  readonly exporter: string
  readonly table: string
  readonly columns: ReadonlyArray<DeclaredColumn>
}

export interface DeclaredColumn {
  readonly name: string
  readonly kind: Column["kind"]
  /** `text` for labels. */
  readonly type: "text" | "double" | "integer" | "bigint"
  readonly nullable: boolean
  readonly unit: string | null
  readonly doc: string
}

export const declaredTable = (exporter: Exporter): DeclaredTable => ({
  exporter: exporter.name,
  table: exporter.table.name,
  columns: Object.entries(exporter.table.columns).map(([name, column]) => ({
    name,
    kind: column.kind,
    type: column.kind === "label" ? "text" : column.type,
    nullable: column.kind !== "label" && column.nullable,
    unit: column.kind === "label" ? null : (column.unit ?? null),
    doc: column.doc
  }))
})

/** Column names that every table has of itself: ours and PostgreSQL's. */
export const RESERVED_COLUMNS: ReadonlyArray<string> = [
  ...["server_id", "timestamp", "created_at", "counters_since"],
  ...["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"]
]

/** Tables that are there whatever the exporters. */
export const CORE_TABLES: ReadonlyArray<string> = ["servers", "label_values", "tokens", "dead_letters", "migrations"]

/** Lower case, so that people with psql need not quote it; room is left for `_rows_YYYYMMDD` below 63 bytes. */
export const isPlainName = (name: string): boolean => /^[a-z][a-z0-9_]{0,39}$/.test(name)

const SQL_TYPE = { text: "text", double: "double precision", integer: "integer", bigint: "bigint" } as const

/** Tables that do not depend on any exporter. */
export const coreSql = `-- Servers, label values, tokens and dead letters. Tables of exporters follow in migrations of their own.
create table admiral.servers (
  id integer generated always as identity primary key,
  server_id text collate "C" not null unique,
  name text not null,
  created_at timestamptz not null default now()
);
comment on table admiral.servers is 'The servers that report. Rows refer to them by id.';

-- Names can be longer than a btree takes (2.7 kB): the hash index keeps them unique whatever their length.
create table admiral.label_values (
  id integer generated always as identity primary key,
  value text collate "C" not null,
  constraint label_values_value_unique exclude using hash (value with =)
);
comment on table admiral.label_values is 'The values of all labels, such as names of processes. Rows refer to them by id.';

create table admiral.tokens (
  id integer generated always as identity primary key,
  sha256 bytea not null unique,
  kind text not null check (kind in ('agent', 'read', 'admin')),
  server_id integer references admiral.servers (id),
  note text not null default '',
  created_at timestamptz not null default now(),
  revoked_at timestamptz,
  constraint tokens_agent_has_server check ((kind = 'agent') = (server_id is not null))
);
comment on column admiral.tokens.sha256 is 'The token itself is stored nowhere.';

create table admiral.dead_letters (
  id bigint generated always as identity primary key,
  key text collate "C" not null unique,
  exporter text not null,
  server_id text collate "C" not null,
  reason text not null,
  payload text not null,
  created_at timestamptz not null default now()
);
comment on table admiral.dead_letters is 'What could not be stored, with its reason. Bounded in number and age.';
create index dead_letters_created_at on admiral.dead_letters (created_at);
`

/** The table and the view of an exporter that has none yet. */
export const createTableSql = (declared: DeclaredTable): string => {
  const rows = `admiral.${rowsTable(declared.table)}`
  const labels = declared.columns.filter((column) => column.kind === "label")
  const key = ["server_id", "timestamp", ...labels.map((column) => column.name)].map(quoted).join(", ")
  return `-- ${declared.exporter}: one row per scrape${labels.length > 0 ? ` and ${labels.map((label) => label.name).join(", ")}` : ""}; one partition per UTC day.
create table ${rows} (
${storedColumns(declared)
  .map((line) => `  ${line},`)
  .join("\n")}
  primary key (${key})
) partition by range ("timestamp");
${createViewSql(declared)}${declared.columns.map((column) => commentSql(rows, column)).join("")}`
}

/** Columns that were added to a declaration since, in a table that may hold rows: they are NULL there. */
export const addColumnsSql = (declared: DeclaredTable, added: ReadonlyArray<DeclaredColumn>): string => {
  const rows = `admiral.${rowsTable(declared.table)}`
  // A view's columns can only be appended to in place, and ours end with created_at: drop and make it again.
  return `-- ${declared.exporter}: ${added.map((column) => column.name).join(", ")}
${added.map((column) => `alter table ${rows} add column ${storedColumn(column)};\n`).join("")}drop view admiral.${declared.table};
${createViewSql(declared)}${added.map((column) => commentSql(rows, column)).join("")}`
}

/** The columns of the stored table, 8-byte values first: PostgreSQL would fill the gaps before them otherwise. */
const storedColumns = (declared: DeclaredTable): ReadonlyArray<string> => {
  const wide = declared.columns.filter((column) => column.type === "double" || column.type === "bigint")
  const labels = declared.columns.filter((column) => column.kind === "label")
  const narrow = declared.columns.filter((column) => column.type === "integer")
  return [
    '"timestamp" timestamptz not null',
    "counters_since timestamptz",
    "created_at timestamptz not null default now()",
    ...wide.map(storedColumn),
    "server_id integer not null",
    ...labels.map(storedColumn),
    ...narrow.map(storedColumn)
  ]
}

const storedColumn = (column: DeclaredColumn): string =>
  `${quoted(column.name)} ${column.kind === "label" ? "integer" : SQL_TYPE[column.type]}${column.nullable ? "" : " not null"}`

/** Left joins: PostgreSQL leaves out those that a query does not look at. */
const createViewSql = (declared: DeclaredTable): string => {
  const labels = declared.columns.filter((column) => column.kind === "label")
  const selected = [
    "s.server_id",
    'r."timestamp"',
    ...declared.columns.map((column) =>
      column.kind === "label"
        ? `${quoted(`${column.name}_`)}.value as ${quoted(column.name)}`
        : `r.${quoted(column.name)}`
    ),
    "r.created_at",
    "r.counters_since"
  ]
  const joins = labels.map(
    (column) =>
      `\n  left join admiral.label_values ${quoted(`${column.name}_`)} on ${quoted(`${column.name}_`)}.id = r.${quoted(column.name)}`
  )
  return `create view admiral.${declared.table} as
select
  ${selected.join(",\n  ")}
from admiral.${rowsTable(declared.table)} r
  left join admiral.servers s on s.id = r.server_id${joins.join("")};
${declared.columns.map((column) => commentSql(`admiral.${declared.table}`, column)).join("")}`
}

const commentSql = (table: string, column: DeclaredColumn): string =>
  `comment on column ${table}.${quoted(column.name)} is ${literal(column.unit === null ? column.doc : `${column.doc} In ${column.unit}.`)};\n`

/** Always quoted: a plain name can be a word of SQL, such as `user`. */
const quoted = (name: string): string => `"${name}"`

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`
