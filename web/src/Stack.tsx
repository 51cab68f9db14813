/**
 * Who used it, over time: the top groups stacked, all others, and what nobody accounts for, up to the host's own total.
 * Brushing it sets the window of the table below.
 */
import { useMemo, useState } from "react"
import type { Exporter, Ranking, Series } from "./Api.ts"
import { Chart, type Line } from "./Chart.tsx"
import { Failure } from "./Failure.tsx"
import { inUnit, moment, window as windowText, words } from "./Format.ts"
import { legible, Name } from "./Name.tsx"
import { formatWindow, useRange, windowQuery } from "./Range.ts"
import { useAsk, useNow } from "./Refresh.tsx"
import { useSlots } from "./Slots.ts"
import { coloursOf, useDark } from "./Theme.ts"
import { usePlace } from "./Url.ts"

const TOP = 8

interface Props {
  readonly id: string
  readonly exporter: Exporter
  readonly ranking: Ranking
  /** What the values are divided by: the cores, where percent of the machine are shown. */
  readonly divisor: number
  /** The machine's limit in the unit shown. */
  readonly limit: number | undefined
  readonly onOpen: (name: string) => void
}

/** Sum of what is known at a step; null where nothing is. */
const sumAt = (series: ReadonlyArray<ReadonlyArray<number | null>>, n: number): number | null => {
  let sum: number | null = null
  for (const values of series) {
    const value = values[n] ?? null
    if (value !== null) sum = (sum ?? 0) + value
  }
  return sum
}

/** What the host used beyond all groups, per step. */
export const unaccountedOf = ({ host, other, series, steps }: Series): ReadonlyArray<number | null> | undefined => {
  if (host === null) return undefined
  const groups = [...series.map(({ values }) => values), ...(other === null ? [] : [other])]
  return Array.from({ length: steps }, (_, n) => {
    const total = host[n] ?? null
    const sum = sumAt(groups, n)
    return total === null || sum === null ? null : Math.max(0, total - sum)
  })
}

export const Stack = ({ divisor, exporter, id, limit, onOpen, ranking }: Props) => {
  const range = useRange()
  const { set } = usePlace()
  const dark = useDark()
  const now = useNow()
  const [step, setStep] = useState<number>()
  const [focus, setFocus] = useState<string>()
  const { failure, previous, value } = useAsk("overview.series", {
    id,
    resource: exporter.resource,
    metric: ranking.key,
    limit: TOP,
    points: 120,
    ...windowQuery(range)
  })
  const names = useMemo(() => value?.series.map(({ name }) => name) ?? [], [value])
  const slots = useSlots(names)
  const colours = coloursOf(dark)

  const drawn = useMemo(() => {
    if (value === undefined) return undefined
    const scaled = (values: ReadonlyArray<number | null>) =>
      divisor === 1 ? values : values.map((amount) => (amount === null ? null : amount / divisor))
    const lines: Array<Line> = value.series.map(({ name, values }) => ({
      key: `g${name}`,
      label: legible(name, 60),
      colour: colours.slots[slots.get(name) ?? 0] ?? colours.other,
      values: scaled(values)
    }))
    const rest = value.other?.some((amount) => (amount ?? 0) > 0) === true
    if (value.other !== null && rest)
      lines.push({ key: "other", label: "All others", colour: colours.other, values: scaled(value.other) })
    const unaccounted = unaccountedOf(value)
    if (unaccounted?.some((amount) => (amount ?? 0) > 0) === true) {
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
    return {
      lines,
      times: Array.from({ length: value.steps }, (_, n) =>
        Math.min(value.first + n * value.step_seconds, Date.parse(value.window.to) / 1000)
      ),
      from: Date.parse(value.window.from) / 1000,
      to: Date.parse(value.window.to) / 1000
    }
  }, [value, colours, slots, divisor])

  const format = (amount: number) => inUnit(amount, ranking.unit)
  if (value === undefined || drawn === undefined) {
    return failure === undefined ? (
      <div className="chart-space" role="status" aria-label="Loading the chart" />
    ) : (
      <Failure failure={failure} what="The chart" />
    )
  }
  const lastKnown = (() => {
    for (let n = value.steps - 1; n >= 0; n--)
      if (drawn.lines.some(({ values }) => (values[n] ?? null) !== null)) return n
    return undefined
  })()
  const at = step ?? lastKnown
  const time = at === undefined ? undefined : (drawn.times[at] ?? 0) * 1000
  const nothing = lastKnown === undefined
  return (
    <figure className={previous ? "stack previous" : "stack"}>
      <div className="stack-chart">
        <Chart
          label={`${words(ranking.key)} over time, ${windowText(drawn.from * 1000, drawn.to * 1000, now)}: ${names
            .slice(0, TOP)
            .map((name) => legible(name, 40))
            .join(", ")}, all others and what nobody accounts for, stacked up to the host's total`}
          times={drawn.times}
          stepSeconds={value.step_seconds}
          from={drawn.from}
          to={drawn.to}
          lines={drawn.lines}
          stacked
          height={280}
          format={format}
          {...(limit === undefined ? {} : { top: 0 })}
          binary={ranking.unit === "mb"}
          brush={range.brush}
          focus={focus}
          onHover={setStep}
          onBrush={(window) => set({ brush: window === undefined ? undefined : formatWindow(window) })}
        />
        {nothing && <p className="chart-note">Nothing was seen in this window.</p>}
      </div>
      <figcaption className="legend">
        <p className="legend-time">
          {time === undefined
            ? ""
            : step === undefined
              ? `Latest step, ${moment(time, now)}`
              : moment(time, now, value.step_seconds < 60)}
        </p>
        <ul onMouseLeave={() => setFocus(undefined)}>
          {drawn.lines.toReversed().map(({ colour, hatched, key, over, values }) => {
            const name = key.startsWith("g") ? key.slice(1) : undefined
            const amount = at === undefined ? null : (values[at] ?? null)
            const sign = <Swatch colour={colour} hatched={hatched === true} line={over === true} />
            return (
              <li key={key} onMouseEnter={() => setFocus(over === true ? undefined : key)}>
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
                    onFocus={() => setFocus(key)}
                    onBlur={() => setFocus(undefined)}
                  >
                    {sign}
                    <Name value={name} />
                  </button>
                )}
                <span className="legend-value">{format(amount ?? Number.NaN)}</span>
              </li>
            )
          })}
        </ul>
      </figcaption>
    </figure>
  )
}

const LABELS: Readonly<Record<string, string>> = { host: "Host total", other: "All others", unaccounted: "Unaccounted" }
const TITLES: Readonly<Record<string, string>> = {
  host: "What the host says of itself",
  other: "All groups that are not shown one by one",
  unaccounted: "The host's total beyond all groups: processes that lived shortly, and the kernel itself"
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
