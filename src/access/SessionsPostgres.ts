/** Sessions and sign-in links, in PostgreSQL: good on every process that has the same database. */
import { PgClient } from "@effect/sql-pg"
import { Clock, Duration, Effect, Layer, Option } from "effect"
import { answering } from "../sinks/postgres/Database.ts"
import { record } from "./AuditPostgres.ts"
import type { Role } from "./Servers.ts"
import {
  LINKS_MAX,
  makeSessions,
  SESSIONS_MAX,
  type SessionInfo,
  type SessionStore,
  Sessions,
  type SignInBy,
  UnknownSession
} from "./Sessions.ts"

const NOTED_EVERY = Duration.minutes(5)
const TEXT_MAX = 200
/** The first of two keys; the second is the principal. */
const PRINCIPAL_LOCK = 7_246_004

export const layer: Layer.Layer<Sessions, never, PgClient.PgClient> = Layer.effect(
  Sessions,
  Effect.flatMap(PgClient.PgClient, (sql) => makeSessions(storeIn(sql)))
)

interface Row {
  readonly id: number
  readonly role: Role
  readonly principal: string
  readonly name: string
  readonly token_id: number | null
  readonly proof: Buffer | null
  readonly via: SignInBy
  readonly address: string | null
  readonly browser: string
  readonly created: number
  readonly used: number
  readonly expires: number
}

