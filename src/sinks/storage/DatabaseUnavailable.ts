/**
 * The error of every port that stands on the database: it cannot do something now, and may be able to later.
 *
 * `operation` completes "cannot …" (`verify a token`), so that the text reads alone wherever it ends up. `because` is for
 * programs: what a problem or a readiness check says follows from it. The cause is the database's own words, never a
 * statement or its values.
 */
import { Schema } from "effect"

/**
 * What kept the database from doing it: there is no connection; the answer took too long; it takes no writes (a standby, or
 * set so); its disk is full; it has too much to do; it would have to read more rows than a question may (`RowsAllowed.ts`), which
 * trying again does not change; or something that nobody foresaw.
 */
export const Because = Schema.Literals(["away", "slow", "read-only", "full", "busy", "large", "failing"])
export type Because = typeof Because.Type

export class DatabaseUnavailable extends Schema.TaggedError<DatabaseUnavailable>()("DatabaseUnavailable", {
  operation: Schema.String,
  because: Because,
  cause: Schema.Defect()
}) {
  get retryable(): boolean {
    return this.because !== "large"
  }
  override get message(): string {
    const reason = this.cause instanceof Error ? this.cause.message : String(this.cause)
    return `cannot ${this.operation}: ${WORDS[this.because]} (${reason})`
  }
}

const WORDS: Readonly<Record<Because, string>> = {
  away: "the database cannot be reached",
  slow: "the database took too long",
  "read-only": "the database is read-only",
  full: "the database has no room left",
  busy: "the database is too busy",
  large: "there are too many rows",
  failing: "the database reports an error"
}
