import { PgClient } from "@effect/sql-pg"
import { describe, expect, layer } from "@effect/vitest"
import { Effect, Layer, Option, Redacted } from "effect"
import { TestClock } from "effect/testing"
import * as TestDatabase from "../../test/TestDatabase.ts"
import { Audit } from "./Audit.ts"
import { layer as layerAudit } from "./AuditPostgres.ts"
import { Tokens } from "./Servers.ts"
import { LINKS_MAX, SESSIONS_MAX, Sessions, type SignedIn } from "./Sessions.ts"
import { layer as layerSessions } from "./SessionsPostgres.ts"
import { layer as layerTokens } from "./TokensPostgres.ts"

const FROM = { via: "token", address: "192.0.2.1", browser: "a browser" } as const
const admin: SignedIn = { role: "admin", principal: "admin", name: "", tokenId: null }
const reader = (principal: string): SignedIn => ({ role: "read", principal, name: "", tokenId: null })

const open = (owner: SignedIn) =>
  Effect.map(
    Effect.flatMap(Sessions, (sessions) => sessions.open(owner, FROM)),
    Redacted.value
  )
const find = (cookie: string) => Effect.flatMap(Sessions, (sessions) => sessions.find(cookie))

const suite = (name: string, parts: Layer.Layer<Sessions>) =>
  layer(parts)(name, (it) => {
    it.effect("a link opens one session, its owner's", () =>
      Effect.gen(function* () {
        const sessions = yield* Sessions
        const code = yield* sessions.newLink(admin)
        expect(code).toMatch(/^[A-Za-z0-9_-]{43}$/)
        expect(yield* find(code)).toEqual(Option.none())
        const cookie = Redacted.value(Option.getOrThrow(yield* sessions.openWithCode(code, FROM)))
        expect(Option.getOrThrow(yield* find(cookie))).toMatchObject({ role: "admin", principal: "admin" })
        expect(yield* sessions.openWithCode(code, FROM)).toEqual(Option.none())
        expect(yield* sessions.openWithCode("made-up", FROM)).toEqual(Option.none())
      })
    )

    it.effect("a session that is closed or revoked is nobody's", () =>
      Effect.gen(function* () {
        const sessions = yield* Sessions
        const closed = yield* open(reader("closes"))
        yield* find(closed)
        yield* sessions.close(closed)
        expect(yield* find(closed)).toEqual(Option.none())
        const revoked = yield* open(reader("revoked"))
        yield* find(revoked)
        const info = (yield* sessions.list).find(({ principal }) => principal === "revoked")!
        expect(info).toMatchObject({ role: "read", ...FROM })
        yield* sessions.revoke(info.sessionId)
        expect(yield* find(revoked)).toEqual(Option.none())
        expect((yield* Effect.flip(sessions.revoke(info.sessionId)))._tag).toBe("UnknownSession")
      })
    )

    it.effect("whoever is signed out everywhere has neither sessions nor links any more, and others keep theirs", () =>
      Effect.gen(function* () {
        const sessions = yield* Sessions
        const own = [yield* open(reader("leaves")), yield* open(reader("leaves"))]
        const above = yield* open({ ...reader("leaves"), role: "admin" })
        const other = yield* open(reader("stays"))
        const code = yield* sessions.newLink(reader("leaves"))
        for (const cookie of [...own, above, other]) yield* find(cookie)
        expect(yield* sessions.revokeAll("leaves", "read")).toBe(2)
        for (const cookie of own) expect(yield* find(cookie)).toEqual(Option.none())
        expect(yield* sessions.openWithCode(code, FROM)).toEqual(Option.none())
        for (const cookie of [above, other]) expect(Option.isSome(yield* find(cookie))).toBe(true)
        expect(yield* sessions.revokeAll("leaves")).toBe(1)
        expect(yield* find(above)).toEqual(Option.none())
      })
    )

    it.effect("whoever signs in again and again signs out nobody but themselves", () =>
      Effect.gen(function* () {
        const sessions = yield* Sessions
        const administrator = yield* open(admin)
        const first = yield* open(reader("busy"))
        for (let index = 1; index < SESSIONS_MAX; index++) yield* open(reader("busy"))
        expect(Option.isSome(yield* find(first))).toBe(true)
        yield* open(reader("busy"))
        yield* TestClock.adjust("4 seconds")
        expect(yield* find(first)).toEqual(Option.none())
        expect(Option.isSome(yield* find(administrator))).toBe(true)
        expect((yield* sessions.list).filter(({ principal }) => principal === "busy").length).toBe(SESSIONS_MAX)
        const link = yield* sessions.newLink(admin)
        for (let index = 0; index <= LINKS_MAX; index++) yield* sessions.newLink(reader("busy"))
        expect(Option.isSome(yield* sessions.openWithCode(link, FROM))).toBe(true)
      })
    )
  })

