/**
 * The overview from PostgreSQL; the SQL is in `OverviewSql`. Pages that are open at the same time share one answer about
 * the fleet, which is at most `FLEET_FRESH_FOR` old.
 */
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Clock, Duration, Effect, Layer } from "effect"
import { rankingsOf } from "../plugins/Catalog.ts"
import type { Exporter } from "../plugins/Exporter.ts"
import { Registry } from "../plugins/Registry.ts"
import { wireName } from "../plugins/Wire.ts"
import { answering, arrayParameter } from "./Database.ts"
import { stepMicros, usableLevels } from "./HistorySql.ts"
import { allMeasures, type Measures } from "./IncreaseSql.ts"
import { type FleetGlance, type OneSeries, Overview, type SeriesAnswer, type ServerGlance } from "./Overview.ts"
import { acrossSql, fleetBusiestSql, fleetHostSql, rankingMeasures, seriesSql } from "./OverviewSql.ts"
import { Rankings, type Window } from "./Rankings.ts"
import { planParameters } from "./RankingsPostgres.ts"
import { dirtySql } from "./RollupSql.ts"
import { Servers, UnknownServer } from "./Servers.ts"
import { topMeasures } from "./TopSql.ts"
import { type DirtyBucket, planWindow } from "./WindowPlan.ts"

const FLEET_FRESH_FOR = "2 seconds"
const TREND_STEPS = 20
const TREND_STEP_MICROS = 180_000_000

