/**
 * Acknowledged entries of a Valkey stream that an older, unacknowledged one keeps in it: most go for next to nothing when
 * that one is acknowledged too (the floor rises past them), and the rest are removed one by one when there are too many.
 *
 * Bound: the limit it is made with; `over` says what has to go. It only keeps the books, and talks to nobody.
 */

export class DeferredRemovals {
  private readonly max: number
  private size = 0
  private batches: Array<{ readonly highest: string; readonly ids: ReadonlyArray<string> }> = []

  constructor(max: number) {
    this.max = max
  }

  add(ids: ReadonlyArray<string>): void {
    if (ids.length === 0) return
    this.batches.push({ highest: ids.reduce((highest, id) => (precedes(highest, id) ? id : highest)), ids })
    this.size += ids.length
  }

  /** Everything below the floor is gone. */
  raise(floor: string): void {
    this.batches = this.batches.filter((batch) => !precedes(batch.highest, floor))
    this.size = this.batches.reduce((size, batch) => size + batch.ids.length, 0)
  }

  /** Takes out the oldest, so that there is room for so many more. */
  over(room: number): ReadonlyArray<string> {
    const taken: Array<string> = []
    while (this.size > 0 && this.size + room > this.max) {
      const batch = this.batches.shift()
      if (batch === undefined) break
      for (const id of batch.ids) taken.push(id)
      this.size -= batch.ids.length
    }
    return taken
  }

  all(): ReadonlyArray<string> {
    return this.over(this.max)
  }

  /** How many of them are still in a stream whose first entry is this one. */
  from(first: string): number {
    let count = 0
    for (const { highest, ids } of this.batches) {
      if (precedes(highest, first)) continue
      for (const id of ids) if (!precedes(id, first)) count += 1
    }
    return count
  }
}

/** Whether the entry `a` lies before `b` in the stream. Ids are `<milliseconds>-<sequence>`, without leading zeros. */
export const precedes = (a: string, b: string): boolean => {
  const dash = a.indexOf("-")
  const otherDash = b.indexOf("-")
  if (dash !== otherDash) return dash < otherDash
  if (a.length === b.length) return a < b
  const time = a.slice(0, dash)
  const otherTime = b.slice(0, dash)
  return time === otherTime ? a.length < b.length : time < otherTime
}
