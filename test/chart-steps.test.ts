/** What a chart draws of its steps: `web/src/charts/Steps.ts`, which needs no browser. */
import { describe, expect, it } from "@effect/vitest"
import { drawnOf } from "../web/src/charts/Steps.ts"

describe("a value is drawn over its whole step", () => {
  it("from the end of the step before, so that a lone one is as wide as its step", () => {
    expect(drawnOf([10, 20, 30, 40], 10, [[null, 5, null, null]])).toEqual({
      times: [10, 10.01, 20, 30, 40],
      columns: [[null, 5, 5, null, null]],
      steps: [0, 1, 1, 2, 3]
    })
  })

  it("from before the window where it is the first", () => {
    expect(drawnOf([10, 20], 10, [[1, 2]])).toEqual({ times: [0, 10, 20], columns: [[1, 1, 2]], steps: [0, 0, 1] })
  })

  it("and does not bridge a gap of one step, nor break a line that goes on", () => {
    const { columns, times } = drawnOf([10, 20, 30], 10, [
      [1, null, 3],
      [1, 2, 3]
    ])
    expect(times).toEqual([0, 10, 20, 20.01, 30])
    expect(columns).toEqual([
      [1, 1, null, 3, 3],
      // Not null, which would end the line.
      [1, 1, 2, undefined, 3]
    ])
  })

  it("and nothing is drawn of nothing", () => {
    expect(drawnOf([], 10, [[]])).toEqual({ times: [], columns: [[]], steps: [] })
    expect(drawnOf([10], 10, [[null]])).toEqual({ times: [10], columns: [[null]], steps: [0] })
    expect(drawnOf([10], 10, [])).toEqual({ times: [10], columns: [], steps: [0] })
  })
})
