/**
 * When each series of an exporter was first seen since its counters began: an entry (server, series, moment, beginning) for a
 * row before which no row of the series is known at or after that beginning. A first row says all that its series had used by
 * then (`docs/numbers.md`), so this is kept, and not searched: retention and packing change no answer.
 *
 * - An entry is written with its row or not at all. Rows that come late are written before entries that are there; those
 *   then count no longer, since readers pass over an entry that has an earlier one of its series at or after its beginning.
 *   So neither the order of arrival nor who stored what makes a difference.
 * - Who has something to write holds a lock of the server, and looks again: what somebody else has committed is seen.
 * - What is known to have an entry is remembered, so that in the steady state nothing is asked and nothing is written.
 *
 * Bounds: {@link KNOWN_MAX} series in memory; the table by {@link pruneFirstSeen}.
 */
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Effect } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Exporter } from "../../plugins/Exporter.ts"
import { int4s, moment, moments, readMoment } from "./ArrayCodec.ts"
import type { Series } from "./ScrapeBatch.ts"
import { columnsOf, quoted } from "./ScrapeColumns.ts"
import { firstSeenTable, rowsApartView, scrapesTable } from "./Tables.ts"

/** A row that was stored, of a server. */
export interface SeenRow {
  readonly server: number
  readonly series: Series
  /** Ids, in the order of the declaration. */
  readonly labels: ReadonlyArray<number>
  readonly at: number
  /** When its counters began; NaN where that is not known, or after its moment. Such a row is nobody's first, but it was seen. */
  readonly since: number
}

export interface Recorded {
  /** Moments of rows that are the first of their series no longer, or are now, by server: what rests on them has changed. */
  readonly displaced: ReadonlyArray<{ readonly server: number; readonly at: number }>
  /** For `remember`, once the transaction is committed. */
  readonly entries: ReadonlyArray<Entry>
}

interface Entry {
  readonly server: number
  readonly series: Series
  readonly at: number
}

export interface FirstSeen {
  /** Whether a row is known to come after all entries of its series, and the latest stands for it: it needs and displaces none. */
  readonly isKnown: (server: number, series: Series, at: number, since: number) => boolean
  /** Writes the entries that rows need. Within the transaction that stores the rows. */
  readonly record: (rows: ReadonlyArray<SeenRow>) => Effect.Effect<Recorded, SqlError>
  readonly remember: (entries: ReadonlyArray<Entry>) => void
}

/** 400 000 series, some 40 MB at most: 2 000 servers with 150 process groups, and as many again that come and go. */
const KNOWN_MAX = 400_000
/** The first of the two keys of the advisory locks; the second is the server's id, of which only the last bits tell. */
const FIRST_SEEN_LOCK = 7_246_005
/** A transaction holds at most so many of these locks: PostgreSQL has room for some thousands in all. */
const LOCKS_MAX = 64

