/**
 * Floods of a whole server: of questions that take all connections to the database, and of bodies and recordings that cost more than
 * they are worth, against a process of its own. A neighbour's rows are taken meanwhile.
 */
import { spawn } from "node:child_process"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { PgClient } from "@effect/sql-pg"
import { expect, layer } from "@effect/vitest"
import { Deferred, Effect, Fiber, Redacted, Schedule } from "effect"
import { closedPort } from "../../agent/scrape/HttpPeer.fixture.ts"
import { recording } from "../../src/protocol/Recording.fixture.ts"
import { PROCESSES_MAX, UNITS_MAX } from "../../src/protocol/Recording.ts"
import * as TestDatabase from "../TestDatabase.ts"
import * as TestServer from "../TestServer.ts"

const ADMIN = "an-admin-token-for-floods"
const MAIN = join(import.meta.dirname, "..", "..", "src", "main.ts")
/** What the unit and the compose file give it is 2 GiB. */
const MEMORY_MIB = 1_536

const rowOf = (name: string) => ({
  timestamp: new Date().toISOString(),
  name,
  num_procs: 1,
  cpu_seconds_total: 1,
  memory_bytes: 1
})

layer(TestServer.layer, { timeout: "2 minutes", excludeTestServices: true })("questions", (it) => {
  it.effect("that wait with every connection to the database keep no agent's rows out", () =>
    Effect.gen(function* () {
      const { register, request } = yield* TestServer.TestServer
      const sql = yield* PgClient.PgClient
      const { token } = yield* register("neighbour")
      const push = request("POST", "/metrics/prometheus", { token, body: { process_exporter: [rowOf("own")] } })
      expect((yield* push).status).toBe(202)
      const readers: Array<string> = []
      for (let n = 0; n < 4; n++) {
        readers.push((yield* request("POST", "/api/tokens", { body: { kind: "admin" } })).body.token)
      }
      const locked = yield* Deferred.make<void>()
      const done = yield* Deferred.make<void>()
      const lock = sql`lock table admiral.audit in access exclusive mode`.pipe(
        Effect.andThen(Deferred.succeed(locked, undefined)),
        Effect.andThen(Deferred.await(done))
      )
      yield* Effect.forkScoped(sql.withTransaction(lock))
      yield* Deferred.await(locked)
      // Each reader has eight under way, the pool has ten connections, of which questions get seven.
      const asked = yield* Effect.forkScoped(
        Effect.forEach(
          readers.flatMap((reader) => Array.from({ length: 8 }, () => reader)),
          (reader) => request("GET", "/api/audit", { token: reader }),
          { concurrency: "unbounded" }
        )
      )
      const waiting = sql<{ readonly count: number }>`select count(*)::int4 as count from pg_locks where not granted
        and relation = 'admiral.audit'::regclass`
      yield* Effect.repeat(waiting, { until: ([row]) => row!.count >= 7, schedule: Schedule.spaced("50 millis") })
      // The first ones by what is remembered of the token, the later ones by what the database said before.
      for (let n = 0; n < 3; n++) {
        expect((yield* push).status).toBe(202)
        yield* Effect.sleep("2 seconds")
      }
      yield* Deferred.succeed(done, undefined)
      for (const { status } of yield* Fiber.join(asked)) expect([200, 504]).toContain(status)
    }).pipe(Effect.scoped)
  )
})

/** A server in a process of its own. */
const started = Effect.gen(function* () {
  const { url: databaseUrl } = yield* TestDatabase.TestDatabase
  const folder = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "nodepulse-flood-"))),
    (made) => Effect.promise(() => rm(made, { recursive: true, force: true }))
  )
  const port = yield* closedPort
  const server = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, [MAIN, "server"], {
        env: {
          PATH: process.env.PATH,
          DATABASE_URL: Redacted.value(databaseUrl),
          NODEPULSE_ADMIN_TOKEN: ADMIN,
          NODEPULSE_DATA_DIR: join(folder, "data"),
          NODEPULSE_PORT: String(port)
        },
        stdio: "ignore"
      })
    ),
    (child) =>
      Effect.promise(async () => {
        if (child.exitCode !== null || child.signalCode !== null) return
        child.kill("SIGKILL")
        await new Promise((ended) => child.once("exit", ended))
      })
  )
  const ask = (path: string, token: string, body: string | Buffer, headers = {}) =>
    Effect.tryPromise(async () => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json", ...headers },
        body
      })
      return { status: response.status, text: await response.text() }
    })
  // It is away until it listens, and then not ready until the database is.
  const register = (name: string) =>
    ask("/api/servers", ADMIN, JSON.stringify({ name })).pipe(
      Effect.filterOrFail(({ status }) => status === 201),
      Effect.retry({ schedule: Schedule.spaced("250 millis") }),
      Effect.timeout("100 seconds"),
      Effect.map(({ text }) => JSON.parse(text).token as string)
    )
  return { ask, register, server }
})

