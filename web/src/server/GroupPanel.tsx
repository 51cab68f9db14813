/** One group, opened: its history in every series of the catalog, how often it restarted, and where else it runs. */
import { useEffect, useMemo, useRef, useState } from "react"
import { ActOn } from "../acting/ActOn.tsx"
import type { Subject } from "../acting/Allowed.ts"
import type { Exporter, Group, History, HistorySeries, Ranking, Series } from "../ask/Api.ts"
import { useCatalog } from "../ask/CatalogContext.ts"
import { useChoice } from "../ask/Choice.ts"
import { lookingAt, spreadPath } from "../ask/Compared.ts"
import { useGrouping } from "../ask/Grouping.ts"
import { useRange } from "../ask/Range.ts"
import { type Asked, seldom, useAsk, useNow } from "../ask/Refresh.tsx"
import { shadedOf, windowQuery } from "../ask/Spans.ts"
import { addressed, serverPath, usePlace } from "../ask/Url.ts"
import { Chart, type Line } from "../charts/Chart.tsx"
import { slotsOf } from "../charts/Slots.ts"
import { coloursOf, useDark } from "../frame/Theme.ts"
import { Failure } from "../parts/Failure.tsx"
import { ago, inUnit, moment, words } from "../parts/Format.ts"
import { legible } from "../parts/Legible.ts"
import { Link } from "../parts/Link.tsx"
import { Name } from "../parts/Name.tsx"
import { WatchThis } from "../watch/WatchThis.tsx"
import type { LookedAt } from "./Columns.ts"
import { Members } from "./Members.tsx"
import { membershipsOf, valuesOf } from "./Membership.ts"
import { typeOf } from "./Panels.tsx"

interface Props {
  readonly id: string
  readonly exporter: Exporter
  readonly name: string
  /** How far apart the server's scrapes are. */
  readonly pace: number
  /** What the table says of it. */
  readonly row: Group | undefined
  /** What the chart was answered: it may know already when the group was last seen, and how often it restarted. */
  readonly chart: Asked<Series>
  readonly metric: string
  /** Whether the table is not there yet. */
  readonly loading: boolean
  readonly looked: LookedAt
  /** Whether it was opened just now, and not gone to from another one. */
  readonly takesFocus: boolean
  readonly divisorOf: (ranking: Ranking) => number
  readonly onClose: () => void
}

export const GroupPanel = ({
  chart,
  divisorOf,
  exporter,
  id,
  metric,
  name,
  loading,
  looked,
  onClose,
  pace,
  row,
  takesFocus
}: Props) => {
  const range = useRange()
  const grouping = useGrouping()
  const now = useNow()
  const heading = useRef<HTMLHeadingElement>(null)
  const colours = coloursOf(useDark())
  const colour = colours.slots[slotsOf([name]).get(name) ?? 0] ?? colours.accent
  const history = useAsk("rankings.history", {
    id,
    resource: exporter.resource,
    name,
    grouping,
    points: 120,
    ...windowQuery(range)
  })
  const drawn = chart.value?.series.find((series) => series.name === name)
  const facts = useAsk(
    "overview.series",
    { id, resource: exporter.resource, name, metric, grouping, points: 2, ...windowQuery(range) },
    { off: chart.loading || drawn !== undefined, ...seldom(3) }
  )
  const about = drawn ?? facts.value?.series[0]
  const lastSeen = about?.last_seen == null ? undefined : Date.parse(about.last_seen)

  // biome-ignore lint/correctness/useExhaustiveDependencies: what is opened takes the focus, so that it is read out, and gives it back.
  useEffect(() => {
    const before = document.activeElement
    if (takesFocus) heading.current?.focus({ preventScroll: true })
    return () => {
      const inside = document.activeElement === document.body || document.activeElement === null
      if (inside && before instanceof HTMLElement && document.contains(before)) before.focus({ preventScroll: true })
    }
  }, [])
  const rankings = exporter.top?.rankings ?? []
  const subject = subjectOf(useCatalog().exporters, exporter, name, row)
  return (
    <aside className="group" aria-label={`${legible(name, 80)}: history`}>
      <header>
        <div>
          <p className="eyebrow">{exporter.title}</p>
          <h2 ref={heading} tabIndex={-1}>
            <Name value={name} />
          </h2>
        </div>
        <button type="button" className="icon" onClick={onClose} aria-label="Close" title="Close (Esc)">
          <svg viewBox="0 0 20 20" aria-hidden="true">
            <path d="m5.5 5.5 9 9m0-9-9 9" />
          </svg>
        </button>
      </header>
      <p className="group-facts">
        {about === undefined ? (
          " "
        ) : lastSeen === undefined ? (
          "no data in this range"
        ) : (
          <>
            last seen {moment(lastSeen, now, true)} <span className="muted">({ago(lastSeen, now)})</span> ·{" "}
            {about.resets === 0 ? "no restart" : about.resets === 1 ? "1 restart" : `${about.resets} restarts`} in this
            range
          </>
        )}
      </p>
      <p className="group-acts">
        <WatchThis
          className="button small"
          resource={exporter.resource}
          metric={metric}
          group={name}
          server={id}
          peak={peakOf(row, rankings, metric)}
        />
      </p>
      {(row !== undefined || loading) && (
        <dl className="facts tiles">
          {rankings
            .filter((one) => isAnswered(row, one))
            .flatMap((ranking) =>
              (looked.single ? (["now"] as const) : (["now", "average", "peak"] as const)).map((part) => {
                const value = row?.[ranking.fields[part]]
                return (
                  <div key={ranking.fields[part]}>
                    <dt>
                      {words(ranking.key)} {part === "now" && looked.over ? "then" : part}
                    </dt>
                    <dd>{inUnit(typeof value === "number" ? value / divisorOf(ranking) : null, ranking.unit)}</dd>
                  </div>
                )
              })
            )}
          <Proportional exporter={exporter} row={row} over={looked.over} />
        </dl>
      )}
      <Members id={id} exporter={exporter} name={name} row={row} pace={pace} />
      {subject !== undefined && <ActOn id={id} subject={subject} />}
      {history.failure !== undefined && history.value === undefined && (
        <Failure failure={history.failure} what="The history" />
      )}
      {history.loading &&
        exporter.history.slice(0, 3).map(({ field, peak }) => <ChartSpace key={field} caption={peak !== null} />)}
      {history.value !== undefined && (
        <Histories exporter={exporter} history={history.value} colour={colour} divisorOf={divisorOf} />
      )}
      <Elsewhere id={id} exporter={exporter} name={name} metric={metric} />
    </aside>
  )
}

