/**
 * What an exporter's groups used in the time that another exporter covered, from measured scrapes: the unit and its processes are
 * compared over the time that both saw. Pure, and the only state is its own.
 *
 * Guarantee: sums over adjacent windows add up. An increase counts by the share of its scrape's interval that the other covered.
 */
import type { Aggregate } from "./Aggregate.ts"
import { orZero } from "./AnswerFields.ts"
import type { Measured } from "./Increases.ts"

const SECOND = 1_000_000

/** A stretch of time, epoch microseconds. */
export interface Span {
  readonly from: number
  readonly to: number
}

/** What a group used, and how well that is known. */
export interface Usage {
  /** Core-seconds. */
  seconds: number
  /** Of a second counter, where one is read: how many there were. */
  runs: number
  /** The most processes that were seen at a time; 0 where nobody counts them. */
  processes: number
  /** How many of its increases were cut, and how many nobody knows. */
  clamped: number
  unknown: number
}

/** What an exporter saw of its groups, by their ids. */
export interface Sums {
  readonly groups: ReadonlyMap<number, Readonly<Usage>>
  readonly scrapes: number
  /** Seconds, and how many of them the other covered as well. */
  readonly covered: number
  readonly shared: number
  /** Where what it saw begins and ends, epoch microseconds; undefined where that is not known. */
  readonly seen?: Span | undefined
}

const nothing = (): Usage => ({ seconds: 0, runs: 0, processes: 0, clamped: 0, unknown: 0 })

/** Of measures whose first counter is the CPU, the second, if any, a count of runs, and the gauge, if any, the number of processes. */
export class SharedSums implements Sums {
  readonly groups = new Map<number, Usage>()
  scrapes = 0
  covered = 0
  shared = 0
  seen: Span | undefined

  /** Adds scrapes; `spans` is when the other covered, in order and apart. */
  add(scrapes: ReadonlyArray<Measured>, spans: ReadonlyArray<Span>): void {
    for (const scrape of scrapes) {
      this.scrapes++
      const { at, coveredFrom } = scrape
      const length = Number.isNaN(coveredFrom) ? 0 : (at - coveredFrom) / SECOND
      const shared = length === 0 ? 0 : overlap(coveredFrom, at, spans) / SECOND
      if (length > 0) this.seen = spanOf(this.seen, { from: coveredFrom, to: at })
      this.covered += length
      this.shared += shared
      this.addGroups(scrape, length === 0 ? 0 : shared / length)
    }
  }

  private addGroups({ clamped, gauges, groups, increases, unknown }: Measured, share: number): void {
    for (let row = 0; row < groups.length; row++) {
      const usage = this.groups.get(groups[row]!) ?? nothing()
      this.groups.set(groups[row]!, usage)
      usage.processes = Math.max(usage.processes, orZero(gauges[0]?.[row] ?? 0))
      if (share === 0) continue
      usage.seconds += orZero(increases[0]![row]!) * share
      usage.runs += orZero(increases[1]?.[row] ?? 0) * share
      usage.clamped += clamped[0]?.[row] ?? 0
      usage.unknown += unknown[0]?.[row] ?? 0
    }
  }
}

/** From where the one begins to where the other ends. */
export const spanOf = (first: Span | undefined, last: Span): Span => ({ from: first?.from ?? last.from, to: last.to })

/** How much of (from, to] lies in spans that do not overlap. */
const overlap = (from: number, to: number, spans: ReadonlyArray<Span>): number =>
  spans.reduce((sum, span) => sum + Math.max(0, Math.min(to, span.to) - Math.max(from, span.from)), 0)

/** The same of an aggregate, in all the time that its exporter covered; of measures as above. */
export const sumsOf = (sums: Aggregate, shared: number): Sums => {
  const [cpu, runs] = sums.counters
  return {
    scrapes: sums.scrapes,
    covered: sums.covered,
    shared,
    groups: new Map(
      sums.groups.map((group, slot): [number, Usage] => [
        group,
        {
          seconds: orZero(cpu!.increase[slot]!),
          runs: orZero(runs?.increase[slot] ?? 0),
          processes: orZero(sums.gauges[0]?.max[slot] ?? 0),
          clamped: cpu!.clamped[slot]!,
          unknown: cpu!.unknown[slot]!
        }
      ])
    )
  }
}
