/** The windows that a view is about: what is shown, what is looked at within it, and what that is compared with. Pure. */

export interface Window {
  /** Epoch milliseconds. */
  readonly from: number
  readonly to: number
}

export interface Range {
  /** One of the known lengths (`Range.ts`), or `custom`. */
  readonly key: string
  readonly hours: number
  /** The end, RFC 3339; undefined where it is now. */
  readonly at: string | undefined
  readonly fixed: Window | undefined
  readonly brush: Window | undefined
  /** A moment that was clicked, epoch milliseconds: the table shows the scrape before it. */
  readonly moment: number | undefined
  /** What it is compared with; undefined where it is looked at alone. */
  readonly compared: Comparison | undefined
}

/** What a window is compared with. */
export interface Comparison {
  /** The span just before it, the same time, a day or a week earlier, or the moment at which the span before ends. */
  readonly against: "previous" | "same" | "day" | "week" | number
  /** Another server, whose window it is. */
  readonly server: string | undefined
}

const HOUR = 3_600_000
const DAY = 24 * HOUR

/** The two windows that are compared, where the range ends at `to`; undefined where it is looked at alone. */
export const spansOf = (range: Range, to: number): { readonly before: Window; readonly after: Window } | undefined => {
  const { brush, compared, fixed, hours } = range
  if (compared === undefined) return undefined
  const after = brush ?? fixed ?? { from: to - hours * HOUR, to }
  const { against } = compared
  const ends = { previous: after.from, same: after.to, day: after.to - DAY, week: after.to - 7 * DAY }
  const end = typeof against === "number" ? against : ends[against]
  return { before: { from: end - (after.to - after.from), to: end }, after }
}

/** What a chart shades: of another server's window nothing is drawn here. */
export const shadedOf = (range: Range, to: number): Partial<NonNullable<ReturnType<typeof spansOf>>> | undefined => {
  const spans = spansOf(range, to)
  return spans === undefined || range.compared?.server === undefined ? spans : { after: spans.after }
}

/**
 * The parameters of a question about all that is shown: the range, and the span that it is compared with. The end is never in
 * the future, by whoever's clock.
 */
export const windowQuery = (range: Range): WindowQuery => {
  const { at, compared, fixed, hours } = range
  const now = Date.now()
  const spans = compared?.server === undefined ? spansOf(range, now) : undefined
  if (spans === undefined) return { hours, at }
  const { before } = spans
  if (fixed !== undefined) {
    const both = { from: Math.min(fixed.from, before.from), to: Math.max(fixed.to, before.to) }
    return { hours: hoursOf(both), at: iso(both.to) }
  }
  // In quarters of an hour, so that it is the same question for a while.
  const back = Math.ceil((now - before.from - 1_000) / (HOUR / 4)) / 4
  return { hours: Math.max(hours, back), at }
}

/** At least so much is compared on either side of a moment, where there is as much after it. */
const SIDE_MIN = 5 * 60_000
const AFTER_MIN = 60_000

/**
 * What came after a moment, as long as what is shown before it: so that both sides are in the chart. Undefined where next to
 * nothing came after it yet.
 */
export const afterMoment = ({ fixed, hours }: Range, time: number): Window | undefined => {
  const now = Date.now() - 1_000
  const shown = fixed ?? { from: now - hours * HOUR, to: now }
  const side = Math.max(Math.min(time - shown.from, shown.to - time), SIDE_MIN)
  const to = Math.min(time + side, now)
  return to - time < AFTER_MIN ? undefined : { from: time, to }
}

/** Those of what is looked at: the moment, else what is marked, else the range; of two windows the later one. */
export const lookedAtQuery = (range: Range, paceSeconds: number): WindowQuery => {
  const { brush, moment } = range
  if (moment !== undefined) return { hours: hoursOf({ from: 0, to: paceSeconds * 1_000 }), at: iso(moment) }
  return brush === undefined ? { hours: range.hours, at: range.at } : { hours: hoursOf(brush), at: iso(brush.to) }
}

interface WindowQuery {
  readonly hours: number
  readonly at: string | undefined
}

/** Whether what is looked at is over: then its latest values are not those of now. */
export const isOver = ({ brush, fixed, moment }: Range, paceSeconds: number, now: number): boolean => {
  const end = moment ?? brush?.to ?? fixed?.to
  return end !== undefined && end < now - 3 * paceSeconds * 1_000
}

/** With as many digits as the server takes, and more than a microsecond needs. */
export const hoursOf = ({ from, to }: Window): number => Number(((to - from) / 3_600_000).toFixed(10))

/**
 * A moment as the server takes it, never in the future. One that has only just begun is cut to whole seconds: else each drawing
 * would ask another question, and wait for the answer to none.
 */
export const iso = (time: number): string => {
  const now = Date.now() - 1_000
  return new Date(time <= now ? time : Math.floor(now / 1_000) * 1_000).toISOString()
}
