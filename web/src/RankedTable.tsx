/**
 * The groups of a ranking as a table, from the catalog alone: now, average and peak of every ranking, every other gauge,
 * a trend.
 *
 * Rows stay where they are while the pointer is on the table or the focus is in it; what is gone stays, grey and dated. The
 * last rows say what is not listed, so that the sum is the whole.
 */
import { useCallback, useMemo, useRef, useState } from "react"
import type { Exporter, Group, Ranking, Series, Top } from "./Api.ts"
import { inUnit, moment, words } from "./Format.ts"
import { useKeys } from "./Keys.ts"
import { Name } from "./Name.tsx"
import { useNow } from "./Refresh.tsx"
import { type Sorted, SortHead, sortedBy } from "./Sort.tsx"
import { Spark } from "./Spark.tsx"
import { usePlace } from "./Url.ts"
import { VirtualRows } from "./Virtual.tsx"

export const groupsOf = (top: Top, resource: string): ReadonlyArray<Group> =>
  (top[resource] ?? []) as ReadonlyArray<Group>

interface Cell {
  readonly field: string
  readonly label: string
  readonly title: string
  readonly unit: string
  /** The ranking that it belongs to. */
  readonly of: Ranking | undefined
  readonly part: "now" | "average" | "peak" | "count"
}

/** The columns between the name and the trend: the gauge that tells of presence first, then each ranking, then the rest. */
const cellsOf = (exporter: Exporter, metric: string): ReadonlyArray<Cell> => {
  const { top } = exporter
  if (top === null) return []
  const docOf = (column: string) => exporter.columns.find(({ name }) => name === column)?.doc ?? ""
  const gauge = (also: (typeof top.also)[number]): Cell => ({
    field: also.field,
    label: also.field === top.presence ? "Count" : words(also.field),
    title: also.doc,
    unit: also.unit,
    of: undefined,
    part: "count"
  })
  const count = top.also.filter(({ field }) => field === top.presence).map(gauge)
  const rest = top.also.filter(({ field }) => field !== top.presence).map(gauge)
  const ranked = top.rankings.flatMap((ranking): ReadonlyArray<Cell> => {
    const name = words(ranking.key)
    const doc = docOf(ranking.column)
    const cell = (part: "now" | "average" | "peak", label: string, title: string): Cell => ({
      field: ranking.fields[part],
      label,
      title: `${title} ${doc}`,
      unit: ranking.unit,
      of: ranking,
      part
    })
    const now = cell("now", `${name} now`, "In the latest scrape.")
    const average = cell("average", "avg", "Average of the window.")
    const peak = cell("peak", "peak", "Highest of the window.")
    return ranking.by === "rate" || ranking.key === metric ? [now, average, peak] : [now, peak]
  })
  return [...count, ...ranked, ...rest]
}

interface Props {
  readonly exporter: Exporter
  readonly metric: string
  readonly top: Top
  readonly trends: Series | undefined
  readonly search: string
  readonly divisorOf: (ranking: Ranking) => number
  readonly open: string | undefined
  readonly onOpen: (name: string | undefined) => void
  readonly onMore: (() => void) | undefined
}

