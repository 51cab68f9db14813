/**
 * Chunks in PostgreSQL (`PackedChunk.ts`): written, and read back as the scrapes that they hold.
 *
 * A chunk is found by its scrapes, which name its first moment. Between the statement that reads the scrapes and the one that
 * reads their chunks, these may have been packed again with rows that came late: then they are there under other
 * moments, and who asks is told to ask again.
 *
 * Bounds: {@link CHUNKS_MAX} chunks are read and unpacked at a time; in between others have their turn.
 */
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Effect } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Exporter } from "../../plugins/Exporter.ts"
import { float8s, int4s, moment, moments, readInts, readMoment, readNumbers } from "./ArrayCodec.ts"
import { NumberSlab } from "./NumberSlab.ts"
import { isSameChunk, type PackedChunk, type Unpacker, unpacker } from "./PackedChunk.ts"
import { countRows } from "./RowsAllowed.ts"
import type { Scrape } from "./Scrape.ts"
import { columnsOf, quoted, readScrape, type StoredColumns } from "./ScrapeColumns.ts"
import { packedTable } from "./Tables.ts"

export interface PackedTable {
  /**
   * What was selected of scrapes, with some number columns (their places), in the same order; undefined where a chunk that
   * they name is not there any more.
   */
  readonly scrapes: (
    rows: ReadonlyArray<StoredScrape>,
    columns: ReadonlyArray<number>
  ) => Effect.Effect<ReadonlyArray<Scrape> | undefined, SqlError>
  readonly insert: (server: number, chunk: PackedChunk) => Effect.Effect<unknown, SqlError>
  /** Whether a chunk is stored as it is, to the last bit. */
  readonly holds: (server: number, chunk: PackedChunk) => Effect.Effect<boolean, SqlError>
}

export type StoredScrape = StoredColumns & { readonly server_id: number }

/** Some ten megabytes unpacked. */
const CHUNKS_MAX = 8

export const makePackedTable = (exporter: Exporter): Effect.Effect<PackedTable, never, PgClient.PgClient> =>
  Effect.map(PgClient.PgClient, (sql) => {
    const { labels } = columnsOf(exporter)
    const statements = {
      one: chunksSql(exporter, true),
      several: chunksSql(exporter, false),
      insert: insertChunkSql(exporter)
    }

    const chunks = (keys: ReadonlyArray<Key>) => {
      const one = keys.every(({ server }) => server === keys[0]!.server)
      return sql.unsafe<StoredChunk>(one ? statements.one : statements.several, [
        one ? PgTypes.int4(keys[0]!.server) : int4s(keys.map(({ server }) => server)),
        moments(keys.map(({ first }) => first))
      ])
    }

    /** Puts the scrapes that lie in some chunks in their places. */
    const unpack = Effect.fnUntraced(function* (
      rows: ReadonlyArray<StoredScrape>,
      keys: ReadonlyArray<Key>,
      columns: ReadonlyArray<number>,
      into: Array<Scrape | undefined>
    ) {
      const found = new Map<string, Unpacker>()
      for (const row of yield* chunks(keys)) {
        found.set(`${row.server_id} ${readMoment(row.first)}`, unpacker(readChunk(row, labels.length), columns))
      }
      for (const { first, places, server } of keys) {
        const chunk = found.get(`${server} ${first}`)
        for (const place of places) {
          const row = rows[place]!
          into[place] = chunk?.scrape(readMoment(row.at), readMoment(row.since))
        }
        yield* countRows(places.reduce((sum, place) => sum + rowsOf(into[place]), 0))
        yield* Effect.yieldNow
      }
    })

    return {
      scrapes: Effect.fnUntraced(function* (rows, columns) {
        const scrapes: Array<Scrape | undefined> = []
        const slab = new NumberSlab()
        const packed = new Map<string, Key & { readonly places: Array<number> }>()
        let unpacked = 0
        for (const [place, row] of rows.entries()) {
          if (row.packed_in === null) {
            const scrape = readScrape(row, labels.length, columns.length, slab)
            unpacked += rowsOf(scrape)
            scrapes.push(scrape)
            continue
          }
          scrapes.push(undefined)
          const first = readMoment(row.packed_in)
          const key = `${row.server_id} ${first}`
          const known = packed.get(key)
          if (known === undefined) packed.set(key, { server: row.server_id, first, places: [place] })
          else known.places.push(place)
        }
        yield* countRows(unpacked)
        const keys = [...packed.values()]
        for (let n = 0; n < keys.length; n += CHUNKS_MAX) {
          yield* unpack(rows, keys.slice(n, n + CHUNKS_MAX), columns, scrapes)
        }
        return scrapes.includes(undefined) ? undefined : (scrapes as Array<Scrape>)
      }),
      insert: (server, chunk) =>
        sql.unsafe(statements.insert, [
          PgTypes.int4(server),
          moment(chunk.at[0]!),
          moments(chunk.at),
          int4s(chunk.labels.flatMap((ids) => [...ids])),
          int4s(chunk.layout),
          float8s(chunk.units),
          float8s(chunk.bases),
          PgTypes.bytea(chunk.planes),
          float8s(chunk.whole)
        ]),
      holds: (server, chunk) =>
        Effect.map(
          chunks([{ server, first: chunk.at[0]!, places: [] }]),
          ([row]) => row !== undefined && isSameChunk(chunk, readChunk(row, labels.length))
        )
    } satisfies PackedTable
  })

