/**
 * Whether what was read of servers is still all there is: rows come late, and scrapes in pieces.
 *
 * Guarantee: a scrape that came late is noticed wherever it lies in the span, and one that got more rows where it is younger than
 * {@link RECENT}. Cost: an entry of the key for each scrape in the span, and the scrapes of the last minutes.
 */
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Array as Arr, Effect } from "effect"
import type { Exporter } from "../plugins/Exporter.ts"
import { micros, moment } from "../sinks/postgres/Moments.ts"
import { int4s } from "../sinks/storage/ArrayCodec.ts"
import { quoted } from "../sinks/storage/ScrapeColumns.ts"
import { scrapesTable } from "../sinks/storage/Tables.ts"

/** The pieces of a scrape come with neighbouring batches. Microseconds. */
const RECENT = 120_000_000
const SERVERS_MAX = 500

/** The scrapes of a server that were seen, in order of time. */
export class Arrivals {
  /** Epoch microseconds. */
  private readonly at: Array<number> = []
  private readonly rows: Array<number> = []

  get scrapes(): number {
    return this.at.length
  }

  /** Notes those after a moment, and forgets those until another; epoch microseconds. */
  note({ rows, times }: Arrived, after: number, before: number): void {
    for (const [n, at] of times.entries()) {
      if (at <= after) continue
      this.at.push(at)
      this.rows.push(rows[n]!)
    }
    let gone = 0
    while (gone < this.at.length && this.at[gone]! <= before) gone++
    this.at.splice(0, gone)
    this.rows.splice(0, gone)
  }

  /** Whether these are the ones that are there in (before, upto]; epoch microseconds. */
  isAll({ known, rows, times }: Arrived, before: number, upto: number): boolean {
    let mine = 0
    for (const at of this.at) if (at > before) mine++
    if (mine !== known) return false
    let last = this.at.length - 1
    for (let n = times.length - 1; n >= 0; n--) {
      if (times[n]! > upto) continue
      if (this.at[last] !== times[n] || this.rows[last] !== rows[n]) return false
      last--
    }
    return true
  }
}

/** What is stored of a server. */
export interface Arrived {
  /** How many scrapes in the span. */
  readonly known: number
  /** The latest ones, in order of time, and how many rows each has. */
  readonly times: ReadonlyArray<number>
  readonly rows: ReadonlyArray<number>
}

export const makeArrivals = (exporter: Exporter) =>
  Effect.map(PgClient.PgClient, (sql) => {
    const statement = arrivalsSql(exporter)
    const read = (servers: ReadonlyArray<number>, before: number, seen: number, recent: number, upto: number) =>
      Effect.map(
        Effect.forEach(Arr.chunksOf(servers, SERVERS_MAX), (some) =>
          sql.unsafe<Arrived & { readonly server: number }>(statement, [
            int4s(some),
            ...[before, seen, recent, upto].map((at) => PgTypes.float8(at))
          ])
        ),
        (rows): ReadonlyMap<number, Arrived> => new Map(rows.flat().map((row) => [row.server, row]))
      )
    return {
      /** How many there are in (before, seen], and which came lately; epoch microseconds. */
      since: (servers: ReadonlyArray<number>, before: number, seen: number, upto: number) =>
        read(servers, before, seen, Math.max(before, seen - RECENT), upto),
      /** All in (before, upto]; epoch microseconds. */
      all: (servers: ReadonlyArray<number>, before: number, upto: number) => read(servers, before, before, before, upto)
    }
  })

/** Bound: servers; the ends of the span that is counted, of the one that is listed; epoch microseconds. */
export const arrivalsSql = (exporter: Exporter): string => {
  const table = `admiral.${quoted(scrapesTable(exporter.table.name))}`
  const label = Object.entries(exporter.table.columns).find(([, { kind }]) => kind === "label")?.[0]
  const rows = label === undefined ? "1" : `coalesce(cardinality(scrape.${quoted(label)}), 0)`
  const within = (after: string, upto: string) => `from ${table} as scrape
    where scrape.server_id = server.id and scrape."timestamp" > ${moment(`${after}::float8`)} and scrape."timestamp" <= ${moment(`${upto}::float8`)}`
  return `select server.id as server,
  (select count(*)::int4 ${within("$2", "$3")}) as known,
  array(select ${micros('scrape."timestamp"')} ${within("$4", "$5")} order by scrape."timestamp") as times,
  array(select ${rows} ${within("$4", "$5")} order by scrape."timestamp") as rows
from admiral.server_ids as server
where server.id = any($1::int4[])`
}
