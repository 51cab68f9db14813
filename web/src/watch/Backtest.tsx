/** The last seven days under a rule: the value, the rule's line, and when it would have fired, for whom. */
import { useMemo, useState } from "react"
import type { Answer } from "../ask/Api.ts"
import { useCatalog } from "../ask/CatalogContext.ts"
import { useAsk } from "../ask/Refresh.tsx"
import { Failure } from "../parts/Failure.tsx"
import { duration, inUnit, number, window as windowText, words } from "../parts/Format.ts"
import { Name } from "../parts/Name.tsx"
import { useBacktest } from "./Checked.ts"
import { type Fired, firedOf, pastSentence } from "./Past.ts"
import type { Metric, RuleResource } from "./Resources.ts"
import type { Draft } from "./RuleDraft.ts"
import { type Drawing, ThresholdChart } from "./ThresholdChart.tsx"

const HOURS = 7 * 24
const POINTS = 240
const ROWS_MAX = 8
const ONCE = { everyBeats: Number.POSITIVE_INFINITY, aside: true } as const

/** Whose values are drawn. */
interface Target {
  readonly server: string
  /** Empty: those of the server itself. */
  readonly group: string
}

interface Props {
  readonly draft: Draft
  readonly resource: RuleResource | undefined
  /** The rule as text; undefined while there is something wrong with it. */
  readonly text: string | undefined
  readonly onThreshold: ((value: number) => void) | undefined
}

export const Backtest = ({ draft, onThreshold, resource, text }: Props) => {
  const [again, setAgain] = useState(0)
  const tried = useBacktest(text, again)
  const fired = useMemo(() => (tried.value === undefined ? [] : firedOf(tried.value)), [tried.value])
  const [chosen, setChosen] = useState<Target>()
  const metric = resource?.metrics.find(({ key }) => key === draft.metric)
  const isDrawn =
    metric?.drawn != null && (draft.asks === "above" || draft.asks === "below" || draft.asks === "growth_above")
  const target = useTarget(draft, isDrawn ? resource : undefined, chosen ?? fired[0])
  return (
    <section
      className={tried.busy ? "card backtest busy" : "card backtest"}
      aria-label="Back-test"
      aria-busy={tried.busy}
    >
      <header>
        <h2>The last 7 days</h2>
        <p role="status">
          {tried.value === undefined
            ? text === undefined
              ? "Shown once the rule can be read."
              : "Being tried on the past…"
            : pastSentence(tried.value)}
        </p>
      </header>
      {tried.failure !== undefined && (
        <Failure failure={tried.failure} what="The back-test" onRetry={() => setAgain((n) => n + 1)} />
      )}
      {isDrawn && resource !== undefined && target !== undefined && (
        <Values
          draft={draft}
          resource={resource}
          metric={metric}
          target={target}
          fired={fired}
          onThreshold={onThreshold}
        />
      )}
      {tried.value !== undefined && (
        <Strips
          fired={fired}
          from={Date.parse(tried.value.window.from)}
          to={Date.parse(tried.value.window.to)}
          target={target}
          onChoose={isDrawn ? setChosen : undefined}
        />
      )}
    </section>
  )
}

const isPattern = (text: string): boolean => text === "" || text.includes("*")

/** Where it would have fired; else what is named; else where the values are highest. */
const useTarget = (
  draft: Draft,
  resource: RuleResource | undefined,
  wanted: Target | undefined
): Target | undefined => {
  const { group, server } = draft
  const { exporters } = useCatalog()
  const isGrouped = resource?.grouped === true
  const named: Target | undefined =
    resource === undefined || isPattern(server) || (isGrouped && isPattern(group)) ? undefined : { group, server }
  const chosen = wanted ?? named
  const rankings = exporters.find((one) => one.resource === resource?.resource)?.top?.rankings ?? []
  const isRanked = rankings.some(({ key }) => key === draft.metric)
  const plain = group.replaceAll("*", " ").trim()
  const ranked = useAsk(
    "groups.ranked",
    {
      resource: resource?.resource,
      metric: isRanked ? draft.metric : undefined,
      by: "peak",
      hours: HOURS,
      limit: 1,
      search: plain === "" ? undefined : plain.slice(0, 200)
    },
    { ...ONCE, off: resource === undefined || !isGrouped || chosen !== undefined }
  )
  const fleet = useAsk(
    "overview.fleet",
    { sort: "cpu", dir: "down", limit: 1, search: isPattern(server) ? undefined : server.slice(0, 200) },
    { ...ONCE, off: resource === undefined || isGrouped || chosen !== undefined }
  )
  const best = ranked.value?.groups[0]
  const host = fleet.value?.servers[0]
  return useMemo(() => {
    if (chosen !== undefined) return chosen
    if (best !== undefined) {
      const highest = Object.values(best.values)[0]?.highest
      return highest === undefined ? undefined : { group: best.name, server: isPattern(server) ? highest : server }
    }
    return host === undefined ? undefined : { group: "", server: host.server_id }
  }, [chosen, best, host, server])
}

