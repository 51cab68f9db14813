/**
 * The integers that stand for servers and label values in the tables of rows.
 *
 * Guarantee: an id that is handed out is committed. Ids are read, or made by a statement of its own that has returned,
 * never within somebody's transaction, so that no cache can outlive a rollback. Ids are never deleted or reused.
 *
 * Bounds: {@link SERVERS_COST_MAX} and {@link LABELS_COST_MAX} characters of names in memory; the tables themselves grow with the
 * number of distinct names ever seen.
 */
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Effect } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import { arrayParameter } from "./Database.ts"
import { makeRecentMap } from "./RecentMap.ts"

/** 50 000 servers with names of 36 characters. */
const SERVERS_COST_MAX = 50_000 * 100
/** 200 000 names of 16 characters: 1 000 servers with some hundred names, most of them shared, have far fewer. */
const LABELS_COST_MAX = 200_000 * 80

export interface Dictionary {
  /** The id, where it is in memory. */
  readonly cachedServer: (serverId: string) => number | undefined
  /** Ids of servers; those that do not exist are missing from the result. */
  readonly servers: (serverIds: ReadonlySet<string>) => Effect.Effect<ReadonlyMap<string, number>, SqlError>
  /** The id, where it is in memory. */
  readonly cachedLabel: (value: string) => number | undefined
  /** Ids of label values; those that are new are added. */
  readonly labels: (values: ReadonlySet<string>) => Effect.Effect<ReadonlyMap<string, number>, SqlError>
}

interface Entry {
  readonly id: number
  readonly value: string
}

/** One per process: it holds the caches. */
export const makeDictionary = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const serverCache = makeRecentMap<number>(SERVERS_COST_MAX)
  const labelCache = makeRecentMap<number>(LABELS_COST_MAX)

  const findLabels = (values: ReadonlyArray<string>) =>
    sql<Entry>`
      select l.id, l.value from unnest(${texts(values)}) as v(value)
      join admiral.label_values l on l.value = v.value collate "C"`

  /** In one order everywhere, so that two who add the same values never wait for each other in a circle. */
  const addLabels = (values: ReadonlyArray<string>) =>
    sql<Entry>`
      insert into admiral.label_values (value)
      select v.value from unnest(${texts([...values].sort())}) as v(value)
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
    cachedLabel: labelCache.get,
    labels: Effect.fnUntraced(function* (values) {
      const found = new Map<string, number>()
      const take = (rows: ReadonlyArray<Entry>) => {
        for (const row of rows) {
          found.set(row.value, row.id)
          labelCache.set(row.value, row.id)
        }
        return [...values].filter((value) => !found.has(value))
      }
      let missing = take(yield* findLabels([...values]))
      if (missing.length > 0) missing = take(yield* addLabels(missing))
      // What somebody else added in between.
      if (missing.length > 0) missing = take(yield* findLabels(missing))
      if (missing.length > 0)
        return yield* Effect.die(new Error(`label value ${missing[0]} was neither found nor added`))
      return found
    })
  } satisfies Dictionary as Dictionary
})

const texts = (values: ReadonlyArray<string>) => arrayParameter(values, PgTypes.OID.text)
