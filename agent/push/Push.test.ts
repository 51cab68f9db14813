import { gunzipSync } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Logger, Redacted, Schedule, Schema } from "effect"
import { TestClock } from "effect/testing"
import { processExporter } from "../../src/plugins/process-exporter/ProcessExporter.ts"
import { AGENT_HEADER, parseHello } from "../../src/protocol/AgentHello.ts"
import { seededRandom } from "../../test/Seeded.ts"
import { layerStatus } from "../Agent.ts"
import { AgentStatus } from "../AgentStatus.ts"
import {
  AgentConfig,
  type AgentExporter,
  type AgentServer,
  TokenUnreadable,
  withDefaults
} from "../config/AgentConfig.ts"
import { closedPort, type HttpPeer, httpPeer, type PeerRequest, settled, tcpPeer } from "../scrape/HttpPeer.fixture.ts"
import { packArray, packRows } from "../spool/PackedRows.ts"
import { type NewSpoolRecord, Spool } from "../spool/Spool.ts"
import { layerMemory } from "../spool/SpoolMemory.ts"
import { makePush } from "./Push.ts"
import { backoffMillis, bodyOf, retryAfterMillis, verdictOf } from "./PushBatch.ts"

const TOKEN = "agent-token"

const serverAt = (url: string, changes: Partial<AgentServer> = {}): AgentServer => ({
  url,
  token: Effect.succeed(Redacted.make(TOKEN)),
  timeout: Duration.seconds(5),
  ca: undefined,
  ...changes
})

const services = (
  server: AgentServer | undefined,
  logged: Array<string> = [],
  exporters: ReadonlyArray<AgentExporter> = []
) =>
  layerStatus.pipe(
    Layer.provideMerge(
      Layer.mergeAll(
        Layer.succeed(AgentConfig, {
          serverName: "web-1",
          server,
          buffer: { path: undefined, maxBytes: 1e9, maxAge: Duration.days(1) },
          exporters,
          disabled: [],
          warnings: []
        }),
        layerMemory({ maxBytes: 1e9, maxAge: "36500 days" }),
        Logger.layer([Logger.make(({ message }) => void logged.push(String(message)))])
      )
    )
  )

/** A scrape of `count` rows of about `size` bytes each. */
const record = (name: string, count = 1, size = 0, exporter = "process_exporter"): NewSpoolRecord => ({
  exporter,
  scrapedAt: 0,
  rows: packRows(Array.from({ length: count }, (_, index) => JSON.stringify({ name, index, pad: "x".repeat(size) })))
})

const spool = (...records: ReadonlyArray<NewSpoolRecord>) => Effect.flatMap(Spool, ({ append }) => append(records))
const left = Effect.map(
  Effect.flatMap(Spool, ({ stats }) => stats),
  ({ records }) => records
)
const push = Effect.map(
  Effect.flatMap(AgentStatus, ({ view }) => view),
  (view) => view.push
)

const payloadIn = ({ body }: PeerRequest): Record<string, ReadonlyArray<{ name: string }>> =>
  JSON.parse(gunzipSync(body).toString())

/** The names in a request, each once, in order. */
const namesIn = (request: PeerRequest) => [
  ...new Set(Object.values(payloadIn(request)).flatMap((rows) => rows.map(({ name }) => name)))
]

const accepted = (request: PeerRequest) =>
  JSON.stringify({ accepted: Object.values(payloadIn(request)).flat().length, rejected: [] })

/** Delivers all there is, once. */
const flush = Effect.flatMap(makePush, (made) => made.flush)

/**
 * Lets the push run under the test's clock for that long. Each step waits for the real server to settle the request under
 * way, which the test's clock knows nothing of.
 */
const runFor = (seconds: number, peer: HttpPeer) =>
  Effect.gen(function* () {
    const { run } = yield* makePush
    const fiber = yield* Effect.forkChild(run)
    for (let half = 0; half < seconds * 2; half++) {
      yield* TestClock.adjust("500 millis")
      yield* settled(peer)
    }
    yield* Fiber.interrupt(fiber)
  })

