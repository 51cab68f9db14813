/**
 * The overview from PostgreSQL: by the same rule and the same readers as the top list, so that no page contradicts another.
 * Pages that are open at the same time share one answer about the fleet, which is at most `FLEET_FRESH_FOR` old.
 */
import { PgClient } from "@effect/sql-pg"
import { Clock, Effect, Layer } from "effect"
import { Servers } from "../access/Servers.ts"
import { answeredAs, answers, type RankedBy, rankingsFor, rankingsOf } from "../plugins/Catalog.ts"
import type { Exporter } from "../plugins/Exporter.ts"
import { Registry } from "../plugins/Registry.ts"
import { wireName } from "../plugins/Wire.ts"
import { answering } from "../sinks/postgres/Database.ts"
import { Scrapes } from "../sinks/storage/Scrapes.ts"
import { rankingMeasures, topMeasures } from "./AnswerFields.ts"
import { compareBytes } from "./ByteOrder.ts"
import type { Regrouping } from "./grouping/Regrouping.ts"
import { rateField, stepMicros, usableLevels } from "./History.ts"
import { busySteps, hostTotalOf } from "./HostTotals.ts"
import type { Measured, Measures } from "./Increases.ts"
import { type LatestReader, makeLatestReader } from "./Latest.ts"
import {
  type FleetGlance,
  type OneSeries,
  Overview,
  type Running,
  type SeriesAnswer,
  type ServerGlance
} from "./Overview.ts"
import type { Window } from "./Rankings.ts"
import { idOf } from "./ServerIds.ts"
import { ONE_SLOT, type Slots, StepSums, stepsOf } from "./StepSums.ts"
import { makeWindowReader } from "./WindowReader.ts"

const FLEET_FRESH_FOR = "2 seconds"
const RUNNING_FRESH_FOR = "10 seconds"
const TREND_STEPS = 12
/** As wide as the narrowest bucket: all of a trend but what has just ended is read from roll-ups. */
const TREND_STEP_MICROS = 300_000_000

