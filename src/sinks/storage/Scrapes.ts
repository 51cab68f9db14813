/**
 * Stored scrapes, packed or not, read back as columns: what everything that computes numbers is made of.
 *
 * Guarantee: values come as they were stored, to the last bit; NULL and what is unknown are NaN. Statements that are about
 * one server say so by a constant, so that a distributed PostgreSQL asks one node. It computes nothing.
 */
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Array as Arr, Context, Effect, Layer } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Exporter } from "../../plugins/Exporter.ts"
import { Registry } from "../../plugins/Registry.ts"
import { arrayParameter } from "../postgres/Database.ts"
import { makeRecentMap } from "../postgres/RecentMap.ts"
import { int4s, moment, moments, readMoment } from "./ArrayCodec.ts"
import { makePackedTable, type PackedTable, type StoredScrape } from "./PackedTable.ts"
import type { RowFilter, Scrape } from "./Scrape.ts"
import { columnsOf, joinedRows, quoted, selectedColumns } from "./ScrapeColumns.ts"
import { firstSeenTable, rowsApartView, scrapesTable } from "./Tables.ts"

/** The first row of a series since its counters began. */
export interface First {
  /** Epoch microseconds. */
  readonly at: number
  /** Ids of the labels, in the order of the declaration. */
  readonly labels: ReadonlyArray<number>
}

/** A span of time, (after, upto]; epoch microseconds. */
export interface Span {
  readonly after: number
  readonly upto: number
}

/** Scrapes by server, in order of time; for each span that was asked for. */
type ScrapesOfSpans = ReadonlyArray<ReadonlyMap<number, ReadonlyArray<Scrape>>>

export class Scrapes extends Context.Service<
  Scrapes,
  {
    /** The scrapes in each span, with all rows; at least with those of `only`, where it is given. */
    readonly between: (
      exporter: string,
      servers: ReadonlyArray<number>,
      spans: ReadonlyArray<Span>,
      columns: ReadonlyArray<string>,
      only?: RowFilter
    ) => Effect.Effect<ScrapesOfSpans, SqlError>
    /** The same, and the one before each span, where that is less than `lookback` microseconds before it. */
    readonly withPrevious: (
      exporter: string,
      servers: ReadonlyArray<number>,
      lookback: number,
      spans: ReadonlyArray<Span>,
      columns: ReadonlyArray<string>,
      only?: RowFilter
    ) => Effect.Effect<ScrapesOfSpans, SqlError>
    /** The latest `count` scrapes in (after, upto] of each server (of all where `servers` is undefined), in order of time. */
    readonly latest: (
      exporter: string,
      servers: ReadonlyArray<number> | undefined,
      count: number,
      after: number,
      upto: number,
      columns: ReadonlyArray<string>
    ) => Effect.Effect<ReadonlyMap<number, ReadonlyArray<Scrape>>, SqlError>
    /** First rows of series in their epoch, in any of the spans, by server. Empty for exporters that do not begin at zero. */
    readonly firsts: (
      exporter: string,
      servers: ReadonlyArray<number>,
      spans: ReadonlyArray<Span>
    ) => Effect.Effect<ReadonlyMap<number, ReadonlyArray<First>>, SqlError>
    /** Names of label values by id. */
    readonly names: (ids: ReadonlyArray<number>) => Effect.Effect<ReadonlyMap<number, string>, SqlError>
    /** Ids of label values that exist. */
    readonly idsOf: (values: ReadonlyArray<string>) => Effect.Effect<ReadonlyMap<string, number>, SqlError>
  }
>()("nodepulse/sinks/Scrapes") {
  static readonly layer: Layer.Layer<Scrapes, never, PgClient.PgClient | Registry> = Layer.suspend(() =>
    Layer.effect(Scrapes, make)
  )
}

/** How many spans a statement asks for: each is planned by its own bounds, so that it opens its own days only. */
const SPANS_MAX = 4
/** Chunks that are packed again while they are read are read again: once is rare. */
const ROUNDS_MAX = 5
/** Names in memory, in characters: 200 000 names of 16 characters. */
const NAMES_COST_MAX = 200_000 * 80

