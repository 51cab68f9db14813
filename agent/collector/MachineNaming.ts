/** How this machine's processes are named, for all who name them: as the configuration says, and by the units of the cgroup hierarchies. */
import type { Clock } from "effect"
import type { AgentConfigShape } from "../config/AgentConfig.ts"
import type { ProcessNaming } from "./CollectorProcess.ts"
import { makeUnitOfProcess } from "./cgroups/ProcessUnits.ts"
import { defaultNames } from "./names/DefaultNames.ts"
import { ProcFiles } from "./ProcFiles.ts"

/** `root`: where the procfs is mounted; `disk`: the root of the file system of its mounts, undefined where that is not known. */
export const machineNaming = (
  { processNames, selfName = "nodepulse-agent" }: Pick<AgentConfigShape, "processNames" | "selfName">,
  root: string,
  disk: string | undefined,
  clock: Clock.Clock
): ProcessNaming => ({
  names: processNames ?? defaultNames({ pid: process.pid, name: selfName }),
  unitOf:
    (disk === undefined ? undefined : makeUnitOfProcess(new ProcFiles(root), new ProcFiles(disk), clock)) ?? (() => "")
})
