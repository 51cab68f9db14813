/**
 * What a ranking of one server asks, and how its answers fit together: the table's rows, the chart's series, and who
 * restarted.
 *
 * A refresh is small however many groups there are: the first `FRESH` rows are asked for with every beat, the rest of a long
 * list once and on demand; it is dated. What is over is asked for seldom.
 */
import { useMemo, useState } from "react"
import type { Exporter, Group, Ranking, Series, Top } from "../ask/Api.ts"
import { useGrouping } from "../ask/Grouping.ts"
import { type Asked, useAsk, useNow } from "../ask/Refresh.tsx"
import { isOver, lookedAtQuery, type Range, windowQuery } from "../ask/Spans.ts"
import type { LookedAt } from "./Columns.ts"

/** Rows at first: with chart and head they fit a screen of 900 pixels. */
export const LISTED = 15
const FRESH = 100
const ALL = 1_000
/** In beats: what is over changes only where rows come late. */
export const OVER_EVERY = 20

export const groupsOf = (top: Top, resource: string): ReadonlyArray<Group> =>
  (top[resource] ?? []) as ReadonlyArray<Group>

/** A field of a row, where it is a number. */
export const numberOf = (value: unknown): number | null => (typeof value === "number" ? value : null)

export interface Ranked {
  readonly table: Asked<Top>
  readonly chart: Asked<Series>
  readonly rows: ReadonlyArray<Group>
  /** Groups that are not among the rows. */
  readonly unlisted: number
  /** When the rows beyond the first `FRESH` were asked for; undefined where all are fresh. */
  readonly datedAt: number | undefined
  readonly refreshDated: () => void
  /** How often each group's counters began anew in what is looked at, those with most first. */
  readonly restarts: ReadonlyMap<string, number>
  readonly looked: LookedAt
}

export const useRanked = (
  id: string,
  exporter: Exporter,
  ranking: Ranking,
  range: Range,
  options: { readonly long: boolean; readonly pace: number }
): Ranked => {
  const { resource } = exporter
  const { long, pace } = options
  const now = useNow()
  const metric = ranking.key
  const grouping = useGrouping()
  const over = isOver(range, pace, now)
  const single = range.moment !== undefined
  const whole = range.fixed !== undefined && isOver({ ...range, brush: undefined, moment: undefined }, pace, now)
  const looked = lookedAtQuery(range, pace)
  const table = useAsk(
    "rankings.top",
    { id, resource, metric, grouping, limit: long ? FRESH : LISTED, ...looked },
    { everyBeats: over ? OVER_EVERY : 1 }
  )
  const [again, setAgain] = useState(0)
  const rest = useAsk(
    "rankings.top",
    { id, resource, metric, grouping, limit: ALL, ...looked },
    { off: !long || table.value?.other.groups === 0, everyBeats: Number.POSITIVE_INFINITY, again }
  )
  const chart = useAsk(
    "overview.series",
    { id, resource, metric, grouping, limit: LISTED, points: 120, ...windowQuery(range) },
    { everyBeats: whole ? OVER_EVERY : 1 }
  )
  const part = range.brush !== undefined || single
  const inPart = useAsk(
    "overview.series",
    { id, resource, metric, grouping, limit: LISTED, points: 2, ...looked },
    { off: !part || (table.value?.resets ?? 0) === 0, everyBeats: OVER_EVERY }
  )
  const restarted = part ? inPart.value : chart.value
  const restarts = useMemo(() => restartsOf(restarted), [restarted])
  const older = long ? rest.value : undefined
  const rows = useMemo(
    () => (table.value === undefined ? [] : merged(groupsOf(table.value, resource), older, resource)),
    [table.value, older, resource]
  )
  const dated = rows.length > FRESH && older !== undefined
  return {
    table,
    chart,
    rows,
    unlisted: (dated ? older : table.value)?.other.groups ?? 0,
    datedAt: dated ? rest.at : undefined,
    refreshDated: () => setAgain((count) => count + 1),
    restarts,
    looked: useMemo(() => ({ over, single }), [over, single])
  }
}

/** The fresh rows, then those of the older and longer answer that are not among them. */
const merged = (fresh: ReadonlyArray<Group>, older: Top | undefined, resource: string): ReadonlyArray<Group> => {
  if (older === undefined) return fresh
  const names = new Set(fresh.map(({ name }) => name))
  return [...fresh, ...groupsOf(older, resource).filter(({ name }) => !names.has(name))]
}

const restartsOf = (value: Series | undefined): ReadonlyMap<string, number> =>
  new Map(
    (value?.series ?? [])
      .filter(({ resets }) => resets > 0)
      .toSorted((a, b) => b.resets - a.resets)
      .map(({ name, resets }) => [name, resets])
  )
