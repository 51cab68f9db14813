import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Layer } from "effect"
import { parseExposition } from "../src/plugins/Exposition.ts"
import { AgentStatus } from "./AgentStatus.ts"
import { AgentConfig, type AgentConfigShape } from "./config/AgentConfig.ts"
import { serveMetrics } from "./MetricsEndpoint.ts"
import { exchange } from "./scrape/HttpExchange.ts"
import { layerMemory } from "./spool/SpoolMemory.ts"

const config: AgentConfigShape = {
  serverName: "web-1",
  server: undefined,
  buffer: { path: undefined, maxBytes: 1e6, maxAge: Duration.days(1) },
  exporters: [],
  disabled: [],
  warnings: []
}
const services = Layer.mergeAll(AgentStatus.layer, layerMemory({ maxBytes: 1e6, maxAge: Duration.days(1) })).pipe(
  Layer.provideMerge(Layer.succeed(AgentConfig, config))
)

/** Serves until the scope closes; resolves to the port. */
const serving = Effect.gen(function* () {
  const listening = yield* Deferred.make<number>()
  yield* Effect.forkScoped(
    serveMetrics({ host: "127.0.0.1", port: 0 }, (port) => Deferred.doneUnsafe(listening, Effect.succeed(port)))
  )
  return yield* Deferred.await(listening)
})

const ask = (port: number, path: string, method: "GET" | "POST" = "GET") =>
  exchange({
    method,
    url: `http://127.0.0.1:${port}${path}`,
    headers: {},
    timeout: Duration.seconds(5),
    bodyLimit: 1e6
  })

describe("the agent's own metrics", () => {
  it.live("are an exposition, at /metrics and nowhere else", () =>
    Effect.gen(function* () {
      const port = yield* serving
      const { body, headers, status } = yield* ask(port, "/metrics")
      assert.deepStrictEqual([status, headers["content-type"]], [200, "text/plain; version=0.0.4; charset=utf-8"])
      const parsed = yield* Effect.fromResult(parseExposition(body, { format: "text" }))
      assert.deepStrictEqual(parsed.skipped, [])
      assert.isTrue(parsed.samples.some(({ name }) => name === "nodepulse_agent_spool_limit_bytes"))
      assert.strictEqual((yield* ask(port, "/")).status, 404)
      assert.strictEqual((yield* ask(port, "/metrics", "POST")).status, 405)
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.live("fail with a sentence that names the address where it is in use, and may be tried again", () =>
    Effect.gen(function* () {
      const port = yield* serving
      const failed = yield* Effect.flip(serveMetrics({ host: "127.0.0.1", port }))
      assert.isTrue(failed.retryable)
      assert.include(failed.message, `metrics.listen 127.0.0.1:${port} is in use by another program`)
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.live("give the address up when they are interrupted", () =>
    Effect.gen(function* () {
      const port = yield* Effect.scoped(serving)
      const listening = yield* Deferred.make<number>()
      const again = yield* Effect.forkScoped(
        serveMetrics({ host: "127.0.0.1", port }, (port) => Deferred.doneUnsafe(listening, Effect.succeed(port)))
      )
      assert.strictEqual(yield* Deferred.await(listening), port)
      const exit = yield* Effect.andThen(Fiber.interrupt(again), Fiber.await(again))
      assert.isTrue(Exit.hasInterrupts(exit))
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})
