import { describe, expect, it } from "@effect/vitest"
import { isLate, longestInterval, seenInterval } from "./SeenInterval.ts"

const SECOND = 1_000_000
const EPOCH = 1_700_000_000 * SECOND
const DECLARED = { interval: 15 * SECOND, gapMax: 300 * SECOND }

/** Scrapes with these distances in seconds. */
const scrapes = (...distances: ReadonlyArray<number>): ReadonlyArray<number> => {
  let at = EPOCH
  return [at, ...distances.map((seconds) => (at += seconds * SECOND))]
}
const seen = (...distances: ReadonlyArray<number>) => seenInterval(scrapes(...distances), DECLARED) / SECOND
const longest = (...distances: ReadonlyArray<number>) => longestInterval(scrapes(...distances), DECLARED) / SECOND

describe("the interval that a server really sends at", () => {
  it("is the declared one as long as nothing else is known", () => {
    expect(seenInterval([], DECLARED)).toBe(DECLARED.interval)
    expect(seenInterval([EPOCH], DECLARED)).toBe(DECLARED.interval)
    expect(seenInterval([EPOCH, EPOCH, EPOCH], DECLARED)).toBe(DECLARED.interval)
    expect(seenInterval([Number.NaN, EPOCH, Number.POSITIVE_INFINITY], DECLARED)).toBe(DECLARED.interval)
    expect(seen(5)).toBe(15)
    expect(seen(301)).toBe(15)
  })

  it("is seen with the second scrape where it is longer, and with the fourth where it is shorter", () => {
    expect(seen(120)).toBe(120)
    expect(seen(120, 120)).toBe(120)
    expect(seen(5, 5)).toBe(15)
    expect(seen(5, 5, 5)).toBe(5)
  })

  it("is the same in whatever order the scrapes are, and however they jitter", () => {
    expect(seenInterval(scrapes(120, 120, 120).toReversed(), DECLARED)).toBe(120 * SECOND)
    expect(seen(14.6, 15.2, 15.4, 14.9, 15.1)).toBe(15)
    expect(seen(118.7, 121.4, 119.9, 120.2)).toBe(120)
    expect(seen(61, 59.5, 60.4)).toBe(60)
  })

  it("does not change by one missed scrape, one gap or one scrape out of turn", () => {
    for (const one of [30, 150, 299, 300, 301, 90_000, 2, 0.2]) {
      for (const at of [0, 1, 2, 3, 4]) {
        const distances = [15, 15, 15, 15]
        distances.splice(at, 0, one)
        expect([one, at, seen(...distances)]).toEqual([one, at, 15])
        const slow = [120, 120, 120, 120]
        slow.splice(at, 0, one)
        expect([one, at, seen(...slow)]).toEqual([one, at, 120])
      }
    }
  })

  it("is a new one once it was seen twice in a row", () => {
    expect(seen(15, 15, 15, 15, 120)).toBe(15)
    expect(seen(15, 15, 15, 15, 120, 120)).toBe(120)
    expect(seen(120, 120, 120, 15)).toBe(120)
    expect(seen(120, 120, 120, 15, 15)).toBe(15)
  })

  it("is between a second and the time after which there is a gap", () => {
    expect(seen(0.01, 0.01, 0.01, 0.01)).toBe(1)
    expect(seen(300, 300, 300)).toBe(300)
    expect(seen(310, 310, 310)).toBe(15)
  })
})

describe("the longest interval of a window", () => {
  it("is the one that holds for three scrapes in a row, before or after a change", () => {
    expect(longest(120, 120, 120, 15, 15, 15, 15, 15)).toBe(120)
    expect(longest(15, 15, 15, 15, 120, 120, 120)).toBe(120)
    expect(longest(15, 15, 15, 120, 120)).toBe(15)
  })

  it("does not take gaps and missed scrapes for an interval", () => {
    expect(longest(15, 15, 15, 240, 15, 15, 60, 60, 15, 15, 400, 15)).toBe(15)
  })

  it("is what the latest scrapes say where there are too few", () => {
    expect(longest()).toBe(15)
    expect(longest(120)).toBe(120)
  })
})

describe("a scrape is late", () => {
  it("after two and a half of the intervals that were seen", () => {
    expect(isLate(null, EPOCH, SECOND)).toBe(true)
    expect(isLate(EPOCH, EPOCH + 300 * SECOND, 120 * SECOND)).toBe(false)
    expect(isLate(EPOCH, EPOCH + 300 * SECOND + 1, 120 * SECOND)).toBe(true)
    // A clock that is ahead is not late.
    expect(isLate(EPOCH + SECOND, EPOCH, SECOND)).toBe(false)
  })
})
