/** The table of a ranking, to be taken elsewhere. Pure but for the address of the page. */
import type { Exporter, Ranking } from "../ask/Api.ts"
import { formatWindow } from "../ask/Range.ts"
import { linkWith } from "../ask/Url.ts"
import { inUnit, percent, window as windowText, words } from "../parts/Format.ts"
import { type Cell, cellsOf, tellsProportional } from "./Columns.ts"
import { groupsOf, type Ranked } from "./Ranked.ts"
import { totalOf } from "./RankedTable.tsx"
import type { Sheet } from "./TakeAway.ts"

interface Shown {
  readonly id: string
  readonly exporter: Exporter
  readonly ranking: Ranking
  readonly ranked: Ranked
  readonly divisorOf: (ranking: Ranking) => number
}

type Values = Readonly<Record<string, string | number | null | undefined>>

/** The table as it is shown, with the times that it is of: of a range up to now those of its latest answer. */
export const rankedSheet = ({ divisorOf, exporter, id, ranked, ranking }: Shown): Sheet | undefined => {
  const top = ranked.table.value
  if (top === undefined) return undefined
  const cells = cellsOf(exporter, ranking.key, ranked.looked, tellsProportional(exporter, ranked.rows))
  const [from, to] = [Date.parse(top.window.from), Date.parse(top.window.to)]
  const chart = ranked.chart.value?.window
  const pinned = chart === undefined ? { from, to } : { from: Date.parse(chart.from), to: Date.parse(chart.to) }
  const shownIn = (cell: Cell, value: Values[string]) =>
    inUnit(typeof value === "number" ? value / (cell.of === undefined ? 1 : divisorOf(cell.of)) : null, cell.unit)
  const rowOf = (name: string, values: Values, blank: boolean) => ({
    name,
    shown: cells.map((cell) => (blank && values[cell.field] === undefined ? "" : shownIn(cell, values[cell.field]))),
    values: cells.map(({ field }) => values[field])
  })
  const total = totalOf(top, groupsOf(top, exporter.resource), cells, ranking)
  return {
    title: `${id} · ${windowText(from, to, Date.now())} · coverage ${percent(top.coverage * 100)} %`,
    address: linkWith({ window: formatWindow(pinned), range: undefined }),
    name: words(exporter.top?.per ?? "name"),
    columns: cells.map((cell) => ({ head: headOf(cell), field: cell.field })),
    rows: ranked.rows.map((row) => rowOf(row.name, row, false)),
    rest: [
      ...(ranked.unlisted === 0 ? [] : [rowOf(`${ranked.unlisted} more`, top.other, true)]),
      rowOf("Total", total, true)
    ]
  }
}

const headOf = ({ label, of, part }: Cell): string =>
  of === undefined || part === "now" ? label : `${words(of.key)} ${label}`
