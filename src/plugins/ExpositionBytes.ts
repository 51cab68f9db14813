/**
 * Bytes compared and looked up four at a time: what lets the exposition parser recognise what it has read before.
 *
 * A table has a fixed number of slots; what collides is replaced, so that no input makes it slow or large.
 */

/** Whether the `length` bytes at `a` are those at `b`. */
export const sameBytes = (view: DataView, a: number, b: number, length: number): boolean => {
  if (length < WORD) {
    for (let at = 0; at < length; at++) if (view.getUint8(a + at) !== view.getUint8(b + at)) return false
    return true
  }
  // The last word overlaps the one before it.
  const last = length - WORD
  for (let at = 0; at < last; at += WORD) {
    if (view.getInt32(a + at, true) !== view.getInt32(b + at, true)) return false
  }
  return view.getInt32(a + last, true) === view.getInt32(b + last, true)
}

/** The position of the next line feed at or behind `start`, which there must be. */
export const lineFeed = (view: DataView, start: number): number => {
  let at = start
  for (const last = view.byteLength - WORD; at <= last; at += WORD) {
    // Zero where there is a line feed; and of a word, this tells whether it has a zero byte (S. Anderson, Bit Twiddling Hacks).
    const word = view.getInt32(at, true) ^ 0x0a0a0a0a
    if (((word - 0x01010101) & ~word & 0x80808080) !== 0) break
  }
  while (view.getUint8(at) !== LF) at++
  return at
}

const LF = 10
const WORD = 4

/** Values by the bytes that they are written with. `find` first; where it did not find, put a value into its slot. */
export class ByteTable<A> {
  /** After `find`: whether the slot holds the value of these bytes. */
  found = false
  readonly values: Array<A>
  private readonly view: DataView
  private readonly starts = new Int32Array(SLOTS)
  private readonly lengths = new Int32Array(SLOTS).fill(-1)

  constructor(view: DataView, none: A) {
    this.view = view
    this.values = new Array<A>(SLOTS).fill(none)
  }

  /** The slot of the bytes from `start` to `end`. Where it holds other bytes, these replace them. */
  find(start: number, end: number): number {
    const length = end - start
    const slot = slotOf(this.view, start, length)
    this.found = this.lengths[slot] === length && sameBytes(this.view, this.starts[slot]!, start, length)
    if (!this.found) {
      this.starts[slot] = start
      this.lengths[slot] = length
    }
    return slot
  }
}

// A power of two. The scrape of 75 process groups has 1 100 label sets and 150 strings (bench/parse.ts).
const SLOTS = 2048

const slotOf = (view: DataView, start: number, length: number): number => {
  let hash = length
  if (length < WORD) for (let at = 0; at < length; at++) hash = mix(hash, view.getUint8(start + at))
  else {
    const last = length - WORD
    for (let at = 0; at < last; at += WORD) hash = mix(hash, view.getInt32(start + at, true))
    hash = mix(hash, view.getInt32(start + last, true))
  }
  return (hash ^ (hash >>> 15)) & (SLOTS - 1)
}

// Multiplying spreads a word over the higher bits only, hence the shift.
const mix = (hash: number, word: number): number => {
  const product = Math.imul(hash ^ word, 0x9e3779b1)
  return product ^ (product >>> 15)
}
