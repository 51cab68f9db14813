/**
 * A chunk: the scrapes of one server and exporter within an hour, as few bytes that PostgreSQL compresses well and SQL can
 * read any scrape of (`Tables.ts`, `docs/adr/0009-packed-days.md`). Pure.
 *
 * The rows lie in a grid, series by series, and in a series scrape by scrape: cell = series × scrapes + scrape. Of each column
 * the grid holds whole numbers: the values divided by a unit that divides all of them (a page, 0.01 s). From those the least of
 * the series is taken away (of one that climbs steadily its slope before), and what is left lies in planes, a byte of each cell in
 * each, the most significant first. So a value that does not change costs next to nothing, one that moves costs a byte or
 * two, and none needs its neighbours to be read.
 *
 * - Sums of decimal fractions are off by some units in the last place (12.340000000000002): those differences are a grid of
 *   their own, the nudges. A column that no unit fits keeps its doubles as they are, in `whole`.
 * - A cell that has no row, or NULL, repeats its neighbour, and a plane says so.
 *
 * Guarantee: what is unpacked equals what was packed, to the last bit (NULL is NaN); rows of a scrape come in the order of
 * the series. Bounds: a chunk has {@link CELLS_MAX} cells, or one scrape.
 */

import type { Scrape } from "./Scrape.ts"
import { beginningsOf, type Series, seriesAt } from "./ScrapeBatch.ts"

export interface PackedChunk {
  /** The moments of its scrapes, in order; epoch microseconds. */
  readonly at: Float64Array
  /** Ids of each label, by series. */
  readonly labels: ReadonlyArray<Int32Array>
  /** The plane that says which cells have a row (none: all), then {@link LAYOUT} numbers for each column. */
  readonly layout: Int32Array
  /** Of each column: what its whole numbers are multiplied with, or divided by where it is negative; 0: `whole`; NaN: none. */
  readonly units: Float64Array
  /** The least whole number of each series, grid by grid; and slopes, in whole numbers a scrape. */
  readonly bases: Float64Array
  readonly planes: Uint8Array
  /** Columns that no unit fits, grid by grid. */
  readonly whole: Float64Array
}

/**
 * A quarter of an hour of 150 groups every 15 s. SQL takes out a whole chunk for each scrape that it reads, so that larger ones
 * make it slow; smaller ones say more often what a series begins with (`bench/pack.ts`).
 */
export const CELLS_MAX = 10_000
const NONE = -1

/**
 * What the layout says of a column, in this order: the first plane of its numbers (of `whole`: which grid), how many planes,
 * the same two of its nudges, the plane of its NULLs, and which grids of `bases` are the least numbers, those of its nudges, and
 * the slopes.
 */
export const LAYOUT = 8
/** The first column says when the counters of a row began, where that differs within a scrape. */
export const FIRST_NUMBER = 1

// -- packing

/** Scrapes in order of time, with all number columns, as one chunk or, where that would be too large, several. */
export const packChunks = (scrapes: ReadonlyArray<Scrape>): ReadonlyArray<PackedChunk> => {
  if (scrapes.length === 0) return []
  const places = seriesPlaces(scrapes)
  if (scrapes.length > 1 && places.count * scrapes.length > CELLS_MAX) {
    const middle = scrapes.length >> 1
    return [...packChunks(scrapes.slice(0, middle)), ...packChunks(scrapes.slice(middle))]
  }
  return [packChunk(scrapes, places)]
}

interface Places {
  readonly count: number
  /** Of each scrape, the series of its rows. */
  readonly of: ReadonlyArray<Int32Array>
  readonly labels: ReadonlyArray<Int32Array>
}

/** Series are counted in the order of their first rows. */
const seriesPlaces = (scrapes: ReadonlyArray<Scrape>): Places => {
  const places = new Map<Series, number>()
  const labels: Array<Array<number>> = scrapes[0]!.labels.map(() => [])
  const of: Array<Int32Array> = []
  for (const [n, scrape] of scrapes.entries()) {
    const before = scrapes[n - 1]
    if (before !== undefined && haveSameRows(before, scrape)) {
      of.push(of[n - 1]!)
      continue
    }
    const series = seriesAt(scrape.labels)
    const own = new Int32Array(scrape.labels[0]?.length ?? 1)
    for (let row = 0; row < own.length; row++) {
      const key = series(row)
      let place = places.get(key)
      if (place === undefined) {
        place = places.size
        places.set(key, place)
        for (const [l, ids] of scrape.labels.entries()) labels[l]!.push(ids[row]!)
      }
      own[row] = place
    }
    of.push(own)
  }
  return { count: places.size, of, labels: labels.map((ids) => Int32Array.from(ids)) }
}

