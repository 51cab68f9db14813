/** `/healthz`, `/readyz` and `/metrics`: for whoever watches over NodePulse itself. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Api } from "../api/Api.ts"
import { NotReady } from "../api/Problem.ts"
import { Readiness } from "../server/Readiness.ts"
import { SelfMetrics } from "../server/SelfMetrics.ts"

export const systemHandlers = HttpApiBuilder.group(
  Api,
  "system",
  Effect.fnUntraced(function* (handlers) {
    const readiness = yield* Readiness
    const metrics = yield* SelfMetrics
    return handlers.handleAll({
      healthz: () => Effect.succeed({ status: "ok" } as const),
      readyz: Effect.fnUntraced(function* () {
        const checks = yield* readiness.checks
        const missing = checks.filter(({ ready }) => !ready)
        if (missing.length > 0) {
          const detail = missing.map(({ name, reason }) => `${name}: ${reason}`).join("; ")
          return yield* new NotReady({ detail, checks })
        }
        const notes = checks.flatMap(({ name, reason }) => (reason === null ? [] : [`${name}: ${reason}`]))
        return {
          ready: true,
          checks: checks.map(({ name }) => name),
          ...(notes.length === 0 ? {} : { notes })
        } as const
      }),
      metrics: () => metrics.text
    })
  })
)
