/**
 * PostgreSQL as people run it, on real servers: with TLS and an authority of one's own, with rights that are missing, with an
 * encoding that cannot hold every name, behind PgBouncer, read-only, and after a failover.
 */
import { createServer as createHttpServer } from "node:http"
import { connect, createServer, type Socket } from "node:net"
import { PgClient } from "@effect/sql-pg"
import { expect, it } from "@effect/vitest"
import { Cause, Clock, Effect, Exit, Fiber, Layer, Redacted, Schedule } from "effect"
import { Servers, Tokens } from "../src/access/Servers.ts"
import * as ServersPostgres from "../src/access/ServersPostgres.ts"
import * as TokensPostgres from "../src/access/TokensPostgres.ts"
import { Registry } from "../src/plugins/Registry.ts"
import * as Database from "../src/sinks/postgres/Database.ts"
import { awaitFit, type DatabaseFinding, examine } from "../src/sinks/postgres/Examination.ts"
import { Rollups } from "../src/sinks/rollups/Rollups.ts"
import { DeadLetters } from "../src/sinks/storage/DeadLetters.ts"
import * as DeadLettersPostgres from "../src/sinks/storage/DeadLettersPostgres.ts"
import * as Migrations from "../src/sinks/storage/Migrations.ts"
import { Retention } from "../src/sinks/storage/Retention.ts"
import { SnapshotRows } from "../src/sinks/storage/SnapshotRows.ts"
import * as SnapshotRowsPostgres from "../src/sinks/storage/SnapshotRowsPostgres.ts"
import { suiteExporters, suiteRow } from "../src/sinks/storage/SnapshotRowsSuite.ts"
import { statements } from "../src/sinks/storage/SqlScript.ts"
import {
  type DebianPostgres,
  describeWith,
  makeAuthority,
  makePgBouncer,
  makePostgres,
  PASSWORD
} from "./DebianServers.ts"
import { freePort } from "./Ports.ts"

const broken = (findings: ReadonlyArray<DatabaseFinding>) =>
  findings.find(({ state }) => state === "waits" || state === "mend")
/** What has to be mended, or is waited for; `undefined` where all is well. */
const problem = (url: Redacted.Redacted<string>) => Effect.map(examine(url), broken)

const generated = Effect.suspend(() => Effect.fromResult(Migrations.generate(suiteExporters)))
const migrate = Effect.flatMap(generated, ({ added }) => Migrations.migrate(added))

/** All ports that a server has on PostgreSQL, on this one. */
const portsOn = (url: Redacted.Redacted<string>, maxConnections = 6) =>
  Layer.mergeAll(
    SnapshotRowsPostgres.layer,
    ServersPostgres.layer,
    TokensPostgres.layer,
    DeadLettersPostgres.layer,
    Retention.layer,
    Rollups.layer
  ).pipe(
    Layer.provideMerge(Registry.layer({ exporters: suiteExporters })),
    Layer.provideMerge(Database.layer({ url, maxConnections }))
  )

const createUser = (postgres: DebianPostgres, name: string) =>
  postgres.sql(`create role ${name} login password '${PASSWORD}'`)

const PASSWORDS = [
  "local all all scram-sha-256",
  "host all all 127.0.0.1/32 scram-sha-256",
  "host replication all 127.0.0.1/32 scram-sha-256"
]

