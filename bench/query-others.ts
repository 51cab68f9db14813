/**
 * Other programs that keep the same values, asked the same question: VictoriaMetrics and Prometheus, from their packages of
 * Debian. One that is not installed is left out. They hold the three samples of each group and scrape of one server.
 *
 * What a top answer says takes three queries there: the increase, the highest memory, and the highest rate.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { createWriteStream } from "node:fs"
import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { claimPort } from "../test/Ports.ts"

/** The values of one group, scrape by scrape. */
export interface GroupValues {
  readonly name: string
  readonly cpu: ReadonlyArray<number>
  readonly memory: ReadonlyArray<number>
  readonly processes: ReadonlyArray<number>
}

export interface Other {
  readonly name: string
  /** Milliseconds: the ten groups that used most CPU; and all three queries together. */
  readonly top: (at: number, hours: number) => Promise<{ readonly bare: number; readonly whole: number }>
  readonly stop: () => Promise<void>
}

const METRICS = { cpu: "cpu_seconds_total", memory: "memory_bytes", processes: "num_procs" } as const

const isInstalled = (program: string) => spawnSync("which", [program]).status === 0

/** Starts those that are installed, with the values in them. `times` are epoch seconds. */
export const startOthers = async (
  folder: string,
  times: ReadonlyArray<number>,
  groups: ReadonlyArray<GroupValues>
): Promise<ReadonlyArray<Other>> => {
  const others: Array<Other> = []
  for (const [program, start] of [
    ["victoria-metrics", startVictoria],
    ["prometheus", startPrometheus]
  ] as const) {
    if (isInstalled(program)) others.push(await start(join(folder, program), times, groups))
    else process.stdout.write(`${program} is not installed: skipped\n`)
  }
  return others
}

const startVictoria = async (folder: string, times: ReadonlyArray<number>, groups: ReadonlyArray<GroupValues>) => {
  const port = await claimPort()
  const address = `http://127.0.0.1:${port}`
  const child = spawn("victoria-metrics", [
    `-storageDataPath=${folder}`,
    `-httpListenAddr=127.0.0.1:${port}`,
    "-retentionPeriod=1y",
    "-search.disableCache",
    "-search.maxPointsPerTimeseries=200000"
  ])
  await answers(`${address}/health`)
  const timestamps = times.map((at) => at * 1_000)
  for (const group of groups) {
    const lines = Object.entries(METRICS).map(([key, metric]) =>
      JSON.stringify({
        metric: { __name__: metric, name: group.name },
        values: group[key as keyof typeof METRICS],
        timestamps
      })
    )
    await fetch(`${address}/api/v1/import`, { method: "POST", body: lines.join("\n") })
  }
  await fetch(`${address}/internal/force_flush`)
  return asking("VictoriaMetrics", address, child)
}

const startPrometheus = async (folder: string, times: ReadonlyArray<number>, groups: ReadonlyArray<GroupValues>) => {
  await mkdir(folder, { recursive: true })
  const text = join(folder, "values.txt")
  const out = createWriteStream(text)
  for (const [key, metric] of Object.entries(METRICS)) {
    out.write(`# TYPE ${metric.replace(/_total$/, "")} ${key === "cpu" ? "counter" : "gauge"}\n`)
    for (const group of groups) {
      const values = group[key as keyof typeof METRICS]
      const lines = times.map((at, n) => `${metric}{name="${group.name}"} ${values[n]} ${at}\n`)
      if (!out.write(lines.join(""))) await once(out, "drain")
    }
  }
  out.end("# EOF\n")
  await once(out, "close")
  const made = spawnSync("promtool", ["tsdb", "create-blocks-from", "openmetrics", text, folder], { stdio: "ignore" })
  if (made.status !== 0) throw new Error(`promtool ended with ${made.status}`)
  const port = await claimPort()
  await writeFile(join(folder, "prometheus.yml"), "")
  const child = spawn("prometheus", [
    `--config.file=${join(folder, "prometheus.yml")}`,
    `--storage.tsdb.path=${folder}`,
    "--storage.tsdb.retention.time=1y",
    "--query.max-samples=500000000",
    `--web.listen-address=127.0.0.1:${port}`
  ])
  const address = `http://127.0.0.1:${port}`
  await answers(`${address}/-/ready`)
  return asking("Prometheus", address, child)
}

/** Asks by the API that both have. */
const asking = (name: string, address: string, child: ChildProcess): Other => {
  const ask = async (query: string, at: number) => {
    const began = performance.now()
    const response = await fetch(`${address}/api/v1/query?query=${encodeURIComponent(query)}&time=${at}`)
    const { data } = (await response.json()) as { readonly data?: { readonly result: ReadonlyArray<unknown> } }
    if (data === undefined || data.result.length === 0) throw new Error(`${name} has no answer to ${query}`)
    return performance.now() - began
  }
  return {
    name,
    top: async (at, hours) => {
      const window = `${Math.round(hours * 3_600)}s`
      const bare = await ask(`topk(10, increase(cpu_seconds_total[${window}]))`, at)
      const memory = await ask(`max_over_time(memory_bytes[${window}])`, at)
      const peak = await ask(`max_over_time(rate(cpu_seconds_total[30s])[${window}:15s])`, at)
      return { bare, whole: bare + memory + peak }
    },
    stop: async () => {
      child.kill("SIGTERM")
      if (child.exitCode === null) await once(child, "exit")
    }
  }
}

const answers = async (address: string): Promise<void> => {
  for (let tries = 0; tries < 300; tries++) {
    const response = await fetch(address).catch(() => undefined)
    if (response?.ok === true) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`${address} does not answer`)
}