const make = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const scrapes = yield* Scrapes
  const servers = yield* Servers
  const { exporters, get, host } = yield* Registry
  const busiest = busiestOf(exporters)
  const glance = yield* makeGlance(host, busiest)
  const readers = new Map<string, Effect.Success<ReturnType<typeof makeReaders>>>()
  for (const exporter of exporters) readers.set(exporter.name, yield* makeReaders(exporter, host))

  const known = (name: string) => {
    const exporter = get(name)
    const made = readers.get(name)
    return exporter === undefined || made === undefined
      ? Effect.die(new Error(`there is no exporter "${name}"`))
      : Effect.succeed({ exporter, ...made })
  }

  const idsOfServers = sql<{ readonly id: number; readonly server_id: string }>`
    select server.id, server.server_id from admiral.servers server`

  const fleet = Effect.gen(function* () {
    const now = (yield* Clock.currentTimeMillis) * 1_000
    const trendUntil = Math.floor(now / TREND_STEP_MICROS) * TREND_STEP_MICROS
    const ids = new Map((yield* idsOfServers).map(({ id, server_id }) => [server_id, id]))
    const [all, glances] = yield* Effect.all([servers.list, glance([...ids.values()], now, trendUntil)], {
      concurrency: 2
    })
    const names = yield* scrapes.names([...new Set([...glances.busiest.values()].map(({ group }) => group))])
    return {
      trendUntil,
      trendStepSeconds: TREND_STEP_MICROS / 1_000_000,
      busiestOf: busiest === undefined ? null : { exporter: busiest.exporter.name, metric: busiest.ranking.key },
      servers: all.map(({ name, serverId }): ServerGlance => {
        const id = ids.get(serverId) ?? -1
        const top = glances.busiest.get(id)
        return {
          serverId,
          name,
          ...(glances.hosts.get(id) ?? NOTHING_KNOWN),
          busiest: top === undefined ? null : { name: names.get(top.group) ?? "", value: top.value }
        }
      })
    } satisfies FleetGlance
  }).pipe(answering("fleet"))

  const sharedFleet = yield* Effect.cachedWithTTL(fleet, FLEET_FRESH_FOR)

  const series = Effect.fn("Overview.series")(function* (request: {
    readonly exporter: string
    readonly serverId: string
    readonly metric: string | undefined
    readonly names: ReadonlyArray<string>
    readonly window: Window
    readonly points: number
    readonly interval?: number
    readonly regrouping?: Regrouping | undefined
  }) {
    const { metric, names, regrouping, serverId, window } = request
    const { exporter } = yield* known(request.exporter)
    const id = yield* idOf(sql, serverId)
    const width = stepMicros(exporter, window, request.points, request.interval)
    const steps = stepsOf(window, width)
    const frame = { window, stepSeconds: width / 1_000_000, first: steps.first * width, steps: steps.count }
    const read = Effect.fnUntraced(function* (of: Exporter, measures: Measures, slots: Slots, presence?: number) {
      const reader = yield* makeWindowReader(of, measures, host).pipe(
        Effect.provideService(Scrapes, scrapes),
        Effect.provideService(PgClient.PgClient, sql)
      )
      const sums = new StepSums(steps, slots, measures, presence)
      yield* reader.read([id], window, () => sums, {
        usable: usableLevels(width),
        regrouping: of === exporter ? regrouping : undefined
      })
      return sums
    })
    if (exporter.top === undefined || metric === undefined) {
      const fields = fieldsOf(exporter).filter(({ field }) => names.includes(field))
      const measures: Measures = {
        counters: fields.flatMap(({ column, kind }) => (kind === "counter" ? [column] : [])),
        gauges: fields.flatMap(({ column, kind }) => (kind === "gauge" ? [column] : []))
      }
      const sums = yield* read(exporter, measures, ONE_SLOT)
      return {
        ...frame,
        series: names.flatMap((name) => fieldSeries(fields, measures, sums, name)),
        other: null,
        host: null
      } satisfies SeriesAnswer
    }
    const ranked = rankingsOf(exporter).find(({ key }) => key === metric)
    if (ranked === undefined) return yield* Effect.die(new Error(`${exporter.name} has no ranking "${metric}"`))
    const slots = yield* slotsOf(scrapes, names, regrouping)
    const measures = rankingMeasures(exporter, ranked)
    const presence = exporter.top.presence
    const sums = yield* read(
      exporter,
      measures,
      slots,
      presence === undefined ? undefined : measures.gauges.indexOf(presence)
    )
    const { scale } = ranked.fields
    const isRate = ranked.ranking.by === "rate"
    const values = (slot: number) =>
      scaled(isRate ? sums.rates(slot, 0, false) : slot === 0 ? sums.summedLevels(0, 0) : sums.levels(slot, 0), scale)
    const total = hostTotalOf(host, ranked.ranking.share)
    return {
      ...frame,
      series: names.map((name): OneSeries => {
        const slot = slots.ofName(name)
        if (slot === undefined) return { name, lastSeen: null, resets: 0, values: [] }
        const lastSeen = sums.lastSeen[slot]!
        return {
          name,
          lastSeen: Number.isNaN(lastSeen) ? null : lastSeen,
          resets: isRate ? sums.resets[slot]! : 0,
          values: values(slot)
        }
      }),
      other: values(0),
      host: total === undefined ? null : total.values(yield* read(total.of, total.measures, ONE_SLOT), scale)
    } satisfies SeriesAnswer
  }, answering("series"))

  const across = Effect.fn("Overview.across")(function* (request: {
    readonly exporter: string
    readonly metric: string
    readonly name: string
    readonly regrouping?: Regrouping | undefined
  }) {
    const { name, regrouping } = request
    const { metric } = request
    const { exporter, latests } = yield* known(request.exporter)
    const latest = latests.get(answeredAs(exporter, metric))
    if (exporter.top === undefined || latest === undefined) return []
    const now = (yield* Clock.currentTimeMillis) * 1_000
    const [read, all] = yield* Effect.all([latest.reader.read(now), idsOfServers], { concurrency: 2 })
    const measured = regrouping === undefined ? read : yield* regrouping.scrapes(read, scrapes.names)
    const group = regrouping === undefined ? (yield* scrapes.idsOf([name])).get(name) : regrouping.groupOf(name)
    if (group === undefined) return []
    const fieldsAt = fieldsNow(exporter, latest.measures, metric)
    const by = rankingsOf(exporter).find(({ key }) => key === metric)?.fields.now ?? ""
    return all
      .flatMap(({ id, server_id }) => {
        const scrape = measured.get(id)
        const row = scrape?.groups.indexOf(group) ?? -1
        return scrape === undefined || row < 0
          ? []
          : [{ serverId: server_id, lastSeen: scrape.at, fields: fieldsAt(scrape, row) }]
      })
      .sort((a, b) => (b.fields[by] ?? -1) - (a.fields[by] ?? -1) || compareBytes(a.serverId, b.serverId))
  }, answering("read one group of all servers"))

  /** What runs where, for who types: each letter is a question. */
  const sharedRunning = yield* Effect.cachedWithTTL(
    Effect.gen(function* () {
      if (busiest === undefined) return []
      const { exporter, latests } = yield* known(busiest.exporter.name)
      const latest = latests.get(answeredAs(exporter, busiest.ranking.key))
      if (latest === undefined) return []
      const now = (yield* Clock.currentTimeMillis) * 1_000
      const [measured, all] = yield* Effect.all([latest.reader.read(now), idsOfServers], { concurrency: 2 })
      const groups = new Set([...measured.values()].flatMap((scrape) => [...scrape.groups]))
      const names = yield* scrapes.names([...groups])
      const fieldsAt = fieldsNow(exporter, latest.measures, busiest.ranking.key)
      const by = busiest.ranking.fields.now
      const presence = exporter.top?.presence
      return all.flatMap(({ id, server_id }) => {
        const scrape = measured.get(id)
        return scrape === undefined
          ? []
          : Array.from(scrape.groups).flatMap((group, row) => {
              const fields = fieldsAt(scrape, row)
              // What has gone is in a scrape for a while, without a process.
              if (presence !== undefined && fields[presence] === 0) return []
              return [{ serverId: server_id, name: names.get(group) ?? "", value: fields[by] ?? null }]
            })
      })
    }).pipe(answering("read what runs on all servers")),
    RUNNING_FRESH_FOR
  )

  const running = Effect.fn("Overview.running")(function* (text: string) {
    const wanted = text.toLowerCase()
    const found = new Map<string, Running>()
    for (const { name, serverId, value } of yield* sharedRunning) {
      if (!name.toLowerCase().includes(wanted)) continue
      const before = found.get(serverId)
      if (before === undefined || (value ?? -1) > (before.value ?? -1)) found.set(serverId, { name, value })
    }
    return found
  })

  return Overview.of({ fleet: sharedFleet, series, across, running })
})