describe("while there is nothing to send", () => {
  const outcome = {
    source: "endpoint",
    startedAt: 0,
    durationMillis: 1,
    rows: 0,
    skipped: 0,
    skippedReasons: []
  } as const

  /** So many minutes, in each of which the server answers one request. */
  const minutes = Effect.fnUntraced(function* (count: number, peer: HttpPeer, answer: string) {
    for (let minute = 1; minute <= count; minute++) {
      yield* TestClock.adjust("1 minute")
      yield* TestClock.withLive(
        Effect.repeat(push, {
          until: ({ requests }) => (requests[answer] ?? 0) >= minute,
          schedule: Schedule.spaced("5 millis")
        }).pipe(Effect.timeout("100 seconds"))
      )
      yield* settled(peer)
    }
    assert.deepStrictEqual((yield* push).requests, { [answer]: count })
  })

  it.effect("a request a minute tells which exporter is refused, and by which limit; none where all is well", () =>
    Effect.gen(function* () {
      const peer = yield* httpPeer((request, response) => response.writeHead(202).end(accepted(request)))
      yield* Effect.gen(function* () {
        const { scraped } = yield* AgentStatus
        const fiber = yield* Effect.forkChild((yield* makePush).run)
        yield* TestClock.adjust("3 minutes")
        const over = { limit: "series", most: 50_000 } as const
        yield* scraped("process_exporter", { ...outcome, state: "refused", over, error: "sends too much" })
        yield* minutes(2, peer, "202")
        yield* scraped("process_exporter", { ...outcome, state: "up", error: null })
        yield* TestClock.adjust("3 minutes")
        yield* settled(peer)
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual((yield* push).requests, { 202: 2 })
      }).pipe(Effect.provide(services(serverAt(peer.url))))
      for (const request of peer.requests) {
        assert.deepStrictEqual(payloadIn(request), {})
        const hello = parseHello(request.headers[AGENT_HEADER])
        assert.deepStrictEqual(hello?.refused, [{ exporter: "process_exporter", limit: "series", most: 50_000 }])
      }
    })
  )

  it.effect("says with each request what it does without, and the longer interval that it keeps", () =>
    Effect.gen(function* () {
      const peer = yield* httpPeer((request, response) => response.writeHead(202).end(accepted(request)))
      yield* Effect.gen(function* () {
        const { restrained, scraped } = yield* AgentStatus
        const over = { limit: "series", most: 50_000 } as const
        yield* scraped("process_exporter", { ...outcome, state: "refused", over, error: "sends too much" })
        const fiber = yield* Effect.forkChild((yield* makePush).run)
        yield* restrained({
          usage: null,
          restraint: { interval: 4, groups: undefined, recorder: true },
          causes: ["cpu"]
        })
        yield* minutes(1, peer, "202")
        yield* Fiber.interrupt(fiber)
      }).pipe(
        Effect.provide(services(serverAt(peer.url), [], withDefaults({}, [processExporter()], undefined, []).exporters))
      )
      const hello = parseHello(peer.requests[0]?.headers[AGENT_HEADER])
      assert.deepStrictEqual(hello?.restrained, { causes: ["cpu"], interval: 4, groups: null, recorder: true })
      assert.strictEqual(hello?.intervalSeconds, 60)
    })
  )

  it.effect("a server that takes no such request costs no record, and is told again", () =>
    Effect.gen(function* () {
      const logged: Array<string> = []
      const peer = yield* httpPeer((_, response) => response.writeHead(400).end())
      yield* Effect.gen(function* () {
        const { scraped } = yield* AgentStatus
        yield* scraped("process_exporter", { ...outcome, state: "unmatched", error: "matches nothing" })
        const fiber = yield* Effect.forkChild((yield* makePush).run)
        yield* minutes(2, peer, "400")
        yield* Fiber.interrupt(fiber)
        assert.strictEqual((yield* push).recordsRefused, 0)
      }).pipe(Effect.provide(services(serverAt(peer.url), logged)))
      assert.notInclude(logged.join(), "given up")
    })
  )
})

