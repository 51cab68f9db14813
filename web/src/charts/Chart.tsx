/**
 * A chart over time, drawn by uPlot: lines or a stack of areas, with hatched gaps where nothing was seen, a crosshair that
 * all charts of a page share, and, where wanted, a brush.
 *
 * The chart is a picture to a screen reader, named by `label`; the numbers are in the tables. With the keyboard, arrows
 * move the crosshair and Shift with them draws the brush.
 */
import { type KeyboardEvent, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react"
import uPlot from "uplot"
import "uplot/dist/uPlot.min.css"
import type { Window } from "../ask/Spans.ts"
import { type Colours, coloursOf, useDark } from "../frame/Theme.ts"
import { Ticks } from "../marks/Ticks.tsx"
import { dayOf } from "../parts/Format.ts"
import { type Drawn, drawnOf } from "./Steps.ts"

export interface Line {
  readonly key: string
  readonly label: string
  readonly colour: string
  readonly values: ReadonlyArray<number | null>
  /** Hatched instead of filled, for what is unaccounted for. */
  readonly hatched?: boolean
  /** A line over a stack, such as the host's total. */
  readonly over?: boolean
  /** Fainter, without its own place in a stack. */
  readonly dashed?: boolean
}

export interface ChartProps {
  readonly label: string
  /** Right ends of the steps, epoch seconds, in order. */
  readonly times: ReadonlyArray<number>
  readonly stepSeconds: number
  /** Epoch seconds. */
  readonly from: number
  readonly to: number
  /** From the bottom upwards where stacked. */
  readonly lines: ReadonlyArray<Line>
  readonly stacked?: boolean
  readonly filled?: boolean
  readonly height: number
  readonly format: (value: number) => string
  /** At least this high. */
  readonly top?: number
  readonly binary?: boolean
  /** Of things that there is no half of: the axis has whole numbers only. */
  readonly whole?: boolean
  readonly compact?: boolean
  readonly brush?: Window | undefined
  readonly onBrush?: ((window: Window | undefined) => void) | undefined
  /** A moment that is looked at, epoch milliseconds: the line that stays. */
  readonly moment?: number | undefined
  /** Two windows that are compared, shaded. */
  readonly spans?: Spans | undefined
  /** The page's leading chart: its marks are for the keyboard, too. */
  readonly lead?: boolean
  /** Told when a moment is chosen, by a click or with Enter: the right end of its step, epoch milliseconds. */
  readonly onMoment?: ((time: number) => void) | undefined
  /** Told which step the pointer is on; undefined where it is on none. */
  readonly onHover?: (step: number | undefined) => void
  /** The key of the line that is looked at; the others step back. */
  readonly focus?: string | undefined
}

interface Spans {
  readonly before?: Window
  readonly after?: Window
}

const SYNC = uPlot.sync("nodepulse")

/** What was asked for last, and what is drawn of it. */
interface Latest extends ChartProps {
  readonly drawn: Drawn
  /** Told where the plot is, in pixels of the page. */
  readonly onPlaced: (left: number, width: number) => void
}

export const Chart = (props: ChartProps) => {
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | undefined>(undefined)
  const { brush, focus, from, lines, stacked, stepSeconds, times, to } = props
  const drawn = useMemo(
    () =>
      drawnOf(
        times,
        stepSeconds,
        stacked === true ? stackedUp(lines, times.length) : lines.map(({ values }) => values)
      ),
    [lines, times, stepSeconds, stacked]
  )
  const [place, setPlace] = useState({ left: 0, width: 0 })
  const onPlaced = (left: number, width: number) =>
    setPlace((now) => (now.left === left && now.width === width ? now : { left, width }))
  const latest = useRef<Latest>({ ...props, drawn, onPlaced })
  latest.current = { ...props, drawn, onPlaced }
  const dark = useDark()
  const shape = `${props.lines.map(({ dashed, hatched, key, over }) => `${key}${hatched}${over}${dashed}`).join("\n")}${props.lines.map(({ colour }) => colour).join()}${props.stacked}${props.compact}${props.height}${props.binary}${props.whole}`

  // Before it is painted: else the page would jump by the chart's height.
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new shape or theme is a new chart; values are set below.
  useLayoutEffect(() => {
    const element = box.current
    if (element === null) return
    const made = new uPlot(optionsOf(latest, element.clientWidth, coloursOf(dark)), dataOf(latest.current), element)
    plot.current = made
    showBrush(made, latest.current.brush)
    const observer = new ResizeObserver(() => {
      const width = element.clientWidth
      if (width > 0 && width !== made.width) made.setSize({ width, height: latest.current.height })
      showBrush(made, latest.current.brush)
    })
    observer.observe(element)
    return () => {
      observer.disconnect()
      made.destroy()
      plot.current = undefined
    }
  }, [shape, dark])

  // biome-ignore lint/correctness/useExhaustiveDependencies: the shape has the lines' looks, `times` and `lines` their values.
  useLayoutEffect(() => {
    const made = plot.current
    if (made === undefined) return
    made.setData(dataOf(latest.current), false)
    made.setScale("x", { min: from, max: to })
    made.redraw(true, true)
    showBrush(made, brush)
  }, [times, lines, from, to, shape, dark, brush?.from, brush?.to])
  const shaded = Object.values(props.spans ?? {})
    .map(({ from, to }) => `${from} ${to}`)
    .join()
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is looked at changes the strokes only.
  useEffect(() => plot.current?.redraw(false, false), [focus, props.moment, shaded])

  const onKeyDown = (event: KeyboardEvent) => {
    const made = plot.current
    if (made === undefined) return
    const { idx } = made.cursor
    if (event.key === "Enter" && idx != null && props.onMoment !== undefined) {
      event.preventDefault()
      props.onMoment((times[drawn.steps[idx] ?? 0] ?? to) * 1_000)
      return
    }
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return
    // Where a moment is looked at, arrows step from scrape to scrape: the page does that.
    if (props.moment !== undefined && !event.shiftKey) return
    event.preventDefault()
    event.stopPropagation()
    const count = times.length
    const step = event.key === "ArrowLeft" ? -1 : 1
    const before = made.cursor.idx == null ? undefined : drawn.steps[made.cursor.idx]
    const at = Math.max(0, Math.min(count - 1, (before ?? (step < 0 ? count : -1)) + step))
    const time = times[at]
    if (time === undefined) return
    made.setCursor({ left: made.valToPos(time, "x"), top: made.over.clientHeight / 2 })
    const { onBrush } = latest.current
    if (!event.shiftKey || onBrush === undefined) return
    const moved = step > 0 ? time : time - stepSeconds
    const fixed =
      brush === undefined ? (step > 0 ? time - stepSeconds : time) : step > 0 ? brush.from / 1000 : brush.to / 1000
    if (fixed !== moved) onBrush({ from: Math.min(fixed, moved) * 1000, to: Math.max(fixed, moved) * 1000 })
  }

  return (
    <div className="chart-box">
      {/* biome-ignore lint/a11y/useSemanticElements: a canvas in a box is a picture. */}
      <div
        ref={box}
        className={props.compact === true ? "chart compact" : "chart"}
        role="img"
        aria-label={props.label}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: arrows read it, step by step.
        tabIndex={0}
        onKeyDown={onKeyDown}
        data-brush={props.onBrush === undefined ? undefined : ""}
      />
      <Ticks {...place} from={from} to={to} lead={props.lead === true} />
    </div>
  )
}

/** The values of a stack: sums from the bottom, so that the first line is the lowest. A line over the stack stays as it is. */
const stackedUp = (lines: ReadonlyArray<Line>, steps: number): ReadonlyArray<ReadonlyArray<number | null>> => {
  const sum = new Array<number>(steps).fill(0)
  return lines.map(({ over, values }) =>
    over === true
      ? values
      : sum.map((below, n) => {
          const value = values[n] ?? null
          if (value === null) return null
          sum[n] = below + value
          return below + value
        })
  )
}

/** As uPlot takes it. */
const dataOf = ({ drawn }: Latest): uPlot.AlignedData => [
  [...drawn.times],
  ...drawn.columns.map((column) => [...column])
]

const showBrush = (plot: uPlot, brush: Window | undefined) => {
  if (brush === undefined) {
    if (plot.select.width > 0) plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
    return
  }
  const left = Math.max(0, plot.valToPos(brush.from / 1000, "x"))
  const right = Math.min(plot.over.clientWidth, plot.valToPos(brush.to / 1000, "x"))
  plot.setSelect({ left, top: 0, width: Math.max(1, right - left), height: plot.over.clientHeight }, false)
}

interface Current {
  readonly current: Latest
}

const optionsOf = (latest: Current, width: number, colours: Colours): uPlot.Options => {
  const { compact, height, lines, onBrush, stacked } = latest.current
  const areas = lines.flatMap(({ over }, n) => (over === true ? [] : [n + 1]))
  // Between neighbours of a stack: each area reaches down to the one below it.
  const bands: Array<uPlot.Band> =
    stacked === true ? areas.slice(1).map((upper, n): uPlot.Band => ({ series: [upper, areas[n] ?? 1] })) : []
  return {
    width: Math.max(80, width),
    height,
    padding: [compact === true ? 6 : 10, 18, 0, 0],
    legend: { show: false },
    cursor: {
      x: true,
      y: false,
      points: { show: false },
      sync: { key: SYNC.key, setSeries: false, scales: ["x", null] },
      drag: { x: onBrush !== undefined, y: false, setScale: false, dist: 4 },
      focus: { prox: -1 }
    },
    scales: {
      x: { time: true, auto: false, range: () => [latest.current.from, latest.current.to] },
      y: { range: (_, __, max) => [0, Math.max(latest.current.top ?? 0, niceTop(max))] }
    },
    series: [{}, ...seriesOf(latest, colours)],
    bands,
    axes: axesOf(latest, colours),
    hooks: {
      drawClear: [(plot) => drawGaps(plot, latest.current, colours)],
      draw: [
        (plot) => drawSpans(plot, latest.current, colours),
        (plot) => drawMoment(plot, latest.current.moment, colours),
        ({ over }) => latest.current.onPlaced(over.offsetLeft, over.clientWidth)
      ],
      setSelect: [
        (plot) => {
          const { onBrush: told, stepSeconds } = latest.current
          if (told === undefined || plot.select.width < 4) return
          const from = plot.posToVal(plot.select.left, "x")
          const to = plot.posToVal(plot.select.left + plot.select.width, "x")
          // To whole steps, so that the table shows what was marked.
          const left = Math.round(from / stepSeconds) * stepSeconds
          const right = Math.max(left + stepSeconds, Math.round(to / stepSeconds) * stepSeconds)
          told({ from: left * 1000, to: right * 1000 })
        }
      ],
      setCursor: [
        (plot) => {
          const { drawn, onHover } = latest.current
          onHover?.(plot.cursor.idx == null ? undefined : drawn.steps[plot.cursor.idx])
        }
      ],
      ready: [
        (plot) => {
          plot.over.addEventListener("dblclick", () => latest.current.onBrush?.(undefined))
          hearClicks(plot, latest)
        }
      ]
    }
  }
}

/** A press and release at one place is a click; what moves in between marks a span. */
const hearClicks = (plot: uPlot, latest: Current) => {
  let pressed: number | undefined
  plot.over.addEventListener("mousedown", (event) => {
    pressed = event.button === 0 ? event.clientX : undefined
  })
  plot.over.addEventListener("click", (event) => {
    const { drawn, onMoment, times } = latest.current
    const { idx } = plot.cursor
    if (onMoment === undefined || pressed === undefined || Math.abs(event.clientX - pressed) > 3 || idx == null) return
    const time = times[drawn.steps[idx] ?? 0]
    if (time !== undefined && event.detail === 1) onMoment(time * 1_000)
  })
}

/** The moment that is looked at: a line over everything, with a foot on the axis. */
const drawMoment = (plot: uPlot, moment: number | undefined, colours: Colours) => {
  if (moment === undefined) return
  const { ctx } = plot
  const { height, left, top, width } = plot.bbox
  const x = Math.round(plot.valToPos(moment / 1000, "x", true))
  if (x < left || x > left + width) return
  const ratio = window.devicePixelRatio || 1
  ctx.save()
  ctx.strokeStyle = colours.accent
  ctx.fillStyle = colours.accent
  ctx.lineWidth = 1.5 * ratio
  ctx.beginPath()
  ctx.moveTo(x, top)
  ctx.lineTo(x, top + height)
  ctx.stroke()
  ctx.beginPath()
  ctx.moveTo(x - 5 * ratio, top + height + 6 * ratio)
  ctx.lineTo(x + 5 * ratio, top + height + 6 * ratio)
  ctx.lineTo(x, top + height)
  ctx.fill()
  ctx.restore()
}

/** The windows that are compared: a tint, a bar at the top and, where there is room, which one it is. */
const drawSpans = (plot: uPlot, { compact, spans }: ChartProps, colours: Colours) => {
  const { ctx } = plot
  const { height, left, top, width } = plot.bbox
  const ratio = window.devicePixelRatio || 1
  for (const [name, span] of Object.entries(spans ?? {}) as ReadonlyArray<[keyof Spans, Window]>) {
    const from = Math.max(left, plot.valToPos(span.from / 1000, "x", true))
    const to = Math.min(left + width, plot.valToPos(span.to / 1000, "x", true))
    if (to <= from) continue
    const colour = name === "after" ? colours.accent : colours.muted
    ctx.save()
    ctx.fillStyle = withAlpha(colour, 0.09)
    ctx.fillRect(from, top, to - from, height)
    ctx.fillStyle = colour
    ctx.fillRect(from, top, Math.max(ratio, to - from - ratio), 3 * ratio)
    if (compact !== true && to - from > 52 * ratio) {
      ctx.font = `${11 * ratio}px ${getComputedStyle(document.body).fontFamily}`
      ctx.textAlign = "left"
      ctx.textBaseline = "top"
      ctx.fillText(name, from + 5 * ratio, top + 6 * ratio)
    }
    ctx.restore()
  }
}

/** How each line is drawn. */
const seriesOf = (latest: Current, colours: Colours): ReadonlyArray<uPlot.Series> => {
  const { compact, filled, lines, stacked } = latest.current
  const faded = (key: string) => {
    const { focus } = latest.current
    return focus !== undefined && focus !== key
  }
  return lines.map((line): uPlot.Series => {
    const area = stacked === true && line.over !== true
    const base: uPlot.Series = {
      label: line.label,
      points: { show: false },
      spanGaps: false,
      stroke: () => (faded(line.key) && !area ? `${line.colour}55` : line.colour),
      width: area ? 0 : compact === true ? 1.25 : 1.5
    }
    if (line.dashed === true) base.dash = [4, 4]
    if (area)
      base.fill = () =>
        line.hatched === true ? hatchOf(colours.unaccounted, 5) : withAlpha(line.colour, faded(line.key) ? 0.16 : 0.82)
    else if (filled === true && line.over !== true) base.fill = () => withAlpha(line.colour, 0.13)
    return base
  })
}

const axesOf = (latest: Current, colours: Colours): Array<uPlot.Axis> => {
  const { binary, compact, whole } = latest.current
  const font = fontOf(compact === true ? 11 : 12)
  return [
    {
      stroke: colours.muted,
      font,
      // Marks are between the axis and its labels.
      size: compact === true ? 30 : 38,
      gap: compact === true ? 12 : 14,
      // The narrowest strip has room for two of its labels in any hour: one alone may stand in the corner, and is left out.
      space: compact === true ? 40 : 72,
      grid: { show: false },
      ticks: { show: false },
      values: (plot, splits) =>
        splits.map((at, n) =>
          // The lowest label of the other axis is in that corner.
          plot.valToPos(at, "x") < CORNER
            ? ""
            : timeLabel(at, splits[n - 1], (plot.scales.x?.max ?? 0) - (plot.scales.x?.min ?? 0))
        )
    },
    {
      stroke: colours.muted,
      font,
      size: (plot, values) => Math.max(compact === true ? 30 : 60, widthOf(plot, values, font) + 10),
      gap: 6,
      space: compact === true ? 26 : 38,
      grid: { stroke: colours.grid, width: 1 },
      ticks: { show: false },
      ...(binary === true ? { incrs: BINARY } : whole === true ? { incrs: WHOLE } : {}),
      values: (_, splits) => {
        // A scale of nothing says nothing.
        if (!latest.current.lines.some(({ values }) => values.some((value) => value !== null)))
          return splits.map(() => "")
        const labels = splits.map((value) => latest.current.format(value))
        // Half a byte is told as one: of equal neighbours only the last has a label.
        return labels.map((label, n) => (label === labels[n + 1] ? "" : label))
      }
    }
  ]
}

/** As wide as the longest label. */
const widthOf = (plot: uPlot, labels: ReadonlyArray<string> | null, font: string): number => {
  const { ctx } = plot
  ctx.save()
  ctx.font = font
  const widest = Math.max(24, ...(labels ?? []).map((label) => ctx.measureText(label).width))
  ctx.restore()
  return Math.ceil(widest)
}

/** Half a time label, in pixels. */
const CORNER = 16

const WHOLE = Array.from({ length: 12 }, (_, n) => [1, 2, 5].map((one) => one * 10 ** n)).flat()
const BINARY = Array.from({ length: 60 }, (_, n) => 2 ** (n - 4))

/** Room above the highest value. */
const niceTop = (max: number): number => (max > 0 ? max * 1.08 : 1)

const two = (value: number) => String(value).padStart(2, "0")
const timeLabel = (at: number, before: number | undefined, span: number): string => {
  const date = new Date(at * 1000)
  const day = dayOf(date, Date.now())
  if (span > 3 * 86_400) return day
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}`
  const newDay = before !== undefined && new Date(before * 1000).getDate() !== date.getDate()
  return newDay ? day : span < 240 ? `${clock}:${two(date.getSeconds())}` : clock
}

/**
 * The font of a chart's labels. uPlot takes the digits before "px" for the size and scales them by the pixel ratio: of a
 * fraction it would scale what is after the point, so that only whole pixels come out as they were meant.
 */
const fontOf = (pixels: number): string => `${Math.round(pixels)}px ${getComputedStyle(document.body).fontFamily}`

/** The latest hatches, by what they look like: a zoomed page has another pixel ratio. */
const hatches = new Map<string, CanvasPattern>()
const HATCHES_MAX = 16

/** A hatch as a pattern for a canvas, its lines a pixel of the page wide and `size` of them apart. */
const hatchOf = (colour: string, size: number): CanvasPattern | string => {
  const ratio = window.devicePixelRatio || 1
  const key = `${colour} ${size} ${ratio}`
  const known = hatches.get(key)
  if (known !== undefined) return known
  const tile = document.createElement("canvas")
  tile.width = Math.round(size * ratio)
  tile.height = tile.width
  const context = tile.getContext("2d")
  if (context === null) return colour
  context.strokeStyle = colour
  context.lineWidth = ratio
  context.lineCap = "square"
  for (const shift of [-1, 0, 1]) {
    context.beginPath()
    context.moveTo(shift * tile.width, tile.height)
    context.lineTo((shift + 1) * tile.width, 0)
    context.stroke()
  }
  const pattern = context.createPattern(tile, "repeat")
  if (pattern === null) return colour
  if (hatches.size >= HATCHES_MAX) hatches.clear()
  hatches.set(key, pattern)
  return pattern
}

/** Steps in which nothing was seen, of the times before the first and after the last answer too. */
const drawGaps = (plot: uPlot, { lines, stepSeconds, times }: ChartProps, colours: Colours) => {
  const values = lines.filter(({ over }) => over !== true)
  if (values.length === 0) return
  const { ctx } = plot
  const { height, left, top, width } = plot.bbox
  ctx.save()
  ctx.beginPath()
  ctx.rect(left, top, width, height)
  ctx.clip()
  ctx.fillStyle = hatchOf(colours.gap, 7)
  let began: number | undefined
  const close = (end: number) => {
    if (began === undefined) return
    const x = plot.valToPos(began, "x", true)
    ctx.fillRect(x, top, plot.valToPos(end, "x", true) - x, height)
    began = undefined
  }
  for (const [n, time] of times.entries()) {
    const unseen = values.every((line) => (line.values[n] ?? null) === null)
    if (unseen) began ??= time - stepSeconds
    else close(time - stepSeconds)
  }
  close(times.at(-1) ?? 0)
  ctx.restore()
}

/** A colour of the style sheet (#rrggbb) with an alpha. */
const withAlpha = (colour: string, alpha: number): string =>
  /^#[0-9a-f]{6}$/i.test(colour)
    ? `${colour}${Math.round(alpha * 255)
        .toString(16)
        .padStart(2, "0")}`
    : colour