layer(TestDatabase.layer, { timeout: "2 minutes", excludeTestServices: true })("a process under a flood", (it) => {
  it.effect("goes on, within its memory, and takes a neighbour's rows", () =>
    Effect.gen(function* () {
      const { ask, register, server } = yield* started
      const [attacker, neighbour] = [yield* register("attacker"), yield* register("neighbour")]
      const gzip = { "content-encoding": "gzip" }
      const bodies = [
        gzipSync(`{"process_exporter":[${"{},".repeat(479_999)}{}]}`),
        gzipSync(Buffer.alloc(64_000_000, " ")),
        gzipSync(`{"process_exporter":[${"[],".repeat(2_000_000)}[]]}`),
        gzipSync(JSON.stringify({ process_exporter: Array.from({ length: 5_000 }, (_, n) => rowOf(`made-up-${n}`)) })),
        gzipSync(JSON.stringify({ process_exporter: Array.from({ length: 9_000 }, () => ({ name: 7 })) }))
      ]
      const flood = yield* Effect.forEach(
        Array.from({ length: 100 }, (_, n) => bodies[n % bodies.length]!),
        (body) => ask("/metrics/prometheus", attacker, body, gzip),
        { concurrency: 8 }
      ).pipe(Effect.forkScoped)
      const push = ask("/metrics/prometheus", neighbour, JSON.stringify({ process_exporter: [rowOf("own")] }))
      for (let n = 0; n < 10; n++) expect((yield* push).status).toBe(202)
      const answers = yield* Fiber.join(flood)
      expect(new Set(answers.map(({ status }) => status)).has(413)).toBe(true)
      for (const { status, text } of answers) {
        expect([202, 413, 422, 429, 503]).toContain(status)
        expect(text.length).toBeLessThan(300_000)
      }
      expect((yield* push).status).toBe(202)
      expect([server.exitCode, server.signalCode]).toEqual([null, null])
      const status = yield* Effect.promise(() => readFile(`/proc/${server.pid}/status`, "utf8"))
      expect(Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1024).toBeLessThan(MEMORY_MIB)
    }).pipe(Effect.scoped)
  )

  it.effect("of recordings, goes on taking a neighbour's rows between them", () =>
    Effect.gen(function* () {
      const { ask, register } = yield* started
      const values = Array.from({ length: 900 }, (_, n) => n * 11.3)
      const many = <A>(count: number, of: (n: number) => A) => Array.from({ length: count }, (_, n) => of(n))
      const ended = Math.floor(Date.now() / 1_000)
      const bodyOf = (n: number) => {
        const [id, shared] = [n.toString(16).padStart(32, "0"), { cpu: values, memory: values }]
        const processes = many(PROCESSES_MAX, (pid) => ({ name: `p${pid}`, pid: pid + 1, unit: "", ...shared }))
        const units = many(UNITS_MAX, (unit) => ({ name: `u${unit}`, limit: null, ...shared }))
        return gzipSync(JSON.stringify(recording({ id, ended, processes, units }, 900)))
      }
      const attackers = yield* Effect.forEach(
        many(8, (n) => `attacker ${n}`),
        register
      )
      const neighbour = yield* register("neighbour")
      const bodies = many(5, bodyOf)
      const push = ask("/metrics/prometheus", neighbour, JSON.stringify({ process_exporter: [rowOf("own")] }))
      expect((yield* push).status).toBe(202)
      const flood = yield* Effect.forEach(
        attackers,
        (attacker) =>
          Effect.forEach(bodies, (body) => ask("/api/recordings", attacker, body, { "content-encoding": "gzip" }), {
            concurrency: 2
          }),
        { concurrency: "unbounded" }
      ).pipe(
        Effect.map((answers) => answers.flat()),
        Effect.forkScoped
      )
      let taken = 0
      while (flood.pollUnsafe() === undefined) {
        expect((yield* push).status).toBe(202)
        taken++
      }
      const answers = yield* Fiber.join(flood)
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 201))
      // Those that come in together would be read one after the other, and five pushes taken meanwhile.
      expect(taken).toBeGreaterThan(answers.length / 2)
    }).pipe(Effect.scoped)
  )
})
