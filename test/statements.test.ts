/**
 * The statements that read and keep numbers are committed as text, for the shipped exporters, in `docs/sql`: whoever changes
 * one sees the change in review. Each runs, and finds its rows by a key: its plan reads no table from end to end.
 *
 * `npx vitest run test/statements.test.ts -u` writes them anew.
 */

import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Result } from "effect"
import { expect } from "vitest"
import { makeRegistry, Registry } from "../src/plugins/Registry.ts"
import { exporters, statements } from "./ShippedStatements.ts"
import * as TestDatabase from "./TestDatabase.ts"

const isElsewhere = TestDatabase.leaveOut("plans of statements on one machine")

const registry = Layer.succeed(Registry, Result.getOrThrow(makeRegistry({ exporters })))

layer(TestDatabase.layerWith({ exporters }).pipe(Layer.provideMerge(registry)))(
  "each statement that is shipped",
  (it) => {
    for (const [name, text, types] of statements) {
      it.effect(`${name} is the one that was reviewed, and looks nothing up without a key`, () =>
        Effect.gen(function* () {
          yield* Effect.promise(() => expect(`${text};\n`).toMatchFileSnapshot(`../docs/sql/${name}.sql`))
          // Plans on several nodes are those of `distributed.test.ts`.
          if (isElsewhere) return
          const sql = yield* PgClient.PgClient
          const shape = yield* planOf(sql, text, types)
          assert.isFalse(
            shape.some((line) => /Seq Scan on "?\w+_(scrapes|5m|1h|1d)/.test(line)),
            shape.join("\n")
          )
        })
      )
    }
  }
)

/** The plan of a statement whose parameters are not known, with scans from end to end made dear. */
const planOf = (sql: PgClient.PgClient, text: string, types: ReadonlyArray<string>) =>
  sql.withTransaction(
    Effect.gen(function* () {
      yield* sql`set local enable_seqscan = off`.unprepared
      yield* sql`set local plan_cache_mode = force_generic_plan`.unprepared
      const list = types.length === 0 ? "" : `(${types.join(", ")})`
      yield* sql.unsafe(`prepare reviewed${list} as ${text}`).unprepared
      const nulls = types.length === 0 ? "" : `(${types.map(() => "null").join(", ")})`
      const rows = yield* sql.unsafe<{ readonly "QUERY PLAN": string }>(`explain (costs off) execute reviewed${nulls}`)
        .unprepared
      yield* sql`deallocate reviewed`.unprepared
      return rows.map((row) => row["QUERY PLAN"])
    })
  )
