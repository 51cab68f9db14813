/** What the host tells of itself step by step: busy CPU and used memory, which rankings are shares of. Pure. */
import type { Exporter } from "../plugins/Exporter.ts"
import type { HostShare } from "../plugins/TopQuery.ts"
import type { Measures } from "./Increases.ts"
import type { StepSums } from "./StepSums.ts"

/** What to read of the host in steps of one slot, and what to make of it. */
export interface HostTotal {
  readonly of: Exporter
  readonly measures: Measures
  readonly values: (sums: StepSums, scale: number) => ReadonlyArray<number | null>
}

/** The host's own total of what a ranking is a share of; undefined where nothing tells it. */
export const hostTotalOf = (host: Exporter | undefined, share: HostShare | undefined): HostTotal | undefined => {
  if (host?.host === undefined || share === undefined) return undefined
  const { cores, cpuBusy, memoryAvailable, memoryTotal } = host.host
  if (share === "cpu") {
    const measures = { counters: cpuBusy, gauges: [cores] }
    return { of: host, measures, values: (sums, scale) => busySteps(sums, scale, 0) }
  }
  if (memoryAvailable === undefined) return undefined
  return { of: host, measures: { counters: [], gauges: [memoryTotal, memoryAvailable] }, values: usedSteps }
}

/** Used memory in each step: all of it less what is available. */
const usedSteps = (sums: StepSums, scale: number): ReadonlyArray<number | null> => {
  const available = sums.levels(0, 1)
  return sums.levels(0, 0).map((total, step) => {
    const left = available[step] ?? null
    return total === null || left === null ? null : Math.max(0, total - left) * scale
  })
}

/**
 * Busy CPU in each step, over the time in which all of it is known, and never more than the cores that the gauge tells.
 * `sums` are those of the host's busy counters.
 */
export const busySteps = (sums: StepSums, scale: number, coresGauge: number): ReadonlyArray<number | null> =>
  sums.peakLevels(0, coresGauge).map((most, step) => {
    const { busy, seconds } = sums.hosts[step]!
    if (seconds === 0) return null
    const cores = most === null || Number.isNaN(most) ? Number.POSITIVE_INFINITY : most
    return Math.min(busy / seconds, cores) * scale
  })
