import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Logger, Result } from "effect"
import { TestClock } from "effect/testing"
import type { Exporter } from "../src/plugins/Exporter.ts"
import { processExporter } from "../src/plugins/process-exporter/ProcessExporter.ts"
import { makeWire } from "../src/plugins/Wire.ts"
import { AgentConfig, type AgentExporter } from "./AgentConfig.ts"
import { AgentStatus } from "./AgentStatus.ts"
import { jitterOf } from "./Cadence.ts"
import { type Collection, Collectors, layerNone } from "./Collector.ts"
import { closedPort, httpPeer, tcpPeer } from "./HttpPeer.fixture.ts"
import { makeScrape, readScrape, runScraper } from "./Scraper.ts"
import { Spool } from "./Spool.ts"
import { layerMemory } from "./SpoolMemory.ts"

const EXPORTER = processExporter()
const HOST = "web-1"

const settingsOf = (endpoint: string, changes: Partial<AgentExporter> = {}): AgentExporter => ({
  exporter: EXPORTER,
  endpoint,
  interval: Duration.seconds(15),
  timeout: Duration.seconds(5),
  bodyLimit: 1024 * 1024,
  collector: "never",
  ...changes
})

const services = (
  settings: AgentExporter,
  collectors: Layer.Layer<Collectors> = layerNone,
  logged: Array<string> = []
) =>
  AgentStatus.layer.pipe(
    Layer.provideMerge(
      Layer.mergeAll(
        Layer.succeed(AgentConfig, {
          serverName: HOST,
          server: undefined,
          buffer: { path: undefined, maxBytes: 1e9, maxAge: Duration.days(1) },
          exporters: [settings],
          disabled: [],
          warnings: []
        }),
        layerMemory({ maxBytes: 1e9, maxAge: "365 days" }),
        collectors,
        Logger.layer([Logger.make(({ message }) => void logged.push(String(message)))])
      )
    )
  )

const group = (
  name: string,
  cpu = 1
) => `namedprocess_namegroup_cpu_seconds_total{groupname="${name}",mode="user"} ${cpu}
namedprocess_namegroup_memory_bytes{groupname="${name}",memtype="resident"} 4096
namedprocess_namegroup_num_procs{groupname="${name}"} 1
`
const STARTED = "process_start_time_seconds 1700000000\n"
const NOTHING_MATCHED = "namedprocess_scrape_errors 0\n"

/** The timestamps and names of all rows in the spool, in order. */
const spooled = Effect.gen(function* () {
  const records = yield* (yield* Spool).peek({ order: "oldest", maxBytes: 1e9 })
  return records.flatMap(({ rows }) => JSON.parse(rows) as ReadonlyArray<Record<string, string>>)
})

const status = Effect.map(
  Effect.flatMap(AgentStatus, ({ view }) => view),
  ({ exporters }) => exporters[0]!
)

/** A collector that says which time it was opened, and counts one more each time it is asked. */
const countingCollectors = (opened: { count: number }) =>
  Layer.succeed(
    Collectors,
    Collectors.of({
      available: true,
      open: () =>
        Effect.sync(() => {
          opened.count++
          let cpu = 0
          const from = opened.count
          return {
            collect: Effect.clockWith((clock) =>
              Effect.sync(
                (): Collection => ({
                  text: group(`from-${from}`, cpu++) + STARTED,
                  collectedAt: clock.currentTimeMillisUnsafe()
                })
              )
            )
          }
        })
    })
  )

describe("the scraper's clock", () => {
  const opened = { count: 0 }
  const settings = settingsOf("http://127.0.0.1:1/metrics", { collector: "always" })
  const offset = Math.floor(15_000 * jitterOf(HOST))
  const timestamps = Effect.map(spooled, (rows) => rows.map(({ timestamp }) => Date.parse(timestamp!)))

  it.effect("scrapes at once, then at multiples of the interval, shifted by the host's offset", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_700_000_000_123)
      const fiber = yield* Effect.forkChild(runScraper(settings))
      yield* TestClock.adjust("61 seconds")
      yield* Fiber.interrupt(fiber)
      const [first, ...rest] = yield* timestamps
      assert.strictEqual(first, 1_700_000_000_123)
      assert.isAtLeast(rest.length, 3)
      for (const [index, time] of rest.entries()) {
        assert.strictEqual(time % 15_000, offset)
        if (index > 0) assert.strictEqual(time - rest[index - 1]!, 15_000)
      }
    }).pipe(Effect.provide(services(settings, countingCollectors(opened))))
  )

  it.effect(
    "takes no two scrapes for the same moment where the clock stands still, and follows one that is set back",
    () =>
      Effect.gen(function* () {
        yield* TestClock.setTime(1_700_000_000_000)
        const scrape = yield* makeScrape(settings)
        yield* scrape
        yield* scrape
        yield* TestClock.setTime(1_700_000_000_000 - 3_600_000)
        yield* scrape
        assert.deepStrictEqual(yield* timestamps, [1_700_000_000_000, 1_700_000_000_001, 1_699_996_400_000])
      }).pipe(Effect.provide(services(settings, countingCollectors(opened))))
  )
})

