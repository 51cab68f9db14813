/** The back-test over stored rows: an hour of a server at a time, and only hours in which something can have held. */
import type { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Semaphore } from "effect"
import type { Registry } from "../plugins/Registry.ts"
import type { Window } from "../query/Rankings.ts"
import { answering } from "../sinks/postgres/Database.ts"
import { Scrapes } from "../sinks/storage/Scrapes.ts"
import { Backtest, type BacktestAnswer, INCIDENTS_MAX, type Incident } from "./Backtest.ts"
import { type BoundedBucket, boundOf } from "./BacktestBound.ts"
import { hasPast, isOfInstallation } from "./installation/Installation.ts"
import { makeInstallationReader } from "./installation/InstallationReader.ts"
import { isSlow, type Rule } from "./Rule.ts"
import {
  groupsIn,
  isAbout,
  liveThrough,
  lookbackFor,
  makeRuleReader,
  type Names,
  NO_SIZE,
  type RuleSource,
  type WatchedServer
} from "./RuleReader.ts"
import { ServerWatch, type Turn } from "./ServerWatch.ts"

/** How many rules are tried at a time, in this process: more take no less time, and others' questions wait for it. */
const RULES_AT_ONCE = 2
const HOUR = 3_600_000_000
/** What is read at a time where five-minute steps are asked: those of the hours before each part are read again. */
const DAY = 24 * HOUR
/** How many servers are asked at a time: while one is computed, PostgreSQL reads another. */
const SERVERS_AT_ONCE = 2
/** Buckets of five minutes tell whether anything can have held; rows where those are not clean. */
const FINE_ONLY = [true, false, false]

const make = Effect.gen(function* () {
  const reader = yield* makeRuleReader
  const ofItself = yield* makeInstallationReader
  const turns = Semaphore.makeUnsafe(RULES_AT_ONCE)

  const ofServer = Effect.fnUntraced(function* (
    rule: Rule,
    source: RuleSource,
    { id, server_id: serverId }: WatchedServer,
    window: Window,
    isOver: () => boolean
  ) {
    if (isOver()) return undefined
    const names = reader.names()
    const loud = yield* loudHours(rule, source, id, window, names)
    const needsSize = rule.condition.kind === "value" && rule.condition.of === "machine"
    let sizeAt: (at: number) => typeof NO_SIZE = () => NO_SIZE
    const watch = new ServerWatch({
      rules: [rule],
      metrics: source.metrics,
      measures: source.measures,
      presence: source.exporter.top?.presence,
      nameOf: names.of,
      sizeAt: (at) => sizeAt(at),
      host: reader.host,
      id
    })
    const found = makeIncidents(serverId)
    const lookback = lookbackFor([rule], source)
    watch.heard((yield* reader.heard(source, [rule], [id], window.from - lookback)).get(id))
    let readUpto = Number.NEGATIVE_INFINITY
    const length = isSlow(rule) ? DAY : HOUR
    for (let end = hourOf(window.from + 1); end - length < window.to; end += length) {
      if (isOver()) return undefined
      const part = { from: Math.max(window.from, end - length), to: Math.min(window.to, end) }
      // A window of up to an hour that ends in this hour may hold what was in the one before.
      const isQuiet = loud !== undefined && !loud.has(end) && !loud.has(end - HOUR)
      if (isQuiet && !watch.isActive) continue
      const from = Math.max(readUpto, part.from - lookback)
      const seen = (yield* reader.read(source, [rule], [id], part, from)).get(id)!
      readUpto = part.to
      yield* names.learn(groupsIn(seen))
      if (needsSize) sizeAt = (yield* reader.sizes([id], part)).get(id) ?? sizeAt
      for (const turn of yield* liveThrough(watch, seen, part, lookback)) found.take(turn)
      yield* Effect.yieldNow
    }
    return found
  })

  const ofInstallation = Effect.fnUntraced(function* (rule: Rule, { from, to }: Window) {
    if (!hasPast(rule)) return yield* Effect.die(new Error(`"${rule.name}" asks for what has no past`))
    const found = makeIncidents(null)
    for (const turn of yield* ofItself.past(rule, { from: from / 1_000, to: to / 1_000 }))
      found.take({ ...turn, group: "" })
    return {
      incidents: found.first,
      more: found.count() - found.first.length,
      servers: 0,
      tried: 0
    } satisfies BacktestAnswer
  })

  const run = Effect.fn("Backtest.run")(
    function* (rule: Rule, window: Window, isOver: () => boolean = () => false) {
      if (isOfInstallation(rule)) return yield* ofInstallation(rule, window)
      const source = reader.sources.get(rule.exporter)
      if (source === undefined) return yield* Effect.die(new Error(`there is no "${rule.exporter}"`))
      const servers = (yield* reader.servers).filter((server) => isAbout(rule, server))
      const first: Array<Incident> = []
      let [count, tried] = [0, 0]
      yield* Effect.forEach(
        servers,
        (server) =>
          Effect.map(ofServer(rule, source, server, window, isOver), (found) => {
            if (found === undefined) return
            tried++
            count += found.count()
            first.push(...found.first)
            first.sort(inOrder).splice(INCIDENTS_MAX)
          }),
        { concurrency: SERVERS_AT_ONCE, discard: true }
      )
      return { incidents: first, more: count - first.length, servers: servers.length, tried } satisfies BacktestAnswer
    },
    turns.withPermit,
    answering("back-test a rule")
  )

  return Backtest.of({ run })
})

