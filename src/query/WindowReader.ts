/**
 * Reads a window of some servers, in parts: closed buckets where they are whole and clean, scrapes everywhere else
 * (`WindowPlan.ts`), and shows them to a visitor in order of time. Top, history and the fleet are visitors.
 *
 * Guarantee: what is shown is what the rows of the window say, however far behind the roll-ups are.
 * Bound: what {@link SLICES} slices of {@link SLICE} servers have in the window is held at a time.
 */

import { PgClient, PgTypes } from "@effect/sql-pg"
import { Array as Arr, Clock, Duration, Effect } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Exporter } from "../plugins/Exporter.ts"
import { formatTimestamp } from "../plugins/Timestamp.ts"
import { micros, moment } from "../sinks/postgres/Moments.ts"
import { type Buckets, type LevelSpan, makeBuckets } from "../sinks/rollups/Buckets.ts"
import { LEVELS } from "../sinks/rollups/RollupTables.ts"
import { int4s } from "../sinks/storage/ArrayCodec.ts"
import { withWindow } from "../sinks/storage/RowsAllowed.ts"
import type { RowFilter } from "../sinks/storage/Scrape.ts"
import { Scrapes } from "../sinks/storage/Scrapes.ts"
import type { Summary } from "./Aggregate.ts"
import type { Regrouping } from "./grouping/Regrouping.ts"
import type { HostStep } from "./HostSteps.ts"
import { lookbackOf, type Measured, type Measures } from "./Increases.ts"
import type { Window } from "./Rankings.ts"
import { makeRawReader, type RawSpan } from "./RawReader.ts"
import {
  type ChangedBucket,
  ONWARD,
  type Part,
  piecesOf,
  planWindow,
  ROWS_ONLY_MICROS,
  rowsOnly,
  type WindowPlan
} from "./WindowPlan.ts"

/** Sees a server's window, part by part. */
export interface Visitor {
  readonly scrape: (scrape: Measured) => void
  /** The summary is there until the next one is shown. */
  readonly bucket: (end: number, summary: Summary) => void
  /** What the host did, of steps whose right end is in the part (from, to], and the spans that the exporter covered. */
  readonly host?: (steps: ReadonlyArray<HostStep>, spans: RawSpan["spans"], part: Window) => void
  /** All of the window was shown: at a stretch, but under a regrouping parts of several servers may come in turns. */
  readonly end?: () => void
}

export interface ReadOptions {
  /** Which levels of buckets may be used; by default all. */
  readonly usable?: ReadonlyArray<boolean>
  /** The group that is looked at: of the others, visitors may or may not see anything. By default all are shown. */
  readonly group?: number | undefined
  /** The names under which groups are put together: what is shown are those groups. */
  readonly regrouping?: Regrouping | undefined
  /** The rows that count, by default all; buckets do not know them, so that all of the window is read from rows. */
  readonly only?: RowFilter | undefined
}

export interface WindowReader {
  readonly read: (
    servers: ReadonlyArray<number>,
    window: Window,
    visitorOf: (server: number) => Visitor,
    options?: ReadOptions
  ) => Effect.Effect<void, SqlError>
}

/** How many servers are read at a time. */
const SLICE = 50
/** How many slices are under way: while one is computed here, PostgreSQL reads another. */
const SLICES = 2
/**
 * Of regrouped windows: as long as this together, over all servers, they are read from rows, which alone tell the peaks of groups
 * that are put together; longer ones from buckets too. A day of a server with 1 000 groups is 5.8 million rows.
 */
const REGROUPED_ROWS_MICROS = 24 * 3_600_000_000

export interface WindowReaderOptions {
  /** Whether roll-ups may be used; by default yes. */
  readonly rollups?: boolean
  /** Whether visitors are shown what the host did; by default yes. */
  readonly hostSteps?: boolean
}

