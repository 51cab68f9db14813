/**
 * An exporter's table of scrapes: the statements that store into it, and its rows as they are read back.
 *
 * All keys are taken in the order (server, moment), by everybody, so that two that store the same scrapes wait for each other
 * and never in a circle. Statements about scrapes that are there name one server, so that a distributed PostgreSQL asks one node.
 */
import { PgClient, type PgConnection, PgTypes } from "@effect/sql-pg"
import { Effect } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Exporter } from "../../plugins/Exporter.ts"
import { float8s, int4s, int8s, moment, moments, readMoment } from "./ArrayCodec.ts"
import { makePackedTable, type StoredScrape } from "./PackedTable.ts"
import type { Scrape } from "./Scrape.ts"
import type { BatchedScrape, Beginnings, FlatRows } from "./ScrapeBatch.ts"
import { columnsOf, quoted, selectedColumns } from "./ScrapeColumns.ts"
import { scrapesTable } from "./Tables.ts"

export interface ScrapeTable {
  readonly hasLabels: boolean
  /** Stores scrapes whose keys are not there yet; says which those were, by place. */
  readonly insert: (
    scrapes: ReadonlyArray<BatchedScrape>,
    beginnings: ReadonlyArray<Beginnings>,
    rows: FlatRows
  ) => Effect.Effect<ReadonlySet<number>, SqlError>
  /** Scrapes of a server that are there, with all number columns, packed or not; held until the transaction ends. */
  readonly lock: (server: number, times: ReadonlyArray<number>) => Effect.Effect<ReadonlyArray<Scrape>, SqlError>
  /** Puts a scrape in the place of the one that is there, and it is packed no longer. */
  readonly replace: (server: number, scrape: Scrape) => Effect.Effect<unknown, SqlError>
}

const WRITE = { integer: int4s, bigint: int8s, double: float8s } as const
const SQL_TYPE = { integer: "integer", bigint: "bigint", double: "double precision" } as const

export const makeScrapeTable = (exporter: Exporter): Effect.Effect<ScrapeTable, never, PgClient.PgClient> =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    const packed = yield* makePackedTable(exporter)
    const { labels, numbers } = columnsOf(exporter)
    const places = [...numbers.keys()]
    const hasLabels = labels.length > 0
    const statements = scrapeTableStatements(exporter)

    return {
      hasLabels,
      insert: (scrapes, beginnings, rows) => {
        const ends = new Int32Array(scrapes.length)
        let end = 0
        for (let n = 0; n < scrapes.length; n++) {
          end += scrapes[n]!.rows.length
          ends[n] = end
        }
        const differ = beginnings.some(({ sinceOf }) => sinceOf !== undefined)
        const parameters = [
          int4s(scrapes.map(({ server }) => server)),
          moments(scrapes.map(({ at }) => at)),
          moments(beginnings.map(({ since }) => since)),
          ...(hasLabels
            ? [
                int4s(ends.map((end, n) => end - scrapes[n]!.rows.length + 1)),
                int4s(ends),
                int4s(beginnings.map(({ sinceOf }) => (sinceOf === undefined ? 0 : 1))),
                moments(differ ? rows.since : []),
                ...rows.labels.map(int4s)
              ]
            : []),
          ...rows.values.map((values, n) => WRITE[numbers[n]!.type](values))
        ]
        return Effect.map(
          sql.unsafe<{ readonly server_id: number; readonly at: Uint8Array }>(statements.insert, parameters),
          (stored) => {
            if (stored.length === scrapes.length) return new Set(scrapes.keys())
            const keys = new Set(stored.map(({ at, server_id }) => `${server_id} ${readMoment(at)}`))
            return new Set(scrapes.flatMap(({ at, server }, place) => (keys.has(`${server} ${at}`) ? [place] : [])))
          }
        )
      },
      lock: (server, times) =>
        Effect.flatMap(sql.unsafe<StoredScrape>(statements.lock, [PgTypes.int4(server), moments(times)]), (stored) =>
          Effect.flatMap(packed.scrapes(stored, places), (scrapes) =>
            // Who packs them again waits for this transaction.
            scrapes === undefined
              ? Effect.die(new Error("a scrape names a chunk that is not there"))
              : Effect.succeed(scrapes)
          )
        ),
      replace: (server, scrape) =>
        sql.unsafe<PgConnection.Result>(statements.replace, [
          PgTypes.int4(server),
          moment(scrape.at),
          moment(scrape.since),
          scrape.sinceOf === undefined ? NO_MOMENTS : moments(scrape.sinceOf),
          ...scrape.labels.map(int4s),
          ...scrape.values.map((values, n) => WRITE[numbers[n]!.type](values))
        ])
    } satisfies ScrapeTable
  })

