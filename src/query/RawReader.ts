/**
 * Stored scrapes of some servers, measured: what is read for it, and how far before and after, so that every increase is the
 * one that all rows give.
 *
 * Bound: it holds what it reads, so callers ask about one server, or a slice of the fleet, and a short span. What only the
 * rule for increases knows stays there (`Increases.ts`).
 */

import { PgClient, PgTypes } from "@effect/sql-pg"
import { Effect } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Exporter } from "../plugins/Exporter.ts"
import { micros, moment } from "../sinks/postgres/Moments.ts"
import { float8s, int4s } from "../sinks/storage/ArrayCodec.ts"
import type { RowFilter, Scrape } from "../sinks/storage/Scrape.ts"
import { Scrapes, type Span } from "../sinks/storage/Scrapes.ts"
import { scrapesTable } from "../sinks/storage/Tables.ts"
import {
  busyMeasures,
  type Cores,
  type CoresAt,
  coresIn,
  coveredSpans,
  type HostStep,
  hostSteps,
  makeCores
} from "./HostSteps.ts"
import {
  isHostCpu,
  lookbackOf,
  type Measured,
  type Measurer,
  type Measures,
  type Measuring,
  makeMeasurer,
  seriesKey,
  staleMicros
} from "./Increases.ts"

/** What a server's scrapes in a span say. */
export interface RawSpan {
  /** The scrapes of the span, in order of time. */
  readonly measured: ReadonlyArray<Measured>
  /** What the host did between its scrapes, and when the exporter covered it; of an exporter of the host's CPU, or of the host. */
  readonly steps: ReadonlyArray<HostStep>
  readonly spans: ReadonlyArray<{ readonly from: number; readonly to: number }>
}

export interface RawReader {
  /**
   * The scrapes of each span, which do not overlap, by server; those without any are left out. The rows that `only` names count, by
   * default all; rows that `wanted` does not name may be missing.
   */
  readonly read: (
    servers: ReadonlyArray<number>,
    spans: ReadonlyArray<Span>,
    only?: RowFilter,
    wanted?: RowFilter
  ) => Effect.Effect<ReadonlyArray<ReadonlyMap<number, RawSpan>>, SqlError>
}

/**
 * For one exporter and some of its columns. `host` is the exporter that tells the host's cores, where there is one; its steps are read
 * beside those of the exporter unless `hostSteps` says otherwise.
 */
