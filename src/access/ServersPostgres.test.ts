import { PgClient } from "@effect/sql-pg"
import { expect, layer } from "@effect/vitest"
import { Effect, Layer, Option, Redacted } from "effect"
import { TestClock } from "effect/testing"
import * as TestDatabase from "../../test/TestDatabase.ts"
import { Servers, Tokens } from "./Servers.ts"
import { layer as layerServers, serverIdFor } from "./ServersPostgres.ts"
import { layer as layerTokens } from "./TokensPostgres.ts"

const parts = Layer.mergeAll(layerServers, layerTokens).pipe(Layer.provideMerge(TestDatabase.layer))
const verify = (token: Redacted.Redacted<string>) => Effect.flatMap(Tokens, (tokens) => tokens.verify(token))

layer(parts)("servers", (it) => {
  it.effect("names need not be unique, ids are, also when registered at the same time", () =>
    Effect.gen(function* () {
      const servers = yield* Servers
      const names = [
        "Web Server",
        "web server",
        "WEB  server!",
        "web-server",
        "",
        "数据库",
        "x".repeat(300),
        "a\0b\ud800"
      ]
      const all = yield* Effect.forEach([...names, ...names], (name) => servers.register(name), {
        concurrency: "unbounded"
      })
      const ids = all.map(({ server }) => server.serverId)
      expect(new Set(ids).size).toBe(names.length * 2)
      for (const id of ids) expect(id).toMatch(/^[a-z0-9._-]{1,64}$/)
      expect(ids).toContain("web-server")
      expect(ids).toContain("web-server-8")
      for (const { server } of all) expect(yield* servers.get(server.serverId)).toEqual(server)
      expect((yield* servers.list).map(({ serverId }) => serverId)).toEqual([...ids].sort())
    })
  )

  it.effect("are never more than there may be, also when two are added at the same time", () =>
    Effect.gen(function* () {
      const servers = yield* Servers
      const tokens = yield* Tokens
      const most = (yield* servers.list).length + 1
      const { info, token } = yield* tokens.create({ kind: "enrolment", uses: 9, networks: [], lastsMillis: 600_000 })
      const enrol = tokens.exchange(token, { name: "enrols", address: null }, most)
      const tries = yield* Effect.forEach(
        [servers.register("one", most), enrol, servers.register("two", most), enrol],
        Effect.result,
        { concurrency: 4 }
      )
      expect(tries.filter(({ _tag }) => _tag === "Success")).toHaveLength(1)
      for (const one of tries)
        if (one._tag === "Failure") expect(one.failure).toMatchObject({ _tag: "ServersFull", most })
      expect(yield* servers.list).toHaveLength(most)
      // Whoever was refused can come back once there is room: no use of the token is gone.
      const enrolled = tries.filter(({ _tag }, n) => n % 2 === 1 && _tag === "Success").length
      expect((yield* tokens.get(info.tokenId)).usesLeft).toBe(9 - enrolled)
      expect((yield* servers.register("more", most + 1)).server.name).toBe("more")
    })
  )

  it.effect("a server's first token writes for that server", () =>
    Effect.gen(function* () {
      const { server, token } = yield* (yield* Servers).register("agent host")
      expect(Redacted.value(token)).toMatch(/^np_agent_[A-Za-z0-9_-]{43}$/)
      expect(Option.getOrThrow(yield* verify(token))).toMatchObject({ kind: "agent", serverId: server.serverId })
    })
  )

  it.effect("an unknown server is named, whatever its id is", () =>
    Effect.gen(function* () {
      for (const id of ["nobody", "", "\0", "\ud800", "x".repeat(10_000), "'; drop table admiral.servers; --"]) {
        const error = yield* Effect.flip((yield* Servers).get(id))
        expect(error._tag).toBe("UnknownServer")
        const refused = yield* Effect.flip((yield* Tokens).create({ kind: "agent", serverId: id }))
        expect(refused._tag).toBe("UnknownServer")
      }
    })
  )

  it.effect("an id is made of what a name has, and is never empty or too long", () =>
    Effect.sync(() => {
      expect(serverIdFor("Büro 3 / Wien")).toBe("buro-3-wien")
      expect(serverIdFor("db.example.org")).toBe("db.example.org")
      expect(serverIdFor("--")).toBe("server")
      expect(serverIdFor("x".repeat(100)).length).toBeLessThanOrEqual(57)
    })
  )
})

layer(parts)("tokens", (it) => {
  it.effect("are stored as their hash only", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const { token } = yield* (yield* Tokens).create({ kind: "read", note: "page" })
      const [row] = yield* sql<{ readonly text: string }>`select string_agg(t::text, ' ') as text from admiral.tokens t`
      expect(row!.text).not.toContain(Redacted.value(token).slice(9))
    })
  )

  it.effect("say who they speak for, until they are revoked and the answer is forgotten", () =>
    Effect.gen(function* () {
      const tokens = yield* Tokens
      const { info, token } = yield* tokens.create({ kind: "admin", note: "me" })
      expect(yield* verify(token)).toEqual(Option.some({ kind: "admin", tokenId: info.tokenId }))
      yield* tokens.revoke(info.tokenId)
      yield* TestClock.adjust("4 seconds")
      expect(yield* verify(token)).toEqual(Option.none())
      const listed = (yield* tokens.list).find(({ tokenId }) => tokenId === info.tokenId)
      expect(listed).toMatchObject({ kind: "admin", note: "me", serverId: null })
      expect(listed!.revokedAt).toBeGreaterThan(0)
    })
  )

  it.effect("that were known are trusted for an hour while the database is away, and others are not", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const tokens = yield* Tokens
      const known = yield* tokens.create({ kind: "read" })
      const revoked = yield* tokens.create({ kind: "read" })
      const unseen = yield* tokens.create({ kind: "read" })
      yield* verify(known.token)
      yield* tokens.revoke(revoked.info.tokenId)
      yield* verify(revoked.token)
      yield* Effect.acquireRelease(sql`alter table admiral.tokens rename to away`, () =>
        Effect.orDie(sql`alter table admiral.away rename to tokens`)
      )
      yield* TestClock.adjust("4 seconds")
      const principal = Option.some({ kind: "read", tokenId: known.info.tokenId })
      expect(yield* verify(known.token)).toEqual(principal)
      for (const { token } of [revoked, unseen]) {
        const error = yield* Effect.flip(verify(token))
        expect(error._tag).toBe("DatabaseUnavailable")
        expect(error.message).toMatch(/^cannot verify a token: the database /)
      }
      yield* TestClock.adjust("59 minutes")
      expect(yield* verify(known.token)).toEqual(principal)
      yield* TestClock.adjust("1 minute")
      expect((yield* Effect.flip(verify(known.token)))._tag).toBe("DatabaseUnavailable")
    }).pipe(Effect.scoped)
  )

  it.effect("that do not exist are nobody's, whatever they are", () =>
    Effect.gen(function* () {
      for (const text of ["", "np_admin_", "\0", "\ud800", "x".repeat(100_000), "Bearer x"]) {
        expect(yield* verify(Redacted.make(text))).toEqual(Option.none())
      }
      for (const id of ["0", "-1", "99999999999999999999", "x", ""]) {
        expect((yield* Effect.flip((yield* Tokens).revoke(id)))._tag).toBe("UnknownToken")
      }
    })
  )
})