/** What stores an exporter's scrapes. */
export const scrapeTableStatements = (exporter: Exporter) => ({
  insert: insertSql(exporter),
  lock: lockSql(exporter),
  replace: replaceSql(exporter)
})

const NO_MOMENTS: PgTypes.Parameter = {
  [PgTypes.ParameterTypeId]: PgTypes.ParameterTypeId,
  oid: PgTypes.OID.timestamptzArray,
  value: null
}

/**
 * The insert. Parameters: per scrape its server, moment and beginning; where there are labels also the places of its first and last
 * row, whether beginnings differ, then, of all rows, beginnings (none where nothing differs), labels and numbers, of which
 * each scrape takes its slice. Without labels: the numbers, one a scrape.
 */
const insertSql = (exporter: Exporter): string => {
  const { labels, numbers } = columnsOf(exporter)
  const table = `admiral.${quoted(scrapesTable(exporter.table.name))}`
  const names = [...labels, ...numbers.map(({ name }) => name)].map(quoted)
  const into = `insert into ${table} (server_id, "timestamp", counters_since${labels.length > 0 ? ", counters_since_of" : ""}, ${names.join(", ")})`
  const returning = `on conflict do nothing
returning server_id, timestamptz_send("timestamp") as at`
  if (labels.length === 0) {
    const types = ["integer", "timestamptz", "timestamptz", ...numbers.map(({ type }) => SQL_TYPE[type])]
    return `${into}
select scrape.*
from unnest(${types.map((type, n) => `$${n + 1}::${type}[]`).join(", ")}) as scrape
${returning}`
  }
  const flat = [...labels.map(() => "integer"), ...numbers.map(({ type }) => SQL_TYPE[type])]
  const slice = (parameter: number, type: string) => `($${parameter}::${type}[])[scrape.first:scrape.last]`
  return `${into}
select scrape.server_id, scrape.at, scrape.since, case scrape.differ when 1 then ${slice(7, "timestamptz")} end,
  ${flat.map((type, n) => slice(8 + n, type)).join(",\n  ")}
from unnest($1::integer[], $2::timestamptz[], $3::timestamptz[], $4::integer[], $5::integer[], $6::integer[])
  as scrape(server_id, at, since, first, last, differ)
${returning}`
}

/** Scrapes of one server, in the order of time. Bound: the server, moments. */
const lockSql = (exporter: Exporter): string => {
  const { labels, numbers } = columnsOf(exporter)
  return `select scrape.server_id, ${selectedColumns(
    labels,
    numbers.map(({ name }) => name)
  )}
from admiral.${quoted(scrapesTable(exporter.table.name))} as scrape
where scrape.server_id = $1 and scrape."timestamp" = any($2::timestamptz[])
order by scrape."timestamp"
for update`
}

const replaceSql = (exporter: Exporter): string => {
  const { labels, numbers } = columnsOf(exporter)
  const columns = [...labels, ...numbers.map(({ name }) => name)]
  return `update admiral.${quoted(scrapesTable(exporter.table.name))}
set packed_in = null, counters_since = $3, counters_since_of = $4, ${columns.map((name, n) => `${quoted(name)} = $${5 + n}`).join(", ")}
where server_id = $1 and "timestamp" = $2`
}
