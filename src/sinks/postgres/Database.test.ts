import { PgClient } from "@effect/sql-pg"
import { describe, expect, it, layer } from "@effect/vitest"
import { Effect, Fiber, Layer, Redacted } from "effect"
import { ConnectionError, SqlError, UnknownError } from "effect/sql/SqlError"
import * as TestDatabase from "../../../test/TestDatabase.ts"
import { Registry } from "../../plugins/Registry.ts"
import { SnapshotRows } from "../storage/SnapshotRows.ts"
import * as SnapshotRowsPostgres from "../storage/SnapshotRowsPostgres.ts"
import { suiteExporters, suiteRow } from "../storage/SnapshotRowsSuite.ts"
import * as Database from "./Database.ts"
import { awaitFit } from "./Examination.ts"

const error = (code: string | undefined, message = "") =>
  new SqlError({
    reason: new UnknownError({ cause: Object.assign(new Error(message), code === undefined ? {} : { code }) })
  })

describe("what PostgreSQL's errors mean", () => {
  it("only what is about the data is refused; all else can be tried again", () => {
    const refused = ["22001", "22003", "22021", "22P02", "23502", "23505", "23514", "54000"]
    const unavailable = [
      "08006",
      "40P01",
      "40001",
      "57P01",
      "57P03",
      "57014",
      "53100",
      "53200",
      "53300",
      "25006",
      "55P03"
    ]
    const unknown = ["58030", "28P01", "3D000", "42P01", "42501", "0A000", "XX000", undefined]
    for (const code of refused) expect([code, Database.classify("x", error(code))._tag]).toEqual([code, "RowsRefused"])
    for (const code of [...unavailable, ...unknown]) {
      expect([code, Database.classify("x", error(code))._tag]).toEqual([code, "DatabaseUnavailable"])
    }
    const because = (code: string) => Database.becauseOf(error(code))
    expect(["57014", "25006", "53100", "53300", "40P01", "57P01", "42501"].map(because)).toEqual([
      "slow",
      "read-only",
      "full",
      "busy",
      "busy",
      "away",
      "failing"
    ])
    const missing = error("23514", 'no partition of relation "x_rows" found for row')
    expect(Database.classify("x", missing)._tag).toBe("DatabaseUnavailable")
    const lost = new SqlError({ reason: new ConnectionError({ cause: new Error("socket closed") }) })
    expect(Database.classify("x", lost)).toMatchObject({ _tag: "DatabaseUnavailable", retryable: true })
  })
})

const parts = SnapshotRowsPostgres.layer.pipe(
  Layer.provideMerge(Registry.layer({ exporters: suiteExporters })),
  Layer.provideMerge(TestDatabase.layerWith({ exporters: suiteExporters, maxConnections: 3 }))
)

layer(parts)("a database that goes away", (it) => {
  /** Ends sessions of this database, from a session of its own. */
  const kill = (which: string) =>
    Effect.gen(function* () {
      const { url } = yield* TestDatabase.TestDatabase
      return yield* Effect.flatMap(
        PgClient.PgClient,
        (sql) =>
          sql.unsafe(
            `select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and pid <> pg_backend_pid() and ${which}`
          ).unprepared
      ).pipe(Effect.provide(Database.layer({ url, maxConnections: 1 }), { local: true }))
    })

  it.effect("an insert whose connection is killed can be tried again, and then stores each row once", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const rows = yield* SnapshotRows
      yield* sql`insert into admiral.servers (server_id, name) values ('alpha', 'alpha')`
      const batch = [1, 2, 3].map((n) => suiteRow({ name: `killed ${n}` }))
      yield* rows.insert("suite_exporter", [suiteRow({ name: "first" })])
      // Somebody holds the table, so that the insert waits while its connection is killed.
      const error = yield* sql.withTransaction(
        Effect.gen(function* () {
          yield* sql`lock table admiral.suite_snapshots_scrapes in access exclusive mode`
          const waiting = yield* Effect.forkChild(Effect.flip(rows.insert("suite_exporter", batch)))
          // The one that waits, not the one that holds the lock: then it can never have been stored.
          yield* Effect.repeat(kill("wait_event_type = 'Lock'"), { until: (killed) => killed.length > 0 })
          return yield* Fiber.join(waiting)
        })
      )
      expect(error).toMatchObject({ _tag: "DatabaseUnavailable", retryable: true })
      expect(yield* rows.insert("suite_exporter", batch).pipe(Effect.retry({ times: 3 }))).toEqual({
        inserted: 3,
        duplicates: 0
      })
      expect(yield* rows.insert("suite_exporter", batch)).toEqual({ inserted: 0, duplicates: 3 })
    })
  )

  it.effect("a transaction of ours whose connection is killed is unavailable, not a defect", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const failed = yield* sql
        .withTransaction(Effect.andThen(kill("true"), Effect.forever(sql`select 1`)))
        .pipe(Database.answering("test"), Effect.flip)
      expect(failed._tag).toBe("DatabaseUnavailable")
      const again = sql`select 1 as one`.pipe(Effect.retry({ times: 5 }))
      expect(yield* again).toEqual([{ one: 1 }])
    })
  )

  it.effect("ids made within somebody's transaction are not remembered when it is rolled back", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const rows = yield* SnapshotRows
      const row = suiteRow({ name: "only within", user: "a rollback" })
      yield* sql
        .withTransaction(Effect.andThen(rows.insert("suite_exporter", [row]), Effect.fail("rolled back")))
        .pipe(Effect.ignore)
      yield* rows.insert("suite_exporter", [row])
      expect(
        yield* sql`select process.name, process."user" from admiral.suite_snapshots process where name = 'only within'`
      ).toEqual([{ name: "only within", user: "a rollback" }])
    })
  )

  it.effect("a read-only database is unavailable", () =>
    Effect.gen(function* () {
      const { url } = yield* TestDatabase.TestDatabase
      const readOnly = new URL(Redacted.value(url))
      readOnly.searchParams.set("options", "-c default_transaction_read_only=on")
      const failed = yield* Effect.flatMap(SnapshotRows, (rows) =>
        rows.insert("suite_exporter", [suiteRow({ name: "read-only" })])
      ).pipe(
        Effect.provide(
          SnapshotRowsPostgres.layer.pipe(
            Layer.fresh,
            Layer.provide(Registry.layer({ exporters: suiteExporters })),
            Layer.provide(Database.layer({ url: Redacted.make(readOnly.href), maxConnections: 1 }))
          ),
          { local: true }
        ),
        Effect.flip
      )
      expect(failed).toMatchObject({ _tag: "DatabaseUnavailable" })
      expect(failed.message).toContain("25006")
    })
  )
})

describe("a database that is not there yet", () => {
  it.live("a server waits for its database instead of ending", () =>
    Effect.gen(function* () {
      const waited = yield* Effect.timeoutOption(awaitFit(Redacted.make("postgres://x:x@127.0.0.1:1/x")), "700 millis")
      expect(waited._tag).toBe("None")
      yield* Effect.flatMap(TestDatabase.TestDatabase, ({ url }) => awaitFit(url)).pipe(
        Effect.provide(TestDatabase.layer)
      )
    })
  )
})