export const makeFirstSeen = (exporter: Exporter): Effect.Effect<FirstSeen, never, PgClient.PgClient> =>
  Effect.map(PgClient.PgClient, (sql) => {
    if (!exporter.table.beginsAtZero) return NEVER
    const { labels } = columnsOf(exporter)
    const statements = firstSeenStatements(exporter)
    const known = makeKnown()

    /** In one order everywhere. */
    const lock = (servers: ReadonlyArray<number>) =>
      sql`select pg_advisory_xact_lock(${FIRST_SEEN_LOCK}::int4, slot.no)
        from unnest(${int4s([...new Set(servers.map((id) => id % LOCKS_MAX))].sort((a, b) => a - b))}) as slot(no)`

    const find = (server: number, rows: ReadonlyArray<SeenRow>) =>
      sql.unsafe<FoundEntry>(statements.find, [PgTypes.int4(server), ...labelArrays(rows, labels.length)])

    const add = (rows: ReadonlyArray<SeenRow>) =>
      sql.unsafe(statements.add, [
        int4s(rows.map(({ server }) => server)),
        moments(rows.map(({ at }) => at)),
        moments(rows.map(({ at, since }) => (Number.isNaN(since) ? at : since))),
        ...labelArrays(rows, labels.length)
      ])

    return {
      isKnown: (server, series, at, since) => {
        const first = known.get(server, series)
        return first !== undefined && first <= at && !(first < since)
      },
      record: Effect.fnUntraced(function* (rows: ReadonlyArray<SeenRow>) {
        if (rows.length === 0) return { displaced: [], entries: [] }
        const byServer = Map.groupBy(rows, ({ server }) => server)
        yield* lock([...byServer.keys()])
        const added: Array<SeenRow> = []
        const displaced: Array<Recorded["displaced"][number]> = []
        const entries: Array<Entry> = []
        for (const [server, own] of byServer) {
          const bySeries = Map.groupBy(own, ({ series }) => series)
          const found = yield* find(
            server,
            Array.from(bySeries.values(), ([first]) => first!)
          )
          const places = new Map([...bySeries.values()].map(([first], place) => [first!.series, place]))
          const foundOf = Map.groupBy(found, ({ no }) => no - 1)
          for (const [series, candidates] of bySeries) {
            const before = (foundOf.get(places.get(series)!) ?? []).map(({ first_at, since }) => ({
              at: readMoment(first_at),
              since: readMoment(since)
            }))
            const decided = decide(before, candidates)
            added.push(...decided.added)
            displaced.push(...decided.displaced.map((at) => ({ server, at })))
            entries.push({ server, series, at: decided.known })
          }
        }
        if (added.length > 0) yield* add(added)
        return { displaced, entries }
      }),
      remember: (entries) => {
        for (const { at, series, server } of entries) {
          const latest = known.get(server, series)
          if (latest === undefined || latest < at) known.set(server, series, at)
        }
      }
    } satisfies FirstSeen
  })

/** What finds and keeps an exporter's entries. */
export const firstSeenStatements = (exporter: Exporter) => {
  const { labels } = columnsOf(exporter)
  const { name } = exporter.table
  return { find: findSql(name, labels), add: addSql(name, labels), prune: pruneSql(name, labels) }
}

/** Of an exporter whose series do not begin at zero. */
const NEVER: FirstSeen = {
  isKnown: () => true,
  record: () => Effect.succeed({ displaced: [], entries: [] }),
  remember: () => {}
}

interface Beginning {
  readonly at: number
  readonly since: number
}

/**
 * Which rows of one series need an entry, beside those that are there; which of those are the first no longer; and the moment of
 * the latest entry: a row before it may displace it, even where another stands for the row.
 */
export const decide = <R extends Beginning>(
  before: ReadonlyArray<Beginning>,
  rows: ReadonlyArray<R>
): { readonly added: ReadonlyArray<R>; readonly displaced: ReadonlyArray<number>; readonly known: number } => {
  const entries: Array<Beginning> = [...before]
  const added: Array<R> = []
  for (const row of [...rows].sort((a, b) => a.at - b.at)) {
    const entry = entries.find(({ at }) => at <= row.at && !(at < row.since))
    if (entry === undefined) {
      added.push(row)
      entries.push(row)
    }
  }
  // Also by rows that need no entry: a clock that is set moves beginnings past the entries that stand for these.
  const displaced = before.filter(({ at, since }) => rows.some((row) => row.at < at && row.at >= since))
  const known = entries.reduce((latest, { at }) => Math.max(latest, at), Number.NEGATIVE_INFINITY)
  return { added, displaced: displaced.map(({ at }) => at), known }
}

interface FoundEntry {
  /** The series, counted from 1. */
  readonly no: number
  readonly first_at: Uint8Array
  readonly since: Uint8Array
}

const labelArrays = (rows: ReadonlyArray<SeenRow>, count: number) =>
  Array.from({ length: count }, (_, n) => int4s(rows.map(({ labels }) => labels[n]!)))

/**
 * Deletes entries that no row, stored or on its way, can have a use for; how many. Rows from before `keptFrom` are not stored, and
 * not taken any more. An entry from before it goes where
 *
 * - a later entry of its series lies before `keptFrom` too: a row that the earlier one stands before, the later one stands
 *   before as well. One from after `keptFrom` would not do: a row may still come between the two;
 * - the counters of its server's oldest scrape began a day later or more: whatever comes is of a later beginning. The day is for
 *   clocks that are set, and the scrape must be of the oldest days, so that nothing from before it is on its way;
 * - its server is gone.
 *
 * Everything else stays: of a series that was not seen for a while, only its entry tells that it is not new. Those whose names are
 * in no row or roll-up any more go with the names (`Dictionary.ts`).
 */
