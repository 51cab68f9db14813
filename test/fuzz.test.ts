/**
 * The fuzzer in short (`npm run fuzz` is the long one): no input crashes, is taken for something it is not, or takes long.
 * NODEPULSE_SEED repeats a run, NODEPULSE_FUZZ sets how many inputs each target tries.
 */
import { randomInt } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { fuzz } from "./fuzz/Fuzz.ts"
import { targets } from "./fuzz/Targets.ts"

const INPUTS = Number(process.env.NODEPULSE_FUZZ ?? 5_000)
const SEED = Number(process.env.NODEPULSE_SEED ?? randomInt(2 ** 31))

describe(`whatever comes in (NODEPULSE_SEED=${SEED})`, () => {
  for (const target of targets) {
    it(`${target.name}: ${INPUTS} inputs are taken for what they are, or refused`, () => {
      const { refused, taken } = fuzz(target, SEED, 0, INPUTS)
      // Otherwise the inputs are not what they are meant to be.
      assert.isAbove(taken, INPUTS / 100)
      assert.isAbove(refused, INPUTS / 100)
    })
  }
})