export const makeRawReader = (
  exporter: Exporter,
  measures: Measures,
  host: Exporter | undefined,
  { hostSteps: readsSteps = true }: { readonly hostSteps?: boolean } = {}
): Effect.Effect<RawReader, never, Scrapes | PgClient.PgClient> =>
  Effect.gen(function* () {
    const scrapes = yield* Scrapes
    const sql = yield* PgClient.PgClient
    const measurer = makeMeasurer(exporter, measures)
    const isOfHost = host !== undefined && measures.counters.some((counter) => isHostCpu(exporter, counter))
    const isBeside = isOfHost && host !== exporter
    const other = !isBeside ? undefined : readsSteps ? makeHostReader(host, scrapes) : makeCoresReader(host, scrapes)
    const stale = staleMicros(exporter)
    const lookback = lookbackOf(exporter)
    const ownCores = host === exporter ? exporter.host!.cores : undefined
    const busy = host === exporter ? exporter.host!.cpuBusy.map((name) => measures.counters.indexOf(name)) : []
    const ownBusy = busy.includes(-1) ? [] : busy
    const columns = ownCores === undefined ? measurer.columns : [...measurer.columns, ownCores]

    /** When scrapes were taken in each span and around it, which is all that is needed of where a step of the host lies. */
    const times = Effect.fnUntraced(function* (servers: ReadonlyArray<number>, spans: ReadonlyArray<Span>) {
      const rows = yield* sql.unsafe<{ readonly span: number; readonly server: number; readonly at: number }>(
        timesSql(exporter, servers.length === 1),
        [
          servers.length === 1 ? PgTypes.int4(servers[0]!) : int4s(servers),
          float8s(spans.map(({ after }) => after - lookback)),
          float8s(spans.map(({ upto }) => upto + stale))
        ]
      )
      const found = spans.map(() => new Map<number, Array<number>>())
      for (const { at, server, span } of rows) {
        const mine = found[span - 1]!
        const own = mine.get(server)
        if (own === undefined) mine.set(server, [at])
        else own.push(at)
      }
      return found
    })

    const coresAround = Effect.fnUntraced(function* (servers: ReadonlyArray<number>, after: number, upto: number) {
      if (servers.length === 0 || host === undefined) return new Map<number, CoresAround>()
      const one = servers.length === 1
      const rows = yield* sql.unsafe<CoresAround>(coresSql(host, one), [
        one ? PgTypes.int4(servers[0]!) : int4s(servers),
        PgTypes.float8(after),
        PgTypes.float8(upto)
      ])
      return new Map(rows.map((row) => [row.server, row]))
    })

    /**
     * The scrapes of each span and those before that change what they measure. Mostly that is one; only where a series is
     * missing in it, or a clock was set, the rest of the look-back is read as well.
     */
    const ownScrapes = Effect.fnUntraced(function* (
      servers: ReadonlyArray<number>,
      spans: ReadonlyArray<Span>,
      wanted: RowFilter | undefined
    ) {
      if (measurer.looksBackAlways || ownCores !== undefined) {
        return yield* scrapes.between(exporter.name, servers, spans.map(lookingBack(lookback)), columns, wanted)
      }
      const near = yield* scrapes.withPrevious(exporter.name, servers, measurer.lookback, spans, columns, wanted)
      return yield* Effect.forEach(spans, ({ after }, n) => {
        const found = near[n]!
        const further = servers.filter((server) => {
          const own = found.get(server)
          return own !== undefined && own[0]!.at <= after && measurer.looksFurther(own, after)
        })
        if (further.length === 0) return Effect.succeed(found)
        const before = { after: after - measurer.lookback, upto: after }
        return Effect.map(scrapes.between(exporter.name, further, [before], columns, wanted), ([older]) => {
          const whole = new Map(found)
          for (const server of further) {
            const own = found.get(server)!
            whole.set(server, [...(older!.get(server) ?? []).filter(({ at }) => at < own[0]!.at), ...own])
          }
          return whole
        })
      })
    })

    /** What was read of a server for a span. */
    interface Found {
      readonly own: ReadonlyArray<Scrape>
      readonly host: ReadonlyArray<Scrape>
      readonly seen: ReadonlyArray<number>
    }

    const told = ({ host, own }: Found): ReadonlyArray<CoresAt> =>
      ownCores === undefined ? coresIn(host, other?.coresColumn ?? 0) : coresIn(own, columns.length - 1)

    const measured = (
      { host, own, seen }: Found,
      { after, upto }: Span,
      cores: Cores | undefined,
      isFirst: Measuring["isFirst"],
      only: RowFilter | undefined
    ): RawSpan => {
      const measured = measurer.measure(own, { after, upto, cores, isFirst, only })
      return other?.steps === undefined
        ? { measured, steps: hostSteps(measured, ownBusy, cores), spans: EVERYWHERE }
        : { measured, steps: other.steps(host, after, upto, cores), spans: coveredSpans(seen, stale) }
    }

    const readSpan = Effect.fnUntraced(function* (
      span: Span,
      found: ReadonlyMap<number, Found>,
      isFirst: (server: number) => Measuring["isFirst"],
      only: RowFilter | undefined
    ) {
      // Mostly the host's look-back tells the cores that there were when the span begins: then nothing else changes them.
      const untold = isOfHost
        ? [...found].flatMap(([server, own]) => ((told(own)[0]?.at ?? span.upto) > span.after ? [server] : []))
        : []
      const around = yield* coresAround(untold, span.after - (readsSteps ? lookback : 0), span.upto)
      const spans = new Map<number, RawSpan>()
      for (const [server, own] of found) {
        const cores = isOfHost ? coresOf(around.get(server), told(own)) : undefined
        const raw = measured(own, span, cores, isFirst(server), only)
        if (raw.measured.length > 0 || raw.steps.length > 0) spans.set(server, raw)
      }
      return spans
    })

    const read = Effect.fnUntraced(function* (
      servers: ReadonlyArray<number>,
      spans: ReadonlyArray<Span>,
      only?: RowFilter,
      wanted = only
    ) {
      if (servers.length === 0 || spans.length === 0) return spans.map(() => new Map<number, RawSpan>())
      const [own, firsts, seen, hosts] = yield* Effect.all(
        [
          ownScrapes(servers, spans, wanted),
          exporter.table.beginsAtZero ? scrapes.firsts(exporter.name, servers, spans) : NO_FIRSTS,
          // By their keys alone: what the exporter covered counts wherever a step of the host lies.
          other?.steps === undefined ? NONE : times(servers, spans),
          other === undefined ? NONE : other.read(servers, spans)
        ],
        { concurrency: 4 }
      )
      const firstRows = new Map(
        [...firsts].map(([server, rows]) => [
          server,
          isOneOf(new Set(rows.map(({ at, labels }) => `${at} ${seriesKey(labels)}`)))
        ])
      )
      return yield* Effect.forEach(spans, (span, n) => {
        const found = new Map<number, Found>()
        for (const server of servers) {
          const mine = own[n]?.get(server) ?? []
          const host = hosts?.[n]?.get(server) ?? []
          if (mine.length === 0 && host.length === 0) continue
          found.set(server, { own: mine, host, seen: seen?.[n]?.get(server) ?? [] })
        }
        return readSpan(span, found, (server) => firstRows.get(server), only)
      })
    })

    return { read }
  })

