/** `GET /api/servers/{id}/verdict`: what waits, for what, and which setting changes it; of the last quarter of an hour unless asked. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { type Verdict, type VerdictAnswer, Verdicts } from "../../query/Verdict.ts"
import { Api } from "../api/Api.ts"
import { fromFailure } from "../api/Problem.ts"
import { aim, HoursMax, showWindow } from "./RankingsHandlers.ts"

const HOURS_DEFAULT = 0.25

export const verdictHandlers = HttpApiBuilder.group(
  Api,
  "verdict",
  Effect.fnUntraced(function* (handlers) {
    const verdicts = yield* Verdicts
    const hoursMax = yield* HoursMax

    return handlers.handle(
      "verdict",
      Effect.fnUntraced(function* ({ params, query }) {
        const { hours, window } = yield* aim(params.id, { hours: HOURS_DEFAULT, ...query }, hoursMax)
        const answer = yield* verdicts
          .of({ serverId: params.id, window })
          .pipe(Effect.mapError((failure) => fromFailure(failure)))
        return show(params.id, hours, answer)
      })
    )
  })
)

const show = (serverId: string, hours: number, answer: VerdictAnswer) => ({
  server_id: serverId,
  time_range_hours: hours,
  window: showWindow(answer.window),
  coverage: answer.coverage,
  judged: answer.judged,
  partial: answer.partial,
  resources: { units: answer.units },
  sentence: answer.sentence,
  verdicts: answer.verdicts.map(showVerdict)
})

const showVerdict = ({ evidence, kind, neighbours, sentence, setting, subject }: Verdict) => ({
  kind,
  subject,
  sentence,
  evidence,
  neighbours: neighbours.map(({ name, unit, value }) =>
    unit === "percent" ? { name, avg_cpu_percent: value } : { name, mb_per_second: value }
  ),
  setting
})
