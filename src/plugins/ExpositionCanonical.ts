/**
 * The fast path of the exposition parser: lines as exporters write them, `name{label="value",…} 12.5`, where both
 * formats agree. No blanks but one, no escapes, no timestamp, a finite number. Whatever else a line is, its methods
 * return false and the line is read again by `ExpositionLine.ts`: the two must agree on what both can read.
 *
 * It is fast because exporters repeat themselves: a line mostly has the name and the label names of the line before,
 * and label sets and values that came up before. Those are compared four bytes at a time, not made again
 * (bench/parse.ts). What it returns is copied, so that a kept sample does not keep the body.
 *
 * The line must be valid UTF-8 and end in a line feed; nothing is read beyond it. Linear in the line. Memory: the table
 * has a fixed size, and what collides is replaced.
 */
import { ByteTable, sameBytes } from "./ExpositionBytes.ts"
import { emptyLabels, isDigit, isNameStart, limits, NAME_LABEL } from "./ExpositionSample.ts"

const LF = 10
const SPACE = 32
const QUOTE = 34
const PLUS = 43
const COMMA = 44
const MINUS = 45
const DOT = 46
const ZERO = 48
const COLON = 58
const EQUALS = 61
const UPPER_E = 69
const BACKSLASH = 92
const LOWER_E = 101
const OPEN = 123
const CLOSE = 125

// Powers of ten that a double holds exactly. A whole number up to 2^53 times or divided by one of them is rounded once,
// and so is the nearest double (W. Clinger, How to read floating point numbers accurately, 1990).
const POWERS = [
  1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
  1e21, 1e22
]
/** With one digit more, a number up to here is still a whole number below 2^53. */
const MANTISSA_MAX = 900_719_925_474_098

export class CanonicalLines {
  /** After `readName`: the name, and the position behind it. */
  name = ""
  at = 0
  /** After `readRest`: labels and value, and in `at` the position of the line feed. */
  labels: Readonly<Record<string, string>> = emptyLabels()
  value = 0

  private readonly bytes: Buffer
  private readonly view: DataView
  private readonly none = emptyLabels()
  private readonly strings: ByteTable<string>
  private readonly labelSets: ByteTable<Readonly<Record<string, string>>>
  private lineStart = 0
  /** Where `name` was read. */
  private nameStart = 0
  private nameEnd = 0
  /** The names of the labels of a line before, in order, no two the same, and where each was read, up to `="`. */
  private readonly labelNames: Array<string> = []
  private readonly headStarts = new Int32Array(limits.labels)
  private readonly headEnds = new Int32Array(limits.labels)
  /** The values of this line, and of lines before with more labels: where they are, and their strings once needed. */
  private readonly valueStarts = new Int32Array(limits.labels)
  private readonly valueEnds = new Int32Array(limits.labels)
  private readonly values: Array<string | undefined> = []

  /** `view` is of the same bytes. */
  constructor(bytes: Buffer, view: DataView) {
    this.bytes = bytes
    this.view = view
    this.strings = new ByteTable(this.view, "")
    this.labelSets = new ByteTable(this.view, this.none)
  }

  /** Reads the name of the line that starts at `start`, followed by a space or `{`. */
  readName(start: number): boolean {
    const bytes = this.bytes
    this.lineStart = start
    const length = this.nameEnd - this.nameStart
    let at = start + length
    let char = bytes[at]
    if ((char === OPEN || char === SPACE) && length > 0 && sameBytes(this.view, this.nameStart, start, length)) {
      this.at = at
      return true
    }
    at = start
    char = bytes[at]!
    if (!isNameStart(char) && char !== COLON) return false
    do char = bytes[++at]!
    while (isNameStart(char) || isDigit(char) || char === COLON)
    if (char !== OPEN && char !== SPACE) return false
    this.name = this.string(start, at)
    this.nameStart = start
    this.nameEnd = at
    this.at = at
    return true
  }

  /** Reads what follows the name. */
  readRest(): boolean {
    const bytes = this.bytes
    this.labels = this.none
    if (bytes[this.at] === OPEN) {
      this.at++
      if (bytes[this.at] === CLOSE) this.at++
      else if (!this.readLabels()) return false
    }
    if (bytes[this.at] !== SPACE) return false
    this.at++
    return this.readNumber() && this.at - this.lineStart <= limits.lineBytes
  }

