/**
 * Answers from PostgreSQL: it finds scrapes and buckets, everything else is computed here. What every number means is in
 * `docs/numbers.md`.
 *
 * An answer depends on the stored rows only, never on the order in which they came. It is made of a few statements that
 * do not share a snapshot: rows that arrive in between may be in one number and not yet in another, until the next answer.
 */

import { PgClient, PgTypes } from "@effect/sql-pg"
import { Effect, Layer } from "effect"
import { answeredAs, answers, monitoringOf } from "../plugins/Catalog.ts"
import type { Exporter } from "../plugins/Exporter.ts"
import { Registry } from "../plugins/Registry.ts"
import { answering } from "../sinks/postgres/Database.ts"
import { moment } from "../sinks/postgres/Moments.ts"
import { COARSE, rollupTable } from "../sinks/rollups/RollupTables.ts"
import { int4s } from "../sinks/storage/ArrayCodec.ts"
import type { RowFilter } from "../sinks/storage/Scrape.ts"
import { Scrapes } from "../sinks/storage/Scrapes.ts"
import { scrapesTable } from "../sinks/storage/Tables.ts"
import { Aggregate, aggregating } from "./Aggregate.ts"
import { answerShape, levelNow, orZero, otherOf, type Reading, rankedBy, rowOf, topMeasures } from "./AnswerFields.ts"
import { compareBytes } from "./ByteOrder.ts"
import { namesOf, type Regrouping } from "./grouping/Regrouping.ts"
import { historyOf, stepMicros, usableLevels } from "./History.ts"
import { type HostFacts, makeHostFacts } from "./HostFacts.ts"
import { allMeasures } from "./Increases.ts"
import { makeDetailsReader } from "./LatestDetails.ts"
import { type LabelFilter, Rankings, type TopAnswer, type TopRequest, type Window } from "./Rankings.ts"
import { idOf, idsOf } from "./ServerIds.ts"
import { ONE_SLOT, StepSums, stepsOf } from "./StepSums.ts"
import { makeWindowReader, ofWindow, type WindowReaderOptions } from "./WindowReader.ts"

