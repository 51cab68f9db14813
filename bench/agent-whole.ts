/**
 * What the agent costs with all that it can read, beside the exporters that read less, in the same minutes: 500 processes in 80
 * units, a scrape of everything every 15 s.
 *
 * The bundle, with the environment of its unit, a spool on disk and its own metrics, every built-in collector on, and the flight
 * recorder (what that costs alone: recorder.ts); the server is in this process. Debian's `prometheus-process-exporter` and `prometheus-node-exporter` are asked
 * every 15 s too, by this process. One process in ten is awake: it works a little every second, so that it has to be read anew. The
 * units are cgroups that are made for the run and removed after it, in every hierarchy that this machine has. Needs root
 * for them; without, the units are those of the machine.
 *
 *     node bench/agent-whole.ts [seconds, default 180] [--processes 500] [--units 80] [--wire]
 *
 * `--wire`: prints the parts of the last scrape in rows and bytes, too.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import {
  accessSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { gunzipSync } from "node:zlib"
import config from "../plugins.config.ts"
import { claimPort } from "../test/Ports.ts"

const INTERVAL_SECONDS = 15
const SETTLE_SECONDS = 2 * INTERVAL_SECONDS
const CLOCK_TICKS = 100
/** One in so many processes is awake. */
const AWAKE = 10
const root = join(import.meta.dirname, "..")

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    processes: { type: "string", default: "500" },
    units: { type: "string", default: "80" },
    wire: { type: "boolean", default: false }
  }
})
const seconds = Number(positionals[0] ?? 180)
const [processes, units] = [Number(values.processes), Number(values.units)]

const sleep = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))
const print = (what: string, value: string) => process.stdout.write(`${what.padEnd(36)} ${value}\n`)

/** The environment that the unit gives the agent. */
const unitEnvironment = (): Record<string, string> => {
  const unit = readFileSync(join(root, "packaging", "systemd", "nodepulse-agent.service"), "utf8")
  const words = [...unit.matchAll(/^Environment=(.*)$/gm)].flatMap(([, line]) => line!.match(/"[^"]*"|\S+/g) ?? [])
  return Object.fromEntries(words.map((word) => word.replaceAll('"', "").split(/=(.*)/s).slice(0, 2)))
}

/** CPU of the process and its threads so far. */
const cpuSeconds = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ")
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS
}

const memoryMiB = (pid: number) => {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8")
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1]) / 1024
  return { resident: field("Rss"), proportional: field("Pss") }
}

const folder = mkdtempSync(join(tmpdir(), "nodepulse-bench-"))
const started: Array<ChildProcess> = []
const start = (command: string, args: ReadonlyArray<string>, env: Record<string, string> = {}): ChildProcess => {
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "ignore"], env: { ...process.env, ...env } })
  child.on("error", (cause) => print("FAILED", `${command}: ${cause.message}`))
  started.push(child)
  return child
}

const CGROUPS = "/sys/fs/cgroup"
/** The folder of the run in every hierarchy whose cgroups take processes; none where that is not ours to do. */
const slices = (): ReadonlyArray<string> => {
  const hierarchies = existsSync(join(CGROUPS, "cgroup.controllers"))
    ? [CGROUPS]
    : readdirSync(CGROUPS, { withFileTypes: true }).flatMap((entry) =>
        // A new cgroup of cpuset takes no process before it has CPUs.
        entry.isDirectory() && entry.name !== "cpuset" ? [join(CGROUPS, entry.name)] : []
      )
  return hierarchies.flatMap((hierarchy) => {
    try {
      accessSync(hierarchy, constants.W_OK)
      return [join(hierarchy, `nodepulsebench${process.pid}.slice`)]
    } catch {
      return []
    }
  })
}
/** A killed process is in its cgroup until it is gone: at most so many tenths of a second. */
const REMOVE_ATTEMPTS = 600
const made: Array<string> = []
const makeUnits = (): void => {
  for (const slice of slices()) {
    for (const path of [slice, ...Array.from({ length: units }, (_, n) => join(slice, `bench-${name(n)}.service`))]) {
      mkdirSync(path)
      made.push(path)
    }
  }
}
const moveInto = (unit: number, pid: number): void => {
  for (const slice of slices()) {
    const file = join(slice, `bench-${name(unit)}.service`, "cgroup.procs")
    if (existsSync(file)) writeFileSync(file, String(pid))
  }
}
/** A word for a number, none that looks like digits or a hash: such names are folded into one. */
const name = (n: number): string => {
  const letters = "ghjkmnpqrstvwxyz"
  return (n < letters.length ? "" : name(Math.floor(n / letters.length) - 1)) + letters[n % letters.length]
}

const startProcesses = (): void => {
  const awake = "while (1) { select(undef, undef, undef, 1); my $n = 0; $n++ while $n < 20000 }\n"
  for (let n = 0; n < processes; n++) {
    const path = join(folder, `${n % AWAKE === 0 ? "awake" : "idle"}-${name(n)}`)
    let command: readonly [string, string] = [path, "100000"]
    if (n % AWAKE === 0) {
      // A script, which is named by its own file and not by its interpreter.
      writeFileSync(path, awake)
      command = ["/usr/bin/perl", path]
    } else symlinkSync("/bin/sleep", path)
    const { pid } = start(command[0], [command[1]])
    if (pid !== undefined) moveInto(n % units, pid)
  }
}

