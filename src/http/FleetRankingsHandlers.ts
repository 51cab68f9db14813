/**
 * `GET /api/{resource}/top`: the ranking over all servers, or over those that `server` names. How it is put together is in
 * `src/sinks/FleetRanking.ts`; what the numbers mean in `docs/numbers.md`.
 */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Registry } from "../plugins/Registry.ts"
import { formatTimestamp } from "../plugins/Timestamp.ts"
import { fleetTop, SERVERS_MAX } from "../sinks/FleetRanking.ts"
import { Rankings } from "../sinks/Rankings.ts"
import { Servers } from "../sinks/Servers.ts"
import { Api } from "./Api.ts"
import { fromFailure, InvalidParameter } from "./Problem.ts"
import { aimAt, findExporter, findRanking, HoursMax } from "./RankingsHandlers.ts"

const LIMIT_DEFAULT = 10

export const fleetRankingsHandlers = HttpApiBuilder.group(
  Api,
  "fleetRankings",
  Effect.fnUntraced(function* (handlers) {
    const rankings = yield* Rankings
    const registry = yield* Registry
    const servers = yield* Servers
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
            detail: `server: there are ${asked.length} servers, at most ${SERVERS_MAX} are ranked together; name some`,
            parameter: "server",
            value: asked.length,
            allowed: `at most ${SERVERS_MAX} servers`
          })
        }
        const by = query.by ?? "server"
        const answer = yield* fleetTop(rankings, {
          exporter,
          servers: asked,
          metric,
          by,
          limit: query.limit ?? LIMIT_DEFAULT,
          window
        }).pipe(Effect.mapError((failure) => fromFailure(failure)))
        return {
          metric,
          by,
          time_range_hours: hours,
          [exporter.resource]: answer.rows,
          window: { from: formatTimestamp(window.from), to: formatTimestamp(window.to) },
          other: answer.other,
          servers: answer.servers.map(({ answer: { coverage, lastSeen, scrapes, stale }, serverId }) => ({
            server_id: serverId,
            coverage,
            scrapes,
            last_seen: lastSeen === null ? null : formatTimestamp(lastSeen),
            stale
          }))
        }
      })
    )
  })
)
