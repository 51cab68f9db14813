/**
 * Where rows are distributed by server (Citus): every statement that is shipped can be asked there, those about one server go to one
 * shard, and those about many are fanned out once. Runs where NODEPULSE_TEST_DATABASE_URL names a coordinator.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Result } from "effect"
import { distribute, distributionState, isToBeDistributed, requireCitus } from "../src/sinks/storage/Distribution.ts"
import { exporters, statements } from "./ShippedStatements.ts"
import * as TestDatabase from "./TestDatabase.ts"

if (!TestDatabase.isDistributed)
  process.stdout.write("left out: rows distributed by server, because this PostgreSQL has no Citus\n")

/** A value of each type. */
const VALUES: Readonly<Record<string, string>> = {
  int4: "1",
  int8: "1",
  float8: "10",
  bool: "true",
  json: "'[]'",
  jsonb: "'{}'",
  date: "'2025-11-22'",
  text: "'1'",
  timestamptz: "'2025-11-22 12:00+00'",
  bytea: "''",
  "int4[]": "'{1,2}'",
  "integer[]": "'{1,2}'",
  "int8[]": "'{1,2}'",
  "bigint[]": "'{1,2}'",
  "float8[]": "'{1,2}'",
  "double precision[]": "'{1,2}'",
  "text[]": "'{a,b}'",
  "bytea[]": "'{a,b}'",
  "timestamptz[]": "'{2025-11-22 12:00+00,2025-11-22 13:00+00}'"
}

/** Where a statement goes: how many tasks each of its parts has, the subplans that come first before it. None where it is local. */
const tasksOf = Effect.fnUntraced(function* (statement: string, text: string, types: ReadonlyArray<string>) {
  const name = `"${statement}"`
  const sql = yield* PgClient.PgClient
  // As the program's connections have it there.
  const [mode] = yield* sql<{ readonly mode: string }>`select current_setting('plan_cache_mode') as mode`
  assert.strictEqual(mode!.mode, "auto")
  return yield* sql.withTransaction(
    Effect.gen(function* () {
      const list = types.length === 0 ? "" : `(${types.join(", ")})`
      const values = types.map((type) => VALUES[type] ?? assert.fail(`no value of type ${type}`))
      yield* sql.unsafe(`prepare ${name}${list} as ${text}`).unprepared
      const rows = yield* sql.unsafe<{ readonly "QUERY PLAN": string }>(
        `explain (costs off) execute ${name}${values.length === 0 ? "" : `(${values.join(", ")})`}`
      ).unprepared
      yield* sql.unsafe(`deallocate ${name}`).unprepared
      const plan = rows.map((row) => row["QUERY PLAN"]).join("\n")
      return { plan, tasks: [...plan.matchAll(/Task Count: (\d+)/g)].map(([, count]) => Number(count)) }
    })
  )
})

/** About one server, as its text says. */
const isOfOneServer = (text: string) => /\bserver_id = \$\d/.test(text) || /^insert into .*\nvalues \(\$1/s.test(text)
/** Of tables that are not distributed. */
const isLocal = (text: string) =>
  !/admiral\."?\w+_(scrapes|packed|first_seen|5m|1h|1d|rows_apart)\b|admiral\.(rollup_queue|packing_queue|server_ids)\b/.test(
    text
  )

layer(TestDatabase.layer)("`nodepulse migrate --distributed`", (it) => {
  it.effect(
    `${TestDatabase.isDistributed ? "finds Citus" : "says what is missing where there is no Citus"}, and which rows are distributed`,
    () =>
      Effect.gen(function* () {
        const asked = yield* Effect.result(requireCitus)
        const state = yield* distributionState
        assert.strictEqual(Result.isSuccess(asked), TestDatabase.isDistributed)
        assert.strictEqual(state.isDistributed, TestDatabase.isDistributed)
        assert.isFalse(isToBeDistributed(state))
        if (Result.isFailure(asked))
          assert.match(asked.failure.message, /database test_\w+ has no Citus; .*create extension citus/)
      })
  )
})

