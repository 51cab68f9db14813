/** Where a server's CPU went, as `GET /api/servers/{id}/breakdown` says it: lines that add up (`docs/numbers.md`). */
import { Schema } from "effect"
import { WindowAnswer } from "./Answers.ts"
import { UsedGrouping } from "./GroupingsAnswer.ts"

const seconds = (description: string) => Schema.Finite.annotate({ description })

const BreakdownLine = Schema.Struct({
  kind: Schema.Literals(["named", "other", "remainder", "short_lived", "kernel", "unknown"]).annotate({
    description:
      "named, other: groups; remainder: what units used and their groups did not; short_lived: the part of it that accounting names; kernel: what the kernel used beside its threads; unknown: the rest."
  }),
  name: Schema.NullOr(Schema.String).annotate({
    description: "Of a group or unit; null where the line is of several, or of none."
  }),
  groups: Schema.Int.annotate({ description: "How many groups, units or commands the line is of." }),
  runs: Schema.NullOr(Schema.Int).annotate({ description: "How many processes exited; null but for short_lived." }),
  cpu_seconds: seconds("Can be below 0, but for groups: scrapes of two exporters do not fall together."),
  avg_cpu_percent: seconds("Over the covered time; 100 is one core kept busy."),
  share: Schema.NullOr(Schema.Finite).annotate({
    description: "Of the host's busy CPU; null where that is not known, or less than 1 % of a core."
  }),
  error_seconds: seconds("By how much cpu_seconds may be off: the sum of errors."),
  errors: Schema.Struct({
    ticks: seconds("Clocks of 10 ms."),
    edges: seconds("Scrapes of two exporters that do not fall together."),
    unknown: seconds("Increases that nobody knows."),
    clamped: seconds("Increases that were cut to what the machine can do."),
    attribution: seconds("Which unit it was in is not told.")
  })
})

export const BreakdownAnswer = Schema.Struct({
  server_id: Schema.String,
  time_range_hours: Schema.Finite,
  window: WindowAnswer,
  coverage: Schema.Finite,
  covered_seconds: Schema.Finite,
  scrapes: Schema.Int,
  host: Schema.NullOr(
    Schema.Struct({
      cpu_seconds: Schema.Finite,
      avg_cpu_percent: Schema.Finite,
      cores: Schema.NullOr(Schema.Finite)
    })
  ).annotate({
    description: "Busy CPU in the time that the groups' exporter covered; null where the host was not seen."
  }),
  partial: Schema.Array(Schema.Literals(["host", "units", "members", "coverage"])).annotate({
    description:
      "What is missing. units: not seen, or not all of the time; members: which groups are in which units; coverage: less than four fifths of the window."
  }),
  below_zero: Schema.Array(Schema.Literals(["remainder", "kernel", "unknown"])).annotate({
    description: "Kinds of line that come out below 0, all lines of the kind together."
  }),
  resources: Schema.Struct({
    groups: Schema.String,
    units: Schema.NullOr(Schema.String),
    short_lived: Schema.NullOr(Schema.String)
  }).annotate({ description: "Of GET /api/exporters: what the lines are made of." }),
  lines: Schema.Array(BreakdownLine).annotate({ description: "They add up to host.cpu_seconds." }),
  short_lived: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      runs: Schema.Int,
      cpu_seconds: Schema.Finite,
      avg_cpu_percent: Schema.Finite
    })
  ).annotate({ description: "The commands that used most and that no scrape of the groups saw." }),
  grouping: UsedGrouping
})
export type BreakdownAnswer = typeof BreakdownAnswer.Type
