/**
 * Migrations: SQL made from declarations, kept in `migrations/`, and applied once each.
 *
 * - `generate` compares declarations with what was declared before and says which files are missing. Columns can be
 *   added; to remove or change one is refused, since rows and messages on their way have it.
 * - `migrate` applies what is missing, in order of name, each in a transaction of its own, under a lock that lets several
 *   servers start at once. A file that was changed after it was applied is an error, never passed over.
 *
 * It knows no way back: a migration is undone by another one.
 */
import { createHash } from "node:crypto"
import * as fs from "node:fs/promises"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Effect, Result, Schema } from "effect"
import type { Exporter } from "../../plugins/Exporter.ts"
import { answering } from "../postgres/Database.ts"
import { rollupDdl } from "../rollups/RollupTables.ts"
import type { DatabaseUnavailable } from "./DatabaseUnavailable.ts"
import { DeclaredTable, declaredTable, refusal } from "./Declared.ts"
import { distribute, distributionState, isToBeDistributed } from "./Distribution.ts"
import { statements } from "./SqlScript.ts"
import { addColumnsSql, coreSql, createTableSql } from "./Tables.ts"

export interface Migration {
  /** `0002_disk_exporter`: the file's name without `.sql`. Its order. */
  readonly name: string
  readonly sql: string
}

/** The migrations that exist, and the declarations that they were made from (`migrations/declared.json`). */
export interface Declared {
  readonly migrations: ReadonlyArray<Migration>
  readonly tables: ReadonlyArray<DeclaredTable>
}

export const nothingDeclared: Declared = { migrations: [], tables: [] }

/** A declaration cannot become a migration: it would lose or reinterpret rows, or is not a table. */
export class DeclarationRefused extends Schema.TaggedError<DeclarationRefused>()("DeclarationRefused", {
  exporter: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `${this.exporter}: ${this.reason}`
  }
}

/** A migration was applied with another text than it has now. */
export class MigrationChanged extends Schema.TaggedError<MigrationChanged>()("MigrationChanged", {
  name: Schema.String,
  applied: Schema.String,
  found: Schema.String
}) {
  readonly retryable = false
  override get message(): string {
    return `migration ${this.name} was changed after it was applied (checksum ${this.applied}, now ${this.found}): write a new one instead`
  }
}

