/** `GET /api/servers/{id}/breakdown`: where the CPU of the window went that `…/top` is about, in lines that add up. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { type BreakdownAnswer, type BreakdownLine, Breakdowns } from "../../query/Breakdown.ts"
import { Groupings } from "../../query/grouping/Groupings.ts"
import { Api } from "../api/Api.ts"
import { fromFailure } from "../api/Problem.ts"
import { aim, HoursMax, showWindow } from "./RankingsHandlers.ts"
import { regroupingOf, showGrouping } from "./RegroupedAnswers.ts"

const LIMIT_DEFAULT = 5

export const breakdownHandlers = HttpApiBuilder.group(
  Api,
  "breakdown",
  Effect.fnUntraced(function* (handlers) {
    const breakdowns = yield* Breakdowns
    const groupings = yield* Groupings
    const hoursMax = yield* HoursMax

    return handlers.handle(
      "breakdown",
      Effect.fnUntraced(function* ({ params, query }) {
        const { hours, window } = yield* aim(params.id, query, hoursMax)
        const regrouping = yield* regroupingOf(groupings, query.grouping)
        const answer = yield* breakdowns
          .of({ serverId: params.id, window, limit: query.limit ?? LIMIT_DEFAULT, regrouping })
          .pipe(Effect.mapError((failure) => fromFailure(failure)))
        return { ...show(params.id, hours, answer), ...showGrouping(regrouping) }
      })
    )
  })
)

const show = (serverId: string, hours: number, answer: BreakdownAnswer) => ({
  server_id: serverId,
  time_range_hours: hours,
  window: showWindow(answer.window),
  coverage: answer.coverage,
  covered_seconds: answer.coveredSeconds,
  scrapes: answer.scrapes,
  host:
    answer.host === null
      ? null
      : {
          cpu_seconds: answer.host.cpuSeconds,
          avg_cpu_percent: answer.host.avgCpuPercent,
          cores: answer.host.cores
        },
  partial: answer.partial,
  below_zero: answer.belowZero,
  resources: {
    groups: answer.resources.groups,
    units: answer.resources.units,
    short_lived: answer.resources.shortLived
  },
  lines: answer.lines.map(showLine),
  short_lived: answer.shortLived.map(({ avgCpuPercent, cpuSeconds, name, runs }) => ({
    name,
    runs,
    cpu_seconds: cpuSeconds,
    avg_cpu_percent: avgCpuPercent
  }))
})

const showLine = ({
  avgCpuPercent,
  cpuSeconds,
  errors,
  errorSeconds,
  groups,
  kind,
  name,
  runs,
  share
}: BreakdownLine) => ({
  kind,
  name,
  groups,
  runs,
  cpu_seconds: cpuSeconds,
  avg_cpu_percent: avgCpuPercent,
  share,
  error_seconds: errorSeconds,
  errors
})
