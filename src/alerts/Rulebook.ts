/**
 * The rules that are in force, as a port: those of all layers (`RuleLayers.ts`) that are not switched off.
 *
 * Guarantee: the log says once what is wrong with rules.
 */
import { Context, Effect, Layer } from "effect"
import type { DatabaseUnavailable } from "../sinks/storage/DatabaseUnavailable.ts"
import type { Rule } from "./Rule.ts"
import { RuleLayers } from "./RuleLayers.ts"

export class Rulebook extends Context.Service<
  Rulebook,
  {
    /** The rules as they are now; a failure where nobody can tell. */
    readonly rules: Effect.Effect<ReadonlyArray<Rule>, DatabaseUnavailable>
  }
>()("nodepulse/alerts/Rulebook") {
  static readonly layer: Layer.Layer<Rulebook, never, RuleLayers> = Layer.effect(
    Rulebook,
    Effect.map(RuleLayers, ({ read }) => {
      let told = ""
      return Rulebook.of({
        rules: Effect.gen(function* () {
          const { problems, rules } = yield* read
          const all = problems.join("\n")
          if (all !== told) for (const problem of problems) yield* Effect.logWarning(`rules: ${problem}`)
          told = all
          return rules.filter(({ enabled }) => enabled).map(({ rule }) => rule)
        })
      })
    })
  )
}
