/**
 * What an exporter serves, read into samples: the Prometheus text format 0.0.4 and OpenMetrics 1.0.
 *
 * Guarantees
 * - Never throws, whatever the body is. A good line beside a bad one is kept; the bad one is counted, and named with
 *   its line and what is wrong with it. A line is bad only where name, labels or value cannot be read: what is wrong with
 *   a timestamp or an exemplar is noted, and the sample kept without it.
 * - Nothing is read as something it was not: a body that is cut off, or that is no exposition at all, is refused as a
 *   whole, and a value that does not fit a double, or a name that is not valid UTF-8, is a bad line.
 * - `families` decides which samples are kept, never whether a body is refused.
 *
 * Bounds: linear in the body, which is at most `limits.bodyBytes`; `limits` bounds a line, its labels and the reasons kept.
 *
 * Decisions, where the formats leave room
 * - Lines end in a line feed and in nothing else: a label value may hold a carriage return or U+2028. A body whose lines
 *   end in CR LF is refused, and told so, as Prometheus refuses it.
 * - The text format's unknown escapes (`\t`) make the line bad, as in Prometheus' own expfmt. OpenMetrics defines them:
 *   the backslash stands for itself.
 * - Numbers are what Prometheus takes: Go's decimal floats, `Inf`, `Infinity`, `NaN` in any case; no hexadecimal, no
 *   underscores, nothing beyond a double's range.
 * - Between a bare name and its value there is a blank: `cpu-0 5`, which Prometheus reads as -0, is a bad line.
 * - `# TYPE` and `# HELP` of the text format are passed over unread, odd ones too. In OpenMetrics an odd one is a bad line.
 * - A byte order mark before the text format is dropped. OpenMetrics forbids it: the first line is bad.
 * - An empty body is a text exposition without samples. In OpenMetrics it lacks its `# EOF`.
 *
 * It does not compare lines with each other: repeated series, and OpenMetrics' rules about the order of a family, are
 * the reader's business. Exemplars are checked and left out.
 */
import { isUtf8 } from "node:buffer"
import { Result, Schema } from "effect"
import { lineFeed } from "./ExpositionBytes.ts"
import { CanonicalLines } from "./ExpositionCanonical.ts"
import { checkMetadata, isMetadata, readLine } from "./ExpositionLine.ts"
import { clipped } from "./ExpositionReason.ts"
import { type ExpositionFormat, limits, type Sample } from "./ExpositionSample.ts"

export { type ExpositionFormat, limits, type Sample } from "./ExpositionSample.ts"

export interface ExpositionOptions {
  /** Defaults to `text`. See {@link formatOf}. */
  readonly format?: ExpositionFormat
  /** Keep only the samples of these names. Lines of other names are passed over unread, so their faults are not seen. */
  readonly families?: ReadonlyArray<string>
  /** Bytes of a line, and of a label's value: a longer one makes a bad line. Default to, and are at most, `limits.lineBytes`. */
  readonly lineBytes?: number
  readonly labelBytes?: number
}

export interface SkippedLine {
  /** 1-based. */
  readonly line: number
  readonly reason: string
}

/** What was read from one body. */
export interface Exposition {
  readonly samples: ReadonlyArray<Sample>
  /** The first `limits.reasons` bad lines, in order. */
  readonly skipped: ReadonlyArray<SkippedLine>
  /** All bad lines. */
  readonly skippedCount: number
  /** Lines whose sample was kept without its timestamp or exemplar, and why: the first `limits.reasons`. Absent: none. */
  readonly notes?: ReadonlyArray<SkippedLine>
}

/** The body as a whole says nothing that can be trusted: it is cut off, or it is not an exposition. */
export class ExpositionRefused extends Schema.TaggedError<ExpositionRefused>()("ExpositionRefused", {
  reason: Schema.String,
  /** 1-based, where one line is to blame. */
  line: Schema.optionalKey(Schema.Number)
}) {
  override get message(): string {
    return this.line === undefined ? this.reason : `line ${this.line}: ${this.reason}`
  }
}