/** What a host can be asked about: a unit, or the processes of a group. */
const subjectOf = (
  exporters: ReadonlyArray<Exporter>,
  exporter: Exporter,
  name: string,
  row: Group | undefined
): Subject | undefined => {
  const memberships = membershipsOf(exporters)
  if (memberships.some(({ of }) => of === exporter))
    return /\.(service|scope)$/.test(name) ? { target: { unit: name }, units: [name] } : undefined
  const [within] = memberships.filter(({ members }) => members === exporter)
  return within === undefined ? undefined : { target: { group: name }, units: valuesOf(row, within.label) }
}

/** Whether an answer has a ranking's values: those on demand are there only where they are asked for. */
const isAnswered = (row: Group | undefined, { fields, on_demand }: Ranking): boolean =>
  !on_demand || (row !== undefined && row[fields.now] !== undefined)

/** A chart of each series that has values: those that are ranked by and the count, and the others on a click. */
const Histories = ({
  colour,
  divisorOf,
  exporter,
  history
}: {
  readonly exporter: Exporter
  readonly history: History
  readonly colour: string
  readonly divisorOf: (ranking: Ranking) => number
}) => {
  const [open, setOpen] = useState(false)
  const rankings = exporter.top?.rankings ?? []
  const isKnown = ({ field }: HistorySeries) => history.series[field]?.some((value) => value !== null) ?? false
  const isFirst = ({ column, field }: HistorySeries) =>
    field === exporter.top?.presence || rankings.some((one) => one.column === column && !one.on_demand)
  const first = exporter.history.filter(isFirst)
  const more = exporter.history.filter((series) => !isFirst(series) && isKnown(series))
  const chart = (series: HistorySeries) => (
    <HistoryChart
      key={series.field}
      series={series}
      title={
        series.field === exporter.top?.presence ? "Count" : words(series.field.replace(/_(percent|mb|bytes)$/, ""))
      }
      history={history}
      colour={colour}
      whole={series.unit === "" && typeOf(exporter, series.column) === "integer"}
      divisor={divisorOf(rankings.find(({ fields }) => fields.now === series.field) ?? NO_RANKING)}
    />
  )
  return (
    <>
      {first.map(chart)}
      {more.length > 0 && (
        <details className="more-charts" onToggle={(event) => setOpen(event.currentTarget.open)}>
          <summary>{more.length} more series</summary>
          {open && more.map(chart)}
        </details>
      )}
    </>
  )
}

/** The highest value of what is looked at; undefined where it is not known. */
const peakOf = (row: Group | undefined, rankings: ReadonlyArray<Ranking>, metric: string): number | undefined => {
  const value = row?.[rankings.find(({ key }) => key === metric)?.fields.peak ?? ""]
  return typeof value === "number" ? value : undefined
}

/** As high as the chart that comes. */
const ChartSpace = ({ caption }: { readonly caption: boolean }) => (
  <div className={caption ? "group-chart group-space captioned" : "group-chart group-space"} />
)