export const layer: Layer.Layer<Backtest, never, PgClient.PgClient | Registry> = Layer.effect(Backtest, make).pipe(
  Layer.provide(Scrapes.layer)
)

/** The end of the hour that a moment belongs to. */
const hourOf = (at: number): number => Math.ceil(at / HOUR) * HOUR

/** The hours of a window in which the rule can hold, by their ends; undefined where only rows can tell. */
const loudHours = Effect.fnUntraced(function* (
  rule: Rule,
  { highest, measures, metrics }: RuleSource,
  server: number,
  window: Window,
  names: Names
) {
  const bound = boundOf(rule, metrics, measures)
  if (bound === undefined) return undefined
  const loud = new Set<number>()
  const buckets: Array<BoundedBucket> = []
  yield* highest.read(
    [server],
    window,
    () => ({
      bucket: (end, summary) => buckets.push(bound.bucket(end, summary)),
      // Rows that are not rolled up yet, or that have changed since.
      scrape: ({ at }) => loud.add(hourOf(at))
    }),
    { usable: FINE_ONLY }
  )
  yield* names.learn(buckets.flatMap(({ groups }) => groups))
  const mayHold = bound.mayHold(names.of)
  for (const bucket of buckets) if (mayHold(bucket)) loud.add(hourOf(bucket.end))
  return loud
})

const inOrder = (a: Incident, b: Incident): number =>
  a.from - b.from || ((a.serverId ?? "") < (b.serverId ?? "") ? -1 : 1)

/** A server's incidents, of turns in order of time. Those beyond {@link INCIDENTS_MAX} are counted only. */
const makeIncidents = (serverId: string | null) => {
  const first: Array<{ -readonly [K in keyof Incident]: Incident[K] }> = []
  const open = new Map<string, (typeof first)[number]>()
  let count = 0
  return {
    first: first as ReadonlyArray<Incident>,
    count: () => count,
    take: ({ at, group, to, value }: Omit<Turn, "rule">) => {
      if (to === "resolved") {
        const incident = open.get(group)
        if (incident !== undefined) incident.to = at
        open.delete(group)
        return
      }
      count++
      if (first.length >= INCIDENTS_MAX) return
      const incident = { serverId, group, from: at, to: null, value }
      first.push(incident)
      open.set(group, incident)
    }
  }
}
