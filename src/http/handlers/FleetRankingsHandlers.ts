/**
 * `GET /api/{resource}/top`: the ranking over all servers, or over those that `server` names. How it is put together is in
 * `src/query/FleetRanking.ts`; what the numbers mean in `docs/numbers.md`.
 */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Servers } from "../../access/Servers.ts"
import { Registry } from "../../plugins/Registry.ts"
import { formatTimestamp } from "../../plugins/Timestamp.ts"
import { fleetTop, SERVERS_MAX } from "../../query/FleetRanking.ts"
import { Groupings } from "../../query/grouping/Groupings.ts"
import { Rankings } from "../../query/Rankings.ts"
import { isLate } from "../../query/SeenInterval.ts"
import { intervalOf, Sightings } from "../../query/Sightings.ts"
import { Api } from "../api/Api.ts"
import { fromFailure, InvalidParameter } from "../api/Problem.ts"
import { aimAt, findExporter, findRanking, HoursMax, showWindow } from "./RankingsHandlers.ts"
import { regroupingOf, showGrouping } from "./RegroupedAnswers.ts"

const LIMIT_DEFAULT = 10

export const fleetRankingsHandlers = HttpApiBuilder.group(
  Api,
  "fleetRankings",
  Effect.fnUntraced(function* (handlers) {
    const groupings = yield* Groupings
    const rankings = yield* Rankings
    const registry = yield* Registry
    const servers = yield* Servers
    const sightings = yield* Sightings
    const hoursMax = yield* HoursMax

    return handlers.handle(
      "top",
      Effect.fnUntraced(function* ({ params, query }) {
        const exporter = yield* Effect.fromResult(findExporter(registry, params.resource))
        const metric = yield* Effect.fromResult(findRanking(registry, exporter, query.metric))
        const { hours, window } = yield* aimAt(query, hoursMax)
        const asked =
          query.server === undefined
            ? yield* Effect.map(servers.list, (all) => all.map(({ serverId }) => serverId)).pipe(
                Effect.mapError((failure) => fromFailure(failure))
              )
            : [...new Set([query.server].flat())]
        if (asked.length > SERVERS_MAX) {
          return yield* new InvalidParameter({
            detail: `server: ${asked.length} servers are too many to rank together, at most ${SERVERS_MAX}; name some of them`,
            parameter: "server",
            value: asked.length,
            allowed: `at most ${SERVERS_MAX} servers`
          })
        }
        const by = query.by ?? "server"
        const regrouping = yield* regroupingOf(groupings, query.grouping)
        const answer = yield* fleetTop(rankings, {
          exporter,
          servers: asked,
          metric,
          by,
          limit: query.limit ?? LIMIT_DEFAULT,
          window,
          regrouping
        }).pipe(Effect.mapError((failure) => fromFailure(failure)))
        const seen = yield* Effect.mapError(sightings.all, (failure) => fromFailure(failure))
        return {
          metric,
          by,
          time_range_hours: hours,
          [exporter.resource]: answer.rows,
          window: showWindow(window),
          other: answer.other,
          servers: answer.servers.map(({ answer: { coverage, lastSeen, scrapes }, serverId }) => ({
            server_id: serverId,
            coverage,
            scrapes,
            last_seen: lastSeen === null ? null : formatTimestamp(lastSeen),
            stale: isLate(lastSeen, window.to, intervalOf(seen.get(serverId), exporter))
          })),
          ...showGrouping(regrouping)
        }
      })
    )
  })
)