describeWith(["postgresql"], "a database that cannot be used ends the start with its remedy", () => {
  it.live("what is wrong with signing in, the address or the database is said, not waited for", () =>
    Effect.gen(function* () {
      const postgres = yield* makePostgres()
      const { port } = postgres
      expect(yield* problem(postgres.url())).toBeUndefined()
      const mend = Effect.fnUntraced(function* (url: string, saw: RegExp, remedy: RegExp) {
        const found = yield* problem(Redacted.make(url))
        expect(found).toMatchObject({
          state: "mend",
          saw: expect.stringMatching(saw),
          remedy: expect.stringMatching(remedy)
        })
        const error = yield* Effect.flip(awaitFit(Redacted.make(url)))
        expect(error.message).toContain(found!.remedy)
        expect(error.message).not.toContain(PASSWORD)
        expect(error.message).not.toContain("wrong-secret")
      })
      yield* mend(
        `postgres://postgres:wrong-secret@127.0.0.1:${port}/postgres`,
        /password authentication failed/,
        /user and password/
      )
      yield* mend(`postgres://postgres@127.0.0.1:${port}/postgres`, /asks for a password/, /add it/)
      yield* mend(
        `postgres://postgres:${PASSWORD}@127.0.0.1:${port}/nowhere`,
        /database "nowhere" does not exist/,
        /createdb/
      )
      yield* mend(
        `host=127.0.0.1 port=${port} user=postgres password=${PASSWORD} dbname=postgres sslmode=require`,
        /speaks no TLS/,
        /ssl = on/
      )
      yield* mend(
        `postgres://postgres:${PASSWORD}@127.0.0.1:${port}/postgres?options=-c%20no_such=1`,
        /no_such/,
        /options/
      )
      yield* mend(`postgres://postgres@127.0.0.1:${port}/postgres?sslmode=on`, /sslmode=on/, /postgres:\/\//)
      yield* mend(
        `postgres://postgres@127.0.0.1:${port}/postgres?sslmode=verify-ca&sslrootcert=/nonexistent/ca.crt`,
        /sslrootcert=\/nonexistent\/ca.crt cannot be read/,
        /read it/
      )

      const http = yield* Effect.acquireRelease(
        Effect.callback<number>((resume) => {
          const server = createHttpServer((_, response) => response.end("hello"))
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed((server.address() as { port: number }).port)))
        }),
        () => Effect.void
      )
      yield* mend(`postgres://a@127.0.0.1:${http}/x`, /is not PostgreSQL/, /host and port/)
    })
  )

  it.live(
    "both forms of the address and the socket reach the same database; the first host that answers is taken",
    () =>
      Effect.gen(function* () {
        const postgres = yield* makePostgres()
        const { folder, port } = postgres
        const nobody = yield* freePort
        for (const url of [
          `postgres://postgres:${PASSWORD}@localhost:${port}/postgres`,
          `host=127.0.0.1 port=${port} dbname=postgres user=postgres password='${PASSWORD}'`,
          `postgres://postgres:${PASSWORD}@:${port}/postgres?host=${folder}`,
          `postgres://postgres:${PASSWORD}@${encodeURIComponent(folder)}:${port}/postgres`,
          `host=${folder} port=${port} dbname=postgres user=postgres password=${PASSWORD} sslmode=require`,
          `postgres://postgres:${PASSWORD}@127.0.0.1:${nobody},127.0.0.1:${port}/postgres`,
          `host=db.example hostaddr=127.0.0.1 port=${port} dbname=postgres user=postgres password=${PASSWORD}`
        ]) {
          expect([url, yield* problem(Redacted.make(url))]).toEqual([url, undefined])
        }
      })
  )

  it.live("what may heal is waited for: nobody listens yet, too many connections, read-only", () =>
    Effect.gen(function* () {
      const postgres = yield* makePostgres({ settings: { max_connections: "4", superuser_reserved_connections: "0" } })
      const nobody = yield* freePort
      expect(yield* problem(Redacted.make(`postgres://a@127.0.0.1:${nobody}/x`))).toMatchObject({ state: "waits" })
      expect(yield* problem(Redacted.make("postgres://a@no-such-host.invalid/x"))).toMatchObject({ state: "waits" })
      yield* postgres.sql("create database quiet")
      yield* postgres.sql("alter database quiet set default_transaction_read_only = on")
      const url = postgres.url({ database: "quiet" })
      expect(yield* problem(url)).toMatchObject({
        check: "writes",
        state: "waits",
        saw: expect.stringContaining("default_transaction_read_only")
      })
      const waiting = yield* Effect.forkScoped(awaitFit(url))
      yield* postgres.sql("alter database quiet reset default_transaction_read_only")
      yield* Fiber.join(waiting)
      yield* Effect.scoped(
        Effect.gen(function* () {
          const holding = yield* Layer.build(Database.layer({ url: postgres.url(), maxConnections: 4 }))
          yield* Effect.provide(
            Effect.flatMap(PgClient.PgClient, (sql) =>
              Effect.all([sql.reserve, sql.reserve, sql.reserve, sql.reserve])
            ),
            holding
          )
          expect(yield* problem(url)).toMatchObject({
            state: "waits",
            saw: expect.stringContaining("too many clients")
          })
        })
      )
    })
  )

  it.live("rights that are missing are named with the GRANT that mends them", () =>
    Effect.gen(function* () {
      const postgres = yield* makePostgres()
      yield* createUser(postgres, "nodepulse")
      yield* postgres.sql('create database "My Data"')
      const url = postgres.url({ database: "My%20Data", user: "nodepulse" })
      const grants: Array<string> = []
      const mended = Effect.gen(function* () {
        for (;;) {
          const found = yield* problem(url)
          if (found === undefined) return
          expect(found).toMatchObject({ check: "rights", state: "mend" })
          const grant = /: (grant .*)$/.exec(found.remedy!)![1]!
          expect(grants).not.toContain(grant)
          grants.push(grant)
          yield* postgres.sql(grant, "My%20Data")
        }
      })
      yield* mended
      expect(grants).toEqual(['grant create on database "My Data" to nodepulse'])

      // Made by somebody else: no right on the database is needed then.
      yield* postgres.sql('revoke create on database "My Data" from nodepulse')
      yield* postgres.sql("create schema admiral", "My%20Data")
      yield* mended
      expect(grants.slice(1)).toEqual(["grant usage, create on schema admiral to nodepulse"])
      yield* Effect.provide(migrate, Database.layer({ url, maxConnections: 2 }))

      // Migrated once by another role: its tables are not ours to alter.
      yield* createUser(postgres, "other")
      yield* postgres.sql("grant all on schema admiral to other", "My%20Data")
      yield* mended
      const theirs = postgres.url({ database: "My%20Data", user: "other" })
      expect(yield* problem(theirs)).toMatchObject({
        state: "mend",
        remedy: "as nodepulse or a superuser: grant nodepulse to other"
      })
    })
  )

  it.live("a database that cannot hold every name is refused, and yet keeps every dead letter", () =>
    Effect.gen(function* () {
      const postgres = yield* makePostgres()
      const [core] = (yield* generated).added
      for (const encoding of ["LATIN1", "SQL_ASCII"]) {
        const database = encoding.toLowerCase()
        yield* postgres.sql(
          `create database ${database} encoding '${encoding}' template template0 lc_collate 'C' lc_ctype 'C'`
        )
        const url = postgres.url({ database })
        expect(yield* problem(url)).toMatchObject({
          check: "encoding",
          state: "mend",
          saw: expect.stringContaining(encoding),
          remedy: expect.stringContaining("encoding 'UTF8'")
        })
        const letters = yield* Effect.gen(function* () {
          const sql = yield* PgClient.PgClient
          yield* sql`create schema admiral`
          for (const statement of statements(core!.sql)) yield* sql.unsafe(statement).unprepared
          const { list, put } = yield* DeadLetters
          const letter = (key: string, payload: string) => ({
            key,
            exporter: "日本",
            serverId: "büro",
            reason: "ü日🦀",
            payload
          })
          yield* put([
            letter("plain", "plain"),
            letter("日本", "日本語 é \u0000 \ud800 🦀"),
            letter("long", "é".repeat(300_000))
          ])
          return (yield* list({ limit: 10 })).letters
        }).pipe(
          Effect.provide(DeadLettersPostgres.layer.pipe(Layer.provideMerge(Database.layer({ url, maxConnections: 2 }))))
        )
        expect(letters.length).toBe(3)
      }
    })
  )
})

