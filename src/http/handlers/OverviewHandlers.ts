/**
 * What the page draws at a glance: `/api/fleet`, `…/series` and `/api/{resource}/across`. The window of a series is that
 * of `…/top`; numbers are rounded to four digits, those of a series below 10 to three, since they are only looked at.
 */
import { Clock, Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Agents } from "../../access/Agents.ts"
import { Registry } from "../../plugins/Registry.ts"
import { formatTimestamp } from "../../plugins/Timestamp.ts"
import { Groupings } from "../../query/grouping/Groupings.ts"
import { Overview, SERIES_MAX } from "../../query/Overview.ts"
import { Rankings } from "../../query/Rankings.ts"
import { Sightings } from "../../query/Sightings.ts"
import { Api } from "../api/Api.ts"
import { fromFailure, InvalidParameter } from "../api/Problem.ts"
import { agentFields, makeLastSeen } from "./AgentNotes.ts"
import { fleetPage } from "./FleetPage.ts"
import { aim, findExporter, findRanking, HoursMax, longestPace, showWindow } from "./RankingsHandlers.ts"
import { regroupingOf, showGrouping } from "./RegroupedAnswers.ts"
import { healthOf } from "./ServersHandlers.ts"

const SERIES_DEFAULT = 8
const POINTS_DEFAULT = 120
const MIB = 1024 * 1024

export const overviewHandlers = HttpApiBuilder.group(
  Api,
  "overview",
  Effect.fnUntraced(function* (handlers) {
    const agents = yield* Agents
    const groupings = yield* Groupings
    const overview = yield* Overview
    const rankings = yield* Rankings
    const registry = yield* Registry
    const hoursMax = yield* HoursMax
    const sightings = yield* Sightings
    const lastSeenOf = makeLastSeen()

    return handlers.handleAll({
      fleet: Effect.fnUntraced(
        function* ({ query }) {
          const [glance, told, seen] = yield* Effect.all([overview.fleet, agents.all, sightings.all], {
            concurrency: 3
          })
          const running =
            query.search === undefined || query.search === "" ? new Map() : yield* overview.running(query.search)
          const now = (yield* Clock.currentTimeMillis) * 1_000
          const exporter = glance.busiestOf === null ? undefined : registry.get(glance.busiestOf.exporter)
          const seenOf = new Map<string, string | null>()
          const listed = glance.servers.map((server) => {
            const agent = told.get(server.serverId)
            const { last_seen, state } = healthOf(registry, seen.get(server.serverId) ?? [], now, (key, timestamp) =>
              lastSeenOf(`${server.serverId} ${key}`, timestamp, agent, now)
            )
            seenOf.set(server.serverId, last_seen)
            return { glance: server, state }
          })
          const page = fleetPage(listed, query, running)
          return {
            at: formatTimestamp(now),
            trend_until: formatTimestamp(glance.trendUntil),
            trend_step_seconds: glance.trendStepSeconds,
            busiest_of:
              glance.busiestOf === null || exporter === undefined
                ? null
                : { resource: exporter.resource, metric: glance.busiestOf.metric },
            matching: page.matching,
            states: page.states,
            servers: page.rows.map(({ glance: server, match, state }) => ({
              server_id: server.serverId,
              name: server.name,
              state,
              last_seen: seenOf.get(server.serverId) ?? null,
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
                  : { name: server.busiest.name, value: rounded(server.busiest.value) ?? 0 },
              match: match === null ? null : { name: match.name, value: rounded(match.value) },
              ...agentFields(told.get(server.serverId), now / 1_000, registry)
            }))
          }
        },
        Effect.mapError((failure) => fromFailure(failure))
      ),

      series: Effect.fnUntraced(function* ({ params, query }) {
        const exporter = yield* Effect.fromResult(findExporter(registry, params.resource))
        const { hours, window } = yield* aim(params.id, query, hoursMax)
        const ranked = exporter.top !== undefined
        if (!ranked && query.metric !== undefined) {
          return yield* new InvalidParameter({
            detail: `metric: "${exporter.resource}" has no rankings; use fields to name its series`,
            parameter: "metric",
            value: query.metric,
            allowed: "none"
          })
        }
        const metric = ranked ? yield* Effect.fromResult(findRanking(registry, exporter, query.metric)) : undefined
        const limit = Math.min(query.limit ?? SERIES_DEFAULT, SERIES_MAX)
        const regrouping = ranked ? yield* regroupingOf(groupings, query.grouping) : undefined
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
                  window,
                  regrouping
                })).rows.map(({ name }) => name)
          const shown = ranked && registry.host !== undefined ? [exporter.name, registry.host.name] : [exporter.name]
          return yield* overview.series({
            interval: yield* longestPace(sightings, shown, params.id, window),
            exporter: exporter.name,
            serverId: params.id,
            metric,
            names,
            window,
            points: query.points ?? POINTS_DEFAULT,
            regrouping
          })
        }).pipe(Effect.mapError((failure) => fromFailure(failure)))
        return {
          server_id: params.id,
          resource: exporter.resource,
          metric: metric ?? null,
          time_range_hours: hours,
          window: showWindow(window),
          first: answer.first / 1_000_000,
          step_seconds: answer.stepSeconds,
          steps: answer.steps,
          series: answer.series.map(({ lastSeen, name, resets, values }) => ({
            name,
            last_seen: lastSeen === null ? null : formatTimestamp(lastSeen),
            resets,
            values: values.map(drawn)
          })),
          other: answer.other?.map(drawn) ?? null,
          host: answer.host?.map(drawn) ?? null,
          ...showGrouping(regrouping)
        }
      }),

      across: Effect.fnUntraced(function* ({ params, query }) {
        const exporter = yield* Effect.fromResult(findExporter(registry, params.resource))
        const metric = yield* Effect.fromResult(findRanking(registry, exporter, query.metric))
        const regrouping = yield* regroupingOf(groupings, query.grouping)
        const found = yield* overview
          .across({ exporter: exporter.name, metric, name: query.name, regrouping })
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
          total: found.length,
          ...showGrouping(regrouping)
        }
      })
    })
  })
)

/** Most values of a series are small, and nothing shows more than two digits of those. */
const drawn = (value: number | null): number | null =>
  value === null || !Number.isFinite(value) ? null : Number(value.toPrecision(Math.abs(value) < 10 ? 3 : 4))

/** Four digits are more than a pixel shows. */
export const rounded = (value: number | null, scale = 1): number | null =>
  value === null || !Number.isFinite(value) ? null : Number((value * scale).toPrecision(4))
