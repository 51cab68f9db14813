/**
 * What the groups of an exporter did on all servers over a range: `GET /api/{resource}/groups` and `…/groups/servers`
 * (`docs/numbers.md`). Trends have four digits: they are drawn.
 */
import { Schema } from "effect"
import { WindowAnswer } from "./Answers.ts"
import { UsedGrouping } from "./GroupingsAnswer.ts"

const NullableNumber = Schema.NullOr(Schema.Finite)
const NullableText = Schema.NullOr(Schema.String)

const rankingValues = {
  total: Schema.Finite.annotate({ description: "What it added up to, in the unit that `units` names." }),
  peak: Schema.Finite.annotate({ description: "The highest on any one server." })
}

const trend = Schema.Array(NullableNumber).annotate({
  description: "Of the ranking that was asked for, a value per step, in the unit of peaks; null where nothing was seen."
})

const peakIsBound = Schema.optionalKey(Schema.Boolean).annotate({
  description: "With `grouping`: whether a peak is a sum of members' peaks, which need not have been at the same time."
})

const frame = {
  resource: Schema.String,
  metric: Schema.String,
  by: Schema.Literals(["total", "peak", "growth"]),
  time_range_hours: Schema.Finite,
  window: WindowAnswer.annotate({
    description:
      "What is answered: longer windows begin and end at full five minutes, shorter ones at full ten seconds."
  }),
  first: Schema.Finite.annotate({ description: "Right end of the first step of the trends, epoch seconds." }),
  step_seconds: Schema.Finite,
  steps: Schema.Int,
  units: Schema.Record(Schema.String, Schema.Struct({ total: Schema.String, peak: Schema.String })).annotate({
    description: "By ranking: of totals (core_hours, gib_hours, …) and of peaks (percent, mb, …)."
  }),
  grouping: UsedGrouping
}

export const GroupsAnswer = Schema.Struct({
  ...frame,
  servers: Schema.Struct({
    all: Schema.Int,
    seen: Schema.Int.annotate({ description: "Those of which there is a scrape in the window." }),
    coverage: Schema.Finite.annotate({ description: "Of those: covered time ÷ length of the window, 0 to 1." })
  }),
  totals: Schema.Record(Schema.String, Schema.Finite).annotate({ description: "By ranking, over all groups." }),
  groups: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      servers: Schema.Int.annotate({ description: "On how many it ran." }),
      last_seen: NullableText,
      values: Schema.Record(
        Schema.String,
        Schema.Struct({
          ...rankingValues,
          worst: Schema.Struct({ server_id: Schema.String, total: Schema.Finite }),
          highest: Schema.String.annotate({ description: "The server with the highest peak." })
        })
      ).annotate({ description: "By ranking." }),
      trend,
      growth: Schema.NullOr(
        Schema.Struct({
          mb_per_hour: Schema.Finite.annotate({ description: "Summed over the servers where its memory grows." }),
          servers: Schema.Int,
          fastest: Schema.String.annotate({ description: "The server where it grows fastest." })
        })
      ),
      peak_is_bound: peakIsBound
    })
  ),
  matching: Schema.Int.annotate({ description: "Groups that match, of which `groups` may be a part." }),
  all: Schema.Int,
  beyond: Schema.Int.annotate({
    description: "How many times a group of a server was one too many to be told apart: it counts in `totals` only."
  }),
  gone: Schema.Array(Schema.Struct({ name: Schema.String, last_seen: Schema.String })).annotate({
    description: "Where no group matches: those that do, and were seen at another time. With `grouping`, none."
  })
})
export type GroupsAnswer = typeof GroupsAnswer.Type

export const GroupServersAnswer = Schema.Struct({
  ...frame,
  name: Schema.String,
  growth_step_seconds: Schema.Finite.annotate({ description: "How wide the means are that growth is judged by." }),
  servers: Schema.Array(
    Schema.Struct({
      server_id: Schema.String,
      server_name: Schema.String,
      last_seen: NullableText,
      values: Schema.Record(Schema.String, Schema.Struct(rankingValues)),
      trend,
      growth: Schema.NullOr(
        Schema.Struct({
          mb_per_hour: Schema.Finite,
          began: Schema.String.annotate({ description: "At the earliest when its count last changed." }),
          exhausts_in_seconds: NullableNumber.annotate({
            description: "An estimate: memory available and free swap ÷ growth; null where that is not known."
          })
        })
      ).annotate({ description: "Null where its memory does not grow, or too little is known." }),
      peak_is_bound: peakIsBound
    })
  ),
  all: Schema.Int.annotate({ description: "On how many servers it ran, of which `servers` may be a part." })
})
export type GroupServersAnswer = typeof GroupServersAnswer.Type
