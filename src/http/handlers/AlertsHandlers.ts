/** `/api/alerts`: what fires and what fired, what one of them tells, and who knows of it. */
import { Effect, Option } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { type Alert, Alerts } from "../../alerts/Alerts.ts"
import type { Rule } from "../../alerts/Rule.ts"
import { RuleLayers } from "../../alerts/RuleLayers.ts"
import { AlertStories, type AlertStory } from "../../alerts/story/Story.ts"
import { storyText } from "../../alerts/story/StoryText.ts"
import { formatTimestamp } from "../../plugins/Timestamp.ts"
import { Api } from "../api/Api.ts"
import { fromFailure, NotFound } from "../api/Problem.ts"
import { BasePath } from "../server/Address.ts"
import { PublicUrl, reachedAt } from "../server/Origin.ts"

const LIMIT_DEFAULT = 100

export const alertsHandlers = HttpApiBuilder.group(
  Api,
  "alerts",
  Effect.fnUntraced(function* (handlers) {
    const alerts = yield* Alerts
    const stories = yield* AlertStories
    const layers = yield* RuleLayers
    const reached = reachedAt({ publicUrl: yield* PublicUrl, basePath: yield* BasePath })
    return handlers.handleAll({
      list: ({ query: { from, limit = LIMIT_DEFAULT, rule, server, state, to } }) =>
        alerts
          .list({
            limit,
            ...(from === undefined ? {} : { from: from / 1_000 }),
            ...(to === undefined ? {} : { to: to / 1_000 }),
            ...(state === undefined ? {} : { state }),
            ...(server === undefined ? {} : { serverId: server }),
            ...(rule === undefined ? {} : { rule })
          })
          .pipe(
            Effect.map((found) => ({ alerts: found.map(showAlert) })),
            Effect.mapError((failure) => fromFailure(failure))
          ),

      get: Effect.fnUntraced(function* ({ params: { id } }) {
        const found = yield* Effect.mapError(stories.of(id), (failure) => fromFailure(failure))
        if (Option.isSome(found)) {
          const { rules } = yield* Effect.mapError(layers.read, (failure) => fromFailure(failure))
          const rule = rules.find((one) => one.rule.name === found.value.alert.rule)?.rule
          return showStory(found.value, rule, reached)
        }
        return yield* new NotFound({ detail: `there is no alert ${JSON.stringify(id.slice(0, 100))}` })
      }),

      acknowledge: ({ params, payload: { note = "" } }) =>
        alerts.acknowledge(params.id, note).pipe(
          Effect.map(showAlert),
          Effect.mapError((failure) => fromFailure(failure))
        )
    })
  })
)

/** An alert as the API says it. */
const showAlert = (alert: Alert) => {
  const { acknowledged, asked, firedAt, group, id, isSilenced, isUnknown, resolvedAt } = alert
  const { rule, sentence, serverId, serverName, severity, value } = alert
  return {
    alert_id: id,
    rule,
    sentence,
    severity,
    server_id: serverId,
    server_name: serverName,
    group,
    value,
    unit: asked.unit,
    resource: asked.resource,
    metric: asked.metric,
    fired_at: formatTimestamp(firedAt * 1_000),
    resolved_at: resolvedAt === null ? null : formatTimestamp(resolvedAt * 1_000),
    unknown: isUnknown,
    silenced: isSilenced,
    acknowledged: acknowledged === undefined ? null : { ...acknowledged, at: formatTimestamp(acknowledged.at * 1_000) }
  }
}

const timeOf = (millis: number) => formatTimestamp(millis * 1_000)

const showStory = ({ alert, ...story }: AlertStory, rule: Rule | undefined, reached: string | undefined) => ({
  ...showAlert(alert),
  held_since: alert.asked.held ? timeOf(alert.firedAt - alert.asked.held) : null,
  runbook: rule?.runbook ?? null,
  owners: rule?.owners ?? [],
  window: { from: timeOf(story.window.from), to: timeOf(story.window.to) },
  split: timeOf(story.split),
  ranked: story.ranked,
  partial: story.partial,
  tops: story.tops.map(({ isSubject, ...top }) => ({ ...top, subject: isSubject })),
  other: story.other,
  unaccounted: story.unaccounted,
  total: story.total,
  restarts: story.restarts,
  pressure: story.pressure,
  events: story.events.map(({ at, bySeconds, exporter, kind, until }) => ({
    kind,
    at: timeOf(at),
    exporter,
    until: until === null ? null : timeOf(until),
    by_seconds: bySeconds
  })),
  notes: story.notes.map(({ at, author, text }) => ({ at: timeOf(at), text, author })),
  link: story.link,
  text: storyText({ alert, ...story }, reached)
})
