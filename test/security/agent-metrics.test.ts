/** Whoever holds connections to the agent's `/metrics` open keeps nobody out, and not for long. */
import { connect, type Socket } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Layer } from "effect"
import { AgentStatus } from "../../agent/AgentStatus.ts"
import { AgentConfig } from "../../agent/config/AgentConfig.ts"
import { serveMetrics } from "../../agent/MetricsEndpoint.ts"
import { exchange } from "../../agent/scrape/HttpExchange.ts"
import { layerMemory } from "../../agent/spool/SpoolMemory.ts"

const services = Layer.mergeAll(AgentStatus.layer, layerMemory({ maxBytes: 1e6, maxAge: Duration.days(1) })).pipe(
  Layer.provideMerge(
    Layer.succeed(AgentConfig, {
      serverName: "web-1",
      server: undefined,
      buffer: { path: undefined, maxBytes: 1e6, maxAge: Duration.days(1) },
      exporters: [],
      disabled: [],
      warnings: []
    })
  )
)

const serving = Effect.gen(function* () {
  const listening = yield* Deferred.make<number>()
  yield* Effect.forkScoped(
    serveMetrics({ host: "127.0.0.1", port: 0 }, (port) => Deferred.doneUnsafe(listening, Effect.succeed(port)))
  )
  return yield* Deferred.await(listening)
})

/** A connection that sends `text` and reads nothing. Resolves once it stands. */
const held = (port: number, text: string) =>
  Effect.acquireRelease(
    Effect.callback<Socket>((resume) => {
      const socket = connect({ port, host: "127.0.0.1" }, () => {
        if (text !== "") socket.write(text)
        resume(Effect.succeed(socket.pause()))
      })
      socket.on("error", () => {})
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

const closed = (socket: Socket) =>
  Effect.callback<void>((resume) => {
    if (socket.destroyed) return resume(Effect.void)
    socket.on("close", () => resume(Effect.void))
    socket.resume()
  })

describe("the agent's own metrics", () => {
  for (const [name, text] of [
    ["say nothing", ""],
    ["send a header slowly", "GET /metrics HTTP/1.1\r\nx: "],
    ["ask on and on and do not read", "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1_000)]
  ] as const) {
    it.live(
      `are served beside 40 connections that ${name}, and those are closed in seconds`,
      () =>
        Effect.gen(function* () {
          const port = yield* serving
          const sockets = yield* Effect.forEach(Array.from({ length: 40 }), () => held(port, text), { concurrency: 40 })
          const url = `http://127.0.0.1:${port}/metrics`
          const answer = yield* exchange({
            method: "GET",
            url,
            headers: {},
            timeout: Duration.seconds(20),
            bodyLimit: 1e6
          })
          assert.strictEqual(answer.status, 200)
          yield* Effect.forEach(sockets, closed, { concurrency: 40 }).pipe(Effect.timeout("100 seconds"))
        }).pipe(Effect.provide(services)),
      120_000
    )
  }
})
