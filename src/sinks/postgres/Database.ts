/**
 * The connection to PostgreSQL: one pool for the process, and what its errors mean to the ports above it.
 *
 * Bounds: connections, time to connect, time a statement may take. It makes no schema (`Migrations.ts`) and starts no
 * server (`EmbeddedPostgres.ts`).
 *
 * Behind a transaction pooler (`Dialer.ts` recognises it) the settings of a session are left out, since PgBouncer refuses
 * them and `set` would leak them into other people's sessions. None of them is needed for an answer to be right: the
 * time-outs are a second line behind the program's own, which cancel through the pooler, and the rest is speed. Whoever wants
 * them there sets them for the role (`docs/deployment.md`). What must be of one session is one transaction.
 */
import { type PgClient, PgTypes } from "@effect/sql-pg"
import { Cause, Context, Duration, Effect, Layer, Redacted, Result } from "effect"
import type { SqlClient } from "effect/sql"
import type { SqlError } from "effect/sql/SqlError"
import { makeNotice, PATIENCE } from "../../Waiting.ts"
import { type Because, DatabaseUnavailable } from "../storage/DatabaseUnavailable.ts"
import { tooManyRowsOf } from "../storage/RowsAllowed.ts"
import { RowsRefused } from "../storage/SnapshotRows.ts"
import { layerPool } from "./ConnectionPool.ts"
import { type DatabaseUrlInvalid, parseDatabaseUrl } from "./DatabaseUrl.ts"
import { type Dialer, makeDialer } from "./Dialer.ts"

export interface DatabaseOptions {
  readonly url: Redacted.Redacted<string>
  /** Defaults to 10: two inserts in flight, the queries of a few pages, migrations. */
  readonly maxConnections?: number
  /** Defaults to 60 seconds. */
  readonly statementTimeout?: Duration.Input
  /** How PostgreSQL's own views call us. */
  readonly applicationName?: string
}

/** Connections are opened when they are first needed: building the layer does not meet the database, `awaitFit` does. */
export const layer = (
  options: DatabaseOptions
): Layer.Layer<PgClient.PgClient | SqlClient.SqlClient, DatabaseUrlInvalid> =>
  Layer.unwrap(
    Effect.map(Effect.fromResult(dialerOf(options)), (dialer) =>
      layerPool({ dialer, maxConnections: options.maxConnections ?? 10, idleTimeout: "5 minutes" })
    )
  )

/** What opens the connections of `layer`. */
export const dialerOf = (options: DatabaseOptions): Result.Result<Dialer, DatabaseUrlInvalid> =>
  Result.map(parseDatabaseUrl(Redacted.value(options.url)), (target) =>
    makeDialer({
      target,
      applicationName: options.applicationName ?? "nodepulse",
      session: {
        statement_timeout: String(Duration.toMillis(options.statementTimeout ?? "60 seconds")),
        idle_in_transaction_session_timeout: "60000",
        // Our statements look up keys range by range and are the same text each time: planning the top query for each call
        // costs more than running it (`bench/query.ts`).
        plan_cache_mode: "force_generic_plan",
        jit: "off",
        work_mem: "16MB",
        client_min_messages: "warning"
      }
    })
  )

/** Repeats what failed because the database is away (again), and says so: for what a start depends on. */
export const whileAway = <A, E extends { readonly message: string }, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const notice = makeNotice("the database")
    const isAway = (error: E) => "retryable" in error && error.retryable === true
    return self.pipe(
      Effect.tapError((error) => (isAway(error) ? notice(error.message) : Effect.void)),
      Effect.retry({ while: isAway, schedule: PATIENCE })
    )
  })

/** The five characters of PostgreSQL's error code; undefined where the error is not PostgreSQL's (a lost connection). */
export const sqlState = (error: SqlError): string | undefined => {
  const cause = error.reason.cause
  if (typeof cause !== "object" || cause === null || !("code" in cause)) return undefined
  return typeof cause.code === "string" && /^[0-9A-Z]{5}$/.test(cause.code) ? cause.code : undefined
}

/**
 * Whether trying again can help. Only what is about the data itself is refused: class 22 (data exception), class 23
 * (a constraint; but 23514 on a partitioned table is a missing partition) and class 54 (a limit of PostgreSQL). All else,
 * also what we do not know, is `DatabaseUnavailable`: rows that wait can still be stored, rows that were refused cannot.
 */
