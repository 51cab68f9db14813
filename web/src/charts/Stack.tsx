/**
 * Who used it, over time: the top groups stacked, all others, and what is unaccounted for, up to the host's own total.
 *
 * Dragging marks a span, a click chooses a moment. Where there is room the table beside it is the legend; else it has one.
 */
import { useMemo, useState } from "react"
import type { Ranking, Series } from "../ask/Api.ts"
import { useChoice } from "../ask/Choice.ts"
import { useRange } from "../ask/Range.ts"
import { type Asked, useNow } from "../ask/Refresh.tsx"
import { shadedOf } from "../ask/Spans.ts"
import { coloursOf, useDark } from "../frame/Theme.ts"
import { Failure } from "../parts/Failure.tsx"
import { inUnit, moment, window as windowText, words } from "../parts/Format.ts"
import { legible } from "../parts/Legible.ts"
import { Name } from "../parts/Name.tsx"
import { Chart, type Line } from "./Chart.tsx"
import { slotsOf } from "./Slots.ts"

/** Groups with a colour of their own. */
const TOP = 8
type Values = ReadonlyArray<number | null>

/** The chart's lines and times, and what each name's colour is. */
export interface Stacked {
  readonly lines: ReadonlyArray<Line>
  /** Right ends of the steps, epoch seconds. */
  readonly times: ReadonlyArray<number>
  readonly stepSeconds: number
  readonly from: number
  readonly to: number
  readonly colourOf: ReadonlyMap<string, string>
  /** The last step in which something was seen. */
  readonly lastKnown: number | undefined
}

/** Sum of what is known at a step; null where nothing is. */
const sumAt = (series: ReadonlyArray<Values>, n: number): number | null => {
  let sum: number | null = null
  for (const values of series) {
    const value = values[n] ?? null
    if (value !== null) sum = (sum ?? 0) + value
  }
  return sum
}

const sumOf = (series: ReadonlyArray<Values>, steps: number): Values =>
  Array.from({ length: steps }, (_, n) => sumAt(series, n))

/** What the host used beyond all groups, per step. */
const unaccountedOf = ({ host, other, series, steps }: Series): Values | undefined => {
  if (host === null) return undefined
  const sums = sumOf([...series.map(({ values }) => values), ...(other === null ? [] : [other])], steps)
  return sums.map((sum, n) => {
    const total = host[n] ?? null
    return total === null || sum === null ? null : Math.max(0, total - sum)
  })
}

const isSome = (values: Values | undefined): boolean => values?.some((amount) => (amount ?? 0) > 0) === true

/** The stack of an answer, its values divided by `divisor`: the cores, where percent of the machine are shown. */
export const useStacked = (value: Series | undefined, divisor: number): Stacked | undefined => {
  const colours = coloursOf(useDark())
  return useMemo(() => {
    if (value === undefined) return undefined
    const scaled = (values: Values) =>
      divisor === 1 ? values : values.map((amount) => (amount === null ? null : amount / divisor))
    const shown = value.series.slice(0, TOP)
    const slots = slotsOf(shown.map(({ name }) => name))
    const colourOf = new Map(shown.map(({ name }) => [name, colours.slots[slots.get(name) ?? 0] ?? colours.other]))
    const lines: Array<Line> = shown.map(({ name, values }) => ({
      key: `g${name}`,
      label: legible(name, 60),
      colour: colourOf.get(name) ?? colours.other,
      values: scaled(values)
    }))
    const tail = value.series.slice(TOP).map(({ values }) => values)
    const rest = sumOf(value.other === null ? tail : [...tail, value.other], value.steps)
    if (isSome(rest)) lines.push({ key: "other", label: "All others", colour: colours.other, values: scaled(rest) })
    const unaccounted = unaccountedOf(value)
    if (unaccounted !== undefined && isSome(unaccounted)) {
      lines.push({
        key: "unaccounted",
        label: "Unaccounted",
        colour: colours.unaccounted,
        values: scaled(unaccounted),
        hatched: true
      })
    }
    if (value.host !== null)
      lines.push({ key: "host", label: "Host", colour: colours.ink, values: scaled(value.host), over: true })
    const to = Date.parse(value.window.to) / 1000
    const lastKnown = Array.from({ length: value.steps }, (_, n) => n).findLast((n) =>
      lines.some(({ values }) => (values[n] ?? null) !== null)
    )
    return {
      lines,
      times: Array.from({ length: value.steps }, (_, n) => Math.min(value.first + n * value.step_seconds, to)),
      stepSeconds: value.step_seconds,
      from: Date.parse(value.window.from) / 1000,
      to,
      colourOf,
      lastKnown
    }
  }, [value, colours, divisor])
}

interface Props {
  readonly ranking: Ranking
  readonly asked: Asked<Series>
  readonly stacked: Stacked | undefined
  readonly legend: boolean
  readonly height: number
  /** The machine's limit in the unit shown. */
  readonly limit: number | undefined
  /** A line that is looked at, from beside the chart. */
  readonly focus: string | undefined
  readonly onOpen: (name: string) => void
  readonly onHover: (step: number | undefined) => void
}

