/**
 * What an agent posts: an object from exporter name to an array of rows. No wrappers.
 *
 * Guarantee: every row is either accepted or rejected with its exporter, its index and a reason; a bad row never takes
 * its neighbours with it. Order is kept. A repeated row is accepted again: the table ignores what it has.
 * Bound: {@link REJECTIONS_MAX} rejections are told one by one, the next as {@link RANGES_MAX} ranges of one code, the rest are
 * counted by code; a reason has at most {@link REASON_LENGTH_MAX} characters. What an agent sends fits: the rows of a scrape
 * that are kept or corrected later are refused together, with one code. The body's size and rows are bounded by whoever read it.
 *
 * A name of no known exporter rejects each of its rows; under any name, a value that is no array is one rejection with
 * index -1. An empty object is a payload with nothing in it. Anything but an object is refused as a whole.
 */
import { Result, Schema } from "effect"
import type { Snapshots } from "./Snapshots.ts"
import { display } from "./Storable.ts"
import { type DecodeContext, RefusalCode, type Wires } from "./Wire.ts"

/** So many rejected rows are told one by one. */
export const REJECTIONS_MAX = 500
/** And of the others so many ranges. */
export const RANGES_MAX = 100
export const REASON_LENGTH_MAX = 300

const Code = RefusalCode.annotate({
  description:
    "exporter_unknown: keep the row, and send it to a server that knows it; clock_ahead, too_old: its times, corrected, may be taken; too_many_groups: its server has too many, the others of its scrape are taken; invalid: never."
})

/** One row that was not accepted. `index` is its place in its exporter's array; -1: there was no array. */
const Rejection = Schema.Struct({
  exporter: Schema.String,
  index: Schema.Int,
  reason: Schema.String,
  code: Code
}).annotate({ title: "Rejection", description: "A row that was not accepted, and why." })
export type Rejection = typeof Rejection.Type

/** Rows of one exporter, one after the other, that were not accepted. */
const RejectedRange = Schema.Struct({
  exporter: Schema.String,
  index: Schema.Int.annotate({ description: "Of the first." }),
  rows: Schema.Int,
  reason: Schema.String.annotate({ description: "Of the first." }),
  code: Code
}).annotate({ title: "RejectedRange", description: "Rows in a row that were not accepted, with one code." })
export type RejectedRange = typeof RejectedRange.Type

/** What an answer says of rows that were not accepted: at most some 200 kB, however many they are. */
export const RejectedFields = {
  rejected: Schema.Array(Rejection).annotate({ description: `The first ${REJECTIONS_MAX}.` }),
  rejected_ranges: Schema.optionalKey(
    Schema.Array(RejectedRange).annotate({ description: `The next, as ranges: the first ${RANGES_MAX} of them.` })
  ),
  rejected_further: Schema.optionalKey(
    Schema.Record(Schema.String, Schema.Int).annotate({ description: "How many more there were, by code." })
  )
}

export interface DecodedPayload {
  /** By exporter. */
  readonly accepted: ReadonlyArray<Snapshots>
  /** How many rows those are. */
  readonly acceptedCount: number
  /** The first {@link REJECTIONS_MAX} that were rejected. */
  readonly rejected: ReadonlyArray<Rejection>
  /** The next, the first {@link RANGES_MAX} ranges of them. */
  readonly ranges: ReadonlyArray<RejectedRange>
  /** How many rows were rejected that neither tells of, by code. */
  readonly further: ReadonlyMap<RefusalCode, number>
  /** How many rows were rejected. */
  readonly rejectedCount: number
  /** Fields of accepted rows that mean nothing here. */
  readonly ignoredFields: number
}

/** The fields of an answer that tell what was rejected. */
export const rejectedFields = ({ further, ranges, rejected }: DecodedPayload) => ({
  rejected,
  ...(ranges.length === 0 ? {} : { rejected_ranges: ranges }),
  ...(further.size === 0 ? {} : { rejected_further: Object.fromEntries(further) })
})

/** The body is no payload at all. */
export class PayloadRefused extends Schema.TaggedError<PayloadRefused>()("PayloadRefused", { reason: Schema.String }) {
  readonly retryable = false
  override get message(): string {
    return this.reason
  }
}

/** Sorts the rows of a parsed JSON body into accepted snapshots and rejections. */
export const decodePayload = (
  wires: Wires,
  body: unknown,
  context: DecodeContext
): Result.Result<DecodedPayload, PayloadRefused> => {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    const reason = `the body must be an object from exporter name to an array of rows, not ${display(body)}`
    return Result.fail(new PayloadRefused({ reason }))
  }
  const accepted: Array<Snapshots> = []
  let acceptedCount = 0
  const { count, reject, ...told } = makeRejections()
  let ignoredFields = 0

  for (const [name, rows] of Object.entries(body) as ReadonlyArray<[string, unknown]>) {
    const wire = wires.get(name)
    if (!Array.isArray(rows)) {
      reject(clipName(name), -1, "invalid", `${display(name)} must be an array of rows, not ${display(rows)}`)
    } else if (wire === undefined) {
      const exporter = clipName(name)
      const reason = `unknown exporter ${display(name)}; known here: ${[...wires.keys()].join(", ")}`
      for (let index = 0; index < rows.length; index++) reject(exporter, index, "exporter_unknown", reason)
    } else {
      const reader = wire.reader(context)
      for (let index = 0; index < rows.length; index++) {
        const refused = reader.add(rows[index])
        if (refused !== undefined) reject(name, index, refused.code, refused.reason)
      }
      if (reader.count() > 0) accepted.push(reader.snapshots())
      acceptedCount += reader.count()
      ignoredFields += reader.ignoredFields()
    }
  }
  return Result.succeed({ accepted, acceptedCount, ...told, rejectedCount: count(), ignoredFields })
}

/** Notes what is rejected, within bounds: first one by one, then as ranges, then as a count. */
const makeRejections = () => {
  const rejected: Array<Rejection> = []
  const ranges: Array<{ -readonly [field in keyof RejectedRange]: RejectedRange[field] }> = []
  const further = new Map<RefusalCode, number>()
  let count = 0
  const reject = (exporter: string, index: number, code: RefusalCode, reason: string) => {
    count++
    if (rejected.length < REJECTIONS_MAX) return void rejected.push({ exporter, index, reason: clip(reason), code })
    const last = ranges.at(-1)
    const follows = last !== undefined && last.exporter === exporter && last.index + last.rows === index
    if (follows && last.code === code) last.rows++
    else if (ranges.length < RANGES_MAX) ranges.push({ exporter, index, rows: 1, reason: clip(reason), code })
    else further.set(code, (further.get(code) ?? 0) + 1)
  }
  return { rejected, ranges, further, count: () => count, reject }
}

const NAME_LENGTH_MAX = 80

// A cut text may end in half a character, which UTF-8 cannot carry.
const clip = (text: string): string =>
  text.length <= REASON_LENGTH_MAX ? text : `${text.slice(0, REASON_LENGTH_MAX - 1).toWellFormed()}…`

const clipName = (name: string): string =>
  (name.length <= NAME_LENGTH_MAX ? name : `${name.slice(0, NAME_LENGTH_MAX)}…`).toWellFormed()
