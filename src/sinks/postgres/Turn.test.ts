import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as TestDatabase from "../../../test/TestDatabase.ts"
import { outsideTransaction } from "./Database.ts"
import { takeTurn } from "./Turn.ts"

const LOCK = 99_000_001

layer(TestDatabase.layerWith({ migrated: false }))("a turn", (it) => {
  const limit = Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    const [row] = yield* sql<{ readonly limit: string }>`
      select current_setting('idle_in_transaction_session_timeout') as limit`
    return row!.limit
  })

  it.effect("is one process's at a time, and the next one's once its transaction has ended", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const other = outsideTransaction(sql, sql.withTransaction(takeTurn(sql, LOCK)))
      yield* sql.withTransaction(
        Effect.gen(function* () {
          assert.isTrue(yield* takeTurn(sql, LOCK))
          assert.isFalse(yield* other)
        })
      )
      assert.isTrue(yield* other)
    })
  )

  it.effect("is lost by whoever stands still in it for a minute, whatever the session allows", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      yield* sql.withTransaction(
        Effect.gen(function* () {
          yield* sql`set local idle_in_transaction_session_timeout = 0`
          yield* takeTurn(sql, LOCK)
          assert.strictEqual(yield* limit, "1min")
        })
      )
      // A pooler lends the same session to others.
      yield* sql.withTransaction(
        Effect.gen(function* () {
          yield* sql`set local idle_in_transaction_session_timeout = '7s'`
          yield* Effect.ignore(sql.withTransaction(Effect.andThen(takeTurn(sql, LOCK), Effect.fail("undone"))))
          assert.strictEqual(yield* limit, "7s")
        })
      )
    })
  )

  it.effect("ends with a session that stood still, and the next one has it", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const stood = sql.withTransaction(
        Effect.gen(function* () {
          yield* takeTurn(sql, LOCK)
          yield* sql`set local idle_in_transaction_session_timeout = '200ms'`
          yield* Effect.promise(() => new Promise((resume) => setTimeout(resume, 1_500)))
          yield* sql`select 1`
        })
      )
      assert.strictEqual((yield* Effect.exit(stood))._tag, "Failure")
      assert.isTrue(yield* sql.withTransaction(takeTurn(sql, LOCK)))
    })
  )
})
