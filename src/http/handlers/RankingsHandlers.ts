/**
 * `GET /api/servers/{id}/{resource}/top` and `…/history`, for every exporter of the registry: which resources, metrics
 * and fields there are follows from the declarations.
 *
 * The window is (to - hours, to], with `to` now or `at`. `hours` reaches back as far as anything is kept
 * (`hoursMaxOf`). What the numbers mean: `docs/numbers.md`.
 */
import { Clock, Context, Duration, Effect, Result } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { UnknownServer } from "../../access/Servers.ts"
import { Acting } from "../../acting/Acting.ts"
import { rankingsOf } from "../../plugins/Catalog.ts"
import type { Exporter } from "../../plugins/Exporter.ts"
import { Registry } from "../../plugins/Registry.ts"
import { formatTimestamp } from "../../plugins/Timestamp.ts"
import { Groupings } from "../../query/grouping/Groupings.ts"
import { type HistoryAnswer, Rankings, type TopAnswer, type Window } from "../../query/Rankings.ts"
import { isLate } from "../../query/SeenInterval.ts"
import { Sightings } from "../../query/Sightings.ts"
import { readUntil } from "../../sinks/postgres/ReadReplica.ts"
import { COARSE } from "../../sinks/rollups/RollupTables.ts"
import { Api } from "../api/Api.ts"
import { ALLOWED, HistoryQueryParameters, isServerId, TopQueryParameters } from "../api/Parameters.ts"
import { fromFailure, InvalidParameter, invalidParameter, NotFound } from "../api/Problem.ts"
import { actsFor, withActs } from "./ActedRows.ts"
import { labelFilter } from "./LabelFilters.ts"
import { regroupingOf, showGrouping } from "./RegroupedAnswers.ts"

const LIMIT_DEFAULT = 10
const HOURS_DEFAULT = 1
const POINTS_DEFAULT = 240
const MIB = 1024 * 1024

/**
 * How far back questions may reach, in hours: the one place that says so.
 */
export class HoursMax extends Context.Service<HoursMax, number>()("nodepulse/http/HoursMax") {}

/** The longest time that anything is kept, in hours: raw rows of an exporter, or the roll-ups of all. */
export const hoursMaxOf = (exporters: ReadonlyArray<Exporter>): number =>
  Math.min(
    MAX_SAFE_HOURS,
    Math.max(COARSE.retentionDays * 24, ...exporters.map(({ table }) => Duration.toHours(table.retention)))
  )

/** A retention can be for ever; microseconds stay exact below this. */
const MAX_SAFE_HOURS = 24 * 366 * 100

export const rankingsHandlers = HttpApiBuilder.group(
  Api,
  "rankings",
  Effect.fnUntraced(function* (handlers) {
    const acting = yield* Acting
    const groupings = yield* Groupings
    const rankings = yield* Rankings
    const sightings = yield* Sightings
    const registry = yield* Registry
    const hoursMax = yield* HoursMax

    return handlers.handleAll({
      top: Effect.fnUntraced(function* ({ params, query }) {
        const exporter = yield* Effect.fromResult(findExporter(registry, params.resource))
        const metric = yield* Effect.fromResult(findRanking(registry, exporter, query.metric))
        const { hours, window } = yield* aim(params.id, query, hoursMax)
        const only = yield* Effect.fromResult(labelFilter(exporter, query, TopQueryParameters, hours))
        const regrouping = yield* regroupingOf(groupings, query.grouping)
        const [answer, pace, acts] = yield* Effect.all(
          [
            rankings.top({
              exporter: exporter.name,
              serverId: params.id,
              metric,
              limit: query.limit ?? LIMIT_DEFAULT,
              window,
              regrouping,
              only
            }),
            sightings.pace({ exporter: exporter.name, serverId: params.id, window }),
            actsFor(acting, registry, exporter, params.id, window)
          ],
          { concurrency: 3 }
        ).pipe(Effect.mapError((failure) => fromFailure(failure)))
        const rows = withActs(answer.rows, acts, registry, exporter, regrouping)
        return {
          ...showTop(params.id, exporter.resource, metric, hours, { ...answer, rows }, pace.latest),
          ...showGrouping(regrouping)
        }
      }),
      history: Effect.fnUntraced(function* ({ params, query }) {
        const exporter = yield* Effect.fromResult(findExporter(registry, params.resource))
        if (exporter.top !== undefined && query.name === undefined) {
          return yield* invalidParameter("name", null, `${ALLOWED.name}, since "${exporter.resource}" has groups`)
        }
        if (exporter.top === undefined && query.name !== undefined) {
          return yield* new InvalidParameter({
            detail: `name: "${exporter.resource}" has no groups, leave it out`,
            parameter: "name",
            value: query.name,
            allowed: "none"
          })
        }
        const { hours, window } = yield* aim(params.id, query, hoursMax)
        const only = yield* Effect.fromResult(labelFilter(exporter, query, HistoryQueryParameters, hours))
        const regrouping = exporter.top === undefined ? undefined : yield* regroupingOf(groupings, query.grouping)
        const answer = yield* longestPace(sightings, [exporter.name], params.id, window).pipe(
          Effect.flatMap((interval) =>
            rankings.history({
              exporter: exporter.name,
              serverId: params.id,
              ...(query.name === undefined ? {} : { name: query.name }),
              window,
              points: query.points ?? POINTS_DEFAULT,
              interval,
              regrouping,
              only
            })
          ),
          Effect.mapError((failure) => fromFailure(failure))
        )
        return {
          ...showHistory(params.id, exporter, query.name ?? null, hours, answer),
          ...showGrouping(regrouping)
        }
      })
    })
  })
)