export const classify = (operation: string, error: SqlError): DatabaseUnavailable | RowsRefused => {
  const state = sqlState(error)
  const refused =
    state === undefined
      ? isEncodingError(error.reason.cause)
      : state.startsWith("22") || state.startsWith("54") || (state.startsWith("23") && !isMissingPartition(error))
  const message = describe(error)
  return refused
    ? new RowsRefused({ reason: `PostgreSQL refuses a row of the batch: ${message}`, cause: error })
    : new DatabaseUnavailable({ operation, because: becauseOf(error), cause: new Error(message, { cause: error }) })
}

/** What an error that may pass says about the database. */
export const becauseOf = (error: SqlError): Because => {
  const state = sqlState(error)
  if (tooManyRowsOf(error) !== undefined) return "large"
  if (state === undefined) return error.reason._tag === "ConnectionError" ? "away" : "failing"
  if (state === "57014") return "slow"
  if (state === "25006") return "read-only"
  if (state === "53100") return "full"
  if (state.startsWith("08") || state.startsWith("57P")) return "away"
  return /^(53|40|55P03)/.test(state) ? "busy" : "failing"
}

/** No partition for a row's day: retention has dropped it, or nobody has made it yet. */
export const isMissingPartition = (error: SqlError): boolean =>
  sqlState(error) === "23514" && /no partition of relation/.test(describe(error))

/**
 * For questions and statements of our own: what PostgreSQL says is `DatabaseUnavailable` where trying again can help, and a
 * defect where our statement is wrong. A transaction whose connection died in the middle fails its rollback too, which
 * `withTransaction` reports as a defect: that also means unavailable.
 */
export const answering =
  (operation: string) =>
  <A, E, R>(self: Effect.Effect<A, E | SqlError, R>): Effect.Effect<A, Exclude<E, SqlError> | DatabaseUnavailable, R> =>
    Effect.catchCause(self, (cause): Effect.Effect<never, Exclude<E, SqlError> | DatabaseUnavailable> => {
      const error = sqlErrorOf(cause)
      if (error === undefined) return Effect.failCause(cause as Cause.Cause<Exclude<E, SqlError>>)
      const classified = classify(operation, error)
      return classified._tag === "DatabaseUnavailable" ? Effect.fail(classified) : Effect.die(classified)
    })

/** On another connection than that of the transaction that is under way: what it does stays, whatever becomes of that. */
export const outsideTransaction = <A, E, R>(
  sql: PgClient.PgClient,
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.updateContext(
    self,
    (context: Context.Context<R>) => Context.omit(sql.transactionService)(context as never) as Context.Context<R>
  )

/** The SQL error in a cause, failed or died with; undefined where there is none or where it was interrupted. */
export const sqlErrorOf = (cause: Cause.Cause<unknown>): SqlError | undefined => {
  if (Cause.hasInterrupts(cause)) return undefined
  for (const reason of cause.reasons) {
    const error = Cause.isFailReason(reason) ? reason.error : Cause.isDieReason(reason) ? reason.defect : undefined
    if (isSqlError(error)) return error
  }
  return undefined
}

/** A parameter of one binary array. The types are ours: a value that does not fit its type's oid is a defect. */
export const arrayParameter = (values: ReadonlyArray<unknown>, oid: number): PgTypes.Parameter =>
  Result.getOrThrow(PgTypes.array(values, oid))

/** Whether PostgreSQL can hold the text, and an index on it too; what it cannot hold is nobody's id. */
export const isStorableText = (text: string): boolean =>
  text.length <= 255 && text.isWellFormed() && !text.includes("\0")

const isSqlError = (error: unknown): error is SqlError =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === "SqlError"

const isEncodingError = (cause: unknown): boolean =>
  typeof cause === "object" && cause !== null && "_tag" in cause && cause._tag === "PgTypesCodecError"

/** PostgreSQL's own words, with its code; never the statement or its values. */
const describe = (error: SqlError): string => {
  const state = sqlState(error)
  const cause = error.reason.cause
  const text = cause instanceof Error ? cause.message : String(cause)
  return state === undefined ? text : `${text} (${state})`
}
