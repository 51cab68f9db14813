/**
 * Tokens, in PostgreSQL, as their SHA-256: what is compared is a hash of what was sent, by an index, so that time tells
 * nothing about the tokens that exist.
 *
 * With each token that is made, those go that ended {@link ENDED_KEPT} ago: the list stays as long as what is in use. What became
 * of them is in the audit.
 *
 * `verify` remembers its answers (`Remembered.ts`). When a token was used last is noted at most every {@link NOTED_EVERY}.
 */
import { PgClient } from "@effect/sql-pg"
import { Clock, Duration, Effect, Layer, Option, Redacted } from "effect"
import { answering, isStorableText } from "../sinks/postgres/Database.ts"
import { CurrentAuthor } from "./Audit.ts"
import { record } from "./AuditPostgres.ts"
import { makeNetworks } from "./Networks.ts"
import { hashOf, makeRemembered } from "./Remembered.ts"
import {
  EnrolmentRefused,
  type MadeToken,
  type NewToken,
  type Principal,
  type TokenInfo,
  type TokenKind,
  Tokens,
  UnknownServer,
  UnknownToken
} from "./Servers.ts"
import { getServer, registerServer } from "./ServersPostgres.ts"
import { newToken, prefixOf } from "./TokenText.ts"

const NOTED_EVERY = Duration.minutes(5)
const NOTE_MAX = 1_000
const ENDED_KEPT = Duration.days(90)

interface Row {
  readonly id: number
  readonly kind: TokenKind
  readonly prefix: string
  readonly server_id: string | null
  readonly note: string
  readonly created_by: string
  readonly created: number
  readonly expires: number | null
  readonly used: number | null
  readonly revoked: number | null
  readonly uses_left: number | null
  readonly networks: string
}

export const layer: Layer.Layer<Tokens, never, PgClient.PgClient> = Layer.effect(
  Tokens,
  Effect.flatMap(PgClient.PgClient, (sql) => make(sql))
)