/** A week of the value, in the unit of the rule. */
const useDrawing = (
  { grouped, resource }: RuleResource,
  metric: Metric,
  { group, server }: Target,
  divisor: number | undefined
) => {
  const window = { id: server, resource, points: POINTS, hours: HOURS }
  const names = useMemo(() => namesOf(metric), [metric])
  const history = useAsk("rankings.history", { ...window, name: group }, { ...ONCE, off: !grouped })
  const series = useAsk("overview.series", { ...window, fields: names.join(",") }, { ...ONCE, off: grouped })
  const drawing = useMemo((): Drawing | undefined => {
    if (divisor === undefined) return undefined
    const shown = grouped ? seenByGroup(history.value) : seenByServer(series.value, names)
    if (shown === undefined) return undefined
    const scaled = (values: Values) => values.map((value) => (value === null ? null : value / divisor))
    const peaks = metric.drawn?.peak == null ? undefined : shown.series[metric.drawn.peak]
    return {
      ...shown.times,
      values: scaled(valuesOf(metric, shown.series)),
      peaks: peaks === undefined ? undefined : scaled(peaks)
    }
  }, [grouped, history.value, series.value, metric, names, divisor])
  return { drawing, failure: history.failure ?? series.failure }
}

type Values = ReadonlyArray<number | null>

/** The series that a metric is made of. */
const namesOf = ({ drawn }: Metric): ReadonlyArray<string> =>
  drawn === null ? [] : [...drawn.fields, drawn.less, drawn.part_of].filter((name) => name !== null)

const seenByGroup = (answer: Answer<"rankings.history"> | undefined) =>
  answer === undefined
    ? undefined
    : {
        series: answer.series,
        times: {
          times: answer.timestamps.map((time) => Date.parse(time)),
          stepMillis: answer.step_seconds * 1000,
          from: Date.parse(answer.window.from),
          to: Date.parse(answer.window.to)
        }
      }

const seenByServer = (answer: Answer<"overview.series"> | undefined, names: ReadonlyArray<string>) => {
  if (answer === undefined) return undefined
  const { first, series, step_seconds, steps, window } = answer
  const values = (name: string) => series.find((one) => one.name === name)?.values ?? []
  return {
    series: Object.fromEntries(names.map((name) => [name, values(name)])) as Readonly<Record<string, Values>>,
    times: {
      times: Array.from({ length: steps }, (_, n) => (first + n * step_seconds) * 1000),
      stepMillis: step_seconds * 1000,
      from: Date.parse(window.from),
      to: Date.parse(window.to)
    }
  }
}

/** The sum of its series, as the server says that it is made; null where one of them is. */
const valuesOf = ({ drawn }: Metric, series: Readonly<Record<string, Values>>): Values => {
  if (drawn === null) return []
  const { fields, less, part_of: whole, scale } = drawn
  const at = (name: string, n: number) => series[name]?.[n] ?? Number.NaN
  return (series[fields[0] ?? ""] ?? []).map((_, n) => {
    const sum = fields.reduce((sum, name) => sum + at(name, n), 0) - (less === null ? 0 : at(less, n))
    const value = (sum / (whole === null ? 1 : at(whole, n))) * scale
    return Number.isFinite(value) ? value : null
  })
}

