/**
 * Turns that the processes of an installation take: what must run once is run by whoever holds a lock of the database, in the
 * transaction that does the work.
 *
 * Guarantee: whoever dies gives up the turn with its connection. Whoever stands still in the middle of it (a paused machine) loses
 * transaction and turn after {@link IDLE_WITHIN}, and nothing that it did stays: also behind a pooler, where sessions have no such
 * limit of their own.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import type { SqlError } from "effect/sql/SqlError"

const IDLE_WITHIN = "60s"

/** Whether it is our turn, until the transaction ends; asks nobody to wait. `lock`: any number that no other lock takes. */
export const takeTurn = (sql: PgClient.PgClient, lock: number): Effect.Effect<boolean, SqlError> =>
  Effect.map(
    sql<{ readonly taken: boolean }>`
      select pg_try_advisory_xact_lock(${lock}::int8) as taken,
        set_config('idle_in_transaction_session_timeout', ${IDLE_WITHIN}::text, true) as idle_within`,
    ([row]) => row?.taken === true
  )