/** What the host itself saw counts in full. */
const EVERYWHERE = [{ from: 0, to: Number.MAX_SAFE_INTEGER }]

const NO_FIRSTS = Effect.succeed(
  new Map<number, ReadonlyArray<{ readonly at: number; readonly labels: ReadonlyArray<number> }>>()
)
const NONE = Effect.succeed(undefined)

/** The same span with what lies before it. */
const lookingBack =
  (lookback: number) =>
  ({ after, upto }: Span): Span => ({ after: after - lookback, upto })

const isOneOf = (firsts: ReadonlySet<string>) => (at: number, series: number | string) => firsts.has(`${at} ${series}`)

/** The host's scrapes and steps beside those of another exporter. */
const makeHostReader = (host: Exporter, scrapes: Scrapes["Service"]) => {
  const measurer: Measurer = makeMeasurer(host, busyMeasures(host))
  const counters = host.host!.cpuBusy.map((_, n) => n)
  const columns = [...measurer.columns, host.host!.cores]
  const lookback = lookbackOf(host)
  return {
    coresColumn: columns.length - 1,
    read: (servers: ReadonlyArray<number>, spans: ReadonlyArray<Span>) =>
      scrapes.between(host.name, servers, spans.map(lookingBack(lookback)), columns),
    steps: (scrapes: ReadonlyArray<Scrape>, after: number, upto: number, cores: Cores | undefined) =>
      hostSteps(measurer.measure(scrapes, { after, upto, cores, isFirst: undefined }), counters, cores)
  }
}

/** The host's cores alone: as its latest row until a span tells them, and those in it. */
const makeCoresReader = (host: Exporter, scrapes: Scrapes["Service"]) => ({
  coresColumn: 0,
  read: (servers: ReadonlyArray<number>, spans: ReadonlyArray<Span>) =>
    scrapes.withPrevious(host.name, servers, lookbackOf(host), spans, [host.host!.cores]),
  steps: undefined
})

// -- cores

interface CoresAround {
  readonly server: number
  readonly before_at: number | null
  readonly before_cores: number | null
  readonly after_at: number | null
  readonly after_cores: number | null
}

const coresOf = (around: CoresAround | undefined, within: ReadonlyArray<CoresAt>): Cores => {
  const known: Array<CoresAt> = []
  if (around?.before_at != null) known.push({ at: around.before_at, cores: around.before_cores! })
  for (const told of within) if (told.at > (known.at(-1)?.at ?? -1)) known.push(told)
  if (around?.after_at != null) known.push({ at: around.after_at, cores: around.after_cores! })
  return makeCores(known)
}

/**
 * The host's cores by its latest row until a moment, and by its first row after another. Bound: a server's id, or several;
 * the two moments, epoch microseconds.
 */
export const coresSql = (host: Exporter, oneServer: boolean): string => {
  const id = oneServer ? "$1::int4" : "server.id"
  const row = (condition: string, direction: "asc" | "desc") => `(
  select ${micros('scrape."timestamp"')} as at, scrape."${host.host!.cores}"::float8 as cores
  from admiral."${scrapesTable(host.table.name)}" scrape
  where scrape.server_id = ${id} and scrape."timestamp" ${condition} and scrape."${host.host!.cores}" is not null
  order by scrape."timestamp" ${direction} limit 1
)`
  return `select ${id} as server, before.at as before_at, before.cores as before_cores,
  following.at as after_at, following.cores as after_cores
from ${oneServer ? "(select) as server" : "admiral.server_ids as server"}
left join lateral ${row(`<= ${moment("$2::float8")}`, "desc")} before on true
left join lateral ${row(`> ${moment("$3::float8")}`, "asc")} following on true${oneServer ? "" : "\nwhere server.id = any($1::int4[])"}`
}

/**
 * When scrapes were taken, in order of time, in each of some spans, by its number. Bound: a server's id, or several; the spans'
 * left and right ends, epoch microseconds.
 */
export const timesSql = (exporter: Exporter, oneServer: boolean): string =>
  `select span.number::int4 as span, scrape.server_id as server, ${micros('scrape."timestamp"')} as at
from unnest($2::float8[], $3::float8[]) with ordinality as span(after, upto, number)
join admiral."${scrapesTable(exporter.table.name)}" scrape
  on scrape."timestamp" > ${moment("span.after")} and scrape."timestamp" <= ${moment("span.upto")}
where scrape.server_id = ${oneServer ? "$1::int4" : "any($1::int4[])"}
order by scrape.server_id, scrape."timestamp"`
