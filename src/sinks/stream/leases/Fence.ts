/**
 * The fence where rows are stored: within the transaction that stores them, it is looked up whether the leases that they were
 * read under still hold.
 *
 * Guarantee: once somebody else has taken a stream, no transaction with an older fence commits. Taking locks the stream's row for
 * update, and this look locks it for key share: either the look comes first, and taking waits for its transaction (or, as we take,
 * passes the stream by and tries again), or it comes later, and fails. Renewing a lease waits for neither.
 *
 * A process that is frozen in the middle of such a transaction holds up whoever takes its streams for {@link IDLE_AT_MOST}: PostgreSQL
 * then ends the transaction.
 */
import { type PgClient, PgTypes } from "@effect/sql-pg"
import { Effect, Schema } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import { arrayParameter } from "../../postgres/Database.ts"
import type { Lease } from "../SnapshotStream.ts"

/**
 * Rows were read from streams that others have by now. Nothing of the batch was stored. Not retryable with them: their rows come to
 * the new owners.
 */
export class LeaseLost extends Schema.TaggedError<LeaseLost>()("LeaseLost", {
  leases: Schema.Array(Schema.Struct({ stream: Schema.Number, fence: Schema.Number }))
}) {
  readonly retryable = false
  override get message(): string {
    const streams = this.leases.map(({ fence, stream }) => `${stream} (fence ${fence})`)
    return `another digest has taken over stream ${streams.join(", ")}: it gets its rows`
  }

  /** Whether this lease is one of those. */
  covers(lease: Lease | undefined): boolean {
    return this.leases.some(({ fence, stream }) => stream === lease?.stream && fence === lease.fence)
  }
}

const IDLE_AT_MOST = "5s"

/** `$1`: streams; `$2`: how long the transaction may then stand still. The setting is the transaction's own, so a pooler keeps nothing of it. */
const CHECK = `select stream, fence::text, set_config('idle_in_transaction_session_timeout', $2::text, true)
from admiral.streams where stream = any($1::int4[]) order by stream for key share`

export const fenceStatements = { CHECK }

/** Within a transaction: fails where one of the leases has been lost. */
export const checkFences = (
  sql: PgClient.PgClient,
  leases: ReadonlyArray<Lease>
): Effect.Effect<void, LeaseLost | SqlError> => {
  if (leases.length === 0) return Effect.void
  const streams = arrayParameter([...new Set(leases.map(({ stream }) => stream))], PgTypes.OID.int4)
  return Effect.flatMap(
    sql.unsafe<{ readonly stream: number; readonly fence: string }>(CHECK, [streams, IDLE_AT_MOST]),
    (rows) => {
      const fences = new Map(rows.map(({ fence, stream }) => [stream, Number(fence)]))
      const lost = leases.filter(({ fence, stream }) => fences.get(stream) !== fence)
      return lost.length === 0 ? Effect.void : Effect.fail(new LeaseLost({ leases: lost }))
    }
  )
}