/** What a value is divided by to be a share of the machine; 1 where it is none, undefined until it is known. */
const useDivisor = (
  { grouped, resource }: RuleResource,
  metric: Metric,
  of: string,
  server: string
): number | undefined => {
  const isShare = of === "machine" && metric.share !== null
  const top = useAsk(
    "rankings.top",
    { id: server, resource, limit: 1, hours: 1 },
    { ...ONCE, off: !isShare || !grouped }
  )
  if (!isShare) return 1
  const host = top.value?.host
  const whole = metric.share === "cpu" ? host?.cpu_cores : host?.memory_total_mb
  return whole == null || whole === 0 ? undefined : metric.share === "cpu" ? whole : whole / 100
}

const Values = ({
  draft,
  fired,
  metric,
  onThreshold,
  resource,
  target
}: {
  readonly draft: Draft
  readonly resource: RuleResource
  readonly metric: Metric
  readonly target: Target
  readonly fired: ReadonlyArray<Fired>
  readonly onThreshold: Props["onThreshold"]
}) => {
  const divisor = useDivisor(resource, metric, draft.of, target.server)
  const { drawing, failure } = useDrawing(resource, metric, target, divisor)
  // A line of how fast it grows is none of how much it is.
  const isLine = draft.asks !== "growth_above" && draft.threshold.trim() !== ""
  const threshold = isLine ? Number(draft.threshold) : Number.NaN
  const unit = draft.of === "machine" && metric.share !== null ? "percent" : metric.drawn_unit
  if (drawing === undefined) {
    return failure === undefined ? (
      <div className="threshold-space" role="status" aria-label="Loading the chart" />
    ) : (
      <p className="muted">{failure.message}</p>
    )
  }
  const spans = fired.find(({ group, server }) => group === target.group && server === target.server)?.spans ?? []
  return (
    <figure>
      <figcaption className="muted small">
        {target.group !== "" && (
          <>
            <Name value={target.group} /> on{" "}
          </>
        )}
        <Name value={target.server} />, {words(draft.metric)}
        {drawing.peaks === undefined ? "" : ": average of each step, thin its highest value"}
      </figcaption>
      <ThresholdChart
        label={`${words(draft.metric)} over the last 7 days, and ${spans.length} spans in which the rule would have fired`}
        drawing={drawing}
        spans={spans}
        threshold={Number.isFinite(threshold) ? threshold : undefined}
        format={(value) => inUnit(value, unit)}
        onThreshold={onThreshold}
      />
    </figure>
  )
}

const Strips = ({
  fired,
  from,
  onChoose,
  target,
  to
}: {
  readonly fired: ReadonlyArray<Fired>
  readonly from: number
  readonly to: number
  readonly target: Target | undefined
  readonly onChoose: ((target: Target) => void) | undefined
}) => (
  <>
    <ul className="strips">
      {fired.slice(0, ROWS_MAX).map((one) => {
        const isShown = target !== undefined && target.server === one.server && target.group === one.group
        const who = (
          <>
            {one.group !== "" && <Name value={one.group} />}
            <span className={one.group === "" ? "" : "sub"}>
              <Name value={one.server} />
            </span>
          </>
        )
        return (
          <li key={`${one.server}\n${one.group}`}>
            {onChoose === undefined ? (
              <span className="strip-who">{who}</span>
            ) : (
              <button type="button" className="strip-who" aria-pressed={isShown} onClick={() => onChoose(one)}>
                {who}
              </button>
            )}
            <FiredStrip fired={one} from={from} to={to} />
            <span className="muted small num">
              {number(one.spans.length)} × · {duration(one.sum / 1000)}
            </span>
          </li>
        )
      })}
    </ul>
    {fired.length > ROWS_MAX && <p className="muted small">and {fired.length - ROWS_MAX} more</p>}
  </>
)

const FiredStrip = ({
  fired: { spans },
  from,
  to
}: {
  readonly fired: Fired
  readonly from: number
  readonly to: number
}) => {
  const x = (time: number) => ((time - from) / (to - from)) * 1000
  const [first] = spans
  const when = first === undefined ? "" : `, first ${windowText(first.from, first.to, to)}`
  return (
    <svg
      className="fired-strip"
      viewBox="0 0 1000 12"
      preserveAspectRatio="none"
      role="img"
      aria-label={`fired ${spans.length} times${when}`}
    >
      {spans.map((span) => (
        <rect key={span.from} x={x(span.from)} width={Math.max(3, x(span.to) - x(span.from))} height="12" />
      ))}
    </svg>
  )
}
