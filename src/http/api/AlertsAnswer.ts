/** Alerts, as `/api/alerts` says them. */
import { Schema } from "effect"
import { isNote, NOTE_ALLOWED } from "./MarksAnswer.ts"

const NullableNumber = Schema.NullOr(Schema.Finite)

const shownAlert = {
  alert_id: Schema.String,
  rule: Schema.String,
  sentence: Schema.String.annotate({ description: "What the rule asked when it fired." }),
  severity: Schema.String,
  server_id: Schema.NullOr(Schema.String).annotate({ description: "Null: the alert is about NodePulse itself." }),
  server_name: Schema.NullOr(Schema.String),
  group: Schema.String.annotate({
    description: "What changes from run to run is folded into #; empty where the alert is about the server."
  }),
  value: Schema.NullOr(Schema.Finite).annotate({ description: "What made it fire, in `unit`." }),
  unit: Schema.String.annotate({ description: "As people read it, such as % of a core; empty where there is none." }),
  resource: Schema.String.annotate({
    description: "What the rule asked about, as in GET /api/exporters; or nodepulse."
  }),
  metric: Schema.NullOr(Schema.String).annotate({ description: "Null where the rule asks for no number." }),
  fired_at: Schema.String,
  resolved_at: Schema.NullOr(Schema.String).annotate({ description: "Null: it still fires." }),
  unknown: Schema.Boolean.annotate({ description: "It fires, and nobody knows whether it still holds." }),
  silenced: Schema.Boolean.annotate({ description: "It fires, and a silence keeps messages about it back." }),
  acknowledged: Schema.NullOr(
    Schema.Struct({
      at: Schema.String,
      by: Schema.String.annotate({ description: "Whose token or session it was, as the audit calls them." }),
      note: Schema.String
    })
  ).annotate({ description: "Who knows of it; null: nobody." })
}

/** What is said of each alert. */
export const AlertShown = Schema.Struct(shownAlert)

export const AlertsAnswer = Schema.Struct({
  alerts: Schema.Array(AlertShown).annotate({
    description: "Those that fire first, then the latest ones."
  })
})

const line = { before: Schema.Finite, after: Schema.Finite, difference: Schema.Finite }

/** What an alert tells. */
export const AlertStoryAnswer = Schema.Struct({
  ...shownAlert,
  held_since: Schema.NullOr(Schema.String).annotate({
    description: "Since when it held, until it had done so for long enough to fire; null where it fired at once."
  }),
  runbook: Schema.NullOr(Schema.String).annotate({
    description: "What to do, as the rule of this name says now: an address of http or https."
  }),
  owners: Schema.Array(Schema.String).annotate({ description: "Whom it concerns, as the rule of this name says now." }),
  window: Schema.Struct({ from: Schema.String, to: Schema.String }),
  split: Schema.String.annotate({
    description: "Where the window before ends and the one after begins: the rule began to look here. Both are as long."
  }),
  ranked: Schema.NullOr(
    Schema.Struct({ resource: Schema.String, metric: Schema.String, unit: Schema.String })
  ).annotate({ description: "What the groups are ranked by, and the unit of all values; null where there are none." }),
  partial: Schema.Boolean.annotate({ description: "One of the windows was seen for less than four fifths." }),
  tops: Schema.Array(
    Schema.Struct({
      group: Schema.String,
      ...line,
      appeared: Schema.Boolean,
      gone: Schema.Boolean,
      restarted: Schema.Boolean,
      subject: Schema.Boolean.annotate({ description: "The alert is about it." })
    })
  ).annotate({ description: "The first five of each window, those that changed most first: averages." }),
  other: Schema.NullOr(Schema.Struct({ groups: Schema.Int, ...line })),
  unaccounted: Schema.NullOr(Schema.Struct(line)),
  total: Schema.NullOr(Schema.Struct({ of: Schema.Literals(["host", "groups"]), ...line })),
  restarts: Schema.Array(Schema.String).annotate({ description: "Groups whose counters began anew after `split`." }),
  pressure: Schema.Array(Schema.Struct({ what: Schema.String, ...line })).annotate({
    description: "Of the host, in percent of the time; empty where nothing tells."
  }),
  events: Schema.Array(
    Schema.Struct({
      kind: Schema.Literals(["restart", "reboot", "clock", "outage"]),
      at: Schema.String,
      exporter: Schema.String,
      until: Schema.NullOr(Schema.String),
      by_seconds: NullableNumber
    })
  ).annotate({ description: "What happened in the window, as GET /api/servers/{id}/marks." }),
  notes: Schema.Array(Schema.Struct({ at: Schema.String, text: Schema.String, author: Schema.String })),
  link: Schema.String.annotate({ description: "The page at that time, below the address of NodePulse." }),
  text: Schema.String.annotate({ description: "All of it as plain text, to be read on a phone." })
})

export const NewAcknowledgement = Schema.Struct({
  note: Schema.optionalKey(
    Schema.String.check(Schema.makeFilter((text: string) => text === "" || isNote(text), { expected: NOTE_ALLOWED }))
  )
})
