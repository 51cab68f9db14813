/**
 * What the server's answer means for the records of a request. Pure, and total: the answer is another program's.
 *
 * Guarantees: an answer that cannot be true of what was sent is refused as a whole, and the reason names the count; no count
 * is below 0 or above what was sent; a text from it is printable and short; a row that it names and that was not sent is left
 * out. A rejection without a code is an older server's, and is read by its words.
 */
import { Result, Schema } from "effect"
import { clipped } from "../../src/protocol/PrintableText.ts"
import type { Rejection } from "../AgentStatus.ts"
import type { ExchangeResponse } from "../scrape/HttpExchange.ts"
import type { SpoolRecord } from "../spool/Spool.ts"
import { rowsIn } from "./PushBatch.ts"

const KINDS_PER_ANSWER_MAX = 10
const TEXT_SHOWN_MAX = 500

export interface PushAnswer {
  readonly accepted: number
  /** Records with rows of an exporter that the server does not know: by exporter. */
  readonly unknown: ReadonlyMap<string, ReadonlyArray<number>>
  /** Records with rows whose time the server does not believe, and its words. */
  readonly ahead: ReadonlyArray<number>
  readonly tooOld: ReadonlyArray<number>
  readonly timeReason: string
  /** Rows that are never taken, by kind, the first row of each as it was sent; `record` is where it is from. */
  readonly rejected: ReadonlyArray<{
    readonly record: number
    readonly exporter: string
    readonly reason: string
    /** The first of them, as it was sent: unpacked when it is asked for. */
    readonly row: () => string
    readonly rows: number
  }>
  /** Rows that were rejected, and that the answer only counts. */
  readonly further: number
}

const rejection = {
  exporter: Schema.String,
  index: Schema.Number,
  reason: Schema.String,
  code: Schema.optionalKey(Schema.Unknown)
}
const Answer = Schema.Struct({
  accepted: Schema.Unknown,
  rejected: Schema.Array(Schema.Struct(rejection)),
  rejected_ranges: Schema.optionalKey(Schema.Array(Schema.Struct({ ...rejection, rows: Schema.Number }))),
  rejected_further: Schema.optionalKey(Schema.Record(Schema.String, Schema.Unknown))
})
const decodeAnswer = Schema.decodeUnknownResult(Answer)

/** Reads a 202 or a 422. A failure is why it cannot be used. */
export const readAnswer = (
  body: Uint8Array,
  records: ReadonlyArray<SpoolRecord>
): Result.Result<PushAnswer, string> => {
  const total = records.reduce((sum, { rows }) => sum + rows.count, 0)
  return Result.map(decoded(body, total), (answer) => meaningOf(answer, records, total))
}

/** The answer's fields, as far as they can be true of `total` rows. Counts are looked at before anything is made of them. */
const decoded = (body: Uint8Array, total: number): Result.Result<typeof Answer.Type, string> => {
  let json: unknown
  try {
    json = JSON.parse(Buffer.from(body).toString("utf8"))
  } catch {
    return Result.fail("it is not JSON")
  }
  const counts = Object.entries(typeof json === "object" && json !== null ? json : {})
  for (const [field, value] of counts) {
    const length = Array.isArray(value) ? value.length : 0
    if (length > total) return Result.fail(`${clipped(field, 40)} has ${length} entries, but ${total} rows were sent`)
    if (field === "accepted" && !(Number.isInteger(value) && Number(value) >= 0 && Number(value) <= total)) {
      return Result.fail(`accepted is ${clipped(String(value), 40)}, but ${total} rows were sent`)
    }
  }
  return Result.mapError(decodeAnswer(json), () => "it is not what a NodePulse server answers")
}

const meaningOf = (
  { accepted, rejected: one, rejected_further: further = {}, rejected_ranges: ranges = [] }: typeof Answer.Type,
  records: ReadonlyArray<SpoolRecord>,
  total: number
): PushAnswer => {
  const sent = placesOf(records)
  const unknown = new Map<string, Set<number>>()
  const ahead = new Set<number>()
  const tooOld = new Set<number>()
  const rejected: Array<PushAnswer["rejected"][number]> = []
  let timeReason = ""
  let left = total
  const note = (kind: Code, exporter: string, reason: string, { id, row, rows }: Place) => {
    if (kind === "exporter_unknown") {
      const ids = unknown.get(exporter) ?? new Set()
      unknown.set(exporter, ids.add(id))
      return
    }
    const shown = clipped(reason, TEXT_SHOWN_MAX)
    if (kind === "clock_ahead" || kind === "too_old") {
      const ids = kind === "clock_ahead" ? ahead : tooOld
      ids.add(id)
      timeReason ||= shown
    }
    if (kind !== "clock_ahead") rejected.push({ record: id, exporter, reason: shown, row, rows })
  }
  for (const { code, exporter, index, reason, rows } of [...one.map((row) => ({ ...row, rows: 1 })), ...ranges]) {
    for (const place of left > 0 ? sent(exporter, index, rows) : []) {
      left -= place.rows
      note(codeOf(code, reason), exporter, reason, place)
    }
  }
  const counted = Object.values(further).reduce<number>((sum, count) => sum + wholeBelow(count, left), 0)
  return {
    accepted: wholeBelow(accepted, total),
    unknown: new Map([...unknown].map(([exporter, ids]) => [exporter, [...ids]])),
    ahead: [...ahead],
    tooOld: [...tooOld],
    timeReason,
    rejected,
    further: wholeBelow(counted, left)
  }
}

