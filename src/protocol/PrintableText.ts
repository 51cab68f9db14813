/**
 * Text from outside, made fit for a terminal, a log or a page: the one function for all of them.
 *
 * A name, a reason or an answer can hold whatever its sender put there: escape sequences that repaint a terminal, line
 * feeds that forge a line of a log, marks that turn the direction of what follows. What does so is written as its code
 * (`\u001b`), so that it can be seen and does nothing. All else stays, whatever the script.
 *
 * Covers control characters (C0, DEL, C1), separators of lines and paragraphs, marks of direction, what is invisible and
 * no script needs (soft hyphen, zero width space, byte order mark, annotation and tag characters), and lone surrogates.
 * Joiners (U+200C, U+200D) stay: scripts and emoji need them.
 */

const UNPRINTABLE =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\p{Cs}]|[\u{e0000}-\u{e007f}]/gu
const UNPRINTABLE_IN_LINES = new RegExp(
  UNPRINTABLE.source.replace("\\u0000-\\u001f", "\\u0000-\\u0008\\u000b-\\u001f"),
  "gu"
)

/** The text on one line. */
export const printable = (text: string): string => text.replace(UNPRINTABLE, escaped)

/** The same, line feeds and tabs kept: for what we have written ourselves over several lines. */
export const printableLines = (text: string): string => text.replace(UNPRINTABLE_IN_LINES, escaped)

/** Whether there is nothing to escape: what a name must be. */
export const isPrintable = (text: string): boolean => text.search(UNPRINTABLE) === -1

/** On one line, and at most so many characters. */
export const clipped = (text: string, lengthMax: number): string => {
  const shown = printable(text.length > lengthMax * 2 ? text.slice(0, lengthMax * 2) : text)
  return shown.length <= lengthMax ? shown : `${shown.slice(0, lengthMax - 1).toWellFormed()}…`
}

/** As JSON escapes it, unit by unit. */
const escaped = (character: string): string =>
  character
    .split("")
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
    .join("")
