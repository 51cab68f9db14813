/**
 * Which five-minute buckets a rule cannot have held in, so that their rows need not be read. Pure.
 *
 * Guarantee: where it says no, no window that ends in the bucket has a value above the threshold. No mean level is above the
 * highest level. No average rate is above the highest rate, unless a group was missing for some scrapes and came back with what it had
 * used meanwhile: then the average is at most all that it used, divided by the least time that a window covers.
 */

import type { Summary } from "../query/Aggregate.ts"
import type { Measures } from "../query/Increases.ts"
import { FINE } from "../sinks/rollups/RollupTables.ts"
import { foldedName, type Metric, matches, type Rule } from "./Rule.ts"
import { COVERAGE_MIN } from "./Sight.ts"

/** What a bucket says of the groups' highest values. */
export interface BoundedBucket {
  /** Epoch microseconds. */
  readonly end: number
  readonly scrapes: number
  readonly groups: ReadonlyArray<number>
  readonly rows: Float64Array
  readonly highest: Float64Array
  /** Of a rate: all that was used. */
  readonly used: Float64Array | undefined
}

export interface Bound {
  readonly bucket: (end: number, summary: Summary) => BoundedBucket
  /** Whether the rule can have held in a bucket; asked in order of time. */
  readonly mayHold: (nameOf: (group: number) => string) => (bucket: BoundedBucket) => boolean
}

const WIDTH = FINE.seconds * 1_000_000

/** Undefined where a rule asks for little, or for nothing. */
export const boundOf = (
  { condition, group: pattern, over }: Rule,
  metrics: ReadonlyMap<string, Metric>,
  measures: Measures
): Bound | undefined => {
  if (condition.kind !== "value" || condition.side !== "above" || condition.threshold < 0) return undefined
  const metric = metrics.get(condition.metric)
  // A share of the machine is at most that of a core; of memory, nobody knows how much there was.
  if (metric === undefined || (condition.of === "machine" && metric.share !== "cpu")) return undefined
  // Of what is put together nobody knows whether the parts were high at one time; nor of a host's rates what its highest are, where
  // its clock was set.
  const [column, ...others] = metric.columns
  if (column === undefined || others.length > 0 || metric.less !== undefined || metric.partOf !== undefined)
    return undefined
  const isRate = metric.by === "rate"
  if (isRate && metric.isOfServer) return undefined
  const n = (isRate ? measures.counters : measures.gauges).indexOf(column)
  const threshold = condition.threshold / metric.scale
  const seconds = (COVERAGE_MIN * over) / 1_000
  /** As many buckets as a window can lie in. */
  const reach = Math.ceil(over / (FINE.seconds * 1_000)) + 1
  return {
    bucket: (end, { counters, gauges, groups, rows, scrapes }) => ({
      end,
      scrapes,
      groups: Array.from(groups),
      rows: Float64Array.from(rows),
      highest: Float64Array.from(isRate ? counters[n]!.peak : gauges[n]!.max),
      used: isRate ? Float64Array.from(counters[n]!.increase) : undefined
    }),
    mayHold: (nameOf) => {
      let recent: Array<BoundedBucket> = []
      return (bucket) => {
        recent = [...recent.filter(({ end }) => end > bucket.end - reach * WIDTH), bucket]
        const isWhole = recent.length === reach
        const sums = new Map<string, number>()
        for (const [group, most] of mostOf(recent, isWhole, seconds)) {
          const name = nameOf(group)
          if (matches(pattern, name)) sums.set(foldedName(name), (sums.get(foldedName(name)) ?? 0) + most)
        }
        return [...sums.values()].some((sum) => sum > threshold)
      }
    }
  }
}

/** What no window over some buckets can be above, by group. `isWhole`: the buckets follow each other without a hole. */
const mostOf = (buckets: ReadonlyArray<BoundedBucket>, isWhole: boolean, seconds: number): Map<number, number> => {
  const found = new Map<number, { highest: number; used: number; present: number }>()
  for (const { groups, highest, rows, used } of buckets) {
    for (const [n, group] of groups.entries()) {
      const own = found.get(group) ?? { highest: 0, used: 0, present: 0 }
      own.highest = Math.max(own.highest, highest[n] || 0)
      own.used += used?.[n] || 0
      own.present += rows[n]!
      found.set(group, own)
    }
  }
  const all = buckets.reduce((sum, { scrapes }) => sum + scrapes, 0)
  return new Map(
    [...found].map(([group, { highest, present, used }]) => {
      const missed = !isWhole || present < all
      return [group, missed ? Math.max(highest, used / seconds) : highest]
    })
  )
}