describe("a delivery", () => {
  it.live("sends what lies in the spool as it lies, byte for byte", () =>
    Effect.gen(function* () {
      const peer = yield* httpPeer((request, response) => response.writeHead(202).end(accepted(request)))
      const records = [record("a", 3), record("node", 1, 0, "node_exporter"), record("b", 2)]
      yield* Effect.andThen(spool(...records), flush).pipe(Effect.provide(services(serverAt(peer.url))))
      for (const { rows } of records) assert.isTrue(peer.requests[0]?.body.includes(rows.gzip))
      assert.deepStrictEqual(Object.values(payloadIn(peer.requests[0]!)).flat().length, 6)
    })
  )

  it.live("merges scrapes into one request per exporter's list, compressed, with the token", () =>
    Effect.gen(function* () {
      const peer = yield* httpPeer((request, response) => response.writeHead(202).end(accepted(request)))
      yield* Effect.gen(function* () {
        yield* spool(record("a", 2), record("node", 1, 0, "node_exporter"), record("b"))
        yield* flush
        assert.strictEqual(yield* left, 0)
        const { bytesSent, lastSuccessAt, requests, rowsAccepted } = yield* push
        assert.deepStrictEqual([requests, rowsAccepted], [{ 202: 1 }, 4])
        assert.isAbove(bytesSent, 0)
        assert.isNotNull(lastSuccessAt)
      }).pipe(Effect.provide(services(serverAt(`${peer.url}/base`))))
      const [request] = peer.requests
      assert.strictEqual(request?.path, "/base/metrics/prometheus")
      assert.strictEqual(request?.headers.authorization, `Bearer ${TOKEN}`)
      assert.strictEqual(request?.headers["content-type"], "application/json")
      const payload = payloadIn(request!)
      assert.deepStrictEqual(Object.keys(payload).sort(), ["node_exporter", "process_exporter"])
      assert.deepStrictEqual(payload.process_exporter?.map(({ name }) => name).sort(), ["a", "a", "b"])
    })
  )

  it.live("counts rows that the server rejected, keeps one of a kind with its reason, and logs the kind once", () =>
    Effect.gen(function* () {
      const rejected = [0, 2, 3].map((index) => ({
        exporter: "process_exporter",
        index,
        reason: `num_procs is ${index}.5, but must be whole`
      }))
      const answer = JSON.stringify({
        accepted: 3,
        rejected: [...rejected, { exporter: "cobol", index: 0, reason: "was never sent" }]
      })
      const peer = yield* httpPeer((_, response) => response.writeHead(202).end(answer))
      const logged: Array<string> = []
      yield* Effect.gen(function* () {
        const { flush } = yield* makePush
        yield* spool(record("first", 2), record("second", 4))
        yield* flush
        yield* spool(record("third", 4))
        yield* flush
        assert.strictEqual(yield* left, 0)
        const { rejections, rowsRejected } = yield* push
        assert.strictEqual(rowsRejected, 6)
        assert.strictEqual(rejections.length, 2)
        const [kind] = rejections
        assert.deepStrictEqual([kind?.rows, kind?.reason], [3, "num_procs is 0.5, but must be whole"])
        // Newest first: the second record's rows come before the first's.
        assert.match(kind?.row ?? "", /"name":"second","index":0/)
      }).pipe(Effect.provide(services(serverAt(peer.url), logged)))
      assert.strictEqual(logged.length, 1)
      assert.match(logged[0]!, /the server rejected 3 rows of process_exporter: num_procs/)
    })
  )

  it.live("is never repeated where the server refuses it for good: it is counted, and the reason kept", () =>
    Effect.gen(function* () {
      for (const code of [400, 404, 415, 422]) {
        const peer = yield* httpPeer((_, response) =>
          response
            .writeHead(code, { "content-type": "application/problem+json" })
            .end(JSON.stringify({ title: "No", detail: "not acceptable at all" }))
        )
        yield* Effect.gen(function* () {
          yield* spool(record("a"), record("b"))
          yield* flush
          assert.strictEqual(yield* left, 0)
          const { recordsRefused, rejections } = yield* push
          assert.strictEqual(recordsRefused, 2)
          assert.match(rejections[0]?.reason ?? "", new RegExp(`HTTP ${code}.*not acceptable at all`))
        }).pipe(Effect.provide(services(serverAt(peer.url))))
        assert.strictEqual(peer.requests.length, 1)
      }
    })
  )

  it.live("that is too large is halved until the guilty scrape is alone, which is then given up", () =>
    Effect.gen(function* () {
      const peer = yield* httpPeer((request, response) => {
        const tooLarge = gunzipSync(request.body).byteLength > 50_000
        response.writeHead(tooLarge ? 413 : 202).end(tooLarge ? "" : accepted(request))
      })
      yield* Effect.gen(function* () {
        yield* spool(
          ...Array.from({ length: 10 }, (_, index) => record(`small-${index}`, 10, 1_000)),
          record("huge", 1, 60_000)
        )
        yield* flush
        assert.strictEqual(yield* left, 0)
        const { recordsRefused, rowsAccepted } = yield* push
        assert.deepStrictEqual([recordsRefused, rowsAccepted], [1, 100])
      }).pipe(Effect.provide(services(serverAt(peer.url))))
    })
  )

  it.live("carries no more than half a megabyte, but at least one scrape", () =>
    Effect.gen(function* () {
      const peer = yield* httpPeer((request, response) => response.writeHead(202).end(accepted(request)))
      yield* Effect.gen(function* () {
        yield* spool(
          ...Array.from({ length: 20 }, (_, index) => record(`r${index}`, 100, 1_000)),
          record("big", 1, 700_000)
        )
        yield* flush
        assert.strictEqual(yield* left, 0)
      }).pipe(Effect.provide(services(serverAt(peer.url))))
      const sizes = peer.requests.map(({ body }) => gunzipSync(body).byteLength)
      assert.deepStrictEqual(sizes.filter((size) => size > 512 * 1024).length, 1)
      assert.isAbove(sizes.length, 4)
    })
  )
})

