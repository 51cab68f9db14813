/**
 * What the role at run time may do in the schema of its owner: read and write rows, and nothing else. It cannot make, alter or
 * drop anything, cannot say which migrations were applied, and can only add to the audit, to the rule sets and to
 * what becomes of orders.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import { answering } from "../postgres/Database.ts"
import type { DatabaseUnavailable } from "./DatabaseUnavailable.ts"
import { MIGRATION_LOCK } from "./Migrations.ts"

/** As the owner: lets `role` read and write, also what is made later. Does nothing where that is so already. */
export const grantTo = (
  role: string,
  options: { readonly anew: boolean }
): Effect.Effect<void, DatabaseUnavailable, PgClient.PgClient> =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    yield* sql`select pg_advisory_xact_lock(${MIGRATION_LOCK}::int8)`
    const [now] = yield* sql<{ readonly owns: boolean; readonly may: boolean }>`
      select nspowner::regrole::text = quote_ident(${role}) as owns, has_schema_privilege(${role}, oid, 'USAGE') as may
      from pg_namespace where nspname = 'admiral'`
    if (now === undefined || now.owns || (now.may && !options.anew)) return
    for (const statement of grantSql(role)) yield* sql.unsafe(statement).unprepared
    yield* Effect.logInfo(`the role ${role} may read and write what NodePulse stores, and alter nothing`)
  }).pipe((self) => Effect.flatMap(PgClient.PgClient, (sql) => sql.withTransaction(self)), answering("grant rights"))

const grantSql = (role: string): ReadonlyArray<string> => {
  const name = `"${role.replaceAll('"', '""')}"`
  return [
    `grant usage on schema admiral to ${name}`,
    `grant select, insert, update, delete on all tables in schema admiral to ${name}`,
    `revoke insert, update, delete on admiral.migrations from ${name}`,
    `revoke update, delete on admiral.audit, admiral.groupings, admiral.orders from ${name}`,
    `alter default privileges in schema admiral grant select, insert, update, delete on tables to ${name}`
  ]
}
