/**
 * A week of a value, with the line of a rule over it: dragged, or moved with the arrows, and the rule's number follows. Shaded is
 * when the rule would have fired, hatched what was not seen.
 */
import { type KeyboardEvent, type PointerEvent, useEffect, useId, useMemo, useRef, useState } from "react"
import { dayOf } from "../parts/Format.ts"
import type { Span } from "./Past.ts"

type Values = ReadonlyArray<number | null>

export interface Drawing {
  /** Right ends of the steps, epoch milliseconds, in order. */
  readonly times: ReadonlyArray<number>
  readonly stepMillis: number
  readonly from: number
  readonly to: number
  readonly values: Values
  readonly peaks: Values | undefined
}

interface Props {
  readonly label: string
  readonly drawing: Drawing
  readonly spans: ReadonlyArray<Span>
  /** Undefined where the rule has none, or none that can be read. */
  readonly threshold: number | undefined
  readonly format: (value: number) => string
  /** Undefined where it cannot be moved. */
  readonly onThreshold: ((value: number) => void) | undefined
}

const HEIGHT = 190
const BOTTOM = 20
const TOP = 10
const PLOT = HEIGHT - TOP - BOTTOM

export const ThresholdChart = ({ drawing, format, label, onThreshold, spans, threshold }: Props) => {
  const [box, width] = useWidth()
  const [held, setHeld] = useState<number>()
  const highest = useMemo(
    () => Math.max(0, ...[...drawing.values, ...(drawing.peaks ?? [])].flatMap((value) => value ?? [])),
    [drawing]
  )
  // While the line is dragged, what is under it stands still.
  const most = held ?? (Math.max(highest, threshold ?? 0) * 1.12 || 1)
  const y = (value: number) => TOP + PLOT * (1 - Math.min(1, Math.max(0, value / most)))
  return (
    <div className="threshold-chart" ref={box}>
      <Plot drawing={drawing} label={label} spans={spans} width={width} y={y} />
      <Axis most={most} format={format} y={y} />
      {threshold !== undefined && onThreshold !== undefined && (
        <Line
          most={most}
          threshold={threshold}
          format={format}
          y={y}
          onThreshold={onThreshold}
          onHold={(holds) => setHeld(holds ? most : undefined)}
        />
      )}
    </div>
  )
}

/** How wide it is, in pixels. */
const useWidth = () => {
  const box = useRef<HTMLDivElement>(null)
  const [width, setWidth] = useState(600)
  useEffect(() => {
    const element = box.current
    if (element === null) return
    const observer = new ResizeObserver(() => setWidth(element.clientWidth || 600))
    observer.observe(element)
    return () => observer.disconnect()
  }, [])
  return [box, width] as const
}

const Plot = ({
  drawing: { from, peaks, stepMillis, times, to, values },
  label,
  spans,
  width,
  y
}: Pick<Props, "drawing" | "label" | "spans"> & { readonly width: number; readonly y: (value: number) => number }) => {
  const hatch = useId()
  const x = (time: number) => ((Math.min(to, Math.max(from, time)) - from) / (to - from)) * width
  const stretches = (isIn: (n: number) => boolean) => {
    const found: Array<{ first: number; last: number }> = []
    for (let n = 0; n < times.length; n++) {
      if (!isIn(n)) continue
      const last = found.at(-1)
      if (last !== undefined && last.last === n - 1) last.last = n
      else found.push({ first: n, last: n })
    }
    return found
  }
  const seen = stretches((n) => (values[n] ?? null) !== null)
  const unseen = stretches((n) => (values[n] ?? null) === null)
  const left = (n: number) => x((times[n] ?? from) - stepMillis)
  const path = (of: Values, { first, last }: { first: number; last: number }) => {
    const points = [`${left(first).toFixed(1)} ${y(of[first] ?? 0).toFixed(1)}`]
    for (let n = first; n <= last; n++) points.push(`${x(times[n] ?? to).toFixed(1)} ${y(of[n] ?? 0).toFixed(1)}`)
    return points.join("L")
  }
  const ground = HEIGHT - BOTTOM
  return (
    <svg
      className="threshold-plot"
      width={width}
      height={HEIGHT}
      viewBox={`0 0 ${width} ${HEIGHT}`}
      role="img"
      aria-label={label}
    >
      <defs>
        <pattern id={hatch} width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)">
          <path className="unseen" d="M0 3.5h7" />
        </pattern>
      </defs>
      {unseen.map(({ first, last }) => (
        <rect
          key={first}
          x={left(first)}
          y={TOP}
          width={Math.max(1, x(times[last] ?? to) - left(first))}
          height={PLOT}
          fill={`url(#${hatch})`}
        />
      ))}
      {spans.map((span) => (
        <g key={span.from} className="would-fire">
          <rect x={x(span.from)} y={TOP} width={Math.max(1.5, x(span.to) - x(span.from))} height={PLOT} />
          <rect className="edge" x={x(span.from)} y={TOP} width={Math.max(1.5, x(span.to) - x(span.from))} height="3" />
        </g>
      ))}
      {peaks !== undefined && <path className="peaks" d={seen.map((one) => `M${path(peaks, one)}`).join("")} />}
      <path
        className="area"
        d={seen
          .map(
            (one) =>
              `M${left(one.first).toFixed(1)} ${ground}L${path(values, one)}L${x(times[one.last] ?? to).toFixed(1)} ${ground}Z`
          )
          .join("")}
      />
      <path className="line" d={seen.map((one) => `M${path(values, one)}`).join("")} />
      <path className="ground" d={`M0 ${ground}.5H${width}`} />
      {daysOf(from, to, Math.max(1, Math.floor(width / 90))).map((day) => (
        <text
          key={day}
          x={x(day)}
          y={HEIGHT - 5}
          textAnchor={x(day) < 30 ? "start" : x(day) > width - 30 ? "end" : "middle"}
        >
          {dayOf(new Date(day), to)}
        </text>
      ))}
    </svg>
  )
}

