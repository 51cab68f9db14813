/**
 * How many stored rows one question may read, counted as they are read.
 *
 * Guarantee: a question that has read more ends with an error that says how many it may, and of which window. What nobody has
 * asked for, such as roll-ups and packing, is not counted. Buckets of roll-ups are not either: they are few.
 *
 * Bound: what one statement has returned is in memory before it is counted.
 */
import { Context, Effect, Schema } from "effect"
import { SqlError, UnknownError } from "effect/sql/SqlError"

/** Of one question; shared by all that is read for it. */
export interface RowsAllowed {
  readonly most: number
  read: number
}

/** Absent: as many as there are. */
export const RowsAllowed = Context.Reference<RowsAllowed | undefined>("nodepulse/sinks/RowsAllowed", {
  defaultValue: () => undefined
})

/** More rows than a question may read. `window` says where it looked, in words. */
export class TooManyRows extends Schema.TaggedError<TooManyRows>()("TooManyRows", {
  most: Schema.Int,
  window: Schema.optionalKey(Schema.String)
}) {
  override get message(): string {
    const where = this.window === undefined ? "what is asked for" : `the window ${this.window}`
    return `${where} has more than ${this.most} rows to read; ask for a shorter one, for fewer servers, or again once its roll-ups are there`
  }
}

/** An error like the database's own, since it comes where those do. */
const sqlErrorOf = (cause: TooManyRows) => new SqlError({ reason: new UnknownError({ cause, operation: "read" }) })

/** Counts rows that were read. */
export const countRows = (rows: number): Effect.Effect<void, SqlError> =>
  Effect.flatMap(RowsAllowed, (allowed) => {
    if (allowed === undefined) return Effect.void
    allowed.read += rows
    return allowed.read > allowed.most ? Effect.fail(sqlErrorOf(new TooManyRows({ most: allowed.most }))) : Effect.void
  })

/** Too many rows, said by an error of the database; undefined where it says something else. */
export const tooManyRowsOf = ({ reason: { cause } }: SqlError): TooManyRows | undefined =>
  cause instanceof TooManyRows ? cause : undefined

/** The same error, with the window that was read. */
export const withWindow =
  (window: string) =>
  (error: SqlError): SqlError => {
    const found = tooManyRowsOf(error)
    return found === undefined ? error : sqlErrorOf(new TooManyRows({ most: found.most, window }))
  }