export const layer: Layer.Layer<Overview, never, PgClient.PgClient | Registry | Servers> = Layer.effect(
  Overview,
  make
).pipe(Layer.provide(Scrapes.layer))

const makeReaders = Effect.fnUntraced(function* (exporter: Exporter, host: Exporter | undefined) {
  const latests = new Map<string, { readonly measures: Measures; readonly reader: LatestReader }>()
  for (const metric of answers(exporter)) {
    const measures = topMeasures(exporter, metric)
    latests.set(metric, { measures, reader: yield* makeLatestReader(exporter, measures, host) })
  }
  return { latests }
})

/** A slot for each group that is named; all others add up in slot 0. */
const slotsOf = Effect.fnUntraced(function* (
  scrapes: Scrapes["Service"],
  names: ReadonlyArray<string>,
  regrouping: Regrouping | undefined
) {
  const ofNames = new Map([...new Set(names)].map((name, n) => [name, n + 1]))
  const count = ofNames.size + 1
  if (regrouping !== undefined) {
    return {
      count,
      of: (group: number) => ofNames.get(regrouping.nameOf(group)) ?? 0,
      ofName: (name: string) => (regrouping.groupOf(name) === undefined ? undefined : ofNames.get(name))
    }
  }
  const ids = yield* scrapes.idsOf([...ofNames.keys()])
  const ofGroups = new Map([...ids].map(([name, group]) => [group, ofNames.get(name)!]))
  return {
    count,
    of: (group: number) => ofGroups.get(group) ?? 0,
    ofName: (name: string) => (ids.has(name) ? ofNames.get(name) : undefined)
  }
})

// -- the fleet at a glance

type HostGlance = Omit<ServerGlance, "serverId" | "name" | "busiest">

const NOTHING_KNOWN: HostGlance = {
  cpuCores: null,
  cpuPercent: null,
  memoryTotalBytes: null,
  memoryUsedBytes: null,
  load: null,
  uptimeSeconds: null,
  trend: []
}

interface Busiest {
  readonly exporter: Exporter
  readonly ranking: RankedBy
}

