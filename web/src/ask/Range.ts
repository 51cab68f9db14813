/**
 * Which window is looked at: a length up to now, or a fixed one; within it the brush, a span that is marked, or a moment,
 * which is one scrape. Where it is compared with another one, what is shown reaches over both.
 */
import { type Comparison, hoursOf, iso, type Range, type Window } from "./Spans.ts"
import { usePlace } from "./Url.ts"

export const RANGES = [
  { key: "1h", hours: 1, label: "1 h", title: "The last hour" },
  { key: "6h", hours: 6, label: "6 h", title: "The last 6 hours" },
  { key: "24h", hours: 24, label: "24 h", title: "The last 24 hours" },
  { key: "7d", hours: 168, label: "7 d", title: "The last 7 days" }
] as const

export const USUAL = "1h"

const AGAINST = ["previous", "same", "day", "week"] as const

const parseComparison = (query: URLSearchParams): Comparison | undefined => {
  const text = query.get("against")
  const known = AGAINST.find((one) => one === text)
  const picked = Date.parse(text ?? "")
  const against = known ?? (Number.isNaN(picked) ? undefined : picked)
  return against === undefined ? undefined : { against, server: query.get("with") ?? undefined }
}

const parseWindow = (text: string | null): Window | undefined => {
  const [from, to] = (text ?? "").split("~").map((part) => Date.parse(part))
  return from !== undefined && to !== undefined && from < to ? { from, to } : undefined
}

export const formatWindow = ({ from, to }: Window): string =>
  `${new Date(from).toISOString().replace(".000", "")}~${new Date(to).toISOString().replace(".000", "")}`

/** The range that an address names. */
const rangeOf = (query: URLSearchParams, usual: string): Range => {
  const fixed = parseWindow(query.get("window"))
  const clicked = Date.parse(query.get("moment") ?? "")
  const moment = Number.isNaN(clicked) ? undefined : clicked
  const marked = { brush: parseWindow(query.get("brush")), moment, compared: parseComparison(query) }
  if (fixed !== undefined) return { key: "custom", hours: hoursOf(fixed), at: iso(fixed.to), fixed, ...marked }
  const named = (name: string | null) => RANGES.find(({ key }) => key === name)
  const known = named(query.get("range")) ?? named(usual) ?? RANGES[0]
  return { key: known.key, hours: known.hours, at: undefined, fixed: undefined, ...marked }
}

/** `usual` is the range where the address names none. */
export const useRange = (usual = USUAL): Range => rangeOf(usePlace().query, usual)
