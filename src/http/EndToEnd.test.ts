/** The HTTP side with the real stream in process: what a 202 is worth, and what a full stream does. */
import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Result, Scope } from "effect"
import { processValues } from "../../test/ProcessRows.ts"
import { nodeExporter } from "../plugins/node-exporter/NodeExporter.ts"
import { processExporter } from "../plugins/process-exporter/ProcessExporter.ts"
import { makeSnapshotCodec } from "../plugins/SnapshotCodec.ts"
import { makeWires } from "../plugins/Wire.ts"
import { SnapshotStream } from "../sinks/stream/SnapshotStream.ts"
import { layerMemory } from "../sinks/stream/SnapshotStreamMemory.ts"
import { READ, row, startServer } from "./TestServer.ts"

const codec = makeSnapshotCodec(makeWires([nodeExporter(), processExporter()]))

const start = (bound: number) =>
  Effect.gen(function* () {
    const stream = Context.get(yield* Layer.build(layerMemory({ bound })), SnapshotStream)
    const server = yield* startServer({ stream: Layer.succeed(SnapshotStream, stream) })
    return { stream, server }
  })

describe("what was answered with 2xx went through the stream", () => {
  it.live("the answer waits until the last row was acknowledged, and the rows are what was sent", () =>
    Effect.gen(function* () {
      const { server, stream } = yield* start(100)
      const { read, acknowledge } = yield* stream.subscribe("digest")
      const sent = row('na"me \\ \u2028 🐘', { counters_since: "2025-10-30T12:00:00.000001Z" })
      const answer = yield* Effect.forkChild(server.push({ process_exporter: [sent, row("second")] }))
      const first = yield* read(1)
      const second = yield* read(1)
      yield* acknowledge(first)
      expect(answer.pollUnsafe()).toBeUndefined()
      const { content, from } = first[0]!
      const snapshot = Result.getOrThrow(
        codec.decode({ ...content, snapshot: "snapshots" in content ? content.snapshots[from]! : content.scrape })
      )
      expect(snapshot).toEqual({
        exporter: "process_exporter",
        serverId: "alpha",
        timestamp: Date.parse(sent.timestamp) * 1_000,
        countersSince: Date.UTC(2025, 9, 30, 12) * 1_000 + 1,
        values: processValues(sent.name, { num_procs: 4, cpu_seconds_total: 1234.56, memory_bytes: 102_400_000 })
      })
      expect((yield* server.ask("/metrics", { token: READ })).text).toContain("nodepulse_stream_pending 1")
      yield* acknowledge(second)
      expect((yield* Fiber.join(answer)).json).toEqual({ accepted: 2, rejected: [] })
    })
  )

  it.live("a full stream answers 429, keeps what it has, and takes more once there is room", () =>
    Effect.gen(function* () {
      const { server, stream } = yield* start(2)
      const held = yield* Effect.forkChild(server.push({ process_exporter: [row("a"), row("b")] }))
      const { read, acknowledge } = yield* stream.subscribe("digest")
      const taken = yield* read(2)
      expect((yield* server.push({ process_exporter: [row("c")] })).status).toBe(429)
      expect((yield* server.push({ process_exporter: [row("c"), row("d"), row("e")] })).status).toBe(413)
      yield* acknowledge(taken)
      expect((yield* Fiber.join(held)).status).toBe(202)
      const later = yield* Effect.forkChild(server.push({ process_exporter: [row("c")] }))
      yield* acknowledge(yield* read(2))
      expect((yield* Fiber.join(later)).status).toBe(202)
    })
  )

  it.live("on shutdown a request that is under way gets its answer, and no new one is taken", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { server, stream } = yield* Scope.provide(start(100), scope)
      const { read, acknowledge } = yield* Scope.provide(stream.subscribe("digest"), yield* Effect.scope)
      const answer = yield* Effect.forkChild(server.push({ process_exporter: [row("a")] }))
      const taken = yield* read(1)
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      const refused = yield* Effect.exit(server.ask("/healthz")).pipe(Effect.repeat({ until: Exit.isFailure }))
      expect(Exit.isFailure(refused)).toBe(true)
      yield* acknowledge(taken)
      expect((yield* Fiber.join(answer)).status).toBe(202)
      yield* Fiber.join(closing)
    })
  )
})
