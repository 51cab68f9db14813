/**
 * `GET /api/{resource}/groups` and `…/groups/servers`: what the groups of an exporter did on all servers over a range. What the
 * numbers mean: `docs/numbers.md`.
 */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import type { Exporter } from "../../plugins/Exporter.ts"
import { Registry } from "../../plugins/Registry.ts"
import { formatTimestamp } from "../../plugins/Timestamp.ts"
import { FleetGroups, type FleetOrder, type Frame } from "../../query/FleetGroups.ts"
import { Groupings } from "../../query/grouping/Groupings.ts"
import type { Window } from "../../query/Rankings.ts"
import { Api } from "../api/Api.ts"
import { fromFailure, invalidParameter } from "../api/Problem.ts"
import { rounded } from "./OverviewHandlers.ts"
import { aimAt, findExporter, findRanking, HoursMax, showWindow } from "./RankingsHandlers.ts"
import { regroupingOf, showGrouping } from "./RegroupedAnswers.ts"

const LIMIT_DEFAULT = 50
const MIB = 1024 * 1024

interface Query {
  readonly metric?: string
  readonly by?: FleetOrder
  readonly hours?: number
  readonly at?: number
  readonly offset?: number
  readonly limit?: number
  readonly grouping?: string
}

export const groupsHandlers = HttpApiBuilder.group(
  Api,
  "groups",
  Effect.fnUntraced(function* (handlers) {
    const groups = yield* FleetGroups
    const groupings = yield* Groupings
    const registry = yield* Registry
    const hoursMax = yield* HoursMax

    /** What both questions have in common. */
    const aim = Effect.fnUntraced(function* (resource: string, query: Query) {
      const exporter = yield* Effect.fromResult(findExporter(registry, resource))
      const metric = yield* Effect.fromResult(findRanking(registry, exporter, query.metric))
      const { hours, window } = yield* aimAt(query, hoursMax)
      const by = query.by ?? "total"
      if (by === "growth" && !tellsMemory(exporter)) return yield* invalidParameter("by", by, "total or peak")
      const regrouping = yield* regroupingOf(groupings, query.grouping)
      const part = { offset: query.offset ?? 0, limit: query.limit ?? LIMIT_DEFAULT }
      const shown = {
        resource: exporter.resource,
        metric,
        by,
        time_range_hours: hours,
        ...showGrouping(regrouping)
      }
      return { shown, request: { exporter: exporter.name, metric, by, window, regrouping, ...part } }
    })

    return handlers.handleAll({
      ranked: Effect.fnUntraced(function* ({ params, query }) {
        const { request, shown } = yield* aim(params.resource, query)
        const answer = yield* groups
          .ranked({ ...request, search: query.search ?? "" })
          .pipe(Effect.mapError((failure) => fromFailure(failure)))
        return {
          ...shown,
          ...showFrame(answer, request.window),
          servers: answer.servers,
          totals: answer.totals,
          groups: answer.groups.map(({ growth, lastSeen, name, peakIsBound, servers, trend, values }) => ({
            name,
            servers,
            last_seen: showMoment(lastSeen),
            values: Object.fromEntries(
              Object.entries(values).map(([key, { highest, peak, total, worst }]) => [
                key,
                { total, peak, worst: { server_id: worst.serverId, total: worst.total }, highest }
              ])
            ),
            trend: trend.map((value) => rounded(value)),
            growth:
              growth === null
                ? null
                : { mb_per_hour: growth.perHour / MIB, servers: growth.servers, fastest: growth.fastest },
            ...showBound(peakIsBound)
          })),
          matching: answer.matching,
          all: answer.all,
          beyond: answer.beyond,
          gone: answer.gone.map(({ lastSeen, name }) => ({ name, last_seen: formatTimestamp(lastSeen) }))
        }
      }),
      servers: Effect.fnUntraced(function* ({ params, query }) {
        const { request, shown } = yield* aim(params.resource, query)
        const answer = yield* groups
          .servers({ ...request, name: query.name })
          .pipe(Effect.mapError((failure) => fromFailure(failure)))
        return {
          ...shown,
          ...showFrame(answer, request.window),
          name: query.name,
          growth_step_seconds: answer.growthStepSeconds,
          servers: answer.servers.map(({ growth, lastSeen, peakIsBound, serverId, serverName, trend, values }) => ({
            server_id: serverId,
            server_name: serverName,
            last_seen: showMoment(lastSeen),
            values,
            trend: trend.map((value) => rounded(value)),
            growth:
              growth === null
                ? null
                : {
                    mb_per_hour: growth.perHour / MIB,
                    began: formatTimestamp(growth.began),
                    exhausts_in_seconds: growth.exhaustsIn
                  },
            ...showBound(peakIsBound)
          })),
          all: answer.all
        }
      })
    })
  })
)

/** Whether there is memory whose growth can be told. */
const tellsMemory = ({ top }: Exporter): boolean =>
  Object.values(top?.rankings ?? {}).some(({ by, share }) => by === "peak" && share === "memory")

const showFrame = ({ first, stepSeconds, steps, units, window }: Frame, asked: Window) => ({
  // What is added up is shared by who asks for the same, and says nothing of where it was read.
  window: showWindow({ ...asked, ...window }),
  first: first / 1_000_000,
  step_seconds: stepSeconds,
  steps,
  units
})

const showBound = (peakIsBound: boolean | undefined) =>
  peakIsBound === undefined ? {} : { peak_is_bound: peakIsBound }

const showMoment = (micros: number | null): string | null =>
  micros === null ? null : formatTimestamp(Math.round(micros))