const storeIn = (sql: PgClient.PgClient): SessionStore => {
  const listed = sql`select s.id, s.role, s.principal, s.name, s.token_id, s.proof, s.via, s.address, s.browser,
    date_part('epoch', s.created_at) * 1000 as created, date_part('epoch', s.used_at) * 1000 as used,
    date_part('epoch', s.expires_at) * 1000 as expires
    from admiral.sessions s left join admiral.tokens t on t.id = s.token_id
    where s.expires_at > now() and (s.token_id is null or t.revoked_at is null and (t.expires_at is null or t.expires_at > now()))`

  /** A database that is read-only now says nothing about the session. */
  const noteUse = (id: number) => Effect.ignore(sql`update admiral.sessions set used_at = now() where id = ${id}`)

  /** Until the transaction ends: those that add at once would not see each other, and pass the bound together. */
  const oneAtATime = (principal: string) => sql`select pg_advisory_xact_lock(${PRINCIPAL_LOCK}, hashtext(${principal}))`

  return {
    addLink: Effect.fnUntraced(
      function* (sha256, { name, principal, role, tokenId }, lastsMillis) {
        yield* oneAtATime(principal)
        yield* sql`delete from admiral.sign_in_links where expires_at < now()`
        yield* sql`
          insert into admiral.sign_in_links (sha256, role, principal, name, token_id, expires_at)
          values (${sha256}, ${role}, ${principal}, ${text(name)}, ${numberOf(tokenId)}::int4, now() + ${lastsMillis}::float8 * interval '1 millisecond')`
        yield* sql`
          delete from admiral.sign_in_links where principal = ${principal} and sha256 in (
            select sha256 from admiral.sign_in_links where principal = ${principal}
            order by created_at desc, sha256 offset ${LINKS_MAX}::int4)`
        yield* record(sql, "link.create", `sign-in link for ${called({ name, principal })}`, role)
      },
      (self) => sql.withTransaction(self),
      answering("make a sign-in link")
    ),
    takeLink: Effect.fnUntraced(function* (sha256) {
      const [row] = yield* sql<Pick<Row, "role" | "principal" | "name" | "token_id"> & { readonly good: boolean }>`
        delete from admiral.sign_in_links where sha256 = ${sha256}
        returning role, principal, name, token_id, expires_at > now() as good`
      if (row?.good !== true) return Option.none()
      const { name, principal, role } = row
      return Option.some({ role, principal, name, tokenId: textOf(row.token_id) })
    }, answering("open a sign-in link")),
    add: Effect.fnUntraced(
      function* (sha256, { name, principal, proof, role, tokenId }, { address, browser, via }, lastsMillis) {
        yield* oneAtATime(principal)
        yield* sql`delete from admiral.sessions where expires_at < now()`
        const [row] = yield* sql<{ readonly id: number }>`
          insert into admiral.sessions (sha256, role, principal, name, token_id, proof, via, address, browser, expires_at)
          values (${sha256}, ${role}, ${principal}, ${text(name)}, ${numberOf(tokenId)}::int4, ${proof}::bytea,
            ${via}, ${address}::text, ${text(browser)},
            now() + ${lastsMillis}::float8 * interval '1 millisecond') returning id`
        yield* sql`
          delete from admiral.sessions where principal = ${principal} and id in (
            select id from admiral.sessions where principal = ${principal} order by id desc offset ${SESSIONS_MAX}::int4)`
        yield* record(sql, "session.open", `session ${row!.id}`, `${called({ name, principal })}, ${role}, by ${via}`)
      },
      (self) => sql.withTransaction(self),
      answering("open a session")
    ),
    find: Effect.fnUntraced(function* (sha256) {
      const [row] = yield* sql<Row>`${listed} and s.sha256 = ${sha256}`
      if (row === undefined) return Option.none()
      const now = yield* Clock.currentTimeMillis
      if (now - row.used > Duration.toMillis(NOTED_EVERY)) yield* noteUse(row.id)
      const { expiresAt, name, principal, role, sessionId, tokenId } = fromRow(row)
      return Option.some({
        sessionId,
        principal,
        name,
        role,
        tokenId,
        expiresAt,
        proof: row.proof === null ? null : Buffer.from(row.proof)
      })
    }, answering("find a session")),
    close: Effect.fnUntraced(
      function* (sha256) {
        const [row] = yield* sql<{ readonly id: number; readonly principal: string }>`
          delete from admiral.sessions where sha256 = ${sha256} returning id, principal`
        if (row !== undefined) yield* record(sql, "session.close", `session ${row.id}`, row.principal)
      },
      (self) => sql.withTransaction(self),
      answering("close a session")
    ),
    list: sql<Row>`${listed} order by s.id`.pipe(
      Effect.map((rows) => rows.map(fromRow)),
      answering("list sessions")
    ),
    revoke: Effect.fnUntraced(
      function* (sessionId) {
        const id = /^\d{1,9}$/.test(sessionId) ? Number(sessionId) : 0
        const [row] = yield* sql<{ readonly principal: string }>`
          delete from admiral.sessions where id = ${id} returning principal`
        if (row === undefined) return yield* new UnknownSession({ sessionId })
        yield* record(sql, "session.revoke", `session ${sessionId}`, row.principal)
      },
      (self) => sql.withTransaction(self),
      answering("revoke a session")
    ),
    revokeAll: Effect.fnUntraced(
      function* (principal, role) {
        yield* oneAtATime(principal)
        const ofRole = role ?? null
        yield* sql`delete from admiral.sign_in_links
          where principal = ${principal} and (${ofRole}::text is null or role = ${ofRole}::text)`
        const ended = yield* sql`delete from admiral.sessions
          where principal = ${principal} and (${ofRole}::text is null or role = ${ofRole}::text) returning id`
        yield* record(sql, "session.revoke-all", `sessions of ${principal}`, String(ended.length))
        return ended.length
      },
      (self) => sql.withTransaction(self),
      answering("revoke sessions")
    )
  }
}

const text = (given: string): string => given.toWellFormed().replaceAll("\0", "").slice(0, TEXT_MAX)

/** Whom the audit names: the principal, and what they are called where that is known. */
const called = ({ name, principal }: { readonly name: string; readonly principal: string }): string =>
  name === "" || principal.endsWith(name) ? principal : `${principal} (${text(name)})`

const numberOf = (tokenId: string | null): number | null => (tokenId === null ? null : Number(tokenId))
const textOf = (tokenId: number | null): string | null => (tokenId === null ? null : String(tokenId))

const fromRow = (row: Row): SessionInfo => ({
  sessionId: String(row.id),
  role: row.role,
  principal: row.principal,
  name: row.name,
  tokenId: textOf(row.token_id),
  via: row.via,
  address: row.address,
  browser: row.browser,
  createdAt: Math.round(row.created),
  usedAt: Math.round(row.used),
  expiresAt: Math.round(row.expires)
})
