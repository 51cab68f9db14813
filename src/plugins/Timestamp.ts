/**
 * Times as they are written on the wire: RFC 3339 with an offset, such as `2025-10-30T12:00:00.123456Z`.
 *
 * Guarantee: only real calendar dates and times are read (30 February is none), and what is read is exact to the
 * microsecond; further digits, nine at most, are cut off. Bound: the years 1970 to 2254, in which epoch microseconds are
 * exact in a number. It knows neither a leap second (23:59:60, which epoch time cannot hold) nor a default time zone.
 */

/** What {@link parseTimestamp} reads, for messages. */
export const TIMESTAMP_RULE =
  "must be an RFC 3339 date and time with its offset, such as 2025-10-30T12:00:00Z, from 1970 to 2254"

/** 2255-01-01T00:00:00Z in epoch microseconds: everything before it is exact in a number. */
export const TIMESTAMP_MICROS_END = 8_993_721_600_000_000

const SHORTEST = "2025-10-30T12:00:00Z".length
const LONGEST = "2025-10-30T12:00:00.123456789+00:00".length

/** Epoch microseconds of an RFC 3339 text; undefined where it is none ({@link TIMESTAMP_RULE}). */
export const parseTimestamp = (text: string): number | undefined => {
  const length = text.length
  if (length < SHORTEST || length > LONGEST) return undefined
  if (text.charCodeAt(4) !== HYPHEN || text.charCodeAt(7) !== HYPHEN) return undefined
  if ((text.charCodeAt(10) | 32) !== LOWER_T) return undefined
  if (text.charCodeAt(13) !== COLON || text.charCodeAt(16) !== COLON) return undefined
  const year = digits(text, 0) * 100 + digits(text, 2)
  const month = digits(text, 5)
  const day = digits(text, 8)
  const hour = digits(text, 11)
  const minute = digits(text, 14)
  const second = digits(text, 17)
  // A part that is no number is NaN, and no comparison with NaN holds.
  if (!(year >= 1 && month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month))) return undefined
  if (!(hour <= 23 && minute <= 59 && second <= 59)) return undefined

  let at = 19
  let fraction = 0
  if (text.charCodeAt(at) === DOT) {
    const start = ++at
    let unit = 100_000
    for (; at < length; at++) {
      const digit = text.charCodeAt(at) - ZERO
      if (!(digit >= 0 && digit <= 9)) break
      fraction += digit * unit
      unit = unit === 1 ? 0 : unit / 10
    }
    if (at === start || at - start > 9) return undefined
  }

  let offsetMinutes = 0
  const sign = text.charCodeAt(at)
  if ((sign | 32) === LOWER_Z) {
    if (at + 1 !== length) return undefined
  } else {
    if ((sign !== PLUS && sign !== HYPHEN) || at + 6 !== length || text.charCodeAt(at + 3) !== COLON) return undefined
    const offsetHour = digits(text, at + 1)
    const offsetMinute = digits(text, at + 4)
    if (!(offsetHour <= 23 && offsetMinute <= 59)) return undefined
    offsetMinutes = (offsetHour * 60 + offsetMinute) * (sign === HYPHEN ? -1 : 1)
  }

  const seconds = daysSinceEpoch(year, month, day) * 86_400 + hour * 3_600 + (minute - offsetMinutes) * 60 + second
  const micros = seconds * 1_000_000 + fraction
  return micros >= 0 && micros < TIMESTAMP_MICROS_END ? micros : undefined
}

/** The RFC 3339 text, in UTC with six digits of fraction, of epoch microseconds below {@link TIMESTAMP_MICROS_END}. */
export const formatTimestamp = (micros: number): string => {
  const rest = micros % 1_000_000
  const whole = new Date((micros - rest) / 1_000).toISOString()
  return `${whole.slice(0, 19)}.${String(rest).padStart(6, "0")}Z`
}

const ZERO = 48
const HYPHEN = 45
const PLUS = 43
const COLON = 58
const DOT = 46
const LOWER_T = 116
const LOWER_Z = 122

/** Two ASCII digits as a number, NaN where they are none. */
const digits = (text: string, at: number): number => {
  const tens = text.charCodeAt(at) - ZERO
  const ones = text.charCodeAt(at + 1) - ZERO
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : Number.NaN
}

const MONTH_DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

const daysIn = (year: number, month: number): number =>
  month === 2 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : (MONTH_DAYS[month - 1] ?? 0)

/** Days from 1970-01-01 in the proleptic Gregorian calendar, counted in years that begin in March. */
const daysSinceEpoch = (year: number, month: number, day: number): number => {
  const y = month <= 2 ? year - 1 : year
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1
  return y * 365 + Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400) + dayOfYear - 719_468
}