describe("a server that is away or busy", () => {
  it.effect("costs nothing: scrapes stay, and are delivered when it is back", () =>
    Effect.gen(function* () {
      const peer = yield* httpPeer((request, response, index) =>
        index < 3 ? response.writeHead(503).end() : response.writeHead(202).end(accepted(request))
      )
      yield* Effect.gen(function* () {
        yield* spool(record("a"))
        yield* runFor(30, peer)
        assert.strictEqual(yield* left, 0)
        const { error, requests, state } = yield* push
        assert.deepStrictEqual([requests, error, state], [{ 202: 1, 503: 3 }, null, "delivering"])
      }).pipe(Effect.provide(services(serverAt(peer.url))))
    })
  )

  it.effect("is not asked again before Retry-After", () =>
    Effect.gen(function* () {
      const peer = yield* httpPeer((_, response) => response.writeHead(429, { "retry-after": "40" }).end())
      yield* Effect.gen(function* () {
        yield* spool(record("a"))
        yield* runFor(35, peer)
        assert.strictEqual(peer.requests.length, 1)
        const { error, retryAt, state } = yield* push
        assert.deepStrictEqual([state, error], ["retrying", "the server is busy (HTTP 429)"])
        assert.isAtLeast(retryAt ?? 0, 40_000)
        assert.strictEqual(yield* left, 1)
      }).pipe(Effect.provide(services(serverAt(peer.url))))
    })
  )

  it.effect(
    "gets the latest scrape alone after anything that went wrong, then twice as much with each that it takes",
    () =>
      Effect.gen(function* () {
        let turnAway = false
        const peer = yield* httpPeer((request, response) => {
          if (turnAway) response.writeHead(429, { "retry-after": "1" }).end()
          else response.writeHead(202).end(accepted(request))
        })
        yield* Effect.gen(function* () {
          yield* spool(
            ...Array.from({ length: 200 }, (_, index) => record(`scrape-${String(index).padStart(3, "0")}`, 30, 1_000))
          )
          const { run } = yield* makePush
          const fiber = yield* Effect.forkChild(run)
          const step = Effect.gen(function* () {
            yield* TestClock.adjust("500 millis")
            yield* settled(peer)
          })
          const scrapes = () => peer.requests.map((request) => namesIn(request).length)
          yield* Effect.repeat(step, { until: () => peer.requests.length >= 6 })
          assert.deepStrictEqual(scrapes().slice(0, 6), [1, 2, 4, 8, 16, 16])
          turnAway = true
          yield* step
          turnAway = false
          yield* spool(record("fresh", 30, 1_000))
          const before = peer.requests.length
          yield* Effect.repeat(step, { until: () => peer.requests.length >= before + 3 })
          yield* Fiber.interrupt(fiber)
          assert.deepStrictEqual(scrapes().slice(before, before + 3), [1, 2, 4])
          // The present first, then the backlog from its beginning.
          assert.deepStrictEqual(namesIn(peer.requests[before]!), ["fresh"])
          assert.isTrue(namesIn(peer.requests[before + 1]!).every((name) => name < "scrape-100"))
        }).pipe(Effect.provide(services(serverAt(peer.url))))
      })
  )

  it.effect("is asked at least every 20 s, and not more than a handful of times a minute", () =>
    Effect.gen(function* () {
      const times: Array<number> = []
      const peer = yield* httpPeer((_, response) => response.writeHead(500).end())
      yield* Effect.gen(function* () {
        yield* spool(record("a"))
        const { run } = yield* makePush
        const fiber = yield* Effect.forkChild(run)
        for (let second = 0; second < 600; second++) {
          const before = peer.requests.length
          yield* TestClock.adjust("1 second")
          if ((yield* push).retryAt === null || ((yield* push).retryAt ?? 0) <= (second + 1) * 1000)
            yield* settled(peer)
          if (peer.requests.length > before) times.push(second)
        }
        yield* Fiber.interrupt(fiber)
      }).pipe(Effect.provide(services(serverAt(peer.url))))
      const gaps = times.slice(1).map((time, index) => time - times[index]!)
      assert.isAtMost(Math.max(...gaps), 22)
      assert.isAbove(times.length, 600 / 22)
      assert.isBelow(times.length, 120)
    })
  )

  it.live("may not be there at all, or hang: scrapes stay, and the reason is told", () =>
    Effect.gen(function* () {
      const port = yield* closedPort
      const silent = yield* tcpPeer((socket) => socket.resume())
      const cases = [
        [serverAt(`http://127.0.0.1:${port}`), /cannot be reached: connection refused/],
        [serverAt(silent.url, { timeout: Duration.millis(200) }), /connected, but no response within 200 ms/]
      ] as const
      for (const [server, reason] of cases) {
        const logged: Array<string> = []
        yield* Effect.gen(function* () {
          yield* spool(record("a"))
          yield* Effect.timeoutOption(
            Effect.flatMap(makePush, ({ run }) => run),
            "1500 millis"
          )
          assert.strictEqual(yield* left, 1)
          assert.match((yield* push).error ?? "", reason)
        }).pipe(Effect.provide(services(server, logged)))
        assert.strictEqual(logged.length, 1)
      }
    })
  )

  it.effect("gets the newest scrapes first after an outage, and the backlog at a bounded rate from both ends", () =>
    Effect.gen(function* () {
      const peer = yield* httpPeer((request, response) => response.writeHead(202).end(accepted(request)))
      yield* Effect.gen(function* () {
        // Twelve requests' worth.
        yield* spool(
          ...Array.from({ length: 60 }, (_, index) => record(`scrape-${String(index).padStart(2, "0")}`, 100, 1_000))
        )
        yield* runFor(3, peer)
        assert.isAtMost(peer.requests.length, 6)
        assert.include(namesIn(peer.requests[0]!), "scrape-59")
        assert.include(namesIn(peer.requests[1]!), "scrape-00")
        yield* spool(record("fresh"))
        const before = peer.requests.length
        yield* runFor(2, peer)
        assert.include(peer.requests.slice(before, before + 2).flatMap(namesIn), "fresh")
        yield* runFor(10, peer)
        assert.strictEqual(yield* left, 0)
        const names = peer.requests.flatMap(namesIn)
        assert.strictEqual(new Set(names).size, 61)
      }).pipe(Effect.provide(services(serverAt(peer.url))))
    })
  )
})

