/**
 * An exporter that means harm: what it serves beyond a limit is refused, or left out, by the limit's name and value, counted,
 * and the agent's unit has memory for what is within.
 */
import { spawn } from "node:child_process"
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gunzipSync } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Layer } from "effect"
import { agentMetrics } from "../../agent/AgentMetrics.ts"
import { AgentStatus } from "../../agent/AgentStatus.ts"
import { MachineClock } from "../../agent/clock/MachineClock.ts"
import { layer as layerCollectors } from "../../agent/collector/CollectorLinux.ts"
import { AgentConfig, withDefaults } from "../../agent/config/AgentConfig.ts"
import { httpPeer } from "../../agent/scrape/HttpPeer.fixture.ts"
import { SCRAPE_LIMITS } from "../../agent/scrape/ScrapeLimits.ts"
import { makeScrape } from "../../agent/scrape/Scraper.ts"
import { Spool } from "../../agent/spool/Spool.ts"
import { layerMemory } from "../../agent/spool/SpoolMemory.ts"
import config from "../../plugins.config.ts"

/** The fewest words that process_exporter can say about so many groups. */
const exposition = (groups: number, name = (n: number) => `g${n}`): string => {
  const lines: Array<string> = []
  for (let n = 0; n < groups; n++) {
    lines.push(`namedprocess_namegroup_num_procs{groupname="${name(n)}"} 1`)
    lines.push(`namedprocess_namegroup_memory_bytes{groupname="${name(n)}",memtype="resident"} ${n * 4096}`)
    for (const mode of ["system", "user"]) {
      lines.push(`namedprocess_namegroup_cpu_seconds_total{groupname="${name(n)}",mode="${mode}"} ${n}`)
    }
  }
  return `${lines.sort().join("\n")}\n`
}

type Limits = Partial<Record<"body_limit" | "series_limit" | "line_limit" | "label_limit", number>>

/** One scrape of what is served: the exporter's state, the names of its rows, and what the agent's metrics say. */
const scraped = (body: string, limits: Limits = {}) =>
  Effect.gen(function* () {
    const peer = yield* httpPeer((_, response) => response.end(body))
    const exporters = [{ name: "process_exporter", endpoint: peer.url, collector: "never" as const, ...limits }]
    const settings = withDefaults({ exporters }, config.exporters, undefined, [])
    const of = settings.exporters.find(({ exporter }) => exporter.name === "process_exporter")!
    return yield* Effect.gen(function* () {
      yield* yield* makeScrape(of)
      const records = yield* (yield* Spool).peek({ order: "oldest", maxBytes: 1e9 })
      const status = (yield* AgentStatus).current().exporters.find(({ name }) => name === "process_exporter")!
      const rows = records.reduce((sum, { rows }) => sum + rows.count, 0)
      return { ...status, rows, metrics: yield* agentMetrics }
    }).pipe(
      Effect.provide(
        MachineClock.layer.pipe(
          Layer.provideMerge(AgentStatus.layer),
          Layer.provideMerge(Layer.mergeAll(layerMemory({ maxBytes: 1e9, maxAge: Duration.days(1) }), layerCollectors)),
          Layer.provideMerge(Layer.succeed(AgentConfig, settings))
        )
      )
    )
  })

