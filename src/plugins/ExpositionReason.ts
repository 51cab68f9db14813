/**
 * How a reason quotes its input: short, on one line, and valid Unicode, whatever the input is.
 */
const QUOTED_LENGTH = 40

/** The beginning of `text` in quotes, with control characters escaped. */
export const clipped = (text: string): string =>
  text.length <= QUOTED_LENGTH
    ? JSON.stringify(text)
    : `${JSON.stringify(text.slice(0, QUOTED_LENGTH).toWellFormed())}…`

/** What stands at `at`, as a part of a sentence. */
export const found = (text: string, at: number): string =>
  at >= text.length ? "found the end of the line" : `found ${clipped(String.fromCodePoint(text.codePointAt(at) ?? 0))}`
