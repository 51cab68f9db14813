/**
 * Numbers in the order in which they come, of which the oldest leave: one array, whose places are counted over all that ever came. Pure.
 *
 * Bound: what is in it and a quarter more, once it has as many as it will have.
 */
const LENGTH_MIN = 8

export class NumberQueue {
  private numbers = new Float64Array(0)
  /** The places of the oldest one that is in it, and of the next one to come. */
  private begin = 0
  private end = 0
  /** Where the first number of the array is. */
  private base = 0

  get bytes(): number {
    return this.numbers.byteLength
  }

  push(values: Float64Array): void {
    if (this.end - this.base + values.length > this.numbers.length) this.makeRoom(values.length)
    this.numbers.set(values, this.end - this.base)
    this.end += values.length
  }

  /** Those before a place leave. */
  leave(before: number): void {
    this.begin = Math.max(this.begin, Math.min(before, this.end))
  }

  /** NaN where it has left, or has not come. */
  at(place: number): number {
    return place < this.begin || place >= this.end ? Number.NaN : this.numbers[place - this.base]!
  }

  /** Adds as many numbers as there are places, from one of them on, to sums: each to the sum at its place; none where that is -1. */
  addTo(sums: Float64Array, places: Int32Array, from: number): void {
    if (from < this.begin) return
    const { numbers } = this
    const begin = from - this.base
    for (let row = 0; row < places.length; row++) {
      const place = places[row]!
      if (place < 0) continue
      const value = numbers[begin + row]!
      if (!Number.isNaN(value)) sums[place]! += value
    }
  }

  private makeRoom(more: number): void {
    const length = this.end - this.begin
    const live = this.numbers.subarray(this.begin - this.base, this.end - this.base)
    const most = Math.max(LENGTH_MIN, Math.ceil((length + more) * 1.25))
    if (length + more <= this.numbers.length && 2 * most > this.numbers.length) this.numbers.set(live)
    else {
      this.numbers = new Float64Array(most)
      this.numbers.set(live)
    }
    this.base = this.begin
  }
}
