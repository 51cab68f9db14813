import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { ADMIN, startServer } from "./TestServer.ts"

describe("the pipeline", () => {
  it.live("is told with how alerts are asked for and told, and without where the database does not say in time", () =>
    Effect.gen(function* () {
      const { ask, world } = yield* startServer()
      const pipeline = Effect.map(ask("/api/pipeline", { token: ADMIN }), ({ json, status }) => [status, json])
      const tree = {
        name: "digest",
        children: [],
        streams: [
          {
            stream: 0,
            owner: "this process",
            isOwnerKnown: true,
            ownedForSeconds: null,
            fence: null,
            rows: 3,
            pending: 1,
            waiting: 0,
            bound: 100,
            bytes: null,
            oldestSeconds: 2
          }
        ]
      }
      const told = {
        ...tree,
        alerts: {
          asking: { firing: 0, behindSeconds: 12.5, pass: null },
          delivery: { waiting: 2, oldestSeconds: 61.5, dead: 1 }
        }
      }
      expect(yield* pipeline).toEqual([200, expect.objectContaining(told)])
      world.databaseDown = true
      expect(yield* pipeline).toEqual([200, expect.objectContaining({ ...tree, alerts: null })])
      world.databaseDown = false
      world.reading = Effect.never
      expect(yield* pipeline).toEqual([200, expect.objectContaining({ ...tree, alerts: null })])
    })
  )
})
