import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { formatTimestamp, parseTimestamp, TIMESTAMP_MICROS_END } from "./Timestamp.ts"

const micros = (iso: string) => Date.parse(iso) * 1_000

describe("a time on the wire", () => {
  it.each([
    ["2025-10-30T12:00:00Z", micros("2025-10-30T12:00:00.000Z")],
    ["2025-10-30t12:00:00z", micros("2025-10-30T12:00:00.000Z")],
    ["1970-01-01T00:00:00Z", 0],
    ["2024-02-29T23:59:59Z", micros("2024-02-29T23:59:59.000Z")],
    ["2000-02-29T00:00:00Z", micros("2000-02-29T00:00:00.000Z")],
    ["2025-10-30T12:00:00.1Z", micros("2025-10-30T12:00:00.100Z")],
    ["2025-10-30T12:00:00.123456Z", micros("2025-10-30T12:00:00.123Z") + 456],
    ["2025-10-30T12:00:00.123456999Z", micros("2025-10-30T12:00:00.123Z") + 456],
    ["2025-10-30T12:00:00.000000001Z", micros("2025-10-30T12:00:00.000Z")],
    ["2025-10-30T14:30:00+02:30", micros("2025-10-30T12:00:00.000Z")],
    ["2025-10-30T12:00:00-00:00", micros("2025-10-30T12:00:00.000Z")],
    ["2025-12-31T23:00:00-01:00", micros("2026-01-01T00:00:00.000Z")],
    ["2254-12-31T23:59:59.999999Z", TIMESTAMP_MICROS_END - 1]
  ])("%s is read to the microsecond", (text, expected) => {
    expect(parseTimestamp(text)).toBe(expected)
  })

  it.each([
    ...["", "now", "1761825600", "2025-10-30", "2025-10-30T12:00Z", "2025-10-30T12:00:00", "2025-10-30 12:00:00Z"],
    ...["2025-02-29T00:00:00Z", "2025-02-30T00:00:00Z", "1900-02-29T00:00:00Z", "2025-04-31T00:00:00Z"],
    ...["2025-00-10T00:00:00Z", "2025-13-10T00:00:00Z", "2025-10-00T00:00:00Z", "2025-10-32T00:00:00Z"],
    ...["2025-10-30T24:00:00Z", "2025-10-30T12:60:00Z", "2025-10-30T12:00:60Z", "2016-12-31T23:59:60Z"],
    ...["2025-10-30T12:00:00.Z", "2025-10-30T12:00:00.1234567890Z", "2025-10-30T12:00:00,5Z", "2025-10-30T12:00:00.5"],
    ...["2025-10-30T12:00:00ZZ", "2025-10-30T12:00:00+0200", "2025-10-30T12:00:00+24:00", "2025-10-30T12:00:00+02:60"],
    ...["2025-10-30T12:00:00+02", "2025-10-30T1e:00:00Z", "+025-10-30T12:00:00Z", "２025-10-30T12:00:00Z"],
    ...["1969-12-31T23:59:59Z", "1970-01-01T00:00:00+00:01", "2255-01-01T00:00:00Z", "9999-12-31T23:59:59Z"],
    ...["0000-01-01T00:00:00Z", "2025-10-30T12:00:00\u00b2Z", " 2025-10-30T12:00:00Z", "2025-10-30T12:00:00Z\n"]
  ])("%j is refused", (text) => {
    expect(parseTimestamp(text)).toBeUndefined()
  })

  const Micros = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: TIMESTAMP_MICROS_END - 1 }))

  it.prop("is read as it was written, at every microsecond of the range", { at: Micros }, ({ at }) => {
    expect(parseTimestamp(formatTimestamp(at))).toBe(at)
    expect(formatTimestamp(at).slice(0, 23)).toBe(new Date(Math.floor(at / 1_000)).toISOString().slice(0, 23))
  })
})
