import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Layer, Logger, Result } from "effect"
import { TestClock } from "effect/testing"
import type { Exporter } from "../../src/plugins/Exporter.ts"
import { processExporter } from "../../src/plugins/process-exporter/ProcessExporter.ts"
import { makeWire } from "../../src/plugins/Wire.ts"
import { layerStatus } from "../Agent.ts"
import { AgentStatus } from "../AgentStatus.ts"
import { UNRESTRAINED } from "../budget/Budget.ts"
import { Collection, Collectors, CollectorUnavailable, layerNone } from "../collector/Collector.ts"
import { type Family, renderExposition } from "../collector/ExpositionText.ts"
import { AgentConfig, type AgentExporter } from "../config/AgentConfig.ts"
import { unpackRows } from "../spool/PackedRows.ts"
import { Spool } from "../spool/Spool.ts"
import { layerMemory } from "../spool/SpoolMemory.ts"
import { jitterOf } from "./Cadence.ts"
import { closedPort, httpPeer, tcpPeer } from "./HttpPeer.fixture.ts"
import { sentenceOf } from "./ScrapeError.ts"
import { SCRAPE_LIMITS } from "./ScrapeLimits.ts"
import { makeScrape, readScrape, runScraper } from "./Scraper.ts"

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
  layerStatus.pipe(
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

const family = (name: string, value: number, labels: Readonly<Record<string, string>> = {}): Family => {
  return { name, help: "", type: "gauge", samples: [{ name, labels, value }] }
}
const families = (groupname: string, cpu = 1): ReadonlyArray<Family> => [
  family("namedprocess_namegroup_cpu_seconds_total", cpu, { groupname, mode: "user" }),
  family("namedprocess_namegroup_memory_bytes", 4096, { groupname, memtype: "resident" }),
  family("namedprocess_namegroup_num_procs", 1, { groupname })
]
/** Three lines. */
const group = (name: string, cpu = 1): string => renderExposition(families(name, cpu)).replaceAll(/^#.*\n/gm, "")
const STARTED = family("process_start_time_seconds", 1_700_000_000)
const NOTHING_MATCHED = "namedprocess_scrape_errors 0\n"

/** The timestamps and names of all rows in the spool, in order. */
const spooled = Effect.gen(function* () {
  const records = yield* (yield* Spool).peek({ order: "oldest", maxBytes: 1e9 })
  return records.flatMap(({ rows }) => JSON.parse(unpackRows(rows)) as ReadonlyArray<Record<string, string>>)
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
                () => new Collection([...families(`from-${from}`, cpu++), STARTED], clock.currentTimeMillisUnsafe())
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

  it.effect("scrapes less often while it is restrained, from the next tick on, and as often as ever after", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_700_000_000_123)
      const { restrained } = yield* AgentStatus
      const restraint = { ...UNRESTRAINED, interval: 4 } as const
      yield* restrained({ usage: null, restraint, causes: ["cpu"] })
      const fiber = yield* Effect.forkChild(runScraper(settings))
      yield* TestClock.adjust("5 minutes")
      yield* restrained({ usage: null, restraint: UNRESTRAINED, causes: [] })
      yield* TestClock.adjust("5 minutes")
      yield* Fiber.interrupt(fiber)
      const times = yield* timestamps
      const steps = times.slice(2).map((time, index) => (time - times[index + 1]!) / 1_000)
      assert.deepStrictEqual(steps.slice(0, 3), [60, 60, 60])
      assert.deepStrictEqual(steps.slice(-10), Array(10).fill(15))
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
    const began: Array<number> = []
    const enough = yield* Deferred.make<void>()
    const peer = yield* httpPeer((_, response) => {
      most = Math.max(most, ++open)
      began.push(performance.now())
      if (began.length === 4) Effect.runSync(Deferred.succeed(enough, undefined))
      setTimeout(() => {
        open--
        response.end(group("a"))
      }, 250)
    })
    const settings = settingsOf(peer.url, { interval: Duration.millis(100) })
    yield* Effect.raceFirst(runScraper(settings), Deferred.await(enough)).pipe(Effect.provide(services(settings)))
    assert.strictEqual(most, 1)
    // However slow this machine is: never sooner than the one before was answered.
    for (const [index, at] of began.slice(1).entries()) assert.isAtLeast(at - began[index]!, 249)
  })
)

describe("a scrape", () => {
  it.live("becomes rows on the wire, with the time of the response and the beginning of the counters", () =>
    Effect.gen(function* () {
      const peer = yield* httpPeer((_, response) => response.end(group("nginx", 12.5) + renderExposition([STARTED])))
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

  it.live("of an exporter that has nothing to report is not a failure, where that is no fault of it", () =>
    Effect.gen(function* () {
      const peer = yield* httpPeer((_, response) => response.end(NOTHING_MATCHED))
      const exporter: Exporter = { ...EXPORTER, scrape: { ...EXPORTER.scrape, empty: undefined } }
      const settings = settingsOf(peer.url, { exporter })
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
    for (const record of records) assert.isBelow(record.rows.bytes, 160 * 1024)
    const sent = records.flatMap((record) => JSON.parse(unpackRows(record.rows)) as ReadonlyArray<{ name: string }>)
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
    assert.notInclude(unpackRows(Result.getOrThrow(read).records[0]!.rows), "counters_since")
  })

  for (const [what, changes, ...collected] of [
    ["of a collector", {}, ...families("a"), STARTED],
    [
      "with names of any characters",
      {},
      ...families('"\\\n{}=, \u65e5\u{1f680}'),
      ...families("a", Number.POSITIVE_INFINITY)
    ],
    ["with a series twice", {}, ...families("a", 1), ...families("a", 2)],
    ["with a name beyond the limit", {}, ...families("a"), ...families("\u65e5".repeat(1_366))],
    [
      "with a line beyond the limit",
      { limits: { ...SCRAPE_LIMITS, line: 256 } },
      ...families("a"),
      ...families("b".repeat(250))
    ],
    ["with more series than may be", { limits: { ...SCRAPE_LIMITS, series: 5 } }, ...families("a"), ...families("b")],
    ["of another exporter", {}, family("apache_up", 1)],
    ["with nothing", {}]
  ] as ReadonlyArray<readonly [string, Partial<AgentExporter>, ...ReadonlyArray<Family>]>) {
    it(`${what}, says the same as samples and as text`, () => {
      const collection = new Collection(collected, 5)
      const read = (body: Collection | string) =>
        Result.match(readScrape(settingsOf("http://h/", changes), makeWire(EXPORTER), body, "text", 5), {
          onFailure: (error) => sentenceOf(error, 5),
          onSuccess: ({ records, ...rest }) => ({ ...rest, rows: records.map(({ rows }) => unpackRows(rows)) })
        })
      assert.deepStrictEqual(read(collection), read(collection.text))
    })
  }

  it("of real exporters is understood", () => {
    const body = readFileSync(
      new URL("../../src/plugins/process-exporter/fixtures/debian-12-000/input.prom", import.meta.url)
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
        return { state: found.state, over: found.over, error: found.error ?? "", logged }
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

  it.live("is refused where it sends more than the limit", () =>
    Effect.gen(function* () {
      const peer = yield* httpPeer((_, response) => response.end("# filler\n".repeat(20_000)))
      const { error, over, state } = yield* scraped(peer.url, { bodyLimit: 64 * 1024 })
      assert.deepStrictEqual([state, over], ["refused", { limit: "body", most: 64 * 1024 }])
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

  it.live("is down where it redirects: told with the address, without what may be secret in it", () =>
    Effect.gen(function* () {
      const peer = yield* httpPeer((_, response) =>
        response.writeHead(302, { location: "https://scott:tiger@login.example.org/metrics\u0085" }).end()
      )
      const { error, state } = yield* scraped(peer.url)
      assert.strictEqual(state, "down")
      assert.match(
        error,
        /redirects to another address on .* \(HTTP 302, to https:\/\/login\.example\.org\/metrics\\u0085\)/
      )
      assert.match(error, /Put the final address into its endpoint/)
      assert.notInclude(error, "tiger")
    })
  )

  it.live("is down where it wants credentials, or is asked for another path: told what helps", () =>
    Effect.gen(function* () {
      const cures = { 401: /It wants credentials/, 404: /usually \/metrics/, 502: /See the exporter's log/ }
      for (const [status, cure] of Object.entries(cures)) {
        const peer = yield* httpPeer((_, response) => response.writeHead(Number(status)).end())
        assert.match((yield* scraped(peer.url)).error, cure)
      }
    })
  )

  it.live("is unsupported with its cause: a web page, another exporter, line ends, its age", () =>
    Effect.gen(function* () {
      const old = group("a").replaceAll("cpu_seconds_total", "cpu_user_seconds_total")
      const causes: ReadonlyArray<readonly [body: string, cause: RegExp]> = [
        ["<!doctype html><title>Sign in</title>\n", /a web page: is the path right/],
        ["go_goroutines 7\nnode_load1 1\nnode_load5 1\n", /metrics node_…: is that another exporter's port\?/],
        ["go_goroutines 7\n", /nothing but metrics of the program itself/],
        ["", /there is no metric at all/],
        [`# HELP a b\n${group("a")}`.replaceAll("\n", "\r\n"), /end in a carriage return and a line feed/],
        [old, /too old: it tells CPU time as .*before 0\.5; install 0\.7 or later/],
        [
          '# TYPE namedprocess_namegroup_num_procs gauge\nnamedprocess_namegroup_num_procs{groupname="a} 1\n',
          /line 2 of what it/
        ]
      ]
      for (const [body, cause] of causes) {
        const peer = yield* httpPeer((_, response) => response.end(body))
        const { error, state } = yield* scraped(peer.url)
        assert.strictEqual(state, "unsupported", body)
        assert.match(error, cause)
      }
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

  it.live("stands in where the exporter answers and matches nothing, until it does: told with what mends it", () =>
    Effect.gen(function* () {
      const logged: Array<string> = []
      let matches = false
      const peer = yield* httpPeer((_, response) => response.end(matches ? group("exporter") : NOTHING_MATCHED))
      const settings = settingsOf(peer.url, { collector: "auto" })
      yield* Effect.gen(function* () {
        const scrape = yield* makeScrape(settings)
        yield* scrape
        yield* scrape
        const { error, failuresTotal, rows, source, state } = yield* status
        assert.deepStrictEqual([state, source, rows, failuresTotal], ["unmatched", "collector", 1, 0])
        for (const part of [
          "answers on 127.0.0.1:",
          "but matches no process",
          'process_names: [{name: "{{.Comm}}", cmdline: [".+"]}]',
          'ARGS="-config.path=/etc/process-exporter/config.yml"',
          "the built-in collector stands in"
        ]) {
          assert.include(error ?? "", part)
        }
        assert.deepStrictEqual(logged, [error])
        matches = true
        yield* scrape
        matches = false
        yield* scrape
        assert.deepStrictEqual(yield* names, ["from-1", "from-1", "exporter", "from-2"])
        assert.strictEqual(logged[1], "process_exporter is up (1 rows)")
      }).pipe(Effect.provide(services(settings, countingCollectors({ count: 0 }), logged)))
    })
  )

  it.live(
    "does not stand in for one that matches nothing where it may not, or cannot: the fault is told all the same",
    () =>
      Effect.gen(function* () {
        const peer = yield* httpPeer((_, response) => response.end(NOTHING_MATCHED))
        const unavailable = Layer.succeed(Collectors, {
          available: true,
          open: () => Effect.fail(new CollectorUnavailable({ reason: "no procfs" }))
        })
        const cases = [
          [settingsOf(peer.url, { collector: "never" }), countingCollectors({ count: 0 })],
          [settingsOf(peer.url, { collector: "auto" }), layerNone],
          [settingsOf(peer.url, { collector: "auto" }), unavailable]
        ] as const
        for (const [settings, collectors] of cases) {
          const found = yield* Effect.andThen(Effect.flatten(makeScrape(settings)), status).pipe(
            Effect.provide(services(settings, collectors))
          )
          assert.deepStrictEqual([found.state, found.source, found.rows], ["unmatched", "endpoint", 0])
          assert.notInclude(found.error ?? "", "stands in")
        }
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

  it.live(
    "leaves an exporter that a machine can do without absent: no fault, no error; but not one that was asked for",
    () =>
      Effect.gen(function* () {
        const endpoint = `http://127.0.0.1:${yield* closedPort}/metrics`
        const of = (declared: string, more: Partial<AgentExporter> = {}) => {
          const settings = settingsOf(endpoint, { collector: "auto", ...more })
          const scrape = { ...settings.exporter.scrape, optional: true, endpoint: declared }
          return { ...settings, exporter: { ...settings.exporter, scrape } }
        }
        const stateOf = (settings: AgentExporter) =>
          Effect.andThen(Effect.flatten(makeScrape(settings)), status).pipe(Effect.provide(services(settings)))
        const found = yield* stateOf(of(endpoint))
        assert.deepStrictEqual([found.state, found.error, found.failuresTotal], ["absent", null, 0])
        assert.strictEqual((yield* stateOf(of("http://127.0.0.1:1/metrics"))).state, "down")
        assert.strictEqual((yield* stateOf(of(endpoint, { collector: "always" }))).state, "down")
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
