/** The integers that stand for servers in the tables, as every answer about named servers begins with them. */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import { UnknownServer } from "../access/Servers.ts"
import { fromPrimary } from "../sinks/postgres/ReadReplica.ts"

/** The ids of these servers; one that is not there is an error. */
export const idsOf = Effect.fnUntraced(function* (sql: PgClient.PgClient, serverIds: ReadonlyArray<string>) {
  // A server that was added a moment ago is there, also where its rows are read from a replica.
  const rows = yield* fromPrimary(sql<{ readonly id: number; readonly server_id: string }>`
    select server.id, server.server_id from admiral.servers server where server.server_id in ${sql.in(serverIds)}`)
  const ids = new Map(rows.map((row) => [row.server_id, row.id]))
  for (const serverId of serverIds) if (!ids.has(serverId)) return yield* new UnknownServer({ serverId })
  return ids
})

/** The id of one server. */
export const idOf = (sql: PgClient.PgClient, serverId: string) =>
  Effect.map(idsOf(sql, [serverId]), (ids) => ids.get(serverId)!)
