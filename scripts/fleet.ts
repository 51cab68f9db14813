/**
 * `npm run fleet`: a fleet that does not exist, pushing to any NodePulse, to see what that carries. Each simulated agent has a
 * server and a token of its own, its own place in the interval, and values that a person believes.
 *
 *     npm run fleet -- --servers 1000 --groups 150 --interval 15
 *     npm run fleet -- --url https://nodepulse.example.org --servers 10000 --minutes 60
 *     npm run fleet -- --servers 1000 --minutes 5 --watch server=4711,postgres=4712 --disk .nodepulse/postgres
 *
 * The admin token is that of NODEPULSE_ADMIN_TOKEN, else of the data folder. Servers are called fleet-00001 and so on; their
 * tokens are kept in `<data folder>/fleet-tokens.json`, so that the same fleet can come back. Prints a line each interval, and
 * at the end, also after Ctrl-C, what was sent, what was answered and how long answers took. Exits 1 where anything that was
 * sent was not accepted, 2 where it could not begin.
 */
import { type ChildProcess, fork } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import config from "../plugins.config.ts"
import { type Begin, type FleetAgent, READY, type SenderReport, type SenderTask } from "./fleet/FleetSender.ts"
import { register, Unusable } from "./fleet/FleetTokens.ts"
import { addLatencies, type Latencies, noLatencies, quantile } from "./fleet/Latencies.ts"
import { makeSampler, type Watched, watchedOf } from "./fleet/Watch.ts"

const HELP = `Pushes the scrapes of a simulated fleet to a NodePulse.

  --url URL          where it is (default http://127.0.0.1:8080)
  --servers N        how many servers, 1 to 100000 (default 100)
  --groups N         process groups of each, 1 to 1000 (default 150)
  --interval S       seconds between two scrapes of a server, 1 to 3600 (default 15)
  --minutes M        how long, fractions allowed (default: until Ctrl-C)
  --alike N          how many servers have the same values, 1 to 100 (default: as few as leave at most 1 000 kinds)
  --processes N      processes that send, 1 to 16 (default: one for each 2 500 servers)
  --connections N    connections of all of them together, 1 to 2000 (default 64)
  --exporters NAMES  what each pushes, such as process_exporter,node_exporter (default: all of plugins.config.ts; of each
                     that has labels a row a group)
  --tokens FILE      where the fleet's tokens are kept (default <data folder>/fleet-tokens.json)
  --watch NAME=PID,… CPU and memory of these processes of this machine, with their descendants, each interval and in all
  --disk FOLDER,…    what these folders take, each interval and in all
`

interface Options {
  readonly url: string
  readonly servers: number
  readonly groups: number
  readonly intervalMillis: number
  readonly rounds: number
  readonly alike: number
  readonly processes: number
  readonly connections: number
  readonly tokens: string
  readonly exporters: ReadonlyArray<string>
  readonly watched: ReadonlyArray<Watched>
  readonly folders: ReadonlyArray<string>
}

/** Kinds of servers unless told otherwise: more cost the generator a core. */
const KINDS_MAX = 1_000

const DATA = process.env.NODEPULSE_DATA_DIR ?? ".nodepulse"

