/** `/api/rules/…`: rules for alerts, checked and tried on the past. Nothing is stored. */
import { Effect, Result } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Backtest } from "../../alerts/Backtest.ts"
import { metricsOf, type Rule, sentence } from "../../alerts/Rule.ts"
import { readRules } from "../../alerts/RuleFile.ts"
import { Registry, type RegistryShape } from "../../plugins/Registry.ts"
import { formatTimestamp } from "../../plugins/Timestamp.ts"
import { Api } from "../api/Api.ts"
import { fromFailure, InvalidRules } from "../api/Problem.ts"
import { aimAt, HoursMax } from "./RankingsHandlers.ts"

export const rulesHandlers = HttpApiBuilder.group(
  Api,
  "rules",
  Effect.fnUntraced(function* (handlers) {
    const backtest = yield* Backtest
    const registry = yield* Registry
    const hoursMax = yield* HoursMax

    const read = (text: string) =>
      Effect.fromResult(
        Result.mapError(
          readRules(text, registry.exporters),
          (problems) => new InvalidRules({ detail: problems[0] ?? "the rules cannot be read", problems })
        )
      )

    return handlers.handleAll({
      check: ({ payload }) =>
        Effect.map(read(payload.text), (rules) => ({ rules: rules.map((rule) => showRule(rule, registry)) })),

      backtest: Effect.fnUntraced(function* ({ payload, query }) {
        const rules = yield* read(payload.text)
        const { window } = yield* aimAt({ hours: query.hours ?? HOURS_DEFAULT, ...query }, hoursMax)
        const answers = yield* Effect.forEach(rules, (rule) =>
          Effect.map(backtest.run(rule, window), ({ incidents, more, servers }) => ({
            ...showRule(rule, registry),
            servers,
            incidents: incidents.map(({ from, group, serverId, to, value }) => ({
              server_id: serverId,
              group,
              from: formatTimestamp(from * 1_000),
              to: to === null ? null : formatTimestamp(to * 1_000),
              value
            })),
            more
          }))
        ).pipe(Effect.mapError((failure) => fromFailure(failure)))
        return { window: { from: formatTimestamp(window.from), to: formatTimestamp(window.to) }, rules: answers }
      })
    })
  })
)

/** A week shows the days and the nights, and what happens on a Sunday. */
const HOURS_DEFAULT = 7 * 24

const showRule = (rule: Rule, registry: RegistryShape) => ({
  name: rule.name,
  sentence: sentence(rule, metricsOf(registry.get(rule.exporter)!)),
  severity: rule.severity
})