const make = Effect.fnUntraced(function* (options: WindowReaderOptions) {
  const sql = yield* PgClient.PgClient
  const scrapes = yield* Scrapes
  const { exporters, get, host } = yield* Registry
  const readers = new Map<string, Effect.Success<ReturnType<typeof makeReaders>>>()
  for (const exporter of exporters) readers.set(exporter.name, yield* makeReaders(exporter, host, options))
  const detailsReaders = new Map(exporters.map((exporter) => [exporter.name, makeDetailsReader(exporter, scrapes)]))

  const known = (name: string) => {
    const exporter = get(name)
    const made = readers.get(name)
    return exporter === undefined || made === undefined
      ? Effect.die(new Error(`there is no exporter "${name}"`))
      : Effect.succeed({ exporter, ...made })
  }

  const latestOf = Effect.fnUntraced(function* (exporter: Exporter, servers: ReadonlyArray<number>, upto: number) {
    if (servers.length === 0) return new Map<number, number | null>()
    const rows = yield* sql.unsafe<{ readonly server: number; readonly at: number | null }>(latestSql(exporter), [
      int4s(servers),
      PgTypes.float8(upto)
    ])
    return new Map(rows.map(({ at, server }) => [server, at]))
  })

  const hostFacts = makeHostFacts(scrapes, host)

  /** The rows that a question is about; a value that nobody has is a label's that no row has. */
  const filterOf = (only: LabelFilter | undefined) =>
    only === undefined
      ? Effect.undefined
      : Effect.map(
          scrapes.idsOf([only.value]),
          (ids): RowFilter => ({ label: only.label, id: ids.get(only.value) ?? NOBODYS })
        )

  const tops = Effect.fnUntraced(function* (
    request: TopRequest & { readonly serverIds: ReadonlyArray<string>; readonly detailed?: boolean }
  ) {
    const { metric, regrouping, serverIds, window } = request
    const { exporter, tops } = yield* known(request.exporter)
    const asked = tops.get(answeredAs(exporter, metric))
    if (asked?.shape.rankings.some(({ key }) => key === metric) !== true) {
      return yield* Effect.die(new Error(`${request.exporter} has no ranking "${metric}"`))
    }
    const { measures, shape, top } = asked
    const ids = yield* idsOf(sql, serverIds)
    const servers = [...ids.values()]
    const sums = new Map(
      servers.map((id) => [id, new Aggregate(measures.counters.length, measures.gauges.length)] as const)
    )
    const only = yield* filterOf(request.only)
    const visitorOf = (id: number) => addingUp(sums.get(id)!, only !== undefined)
    const details = request.detailed === true ? detailsReaders.get(exporter.name) : undefined
    const groupOf = (id: number) => (regrouping === undefined ? id : regrouping.shownAs(id))
    const [, facts, detailsOf] = yield* Effect.all(
      [
        top.read(servers, window, visitorOf, { only, regrouping }),
        hostFacts(servers, window.to),
        details === undefined ? Effect.undefined : details.read(servers, window, groupOf, only)
      ],
      { concurrency: 3 }
    ).pipe(Effect.mapError(ofWindow(window)))
    const silent = servers.filter((id) => sums.get(id)!.scrapes === 0)
    const latest = yield* latestOf(exporter, silent, window.to)
    const readings = new Map(
      [...ids].map(([serverId, id]): [string, Ranked] => {
        const own = sums.get(id)!
        const lastSeen = own.scrapes > 0 ? own.lastAt : (latest.get(id) ?? null)
        const peakIsBound = regrouping === undefined ? undefined : regrouping.boundsOf(id, shape.rankings, own)
        const told = detailsOf?.(id)
        const details = told === undefined ? undefined : (slot: number) => told(own.groups[slot]!)
        return [serverId, rank({ shape, sums: own, lastSeen, peakIsBound, details }, metric, request.limit)]
      })
    )
    const candidates = new Set([...readings.values()].flatMap(({ candidates }) => candidates))
    const names = yield* namesOf(scrapes, regrouping)([...candidates])
    return new Map(
      [...readings].map(([serverId, ranked]): [string, TopAnswer] => [
        serverId,
        answerOf(ranked, names, facts.get(ids.get(serverId)!), window, monitoringOf(exporter, exporters))
      ])
    )
  }, answering("top"))

  const history = Effect.fn("Rankings.history")(function* (request: {
    readonly exporter: string
    readonly serverId: string
    readonly name?: string
    readonly window: Window
    readonly points: number
    readonly interval?: number
    readonly regrouping?: Regrouping | undefined
    readonly only?: LabelFilter | undefined
  }) {
    const { name, regrouping, serverId, window } = request
    const { all, exporter, history } = yield* known(request.exporter)
    if (exporter.top !== undefined && name === undefined) {
      return yield* Effect.die(new Error(`${exporter.name} has groups: a history is of one of them`))
    }
    const id = yield* idOf(sql, serverId)
    const group = name === undefined || regrouping !== undefined ? undefined : (yield* scrapes.idsOf([name])).get(name)
    const step = stepMicros(exporter, window, request.points, request.interval)
    const isIt = (other: number) => (regrouping === undefined ? other === group : regrouping.nameOf(other) === name)
    const slots = name === undefined ? ONE_SLOT : { count: 1, of: (other: number) => (isIt(other) ? 0 : undefined) }
    const sums = new StepSums(stepsOf(window, step), slots, all)
    const only = yield* filterOf(request.only)
    yield* history.read([id], window, () => sums, { usable: usableLevels(step), group, only, regrouping })
    const answer = historyOf(exporter, all, window, sums)
    return regrouping === undefined ? answer : { ...answer, peakIsBound: regrouping.hasBounds(id, name ?? "") }
  }, answering("history"))

  return Rankings.of({
    top: Effect.fn("Rankings.top")((request) =>
      Effect.map(
        tops({ ...request, serverIds: [request.serverId], detailed: true }),
        (answers) => answers.get(request.serverId)!
      )
    ),
    tops,
    history
  })
})

export const layerWith = (options: WindowReaderOptions): Layer.Layer<Rankings, never, PgClient.PgClient | Registry> =>
  Layer.effect(Rankings, make(options)).pipe(Layer.provide(Scrapes.layer))

export const layer: Layer.Layer<Rankings, never, PgClient.PgClient | Registry> = layerWith({})

const makeReaders = Effect.fnUntraced(function* (
  exporter: Exporter,
  host: Exporter | undefined,
  options: WindowReaderOptions
) {
  const all = allMeasures(exporter)
  const tops = new Map<string, Effect.Success<ReturnType<typeof makeTop>>>()
  for (const metric of answers(exporter)) tops.set(metric, yield* makeTop(exporter, metric, host, options))
  return { all, tops, history: yield* makeWindowReader(exporter, all, host, options) }
})

/** What answers by a metric are read with. */
const makeTop = Effect.fnUntraced(function* (
  exporter: Exporter,
  metric: string,
  host: Exporter | undefined,
  options: WindowReaderOptions
) {
  const measures = topMeasures(exporter, metric)
  return {
    measures,
    shape: answerShape(exporter, measures, metric),
    top: yield* makeWindowReader(exporter, measures, host, options)
  }
})

/** The id of a label's value that no row has. */
const NOBODYS = -1

/** Adds up a server's window. Of some of its rows nothing is unaccounted: what the host used is of all. */
const addingUp = (sums: Aggregate, isPart: boolean) => {
  const { host, ...rest } = aggregating(sums)
  return isPart ? rest : { host, ...rest }
}