export const RankedTable = ({ divisorOf, exporter, metric, onMore, onOpen, open, search, top, trends }: Props) => {
  const { query, set } = usePlace()
  const now = useNow()
  const cells = useMemo(() => cellsOf(exporter, metric), [exporter, metric])
  const ranking = exporter.top?.rankings.find(({ key }) => key === metric)
  const rows = groupsOf(top, exporter.resource)
  const sort: Sorted = { by: query.get("sort") ?? "", up: query.get("dir") === "up" }
  const presence = exporter.top?.presence ?? null

  const trendOf = useMemo(() => new Map(trends?.series.map((one) => [one.name, one])), [trends])
  const wanted = search.toLowerCase()
  const found = useMemo(
    () => (wanted === "" ? rows : rows.filter(({ name }) => name.toLowerCase().includes(wanted))),
    [rows, wanted]
  )
  const sorted = useMemo(
    () =>
      sort.by === ""
        ? found
        : sortedBy(
            found,
            (row) => (sort.by === "name" ? row.name.toLowerCase() : (row[sort.by] ?? null)),
            sort.up,
            ({ name }) => name
          ),
    [found, sort.by, sort.up]
  )

  // The order in which rows stand still: the one that was shown when the pointer came.
  const [held, setHeld] = useState(false)
  const order = useRef<{ readonly question: string; readonly rows: ReadonlyArray<Group> }>({ question: "", rows: [] })
  const question = `${exporter.resource} ${metric} ${sort.by} ${sort.up} ${wanted} ${top.time_range_hours} ${query.get("brush")} ${query.get("window")}`
  const shown = useMemo(() => {
    const before = order.current
    if (!held || before.question !== question) return sorted
    const fresh = new Map(sorted.map((row) => [row.name, row]))
    const kept = before.rows.map((row) => {
      const newer = fresh.get(row.name)
      fresh.delete(row.name)
      return newer ?? row
    })
    return [...kept, ...fresh.values()]
  }, [sorted, held, question])
  order.current = { question, rows: shown }

  const [chosen, setChosen] = useState<string>()
  const at = shown.findIndex(({ name }) => name === (chosen ?? open))
  useKeys(
    useCallback(
      (key) => {
        if (key === "ArrowDown" || key === "ArrowUp") {
          const rows = order.current.rows
          const from = rows.findIndex(({ name }) => name === (chosen ?? open))
          const next = rows[Math.max(0, Math.min(rows.length - 1, from + (key === "ArrowDown" ? 1 : -1)))]
          setChosen(next?.name)
          if (open !== undefined && next !== undefined) onOpen(next.name)
          return true
        }
        if (
          key === "Enter" &&
          chosen !== undefined &&
          !(document.activeElement instanceof HTMLButtonElement) &&
          !(document.activeElement instanceof HTMLAnchorElement)
        ) {
          onOpen(chosen)
          return true
        }
        if (key === "Escape" && open === undefined && chosen !== undefined) {
          setChosen(undefined)
          return true
        }
        return false
      },
      [chosen, open, onOpen]
    )
  )

  const rankedField = ranking === undefined ? "" : ranking.by === "rate" ? ranking.fields.average : ranking.fields.peak
  const best = Math.max(...rows.map((row) => numberOf(row[rankedField]) ?? 0), 1e-9)
  const onSort = (by: string, up: boolean) => set({ sort: by, dir: up ? "up" : undefined }, true)
  const shownIn = (cell: Cell, value: string | number | null | undefined) => {
    const amount = numberOf(value)
    if (cell.of === undefined) return inUnit(amount, cell.unit)
    return inUnit(amount === null ? null : amount / divisorOf(cell.of), cell.unit)
  }
  const isGone = (row: Group) => presence !== null && (row[presence] ?? 0) === 0

  return (
    <table
      className="ranked"
      onPointerEnter={() => setHeld(true)}
      onPointerLeave={() => setHeld(false)}
      onFocus={() => setHeld(true)}
      onBlur={() => setHeld(false)}
    >
      <caption className="visually-hidden">
        {exporter.title}, ranked by {words(metric)}
      </caption>
      <thead>
        <tr>
          <SortHead
            by="name"
            label={words(exporter.top?.per ?? "name").replace(/ name$/, "")}
            sort={sort}
            onSort={onSort}
            upFirst
            className="wide"
          />
          {cells.map((cell) => (
            <SortHead
              key={cell.field}
              by={cell.field}
              label={cell.label}
              title={cell.title}
              sort={sort.by === "" && cell.field === rankedField ? { by: rankedField, up: false } : sort}
              onSort={onSort}
              className={cellClass(cell, metric)}
            />
          ))}
          <th scope="col" className="trend">
            Trend
          </th>
        </tr>
      </thead>
      <VirtualRows
        count={shown.length}
        rowHeight={41}
        columns={cells.length + 2}
        reveal={chosen === undefined ? undefined : at}
        render={(index) => {
          const row = shown[index]
          if (row === undefined) return null
          const gone = isGone(row)
          const trend = trendOf.get(row.name)
          const since = trend?.last_seen
          return (
            // biome-ignore lint/a11y/useKeyWithClickEvents: the button in the row is for the keyboard.
            <tr
              key={row.name}
              className={`${gone ? "gone" : ""}${row.name === open ? " open" : ""}${row.name === chosen ? " chosen" : ""}`}
              onClick={() => onOpen(row.name === open ? undefined : row.name)}
            >
              <th scope="row" className="wide">
                <button
                  type="button"
                  className="row-button"
                  aria-expanded={row.name === open}
                  onClick={(event) => {
                    event.stopPropagation()
                    onOpen(row.name === open ? undefined : row.name)
                  }}
                >
                  <Name value={row.name} query={search} />
                </button>
                {gone && (
                  <span className="gone-since">
                    gone{since == null ? "" : ` since ${moment(Date.parse(since), now)}`}
                  </span>
                )}
              </th>
              {cells.map((cell) => {
                const value = row[cell.field]
                const ranks = cell.of?.key === metric && cell.field === rankedField
                return (
                  <td
                    key={cell.field}
                    className={cellClass(cell, metric)}
                    data-label={
                      cell.of === undefined || cell.part === "now" ? cell.label : `${words(cell.of.key)} ${cell.label}`
                    }
                  >
                    {ranks ? <Bar part={(numberOf(value) ?? 0) / best} /> : null}
                    <span className="cell-value">{gone && cell.part === "now" ? "–" : shownIn(cell, value)}</span>
                  </td>
                )
              })}
              <td className="trend">
                {trend === undefined ? (
                  <span className="spark-none" />
                ) : (
                  <Spark values={trend.values} label="Trend over the range" />
                )}
              </td>
            </tr>
          )
        }}
      />
      <tfoot>
        <RestRow
          name={`${top.other.groups ?? 0} more, not listed`}
          cells={cells}
          values={top.other}
          metric={metric}
          shownIn={shownIn}
          onClick={onMore}
          hidden={(top.other.groups ?? 0) === 0}
        />
        {top.unaccounted !== null && ranking?.by === "rate" && (
          <RestRow
            name="Unaccounted"
            title="The host's busy CPU beyond all groups: processes that lived shortly, and the kernel itself"
            cells={cells}
            values={{ [ranking.fields.average]: top.unaccounted.avg_cpu_percent }}
            metric={metric}
            shownIn={shownIn}
          />
        )}
        <RestRow
          name="All together"
          strong
          cells={cells}
          values={totalOf(top, rows, cells, ranking)}
          metric={metric}
          shownIn={shownIn}
        />
      </tfoot>
    </table>
  )
}

