/**
 * The layers of the built-in collectors: on Linux they read `/proc` and `/sys`, elsewhere there are none.
 */
import { Clock, Effect, Layer } from "effect"
import { Collectors, layerNone } from "./Collector.ts"
import { openNodeCollector } from "./CollectorNode.ts"
import { openProcessCollector } from "./CollectorProcess.ts"
import { ProcFiles } from "./ProcFiles.ts"

/** Collectors that read a procfs mounted at `root`, and a sysfs mounted at `sys` where there is one. */
const layerProc = (root: string, sys?: string): Layer.Layer<Collectors> =>
  Layer.effect(
    Collectors,
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      return Collectors.of({
        available: true,
        open: (kind) =>
          kind === "node"
            ? openNodeCollector(new ProcFiles(root), clock, sys === undefined ? undefined : new ProcFiles(sys))
            : openProcessCollector(new ProcFiles(root), clock)
      })
    })
  )

/** What this machine has. */
export const layer: Layer.Layer<Collectors> = Layer.unwrap(
  Effect.sync(() => (process.platform === "linux" ? layerProc("/proc", "/sys") : layerNone))
)