const make = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const { exporters } = yield* Registry
  const readers = new Map<string, Reader>()
  for (const exporter of exporters) readers.set(exporter.name, makeReader(exporter, yield* makePackedTable(exporter)))
  const readerOf = (exporter: string): Reader => {
    const reader = readers.get(exporter)
    if (reader === undefined) throw new Error(`there is no exporter "${exporter}"`)
    return reader
  }
  const nameOf = makeRecentMap<string>(NAMES_COST_MAX, (name) => name.length)

  const byServer = Effect.fnUntraced(function* (
    reader: Reader,
    statement: string,
    parameters: ReadonlyArray<PgTypes.Parameter>,
    columns: ReadonlyArray<string>,
    spans: number
  ) {
    const places = columns.map((column) => reader.numbers.indexOf(column))
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const rows = yield* sql.unsafe<StoredScrape & { readonly span: number }>(statement, parameters)
      const scrapes = yield* reader.packed.scrapes(rows, places)
      if (scrapes === undefined) continue
      const found = Array.from({ length: spans }, () => new Map<number, Array<Scrape>>())
      for (const [n, { server_id, span }] of rows.entries()) {
        const mine = found[span]!
        const own = mine.get(server_id)
        if (own === undefined) mine.set(server_id, [scrapes[n]!])
        else own.push(scrapes[n]!)
      }
      return found
    }
    return yield* Effect.die(new Error("chunks were packed again and again while they were read"))
  })

  /** Some spans in one statement, a few at a time. `bounds` are the moments that a span's part of it is about. */
  const ofSpans = (
    exporter: string,
    servers: ReadonlyArray<number>,
    spans: ReadonlyArray<Span>,
    columns: ReadonlyArray<string>,
    only: RowFilter | undefined,
    kind: "between" | "withPrevious",
    bounds: (span: Span) => ReadonlyArray<number>
  ) => {
    if (servers.length === 0) return Effect.succeed(spans.map(() => new Map<number, ReadonlyArray<Scrape>>()))
    const reader = readerOf(exporter)
    const which = serversParameter(servers)
    return Effect.map(
      Effect.forEach(Arr.chunksOf(spans, SPANS_MAX), (few) =>
        byServer(
          reader,
          reader[kind](servers.length === 1, few.length, columns, only?.label),
          [
            which,
            ...few.flatMap((span) => bounds(span).map(moment)),
            ...(only === undefined ? [] : [PgTypes.int4(only.id)])
          ],
          columns,
          few.length
        )
      ),
      Arr.flatten
    )
  }

  const names = Effect.fnUntraced(function* (ids: ReadonlyArray<number>) {
    const found = new Map<number, string>()
    const missing: Array<number> = []
    for (const id of ids) {
      const name = nameOf.get(String(id))
      if (name === undefined) missing.push(id)
      else found.set(id, name)
    }
    if (missing.length === 0) return found
    const rows = yield* sql<{ readonly id: number; readonly value: string }>`
      select id, value from admiral.label_values where id = any(${int4s(missing)})`
    for (const { id, value } of rows) {
      found.set(id, value)
      nameOf.set(String(id), value)
    }
    return found
  })

  return Scrapes.of({
    between: (exporter, servers, spans, columns, only) =>
      ofSpans(exporter, servers, spans, columns, only, "between", ({ after, upto }) => [after, upto]),
    withPrevious: (exporter, servers, lookback, spans, columns, only) =>
      ofSpans(exporter, servers, spans, columns, only, "withPrevious", ({ after, upto }) => [
        after - lookback,
        after,
        upto
      ]),
    latest: (exporter, servers, count, after, upto, columns) => {
      if (servers?.length === 0) return Effect.succeed(new Map())
      const reader = readerOf(exporter)
      const which = servers === undefined ? [] : [serversParameter(servers)]
      const statement = reader.latest(servers === undefined ? "all" : servers.length === 1 ? "one" : "several", columns)
      const parameters = [moment(after), moment(upto), PgTypes.int4(count), ...which]
      return Effect.map(byServer(reader, statement, parameters, columns, 1), ([found]) => {
        // Found from the latest backwards.
        for (const own of found!.values()) own.reverse()
        return found!
      })
    },
    firsts: (exporter, servers, spans) => {
      const reader = readerOf(exporter)
      if (servers.length === 0 || !reader.beginsAtZero) return Effect.succeed(new Map())
      const parameters = [
        serversParameter(servers),
        moments(spans.map(({ after }) => after)),
        moments(spans.map(({ upto }) => upto))
      ]
      return Effect.map(sql.unsafe<StoredFirst>(reader.firsts(servers.length === 1), parameters), (rows) => {
        const byServer = new Map<number, Array<First>>()
        for (const row of rows) {
          const labels = reader.labels.map((_, n) => row[`l${n}`] as number)
          const first = { at: readMoment(row.at), labels }
          const own = byServer.get(row.server_id)
          if (own === undefined) byServer.set(row.server_id, [first])
          else own.push(first)
        }
        return byServer
      })
    },
    names,
    idsOf: (values) =>
      Effect.map(
        sql<{ readonly id: number; readonly value: string }>`
          select entry.id, entry.value from unnest(${arrayParameter(values, PgTypes.OID.text)}) as wanted(value)
          join admiral.label_values as entry on entry.value = wanted.value collate "C"`,
        (rows) => new Map(rows.map(({ id, value }) => [value, id]))
      )
  })
})

