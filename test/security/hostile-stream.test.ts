/**
 * What somebody who reaches Valkey tries: to store rows of a server that is not theirs. On a whole server with a real Valkey
 * or Redis.
 */
import { PgClient } from "@effect/sql-pg"
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { Redis } from "ioredis"
import { keyOf } from "../../src/sinks/stream/valkey/StreamNumber.ts"
import * as TestServer from "../TestServer.ts"
import { describeValkey, makeTestValkey } from "../TestValkey.ts"

describeValkey("entries that NodePulse has not sealed", () => {
  it.live("become dead letters that say why, and what was really pushed is stored", () =>
    Effect.gen(function* () {
      const valkey = yield* makeTestValkey()
      yield* Effect.gen(function* () {
        const { register, request } = yield* TestServer.TestServer
        const sql = yield* PgClient.PgClient
        const client = yield* Effect.acquireRelease(
          Effect.sync(() => new Redis(valkey.url)),
          (redis) => Effect.sync(() => redis.disconnect())
        )
        const [victim, attacker] = [yield* register("victim"), yield* register("attacker")]
        const push = (token: string, name: string) => {
          const timestamp = new Date().toISOString()
          const row = { timestamp, name, num_procs: 1, cpu_seconds_total: 1, memory_bytes: 1 }
          return request("POST", "/metrics/prometheus", { token, body: { process_exporter: [row] } })
        }
        /** Every entry that is ever added: what digest takes away is kept by a second group. */
        yield* Effect.promise(() => client.xgroup("CREATE", keyOf(0), "witness", "0", "MKSTREAM"))
        expect((yield* push(attacker.token, "real")).status).toBe(202)
        const [[, fields]] = (yield* Effect.promise(() => client.xrange(keyOf(0), "-", "+"))) as [
          [string, Array<string>]
        ]
        const text = fields[fields.indexOf("snapshot") + 1]!
        const bare = text.slice(text.indexOf(".") + 1)
        const add = (serverId: string, snapshot: string) =>
          Effect.promise(() =>
            client.xadd(keyOf(0), "*", "server_id", serverId, "exporter_name", "process_exporter", "snapshot", snapshot)
          )
        yield* add(victim.server_id, bare)
        yield* add(victim.server_id, text)
        yield* add(victim.server_id, `~${"A".repeat(22)}.${bare}`)
        yield* Effect.promise(() => client.xadd(keyOf(0), "*", "anything", "else"))
        yield* add(attacker.server_id, text)
        expect((yield* push(victim.token, "own")).status).toBe(202)

        const letters = sql<{ readonly server_id: string; readonly reason: string }>`
          select server_id, reason from admiral.dead_letters order by id`
        const stored = sql<{ readonly server_id: string; readonly name: string }>`
          select server_id, process_name as name from admiral.process_snapshots order by 1, 2`
        yield* Effect.all([letters, stored]).pipe(
          Effect.repeat({ until: ([refused, rows]) => refused.length >= 2 && rows.length >= 2 }),
          Effect.timeout("100 seconds")
        )
        // What is forged under one name, in whatever entry, is one letter: by its content.
        expect(yield* letters).toMatchObject([
          { server_id: victim.server_id, reason: expect.stringMatching(/seal/) },
          { server_id: "", reason: expect.stringMatching(/no seal/) }
        ])
        expect(yield* stored).toEqual([
          { server_id: attacker.server_id, name: "real" },
          { server_id: victim.server_id, name: "own" }
        ])
      }).pipe(Effect.provide(TestServer.layerWith({ valkeyUrl: valkey.url })))
    }).pipe(Effect.scoped)
  )
})
