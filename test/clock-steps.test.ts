/**
 * A real agent, in a process of its own whose wall clock is set while it runs (libfaketime), over a fake exporter whose counter
 * grows by the true time: what the server answers is what was used, whatever the clock did.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import { layer as layerServer, TestServer } from "./TestServer.ts"

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url))

/** Debian's package `faketime` puts it below the folder of the architecture. */
const faketime = (() => {
  const libraries = "/usr/lib"
  if (!existsSync(libraries)) return undefined
  return readdirSync(libraries)
    .map((folder) => join(libraries, folder, "faketime", "libfaketimeMT.so.1"))
    .find((path) => existsSync(path))
})()

const CORES_USED = 0.5
const INTERVAL_SECONDS = 1

/** Serves one group that uses half a core, by the monotonic clock; its beginning is by the wall clock of the agent's machine. */
const fakeExporter = (aheadSeconds: () => number) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly grown: () => number; readonly close: () => void }>((resume) => {
      const begun = performance.now()
      const used = () => 5_000 + ((performance.now() - begun) / 1_000) * CORES_USED
      const since = Date.now() / 1_000 - 3_600
      const server = createServer((_, response) => {
        response.setHeader("content-type", "text/plain; version=0.0.4")
        response.end(
          [
            `namedprocess_namegroup_num_procs{groupname="steady"} 1`,
            `namedprocess_namegroup_cpu_seconds_total{groupname="steady",mode="user"} ${used()}`,
            `namedprocess_namegroup_memory_bytes{groupname="steady",memtype="resident"} 4096`,
            `process_start_time_seconds ${since + aheadSeconds()}`,
            ""
          ].join("\n")
        )
      })
      server.listen(0, "127.0.0.1", () => {
        const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`
        resume(Effect.succeed({ url, grown: () => used() - 5_000, close: () => server.close() }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

const startAgent = (folder: string, settings: string, clockFile: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const path = join(folder, "nodepulse.yml")
      writeFileSync(path, settings)
      const log: Array<string> = []
      const child: ChildProcess = spawn(process.execPath, [main, "agent", "--config", path], {
        stdio: ["ignore", "pipe", "pipe"],
        env: {
          ...process.env,
          LD_PRELOAD: faketime,
          FAKETIME_TIMESTAMP_FILE: clockFile,
          FAKETIME_NO_CACHE: "1",
          DONT_FAKE_MONOTONIC: "1",
          FAKETIME_DONT_FAKE_MONOTONIC: "1"
        }
      })
      child.stdout?.on("data", (chunk) => log.push(String(chunk)))
      child.stderr?.on("data", (chunk) => log.push(String(chunk)))
      return { child, log }
    }),
    ({ child }) => Effect.sync(() => void child.kill("SIGKILL"))
  )

if (faketime === undefined) {
  it.skip("clock steps through a real agent: left out, there is no libfaketime (apt-get install faketime)", () => {})
} else {
  layer(layerServer, { timeout: 120_000, excludeTestServices: true })("a real agent whose clock is set", (it) => {
    it.effect(
      "tells what was used after steps of -60 s, +30 s and +3 s, says each once, and the server shows the last",
      () =>
        Effect.gen(function* () {
          const server = yield* TestServer
          const folder = yield* Effect.acquireRelease(
            Effect.sync(() => mkdtempSync(join(tmpdir(), "nodepulse-steps-"))),
            (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
          )
          const clockFile = join(folder, "clock")
          let ahead = 0
          const set = (seconds: number) => {
            ahead += seconds
            writeFileSync(clockFile, `${ahead < 0 ? "" : "+"}${ahead}s\n`)
          }
          set(0)
          const { server_id, token } = yield* server.register("stepped")
          const exporter = yield* fakeExporter(() => ahead)
          const { log } = yield* startAgent(
            folder,
            `server: { url: "${server.url}", token: "${token}" }
buffer: { path: "${join(folder, "spool")}" }
exporters:
  - { name: node_exporter, enabled: false }
  - { name: process_exporter, endpoint: "${exporter.url}", interval: "${INTERVAL_SECONDS}s", timeout: "500ms", collector: never }
`,
            clockFile
          )
          const entry = Effect.map(server.request("GET", `/api/servers/${server_id}`), ({ body }) => body)
          const top = Effect.map(
            server.request("GET", `/api/servers/${server_id}/processes/top?hours=0.25`),
            ({ body }) => body
          )
          const waitFor = (what: string, condition: Effect.Effect<boolean>) =>
            Effect.gen(function* () {
              for (let tries = 0; tries < 300; tries++) {
                if (yield* condition) return
                yield* Effect.sleep("200 millis")
              }
              assert.fail(`${what}; the agent's log:\n${log.join("")}`)
            })
          const scrapes = Effect.map(
            server.request("GET", `/api/servers/${server_id}/processes/top?hours=0.25`),
            ({ body }) => (body.scrapes as number) ?? 0
          )
          const more = (count: number) =>
            Effect.gen(function* () {
              const before = yield* scrapes
              yield* waitFor(
                `${count} more scrapes`,
                Effect.map(scrapes, (now) => now >= before + count)
              )
            })

          yield* more(4)
          for (const step of [-60, 30]) {
            set(step)
            yield* waitFor(
              `the step of ${step} s is told`,
              Effect.map(entry, ({ clock_step_seconds }) => Math.abs((clock_step_seconds ?? 0) - step) < 0.5)
            )
            yield* Effect.sleep(`${INTERVAL_SECONDS * 4} seconds`)
          }
          set(3)
          yield* waitFor(
            "the last step is told",
            Effect.map(entry, ({ clock_step_seconds }) => Math.abs((clock_step_seconds ?? 0) - 3) < 0.5)
          )
          yield* more(5)

          const answer = yield* top
          const [steady] = answer.processes
          assert.strictEqual(answer.resets, 0)
          assert.strictEqual(steady.name, "steady")
          // What the counter grew, and at most once more what it grew while the times overlap.
          const grown = exporter.grown()
          assert.isAbove(steady.cpu_seconds, grown / 2)
          assert.isAtMost(steady.cpu_seconds, grown * 2)
          assert.isAtMost(steady.peak_cpu_percent ?? 0, 110)
          const text = log.join("")
          for (const words of ["set forward by 3s", "set forward by 30s", "set back by 1m"]) {
            assert.strictEqual(text.split(words).length - 1, 1, `${words} in:\n${text}`)
          }
          assert.closeTo((yield* entry).clock_skew_seconds, -27, 3)
        }).pipe(Effect.scoped),
      { timeout: 120_000 }
    )
  })
}
