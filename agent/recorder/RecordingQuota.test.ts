import { describe, expect, it } from "@effect/vitest"
import { PER_DAY, REST_MILLIS, RecordingQuota } from "./RecordingQuota.ts"

describe("how many recordings an agent makes", () => {
  it("is one of each reason in a minute", () => {
    const quota = new RecordingQuota()
    expect(quota.take("asked", 0)).toBe(true)
    expect(quota.take("asked", REST_MILLIS - 1)).toBe(false)
    expect(quota.take("alert", 1)).toBe(true)
    expect(quota.take("oom_kill", 2)).toBe(true)
    expect(quota.take("asked", REST_MILLIS)).toBe(true)
  })

  it("is no more than so many in any 24 hours, however often it is asked", () => {
    const quota = new RecordingQuota()
    const made: Array<number> = []
    for (let second = 0; second < 3 * 86_400; second += 30) {
      if (quota.take("alert", second * 1_000)) made.push(second)
    }
    for (const from of made)
      expect(made.filter((at) => at >= from && at < from + 86_400).length).toBeLessThanOrEqual(PER_DAY)
    expect(made.length).toBe(3 * PER_DAY)
  })
})