const startExporters = async () => {
  const names = join(folder, "names.yml")
  writeFileSync(names, `process_names:\n  - name: "{{.Comm}}"\n    cmdline: [".+"]\n`)
  const [processPort, nodePort] = [await claimPort(), await claimPort()]
  const address = (port: number) => `--web.listen-address=127.0.0.1:${port}`
  return [
    {
      name: "process-exporter",
      port: processPort,
      child: start("prometheus-process-exporter", [`--config.path=${names}`, address(processPort)])
    },
    { name: "node-exporter", port: nodePort, child: start("prometheus-node-exporter", [address(nodePort)]) }
  ]
}

const measure = async (): Promise<void> => {
  execFileSync(process.execPath, [join(root, "scripts", "build.ts"), "--out", folder], { stdio: "ignore" })
  makeUnits()
  startProcesses()
  const exporters = await startExporters()
  let [rows, bytes] = [0, 0]
  let last = ""
  const server = createServer((request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      const body = Buffer.concat(chunks)
      const lists = JSON.parse(gunzipSync(body).toString()) as Record<string, unknown>
      const parts = Object.entries(lists).flatMap(([key, list]) => (Array.isArray(list) ? [[key, list] as const] : []))
      const count = parts.reduce((sum, [, list]) => sum + list.length, 0)
      last = parts.map(([key, list]) => `${list.length} ${key}`).join(", ")
      rows += count
      bytes += body.byteLength
      response.writeHead(202).end(JSON.stringify({ accepted: count, rejected: [] }))
    })
  }).listen(0, "127.0.0.1")
  await once(server, "listening")
  const file = join(folder, "nodepulse.yml")
  const collected = config.exporters.map(({ name, scrape }) =>
    scrape.collector === undefined
      ? `  - {name: ${name}, enabled: false}\n`
      : `  - {name: ${name}, interval: ${INTERVAL_SECONDS}s, collector: always}\n`
  )
  const text = `server: {url: "http://127.0.0.1:${(server.address() as AddressInfo).port}", token: bench}
buffer: {path: "${folder}/spool"}
metrics: {listen: "127.0.0.1:0"}
exporters:
${collected.join("")}`
  writeFileSync(file, text, { mode: 0o600 })
  const bundle = join(folder, "agent", "nodepulse-agent.mjs")
  // A Node of its own: its pages would be shared with this process, and half of them would not count.
  const node = join(folder, "node")
  copyFileSync(process.execPath, node)
  const agent = start(node, [bundle, "agent", "--config", file], unitEnvironment())
  const asking = setInterval(() => {
    for (const { port } of exporters) {
      void fetch(`http://127.0.0.1:${port}/metrics`)
        .then((response) => response.text())
        .catch(() => {})
    }
  }, INTERVAL_SECONDS * 1_000)
  const watched = [{ name: "agent", child: agent }, ...exporters].map(({ child, name }) => ({
    name,
    pid: child.pid!,
    cpu: 0,
    resident: 0,
    proportional: 0
  }))
  await sleep(SETTLE_SECONDS * 1_000)
  for (const one of watched) one.cpu = cpuSeconds(one.pid)
  const [rowsBefore, bytesBefore, from] = [rows, bytes, performance.now()]
  while (performance.now() - from < seconds * 1_000) {
    await sleep(1_000)
    for (const one of watched) {
      const { proportional, resident } = memoryMiB(one.pid)
      one.resident = Math.max(one.resident, resident)
      one.proportional = Math.max(one.proportional, proportional)
    }
  }
  const elapsed = (performance.now() - from) / 1_000
  print("processes, units", `${processes}, of them ${Math.ceil(processes / AWAKE)} awake; ${units}`)
  for (const { cpu, name, pid, proportional, resident } of watched) {
    const share = (100 * (cpuSeconds(pid) - cpu)) / elapsed
    print(name, `${share.toFixed(2)} % of a core, RSS ${resident.toFixed(1)} MiB, PSS ${proportional.toFixed(1)} MiB`)
  }
  print("rows", `${((rows - rowsBefore) / elapsed).toFixed(1)} a second`)
  print("on the wire", `${((bytes - bytesBefore) / Math.max(1, rows - rowsBefore)).toFixed(1)} B a row`)
  if (values.wire) print("the last request", last)
  clearInterval(asking)
  server.close()
  server.closeAllConnections()
}

const removeUnits = async (): Promise<void> => {
  for (let attempt = 0; made.length > 0 && attempt < REMOVE_ATTEMPTS; attempt++) {
    await sleep(100)
    for (const path of made.splice(0).reverse()) {
      try {
        rmdirSync(path)
      } catch {
        made.unshift(path)
      }
    }
  }
}

try {
  await measure()
} finally {
  for (const child of started) child.kill("SIGKILL")
  await removeUnits()
  rmSync(folder, { recursive: true, force: true })
}
