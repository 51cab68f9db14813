/** Rules for alerts, as they are checked and tried on the past: `POST /api/rules/check`, `POST /api/rules/backtest`. */
import { Schema } from "effect"

const RULES_BYTES_MAX = 256 * 1024

/** The text of a file of rules. */
export const RulesText = Schema.Struct({
  text: Schema.String.check(Schema.isMaxLength(RULES_BYTES_MAX)).annotate({
    description: "YAML, as a file of rules: see docs/rules.md."
  })
})

const rule = {
  name: Schema.String,
  sentence: Schema.String.annotate({ description: "What the rule asks, to be read aloud." }),
  severity: Schema.String
}

export const RulesChecked = Schema.Struct({ rules: Schema.Array(Schema.Struct(rule)) })

/** What rules would have done. */
export const BacktestAnswer = Schema.Struct({
  window: Schema.Struct({ from: Schema.String, to: Schema.String }),
  rules: Schema.Array(
    Schema.Struct({
      ...rule,
      servers: Schema.Int.annotate({ description: "How many servers it is about." }),
      incidents: Schema.Array(
        Schema.Struct({
          server_id: Schema.String,
          group: Schema.String.annotate({
            description: "What changes from run to run is folded into #; empty where the rule is about the server."
          }),
          from: Schema.String,
          to: Schema.NullOr(Schema.String).annotate({ description: "Null: it still fires at the end." }),
          value: Schema.NullOr(Schema.Finite).annotate({ description: "What made it fire, in the metric's unit." })
        })
      ).annotate({ description: "In order of time, the first thousand." }),
      more: Schema.Int.annotate({ description: "How many incidents are not listed." })
    })
  )
})
export type BacktestAnswer = typeof BacktestAnswer.Type
