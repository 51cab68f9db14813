/**
 * The servers, in PostgreSQL. Names need not be unique, ids are: `web`, `web-2`, `web-3`.
 *
 * Registering is one transaction, server, token and audit together: there is never a server that nobody can write for. One
 * after the other does it, on whatever process, so that ids stay unique and the bound on servers holds.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Redacted } from "effect"
import { answering, isStorableText } from "../sinks/postgres/Database.ts"
import { CurrentAuthor } from "./Audit.ts"
import { record } from "./AuditPostgres.ts"
import { hashOf } from "./Remembered.ts"
import { type Server, Servers, ServersFull, UnknownServer } from "./Servers.ts"
import { newToken, prefixOf } from "./TokenText.ts"

interface Row {
  readonly server_id: string
  readonly name: string
  readonly created: number
}

export const layer: Layer.Layer<Servers, never, PgClient.PgClient> = Layer.effect(
  Servers,
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient

    const register = Effect.fn("Servers.register")(function* (name: string, most = UNBOUNDED) {
      return yield* sql.withTransaction(registerServer(sql, name, most))
    }, answering("register a server"))

    const list = sql<Row>`
      select server_id, name, date_part('epoch', created_at) * 1000 as created from admiral.servers order by server_id`.pipe(
      Effect.map((rows) => rows.map(fromRow)),
      answering("list servers")
    )

    const get = Effect.fn("Servers.get")((serverId: string) => getServer(sql, serverId), answering("get a server"))

    return Servers.of({ register, list, get })
  })
)

/** In the caller's transaction. */
export const registerServer = Effect.fnUntraced(function* (sql: PgClient.PgClient, name: string, most: number) {
  const shown = name.toWellFormed().replaceAll("\0", "").slice(0, NAME_MAX)
  const base = serverIdFor(shown)
  const token = newToken("agent")
  yield* sql`select pg_advisory_xact_lock(${REGISTER_LOCK}::int8)`
  const [known] = yield* sql<{ readonly servers: number }>`select count(*)::int4 as servers from admiral.servers`
  if (known!.servers >= most) return yield* new ServersFull({ most })
  const taken = yield* sql<{ readonly server_id: string }>`
    select server_id from admiral.servers where server_id = ${base} or starts_with(server_id, ${`${base}-`})`
  const serverId = firstFree(base, new Set(taken.map((row) => row.server_id)))
  const { name: author } = yield* CurrentAuthor
  const [row] = yield* sql<Row>`
    with server as (
      insert into admiral.servers (server_id, name) values (${serverId}, ${shown}) returning id, server_id, name, created_at
    ), token as (
      insert into admiral.tokens (sha256, prefix, kind, server_id, note, created_by)
      select ${hashOf(token)}, ${prefixOf(token)}, 'agent', id, 'made with the server', ${author} from server
    )
    select server_id, name, date_part('epoch', created_at) * 1000 as created from server`
  yield* record(sql, "server.register", `server ${serverId}`, shown)
  return { server: fromRow(row!), token: Redacted.make(token) }
})

export const getServer = Effect.fnUntraced(function* (sql: PgClient.PgClient, serverId: string) {
  const [row] = isStorableText(serverId)
    ? yield* sql<Row>`
        select server_id, name, date_part('epoch', created_at) * 1000 as created
        from admiral.servers where server_id = ${serverId}`
    : []
  return row === undefined ? yield* new UnknownServer({ serverId }) : fromRow(row)
})

/** Any number that no other advisory lock takes. */
const REGISTER_LOCK = 7_246_007
const NAME_MAX = 255
const UNBOUNDED = Number.POSITIVE_INFINITY
const ID_MAX = 64

/** The id that a name asks for: lower case, `[a-z0-9._-]`, at most 64 long with room for a number, never empty. */
export const serverIdFor = (name: string): string => {
  const text = name
    .normalize("NFKD")
    .toLowerCase()
    .replaceAll(/\p{M}/gu, "")
    .replaceAll(/[^a-z0-9._-]+/g, "-")
    .slice(0, ID_MAX - "-999999".length)
  // From the first letter or digit to the last one.
  return /[a-z0-9](?:.*[a-z0-9])?/.exec(text)?.[0] ?? "server"
}

const firstFree = (base: string, taken: ReadonlySet<string>): string => {
  if (!taken.has(base)) return base
  let number = 2
  while (taken.has(`${base}-${number}`)) number++
  return `${base}-${number}`
}

const fromRow = (row: Row): Server => ({ serverId: row.server_id, name: row.name, createdAt: Math.round(row.created) })