const make = Effect.fnUntraced(function* (sql: PgClient.PgClient) {
  const columns = sql`t.id, t.kind, t.prefix, s.server_id, t.note, t.created_by, date_part('epoch', t.created_at) * 1000 as created,
    date_part('epoch', t.expires_at) * 1000 as expires, date_part('epoch', t.used_at) * 1000 as used,
    date_part('epoch', t.revoked_at) * 1000 as revoked, t.uses_left, t.networks`
  const listed = sql`select ${columns} from admiral.tokens t left join admiral.servers s on s.id = t.server_id`

  /** A session or link that a token opened ends with it, and names it until it is gone itself. */
  const forgetEnded = sql`
    delete from admiral.tokens t
    where least(t.revoked_at, t.expires_at) < now() - ${Duration.toSeconds(ENDED_KEPT)}::float8 * interval '1 second'
      and not exists (select from admiral.sessions s where s.token_id = t.id)
      and not exists (select from admiral.sign_in_links l where l.token_id = t.id)`

  /** One row, with its server's number where it has one. */
  const insert = Effect.fnUntraced(function* (options: NewToken) {
    const token = newToken(options.kind)
    const serverId = "serverId" in options ? (options.serverId ?? null) : null
    const [uses, networks] = options.kind === "enrolment" ? [options.uses, options.networks.join(" ")] : [null, ""]
    if (serverId !== null && !isStorableText(serverId)) return yield* new UnknownServer({ serverId })
    const [server] =
      serverId === null
        ? []
        : yield* sql<{ readonly id: number }>`select id from admiral.servers where server_id = ${serverId}`
    if (serverId !== null && server === undefined) return yield* new UnknownServer({ serverId })
    yield* forgetEnded
    const { name } = yield* CurrentAuthor
    const [row] = yield* sql<Row>`
      with t as (
        insert into admiral.tokens (sha256, prefix, kind, server_id, note, created_by, expires_at, uses_left, networks)
        values (${hashOf(token)}, ${prefixOf(token)}, ${options.kind}, ${server?.id ?? null}::int4, ${noteOf(options.note)}, ${name},
          now() + ${options.lastsMillis ?? null}::float8 * interval '1 millisecond', ${uses}::int4, ${networks})
        returning *
      ) select ${columns} from t left join admiral.servers s on s.id = t.server_id`
    return { info: fromRow(row!), token: Redacted.make(token) } satisfies MadeToken
  })

  const create = Effect.fn("Tokens.create")(
    function* (options: NewToken) {
      const made = yield* insert(options)
      yield* record(sql, "token.create", subjectOf(made.info), describe(made.info))
      return made
    },
    (self) => sql.withTransaction(self),
    answering("create a token")
  )

  const list = sql<Row>`${listed} order by t.id`.pipe(
    Effect.map((rows) => rows.map(fromRow)),
    answering("list tokens")
  )

  const byId = Effect.fnUntraced(function* (tokenId: string) {
    const [row] = yield* sql<Row>`${listed} where t.id = ${numberOf(tokenId)}`
    return row === undefined ? yield* new UnknownToken({ tokenId }) : fromRow(row)
  })

  const revoke = Effect.fn("Tokens.revoke")(
    function* (tokenId: string) {
      const info = yield* byId(tokenId)
      if (info.revokedAt !== null) return
      yield* sql`update admiral.tokens set revoked_at = now() where id = ${numberOf(tokenId)} and revoked_at is null`
      yield* record(sql, "token.revoke", subjectOf(info), describe(info))
    },
    (self) => sql.withTransaction(self),
    answering("revoke a token"),
    Effect.tap(() => remembered.forgetAll)
  )

  const rotate = Effect.fn("Tokens.rotate")(
    function* (tokenId: string, overlapMillis: number) {
      const info = yield* byId(tokenId)
      if (info.revokedAt !== null || info.kind === "enrolment") return yield* new UnknownToken({ tokenId })
      const lasts = info.expiresAt === null ? {} : { lastsMillis: info.expiresAt - info.createdAt }
      const options = { note: info.note, ...lasts }
      const made = yield* Effect.catchTag(
        insert(
          info.kind === "agent"
            ? { kind: "agent", serverId: info.serverId ?? "", ...options }
            : { kind: info.kind, ...options }
        ),
        "UnknownServer",
        () => new UnknownToken({ tokenId })
      )
      yield* sql`
        update admiral.tokens set expires_at = least(expires_at, now() + ${overlapMillis}::float8 * interval '1 millisecond')
        where id = ${numberOf(tokenId)}`
      const overlap = Duration.format(Duration.millis(overlapMillis))
      yield* record(
        sql,
        "token.rotate",
        subjectOf(info),
        `${describe(info)}; token ${made.info.tokenId} takes over; good for ${overlap} more`
      )
      return made
    },
    (self) => sql.withTransaction(self),
    answering("rotate a token"),
    Effect.tap(() => remembered.forgetAll)
  )

  const exchange: Tokens["Service"]["exchange"] = Effect.fn("Tokens.exchange")(
    function* (token, { address, name }, serversMax) {
      const sha256 = hashOf(Redacted.value(token))
      const [row] =
        yield* sql<Row>`${listed} where t.sha256 = ${sha256} and t.kind = 'enrolment' and t.revoked_at is null
        and t.expires_at > now() and t.uses_left > 0 for update of t`
      if (row === undefined) {
        return yield* new EnrolmentRefused({ reason: "the enrolment token is unknown, used up, revoked or expired" })
      }
      const info = fromRow(row)
      if (info.networks.length > 0 && !makeNetworks(info.networks)(address ?? "")) {
        return yield* new EnrolmentRefused({
          reason: `its address (${address ?? "unknown"}) is outside the token's networks`
        })
      }
      yield* sql`update admiral.tokens set uses_left = uses_left - 1, used_at = now() where id = ${row.id}`
      const enrolled = yield* info.serverId === null
        ? registerServer(sql, name, serversMax)
        : Effect.zipWith(
            getServer(sql, info.serverId),
            insert({ kind: "agent", serverId: info.serverId, note: "enrolled" }),
            (server, { token }) => ({ server, token })
          ).pipe(Effect.catchTag("UnknownServer", Effect.die))
      yield* record(sql, "token.exchange", subjectOf(info), `for server ${enrolled.server.serverId}`)
      return enrolled
    },
    (self) => sql.withTransaction(self),
    answering("enrol a machine")
  )

  const find = Effect.fnUntraced(function* (sha256: Buffer) {
    const [row] = yield* sql<Row>`${listed} where t.sha256 = ${sha256} and t.revoked_at is null
      and (t.expires_at is null or t.expires_at > now())`
    if (row === undefined) return Option.none()
    const now = yield* Clock.currentTimeMillis
    if (row.used === null || now - row.used > Duration.toMillis(NOTED_EVERY)) yield* noteUse(row.id)
    return Option.some({ principal: principalOf(row), expiresAt: row.expires })
  }, answering("verify a token"))

  /** A database that is read-only now says nothing about the token. */
  const noteUse = (id: number) => Effect.ignore(sql`update admiral.tokens set used_at = now() where id = ${id}`)

  const remembered = yield* makeRemembered("verify a token", find)
  return Tokens.of({
    create,
    list,
    get: (tokenId) => answering("get a token")(byId(tokenId)),
    revoke,
    rotate,
    exchange,
    isKnown: (token) => remembered.isKnown(Redacted.value(token)),
    verify: (token) =>
      Effect.map(
        remembered.find(Redacted.value(token)),
        Option.map(({ principal }) => principal)
      )
  })
})

const numberOf = (tokenId: string): number => (/^\d{1,9}$/.test(tokenId) ? Number(tokenId) : 0)

const noteOf = (note = ""): string => note.toWellFormed().replaceAll("\0", "").slice(0, NOTE_MAX)

const subjectOf = ({ tokenId }: TokenInfo): string => `token ${tokenId}`

const describe = ({ expiresAt, kind, note, prefix, serverId, usesLeft }: TokenInfo): string =>
  [
    `${kind} ${prefix}…`,
    ...(serverId === null ? [] : [`for server ${serverId}`]),
    ...(usesLeft === null ? [] : [usesLeft === 1 ? "1 use" : `${usesLeft} uses`]),
    ...(expiresAt === null ? [] : [`until ${new Date(expiresAt).toISOString()}`]),
    ...(note === "" ? [] : [note])
  ].join(", ")

const principalOf = ({ id, kind, server_id }: Row): Principal =>
  kind === "agent" ? { kind, tokenId: String(id), serverId: server_id ?? "" } : { kind, tokenId: String(id) }

const moment = (millis: number | null): number | null => (millis === null ? null : Math.round(millis))

const fromRow = (row: Row): TokenInfo => ({
  tokenId: String(row.id),
  kind: row.kind,
  prefix: row.prefix,
  serverId: row.server_id,
  note: row.note,
  createdBy: row.created_by,
  createdAt: Math.round(row.created),
  expiresAt: moment(row.expires),
  usedAt: moment(row.used),
  revokedAt: moment(row.revoked),
  usesLeft: row.uses_left,
  networks: row.networks === "" ? [] : row.networks.split(" ")
})
