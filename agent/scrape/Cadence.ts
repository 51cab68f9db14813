/**
 * When to scrape, as pure functions.
 *
 * Ticks are multiples of the interval since the epoch, shifted by an offset that is stable per host and spreads a fleet
 * evenly over the interval. All exporters of a host share its offset (as a fraction of their interval), so that those
 * with equal intervals are scraped together and travel in one request.
 */
import { Duration } from "effect"
import type { Restraint } from "../budget/Budget.ts"
import type { AgentExporter } from "../config/AgentConfig.ts"

/** Where in the interval a host has its place: 0 ≤ fraction < 1, from FNV-1a (32 bits) of its name. */
export const jitterOf = (host: string): number => {
  let hash = 0x811c9dc5
  for (const byte of Buffer.from(host)) hash = Math.imul(hash ^ byte, 0x01000193)
  // FNV-1a leaves similar names close together; this finalizer (of MurmurHash3) tears them apart.
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> 0) / 0x1_0000_0000
}

/**
 * The next tick after `now`, in epoch milliseconds. Ticks that were missed are skipped, not made up for.
 *
 * A tick closer than half an interval to the `last` scrape is left out: a timer may fire a millisecond early, and the
 * first scrape is taken at once instead of on a tick. Both are of a clock that is never set (`MachineClock.ts`), so that
 * there is an interval between two scrapes whatever the wall clock does.
 */
export const nextTick = (now: number, last: number | null, interval: number, jitter: number): number => {
  const offset = Math.floor(interval * jitter)
  const tick = Math.floor((now - offset) / interval) * interval + offset + interval
  const sinceLast = last === null || last > now ? Number.POSITIVE_INFINITY : tick - last
  return sinceLast < interval / 2 ? tick + interval : tick
}

/**
 * The time between two scrapes under a restraint, in milliseconds. Never so long that the server sees a gap, for an exporter
 * whose own is not so long already.
 */
export const restrainedMillis = (
  { exporter, interval }: Pick<AgentExporter, "exporter" | "interval">,
  restraint: Restraint
): number => {
  const own = Duration.toMillis(interval)
  const longest = Duration.toMillis(exporter.table.staleAfter) / SCRAPES_WITHOUT_GAP
  return Math.min(own * restraint.interval, Math.max(own, longest))
}

/** One may be lost without a gap. */
const SCRAPES_WITHOUT_GAP = 3

/** How many timestamps a `Timestamps` remembers: four hours at 15 seconds. */
const REMEMBERED = 1024

/**
 * Gives each scrape of one exporter a timestamp of its own.
 *
 * The timestamp is the clock's, never less than a millisecond after the one before. Where the clock was set back by more
 * than `tolerance`, holding on to the last timestamp would put many scrapes at a time that is not theirs, so it goes on
 * with the clock, and only passes over the milliseconds that are taken (of the last 1 024).
 */
export class Timestamps {
  readonly #tolerance: number
  readonly #recent = new Set<number>()
  #last = Number.NEGATIVE_INFINITY

  constructor(tolerance: number) {
    this.#tolerance = tolerance
  }

  next(now: number): number {
    const setBack = this.#last - now > this.#tolerance
    let timestamp = setBack ? now : Math.max(now, this.#last + 1)
    while (this.#recent.has(timestamp)) timestamp++
    this.#recent.add(timestamp)
    if (this.#recent.size > REMEMBERED) {
      const [oldest] = this.#recent
      this.#recent.delete(oldest!)
    }
    this.#last = timestamp
    return timestamp
  }
}
