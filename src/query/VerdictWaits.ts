/** What waits for memory or for disks, or was killed for want of memory. Pure. Thresholds and their reasons: `docs/verdict.md`. */
import type { HostReading, UnitReading } from "./VerdictReadings.ts"
import { diskSetting, machineSetting, memorySetting } from "./VerdictSettings.ts"
import {
  byDisk,
  type Context,
  count,
  coverOf,
  type Found,
  HOST,
  MIB,
  mebibytes,
  memorySet,
  named,
  percentOf,
  shown,
  told,
  unitOf
} from "./VerdictWords.ts"

/** In percent of the time: pages that are dropped and read again. systemd-oomd kills at 60 % of all tasks. */
const MEMORY_WAIT_PERCENT = 10
/** In percent of the limit, with at least a hundredth of the time waited. */
const NEAR_LIMIT_PERCENT = 90
const NEAR_LIMIT_WAIT_PERCENT = 1
/** In percent of the time: disks are waited for by design, work on files a fifth of the time is not. */
const IO_WAIT_PERCENT = 20
// -- memory

export const waitsForMemory = (unit: UnitReading, context: Context): Found | undefined => {
  const wait = percentOf(unit.waited.memory, coverOf(context))
  const kills = unit.kills ?? 0
  const used = ofLimit(unit, unit.memory)
  const isNear = used !== null && used >= NEAR_LIMIT_PERCENT
  if (kills === 0 && wait < MEMORY_WAIT_PERCENT && !(isNear && wait >= NEAR_LIMIT_WAIT_PERCENT)) return undefined
  const where = whereOf(unit, used)
  const setting =
    where === undefined
      ? machineSetting("memory", "host", memorySet(context.host))
      : memorySetting(unit.name, unit.memoryLimit!)
  const what = [
    ...(kills === 0 ? [] : [`lost ${count(kills, "process", "processes")} because memory ran out`]),
    ...(wait < NEAR_LIMIT_WAIT_PERCENT ? [] : [`waited for memory ${shown(wait)} % of the time`])
  ].join(" and ")
  const cure =
    where === undefined
      ? "not at a limit of its own: the host has too little for all that runs"
      : `${where}: raise ${setting.what}, or let it need less`
  return {
    kind: "memory",
    subject: unitOf(unit),
    weight: wait,
    sentence: `${unit.name} ${what}, ${cure}.`,
    evidence: told({
      memory_wait_percent: wait,
      oom_kills: unit.kills,
      memory_of_limit_percent: used,
      memory_mb: unit.memory === null ? null : unit.memory / MIB,
      memory_peak_mb: unit.memoryPeak === null ? null : unit.memoryPeak / MIB,
      memory_limit_mb: unit.memoryLimit === null ? null : unit.memoryLimit / MIB
    }),
    neighbours: [],
    setting
  }
}

const ofLimit = ({ memoryLimit }: UnitReading, memory: number | null): number | null =>
  memoryLimit === null || memory === null ? null : percentOf(memory, memoryLimit)

/**
 * Where a unit ran out of memory that has a limit; undefined: not at a limit of its own. Memory that rose and was given back by
 * a kill between two scrapes is in no scrape: only the peak that the kernel keeps tells of it, and without one nobody knows.
 */
const whereOf = (unit: UnitReading, used: number | null): string | undefined => {
  if (unit.memoryLimit === null) return undefined
  const limit = `its limit of ${mebibytes(unit.memoryLimit)}`
  const isKill = (unit.kills ?? 0) > 0
  if (used !== null && (!isKill || used >= NEAR_LIMIT_PERCENT)) return `at ${shown(used)} % of ${limit}`
  if (!isKill) return `under ${limit}`
  const peak = ofLimit(unit, unit.memoryPeak)
  if (peak === null) return `in a spike between scrapes, at ${limit} or because the host had too little`
  return peak >= NEAR_LIMIT_PERCENT ? `at a peak of ${shown(peak)} % of ${limit}` : undefined
}

export const hostMemory = (host: HostReading): Found | undefined => {
  const wait = percentOf(host.waited.memory, host.covered)
  if (wait < MEMORY_WAIT_PERCENT) return undefined
  const left =
    host.memoryTotal === null || host.memoryAvailable === null
      ? null
      : percentOf(host.memoryAvailable, host.memoryTotal)
  return {
    kind: "memory",
    subject: HOST,
    weight: wait,
    sentence: `Work waited for memory ${shown(wait)} % of the time${left === null ? "" : `, with ${shown(left)} % of it available`}: the host needs more memory, or less to run.`,
    evidence: told({ memory_wait_percent: wait, memory_available_percent: left }),
    neighbours: [],
    setting: machineSetting("memory", "host", memorySet(host))
  }
}

// -- disks

export const waitsForDisks = (unit: UnitReading, context: Context): Found | undefined => {
  const wait = percentOf(unit.waited.io, coverOf(context))
  if (wait < IO_WAIT_PERCENT) return undefined
  const others = byDisk(context)
  const most = others[0]
  const setting = diskSetting(unit.name)
  const isItself = most?.name === unit.name
  return {
    kind: "io",
    subject: unitOf(unit),
    weight: wait,
    sentence: `${unit.name} waited for disks ${shown(wait)} % of the time${most === undefined ? "" : isItself ? `; it reads and writes most itself (${shown(most.value)} MB/s)` : `; ${named(most)} reads and writes most`}: ${isItself ? "it needs faster disks, or less to read and write" : `raise ${setting.what} of ${unit.name}${most === undefined ? "" : `, or limit ${most.name}`}`}.`,
    evidence: told({
      io_wait_percent: wait,
      read_mb_per_second: unit.read === null ? null : unit.read / MIB / coverOf(context),
      write_mb_per_second: unit.written === null ? null : unit.written / MIB / coverOf(context)
    }),
    neighbours: others.filter(({ name }) => name !== unit.name),
    setting: isItself ? machineSetting("disks", "host", null) : setting
  }
}

/** The host as a whole, where no unit says that it waited for disks. */
export const hostDisks = (
  host: HostReading,
  context: Context,
  found: ReadonlyArray<Found | undefined>
): Found | undefined => {
  const wait = percentOf(host.waited.io, host.covered)
  if (wait < IO_WAIT_PERCENT || found.some((verdict) => verdict?.kind === "io")) return undefined
  const most = byDisk(context)
  return {
    kind: "io",
    subject: HOST,
    weight: wait,
    sentence: `Work waited for disks ${shown(wait)} % of the time${most.length === 0 ? "" : `; ${named(most[0]!)} reads and writes most`}: the host needs faster disks, or less to read and write.`,
    evidence: told({ io_wait_percent: wait }),
    neighbours: most,
    setting: machineSetting("disks", "host", null)
  }
}