export const Stack = ({ asked, focus, height, legend, limit, onHover, onOpen, ranking, stacked }: Props) => {
  const range = useRange()
  const choice = useChoice()
  const now = useNow()
  const [step, setStep] = useState<number>()
  const [own, setOwn] = useState<string>()
  const { failure, previous, value } = asked
  if (value === undefined || stacked === undefined) {
    return failure === undefined ? <ChartSpace height={height} /> : <Failure failure={failure} what="The chart" />
  }
  const names = value.series.slice(0, TOP).map(({ name }) => legible(name, 40))
  return (
    <figure className={`stack${previous ? " previous" : ""}${legend ? " with-legend" : ""}`}>
      <div className="stack-chart">
        <Chart
          label={`${words(ranking.key)} over time, ${windowText(stacked.from * 1000, stacked.to * 1000, now)}: ${names.join(
            ", "
          )}, all others and unaccounted, stacked up to the host's total`}
          times={stacked.times}
          stepSeconds={stacked.stepSeconds}
          from={stacked.from}
          to={stacked.to}
          lines={stacked.lines}
          stacked
          height={height}
          format={(amount) => inUnit(amount, ranking.unit)}
          {...(limit === undefined ? {} : { top: 0 })}
          binary={ranking.unit === "mb"}
          brush={range.brush}
          moment={range.moment}
          focus={focus ?? own}
          onHover={(at) => {
            setStep(at)
            onHover(at)
          }}
          spans={shadedOf(range, stacked.to * 1000)}
          {...choice}
          lead
        />
        {stacked.lastKnown === undefined && <p className="chart-note">No data in this time range.</p>}
      </div>
      {legend && <Legend stacked={stacked} step={step} unit={ranking.unit} onOpen={onOpen} onFocus={setOwn} />}
    </figure>
  )
}

/** As high as the chart that comes. */
const ChartSpace = ({ height }: { readonly height: number }) => (
  <div className="chart-space" style={{ height }} role="status" aria-label="Loading the chart" />
)

const Legend = ({
  onFocus,
  onOpen,
  stacked,
  step,
  unit
}: {
  readonly stacked: Stacked
  readonly step: number | undefined
  readonly unit: string
  readonly onOpen: (name: string) => void
  readonly onFocus: (key: string | undefined) => void
}) => {
  const now = useNow()
  const at = step ?? stacked.lastKnown
  const time = at === undefined ? undefined : (stacked.times[at] ?? 0) * 1000
  return (
    <figcaption className="legend">
      <p className="legend-time">
        {time === undefined
          ? ""
          : step === undefined
            ? `Latest step, ${moment(time, now)}`
            : moment(time, now, stacked.stepSeconds < 60)}
      </p>
      <ul onMouseLeave={() => onFocus(undefined)}>
        {stacked.lines.toReversed().map(({ colour, hatched, key, over, values }) => {
          const name = key.startsWith("g") ? key.slice(1) : undefined
          const amount = at === undefined ? null : (values[at] ?? null)
          const sign = <Swatch colour={colour} hatched={hatched === true} line={over === true} />
          return (
            <li key={key} onMouseEnter={() => onFocus(over === true ? undefined : key)}>
              {name === undefined ? (
                <span className="legend-name" title={TITLES[key]}>
                  {sign}
                  {LABELS[key]}
                </span>
              ) : (
                <button
                  type="button"
                  className="legend-name"
                  onClick={() => onOpen(name)}
                  onFocus={() => onFocus(key)}
                  onBlur={() => onFocus(undefined)}
                >
                  {sign}
                  <Name value={name} />
                </button>
              )}
              <span className="legend-value">{inUnit(amount, unit)}</span>
            </li>
          )
        })}
      </ul>
    </figcaption>
  )
}

const LABELS: Readonly<Record<string, string>> = { host: "Host total", other: "All others", unaccounted: "Unaccounted" }
const TITLES: Readonly<Record<string, string>> = {
  host: "The host's own total",
  other: "All groups that are not shown individually",
  unaccounted: "The host's total minus all groups: short-lived processes and the kernel itself"
}

export const Swatch = ({
  colour,
  hatched = false,
  line = false
}: {
  readonly colour: string
  readonly hatched?: boolean
  readonly line?: boolean
}) => (
  <svg className="swatch" viewBox="0 0 12 12" aria-hidden="true">
    {line ? (
      <path d="M0 6h12" stroke={colour} strokeWidth="2" />
    ) : hatched ? (
      <path d="M-2 6 6-2M0 12 12 0M6 14l8-8" stroke={colour} strokeWidth="1.6" />
    ) : (
      <rect width="12" height="12" rx="3" fill={colour} />
    )}
  </svg>
)