/** Midnights, at most so many of them. */
const daysOf = (from: number, to: number, most: number): ReadonlyArray<number> => {
  const days: Array<number> = []
  const day = new Date(from)
  day.setHours(24, 0, 0, 0)
  for (; day.getTime() < to; day.setDate(day.getDate() + 1)) days.push(day.getTime())
  const every = Math.ceil(days.length / most)
  return days.filter((_, n) => n % every === 0)
}

const Axis = ({
  format,
  most,
  y
}: {
  readonly most: number
  readonly format: Props["format"]
  readonly y: (value: number) => number
}) => (
  <div className="threshold-axis" aria-hidden="true">
    {stepsOf(most).map((value) => (
      <span key={value} style={{ top: y(value) }}>
        {format(value)}
      </span>
    ))}
  </div>
)

/** Two or three round numbers below the top. */
const stepsOf = (most: number): ReadonlyArray<number> => {
  const size = 10 ** Math.floor(Math.log10(most))
  const step = [0.2, 0.5, 1, 2, 5].map((one) => one * size).find((one) => most / one <= 5) ?? size
  return [1, 2, 3, 4].map((n) => n * step).filter((value) => value < most * 0.97)
}

/** As fine as a pixel is high, in round numbers. */
const stepOf = (most: number): number => {
  const size = 10 ** Math.floor(Math.log10(most / 100))
  return [1, 2, 5].map((one) => one * size).findLast((one) => one <= most / 100) ?? size
}

const rounded = (value: number, step: number): number => Number((Math.round(value / step) * step).toPrecision(6))

const Line = ({
  format,
  most,
  onHold,
  onThreshold,
  threshold,
  y
}: {
  readonly most: number
  readonly threshold: number
  readonly format: Props["format"]
  readonly y: (value: number) => number
  readonly onThreshold: (value: number) => void
  readonly onHold: (holds: boolean) => void
}) => {
  const step = stepOf(most)
  const move = (value: number) => onThreshold(rounded(Math.max(0, value), step))
  const onKeyDown = (event: KeyboardEvent) => {
    const by = KEYS[event.key]
    if (by === undefined) return
    event.preventDefault()
    event.stopPropagation()
    move(by === "least" ? 0 : by === "most" ? most : threshold + by * step)
  }
  const drag = (event: PointerEvent<HTMLElement>) => {
    if (!event.currentTarget.hasPointerCapture(event.pointerId)) return
    const box = event.currentTarget.parentElement?.getBoundingClientRect()
    if (box !== undefined) move((1 - (event.clientY - box.top - TOP) / PLOT) * most)
  }
  return (
    <div
      className="threshold-line"
      role="slider"
      tabIndex={0}
      aria-label="Threshold"
      aria-orientation="vertical"
      aria-valuemin={0}
      aria-valuemax={rounded(most, step)}
      aria-valuenow={threshold}
      aria-valuetext={format(threshold)}
      style={{ top: y(threshold) }}
      onKeyDown={onKeyDown}
      onPointerDown={(event) => {
        if (event.button !== 0) return
        event.currentTarget.setPointerCapture(event.pointerId)
        onHold(true)
      }}
      onPointerMove={drag}
      onPointerUp={() => onHold(false)}
      onPointerCancel={() => onHold(false)}
    >
      <span>{format(threshold)}</span>
    </div>
  )
}

const KEYS: Readonly<Record<string, number | "least" | "most">> = {
  ArrowUp: 1,
  ArrowRight: 1,
  ArrowDown: -1,
  ArrowLeft: -1,
  PageUp: 10,
  PageDown: -10,
  Home: "least",
  End: "most"
}