const haveSameRows = (a: Scrape, b: Scrape): boolean =>
  a.labels.every((ids, l) => {
    const others = b.labels[l]!
    if (ids.length !== others.length) return false
    for (let row = 0; row < ids.length; row++) if (ids[row] !== others[row]) return false
    return true
  })

const packChunk = (scrapes: ReadonlyArray<Scrape>, places: Places): PackedChunk => {
  const size = scrapes.length
  const cells = places.count * size
  const present = new Uint8Array(cells)
  for (let s = 0; s < size; s++) for (const place of places.of[s]!) present[place * size + s] = 1
  const differ = scrapes.some(({ sinceOf }) => sinceOf !== undefined)
  const columns = [
    differ ? gridOf(scrapes, places, ({ since, sinceOf }) => sinceOf ?? since) : undefined,
    ...scrapes[0]!.values.map((_, n) => gridOf(scrapes, places, ({ values }) => values[n]!))
  ].map((grid) => (grid === undefined ? undefined : packColumn(grid, present, places.count, size)))
  return {
    at: Float64Array.from(scrapes, ({ at }) => at),
    labels: places.labels,
    units: Float64Array.from(columns, (column) => (column === undefined ? Number.NaN : column.unit)),
    ...laidOut(columns, present.includes(0) ? present : undefined, cells)
  }
}

/** A column's values by cell; NaN where there is none. */
const gridOf = (
  scrapes: ReadonlyArray<Scrape>,
  places: Places,
  valuesOf: (scrape: Scrape) => Float64Array | number
): Float64Array => {
  const size = scrapes.length
  const grid = new Float64Array(places.count * size).fill(Number.NaN)
  for (let s = 0; s < size; s++) {
    const values = valuesOf(scrapes[s]!)
    const own = places.of[s]!
    if (typeof values === "number") for (const place of own) grid[place * size + s] = values
    else for (let row = 0; row < own.length; row++) grid[own[row]! * size + s] = values[row]!
  }
  return grid
}

interface Column {
  readonly unit: number
  readonly numbers: Planes
  readonly nudges: Planes | undefined
  readonly nulls: Uint8Array | undefined
  readonly whole: Float64Array | undefined
}

const packColumn = (grid: Float64Array, present: Uint8Array, series: number, size: number): Column => {
  let nulls: Uint8Array | undefined
  for (let g = 0; g < series; g++) {
    let last = Number.NaN
    for (let cell = g * size; cell < (g + 1) * size; cell++) {
      if (!Number.isNaN(grid[cell]!)) last = grid[cell]!
      else if (present[cell] === 1) {
        nulls ??= new Uint8Array(grid.length)
        nulls[cell] = 1
      }
    }
    fillGaps(grid, g * size, size, Number.isNaN(last) ? 0 : undefined)
  }
  const scaled = scale(grid)
  const numbers = scaled === undefined ? undefined : planesOf(scaled.numbers, series, size, true)
  if (scaled === undefined || numbers === undefined) {
    return { unit: 0, numbers: EMPTY, nudges: undefined, nulls, whole: grid }
  }
  const nudges = scaled.nudges === undefined ? undefined : planesOf(scaled.nudges, series, size, false)
  return { unit: scaled.unit, numbers, nudges, nulls, whole: undefined }
}

/** A value where there is none: the one before, or the first; or what is given. */
const fillGaps = (grid: Float64Array, start: number, size: number, given: number | undefined): void => {
  const end = start + size
  let first = start
  while (given === undefined && Number.isNaN(grid[first]!)) first++
  let last = given ?? grid[first]!
  for (let cell = start; cell < end; cell++) {
    if (Number.isNaN(grid[cell]!)) grid[cell] = last
    else last = grid[cell]!
  }
}

// -- units

interface Scaled {
  readonly unit: number
  readonly numbers: Float64Array
  readonly nudges: Float64Array | undefined
}

/** What is larger may have been rounded to a neighbour. */
const LARGEST = Number.MAX_SAFE_INTEGER
const UNIT_MAX = 65_536
/** What counters of time and ratios are told to. */
const PER = [100, 10, 1_000, 10_000, 1_000_000]
const NUDGE = 2 ** -53
const NUDGE_MAX = 32_767