export const layer: Layer.Layer<Overview, never, PgClient.PgClient | Registry | Rankings | Servers> = Layer.effect(
  Overview,
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    const rankings = yield* Rankings
    const servers = yield* Servers
    const { exporters, get, host } = yield* Registry
    const busiest = busiestOf(exporters)
    const busiestSql = busiest === undefined ? undefined : fleetBusiestSql(busiest.exporter, host, busiest.metric)
    const hostGlanceSql = host === undefined ? undefined : fleetHostSql(host)
    const hostTotals = host === undefined ? undefined : { measures: hostMeasures(host), dirty: dirtySql(host, host) }

    const known = (name: string): Effect.Effect<Exporter> => {
      const exporter = get(name)
      return exporter === undefined ? Effect.die(new Error(`there is no exporter "${name}"`)) : Effect.succeed(exporter)
    }

    const fleet = Effect.gen(function* () {
      const now = (yield* Clock.currentTimeMillis) * 1_000
      const trendUntil = Math.floor(now / TREND_STEP_MICROS) * TREND_STEP_MICROS
      const [all, lastSeen, hosts, busy] = yield* Effect.all(
        [
          servers.list,
          rankings.lastSeen,
          hostGlanceSql === undefined
            ? Effect.succeed([])
            : sql.unsafe<HostRow>(hostGlanceSql, [
                float8(now),
                float8(trendUntil),
                float8(TREND_STEP_MICROS),
                int4(TREND_STEPS)
              ]),
          busiestSql === undefined ? Effect.succeed([]) : sql.unsafe<BusiestRow>(busiestSql, [float8(now)])
        ],
        { concurrency: 2 }
      )
      const hostOf = new Map(hosts.map((row) => [row.server_id, row]))
      const busiestOn = new Map(busy.map((row) => [row.server_id, row]))
      return {
        trendUntil,
        trendStepSeconds: TREND_STEP_MICROS / 1_000_000,
        busiestOf: busiest === undefined ? null : { exporter: busiest.exporter.name, metric: busiest.metric },
        servers: all.map(({ name, serverId }): ServerGlance => {
          const row = hostOf.get(serverId)
          const top = busiestOn.get(serverId)
          const used = row?.memory == null || row.available === null ? null : Math.max(0, row.memory - row.available)
          return {
            serverId,
            name,
            lastSeen: lastSeen.get(serverId) ?? null,
            cpuCores: row?.cores ?? null,
            cpuPercent: row?.busy ?? null,
            memoryTotalBytes: row?.memory ?? null,
            memoryUsedBytes: used,
            load: row?.load ?? null,
            uptimeSeconds: row?.uptime ?? null,
            trend: row?.trend ?? [],
            busiest:
              top === undefined || top.rate === null
                ? null
                : { name: top.name, value: top.rate * (busiest?.scale ?? 1) }
          }
        })
      } satisfies FleetGlance
    }).pipe(answering("fleet"))

    const sharedFleet = yield* Effect.cachedWithTTL(fleet, FLEET_FRESH_FOR)

    const serverId = Effect.fnUntraced(function* (server: string) {
      const [row] = yield* sql<{ readonly id: number }>`select id from admiral.servers where server_id = ${server}`
      return row === undefined ? yield* new UnknownServer({ serverId: server }) : row.id
    })

    const stepRows = Effect.fnUntraced(function* (
      exporter: Exporter,
      measures: Measures,
      id: number,
      window: Window,
      step: number,
      ids: ReadonlyArray<number>
    ) {
      const dirty = yield* sql.unsafe<DirtyBucket>(dirtySql(exporter, host), [
        int4(id),
        float8(window.from),
        float8(window.to)
      ])
      const plan = planWindow(window, dirty, Duration.toMillis(exporter.table.staleAfter), usableLevels(step))
      return yield* sql.unsafe<StepRow>(seriesSql(exporter, host, measures), [
        int4(id),
        ...planParameters(plan),
        float8(step),
        ...(exporter.top === undefined ? [] : [arrayParameter(ids, PgTypes.OID.int4)])
      ])
    })

    const series = Effect.fn("Overview.series")(function* (request: {
      readonly exporter: string
      readonly serverId: string
      readonly metric: string | undefined
      readonly names: ReadonlyArray<string>
      readonly window: Window
      readonly points: number
    }) {
      const { metric, names, window } = request
      const exporter = yield* known(request.exporter)
      const id = yield* serverId(request.serverId)
      const step = stepMicros(exporter, window, request.points)
      const steps = stepsOf(window, step)
      const frame = { window, stepSeconds: step / 1_000_000, first: steps.first * step, steps: steps.count }
      if (exporter.top === undefined || metric === undefined) {
        const fields = fieldsOf(exporter).filter(({ field }) => names.includes(field))
        const measures: Measures = {
          counters: fields.flatMap(({ column, kind }) => (kind === "counter" ? [{ column, clamp: false }] : [])),
          gauges: fields.flatMap(({ column, kind }) => (kind === "gauge" ? [column] : []))
        }
        const folded = foldSteps(yield* stepRows(exporter, measures, id, window, step, []), steps)
        const found = new Map(fields.map((field) => [field.field, field]))
        return {
          ...frame,
          series: names.flatMap((name): ReadonlyArray<OneSeries> => {
            const field = found.get(name)
            if (field === undefined) return []
            const values =
              field.kind === "counter"
                ? folded.rate(
                    0,
                    measures.counters.findIndex(({ column }) => column === field.column),
                    field.nullable
                  )
                : folded.level(0, measures.gauges.indexOf(field.column))
            return [{ name, lastSeen: folded.lastSeen(0), resets: 0, values }]
          }),
          other: null,
          host: null
        } satisfies SeriesAnswer
      }
      const ranked = rankingsOf(exporter).find(({ key }) => key === metric)
      if (ranked === undefined) return yield* Effect.die(new Error(`${exporter.name} has no ranking "${metric}"`))
      const found = yield* sql<{ readonly id: number; readonly value: string }>`
        select l.id, l.value from unnest(${texts(names)}) as v(value)
        join admiral.label_values l on l.value = v.value collate "C"`
      const idOf = new Map(found.map((row) => [row.value, row.id]))
      const measures = rankingMeasures(exporter, metric)
      const isRate = ranked.ranking.by === "rate"
      const { scale } = ranked.fields
      const rows = yield* stepRows(exporter, measures, id, window, step, [...idOf.values()])
      const folded = foldSteps(rows, steps)
      const values = (group: number) =>
        (isRate ? folded.rate(group, 0, false) : folded.level(group, 0)).map((value) =>
          value === null ? null : value * scale
        )
      const { share } = ranked.ranking
      let total: ReadonlyArray<number | null> | null = null
      if (host !== undefined && hostTotals !== undefined && share !== undefined) {
        const part = share === "cpu" ? hostTotals.measures.cpu : hostTotals.measures.memory
        if (part !== undefined) {
          const seen = foldSteps(yield* stepRows(host, part, id, window, step, []), steps)
          total =
            share === "cpu"
              ? sumOf(
                  part.counters.map((_, n) => seen.rate(0, n, true)),
                  scale
                )
              : differenceOf(seen.level(0, 0), seen.level(0, 1), scale)
        }
      }
      return {
        ...frame,
        series: names.map((name): OneSeries => {
          const group = idOf.get(name)
          return group === undefined
            ? { name, lastSeen: null, resets: 0, values: [] }
            : { name, lastSeen: folded.lastSeen(group), resets: folded.resets(group), values: values(group) }
        }),
        other: values(0),
        host: total
      } satisfies SeriesAnswer
    }, answering("series"))

    const across = Effect.fn("Overview.across")(function* (request: {
      readonly exporter: string
      readonly metric: string
      readonly name: string
    }) {
      const exporter = yield* known(request.exporter)
      if (exporter.top === undefined) return []
      const now = (yield* Clock.currentTimeMillis) * 1_000
      const [label] = yield* sql<{ readonly id: number }>`
        select id from admiral.label_values where value = ${request.name}`
      if (label === undefined) return []
      const measures = topMeasures(exporter)
      const rows = yield* sql.unsafe<AcrossRow>(acrossSql(exporter, host, measures), [float8(now), int4(label.id)])
      const ranked = rankingsOf(exporter)
      const wire = measures.gauges.map((column) => wireName(column, exporter.table.columns[column]!))
      const shown = rows.map((row) => {
        const fields: Record<string, number | null> = {}
        const number = (alias: string) => (typeof row[alias] === "number" ? row[alias] : null)
        const gauges = new Set<number>()
        for (const { fields: names, ranking } of ranked) {
          const n =
            ranking.by === "rate"
              ? measures.counters.findIndex(({ column }) => column === ranking.column)
              : measures.gauges.indexOf(ranking.column)
          if (ranking.by === "peak") gauges.add(n)
          const value = number(`${ranking.by === "rate" ? "n" : "w"}${n}`)
          fields[names.now] = value === null ? null : value * names.scale
        }
        wire.forEach((field, n) => {
          if (!gauges.has(n)) fields[field] = number(`w${n}`)
        })
        return { serverId: row.server_id, lastSeen: row.at, fields }
      })
      const by = ranked.find(({ key }) => key === request.metric)?.fields.now ?? ""
      return shown.sort((a, b) => (b.fields[by] ?? -1) - (a.fields[by] ?? -1) || (a.serverId < b.serverId ? -1 : 1))
    }, answering("across"))

    return Overview.of({ fleet: sharedFleet, series, across })
  })
)