// -- who is on top

interface Ranked {
  readonly reading: Reading
  readonly limit: number
  /** The slots of all groups, by what they are ranked by; of equal ones the order is by name, which is yet to be looked up. */
  readonly slots: ReadonlyArray<number>
  readonly valueOf: (slot: number) => number
  /** The ids of the groups that can be among the first. */
  readonly candidates: ReadonlyArray<number>
}

const rank = (reading: Reading, metric: string, limit: number): Ranked => {
  const values = reading.sums.groups.map((_, slot) => {
    const value = rankedBy(reading, metric, slot)
    return Number.isNaN(value) ? Number.NEGATIVE_INFINITY : value
  })
  const valueOf = (slot: number) => values[slot]!
  const slots = values.map((_, slot) => slot).sort((a, b) => values[b]! - values[a]! || 0)
  const least = slots.length > limit ? valueOf(slots[limit - 1]!) : Number.NEGATIVE_INFINITY
  const candidates = slots.filter((slot) => valueOf(slot) >= least).map((slot) => reading.sums.groups[slot]!)
  return { reading, limit, slots, valueOf, candidates }
}

const answerOf = (
  { candidates, limit, reading, slots, valueOf }: Ranked,
  names: ReadonlyMap<number, string>,
  facts: HostFacts | undefined,
  window: Window,
  monitoring: ReadonlyArray<string>
): TopAnswer => {
  const { lastSeen, shape, sums } = reading
  const nameOf = (slot: number) => names.get(sums.groups[slot]!) ?? ""
  const first = slots
    .slice(0, candidates.length)
    .sort((a, b) => (valueOf(a) === valueOf(b) ? compareBytes(nameOf(a), nameOf(b)) : valueOf(b) - valueOf(a)))
  const listed = first.slice(0, limit)
  const others = [...first.slice(limit), ...slots.slice(candidates.length)]
  const rates = [...new Set(shape.rankings.flatMap(({ by, n }) => (by === "rate" ? [n] : [])))]
  const counted = (kind: "resets" | "clamped" | "unknown") =>
    rates.reduce((total, n) => total + sums.counters[n]![kind].reduce((sum, count) => sum + count, 0), 0)
  const cpu = shape.rankings.find(({ by, share }) => by === "rate" && share === "cpu")
  const memory = shape.rankings.find(({ by, share }) => by === "peak" && share === "memory")
  const used = cpu === undefined ? 0 : sums.counters[cpu.n]!.increase.reduce((sum, value) => sum + orZero(value), 0)
  const unaccounted = cpu === undefined || sums.common.seconds === 0 ? null : sums.common.busy - used
  const held = memory === undefined ? 0 : slots.reduce((sum, slot) => sum + levelNow(reading, memory.n, slot), 0)
  return {
    rows: listed.map((slot) => {
      const name = nameOf(slot)
      const row = rowOf(reading, name, slot)
      return monitoring.includes(name) ? { ...row, monitoring: true } : row
    }),
    window,
    coveredSeconds: sums.covered,
    coverage: coverageOf(sums.covered, window),
    scrapes: sums.scrapes,
    lastSeen,
    resets: counted("resets"),
    clamped: counted("clamped"),
    unknown: counted("unknown") + sums.common.unknown,
    host: facts === undefined ? null : { cpuCores: facts.cores, memoryTotalBytes: facts.memory },
    other: otherOf(reading, others),
    unaccounted:
      unaccounted === null
        ? null
        : { cpuSeconds: unaccounted, avgCpuPercent: sums.covered === 0 ? 0 : (100 * unaccounted) / sums.covered },
    memoryOvercounted: memory !== undefined && facts?.memory != null && held > facts.memory
  }
}

const coverageOf = (covered: number, window: Window): number =>
  window.to <= window.from ? 0 : Math.min(1, (covered * 1_000_000) / (window.to - window.from))

/**
 * The moment of the latest scrape of each server until a moment, epoch microseconds: by its scrapes, or by its roll-ups where
 * retention has taken those. Bound: the servers' ids, epoch microseconds.
 */
export const latestSql = (exporter: Exporter): string =>
  `select server.id as server, round(extract(epoch from coalesce(
  (select scrape."timestamp" from admiral."${scrapesTable(exporter.table.name)}" scrape
    where scrape.server_id = server.id and scrape."timestamp" <= ${moment("$2::float8")} order by scrape."timestamp" desc limit 1),
  (select bucket.last_at from admiral."${rollupTable(exporter.table.name, COARSE)}" bucket
    where bucket.server_id = server.id and bucket.last_at <= ${moment("$2::float8")} order by bucket.bucket desc limit 1)
)) * 1000000)::float8 as at
from admiral.server_ids as server
where server.id = any($1::int4[])`