describeWith(["postgresql", "openssl"], "TLS as PostgreSQL's own client means it", () => {
  it.live("each sslmode connects where it should, and says what to mend where it should not", () =>
    Effect.gen(function* () {
      const authority = yield* makeAuthority
      const stranger = yield* makeAuthority
      const server = authority.issue("server", "DNS:localhost")
      const postgres = yield* makePostgres({
        settings: { ssl: "on", ssl_cert_file: "server.crt", ssl_key_file: "server.key", ssl_ca_file: "ca.crt" },
        files: { "server.crt": server.cert, "server.key": server.key, "ca.crt": authority.ca },
        hba: [
          "local all all scram-sha-256",
          "hostssl all tls 127.0.0.1/32 scram-sha-256",
          "hostnossl all tls 127.0.0.1/32 reject",
          "hostnossl all plain 127.0.0.1/32 scram-sha-256",
          "hostssl all plain 127.0.0.1/32 reject",
          "hostssl all certified 127.0.0.1/32 cert",
          "host all postgres 127.0.0.1/32 scram-sha-256"
        ]
      })
      for (const user of ["tls", "plain", "certified"]) yield* createUser(postgres, user)
      yield* postgres.sql("grant create on database postgres to tls, plain, certified")
      const at = (user: string, host: string, query: string) =>
        Redacted.make(`postgres://${user}:${PASSWORD}@${host}:${postgres.port}/postgres?${query}`)
      const ca = `sslrootcert=${authority.caFile}`
      const tried = Effect.fnUntraced(function* (user: string, host: string, query: string) {
        const findings = yield* examine(at(user, host, query))
        return broken(findings)?.saw ?? (findings.some(({ check }) => check === "tls") ? "encrypted" : "plain")
      })

      for (const query of ["", "sslmode=prefer", "sslmode=allow", "sslmode=require"]) {
        expect([query, yield* tried("tls", "127.0.0.1", query)]).toEqual([query, "encrypted"])
      }
      for (const query of ["", "sslmode=prefer", "sslmode=allow", "sslmode=disable"]) {
        expect([query, yield* tried("plain", "127.0.0.1", query)]).toEqual([query, "plain"])
      }
      expect(yield* tried("postgres", "127.0.0.1", "sslmode=prefer")).toBe("encrypted")
      expect(yield* tried("postgres", "127.0.0.1", "sslmode=allow")).toBe("plain")
      expect(yield* tried("tls", "127.0.0.1", "sslmode=disable")).toMatch(/pg_hba/)
      expect(yield* tried("plain", "127.0.0.1", "sslmode=require")).toMatch(/pg_hba/)

      expect(yield* tried("tls", "localhost", `sslmode=verify-full&${ca}`)).toBe("encrypted")
      expect(yield* tried("tls", "127.0.0.1", `sslmode=verify-ca&${ca}`)).toBe("encrypted")
      expect(yield* tried("tls", "127.0.0.1", `sslmode=require&${ca}`)).toBe("encrypted")
      const wrongName = yield* problem(at("tls", "127.0.0.1", `sslmode=verify-full&${ca}`))
      expect(wrongName).toMatchObject({ check: "tls", state: "mend", saw: expect.stringContaining("another name") })
      for (const query of [
        "sslmode=verify-full",
        "sslmode=verify-ca",
        "sslmode=verify-full&sslrootcert=system",
        `sslmode=require&sslrootcert=${stranger.caFile}`
      ]) {
        const untrusted = yield* problem(at("tls", "localhost", query))
        expect([query, untrusted]).toMatchObject([
          query,
          { check: "tls", state: "mend", remedy: expect.stringContaining("sslrootcert=") }
        ])
      }

      const mine = authority.issue("certified")
      const theirs = stranger.issue("certified")
      const certificate = (one: typeof mine) =>
        `sslmode=verify-full&${ca}&sslcert=${one.certFile}&sslkey=${one.keyFile}`
      expect(yield* tried("certified", "localhost", certificate(mine))).toBe("encrypted")
      expect(yield* problem(at("certified", "localhost", certificate(theirs)))).toMatchObject({
        check: "tls",
        state: "mend",
        saw: expect.stringContaining("certificate")
      })
      expect(yield* problem(at("certified", "localhost", `sslmode=require&sslcert=${mine.certFile}`))).toMatchObject({
        state: "mend",
        saw: "sslcert is named and sslkey is not"
      })

      // And the pool that the server uses does it as the examination did.
      const count = Effect.flatMap(
        PgClient.PgClient,
        (sql) => sql<{ ssl: boolean }>`select ssl from pg_stat_ssl where pid = pg_backend_pid()`
      )
      expect(
        yield* Effect.provide(count, Database.layer({ url: at("certified", "localhost", certificate(mine)) }))
      ).toEqual([{ ssl: true }])
    })
  )
})