/** The format that a `Content-Type` header announces. Anything but OpenMetrics is read as text, as Prometheus does. */
export const formatOf = (contentType: string | undefined): ExpositionFormat =>
  contentType?.split(";", 1)[0]?.trim().toLowerCase() === "application/openmetrics-text" ? "openmetrics" : "text"

/**
 * Reads a scrape. A string is taken as decoded text, bytes as UTF-8: a line that is not valid Unicode is bad, the others
 * are read. Fails where the body as a whole is cut off, too large, or no exposition (bad lines and not one good one).
 */
export const parseExposition = (
  body: string | Uint8Array,
  options: ExpositionOptions = {}
): Result.Result<Exposition, ExpositionRefused> => {
  const format = options.format ?? "text"
  const size = typeof body === "string" ? body.length : body.byteLength
  if (size > limits.bodyBytes) {
    return refuse(`the body has ${size} bytes, more than the ${limits.bodyBytes} that are read`)
  }
  const bytes =
    typeof body === "string" ? Buffer.from(body) : Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  const extent = format === "text" ? extentOfText(bytes) : extentOfOpenMetrics(bytes)
  if (Result.isFailure(extent)) return otherFormat(bytes) ?? Result.fail(extent.failure)
  const { labelBytes = limits.lineBytes, lineBytes = limits.lineBytes } = options
  const scan: Scan = { bytes, ...extent.success, format, lineBytes, labelBytes, illFormed: illFormedLines(body) }
  const families = options.families === undefined ? undefined : new Set(options.families)
  const seen = readLines(scan, families)
  // Passed over lines prove nothing. Without one good line, all of them are read to tell an exposition from a web page.
  const judged =
    families !== undefined && seen.goodLines === 0 && seen.passedOver > 0 ? readLines(scan, undefined) : seen
  const first = judged.skipped[0]
  if (first !== undefined && judged.samples.length === 0 && judged.carriageReturns > 0) {
    return refuse(CARRIAGE_RETURNS, first.line)
  }
  if (judged.goodLines === 0 && first !== undefined) {
    return (
      otherFormat(bytes) ??
      refuse(`this is not an exposition, as not one line is valid; here ${first.reason}`, first.line)
    )
  }
  const { notes, samples, skipped, skippedCount } = seen
  return Result.succeed({ samples, skipped, skippedCount, ...(notes.length > 0 ? { notes } : {}) })
}

/** The format of a body of which nothing else is known, such as a file: OpenMetrics ends with `# EOF`. */
export const formatOfBody = (body: Uint8Array): ExpositionFormat => {
  const end = Buffer.from(body.buffer, body.byteOffset, body.byteLength).subarray(-EOF.length - 2)
  return /(^|\n)# EOF\n?$/.test(end.toString("latin1")) ? "openmetrics" : "text"
}

const CARRIAGE_RETURNS =
  "this is not an exposition as the format has it: its lines end in a carriage return and a line feed (CR LF), but must end " +
  "in a line feed alone; something between the program that wrote it and here changed them"

