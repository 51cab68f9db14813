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
import { FINE } from "../sinks/rollups/RollupTables.ts"
import type { Scrape } from "../sinks/storage/Scrape.ts"
import { Scrapes } from "../sinks/storage/Scrapes.ts"
import { GrowthSight } from "./GrowthSight.ts"
import { EVERY_MILLIS, isSlow, type Metric, matches, metricsOf, type Rule } from "./Rule.ts"
import { type HostSize, isSlowMoment, type ServerWatch, type ServerWatchOptions, type Turn } from "./ServerWatch.ts"

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

/** What a server's rules are asked of. */
export interface Seen {
  /** Scrapes of the exporter and of the host, where rules ask for them, in order of time. */
  readonly rows: ReadonlyArray<Measured>
  readonly host: ReadonlyArray<Measured>
  /** The same for slow rules. */
  readonly steps: GrowthSight | undefined
  readonly hostSteps: GrowthSight | undefined
}

/** Names of groups, as far as they were learned. */
export interface Names {
  readonly of: (group: number) => string
  readonly learn: (groups: Iterable<number>) => Effect.Effect<void, SqlError>
  /** How many were learned. */
  readonly size: number
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
    const rows = yield* makeWindowReader(exporter, measures, host, { rollups: false, hostSteps: false })
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
      get size() {
        return known.size
      },
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

  /** When servers were heard last until a moment, where a rule asks whether they are silent; epoch microseconds. */
  const heard = Effect.fnUntraced(function* (
    source: RuleSource,
    rules: ReadonlyArray<Rule>,
    servers: ReadonlyArray<number>,
    upto: number
  ) {
    if (!rules.some(({ condition }) => condition.kind === "silent")) return new Map<number, number>()
    const found = yield* scrapes.latest(source.exporter.name, servers, 1, 0, upto, [])
    return new Map([...found].flatMap(([server, rows]) => rows.map(({ at }): [number, number] => [server, at])))
  })

  const hostSource = host === undefined ? undefined : sources.get(host.name)

  /** Five-minute steps of servers in a window, which is made to begin and end with a step. */
  const stepsOf = Effect.fnUntraced(function* (
    source: RuleSource | undefined,
    servers: ReadonlyArray<number>,
    { from, to }: Window
  ) {
    const found = new Map<number, GrowthSight>()
    if (source === undefined || servers.length === 0) return found
    for (const server of servers) found.set(server, new GrowthSight(source.measures, source.exporter.top?.presence))
    const whole = { from: Math.floor(from / STEP) * STEP, to: Math.floor(to / STEP) * STEP }
    if (whole.to <= whole.from) return found
    yield* source.highest.read(servers, whole, (server) => found.get(server)!.visitor(), { usable: FINE_ONLY })
    return found
  })

  /**
   * All that some rules about one exporter are asked of at the moments of a window, epoch microseconds. `rowsFrom`: rows until then
   * were seen already; by default none that the rules ask for.
   */
  const read = Effect.fnUntraced(function* (
    source: RuleSource,
    rules: ReadonlyArray<Rule>,
    servers: ReadonlyArray<number>,
    window: Window,
    rowsFrom = window.from - lookbackFor(rules, source)
  ) {
    const { fast, host, lasting, slow } = needsOf(rules, source)
    const rows = { from: rowsFrom, to: window.to }
    const due = slow ? servers.filter((server) => hasSlowMoment(window, server)) : []
    const none = new Map<number, never>()
    const isHost = source === hostSource
    const [own, ofHost, steps, hostSteps] = yield* Effect.all(
      [
        fast ? source.rows(servers, rows) : Effect.succeed(none),
        host && !isHost && hostSource !== undefined ? hostSource.rows(servers, rows) : Effect.succeed(none),
        stepsOf(source, due, { from: window.from - lasting - STEP, to: window.to }),
        isHost ? Effect.succeed(none) : stepsOf(hostSource, due, { from: window.from - 3 * STEP, to: window.to })
      ],
      { concurrency: 2 }
    )
    return new Map(
      servers.map((server): [number, Seen] => {
        const mine = own.get(server) ?? []
        const grown = steps.get(server)
        return [
          server,
          {
            rows: mine,
            host: isHost && host ? mine : (ofHost.get(server) ?? []),
            steps: grown,
            hostSteps: isHost ? grown : hostSteps.get(server)
          }
        ]
      })
    )
  })

