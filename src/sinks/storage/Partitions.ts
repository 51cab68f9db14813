/**
 * Partitions by UTC day, made when they are first needed and remembered.
 *
 * A partition is made as a table of its own and then attached, which blocks neither readers nor writers of the others
 * (`create table … partition of` would). Several may try at once: an advisory lock lets one do it.
 *
 * Pure text, and an in-memory set of the days that are known to be there: bounded, and forgotten when PostgreSQL says
 * that a partition is missing.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import { alteringClient } from "../postgres/OwnerClient.ts"

export const DAY_MICROS = 86_400_000_000

/** Days are counted from 1970-01-01, which is 0. */
export const dayOf = (micros: number): number => Math.floor(micros / DAY_MICROS)

/** `2025-11-22`. */
export const dayName = (day: number): string => new Date((day * DAY_MICROS) / 1000).toISOString().slice(0, 10)

/** `disk_snapshots_scrapes_20251122`, without the schema. */
export const partitionName = (table: string, day: number): string => `${table}_${dayName(day).replaceAll("-", "")}`

/** The day of a partition's name; undefined where the name is none. */
export const dayOfPartition = (table: string, name: string): number | undefined => {
  if (!name.startsWith(`${table}_`)) return undefined
  const match = /^(\d{4})(\d{2})(\d{2})$/.exec(name.slice(table.length + 1))
  if (match === null) return undefined
  const millis = Date.parse(`${match[1]}-${match[2]}-${match[3]}T00:00:00Z`)
  return Number.isNaN(millis) ? undefined : dayOf(millis * 1000)
}

/** Makes the partition of a day, or attaches it where it was left detached. One statement, one transaction. */
export const createPartitionSql = (table: string, day: number): string => {
  const parent = `admiral."${table}"`
  const partition = `admiral."${partitionName(table, day)}"`
  return `do $do$
begin
  perform pg_advisory_xact_lock(${PARTITION_LOCK}, hashtext('${table}'));
  if to_regclass('${partition}') is null then
    create table ${partition} (like ${parent} including all);
  end if;
  if not exists (select from pg_inherits where inhrelid = '${partition}'::regclass) then
    alter table ${parent} attach partition ${partition}
      for values from ('${dayName(day)} 00:00:00+00') to ('${dayName(day + 1)} 00:00:00+00');
  end if;
end $do$`
}

/** The first of the two keys of the advisory locks about partitions; the second is the table. */
export const PARTITION_LOCK = 7_246_002

export interface Partitions {
  /** Makes those of the days that are missing. */
  readonly ensure: (days: Iterable<number>) => Effect.Effect<void, SqlError>
  /** Asks the database again from now on. */
  readonly forget: () => void
}

/** More than the days of any retention that is read, and small. */
const KNOWN_MAX = 1_000

/** Of one table, without its schema: `disk_snapshots_scrapes`. */
export const makePartitions = (table: string): Effect.Effect<Partitions, never, PgClient.PgClient> =>
  Effect.gen(function* () {
    const sql = yield* alteringClient
    const known = new Set<number>()
    const create = (day: number) =>
      Effect.tap(sql.unsafe(createPartitionSql(table, day)).unprepared, () =>
        Effect.sync(() => {
          if (known.size >= KNOWN_MAX) known.clear()
          known.add(day)
        })
      )
    return {
      ensure: (days) =>
        Effect.suspend(() => {
          const missing = [...days].filter((day) => !known.has(day))
          return missing.length === 0 ? Effect.void : Effect.forEach(missing, create, { discard: true })
        }),
      forget: () => known.clear()
    }
  })