/** How many rows a scrape has: one where there are no labels. */
const rowsOf = (scrape: Scrape | undefined): number => scrape?.labels[0]?.length ?? 1

interface Key {
  readonly server: number
  readonly first: number
  /** Where its scrapes are among those that were selected. */
  readonly places: ReadonlyArray<number>
}

interface StoredChunk {
  readonly server_id: number
  readonly first: Uint8Array
  readonly at: Uint8Array
  readonly labels: Uint8Array
  readonly layout: Uint8Array
  readonly units: Uint8Array
  readonly bases: Uint8Array
  readonly planes: Uint8Array
  readonly whole: Uint8Array
}

const readChunk = (row: StoredChunk, labelCount: number): PackedChunk => {
  const ids = readInts(row.labels)
  const series = labelCount === 0 ? 0 : ids.length / labelCount
  return {
    at: readNumbers(row.at),
    labels: Array.from({ length: labelCount }, (_, l) => ids.subarray(l * series, (l + 1) * series)),
    layout: readInts(row.layout),
    units: readNumbers(row.units),
    bases: readNumbers(row.bases),
    planes: row.planes,
    whole: readNumbers(row.whole)
  }
}

/** Chunks by their first moments. Bound: a server's id, or several; moments, of any of them. */
export const chunksSql = (exporter: Exporter, oneServer: boolean): string => {
  const selected = `select chunk.server_id, timestamptz_send(chunk."timestamp") as first, array_send(chunk.at) as at,
  array_send(chunk.labels) as labels, array_send(chunk.layout) as layout, array_send(chunk.units) as units,
  array_send(chunk.bases) as bases, chunk.planes, array_send(chunk.whole) as whole
from admiral.${quoted(packedTable(exporter.table.name))} as chunk`
  return oneServer
    ? `${selected}
where chunk.server_id = $1 and chunk."timestamp" = any($2::timestamptz[])`
    : `select chunk.*
from admiral.server_ids as server
cross join lateral (
${selected}
where chunk.server_id = server.id and chunk."timestamp" = any($2::timestamptz[])
offset 0
) as chunk
where server.id = any($1::integer[])`
}

export const insertChunkSql = (exporter: Exporter): string =>
  `insert into admiral.${quoted(packedTable(exporter.table.name))}
  (server_id, "timestamp", at, labels, layout, units, bases, planes, whole)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`
