/**
 * The layers of the built-in collectors: on Linux they read `/proc`, `/sys` and the cgroup hierarchies, elsewhere there are none.
 */
import { Clock, Effect, Layer } from "effect"
import { AgentConfig } from "../config/AgentConfig.ts"
import { makeAccounts } from "./accounting/CollectorAccounting.ts"
import { Collectors, CollectorUnavailable, layerNone } from "./Collector.ts"
import { openNodeCollector } from "./CollectorNode.ts"
import { openProcessCollector } from "./CollectorProcess.ts"
import { openCgroupCollector } from "./cgroups/CollectorCgroups.ts"
import { machineNaming } from "./MachineNaming.ts"
import { ProcFiles } from "./ProcFiles.ts"

/**
 * Collectors that read a procfs mounted at `root`, a sysfs mounted at `sys`, and the mounts that the procfs names in the file system
 * whose root is `disk`; without those, they tell no devices and no units.
 */
export const layerProc = (root: string, sys?: string, disk?: string): Layer.Layer<Collectors, never, AgentConfig> =>
  Layer.effect(
    Collectors,
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const config = yield* AgentConfig
      const { accounting } = config
      const accounts = accounting === undefined ? undefined : makeAccounts(accounting.file, new ProcFiles(root), clock)
      let groups: number | undefined
      return Collectors.of({
        available: true,
        limit: (most) => {
          groups = most
        },
        open: (kind) => {
          switch (kind) {
            case "node":
              return openNodeCollector(new ProcFiles(root), clock, sys === undefined ? undefined : new ProcFiles(sys))
            case "process":
              return openProcessCollector(
                new ProcFiles(root),
                clock,
                machineNaming(config, root, disk, clock),
                accounts,
                () => groups
              )
            case "accounting":
              return accounts?.open ?? Effect.fail(new CollectorUnavailable({ reason: NO_FILE }))
            case "units":
              return disk === undefined
                ? Effect.fail(new CollectorUnavailable({ reason: NO_MOUNTS }))
                : openCgroupCollector(new ProcFiles(root), new ProcFiles(disk), clock)
          }
        }
      })
    })
  )

const NO_FILE = "accounting.file is not set: it names the file of the kernel's process accounting"
const NO_MOUNTS = "the file system that cgroups are mounted in is not known"

/** What this machine has. */
export const layer: Layer.Layer<Collectors, never, AgentConfig> = Layer.unwrap(
  Effect.sync(() => (process.platform === "linux" ? layerProc("/proc", "/sys", "") : layerNone))
)