interface HostRow {
  readonly server_id: string
  readonly cores: number | null
  readonly memory: number | null
  readonly available: number | null
  readonly load: number | null
  readonly uptime: number | null
  readonly busy: number | null
  readonly trend: ReadonlyArray<number | null> | null
}

interface BusiestRow {
  readonly server_id: string
  readonly name: string
  readonly rate: number | null
}

interface AcrossRow {
  readonly server_id: string
  readonly at: number
  readonly [alias: string]: string | number | null
}

type StepRow = Readonly<Record<string, number | null>>

interface Steps {
  /** The number of the first step: it ends at `first` times the width. */
  readonly first: number
  readonly count: number
}

const stepsOf = (window: Window, step: number): Steps => {
  const first = Math.floor(window.from / step) + 1
  let count = 0
  while ((first + count - 1) * step < window.to) count++
  return { first, count }
}

/** Rows of `seriesSql` as series per group. */
const foldSteps = (rows: ReadonlyArray<StepRow>, { count, first }: Steps) => {
  const server = new Map<number, StepRow>()
  const groups = new Map<number, Map<number, StepRow>>()
  for (const row of rows) {
    const step = row.step ?? 0
    if (row.g === null || row.g === undefined) server.set(step, row)
    else {
      const steps = groups.get(row.g) ?? new Map<number, StepRow>()
      steps.set(step, row)
      groups.set(row.g, steps)
    }
  }
  const per = (value: (server: StepRow, step: number) => number | null) =>
    Array.from({ length: count }, (_, n) => {
      const seen = server.get(first + n)
      return seen === undefined ? null : value(seen, first + n)
    })
  const all = (group: number) => [...(groups.get(group)?.values() ?? [])]
  return {
    /** Increase per second; null where no time was covered, or the column may be missing and was. */
    rate: (group: number, n: number, nullable: boolean) =>
      per((seen, step) => {
        const increase = groups.get(group)?.get(step)?.[`i${n}`] ?? null
        if (!seen.covered || (nullable && increase === null)) return null
        return (increase ?? 0) / seen.covered
      }),
    /** Mean over the scrapes, one without the group counting 0 and one that does not know the value not counting. */
    level: (group: number, n: number) =>
      per((seen, step) => {
        const row = groups.get(group)?.get(step)
        const counted = (seen.scrapes ?? 0) - (group === 0 ? (row?.rows ?? 0) - (row?.[`k${n}`] ?? 0) : 0)
        return counted <= 0 ? null : (row?.[`s${n}`] ?? 0) / counted
      }),
    lastSeen: (group: number) => {
      const moments = all(group).flatMap((row) => row.last ?? [])
      return moments.length === 0 ? null : Math.max(...moments)
    },
    resets: (group: number) => all(group).reduce((sum, row) => sum + (row.z0 ?? 0), 0)
  }
}