it.live("a scrape that is slower than the interval makes the scraper skip ticks, and never overlaps the next", () =>
  Effect.gen(function* () {
    let open = 0
    let most = 0
    const peer = yield* httpPeer((_, response) => {
      most = Math.max(most, ++open)
      setTimeout(() => {
        open--
        response.end(group("a"))
      }, 250)
    })
    const settings = settingsOf(peer.url, { interval: Duration.millis(100) })
    yield* runScraper(settings).pipe(Effect.timeoutOption("1200 millis"), Effect.provide(services(settings)))
    assert.strictEqual(most, 1)
    assert.isAtLeast(peer.requests.length, 2)
    assert.isAtMost(peer.requests.length, 5)
  })
)

describe("a scrape", () => {
  it.live("becomes rows on the wire, with the time of the response and the beginning of the counters", () =>
    Effect.gen(function* () {
      const peer = yield* httpPeer((_, response) => response.end(group("nginx", 12.5) + STARTED))
      const settings = settingsOf(peer.url)
      yield* Effect.gen(function* () {
        const before = Date.now()
        yield* yield* makeScrape(settings)
        const [row] = yield* spooled
        const { counters_since, timestamp, ...fields } = row!
        assert.deepStrictEqual<unknown>(fields, {
          name: "nginx",
          num_procs: 1,
          cpu_seconds_total: 12.5,
          memory_bytes: 4096
        })
        assert.isTrue(Date.parse(timestamp!) >= before && Date.parse(timestamp!) <= Date.now())
        assert.strictEqual(Date.parse(counters_since!), 1_700_000_000_000)
        const { error, rows, skipped, source, state } = yield* status
        assert.deepStrictEqual([error, rows, skipped, source, state], [null, 1, 0, "endpoint", "up"])
      }).pipe(Effect.provide(services(settings)))
      assert.match(peer.requests[0]?.headers.accept ?? "", /^text\/plain;version=0\.0\.4/)
      assert.match(peer.requests[0]?.headers["user-agent"] ?? "", /^nodepulse-agent \(web-1\)$/)
    })
  )

  it.live("keeps the good rows beside lines that are not valid, and counts those", () =>
    Effect.gen(function* () {
      const peer = yield* httpPeer((_, response) =>
        response.end(`${group("good")}namedprocess_namegroup_num_procs{groupname="bad} 1\n${group("half", Number.NaN)}`)
      )
      const settings = settingsOf(peer.url)
      yield* Effect.gen(function* () {
        yield* yield* makeScrape(settings)
        assert.deepStrictEqual(
          (yield* spooled).map(({ name }) => name),
          ["good"]
        )
        const { skipped, skippedReasons, state } = yield* status
        assert.deepStrictEqual([skipped, state], [2, "up"])
        assert.match(skippedReasons.join(), /line 4: .*cpu_seconds_total/s)
      }).pipe(Effect.provide(services(settings)))
    })
  )

  it.live("of an exporter that has nothing to report is not a failure", () =>
    Effect.gen(function* () {
      const peer = yield* httpPeer((_, response) => response.end(NOTHING_MATCHED))
      const settings = settingsOf(peer.url)
      const found = yield* Effect.andThen(Effect.flatten(makeScrape(settings)), status).pipe(
        Effect.provide(services(settings))
      )
      assert.deepStrictEqual([found.state, found.error, found.failuresTotal], ["empty", null, 0])
    })
  )

  it("is split into records that fit into a request, none of its rows lost", () => {
    const names = Array.from({ length: 3_000 }, (_, index) => `group-${index}-${"x".repeat(index % 40)}`)
    const read = readScrape(
      settingsOf("http://h/"),
      makeWire(EXPORTER),
      names.map((name) => group(name)).join(""),
      "text",
      0
    )
    const { records, rows } = Result.getOrThrow(read)
    assert.strictEqual(rows, 3_000)
    assert.isAbove(records.length, 1)
    for (const record of records) assert.isBelow(record.rows.length, 160 * 1024)
    const sent = records.flatMap((record) => JSON.parse(record.rows) as ReadonlyArray<{ name: string }>)
    assert.deepStrictEqual(
      sent.map(({ name }) => name),
      names
    )
  })

  it("leaves out a beginning of the counters that lies in the future: the server would reject its rows", () => {
    const read = readScrape(
      settingsOf("http://h/"),
      makeWire(EXPORTER),
      `${group("a")}process_start_time_seconds 1e30\n`,
      "text",
      0
    )
    assert.notInclude(Result.getOrThrow(read).records[0]?.rows, "counters_since")
  })

  it("of real exporters is understood", () => {
    const body = readFileSync(
      new URL("../src/plugins/process-exporter/fixtures/debian-12-000/input.prom", import.meta.url)
    )
    const { rows, skipped } = Result.getOrThrow(
      readScrape(settingsOf("http://h/"), makeWire(EXPORTER), body, "text", 0)
    )
    assert.isAbove(rows, 10)
    assert.strictEqual(skipped, 0)
  })
})

