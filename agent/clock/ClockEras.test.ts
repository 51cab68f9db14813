import { assert, describe, it } from "@effect/vitest"
import { correctionOf, type Eras, measured, moved, refused, resumed } from "./ClockEras.ts"

const MINUTE = 60_000
const fresh = (offset = 0, boot = "b1"): Eras => resumed([], boot, offset, 0).eras

describe("a step of the wall clock", () => {
  it("is a change against the boot clock of a second or more, and slewing never adds up to one", () => {
    let eras = fresh()
    for (let tick = 1; tick <= 1_000; tick++) {
      const look = moved(eras, tick * 7, 0)
      assert.strictEqual(look.stepMillis, 0)
      eras = look.eras
    }
    assert.strictEqual(moved(eras, 7_000 + 3_000, 9).stepMillis, 3_000)
    assert.strictEqual(moved(eras, 7_000 - MINUTE, 9).stepMillis, -MINUTE)
  })

  it("while the agent was not running is noticed in the same boot, and nothing is said of another boot", () => {
    const before = fresh(1_000)
    assert.strictEqual(resumed(before, "b1", 31_000, 5).stepMillis, 30_000)
    assert.strictEqual(resumed(before, "b2", 31_000, 5).stepMillis, 0)
    assert.strictEqual(resumed(before, "b1", 1_010, 5).stepMillis, 0)
  })
})

describe("the times of records that were refused", () => {
  it("are corrected by what the clock was ahead, each era by its own, and others are left alone", () => {
    let eras = fresh()
    eras = moved(eras, 20 * MINUTE, 10).eras
    eras = moved(eras, -5 * MINUTE, 20).eras
    eras = measured(eras, -5 * MINUTE)
    eras = refused(refused(eras, 5), 15)
    assert.deepStrictEqual(
      [5, 10, 11, 20, 21].map((id) => correctionOf(eras, id)),
      [0, 0, -20 * MINUTE, -20 * MINUTE, 0]
    )
    eras = refused(eras, 25)
    assert.strictEqual(correctionOf(eras, 25), 5 * MINUTE)
  })

  it("get the same correction each time, although each answer measures a little differently", () => {
    let eras = refused(measured(fresh(), 20 * MINUTE + 400), 1)
    const first = correctionOf(eras, 1)
    for (const skew of [20 * MINUTE - 300, 20 * MINUTE + 2_000]) eras = refused(measured(eras, skew), 1)
    assert.strictEqual(correctionOf(eras, 1), first)
    assert.strictEqual(correctionOf(refused(measured(eras, 25 * MINUTE), 1), 1), -25 * MINUTE)
  })

  it("of an earlier boot are corrected by what was known of its clock then", () => {
    const before = measured(fresh(20 * MINUTE), 20 * MINUTE)
    let { eras } = resumed(before, "b2", 0, 50)
    eras = refused(measured(eras, 0), 40)
    assert.strictEqual(correctionOf(eras, 40), -20 * MINUTE)
    assert.strictEqual(correctionOf(eras, 60), 0)
  })

  it("stay where nothing is known, or where the clock is right", () => {
    assert.strictEqual(correctionOf(refused(fresh(), 1), 1), 0)
    assert.strictEqual(correctionOf(refused(measured(fresh(), 2_000), 1), 1), 0)
  })

  it("are known for the last 32 steps, whatever the clock does", () => {
    let eras = fresh()
    for (let step = 1; step <= 1_000; step++) eras = moved(eras, (step % 2) * MINUTE, step).eras
    assert.isAtMost(eras.length, 32)
  })
})
