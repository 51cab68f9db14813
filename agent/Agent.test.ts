import { gunzipSync } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Redacted, Result } from "effect"
import { parseExposition } from "../src/plugins/Exposition.ts"
import { nodeExporter } from "../src/plugins/node-exporter/NodeExporter.ts"
import { processExporter } from "../src/plugins/process-exporter/ProcessExporter.ts"
import { layerSpool, layerStatus, makeAgent } from "./Agent.ts"
import { agentMetrics } from "./AgentMetrics.ts"
import { AgentStatus } from "./AgentStatus.ts"
import { layerNone } from "./collector/Collector.ts"
import { AgentConfig, type AgentConfigShape } from "./config/AgentConfig.ts"
import { closedPort, httpPeer } from "./scrape/HttpPeer.fixture.ts"
import { Spool } from "./spool/Spool.ts"

const configFor = (serverUrl: string, processUrl: string, nodeUrl: string): AgentConfigShape => ({
  serverName: "web-1",
  server: {
    url: serverUrl,
    token: Effect.succeed(Redacted.make("topsecret")),
    timeout: Duration.seconds(5),
    ca: undefined
  },
  buffer: { path: undefined, maxBytes: 1e8, maxAge: Duration.days(1) },
  exporters: [[processExporter(), processUrl] as const, [nodeExporter(), nodeUrl] as const].map(
    ([exporter, endpoint]) => ({
      exporter,
      endpoint,
      interval: Duration.seconds(1),
      timeout: Duration.millis(500),
      bodyLimit: 1024 * 1024,
      collector: "auto"
    })
  ),
  disabled: ["cobol_exporter"],
  warnings: []
})

const services = (config: AgentConfigShape) =>
  layerStatus.pipe(
    Layer.provideMerge(layerSpool),
    Layer.provideMerge(Layer.merge(Layer.succeed(AgentConfig, config), layerNone))
  )

const BODY = `namedprocess_namegroup_cpu_seconds_total{groupname="nginx",mode="user"} 1
namedprocess_namegroup_memory_bytes{groupname="nginx",memtype="resident"} 4096
namedprocess_namegroup_num_procs{groupname="nginx"} 1
`

describe("the agent", () => {
  it.live(
    "delivers what one exporter serves while the other is down, tells both apart, and ends with an empty spool",
    () =>
      Effect.gen(function* () {
        const received: Array<string> = []
        const server = yield* httpPeer((request, response) => {
          const payload = JSON.parse(gunzipSync(request.body).toString()) as Record<
            string,
            ReadonlyArray<{ timestamp: string }>
          >
          const rows = payload.process_exporter ?? []
          received.push(...rows.map(({ timestamp }) => timestamp))
          response.writeHead(202).end(JSON.stringify({ accepted: rows.length, rejected: [] }))
        })
        const exporter = yield* httpPeer((_, response) => response.end(BODY))
        const port = yield* closedPort
        const config = configFor(server.url, exporter.url, `http://127.0.0.1:${port}/metrics`)
        yield* Effect.gen(function* () {
          const agent = yield* makeAgent
          assert.deepStrictEqual(
            agent.children.map(({ name }) => name),
            ["scrape:process_exporter", "scrape:node_exporter", "push"]
          )
          const runs = agent.children.map(({ run }) => run)
          const scraping = yield* Effect.forkChild(Effect.all(runs.slice(0, -1), { concurrency: runs.length }))
          const pushing = yield* Effect.forkChild(runs.at(-1)!)
          while (received.length < 2) yield* Effect.sleep(5)
          // First the scrapers: a push that is interrupted between its request and the answer goes out twice.
          yield* Fiber.interrupt(scraping)
          while ((yield* (yield* Spool).stats).records > 0) yield* Effect.sleep(5)
          yield* agent.drain
          yield* Fiber.interrupt(pushing)
          assert.strictEqual((yield* (yield* Spool).stats).records, 0)
          assert.strictEqual(new Set(received).size, received.length)

          const text = yield* agentMetrics
          const { samples, skipped } = Result.getOrThrow(parseExposition(text))
          assert.deepStrictEqual(skipped, [])
          const value = (name: string, labels: Readonly<Record<string, string>> = {}) =>
            samples.find(
              (sample) =>
                sample.name === name && Object.entries(labels).every(([key, text]) => sample.labels[key] === text)
            )?.value
          assert.strictEqual(value("nodepulse_agent_exporter_up", { exporter: "process_exporter" }), 1)
          assert.strictEqual(value("nodepulse_agent_exporter_up", { exporter: "node_exporter" }), 0)
          assert.strictEqual(value("nodepulse_agent_exporter_state", { exporter: "node_exporter", state: "down" }), 1)
          assert.strictEqual(
            value("nodepulse_agent_exporter_state", { exporter: "cobol_exporter", state: "disabled" }),
            1
          )
          assert.strictEqual(value("nodepulse_agent_push_rows_accepted_total"), received.length)
          assert.strictEqual(value("nodepulse_agent_push_state", { state: "delivering" }), 1)
          assert.strictEqual(value("nodepulse_agent_spool_records"), 0)

          const view = yield* (yield* AgentStatus).view
          assert.match(view.exporters.find(({ name }) => name === "node_exporter")?.error ?? "", /connection refused/)
          assert.notInclude(`${text}${JSON.stringify(view)}`, "topsecret")
        }).pipe(Effect.provide(services(config)))
      })
  )
})
