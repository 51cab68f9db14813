/**
 * Typed arrays that are cut from a few large ones: of short arrays, making and collecting a buffer each costs more than
 * filling them (`bench/query.ts`).
 *
 * For what lives and dies together, such as the scrapes of one read: an array that stays keeps its slab. The values are 0,
 * until the slab is used again.
 */
const BUFFER_BYTES_MIN = 4_096
const BUFFER_BYTES_MAX = 262_144

export class NumberSlab {
  private buffer = new ArrayBuffer(0)
  private used = 0
  private next = BUFFER_BYTES_MIN / 2

  float64(length: number): Float64Array {
    const begin = this.take(length * 8)
    return new Float64Array(this.buffer, begin, length)
  }

  int32(length: number): Int32Array {
    const begin = this.take(length * 4)
    return new Int32Array(this.buffer, begin, length)
  }

  uint16(length: number): Uint16Array {
    const begin = this.take(length * 2)
    return new Uint16Array(this.buffer, begin, length)
  }

  /** Cuts from the beginning again: all arrays that were cut before lose their values, and new ones have any. */
  reuse(): void {
    this.used = 0
  }

  /** Where as many bytes of the buffer begin. */
  private take(length: number): number {
    const bytes = (length + 7) & ~7
    if (this.used + bytes > this.buffer.byteLength) {
      // A server's few scrapes take little, a fleet's much.
      this.next = Math.min(2 * this.next, BUFFER_BYTES_MAX)
      this.buffer = new ArrayBuffer(Math.max(this.next, bytes))
      this.used = 0
    }
    const begin = this.used
    this.used += bytes
    return begin
  }
}
