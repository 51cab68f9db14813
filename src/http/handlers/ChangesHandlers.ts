/**
 * `GET /api/servers/{id}/{resource}/diff`: which two windows are compared. The one after is that of `…/top`; the one before is the
 * span just before it, the same time a day or a week earlier, or any other, also of another server.
 */
import { Clock, Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { UnknownServer } from "../../access/Servers.ts"
import { Registry } from "../../plugins/Registry.ts"
import { formatTimestamp } from "../../plugins/Timestamp.ts"
import { Changes, type ComparedWindow } from "../../query/Changes.ts"
import { Groupings } from "../../query/grouping/Groupings.ts"
import type { Window } from "../../query/Rankings.ts"
import { readUntil } from "../../sinks/postgres/ReadReplica.ts"
import { Api } from "../api/Api.ts"
import { ALLOWED, isServerId } from "../api/Parameters.ts"
import { fromFailure, InvalidParameter, invalidParameter } from "../api/Problem.ts"
import { aim, findExporter, findRanking, HoursMax, showWindow } from "./RankingsHandlers.ts"
import { regroupingOf, showGrouping } from "./RegroupedAnswers.ts"

const LIMIT_DEFAULT = 10
const HOUR = 3_600_000_000

export const changesHandlers = HttpApiBuilder.group(
  Api,
  "changes",
  Effect.fnUntraced(function* (handlers) {
    const changes = yield* Changes
    const groupings = yield* Groupings
    const registry = yield* Registry
    const hoursMax = yield* HoursMax

    return handlers.handle(
      "diff",
      Effect.fnUntraced(function* ({ params, query }) {
        const exporter = yield* Effect.fromResult(findExporter(registry, params.resource))
        const metric = yield* Effect.fromResult(findRanking(registry, exporter, query.metric))
        const { window } = yield* aim(params.id, query, hoursMax)
        const after = { serverId: params.id, window }
        const before = yield* aimBefore(after, query, hoursMax)
        const regrouping = yield* regroupingOf(groupings, query.grouping)
        const answer = yield* changes
          .between({ exporter: exporter.name, metric, limit: query.limit ?? LIMIT_DEFAULT, before, after, regrouping })
          .pipe(Effect.mapError((failure) => fromFailure(failure)))
        return {
          resource: exporter.resource,
          metric,
          unit: answer.unit,
          before: showCompared(answer.before),
          after: showCompared(answer.after),
          partial: answer.partial,
          changes: answer.groups.map(({ countAfter, countBefore, ...group }) => ({
            ...group,
            count_before: countBefore,
            count_after: countAfter
          })),
          other: answer.other,
          unaccounted: answer.unaccounted,
          total: answer.total,
          waiting: answer.waiting,
          ...showGrouping(regrouping)
        }
      })
    )
  })
)

/** What the window after is compared with: by default what came just before it, and of another server the same time. */
const aimBefore = Effect.fnUntraced(function* (
  after: { readonly serverId: string; readonly window: Window },
  query: {
    readonly against?: "previous" | "same" | "day" | "week"
    readonly against_at?: number
    readonly against_hours?: number
    readonly against_server?: string
  },
  hoursMax: number
) {
  const { serverId, window } = after
  if (query.against !== undefined && query.against_at !== undefined) {
    return yield* new InvalidParameter({
      detail: "against: leave it out where against_at says the moment",
      parameter: "against",
      value: query.against,
      allowed: "none beside against_at"
    })
  }
  const { against_at: at, against_hours: hours, against_server: other = serverId } = query
  if (!isServerId(other)) return yield* fromFailure(new UnknownServer({ serverId: other }))
  if (hours !== undefined && hours > hoursMax) {
    return yield* invalidParameter("against_hours", hours, `a number above 0, at most ${hoursMax}`)
  }
  const now = (yield* Clock.currentTimeMillis) * 1_000
  if (at !== undefined && at > now) {
    return yield* invalidParameter("against_at", formatTimestamp(at), ALLOWED.against_at)
  }
  // The later of the two says where both are read from.
  if (at !== undefined && at > window.to) yield* readUntil(now, at)
  const ends = { previous: window.from, same: window.to, day: window.to - 24 * HOUR, week: window.to - 7 * 24 * HOUR }
  const to = at ?? ends[query.against ?? (other === serverId ? "previous" : "same")]
  const length = hours === undefined ? window.to - window.from : Math.max(1, Math.round(hours * HOUR))
  return { serverId: other, window: { from: to - length, to } }
})

const showCompared = ({ coverage, coveredSeconds, scrapes, serverId, window }: ComparedWindow) => ({
  server_id: serverId,
  window: showWindow(window),
  coverage,
  covered_seconds: coveredSeconds,
  scrapes
})