/** A body that is refused, and is recognised as something else. */
const otherFormat = (bytes: Buffer): Result.Result<never, ExpositionRefused> | undefined => {
  const beginning = bytes.toString("latin1", 0, BEGINNING).trimStart()
  if (/^<(!doctype|html|head|body|\?xml|!--)/i.test(beginning)) {
    return refuse("this is not an exposition but a web page: is the path right? It is usually /metrics", 1)
  }
  if (/^(\[|\{\s*("[^"]*"\s*:|\}))/.test(beginning)) return refuse("this is not an exposition but JSON", 1)
  if (beginning.startsWith("\x1f\x8b")) {
    return refuse(
      "this is not an exposition but gzip data that nothing has unpacked: its Content-Encoding does not say gzip",
      1
    )
  }
  return undefined
}

/** As much of a body as tells what else it is. */
const BEGINNING = 256

/** The lines to read: `bytes` from `start` to `end`, which is empty or ends in a line feed. */
interface Extent {
  readonly start: number
  readonly end: number
  /** Good lines outside of it: the `# EOF` of OpenMetrics. */
  readonly goodLines: number
}

interface Scan extends Extent {
  readonly bytes: Buffer
  readonly format: ExpositionFormat
  readonly lineBytes: number
  readonly labelBytes: number
  /** Numbers of the lines that are not valid Unicode, where there are any. */
  readonly illFormed: ReadonlySet<number> | undefined
}

interface Seen {
  readonly samples: Array<Sample>
  readonly skipped: Array<SkippedLine>
  skippedCount: number
  readonly notes: Array<SkippedLine>
  /** Bad lines that would be good without the carriage return at their end. */
  carriageReturns: number
  /** Samples, kept or not, and metadata. */
  goodLines: number
  /** Lines of other families, not read any further than their name. */
  passedOver: number
}

const LF = 10
const SPACE = 32
const TAB = 9
const HASH = 35
const BYTE_ORDER_MARK = Buffer.from("\uFEFF")
const EOF = "# EOF"
/** As much of a comment as tells metadata from other comments. */
const COMMENT_BEGINNING = 64

const readLines = (scan: Scan, families: ReadonlySet<string> | undefined): Seen => {
  const { bytes, end, illFormed } = scan
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const lines = new CanonicalLines(bytes, view)
  const { goodLines } = scan
  // A line that is no longer than this breaks neither bound.
  const unmeasured = Math.min(scan.lineBytes, scan.labelBytes)
  const seen: Seen = {
    samples: [],
    skipped: [],
    skippedCount: 0,
    notes: [],
    carriageReturns: 0,
    goodLines,
    passedOver: 0
  }
  let askedName = ""
  let wanted = families === undefined
  let at = scan.start
  for (let line = 1; at < end; line++) {
    const wellFormed = illFormed === undefined || !illFormed.has(line)
    if (wellFormed && lines.readName(at)) {
      if (families !== undefined && lines.name !== askedName) {
        askedName = lines.name
        wanted = families.has(askedName)
      }
      if (!wanted) {
        seen.passedOver++
        at = lineFeed(view, lines.at) + 1
        continue
      }
      if (lines.readRest() && lines.at - at <= unmeasured) {
        seen.samples.push({ name: lines.name, labels: lines.labels, value: lines.value })
        seen.goodLines++
        at = lines.at + 1
        continue
      }
    }
    const lineEnd = lineFeed(view, at)
    const reason = readCarefully(scan, { line, start: at, end: lineEnd, wellFormed }, families, seen)
    if (reason !== undefined) {
      seen.skippedCount++
      if (seen.skipped.length < limits.reasons) seen.skipped.push({ line, reason })
    }
    at = lineEnd + 1
  }
  return seen
}

/** Reads a line that is not in the usual form. Returns what is wrong with it. */
const readCarefully = (
  scan: Scan,
  { end, line: number, start, wellFormed }: Place,
  families: ReadonlySet<string> | undefined,
  seen: Seen
): string | undefined => {
  const { bytes, format } = scan
  const first = format === "text" ? pastBlanks(bytes, start) : start
  const comment = bytes[first] === HASH
  if (format === "text" && first === end) return undefined
  if (format === "text" && comment) {
    // One good line is enough to tell an exposition, so metadata is looked for only until there is one.
    if (seen.goodLines === 0 && isMetadata(bytes.toString("latin1", first, Math.min(end, first + COMMENT_BEGINNING)))) {
      seen.goodLines++
    }
    return undefined
  }
  if (!wellFormed) return "the line is not valid Unicode"
  const length = end - start
  if (length > scan.lineBytes) {
    return `the line has ${length} bytes, more than the ${scan.lineBytes} that are read`
  }
  const line = bytes.toString("utf8", start, end)
  const read = comment ? checkMetadata(line) : readLine(line, format)
  if (typeof read === "string") {
    if (line.endsWith("\r") && (line === "\r" || typeof readLine(line.slice(0, -1), format) !== "string")) {
      seen.carriageReturns++
    }
    return read
  }
  if (read !== undefined && length > scan.labelBytes) {
    const long = longLabel(read.sample, scan.labelBytes)
    if (long !== undefined) return long
  }
  seen.goodLines++
  if (read === undefined || (families !== undefined && !families.has(read.sample.name))) return undefined
  seen.samples.push(read.sample)
  if (read.note !== undefined && seen.notes.length < limits.reasons)
    seen.notes.push({ line: number, reason: read.note })
  return undefined
}

/** What is wrong with a sample whose labels are too long; undefined where none is. */
const longLabel = ({ labels }: Sample, bytesMax: number): string | undefined => {
  for (const [name, value] of Object.entries(labels)) {
    const bytes = Buffer.byteLength(value)
    if (bytes > bytesMax)
      return `the label ${clipped(name)} has ${bytes} bytes, more than the ${bytesMax} that are read`
  }
  return undefined
}

/** A line: its number, and where it is. */
interface Place {
  readonly line: number
  readonly start: number
  readonly end: number
  readonly wellFormed: boolean
}

const extentOfText = (bytes: Buffer): Result.Result<Extent, ExpositionRefused> => {
  const start = bytes.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK) ? BYTE_ORDER_MARK.length : 0
  const end = Math.max(start, bytes.lastIndexOf(LF) + 1)
  // Blanks behind the last line feed say nothing, so nothing is lost with what would have followed them.
  if (pastBlanks(bytes, end) === bytes.length) return Result.succeed({ start, end, goodLines: 0 })
  const line = clipped(bytes.toString("utf8", end, end + limits.lineBytes))
  return refuse(`the body is cut off: its last line, ${line}, has no line feed`, lineAt(bytes, end))
}

const extentOfOpenMetrics = (bytes: Buffer): Result.Result<Extent, ExpositionRefused> => {
  const first = endMarker(bytes)
  if (first < 0) {
    const tail = bytes.toString("latin1", Math.max(0, bytes.length - BEGINNING))
    if (/# EOF\r\n?$/.test(tail) && tail.indexOf("\r\n") < tail.lastIndexOf("# EOF")) return refuse(CARRIAGE_RETURNS)
  }
  if (first < 0) return refuse(`the body is cut off: it does not end with ${EOF}`)
  const behind = first + EOF.length
  if (behind + 1 >= bytes.length) return Result.succeed({ start: 0, end: first, goodLines: 1 })
  return refuse(`there is something after ${EOF}`, lineAt(bytes, behind + 1))
}

/** Where the first line is that is `# EOF`, or -1. */
const endMarker = (bytes: Buffer): number => {
  for (let at = bytes.indexOf(EOF); at >= 0; at = bytes.indexOf(EOF, at + 1)) {
    const behind = at + EOF.length
    if ((at === 0 || bytes[at - 1] === LF) && (behind === bytes.length || bytes[behind] === LF)) return at
  }
  return -1
}

/**
 * The numbers of the lines that are not valid Unicode: bytes that are not UTF-8, or halves of surrogate pairs in a string.
 * A line feed is never part of a longer sequence, so that each line can be told by itself.
 */
const illFormedLines = (body: string | Uint8Array): ReadonlySet<number> | undefined => {
  if (typeof body === "string" ? body.isWellFormed() : isUtf8(body)) return undefined
  const lines = new Set<number>()
  for (let start = 0, line = 1; start < body.length; line++) {
    const found = typeof body === "string" ? body.indexOf("\n", start) : body.indexOf(LF, start)
    const end = found < 0 ? body.length : found
    const wellFormed =
      typeof body === "string" ? body.slice(start, end).isWellFormed() : isUtf8(body.subarray(start, end))
    if (!wellFormed) lines.add(line)
    start = end + 1
  }
  return lines
}

/** The 1-based number of the line that holds the position `end`. */
const lineAt = (bytes: Buffer, end: number): number => {
  let line = 1
  for (let at = 0; at < end; at++) if (bytes[at] === LF) line++
  return line
}

const pastBlanks = (bytes: Buffer, start: number): number => {
  let at = start
  while (bytes[at] === SPACE || bytes[at] === TAB) at++
  return at
}

const refuse = (reason: string, line?: number): Result.Result<never, ExpositionRefused> =>
  Result.fail(new ExpositionRefused(line === undefined ? { reason } : { reason, line }))
