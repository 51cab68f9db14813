/**
 * Questions that mean harm: every parameter of every endpoint that reads, as its own description lists them, with what is no value
 * of it; rule sets and rules that cost more than they are worth; one whose asker goes. On a whole server.
 */
import { PgClient } from "@effect/sql-pg"
import { expect, layer } from "@effect/vitest"
import { Deferred, Effect, Schedule } from "effect"
import * as TestServer from "../TestServer.ts"

interface Described {
  readonly paths: Readonly<
    Record<
      string,
      { readonly get?: { readonly parameters?: ReadonlyArray<{ readonly name: string; readonly in: string }> } }
    >
  >
}

const HOSTILE = [
  "\0",
  "a\r\nset-cookie: a=b",
  "\u202egnp.exe",
  "../../etc/passwd",
  "'; drop table admiral.servers; --",
  "%",
  "-1",
  "1e999",
  "9".repeat(400),
  "a".repeat(4_000),
  "__proto__",
  "(a*)*$"
].map(encodeURIComponent)
/** No text in UTF-8. */
const BROKEN = ["%ff", "%ED%A0%80", "%E0%80%AF"]

const GOOD: Readonly<Record<string, string>> = { resource: "processes", id: "web", name: "a", server: "web" }

layer(TestServer.layer, { timeout: "2 minutes", excludeTestServices: true })("a question", (it) => {
  it.effect("whose parameter is no value of it is told so, and never costs the server an error of its own", () =>
    Effect.gen(function* () {
      const { register, request } = yield* TestServer.TestServer
      yield* register("web")
      const { body } = yield* request("GET", "/api/openapi.json")
      const asked = Object.entries((body as Described).paths).flatMap(([path, { get }]) =>
        (get?.parameters ?? [])
          .filter(({ in: where }) => where === "path" || where === "query")
          .flatMap((tried) =>
            [...HOSTILE, ...BROKEN].map((value) => {
              const valueOf = (name: string) => (name === tried.name ? value : (GOOD[name] ?? "1"))
              const query = tried.in === "query" ? `&${tried.name}=${value}` : ""
              return `${path.replaceAll(/\{(\w+)\}/g, (_, name) => valueOf(name))}?${tried.name === "name" ? "" : "name=a"}${query}`
            })
          )
      )
      expect(asked.length).toBeGreaterThan(500)
      const answers = yield* Effect.forEach(
        asked,
        (address) => Effect.map(request("GET", address), ({ status }) => [address, status] as const),
        { concurrency: 4 }
      )
      expect(answers.filter(([, status]) => status >= 500)).toEqual([])
      expect((yield* request("GET", "/api/servers")).body.servers).toHaveLength(1)
    })
  )

  it.effect("of patterns that would take for ever is refused, by what they would cost", () =>
    Effect.gen(function* () {
      const { request } = yield* TestServer.TestServer
      const preview = (rules: ReadonlyArray<{ readonly match: string; readonly name: string }>) =>
        Effect.map(request("POST", "/api/groupings/preview", { body: { rules } }), ({ status }) => status)
      for (const match of ["(x{1000}){1000}", "((a{1,100}){1,100}){1,100}", "(?=a)b", "(a)\\1", "(", "a".repeat(301)]) {
        expect([match, yield* preview([{ match, name: "x" }])]).toEqual([match, 400])
      }
      expect(yield* preview(Array.from({ length: 201 }, () => ({ match: "a", name: "x" })))).toBe(400)
      const aliases = Array.from({ length: 60 }, (_, n) => `k${n}: &a${n + 1} [${Array(9).fill(`*a${n}`).join()}]\n`)
      for (const text of ["[".repeat(50_000), "!tag ".repeat(10_000), `a: &a0 [x,x]\n${aliases.join("")}`]) {
        expect((yield* request("POST", "/api/rules/check", { body: { text } })).status).toBe(422)
      }
    })
  )

  it.effect("that nobody waits for any more is cancelled in the database", () =>
    Effect.gen(function* () {
      const { request, url } = yield* TestServer.TestServer
      const sql = yield* PgClient.PgClient
      const locked = yield* Deferred.make<void>()
      const done = yield* Deferred.make<void>()
      const lock = sql`lock table admiral.servers in access exclusive mode`.pipe(
        Effect.andThen(Deferred.succeed(locked, undefined)),
        Effect.andThen(Deferred.await(done))
      )
      expect((yield* request("GET", "/api/exporters")).status).toBe(200)
      yield* Effect.forkScoped(sql.withTransaction(lock))
      yield* Deferred.await(locked)
      const asker = new AbortController()
      const asked = fetch(`${url}/api/rules/backtest`, {
        method: "POST",
        signal: asker.signal,
        headers: { authorization: "Bearer an-admin-token-for-tests", "content-type": "application/json" },
        body: JSON.stringify({ text: "rules: [{name: a, resource: processes, metric: cpu, above: 1}]" })
      }).catch(() => undefined)
      const waiting = sql<{ readonly count: number }>`select count(*)::int4 as count from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock' and query like '%server.server_id, server.name%'`
      const until = (count: number) =>
        Effect.repeat(waiting, { until: ([row]) => row!.count === count, schedule: Schedule.spaced("50 millis") })
      yield* until(1)
      asker.abort()
      yield* Effect.promise(() => asked)
      yield* until(0)
      yield* Deferred.succeed(done, undefined)
    }).pipe(Effect.scoped)
  )
})
