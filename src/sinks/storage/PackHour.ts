/**
 * Packs the scrapes of one server and hour: reads them, packed or not, makes chunks of them, checks these, and puts them in the
 * place of those that were there. Which scrapes lie in them is noted where it is asked for (`PackingDay.ts`).
 *
 * Guarantee: nothing is packed that does not come back as it was, to the last bit: each chunk is unpacked and compared with
 * the scrapes that it was made of, and then with what PostgreSQL has stored. Bound: {@link ROWS_MAX} rows are in memory at a
 * time (one scrape, where that has more), and the chunks of the hour.
 */
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Effect } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Exporter } from "../../plugins/Exporter.ts"
import { moment, readMoment } from "./ArrayCodec.ts"
import { areSame, type PackedChunk, packChunks, unpacker } from "./PackedChunk.ts"
import { makePackedTable, type StoredScrape } from "./PackedTable.ts"
import { HOUR_MICROS } from "./PackingQueue.ts"
import { columnsOf, quoted, selectedColumns } from "./ScrapeColumns.ts"
import { packedTable, scrapesTable } from "./Tables.ts"

export interface PackHour {
  /** The hours of a server in [from, to) that have scrapes, by their beginnings. */
  readonly hours: (server: number, from: number, to: number) => Effect.Effect<ReadonlyArray<Hour>, SqlError>
  /** Makes the chunks of an hour anew; `isShared` where others may write into its scrapes: they wait until the transaction ends. */
  readonly pack: (server: number, hour: Hour, isShared: boolean) => Effect.Effect<ReadonlyArray<PackedChunk>, SqlError>
}

export interface Hour {
  readonly from: number
  /** Neighbouring scrapes that are read together: their first and their last moments. */
  readonly spans: ReadonlyArray<{ readonly first: number; readonly last: number; readonly rows: number }>
}

const ROWS_MAX = 250_000

export const makePackHour = (exporter: Exporter): Effect.Effect<PackHour, never, PgClient.PgClient> =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    const packed = yield* makePackedTable(exporter)
    const { numbers } = columnsOf(exporter)
    const places = [...numbers.keys()]
    const statements = packHourStatements(exporter)

    const read = Effect.fnUntraced(function* (server: number, first: number, last: number, isShared: boolean) {
      const rows = yield* sql.unsafe<StoredScrape>(
        isShared ? `${statements.scrapes}\nfor update` : statements.scrapes,
        [PgTypes.int4(server), moment(first), moment(last)]
      )
      const scrapes = yield* packed.scrapes(rows, places)
      return scrapes ?? (yield* Effect.die(new Error("a scrape names a chunk that is not there")))
    })

    const checked = (chunks: ReadonlyArray<PackedChunk>, scrapes: Parameters<typeof packChunks>[0]) => {
      const since = new Map(scrapes.map((scrape) => [scrape.at, scrape.since]))
      const back = chunks.flatMap((chunk) => {
        const { scrape } = unpacker(chunk, places)
        return Array.from(chunk.at, (at) => scrape(at, since.get(at)!)!)
      })
      return areSame(scrapes, back) ? Effect.void : Effect.die(new Error("a chunk does not hold what it was made of"))
    }

    return {
      hours: (server, from, to) =>
        Effect.map(sql.unsafe<Size>(statements.sizes, [PgTypes.int4(server), moment(from), moment(to)]), (sizes) =>
          hoursOf(sizes.map(({ at, rows }) => ({ at: readMoment(at), rows })))
        ),
      pack: Effect.fnUntraced(function* (server, { from, spans }, isShared) {
        const chunks: Array<PackedChunk> = []
        for (const { first, last } of spans) {
          const scrapes = yield* read(server, first, last, isShared)
          const made = packChunks(scrapes)
          yield* checked(made, scrapes)
          chunks.push(...made)
          yield* Effect.yieldNow
        }
        yield* sql.unsafe(statements.clear, [PgTypes.int4(server), moment(from), moment(from + HOUR_MICROS)])
        for (const chunk of chunks) {
          yield* packed.insert(server, chunk)
          if (!(yield* packed.holds(server, chunk))) {
            return yield* Effect.die(new Error("a chunk is stored as something else"))
          }
        }
        return chunks
      })
    } satisfies PackHour
  })

/** What reads the scrapes of an hour, and makes room for its chunks. */
export const packHourStatements = (exporter: Exporter) => ({
  sizes: sizesSql(exporter),
  scrapes: scrapesSql(exporter),
  clear: clearSql(exporter)
})

interface Size {
  readonly at: Uint8Array
  readonly rows: number
}

/** Scrapes in order of time, by hours, and within these in spans of a bounded number of rows. */
const hoursOf = (sizes: ReadonlyArray<{ readonly at: number; readonly rows: number }>): ReadonlyArray<Hour> => {
  const hours: Array<{ readonly from: number; readonly spans: Array<Hour["spans"][number]> }> = []
  for (const { at, rows } of sizes) {
    const from = Math.floor(at / HOUR_MICROS) * HOUR_MICROS
    let hour = hours.at(-1)
    if (hour?.from !== from) {
      hour = { from, spans: [] }
      hours.push(hour)
    }
    const span = hour.spans.at(-1)
    if (span === undefined || span.rows + rows > ROWS_MAX) hour.spans.push({ first: at, last: at, rows })
    else hour.spans[hour.spans.length - 1] = { first: span.first, last: at, rows: span.rows + rows }
  }
  return hours
}

/** Of a scrape whose rows are packed, how many they are is not asked: so many. */
const PACKED_ROWS = 1_000

/** Bound: the server, from, to. */
const sizesSql = (exporter: Exporter): string => {
  const { labels } = columnsOf(exporter)
  const rows = labels.length === 0 ? "1" : `coalesce(cardinality(scrape.${quoted(labels[0]!)}), ${PACKED_ROWS})`
  return `select timestamptz_send(scrape."timestamp") as at, ${rows} as rows
from admiral.${quoted(scrapesTable(exporter.table.name))} as scrape
where scrape.server_id = $1 and scrape."timestamp" >= $2 and scrape."timestamp" < $3
order by scrape."timestamp"`
}

/** Bound: the server, the first and the last moment. */
const scrapesSql = (exporter: Exporter): string => {
  const { labels, numbers } = columnsOf(exporter)
  const columns = selectedColumns(
    labels,
    numbers.map(({ name }) => name)
  )
  return `select scrape.server_id, ${columns}
from admiral.${quoted(scrapesTable(exporter.table.name))} as scrape
where scrape.server_id = $1 and scrape."timestamp" >= $2 and scrape."timestamp" <= $3
order by scrape."timestamp"`
}

/** Bound: the server, from, to. */
const clearSql = (exporter: Exporter): string =>
  `delete from admiral.${quoted(packedTable(exporter.table.name))} as chunk
where chunk.server_id = $1 and chunk."timestamp" >= $2 and chunk."timestamp" < $3`