describeWith(["postgresql", "pgbouncer"], "behind PgBouncer in transaction mode", () => {
  const atWork = (url: Redacted.Redacted<string>) =>
    Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const servers = yield* Servers
      const tokens = yield* Tokens
      const rows = yield* SnapshotRows
      const { server, token } = yield* servers.register("alpha")
      expect(server.serverId).toBe("alpha")
      const at = (n: number) => suiteRow({ name: `p${n % 20}`, timestamp: (now - 60_000 * (n + 1)) * 1_000 })
      const inserted = yield* Effect.forEach(
        Array.from({ length: 40 }, (_, n) => n),
        (n) => rows.insert("suite_exporter", [at(n), at(n + 100)]),
        { concurrency: 8 }
      )
      expect(inserted.reduce((sum, one) => sum + one.inserted, 0)).toBe(80)
      // Reads of the same text again and again, on whichever session comes.
      yield* Effect.forEach(Array.from({ length: 60 }), () => Effect.andThen(servers.list, tokens.list), {
        concurrency: 8
      })
      expect((yield* tokens.verify(token))._tag).toBe("Some")
      expect(yield* (yield* Rollups).pass).toBeGreaterThan(0)
      const sql = yield* PgClient.PgClient
      expect((yield* sql`select 1 from admiral.suite_snapshots`).length).toBe(80)
    }).pipe(Effect.provide(portsOn(url)))

  it.live("everything works, and no lock, setting or statement stays behind in anybody's session", () =>
    Effect.gen(function* () {
      const postgres = yield* makePostgres()
      yield* postgres.sql("create database pooled")
      const pgbouncer = yield* makePgBouncer(postgres)
      const url = pgbouncer.url("pooled")
      const findings = yield* examine(url)
      expect([broken(findings), findings.map(({ check }) => check)]).toEqual([
        undefined,
        expect.arrayContaining(["pooler"])
      ])
      yield* Effect.provide(migrate, Database.layer({ url, maxConnections: 2 }))
      yield* atWork(url)

      const old = (yield* Clock.currentTimeMillis) + 30 * 86_400_000
      const sweeps = yield* Effect.flatMap(Retention, ({ sweep }) =>
        Effect.all([sweep(old), sweep(old), sweep(old)], { concurrency: "unbounded" })
      ).pipe(Effect.provide(portsOn(url)))
      expect(new Set(sweeps.flatMap(({ dropped }) => dropped)).size).toBeGreaterThan(0)
      expect(sweeps.flatMap(({ dropped }) => dropped).length).toBe(
        new Set(sweeps.flatMap(({ dropped }) => dropped)).size
      )
      expect(yield* postgres.sql("select 1 from pg_locks where locktype = 'advisory'", "pooled")).toEqual([])

      // Each session that PgBouncer holds is as PostgreSQL made it.
      const sessions = Effect.flatMap(PgClient.PgClient, (sql) =>
        Effect.all(
          Array.from({ length: 5 }, () =>
            sql.withTransaction(
              sql`select current_setting('lock_timeout') as l, current_setting('statement_timeout') as s, current_setting('jit') as j,
                current_setting('plan_cache_mode') as p, (select count(*)::int4 from pg_prepared_statements) as n, pg_sleep(0.2)::text as slept`
            )
          ),
          { concurrency: 5 }
        )
      )
      const seen = (yield* Effect.provide(sessions, Database.layer({ url, maxConnections: 5 }))).flat()
      for (const one of seen) expect(one).toMatchObject({ l: "0", s: "0", j: "on", p: "auto", n: 0 })
    })
  )

  it.live("a pooler that swallows startup parameters is recognised too, and one in statement mode is refused", () =>
    Effect.gen(function* () {
      const postgres = yield* makePostgres()
      yield* postgres.sql("create database pooled")
      const swallowing = yield* makePgBouncer(postgres, {
        ignore_startup_parameters:
          "statement_timeout,idle_in_transaction_session_timeout,plan_cache_mode,enable_sort,jit,work_mem,client_min_messages,options"
      })
      const findings = yield* examine(swallowing.url("pooled"))
      expect(findings.find(({ check }) => check === "pooler")?.state).toBe("fine")
      yield* Effect.provide(migrate, Database.layer({ url: swallowing.url("pooled"), maxConnections: 2 }))
      yield* atWork(swallowing.url("pooled"))

      const ofStatements = yield* makePgBouncer(postgres, { pool_mode: "statement" })
      expect(yield* problem(ofStatements.url("pooled"))).toMatchObject({
        check: "pooler",
        state: "mend",
        remedy: expect.stringContaining("pool_mode = transaction")
      })
      expect(yield* problem(swallowing.url("pooled", "postgres", "wrong"))).toMatchObject({
        check: "sign-in",
        state: "mend"
      })
      expect(yield* problem(swallowing.url("pooled", "nobody-there"))).toMatchObject({
        check: "sign-in",
        state: "mend"
      })
    })
  )
})

