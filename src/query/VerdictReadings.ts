/**
 * What a verdict is made of: what the host and its units did in a window, as sums that were added up (`Aggregate.ts`). Pure.
 *
 * Guarantee: what nobody told is null, never 0.
 */
import type { Exporter } from "../plugins/Exporter.ts"
import type { Aggregate } from "./Aggregate.ts"
import type { Measures } from "./Increases.ts"

/** Seconds in which work waited; null where that is not told. */
export interface Waited {
  readonly cpu: number | null
  readonly memory: number | null
  readonly io: number | null
}

/** Of all values: over the window, times in seconds, sizes in bytes. */
export interface UnitReading {
  readonly name: string
  readonly cpu: number
  readonly waited: Waited
  readonly throttled: number | null
  readonly periods: number | null
  readonly throttledPeriods: number | null
  /** In cores. */
  readonly quota: number | null
  /** The most that was used in a scrape, and the limit. */
  readonly memory: number | null
  /** The most that it ever had, file cache included, as the kernel keeps it: also between scrapes. */
  readonly memoryPeak: number | null
  readonly memoryLimit: number | null
  readonly kills: number | null
  readonly read: number | null
  readonly written: number | null
}

export interface UnitReadings {
  readonly covered: number
  readonly coverage: number
  readonly units: ReadonlyArray<UnitReading>
  /** The name of the unit that is the kernel's own. */
  readonly kernel: string | undefined
}

export interface HostReading {
  readonly covered: number
  readonly coverage: number
  readonly cores: number | null
  /** CPU time that was used, and that the hypervisor gave to others. */
  readonly busy: number | null
  readonly steal: number | null
  readonly waited: Waited
  readonly memoryTotal: number | null
  readonly memoryAvailable: number | null
}

type Names = ReadonlyArray<string | undefined>
const known = (names: Names): ReadonlyArray<string> => [
  ...new Set(names.filter((name): name is string => name !== undefined))
]

const rankedBy = ({ top }: Exporter, by: "rate" | "peak", share: "cpu" | "memory"): string | undefined =>
  Object.values(top?.rankings ?? {}).find((ranking) => ranking.by === by && ranking.share === share)?.column

export const unitMeasures = (exporter: Exporter): Measures => {
  const {
    cpuLimit,
    memoryLimit,
    memoryPeak,
    oomKills,
    periods,
    pressure,
    readBytes,
    throttledPeriods,
    throttledSeconds,
    writeBytes
  } = exporter.units!
  const waits = [pressure?.cpu?.some, pressure?.memory?.some, pressure?.io?.some]
  return {
    counters: known([
      rankedBy(exporter, "rate", "cpu"),
      throttledSeconds,
      periods,
      throttledPeriods,
      oomKills,
      readBytes,
      writeBytes,
      ...waits
    ]),
    gauges: known([rankedBy(exporter, "peak", "memory"), cpuLimit, memoryLimit, memoryPeak, exporter.top?.presence])
  }
}

export const hostMeasures = (exporter: Exporter): Measures => {
  const { cores, cpuBusy, cpuWaits, memoryAvailable, memoryTotal, pressure } = exporter.host!
  return {
    counters: known([...cpuBusy, cpuWaits?.steal, pressure?.cpu, pressure?.memory, pressure?.io]),
    gauges: known([cores, memoryTotal, memoryAvailable])
  }
}

/** Reads columns of a group off an aggregate of these measures. */
const columnsOf = (sums: Aggregate, { counters, gauges }: Measures, slot: number) => {
  const value = (found: number | undefined) => (found === undefined || Number.isNaN(found) ? null : found)
  const counter = (name: string | undefined) =>
    name === undefined ? null : value(sums.counters[counters.indexOf(name)]!.increase[slot])
  const gauge = (name: string | undefined, which: "last" | "max") =>
    name === undefined ? null : value(sums.gauges[gauges.indexOf(name)]![which][slot])
  return { counter, gauge }
}

export const unitReadings = (
  exporter: Exporter,
  sums: Aggregate,
  names: ReadonlyMap<number, string>,
  coverage: number
): UnitReadings => {
  const facts = exporter.units!
  const measures = unitMeasures(exporter)
  return {
    covered: sums.covered,
    coverage,
    kernel: facts.kernel,
    units: sums.groups.map((group, slot) => {
      const { counter, gauge } = columnsOf(sums, measures, slot)
      const memoryPeak = gauge(facts.memoryPeak, "max")
      const memory = gauge(rankedBy(exporter, "peak", "memory"), "max") ?? memoryPeak
      // One that is gone tells no limit any more: what it waited for, it did under the one that it had.
      const isGone = gauge(exporter.top?.presence, "last") === 0
      const limit = (name: string | undefined) => gauge(name, "last") ?? (isGone ? gauge(name, "max") : null)
      return {
        name: names.get(group) ?? "",
        cpu: counter(rankedBy(exporter, "rate", "cpu")) ?? 0,
        waited: {
          cpu: counter(facts.pressure?.cpu?.some),
          memory: counter(facts.pressure?.memory?.some),
          io: counter(facts.pressure?.io?.some)
        },
        throttled: counter(facts.throttledSeconds),
        periods: counter(facts.periods),
        throttledPeriods: counter(facts.throttledPeriods),
        quota: limit(facts.cpuLimit),
        memory,
        memoryPeak,
        memoryLimit: limit(facts.memoryLimit),
        kills: counter(facts.oomKills),
        read: counter(facts.readBytes),
        written: counter(facts.writeBytes)
      }
    })
  }
}

export const hostReading = (exporter: Exporter, sums: Aggregate, coverage: number): HostReading => {
  const { cores, cpuBusy, cpuWaits, memoryAvailable, memoryTotal, pressure } = exporter.host!
  const { counter, gauge } = columnsOf(sums, hostMeasures(exporter), 0)
  const busy = cpuBusy.map((name) => counter(name)).filter((seconds) => seconds !== null)
  return {
    covered: sums.covered,
    coverage,
    cores: gauge(cores, "last"),
    busy: busy.length === 0 ? null : busy.reduce((sum, seconds) => sum + seconds, 0),
    steal: counter(cpuWaits?.steal),
    waited: { cpu: counter(pressure?.cpu), memory: counter(pressure?.memory), io: counter(pressure?.io) },
    memoryTotal: gauge(memoryTotal, "last"),
    memoryAvailable: gauge(memoryAvailable, "last")
  }
}