/** A count of another program, from 0 to what was sent. */
const wholeBelow = (value: unknown, most: number): number =>
  typeof value === "number" && value > 0 ? Math.max(0, Math.min(Math.floor(value), most)) : 0

/** Rejected rows as kinds, for people: how many of each, and the first row. */
export const kindsOf = (rejected: PushAnswer["rejected"]): ReadonlyArray<Omit<Rejection, "at">> => {
  const kinds = new Map<string, { exporter: string; reason: string; row: string | null; rows: number }>()
  for (const { exporter, reason, row, rows } of rejected) {
    const kind = kindOf(exporter, reason)
    const known = kinds.get(kind)
    if (known !== undefined) known.rows += rows
    else if (kinds.size < KINDS_PER_ANSWER_MAX) kinds.set(kind, { exporter, reason, row: row(), rows })
  }
  return [...kinds.values()]
}

/** A reason without its numbers and quotations, so that the same complaint about two rows is one kind. */
export const kindOf = (exporter: string, reason: string): string =>
  `${exporter} ${reason.replace(/"[^"]*"|-?\d[\d.:TZ+-]*/g, "…")}`

/** What is to be done with a row: a code that is not known here is one that never takes it. */
type Code = "exporter_unknown" | "clock_ahead" | "too_old" | "invalid"

const codeOf = (code: unknown, reason: string): Code => {
  if (code === "exporter_unknown" || code === "clock_ahead" || code === "too_old") return code
  if (typeof code === "string") return "invalid"
  if (/^unknown exporter /.test(reason)) return "exporter_unknown"
  return /ahead of the server's clock/.test(reason) ? "clock_ahead" : "invalid"
}

/** Rows of one record that the server names. */
interface Place {
  readonly id: number
  readonly rows: number
  /** The first of them, as it was sent. */
  readonly row: () => string
}

/** Finds the rows that the server names by their places among the rows of their exporter: of each record, how many. */
const placesOf = (records: ReadonlyArray<SpoolRecord>) => {
  const byExporter = new Map<string, Array<{ readonly record: SpoolRecord; readonly from: number }>>()
  for (const record of records) {
    const places = byExporter.get(record.exporter) ?? []
    byExporter.set(record.exporter, places)
    const last = places.at(-1)
    places.push({ record, from: last === undefined ? 0 : last.from + last.record.rows.count })
  }
  return (exporter: string, index: number, count: number): ReadonlyArray<Place> => {
    if (!Number.isInteger(index) || index < 0 || !(count >= 1)) return []
    return (byExporter.get(exporter) ?? []).flatMap(({ from, record: { id, rows } }) => {
      const first = Math.max(0, index - from)
      const end = Math.min(rows.count, index + count - from)
      if (first >= end) return []
      return [{ id, rows: end - first, row: () => clipped(JSON.stringify(rowsIn(rows)[first]) ?? "", TEXT_SHOWN_MAX) }]
    })
  }
}

const Problem = Schema.Struct({
  title: Schema.optionalKey(Schema.String),
  detail: Schema.optionalKey(Schema.String),
  reason: Schema.optionalKey(Schema.Unknown)
})
const decodeProblem = Schema.decodeUnknownResult(Schema.fromJsonString(Problem))

/** What an `application/problem+json` says, where it is one. */
export const problemOf = ({ body, headers }: ExchangeResponse): { readonly text: string; readonly reason: unknown } => {
  const isJson = String(headers["content-type"] ?? "").includes("json")
  const problem = isJson ? decodeProblem(Buffer.from(body).toString("utf8")) : undefined
  if (problem === undefined || Result.isFailure(problem)) return { text: "", reason: undefined }
  const { detail, reason, title } = problem.success
  return { text: clipped(detail ?? title ?? "", TEXT_SHOWN_MAX), reason }
}
