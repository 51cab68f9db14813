/**
 * The groups of a ranking as a table, from the catalog alone; beside the chart it is its legend, in the chart's colours.
 *
 * Rows stay where they are while the pointer is on the table or the focus is in it; what is gone stays, grey and dated. The
 * last rows say what is not listed, so that the sum is the whole.
 */
import { useCallback, useMemo, useRef, useState } from "react"
import type { Exporter, Group, Ranking, Series, Top } from "../ask/Api.ts"
import { useNow } from "../ask/Refresh.tsx"
import { usePlace } from "../ask/Url.ts"
import { Spark } from "../charts/Spark.tsx"
import { type Stacked, Swatch } from "../charts/Stack.tsx"
import { useKeys } from "../frame/Keys.ts"
import { useNarrow } from "../frame/Narrow.ts"
import { coloursOf, useDark } from "../frame/Theme.ts"
import { inUnit, moment, words } from "../parts/Format.ts"
import { legible } from "../parts/Legible.ts"
import { Name } from "../parts/Name.tsx"
import { type Sorted, SortHead, sortedBy } from "../parts/Sort.tsx"
import { VirtualRows } from "../parts/Virtual.tsx"
import { Acted } from "./Acted.tsx"
import { type Cell, cellsOf, tellsProportional } from "./Columns.ts"
import { countOf, isMonitoring, valuesOf } from "./Membership.ts"
import { groupsOf, numberOf, type Ranked } from "./Ranked.ts"

interface Props {
  readonly exporter: Exporter
  readonly metric: string
  readonly top: Top
  readonly ranked: Ranked
  readonly stacked: Stacked | undefined
  /** The step under the crosshair: the chart's values there take the place of the latest ones. */
  readonly step: number | undefined
  readonly search: string
  readonly divisorOf: (ranking: Ranking) => number
  readonly open: string | undefined
  readonly onOpen: (name: string | undefined) => void
  readonly onFocus: (key: string | undefined) => void
  readonly onMore: (() => void) | undefined
}

export const RankedTable = (props: Props) => {
  const { divisorOf, exporter, metric, onMore, onOpen, open, ranked, search, stacked, step, top } = props
  const { query, set } = usePlace()
  const now = useNow()
  const narrow = useNarrow()
  const { muted } = coloursOf(useDark())
  const proportional = tellsProportional(exporter, ranked.rows)
  const cells = useMemo(
    () => cellsOf(exporter, metric, ranked.looked, proportional),
    [exporter, metric, ranked.looked, proportional]
  )
  const ranking = exporter.top?.rankings.find(({ key }) => key === metric)
  const sort: Sorted = { by: query.get("sort") ?? "", up: query.get("dir") === "up" }
  const presence = exporter.top?.presence ?? null
  const question = `${exporter.resource} ${metric} ${sort.by} ${sort.up} ${search} ${top.time_range_hours} ${query.get("brush")} ${query.get("window")} ${query.get("moment")}`
  const { hold, shown } = useShown(ranked.rows, sort, search, question)
  const { chosen, reveal } = useArrows(shown, open, onOpen)
  const trendOf = useMemo(() => new Map(ranked.chart.value?.series.map((one) => [one.name, one])), [ranked.chart.value])
  const hovered = useMemo(() => hoveredAt(stacked, step), [stacked, step])

  const rankedField = ranking === undefined ? "" : ranking.by === "rate" ? ranking.fields.average : ranking.fields.peak
  const best = Math.max(...ranked.rows.map((row) => numberOf(row[rankedField]) ?? 0), 1e-9)
  const onSort = (by: string, up: boolean) => set({ sort: by, dir: up ? "up" : undefined }, true)
  const shownIn = (cell: Cell, value: string | number | null | undefined) => {
    const amount = numberOf(value)
    if (cell.of === undefined) return inUnit(amount, cell.unit)
    return inUnit(amount === null ? null : amount / divisorOf(cell.of), cell.unit)
  }
  const rest = { cells, metric, shownIn, hovered }
  return (
    <table className="ranked" {...hold}>
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
              label={hovered !== undefined && isLatest(cell, metric) ? hovered.clock : cell.label}
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
        rowHeight={narrow ? 41 : 35}
        columns={cells.length + 2}
        reveal={reveal}
        render={(index) => {
          const row = shown[index]
          if (row === undefined) return null
          return (
            <Row
              key={row.name}
              index={index}
              row={row}
              labels={exporter.top?.labels ?? NO_LABELS}
              cells={cells}
              metric={metric}
              rankedField={rankedField}
              best={best}
              search={search}
              gone={presence !== null && (row[presence] ?? 0) === 0}
              open={row.name === open}
              chosen={row.name === chosen}
              colour={stacked?.colourOf.get(row.name)}
              trend={trendOf.get(row.name)}
              restarts={ranked.restarts.get(row.name) ?? 0}
              hovered={hovered === undefined ? undefined : (hovered.of.get(`g${row.name}`) ?? null)}
              now={now}
              shownIn={shownIn}
              onOpen={onOpen}
              onFocus={props.onFocus}
            />
          )
        }}
      />
      <tfoot>
        <RestRow
          {...rest}
          name={ranked.unlisted === 0 ? "" : `${ranked.unlisted} more`}
          values={ranked.datedAt === undefined ? top.other : {}}
          onClick={onMore}
          hidden={ranked.unlisted === 0}
        />
        {top.unaccounted !== null && ranking?.by === "rate" && (
          <RestRow
            {...rest}
            name="Unaccounted"
            sign={<Swatch colour={muted} hatched />}
            of="unaccounted"
            title="The host's busy CPU minus all groups: short-lived processes and the kernel itself"
            values={{ [ranking.fields.average]: unaccountedOf(top) }}
          />
        )}
        <RestRow
          {...rest}
          name="Total"
          sign={stacked?.lines.some(({ key }) => key === "host") === true ? <Swatch colour={muted} line /> : undefined}
          of="host"
          strong
          values={totalOf(top, groupsOf(top, exporter.resource), cells, ranking)}
        />
      </tfoot>
    </table>
  )
}

