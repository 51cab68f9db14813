/**
 * Promise 3: a new exporter needs no change in the core. This file declares one that NodePulse has never heard of and
 * takes it through scrape, ingest, stream, table, ranking, history and catalog. No other file knows it.
 */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Redacted, Result } from "effect"
import { layerStatus, makeAgent } from "../agent/Agent.ts"
import { layerNone } from "../agent/collector/Collector.ts"
import { AgentConfig, withDefaults } from "../agent/config/AgentConfig.ts"
import { layerMemory } from "../agent/spool/SpoolMemory.ts"
import * as Supervisor from "../src/engine/Supervisor.ts"
import { counter, gauge, label } from "../src/plugins/Column.ts"
import { defineExporter } from "../src/plugins/Exporter.ts"
import { peak, rate } from "../src/plugins/TopQuery.ts"
import * as TestServer from "./TestServer.ts"

const kitchenExporter = defineExporter({
  name: "kitchen_exporter",
  title: "Ovens",
  scrape: { endpoint: "http://127.0.0.1:9999/metrics", interval: "1 second", timeout: "500 millis" },
  table: {
    name: "oven_snapshots",
    retention: "3 days",
    columns: {
      oven: label({ doc: "Which oven." }),
      shelf: label({ doc: "Which shelf of it." }),
      breads_total: counter({ doc: "Breads baked." }),
      celsius: gauge({ unit: "celsius", signed: true, nullable: true, doc: "How warm it is." })
    }
  },
  parse: (samples) => {
    const rows = new Map<string, { oven: string; shelf: string; breads_total: number; celsius: number | null }>()
    for (const { labels, name, value } of samples) {
      const { oven = "", shelf = "" } = labels
      const row = rows.get(`${oven}/${shelf}`) ?? { oven, shelf, breads_total: 0, celsius: null }
      if (name === "kitchen_breads_total") rows.set(`${oven}/${shelf}`, { ...row, breads_total: value })
      if (name === "kitchen_celsius") rows.set(`${oven}/${shelf}`, { ...row, celsius: value })
    }
    return Result.succeed({ rows: [...rows.values()], skipped: [], countersSince: null })
  },
  top: {
    resource: "ovens",
    per: "oven",
    rankings: { breads: rate("breads_total"), heat: peak("celsius") },
    default: "breads"
  }
})

/** Serves a kitchen whose first oven bakes 3 breads a scrape, and whose second one is a freezer. */
const kitchen = Effect.acquireRelease(
  Effect.promise(async () => {
    let scrapes = 0
    const server = createServer((_request, response) => {
      scrapes++
      response.setHeader("content-type", "text/plain; version=0.0.4")
      response.end(
        [
          `kitchen_breads_total{oven="left",shelf="top"} ${10 + 2 * scrapes}`,
          `kitchen_breads_total{oven="left",shelf="bottom"} ${20 + scrapes}`,
          'kitchen_breads_total{oven="freezer",shelf=""} 0',
          'kitchen_celsius{oven="freezer",shelf=""} -18.5',
          'kitchen_celsius{oven="left",shelf="top"} 230',
          ""
        ].join("\n")
      )
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics` }
  }),
  ({ server }) => Effect.sync(() => server.close())
)

describe("a new exporter needs no change in the core", () => {
  it.live("one declaration is scraped, pushed, stored, ranked, charted and listed in the catalog", () =>
    Effect.gen(function* () {
      const { url: endpoint } = yield* kitchen
      const exporters = [kitchenExporter({ endpoint })]
      const migrationsFolder = yield* TestServer.writeMigrations(exporters)
      yield* Effect.gen(function* () {
        const server = yield* TestServer.TestServer
        const sql = yield* PgClient.PgClient
        const { server_id, token } = yield* server.register("bakery")

        const config = {
          ...withDefaults({}, exporters, undefined, []),
          server: {
            url: server.url,
            token: Effect.succeed(Redacted.make(token)),
            timeout: Duration.seconds(10),
            ca: undefined
          }
        }
        const layer = layerStatus.pipe(
          Layer.provideMerge(Layer.merge(layerMemory({ maxBytes: 1_000_000, maxAge: "1 hour" }), layerNone)),
          Layer.provideMerge(Layer.succeed(AgentConfig, config))
        )
        const agent = yield* Effect.provideContext(makeAgent, yield* Layer.build(layer))
        const supervisor = Supervisor.make({
          name: "agent",
          children: agent.children,
          maxRestarts: 3,
          backoff: { from: "100 millis", to: "1 second" },
          healthyAfter: "1 minute",
          stopWithin: "1 second"
        })
        yield* Effect.forkScoped(supervisor.run)

        const path = `/api/servers/${server_id}/ovens`
        const top = yield* server
          .request("GET", `${path}/top?hours=0.5`)
          .pipe(Effect.delay("200 millis"), Effect.repeat({ until: ({ body }) => body.scrapes >= 4, times: 150 }))
        const [first, second] = top.body.ovens
        assert.strictEqual(first.name, "left")
        assert.strictEqual(second.name, "freezer")
        const increase = first.breads_total
        assert.closeTo(increase, 3 * (top.body.scrapes - 1), 1e-9)
        assert.strictEqual(first.heat_celsius, 230)
        assert.strictEqual(second.heat_celsius, -18.5)
        assert.strictEqual(second.breads_per_second, 0)

        const ranked = yield* server.request("GET", `${path}/top?metric=heat&limit=1`)
        assert.deepStrictEqual(
          ranked.body.ovens.map((oven: { name: string }) => oven.name),
          ["left"]
        )

        const history = yield* server.request("GET", `${path}/history?name=left&hours=0.5`)
        assert.strictEqual(history.status, 200)
        assert.isTrue(history.body.series.breads_per_second.some((value: number | null) => value !== null && value > 0))

        const { body: catalog } = yield* server.request("GET", "/api/exporters")
        assert.deepStrictEqual(
          catalog.exporters.map((exporter: { name: string }) => exporter.name),
          ["kitchen_exporter"]
        )

        const [stored] = yield* sql<{ readonly rows: number }>`
          select count(*)::int as rows from admiral.oven_snapshots where oven = 'left' and server_id = ${server_id}`
        assert.isAtLeast(stored!.rows, 8)
        const { body: metrics } = yield* server.request("GET", "/metrics")
        assert.match(metrics, /nodepulse_ingest_accepted_total\{exporter="kitchen_exporter"\} [1-9]/)
      }).pipe(Effect.provide(TestServer.layerWith({ exporters, migrationsFolder })))
    }).pipe(Effect.scoped)
  )
})
