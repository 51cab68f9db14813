/**
 * The servers, in PostgreSQL. Names need not be unique, ids are: `web`, `web-2`, `web-3`.
 *
 * Registering is one statement, server and token together: there is never a server that nobody can write for.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Redacted } from "effect"
import { answering, isStorableText } from "./Database.ts"
import { type Server, Servers, UnknownServer } from "./Servers.ts"
import { hashToken, newToken } from "./TokenText.ts"

interface Row {
  readonly server_id: string
  readonly name: string
  readonly created: number
}

export const layer: Layer.Layer<Servers, never, PgClient.PgClient> = Layer.effect(
  Servers,
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient

    const register = Effect.fn("Servers.register")(function* (name: string) {
      const shown = name.toWellFormed().replaceAll("\0", "").slice(0, NAME_MAX)
      const base = serverIdFor(shown)
      const token = newToken("agent")
      for (;;) {
        const taken = yield* sql<{ readonly server_id: string }>`
          select server_id from admiral.servers where server_id = ${base} or starts_with(server_id, ${`${base}-`})`
        const serverId = firstFree(base, new Set(taken.map((row) => row.server_id)))
        const [row] = yield* sql<Row>`
          with server as (
            insert into admiral.servers (server_id, name) values (${serverId}, ${shown})
            on conflict do nothing returning id, server_id, name, created_at
          ), token as (
            insert into admiral.tokens (sha256, kind, server_id, note)
            select ${hashToken(token)}, 'agent', id, 'made with the server' from server
          )
          select server_id, name, date_part('epoch', created_at) * 1000 as created from server`
        // Somebody else took the id in between: the next one.
        if (row !== undefined) return { server: fromRow(row), token: Redacted.make(token) }
      }
    }, answering("register a server"))

    const list = sql<Row>`
      select server_id, name, date_part('epoch', created_at) * 1000 as created from admiral.servers order by server_id`.pipe(
      Effect.map((rows) => rows.map(fromRow)),
      answering("list servers")
    )

    const get = Effect.fn("Servers.get")(function* (serverId: string) {
      const [row] = isStorableText(serverId)
        ? yield* sql<Row>`
            select server_id, name, date_part('epoch', created_at) * 1000 as created
            from admiral.servers where server_id = ${serverId}`
        : []
      return row === undefined ? yield* new UnknownServer({ serverId }) : fromRow(row)
    }, answering("get a server"))

    return Servers.of({ register, list, get })
  })
)

const NAME_MAX = 255
const ID_MAX = 64

/** The id that a name asks for: lower case, `[a-z0-9._-]`, at most 64 long with room for a number, never empty. */
export const serverIdFor = (name: string): string => {
  const plain = name
    .normalize("NFKD")
    .toLowerCase()
    .replaceAll(/\p{M}/gu, "")
    .replaceAll(/[^a-z0-9._-]+/g, "-")
    .slice(0, ID_MAX - "-999999".length)
    .replaceAll(/^[-._]+|[-._]+$/g, "")
  return plain === "" ? "server" : plain
}

const firstFree = (base: string, taken: ReadonlySet<string>): string => {
  if (!taken.has(base)) return base
  let number = 2
  while (taken.has(`${base}-${number}`)) number++
  return `${base}-${number}`
}

const fromRow = (row: Row): Server => ({ serverId: row.server_id, name: row.name, createdAt: Math.round(row.created) })
