import { PgClient } from "@effect/sql-pg"
import { expect, layer } from "@effect/vitest"
import { Effect, Layer, Option, Redacted } from "effect"
import { TestClock } from "effect/testing"
import * as TestDatabase from "../../test/TestDatabase.ts"
import { Audit, CurrentAuthor } from "./Audit.ts"
import { layer as layerAudit } from "./AuditPostgres.ts"
import { Servers, Tokens } from "./Servers.ts"
import { layer as layerServers } from "./ServersPostgres.ts"
import { layer as layerTokens } from "./TokensPostgres.ts"

const parts = Layer.mergeAll(layerServers, layerTokens, layerAudit).pipe(Layer.provideMerge(TestDatabase.layer))
const verify = (token: Redacted.Redacted<string>) => Effect.flatMap(Tokens, (tokens) => tokens.verify(token))
/** As if the time had passed in the database; what is remembered here is asked about anew. */
const pass = (hours: number) =>
  Effect.flatMap(
    PgClient.PgClient,
    (sql) => sql`update admiral.tokens set expires_at = expires_at - ${hours}::float8 * interval '1 hour'`
  ).pipe(Effect.andThen(TestClock.adjust("4 seconds")))

layer(parts)("a token", (it) => {
  it.effect("is good until it expires", () =>
    Effect.gen(function* () {
      const { info, token } = yield* (yield* Tokens).create({ kind: "read", lastsMillis: 3_600_000 })
      expect(info).toMatchObject({ usedAt: null, prefix: Redacted.value(token).slice(0, 12) })
      expect(info.expiresAt! - info.createdAt).toBe(3_600_000)
      expect(Option.isSome(yield* verify(token))).toBe(true)
      yield* pass(1)
      expect(yield* verify(token)).toEqual(Option.none())
    })
  )

  it.effect("is listed with when it was used last", () =>
    Effect.gen(function* () {
      const tokens = yield* Tokens
      const { info, token } = yield* tokens.create({ kind: "operator", note: "shift" })
      yield* verify(token)
      const listed = yield* tokens.get(info.tokenId)
      expect(listed.usedAt).toBeGreaterThan(0)
      expect(listed).toMatchObject({ kind: "operator", note: "shift", expiresAt: null, revokedAt: null })
    })
  )

  it.effect("that is rotated and the new one are both good for the overlap, and then the new one only", () =>
    Effect.gen(function* () {
      const tokens = yield* Tokens
      const { server, token: old } = yield* (yield* Servers).register("rotates")
      const info = (yield* tokens.list).find(({ serverId }) => serverId === server.serverId)!
      const made = yield* tokens.rotate(info.tokenId, 3_600_000)
      for (const token of [old, made.token]) {
        expect(Option.getOrThrow(yield* verify(token))).toMatchObject({ kind: "agent", serverId: server.serverId })
      }
      yield* pass(1)
      expect(yield* verify(old)).toEqual(Option.none())
      expect(Option.isSome(yield* verify(made.token))).toBe(true)
      yield* tokens.revoke(made.info.tokenId)
      expect((yield* Effect.flip(tokens.rotate(made.info.tokenId, 0)))._tag).toBe("UnknownToken")
    })
  )

  it.effect(
    "that ended is listed for 90 days, and goes when the next one is made; one that a session is of stays",
    () =>
      Effect.gen(function* () {
        const tokens = yield* Tokens
        const sql = yield* PgClient.PgClient
        const [expired, revoked, recent, opened] = [
          yield* tokens.create({ kind: "read", lastsMillis: 1_000 }),
          yield* tokens.create({ kind: "read" }),
          yield* tokens.create({ kind: "read" }),
          yield* tokens.create({ kind: "read" })
        ].map(({ info }) => info.tokenId)
        const age = (id: string | undefined, days: number) =>
          sql`update admiral.tokens set revoked_at = now() - ${days}::int4 * interval '1 day' where id = ${Number(id)}`
        yield* sql`update admiral.tokens set expires_at = now() - interval '91 days' where id = ${Number(expired)}`
        yield* age(revoked, 91)
        yield* age(recent, 89)
        yield* age(opened, 91)
        yield* sql`insert into admiral.sessions (sha256, role, principal, token_id, via, expires_at)
        values ('a', 'read', 'token', ${Number(opened)}, 'token', now())`
        const { info } = yield* tokens.create({ kind: "read" })
        const left = (yield* tokens.list).map(({ tokenId }) => tokenId)
        expect(left).not.toContain(expired)
        expect(left).not.toContain(revoked)
        expect(left).toEqual(expect.arrayContaining([recent, opened, info.tokenId]))
      })
  )

  it.effect("that is revoked is refused at once here, and within five seconds by every other process", () =>
    Effect.gen(function* () {
      const tokens = yield* Tokens
      const { info, token } = yield* tokens.create({ kind: "admin" })
      yield* Effect.gen(function* () {
        const other = yield* Tokens
        expect(Option.isSome(yield* other.verify(token))).toBe(true)
        yield* tokens.verify(token)
        yield* tokens.revoke(info.tokenId)
        expect(yield* tokens.verify(token)).toEqual(Option.none())
        yield* TestClock.adjust("5 seconds")
        expect(yield* other.verify(token)).toEqual(Option.none())
      }).pipe(Effect.provide(Layer.fresh(layerTokens)))
    })
  )
})