/** Whole numbers and the unit that gives the values back; undefined where there is none. */
const scale = (values: Float64Array): Scaled | undefined => {
  const unit = wholeUnit(values)
  if (unit !== undefined) return { unit, numbers: unit === 1 ? values : values.map((v) => v / unit), nudges: undefined }
  for (const nudged of [false, true]) {
    for (const per of PER) {
      const scaled = decimal(values, per, nudged)
      if (scaled !== undefined) return scaled
    }
  }
  return undefined
}

/** The largest power of two up to a bound that divides all values, where all are whole. */
const wholeUnit = (values: Float64Array): number | undefined => {
  let bits = UNIT_MAX
  for (let n = 0; n < values.length; n++) {
    const value = values[n]!
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) return undefined
    bits |= value % UNIT_MAX
  }
  return bits & -bits
}

const decimal = (values: Float64Array, per: number, nudged: boolean): Scaled | undefined => {
  const numbers = new Float64Array(values.length)
  const nudges = nudged ? new Float64Array(values.length) : undefined
  for (let n = 0; n < values.length; n++) {
    const value = values[n]!
    const number = Math.round(value * per)
    if (!(Math.abs(number) <= LARGEST) || (number === 0 && !Object.is(value, 0))) return undefined
    const near = number / per
    numbers[n] = number
    if (near === value) continue
    if (nudges === undefined) return undefined
    const nudge = nudgeOf(near, value)
    if (nudge === undefined) return undefined
    nudges[n] = nudge
  }
  return { unit: -per, numbers, nudges }
}

/** What {@link nudge} makes one of the other with, where it is small. */
const nudgeOf = (near: number, value: number): number | undefined => {
  const about = Math.round((value - near) / near / NUDGE)
  if (!(Math.abs(about) < NUDGE_MAX)) return undefined
  for (const by of [about, about + 1, about - 1]) if (nudge(near, by) === value) return by
  return undefined
}

/** SQL computes the same, in the same order. Below 1 doubles lie twice as close: so both ways reach every neighbour. */
const nudge = (near: number, by: number): number => (by < 0 ? near * (1 + by * NUDGE) : near / (1 - by * NUDGE))

// -- planes

interface Planes {
  readonly bases: Float64Array
  /** Where some series has one. */
  readonly slopes: Float64Array | undefined
  /** The most significant first. */
  readonly planes: ReadonlyArray<Uint8Array>
}

const EMPTY: Planes = { bases: new Float64Array(0), slopes: undefined, planes: [] }

/** Whole numbers, less the least of each series; undefined where the rest is too large for whole numbers of a double. */
const planesOf = (numbers: Float64Array, series: number, size: number, isSloped: boolean): Planes | undefined => {
  const bases = new Float64Array(series)
  const slopes = isSloped ? slopesOf(numbers, series, size) : undefined
  const flat = slopes === undefined ? numbers : flattened(numbers, slopes, size)
  const rest = new Float64Array(numbers.length)
  let most = 0
  let largest = 0
  for (let g = 0; g < series; g++) {
    let least = Number.POSITIVE_INFINITY
    for (let cell = g * size; cell < (g + 1) * size; cell++) if (flat[cell]! < least) least = flat[cell]!
    bases[g] = least
    for (let cell = g * size; cell < (g + 1) * size; cell++) {
      const above = flat[cell]! - least
      largest = Math.max(largest, Math.abs(flat[cell]!))
      rest[cell] = above
      if (above > most) most = above
    }
  }
  if (most > LARGEST || largest > LARGEST) return undefined
  const planes: Array<Uint8Array> = []
  for (let weight = 1; weight <= most; weight *= 256) {
    const plane = new Uint8Array(rest.length)
    if (most < 2 ** 31) {
      const shift = planes.length * 8
      for (let cell = 0; cell < plane.length; cell++) plane[cell] = rest[cell]! >> shift
    } else for (let cell = 0; cell < plane.length; cell++) plane[cell] = Math.floor(rest[cell]! / weight) % 256
    planes.unshift(plane)
  }
  return { bases, slopes, planes }
}

/** A slope for each series whose numbers change nearly always, and by less around it; undefined where none does. */
const slopesOf = (numbers: Float64Array, series: number, size: number): Float64Array | undefined => {
  if (size < SLOPE_SCRAPES) return undefined
  let slopes: Float64Array | undefined
  for (let g = 0; g < series; g++) {
    const start = g * size
    const slope = (numbers[start + size - 1]! - numbers[start]!) / (size - 1)
    if (slope === 0) continue
    let level = 0
    let sloped = 0
    for (let s = 1; s < size; s++) {
      const step = numbers[start + s]! - numbers[start + s - 1]!
      level += bytesOf(step)
      sloped += bytesOf(step - Math.floor(slope * s) + Math.floor(slope * (s - 1)))
    }
    if (sloped >= level) continue
    slopes ??= new Float64Array(series)
    slopes[g] = slope
  }
  return slopes
}