export const makeWindowReader = (
  exporter: Exporter,
  measures: Measures,
  host: Exporter | undefined,
  { hostSteps = true, rollups = true }: WindowReaderOptions = {}
): Effect.Effect<WindowReader, never, Scrapes | PgClient.PgClient> =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    const { names } = yield* Scrapes
    const raw = yield* makeRawReader(exporter, measures, host, { hostSteps })
    const buckets = yield* makeBuckets(exporter)
    const lookback = lookbackOf(exporter)
    const retention = Duration.toMillis(exporter.table.retention) * 1_000
    const rowsOfGroup = (id: number | undefined): RowFilter | undefined =>
      id === undefined || exporter.top === undefined ? undefined : { label: exporter.top.per, id }

    /** The plan of each server's window: most have the same. */
    const plansOf = Effect.fnUntraced(function* (
      servers: ReadonlyArray<number>,
      window: Window,
      usable: ReadonlyArray<boolean> | undefined,
      rowsFrom: number
    ) {
      const short = window.to - window.from < ROWS_ONLY_MICROS || window.from >= rowsFrom
      const simple = !rollups || usable?.[0] === false || short
      if (simple) return [{ plan: rowsOnly(window), servers }]
      const one = servers.length === 1
      const widest = LEVELS.at(-1)!.seconds * 1_000_000
      const rows = yield* sql.unsafe<ChangedBucket & { readonly server: number }>(changedSql(one), [
        one ? PgTypes.int4(servers[0]!) : int4s(servers),
        PgTypes.float8(window.from - lookback),
        PgTypes.float8(window.to + widest)
      ])
      const changed = Map.groupBy(rows, ({ server }) => server)
      const onward = { seconds: ONWARD, bucket: rowsFrom }
      const groups = new Map<string, { readonly plan: WindowPlan; readonly servers: Array<number> }>()
      for (const server of servers) {
        const plan = planWindow(window, [...(changed.get(server) ?? []), onward], lookback, usable)
        const key = plan.map(({ from, level }) => `${level} ${from}`).join()
        const group = groups.get(key) ?? { plan, servers: [] }
        group.servers.push(server)
        groups.set(key, group)
      }
      return [...groups.values()]
    })

    const readPlan = Effect.fnUntraced(function* (
      plan: WindowPlan,
      servers: ReadonlyArray<number>,
      visitorOf: (server: number) => Visitor,
      { group, only, regrouping }: ReadOptions
    ) {
      const spans = plan.map(({ from, level, to }) => ({ after: from, upto: to, level: LEVELS[level - 1] }))
      const [rows, levels] = yield* Effect.all(
        [
          raw.read(
            servers,
            spans.filter(({ level }) => level === undefined),
            only,
            only ?? (regrouping === undefined ? rowsOfGroup(group) : undefined)
          ),
          buckets.read(
            servers,
            spans.filter((span): span is LevelSpan => span.level !== undefined),
            measures,
            regrouping === undefined ? group : undefined
          )
        ],
        { concurrency: 2 }
      )
      if (regrouping === undefined) {
        for (const server of servers) show(plan, server, rows, levels, visitorOf(server))
        return
      }
      yield* regrouping.learn(groupsIn(rows, levels), names)
      for (const server of servers) show(plan, server, rows, levels, regrouping.visitor(server, visitorOf(server)))
    })

    /** The same of one server, piece by piece. */
    const readPieces = Effect.fnUntraced(function* (
      pieces: ReadonlyArray<WindowPlan>,
      server: number,
      { end, ...visitor }: Visitor,
      options: ReadOptions
    ) {
      for (const piece of pieces) yield* readPlan(piece, [server], () => visitor, options)
      end?.()
    })

    /** From which moment on rows are read where there are buckets too; a look-back after the oldest ones that are surely there. */
    const rowsFrom = (servers: number, { from, to }: Window, regrouping: Regrouping | undefined) =>
      regrouping === undefined || servers * (to - from) > REGROUPED_ROWS_MICROS
        ? Effect.succeed(Number.POSITIVE_INFINITY)
        : Effect.map(Clock.currentTimeMillis, (now) => now * 1_000 - retention + lookback)

    return {
      read: Effect.fnUntraced(function* (servers, window, visitorOf, options = {}) {
        const from = yield* rowsFrom(servers.length, window, options.regrouping)
        yield* Effect.forEach(
          Arr.chunksOf(servers, SLICE),
          Effect.fnUntraced(function* (slice) {
            const plans =
              options.only === undefined
                ? yield* plansOf(slice, window, options.usable, from)
                : [{ plan: rowsOnly(window), servers: slice }]
            for (const { plan, servers: own } of plans) {
              const isLong = options.regrouping !== undefined || options.only !== undefined
              const pieces = isLong ? piecesOf(plan) : [plan]
              yield* pieces.length === 1
                ? readPlan(plan, own, visitorOf, options)
                : Effect.forEach(own, (server) => readPieces(pieces, server, visitorOf(server), options))
            }
            if (servers.length > SLICE) yield* Effect.yieldNow
          }),
          { concurrency: SLICES, discard: true }
        ).pipe(Effect.mapError(ofWindow(window)))
      })
    }
  })

/** Where there are too many rows to read, the error says of which window. */
export const ofWindow = ({ from, to }: Window) => withWindow(`from ${formatTimestamp(from)} to ${formatTimestamp(to)}`)

/** The ids of all groups in what was read. */
const groupsIn = (
  rows: ReadonlyArray<ReadonlyMap<number, RawSpan>>,
  levels: Effect.Success<ReturnType<Buckets["read"]>>
): ReadonlySet<number> => {
  const ids = new Set<number>()
  const add = (groups: ArrayLike<number>) => {
    for (let n = 0; n < groups.length; n++) ids.add(groups[n]!)
  }
  for (const span of rows) for (const { measured } of span.values()) for (const { groups } of measured) add(groups)
  for (const servers of levels.values()) {
    for (const buckets of servers.values()) for (const bucket of buckets) add(bucket.groups())
  }
  return ids
}

/** Shows a server's parts in order of time. */
const show = (
  plan: WindowPlan,
  server: number,
  rows: ReadonlyArray<ReadonlyMap<number, RawSpan>>,
  levels: Effect.Success<ReturnType<Buckets["read"]>>,
  visitor: Visitor
): void => {
  let span = 0
  const next = LEVELS.map(() => 0)
  const showRows = (part: Part) => {
    const found = rows[span++]!.get(server)
    if (found === undefined) return
    for (const scrape of found.measured) visitor.scrape(scrape)
    visitor.host?.(found.steps, found.spans, part)
  }
  for (const part of plan) {
    if (part.level === 0) {
      showRows(part)
      continue
    }
    const n = part.level - 1
    const mine = levels.get(LEVELS[n]!)?.get(server) ?? []
    for (; next[n]! < mine.length && mine[next[n]!]!.end <= part.to; next[n]!++) {
      const bucket = mine[next[n]!]!
      visitor.bucket(bucket.end, bucket.summary())
    }
  }
  visitor.end?.()
}

/**
 * The buckets of servers whose rows have changed since they were rolled up. Bound: a server's id, or several; the ends of the
 * span that they can matter in, epoch microseconds.
 */
export const changedSql = (oneServer: boolean): string =>
  `select distinct queued.server_id as server, queued.seconds, ${micros("queued.bucket")} as bucket
from admiral.rollup_queue queued
where queued.server_id = ${oneServer ? "$1::int4" : "any($1::int4[])"} and queued.bucket <= ${moment("$3::float8")}
  and (queued.seconds = 0 or queued.bucket > ${moment("$2::float8")})`
