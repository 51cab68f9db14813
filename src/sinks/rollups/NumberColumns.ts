/**
 * Columns of numbers as bytes: what a bucket holds of its groups, one value a group in each column, as narrow as may be.
 *
 * Format, little-endian: how many values a column has (4 bytes), how many columns there are (2 bytes), a code for each column
 * (1 byte each), then the values of those that need any, column by column. A code says how a value is written, and with
 * {@link SPARSE} that only values other than 0 are, after a bit for each that says which those are. Columns are only ever
 * appended: a column beyond the last is one that nobody had declared yet, and reads as undefined.
 *
 * Guarantee: numbers come back to the last bit; NaN is a value as any other. Pure.
 */
import { NumberSlab } from "../storage/NumberSlab.ts"

/** The column has no values: they are what its owner says is usual. */
const USUAL = 0
/** All values are 0, or NaN. */
const ZERO = 1
const NAN = 2
/** All values are this one. */
const SAME = 3
/** Whole numbers of so many bytes; of 4 bytes also in units of {@link PAGE}; else doubles. */
const BYTE = 4
const SHORT = 5
const WORD = 6
const PAGES = 7
const DOUBLE = 8
/** Added to the codes of what follows a bit for each value. */
const SPARSE = 16

/** Memory comes in pages. */
const PAGE = 4_096
const WIDTH: Readonly<Record<number, number>> = { [BYTE]: 1, [SHORT]: 2, [WORD]: 4, [PAGES]: 4, [DOUBLE]: 8 }
const HEADER = 6

// -- writing

/** Undefined is a column whose values are the usual ones. All others have as many values as the first. */
export const writeColumns = (count: number, columns: ReadonlyArray<ArrayLike<number> | undefined>): Uint8Array => {
  const bytes = new Uint8Array(HEADER + columns.length + columns.length * (count * 8 + (count >> 3) + 9))
  const view = new DataView(bytes.buffer)
  view.setUint32(0, count, true)
  view.setUint16(4, columns.length, true)
  let at = HEADER + columns.length
  for (let n = 0; n < columns.length; n++) {
    const values = columns[n]
    const code = values === undefined ? USUAL : codeOf(values)
    bytes[HEADER + n] = code
    if (values === undefined || code < SAME) continue
    if (code === SAME) {
      view.setFloat64(at, values[0]!, true)
      at += 8
      continue
    }
    const sparse = code >= SPARSE
    const bits = at
    if (sparse) at += (count + 7) >> 3
    for (let place = 0; place < count; place++) {
      const value = values[place]!
      if (sparse) {
        if (value === 0) continue
        bytes[bits + (place >> 3)]! |= 1 << (place & 7)
      }
      at = write(view, at, code & (SPARSE - 1), value)
    }
  }
  return bytes.slice(0, at)
}

const write = (view: DataView, at: number, code: number, value: number): number => {
  if (code === DOUBLE) view.setFloat64(at, value, true)
  else if (code === WORD) view.setUint32(at, value, true)
  else if (code === PAGES) view.setUint32(at, value / PAGE, true)
  else if (code === SHORT) view.setUint16(at, value, true)
  else view.setUint8(at, value)
  return at + WIDTH[code]!
}

/** The narrowest way to write values. */
const codeOf = (values: ArrayLike<number>): number => {
  const first = values[0]
  let same = true
  let whole = true
  let pages = true
  let most = 0
  let zeros = 0
  for (let n = 0; n < values.length; n++) {
    const value = values[n]!
    if (same && !Object.is(value, first)) same = false
    if (value === 0) {
      // A negative zero is no whole number: it would come back as a positive one.
      if (Object.is(value, -0)) return DOUBLE
      zeros++
    } else if (whole) {
      if (!(value > 0) || value % 1 !== 0) whole = false
      else {
        if (value > most) most = value
        if (pages && value % PAGE !== 0) pages = false
      }
    }
  }
  if (same) return first === undefined || first === 0 ? ZERO : Number.isNaN(first) ? NAN : SAME
  const code = whole ? codeOfWhole(most, pages) : DOUBLE
  // A bit for each value costs an eighth of a byte.
  return zeros * WIDTH[code]! > (values.length >> 3) + 1 ? code + SPARSE : code
}

const codeOfWhole = (most: number, pages: boolean): number => {
  if (most < 256) return BYTE
  if (most < 65_536) return SHORT
  if (most < 4_294_967_296) return WORD
  return pages && most / PAGE < 4_294_967_296 ? PAGES : DOUBLE
}

