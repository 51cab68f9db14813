import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Result } from "effect"
import { parseExposition } from "../../src/plugins/Exposition.ts"
import { openNodeCollector } from "./CollectorNode.ts"
import { openProcessCollector } from "./CollectorProcess.ts"
import { openCgroupCollector } from "./cgroups/CollectorCgroups.ts"
import { samplesOf } from "./ExpositionText.ts"
import { ProcFiles } from "./ProcFiles.ts"

const [proc, sys, disk] = [new ProcFiles("/proc"), new ProcFiles("/sys"), new ProcFiles("")]

describe.skipIf(process.platform !== "linux")("the samples that a collector hands on", () => {
  for (const [kind, open] of [
    ["node", (clock: Clock.Clock) => openNodeCollector(proc, clock, sys)],
    ["process", (clock: Clock.Clock) => openProcessCollector(proc, clock)],
    ["units", (clock: Clock.Clock) => openCgroupCollector(proc, disk, clock)]
  ] as const) {
    it.live(`are those of its text: ${kind}, of this machine`, () =>
      Effect.gen(function* () {
        const { families, text } = yield* (yield* open(yield* Clock.Clock)).collect
        const { samples, skipped } = Result.getOrThrow(parseExposition(text))
        assert.deepStrictEqual(skipped, [])
        assert.isAbove(samples.length, 10)
        const told = (all: typeof samples) => all.map(({ labels, name, value }) => [name, { ...labels }, value])
        assert.deepStrictEqual(told(samplesOf(families)), told(samples))
      })
    )
  }
})
