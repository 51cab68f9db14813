/**
 * The tables of roll-ups, as SQL made from declarations: what a server's groups did in buckets of five minutes, an hour
 * and a day, a row a server and bucket. Pure: it is text in, text out.
 *
 * A bucket is (end − width, end], called by its end, as steps and windows are. It holds what merges (`Aggregate.ts`): sums,
 * counts and highest values, never averages; and the values of each group's last scrape in it. What is about the server has
 * columns; what is about its groups is one value (`NumberColumns.ts`), which PostgreSQL has only to find. `last_at` is NULL
 * where only the host was seen.
 *
 * Per exporter: `<table>_5m` (partitioned by UTC day, as scrapes are), `<table>_1h` and `<table>_1d`.
 */
import { Duration } from "effect"
import type { DeclaredTable } from "../storage/Declared.ts"

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

/** The columns of a roll-up, by their types; the last is about the groups. */
export const ROLLUP_COLUMNS = {
  bucket: "timestamptz not null",
  last_at: "timestamptz",
  covered: "double precision not null",
  host_busy: "double precision not null",
  host_seconds: "double precision not null",
  server_id: "integer not null",
  scrapes: "integer not null",
  host_unknown: "integer not null",
  groups: "bytea not null"
} as const

/** The tables of an exporter's roll-ups; part of the migration that makes the exporter's own. */
export const rollupDdl = (declared: DeclaredTable): string => {
  const columns = Object.entries(ROLLUP_COLUMNS).map(([name, type]) => `  ${name} ${type},\n`)
  const table = (level: Level) => {
    const name = `admiral.${rollupTable(declared.table, level)}`
    return `create table ${name} (
${columns.join("")}  primary key (server_id, bucket)
)${level === FINE ? " partition by range (bucket)" : ""};
alter table ${name} alter column groups set storage external;
`
  }
  return `-- ${declared.exporter}: roll-ups, a row a server and bucket, called by the bucket's end. Groups are as narrow as may be already.
${LEVELS.map(table).join("")}`
}