  /** What a watch has to know of the host. */
  const watched =
    hostSource === undefined ? undefined : { exporter: hostSource.exporter, measures: hostSource.measures }

  return { sources, names, servers, sizes, heard, read, host: watched }
})

const STEP = FINE.seconds * 1_000_000
const FINE_ONLY = [true, false, false]

/** Whether rules ask for rows, of the exporter and of the host; for five-minute steps; and for how many microseconds of those. */
const needsOf = (rules: ReadonlyArray<Rule>, { metrics }: RuleSource) => {
  const slow = rules.filter(isSlow)
  const fast = rules.filter((rule) => !isSlow(rule))
  const host = fast.some(
    ({ condition, onlyWhile }) =>
      onlyWhile !== undefined || (condition.kind === "value" && metrics.get(condition.metric)?.by === "unaccounted")
  )
  const lasting = Math.max(0, ...slow.map(({ over }) => over)) * 1_000
  return { fast: fast.length > 0, host, slow: slow.length > 0, lasting }
}

const hasSlowMoment = ({ from, to }: Window, server: number): boolean => {
  for (let at = nextMoment(from); at <= to; at += EVERY) if (isSlowMoment(at / 1_000, server)) return true
  return false
}

const EVERY = EVERY_MILLIS * 1_000
const nextMoment = (after: number): number => (Math.floor(after / EVERY) + 1) * EVERY

/** The groups that rows and steps name. */
export const groupsIn = ({ rows, steps }: Seen): ReadonlyArray<number> => [
  ...rows.flatMap(({ groups }) => [...groups]),
  ...(steps?.groups ?? [])
]

export const NO_SIZE: HostSize = { cores: null, memoryBytes: null }

const sizeIn = (row: Scrape | undefined): HostSize => {
  const fact = (n: number) => {
    const value = row?.values[n]?.[0] ?? Number.NaN
    return Number.isNaN(value) ? null : value
  }
  return { cores: fact(0), memoryBytes: fact(1) }
}

/** How far before a moment the rows lie that rules ask for at it, microseconds: their windows, and how late a scrape may be. */
export const lookbackFor = (rules: ReadonlyArray<Rule>, { exporter }: Pick<RuleSource, "exporter">): number =>
  Math.max(0, ...rules.flatMap((rule) => (isSlow(rule) ? [] : [rule.over]))) * 1_000 + staleMicros(exporter)

/** Others have their turn after as long: a moment of a server with thousands of groups, and a window of an hour, takes 50 ms. */
const SLICE_MILLIS = 10

/** Lives through (from, to], epoch microseconds: sees each scrape when it came, and asks at each moment. */
export const liveThrough = Effect.fnUntraced(function* (
  watch: ServerWatch,
  { host, hostSteps, rows, steps }: Seen,
  { from, to }: Window,
  lookback: number
) {
  const clock = yield* Clock.Clock
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  let began = now()
  const turns: Array<Turn> = []
  let next = 0
  let nextHost = 0
  watch.seeSteps(steps, hostSteps)
  for (let at = nextMoment(from); at <= to; at += EVERY) {
    while (next < rows.length && rows[next]!.at <= at) watch.see(rows[next++]!)
    while (nextHost < host.length && host[nextHost]!.at <= at) watch.seeHost(host[nextHost++]!)
    watch.forget(at - lookback)
    turns.push(...watch.ask(at / 1_000))
    if (now() - began < SLICE_MILLIS) continue
    yield* Effect.yieldNow
    began = now()
  }
  while (next < rows.length) watch.see(rows[next++]!)
  while (nextHost < host.length) watch.seeHost(host[nextHost++]!)
  return turns as ReadonlyArray<Turn>
})
