/** `/api/silences`: which alerts nobody is told of, until when. */
import { Clock, Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import type { Silence } from "../../alerts/silences/Silence.ts"
import { SILENCE_DAYS_MAX, Silences } from "../../alerts/silences/Silences.ts"
import { formatTimestamp, parseTimestamp } from "../../plugins/Timestamp.ts"
import { Api } from "../api/Api.ts"
import { fromFailure, type InvalidParameter, invalidParameter } from "../api/Problem.ts"
import type { NewSilence } from "../api/SilencesAnswer.ts"

const DAY = 24 * 3_600_000

export const silencesHandlers = HttpApiBuilder.group(
  Api,
  "silences",
  Effect.fnUntraced(function* (handlers) {
    const silences = yield* Silences
    return handlers.handleAll({
      list: Effect.fnUntraced(
        function* () {
          const all = yield* silences.list
          const now = yield* Clock.currentTimeMillis
          return { silences: all.map((silence) => showSilence(silence, now)) }
        },
        Effect.mapError((failure) => fromFailure(failure))
      ),
      add: Effect.fnUntraced(function* ({ payload }) {
        const now = yield* Clock.currentTimeMillis
        const { from, until } = yield* spanOf(payload, now)
        yield* aboutSomething(payload)
        const { comment, group = "*", kind = "silence", rule = "*", server = "*", severity } = payload
        const added = yield* silences
          .add({ kind, rule, server, group, severity, from, until, comment })
          .pipe(Effect.mapError((failure) => fromFailure(failure)))
        return showSilence(added, now)
      }),
      end: ({ params }) => Effect.mapError(silences.end(params.id), (failure) => fromFailure(failure))
    })
  })
)

/** Epoch milliseconds. */
const spanOf = (
  payload: NewSilence,
  now: number
): Effect.Effect<{ readonly from: number; readonly until: number }, InvalidParameter> => {
  const from = payload.from === undefined ? now : parseTimestamp(payload.from)! / 1_000
  const until = parseTimestamp(payload.until)! / 1_000
  if (until <= now || until <= from) {
    const after = from > now ? formatTimestamp(from * 1_000) : "now"
    return Effect.fail(invalidParameter("until", payload.until, `after ${after}`))
  }
  if (until > now + SILENCE_DAYS_MAX * DAY) {
    return Effect.fail(invalidParameter("until", payload.until, `at most ${SILENCE_DAYS_MAX} days from now`))
  }
  return Effect.succeed({ from: Math.max(from, now), until })
}

/** Nobody silences everything by leaving something out. */
const aboutSomething = ({ group, kind, rule, server, severity }: NewSilence): Effect.Effect<void, InvalidParameter> => {
  if (kind !== "maintenance") {
    return [group, rule, server, severity].some((matcher) => matcher !== undefined)
      ? Effect.void
      : Effect.fail(
          invalidParameter(
            "server",
            null,
            'one of rule, server, group and severity is needed; server "*" is all of them'
          )
        )
  }
  if (server === undefined) {
    return Effect.fail(invalidParameter("server", null, 'which servers a maintenance is of; "*" is all of them'))
  }
  const others = Object.entries({ group, rule, severity }).filter(([, matcher]) => matcher !== undefined)
  return others.length === 0
    ? Effect.void
    : Effect.fail(invalidParameter(others[0]![0], others[0]![1], "part of a maintenance, which is of servers only"))
}

const showSilence = (silence: Silence, now: number) => {
  const { by, comment, from, group, id, kind, rule, server, severity, until } = silence
  return {
    silence_id: id,
    kind,
    state: until <= now ? ("expired" as const) : from > now ? ("pending" as const) : ("active" as const),
    rule,
    server,
    group,
    severity: severity ?? null,
    from: formatTimestamp(from * 1_000),
    until: formatTimestamp(until * 1_000),
    by,
    comment
  }
}
