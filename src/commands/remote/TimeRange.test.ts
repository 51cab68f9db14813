import { describe, expect, test } from "vitest"
import { parseComing, parseMoment, parseSpan, rangeOf } from "./TimeRange.ts"

const local = (...parts: [number, number, number, number, number, number?]) => new Date(...parts).getTime() * 1_000
/** Half past twelve in the afternoon, where the test runs. */
const NOW = local(2026, 10, 28, 12, 30)
const HOUR = 3_600_000_000
const asked = (given: Partial<Parameters<typeof rangeOf>[0]>) =>
  rangeOf({ at: undefined, from: undefined, to: undefined, last: undefined, ...given }, NOW)

describe("a moment", () => {
  const read: ReadonlyArray<readonly [string, number]> = [
    ["now", NOW],
    ["03:14", local(2026, 10, 28, 3, 14)],
    ["3:14:15", local(2026, 10, 28, 3, 14, 15)],
    ["12:30", NOW],
    ["12:31", local(2026, 10, 27, 12, 31)],
    ["yesterday 03:14", local(2026, 10, 27, 3, 14)],
    ["2026-11-01", local(2026, 10, 1, 0, 0)],
    ["2026-11-01 03:14", local(2026, 10, 1, 3, 14)],
    ["2026-11-01T03:14:15", local(2026, 10, 1, 3, 14, 15)],
    ["2h ago", NOW - 2 * HOUR],
    ["1.5d", NOW - 36 * HOUR],
    ["2026-11-01T03:14:00Z", Date.UTC(2026, 10, 1, 3, 14) * 1_000],
    ["2026-11-01T03:14:00.000001+01:00", Date.UTC(2026, 10, 1, 2, 14) * 1_000 + 1]
  ]
  test.each(read)("%s is read", (text, moment) => expect(parseMoment(text, NOW)).toBe(moment))

  test.each([
    "",
    "then",
    "24:00",
    "3:60",
    "03:14:60",
    "2026-02-30",
    "2026-11-01 24:00",
    "h ago",
    "0h",
    "-2h",
    "2026-13-01"
  ])("%j is none", (text) => expect(parseMoment(text, NOW)).toBeUndefined())
})

describe("a moment that is still to come", () => {
  const read: ReadonlyArray<readonly [string, number]> = [
    ["now", NOW],
    ["12:30", NOW],
    ["22:00", local(2026, 10, 28, 22, 0)],
    ["03:14", local(2026, 10, 29, 3, 14)],
    ["tomorrow 22:00:30", local(2026, 10, 29, 22, 0, 30)],
    ["in 1.5h", NOW + 1.5 * HOUR],
    ["2026-12-01 03:14", local(2026, 11, 1, 3, 14)],
    ["2026-12-01T03:14:00Z", Date.UTC(2026, 11, 1, 3, 14) * 1_000]
  ]
  test.each(read)("%s is read", (text, moment) => expect(parseComing(text, NOW)).toBe(moment))

  test.each(["", "then", "2h", "2h ago", "in", "in soon", "24:00", "tomorrow", "yesterday 22:00", "2026-02-30"])(
    "%j is none",
    (text) => expect(parseComing(text, NOW)).toBeUndefined()
  )
})

test("a span has a unit, and is longer than nothing", () => {
  expect(["15m", "0.25h", "7d", "2w", "90s"].map(parseSpan)).toEqual([
    HOUR / 4,
    HOUR / 4,
    168 * HOUR,
    336 * HOUR,
    HOUR / 40
  ])
  expect(["15", "m", "0m", "1y", "", "1h30m", "1e3s"].map(parseSpan)).toEqual(Array(7).fill(undefined))
})

describe("a window", () => {
  test("is the last hour, the five minutes before a moment, or what is asked for", () => {
    const success = (given: Parameters<typeof asked>[0]) => asked(given)
    expect(success({})).toMatchObject({ success: { hours: 1, at: undefined } })
    expect(success({ at: "03:14" })).toMatchObject({
      success: { hours: 0.083333333333, at: local(2026, 10, 28, 3, 14) }
    })
    expect(success({ at: "03:14", last: "2h" })).toMatchObject({ success: { hours: 2 } })
    expect(success({ last: "7d" })).toMatchObject({ success: { hours: 168, at: undefined } })
    expect(success({ from: "02:00", to: "03:30" })).toMatchObject({
      success: { hours: 1.5, at: local(2026, 10, 28, 3, 30) }
    })
    expect(success({ to: "03:30", last: "1h" })).toMatchObject({
      success: { at: local(2026, 10, 28, 3, 30), hours: 1 }
    })
  })

  test("that begins at a moment ends when the server says it is now: clocks differ", () => {
    expect(asked({ from: "2h ago" })).toMatchObject({ success: { hours: 2, at: undefined } })
  })

  test("has no more digits than the API takes, and is exact to the microsecond", () => {
    for (const span of ["1s", "7s", "5m", "100m", "9600.123456h"]) {
      const range = asked({ last: span })
      const hours = range._tag === "Success" ? range.success.hours : Number.NaN
      expect(String(hours)).toMatch(/^[0-9]{1,9}(\.[0-9]{1,15})?$/)
      expect(Math.round(hours * HOUR)).toBe(parseSpan(span))
    }
  })

  test.each([
    [{ at: "03:14", from: "02:00" }, "does not go with"],
    [{ at: "03:14", to: "02:00" }, "does not go with"],
    [{ last: "2h", from: "02:00" }, "does not go with"],
    [{ from: "03:00", to: "03:00" }, "not before"],
    [{ from: "03:00", to: "02:00" }, "not before"],
    [{ at: "2099-01-01" }, "in the future"],
    [{ at: "soon" }, "no moment"],
    [{ last: "long" }, "no span"]
  ])("%j is refused: %s", (given, reason) => {
    expect(asked(given)).toMatchObject({ failure: expect.stringContaining(reason) })
  })
})
