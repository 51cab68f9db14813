/** A strip plot: a dot for each server at its value, the median, and what stands out by shape and name. The table has the numbers. */
import { type PointerEvent, type RefObject, useLayoutEffect, useRef, useState } from "react"
import type { Ranking, Spread } from "../ask/Api.ts"
import { slotsOf } from "../charts/Slots.ts"
import { coloursOf, useDark } from "../frame/Theme.ts"
import { words } from "../parts/Format.ts"
import { legible } from "../parts/Legible.ts"
import { beeswarm, type Dot } from "./Beeswarm.ts"
import { shownIn } from "./Odd.tsx"

const HEIGHT = 150
const EDGE = 14
const FOOT = 24
const MIDDLE = (HEIGHT - FOOT) / 2 + 10
const LABELS = 3
const LABEL_LENGTH_MAX = 24
/** As wide as a letter of a name, in pixels. */
const LETTER = 7
/** As far from a dot the pointer is still on it, in pixels. */
const NEAR_MAX = 40

export const plural = (count: number, one: string) => `${count} ${one}${count === 1 ? "" : "s"}`

const useWidth = (box: RefObject<HTMLElement | null>): number => {
  const [width, setWidth] = useState(0)
  useLayoutEffect(() => {
    const element = box.current
    if (element === null) return
    const measure = () => setWidth(element.clientWidth)
    const observer = new ResizeObserver(measure)
    observer.observe(element)
    measure()
    return () => observer.disconnect()
  }, [box])
  return width
}

export const Strip = ({ answer, ranking }: { readonly answer: Spread; readonly ranking: Ranking }) => {
  const { median, name, names, server_ids, unit, values } = answer
  const box = useRef<HTMLDivElement>(null)
  const width = useWidth(box)
  const [near, setNear] = useState<number>()
  const max = values.reduce<number>((most, value) => Math.max(most, value ?? 0), 0)
  const radius = values.length > 400 ? 2.5 : values.length > 80 ? 3.5 : 5
  const room = Math.max(0, width - 2 * EDGE)
  const dots = beeswarm(values, { width: room, height: HEIGHT - FOOT - 34, max, radius })
  if (server_ids.length === 0) return null
  const onPointerMove = (event: PointerEvent<SVGSVGElement>) => {
    const { left, top } = event.currentTarget.getBoundingClientRect()
    const far = ({ x, y }: Dot) => Math.hypot(x + EDGE - (event.clientX - left), y + MIDDLE - (event.clientY - top))
    const best = dots.reduce<Dot | undefined>(
      (nearest, dot) => (nearest === undefined || far(dot) < far(nearest) ? dot : nearest),
      undefined
    )
    setNear(best !== undefined && far(best) < NEAR_MAX ? best.place : undefined)
  }
  return (
    <div className="card strip-plot">
      <p className="strip-near" aria-hidden="true">
        {near === undefined
          ? "Each dot is a server"
          : `${legible(names[near] ?? "", 60)}: ${shownIn(values[near] ?? null, unit)}`}
      </p>
      <div ref={box}>
        <svg
          width={width}
          height={HEIGHT}
          role="img"
          aria-label={`${words(ranking.key)} of ${legible(name, 60)} on ${plural(server_ids.length, "server")}, from 0 to ${shownIn(max, unit)}, median ${shownIn(median, unit)}; the numbers are in the table`}
          onPointerMove={onPointerMove}
          onPointerLeave={() => setNear(undefined)}
        >
          <Scale median={median} max={max} room={room} unit={unit} />
          <Dots answer={answer} dots={dots} radius={radius} room={room} near={near} />
        </svg>
      </div>
    </div>
  )
}

/** From 0 to the highest value, with the median. */
const Scale = ({
  max,
  median,
  room,
  unit
}: {
  readonly max: number
  readonly median: number | null
  readonly room: number
  readonly unit: string
}) => {
  const middle = EDGE + (max > 0 ? (median ?? 0) / max : 0) * room
  return (
    <>
      <path className="strip-axis" d={`M${EDGE} ${HEIGHT - FOOT + 0.5}H${EDGE + room}`} />
      {median !== null && <path className="strip-median" d={`M${middle.toFixed(1)} 14V${HEIGHT - FOOT}`} />}
      <text className="strip-label muted" x={EDGE} y={HEIGHT - 8}>
        0
      </text>
      {median !== null && middle > EDGE + 90 && middle < EDGE + room - 150 && (
        <text className="strip-label" x={middle} y={HEIGHT - 8} textAnchor="middle">
          median {shownIn(median, unit)}
        </text>
      )}
      <text className="strip-label muted" x={EDGE + room} y={HEIGHT - 8} textAnchor="end">
        {shownIn(max, unit)}
      </text>
    </>
  )
}

/** Those whose names have room above them, the highest first; the others are told by the pointer and the table. */
const labelled = (dots: ReadonlyArray<Dot>, names: ReadonlyArray<string>): ReadonlyArray<Dot> => {
  const widthOf = ({ place }: Dot) => LETTER * (Math.min(LABEL_LENGTH_MAX, names[place]?.length ?? 0) + 1)
  const named: Array<Dot> = []
  for (const dot of dots.toSorted((a, b) => b.x - a.x)) {
    const hasRoom = named.every(
      (one) => Math.abs(one.x - dot.x) > Math.max(widthOf(one), widthOf(dot)) || Math.abs(one.y - dot.y) > 2 * LETTER
    )
    if (hasRoom && named.length < LABELS) named.push(dot)
  }
  return named
}

const Dots = ({
  answer: { name, names, odd, server_ids },
  dots,
  near,
  radius,
  room
}: {
  readonly answer: Spread
  readonly dots: ReadonlyArray<Dot>
  readonly radius: number
  readonly room: number
  readonly near: number | undefined
}) => {
  const colours = coloursOf(useDark())
  const colour = colours.slots[slotsOf([name]).get(name) ?? 0] ?? colours.accent
  const isOdd = ({ place }: Dot) => odd.some(({ server_id }) => server_id === server_ids[place])
  const pointed = dots.find(({ place }) => place === near)
  return (
    <>
      {dots.map((dot) =>
        isOdd(dot) ? (
          <path key={dot.place} className="strip-odd" d={`M${dot.x + EDGE} ${dot.y + MIDDLE - 6}l6 6-6 6-6-6Z`} />
        ) : (
          <circle
            key={dot.place}
            className="strip-dot"
            cx={dot.x + EDGE}
            cy={dot.y + MIDDLE}
            r={radius - 0.5}
            fill={colour}
          />
        )
      )}
      {pointed !== undefined && (
        <circle className="strip-ring" cx={pointed.x + EDGE} cy={pointed.y + MIDDLE} r={radius + 3} />
      )}
      {labelled(dots.filter(isOdd), names).map(({ place, x, y }) => (
        <text
          key={place}
          className="strip-label"
          x={x + EDGE}
          y={y + MIDDLE - 11}
          textAnchor={x < room * 0.15 ? "start" : x > room * 0.85 ? "end" : "middle"}
        >
          {legible(names[place] ?? "", LABEL_LENGTH_MAX)}
        </text>
      ))}
    </>
  )
}
