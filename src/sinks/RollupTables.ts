/**
 * The tables of roll-ups, as SQL made from declarations: what a server's groups did in buckets of five minutes, an hour
 * and a day. Pure: it is text in, text out.
 *
 * A bucket is (end − width, end], called by its end, as steps and windows are. It holds what can be merged: sums, counts and
 * highest values, never averages; and the values of the group's last scrape in it.
 *
 * Per exporter: `<table>_5m` (partitioned by UTC day, as rows are) and `<table>_1h`, `<table>_1d` with a row per
 * server, bucket and group; each with `…_scrapes`, the server's own scrapes and covered time; and `<table>_dirty`,
 * the queue of buckets whose rows have changed. The queue is only ever appended to: whoever stores rows adds their buckets in
 * the same transaction, without waiting for anyone.
 */
import { Duration } from "effect"
import type { Exporter } from "../plugins/Exporter.ts"
import type { Measures } from "./IncreaseSql.ts"
import { type DeclaredColumn, type DeclaredTable, declaredTable } from "./Tables.ts"

export interface Level {
  readonly suffix: string
  readonly seconds: number
  readonly retentionDays: number
}

export const FINE: Level = { suffix: "5m", seconds: 300, retentionDays: 30 }
export const COARSE: Level = { suffix: "1h", seconds: 3_600, retentionDays: 400 }
export const DAILY: Level = { suffix: "1d", seconds: 86_400, retentionDays: 400 }
/** From narrow to wide; each is made from the one before, and its buckets end where some of those end. */
export const LEVELS: ReadonlyArray<Level> = [FINE, COARSE, DAILY]

/** How long an exporter's buckets of a level are kept: never less than the rows, which they are made again from. */
export const keptFor = (level: Level, table: { readonly retention: Duration.Duration }): Duration.Duration =>
  Duration.max(Duration.days(level.retentionDays), table.retention)

export const rollupTable = (table: string, level: Level): string => `${table}_${level.suffix}`
export const scrapesTable = (table: string, level: Level): string => `${table}_${level.suffix}_scrapes`
export const dirtyTable = (table: string): string => `${table}_dirty`

/** The tables of an exporter's roll-ups; part of the migration that makes the exporter's own. */
export const rollupDdl = (declared: DeclaredTable): string => {
  const columns = rollupColumns(declared.columns).map(({ definition }) => `  ${definition},\n`)
  const wide = columns.filter((line) => line.includes("double"))
  const narrow = columns.filter((line) => !line.includes("double"))
  const rollup = (level: Level) => `create table admiral.${rollupTable(declared.table, level)} (
  bucket timestamptz not null,
  last_at timestamptz not null,
${wide.join("")}  server_id integer not null,
  group_id integer not null,
  rows integer not null,
${narrow.join("")}  primary key (server_id, bucket, group_id)
)${level === FINE ? " partition by range (bucket)" : ""};
create table admiral.${scrapesTable(declared.table, level)} (
  bucket timestamptz not null,
  last_at timestamptz not null,
  covered double precision not null,
  server_id integer not null,
  scrapes integer not null,
  primary key (server_id, bucket)
);
`
  return `-- ${declared.exporter}: roll-ups, called by the end of their bucket, and the queue of buckets whose rows have changed.
${LEVELS.map(rollup).join("")}create table admiral.${dirtyTable(declared.table)} (
  bucket timestamptz not null,
  server_id integer not null,
  seconds integer not null
);
create index ${dirtyTable(declared.table)}_server on admiral.${dirtyTable(declared.table)} (server_id, bucket);
`
}

/** Columns that were added to a declaration since; NULL in the buckets that are there. */
export const rollupAddColumnsDdl = (declared: DeclaredTable, added: ReadonlyArray<DeclaredColumn>): string =>
  LEVELS.flatMap((level) =>
    rollupColumns(added).map(
      ({ definition }) => `alter table admiral.${rollupTable(declared.table, level)} add column ${definition};\n`
    )
  ).join("")

/**
 * A column of a roll-up: `build` makes it from `measured` rows, `merge` from finer buckets, where `b` is the row. What the
 * last scrape of the bucket said is marked by `last`.
 */
export interface RollupColumn {
  readonly name: string
  readonly definition: string
  readonly build: (now: string) => string
  readonly merge: string
}

/** All of them, in the order of the declaration. Aliases of measures are those of `allMeasures`. */
export const rollupColumns = (columns: ReadonlyArray<DeclaredColumn>): ReadonlyArray<RollupColumn> => {
  let counter = 0
  let gauge = 0
  return columns.flatMap((column): ReadonlyArray<RollupColumn> => {
    const make = (
      suffix: string,
      type: string,
      build: RollupColumn["build"],
      merge: (name: string) => string
    ): RollupColumn => {
      const name = `"${column.name}_${suffix}"`
      return { name, definition: `${name} ${type}`, build, merge: merge(`b.${name}`) }
    }
    const latest = (name: string) => `max(${name}) filter (where b.last)`
    const sum = (name: string) => `sum(${name})`
    const max = (name: string) => `max(${name})`
    if (column.kind === "counter") {
      const n = counter++
      return [
        make("increase", "double precision", () => `sum(m.i${n})`, sum),
        make("peak", "double precision", () => `max(m.r${n})`, max),
        make("now", "double precision", (present) => `max(m.r${n}) filter (where m.last${present})`, latest),
        make("resets", "integer", () => `sum(m.z${n})`, sum),
        make("clamped", "integer", () => `sum(m.l${n})`, sum)
      ]
    }
    if (column.kind === "gauge") {
      const n = gauge++
      return [
        make("sum", "double precision", () => `sum(m.v${n})`, sum),
        make("max", "double precision", () => `max(m.v${n})`, max),
        make("last", "double precision", () => `max(m.v${n}) filter (where m.last)`, latest),
        ...(column.nullable ? [make("count", "integer", () => `count(m.v${n})`, sum)] : [])
      ]
    }
    return []
  })
}

export const rollupColumnsOf = (exporter: Exporter): ReadonlyArray<RollupColumn> =>
  rollupColumns(declaredTable(exporter).columns)

/**
 * What buckets `b` say about some measures, by the aliases that `TopSql` and `HistorySql` use: aggregates over a window's
 * buckets, and what a bucket that holds the server's latest scrape says about it.
 */
export const bucketAggregates = (
  exporter: Exporter,
  measures: Measures
): { readonly window: ReadonlyMap<string, string>; readonly latest: ReadonlyMap<string, string> } => {
  const column = (name: string, suffix: string) => `b."${name}_${suffix}"`
  const window = new Map<string, string>([["rows", "sum(b.rows)"]])
  const latest = new Map<string, string>([["here", "true"]])
  for (const [n, { column: name }] of measures.counters.entries()) {
    window.set(`i${n}`, `sum(${column(name, "increase")})`)
    window.set(`m${n}`, `max(${column(name, "peak")})`)
    window.set(`z${n}`, `sum(${column(name, "resets")})`)
    window.set(`l${n}`, `sum(${column(name, "clamped")})`)
    latest.set(`n${n}`, column(name, "now"))
  }
  for (const [n, name] of measures.gauges.entries()) {
    const declared = exporter.table.columns[name]
    const nullable = declared !== undefined && declared.kind !== "label" && declared.nullable
    window.set(`s${n}`, `sum(${column(name, "sum")})`)
    window.set(`k${n}`, nullable ? `sum(${column(name, "count")})` : "sum(b.rows)")
    window.set(`x${n}`, `max(${column(name, "max")})`)
    latest.set(`w${n}`, column(name, "last"))
  }
  return { window, latest }
}
