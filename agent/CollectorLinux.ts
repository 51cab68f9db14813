/**
 * The layers of the built-in collectors: on Linux they read `/proc`, elsewhere there are none.
 */
import { Clock, Effect, Layer } from "effect"
import { Collectors, layerNone } from "./Collector.ts"
import { openNodeCollector } from "./CollectorNode.ts"
import { openProcessCollector } from "./CollectorProcess.ts"
import { ProcFiles } from "./ProcFiles.ts"

/** Collectors that read a procfs mounted at `root`. */
export const layerProc = (root: string): Layer.Layer<Collectors> =>
  Layer.effect(
    Collectors,
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      return Collectors.of({
        available: true,
        open: (kind) =>
          kind === "node"
            ? openNodeCollector(new ProcFiles(root), clock)
            : openProcessCollector(new ProcFiles(root), clock)
      })
    })
  )

/** What this machine has. */
export const layer: Layer.Layer<Collectors> = Layer.unwrap(
  Effect.sync(() => (process.platform === "linux" ? layerProc("/proc") : layerNone))
)
