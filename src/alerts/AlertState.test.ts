/** What follows from answers, one after the other. */
import { assert, describe, it } from "@effect/vitest"
import { type AlertState, INACTIVE, step, type Verdict } from "./AlertState.ts"
import { EVERY_MILLIS } from "./Rule.ts"

const HELD = { for: 4 * EVERY_MILLIS, keepFiringFor: 2 * EVERY_MILLIS }

/** The states after each answer, as letters: inactive, pending, firing, unknown (quiet), unknown (firing). */
const lived = (answers: string, rule = HELD): string => {
  let state: AlertState = INACTIVE
  return [...answers]
    .map((answer, n) => {
      const verdict: Verdict = answer === "?" ? undefined : answer === "x"
      state = step(state, verdict, n * EVERY_MILLIS, rule)
      if (state.is === "unknown") return state.firing === undefined ? "u" : "U"
      return state.is === "inactive" ? "." : state.is === "pending" ? "p" : "F"
    })
    .join("")
}

describe("an alert", () => {
  it("fires once its rule has held for as long as it says", () => {
    assert.strictEqual(lived("..xxxx.x"), "..pppp.p")
    assert.strictEqual(lived("..xxxxxx"), "..ppppFF")
    assert.strictEqual(lived(".x.", { for: 0, keepFiringFor: 0 }), ".F.")
  })

  it("is over once its rule has not held for as long as it says, and goes on where it holds again before", () => {
    assert.strictEqual(lived("xxxxx....."), "ppppFFF...")
    assert.strictEqual(lived("xxxxx..x..x..."), "ppppFFFFFFFFF.")
  })

  it("neither fires nor is over while nobody knows, and both waits begin anew", () => {
    assert.strictEqual(lived("xxxx?xxxxx"), "ppppuppppF")
    assert.strictEqual(lived("xxxxx??????x"), "ppppFUUUUUUF")
    assert.strictEqual(lived("xxxxx..?...."), "ppppFFFUFF..")
    assert.strictEqual(lived("??.??"), ".....")
    assert.strictEqual(lived("xx?.x"), "ppu.p")
  })

  it("says since when it fires, also after a time that nobody knows", () => {
    const fired = [0, 1, 2, 3, 4].reduce(
      (state, n) => step(state, true, n * EVERY_MILLIS, HELD),
      INACTIVE as AlertState
    )
    const later = step(step(fired, undefined, 5 * EVERY_MILLIS, HELD), true, 6 * EVERY_MILLIS, HELD)
    assert.deepStrictEqual(later, { is: "firing", since: 4 * EVERY_MILLIS, clear: undefined })
  })
})
