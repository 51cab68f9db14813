/**
 * The unit that a process is in, by the same names as the rows of units: what makes a process one of a unit's.
 *
 * From `/proc/PID/cgroup`, which all may read. A path's unit is remembered for a minute, since a container's name may be known
 * later than its processes are seen. Bound: {@link PATHS_MAX} paths. Empty where the process is gone, or in no cgroup that is
 * seen from here.
 */
import type { Clock } from "effect"
import { unitOf } from "../../../src/plugins/UnitName.ts"
import type { ProcFiles } from "../ProcFiles.ts"
import { cgroupMounts } from "./CgroupMounts.ts"
import { rootUnit } from "./CollectorCgroups.ts"
import { makeUnitNames } from "./UnitNames.ts"

const PATHS_MAX = 5_000
const KEPT_MILLIS = 60_000

/** The function that tells units; undefined where no hierarchy tells CPU time, so that there are no units either. */
export const makeUnitOfProcess = (
  proc: ProcFiles,
  disk: ProcFiles,
  clock: Clock.Clock
): ((pid: number) => string) | undefined => {
  const mounts = cgroupMounts(proc, disk)
  if (mounts === undefined) return undefined
  const names = makeUnitNames({ disk, proc, folder: mounts.cpu.folder }, clock)
  const root = rootUnit(mounts)
  const kept = new Map<string, string>()
  let since = 0
  return (pid) => {
    const path = pathIn(proc.bytes(`${pid}/cgroup`)?.toString("utf8") ?? "", mounts.cpu.version)
    if (path === undefined) return ""
    const now = Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
    if (now - since > KEPT_MILLIS || kept.size >= PATHS_MAX) {
      kept.clear()
      since = now
    }
    const unit = kept.get(path) ?? unitOf(path, names, root).unit
    kept.set(path, unit)
    return unit
  }
}

/** The path of the hierarchy that tells CPU time; undefined where it lies outside of what is seen from here. */
const pathIn = (cgroups: string, version: 1 | 2): string | undefined => {
  for (const line of cgroups.split("\n")) {
    // number:controllers:path, and a path may hold colons.
    const [, controllers = "", path = ""] = /^\d+:([^:]*):(.*)$/.exec(line) ?? []
    const isIt = version === 2 ? line.startsWith("0::") : controllers.split(",").includes("cpuacct")
    if (isIt) return path.startsWith("/..") ? undefined : path.replace(/ \(deleted\)$/, "")
  }
  return undefined
}