/** Fewer have no slope to speak of. */
const SLOPE_SCRAPES = 8

/** About how many planes a step changes. */
const bytesOf = (step: number): number => (step === 0 ? 0 : 1 + Math.log2(Math.abs(step)) / 8)

const flattened = (numbers: Float64Array, slopes: Float64Array, size: number): Float64Array => {
  const flat = new Float64Array(numbers)
  for (let g = 0; g < slopes.length; g++) {
    if (slopes[g] === 0) continue
    for (let s = 0; s < size; s++) flat[g * size + s]! -= Math.floor(slopes[g]! * s)
  }
  return flat
}

/** Puts everything in its place: what is most alike first, since PostgreSQL gives up where the first kilobyte does not shrink. */
const laidOut = (
  columns: ReadonlyArray<Column | undefined>,
  present: Uint8Array | undefined,
  cells: number
): Pick<PackedChunk, "layout" | "bases" | "planes" | "whole"> => {
  const layout = new Int32Array(1 + columns.length * LAYOUT).fill(NONE)
  const planes: Array<Uint8Array> = []
  const bases: Array<Float64Array> = []
  const whole: Array<Float64Array> = []
  const put = (added: ReadonlyArray<Uint8Array>): number => planes.push(...added) - added.length
  if (present !== undefined) layout[0] = put([present])
  for (const [c, column] of columns.entries()) {
    if (column?.nulls !== undefined) layout[1 + c * LAYOUT + 4] = put([column.nulls])
  }
  const order = [...columns.keys()].sort((a, b) => planesIn(columns[b]) - planesIn(columns[a]))
  for (const c of order) {
    const column = columns[c]
    if (column === undefined) continue
    const start = 1 + c * LAYOUT
    if (column.whole !== undefined) {
      layout[start] = whole.push(column.whole) - 1
      continue
    }
    layout[start] = put(column.numbers.planes)
    layout[start + 1] = column.numbers.planes.length
    layout[start + 5] = bases.push(column.numbers.bases) - 1
    if (column.numbers.slopes !== undefined) layout[start + 7] = bases.push(column.numbers.slopes) - 1
    if (column.nudges === undefined) continue
    layout[start + 2] = put(column.nudges.planes)
    layout[start + 3] = column.nudges.planes.length
    layout[start + 6] = bases.push(column.nudges.bases) - 1
  }
  const all = new Uint8Array(planes.length * cells)
  for (const [n, plane] of planes.entries()) all.set(plane, n * cells)
  return { layout, bases: joined(bases), planes: all, whole: joined(whole) }
}

const planesIn = (column: Column | undefined): number => column?.numbers.planes.length ?? 0