/** The rows that are searched for, in order; while the pointer or the focus is on them they stay where they are. */
const useShown = (rows: ReadonlyArray<Group>, sort: Sorted, search: string, question: string) => {
  const wanted = search.toLowerCase()
  const sorted = useMemo(() => {
    const found = wanted === "" ? rows : rows.filter(({ name }) => name.toLowerCase().includes(wanted))
    if (sort.by === "") return found
    return sortedBy(
      found,
      (row) => (sort.by === "name" ? row.name.toLowerCase() : (row[sort.by] ?? null)),
      sort.up,
      ({ name }) => name
    )
  }, [rows, wanted, sort.by, sort.up])
  const [held, setHeld] = useState(false)
  const order = useRef<{ readonly question: string; readonly rows: ReadonlyArray<Group> }>({ question: "", rows: [] })
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
  const hold = {
    onPointerEnter: () => setHeld(true),
    onPointerLeave: () => setHeld(false),
    onFocus: () => setHeld(true),
    onBlur: () => setHeld(false)
  }
  return { hold, shown }
}

/** Arrows go from row to row, and take the focus along: so that what is on is read out, and Enter opens it. */
const useArrows = (
  shown: ReadonlyArray<Group>,
  open: string | undefined,
  onOpen: (name: string | undefined) => void
) => {
  const [chosen, setChosen] = useState<string>()
  const rows = useRef(shown)
  rows.current = shown
  useKeys(
    useCallback(
      (key) => {
        if (key === "ArrowDown" || key === "ArrowUp") {
          const from = rows.current.findIndex(({ name }) => name === (chosen ?? open))
          const to = Math.max(0, Math.min(rows.current.length - 1, from + (key === "ArrowDown" ? 1 : -1)))
          const next = rows.current[to]
          setChosen(next?.name)
          if (open !== undefined && next !== undefined) onOpen(next.name)
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
  const at = chosen === undefined ? -1 : shown.findIndex(({ name }) => name === chosen)
  return { chosen, reveal: at < 0 ? undefined : at }
}

interface Hovered {
  readonly clock: string
  /** Values by the keys of the chart's lines. */
  readonly of: ReadonlyMap<string, number | null>
}

const hoveredAt = (stacked: Stacked | undefined, step: number | undefined): Hovered | undefined => {
  const time = step === undefined ? undefined : stacked?.times[step]
  if (stacked === undefined || step === undefined || time === undefined) return undefined
  return {
    clock: moment(time * 1000, time * 1000, stacked.stepSeconds < 60),
    of: new Map(stacked.lines.map(({ key, values }) => [key, values[step] ?? null]))
  }
}

interface RowProps {
  readonly index: number
  readonly row: Group
  readonly labels: NonNullable<Exporter["top"]>["labels"]
  readonly cells: ReadonlyArray<Cell>
  readonly metric: string
  readonly rankedField: string
  readonly best: number
  readonly search: string
  readonly gone: boolean
  readonly open: boolean
  readonly chosen: boolean
  readonly colour: string | undefined
  readonly trend: Series["series"][number] | undefined
  readonly restarts: number
  /** In the chart at the crosshair: null where it says nothing of this group. */
  readonly hovered: number | null | undefined
  readonly now: number
  readonly shownIn: (cell: Cell, value: string | number | null | undefined) => string
  readonly onOpen: (name: string | undefined) => void
  readonly onFocus: (key: string | undefined) => void
}

const Row = (props: RowProps) => {
  const { cells, gone, hovered, metric, onFocus, onOpen, open, restarts, row, shownIn, trend } = props
  const toggle = () => onOpen(open ? undefined : row.name)
  const since = trend?.last_seen
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the button in the row is for the keyboard.
    <tr
      className={`${gone ? "gone" : ""}${open ? " open" : ""}${props.chosen ? " chosen" : ""}`}
      data-index={props.index}
      onClick={toggle}
      onMouseEnter={() => onFocus(props.colour === undefined ? undefined : `g${row.name}`)}
      onMouseLeave={() => onFocus(undefined)}
    >
      <th scope="row" className="wide">
        <span className="row-name">
          <Swatch colour={props.colour ?? "transparent"} />
          <button
            type="button"
            className="row-button"
            aria-expanded={open}
            onClick={(event) => {
              event.stopPropagation()
              toggle()
            }}
          >
            <Name value={row.name} query={props.search} />
          </button>
          {isMonitoring(row) && <MonitoringMark />}
          <Acted row={row} />
          <InUnits row={row} labels={props.labels} />
          {gone && <GoneSince since={since} now={props.now} />}
          {restarts > 0 && (
            <span className="restarts" title={`${restarts} ${restarts === 1 ? "restart" : "restarts"} in this range`}>
              ↻{"\u202f"}
              {restarts}
              <span className="visually-hidden"> {restarts === 1 ? "restart" : "restarts"}</span>
            </span>
          )}
        </span>
      </th>
      {cells.map((cell) => {
        const value = row[cell.field]
        const label = cell.of === undefined || cell.part === "now" ? cell.label : `${words(cell.of.key)} ${cell.label}`
        return (
          <td key={cell.field} className={cellClass(cell, metric)} data-label={label}>
            {cell.of?.key === metric && cell.field === props.rankedField ? (
              <Bar part={(numberOf(value) ?? 0) / props.best} />
            ) : null}
            <span className="cell-value">
              {hovered !== undefined && isLatest(cell, metric)
                ? inUnit(hovered, cell.unit)
                : gone && cell.part === "now"
                  ? "–"
                  : shownIn(cell, value)}
            </span>
          </td>
        )
      })}
      <td className="trend">
        {trend === undefined ? (
          <span className="spark-none" />
        ) : (
          <Spark values={trend.values} width={72} height={20} label="Trend over the range" />
        )}
      </td>
    </tr>
  )
}

const NO_LABELS: NonNullable<Exporter["top"]>["labels"] = []

const GoneSince = ({ now, since }: { readonly since: string | null | undefined; readonly now: number }) => (
  <span className="gone-since">
    <span className="gone-word">gone</span>
    {since != null && <span className="since"> since</span>}
    {since == null ? "" : ` ${moment(Date.parse(since), now)}`}
  </span>
)

/** The pulse of the page's own mark: what watches is watched, too. */
const MonitoringMark = () => (
  <span className="row-mark" title="Part of the monitoring itself">
    <svg viewBox="0 0 16 12" aria-hidden="true">
      <path d="M0 6h4l2-4 3 8 2-4h5" />
    </svg>
    <span className="visually-hidden">part of the monitoring</span>
  </span>
)

/** What a group is in, beside its name, where that says more than the name does. */
const InUnits = ({ labels, row }: Pick<RowProps, "labels" | "row">) =>
  labels.map((label) => {
    const [first, ...more] = valuesOf(row, label)
    if (first === undefined || first.replace(/\.\w+$/, "") === row.name) return null
    const count = countOf(row, label)
    const title = [first, ...more].map((value) => legible(value, 80)).join(", ")
    return (
      <span key={label.name} className="row-unit" title={count > more.length + 1 ? `${title}, …` : title}>
        {count === 1 ? legible(first, 40) : `${count} ${label.field}`}
      </span>
    )
  })

/** Never below 0, as what a person sees: the answer can be, a little, where the scrapes of host and groups do not fall together. */
const unaccountedOf = ({ unaccounted }: Top): number => Math.max(0, unaccounted?.avg_cpu_percent ?? 0)

/** What adds up: now and averages, with all that is not listed. Peaks do not. */
export const totalOf = (
  top: Top,
  rows: ReadonlyArray<Group>,
  cells: ReadonlyArray<Cell>,
  ranking: Ranking | undefined
): Readonly<Record<string, number>> => {
  const total: Record<string, number> = {}
  for (const { field, of, part } of cells) {
    if (part === "peak") continue
    const listed = rows.reduce((sum, row) => sum + (numberOf(row[field]) ?? 0), 0)
    if (of === undefined) {
      if ((top.other.groups ?? 0) === 0) total[field] = listed
      continue
    }
    const unaccounted = of.share === "cpu" && of.key === ranking?.key && part === "average" ? unaccountedOf(top) : 0
    total[field] = listed + (top.other[field] ?? 0) + unaccounted
  }
  return total
}

interface RestProps {
  readonly name: string
  /** As in the chart. */
  readonly sign?: React.ReactNode
  /** The chart's line. */
  readonly of?: string
  readonly cells: ReadonlyArray<Cell>
  readonly values: Readonly<Record<string, number>>
  readonly metric: string
  readonly hovered: Hovered | undefined
  readonly shownIn: (cell: Cell, value: number | undefined) => string
  readonly title?: string
  readonly strong?: boolean
  readonly hidden?: boolean
  readonly onClick?: (() => void) | undefined
}

const RestRow = (props: RestProps) => {
  const { cells, hovered, metric, name, onClick, shownIn, values } = props
  if (props.hidden === true) return null
  return (
    <tr className={props.strong === true ? "total" : "rest"} title={props.title}>
      <th scope="row" className="wide">
        <span className="row-name">
          {props.sign ?? <Swatch colour="transparent" />}
          {onClick === undefined ? (
            name
          ) : (
            <button type="button" className="link" onClick={onClick}>
              {name}: show all
            </button>
          )}
        </span>
      </th>
      {cells.map((cell) => {
        const atCrosshair = hovered !== undefined && isLatest(cell, metric)
        return (
          <td key={cell.field} className={cellClass(cell, metric)}>
            {atCrosshair
              ? props.of === undefined
                ? ""
                : inUnit(hovered.of.get(props.of) ?? null, cell.unit)
              : values[cell.field] === undefined
                ? ""
                : shownIn(cell, values[cell.field])}
          </td>
        )
      })}
      <td className="trend" />
    </tr>
  )
}

/** Whether it is the latest value of the ranking that is looked at. */
const isLatest = (cell: Cell, metric: string): boolean => cell.part === "now" && cell.of?.key === metric

const cellClass = (cell: Cell, metric: string): string =>
  `num ${cell.part} p${cell.priority}${cell.of === undefined ? "" : cell.of.key === metric ? " ranks" : " aside"}`

const Bar = ({ part }: { readonly part: number }) => (
  <svg className="bar" aria-hidden="true" preserveAspectRatio="none" viewBox="0 0 100 10">
    <rect width={Math.max(0, Math.min(1, part)) * 100} height="10" rx="1" />
  </svg>
)
