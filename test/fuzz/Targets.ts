/**
 * What is fuzzed: everything that reads bytes of others. Each check throws where a promise is broken; that it neither hangs
 * nor grows is for whoever runs it to see (`Fuzz.ts`).
 *
 * An input is made from a seed and its number alone, so any of them can be looked at again.
 */
import { expositionTarget } from "./ExpositionTarget.ts"
import { ingestTarget } from "./IngestTarget.ts"
import { forgedTarget, segmentTarget } from "./SpoolTargets.ts"
import { streamTarget } from "./StreamTarget.ts"
import type { Target } from "./Target.ts"

export const targets: ReadonlyArray<Target> = [
  expositionTarget,
  ingestTarget,
  segmentTarget,
  forgedTarget,
  streamTarget
]
