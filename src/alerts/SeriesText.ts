/**
 * A series of values as people write it in a test of rules: `10x20 90x40` is 10 in each of 20 scrapes, then 90 in 40. Pure.
 *
 * | part | what it is |
 * |---|---|
 * | `90` | one scrape with this value; where it is the only part, all scrapes of the test |
 * | `90x40` | 40 scrapes with it |
 * | `500+2x40`, `500-2x40` | 40 scrapes: 500, then 2 more, or less, in each |
 * | `!90x3` | 3 scrapes before each of which the group's counters began anew |
 * | `_x5` | a hole: 5 scrapes did not come |
 * | `-x5` | in 5 scrapes the group was not there |
 *
 * Bound: {@link SCRAPES_MAX} scrapes. Linear in the text and in them.
 */
import { Result } from "effect"

/** More than a day, a scrape every 15 s. */
const SCRAPES_MAX = 10_000
const PARTS_MAX = 1_000
/** Whole numbers are exact below; more bytes than any machine has. */
const VALUE_MAX = 1e15

/** A value for each scrape. */
export interface Spelled {
  /** One value, which says nothing of how many scrapes there are. */
  readonly isConstant: boolean
  /** NaN: a hole, or the group was not there. */
  readonly values: Float64Array
  readonly isAbsent: Uint8Array
  readonly beganAnew: Uint8Array
}

const SERIES_ALLOWED =
  'values and in how many scrapes each, such as "10x20 90x40"; 500+2x40 rises by 2 each time, !90 follows a restart, _x5 is a hole, -x5 an absent group'

interface Part {
  readonly count: number
  readonly value: number
  readonly by: number
  readonly isAbsent: boolean
  readonly beginsAnew: boolean
}

/** Reads a series. A failure is the rest of a sentence that begins with where it stands. */
export const readSeries = (text: string): Result.Result<Spelled, string> => {
  const words = text.trim().split(/\s+/)
  if (words.length > PARTS_MAX) return Result.fail(`has ${words.length} parts, at most ${PARTS_MAX}`)
  const parts: Array<Part> = []
  let length = 0
  for (const word of words) {
    const part = partOf(word)
    if (part === undefined)
      return Result.fail(`has the part ${JSON.stringify(word.slice(0, 40))}, but is ${SERIES_ALLOWED}`)
    const last = part.value + part.by * (part.count - 1)
    if (last < 0) return Result.fail(`falls to ${last} in ${JSON.stringify(word)}, but no value is less than 0`)
    length += part.count
    if (length > SCRAPES_MAX) return Result.fail(`is of more than ${SCRAPES_MAX} scrapes`)
    parts.push(part)
  }
  return Result.succeed(spelled(parts, length, words.length === 1 && /^\d+(\.\d+)?$/.test(words[0]!)))
}

const PART = /^(!?)(\d+(?:\.\d+)?)(?:([+-])(\d+(?:\.\d+)?))?(?:x(\d{1,6}))?$/
const NONE = /^([_-])(?:x(\d{1,6}))?$/

const partOf = (word: string): Part | undefined => {
  const none = NONE.exec(word)
  const found = none ?? PART.exec(word)
  const count = Number(found?.at(-1) ?? 1)
  if (found === null || count === 0 || Number(found[2]) > VALUE_MAX) return undefined
  if (none !== null) return { count, value: Number.NaN, by: 0, isAbsent: none[1] === "-", beginsAnew: false }
  const by = Number(found[4] ?? 0) * (found[3] === "-" ? -1 : 1)
  return { count, value: Number(found[2]), by, isAbsent: false, beginsAnew: found[1] === "!" }
}

const spelled = (parts: ReadonlyArray<Part>, length: number, isConstant: boolean): Spelled => {
  const values = new Float64Array(length)
  const isAbsent = new Uint8Array(length)
  const beganAnew = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    for (let n = 0; n < part.count; n++, at++) {
      values[at] = part.value + part.by * n
      if (part.isAbsent) isAbsent[at] = 1
      if (part.beginsAnew) beganAnew[at] = 1
    }
  }
  return { isConstant, values, isAbsent, beganAnew }
}
