/**
 * What a JSON body would cost, counted over its bytes before anything is made of it: rows, exporters, fields and depth.
 *
 * Guarantee: linear, one look at each byte, nothing is allocated; what a body holds too much of is named with its bound. Five
 * kilobytes of gzip can be half a million rows worth nothing: they are refused after as many bytes as the bound's rows take.
 * Keys are counted as they are written, so that whoever parses the text can tell that one was given twice: `JSON.parse` would
 * drop all but the last of them without a word.
 *
 * It takes the text for JSON: what is not is counted as something, and refused by the parser.
 */
import { Result } from "effect"
import type { LimitsShape } from "../server/Limits.ts"

export interface BodyShape {
  /** Keys of the body and of its rows, as they are written. */
  readonly keys: number
}

/** What a body has too much of. */
export interface Excess {
  readonly what: "levels" | "rows" | "exporters" | "fields" | "values"
  readonly limit: number
  /** For people. */
  readonly detail: string
}

type Bounds = Pick<LimitsShape, "depthMax" | "exportersMax" | "fieldsMax" | "rowsMax" | "valuesMax">

const BLANK = 0x20
const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_ARRAY = 0x5b
const BACKSLASH = 0x5c
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

/** Depth of the exporters' names, of the rows, and of a row's fields. */
const EXPORTERS = 1
const ROWS = 2
const FIELDS = 3

/** Counts what is in a body, or says what there is too much of. What is within texts does not count. */
export const shapeOf = (body: Buffer, limits: Bounds): Result.Result<BodyShape, Excess> => {
  const { depthMax, exportersMax, fieldsMax, rowsMax, valuesMax } = limits
  let depth = 0
  let values = 0
  let rows = 0
  let exporters = 0
  let fields = 0
  let keys = 0
  let isRows = false
  for (let at = 0; at < body.length; at++) {
    const byte = body[at]!
    // Most are digits.
    if (byte > COMMA && byte < COLON) continue
    if (byte === QUOTE) {
      for (at++; at < body.length && body[at] !== QUOTE; at++) if (body[at] === BACKSLASH) at++
    } else if (byte === COLON) {
      if (depth === EXPORTERS || (depth === FIELDS && isRows)) keys++
    } else if (byte === COMMA) {
      if (++values > valuesMax) return excess("values", valuesMax)
      if (depth === ROWS && isRows) {
        if (++rows > rowsMax) return excess("rows", rowsMax)
      } else if (depth === EXPORTERS) {
        if (++exporters >= exportersMax) return excess("exporters", exportersMax)
      } else if (++fields >= fieldsMax) return excess("fields", fieldsMax)
    } else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      if (++depth > depthMax) return excess("levels", depthMax)
      if (++values > valuesMax) return excess("values", valuesMax)
      if (depth === ROWS) {
        isRows = byte === OPEN_ARRAY
        if (isRows && !isEmpty(body, at) && ++rows > rowsMax) return excess("rows", rowsMax)
      }
      if (depth === ROWS || depth === FIELDS) fields = 0
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
      depth--
    }
  }
  return Result.succeed({ keys })
}

/** Whether the array that begins here ends at once. */
const isEmpty = (body: Buffer, from: number): boolean => {
  let at = from + 1
  while (body[at]! <= BLANK) at++
  return body[at] === CLOSE_ARRAY
}

const WHAT: Readonly<Record<Excess["what"], (limit: number) => string>> = {
  levels: (limit) => `the body is nested more than ${limit} deep`,
  rows: (limit) => `more than ${limit} rows in one request; send them in several`,
  exporters: (limit) => `more than ${limit} exporters in one request`,
  fields: (limit) => `a row has more than ${limit} fields`,
  values: (limit) => `the body has more than ${limit} values`
}

const excess = (what: Excess["what"], limit: number): Result.Result<never, Excess> =>
  Result.fail({ what, limit, detail: WHAT[what](limit) })

/** The keys of a parsed body and of its rows. */
export const keysOf = (body: unknown): number => {
  if (!isObject(body)) return 0
  let keys = 0
  for (const name in body) {
    keys++
    const rows = body[name]
    if (Array.isArray(rows)) for (const row of rows) if (isObject(row)) for (const _ in row) keys++
  }
  return keys
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)