/** What adds up: now and averages, with all that is not listed. Peaks do not. */
const totalOf = (top: Top, rows: ReadonlyArray<Group>, cells: ReadonlyArray<Cell>, ranking: Ranking | undefined) => {
  const total: Record<string, number> = {}
  for (const { field, of, part } of cells) {
    if (part === "peak") continue
    const listed = rows.reduce((sum, row) => sum + (numberOf(row[field]) ?? 0), 0)
    if (of === undefined) {
      if ((top.other.groups ?? 0) === 0) total[field] = listed
      continue
    }
    const unaccounted =
      of.share === "cpu" && of.key === ranking?.key && part === "average" ? (top.unaccounted?.avg_cpu_percent ?? 0) : 0
    total[field] = listed + (top.other[field] ?? 0) + unaccounted
  }
  return total
}

const RestRow = ({
  cells,
  hidden = false,
  metric,
  name,
  onClick,
  shownIn,
  strong = false,
  title,
  values
}: {
  readonly name: string
  readonly cells: ReadonlyArray<Cell>
  readonly values: Readonly<Record<string, number>>
  readonly metric: string
  readonly shownIn: (cell: Cell, value: number | undefined) => string
  readonly title?: string
  readonly strong?: boolean
  readonly hidden?: boolean
  readonly onClick?: (() => void) | undefined
}) =>
  hidden ? null : (
    <tr className={strong ? "total" : "rest"} title={title}>
      <th scope="row" className="wide">
        {onClick === undefined ? (
          name
        ) : (
          <button type="button" className="link" onClick={onClick}>
            {name}: show all
          </button>
        )}
      </th>
      {cells.map((cell) => (
        <td key={cell.field} className={cellClass(cell, metric)}>
          {values[cell.field] === undefined ? "" : shownIn(cell, values[cell.field])}
        </td>
      ))}
      <td className="trend" />
    </tr>
  )

const cellClass = (cell: Cell, metric: string): string =>
  `num ${cell.part}${cell.of === undefined ? "" : cell.of.key === metric ? " ranks" : " aside"}`

const numberOf = (value: string | number | null | undefined): number | null =>
  typeof value === "number" ? value : null

const Bar = ({ part }: { readonly part: number }) => (
  <svg className="bar" aria-hidden="true" preserveAspectRatio="none" viewBox="0 0 100 10">
    <rect width={Math.max(0, Math.min(1, part)) * 100} height="10" rx="1" />
  </svg>
)
