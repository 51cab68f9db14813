/**
 * The layers of the built-in collectors: on Linux they read `/proc` and `/sys`, elsewhere there are none.
 */
import { Clock, Effect, Layer } from "effect"
import { AgentConfig } from "../config/AgentConfig.ts"
import { makeAccounts } from "./accounting/CollectorAccounting.ts"
import { Collectors, CollectorUnavailable, layerNone } from "./Collector.ts"
import { openNodeCollector } from "./CollectorNode.ts"
import { openProcessCollector } from "./CollectorProcess.ts"
import { namesByComm } from "./names/ProcessNames.ts"
import { ProcFiles } from "./ProcFiles.ts"

/** Collectors that read a procfs mounted at `root`, and a sysfs mounted at `sys` where there is one. */
export const layerProc = (root: string, sys?: string): Layer.Layer<Collectors, never, AgentConfig> =>
  Layer.effect(
    Collectors,
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const { accounting, processNames: names = namesByComm } = yield* AgentConfig
      const accounts = accounting === undefined ? undefined : makeAccounts(accounting.file, new ProcFiles(root), clock)
      return Collectors.of({
        available: true,
        open: (kind) => {
          switch (kind) {
            case "node":
              return openNodeCollector(new ProcFiles(root), clock, sys === undefined ? undefined : new ProcFiles(sys))
            case "process":
              return openProcessCollector(new ProcFiles(root), clock, { names, unitOf: () => "" }, accounts)
            case "accounting":
              return accounts?.open ?? Effect.fail(new CollectorUnavailable({ reason: NO_FILE }))
          }
        }
      })
    })
  )

const NO_FILE = "accounting.file is not set: it names the file of the kernel's process accounting"

/** What this machine has. */
export const layer: Layer.Layer<Collectors, never, AgentConfig> = Layer.unwrap(
  Effect.sync(() => (process.platform === "linux" ? layerProc("/proc", "/sys") : layerNone))
)
