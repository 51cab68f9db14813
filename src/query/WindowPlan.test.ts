import { describe, expect, it } from "@effect/vitest"
import { seededRandom } from "../../test/Seeded.ts"
import { LEVELS } from "../sinks/rollups/RollupTables.ts"
import { bucketOf, type ChangedBucket, planWindow, ROWS_ONLY_MICROS } from "./WindowPlan.ts"

const SECOND = 1_000_000
const DAY = 86_400 * SECOND
const LOOKBACK = 300 * SECOND
const at = (iso: string) => Date.parse(iso) * 1_000

/** Parts by level as [level, from, to], readable where a test fails. */
const shown = (window: { from: number; to: number }, dirty: ReadonlyArray<ChangedBucket> = []) =>
  planWindow(window, dirty, LOOKBACK).map(({ from, level, to }) =>
    [level, new Date(from / 1_000).toISOString().slice(5, 19), new Date(to / 1_000).toISOString().slice(5, 19)].join(
      " "
    )
  )

describe("the plan of a window", () => {
  it("takes days, then hours, then five minutes, and rows at both ends", () => {
    expect(shown({ from: at("2026-11-01T22:52:10Z"), to: at("2026-11-05T01:07:00Z") })).toEqual([
      "0 11-01T22:52:10 11-01T22:55:00",
      "1 11-01T22:55:00 11-01T23:00:00",
      "2 11-01T23:00:00 11-02T00:00:00",
      "3 11-02T00:00:00 11-05T00:00:00",
      "2 11-05T00:00:00 11-05T01:00:00",
      "1 11-05T01:00:00 11-05T01:05:00",
      "0 11-05T01:05:00 11-05T01:07:00"
    ])
  })

  it("reads rows where a bucket has changed, and in the bucket that its first increases reach into", () => {
    const dirty = [{ seconds: 300, bucket: at("2026-11-02T10:05:00Z") }]
    expect(shown({ from: at("2026-11-02T00:00:00Z"), to: at("2026-11-03T00:00:00Z") }, dirty)).toEqual([
      "2 11-02T00:00:00 11-02T10:00:00",
      "0 11-02T10:00:00 11-02T10:10:00",
      "1 11-02T10:10:00 11-02T11:00:00",
      "2 11-02T11:00:00 11-03T00:00:00"
    ])
  })

  it("reads five minutes where only the hour is behind, and hours where only the day is", () => {
    const window = { from: at("2026-11-02T00:00:00Z"), to: at("2026-11-03T00:00:00Z") }
    expect(shown(window, [{ seconds: 3_600, bucket: at("2026-11-02T01:00:00Z") }])).toEqual([
      "1 11-02T00:00:00 11-02T01:00:00",
      "2 11-02T01:00:00 11-03T00:00:00"
    ])
    expect(shown(window, [{ seconds: 86_400, bucket: at("2026-11-03T00:00:00Z") }])).toEqual([
      "2 11-02T00:00:00 11-03T00:00:00"
    ])
  })

  it("reads rows alone where the window is short", () => {
    const from = at("2026-11-02T00:00:00Z")
    expect(planWindow({ from, to: from + ROWS_ONLY_MICROS - 1 }, [], LOOKBACK)).toEqual([
      { level: 0, from, to: from + ROWS_ONLY_MICROS - 1 }
    ])
  })

  for (const seed of [1, 2, 3]) {
    it(`seed ${seed}: is the window, without overlap, and rests on whole and clean buckets of the levels allowed`, () => {
      const random = seededRandom(seed)
      const some = (below: number) => Math.floor(random() * below)
      for (let turn = 0; turn < 300; turn++) {
        const from = at("2026-11-01T00:00:00Z") + some(3 * DAY)
        const window = { from, to: from + ROWS_ONLY_MICROS + some(random() < 0.5 ? 3 * DAY : DAY / 12) }
        const dirty = Array.from({ length: some(6) }, () => {
          const level = LEVELS[some(LEVELS.length)]!
          return { seconds: level.seconds, bucket: bucketOf(window.from - DAY / 24 + some(window.to - from), level) }
        })
        const usable = LEVELS.map(() => random() < 0.8)
        const plan = planWindow(window, dirty, LOOKBACK, usable)

        expect(plan[0]!.from).toBe(window.from)
        expect(plan.at(-1)!.to).toBe(window.to)
        for (const [n, part] of plan.entries()) {
          expect(part.to).toBeGreaterThan(part.from)
          if (n > 0) expect(part.from).toBe(plan[n - 1]!.to)
          if (part.level === 0) continue
          const width = LEVELS[part.level - 1]!.seconds * SECOND
          expect(usable[part.level - 1]).toBe(true)
          expect([part.from % width, part.to % width]).toEqual([0, 0])
          for (const { bucket, seconds } of dirty) {
            // A changed five-minute bucket changes the one after it too; a wider one makes those that hold it unclean.
            const changed = seconds === 300 ? [bucket, bucket + 300 * SECOND] : [bucket]
            const unclean = changed.filter((end) => end > part.from && end <= part.to)
            if (seconds <= width / SECOND) expect(unclean, `${seconds} in ${JSON.stringify(part)}`).toEqual([])
          }
        }
      }
    })
  }
})
