/**
 * What an alert tells: what ran before it fired and what ran then, and what happened in between. As a port and its pure part; what it
 * means is in `docs/rules.md` ("What an alert tells").
 *
 * Guarantee: its numbers are those of `GET /api/servers/{id}/{resource}/diff` for the same two windows. A story is computed on demand,
 * and kept once it is complete ({@link COMPLETE_AFTER_MILLIS} after the alert fired): rows do not stay as long as alerts.
 * Bound: {@link TOP} groups of each window, {@link EVENTS_MAX} events.
 */
import { Context, type Effect, type Option, Schema } from "effect"
import type { RegistryShape } from "../../plugins/Registry.ts"
import { compareBytes } from "../../query/ByteOrder.ts"
import type { ChangesAnswer, Difference, GroupChange } from "../../query/Changes.ts"
import type { Mark } from "../../query/Marks.ts"
import type { DatabaseUnavailable } from "../../sinks/storage/DatabaseUnavailable.ts"
import type { Alert, Asked } from "../Alerts.ts"
import { foldedName } from "../Rule.ts"

/** Of each window. */
const TOP = 5
/** Marks, notes and restarted groups each, the latest ones. */
export const EVENTS_MAX = 20
/** Changes below this part of the largest value are none: what is large goes first then. */
const NOISE = 0.01
/** A shorter time holds too few scrapes to be compared. */
const SPAN_MIN_MILLIS = 300_000
/** Late rows of an agent that was cut off for a while still count. */
export const COMPLETE_AFTER_MILLIS = 3_600_000
const LINK_SHOWS_MILLIS = 3_600_000

const line = { before: Schema.Finite, after: Schema.Finite, difference: Schema.Finite }

/** A value before and after: averages in the story's unit. */
const StoryLine = Schema.Struct(line)
export type StoryLine = typeof StoryLine.Type

/** `isSubject`: the alert is about it. */
const StoryTop = Schema.Struct({
  group: Schema.String,
  ...line,
  appeared: Schema.Boolean,
  gone: Schema.Boolean,
  restarted: Schema.Boolean,
  isSubject: Schema.Boolean
})
export type StoryTop = typeof StoryTop.Type

/** What happened, but for notes; epoch milliseconds. */
const StoryEvent = Schema.Struct({
  kind: Schema.Literals(["restart", "reboot", "clock", "outage"]),
  at: Schema.Finite,
  exporter: Schema.String,
  /** Of an outage: null where nothing was heard until the alert fired. */
  until: Schema.NullOr(Schema.Finite),
  /** Of a clock that was set, signed; else null. */
  bySeconds: Schema.NullOr(Schema.Finite)
})
export type StoryEvent = typeof StoryEvent.Type

/** What is kept of a story; epoch milliseconds. */
export const StoryFacts = Schema.Struct({
  /** Both windows together; they are equally long, and meet at `split`: what the rule looked at before the alert fired is after it. */
  window: Schema.Struct({ from: Schema.Finite, to: Schema.Finite }),
  split: Schema.Finite,
  /** What the groups are ranked by; null where there are none. */
  ranked: Schema.NullOr(Schema.Struct({ resource: Schema.String, metric: Schema.String, unit: Schema.String })),
  /** One of the windows was seen for less than four fifths. */
  partial: Schema.Boolean,
  /** The first of each window, those that changed most first. */
  tops: Schema.Array(StoryTop),
  other: Schema.NullOr(Schema.Struct({ groups: Schema.Int, ...line })),
  unaccounted: Schema.NullOr(StoryLine),
  total: Schema.NullOr(Schema.Struct({ of: Schema.Literals(["host", "groups"]), ...line })),
  /** Groups whose counters began anew after `split`, by name. */
  restarts: Schema.Array(Schema.String),
  /** Of the host, in percent of the time, by what was waited for: cpu, memory, io. Empty where no rows tell. */
  pressure: Schema.Array(Schema.Struct({ what: Schema.String, ...line })),
  events: Schema.Array(StoryEvent),
  /** What people and deploys noted. */
  notes: Schema.Array(Schema.Struct({ at: Schema.Finite, text: Schema.String, author: Schema.String })),
  /** The page at that time, below the address at which NodePulse is reached. */
  link: Schema.String
})
export type StoryFacts = typeof StoryFacts.Type

export interface AlertStory extends StoryFacts {
  readonly alert: Alert
}

export class AlertStories extends Context.Service<
  AlertStories,
  {
    /** None where there is no such alert, whatever the text. */
    readonly of: (alertId: string) => Effect.Effect<Option.Option<AlertStory>, DatabaseUnavailable>
    /** Keeps stories that are complete, some at a time; how many. */
    readonly keep: Effect.Effect<number, DatabaseUnavailable>
    /** Keeps them for ever. For the supervisor. */
    readonly run: Effect.Effect<never>
  }
