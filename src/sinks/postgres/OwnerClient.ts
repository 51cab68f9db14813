/**
 * The client that may alter the schema, where that is another role's than the one that reads and writes: migrations, and
 * what makes, drops and rewrites partitions use it, and nothing else does (`docs/adr/0011-an-owner-and-a-role-at-run-time.md`).
 *
 * Where there is none, the one role does both.
 */
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer } from "effect"

export const OwnerClient = Context.Reference<PgClient.PgClient | undefined>("nodepulse/sinks/OwnerClient", {
  defaultValue: () => undefined
})

/** The client for what alters the schema. */
export const alteringClient: Effect.Effect<PgClient.PgClient, never, PgClient.PgClient> = Effect.flatMap(
  OwnerClient,
  (owner) => (owner === undefined ? Effect.service(PgClient.PgClient) : Effect.succeed(owner))
)

/** The same, for a layer of which everything alters the schema. */
export const layerAltering: Layer.Layer<PgClient.PgClient, never, PgClient.PgClient> = Layer.effect(
  PgClient.PgClient,
  alteringClient
)
