/** What the push does with what the server cannot take yet, with a clock that is wrong, and with answers that are hostile. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gunzipSync } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Fiber, Layer, Logger, Redacted, Result } from "effect"
import { TestClock } from "effect/testing"
import { parseExposition } from "../../src/plugins/Exposition.ts"
import { parseHello } from "../../src/protocol/AgentHello.ts"
import { layerStatus } from "../Agent.ts"
import { agentMetrics } from "../AgentMetrics.ts"
import { AgentStatus } from "../AgentStatus.ts"
import { AgentConfig } from "../config/AgentConfig.ts"
import { type HttpPeer, httpPeer, type PeerRequest, settled } from "../scrape/HttpPeer.fixture.ts"
import { packRows } from "../spool/PackedRows.ts"
import { type NewSpoolRecord, Spool } from "../spool/Spool.ts"
import { layerMemory } from "../spool/SpoolMemory.ts"
import { makePush } from "./Push.ts"

const services = (url: string, logged: Array<string> = [], path?: string) =>
  layerStatus.pipe(
    Layer.provideMerge(layerMemory({ maxBytes: 1e9, maxAge: "1 day" })),
    Layer.provideMerge(
      Layer.mergeAll(
        Layer.succeed(AgentConfig, {
          serverName: "web-1",
          server: {
            url,
            token: Effect.succeed(Redacted.make("token")),
            timeout: Duration.seconds(5),
            ca: undefined
          },
          buffer: { path, maxBytes: 1e9, maxAge: Duration.days(1) },
          exporters: [],
          disabled: [],
          warnings: []
        }),
        Logger.layer([Logger.make(({ message }) => void logged.push(String(message)))])
      )
    )
  )

interface SentRow {
  readonly name: string
  readonly timestamp: string
  readonly counters_since?: string
}

const record = (name: string, exporter = "process_exporter", at = 0): NewSpoolRecord => ({
  exporter,
  scrapedAt: at,
  rows: packRows([
    JSON.stringify({ timestamp: new Date(at).toISOString(), counters_since: new Date(at - 60_000).toISOString(), name })
  ])
})
const spool = (...records: ReadonlyArray<NewSpoolRecord>) => Effect.flatMap(Spool, ({ append }) => append(records))
const left = Effect.map(
  Effect.flatMap(Spool, ({ peek }) => peek({ order: "oldest", maxBytes: 1e9 })),
  (records) => records.length
)
const push = Effect.map(AgentStatus, (status) => status.current().push)
const payloadIn = ({ body }: PeerRequest): Record<string, ReadonlyArray<SentRow>> =>
  JSON.parse(gunzipSync(body).toString())
const namesIn = (request: PeerRequest) =>
  Object.values(payloadIn(request)).flatMap((rows) => rows.map(({ name }) => name))
const helloIn = ({ headers }: PeerRequest) => parseHello(headers["nodepulse-agent"])

/** Lets a push run under the test's clock; `step` goes on by half a second. */
const running = (peer: HttpPeer) =>
  Effect.gen(function* () {
    const { run } = yield* makePush
    const fiber = yield* Effect.forkChild(run)
    const step = Effect.andThen(TestClock.adjust("500 millis"), settled(peer))
    return {
      seconds: (count: number) => Effect.repeat(step, { times: count * 2 - 1 }),
      stop: Fiber.interrupt(fiber)
    }
  })

