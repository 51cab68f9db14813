/** Rules for alerts, as `/api/rules` lists and saves them, checks them and tries them on the past. */
import { Schema } from "effect"
import { WindowAnswer } from "./Answers.ts"

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

const Document = Schema.Record(Schema.String, Schema.Unknown).annotate({
  description: "The rule as a file of rules holds it, in JSON: see docs/rules.md."
})

/** A rule of any layer. */
export const LayeredRule = Schema.Struct({
  ...rule,
  enabled: Schema.Boolean,
  firing: Schema.Int.annotate({ description: "How many of its alerts fire." }),
  source: Schema.Struct({
    kind: Schema.Literals(["default", "file", "stored"]).annotate({
      description: "Shipped, of a file on the server, or saved here."
    }),
    file: Schema.NullOr(Schema.String),
    version: Schema.NullOr(Schema.Int).annotate({ description: "Of a rule that was saved here." }),
    by: Schema.NullOr(Schema.String),
    at: Schema.NullOr(Schema.String)
  }),
  replaces: Schema.Array(Schema.Literals(["default", "file", "stored"])).annotate({
    description: "Where else there is a rule of this name, which does not count."
  }),
  resource: Schema.String,
  server: Schema.String,
  group: Schema.String,
  runbook: Schema.NullOr(Schema.String),
  owners: Schema.Array(Schema.String),
  document: Document,
  text: Schema.String.annotate({ description: "The same as a file of rules, to take away." })
})
export type LayeredRule = typeof LayeredRule.Type

export const RulesAnswer = Schema.Struct({
  rules: Schema.Array(LayeredRule).annotate({ description: "By name, each name once." }),
  problems: Schema.Array(Schema.String).annotate({ description: "What is wrong with files of rules now." })
})

/** What rules may ask of each resource. */
export const RuleResources = Schema.Struct({
  resources: Schema.Array(
    Schema.Struct({
      resource: Schema.String,
      title: Schema.String,
      grouped: Schema.Boolean.annotate({ description: "Whether its rows are of groups, such as processes." }),
      host: Schema.Boolean.annotate({ description: "Whether it is what only_while asks." }),
      exhausts: Schema.Boolean.annotate({ description: "Whether a rule may ask exhausts_in of it." }),
      metrics: Schema.Array(
        Schema.Struct({
          key: Schema.String,
          unit: Schema.String.annotate({ description: "Of thresholds, as people read it; empty where there is none." }),
          drawn_unit: Schema.String.annotate({ description: "The same, as in GET /api/exporters." }),
          share: Schema.NullOr(Schema.Literals(["cpu", "memory"])).annotate({
            description: "Of the machine: a rule may say of machine. Null where it is none."
          }),
          grows: Schema.Boolean.annotate({ description: "Whether a rule may ask growth_above of it." }),
          drawn: Schema.NullOr(
            Schema.Struct({
              fields: Schema.Array(Schema.String),
              less: Schema.NullOr(Schema.String),
              part_of: Schema.NullOr(Schema.String),
              scale: Schema.Finite,
              peak: Schema.NullOr(Schema.String)
            })
          ).annotate({
            description:
              "Its values by the series of a history: the sum of `fields` without `less`, as a part of `part_of`, times `scale`; `peak` has its highest values. Null where no series tell it."
          })
        })
      )
    })
  )
})

export const NewRule = Schema.Struct({
  document: Document,
  base_version: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)).annotate({
    description: "The version that was changed; 0 for a rule that was not saved here yet."
  })
})

/** What rules would have done. */
export const BacktestAnswer = Schema.Struct({
  window: WindowAnswer,
  rules: Schema.Array(
    Schema.Struct({
      ...rule,
      servers: Schema.Int.annotate({ description: "How many servers it is about." }),
      tried: Schema.Int.annotate({
        description: "How many of them could be tried in time; where it is fewer, nothing is said of the others."
      }),
      incidents: Schema.Array(
        Schema.Struct({
          server_id: Schema.NullOr(Schema.String).annotate({ description: "Null: of NodePulse itself." }),
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