describe("a wrong token or address", () => {
  it.effect("keeps all scrapes, is told clearly, and is tried again slowly with the token of that moment", () =>
    Effect.gen(function* () {
      let token = "old"
      const peer = yield* httpPeer((request, response) =>
        request.headers.authorization === "Bearer new"
          ? response.writeHead(202).end(accepted(request))
          : response.writeHead(401).end()
      )
      const logged: Array<string> = []
      const server = serverAt(peer.url, { token: Effect.sync(() => Redacted.make(token)) })
      yield* Effect.gen(function* () {
        yield* spool(record("a"))
        yield* runFor(50, peer)
        assert.strictEqual(peer.requests.length, 1)
        assert.strictEqual((yield* push).state, "misconfigured")
        token = "new"
        yield* runFor(2, peer)
        assert.strictEqual(yield* left, 0)
      }).pipe(Effect.provide(services(server, logged)))
      assert.match(logged[0]!, /does not know the token \(HTTP 401\)/)
      assert.notInclude(logged.join(), "old")
    })
  )

  it.effect("is also a redirect, a page of something else, and a token file that is gone", () =>
    Effect.gen(function* () {
      const redirect = yield* httpPeer((_, response) =>
        response.writeHead(301, { location: "https://x.example/" }).end()
      )
      const page = yield* httpPeer((_, response) => response.writeHead(200).end("<html>Sign in</html>"))
      const gone = Effect.fail(
        new TokenUnreadable({ path: "/etc/nodepulse/token", reason: "it cannot be read (ENOENT)" })
      )
      const cases = [
        [redirect, serverAt(redirect.url), /redirects to https:\/\/x\.example\/ \(HTTP 301\): put the final address/],
        [page, serverAt(page.url), /HTTP 200 instead of 202: is it a NodePulse server\?/],
        [page, serverAt(page.url, { token: gone }), /server.token_file \/etc\/nodepulse\/token: it cannot be read/]
      ] as const
      for (const [peer, server, reason] of cases) {
        yield* Effect.gen(function* () {
          yield* spool(record("a"))
          yield* runFor(2, peer)
          const { error, state } = yield* push
          assert.strictEqual(state, "misconfigured")
          assert.match(error ?? "", reason)
          assert.strictEqual(yield* left, 1)
        }).pipe(Effect.provide(services(server)))
      }
    })
  )

  it.effect("that is not configured leaves everything in the spool", () =>
    Effect.gen(function* () {
      yield* spool(record("a"))
      yield* flush
      assert.strictEqual(yield* left, 1)
      assert.strictEqual((yield* push).state, "unconfigured")
    }).pipe(Effect.provide(services(undefined)))
  )
})

