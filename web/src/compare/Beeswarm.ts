/** Where the dots of a strip plot stand: each at its value, beside the others that have about the same. Pure. */

export interface Dot {
  /** Its place among the values. */
  readonly place: number
  /** Pixels from the left end of the scale, and from the middle line. */
  readonly x: number
  readonly y: number
}

/**
 * Dots of values from 0 to `max` on a scale of a width. Dots of one column of pixels stand on each other, from the middle to
 * both sides; where they are more than the height holds, they move together.
 */
export const beeswarm = (
  values: ReadonlyArray<number | null>,
  {
    height,
    max,
    radius,
    width
  }: { readonly width: number; readonly height: number; readonly max: number; readonly radius: number }
): ReadonlyArray<Dot> => {
  const columns = new Map<number, Array<number>>()
  const step = 2 * radius
  for (const [place, value] of values.entries()) {
    if (value === null) continue
    const column = Math.round(((max > 0 ? value / max : 0) * width) / step)
    columns.set(column, [...(columns.get(column) ?? []), place])
  }
  return [...columns].flatMap(([column, places]) => {
    const apart = Math.min(step, (height - step) / Math.max(1, places.length - 1))
    const ordered = places.toSorted((a, b) => values[a]! - values[b]! || a - b)
    return ordered.map((place, n): Dot => {
      const side = n % 2 === 0 ? 1 : -1
      return { place, x: column * step, y: side * Math.ceil(n / 2) * apart }
    })
  })
}