const readOptions = (): Options | undefined => {
  const text = { type: "string" } as const
  const { values } = parseArgs({
    options: {
      url: text,
      servers: text,
      groups: text,
      interval: text,
      minutes: text,
      alike: text,
      processes: text,
      connections: text,
      tokens: text,
      exporters: text,
      watch: text,
      disk: text,
      help: { type: "boolean", short: "h" }
    }
  })
  if (values.help) return undefined
  const number = (name: keyof typeof values, fallback: number, least: number, most: number, whole = true) => {
    const given = values[name]
    const value = given === undefined ? fallback : Number(given)
    if (value >= least && value <= most && (!whole || Number.isInteger(value))) return value
    throw new Unusable(
      `--${name} is ${given}, but must be ${whole ? "a whole number" : "a number"} from ${least} to ${most}`
    )
  }
  const servers = number("servers", 100, 1, 100_000)
  const intervalMillis = number("interval", 15, 1, 3_600, false) * 1_000
  const minutes = values.minutes === undefined ? Number.POSITIVE_INFINITY : number("minutes", 1, 0.01, 100_000, false)
  const url = values.url ?? "http://127.0.0.1:8080"
  if (!URL.canParse(url)) throw new Unusable(`--url is ${url}, which is no address`)
  const watched = values.watch === undefined ? [] : watchedOf(values.watch)
  if (watched === undefined)
    throw new Unusable(`--watch is ${values.watch}, but must be process ids such as redis=4711`)
  return {
    url: url.replace(/\/+$/, ""),
    servers,
    intervalMillis,
    groups: number("groups", 150, 1, 1_000),
    rounds: Math.min(1e9, Math.max(1, Math.round((minutes * 60_000) / intervalMillis))),
    alike: number("alike", Math.ceil(servers / KINDS_MAX), 1, 100),
    processes: number("processes", Math.min(16, Math.ceil(servers / 2_500)), 1, 16),
    connections: number("connections", 64, 1, 2_000),
    tokens: values.tokens ?? join(DATA, "fleet-tokens.json"),
    exporters: exportersOf(values.exporters),
    watched,
    folders: values.disk?.split(",") ?? []
  }
}

/** Names of exporters of plugins.config.ts. */
const exportersOf = (text: string | undefined): ReadonlyArray<string> => {
  const all = config.exporters.map(({ name }) => name)
  const asked = text === undefined ? all : text.split(",")
  const unknown = asked.find((name) => !all.includes(name))
  if (unknown === undefined) return asked
  throw new Unusable(`--exporters has ${unknown}, which is none of ${all.join(", ")}`)
}

const adminToken = (): string => {
  const given = process.env.NODEPULSE_ADMIN_TOKEN
  if (given !== undefined && given !== "") return given
  const file = join(DATA, "admin-token")
  try {
    return readFileSync(file, "utf8").trim()
  } catch {
    throw new Unusable(`set NODEPULSE_ADMIN_TOKEN: it is needed to add servers, and ${file} is not there`)
  }
}

const say = (text: string) => process.stdout.write(`${text}\n`)

interface Sum {
  pushes: number
  rows: number
  bytes: number
  accepted: number
  rejected: number
  undelivered: number
  latest: number
  readonly answers: Record<string, number>
  readonly latencies: Latencies
}

const nothing = (): Sum => ({
  pushes: 0,
  rows: 0,
  bytes: 0,
  accepted: 0,
  rejected: 0,
  undelivered: 0,
  latest: 0,
  answers: {},
  latencies: noLatencies()
})

const add = (sum: Sum, report: SenderReport): void => {
  for (const key of ["pushes", "rows", "bytes", "accepted", "rejected", "undelivered"] as const) sum[key] += report[key]
  sum.latest = Math.max(sum.latest, report.latest)
  for (const [status, count] of Object.entries(report.answers)) sum.answers[status] = (sum.answers[status] ?? 0) + count
  addLatencies(sum.latencies, report.latencies)
}

const millis = (value: number | null) => (value === null ? "–" : value < 10 ? value.toFixed(1) : value.toFixed(0))

const lineOf = ({ accepted, answers, latencies, latest, pushes, undelivered }: Sum, seconds: number): string =>
  [
    `${pushes} pushes`,
    `${Math.round(accepted / seconds)} rows/s accepted`,
    Object.entries(answers)
      .map(([status, count]) => `${status} × ${count}`)
      .join(", ") || "no answer",
    `p50 ${millis(quantile(latencies, 0.5))} p95 ${millis(quantile(latencies, 0.95))} p99 ${millis(quantile(latencies, 0.99))} max ${millis(quantile(latencies, 1))} ms`,
    ...(undelivered > 0 ? [`${undelivered} rows undelivered`] : []),
    ...(latest > 1_000 ? [`sent up to ${(latest / 1_000).toFixed(1)} s late: this generator cannot keep up`] : [])
  ].join(" · ")

