/**
 * The integers that stand for servers and label values in the tables of scrapes.
 *
 * Guarantees:
 * - An id that is handed out is committed. Ids are read, or made by a statement of its own that has returned, never within
 *   somebody's transaction, so that no cache can outlive a rollback. Ids are never used again for something else.
 * - A label value is handed out for rows until a day, and the table remembers the latest such day (`used_until`) before any
 *   of those rows is stored. So a value whose day is further back than anything is kept stands in no scrape, no roll-up and
 *   in nothing that is on its way, and {@link sweepLabels} may delete it: rows as old as that are refused, and for newer ones
 *   a cached id does not do, whoever has it cached, and for however long.
 *
 * Bounds: {@link SERVERS_COST_MAX} and {@link LABELS_COST_MAX} characters of names in memory; the table of label values holds those of the
 * time that anything is kept, and {@link LABEL_MARGIN_DAYS} days.
 */
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Effect } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Exporter } from "../../plugins/Exporter.ts"
import { arrayParameter } from "../postgres/Database.ts"
import { makeRecentMap } from "../postgres/RecentMap.ts"
import { int4s } from "./ArrayCodec.ts"
import { columnsOf, quoted } from "./ScrapeColumns.ts"
import { firstSeenTable } from "./Tables.ts"

/** 50 000 servers with names of 36 characters. */
const SERVERS_COST_MAX = 50_000 * 100
/** 200 000 names of 16 characters: 1 000 servers with some hundred names, most of them shared, have far fewer. */
const LABELS_COST_MAX = 200_000 * 80
/** Longer than a row can be under way between its check and its transaction. */
export const LABEL_MARGIN_DAYS = 2
/** How many are deleted in one transaction. */
const SWEEP_MAX = 10_000

export interface Dictionary {
  /** The id, where it is in memory. */
  readonly cachedServer: (serverId: string) => number | undefined
  /** Ids of servers; those that do not exist are missing from the result. */
  readonly servers: (serverIds: ReadonlySet<string>) => Effect.Effect<ReadonlyMap<string, number>, SqlError>
  /** The id for rows until a day, where it is in memory. Days are counted from 1970-01-01. */
  readonly cachedLabel: (value: string, day: number) => number | undefined
  /** Ids of label values for rows until a day; those that are new are added. */
  readonly labels: (values: ReadonlySet<string>, day: number) => Effect.Effect<ReadonlyMap<string, number>, SqlError>
}

interface Entry {
  readonly id: number
  readonly value: string
}

interface Label {
  readonly id: number
  /** The day until which rows may have it. */
  readonly until: number
}

/** One per process: it holds the caches. */
export const makeDictionary = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const serverCache = makeRecentMap<number>(SERVERS_COST_MAX)
  const labelCache = makeRecentMap<Label>(LABELS_COST_MAX)

  const findLabels = (values: ReadonlyArray<string>) =>
    sql<Entry & { readonly until: number }>`
      select entry.id, entry.value, entry.used_until - date '1970-01-01' as until
      from unnest(${texts(values)}) as wanted(value)
      join admiral.label_values as entry on entry.value = wanted.value collate "C"`

  /** Those that are still there. In the order of their ids, as everybody does it. */
  const extendLabels = (ids: ReadonlyArray<number>, day: number) =>
    sql<Entry>`
      update admiral.label_values as entry set used_until = greatest(entry.used_until, date '1970-01-01' + ${day}::int4)
      from (
        select known.id from admiral.label_values as known where known.id = any(${int4s(ids)}) order by known.id for no key update
      ) as locked
      where entry.id = locked.id
      returning entry.id, entry.value`

  /** In one order everywhere, so that two who add the same values never wait for each other in a circle. */
  const addLabels = (values: ReadonlyArray<string>, day: number) =>
    sql<Entry>`
      insert into admiral.label_values (value, used_until)
      select wanted.value, date '1970-01-01' + ${day}::int4 from unnest(${texts([...values].sort())}) as wanted(value)
      on conflict do nothing
      returning id, value`

  return {
    cachedServer: serverCache.get,
    servers: Effect.fnUntraced(function* (serverIds) {
      const rows = yield* sql<Entry>`
        select id, server_id as value from admiral.servers where server_id = any(${texts([...serverIds])})`
      for (const row of rows) serverCache.set(row.value, row.id)
      return new Map(rows.map((row) => [row.value, row.id]))
    }),
    cachedLabel: (value, day) => {
      const label = labelCache.get(value)
      return label !== undefined && label.until >= day ? label.id : undefined
    },
    labels: Effect.fnUntraced(function* (values, day) {
      const found = new Map<string, number>()
      const take = ({ id, value }: Entry, until: number) => {
        found.set(value, id)
        labelCache.set(value, { id, until })
      }
      // What is found may be deleted before its day is extended, and what is added may have been added by somebody else.
      for (let round = 0; round < ROUNDS_MAX; round++) {
        const wanted = [...values].filter((value) => !found.has(value))
        if (wanted.length === 0) return found
        const there = yield* findLabels(wanted)
        for (const entry of there) if (entry.until >= day) take(entry, entry.until)
        const behind = there.filter(({ until }) => until < day)
        if (behind.length > 0) {
          const ids = behind.map(({ id }) => id).sort((a, b) => a - b)
          for (const entry of yield* extendLabels(ids, day)) take(entry, day)
        }
        const known = new Set(there.map(({ value }) => value))
        const missing = wanted.filter((value) => !known.has(value))
        if (missing.length > 0) for (const entry of yield* addLabels(missing, day)) take(entry, day)
      }
      return yield* Effect.die(new Error("a label value was neither found nor added, again and again"))
    })
  } satisfies Dictionary as Dictionary
})

/** Each round finds, extends or adds what others have not taken away in the same moment. */
const ROUNDS_MAX = 10

/**
 * Deletes label values that were last handed out for rows of before a day, with the first-seen entries that they are in; how
 * many. What is extended meanwhile stays. `exporters` are all that have tables.
 */
export const sweepLabels = (
  exporters: ReadonlyArray<Exporter>,
  day: number
): Effect.Effect<number, SqlError, PgClient.PgClient> =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    const batch = Effect.gen(function* () {
      const expired = yield* sql<{ readonly id: number }>`
        select id from admiral.label_values where used_until < date '1970-01-01' + ${day}::int4
        order by id limit ${SWEEP_MAX}::int4 for update`
      if (expired.length === 0) return 0
      const ids = int4s(expired.map(({ id }) => id))
      for (const exporter of exporters.filter(({ table }) => table.beginsAtZero)) {
        const { labels } = columnsOf(exporter)
        const anyOf = labels.map((label) => `entry.${quoted(label)} = any($1::integer[])`).join(" or ")
        if (labels.length === 0) continue
        yield* sql.unsafe(
          `delete from admiral.${quoted(firstSeenTable(exporter.table.name))} as entry where ${anyOf}`,
          [ids]
        )
      }
      yield* sql`delete from admiral.label_values where id = any(${ids})`
      return expired.length
    })
    let deleted = 0
    for (;;) {
      const count = yield* sql.withTransaction(batch)
      deleted += count
      if (count < SWEEP_MAX) return deleted
    }
  })

const texts = (values: ReadonlyArray<string>) => arrayParameter(values, PgTypes.OID.text)
