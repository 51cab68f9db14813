/**
 * The columns of a ranking's table, from the catalog alone: first the ranking that is looked at, then how many there are,
 * then the others. Each has a priority, so that a name always has room however many rankings an exporter has. Pure.
 */
import type { Exporter, Group, Ranking } from "../ask/Api.ts"
import { words } from "../parts/Format.ts"

export interface Cell {
  readonly field: string
  readonly label: string
  readonly title: string
  readonly unit: string
  /** The ranking that it belongs to. */
  readonly of: Ranking | undefined
  readonly part: "now" | "average" | "peak" | "count"
  /** 0 is always there; the style sheet leaves out the others from the highest on, by the room that there is. */
  readonly priority: 0 | 1 | 2 | 3 | 4 | 5
}

type Part = "now" | "average" | "peak"
const TITLES: Readonly<Record<Part, string>> = {
  now: "In the latest scrape.",
  average: "Average over the time range.",
  peak: "Highest value in the time range."
}

export interface LookedAt {
  /** What is looked at is over: its latest values are not of now. */
  readonly over: boolean
  /** It is a single scrape, of which average and peak are the same. */
  readonly single: boolean
}

/** Whether any row tells memory with shared pages counted once: then that is a column, and the other one is called RSS. */
export const tellsProportional = ({ top }: Exporter, rows: ReadonlyArray<Group>): boolean =>
  top !== null && top.proportional !== null && rows.some((row) => typeof row[top.proportional ?? ""] === "number")

export const cellsOf = (
  exporter: Exporter,
  metric: string,
  { over, single }: LookedAt,
  hasProportional = false
): ReadonlyArray<Cell> => {
  const { top } = exporter
  if (top === null) return []
  const docOf = (column: string) => exporter.columns.find(({ name }) => name === column)?.doc ?? ""
  const cell = (ranking: Ranking, part: Part, label: string, priority: Cell["priority"]): Cell => ({
    field: ranking.fields[part],
    label,
    title: `${TITLES[part]} ${docOf(ranking.column)}`,
    unit: ranking.unit,
    of: ranking,
    part,
    priority
  })
  const latest = over ? "then" : "now"
  const called = ({ key, share }: Ranking) => (hasProportional && share === "memory" ? "RSS" : words(key))
  const current = top.rankings.filter(({ key }) => key === metric)
  const first = current.flatMap((ranking) => {
    const byRate = ranking.by === "rate"
    const name = `${called(ranking)} ${latest}`
    if (single) return [cell(ranking, byRate ? "average" : "peak", name, 0)]
    return [
      cell(ranking, "now", name, 0),
      cell(ranking, "average", "avg", byRate ? 0 : 2),
      cell(ranking, "peak", "peak", byRate ? 2 : 0)
    ]
  })
  const others = top.rankings
    .filter(({ key, on_demand }) => key !== metric && !on_demand)
    .flatMap((ranking, n) => [
      cell(ranking, "now", `${called(ranking)} ${latest}`, n === 0 ? 1 : n < 3 ? 4 : 5),
      ...(single ? [] : [cell(ranking, "peak", "peak", n === 0 ? 4 : 5)])
    ])
  // What not every sender tells is no column of every table.
  const gauges = top.also
    .filter(({ field, nullable }) => !nullable || (field === top.proportional && hasProportional))
    .map(
      (also): Cell => ({
        field: also.field,
        label: also.field === top.presence ? "Count" : also.field === top.proportional ? "PSS" : words(also.field),
        title: also.doc,
        unit: also.unit,
        of: undefined,
        part: "count",
        priority: also.field === top.presence ? (single ? 1 : 3) : also.field === top.proportional ? 4 : 5
      })
    )
  return [...first, ...others, ...gauges]
}