describe("the end", () => {
  it.live("of an interrupted delivery leaves the scrapes where they are", () =>
    Effect.gen(function* () {
      const silent = yield* tcpPeer((socket) => socket.resume())
      yield* Effect.gen(function* () {
        const { flush, run } = yield* makePush
        yield* spool(record("a"))
        const fiber = yield* Effect.forkChild(run)
        while (silent.openConnections() === 0) yield* Effect.sleep(2)
        // The last delivery waits for the one under way, but no longer than it may.
        yield* Effect.timeoutOption(flush, "50 millis")
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(yield* left, 1)
      }).pipe(Effect.provide(services(serverAt(silent.url))))
    })
  )

  it.live("of the agent delivers what is there, or stops at the first refusal", () =>
    Effect.gen(function* () {
      const peer = yield* httpPeer((request, response, index) =>
        index < 2 ? response.writeHead(202).end(accepted(request)) : response.writeHead(503).end()
      )
      yield* Effect.gen(function* () {
        yield* spool(...Array.from({ length: 20 }, (_, index) => record(`r${index}`, 100, 1_000)))
        yield* flush
        assert.strictEqual(peer.requests.length, 3)
        assert.isAbove(yield* left, 0)
      }).pipe(Effect.provide(services(serverAt(peer.url))))
    })
  )
})

