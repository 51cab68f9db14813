import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { OPERATOR, READ, startServer } from "./TestServer.ts"

const rules = (metric: string) => ({
  text: `rules:\n  - {name: own, resource: nodepulse, metric: ${metric}, above: 5}`
})

describe("rules about NodePulse itself", () => {
  it.live("are said as sentences, and tried on the past where it is known; else they say why not", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      const post = (path: string, metric: string, token: string) =>
        ask(`/api/rules/${path}`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify(rules(metric)),
          token
        })
      expect((yield* post("check", "disk_used", READ)).json).toMatchObject({
        rules: [{ name: "own", sentence: "NodePulse: its disk is used to more than 5 %" }]
      })
      expect((yield* post("backtest", "dead_letters", OPERATOR)).status).toBe(200)
      const asked = world.asked.length
      for (const metric of ["disk_used", "clock_skew"]) {
        expect(yield* post("backtest", metric, OPERATOR)).toMatchObject({
          status: 422,
          json: {
            problems: [`"own" asks for ${metric}, which is known of the present only: it cannot be tried on the past`]
          }
        })
      }
      expect(world.asked.length).toBe(asked)
    })
  )
})
