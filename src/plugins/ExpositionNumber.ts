/**
 * The numbers of an exposition, read as Prometheus reads them: Go's `strconv.ParseFloat` without its hexadecimal and
 * underscore forms. Stricter than `Number()`, which takes the empty text for 0 and `0x10` for 16.
 *
 * Linear in the text. Returns the number, or a sentence that says what is wrong with the text.
 */
import { clipped } from "./ExpositionReason.ts"

// No part of the pattern can match what the next one matches, so that it never tries twice.
const DECIMAL = /^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/
const INFINITE = /^[+-]?inf(?:inity)?$/i
const NOT_A_NUMBER = /^nan$/i
const INTEGER = /^[+-]?[0-9]+$/

/** A sample's value: any double, NaN and the infinities included. Digits beyond a double's precision are rounded. */
export const readValue = (text: string): number | string => {
  if (DECIMAL.test(text)) {
    const value = Number(text)
    return Number.isFinite(value) ? value : `the value ${clipped(text)} is beyond the range of a double`
  }
  if (INFINITE.test(text)) return text.startsWith("-") ? -Infinity : Infinity
  if (NOT_A_NUMBER.test(text)) return NaN
  return text === "" ? "there is no value" : `the value ${clipped(text)} is not a number`
}

/** A timestamp of the text format: whole epoch milliseconds. */
export const readMilliseconds = (text: string): number | string => {
  if (!INTEGER.test(text)) return `the timestamp ${clipped(text)} is not a whole number of milliseconds`
  return inRange(Number(text), text)
}

/** A timestamp of OpenMetrics, epoch seconds with a fraction, as epoch milliseconds. Rounded to the nearest. */
export const readSeconds = (text: string): number | string => {
  if (!DECIMAL.test(text)) return `the timestamp ${clipped(text)} is not a number of seconds`
  return inRange(Math.round(Number(text) * 1000), text)
}

// Beyond it a double does not hold every millisecond, and what came out would not be what was written.
const inRange = (milliseconds: number, text: string): number | string =>
  Number.isSafeInteger(milliseconds) ? milliseconds + 0 : `the timestamp ${clipped(text)} is out of range`