  /** Reads labels up to and including the `}`. */
  private readLabels(): boolean {
    const bytes = this.bytes
    const start = this.at
    let at = start
    for (let index = 0; index < limits.labels; index++) {
      if (index < this.labelNames.length && this.hasHead(index, at))
        at += this.headEnds[index]! - this.headStarts[index]!
      else {
        at = this.readLabelName(at, index)
        if (at < 0) return false
      }
      if (this.hasValue(index, at)) at += this.valueEnds[index]! - this.valueStarts[index]!
      else {
        this.valueStarts[index] = this.valueEnds[index] = at
        this.values[index] = undefined
        let char = bytes[at]!
        while (char !== QUOTE) {
          if (char === BACKSLASH || char === LF) return false
          char = bytes[++at]!
        }
        this.valueEnds[index] = at
      }
      const behind = bytes[at + 1]
      at += 2
      if (behind === CLOSE) {
        this.at = at
        this.labels = this.labelSet(start, at, index + 1)
        return true
      }
      if (behind !== COMMA) return false
    }
    return false
  }

  /** Whether the label at `index` is written at `at`, up to `="`. */
  private hasHead(index: number, at: number): boolean {
    const start = this.headStarts[index]!
    const length = this.headEnds[index]! - start
    // The quote shows that all of it lies within the bytes: the view would throw.
    return this.bytes[at + length - 1] === QUOTE && sameBytes(this.view, start, at, length)
  }

  /** Whether the value read last at `index` is written at `at`, up to the quote. An empty one is as soon read. */
  private hasValue(index: number, at: number): boolean {
    const start = this.valueStarts[index]!
    const length = this.valueEnds[index]! - start
    return length > 0 && this.bytes[at + length] === QUOTE && sameBytes(this.view, start, at, length)
  }

  /** Reads `name="` and remembers it as the label at `index`. Returns the position behind it, or -1. */
  private readLabelName(start: number, index: number): number {
    const bytes = this.bytes
    let at = start
    if (!isNameStart(bytes[at]!)) return -1
    do at++
    while (isNameStart(bytes[at]!) || isDigit(bytes[at]!))
    if (bytes[at] !== EQUALS || bytes[at + 1] !== QUOTE) return -1
    const name = this.string(start, at)
    this.labelNames.length = index
    if (name === NAME_LABEL || this.labelNames.includes(name)) return -1
    this.labelNames.push(name)
    this.headStarts[index] = start
    this.headEnds[index] = at + 2
    return at + 2
  }

  /** The set of the first `count` labels, which is written from `start` to `end`. */
  private labelSet(start: number, end: number, count: number): Readonly<Record<string, string>> {
    const slot = this.labelSets.find(start, end)
    if (this.labelSets.found) return this.labelSets.values[slot]!
    const labels = emptyLabels()
    for (let index = 0; index < count; index++) {
      const value = this.values[index] ?? this.string(this.valueStarts[index]!, this.valueEnds[index]!)
      this.values[index] = value
      labels[this.labelNames[index]!] = value
    }
    this.labelSets.values[slot] = labels
    return labels
  }

  private string(start: number, end: number): string {
    const slot = this.strings.find(start, end)
    if (this.strings.found) return this.strings.values[slot]!
    const string = this.bytes.toString("utf8", start, end)
    this.strings.values[slot] = string
    return string
  }

  /** Reads a finite decimal number up to the line feed. */
  private readNumber(): boolean {
    const bytes = this.bytes
    const start = this.at
    let at = start
    let char = bytes[at]!
    const negative = char === MINUS
    if (negative || char === PLUS) char = bytes[++at]!
    const firstDigit = at
    let mantissa = 0
    let scale = 0
    let exact = true
    while (isDigit(char)) {
      if (mantissa <= MANTISSA_MAX) mantissa = mantissa * 10 + (char - ZERO)
      else exact = false
      char = bytes[++at]!
    }
    let digits = at - firstDigit
    if (char === DOT) {
      const firstDecimal = ++at
      char = bytes[at]!
      while (isDigit(char)) {
        if (mantissa <= MANTISSA_MAX) {
          mantissa = mantissa * 10 + (char - ZERO)
          scale--
        } else exact = false
        char = bytes[++at]!
      }
      digits += at - firstDecimal
    }
    if (digits === 0) return false
    if (char === LOWER_E || char === UPPER_E) {
      char = bytes[++at]!
      const below = char === MINUS
      if (below || char === PLUS) char = bytes[++at]!
      if (!isDigit(char)) return false
      let exponent = 0
      while (isDigit(char)) {
        if (exponent < 1000) exponent = exponent * 10 + (char - ZERO)
        char = bytes[++at]!
      }
      scale += below ? -exponent : exponent
    }
    if (char !== LF) return false
    this.at = at
    if (exact && scale >= -22 && scale <= 22) {
      const value = scale < 0 ? mantissa / POWERS[-scale]! : mantissa * POWERS[scale]!
      this.value = negative ? -value : value
      return true
    }
    this.value = Number(bytes.toString("latin1", start, at))
    return Number.isFinite(this.value)
  }
}
