/**
 * What an agent posts: an object from exporter name to an array of rows. No wrappers.
 *
 * Guarantee: every row is either accepted or rejected with its exporter, its index and a reason; a bad row never takes
 * its neighbours with it. Order is kept. A repeated row is accepted again: the table ignores what it has.
 * Bound: {@link REJECTIONS_MAX} rejections are listed, the rest are counted; a reason has at most
 * {@link REASON_LENGTH_MAX} characters. The size of the body is bounded by whoever read it.
 *
 * A name of no known exporter rejects each of its rows; under any name, a value that is no array is one rejection with
 * index -1. An empty object is a payload with nothing in it. Anything but an object is refused as a whole.
 */
import { Result, Schema } from "effect"
import type { Snapshot } from "./Snapshot.ts"
import { display } from "./Storable.ts"
import type { DecodeContext, Wires } from "./Wire.ts"

export const REJECTIONS_MAX = 10_000
export const REASON_LENGTH_MAX = 300

/** One row that was not accepted. `index` is its place in its exporter's array; -1: there was no array. */
export const Rejection = Schema.Struct({
  exporter: Schema.String,
  index: Schema.Int,
  reason: Schema.String
}).annotate({ title: "Rejection", description: "A row that was not accepted, and why." })
export type Rejection = typeof Rejection.Type

export interface DecodedPayload {
  readonly accepted: ReadonlyArray<Snapshot>
  readonly rejected: ReadonlyArray<Rejection>
  /** How many rows were rejected: more than `rejected` lists where it reached its bound. */
  readonly rejectedCount: number
  /** Fields of accepted rows that mean nothing here. */
  readonly ignoredFields: number
}

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
  const accepted: Array<Snapshot> = []
  const rejected: Array<Rejection> = []
  let rejectedCount = 0
  let ignoredFields = 0
  const reject = (exporter: string, index: number, reason: string) => {
    rejectedCount++
    if (rejected.length < REJECTIONS_MAX) rejected.push({ exporter, index, reason: clip(reason) })
  }

  for (const [name, rows] of Object.entries(body) as ReadonlyArray<[string, unknown]>) {
    const wire = wires.get(name)
    if (!Array.isArray(rows)) {
      reject(clipName(name), -1, `${display(name)} must be an array of rows, not ${display(rows)}`)
    } else if (wire === undefined) {
      const exporter = clipName(name)
      const reason = `unknown exporter ${display(name)}; known here: ${[...wires.keys()].join(", ")}`
      for (let index = 0; index < rows.length; index++) reject(exporter, index, reason)
    } else {
      for (let index = 0; index < rows.length; index++) {
        const decoded = wire.decode(rows[index], context)
        if (Result.isFailure(decoded)) {
          reject(name, index, decoded.failure)
        } else {
          accepted.push(decoded.success)
          ignoredFields += wire.ignoredFields(rows[index])
        }
      }
    }
  }
  return Result.succeed({ accepted, rejected, rejectedCount, ignoredFields })
}

const NAME_LENGTH_MAX = 80

// A cut text may end in half a character, which UTF-8 cannot carry.
const clip = (text: string): string =>
  text.length <= REASON_LENGTH_MAX ? text : `${text.slice(0, REASON_LENGTH_MAX - 1).toWellFormed()}…`

const clipName = (name: string): string =>
  (name.length <= NAME_LENGTH_MAX ? name : `${name.slice(0, NAME_LENGTH_MAX)}…`).toWellFormed()
