/**
 * Which rows of an entry that holds several are settled, and which were given back: an entry is done with when all are settled, and
 * is given back when none is left that its holder still has. To say either again changes nothing.
 */
export class EntryRows {
  readonly #count: number
  /** 0 held, 1 given back, 2 settled. Made once not all are treated alike. */
  #states: Uint8Array | undefined
  #held: number
  #settled = 0

  constructor(count: number) {
    this.#count = count
    this.#held = count
  }

  get isDone(): boolean {
    return this.#settled === this.#count
  }

  /** Whether some are to come again, and its holder has no other. */
  get isReturned(): boolean {
    return this.#held === 0 && !this.isDone
  }

  settle(from: number, to: number): void {
    this.#mark(from, to, 2)
  }

  giveBack(from: number, to: number): void {
    this.#mark(from, to, 1)
  }

  #mark(from: number, to: number, state: 1 | 2): void {
    this.#states ??= new Uint8Array(this.#count)
    for (let row = from; row < to; row++) {
      const before = this.#states[row]!
      if (before >= state) continue
      this.#states[row] = state
      if (before === 0) this.#held--
      if (state === 2) this.#settled++
    }
  }
}