>()("nodepulse/alerts/AlertStories") {}

// -- the pure part

/** The two windows of an alert. The rule held since `split` at the latest; before that it need not have. */
export const windowsOf = ({ asked, firedAt }: Pick<Alert, "asked" | "firedAt">) => {
  const span = Math.max(asked.span, SPAN_MIN_MILLIS)
  return { from: firedAt - 2 * span, split: firedAt - span, to: firedAt }
}

/**
 * What the groups of an alert are ranked by: its own metric where that is a ranking; else memory for what is about memory, and the
 * CPU for the rest. Undefined where no exporter has groups.
 */
export const rankedFor = (
  { metric, resource }: Asked,
  { byResource, exporters }: Pick<RegistryShape, "byResource" | "exporters">
): { readonly exporter: string; readonly resource: string; readonly metric: string } | undefined => {
  const own = byResource(resource)
  const of = own?.top === undefined ? exporters.find(({ top }) => top !== undefined) : own
  if (of?.top === undefined) return undefined
  const { default: usual, rankings } = of.top
  const share = /memory|swap/.test(metric ?? "") ? "memory" : "cpu"
  const shared = Object.keys(rankings).find((key) => rankings[key]!.share === share)
  const isRanking = of === own && metric !== null && Object.hasOwn(rankings, metric)
  return { exporter: of.name, resource: of.resource, metric: isRanking ? metric : (shared ?? usual) }
}

/** The first groups of both windows, those that changed most first, and the one that the alert is about. */
export const topsOf = (groups: ReadonlyArray<GroupChange>, subject: string): ReadonlyArray<StoryTop> => {
  const isSubject = ({ name }: GroupChange) => subject !== "" && foldedName(name) === subject
  const first = (side: "before" | "after") =>
    groups
      .filter((group) => group[side] > 0)
      .toSorted((a, b) => b[side] - a[side])
      .slice(0, TOP)
  const chosen = new Set([...first("before"), ...first("after"), ...groups.filter(isSubject).slice(0, TOP)])
  const largest = ({ after, before }: GroupChange) => Math.max(before, after)
  const least = NOISE * Math.max(...[...chosen].map(largest))
  const changed = ({ change }: GroupChange) => (Math.abs(change) < least ? 0 : Math.abs(change))
  return [...chosen]
    .sort((a, b) => changed(b) - changed(a) || largest(b) - largest(a) || compareBytes(a.name, b.name))
    .map((group) => ({
      group: group.name,
      ...lineOf(group),
      appeared: group.appeared,
      gone: group.gone,
      restarted: group.restarted,
      isSubject: isSubject(group)
    }))
}

/** All groups that are not told. */
export const othersOf = ({ groups, other }: ChangesAnswer, tops: ReadonlyArray<StoryTop>) => {
  const told = new Set(tops.map(({ group }) => group))
  const rest = groups.filter(({ name }) => !told.has(name))
  const sum = (side: "before" | "after") => rest.reduce((total, group) => total + group[side], other[side])
  const [before, after] = [sum("before"), sum("after")]
  return { groups: other.groups + rest.length, before, after, difference: after - before }
}

export const lineOf = ({ after, before, change }: Difference): StoryLine => ({
  before,
  after,
  difference: change
})

export const eventOf = (mark: Mark): StoryEvent => ({
  kind: mark.kind,
  at: mark.at / 1_000,
  exporter: mark.exporter,
  until: mark.kind === "outage" && mark.until !== null ? mark.until / 1_000 : null,
  bySeconds: mark.kind === "clock" ? mark.bySeconds : null
})

/** An address of the page that shows the same times for ever, the two windows side by side. */
export const linkOf = (
  serverId: string | null,
  { from, split, to }: ReturnType<typeof windowsOf>,
  metric: string | undefined
): string => {
  if (serverId === null) return "/pipeline"
  const shown = { from: Math.min(from, to - LINK_SHOWS_MILLIS), to }
  const query = new URLSearchParams({
    window: spanText(shown),
    brush: spanText({ from: split, to }),
    against: "previous"
  })
  if (metric !== undefined) query.set("metric", metric)
  return `/servers/${encodeURIComponent(serverId)}?${query}`
}

/** As the page reads it. */
const spanText = ({ from, to }: { readonly from: number; readonly to: number }): string =>
  [from, to].map((at) => new Date(at).toISOString().replace(".000", "")).join("~")
