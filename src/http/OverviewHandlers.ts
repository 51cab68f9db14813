/**
 * What the page draws at a glance: `/api/fleet`, `…/series` and `/api/{resource}/across`. The window of a series is that
 * of `…/top`; numbers are rounded to four digits, since they are only looked at.
 */
import { Clock, Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Registry } from "../plugins/Registry.ts"
import { formatTimestamp } from "../plugins/Timestamp.ts"
import { Overview, SERIES_MAX } from "../sinks/Overview.ts"
import { Rankings } from "../sinks/Rankings.ts"
import { Api } from "./Api.ts"
import { fromFailure, InvalidParameter } from "./Problem.ts"
import { aim, findExporter, findRanking, HoursMax } from "./RankingsHandlers.ts"
import { freshnessOf, stateOf } from "./ServersHandlers.ts"

const SERIES_DEFAULT = 8
const POINTS_DEFAULT = 120
const MIB = 1024 * 1024

export const overviewHandlers = HttpApiBuilder.group(
  Api,
  "overview",
  Effect.fnUntraced(function* (handlers) {
    const overview = yield* Overview
    const rankings = yield* Rankings
    const registry = yield* Registry
    const hoursMax = yield* HoursMax
    const freshness = freshnessOf(registry.exporters)

    return handlers.handleAll({
      fleet: () =>
        Effect.gen(function* () {
          const glance = yield* overview.fleet
          const now = (yield* Clock.currentTimeMillis) * 1_000
          const exporter = glance.busiestOf === null ? undefined : registry.get(glance.busiestOf.exporter)
          return {
            at: formatTimestamp(now),
            trend_until: formatTimestamp(glance.trendUntil),
            trend_step_seconds: glance.trendStepSeconds,
            busiest_of:
              glance.busiestOf === null || exporter === undefined
                ? null
                : { resource: exporter.resource, metric: glance.busiestOf.metric },
            servers: glance.servers.map((server) => ({
              server_id: server.serverId,
              name: server.name,
              state: stateOf(server.lastSeen, now, freshness),
              last_seen: server.lastSeen === null ? null : formatTimestamp(server.lastSeen),
              cpu_cores: server.cpuCores,
              cpu_percent: rounded(server.cpuPercent),
              memory_used_mb: rounded(server.memoryUsedBytes, 1 / MIB),
              memory_total_mb: rounded(server.memoryTotalBytes, 1 / MIB),
              load: rounded(server.load),
              uptime_seconds: rounded(server.uptimeSeconds),
              trend: server.trend.map((value) => (value === null ? null : Math.round(value))),
              busiest:
                server.busiest === null
                  ? null
                  : { name: server.busiest.name, value: rounded(server.busiest.value) ?? 0 }
            }))
          }
        }).pipe(Effect.mapError((failure) => fromFailure(failure))),

      series: Effect.fnUntraced(function* ({ params, query }) {
        const exporter = yield* Effect.fromResult(findExporter(registry, params.resource))
        const { hours, window } = yield* aim(params.id, query, hoursMax)
        const ranked = exporter.top !== undefined
        if (!ranked && query.metric !== undefined) {
          return yield* new InvalidParameter({
            detail: `metric: "${exporter.resource}" has no rankings; name its series with fields`,
            parameter: "metric",
            value: query.metric,
            allowed: "none"
          })
        }
        const metric = ranked ? yield* Effect.fromResult(findRanking(registry, exporter, query.metric)) : undefined
        const limit = Math.min(query.limit ?? SERIES_DEFAULT, SERIES_MAX)
        const answer = yield* Effect.gen(function* () {
          const names = !ranked
            ? (query.fields ?? "").split(",").slice(0, SERIES_MAX)
            : query.name !== undefined
              ? [query.name]
              : (yield* rankings.top({
                  exporter: exporter.name,
                  serverId: params.id,
                  metric: metric!,
                  limit,
                  window
                })).rows.map(({ name }) => name)
          return yield* overview.series({
            exporter: exporter.name,
            serverId: params.id,
            metric,
            names,
            window,
            points: query.points ?? POINTS_DEFAULT
          })
        }).pipe(Effect.mapError((failure) => fromFailure(failure)))
        return {
          server_id: params.id,
          resource: exporter.resource,
          metric: metric ?? null,
          time_range_hours: hours,
          window: { from: formatTimestamp(window.from), to: formatTimestamp(window.to) },
          first: answer.first / 1_000_000,
          step_seconds: answer.stepSeconds,
          steps: answer.steps,
          series: answer.series.map(({ lastSeen, name, resets, values }) => ({
            name,
            last_seen: lastSeen === null ? null : formatTimestamp(lastSeen),
            resets,
            values: values.map((value) => rounded(value))
          })),
          other: answer.other?.map((value) => rounded(value)) ?? null,
          host: answer.host?.map((value) => rounded(value)) ?? null
        }
      }),

      across: Effect.fnUntraced(function* ({ params, query }) {
        const exporter = yield* Effect.fromResult(findExporter(registry, params.resource))
        const metric = yield* Effect.fromResult(findRanking(registry, exporter, query.metric))
        const found = yield* overview
          .across({ exporter: exporter.name, metric, name: query.name })
          .pipe(Effect.mapError((failure) => fromFailure(failure)))
        return {
          resource: exporter.resource,
          name: query.name,
          metric,
          servers: found.slice(0, query.limit ?? 50).map(({ fields, lastSeen, serverId }) => ({
            server_id: serverId,
            last_seen: formatTimestamp(lastSeen),
            ...fields
          })),
          total: found.length
        }
      })
    })
  })
)

/** Four digits are more than a pixel shows. */
const rounded = (value: number | null, scale = 1): number | null =>
  value === null || !Number.isFinite(value) ? null : Number((value * scale).toPrecision(4))
