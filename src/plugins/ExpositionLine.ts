/**
 * One line of an exposition, read with care: the whole grammar of both formats, and a reason for whatever does not fit.
 *
 * Linear in the line; it never throws. Lines in the usual form do not come here, see `ExpositionCanonical.ts`.
 */
import { readMilliseconds, readSeconds, readValue } from "./ExpositionNumber.ts"
import { clipped, found } from "./ExpositionReason.ts"
import {
  type ExpositionFormat,
  emptyLabels,
  isDigit,
  isNameStart,
  limits,
  NAME_LABEL,
  type Sample
} from "./ExpositionSample.ts"

/** Reads a sample line, without its line feed. Returns the sample, or what is wrong with the line. */
export const readSample = (line: string, format: ExpositionFormat): Sample | string => {
  const read = readLine(line, format)
  return typeof read === "string" ? read : read.sample
}

/**
 * The same, with what is wrong behind the value: a timestamp or an exemplar that cannot be read does not make name,
 * labels and value unreadable. The sample is kept without it.
 */
export const readLine = (line: string, format: ExpositionFormat): LineRead | string =>
  new LineReader(line, format).read()

export interface LineRead {
  readonly sample: Sample
  readonly note?: string
}

/** Whether a comment of the text format, or its beginning, is metadata, which only an exposition has. */
export const isMetadata = (comment: string): boolean => METADATA.test(comment)

/** Checks a line of OpenMetrics that begins with `#`. Returns what is wrong with it. */
export const checkMetadata = (line: string): string | undefined => {
  const match = STRICT_METADATA.exec(line)
  if (match === null) return `${clipped(line)} is neither # HELP, # TYPE, # UNIT nor # EOF`
  const [, keyword, quotedName, bareName, text = ""] = match
  const name = bareName ?? quotedName ?? ""
  if (keyword === "TYPE" && !TYPES.has(text)) return `the type ${clipped(text)} of ${clipped(name)} does not exist`
  if (keyword === "UNIT" && text !== "" && !name.endsWith(`_${text}`)) {
    return `the unit ${clipped(text)} is not the end of the name ${clipped(name)}`
  }
  return undefined
}

const METADATA = /^[ \t]*#[ \t]*(?:HELP|TYPE)[ \t]/
const STRICT_METADATA = /^# (HELP|TYPE|UNIT) (?:"((?:[^"\\]|\\.)+)"|([a-zA-Z_:][a-zA-Z0-9_:]*)) (.*)$/s
const TYPES = new Set(["unknown", "gauge", "counter", "stateset", "info", "histogram", "gaugehistogram", "summary"])

const TAB = 9
const SPACE = 32
const QUOTE = 34
const HASH = 35
const COMMA = 44
const COLON = 58
const EQUALS = 61
const BACKSLASH = 92
const OPEN = 123
const CLOSE = 125

/**
 * A place in a line. Each method reads one part of the grammar and moves on. Once `reason` is set, the line is bad.
 */
class LineReader {
  private at = 0
  private reason = ""
  /** What of a line is being read behind the value. */
  private part: "timestamp" | "exemplar" = "timestamp"
  private readonly line: string
  /** OpenMetrics: single spaces, and only where the grammar has them. */
  private readonly strict: boolean

  constructor(line: string, format: ExpositionFormat) {
    this.line = line
    this.strict = format === "openmetrics"
  }

  read(): LineRead | string {
    this.blanks()
    const bareName = this.peek() === OPEN ? undefined : this.bareName(true)
    if (bareName === "") return this.line === "" ? "the line is empty" : `expected a metric name, ${this.here()}`
    const gap = this.blanks()
    const labels = emptyLabels()
    let name = bareName
    if (this.peek() === OPEN) {
      name = this.labelSet(labels, bareName, bareName === undefined)
      if (this.reason !== "") return this.reason
      if (name === undefined) return "the metric has no name"
      this.blanks()
    } else if (!this.strict && gap === 0 && this.at < this.line.length) {
      return `expected a blank or { after the metric name, ${this.here()}`
    }
    if (this.strict && !this.skip(SPACE)) return `expected one space before the value, ${this.here()}`
    const value = readValue(this.token())
    if (typeof value === "string") return value
    const timestamp = this.strict ? this.strictEnd() : this.end()
    const sample = { name: name ?? "", labels, value, ...(timestamp === undefined ? {} : { timestamp }) }
    return this.reason === ""
      ? { sample }
      : { sample, note: `${this.reason}; the sample is kept without its ${this.part}` }
  }

  /** The rest of a line of the text format: perhaps a timestamp. */
  private end(): number | undefined {
    this.blanks()
    if (this.at >= this.line.length) return undefined
    const timestamp = this.number(readMilliseconds)
    this.blanks()
    if (this.at >= this.line.length) return timestamp
    return this.fail(`expected the end of the line after the timestamp, ${this.here()}`)
  }

  /** The rest of a line of OpenMetrics: perhaps a timestamp, perhaps an exemplar, which is checked and left out. */
  private strictEnd(): number | undefined {
    let timestamp: number | undefined
    if (this.skip(SPACE) && this.peek() !== HASH) {
      timestamp = this.number(readSeconds)
      if (this.skip(SPACE) && this.peek() !== HASH)
        return this.fail(`expected an exemplar after the timestamp, ${this.here()}`)
    }
    if (this.reason === "" && this.skip(HASH)) this.exemplar()
    return timestamp
  }