describe("an exporter that the server does not know", () => {
  it.effect("costs none of its rows: they stay, are offered again, and arrive once the server knows it", () =>
    Effect.gen(function* () {
      let known = false
      const peer = yield* httpPeer((request, response) => {
        const { cobol = [], ...others } = payloadIn(request)
        const accepted = Object.values(others).flat().length + (known ? cobol.length : 0)
        const rejected = known
          ? []
          : cobol.map((_, index) => ({ exporter: "cobol", index, reason: "…", code: "exporter_unknown" }))
        response
          .writeHead(accepted === 0 && rejected.length > 0 ? 422 : 202)
          .end(JSON.stringify({ accepted, rejected }))
      })
      const logged: Array<string> = []
      yield* Effect.gen(function* () {
        const { seconds, stop } = yield* running(peer)
        yield* spool(record("old", "cobol"), record("a"))
        yield* seconds(3)
        yield* spool(record("newer", "cobol"), record("b"))
        yield* seconds(3)
        assert.strictEqual(yield* left, 2)
        const sent = () => peer.requests.flatMap(namesIn)
        // What was scraped while the exporter waits is not even sent.
        assert.deepStrictEqual(sent().sort(), ["a", "b", "old"])
        yield* seconds(14)
        assert.isAbove(sent().filter((name) => name === "old").length, 1)
        known = true
        yield* seconds(40)
        yield* stop
        assert.strictEqual(yield* left, 0)
        assert.include(sent(), "newer")
        const { rowsAccepted, rowsKept, rowsRejected, state } = yield* push
        assert.deepStrictEqual([rowsAccepted, rowsRejected, state], [4, 0, "delivering"])
        assert.isAbove(rowsKept, 0)
      }).pipe(Effect.provide(services(peer.url, logged)))
      assert.strictEqual(logged.length, 1)
      assert.match(logged[0]!, /does not know cobol: its rows stay in the spool .* until they are 1d old/)
    })
  )

  it.effect("of an older server, which tells no codes, is known by its words", () =>
    Effect.gen(function* () {
      const peer = yield* httpPeer((_, response) =>
        response.writeHead(422).end(
          JSON.stringify({
            accepted: 0,
            rejected: [{ exporter: "cobol", index: 0, reason: 'unknown exporter "cobol"' }]
          })
        )
      )
      yield* Effect.gen(function* () {
        yield* spool(record("a", "cobol"))
        yield* (yield* makePush).flush
        assert.strictEqual(yield* left, 1)
      }).pipe(Effect.provide(services(peer.url)))
    })
  )
})

