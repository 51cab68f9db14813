/**
 * What a server's groups held, in means over five minutes: what rules about growth are asked of. Pure, and the only state is its own.
 *
 * What growth is says `src/query/Growth.ts`. A mean over five minutes is what a closed bucket of the roll-ups holds, so that hours
 * of a thousand servers need not be read row by row; where there is no bucket yet, rows give the same mean to the last bit.
 *
 * Bound: a level and a count for each group and five minutes of the window.
 */
import { Aggregate, type Summary } from "../query/Aggregate.ts"
import { exhaustsIn, type Growth, growthOf, mayGrow } from "../query/Growth.ts"
import type { Measured, Measures } from "../query/Increases.ts"
import type { Visitor } from "../query/WindowReader.ts"
import { type Metric, SLOW_MILLIS } from "./Rule.ts"
import { COVERAGE_MIN } from "./Sight.ts"

/** Microseconds. */
const WIDTH = SLOW_MILLIS * 1_000

/** Five minutes of a server. */
interface Step {
  /** Epoch microseconds: the step is (end − five minutes, end]. */
  readonly end: number
  /** Seconds. */
  readonly covered: number
  readonly groups: Int32Array
  /** Per gauge and group: the mean over the scrapes, those without the group counting 0; NaN where it is not known. */
  readonly levels: ReadonlyArray<Float64Array>
  /** Per group: how many members it has; NaN where that changed, or it restarted. */
  readonly members: Float64Array
}

export class GrowthSight {
  private readonly steps: Array<Step> = []
  private readonly measures: Measures
  private readonly presence: number

  /** `presence` is the gauge whose 0 says that a group is gone, where there is one. */
  constructor(measures: Measures, presence: string | undefined) {
    this.measures = measures
    this.presence = presence === undefined ? -1 : measures.gauges.indexOf(presence)
  }

  /** Is shown one window, which begins and ends with a step. */
  visitor(): Visitor {
    let open: { readonly end: number; readonly sums: Aggregate } | undefined
    const close = () => {
      if (open !== undefined) this.steps.push(this.stepOf(open.end, open.sums))
      open = undefined
    }
    return {
      scrape: (scrape) => {
        const end = endOf(scrape.at)
        if (open?.end !== end) {
          close()
          open = { end, sums: new Aggregate(this.measures.counters.length, this.measures.gauges.length) }
        }
        open.sums.add(scrape)
      },
      bucket: (end, summary) => {
        close()
        if (summary.scrapes > 0) this.steps.push(this.stepOf(end, summary))
      },
      end: close
    }
  }

  /** The groups in it, each at least once. */
  get groups(): ReadonlyArray<number> {
    return this.steps.flatMap(({ groups }) => [...groups])
  }

  /**
   * The groups that grow in the `over` microseconds until a moment, bytes an hour; undefined where less than {@link COVERAGE_MIN} was
   * seen, or the server is silent. `nameOf` puts groups together: those without a name are left out.
   */
  growing(
    metric: Pick<Metric, "columns" | "less">,
    at: number,
    over: number,
    nameOf: (group: number) => string | undefined
  ): ReadonlyMap<string, Growth> | undefined {
    const upto = Math.floor(at / WIDTH) * WIDTH
    const steps = this.steps.filter(({ end }) => end > upto - over && end <= upto)
    const covered = steps.reduce((sum, step) => sum + step.covered, 0)
    if (covered * 1_000_000 < COVERAGE_MIN * over || steps.at(-1)!.end < upto - WIDTH) return undefined
    const ends = steps.map(({ end }) => end)
    const growing = new Map<string, Growth>()
    for (const [name, { count, level }] of this.levelsIn(steps, metric, nameOf)) {
      const growth = mayGrow(level) ? growthOf({ at: ends, level, count }) : null
      if (growth !== null) growing.set(name, growth)
    }
    return growing
  }

  /** What a level of the server was, in the latest five minutes until a moment; undefined where nobody knows. */
  latest(column: string, at: number): number | undefined {
    const upto = Math.floor(at / WIDTH) * WIDTH
    const step = this.steps.findLast(({ end }) => end <= upto)
    const level = step?.levels[this.measures.gauges.indexOf(column)]?.[0]
    return step === undefined || step.end < upto - WIDTH || level === undefined || Number.isNaN(level)
      ? undefined
      : level
  }

  /** Level and members in each of some steps, by name. */
  private levelsIn(
    steps: ReadonlyArray<Step>,
    { columns, less }: Pick<Metric, "columns" | "less">,
    nameOf: (group: number) => string | undefined
  ): ReadonlyMap<string, { readonly level: Float64Array; readonly count: Float64Array }> {
    const places = columns.map((column) => this.measures.gauges.indexOf(column))
    const off = less === undefined ? -1 : this.measures.gauges.indexOf(less)
    const found = new Map<string, { level: Float64Array; count: Float64Array }>()
    for (const [n, { groups, levels, members }] of steps.entries()) {
      for (let row = 0; row < groups.length; row++) {
        const name = nameOf(groups[row]!)
        if (name === undefined) continue
        let own = found.get(name)
        if (own === undefined) {
          own = { level: new Float64Array(steps.length), count: new Float64Array(steps.length) }
          found.set(name, own)
        }
        for (const place of places) own.level[n]! += levels[place]![row]!
        if (off >= 0) own.level[n]! -= levels[off]![row]!
        own.count[n]! += members[row]!
      }
    }
    return found
  }

  private stepOf(end: number, { counters, covered, gauges, groups, rows, scrapes }: Summary): Step {
    const count = groups.length
    const levels = gauges.map((gauge) =>
      Float64Array.from({ length: count }, (_, row) => {
        const unknown = rows[row]! - (gauge.count?.[row] ?? rows[row]!)
        // A sum of nothing is NaN or 0, as it was made from rows or from a bucket.
        return scrapes > unknown && rows[row]! > unknown ? gauge.sum[row]! / (scrapes - unknown) : Number.NaN
      })
    )
    const members = Float64Array.from({ length: count }, (_, row) => {
      if (rows[row] !== scrapes || counters.some(({ resets }) => (resets?.[row] ?? 0) > 0)) return Number.NaN
      const gauge = gauges[this.presence]
      if (gauge === undefined) return 1
      const mean = gauge.sum[row]! / (gauge.count?.[row] ?? rows[row]!)
      return mean === gauge.max[row] ? mean : Number.NaN
    })
    return { end, covered, groups: Int32Array.from(groups), levels, members }
  }
}

/** In how many hours each group will have used up what is available, bytes. */
export const hoursLeft = (growing: ReadonlyMap<string, Growth>, available: number): ReadonlyMap<string, number> =>
  new Map([...growing].map(([name, growth]) => [name, exhaustsIn(growth, available)! / 3_600]))

/** The step that a moment belongs to, by its end. */
const endOf = (at: Measured["at"]): number => Math.ceil(at / WIDTH) * WIDTH
