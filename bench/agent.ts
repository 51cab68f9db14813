/**
 * What the agent costs the machine that it watches, beside the exporters that it asks, in the same minutes: 500 process groups
 * and the node, a scrape of each every 15 s.
 *
 * Everything is as it is shipped: the bundle, with the environment of its unit, a spool on disk and its own metrics; Debian's
 * `prometheus-process-exporter` and `prometheus-node-exporter`; 500 processes of different names that sleep. Only the server
 * is in this process. Memory and CPU come from /proc, so this needs Linux.
 *
 *     node bench/agent.ts [seconds, default 180] [--collector]
 *
 * `--collector`: no exporters, the built-in collectors read this machine.
 * Aims: <= 64 MiB resident, <= 0.3 % of a core, ready <= 300 ms, <= 30 B a row.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { createServer, type RequestListener, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gunzipSync } from "node:zlib"
import { claimPort } from "../test/Ports.ts"

const GROUPS = 500
const INTERVAL_SECONDS = 15
const SETTLE_SECONDS = 2 * INTERVAL_SECONDS
const CLOCK_TICKS = 100
const root = join(import.meta.dirname, "..")

const seconds = Number(process.argv.slice(2).find((argument) => /^\d+$/.test(argument)) ?? 180)
const collector = process.argv.includes("--collector")

/** The environment that the unit gives the agent. */
const unitEnvironment = (): Record<string, string> => {
  const unit = readFileSync(join(root, "packaging", "systemd", "nodepulse-agent.service"), "utf8")
  const words = [...unit.matchAll(/^Environment=(.*)$/gm)].flatMap(([, line]) => line!.match(/"[^"]*"|\S+/g) ?? [])
  return Object.fromEntries(words.map((word) => word.replaceAll('"', "").split(/=(.*)/s).slice(0, 2)))
}

const listen = async (handle: RequestListener): Promise<Server> => {
  const server = createServer(handle)
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return server
}
const portOf = (server: Server) => (server.address() as AddressInfo).port

/** CPU of the process and its threads so far. */
const cpuSeconds = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ")
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS
}

/** Resident memory, and what of it no file backs. */
const memoryMiB = (pid: number) => {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8")
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1]) / 1024
  return { resident: field("Rss"), anonymous: field("Anonymous") }
}

const sleep = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))
const print = (what: string, value: string) => process.stdout.write(`${what.padEnd(36)} ${value}\n`)

const folder = mkdtempSync(join(tmpdir(), "nodepulse-bench-"))
const started: Array<ChildProcess> = []
const start = (command: string, args: ReadonlyArray<string>, env: Record<string, string> = {}): ChildProcess => {
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "ignore"], env: { ...process.env, ...env } })
  child.on("error", (cause) => print("FAILED", `${command}: ${cause.message}`))
  started.push(child)
  return child
}

/** The exporters, and the processes that they find. */
const startExporters = async () => {
  for (let n = 0; n < GROUPS; n++) {
    const path = join(folder, `idle-${n}`)
    symlinkSync("/bin/sleep", path)
    start(path, ["100000"])
  }
  const names = join(folder, "names.yml")
  writeFileSync(names, `process_names:\n  - name: "{{.Comm}}"\n    cmdline: [".+"]\n`)
  const [processPort, nodePort] = [await claimPort(), await claimPort()]
  const address = (port: number) => `--web.listen-address=127.0.0.1:${port}`
  const exporters = [
    ["process-exporter", start("prometheus-process-exporter", [`--config.path=${names}`, address(processPort)])],
    ["node-exporter", start("prometheus-node-exporter", [address(nodePort)])]
  ] as const
  await sleep(2_000)
  return { exporters, ports: { process_exporter: processPort, node_exporter: nodePort } }
}

const measure = async (): Promise<void> => {
  execFileSync(process.execPath, [join(root, "scripts", "build.ts"), "--out", folder], { stdio: "ignore" })
  const { exporters, ports } = await startExporters()
  let [rows, bytes, requests] = [0, 0, 0]
  let ready: number | undefined
  let begun = 0
  const server = await listen((request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      ready ??= performance.now() - begun
      const body = Buffer.concat(chunks)
      const lists = Object.values(JSON.parse(gunzipSync(body).toString()) as Record<string, ReadonlyArray<unknown>>)
      const count = lists.reduce((sum, list) => sum + list.length, 0)
      rows += count
      bytes += body.byteLength
      requests++
      response.writeHead(202).end(JSON.stringify({ accepted: count, rejected: [] }))
    })
  })
  const file = join(folder, "nodepulse.yml")
  const of = (name: keyof typeof ports) =>
    `  - {name: ${name}, interval: ${INTERVAL_SECONDS}s, ${collector ? "collector: always" : `endpoint: "http://127.0.0.1:${ports[name]}/metrics"`}}\n`
  const text = `server: {url: "http://127.0.0.1:${portOf(server)}", token: bench}
buffer: {path: "${folder}/spool"}
metrics: {listen: "127.0.0.1:0"}
exporters:
${of("process_exporter")}${of("node_exporter")}`
  writeFileSync(file, text, { mode: 0o600 })
  begun = performance.now()
  const bundle = join(folder, "agent", "nodepulse-agent.mjs")
  const agent = start(process.execPath, [bundle, "agent", "--config", file], unitEnvironment())
  const watched = [["agent", agent] as const, ...(collector ? [] : exporters)].map(([name, { pid }]) => ({
    name,
    pid: pid!,
    cpu: 0,
    resident: 0
  }))
  await sleep(SETTLE_SECONDS * 1_000)
  const cpuUntilThen = cpuSeconds(agent.pid!)
  for (const one of watched) one.cpu = cpuSeconds(one.pid)
  const [rowsBefore, from] = [rows, performance.now()]
  while (performance.now() - from < seconds * 1_000) {
    await sleep(1_000)
    for (const one of watched) one.resident = Math.max(one.resident, memoryMiB(one.pid).resident)
  }
  const elapsed = (performance.now() - from) / 1_000
  print("ready: start to first push", `${ready?.toFixed(0) ?? "never"} ms`)
  print(`CPU of the first ${SETTLE_SECONDS} s`, `${cpuUntilThen.toFixed(2)} s`)
  for (const { cpu, name, pid, resident } of watched) {
    const share = (100 * (cpuSeconds(pid) - cpu)) / elapsed
    const { anonymous } = memoryMiB(pid)
    print(
      name,
      `${resident.toFixed(1)} MiB resident, ${anonymous.toFixed(1)} anonymous, ${share.toFixed(2)} % of a core`
    )
  }
  print("rows", `${((rows - rowsBefore) / elapsed).toFixed(1)} a second, ${requests} requests`)
  print("on the wire", `${(bytes / rows).toFixed(1)} B a row`)
  server.close()
}

try {
  await measure()
} finally {
  for (const child of started) child.kill("SIGKILL")
  rmSync(folder, { recursive: true, force: true })
}