describe("a clock that is wrong", () => {
  const MINUTE = 60_000

  /** A server whose clock is `skew` behind the agent's, and which takes nothing that is more than 10 minutes ahead or an hour old. */
  const strict = (clock: Clock.Clock, skew: number, tellsDate = true) =>
    httpPeer((request, response) => {
      const now = clock.currentTimeMillisUnsafe() - skew
      if (tellsDate) response.setHeader("date", new Date(now).toUTCString())
      const rejected = Object.entries(payloadIn(request)).flatMap(([exporter, rows]) =>
        rows.flatMap(({ timestamp }, index) => {
          const ahead = Date.parse(timestamp) - now
          const code = ahead > 10 * MINUTE ? "clock_ahead" : ahead < -60 * MINUTE ? "too_old" : undefined
          return code === undefined ? [] : [{ exporter, index, reason: `timestamp is ${ahead} ms off`, code }]
        })
      )
      const accepted = Object.values(payloadIn(request)).flat().length - rejected.length
      response.writeHead(accepted === 0 ? 422 : 202).end(JSON.stringify({ accepted, rejected }))
    })

  for (const [words, skew] of [
    ["20 minutes ahead", 20 * MINUTE],
    ["three hours behind", -180 * MINUTE]
  ] as const) {
    it.effect(`${words} costs no row: what was refused goes out again with its times corrected, and marked`, () =>
      Effect.gen(function* () {
        yield* TestClock.setTime(1_772_000_000_000)
        const peer = yield* strict(yield* Clock.Clock, skew)
        const logged: Array<string> = []
        yield* Effect.gen(function* () {
          const { seconds, stop } = yield* running(peer)
          const at = yield* Clock.currentTimeMillis
          yield* spool(record("a", "process_exporter", at), record("n", "node_exporter", at))
          yield* seconds(4)
          yield* stop
          assert.strictEqual(yield* left, 0)
          const last = peer.requests.at(-1)!
          const [row] = payloadIn(last).process_exporter!
          const corrected = (helloIn(last)?.corrected ?? 0) * 1_000
          assert.closeTo(corrected, -skew, 1_000)
          assert.strictEqual(Date.parse(row!.timestamp), at + corrected)
          assert.strictEqual(Date.parse(row!.counters_since ?? ""), at - MINUTE + corrected)
          assert.isUndefined(helloIn(peer.requests[0]!)?.corrected)
          const { rowsAccepted, rowsCorrected, rowsRejected } = yield* push
          assert.deepStrictEqual([rowsAccepted, rowsCorrected, rowsRejected], [2, 2, 0])
        }).pipe(Effect.provide(services(peer.url, logged)))
        assert.match(logged.join("\n"), /clock is .* (ahead of|behind) the server's/)
        assert.match(
          logged.join("\n"),
          /refused rows for their time: timestamp is .* ms off; their times are corrected/
        )
      })
    )
  }

  it.effect("that nobody can tell costs no row either: they wait until the server's clock has come up to them", () =>
    Effect.gen(function* () {
      const peer = yield* strict(yield* Clock.Clock, 11 * MINUTE, false)
      yield* Effect.gen(function* () {
        const { seconds, stop } = yield* running(peer)
        yield* spool(record("a"))
        yield* seconds(120)
        yield* stop
        assert.strictEqual(yield* left, 0)
        assert.isAtMost(peer.requests.length, 5)
        assert.strictEqual(payloadIn(peer.requests.at(-1)!).process_exporter?.[0]?.timestamp, new Date(0).toISOString())
      }).pipe(Effect.provide(services(peer.url)))
    })
  )

  it.live("does not keep what is only old", () =>
    Effect.gen(function* () {
      const peer = yield* strict(yield* Clock.Clock, 0)
      yield* Effect.gen(function* () {
        yield* spool(record("a", "process_exporter", Date.now() - 120 * MINUTE))
        yield* (yield* makePush).flush
        assert.strictEqual(yield* left, 0)
        assert.strictEqual((yield* push).rowsRejected, 1)
      }).pipe(Effect.provide(services(peer.url)))
    })
  )
})

describe("a token that another agent writes with", () => {
  const inUse = (reason: string, retryAfter: string) =>
    httpPeer((_, response) =>
      response
        .writeHead(409, { "content-type": "application/problem+json", "retry-after": retryAfter })
        .end(JSON.stringify({ reason, detail: "give this machine a token of its own" }))
    )

  for (const [reason, state] of [
    ["waiting", "retrying"],
    ["conflict", "misconfigured"],
    ["something newer", "misconfigured"]
  ] as const) {
    it.effect(
      `costs nothing (${reason}): scrapes stay, the remedy is told, and it is asked again as the server says`,
      () =>
        Effect.gen(function* () {
          const peer = yield* inUse(reason, "40")
          const logged: Array<string> = []
          yield* Effect.gen(function* () {
            const { seconds, stop } = yield* running(peer)
            yield* spool(record("a"))
            yield* seconds(38)
            assert.strictEqual(peer.requests.length, 1)
            assert.strictEqual((yield* push).state, state)
            yield* seconds(8)
            yield* stop
            assert.strictEqual(peer.requests.length, 2)
            assert.strictEqual(yield* left, 1)
          }).pipe(Effect.provide(services(peer.url, logged)))
          assert.strictEqual(logged.length, 1)
          assert.match(
            logged[0]!,
            /another agent writes with this token \(HTTP 409\): give this machine a token of its own/
          )
        })
    )
  }

  it.effect("since this machine was copied makes it begin again under another number, which follows nobody", () =>
    Effect.gen(function* () {
      const peer = yield* inUse("replayed", "1")
      yield* Effect.gen(function* () {
        const { seconds, stop } = yield* running(peer)
        yield* spool(record("a"))
        yield* seconds(6)
        yield* stop
        const [first, second] = peer.requests.map(helloIn)
        assert.notStrictEqual(first?.start, second?.start)
        assert.deepStrictEqual([second?.after, second?.sequence], [[], 1])
        assert.strictEqual(first?.machine, second?.machine)
      }).pipe(Effect.provide(services(peer.url)))
    })
  )

  it.live("is followed at once by the same agent, restarted: it names the start before, until it is accepted", () =>
    Effect.gen(function* () {
      const folder = mkdtempSync(join(tmpdir(), "nodepulse-identity-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true, force: true })))
      let up = true
      const peer = yield* httpPeer((_, response) =>
        response.writeHead(up ? 202 : 503).end(JSON.stringify({ accepted: 1, rejected: [] }))
      )
      const once = Effect.gen(function* () {
        yield* spool(record("a"))
        yield* (yield* makePush).flush
      }).pipe(Effect.provide(services(peer.url, [], folder), { local: true }))
      yield* once
      up = false
      for (let start = 0; start < 12; start++) yield* once
      up = true
      yield* once
      yield* once
      const hellos = peer.requests.map(helloIn)
      const [first] = hellos
      for (const hello of hellos.slice(1, 14)) assert.isTrue(hello?.after.includes(first!.start))
      assert.deepStrictEqual(hellos[14]?.after, [hellos[13]!.start])
      assert.strictEqual(new Set(hellos.map((hello) => hello?.start)).size, 15)
      assert.strictEqual(new Set(hellos.map((hello) => hello?.boot)).size, 1)
    })
  )
})

describe("a hostile answer", () => {
  it.live("reaches neither the terminal nor the metrics as it is", () =>
    Effect.gen(function* () {
      const evil = "\u001b[2J\nERROR forged\u202e\u009b"
      const answers = [
        [
          202,
          `{"accepted":1e999,"rejected":[{"exporter":"process_exporter","index":0,"reason":${JSON.stringify(evil)}}]}`
        ],
        [202, `{"accepted":-5,"rejected":[{"exporter":${JSON.stringify(evil)},"index":1e999,"reason":"x"}]}`],
        [202, `{"accepted":"7","rejected":[{"exporter":"process_exporter","index":-1,"reason":"x","code":{}}]}`],
        [400, JSON.stringify({ title: evil, detail: evil })],
        [307, ""],
        [503, JSON.stringify({ detail: evil })]
      ] as const
      const logged: Array<string> = []
      for (const [status, body] of answers) {
        const peer = yield* httpPeer((_, response) =>
          response
            .writeHead(status, { "content-type": "application/json", location: "/\u009b2J", "retry-after": "-1" })
            .end(body)
        )
        yield* Effect.gen(function* () {
          const { run } = yield* makePush
          yield* spool(record("a"))
          const fiber = yield* Effect.forkChild(run)
          while (Object.keys((yield* push).requests).length === 0) yield* Effect.sleep(5)
          yield* Effect.sleep(5)
          yield* Fiber.interrupt(fiber)
          const { samples } = Result.getOrThrow(parseExposition(yield* agentMetrics))
          for (const { name, value } of samples) assert.isTrue(Number.isFinite(value) && value >= -1e9, name)
          const accepted = samples.find(({ name }) => name === "nodepulse_agent_push_rows_accepted_total")?.value ?? -1
          assert.isTrue(accepted === 0 || accepted === 1)
        }).pipe(Effect.provide(services(peer.url, logged), { local: true }))
      }
      assert.isAtLeast(logged.length, 4)
      for (const line of logged) assert.notMatch(line, /[\u0000-\u001f\u007f-\u009f\u202e]/)
    })
  )
})

it.effect("the wait between two tries begins short again once the server has taken something", () =>
  Effect.gen(function* () {
    let up = false
    const peer = yield* httpPeer((_, response) =>
      response.writeHead(up ? 202 : 503).end(JSON.stringify({ accepted: 1, rejected: [] }))
    )
    yield* Effect.gen(function* () {
      const { seconds, stop } = yield* running(peer)
      yield* spool(record("a"))
      yield* seconds(60)
      up = true
      yield* seconds(25)
      up = false
      const before = peer.requests.length
      yield* spool(record("b"))
      // Full jitter of at most 1, 2 and 4 seconds, after the pause before a request.
      yield* seconds(9)
      yield* stop
      assert.isAtLeast(peer.requests.length - before, 3)
    }).pipe(Effect.provide(services(peer.url)))
  })
)
