/**
 * Moments and spans as people type them: `03:14`, `yesterday 03:14`, `2026-11-28 03:14`, `2h ago`, RFC 3339. What names no zone is
 * local time. Pure.
 */
import { Result } from "effect"
import { parseTimestamp } from "../../plugins/Timestamp.ts"

const SECOND = 1_000_000
const UNITS: Readonly<Record<string, number>> = {
  s: SECOND,
  m: 60 * SECOND,
  h: 3_600 * SECOND,
  d: 86_400 * SECOND,
  w: 7 * 86_400 * SECOND
}

export const MOMENTS = "03:14, yesterday 03:14, 2026-11-28, 2026-11-28 03:14, 2h ago, or RFC 3339"
export const COMING = "22:00, tomorrow 22:00, in 2h, 2026-11-28 22:00, or RFC 3339"
export const SPANS = "15m, 6h, 7d, 2w"

/** A span in microseconds; undefined where it is none. */
export const parseSpan = (text: string): number | undefined => {
  const [, count, unit] = /^(\d{1,9}(?:\.\d{1,6})?)([smhdw])$/.exec(text) ?? []
  const span = unit === undefined ? 0 : Number(count) * UNITS[unit]!
  return span > 0 ? Math.round(span) : undefined
}

/** A moment in epoch microseconds; undefined where it is none. A time of day is the last one that has been. */
export const parseMoment = (text: string, now: number): number | undefined => {
  if (text === "now") return now
  const span = parseSpan(text.replace(/ ago$/, ""))
  if (span !== undefined) return now - span
  const clock = /^(yesterday )?(\d{1,2}:.*)$/.exec(text)
  if (clock === null) return parseDay(text) ?? parseTimestamp(text)
  const on = clockOf(clock[2]!, now)
  return clock[1] !== undefined || (on?.(0) ?? now) > now ? on?.(-1) : on?.(0)
}

/** The same of what is still to come: a time of day is the next one. */
export const parseComing = (text: string, now: number): number | undefined => {
  if (text === "now") return now
  if (text.startsWith("in ")) {
    const span = parseSpan(text.slice(3))
    return span === undefined ? undefined : now + span
  }
  const clock = /^(tomorrow )?(\d{1,2}:.*)$/.exec(text)
  if (clock === null) return parseDay(text) ?? parseTimestamp(text)
  const on = clockOf(clock[2]!, now)
  return clock[1] !== undefined || (on?.(0) ?? now) < now ? on?.(1) : on?.(0)
}

/** A time of day, some days from today; undefined where the text is none. */
const clockOf = (text: string, now: number): ((days: number) => number) | undefined => {
  const found = /^(\d{1,2}):(\d\d)(?::(\d\d))?$/.exec(text)
  if (found === null) return undefined
  const [hours, minutes, seconds] = found.slice(1).map((part) => Number(part ?? 0))
  if (hours! > 23 || minutes! > 59 || seconds! > 59) return undefined
  const today = new Date(now / 1_000)
  return (days) => local(today.getFullYear(), today.getMonth(), today.getDate() + days, hours!, minutes!, seconds!)
}

const parseDay = (text: string): number | undefined => {
  const found = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d))?)?$/.exec(text)
  if (found === null) return undefined
  const [year, month, day, hours, minutes, seconds] = found.slice(1).map((part) => Number(part ?? 0))
  const moment = local(year!, month! - 1, day!, hours!, minutes!, seconds!)
  // The thirty-first of February is not the third of March.
  const is = new Date(moment / 1_000)
  const exists =
    is.getFullYear() === year &&
    is.getMonth() === month! - 1 &&
    is.getDate() === day &&
    hours! < 24 &&
    minutes! < 60 &&
    seconds! < 60
  return exists ? moment : undefined
}

const local = (...parts: [number, number, number, number, number, number]): number =>
  new Date(...parts).getTime() * 1_000

/** The options of a command that say when. */
export interface Asked {
  readonly at: string | undefined
  readonly from: string | undefined
  readonly to: string | undefined
  readonly last: string | undefined
}

/** A window as the API takes it: it ends at `at`, or now. */
export interface Range {
  readonly hours: number
  /** Epoch microseconds. */
  readonly at: number | undefined
}

const LAST_DEFAULT = UNITS.h!
/** Who was it at 03:14: what came before counts little. */
const AT_DEFAULT = 5 * UNITS.m!

/** The window that the options ask for, or what is wrong with them. */
export const rangeOf = ({ at, from, last, to }: Asked, now: number): Result.Result<Range, string> => {
  if (at !== undefined && (from !== undefined || to !== undefined))
    return Result.fail("--at does not go with --from and --to")
  if (last !== undefined && from !== undefined) return Result.fail("--last does not go with --from")
  const moments = { at, from, to }
  const read: { at?: number; from?: number; to?: number } = {}
  for (const [name, text] of Object.entries(moments)) {
    if (text === undefined) continue
    const moment = parseMoment(text, now)
    if (moment === undefined) return Result.fail(`--${name} ${text} is no moment such as ${MOMENTS}`)
    if (moment > now) return Result.fail(`--${name} ${text} is in the future`)
    read[name as keyof typeof moments] = moment
  }
  const span = last === undefined ? undefined : parseSpan(last)
  if (last !== undefined && span === undefined) return Result.fail(`--last ${last} is no span such as ${SPANS}`)
  const end = read.at ?? read.to
  if (read.from !== undefined) {
    const length = (end ?? now) - read.from
    if (length <= 0) return Result.fail("--from is not before --to")
    return Result.succeed({ hours: hoursOf(length), at: end })
  }
  const length = span ?? (read.at === undefined ? LAST_DEFAULT : AT_DEFAULT)
  return Result.succeed({ hours: hoursOf(length), at: end })
}

/** Exact to the microsecond, with no more digits than the API takes. */
const hoursOf = (micros: number): number => Number((micros / UNITS.h!).toFixed(12))