export const pruneFirstSeen = (
  exporter: Exporter,
  keptFrom: number
): Effect.Effect<number, SqlError, PgClient.PgClient> =>
  Effect.gen(function* () {
    if (!exporter.table.beginsAtZero) return 0
    const sql = yield* PgClient.PgClient
    const rows = yield* sql.unsafe(firstSeenStatements(exporter).prune, [moment(keptFrom)])
    return rows.length
  })

/** Bound: the moment from which on rows are kept. */
const pruneSql = (table: string, labels: ReadonlyArray<string>): string => {
  const entries = `admiral.${quoted(firstSeenTable(table))}`
  const scrapes = `admiral.${quoted(scrapesTable(table))}`
  return `with oldest as (
  select server.id as server_id, scrape.since
  from admiral.server_ids as server
  cross join lateral (
    select coalesce(kept.counters_since, ${
      labels.length === 0
        ? "null"
        : `(
      select min(known.counters_since) from admiral.${quoted(rowsApartView(table))} as known
      where known.server_id = kept.server_id and known."timestamp" = kept."timestamp"
    )`
    }) as since
    from ${scrapes} as kept
    where kept.server_id = server.id and kept."timestamp" >= $1 and kept."timestamp" < $1 + interval '2 days'
    order by kept."timestamp" limit 1
  ) as scrape
)
delete from ${entries} as entry
where entry.first_at < $1 and (
  exists (
    select from ${entries} as later
    where later.server_id = entry.server_id${labels.map((name) => ` and later.${quoted(name)} = entry.${quoted(name)}`).join("")}
      and later.first_at > entry.first_at and later.first_at < $1
  )
  or entry.first_at < (select oldest.since - interval '1 day' from oldest where oldest.server_id = entry.server_id)
  or not exists (select from admiral.server_ids as server where server.id = entry.server_id)
)
returning 1 as pruned`
}

/** The entries of some series of a server. Bound: the server, then each label of the series. */
const findSql = (table: string, labels: ReadonlyArray<string>): string => {
  const names = labels.map(quoted)
  const wanted =
    labels.length === 0
      ? "(values (1)) as wanted(no)"
      : `unnest(${labels.map((_, n) => `$${n + 2}::integer[]`).join(", ")}) with ordinality as wanted(${names.join(", ")}, no)`
  return `select wanted.no::int4 as no, timestamptz_send(entry.first_at) as first_at, timestamptz_send(entry.counters_since) as since
from ${wanted}
cross join lateral (
  select entry.first_at, entry.counters_since from admiral.${quoted(firstSeenTable(table))} as entry
  where entry.server_id = $1${names.map((name) => ` and entry.${name} = wanted.${name}`).join("")}
  offset 0
) as entry`
}

/** Bound: servers, moments, beginnings, then each label. */
const addSql = (table: string, labels: ReadonlyArray<string>): string => {
  const names = labels.map((name) => `, ${quoted(name)}`).join("")
  return `insert into admiral.${quoted(firstSeenTable(table))} (server_id, first_at, counters_since${names})
select * from unnest($1::integer[], $2::timestamptz[], $3::timestamptz[]${labels.map((_, n) => `, $${n + 4}::integer[]`).join("")})
  as entry(server_id, first_at, counters_since${names})
order by server_id${names}, first_at
on conflict do nothing`
}

/** Moments by server and series: two generations, of which the old one is forgotten when the young one is half of all. */
const makeKnown = () => {
  let young = new Map<number, Map<Series, number>>()
  let old = new Map<number, Map<Series, number>>()
  let size = 0
  const set = (server: number, series: Series, at: number) => {
    let own = young.get(server)
    if (own === undefined) {
      own = new Map()
      young.set(server, own)
    }
    if (!own.has(series)) size++
    own.set(series, at)
    if (size <= KNOWN_MAX / 2) return
    old = young
    young = new Map()
    size = 0
  }
  return {
    set,
    get: (server: number, series: Series): number | undefined => {
      const at = young.get(server)?.get(series)
      if (at !== undefined) return at
      const older = old.get(server)?.get(series)
      if (older !== undefined) set(server, series, older)
      return older
    }
  }
}
