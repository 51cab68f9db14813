import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { ADMIN, READ, startServer } from "./TestServer.ts"

const RULES = "rules:\n  - {name: busy, resource: processes, metric: cpu, above: 80}"

const posting = (text: unknown, token: string) => ({
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ text }),
  token
})

describe("rules", () => {
  it.live("are said as sentences, or with all that is wrong, to whoever may read", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer()
      const check = (text: unknown) => ask("/api/rules/check", posting(text, READ))
      expect((yield* check(RULES)).json).toEqual({
        rules: [
          {
            name: "busy",
            sentence: "any group on any server: cpu above 80 % of a core, averaged over 60 s",
            severity: "warning"
          }
        ]
      })
      const wrong = yield* check(RULES.replace("cpu", "gpu").replace("80", "eighty"))
      expect(wrong.status).toBe(422)
      expect(wrong.json).toMatchObject({ problems: [expect.stringContaining("rules[0].above (line 2)")] })
      expect((yield* check("x".repeat(300_000))).status).toBe(413)
      expect((yield* check(7)).status).toBe(400)
    })
  )

  it.live("that take too long on the past are answered for the servers that were tried, before the time is over", () =>
    Effect.gen(function* () {
      const { ask } = yield* startServer({ limits: { answerWithin: "10 seconds" } })
      const { json, status } = yield* ask("/api/rules/backtest", posting(RULES.replace("busy", "endless"), ADMIN))
      expect(status).toBe(200)
      expect(json.rules).toMatchObject([{ name: "endless", servers: 2, tried: 1, incidents: [] }])
    })
  )

  it.live("are tried on the last seven days unless told otherwise, by who may change things", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      const backtest = (query: string, token = ADMIN) => ask(`/api/rules/backtest${query}`, posting(RULES, token))
      expect((yield* backtest("", READ)).status).toBe(403)
      expect(world.asked).toEqual([])
      const { json } = yield* backtest("?at=2025-10-30T12:00:00Z&hours=2")
      expect(json).toMatchObject({
        window: { from: "2025-10-30T10:00:00.000000Z", to: "2025-10-30T12:00:00.000000Z" },
        rules: [
          {
            name: "busy",
            servers: 2,
            tried: 2,
            more: 0,
            incidents: [{ server_id: "alpha", group: "g", from: "2025-10-30T10:00:00.000000Z", to: null, value: 91.5 }]
          }
        ]
      })
      yield* backtest("?at=2025-10-30T12:00:00Z")
      expect(world.asked.at(-1)).toMatchObject({ window: { from: Date.UTC(2025, 9, 23, 12) * 1_000 } })
      expect((yield* backtest("?hours=99999999")).status).toBe(400)
    })
  )
})