/** The exporter of a resource in an address. */
export const findExporter = (registry: Registry["Service"], resource: string): Result.Result<Exporter, NotFound> => {
  const exporter = registry.byResource(resource)
  if (exporter !== undefined) return Result.succeed(exporter)
  const known = registry.exporters.map((exporter) => exporter.resource)
  return Result.fail(
    new NotFound({ detail: `there is no resource "${resource}"; available: ${known.join(", ")}`, known })
  )
}

/** The ranking that `metric` names, or the exporter's default. */
export const findRanking = (
  registry: Registry["Service"],
  exporter: Exporter,
  metric: string | undefined
): Result.Result<string, NotFound | InvalidParameter> => {
  const { top } = exporter
  if (top === undefined) {
    const known = registry.exporters.flatMap(({ resource, top }) => (top === undefined ? [] : [resource]))
    return Result.fail(
      new NotFound({ detail: `"${exporter.resource}" has no ranking; available: ${known.join(", ")}`, known })
    )
  }
  if (metric === undefined) return Result.succeed(top.default)
  const keys = rankingsOf(exporter).map(({ key }) => key)
  if (keys.includes(metric)) return Result.succeed(metric)
  return Result.fail(invalidParameter("metric", metric, `one of ${keys.join(", ")}`))
}

/**
 * Which window a request asks for, and where its rows are read from. One that ends now ends with what is there: of a replica, a
 * little earlier (`ReadReplica.ts`); `isOfRows` is false of what is not read from rows.
 */
export const aimAt = Effect.fnUntraced(function* (
  query: { readonly hours?: number; readonly at?: number },
  hoursMax: number,
  isOfRows = true
) {
  const hours = query.hours ?? Math.min(HOURS_DEFAULT, hoursMax)
  if (hours > hoursMax) return yield* invalidParameter("hours", hours, `a number above 0, at most ${hoursMax}`)
  const now = (yield* Clock.currentTimeMillis) * 1_000
  if (query.at !== undefined && query.at > now)
    return yield* invalidParameter("at", formatTimestamp(query.at), ALLOWED.at)
  const end = isOfRows ? yield* readUntil(now, query.at) : { to: query.at ?? now }
  // Microseconds are whole numbers: the shortest window is one of them.
  const window: Window = { from: end.to - Math.max(1, Math.round(hours * 3_600_000_000)), ...end }
  return { hours, window }
})

/** The longest interval that one of the exporters keeps in the window: each step of a chart is to hold two scrapes of each. */
export const longestPace = (
  sightings: Sightings["Service"],
  exporters: ReadonlyArray<string>,
  serverId: string,
  window: Window
) =>
  Effect.map(
    Effect.forEach(exporters, (exporter) => sightings.pace({ exporter, serverId, window }), { concurrency: 2 }),
    (paces) => Math.max(...paces.map(({ longest }) => longest))
  )

/** The rest of a request: whose, and which window. */
export const aim = Effect.fnUntraced(function* (
  serverId: string,
  query: { readonly hours?: number; readonly at?: number },
  hoursMax: number,
  isOfRows = true
) {
  const aimed = yield* aimAt(query, hoursMax, isOfRows)
  if (!isServerId(serverId)) return yield* fromFailure(new UnknownServer({ serverId }))
  return aimed
})

/** A window as answers tell it. */
export const showWindow = ({ from, replicaLagSeconds: lag, to }: Window) => ({
  from: formatTimestamp(from),
  to: formatTimestamp(to),
  ...(lag === undefined ? {} : { replica_lag_seconds: lag })
})

const showTop = (
  serverId: string,
  resource: string,
  metric: string,
  hours: number,
  answer: Omit<TopAnswer, "rows"> & { readonly rows: ReadonlyArray<object> },
  interval: number
) => ({
  server_id: serverId,
  metric,
  time_range_hours: hours,
  [resource]: answer.rows,
  window: showWindow(answer.window),
  coverage: answer.coverage,
  covered_seconds: answer.coveredSeconds,
  scrapes: answer.scrapes,
  last_seen: answer.lastSeen === null ? null : formatTimestamp(answer.lastSeen),
  stale: isLate(answer.lastSeen, answer.window.to, interval),
  resets: answer.resets,
  clamped: answer.clamped,
  unknown: answer.unknown,
  host:
    answer.host === null
      ? null
      : {
          cpu_cores: answer.host.cpuCores,
          memory_total_mb: answer.host.memoryTotalBytes === null ? null : answer.host.memoryTotalBytes / MIB
        },
  other: answer.other,
  unaccounted:
    answer.unaccounted === null
      ? null
      : { cpu_seconds: answer.unaccounted.cpuSeconds, avg_cpu_percent: answer.unaccounted.avgCpuPercent },
  memory_overcounted: answer.memoryOvercounted
})

const showHistory = (
  serverId: string,
  exporter: Exporter,
  name: string | null,
  hours: number,
  answer: HistoryAnswer
) => ({
  server_id: serverId,
  exporter: exporter.name,
  resource: exporter.resource,
  name,
  time_range_hours: hours,
  window: showWindow(answer.window),
  step_seconds: answer.stepSeconds,
  coverage: answer.coverage,
  timestamps: answer.timestamps.map(formatTimestamp),
  series: answer.series,
  ...(answer.peakIsBound === undefined ? {} : { peak_is_bound: answer.peakIsBound })
})
