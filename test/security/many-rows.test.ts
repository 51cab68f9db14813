/** A question about more rows than one may read: it is told of which window, and how to ask instead; others are answered. */
import { expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import { row } from "../../src/http/TestServer.ts"
import * as TestServer from "../TestServer.ts"

const ROWS_MAX = 10_000
const GROUPS = 3_000
/** Short enough that no roll-up answers for it. */
const HOURS = 0.2

layer(TestServer.layerWith({ environment: { NODEPULSE_ANSWER_ROWS_MAX: String(ROWS_MAX) } }), {
  timeout: "2 minutes",
  excludeTestServices: true
})("a question about very many rows", (it) => {
  it.effect("is refused with its window and what helps; a shorter one and everybody else's are answered", () =>
    Effect.gen(function* () {
      const { register, request } = yield* TestServer.TestServer
      const [large, small] = [yield* register("large"), yield* register("small")]
      const now = Date.now()
      const push = (token: string, groups: number, ago: number) => {
        const timestamp = new Date(now - ago * 1_000).toISOString()
        const process_exporter = Array.from({ length: groups }, (_, n) => row(`group ${n}`, { timestamp }))
        return request("POST", "/metrics/prometheus", { token, body: { process_exporter } })
      }
      for (const ago of [400, 340, 280, 220]) {
        expect((yield* push(large.token, GROUPS, ago)).body.accepted).toBe(GROUPS)
        expect((yield* push(small.token, 2, ago)).body.accepted).toBe(2)
      }
      const top = (server: string, query: string) => request("GET", `/api/servers/${server}/processes/top?${query}`)
      const fleet = request("GET", `/api/processes/top?hours=${HOURS}`)
      for (const { body, status } of [yield* top(large.server_id, `hours=${HOURS}`), yield* fleet]) {
        expect(status).toBe(422)
        expect(body).toMatchObject({ type: "urn:nodepulse:problem:question-too-large" })
        expect(body.detail).toMatch(
          /^the window from 2\S+Z to 2\S+Z has more than 10000 rows to read; ask for a shorter one, for fewer servers/
        )
      }
      // One scrape, the one before it, and once more what the latest one says beside its ranking.
      const at = new Date(now - 215_000).toISOString()
      const shorter = yield* top(large.server_id, `hours=0.01&at=${at}`)
      expect(shorter.status, JSON.stringify(shorter.body).slice(0, 300)).toBe(200)
      const others = yield* top(small.server_id, `hours=${HOURS}`)
      expect(others.body.processes).toHaveLength(2)
      expect((yield* request("GET", `/api/processes/top?hours=${HOURS}&server=${small.server_id}`)).status).toBe(200)
    })
  )
})