const joined = (parts: ReadonlyArray<Float64Array>): Float64Array => {
  const all = new Float64Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

// -- unpacking

/** Reads single scrapes of a chunk. */
export interface Unpacker {
  /**
   * The scrape of a moment, whose counters began at `since` where the chunk does not say it row by row; undefined where the
   * chunk has none of that moment.
   */
  readonly scrape: (at: number, since: number) => Scrape | undefined
}

/** `wanted` are the number columns to read, by place; a column that was appended since the chunk was packed is NULL. */
export const unpacker = (chunk: PackedChunk, wanted: ReadonlyArray<number>): Unpacker => {
  const size = chunk.at.length
  const places = new Map(Array.from(chunk.at, (at, place) => [at, place]))
  const series = chunk.labels[0]?.length ?? 1
  const everything = Int32Array.from({ length: series }, (_, g) => g)
  const presentPlane = chunk.layout[0]!

  const rowsOf = (place: number): Int32Array => {
    if (presentPlane === NONE) return everything
    const start = presentPlane * series * size + place
    return everything.filter((g) => chunk.planes[start + g * size] === 1)
  }

  return {
    scrape: (at, since) => {
      const place = places.get(at)
      if (place === undefined) return undefined
      const rows = rowsOf(place)
      const labels = rows === everything ? chunk.labels : chunk.labels.map((ids) => rows.map((g) => ids[g]!))
      const beginnings = Number.isNaN(chunk.units[0]!)
        ? { since, sinceOf: undefined }
        : beginningsOf(columnOf(chunk, 0, place, series, rows))
      const values = wanted.map((n) => columnOf(chunk, FIRST_NUMBER + n, place, series, rows))
      return { at, ...beginnings, labels, values }
    }
  }
}

/** A column of one scrape, of some series. */
const columnOf = (
  { at, bases, layout, planes, units, whole }: PackedChunk,
  column: number,
  place: number,
  series: number,
  rows: Int32Array
): Float64Array => {
  const size = at.length
  const values = new Float64Array(rows.length)
  const unit = units[column]
  if (unit === undefined || Number.isNaN(unit)) return values.fill(Number.NaN)
  const cells = series * size
  const start = 1 + column * LAYOUT
  const first = layout[start]! * cells + place
  if (unit === 0) {
    for (let n = 0; n < rows.length; n++) values[n] = whole[first + rows[n]! * size]!
  } else {
    const count = layout[start + 1]!
    addNumbers(values, rows, planes, first, count, cells, size, bases, layout[start + 5]! * series)
    if (layout[start + 7]! !== NONE) {
      const slopes = layout[start + 7]! * series
      for (let n = 0; n < rows.length; n++) values[n]! += Math.floor(bases[slopes + rows[n]!]! * place)
    }
    if (unit > 0) for (let n = 0; n < values.length; n++) values[n] = values[n]! * unit
    else for (let n = 0; n < values.length; n++) values[n] = values[n]! / -unit
    if (layout[start + 3]! !== NONE) {
      const by = new Float64Array(rows.length)
      const firstNudge = layout[start + 2]! * cells + place
      addNumbers(by, rows, planes, firstNudge, layout[start + 3]!, cells, size, bases, layout[start + 6]! * series)
      for (let n = 0; n < values.length; n++) if (by[n] !== 0) values[n] = nudge(values[n]!, by[n]!)
    }
  }
  const nulls = layout[start + 4]!
  if (nulls !== NONE) {
    const from = nulls * cells + place
    for (let n = 0; n < rows.length; n++) if (planes[from + rows[n]! * size] === 1) values[n] = Number.NaN
  }
  return values
}

const addNumbers = (
  into: Float64Array,
  rows: Int32Array,
  planes: Uint8Array,
  first: number,
  count: number,
  cells: number,
  size: number,
  bases: Float64Array,
  base: number
): void => {
  for (let n = 0; n < rows.length; n++) {
    const cell = first + rows[n]! * size
    let rest = 0
    for (let plane = 0; plane < count; plane++) rest = rest * 256 + planes[cell + plane * cells]!
    into[n] = bases[base + rows[n]!]! + rest
  }
}

// -- comparing

/** Whether two chunks are the same, to the last bit. */
export const isSameChunk = (a: PackedChunk, b: PackedChunk): boolean =>
  a.labels.length === b.labels.length &&
  a.labels.every((ids, l) => isSameArray(ids, b.labels[l]!)) &&
  (["at", "layout", "units", "bases", "planes", "whole"] as const).every((part) => isSameArray(a[part], b[part]))

const isSameArray = (a: ArrayLike<number>, b: ArrayLike<number>): boolean => {
  if (a.length !== b.length) return false
  for (let n = 0; n < a.length; n++) if (!Object.is(a[n], b[n])) return false
  return true
}

/** Whether two readings of the same scrapes say the same, to the last bit, in whatever order their rows are. */
export const areSame = (a: ReadonlyArray<Scrape>, b: ReadonlyArray<Scrape>): boolean =>
  a.length === b.length && a.every((scrape, n) => isSame(scrape, b[n]!))

const isSame = (a: Scrape, b: Scrape): boolean => {
  const count = a.labels[0]?.length ?? 1
  if (a.at !== b.at || count !== (b.labels[0]?.length ?? 1) || a.values.length !== b.values.length) return false
  const inOrder = haveSameRows(a, b)
  const seriesOfB = seriesAt(b.labels)
  const places = inOrder ? undefined : new Map(Array.from({ length: count }, (_, row) => [seriesOfB(row), row]))
  const seriesOfA = seriesAt(a.labels)
  for (let row = 0; row < count; row++) {
    const other = places === undefined ? row : places.get(seriesOfA(row))
    if (other === undefined) return false
    if (!Object.is(a.sinceOf?.[row] ?? a.since, b.sinceOf?.[other] ?? b.since)) return false
    for (let n = 0; n < a.values.length; n++) if (!Object.is(a.values[n]![row], b.values[n]![other])) return false
  }
  return true
}