/** A migration does not apply. Nothing of it was kept; those before it were. */
export class MigrationFailed extends Schema.TaggedError<MigrationFailed>()("MigrationFailed", {
  name: Schema.String,
  cause: Schema.Defect()
}) {
  readonly retryable = false
  override get message(): string {
    return `migration ${this.name}: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
  }
}

export interface Migrated {
  /** Names of those that were applied now. */
  readonly applied: ReadonlyArray<string>
  readonly alreadyApplied: number
  /** Applied once, but not among ours: the database has met a newer version, or a plugin that is gone. */
  readonly unknown: ReadonlyArray<string>
  /** Tables whose rows were distributed now (`Distribution.ts`). */
  readonly distributed: ReadonlyArray<string>
}

// -- from declarations to SQL

/** What has to be added to `existing` so that it fits the exporters. Pure. Exporters that are gone keep their tables. */
export const generate = (
  exporters: ReadonlyArray<Exporter>,
  existing: Declared = nothingDeclared
): Result.Result<{ readonly added: ReadonlyArray<Migration>; readonly declared: Declared }, DeclarationRefused> => {
  const added: Array<Migration> = []
  const tables = [...existing.tables]
  const add = (name: string, sql: string) => {
    const number = existing.migrations.length + added.length + 1
    added.push({ name: `${String(number).padStart(4, "0")}_${name}`, sql })
  }
  if (existing.migrations.length === 0) add("core", coreSql)
  for (const exporter of exporters) {
    const declared = declaredTable(exporter)
    const before = tables.findIndex((table) => table.exporter === declared.exporter)
    const refused = refusal(declared, tables, tables[before])
    if (refused !== undefined) {
      return Result.fail(new DeclarationRefused({ exporter: exporter.name, reason: refused }))
    }
    if (before === -1) {
      add(declared.exporter, `${createTableSql(declared)}${rollupDdl(declared)}`)
      tables.push(declared)
      continue
    }
    const columns = declared.columns.slice(tables[before]!.columns.length)
    if (columns.length > 0) {
      const name = `${declared.exporter}_${columns.map((column) => column.name).join("_")}`
      add(name.slice(0, 80), addColumnsSql(declared, columns))
    }
    tables[before] = declared
  }
  return Result.succeed({ added, declared: { migrations: [...existing.migrations, ...added], tables } })
}

// -- files

const DeclaredFile = Schema.fromJsonString(Schema.Array(DeclaredTable))

const decodeDeclared = Schema.decodeUnknownSync(DeclaredFile)

/** Reads a migrations folder; an empty or missing one is `nothingDeclared`. Fails with a defect where it is broken. */
export const readFolder = (folder: string): Effect.Effect<Declared> =>
  Effect.promise(async () => {
    const files = await fs.readdir(folder).catch((): Array<string> => [])
    const names = files.filter((file) => /^\d{4}_[a-z0-9_]+\.sql$/.test(file)).sort()
    const migrations = await Promise.all(
      names.map(async (file) => ({ name: file.slice(0, -4), sql: await fs.readFile(join(folder, file), "utf8") }))
    )
    const tables = files.includes("declared.json")
      ? decodeDeclared(await fs.readFile(join(folder, "declared.json"), "utf8"))
      : []
    return { migrations, tables }
  })

/** Writes what `generate` added. */
export const writeFolder = (
  folder: string,
  generated: { readonly added: ReadonlyArray<Migration>; readonly declared: Declared }
) =>
  Effect.promise(async () => {
    await fs.mkdir(folder, { recursive: true })
    for (const migration of generated.added) {
      await fs.writeFile(join(folder, `${migration.name}.sql`), migration.sql, { flag: "wx" })
    }
    await fs.writeFile(join(folder, "declared.json"), `${JSON.stringify(generated.declared.tables, null, 2)}\n`)
  })

// -- applying

/** Any number that nobody else takes: servers that start together wait for each other here. */
export const MIGRATION_LOCK = 7_246_001

const oneAtATime = (sql: PgClient.PgClient) => sql`select pg_advisory_xact_lock(${MIGRATION_LOCK}::int8)`

/** Applies those that the database has not seen. See the head of this file. */
export const migrate = Effect.fn("Migrations.migrate")(function* (
  migrations: ReadonlyArray<Migration>
): Effect.fn.Return<Migrated, MigrationChanged | MigrationFailed | DatabaseUnavailable, PgClient.PgClient> {
  const sql = yield* PgClient.PgClient
  const ordered = [...migrations].sort((a, b) => (a.name < b.name ? -1 : 1))
  const result = yield* Effect.gen(function* () {
    // Whoever may only read and write cannot prepare anything, and need not.
    if ((yield* isUpToDate(ordered)) && !isToBeDistributed(yield* distributionState)) {
      return { applied: [], alreadyApplied: ordered.length, unknown: [], distributed: [] } satisfies Migrated
    }
    yield* prepareTable
    const applied: Array<string> = []
    for (const migration of ordered) {
      if (yield* applyOne(migration)) applied.push(migration.name)
    }
    const known = yield* sql<{ readonly name: string }>`select name from admiral.migrations order by name`
    const ours = new Set(ordered.map((migration) => migration.name))
    const unknown = known.map((row) => row.name).filter((name) => !ours.has(name))
    const distributed = isToBeDistributed(yield* distributionState) ? yield* distribute(oneAtATime(sql)) : []
    return { applied, alreadyApplied: ordered.length - applied.length, unknown, distributed } satisfies Migrated
  }).pipe(answering("migrate the database"))
  if (result.applied.length > 0) yield* Effect.logInfo(`migrated: ${result.applied.join(", ")}`)
  if (result.distributed.length > 0) yield* Effect.logInfo(`distributed by server: ${result.distributed.join(", ")}`)
  if (result.unknown.length > 0) {
    yield* Effect.logWarning(`the database has migrations that are not ours: ${result.unknown.join(", ")}`)
  }
  return result
})

/** Whether exactly these have been applied, with the text that they have. */
const isUpToDate = Effect.fnUntraced(function* (ordered: ReadonlyArray<Migration>) {
  const sql = yield* PgClient.PgClient
  const [made] = yield* sql<{ readonly made: boolean }>`
    select coalesce(bool_or(has_schema_privilege(n.oid, 'USAGE') and has_table_privilege(c.oid, 'SELECT')), false) as made
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'admiral' and c.relname = 'migrations'`
  if (made?.made !== true) return false
  const applied = yield* sql<{ readonly name: string; readonly checksum: string }>`
    select name, checksum from admiral.migrations order by name`
  return (
    applied.length === ordered.length &&
    applied.every(({ checksum, name }, at) => name === ordered[at]!.name && checksum === checksumOf(ordered[at]!))
  )
})

const checksumOf = ({ sql }: Migration): string => createHash("sha256").update(sql).digest("hex")

const prepareTable = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  yield* oneAtATime(sql)
  // `if not exists` asks for the right to make one also where it is there.
  const [schema] = yield* sql`select 1 from pg_namespace where nspname = 'admiral'`
  if (schema === undefined) yield* sql`create schema admiral`
  yield* sql`create table if not exists admiral.migrations (
    name text collate "C" primary key,
    checksum text not null,
    applied_at timestamptz not null default now()
  )`
}).pipe(inTransaction)

/** Whether it was applied now; false where it had been already. The lock is held for one migration at a time. */
const applyOne = Effect.fnUntraced(function* (migration: Migration) {
  const sql = yield* PgClient.PgClient
  const checksum = checksumOf(migration)
  return yield* inTransaction(
    Effect.gen(function* () {
      yield* oneAtATime(sql)
      const [row] = yield* sql<{ readonly checksum: string }>`
        select checksum from admiral.migrations where name = ${migration.name}`
      if (row !== undefined) {
        if (row.checksum === checksum) return false
        return yield* new MigrationChanged({
          name: migration.name,
          applied: row.checksum.slice(0, 12),
          found: checksum.slice(0, 12)
        })
      }
      // Of Citus, and of no meaning elsewhere: what alters tables on several nodes goes one statement after the other.
      yield* sql`set local citus.multi_shard_modify_mode = 'sequential'`.unprepared
      for (const statement of statements(migration.sql)) {
        yield* sql.unsafe(statement).unprepared.pipe(
          Effect.catchIf(
            (error) => error.reason.isRetryable === false,
            (cause) => new MigrationFailed({ name: migration.name, cause: cause.reason.cause })
          )
        )
      }
      yield* sql`insert into admiral.migrations (name, checksum) values (${migration.name}, ${checksum})`
      return true
    })
  )
})

function inTransaction<A, E, R>(self: Effect.Effect<A, E, R>) {
  return Effect.flatMap(PgClient.PgClient, (sql) => sql.withTransaction(self))
}
