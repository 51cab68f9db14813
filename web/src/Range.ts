/** Which window is looked at: a length up to now, or a fixed one; and the brush, a window within it. */
import { usePlace } from "./Url.ts"

export interface Window {
  /** Epoch milliseconds. */
  readonly from: number
  readonly to: number
}

export const RANGES = [
  { key: "1h", hours: 1, label: "1 h", title: "The last hour" },
  { key: "6h", hours: 6, label: "6 h", title: "The last 6 hours" },
  { key: "24h", hours: 24, label: "24 h", title: "The last 24 hours" },
  { key: "7d", hours: 168, label: "7 d", title: "The last 7 days" }
] as const

export interface Range {
  /** One of `RANGES`, or `custom`. */
  readonly key: string
  readonly hours: number
  /** The end, RFC 3339; undefined where it is now. */
  readonly at: string | undefined
  readonly fixed: Window | undefined
  readonly brush: Window | undefined
}

const parseWindow = (text: string | null): Window | undefined => {
  const [from, to] = (text ?? "").split("~").map((part) => Date.parse(part))
  return from !== undefined && to !== undefined && from < to ? { from, to } : undefined
}

export const formatWindow = ({ from, to }: Window): string =>
  `${new Date(from).toISOString().replace(".000", "")}~${new Date(to).toISOString().replace(".000", "")}`

/** The range that an address names. */
export const rangeOf = (query: URLSearchParams): Range => {
  const fixed = parseWindow(query.get("window"))
  const brush = parseWindow(query.get("brush"))
  if (fixed !== undefined) {
    return { key: "custom", hours: hoursOf(fixed), at: iso(fixed.to), fixed, brush }
  }
  const known = RANGES.find(({ key }) => key === query.get("range")) ?? RANGES[0]
  return { key: known.key, hours: known.hours, at: undefined, fixed: undefined, brush }
}

export const useRange = (): Range => rangeOf(usePlace().query)

/** The parameters of a question about a window. The end is never in the future, by whoever's clock. */
export const windowQuery = (
  range: Range,
  brushed = false
): { readonly hours: number; readonly at: string | undefined } =>
  brushed && range.brush !== undefined
    ? { hours: hoursOf(range.brush), at: iso(range.brush.to) }
    : { hours: range.hours, at: range.at }

/** With as many digits as the server takes, and more than a microsecond needs. */
const hoursOf = ({ from, to }: Window): number => Number(((to - from) / 3_600_000).toFixed(10))

const iso = (time: number): string => new Date(Math.min(time, Date.now() - 1_000)).toISOString()