describeWith(["postgresql"], "a server that stops taking writes", () => {
  /** Somebody in between, as a virtual address or a proxy is: old connections stay where they are. */
  const makeSwitch = (first: number) =>
    Effect.gen(function* () {
      let to = first
      const open = new Set<Socket>()
      const port = yield* Effect.acquireRelease(
        Effect.callback<{ readonly port: number; readonly close: () => void }>((resume) => {
          const server = createServer((client) => {
            const upstream = connect(to, "127.0.0.1")
            for (const [one, other] of [
              [client, upstream],
              [upstream, client]
            ] as const) {
              open.add(one)
              one.pipe(other)
              one.on("error", () => other.destroy())
              one.on("close", () => other.destroy())
            }
          })
          server.listen(0, "127.0.0.1", () =>
            resume(Effect.succeed({ port: (server.address() as { port: number }).port, close: () => server.close() }))
          )
        }),
        ({ close }) =>
          Effect.sync(() => {
            for (const socket of open) socket.destroy()
            close()
          })
      )
      return {
        port: port.port,
        switchTo: (next: number) => {
          to = next
        }
      }
    })

  const becomesReadOnly = (postgres: DebianPostgres) =>
    Effect.andThen(
      postgres.sql("alter system set default_transaction_read_only = on"),
      postgres.sql("select pg_reload_conf()")
    )

  it.live("after a failover rows are written again, without anybody killing a session", () =>
    Effect.gen(function* () {
      const primary = yield* makePostgres({ hba: PASSWORDS })
      yield* primary.sql("create database fleet")
      yield* Effect.provide(migrate, Database.layer({ url: primary.url({ database: "fleet" }), maxConnections: 2 }))
      const standby = yield* makePostgres({ standbyOf: primary })
      expect(yield* problem(standby.url({ database: "fleet" }))).toMatchObject({
        check: "writes",
        state: "waits",
        saw: expect.stringContaining("standby")
      })

      const between = yield* makeSwitch(primary.port)
      const insert = (n: number) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) =>
          Effect.flatMap(SnapshotRows, (rows) =>
            rows.insert("suite_exporter", [suiteRow({ name: `row ${n}`, timestamp: now * 1_000 })])
          )
        )
      const behindAddress = yield* Layer.build(
        portsOn(Redacted.make(`postgres://postgres:${PASSWORD}@127.0.0.1:${between.port}/fleet`), 2)
      )
      const withBoth = yield* Layer.build(
        portsOn(
          Redacted.make(`postgres://postgres:${PASSWORD}@127.0.0.1:${standby.port},127.0.0.1:${primary.port}/fleet`),
          2
        )
      )
      yield* Effect.provide(
        Effect.flatMap(Servers, (servers) => servers.register("alpha")),
        behindAddress
      )
      yield* Effect.provide(insert(1), behindAddress)
      // Of several hosts the one that takes writes, whichever comes first.
      yield* Effect.provide(insert(2), withBoth)

      const replayed = primary.sql("select 1 from pg_stat_replication where replay_lsn >= pg_current_wal_lsn()")
      yield* Effect.repeat(replayed, { until: (rows) => rows.length > 0, schedule: Schedule.spaced("50 millis") })
      yield* becomesReadOnly(primary)
      yield* Effect.repeat(primary.sql("show default_transaction_read_only"), {
        until: ([row]) => row?.default_transaction_read_only === "on",
        schedule: Schedule.spaced("50 millis")
      })
      yield* standby.sql("select pg_promote()")
      between.switchTo(standby.port)
      for (const [n, ports] of [
        [3, behindAddress],
        [4, withBoth]
      ] as const) {
        const seen = yield* Effect.provide(Effect.exit(insert(n)), ports)
        if (Exit.isFailure(seen)) {
          expect(Cause.squash(seen.cause)).toMatchObject({ _tag: "DatabaseUnavailable", because: "read-only" })
        }
        yield* Effect.provide(Effect.retry(insert(n), { times: 2 }), ports)
      }
      const names = yield* standby.sql("select name from admiral.suite_snapshots order by name", "fleet")
      expect(names.map(({ name }) => name)).toEqual(["row 1", "row 2", "row 3", "row 4"])
    })
  )
})
