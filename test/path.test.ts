/** The whole path from the outside: what is posted is what is answered. */

import { PgClient } from "@effect/sql-pg"
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as TestServer from "./TestServer.ts"

const iso = (millis: number) => new Date(millis).toISOString()

/** A payload of both exporters at a moment, with the counters grown by `cpu` seconds each. */
const payload = (at: number, cpu: { readonly nginx: number; readonly postgres: number }) => ({
  node_exporter: [
    {
      timestamp: iso(at),
      cpu_idle_seconds: 7184190.53,
      cpu_user_seconds: 1000 + cpu.nginx + cpu.postgres,
      cpu_system_seconds: 500,
      cpu_cores: 4,
      memory_total_bytes: 8589934592
    }
  ],
  process_exporter: [
    {
      timestamp: iso(at),
      name: "nginx",
      num_procs: 4,
      cpu_seconds_total: 1234.56 + cpu.nginx,
      memory_bytes: 102400000
    },
    {
      timestamp: iso(at),
      name: "postgres",
      num_procs: 8,
      cpu_seconds_total: 5678.9 + cpu.postgres,
      memory_bytes: 512000000
    }
  ]
})

layer(TestServer.layer, { excludeTestServices: true })("the whole path", (it) => {
  describe("what was answered with 2xx is in PostgreSQL exactly once", () => {
    it.effect("two scrapes give the right percentages; sent again, they change nothing", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.TestServer
        const sql = yield* PgClient.PgClient
        const { server_id, token } = yield* server.register("web-1")
        const now = Date.now()
        const first = payload(now - 20_000, { nginx: 0, postgres: 0 })
        const second = payload(now - 5_000, { nginx: 1.5, postgres: 6.75 })
        for (const body of [first, second, first, second]) {
          const posted = yield* server.request("POST", "/metrics/prometheus", { body, token })
          assert.deepStrictEqual(posted, { status: 202, body: { accepted: 3, rejected: [] } })
        }
        const { body, status } = yield* server.request("GET", `/api/servers/${server_id}/processes/top`)
        assert.strictEqual(status, 200)
        assert.strictEqual(body.server_id, server_id)
        assert.strictEqual(body.metric, "cpu")
        assert.strictEqual(body.time_range_hours, 1)
        const [postgres, nginx] = body.processes
        assert.strictEqual(body.processes.length, 2)
        assert.strictEqual(postgres.name, "postgres")
        assert.strictEqual(postgres.num_procs, 8)
        assert.closeTo(postgres.cpu_percent, 45, 1e-6)
        assert.closeTo(postgres.avg_cpu_percent, 45, 1e-6)
        assert.closeTo(postgres.memory_mb, 488.28125, 1e-9)
        assert.closeTo(postgres.peak_memory_mb, 488.28125, 1e-9)
        assert.closeTo(nginx.cpu_percent, 10, 1e-6)
        assert.closeTo(body.unaccounted.cpu_seconds, 0, 1e-6)
        assert.strictEqual(body.scrapes, 2)
        assert.deepStrictEqual(body.host, { cpu_cores: 4, memory_total_mb: 8192 })
        const rows = yield* sql<{
          readonly process_name: string
          readonly cpu_seconds_total: number
        }>`select server_id, process_name, cpu_seconds_total from admiral.process_snapshots order by process_name, timestamp`
        assert.deepStrictEqual(
          rows.map((row) => [row.process_name, row.cpu_seconds_total]),
          [
            ["nginx", 1234.56],
            ["nginx", 1236.06],
            ["postgres", 5678.9],
            ["postgres", 5685.65]
          ]
        )
      })
    )

    it.effect("one bad row is rejected with its index and reason, its neighbours are stored", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.TestServer
        const { server_id, token } = yield* server.register("web-2")
        const timestamp = iso(Date.now() - 1_000)
        const row = (name: unknown, cpu: unknown) => ({
          timestamp,
          name,
          num_procs: 1,
          cpu_seconds_total: cpu,
          memory_bytes: 1
        })
        const body = JSON.stringify({
          process_exporter: [row("a", 1), row("b", "BAD"), row("c", 2), row("d", -1), row("e\u0000", 1)],
          no_such_exporter: [{}]
        }).replace('"BAD"', "1e999")
        const posted = yield* server.request("POST", "/metrics/prometheus", { body, token })
        assert.strictEqual(posted.status, 202)
        assert.strictEqual(posted.body.accepted, 2)
        assert.deepStrictEqual(
          posted.body.rejected.map((one: { exporter: string; index: number }) => [one.exporter, one.index]),
          [
            ["process_exporter", 1],
            ["process_exporter", 3],
            ["process_exporter", 4],
            ["no_such_exporter", 0]
          ]
        )
        const { body: top } = yield* server.request("GET", `/api/servers/${server_id}/processes/top`)
        assert.deepStrictEqual(
          top.processes.map((one: { name: string }) => one.name),
          ["a", "c"]
        )
      })
    )
  })

  describe("every answer says how much of its window it saw", () => {
    it.effect("a server without rows has an empty list and coverage 0, an unknown one is 404", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.TestServer
        const { server_id } = yield* server.register("silent")
        const { body, status } = yield* server.request("GET", `/api/servers/${server_id}/processes/top?hours=6`)
        assert.strictEqual(status, 200)
        assert.deepStrictEqual([body.processes, body.coverage, body.scrapes, body.time_range_hours], [[], 0, 0, 6])
        assert.strictEqual((yield* server.request("GET", "/api/servers/nobody/processes/top")).status, 404)
      })
    )

    it.effect("the fleet's ranking names each group's server, and how much each server saw", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.TestServer
        const now = Date.now()
        const ids: Array<string> = []
        for (const [name, grown] of [
          ["fleet-a", 3],
          ["fleet-b", 6]
        ] as const) {
          const { server_id, token } = yield* server.register(name)
          ids.push(server_id)
          for (const body of [
            payload(now - 20_000, { nginx: 0, postgres: 0 }),
            payload(now - 5_000, { nginx: 1, postgres: grown })
          ]) {
            yield* server.request("POST", "/metrics/prometheus", { body, token })
          }
        }
        const query = ids.map((id) => `server=${id}`).join("&")
        const { body, status } = yield* server.request("GET", `/api/processes/top?${query}&limit=3`)
        assert.strictEqual(status, 200)
        assert.deepStrictEqual(
          body.processes.map((one: { name: string; server_id: string }) => [one.name, one.server_id]),
          [
            ["postgres", ids[1]],
            ["postgres", ids[0]],
            ["nginx", ids[0]]
          ]
        )
        assert.deepStrictEqual(
          body.servers.map((one: { server_id: string; scrapes: number }) => [one.server_id, one.scrapes]),
          ids.map((id) => [id, 2])
        )
        const byName = yield* server.request("GET", `/api/processes/top?${query}&by=name&limit=1`)
        assert.closeTo(byName.body.processes[0].cpu_seconds, 9, 1e-6)
        assert.strictEqual(byName.body.processes[0].servers, 2)
        assert.strictEqual((yield* server.request("GET", `/api/processes/top?server=${ids[0]}`)).status, 200)
        assert.strictEqual((yield* server.request("GET", "/api/processes/top?server=nobody")).status, 404)
        assert.strictEqual((yield* server.request("GET", "/api/processes/top")).status, 200)
      })
    )

    it.effect("what is asked for out of range is refused by name, value and range", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.TestServer
        const { server_id } = yield* server.register("asked")
        for (const query of [
          "metric=gpu",
          "limit=0",
          "limit=1001",
          "limit=1.5",
          "hours=0",
          "hours=-1",
          "hours=NaN",
          "hours=1e9"
        ]) {
          const { body, status } = yield* server.request("GET", `/api/servers/${server_id}/processes/top?${query}`)
          const [name, value] = query.split("=")
          assert.strictEqual(status, 400, query)
          assert.include(JSON.stringify(body), name!)
          assert.include(JSON.stringify(body), value!)
        }
      })
    )
  })

  describe("the pipeline shows itself", () => {
    it.effect("the supervision tree with balanced books, and metrics of every stage", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.TestServer
        const { body: tree } = yield* server.request("GET", "/api/pipeline")
        const digest = tree.children.find((child: { name: string }) => child.name === "digest")
        assert.strictEqual(digest.state, "running")
        const { accepted, inFlight, kept, received, rejected } = digest.tree.books
        assert.strictEqual(received, accepted + rejected + kept + inFlight)
        const { asking, delivery } = tree.alerts
        assert.strictEqual(asking.firing, 0)
        assert.deepStrictEqual(delivery, { waiting: 0, oldestSeconds: null, dead: 0 })
        const { body: metrics } = yield* server.request("GET", "/metrics")
        assert.match(metrics, /nodepulse_stage_messages_total\{pipeline="digest",stage="producer"/)
        assert.match(metrics, /nodepulse_child_up\{child="digest"\} 1/)
        assert.match(metrics, /nodepulse_rollup_lag_seconds \d/)
        assert.match(metrics, /nodepulse_notifications_waiting 0/)
      })
    )
  })
})