describe("a scrape over a limit", () => {
  it.live("of bytes or series is refused as a whole, by the limit and its setting, and counted", () =>
    Effect.gen(function* () {
      for (const [body, limits, error] of [
        [
          exposition(58_000, (n) => `group ${n}`),
          {},
          /\(the body has \d+ bytes, the limit is 4194304\).* raise its body_limit/
        ],
        [
          exposition(12_501),
          {},
          /\(the body has more than 50000 series, which is the limit\).* raise its series_limit/
        ],
        [exposition(251), { series_limit: 1_000 }, /more than 1000 series/]
      ] as const) {
        const found = yield* scraped(body, limits)
        assert.deepStrictEqual([found.state, found.rows, found.failuresTotal, found.refusedTotal], ["refused", 0, 1, 1])
        assert.match(found.error ?? "", error)
        assert.match(found.metrics, /nodepulse_agent_exporter_state\{exporter="process_exporter",state="refused"\} 1\n/)
        assert.match(found.metrics, /nodepulse_agent_scrape_refused_total\{exporter="process_exporter"\} 1\n/)
      }
      assert.deepStrictEqual((yield* scraped(exposition(250), { series_limit: 1_000 })).rows, 250)
    })
  )

  it.live("in a line or a label loses that line, named with the limit and counted, and no other", () =>
    Effect.gen(function* () {
      const long = (length: number) => exposition(2, (n) => (n === 0 ? "x".repeat(length) : "good"))
      for (const [length, limits, reason] of [
        [SCRAPE_LIMITS.label + 1, {}, /the label "?groupname"? has 4097 bytes, more than the 4096 that are read/],
        [SCRAPE_LIMITS.line, {}, /the line has \d+ bytes, more than the 16384 that are read/],
        [65, { label_limit: 64 }, /has 65 bytes, more than the 64/],
        [250, { line_limit: 256 }, /more than the 256 that are read/]
      ] as const) {
        const found = yield* scraped(long(length), limits)
        assert.deepStrictEqual([found.state, found.rows], ["up", 1])
        assert.match(found.skippedReasons.join("; "), reason)
        assert.match(found.metrics, /nodepulse_agent_scrape_skipped_total\{exporter="process_exporter"\} [1-9]/)
      }
      assert.deepStrictEqual((yield* scraped(long(SCRAPE_LIMITS.label))).rows, 2)
    })
  )
})

describe("the largest scrape that is taken", () => {
  it.live(
    "fits the memory of the agent's unit",
    () =>
      Effect.gen(function* () {
        const unit = yield* Effect.promise(() => readFile("packaging/systemd/nodepulse-agent.service", "utf8"))
        const memoryMiB = Number(/^MemoryHigh=(\d+)M$/m.exec(unit)?.[1])
        const groups = SCRAPE_LIMITS.series / 4
        const delivered = yield* Deferred.make<void>()
        let rows = 0
        const server = yield* httpPeer(({ body }, response) => {
          const [list = []] = Object.values(JSON.parse(gunzipSync(body).toString())) as [ReadonlyArray<unknown>?]
          rows += list.length
          response.writeHead(202).end(JSON.stringify({ accepted: list.length, rejected: [] }))
          if (rows >= groups) Deferred.doneUnsafe(delivered, Effect.void)
        })
        const body = exposition(groups)
        assert.isAtMost(body.length, SCRAPE_LIMITS.body)
        const exporter = yield* httpPeer((_, response) => response.end(body))
        const folder = yield* Effect.acquireRelease(
          Effect.promise(() => mkdtemp(join(tmpdir(), "nodepulse-scrape-"))),
          (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
        )
        const file = join(folder, "nodepulse.yml")
        yield* Effect.promise(() =>
          writeFile(
            file,
            `server: {url: "${server.url}", token: abc}
buffer: {path: "${folder}/spool"}
exporters:
  - {name: process_exporter, endpoint: "${exporter.url}", interval: 1h}
  - {name: node_exporter, enabled: false}
`,
            { mode: 0o600 }
          )
        )
        const agent = yield* Effect.acquireRelease(
          Effect.sync(() =>
            spawn(process.execPath, ["--max-old-space-size=128", "src/AgentMain.ts", "agent", "--config", file], {
              stdio: "ignore"
            })
          ),
          (child) => Effect.sync(() => child.kill("SIGKILL"))
        )
        yield* Deferred.await(delivered).pipe(Effect.timeout("60 seconds"))
        const status = yield* Effect.promise(() => readFile(`/proc/${agent.pid}/status`, "utf8"))
        assert.isBelow(Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1024, memoryMiB)
      }),
    90_000
  )
})