const summaryOf = (sum: Sum, seconds: number): string =>
  [
    `sent       ${sum.pushes} pushes, ${sum.rows} rows, ${(sum.bytes / 1e6).toFixed(1)} MB of gzip in ${seconds.toFixed(1)} s`,
    `accepted   ${sum.accepted} rows (${Math.round(sum.accepted / seconds)}/s), rejected ${sum.rejected}, undelivered ${sum.undelivered}`,
    `answers    ${Object.entries(sum.answers)
      .map(([status, count]) => `${status} × ${count}`)
      .join(", ")}`,
    `latency    p50 ${millis(quantile(sum.latencies, 0.5))} ms, p95 ${millis(quantile(sum.latencies, 0.95))} ms, p99 ${millis(quantile(sum.latencies, 0.99))} ms, max ${millis(quantile(sum.latencies, 1))} ms`
  ].join("\n")

/** Agents of one machine after the other; each has its place in the interval. */
const agentsOf = (tokens: ReadonlyArray<string>, alike: number): ReadonlyArray<ReadonlyArray<FleetAgent>> => {
  const agents = tokens.map((token, n): FleetAgent => ({ token, place: n / tokens.length }))
  return Array.from({ length: Math.ceil(agents.length / alike) }, (_, n) => agents.slice(n * alike, (n + 1) * alike))
}

/** Starts the processes, which begin together once all of them are ready. */
const startSenders = (
  { alike, connections, exporters, groups, intervalMillis, processes, rounds, url }: Options,
  tokens: ReadonlyArray<string>,
  onReport: (report: SenderReport) => void
) => {
  let waitedFor = processes
  const children = Array.from({ length: processes }, (_, n): ChildProcess => {
    const child = fork(fileURLToPath(new URL("./fleet/FleetSender.ts", import.meta.url)))
    const machines = agentsOf(tokens, alike).flatMap((agents, seed) =>
      seed % processes === n ? [{ seed, agents }] : []
    )
    const each = Math.max(1, Math.floor(connections / processes))
    const task: SenderTask = { url, machines, exporters, groups, intervalMillis, rounds, connections: each }
    child.on("message", (message: typeof READY | SenderReport) => {
      if (message !== READY) return onReport(message)
      waitedFor--
      const begin: Begin = { startsAt: Date.now() + 200 }
      if (waitedFor === 0) for (const one of children) one.send(begin)
    })
    child.send(task)
    return child
  })
  const ended = Promise.all(
    children.map((child) => new Promise<boolean>((resolve) => child.once("exit", (code) => resolve(code === 0))))
  )
  return { children, ended }
}

const main = async (): Promise<number> => {
  const options = readOptions()
  if (options === undefined) {
    process.stdout.write(HELP)
    return 0
  }
  const tokens = await register(options, adminToken, say)
  say(
    `${options.servers} servers × ${options.groups} groups every ${options.intervalMillis / 1_000} s: ${Math.round((options.servers * options.groups * 1_000) / options.intervalMillis)} rows of processes a second${options.alike > 1 ? `; each ${options.alike} servers have the same values` : ""}`
  )
  const whole = nothing()
  let latest = nothing()
  const began = Date.now()
  const { children, ended } = startSenders(options, tokens, (report) => {
    add(whole, report)
    add(latest, report)
  })
  const seconds = options.intervalMillis / 1_000
  const sampler = makeSampler(options.watched, options.folders)
  const timer = setInterval(() => {
    if (latest.pushes > 0) say(`${new Date().toISOString().slice(11, 19)} ${lineOf(latest, seconds)}`)
    latest = nothing()
    const used = sampler.line()
    if (used !== undefined) say(`         ${used}`)
  }, options.intervalMillis)
  let stopped = false
  process.once("SIGINT", () => {
    stopped = true
    for (const child of children) child.kill("SIGTERM")
  })
  const wholeRun = (await ended).every(Boolean)
  clearInterval(timer)
  say(summaryOf(whole, (Date.now() - began) / 1_000))
  for (const used of sampler.summary(whole.accepted)) say(used)
  if (!wholeRun && !stopped) throw new Unusable("a process that sends has died")
  return whole.undelivered + whole.rejected === 0 && whole.accepted > 0 ? 0 : 1
}

process.exitCode = await main().catch((error: unknown) => {
  if (error instanceof Unusable) process.stderr.write(`${error.message}\n`)
  else if (error instanceof TypeError) process.stderr.write(`${error.message} (--help shows the options)\n`)
  else throw error
  return 2
})
