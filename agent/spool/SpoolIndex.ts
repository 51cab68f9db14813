/**
 * What the spool on disk holds, by id: where each record is and how large, not what it says. Plain bookkeeping, no I/O.
 *
 * Guarantee: the sums (`bytes`, `waitingBytes`, a segment's `live`) are those of the records held. What waits for the
 * disk is always newer than what is on it. Bound: some 200 bytes a record; how many is `SpoolDisk.ts`'s to limit.
 */
import type { Segment } from "./SpoolFolder.ts"
import type { Body, ScannedRecord } from "./SpoolSegment.ts"

export interface Held {
  readonly id: number
  readonly scrapedAt: number
  /** Since when its age counts, in monotonic milliseconds. */
  readonly heldSince: number
  /** Bytes of the rows once unpacked. */
  readonly rowsBytes: number
  /** Bytes as stored, with header. */
  readonly length: number
  /** On the disk, or in memory and waiting for it. */
  readonly at: { readonly segment: Segment; readonly place: ScannedRecord } | { readonly body: Body }
}

export interface SpoolIndex {
  /** Every record held, ascending in id. */
  readonly records: () => Iterable<Held>
  /** Those that wait for the disk, ascending in id. */
  readonly waiting: () => Iterable<Held>
  readonly get: (id: number) => Held | undefined
  readonly size: () => number
  readonly bytes: () => number
  readonly waitingBytes: () => number
  /** Adds a record that is newer than all others. */
  readonly hold: (record: Held) => void
  /** Adds records of a segment that are older than all others, ascending in id. */
  readonly holdOlder: (records: ReadonlyArray<Held>) => void
  /** A waiting record is on the disk now. */
  readonly move: (record: Held, at: { readonly segment: Segment; readonly place: ScannedRecord }) => void
  /** Done with a record, delivered, dropped or damaged: its place in its segment is done with. */
  readonly forget: (record: Held) => void
  /** No longer held, but not done with: it may be readable after a restart, so its segment stays. */
  readonly setAside: (record: Held) => void
}

export const makeIndex = (): SpoolIndex => {
  /** A Map keeps the order in which its keys came: here that of ids. */
  let held = new Map<number, Held>()
  const waiting = new Map<number, Held>()
  let bytes = 0
  let waitingBytes = 0

  const stopWaiting = (record: Held) => {
    if (waiting.delete(record.id)) waitingBytes -= record.length
  }
  const setAside = (record: Held) => {
    if (held.delete(record.id)) bytes -= record.length
  }
  const count = (record: Held) => {
    bytes += record.length
    if ("segment" in record.at) record.at.segment.live++
    else {
      waiting.set(record.id, record)
      waitingBytes += record.length
    }
  }

  return {
    records: () => held.values(),
    waiting: () => waiting.values(),
    get: (id) => held.get(id),
    size: () => held.size,
    bytes: () => bytes,
    waitingBytes: () => waitingBytes,
    hold: (record) => {
      held.set(record.id, record)
      count(record)
    },
    holdOlder: (records) => {
      held = new Map([...records.map((record) => [record.id, record] as const), ...held])
      records.forEach(count)
    },
    move: (record, at) => {
      stopWaiting(record)
      held.set(record.id, { ...record, at })
      at.segment.live++
    },
    forget: (record) => {
      setAside(record)
      stopWaiting(record)
      if ("segment" in record.at) {
        const { segment, place } = record.at
        segment.live--
        segment.done.add(place.sequence)
        segment.unsaved.push(place.sequence)
      }
    },
    setAside
  }
}
