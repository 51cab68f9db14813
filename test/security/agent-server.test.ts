/** A server that means harm, as the agent's push meets it: bounded, refused, named; nothing is counted that cannot be. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Logger, Redacted } from "effect"
import { agentMetrics } from "../../agent/AgentMetrics.ts"
import { AgentStatus } from "../../agent/AgentStatus.ts"
import { MachineClock } from "../../agent/clock/MachineClock.ts"
import { AgentConfig } from "../../agent/config/AgentConfig.ts"
import { makePush } from "../../agent/push/Push.ts"
import { httpPeer, tcpPeer } from "../../agent/scrape/HttpPeer.fixture.ts"
import { packRows } from "../../agent/spool/PackedRows.ts"
import { Spool } from "../../agent/spool/Spool.ts"
import { layerMemory } from "../../agent/spool/SpoolMemory.ts"

/** Delivers three rows once: what the push says of it, how many records are left, its metrics and the log. */
const delivered = (url: string) => {
  const logged: Array<string> = []
  return Effect.gen(function* () {
    const spool = yield* Spool
    const rows = packRows(["1", "2", "3"].map((n) => JSON.stringify({ name: n })))
    yield* spool.append([{ exporter: "process_exporter", scrapedAt: 0, rows }])
    yield* (yield* makePush).flush
    const { push } = (yield* AgentStatus).current()
    return { ...push, left: (yield* spool.stats).records, metrics: yield* agentMetrics, logged: logged.join("\n") }
  }).pipe(
    Effect.provide(
      MachineClock.layer.pipe(
        Layer.provideMerge(AgentStatus.layer),
        Layer.provideMerge(layerMemory({ maxBytes: 1e9, maxAge: "36500 days" })),
        Layer.provideMerge(
          Layer.succeed(AgentConfig, {
            serverName: "web-1",
            server: {
              url,
              token: Effect.succeed(Redacted.make("a-token")),
              timeout: Duration.seconds(5),
              ca: undefined
            },
            buffer: { path: undefined, maxBytes: 1e9, maxAge: Duration.days(1) },
            exporters: [],
            disabled: [],
            warnings: []
          })
        ),
        Layer.provideMerge(
          Layer.succeed(
            Logger.CurrentLoggers,
            new Set([Logger.make(({ message }) => void logged.push(String(message)))])
          )
        )
      )
    )
  )
}

const refused = { exporter: "process_exporter", index: 0, reason: "no", code: "invalid" }

describe("an answer", () => {
  for (const [name, answer, told] of [
    [
      "of more rows than there can be",
      '{"accepted":1e999,"rejected":[]}',
      /accepted is Infinity, but 3 rows were sent/
    ],
    ["of fewer than none", '{"accepted":-1e9,"rejected":[]}', /accepted is -1000000000, but 3 rows were sent/],
    [
      "of 1 000 refusals of three rows",
      JSON.stringify({ accepted: 0, rejected: Array(600).fill({ ...refused, reason: "" }) }),
      /rejected has 600 entries, but 3 rows were sent/
    ]
  ] as const) {
    it.live(`${name} is refused by its count, and counted nowhere`, () =>
      Effect.gen(function* () {
        const peer = yield* httpPeer((_, response) => response.writeHead(202).end(answer))
        const found = yield* delivered(peer.url)
        assert.deepStrictEqual([found.left, found.rowsAccepted, found.rowsRejected], [0, 0, 0])
        assert.match(found.lastError?.reason ?? "", told)
        assert.notMatch(found.metrics, /(Inf|NaN|\s-\d)/)
      })
    )
  }

  it.live("of 100 000 refusals is not read to its end: the rows stay, and the bound is named", () =>
    Effect.gen(function* () {
      const answer = JSON.stringify({ accepted: 0, rejected: Array(100_000).fill(refused) })
      const peer = yield* httpPeer((_, response) => response.writeHead(202).end(answer))
      const found = yield* delivered(peer.url)
      assert.strictEqual(found.left, 1)
      assert.deepStrictEqual(found.requests, { error: 1 })
    })
  )

  it.live("that never comes, behind endless preliminary ones, is given up on before the time-out", () =>
    Effect.gen(function* () {
      for (const status of ["100 Continue", "102 Processing", "103 Early Hints"]) {
        let sent = 0
        const peer = yield* tcpPeer((socket) => {
          const more = () => {
            for (let n = 0; n < 100 && !socket.destroyed; n++, sent++) socket.write(`HTTP/1.1 ${status}\r\n\r\n`)
            if (!socket.destroyed && sent < 100_000) setImmediate(more)
          }
          socket.once("data", more)
        })
        const found = yield* delivered(peer.url)
        assert.deepStrictEqual([found.left, found.requests], [1, { error: 1 }], status)
        assert.isBelow(sent, 100_000, status)
      }
    })
  )
})
