/** Servers side by side, as `GET /api/{resource}/compare` and `…/spread` say it (`docs/numbers.md`, "Comparison"). */
import { Schema } from "effect"
import { WindowAnswer } from "./Answers.ts"
import { UsedGrouping } from "./GroupingsAnswer.ts"

const NullableNumber = Schema.NullOr(Schema.Finite)
const Values = Schema.Array(NullableNumber)

const head = {
  resource: Schema.String,
  metric: Schema.String,
  scale: Schema.Literals(["own", "machine"]),
  unit: Schema.String.annotate({
    description: "Of all values: percent (100 is one core kept busy), mb, …; percent_of_machine with scale=machine."
  }),
  time_range_hours: Schema.Finite,
  window: WindowAnswer
}

const judged = {
  values: Values.annotate({
    description: "Averages over the window, a server each; 0 where it did not run, null where nothing was seen."
  }),
  median: NullableNumber,
  deviations: Values.annotate({
    description: "|value − median| ÷ the median absolute deviation; null for fewer than three servers."
  })
}

const oddOne = {
  server_id: Schema.String,
  value: Schema.Finite,
  deviation: Schema.Finite
}

export const ComparisonAnswer = Schema.Struct({
  ...head,
  first: Schema.Finite.annotate({ description: "Right end of the first step, epoch seconds." }),
  step_seconds: Schema.Finite,
  steps: Schema.Int,
  servers: Schema.Array(
    Schema.Struct({
      server_id: Schema.String,
      name: Schema.String,
      coverage: Schema.Finite,
      scrapes: Schema.Int,
      last_seen: Schema.NullOr(Schema.String),
      stale: Schema.Boolean,
      cpu_cores: NullableNumber,
      memory_total_mb: NullableNumber,
      series: Values.annotate({ description: "All groups together, one value per step. Four digits: to be drawn." }),
      host: Schema.NullOr(Values).annotate({
        description: "What the host says of itself; null where nothing tells it."
      })
    })
  ).annotate({ description: "In the order in which they were named, each once." }),
  groups: Schema.Array(Schema.Struct({ name: Schema.String, ...judged })).annotate({
    description: "Those with the highest value on any of the servers first."
  }),
  other: Schema.Struct({ groups: Schema.Int, values: Values }),
  total: Schema.Struct(judged).annotate({ description: "All groups: those listed and `other`." }),
  odd: Schema.Array(
    Schema.Struct({
      name: Schema.NullOr(Schema.String).annotate({ description: "The group; null: all groups together." }),
      ...oddOne,
      median: Schema.Finite,
      of: Schema.Int.annotate({ description: "Of how many servers that is the median." })
    })
  ).annotate({ description: "What stands out, the largest differences first." }),
  grouping: UsedGrouping
})
export type ComparisonAnswer = typeof ComparisonAnswer.Type

export const SpreadAnswer = Schema.Struct({
  ...head,
  name: Schema.String,
  server_ids: Schema.Array(Schema.String).annotate({
    description: "The servers on which the group ran, by their ids."
  }),
  names: Schema.Array(Schema.String).annotate({ description: "What those servers are called." }),
  values: Values.annotate({
    description:
      "The average over the window on each of them; null where the machine's size is not known. Four digits: to be drawn."
  }),
  median: NullableNumber,
  of: Schema.Int.annotate({ description: "Of how many servers that is the median." }),
  odd: Schema.Array(Schema.Struct(oddOne)).annotate({
    description: "What stands out, furthest from the others first."
  }),
  absent: Schema.Int.annotate({ description: "Servers that were seen, on which it did not run." }),
  unseen: Schema.Int.annotate({ description: "Servers that were not seen in the window." }),
  grouping: UsedGrouping
})
export type SpreadAnswer = typeof SpreadAnswer.Type
