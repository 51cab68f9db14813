/**
 * Marks from PostgreSQL: the scrapes of a window beside those before them, by their keys alone, which stay where rows are packed. Only
 * those between which something happened leave the database.
 */
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Effect, Layer } from "effect"
import type { Exporter } from "../plugins/Exporter.ts"
import { Registry } from "../plugins/Registry.ts"
import { answering } from "../sinks/postgres/Database.ts"
import { micros, moment } from "../sinks/postgres/Moments.ts"
import { scrapesTable } from "../sinks/storage/Tables.ts"
import { staleMicros } from "./Increases.ts"
import { type Change, inOrder, MARKS_MAX, Marks, marksOf, SAME_BEGINNING_MICROS } from "./Marks.ts"
import { idOf } from "./ServerIds.ts"

interface Row {
  readonly at: number | null
  readonly before: number
  readonly since: number | null
  readonly since_before: number | null
}

export const layer: Layer.Layer<Marks, never, PgClient.PgClient | Registry> = Layer.effect(
  Marks,
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    const { exporters, host } = yield* Registry
    const statements = exporters.map((exporter) => ({ exporter, statement: marksSql(exporter) }))
    return Marks.of({
      of: Effect.fn("Marks.of")(function* (serverId, window) {
        const id = yield* idOf(sql, serverId)
        const found = yield* Effect.forEach(
          statements,
          ({ exporter, statement }) =>
            Effect.map(
              sql.unsafe<Row>(statement, [
                PgTypes.int4(id),
                PgTypes.float8(window.from),
                PgTypes.float8(window.to),
                PgTypes.float8(staleMicros(exporter) / 1_000_000)
              ]),
              (rows) =>
                rows.flatMap((row) =>
                  marksOf(exporter.name, exporter === host, staleMicros(exporter), window, changeOf(row))
                )
            ),
          { concurrency: 3 }
        )
        return inOrder(found.flat())
      }, answering("find marks"))
    })
  })
)

const changeOf = ({ at, before, since, since_before }: Row): Change => ({
  at,
  before,
  since,
  sinceBefore: since_before
})

/**
 * The scrapes of a server between which there is a gap, or whose counters began at another time, the latest ones first; and the last
 * scrape, where what follows is a gap. Bound: the server's id, the window's ends in epoch microseconds, `staleAfter` in seconds.
 */
export const marksSql = (exporter: Exporter): string => {
  const table = `admiral."${scrapesTable(exporter.table.name)}"`
  const from = moment("$2::float8")
  const to = moment("$3::float8")
  const stale = "$4::float8 * interval '1 second'"
  return `select ${micros("pair.at")} as at, ${micros("pair.before")} as before,
  ${micros("pair.since")} as since, ${micros("pair.since_before")} as since_before
from (
  select lead(scrape."timestamp") over following as at, scrape."timestamp" as before,
    lead(scrape.counters_since) over following as since, scrape.counters_since as since_before
  from (
    select latest."timestamp", latest.counters_since from (
      select "timestamp", counters_since from ${table}
      where server_id = $1::int4 and "timestamp" <= ${from} order by "timestamp" desc limit 1
    ) as latest
    union all
    select "timestamp", counters_since from ${table}
    where server_id = $1::int4 and "timestamp" > ${from} and "timestamp" <= ${to}
  ) as scrape
  window following as (order by scrape."timestamp")
) as pair
where coalesce(pair.at, ${to}) - pair.before > ${stale}
  or abs(extract(epoch from pair.since - pair.since_before)) > ${SAME_BEGINNING_MICROS / 1_000_000}
order by pair.before desc limit ${MARKS_MAX}`
}