describe("an exporter that cannot be scraped", () => {
  /** Scrapes once and resolves to the status and what was logged. */
  const scraped = (endpoint: string, changes: Partial<AgentExporter> = {}) =>
    Effect.gen(function* () {
      const logged: Array<string> = []
      const settings = settingsOf(endpoint, changes)
      return yield* Effect.gen(function* () {
        yield* yield* makeScrape(settings)
        assert.deepStrictEqual(yield* spooled, [])
        const found = yield* status
        assert.strictEqual(found.failuresTotal, 1)
        return { state: found.state, error: found.error ?? "", logged }
      }).pipe(Effect.provide(services(settings, layerNone, logged)))
    })

  it.live("is down where nothing listens: cause, since when, and cure are told", () =>
    Effect.gen(function* () {
      const port = yield* closedPort
      const { error, logged, state } = yield* scraped(`http://scott:tiger@127.0.0.1:${port}/metrics`)
      assert.strictEqual(state, "down")
      const sentence = new RegExp(
        `^process_exporter does not answer on 127\\.0\\.0\\.1:${port} since \\d\\d:\\d\\d \\(connection refused\\)\\. Start the exporter, or correct its endpoint`
      )
      assert.match(error, sentence)
      assert.deepStrictEqual(logged, [error])
    })
  )

  it.live("is down where it answers with an error", () =>
    Effect.gen(function* () {
      const peer = yield* httpPeer((_, response) => response.writeHead(500).end(group("a")))
      const { error, state } = yield* scraped(peer.url)
      assert.strictEqual(state, "down")
      assert.match(error, /answers with an error on .* \(HTTP 500\)/)
    })
  )

  it.live("is down where it hangs, and costs no more than its time-out", () =>
    Effect.gen(function* () {
      const peer = yield* tcpPeer((socket) => socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\n\r\n# TYPE")))
      const { error, state } = yield* scraped(peer.url, { timeout: Duration.millis(200) })
      assert.strictEqual(state, "down")
      assert.match(error, /does not answer in time on .* within 200 ms.* raise its timeout/)
    })
  )

  it.live("is down where it sends more than the limit", () =>
    Effect.gen(function* () {
      const peer = yield* httpPeer((_, response) => response.end("# filler\n".repeat(20_000)))
      const { error, state } = yield* scraped(peer.url, { bodyLimit: 64 * 1024 })
      assert.strictEqual(state, "down")
      assert.match(error, /sends too much on .*raise its body_limit/)
    })
  )

  it.live("is unsupported where another program answers, whatever it answers with", () =>
    Effect.gen(function* () {
      const answers = [
        "<!doctype html><title>Sign in</title>\n",
        "node_load1 1\n",
        "{}",
        "\0\xff\xfe",
        "a ".repeat(1000),
        ""
      ]
      for (const answer of answers) {
        const peer = yield* httpPeer((_, response) => response.end(answer))
        const { error, state } = yield* scraped(peer.url)
        assert.strictEqual(state, "unsupported", answer.slice(0, 20))
        assert.match(error, /answers on .*, but not with what this exporter serves since/)
      }
    })
  )

  it.live("is unsupported where its answer is cut off: half of it would be half of the truth", () =>
    Effect.gen(function* () {
      const peer = yield* httpPeer((_, response) => response.end(`${group("a")}namedprocess_namegroup_num`))
      assert.strictEqual((yield* scraped(peer.url)).state, "unsupported")
    })
  )

  it.live("is announced once, and once more when it is back", () =>
    Effect.gen(function* () {
      const port = yield* closedPort
      const logged: Array<string> = []
      const settings = settingsOf(`http://127.0.0.1:${port}/metrics`)
      yield* Effect.gen(function* () {
        const scrape = yield* makeScrape(settings)
        yield* scrape
        const since = (yield* status).since
        yield* scrape
        assert.strictEqual((yield* status).since, since)
        assert.strictEqual(logged.length, 1)
        yield* httpPeer((_, response) => response.end(group("a")), port)
        yield* scrape
        yield* scrape
        assert.strictEqual((yield* status).error, null)
        assert.deepStrictEqual(logged.slice(1), ["process_exporter is up (1 rows)"])
      }).pipe(Effect.provide(services(settings, layerNone, logged)))
    })
  )
})

describe("the built-in collector", () => {
  const names = Effect.map(spooled, (rows) => rows.map(({ name }) => name))

  it.live("stands in where the exporter is not there, gives way when it comes, and begins anew when it goes", () =>
    Effect.gen(function* () {
      const port = yield* closedPort
      const opened = { count: 0 }
      const settings = settingsOf(`http://127.0.0.1:${port}/metrics`, { collector: "auto" })
      yield* Effect.gen(function* () {
        const scrape = yield* makeScrape(settings)
        yield* scrape
        yield* scrape
        assert.strictEqual((yield* status).source, "collector")
        yield* Effect.scoped(
          Effect.andThen(
            httpPeer((_, response) => response.end(group("exporter")), port),
            scrape
          )
        )
        assert.strictEqual((yield* status).source, "endpoint")
        yield* scrape
        assert.deepStrictEqual(yield* names, ["from-1", "from-1", "exporter", "from-2"])
      }).pipe(Effect.provide(services(settings, countingCollectors(opened))))
    })
  )

  it.live("does not stand in for an exporter that is there but ill, is not asked for, or is on another machine", () =>
    Effect.gen(function* () {
      const ill = yield* httpPeer((_, response) => response.writeHead(500).end())
      const port = yield* closedPort
      const cases: ReadonlyArray<readonly [string, "auto" | "never"]> = [
        [ill.url, "auto"],
        [`http://127.0.0.1:${port}`, "never"],
        ["http://nowhere.invalid:9256/metrics", "auto"]
      ]
      for (const [endpoint, collector] of cases) {
        const settings = settingsOf(endpoint, { collector })
        const found = yield* Effect.andThen(Effect.flatten(makeScrape(settings)), status).pipe(
          Effect.provide(services(settings, countingCollectors({ count: 0 })))
        )
        assert.strictEqual(found.state, "down", endpoint)
      }
    })
  )

  it.live("is the only source where it is always to serve", () =>
    Effect.gen(function* () {
      const peer = yield* httpPeer((_, response) => response.end(group("exporter")))
      const settings = settingsOf(peer.url, { collector: "always" })
      const found = yield* Effect.andThen(Effect.flatten(makeScrape(settings)), names).pipe(
        Effect.provide(services(settings, countingCollectors({ count: 0 })))
      )
      assert.deepStrictEqual(found, ["from-1"])
    })
  )

  it.live("is down, and says so, where it cannot read the machine", () =>
    Effect.gen(function* () {
      const settings = settingsOf("http://127.0.0.1:1/", { collector: "always" })
      const found = yield* Effect.andThen(Effect.flatten(makeScrape(settings)), status).pipe(
        Effect.provide(services(settings))
      )
      assert.strictEqual(found.state, "down")
      assert.match(
        found.error ?? "",
        /built-in collector since .* \(the built-in collectors need Linux\)\. Install the exporter/
      )
    })
  )
})

it.live("an exporter that throws is a defect for the supervisor, and not a quiet end", () =>
  Effect.gen(function* () {
    const peer = yield* httpPeer((_, response) => response.end(group("a")))
    const broken: Exporter = {
      ...EXPORTER,
      parse: () => {
        throw new Error("a bug in a plugin")
      }
    }
    const settings = settingsOf(peer.url, { exporter: broken })
    const exit = yield* Effect.exit(runScraper(settings)).pipe(Effect.provide(services(settings)))
    assert.strictEqual(exit._tag, "Failure")
  })
)