const sumOf = (parts: ReadonlyArray<ReadonlyArray<number | null>>, scale: number) =>
  (parts[0] ?? []).map((_, n) => {
    const known = parts.flatMap((part) => part[n] ?? [])
    return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) * scale
  })

const differenceOf = (whole: ReadonlyArray<number | null>, less: ReadonlyArray<number | null>, scale: number) =>
  whole.map((value, n) => {
    const other = less[n] ?? null
    return value === null || other === null ? null : Math.max(0, value - other) * scale
  })

/** What the host's own totals are made of. */
const hostMeasures = (host: Exporter): { readonly cpu: Measures; readonly memory: Measures | undefined } => {
  const { cpuBusy, memoryAvailable, memoryTotal } = host.host!
  return {
    cpu: { counters: cpuBusy.map((column) => ({ column, clamp: false })), gauges: [] },
    memory: memoryAvailable === undefined ? undefined : { counters: [], gauges: [memoryTotal, memoryAvailable] }
  }
}

/** The first ranking of the host's CPU. */
const busiestOf = (exporters: ReadonlyArray<Exporter>) => {
  for (const exporter of exporters) {
    const ranked = rankingsOf(exporter).find(({ ranking }) => ranking.by === "rate" && ranking.share === "cpu")
    if (ranked !== undefined) {
      return { exporter, metric: ranked.key, scale: ranked.fields.scale }
    }
  }
  return undefined
}

/** The fields of the history of an exporter without groups, with their columns. */
const fieldsOf = (exporter: Exporter) => {
  const { counters } = allMeasures(exporter)
  const isCounter = new Set(counters.map(({ column }) => column))
  return Object.entries(exporter.table.columns).flatMap(([name, column]) => {
    if (column.kind === "label") return []
    const wire = wireName(name, column)
    const kind = isCounter.has(name) ? ("counter" as const) : ("gauge" as const)
    const field = kind === "counter" ? `${wire.replace(/_total$/, "")}_per_second` : wire
    return [{ field, column: name, kind, nullable: column.nullable }]
  })
}

const int4 = PgTypes.int4
const float8 = PgTypes.float8
const texts = (values: ReadonlyArray<string>) => arrayParameter(values, PgTypes.OID.text)
