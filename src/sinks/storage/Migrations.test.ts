import { fileURLToPath } from "node:url"
import { PgClient } from "@effect/sql-pg"
import { describe, expect, it, layer } from "@effect/vitest"
import { Effect, Result } from "effect"
import config from "../../../plugins.config.ts"
import * as TestDatabase from "../../../test/TestDatabase.ts"
import { type Columns, counter, gauge, label } from "../../plugins/Column.ts"
import { defineExporter } from "../../plugins/Exporter.ts"
import { CORE_TABLES } from "../../plugins/Names.ts"
import { Registry } from "../../plugins/Registry.ts"
import { type Declared, generate, migrate, readFolder } from "./Migrations.ts"
import { SnapshotRows } from "./SnapshotRows.ts"
import * as SnapshotRowsPostgres from "./SnapshotRowsPostgres.ts"

const folder = fileURLToPath(new URL("../../../migrations/", import.meta.url))

const exporter = (columns: Columns, over: { readonly name?: string; readonly table?: string } = {}) =>
  defineExporter({
    name: over.name ?? "test_exporter",
    title: "Test",
    scrape: { endpoint: "http://127.0.0.1:1/metrics", interval: "15 seconds", timeout: "5 seconds" },
    table: { name: over.table ?? "test_snapshots", retention: "7 days", columns },
    parse: () => Result.succeed({ rows: [], skipped: [], countersSince: null })
  })()

const base = { name: label({ doc: "A name." }), total: counter({ doc: "A total." }) }
const generated = (columns: Columns, existing?: Declared) => Result.getOrThrow(generate([exporter(columns)], existing))
const refusal = (columns: Columns, existing?: Declared, over?: { readonly name?: string; readonly table?: string }) =>
  Result.match(generate([exporter(columns, over)], existing), {
    onSuccess: () => "accepted",
    onFailure: (error) => error.message
  })

describe("the committed migrations", () => {
  it.effect("fit the declarations: after a change, run `npm run migrations`", () =>
    Effect.gen(function* () {
      const committed = yield* readFolder(folder)
      const { added, declared } = Result.getOrThrow(generate(config.exporters, committed))
      expect(added).toEqual([])
      expect(declared.tables).toEqual(committed.tables)
    })
  )

  it.effect("are what the generator makes of the declarations, as long as nothing was added by hand", () =>
    Effect.gen(function* () {
      const committed = yield* readFolder(folder)
      const names = committed.migrations.map((migration) => migration.name)
      expect(names).toEqual([...names].sort())
      expect(new Set(names.map((name) => name.slice(0, 4))).size).toBe(names.length)
    })
  )
})

