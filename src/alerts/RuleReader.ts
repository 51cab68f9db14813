/**
 * What rules are asked over: the measured scrapes of servers, the names of groups, and how large hosts are. The evaluation and the
 * back-test read by this. It computes nothing.
 */
import { PgClient } from "@effect/sql-pg"
import { Clock, Effect } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Exporter } from "../plugins/Exporter.ts"
import { Registry } from "../plugins/Registry.ts"
import { allMeasures, type Measured, type Measures, staleMicros } from "../query/Increases.ts"
import type { Window } from "../query/Rankings.ts"
import { makeWindowReader, type WindowReader } from "../query/WindowReader.ts"
import type { Scrape } from "../sinks/storage/Scrape.ts"
import { Scrapes } from "../sinks/storage/Scrapes.ts"
import { EVERY_MILLIS, type Metric, matches, metricsOf, type Rule } from "./Rule.ts"
import type { HostSize, ServerWatch, ServerWatchOptions, Turn } from "./ServerWatch.ts"

/** An exporter's metrics, and how its rows are read. */
export interface RuleSource {
  readonly exporter: Exporter
  readonly measures: Measures
  readonly metrics: ReadonlyMap<string, Metric>
  /** Roll-ups, and rows where they are not whole. */
  readonly highest: WindowReader
  /** The measured scrapes of servers in a window, in order of time. */
  readonly rows: (
    servers: ReadonlyArray<number>,
    window: Window
  ) => Effect.Effect<ReadonlyMap<number, ReadonlyArray<Measured>>, SqlError>
}

/** Names of groups, as far as they were learned. */
export interface Names {
  readonly of: (group: number) => string
  readonly learn: (groups: Iterable<number>) => Effect.Effect<void, SqlError>
}

/** How large a host was at a moment, epoch microseconds. */
type SizeAt = ServerWatchOptions["sizeAt"]

/** A watched machine, as rules match it. */
export interface WatchedServer {
  readonly id: number
  readonly server_id: string
  readonly name: string
}

export const isAbout = (rule: Rule, { name, server_id }: WatchedServer): boolean =>
  matches(rule.server, server_id) || matches(rule.server, name)

export const makeRuleReader = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const scrapes = yield* Scrapes
  const { exporters, host } = yield* Registry
  const sources = new Map<string, RuleSource>()
  for (const exporter of exporters) {
    const measures = allMeasures(exporter)
    const rows = yield* makeWindowReader(exporter, measures, host, { rollups: false })
    sources.set(exporter.name, {
      exporter,
      measures,
      metrics: metricsOf(exporter),
      highest: yield* makeWindowReader(exporter, measures, host),
      rows: Effect.fnUntraced(function* (servers, window) {
        const found = new Map<number, Array<Measured>>(servers.map((server) => [server, []]))
        yield* rows.read(servers, window, (server) => ({
          scrape: (scrape) => found.get(server)!.push(scrape),
          bucket: () => {}
        }))
        return found
      })
    })
  }

  const names = (): Names => {
    const known = new Map<number, string>()
    return {
      of: (group) => known.get(group) ?? "",
      learn: Effect.fnUntraced(function* (groups) {
        const unknown = [...new Set(groups)].filter((group) => !known.has(group))
        if (unknown.length === 0) return
        for (const [group, name] of yield* scrapes.names(unknown)) known.set(group, name)
      })
    }
  }

  const servers = sql<WatchedServer>`
    select server.id, server.server_id, server.name from admiral.servers server order by server.server_id`

  /** How large hosts were in a window, by the latest row until each moment. */
  const sizes = Effect.fnUntraced(function* (servers: ReadonlyArray<number>, { from, to }: Window) {
    const unknown: SizeAt = () => NO_SIZE
    if (host === undefined) return new Map<number, SizeAt>()
    const columns = [host.host!.cores, host.host!.memoryTotal]
    const [before, within] = yield* Effect.all(
      [
        scrapes.latest(host.name, servers, 1, 0, from, columns),
        scrapes.between(host.name, servers, [{ after: from, upto: to }], columns)
      ],
      { concurrency: 2 }
    )
    return new Map(
      servers.map((server): [number, SizeAt] => {
        const rows = [...(before.get(server) ?? []), ...(within[0]!.get(server) ?? [])]
        return [server, rows.length === 0 ? unknown : (at) => sizeIn(rows.findLast((row) => row.at <= at))]
      })
    )
  })

  return { sources, names, servers, sizes }
})

export const NO_SIZE: HostSize = { cores: null, memoryBytes: null }

const sizeIn = (row: Scrape | undefined): HostSize => {
  const fact = (n: number) => {
    const value = row?.values[n]?.[0] ?? Number.NaN
    return Number.isNaN(value) ? null : value
  }
  return { cores: fact(0), memoryBytes: fact(1) }
}

/** How far before a moment the rows lie that rules ask for at it, microseconds: their windows, and how late a scrape may be. */
export const lookbackFor = (rules: ReadonlyArray<Rule>, { exporter }: RuleSource): number =>
  Math.max(...rules.map(({ over }) => over)) * 1_000 + staleMicros(exporter)

/** Others have their turn after as long: a moment of a server with thousands of groups, and a window of an hour, takes 50 ms. */
const SLICE_MILLIS = 10

/** Lives through (from, to], epoch microseconds: sees each scrape when it came, and asks at each moment. */
export const liveThrough = Effect.fnUntraced(function* (
  watch: ServerWatch,
  rows: ReadonlyArray<Measured>,
  { from, to }: Window,
  lookback: number
) {
  const clock = yield* Clock.Clock
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  let began = now()
  const turns: Array<Turn> = []
  let next = 0
  const every = EVERY_MILLIS * 1_000
  for (let at = (Math.floor(from / every) + 1) * every; at <= to; at += every) {
    while (next < rows.length && rows[next]!.at <= at) watch.see(rows[next++]!)
    watch.forget(at - lookback)
    turns.push(...watch.ask(at / 1_000))
    if (now() - began < SLICE_MILLIS) continue
    yield* Effect.yieldNow
    began = now()
  }
  while (next < rows.length) watch.see(rows[next++]!)
  return turns as ReadonlyArray<Turn>
})