const postgres = Layer.mergeAll(layerSessions, layerTokens, layerAudit).pipe(Layer.provideMerge(TestDatabase.layer))

describe("sessions", () => {
  suite("of one process", Sessions.layerMemory)
  suite("in PostgreSQL", postgres)

  layer(postgres)("that several processes share", (it) => {
    it.effect("end with the token that they were opened with", () =>
      Effect.gen(function* () {
        const tokens = yield* Tokens
        const { info } = yield* tokens.create({ kind: "read" })
        const cookie = yield* open({ ...reader(`token:${info.tokenId}`), tokenId: info.tokenId })
        expect(Option.isSome(yield* find(cookie))).toBe(true)
        yield* tokens.revoke(info.tokenId)
        yield* TestClock.adjust("4 seconds")
        expect(yield* find(cookie)).toEqual(Option.none())
      })
    )

    it.effect("are found by another process, and ended there within five seconds", () =>
      Effect.gen(function* () {
        const cookie = yield* open(admin)
        yield* Effect.gen(function* () {
          const other = yield* Sessions
          expect(Option.isSome(yield* other.find(cookie))).toBe(true)
          yield* Effect.flatMap(Sessions, (sessions) => sessions.close(cookie)).pipe(
            Effect.provide(Layer.fresh(layerSessions))
          )
          yield* TestClock.adjust("5 seconds")
          expect(yield* other.find(cookie)).toEqual(Option.none())
        }).pipe(Effect.provide(Layer.fresh(layerSessions)))
      })
    )

    it.effect("that a link opened end with the token that the link was made with", () =>
      Effect.gen(function* () {
        const [tokens, sessions] = [yield* Tokens, yield* Sessions]
        const { info } = yield* tokens.create({ kind: "admin" })
        const ada: SignedIn = { role: "read", principal: "link:Ada", name: "Ada", tokenId: info.tokenId }
        const code = yield* sessions.newLink(ada)
        const cookie = Redacted.value(Option.getOrThrow(yield* sessions.openWithCode(code, { ...FROM, via: "link" })))
        expect((yield* sessions.list).at(-1)).toMatchObject({ ...ada, via: "link" })
        yield* tokens.revoke(info.tokenId)
        yield* TestClock.adjust("4 seconds")
        expect(yield* find(cookie)).toEqual(Option.none())
      })
    )

    it.effect("are stored as their hash only, and so are links", () =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const cookie = yield* open(admin)
        const code = yield* (yield* Sessions).newLink(admin)
        const [row] = yield* sql<{ readonly text: string }>`
          select (select string_agg(s::text, ' ') from admiral.sessions s)
            || (select string_agg(l::text, ' ') from admiral.sign_in_links l)
            || (select string_agg(a::text, ' ') from admiral.audit a) as text`
        expect(row!.text).not.toContain(cookie)
        expect(row!.text).not.toContain(code)
      })
    )

    it.effect("end after seven days, and a link after an hour", () =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const sessions = yield* Sessions
        const [cookie, code] = [yield* open(admin), yield* sessions.newLink(admin)]
        yield* sql`update admiral.sign_in_links set expires_at = expires_at - interval '1 hour'`
        expect(yield* sessions.openWithCode(code, FROM)).toEqual(Option.none())
        expect(Option.isSome(yield* find(cookie))).toBe(true)
        yield* sql`update admiral.sessions set expires_at = expires_at - interval '7 days'`
        yield* TestClock.adjust("4 seconds")
        expect(yield* find(cookie)).toEqual(Option.none())
      })
    )

    it.effect("opening and ending one are in the audit, with whose and from where", () =>
      Effect.gen(function* () {
        const sessions = yield* Sessions
        const cookie = yield* open(reader("token:77"))
        yield* sessions.close(cookie)
        const { entries } = yield* (yield* Audit).list({ limit: 2 })
        expect(entries.map(({ action }) => action)).toEqual(["session.close", "session.open"])
        expect(entries[1]).toMatchObject({
          author: "token:77",
          address: "192.0.2.1",
          detail: "token:77, read, by token"
        })
      })
    )
  })
})