describe("a changed declaration", () => {
  const existing = generated(base).declared

  it("that has not changed needs nothing", () => {
    expect(generated(base, existing).added).toEqual([])
  })

  it("gets a migration for a column that was appended", () => {
    const { added, declared } = generated(
      { ...base, more: gauge({ type: "bigint", nullable: true, doc: "More." }) },
      existing
    )
    expect(added.map((migration) => migration.name)).toEqual(["0003_test_exporter_more"])
    expect(added[0]!.sql).toContain('alter table admiral.test_snapshots_scrapes add column "more" bigint[];')
    expect(declared.migrations.length).toBe(3)
  })

  it("is refused, with the column and the reason, where rows would be lost or read as something else", () => {
    const { name, total } = base
    expect(refusal({ name }, existing)).toMatch(/"total" was number 2 and now is missing/)
    expect(refusal({ total, name }, existing)).toMatch(/"name" was number 1 and now "total" is/)
    expect(refusal({ name, total: gauge({ doc: "" }) }, existing)).toMatch(/"total": kind was counter/)
    expect(refusal({ name, total: counter({ type: "integer", doc: "" }) }, existing)).toMatch(
      /"total": type was double/
    )
    expect(refusal({ name, total: counter({ nullable: true, doc: "" }) }, existing)).toMatch(
      /"total": nullable was false/
    )
    expect(refusal({ ...base, more: label({ doc: "" }) }, existing)).toMatch(/"more": a label cannot be added/)
    expect(refusal({ ...base, more: gauge({ doc: "" }) }, existing)).toMatch(/"more": an added column must be nullable/)
    expect(refusal(base, existing, { table: "renamed" })).toMatch(/cannot be renamed/)
    expect(refusal(base, existing, { name: "other_exporter" })).toMatch(/belongs to test_exporter/)
  })

  it("is refused where a name would not do in SQL", () => {
    expect(refusal({ 'a"; drop table x; --': gauge({ doc: "" }) })).toMatch(/is not \[a-z\]/)
    expect(refusal({ timestamp: gauge({ doc: "" }) })).toMatch(/one that every table has/)
    expect(refusal({ ctid: gauge({ doc: "" }) })).toMatch(/one that every table has/)
    expect(refusal(base, undefined, { table: "servers" })).toMatch(/one of NodePulse's own/)
    expect(refusal(base, undefined, { table: "Bad" })).toMatch(/is not \[a-z\]/)
  })
})

layer(TestDatabase.layerWith({ migrated: false }))("migrating", (it) => {
  it.effect("make no table of the core that an exporter's could be called like", () =>
    Effect.gen(function* () {
      const { migrations } = yield* readFolder(folder)
      const core = migrations.find(({ name }) => name.endsWith("_core"))!
      const made = [...core.sql.matchAll(/^create table admiral\.(\w+)/gm)].map(([, name]) => name)
      expect(made.length).toBeGreaterThan(4)
      expect(made.filter((name) => !CORE_TABLES.includes(name!))).toEqual([])
    })
  )

  it.effect("applies each migration once, however many servers start at the same time", () =>
    Effect.gen(function* () {
      const { migrations } = yield* readFolder(folder)
      const results = yield* Effect.all([migrate(migrations), migrate(migrations), migrate(migrations)], {
        concurrency: "unbounded"
      })
      expect(results.flatMap((result) => result.applied).sort()).toEqual(migrations.map(({ name }) => name))
      expect(yield* migrate(migrations)).toEqual({
        applied: [],
        alreadyApplied: migrations.length,
        unknown: [],
        distributed: []
      })
    })
  )

  it.effect("gives each view the declared names and types in the declared order, and says what they mean", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const types = { label: "text", double: "double precision", integer: "integer", bigint: "bigint" } as const
      for (const { table } of config.exporters) {
        const columns = yield* sql<{ readonly text: string; readonly doc: string | null }>`
          select column_name || ' ' || data_type as text,
            col_description(('admiral.' || table_name)::regclass, ordinal_position) as doc
          from information_schema.columns
          where table_schema = 'admiral' and table_name = ${table.name} order by ordinal_position`
        const declared = Object.entries(table.columns)
        expect(columns.map(({ text }) => text)).toEqual([
          "server_id text",
          "timestamp timestamp with time zone",
          ...declared.map(([name, column]) => `${name} ${types[column.kind === "label" ? "label" : column.type]}`),
          "created_at timestamp with time zone",
          "counters_since timestamp with time zone"
        ])
        expect(columns.slice(2, -2).every(({ doc }, index) => doc?.startsWith(declared[index]![1].doc))).toBe(true)
      }
    })
  )

  it.effect("refuses a migration that was changed after it was applied", () =>
    Effect.gen(function* () {
      const { migrations } = yield* readFolder(folder)
      const changed = migrations.map((migration, n) =>
        n === 1 ? { ...migration, sql: `${migration.sql}\n--` } : migration
      )
      const error = yield* Effect.flip(migrate(changed))
      expect(error._tag).toBe("MigrationChanged")
      expect(error.message).toContain(migrations[1]!.name)
    })
  )

  it.effect("keeps nothing of a migration that fails, and applies it once it is mended", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const broken = {
        name: "9001_broken",
        sql: "create table admiral.half (a int); select * from admiral.no_such_table"
      }
      const error = yield* Effect.flip(migrate([broken]))
      expect(error._tag).toBe("MigrationFailed")
      expect(error.message).toMatch(/9001_broken: .*no_such_table/)
      expect(yield* sql`select to_regclass('admiral.half')::text as found`).toEqual([{ found: null }])
      const mended = { ...broken, sql: "create table admiral.half (a int)" }
      expect((yield* migrate([mended])).applied).toEqual(["9001_broken"])
    })
  )

  it.effect("applies one that is older than what was applied, and names those it does not know", () =>
    Effect.gen(function* () {
      const late = { name: "0000_late", sql: "create table admiral.late (a int)" }
      const result = yield* migrate([late])
      expect(result.applied).toEqual(["0000_late"])
      expect(result.unknown).toContain("0001_core")
    })
  )

  it.effect("adds a column to a table that holds rows, and reads both kinds of rows", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const core = Result.getOrThrow(generate(config.exporters)).declared
      const first = generated(base, core)
      const wider = { ...base, more: gauge({ type: "bigint", nullable: true, doc: "More." }) }
      const second = generated(wider, first.declared)
      yield* migrate(first.added)
      yield* sql`insert into admiral.servers (server_id, name) values ('one', 'one')`
      const row = (timestamp: number, values: ReadonlyArray<string | number | null>) => ({
        exporter: "test_exporter",
        serverId: "one",
        timestamp,
        countersSince: null,
        values
      })
      const insert = (columns: Columns, timestamp: number, values: ReadonlyArray<string | number | null>) =>
        Effect.flatMap(SnapshotRows, (rows) => rows.insert("test_exporter", [row(timestamp, values)])).pipe(
          Effect.provide(SnapshotRowsPostgres.layer),
          Effect.provide(Registry.layer({ exporters: [exporter(columns)] }))
        )
      yield* insert(base, 1_000_000, ["a", 1])
      yield* migrate(second.added)
      yield* insert(base, 2_000_000, ["a", 2])
      yield* insert(wider, 3_000_000, ["a", 3, 7])
      expect(yield* sql`select name, total, more::int4 as more from admiral.test_snapshots order by timestamp`).toEqual(
        [
          { name: "a", total: 1, more: null },
          { name: "a", total: 2, more: null },
          { name: "a", total: 3, more: 7 }
        ]
      )
    })
  )
})
