/**
 * What waits for a CPU: held back by its own quota, behind its neighbours or itself, or behind the hypervisor's other guests. Pure.
 * Thresholds and their reasons: `docs/verdict.md`.
 */
import type { HostReading, UnitReading } from "./VerdictReadings.ts"
import { machineSetting, quotaSetting, weightSetting } from "./VerdictSettings.ts"
import {
  busyPercent,
  byCpu,
  type Context,
  cores,
  coresSet,
  coverOf,
  type Found,
  HOST,
  named,
  percentOf,
  shown,
  told,
  unitOf
} from "./VerdictWords.ts"

/** In percent of a unit's periods, as the alert CPUThrottlingHigh of kubernetes-mixin. */
const THROTTLED_PERCENT = 25
/** And for so much of the time: a unit that ran in four periods of an hour was not held back. */
const THROTTLED_TIME_PERCENT = 1
/** In percent of the time: what is waited for a tenth of the time makes work a tenth longer. */
const CPU_WAIT_PERCENT = 10
/** In percent of all cores. Below it a CPU was free, so the wait was for something else, such as a pinned CPU. */
const BUSY_PERCENT = 80
/** In percent of the busy CPU: where others used less, a unit waited for itself. */
const OTHERS_PERCENT = 25
/** In percent of all cores, as the usual alert on steal. */
const STEAL_PERCENT = 10
/** In percent of its periods, or of the time where these are not told. */
const throttledPercent = (unit: UnitReading, covered: number): number =>
  unit.periods === null ? percentOf(unit.throttled, covered) : percentOf(unit.throttledPeriods, unit.periods)

const isThrottled = (unit: UnitReading, context: Context): boolean =>
  throttledPercent(unit, coverOf(context)) >= THROTTLED_PERCENT &&
  (unit.throttled === null || percentOf(unit.throttled, coverOf(context)) >= THROTTLED_TIME_PERCENT)

export const throttled = (unit: UnitReading, context: Context): Found | undefined => {
  if (!isThrottled(unit, context)) return undefined
  const percent = throttledPercent(unit, coverOf(context))
  const when = unit.periods === null ? `for ${shown(percent)} % of the time` : `in ${shown(percent)} % of its periods`
  const quota = unit.quota === null ? "its own quota" : `its own quota of ${cores(unit.quota)}`
  const setting = quotaSetting(unit.name, unit.quota, percent / 100, context.host?.cores ?? null)
  return {
    kind: "throttled",
    subject: unitOf(unit),
    weight: percent,
    sentence: `${unit.name} was throttled ${when} by ${quota}: raise ${setting.what}${setting.current === null ? "" : `, which is ${setting.current}`}.`,
    evidence: told({
      throttled_percent: percent,
      throttled_seconds: unit.throttled,
      throttled_periods: unit.throttledPeriods,
      periods: unit.periods,
      cpu_limit_cores: unit.quota,
      avg_cpu_percent: percentOf(unit.cpu, coverOf(context))
    }),
    neighbours: [],
    setting
  }
}

/** Pressure counts what a quota holds back as well: that is taken off. */
const cpuWait = (unit: UnitReading, context: Context): number =>
  percentOf(Math.max(0, (unit.waited.cpu ?? 0) - (unit.throttled ?? 0)), coverOf(context))

export const waitsForCpu = (unit: UnitReading, context: Context): Found | undefined => {
  const wait = cpuWait(unit, context)
  const busy = busyPercent(context.host)
  if (wait < CPU_WAIT_PERCENT || busy < BUSY_PERCENT || isThrottled(unit, context)) return undefined
  const neighbours = byCpu(context, unit)
  const own = percentOf(unit.cpu, coverOf(context))
  const cpuOf = (some: ReadonlyArray<UnitReading>) =>
    percentOf(
      some.reduce((sum, { cpu }) => sum + cpu, 0),
      coverOf(context)
    )
  const units = context.units?.units ?? []
  const kernel = cpuOf(units.filter(({ name }) => name === context.units?.kernel))
  const all = cpuOf(units)
  const isItself = percentOf(all - own - kernel, all) < OTHERS_PERCENT
  const whose = kernel > own ? `work in no unit (${cores(kernel / 100)})` : `its own work (${cores(own / 100)})`
  const waited = `${unit.name} waited for a CPU ${shown(wait)} % of the time while the host was ${shown(busy)} % busy`
  const setting = isItself ? machineSetting("cores", "host", coresSet(context.host)) : weightSetting(unit.name)
  return {
    kind: isItself ? "cores" : "neighbours",
    subject: unitOf(unit),
    weight: wait,
    sentence: isItself
      ? `${waited}, most of it with ${whose}: it needs more cores, or less to do at a time.`
      : `${waited}; ${named(neighbours[0]!)} used most: raise ${setting.what} of ${unit.name}, or give ${neighbours[0]!.name} a CPUQuota.`,
    evidence: told({
      cpu_wait_percent: wait,
      host_busy_percent: busy,
      avg_cpu_percent: own,
      throttled_seconds: unit.throttled
    }),
    neighbours: isItself ? [] : neighbours,
    setting
  }
}

export const steal = (host: HostReading): Found | undefined => {
  const percent = host.cores === null ? 0 : percentOf(host.steal, host.cores * host.covered)
  if (percent < STEAL_PERCENT) return undefined
  return {
    kind: "steal",
    subject: HOST,
    weight: percent,
    sentence: `The hypervisor gave ${shown(percent)} % of this machine's CPU time to others (steal): more of the hypervisor's CPU, or another one, is what helps; no setting on this host does.`,
    evidence: told({ steal_percent: percent, steal_seconds: host.steal, host_busy_percent: busyPercent(host) }),
    neighbours: [],
    setting: machineSetting("CPU of the virtual machine", "hypervisor", coresSet(host))
  }
}

/** The host as a whole, where no unit says that it waited for a CPU. */
export const hostCpu = (
  host: HostReading,
  context: Context,
  found: ReadonlyArray<Found | undefined>
): Found | undefined => {
  const wait = percentOf(host.waited.cpu, host.covered)
  const busy = busyPercent(host)
  if (wait < CPU_WAIT_PERCENT || busy < BUSY_PERCENT) return undefined
  if (found.some((verdict) => verdict?.kind === "neighbours" || verdict?.kind === "cores")) return undefined
  const most = byCpu(context)
  return {
    kind: "cores",
    subject: HOST,
    weight: wait,
    sentence: `Work waited for a CPU ${shown(wait)} % of the time while the host was ${shown(busy)} % busy${most.length === 0 ? "" : `; ${named(most[0]!)} used most`}: it needs more cores, or less to do at a time.`,
    evidence: told({ cpu_wait_percent: wait, host_busy_percent: busy }),
    neighbours: most,
    setting: machineSetting("cores", "host", coresSet(host))
  }
}