/** The same name on the other servers. */
const Elsewhere = ({ exporter, id, metric, name }: Pick<Props, "exporter" | "id" | "metric" | "name">) => {
  const grouping = useGrouping()
  const question = { resource: exporter.resource, name, metric, grouping, limit: 200 }
  const across = useAsk("overview.across", question, seldom(1))
  const others = (across.value?.servers ?? []).filter(({ server_id }) => server_id !== id)
  const rankings = (exporter.top?.rankings ?? []).filter(({ key, on_demand }) => key === metric || !on_demand)
  const { query } = usePlace()
  return (
    <section className="elsewhere">
      <header>
        <h3>On other servers</h3>
        {addressed(name) === name && (
          <Link className="small" href={spreadPath(exporter.resource, name, metric, lookingAt(query))}>
            Over all servers
          </Link>
        )}
      </header>
      {across.value === undefined ? (
        <p className="muted">{across.failure?.message ?? "…"}</p>
      ) : others.length === 0 ? (
        <p className="muted">Not seen on any other server in the last day.</p>
      ) : (
        <table>
          <thead>
            <tr>
              <th scope="col">Server</th>
              {rankings.map(({ key }) => (
                <th key={key} scope="col" className="num">
                  {words(key)} now
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {others.map((row) => (
              <tr key={row.server_id}>
                <th scope="row">
                  <Link href={`${serverPath(row.server_id)}${window.location.search}`}>{row.server_id}</Link>
                </th>
                {rankings.map(({ fields, key, unit }) => (
                  <td key={key} className="num">
                    {inUnit(typeof row[fields.now] === "number" ? (row[fields.now] as number) : null, unit)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {across.value !== undefined && across.value.total > across.value.servers.length && (
        <p className="muted small">
          The {across.value.servers.length} that use most, of {across.value.total} servers in all.
        </p>
      )}
    </section>
  )
}

const NO_RANKING: Ranking = {
  key: "",
  column: "",
  by: "rate",
  share: null,
  unit: "",
  ranked_by: "",
  on_demand: false,
  fields: { now: "", average: "", peak: "", total: null }
}

const HistoryChart = ({
  colour,
  divisor,
  history,
  series,
  title,
  whole
}: {
  readonly colour: string
  /** Of things that there is no half of. */
  readonly whole: boolean
  readonly title: string
  readonly series: HistorySeries
  readonly history: History
  readonly divisor: number
}) => {
  const range = useRange()
  const choice = useChoice()
  const dark = useDark()
  const colours = coloursOf(dark)
  const lines = useMemo(() => {
    const scaled = (field: string | null) =>
      field === null ? undefined : history.series[field]?.map((value) => (value === null ? null : value / divisor))
    const made: Array<Line> = []
    const peaks = scaled(series.peak)
    const values = scaled(series.field) ?? []
    if (peaks !== undefined) made.push({ key: "peak", label: "peak", colour: colours.other, values: peaks, over: true })
    made.push({ key: "value", label: "average", colour, values })
    return made
  }, [history, series, colours, colour, divisor])
  const times = useMemo(() => history.timestamps.map((text) => Date.parse(text) / 1000), [history])
  const latest = lines.at(-1)?.values.findLast((value) => value !== null) ?? null
  const step = history.step_seconds
  return (
    <section className="group-chart">
      <header>
        <h3 title={series.doc}>{title}</h3>
        <p className="panel-now">{inUnit(latest, series.unit)}</p>
      </header>
      <Chart
        label={`${title} over time, latest ${inUnit(latest, series.unit)}`}
        times={times}
        stepSeconds={step}
        from={Date.parse(history.window.from) / 1000}
        to={Date.parse(history.window.to) / 1000}
        lines={lines}
        filled
        height={140}
        binary={series.unit === "mb" || series.unit === "bytes"}
        whole={whole}
        format={(value) => inUnit(value, series.unit)}
        brush={range.brush}
        moment={range.moment}
        spans={shadedOf(range, Date.parse(history.window.to))}
        {...choice}
      />
      {series.peak !== null && <p className="muted small">Line: average of each step. Grey: its highest value.</p>}
    </section>
  )
}

/** Memory with shared pages counted once: beside what counts them in each process. */
const Proportional = ({
  exporter: { columns, top },
  over,
  row
}: {
  readonly exporter: Exporter
  readonly row: Group | undefined
  readonly over: boolean
}) => {
  const value = row?.[top?.proportional ?? ""]
  const column = columns.find(({ wire_name }) => wire_name === top?.proportional)
  if (typeof value !== "number") return null
  return (
    <div title={column?.doc}>
      <dt>PSS {over ? "then" : "now"}</dt>
      <dd>{inUnit(value, "bytes")}</dd>
    </div>
  )
}
