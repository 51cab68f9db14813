/** What the test of killed evaluators and the processes that it kills (`alertsWorker.ts`) have in common: the rules. */
import { Effect, Layer, Result } from "effect"
import type { Rule } from "../src/alerts/Rule.ts"
import { Rulebook } from "../src/alerts/Rulebook.ts"
import { readRules } from "../src/alerts/RuleFile.ts"
import { exporters } from "./RollupsKilled.ts"

/** How PostgreSQL's own views call the processes. */
export const WORKER = "alerts-worker"

export const rules: ReadonlyArray<Rule> = Result.getOrThrow(
  readRules(
    `rules:
  - {name: quick, resource: processes, metric: cpu, above: 50}
  - {name: held, resource: processes, metric: cpu, above: 50, for: 1m, keep_firing_for: 1m}
  - {name: large, resource: processes, metric: memory, above: 60, resolve: 40, over: 2m}
  - {name: silent, resource: processes, silent: true, over: 1m}`,
    exporters
  )
)

export const bookOf: Layer.Layer<Rulebook> = Layer.succeed(Rulebook, { rules: Effect.succeed(rules) })
