/**
 * A chart over time, drawn by uPlot: lines or a stack of areas, with hatched gaps where nothing was seen, a crosshair that
 * all charts of a page share, and, where wanted, a brush.
 *
 * The chart is a picture to a screen reader, named by `label`; the numbers are in the tables. With the keyboard, arrows
 * move the crosshair and Shift with them draws the brush.
 */
import { type KeyboardEvent, useEffect, useRef } from "react"
import uPlot from "uplot"
import "uplot/dist/uPlot.min.css"
import { dayOf } from "./Format.ts"
import type { Window } from "./Range.ts"
import { type Colours, coloursOf, useDark } from "./Theme.ts"

export interface Line {
  readonly key: string
  readonly label: string
  readonly colour: string
  readonly values: ReadonlyArray<number | null>
  /** Hatched instead of filled, for what nobody accounts for. */
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
  readonly compact?: boolean
  readonly brush?: Window | undefined
  readonly onBrush?: ((window: Window | undefined) => void) | undefined
  /** Told which step the pointer is on; undefined where it is on none. */
  readonly onHover?: (step: number | undefined) => void
  /** The key of the line that is looked at; the others step back. */
  readonly focus?: string | undefined
}

const SYNC = uPlot.sync("nodepulse")

export const Chart = (props: ChartProps) => {
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | undefined>(undefined)
  const latest = useRef(props)
  latest.current = props
  const dark = useDark()
  const shape = `${props.lines.map(({ dashed, hatched, key, over }) => `${key}${hatched}${over}${dashed}`).join("\n")}${props.lines.map(({ colour }) => colour).join()}${props.stacked}${props.compact}${props.height}${props.binary}`

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new shape or theme is a new chart; values are set below.
  useEffect(() => {
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

  const { brush, focus, from, lines, times, to } = props
  // biome-ignore lint/correctness/useExhaustiveDependencies: the shape has the lines' looks, `times` and `lines` their values.
  useEffect(() => {
    const made = plot.current
    if (made === undefined) return
    made.setData(dataOf(latest.current), false)
    made.setScale("x", { min: from, max: to })
    made.redraw(true, true)
    showBrush(made, brush)
  }, [times, lines, from, to, shape, dark, brush?.from, brush?.to])
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is looked at changes the strokes only.
  useEffect(() => plot.current?.redraw(false, false), [focus])

  const onKeyDown = (event: KeyboardEvent) => {
    const made = plot.current
    if (made === undefined || (event.key !== "ArrowLeft" && event.key !== "ArrowRight")) return
    event.preventDefault()
    event.stopPropagation()
    const count = times.length
    const step = event.key === "ArrowLeft" ? -1 : 1
    const at = Math.max(0, Math.min(count - 1, (made.cursor.idx ?? (step < 0 ? count : -1)) + step))
    const time = times[at]
    if (time === undefined) return
    made.setCursor({ left: made.valToPos(time, "x"), top: made.over.clientHeight / 2 })
    const { onBrush, stepSeconds } = latest.current
    if (!event.shiftKey || onBrush === undefined) return
    const moved = step > 0 ? time : time - stepSeconds
    const fixed =
      brush === undefined ? (step > 0 ? time - stepSeconds : time) : step > 0 ? brush.from / 1000 : brush.to / 1000
    if (fixed !== moved) onBrush({ from: Math.min(fixed, moved) * 1000, to: Math.max(fixed, moved) * 1000 })
  }

  return (
    // biome-ignore lint/a11y/useSemanticElements: a canvas in a box is a picture.
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
  )
}

/** Values as uPlot takes them: of a stack, the sums from the bottom. The first array of lines is drawn first. */
const dataOf = ({ lines, stacked, times }: ChartProps): uPlot.AlignedData => {
  const columns: Array<Array<number | null>> = []
  if (stacked === true) {
    const sum = new Array<number>(times.length).fill(0)
    for (const { over, values } of lines) {
      if (over === true) columns.push([...values])
      else {
        columns.push(
          times.map((_, n) => {
            const value = values[n] ?? null
            if (value === null) return null
            sum[n] = (sum[n] ?? 0) + value
            return sum[n] ?? null
          })
        )
      }
    }
  } else for (const { values } of lines) columns.push([...values])
  return [[...times], ...columns]
}

const showBrush = (plot: uPlot, brush: Window | undefined) => {
  if (brush === undefined) {
    if (plot.select.width > 0) plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
    return
  }
  const left = Math.max(0, plot.valToPos(brush.from / 1000, "x"))
  const right = Math.min(plot.over.clientWidth, plot.valToPos(brush.to / 1000, "x"))
  plot.setSelect({ left, top: 0, width: Math.max(1, right - left), height: plot.over.clientHeight }, false)
}

const optionsOf = (latest: { readonly current: ChartProps }, width: number, colours: Colours): uPlot.Options => {
  const { binary, compact, filled, height, lines, onBrush, stacked } = latest.current
  const font = `${compact === true ? 10.5 : 11.5}px ${getComputedStyle(document.body).fontFamily}`
  const hatch = hatchOf(colours.unaccounted, 5)
  const faded = (key: string) => {
    const { focus } = latest.current
    return focus !== undefined && focus !== key
  }
  const areas = lines.flatMap(({ over }, n) => (over === true ? [] : [n + 1]))
  const series: Array<uPlot.Series> = lines.map((line): uPlot.Series => {
    const area = stacked === true && line.over !== true
    const base: uPlot.Series = {
      label: line.label,
      points: { show: false },
      spanGaps: false,
      stroke: () => (faded(line.key) && !area ? `${line.colour}55` : line.colour),
      width: area ? 0 : compact === true ? 1.25 : 1.5
    }
    if (line.dashed === true) base.dash = [4, 4]
    if (area) base.fill = () => (line.hatched === true ? hatch : withAlpha(line.colour, faded(line.key) ? 0.16 : 0.82))
    else if (filled === true && line.over !== true) base.fill = () => withAlpha(line.colour, 0.13)
    return base
  })
  // Between neighbours of a stack: each area reaches down to the one below it.
  const bands: Array<uPlot.Band> =
    stacked === true ? areas.slice(1).map((upper, n): uPlot.Band => ({ series: [upper, areas[n] ?? 1] })) : []
  return {
    width: Math.max(80, width),
    height,
    padding: [compact === true ? 6 : 10, compact === true ? 14 : 18, 0, 0],
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
    series: [{}, ...series],
    bands,
    axes: [
      {
        stroke: colours.muted,
        font,
        size: compact === true ? 22 : 28,
        gap: 4,
        space: compact === true ? 56 : 72,
        grid: { show: false },
        ticks: { show: false },
        values: (plot, splits) =>
          splits.map((at, n) => timeLabel(at, splits[n - 1], (plot.scales.x?.max ?? 0) - (plot.scales.x?.min ?? 0)))
      },
      {
        stroke: colours.muted,
        font,
        size: (plot, values) => Math.max(compact === true ? 30 : 60, widthOf(plot, values, font) + 10),
        gap: 6,
        space: compact === true ? 26 : 38,
        grid: { stroke: colours.grid, width: 1 },
        ticks: { show: false },
        ...(binary === true ? { incrs: BINARY } : {}),
        values: (_, splits) => splits.map((value) => latest.current.format(value))
      }
    ],
    hooks: {
      drawClear: [(plot) => drawGaps(plot, latest.current, colours)],
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
      setCursor: [(plot) => latest.current.onHover?.(plot.cursor.idx ?? undefined)],
      ready: [
        (plot) => {
          plot.over.addEventListener("dblclick", () => latest.current.onBrush?.(undefined))
        }
      ]
    }
  }
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

const BINARY = Array.from({ length: 60 }, (_, n) => 2 ** (n - 4))

/** Room above the highest value. */
const niceTop = (max: number): number => (max > 0 ? max * 1.08 : 1)

const two = (value: number) => String(value).padStart(2, "0")
const timeLabel = (at: number, before: number | undefined, span: number): string => {
  const date = new Date(at * 1000)
  const day = dayOf(date)
  if (span > 3 * 86_400) return day
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}`
  const newDay = before !== undefined && new Date(before * 1000).getDate() !== date.getDate()
  return newDay ? day : span < 240 ? `${clock}:${two(date.getSeconds())}` : clock
}

/** A hatch as a pattern for a canvas. */
const hatchOf = (colour: string, size: number): CanvasPattern | string => {
  const tile = document.createElement("canvas")
  const scale = Math.max(1, Math.round(window.devicePixelRatio || 1))
  tile.width = size * scale
  tile.height = size * scale
  const context = tile.getContext("2d")
  if (context === null) return colour
  context.strokeStyle = colour
  context.lineWidth = scale
  context.lineCap = "square"
  for (const shift of [-1, 0, 1]) {
    context.beginPath()
    context.moveTo(shift * tile.width, tile.height)
    context.lineTo((shift + 1) * tile.width, 0)
    context.stroke()
  }
  return context.createPattern(tile, "repeat") ?? colour
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