it.live("no answer of a server loses the push its mind", () =>
  Effect.gen(function* () {
    const answers = [
      "",
      "null",
      "[]",
      '{"accepted":"many"}',
      '{"accepted":1,"rejected":[{"exporter":"__proto__","index":-1,"reason":""}]}',
      "\0".repeat(1000)
    ]
    for (const answer of answers) {
      const peer = yield* httpPeer((_, response) => response.writeHead(202).end(answer))
      yield* Effect.gen(function* () {
        yield* spool(record("a"))
        yield* flush
        assert.strictEqual(yield* left, 0, answer.slice(0, 20))
      }).pipe(Effect.provide(services(serverAt(peer.url))))
    }
  })
)

describe("decisions", () => {
  it("every status has one meaning", () => {
    const by = (verdict: string) =>
      Array.from({ length: 500 }, (_, index) => index + 100).filter((status) => verdictOf(status) === verdict)
    assert.deepStrictEqual(by("delivered"), [202])
    assert.deepStrictEqual(by("too-large"), [413])
    assert.deepStrictEqual(
      by("misconfigured").filter((status) => status >= 400),
      [401, 403]
    )
    assert.deepStrictEqual(
      by("later").filter((status) => status < 500),
      [408, 425, 429]
    )
    assert.isTrue(by("refused").every((status) => status >= 400 && status < 500))
  })

  it.effect.prop(
    "waits are jittered over the whole span, and never more than 20 s",
    [
      Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1e6 })),
      Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 0.999_999 }))
    ],
    ([retry, random]) =>
      Effect.sync(() => {
        const millis = backoffMillis(retry, random)
        assert.isTrue(millis >= 100 && millis <= 20_000)
        assert.isTrue(backoffMillis(retry, 0) === 100)
      })
  )

  it("a thousand that lost their server together come back evenly spread over 20 s", () => {
    const random = seededRandom(1)
    const perSecond = new Array<number>(20).fill(0)
    for (let agent = 0; agent < 1_000; agent++) perSecond[Math.floor(backoffMillis(9, random()) / 1_000)]!++
    // 50 on average; five standard deviations above and below.
    for (const count of perSecond) assert.isTrue(count > 15 && count < 85, String(perSecond))
  })

  it("Retry-After is seconds or a date, and never longer than 5 minutes", () => {
    const now = Date.parse("2025-10-30T12:00:00Z")
    const cases = [
      ["3", 3_000],
      [" 0 ", 0],
      ["86400", 300_000],
      ["Thu, 30 Oct 2025 12:00:20 GMT", 20_000],
      ["Thu, 30 Oct 2025 11:00:00 GMT", 0],
      ["soon", undefined],
      ["-5", undefined],
      ["", undefined],
      [undefined, undefined]
    ] as const
    for (const [header, millis] of cases) {
      assert.strictEqual(retryAfterMillis(header, now, undefined), millis, String(header))
      // A date is of the server's clock, whatever ours says.
      const told = new Date(now).toUTCString()
      assert.strictEqual(retryAfterMillis(header, now + 3_600_000, told), millis, String(header))
    }
  })

  it("a payload is valid JSON whatever is in the rows, empty scrapes left out", () => {
    const records = [
      record('a"b\\', 2),
      { ...record("x"), rows: packRows([]) },
      { ...record("y"), rows: packArray(" [ ] ")! },
      record("c", 1, 0, 'odd"name')
    ]
    const payload = JSON.parse(gunzipSync(bodyOf(records.map((each, id) => ({ ...each, id })))).toString()) as Record<
      string,
      ReadonlyArray<{ name: string }>
    >
    assert.deepStrictEqual(
      payload.process_exporter?.map(({ name }) => name),
      ['a"b\\', 'a"b\\']
    )
    assert.deepStrictEqual(payload['odd"name']?.length, 1)
  })
})
