/**
 * The fuzzer in short (`npm run fuzz` is the long one): no input crashes, is taken for something it is not, or takes long
 * or much memory.
 * NODEPULSE_SEED repeats a run, NODEPULSE_FUZZ sets how many inputs each target tries.
 */
import { randomInt } from "node:crypto"
import { assert, describe, expect, it } from "@effect/vitest"
import { Broken, fuzz, tryOne } from "./fuzz/Fuzz.ts"
import { inputOf, type Target } from "./fuzz/Target.ts"
import { targets } from "./fuzz/Targets.ts"

const INPUTS = Number(process.env.NODEPULSE_FUZZ ?? 5_000)
const SEED = Number(process.env.NODEPULSE_SEED ?? randomInt(2 ** 31))

describe(`whatever comes in (NODEPULSE_SEED=${SEED})`, () => {
  for (const target of targets) {
    it(`${target.name}: ${INPUTS} inputs are taken for what they are, or refused`, async () => {
      const { refused, taken } = await fuzz(target, SEED, 0, INPUTS)
      // Otherwise the inputs are not what they are meant to be.
      assert.isAbove(taken, INPUTS / 100)
      assert.isAbove(refused, INPUTS / 100)
    })
  }
})

describe("the fuzzer itself", () => {
  const planted = (check: (input: Buffer) => void): Target => ({
    name: "planted",
    input: (chance) => Buffer.from([chance.between(0, 9), chance.between(0, 255)]),
    check: (input) => {
      if (input[0] === 7) check(input)
      return "taken"
    }
  })
  const brokenBy = async (target: Target): Promise<Error> => {
    try {
      await fuzz(target, SEED, 0, 500)
    } catch (error) {
      return error as Error
    }
    return assert.fail("nothing was found")
  }

  it("gives the bytes that broke a promise, which break it again", async () => {
    const target = planted(() => {
      throw new Error("no sevens")
    })
    const error = await brokenBy(target)
    assert.instanceOf(error, Broken)
    const { input, message, n } = error as Broken
    assert.strictEqual(input[0], 7)
    assert.include(message, `planted, seed ${SEED}, input ${n}: Error: no sevens`)
    assert.include(message, input.toString("base64"))
    assert.deepStrictEqual(inputOf(target, SEED, n), input)
    await expect(tryOne(target, input, SEED, n)).rejects.toThrow("no sevens")
  })

  it("finds what takes long, each time and not once", async () => {
    const busy = (millis: number) => {
      const { user } = process.threadCpuUsage()
      while (process.threadCpuUsage().user - user < millis * 1_000);
    }
    assert.match((await brokenBy(planted(() => busy(60)))).message, /it took \d+/)
    let times = 0
    await fuzz(
      planted(() => busy(times++ === 0 ? 60 : 0)),
      SEED,
      0,
      500
    )
  })

  it("finds what uses memory, on the heap or outside of it, and what never gives it back", async () => {
    const heap = planted(() => Array.from({ length: 300_000 }, (_, index) => ({ index })))
    assert.match((await brokenBy(heap)).message, /it used \d+ bytes/)
    assert.match((await brokenBy(planted(() => Buffer.alloc(5 * 2 ** 20)))).message, /it used \d+ bytes/)
    const kept: Array<Buffer> = []
    const leaking = planted(() => kept.push(Buffer.alloc(2 ** 20)))
    assert.match((await brokenBy(leaking)).message, /bytes more are in use at the end/)
  })
})