// -- reading

/** The columns in some bytes, each decoded when it is asked for. */
export interface NumberColumns {
  /** How many values each column has. */
  readonly count: number
  /** How many columns there are. */
  readonly size: number
  /**
   * The values of a column, all or those at some places; undefined where they are the usual ones, or the column is not there.
   */
  readonly column: (n: number, places?: ReadonlyArray<number>) => Float64Array | undefined
}

/** Whole columns are cut from the slab. */
export const readColumns = (bytes: Uint8Array, slab = new NumberSlab()): NumberColumns => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const count = view.getUint32(0, true)
  const size = view.getUint16(4, true)
  const ends = new Uint32Array(size)
  let end = HEADER + size
  for (let n = 0; n < size; n++) {
    end += lengthOf(bytes, end, bytes[HEADER + n]!, count)
    ends[n] = end
  }
  if (end !== bytes.byteLength)
    throw new Error(`columns of numbers take ${end} bytes, and there are ${bytes.byteLength}`)
  return {
    count,
    size,
    column: (n, places) => {
      if (n >= size) return undefined
      const begin = n === 0 ? HEADER + size : ends[n - 1]!
      const code = bytes[HEADER + n]!
      if (code === USUAL) return undefined
      if (places !== undefined) return decodeSome(view, begin, code, count, places)
      return decode(view, begin, code, slab.float64(count))
    }
  }
}

const lengthOf = (bytes: Uint8Array, at: number, code: number, count: number): number => {
  if (code < SAME) return 0
  if (code === SAME) return 8
  if (code < SPARSE) return WIDTH[code]! * count
  const bits = (count + 7) >> 3
  let written = 0
  for (let n = 0; n < bits; n++) written += BITS[bytes[at + n]!]!
  return bits + WIDTH[code - SPARSE]! * written
}

/** How many bits of a byte are set. */
const BITS = Uint8Array.from({ length: 256 }, (_, byte) => byte.toString(2).replaceAll("0", "").length)

const decode = (view: DataView, begin: number, code: number, values: Float64Array): Float64Array => {
  if (code >= SPARSE) return decodeSparse(view, begin, code - SPARSE, values)
  const count = values.length
  // A loop for each width: asking for it at each value takes twice as long.
  if (code === DOUBLE) for (let n = 0; n < count; n++) values[n] = view.getFloat64(begin + 8 * n, true)
  else if (code === WORD) for (let n = 0; n < count; n++) values[n] = view.getUint32(begin + 4 * n, true)
  else if (code === PAGES) for (let n = 0; n < count; n++) values[n] = view.getUint32(begin + 4 * n, true) * PAGE
  else if (code === SHORT) for (let n = 0; n < count; n++) values[n] = view.getUint16(begin + 2 * n, true)
  else if (code === BYTE) for (let n = 0; n < count; n++) values[n] = view.getUint8(begin + n)
  else values.fill(code === ZERO ? 0 : code === NAN ? Number.NaN : view.getFloat64(begin, true))
  return values
}

const decodeSparse = (view: DataView, begin: number, code: number, values: Float64Array): Float64Array => {
  values.fill(0)
  const width = WIDTH[code]!
  let at = begin + ((values.length + 7) >> 3)
  for (let n = 0; n < values.length; n++) {
    if ((view.getUint8(begin + (n >> 3)) & (1 << (n & 7))) === 0) continue
    values[n] = read(view, at, code)
    at += width
  }
  return values
}

const decodeSome = (
  view: DataView,
  begin: number,
  code: number,
  count: number,
  places: ReadonlyArray<number>
): Float64Array => {
  // Where values stand is known without those before them, but for the sparse ones.
  const all = code >= SPARSE ? decode(view, begin, code, new Float64Array(count)) : undefined
  return Float64Array.from(places, (place) => {
    if (all !== undefined) return all[place]!
    if (code <= NAN) return code === ZERO ? 0 : Number.NaN
    return code === SAME ? view.getFloat64(begin, true) : read(view, begin + place * WIDTH[code]!, code)
  })
}

const read = (view: DataView, at: number, code: number): number => {
  if (code === DOUBLE) return view.getFloat64(at, true)
  if (code === WORD) return view.getUint32(at, true)
  if (code === PAGES) return view.getUint32(at, true) * PAGE
  return code === SHORT ? view.getUint16(at, true) : view.getUint8(at)
}
