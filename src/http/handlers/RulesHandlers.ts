/** `/api/rules`: rules for alerts of all layers, saved and removed; checked and tried on the past, where nothing is stored. */
import { Clock, Duration, Effect, Result } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Alerts } from "../../alerts/Alerts.ts"
import { Backtest } from "../../alerts/Backtest.ts"
import { askedFor, hasPast, installation, isOfInstallation } from "../../alerts/installation/Installation.ts"
import { metricsOf, type Rule, sentence } from "../../alerts/Rule.ts"
import { documentText, type RuleDocument, readDocument } from "../../alerts/RuleDocument.ts"
import { readRules } from "../../alerts/RuleFile.ts"
import { type LayeredRule, RuleLayers } from "../../alerts/RuleLayers.ts"
import { ruleResources } from "../../alerts/RuleResources.ts"
import { Registry, type RegistryShape } from "../../plugins/Registry.ts"
import { formatTimestamp } from "../../plugins/Timestamp.ts"
import { Api } from "../api/Api.ts"
import { fromFailure, InvalidParameter, InvalidRules } from "../api/Problem.ts"
import { Limits } from "../server/Limits.ts"
import { aimAt, HoursMax, showWindow } from "./RankingsHandlers.ts"

export const rulesHandlers = HttpApiBuilder.group(
  Api,
  "rules",
  Effect.fnUntraced(function* (handlers) {
    const backtest = yield* Backtest
    const registry = yield* Registry
    const hoursMax = yield* HoursMax
    const { answerWithin } = yield* Limits
    const clock = yield* Clock.Clock
    /** Says when the time for a back-test is over: while there is still time to say what was found. */
    const timer = () => {
      const ends =
        clock.monotonicTimeNanosUnsafe() + BigInt(Math.round(Duration.toMillis(answerWithin) * TIME_PART * 1e6))
      return () => clock.monotonicTimeNanosUnsafe() >= ends
    }

    const layers = yield* RuleLayers
    const alerts = yield* Alerts
    const resources = ruleResources(registry.exporters)
    const read = (text: string) => valid(readRules(text, registry.exporters))

    return handlers.handleAll({
      list: Effect.fnUntraced(
        function* () {
          const { problems, rules } = yield* layers.read
          const firing = yield* alerts.firing
          return { rules: rules.map((one) => showLayered(one, firing, registry)), problems }
        },
        Effect.mapError((failure) => fromFailure(failure))
      ),

      resources: () => Effect.succeed({ resources }),

      save: Effect.fnUntraced(function* ({ params: { name }, payload: { base_version, document } }) {
        const named = yield* namedDocument(name, document)
        const documented = yield* valid(readDocument(named, registry.exporters))
        const [saved, firing] = yield* Effect.all([layers.save(documented, base_version), alerts.firing]).pipe(
          Effect.mapError((failure) => fromFailure(failure))
        )
        return showLayered(saved, firing, registry)
      }),

      remove: ({ params, query }) =>
        Effect.mapError(layers.remove(params.name, query.base_version), (failure) => fromFailure(failure)),

      check: ({ payload }) =>
        Effect.map(read(payload.text), (rules) => ({ rules: rules.map((rule) => showRule(rule, registry)) })),

      backtest: Effect.fnUntraced(function* ({ payload, query }) {
        const rules = yield* read(payload.text)
        const unknowable = rules.flatMap((rule) => withoutPast(rule) ?? [])
        if (unknowable.length > 0) return yield* new InvalidRules({ detail: unknowable[0]!, problems: unknowable })
        const { window } = yield* aimAt({ hours: query.hours ?? HOURS_DEFAULT, ...query }, hoursMax)
        const isOver = timer()
        const answers = yield* Effect.forEach(rules, (rule) =>
          Effect.map(backtest.run(rule, window, isOver), ({ incidents, more, servers, tried }) => ({
            ...showRule(rule, registry),
            servers,
            tried,
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
        return { window: showWindow(window), rules: answers }
      })
    })
  })
)

const valid = <A>(read: Result.Result<A, ReadonlyArray<string>>): Effect.Effect<A, InvalidRules> =>
  Effect.fromResult(
    Result.mapError(
      read,
      (problems) => new InvalidRules({ detail: problems[0] ?? "the rules cannot be read", problems })
    )
  )

/** A document under the name that the address has: a rule is not renamed, since its alerts go by its name. */
const namedDocument = (name: string, document: RuleDocument): Effect.Effect<RuleDocument, InvalidParameter> =>
  document.name === undefined || document.name === name
    ? Effect.succeed({ name, ...document })
    : Effect.fail(
        new InvalidParameter({
          detail: `document.name is ${JSON.stringify(document.name).slice(0, 200)}, and the address names ${JSON.stringify(name)}`,
          parameter: "document.name",
          value: null,
          allowed: "the name that the address has, or nothing"
        })
      )

/** Why a rule cannot be tried on the past; undefined where it can. */
const withoutPast = (rule: Rule): string | undefined =>
  isOfInstallation(rule) && !hasPast(rule)
    ? `${JSON.stringify(rule.name)} asks for ${askedFor(rule)}, which is known of the present only: it cannot be tried on the past`
    : undefined

/** Of the time that an answer may take: what it is doing then is ended first. */
const TIME_PART = 0.8

/** A week shows the days and the nights, and what happens on a Sunday. */
const HOURS_DEFAULT = 7 * 24

const showRule = (rule: Rule, registry: RegistryShape) => ({
  name: rule.name,
  sentence: sentence(rule, metricsOf(registry.get(rule.exporter) ?? installation)),
  severity: rule.severity
})

const showLayered = (one: LayeredRule, firing: ReadonlyMap<string, number>, registry: RegistryShape) => {
  const { document, enabled, origin, replaces, rule } = one
  const { group, owners, resource, runbook, server } = rule
  const stored = origin.kind === "stored" ? origin : undefined
  return {
    ...showRule(rule, registry),
    enabled,
    firing: firing.get(rule.name) ?? 0,
    source: {
      kind: origin.kind,
      file: origin.kind === "file" ? origin.file : null,
      version: stored?.version ?? null,
      by: stored?.by ?? null,
      at: stored === undefined ? null : formatTimestamp(stored.at * 1_000)
    },
    replaces,
    resource,
    server,
    group,
    runbook: runbook ?? null,
    owners,
    document,
    text: documentText(document)
  }
}
