import { assert, describe, it } from "@effect/vitest"
import { isWithin, parseDays, parseHours } from "./TimeOfDay.ts"

const hours = (text: string, zone: string, ...days: ReadonlyArray<string>) => ({
  ...parseHours(text)!,
  days: parseDays(days.length === 0 ? ["mon-sun"] : days)!,
  zone
})
const at = (text: string) => Date.parse(text)

describe("hours", () => {
  it("are what clocks show in their zone, from the first minute on and before the last", () => {
    const office = hours("08:00-18:00", "Europe/Berlin", "mon-fri")
    assert.isFalse(isWithin(office, at("2025-01-15T06:59:59Z")))
    assert.isTrue(isWithin(office, at("2025-01-15T07:00:00Z")))
    assert.isTrue(isWithin(office, at("2025-01-15T16:59:59Z")))
    assert.isFalse(isWithin(office, at("2025-01-15T17:00:00Z")))
    assert.isFalse(isWithin(office, at("2025-01-18T10:00:00Z")))
    assert.isTrue(isWithin(hours("00:00-24:00", "UTC"), at("2025-01-15T23:59:59Z")))
  })

  it("over midnight belong to the day on which they begin", () => {
    const night = hours("22:00-06:00", "UTC", "fri")
    assert.isTrue(isWithin(night, at("2025-01-17T22:00:00Z")))
    assert.isTrue(isWithin(night, at("2025-01-18T05:59:00Z")))
    assert.isFalse(isWithin(night, at("2025-01-17T05:59:00Z")))
    assert.isFalse(isWithin(night, at("2025-01-18T22:00:00Z")))
    assert.isTrue(isWithin(hours("22:00-06:00", "UTC", "sun"), at("2025-01-20T01:00:00Z")))
  })

  it("follow the clocks where they are put forward and back", () => {
    const office = hours("08:00-18:00", "Europe/Berlin")
    // Put forward on 30 March at 1:00 UTC: eight o'clock is an hour earlier from then on.
    assert.isFalse(isWithin(office, at("2025-03-29T06:30:00Z")))
    assert.isTrue(isWithin(office, at("2025-03-30T06:30:00Z")))
    assert.isTrue(isWithin(office, at("2025-10-25T06:30:00Z")))
    assert.isFalse(isWithin(office, at("2025-10-26T06:30:00Z")))
    // The hour from 2:00 to 3:00 is left out, and comes twice.
    const gap = hours("02:00-03:00", "Europe/Berlin")
    const minutes = (day: string) =>
      Array.from({ length: 300 }, (_, n) => at(`${day}T00:00:00Z`) - 3_600_000 + n * 60_000).filter((moment) =>
        isWithin(gap, moment)
      ).length
    assert.strictEqual(minutes("2025-03-30"), 0)
    assert.strictEqual(minutes("2025-10-26"), 120)
    assert.strictEqual(minutes("2025-05-01"), 60)
  })

  it("and days are read as they are written, and nothing else is", () => {
    assert.deepStrictEqual(parseHours("18:30-08:00"), { from: 1_110, until: 480 })
    for (const text of [
      "8:00-18:00",
      "08:00",
      "24:00-08:00",
      "08:60-09:00",
      "08:00-24:01",
      "08:00-08:00",
      "08:00-18:00 "
    ])
      assert.isUndefined(parseHours(text), text)
    assert.deepStrictEqual([...parseDays(["sat-mon", "wed"])!], [5, 6, 0, 2])
    for (const days of [[], ["day"], ["mon-"], ["mon-fri-sun"], ["Mon"], [""]]) assert.isUndefined(parseDays(days))
  })
})
