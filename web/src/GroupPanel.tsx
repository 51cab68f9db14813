/** One group, opened: its history in every series of the catalog, how often it restarted, and where else it runs. */
import { useEffect, useMemo, useRef } from "react"
import type { Exporter, Group, History, HistorySeries, Ranking } from "./Api.ts"
import { Chart, type Line } from "./Chart.tsx"
import { Failure } from "./Failure.tsx"
import { ago, inUnit, moment, words } from "./Format.ts"
import { Link } from "./Link.tsx"
import { legible, Name } from "./Name.tsx"
import { formatWindow, useRange, windowQuery } from "./Range.ts"
import { useAsk, useNow } from "./Refresh.tsx"
import { coloursOf, useDark } from "./Theme.ts"
import { serverPath, usePlace } from "./Url.ts"

interface Props {
  readonly id: string
  readonly exporter: Exporter
  readonly name: string
  /** What the table says of it. */
  readonly row: Group | undefined
  readonly metric: string
  readonly divisorOf: (ranking: Ranking) => number
  readonly onClose: () => void
}

export const GroupPanel = ({ divisorOf, exporter, id, metric, name, onClose, row }: Props) => {
  const range = useRange()
  const now = useNow()
  const close = useRef<HTMLButtonElement>(null)
  const history = useAsk("rankings.history", {
    id,
    resource: exporter.resource,
    name,
    points: 120,
    ...windowQuery(range)
  })
  const facts = useAsk(
    "overview.series",
    { id, resource: exporter.resource, name, metric, points: 2, ...windowQuery(range) },
    { everyBeats: 2 }
  )
  const across = useAsk("overview.across", { resource: exporter.resource, name, metric, limit: 200 }, { everyBeats: 2 })
  const about = facts.value?.series[0]
  const lastSeen = about?.last_seen == null ? undefined : Date.parse(about.last_seen)

  useEffect(() => {
    const before = document.activeElement
    return () => {
      if (before instanceof HTMLElement && document.contains(before)) before.focus({ preventScroll: true })
    }
  }, [])
  const others = (across.value?.servers ?? []).filter(({ server_id }) => server_id !== id)
  const rankings = exporter.top?.rankings ?? []
  return (
    <aside className="group" aria-label={`${legible(name, 80)}: history`}>
      <header>
        <div>
          <p className="eyebrow">{exporter.title}</p>
          <h2>
            <Name value={name} />
          </h2>
        </div>
        <button ref={close} type="button" className="icon" onClick={onClose} aria-label="Close" title="Close (Esc)">
          <svg viewBox="0 0 20 20" aria-hidden="true">
            <path d="m5.5 5.5 9 9m0-9-9 9" />
          </svg>
        </button>
      </header>
      <p className="group-facts">
        {about === undefined ? (
          " "
        ) : lastSeen === undefined ? (
          "not seen in this range"
        ) : (
          <>
            last seen {moment(lastSeen, now, true)} <span className="muted">({ago(lastSeen, now)})</span> ·{" "}
            {about.resets === 0 ? "no restart" : about.resets === 1 ? "1 restart" : `${about.resets} restarts`} in this
            range
          </>
        )}
      </p>
      {row !== undefined && (
        <dl className="facts tiles">
          {rankings.flatMap((ranking) =>
            (["now", "average", "peak"] as const).map((part) => {
              const value = row[ranking.fields[part]]
              return (
                <div key={ranking.fields[part]}>
                  <dt>
                    {words(ranking.key)} {part}
                  </dt>
                  <dd>{inUnit(typeof value === "number" ? value / divisorOf(ranking) : null, ranking.unit)}</dd>
                </div>
              )
            })
          )}
        </dl>
      )}
      {history.failure !== undefined && history.value === undefined && (
        <Failure failure={history.failure} what="The history" />
      )}
      {history.value !== undefined &&
        exporter.history.map((series) => (
          <HistoryChart
            key={series.field}
            series={series}
            title={
              series.field === exporter.top?.presence
                ? "Count"
                : words(series.field.replace(/_(percent|mb|bytes)$/, ""))
            }
            history={history.value as History}
            divisor={divisorOf(rankings.find(({ fields }) => fields.now === series.field) ?? NO_RANKING)}
          />
        ))}
      <section className="elsewhere">
        <h3>On other servers</h3>
        {across.value === undefined ? (
          <p className="muted">{across.failure?.message ?? "…"}</p>
        ) : others.length === 0 ? (
          <p className="muted">Nowhere else in the last day.</p>
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
      </section>
    </aside>
  )
}

const NO_RANKING: Ranking = {
  key: "",
  column: "",
  by: "rate",
  share: null,
  unit: "",
  ranked_by: "",
  fields: { now: "", average: "", peak: "", total: null }
}

const HistoryChart = ({
  divisor,
  history,
  series,
  title
}: {
  readonly title: string
  readonly series: HistorySeries
  readonly history: History
  readonly divisor: number
}) => {
  const range = useRange()
  const { set } = usePlace()
  const dark = useDark()
  const colours = coloursOf(dark)
  const lines = useMemo(() => {
    const scaled = (field: string | null) =>
      field === null ? undefined : history.series[field]?.map((value) => (value === null ? null : value / divisor))
    const made: Array<Line> = []
    const peaks = scaled(series.peak)
    const values = scaled(series.field) ?? []
    if (peaks !== undefined) made.push({ key: "peak", label: "peak", colour: colours.other, values: peaks, over: true })
    made.push({ key: "value", label: "average", colour: colours.accent, values })
    return made
  }, [history, series, colours, divisor])
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
        format={(value) => inUnit(value, series.unit)}
        brush={range.brush}
        onBrush={(window) => set({ brush: window === undefined ? undefined : formatWindow(window) })}
      />
      {series.peak !== null && <p className="muted small">Line: average of each step. Grey: its highest value.</p>}
    </section>
  )
}
