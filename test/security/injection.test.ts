/**
 * What is injected through strings that others name: processes, servers, notes. On a whole server with PostgreSQL: each is
 * stored to the letter, shown as it is, and means nothing to SQL, to an exposition, to a pattern of a search, or to JSON.
 */
import { PgClient } from "@effect/sql-pg"
import { expect, layer } from "@effect/vitest"
import { Effect, Result } from "effect"
import { row } from "../../src/http/TestServer.ts"
import { parseExposition } from "../../src/plugins/Exposition.ts"
import * as TestServer from "../TestServer.ts"

const HOSTILE = [
  "'; drop table admiral.servers; --",
  `" or 1=1 --`,
  "$1",
  "${process.env.PATH}",
  "%",
  "_",
  "\\",
  `\\"`,
  `a"} 1\nforged{b="`,
  "# HELP forged\n# TYPE forged counter",
  "line\r\nset-cookie: x=y",
  "\u001b[2J\u001b]0;title\u0007",
  "=cmd|'/c calc'!A1",
  "+1",
  "-1",
  "@sum(1)",
  "\ttab",
  "<script>alert(1)</script>",
  "__proto__",
  "constructor",
  "toString",
  "(others)",
  "é",
  "e\u0301",
  "\u202egnp.exe",
  "\u200b",
  "../../etc/passwd",
  "{}",
  "null",
  "NaN"
]

layer(TestServer.layer, { timeout: "2 minutes", excludeTestServices: true })("a hostile name", (it) => {
  it.effect("of a process is stored and answered to the letter, and forges no sample for Prometheus", () =>
    Effect.gen(function* () {
      const { register, request } = yield* TestServer.TestServer
      const sql = yield* PgClient.PgClient
      const { server_id, token } = yield* register("names")
      const pushed = yield* request("POST", "/metrics/prometheus", {
        token,
        body: { process_exporter: HOSTILE.map((name) => row(name)) }
      })
      expect(pushed.body).toEqual({ accepted: HOSTILE.length, rejected: [] })
      const stored = yield* sql<{ readonly process_name: string }>`
        select process_name from admiral.process_snapshots where server_id = ${server_id}`
      expect(stored.map(({ process_name }) => process_name).sort()).toEqual([...HOSTILE].sort())
      const { body: top } = yield* request("GET", `/api/servers/${server_id}/processes/top?limit=1000`)
      expect(top.processes.map(({ name }: { name: string }) => name).sort()).toEqual([...HOSTILE].sort())
      for (const name of HOSTILE) {
        const path = `/api/servers/${server_id}/processes/history?name=${encodeURIComponent(name)}`
        const { body, status } = yield* request("GET", path)
        expect([name, status, body.name]).toEqual([name, 200, name])
      }
      const { body: text } = yield* request("GET", "/api/metrics/processes?groups=50")
      const { samples, skipped } = Result.getOrThrow(parseExposition(text))
      expect(skipped).toEqual([])
      expect(samples.filter(({ name }) => !name.startsWith("nodepulse_"))).toEqual([])
      expect((yield* request("GET", "/metrics")).body).not.toContain("forged")
    })
  )

  it.effect("of a server or in a note changes nothing but itself, and a search for it is no pattern", () =>
    Effect.gen(function* () {
      const { request } = yield* TestServer.TestServer
      const { servers: before } = (yield* request("GET", "/api/servers")).body
      for (const name of HOSTILE) {
        const added = yield* request("POST", "/api/servers", { body: { name } })
        if (added.status === 400) continue
        expect([name, added.status]).toEqual([name, 201])
        expect(added.body.server_id).toMatch(/^[a-z0-9._-]{1,64}$/)
        expect(added.body.name).toBe(name.trim())
      }
      const { servers } = (yield* request("GET", "/api/servers")).body
      expect(servers.length).toBeGreaterThan(before.length)
      for (const search of ["%", "_", "\\"]) {
        const { body } = yield* request("GET", `/api/fleet?search=${encodeURIComponent(search)}&limit=100`)
        for (const { name } of body.servers) {
          // By its name, or by what runs on it: the server of the test before runs them all.
          expect(name === "names" || name.includes(search), `${search} finds ${name}`).toBe(true)
        }
      }
      for (const text of HOSTILE) {
        const added = yield* request("POST", "/api/notes", { body: { text } })
        expect(added.status === 201 || added.status === 400, text).toBe(true)
      }
      expect((yield* request("GET", "/api/audit?limit=100")).status).toBe(200)
    })
  )
})