/** A server by an equality, several by an array. */
const serversParameter = (servers: ReadonlyArray<number>): PgTypes.Parameter =>
  servers.length === 1 ? PgTypes.int4(servers[0]!) : int4s(servers)

interface StoredFirst {
  readonly server_id: number
  readonly at: Uint8Array
  readonly [label: string]: Uint8Array | number
}

// -- statements

interface Reader {
  readonly labels: ReadonlyArray<string>
  readonly numbers: ReadonlyArray<string>
  readonly packed: PackedTable
  readonly beginsAtZero: boolean
  /** Bound: the server or servers; of each span after, up to; the id of the label's value, where there is one. */
  readonly between: (one: boolean, spans: number, columns: ReadonlyArray<string>, label?: string) => string
  /**
   * Bound: the server or servers; of each span the moment that the scrape before is not older than, after, up to; the id of the
   * label's value, where there is one.
   */
  readonly withPrevious: (one: boolean, spans: number, columns: ReadonlyArray<string>, label?: string) => string
  /** Bound: after, up to, how many, then the server or servers unless they are all. */
  readonly latest: (which: "one" | "several" | "all", columns: ReadonlyArray<string>) => string
  /** Bound: the server or servers; the left and the right ends of the spans. */
  readonly firsts: (one: boolean) => string
}

/**
 * Of one server, the statement says so by an equality, and is about one node of a distributed PostgreSQL. Of several, each is
 * looked up by the key of its own scrapes (`offset 0` keeps it so), whatever PostgreSQL thinks of how many there are.
 */
const makeReader = (exporter: Exporter, packed: PackedTable): Reader => ({ ...scrapesStatements(exporter), packed })

