/**
 * The roles of an embedded PostgreSQL: one that owns the schema, for migrations and partitions, and one at run time that reads
 * and writes rows (`src/sinks/storage/Grants.ts`). Neither is a superuser; nobody signs in as the superuser but this module.
 *
 * Their passwords follow from the one that is kept: whoever knows a role's does not know the superuser's.
 */
import { createHmac } from "node:crypto"
import { PgClient } from "@effect/sql-pg"
import { Effect, type Redacted } from "effect"
import * as Database from "../Database.ts"
import { EmbeddedPostgresUnusable } from "./PostgresPlace.ts"

export const OWNER = "nodepulse_owner"
export const RUNTIME = "nodepulse_runtime"

/** Addresses, as each of the roles. */
export interface EmbeddedRoles {
  readonly owner: Redacted.Redacted<string>
  readonly runtime: Redacted.Redacted<string>
}

export const passwordOf = (password: string, role: string): string =>
  createHmac("sha256", password).update(role).digest("base64url")

/** Makes the roles, or gives them what they should have. */
export const ensureRoles = (
  url: Redacted.Redacted<string>,
  password: string
): Effect.Effect<void, EmbeddedPostgresUnusable> =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    const roles = yield* sql<{ readonly name: string }>`select rolname::text as name from pg_roles`
    for (const role of [OWNER, RUNTIME]) {
      const verb = roles.some(({ name }) => name === role) ? "alter" : "create"
      const rights = "login nosuperuser nocreatedb nocreaterole noreplication nobypassrls"
      yield* sql.unsafe(`${verb} role ${role} ${rights} password '${passwordOf(password, role)}'`).unprepared
    }
    yield* sql.unsafe(`grant create on database postgres to ${OWNER}`).unprepared
  }).pipe(
    Effect.provide(Database.layer({ url, maxConnections: 1 })),
    Effect.mapError(
      (cause) => new EmbeddedPostgresUnusable({ reason: `its roles cannot be made: ${cause.message}`, cause })
    )
  )
