/** What a rule would have done, put together for a summary and a strip a server and group. Pure. */
import type { Answer } from "../ask/Api.ts"
import { duration } from "../parts/Format.ts"
import { legible } from "../parts/Legible.ts"

type Tried = Answer<"rules.backtest">
type Incident = Tried["rules"][number]["incidents"][number]

export interface Span {
  /** Epoch milliseconds. */
  readonly from: number
  readonly to: number
}

/** All times that it would have fired for one group on one server. */
export interface Fired {
  readonly server: string
  readonly group: string
  readonly spans: ReadonlyArray<Span>
  /** Milliseconds. */
  readonly sum: number
  readonly highest: number | null
}

const spanOf = ({ from, to }: Incident, end: number): Span => ({
  from: Date.parse(from),
  to: to === null ? end : Date.parse(to)
})

/** Those that would have fired longest first. */
export const firedOf = ({ rules, window }: Tried): ReadonlyArray<Fired> => {
  const end = Date.parse(window.to)
  const by = Map.groupBy(rules[0]?.incidents ?? [], ({ group, server_id }) => `${server_id ?? ""}\n${group}`)
  return [...by.values()]
    .map((incidents): Fired => {
      const spans = incidents.map((incident) => spanOf(incident, end))
      const values = incidents.flatMap(({ value }) => (value === null ? [] : [value]))
      return {
        server: incidents[0]?.server_id ?? "",
        group: incidents[0]?.group ?? "",
        spans,
        sum: spans.reduce((sum, { from, to }) => sum + to - from, 0),
        highest: values.length === 0 ? null : Math.max(...values)
      }
    })
    .toSorted((a, b) => b.sum - a.sum)
}

/** "3 times, longest 42 min, on db-primary only". */
export const pastSentence = (tried: Tried): string => {
  const [rule] = tried.rules
  if (rule === undefined) return ""
  const { servers, tried: count } = rule
  if (servers === 0) return "No server has such a name."
  if (count === servers) return firedSentence(rule, tried.window.to)
  if (count === 0) return `None of ${servers} servers could be tried in time: name fewer servers.`
  const told = firedSentence(rule, tried.window.to)
  return `${told.endsWith(".") ? told : `${told}.`} Only ${count} of ${servers} servers could be tried in time: name fewer for all of them.`
}

type Rule = Tried["rules"][number]

const firedSentence = ({ incidents, more, tried }: Rule, until: string): string => {
  if (incidents.length === 0) return "It would not have fired in the last 7 days."
  const end = Date.parse(until)
  const count = incidents.length + more
  const longest = Math.max(...incidents.map((one) => spanOf(one, end).to - spanOf(one, end).from))
  const where = new Set(incidents.map(({ server_id }) => server_id ?? ""))
  const [only = ""] = where
  const on = where.size === 1 ? `on ${legible(only, 60)} only` : `on ${where.size} of ${tried} servers`
  const times = count === 1 ? "Once" : `${count} times`
  return `${times} in the last 7 days, ${count === 1 ? "for" : "longest"} ${duration(longest / 1000)}, ${on}`
}