  private exemplar(): undefined {
    this.part = "exemplar"
    if (!this.skip(SPACE) || this.peek() !== OPEN)
      return this.fail(`expected the labels of the exemplar, ${this.here()}`)
    this.labelSet(emptyLabels(), undefined, false)
    if (this.reason !== "") return undefined
    if (!this.skip(SPACE)) return this.fail(`expected the value of the exemplar, ${this.here()}`)
    this.number(readValue)
    if (this.skip(SPACE)) this.number(readSeconds)
    if (this.at < this.line.length) this.fail(`expected the end of the line after the exemplar, ${this.here()}`)
    return undefined
  }

  /** From `{` to `}`. Returns the metric's name, which may stand in quotes among the labels where `nameInside`. */
  private labelSet(
    labels: Record<string, string>,
    bareName: string | undefined,
    nameInside: boolean
  ): string | undefined {
    this.at++
    let name = bareName
    let labelCount = 0
    for (let count = 0; ; count++) {
      this.blanks()
      if (this.skip(CLOSE)) {
        // The text format allows a comma after the last label, OpenMetrics does not.
        if (this.strict && count > 0) this.fail("there is a comma after the last label")
        return name
      }
      const quoted = this.peek() === QUOTE
      const label = quoted ? this.quoted("name") : this.bareName(false)
      if (label === undefined) return undefined
      if (label === "") return this.fail(quoted ? "there is an empty name" : `expected a label name, ${this.here()}`)
      this.blanks()
      if (quoted && nameInside && (this.peek() === COMMA || this.peek() === CLOSE)) {
        if (name !== undefined) return this.fail(`the metric has two names, ${clipped(name)} and ${clipped(label)}`)
        name = label
      } else {
        if (!this.skip(EQUALS)) return this.fail(`expected = after the label name ${clipped(label)}, ${this.here()}`)
        this.blanks()
        if (this.peek() !== QUOTE) {
          return this.fail(`expected " before the value of the label ${clipped(label)}, ${this.here()}`)
        }
        const value = this.quoted(`value of the label ${clipped(label)}`)
        if (value === undefined) return undefined
        if (label === NAME_LABEL) return this.fail(`the label name ${NAME_LABEL} is reserved`)
        if (label in labels) return this.fail(`the label ${clipped(label)} occurs twice`)
        if (labelCount === limits.labels) return this.fail(`there are more than ${limits.labels} labels`)
        labels[label] = value
        labelCount++
      }
      this.blanks()
      if (this.skip(COMMA)) continue
      if (this.skip(CLOSE)) return name
      return this.fail(`expected , or } after ${clipped(label)}, ${this.here()}`)
    }
  }

  /** An unquoted name, empty where there is none. Metric names may hold colons. */
  private bareName(colons: boolean): string {
    const start = this.at
    for (let char = this.peek(); char !== undefined; char = this.peek()) {
      if (!isNameStart(char) && !(colons && char === COLON) && !(this.at > start && isDigit(char))) break
      this.at++
    }
    return this.line.slice(start, this.at)
  }

  /** A text in quotes, unescaped; `what` it is, for the reason. */
  private quoted(what: string): string | undefined {
    let text = ""
    let from = ++this.at
    for (let char = this.peek(); char !== undefined; char = this.peek()) {
      if (char === QUOTE) {
        text += this.line.slice(from, this.at++)
        return text
      }
      if (char === BACKSLASH) {
        text += this.line.slice(from, this.at)
        const escaped = this.line[this.at + 1]
        if (escaped === "n") text += "\n"
        else if (escaped === '"' || escaped === "\\") text += escaped
        else if (escaped === undefined) break
        else if (this.strict) text += `\\${escaped}`
        else return this.fail(`the ${what} has the unknown escape ${clipped(`\\${escaped}`)}`)
        this.at += 2
        from = this.at
      } else this.at++
    }
    return this.fail(`the ${what} has no closing quote`)
  }

  private number(read: (text: string) => number | string): number | undefined {
    const value = read(this.token())
    return typeof value === "string" ? this.fail(value) : value
  }

  /** Up to the next blank. */
  private token(): string {
    const start = this.at
    for (let char = this.peek(); char !== undefined && char !== SPACE; char = this.peek()) {
      if (char === TAB && !this.strict) break
      this.at++
    }
    return this.line.slice(start, this.at)
  }

  /** Passes over spaces and tabs where the format allows them, and returns how many. */
  private blanks(): number {
    const start = this.at
    if (!this.strict) while (this.peek() === SPACE || this.peek() === TAB) this.at++
    return this.at - start
  }

  private skip(char: number): boolean {
    if (this.peek() !== char) return false
    this.at++
    return true
  }

  private peek(): number | undefined {
    return this.at < this.line.length ? this.line.charCodeAt(this.at) : undefined
  }

  private fail(reason: string): undefined {
    if (this.reason === "") this.reason = reason
    return undefined
  }

  private here(): string {
    return found(this.line, this.at)
  }
}
