/**
 * The hours of days that are packed, or are being packed, in which scrapes are stored: what is packed has to be packed again with
 * them, and a day that is being packed is not done before they are in (`Packing.ts`).
 *
 * Who stores scrapes notes it in the same transaction, and waits for nobody. Whether a day is being packed is asked of the
 * database and of no clock: these disagree, and are set. Nobody who has stored into the day is under way when that begins
 * (`PackingDay.ts`), so everybody sees it.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Exporter } from "../../plugins/Exporter.ts"
import { int4s, moments } from "./ArrayCodec.ts"
import { scrapesTable } from "./Tables.ts"

interface At {
  readonly server: number
  readonly at: number
}

export interface PackingQueue {
  /** Within the transaction, after these scrapes were stored or added to. */
  readonly note: (scrapes: ReadonlyArray<At>) => Effect.Effect<unknown, SqlError>
}

export const HOUR_MICROS = 3_600_000_000

export const makePackingQueue = (exporter: Exporter): Effect.Effect<PackingQueue, never, PgClient.PgClient> =>
  Effect.map(PgClient.PgClient, (sql) => ({
    note: (scrapes) => {
      const hours = new Map<string, At>()
      for (const { at, server } of scrapes) {
        const hour = Math.floor(at / HOUR_MICROS) * HOUR_MICROS
        hours.set(`${server} ${hour}`, { server, at: hour })
      }
      if (hours.size === 0) return Effect.void
      const stored = [...hours.values()]
      return sql`insert into admiral.packing_queue (exporter, server_id, hour)
        select ${exporter.name}, stored.server_id, stored.hour
        from unnest(${int4s(stored.map(({ server }) => server))}, ${moments(stored.map(({ at }) => at))}) as stored(server_id, hour)
        where exists (
          select from admiral.packed_days as packed
          where packed.exporter = ${exporter.name} and packed.day = (stored.hour at time zone 'UTC')::date
        ) or to_regclass(${`admiral.${scrapesTable(exporter.table.name)}_`} || to_char(stored.hour at time zone 'UTC', 'YYYYMMDD') || '_packing') is not null`
    }
  }))