/** Reads what the fleet page shows of each server beside its name, by the servers' ids. */
const makeGlance = Effect.fnUntraced(function* (host: Exporter | undefined, busiest: Busiest | undefined) {
  const now = host === undefined ? undefined : yield* makeHostNow(host)
  const trend = host === undefined ? undefined : yield* makeTrend(host)
  const loudest = busiest === undefined ? undefined : yield* makeLoudest(busiest, host)
  return Effect.fnUntraced(function* (ids: ReadonlyArray<number>, at: number, trendUntil: number) {
    const [hosts, trends, groups] = yield* Effect.all(
      [
        now === undefined ? Effect.succeed(new Map<number, Omit<HostGlance, "trend">>()) : now(at),
        trend === undefined ? Effect.succeed(new Map<number, HostGlance["trend"]>()) : trend(ids, trendUntil),
        loudest === undefined ? Effect.succeed(new Map<number, { group: number; value: number }>()) : loudest(at)
      ],
      { concurrency: 2 }
    )
    return {
      hosts: new Map(
        [...hosts].map(([id, glance]): [number, HostGlance] => [id, { ...glance, trend: trends.get(id) ?? [] }])
      ),
      busiest: groups
    }
  })
})

/** What the latest scrape of each host says. */
const makeHostNow = Effect.fnUntraced(function* (host: Exporter) {
  const { cores, cpuBusy, load, memoryAvailable, memoryTotal, uptime } = host.host!
  const gauges: ReadonlyArray<string> = [cores, memoryTotal, memoryAvailable, load, uptime].filter(
    (name) => name !== undefined
  )
  const latest = yield* makeLatestReader(host, { counters: cpuBusy, gauges }, host)
  const valueOf = (scrape: Measured, name: string | undefined): number | null => {
    const value = name === undefined ? Number.NaN : scrape.gauges[gauges.indexOf(name)]![0]!
    return Number.isNaN(value) ? null : value
  }
  return (at: number) =>
    Effect.map(latest.read(at), (scrapes) => {
      const found = new Map<number, Omit<HostGlance, "trend">>()
      for (const [id, scrape] of scrapes) {
        const total = valueOf(scrape, memoryTotal)
        const available = valueOf(scrape, memoryAvailable)
        const coresNow = valueOf(scrape, cores)
        found.set(id, {
          cpuCores: coresNow,
          cpuPercent: busyNow(scrape, coresNow),
          memoryTotalBytes: total,
          memoryUsedBytes: total === null || available === null ? null : Math.max(0, total - available),
          load: valueOf(scrape, load),
          uptimeSeconds: valueOf(scrape, uptime)
        })
      }
      return found
    })
})

/** Busy CPU of a measured scrape of the host, in percent of one core: never more than its cores; null where unknown. */
const busyNow = (scrape: Measured, cores: number | null): number | null => {
  if (scrape.unknown.some((counts) => counts !== undefined && counts[0]! > 0)) return null
  const known = scrape.rates.map((rates) => rates[0]!).filter((rate) => !Number.isNaN(rate))
  if (known.length === 0) return null
  const busy = known.reduce((sum, rate) => sum + rate, 0)
  return 100 * Math.min(busy, cores ?? Number.POSITIVE_INFINITY)
}

/** The host's busy CPU step by step, in percent of one core. */
const makeTrend = Effect.fnUntraced(function* (host: Exporter) {
  const measures: Measures = { counters: host.host!.cpuBusy, gauges: [host.host!.cores] }
  const reader = yield* makeWindowReader(host, measures, host)
  return Effect.fnUntraced(function* (ids: ReadonlyArray<number>, until: number) {
    const window = { from: until - TREND_STEPS * TREND_STEP_MICROS, to: until }
    const sums = new Map(
      ids.map((id) => [id, new StepSums(stepsOf(window, TREND_STEP_MICROS), ONE_SLOT, measures)] as const)
    )
    yield* reader.read(ids, window, (id) => sums.get(id)!, { usable: usableLevels(TREND_STEP_MICROS) })
    return new Map([...sums].map(([id, sums]) => [id, busySteps(sums, 100, 0)]))
  })
})

