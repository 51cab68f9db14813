/** One token that makes up names as fast as it can: it gets what a server may have, and the fleet's answers stay answers. */
import { expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import { row } from "../../src/http/TestServer.ts"
import * as TestServer from "../TestServer.ts"

const NAMES = 10_000
const MAY_HAVE = 5_000

layer(TestServer.layer, { timeout: "2 minutes", excludeTestServices: true })("a token that makes up names", (it) => {
  it.effect("is told which rows are too many, and every answer about the fleet is given, its neighbour in it", () =>
    Effect.gen(function* () {
      const { register, request } = yield* TestServer.TestServer
      const hostile = yield* register("hostile")
      const quiet = yield* register("quiet")
      const push = (token: string, names: ReadonlyArray<string>) => {
        const process_exporter = names.map((name) => row(name))
        return Effect.map(
          request("POST", "/metrics/prometheus", { token, body: { process_exporter } }),
          ({ body }) => body
        )
      }
      const accepted: Array<number> = []
      for (let round = 0; round < 3; round++) {
        const names = Array.from({ length: NAMES }, (_, index) => `made up ${round} ${index}`)
        const answer = yield* push(hostile.token, names)
        accepted.push(answer.accepted)
        expect(answer.rejected[0]).toMatchObject({ code: "too_many_groups" })
      }
      expect(accepted).toEqual([MAY_HAVE, 0, 0])
      expect((yield* push(quiet.token, ["nginx", "postgres"])).accepted).toBe(2)

      for (const path of ["/api/processes/top?hours=1", "/api/processes/top?hours=1&by=name", "/api/fleet"]) {
        expect((yield* request("GET", path)).status, path).toBe(200)
      }
      const { body } = yield* request("GET", "/api/processes/top?hours=1&limit=1000")
      expect(body.processes.length + body.other.groups).toBe(MAY_HAVE + 2)
      expect(body.processes.map(({ name }: { name: string }) => name)).toEqual(expect.arrayContaining(["made up 0 1"]))
      const own = yield* request("GET", `/api/servers/${quiet.server_id}/processes/top?hours=1`)
      expect(own.body.processes).toHaveLength(2)
    })
  )
})