describe.skipIf(!TestDatabase.isDistributed)("where rows are distributed by server", () => {
  layer(TestDatabase.layerWith({ exporters }))((it) => {
    for (const [name, text, types] of statements) {
      const where = isLocal(text) ? "stays on the coordinator" : isOfOneServer(text) ? "goes to one shard" : "fans out"
      it.effect(`${name} ${where}`, () =>
        Effect.gen(function* () {
          const { plan, tasks } = yield* tasksOf(name, text, types)
          if (where === "stays on the coordinator") return assert.deepEqual(tasks, [], plan)
          // Of what is inserted from arrays, the plan tells the shards of what is read, if anything.
          if (where === "goes to one shard")
            return assert.isTrue(
              tasks.every((count) => count === 1),
              plan
            )
          assert.isAtMost(tasks.filter((count) => count > 1).length, 2, plan)
        })
      )
    }

    for (const { table } of exporters) {
      const name = `${table.name}_between`
      it.effect(`${name} asks one shard for rows`, () =>
        Effect.gen(function* () {
          const sql = yield* PgClient.PgClient
          const [made] = yield* sql<{ readonly text: string }>`
            select substring(prosrc from 'return query(.*);') as text from pg_proc where proname = ${name}`
          const text = made!.text.replaceAll("server_asked", "$1")
          const { plan, tasks } = yield* tasksOf(name, text, ["int4", "timestamptz", "timestamptz"])
          assert.isAtLeast(tasks.length, 2, plan)
          assert.isTrue(
            tasks.every((count) => count === 1),
            plan
          )
        })
      )
    }

    it.effect("rows that are there already are moved, and leave nothing behind on the coordinator", () =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const tables = ["process_snapshots_5m", "rollup_queue"]
        const rows = sql`
          select 'queue ' || server_id || ' ' || bucket as row from admiral.rollup_queue
          union all select 'bucket ' || server_id || ' ' || bucket from admiral.process_snapshots_5m order by 1`
        for (const table of tables) yield* sql`select undistribute_table(${`admiral.${table}`}::text::regclass)`
        yield* sql.unsafe(
          "create table admiral.process_snapshots_5m_20251122 partition of admiral.process_snapshots_5m for values from ('2025-11-22 00:00:00+00') to ('2025-11-23 00:00:00+00')"
        ).unprepared
        yield* sql`insert into admiral.rollup_queue (server_id, seconds, bucket)
          select n, 0, timestamptz '2025-11-22 12:00+00' from generate_series(1, 300) as n`
        yield* sql`insert into admiral.process_snapshots_5m (server_id, bucket, covered, host_busy, host_seconds, scrapes, host_unknown, groups)
          select n, timestamptz '2025-11-22 12:00+00', 1, 0, 0, 1, 0, '' from generate_series(1, 300) as n`
        const before = yield* rows
        assert.deepStrictEqual((yield* distributionState).left, ["process_snapshots_5m", "rollup_queue"])
        assert.deepStrictEqual(yield* distribute(Effect.void), ["process_snapshots_5m", "rollup_queue"])
        assert.deepStrictEqual(yield* rows, before)
        assert.strictEqual(before.length, 600)
        const [left] = yield* sql<{ readonly bytes: number }>`
          select sum(pg_relation_size(oid))::int4 as bytes from pg_class
          where relnamespace = 'admiral'::regnamespace and relname in ('rollup_queue', 'process_snapshots_5m_20251122')`
        assert.strictEqual(left!.bytes, 0)
      })
    )

    it.effect("every table can be moved to another node while it is written to", () =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const unmovable = yield* sql`
          select relation.relname::text as name from pg_dist_partition as known join pg_class as relation on relation.oid = known.logicalrelid
          where relation.relreplident <> 'f' and not exists (
            select from pg_index as index where index.indrelid = relation.oid and index.indisprimary
          )`
        assert.deepStrictEqual(unmovable, [])
      })
    )

    it.effect("all rows of a server lie on one node", () =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const [found] = yield* sql<{ readonly groups: number; readonly tables: number; readonly shards: number }>`
          select count(distinct colocationid)::int4 as groups, count(*)::int4 as tables,
            (select count(distinct shard_count)::int4 from citus_tables) as shards from pg_dist_partition`
        assert.strictEqual(found!.groups, 1)
        assert.strictEqual(found!.shards, 1)
        assert.isAbove(found!.tables, 20)
      })
    )
  })
})
