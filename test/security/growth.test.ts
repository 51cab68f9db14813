/**
 * Whoever may add something, and adds without end: servers, and entries of the audit, which is never shortened. On a whole
 * server with low bounds.
 */
import { PgClient } from "@effect/sql-pg"
import { expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as TestServer from "../TestServer.ts"

const SERVERS_MAX = 4
/** A second's worth, of which two hundred may come at once. */
const CHANGES = 200

const server = TestServer.layerWith({
  environment: { NODEPULSE_SERVERS_MAX: String(SERVERS_MAX), NODEPULSE_READER_CHANGES_PER_SECOND: "1" }
})

layer(server, { timeout: "2 minutes", excludeTestServices: true })("what only ever grows", (it) => {
  it.effect("servers, added and enrolled at once, are never more than may be, and no use of the token is lost", () =>
    Effect.gen(function* () {
      const { register, request } = yield* TestServer.TestServer
      for (let n = 1; n < SERVERS_MAX; n++) yield* register(`server ${n}`)
      const { body: made } = yield* request("POST", "/api/tokens", { body: { kind: "enrolment", uses: 50 } })
      const tries = yield* Effect.forEach(
        Array.from({ length: 12 }, (_, n) => n),
        (n) =>
          n % 2 === 0
            ? request("POST", "/api/servers", { body: { name: `more ${n}` } })
            : request("POST", "/api/enroll", { body: { name: `enrols ${n}` }, token: made.token }),
        { concurrency: 12 }
      )
      expect(tries.filter(({ status }) => status === 201)).toHaveLength(1)
      for (const { body, status } of tries) {
        if (status === 201) continue
        expect(body).toMatchObject({ status: 409, type: "urn:nodepulse:problem:too-many-servers", limit: SERVERS_MAX })
        expect(body.detail).toContain("NODEPULSE_SERVERS_MAX")
      }
      const { servers } = (yield* request("GET", "/api/servers")).body
      expect(servers).toHaveLength(SERVERS_MAX)
      const { tokens } = (yield* request("GET", "/api/tokens")).body
      const enrolment = tokens.find(({ token_id }: { token_id: string }) => token_id === made.token_id)
      const enrolled = servers.filter(({ name }: { name: string }) => name.startsWith("enrols")).length
      expect(enrolment.uses_left).toBe(50 - enrolled)
    })
  )

  it.effect("the audit grows only so fast for one who signs in again and again, and another's changes go on", () =>
    Effect.gen(function* () {
      const { request } = yield* TestServer.TestServer
      const sql = yield* PgClient.PgClient
      const { body: made } = yield* request("POST", "/api/tokens", { body: { kind: "read" } })
      const began = Date.now()
      const tries = yield* Effect.forEach(
        Array.from({ length: CHANGES * 2 }),
        () => request("POST", "/api/session", { token: made.token }),
        { concurrency: 4 }
      )
      const entries = yield* sql`select id from admiral.audit where author = ${`token:${made.token_id}`}`
      const opened = tries.filter(({ status }) => status === 200)
      expect(opened.length).toBeGreaterThanOrEqual(CHANGES)
      // What came back meanwhile, however slow the machine is.
      expect(entries.length).toBeLessThanOrEqual(CHANGES + Math.ceil((Date.now() - began) / 1_000))
      const refused = tries.find(({ status }) => status === 429)
      expect(refused?.body).toMatchObject({
        type: "urn:nodepulse:problem:too-many-requests",
        limit_of: "reader",
        limit: 1
      })
      expect((yield* request("POST", "/api/notes", { body: { text: "deploy" } })).status).toBe(201)
    })
  )
})