/** What reads an exporter's scrapes. */
export const scrapesStatements = (exporter: Exporter): Omit<Reader, "packed"> => {
  const { labels, numbers } = columnsOf(exporter)
  const known = new Set(numbers.map(({ name }) => name))
  const table = `admiral.${quoted(scrapesTable(exporter.table.name))}`
  const selected = (columns: ReadonlyArray<string>, some = false) => {
    const unknown = columns.find((column) => !known.has(column))
    if (unknown !== undefined) throw new Error(`${exporter.name} has no number column "${unknown}"`)
    return selectedColumns(labels, columns, some)
  }
  const within = (after: string, upto: string) => `scrape."timestamp" > ${after} and scrape."timestamp" <= ${upto}`
  const several = (
    servers: string | undefined,
    columns: ReadonlyArray<string>,
    range: string,
    order: string,
    span = 0,
    rows = ""
  ) =>
    `select ${span} as span, server.id as server_id, scrape.*
from admiral.server_ids as server
cross join lateral (
  select ${selected(columns, rows !== "")}
  from ${table} as scrape${rows}
  where scrape.server_id = server.id and ${range}
  ${order}
) as scrape${
      servers === undefined
        ? ""
        : `
where server.id = any(${servers}::integer[])`
    }`
  /** The scrapes of some spans of one server, or of several: each span by its own parameters from `first` on. */
  const ofSpans = (
    one: boolean,
    spans: number,
    columns: ReadonlyArray<string>,
    label: string | undefined,
    range: (server: string, first: number) => string,
    bounds: number
  ) => {
    const rows = label === undefined ? "" : joinedRows(label, `$${2 + spans * bounds}`)
    const parts = Array.from({ length: spans }, (_, span) =>
      one
        ? `(select ${span} as span, scrape.server_id, ${selected(columns, rows !== "")}
from ${table} as scrape${rows}
where scrape.server_id = $1 and ${range("$1", 2 + span * bounds)}
order by scrape."timestamp")`
        : several(
            "$1",
            columns,
            range("server.id", 2 + span * bounds),
            'order by scrape."timestamp" offset 0',
            span,
            rows
          )
    )
    // A distributed PostgreSQL takes a union apart unless it is a part of something.
    return one || spans === 1
      ? parts.join("\nunion all\n")
      : `select * from (\n${parts.join("\nunion all\n")}\n) as part`
  }
  const fromPrevious = (
    server: string,
    n: number
  ) => `scrape."timestamp" <= $${n + 2} and scrape."timestamp" >= coalesce((
  select max(previous."timestamp") from ${table} as previous
  where previous.server_id = ${server} and previous."timestamp" > $${n} and previous."timestamp" <= $${n + 1}
), $${n + 1})`
  return {
    labels,
    numbers: numbers.map(({ name }) => name),
    beginsAtZero: exporter.table.beginsAtZero,
    withPrevious: (one, spans, columns, label) => ofSpans(one, spans, columns, label, fromPrevious, 3),
    between: (one, spans, columns, label) =>
      ofSpans(one, spans, columns, label, (_, n) => within(`$${n}`, `$${n + 1}`), 2),
    latest: (which, columns) => {
      const order = 'order by scrape."timestamp" desc limit $3'
      return which === "one"
        ? `select 0 as span, scrape.server_id, ${selected(columns)}
from ${table} as scrape
where scrape.server_id = $4 and ${within("$1", "$2")}
${order}`
        : several(which === "all" ? undefined : "$4", columns, within("$1", "$2"), order)
    },
    firsts: (one) => {
      const entries = `admiral.${quoted(firstSeenTable(exporter.table.name))}`
      // By a constant wherever it is one: a distributed PostgreSQL does not infer it.
      const server = one ? "$1" : "entry.server_id"
      const sameSeries = (other: string) =>
        labels.map((name) => ` and ${other}.${quoted(name)} = entry.${quoted(name)}`).join("")
      return `select entry.server_id, timestamptz_send(entry.first_at) as at${labels.map((name, n) => `, entry.${quoted(name)} as l${n}`).join("")}
from unnest($2::timestamptz[], $3::timestamptz[]) as span(after, upto)
join ${entries} as entry on entry.first_at > span.after and entry.first_at <= span.upto
where entry.server_id = ${one ? "$1" : "any($1::integer[])"}
  -- Rows that do not say when their counters began are entries too, of their own moment: they are seen, and nobody's first.
  and entry.counters_since < entry.first_at
  and not exists (
    select from ${entries} as earlier
    where earlier.server_id = ${server}${sameSeries("earlier")}
      and earlier.first_at < entry.first_at and earlier.first_at >= entry.counters_since
  )
  -- A clock that is set moves beginnings past the entries of before: only then are the rows between looked at.
  and not (exists (
    select from ${entries} as former
    where former.server_id = ${server}${sameSeries("former")} and former.first_at < entry.counters_since
  ) and exists (
    select from admiral.${quoted(rowsApartView(exporter.table.name))} as known
    where known.server_id = ${server} and known."timestamp" >= entry.counters_since and known."timestamp" < entry.first_at
     ${sameSeries("known")}
  ))
order by entry.server_id, entry.first_at`
    }
  }
}
