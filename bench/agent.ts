/**
 * What the agent costs the machine that it watches: two exporters, 500 process groups, one scrape of each every 15 s.
 * Prints what it takes to be ready (its start to its first scrape), resident memory, CPU, and bytes a row on the wire.
 *
 * Exporters and server are in this process, the agent in one of its own, spooling to disk as in production. Memory and
 * CPU come from /proc, so this needs Linux.
 *
 *     node bench/agent.ts [seconds, default 120] [--collector] [--bundled]
 *
 * `--collector`: no exporters, the built-in collectors read this machine. `--bundled`: as one file, as it is shipped.
 * Aims (PERFORMANCE.md): ready <= 300 ms, <= 64 MiB resident, <= 0.5 % of a core, <= 30 B a row.
 */
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer, type RequestListener } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { gunzipSync } from "node:zlib"
import { Effect, Layer } from "effect"
import { layerSpool, makeAgent } from "../agent/Agent.ts"
import { AgentConfig, withDefaults } from "../agent/AgentConfig.ts"
import { AgentStatus } from "../agent/AgentStatus.ts"
import { layer as layerCollectors } from "../agent/CollectorLinux.ts"
import config from "../plugins.config.ts"
import * as Supervisor from "../src/engine/Supervisor.ts"
import { Registry } from "../src/plugins/Registry.ts"

const GROUPS = 500
const INTERVAL_MILLIS = 15_000
/** A small young generation and one thread each: 8 MiB less than Node's defaults. What is left is Node itself: 50 MiB of its file. */
const FLAGS = ["--max-semi-space-size=1", "--max-old-space-size=64", "--v8-pool-size=1"]
const ENVIRONMENT = { UV_THREADPOOL_SIZE: "2", MALLOC_ARENA_MAX: "2" }

/** The agent, until it is killed. */
const runAgent = (folder: string, serverUrl: string, endpoints: ReadonlyArray<string>): void => {
  const settings = withDefaults(
    {
      server: { url: serverUrl, token: "bench" },
      buffer: { path: join(folder, "spool") },
      exporters: config.exporters.map(({ name }, index) => ({
        name,
        interval: INTERVAL_MILLIS,
        ...(endpoints[index] === undefined ? { collector: "always" } : { endpoint: endpoints[index] })
      }))
    },
    config.exporters,
    undefined,
    []
  )
  const services = AgentStatus.layer.pipe(
    Layer.provideMerge(Layer.mergeAll(layerSpool, layerCollectors, Registry.layer(config))),
    Layer.provideMerge(Layer.succeed(AgentConfig, settings))
  )
  const program = Effect.gen(function* () {
    const { children } = yield* makeAgent
    const supervisor = Supervisor.make({
      name: "agent",
      children,
      maxRestarts: 3,
      backoff: { from: "1 second", to: "30 seconds" },
      healthyAfter: "1 minute",
      stopWithin: "2 seconds"
    })
    yield* supervisor.run
  })
  Effect.runFork(Effect.provide(program, services))
}

/** A scrape of a real exporter with its group "bash" in 500 copies, whose counters grow as they are asked. */
const processExposition = (): (() => string) => {
  const fixture = new URL("../src/plugins/process-exporter/fixtures/debian-12-000/input.prom", import.meta.url)
  const text = readFileSync(fixture, "utf8")
  const lines = text.split("\n").filter((line) => line.includes('groupname="bash"'))
  const others = text.split("\n").filter((line) => line !== "" && !line.includes("groupname="))
  const values = new Map<string, number>()
  return () =>
    `${others.join("\n")}\n${lines
      .flatMap((line) =>
        Array.from({ length: GROUPS }, (_, index) => {
          const series = line
            .slice(0, line.lastIndexOf(" "))
            .replace('"bash"', `"process-${index}${"x".repeat(index % 9)}"`)
          const busy = index % 5 < 2
          const first =
            Number(line.slice(line.lastIndexOf(" ") + 1)) + (series.includes("cpu_seconds") ? index * 17.25 : 0)
          const before = values.get(series) ?? first
          const grown =
            series.includes("_total") && busy ? Math.round((before + Math.random() * 5) * 100) / 100 : before
          values.set(series, grown)
          return `${series} ${grown}`
        })
      )
      .join("\n")}\n`
}

