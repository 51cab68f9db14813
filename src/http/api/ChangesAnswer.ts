/** What changed between two windows, as `GET /api/servers/{id}/{resource}/diff` says it: a ledger (`docs/numbers.md`). */
import { Schema } from "effect"
import { WindowAnswer } from "./Answers.ts"
import { UsedGrouping } from "./GroupingsAnswer.ts"

const difference = {
  before: Schema.Finite.annotate({ description: "The average over the window before, in `unit`." }),
  after: Schema.Finite,
  change: Schema.Finite.annotate({ description: "after - before" })
}

const line = {
  ...difference,
  share: Schema.NullOr(Schema.Finite).annotate({
    description: "change ÷ the total change, signed; null where that is too small to be shared out."
  })
}

const ComparedWindow = Schema.Struct({
  server_id: Schema.String,
  window: WindowAnswer,
  coverage: Schema.Finite,
  covered_seconds: Schema.Finite,
  scrapes: Schema.Int
})

const NullableNumber = Schema.NullOr(Schema.Finite)

export const ChangesAnswer = Schema.Struct({
  resource: Schema.String,
  metric: Schema.String,
  unit: Schema.String.annotate({ description: "Of all values: percent (100 is one core kept busy), mb, …" }),
  before: ComparedWindow,
  after: ComparedWindow,
  partial: Schema.Boolean.annotate({ description: "One of the windows was seen for less than four fifths." }),
  changes: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      ...line,
      appeared: Schema.Boolean.annotate({ description: "It ran in no scrape of the window before." }),
      gone: Schema.Boolean.annotate({ description: "It ran in no scrape of the window after." }),
      restarted: Schema.Boolean.annotate({ description: "Its counters began anew in the window after." }),
      count_before: NullableNumber.annotate({
        description: "Processes in the last scrape of the window; null where the exporter counts none."
      }),
      count_after: NullableNumber
    })
  ).annotate({ description: "Those that changed most first, up or down." }),
  other: Schema.Struct({ groups: Schema.Int, ...line }),
  unaccounted: Schema.NullOr(Schema.Struct(line)).annotate({
    description: "What the host used and no group did; null where `total` is of the groups."
  }),
  total: Schema.Struct({
    of: Schema.Literals(["host", "groups"]).annotate({
      description:
        "host: its busy CPU; groups: their sum, where the host is not known in both windows, or not what is asked."
    }),
    ...line
  }),
  waiting: Schema.Array(
    Schema.Struct({ field: Schema.String, before: NullableNumber, after: NullableNumber, change: NullableNumber })
  ).annotate({
    description: "The host's CPU time that was neither used nor free, in percent of a core: no group's fault."
  }),
  grouping: UsedGrouping
})
export type ChangesAnswer = typeof ChangesAnswer.Type