layer(parts)("an enrolment token", (it) => {
  const enrolment = (more: {
    readonly uses?: number
    readonly networks?: ReadonlyArray<string>
    readonly serverId?: string
  }) =>
    Effect.gen(function* () {
      const options = { kind: "enrolment", uses: 1, networks: [], lastsMillis: 600_000, ...more } as const
      return yield* (yield* Tokens).create(options)
    })
  const from = (name: string, address: string | null = "192.0.2.1") => ({ name, address })

  it.effect("is exchanged for the token of a new server's agent, as often as it says, also by many at once", () =>
    Effect.gen(function* () {
      const tokens = yield* Tokens
      const { info, token } = yield* enrolment({ uses: 3 })
      const tries = yield* Effect.forEach(
        ["a", "b", "c", "d", "e"],
        (name) => Effect.result(tokens.exchange(token, from(name), 100)),
        { concurrency: 5 }
      )
      const enrolled = tries.flatMap((one) => (one._tag === "Success" ? [one.success] : []))
      expect(enrolled.length).toBe(3)
      for (const one of enrolled) {
        expect(Option.getOrThrow(yield* verify(one.token))).toMatchObject({
          kind: "agent",
          serverId: one.server.serverId
        })
      }
      expect(yield* tokens.get(info.tokenId)).toMatchObject({ usesLeft: 0 })
    })
  )

  it.effect("is good for its networks only", () =>
    Effect.gen(function* () {
      const tokens = yield* Tokens
      const { token } = yield* enrolment({ networks: ["10.0.0.0/8", "2001:db8::/32"] })
      for (const address of ["192.0.2.1", "2001:db9::1", null, ""]) {
        const error = yield* Effect.flip(tokens.exchange(token, from("x", address), 100))
        expect(error.message).toMatch(/outside the token's networks/)
      }
      expect((yield* tokens.exchange(token, from("x", "::ffff:10.1.2.3"), 100)).server.name).toBe("x")
    })
  )

  it.effect("for one server is exchanged for another token of that server", () =>
    Effect.gen(function* () {
      const { server } = yield* (yield* Servers).register("known")
      const { token } = yield* enrolment({ serverId: server.serverId })
      const enrolled = yield* (yield* Tokens).exchange(token, from("whatever"), 1)
      expect(enrolled.server).toEqual(server)
    })
  )

  it.effect("that is revoked, or no such token, takes in nobody", () =>
    Effect.gen(function* () {
      const tokens = yield* Tokens
      const { info, token } = yield* enrolment({ uses: 5 })
      yield* tokens.revoke(info.tokenId)
      const expired = yield* enrolment({})
      yield* pass(1)
      const agent = yield* (yield* Servers).register("agent")
      const admin = yield* tokens.create({ kind: "admin" })
      for (const no of [token, expired.token, agent.token, admin.token, Redacted.make("")]) {
        expect((yield* Effect.flip(tokens.exchange(no, from("x"), 100)))._tag).toBe("EnrolmentRefused")
      }
    })
  )
})

layer(parts)("the audit", (it) => {
  it.effect("has who changed what and from where, never a secret, and is only ever added to", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const tokens = yield* Tokens
      const as = Effect.provideService(CurrentAuthor, { name: "token:9", address: "192.0.2.9" })
      const { info, token } = yield* as(tokens.create({ kind: "read", note: "grafana" }))
      yield* as(tokens.revoke(info.tokenId))
      yield* as(tokens.revoke(info.tokenId))
      yield* as((yield* Servers).register("web"))
      const { entries, next } = yield* (yield* Audit).list({ limit: 2 })
      expect(entries.map(({ action, address, author, subject }) => [action, subject, author, address])).toEqual([
        ["server.register", "server web", "token:9", "192.0.2.9"],
        ["token.revoke", `token ${info.tokenId}`, "token:9", "192.0.2.9"]
      ])
      const older = yield* (yield* Audit).list({ limit: 2, before: next! })
      expect(older.entries).toMatchObject([{ action: "token.create", detail: `read ${info.prefix}…, grafana` }])
      expect(older.next).toBeNull()
      expect(JSON.stringify([entries, older])).not.toContain(Redacted.value(token))
      for (const statement of ["delete from", "update", "truncate"]) {
        const rest = statement === "update" ? "set author = ''" : ""
        const error = yield* Effect.flip(sql.unsafe(`${statement} admiral.audit ${rest}`))
        expect(String(error.reason.cause)).toMatch(/only ever added to/)
      }
    })
  )

  it.effect("a change that fails leaves no entry", () =>
    Effect.gen(function* () {
      const audit = yield* Audit
      const before = (yield* audit.list({ limit: 1000 })).entries.length
      yield* Effect.flip((yield* Tokens).create({ kind: "agent", serverId: "nobody" }))
      yield* Effect.flip((yield* Tokens).revoke("999999"))
      expect((yield* audit.list({ limit: 1000 })).entries.length).toBe(before)
    })
  )
})