const listen = async (handle: RequestListener): Promise<string> => {
  const server = createServer(handle)
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  server.unref()
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const residentMiB = (pid: number, field: "VmRSS" | "RssAnon"): number =>
  Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024

/** CPU of the process and its threads so far. 100 clock ticks a second. */
const cpuSeconds = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ")
  return (Number(fields[11]) + Number(fields[12])) / 100
}

const sleep = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))
const print = (what: string, value: string) => process.stdout.write(`${what.padEnd(36)} ${value}\n`)

const measure = async (seconds: number, collector: boolean, bundled: boolean): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), "nodepulse-bench-"))
  try {
    let entry = fileURLToPath(import.meta.url)
    if (bundled) {
      const output = join(folder, "agent.mjs")
      execFileSync("npx", ["rolldown", entry, "--platform", "node", "--format", "esm", "--minify", "--file", output], {
        stdio: "ignore"
      })
      entry = output
    }
    let rows = 0
    let bytes = 0
    let requests = 0
    const server = await listen((request, response) => {
      const chunks: Array<Buffer> = []
      request.on("data", (chunk: Buffer) => chunks.push(chunk))
      request.on("end", () => {
        const body = Buffer.concat(chunks)
        const payload = JSON.parse(gunzipSync(body).toString()) as Record<string, ReadonlyArray<unknown>>
        const count = Object.values(payload).reduce((sum, list) => sum + list.length, 0)
        rows += count
        bytes += body.byteLength
        requests++
        response.writeHead(202).end(JSON.stringify({ accepted: count, rejected: [] }))
      })
    })
    let started = 0
    let ready: number | undefined
    const expositions = [processExposition(), () => nodeText]
    const nodeText = readFileSync(
      new URL("../src/plugins/node-exporter/fixtures/debian-12-000/input.prom", import.meta.url),
      "utf8"
    )
    const endpoints = collector
      ? []
      : await Promise.all(
          config.exporters.map(({ scrape }) =>
            listen((_, response) => {
              ready ??= performance.now() - started
              response.end(expositions[scrape.collector === "process" ? 0 : 1]!())
            })
          )
        )
    started = performance.now()
    const child = spawn(process.execPath, [...FLAGS, entry, "agent", folder, server, ...endpoints], {
      stdio: ["ignore", "ignore", "inherit"],
      env: { ...process.env, ...ENVIRONMENT }
    })
    const pid = child.pid!
    await sleep(INTERVAL_MILLIS + 2_000)
    const cpuBefore = cpuSeconds(pid)
    const [rowsBefore, from] = [rows, performance.now()]
    let resident = 0
    while (performance.now() - from < seconds * 1000) {
      await sleep(1_000)
      resident = Math.max(resident, residentMiB(pid, "VmRSS"))
    }
    const elapsed = (performance.now() - from) / 1000
    const cpu = cpuSeconds(pid) - cpuBefore
    print("ready", ready === undefined ? "not measured" : `${ready.toFixed(0)} ms`)
    print("CPU until then and first scrape", `${cpuBefore.toFixed(2)} s`)
    print("resident, largest", `${resident.toFixed(1)} MiB`)
    print("of it not shared with its file", `${residentMiB(pid, "RssAnon").toFixed(1)} MiB`)
    print("CPU", `${((100 * cpu) / elapsed).toFixed(2)} % of a core`)
    print("rows", `${((rows - rowsBefore) / elapsed).toFixed(1)} a second, ${requests} requests`)
    print("on the wire", `${(bytes / rows).toFixed(1)} B a row`)
    child.kill("SIGKILL")
    await once(child, "exit")
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const [first, ...rest] = process.argv.slice(2)
if (first === "agent") runAgent(rest[0]!, rest[1]!, rest.slice(2))
else {
  const flags = process.argv.slice(2)
  await measure(
    Number(flags.find((flag) => /^\d+$/.test(flag)) ?? 120),
    flags.includes("--collector"),
    flags.includes("--bundled")
  )
}