/** The group with the highest rate in the latest scrape of each server; of equal ones the first by name is not looked up. */
const makeLoudest = Effect.fnUntraced(function* ({ exporter, ranking }: Busiest, host: Exporter | undefined) {
  const measures = rankingMeasures(exporter, ranking)
  const presence = exporter.top?.presence === undefined ? -1 : measures.gauges.indexOf(exporter.top.presence)
  const scrapes = yield* Scrapes
  const latest = yield* makeLatestReader(exporter, measures, host)
  return Effect.fnUntraced(function* (at: number) {
    const found = new Map<number, { readonly value: number; readonly groups: Array<number> }>()
    for (const [id, scrape] of yield* latest.read(at)) {
      let best = { value: Number.NEGATIVE_INFINITY, groups: [] as Array<number> }
      for (let row = 0; row < scrape.groups.length; row++) {
        const rate = scrape.rates[0]![row]!
        if (Number.isNaN(rate) || (presence >= 0 && scrape.gauges[presence]![row] === 0)) continue
        if (rate > best.value) best = { value: rate, groups: [scrape.groups[row]!] }
        else if (rate === best.value) best.groups.push(scrape.groups[row]!)
      }
      if (best.groups.length > 0) found.set(id, best)
    }
    const ties = [...found.values()].flatMap(({ groups }) => (groups.length > 1 ? groups : []))
    const names = yield* scrapes.names([...new Set(ties)])
    const firstOf = (groups: ReadonlyArray<number>) =>
      groups.reduce((a, b) => (compareBytes(names.get(a) ?? "", names.get(b) ?? "") <= 0 ? a : b))
    return new Map(
      [...found].map(([id, { groups, value }]) => [id, { group: firstOf(groups), value: value * ranking.fields.scale }])
    )
  })
})

/** The first ranking of the host's CPU. */
const busiestOf = (exporters: ReadonlyArray<Exporter>): Busiest | undefined => {
  for (const exporter of exporters) {
    const ranking = rankingsOf(exporter).find(({ ranking }) => ranking.by === "rate" && ranking.share === "cpu")
    if (ranking !== undefined) return { exporter, ranking }
  }
  return undefined
}

// -- series

interface Field {
  readonly field: string
  readonly column: string
  readonly kind: "counter" | "gauge"
  readonly nullable: boolean
}

/** The fields of the history of an exporter without groups, with their columns. */
const fieldsOf = (exporter: Exporter): ReadonlyArray<Field> =>
  Object.entries(exporter.table.columns).flatMap(([name, column]): ReadonlyArray<Field> => {
    if (column.kind !== "counter" && column.kind !== "gauge") return []
    const wire = wireName(name, column)
    const field = column.kind === "counter" ? rateField(wire) : wire
    return [{ field, column: name, kind: column.kind, nullable: column.nullable }]
  })

const fieldSeries = (
  fields: ReadonlyArray<Field>,
  measures: Measures,
  sums: StepSums,
  name: string
): ReadonlyArray<OneSeries> => {
  const field = fields.find((candidate) => candidate.field === name)
  if (field === undefined) return []
  const values =
    field.kind === "counter"
      ? sums.rates(0, measures.counters.indexOf(field.column), field.nullable)
      : sums.levels(0, measures.gauges.indexOf(field.column))
  const lastSeen = sums.lastSeen[0]!
  return [{ name, lastSeen: Number.isNaN(lastSeen) ? null : lastSeen, resets: 0, values }]
}

const scaled = (values: ReadonlyArray<number | null>, scale: number): ReadonlyArray<number | null> =>
  values.map((value) => (value === null ? null : value * scale))

// -- one group on all servers

/** The fields of a row of a measured scrape that tell of now. */
const fieldsNow = (exporter: Exporter, measures: Measures, metric: string) => {
  const rankings = rankingsFor(exporter, metric)
  const presence = exporter.top?.presence === undefined ? -1 : measures.gauges.indexOf(exporter.top.presence)
  const known = (value: number) => (Number.isNaN(value) ? null : value)
  return (scrape: Measured, row: number): Readonly<Record<string, number | null>> => {
    const fields: Record<string, number | null> = {}
    const ranked = new Set<string>()
    const gone = presence >= 0 && scrape.gauges[presence]![row] === 0
    for (const { fields: names, ranking } of rankings) {
      if (ranking.by === "peak") ranked.add(ranking.column)
      const value =
        ranking.by === "rate"
          ? gone
            ? 0
            : known(scrape.rates[measures.counters.indexOf(ranking.column)]![row]!)
          : known(scrape.gauges[measures.gauges.indexOf(ranking.column)]![row]!)
      fields[names.now] = value === null ? null : value * names.scale
    }
    for (const [n, column] of measures.gauges.entries()) {
      if (ranked.has(column)) continue
      fields[wireName(column, exporter.table.columns[column]!)] = known(scrape.gauges[n]![row]!)
    }
    return fields
  }
}
