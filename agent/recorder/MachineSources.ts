/**
 * What the flight recorder reads on this machine, and what it calls what it sees: processes and units by the names of the collectors, so
 * that what those hide is hidden here, too.
 */
import type { Clock } from "effect"
import { unitOf } from "../../src/plugins/UnitName.ts"
import { clipped } from "../../src/protocol/PrintableText.ts"
import { NAME_LENGTH_MAX } from "../../src/protocol/Recording.ts"
import { type ProcessNaming as CollectorNaming, placesOf } from "../collector/CollectorProcess.ts"
import { cgroupMounts } from "../collector/cgroups/CgroupMounts.ts"
import { rootUnit } from "../collector/cgroups/CollectorCgroups.ts"
import { makeUnitNames } from "../collector/cgroups/UnitNames.ts"
import { machineNaming } from "../collector/MachineNaming.ts"
import { kernelUnits, ProcFiles } from "../collector/ProcFiles.ts"
import type { AgentConfigShape } from "../config/AgentConfig.ts"
import { cgroupFiles } from "./CgroupFiles.ts"
import type { RecorderSources } from "./FlightRecorder.ts"
import type { ProcessNaming } from "./HotProcesses.ts"
import { openKernelLog } from "./KernelLog.ts"
import { WorkMeter } from "./WorkMeter.ts"

export const machineSources = (
  config: Pick<AgentConfigShape, "processNames" | "selfName">,
  clock: Clock.Clock
): RecorderSources => {
  const files = new ProcFiles()
  const meter = new WorkMeter()
  return {
    files,
    cgroups: cgroupFiles(),
    log: openKernelLog(),
    processNaming: processNaming(files, machineNaming(config, files.root, "", clock)),
    unitNaming: unitNaming(files, clock),
    // Whoever says what processes are called has not said what the kernel calls one that none of it names.
    victimNaming: (comm) => (config.processNames === undefined ? clipped(comm, NAME_LENGTH_MAX) || null : null),
    measure: (work) => meter.measure(work)
  }
}

/** A kernel thread has no other name than its own. */
const processNaming = (files: ProcFiles, naming: CollectorNaming): ProcessNaming => {
  const { nameOf } = placesOf(files, naming, 0, kernelUnits(files))
  return (process) => {
    const unit = naming.unitOf(process.pid)
    const name = process.kernelThread ? `[${process.comm}]` : (nameOf(process, unit) ?? "other")
    return { name: clipped(name, NAME_LENGTH_MAX) || "other", unit: clipped(unit, NAME_LENGTH_MAX) }
  }
}

const unitNaming = (files: ProcFiles, clock: Clock.Clock): ((path: string) => string) => {
  const disk = new ProcFiles("")
  const mounts = cgroupMounts(files, disk)
  const names = mounts === undefined ? {} : makeUnitNames({ disk, proc: files, folder: mounts.cpu.folder }, clock)
  const root = mounts === undefined ? undefined : rootUnit(mounts)
  return (path) => clipped(unitOf(path, names, root).unit, NAME_LENGTH_MAX)
}
