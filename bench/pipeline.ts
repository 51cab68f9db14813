/**
 * The whole pipeline, HTTP -> Valkey -> PostgreSQL with real processes, with an entry a snapshot and an entry a scrape, beside the
 * naive way, in one run: `npm run bench -- pipeline`, or `npm run bench -- pipeline scrape` for those whose name has "scrape".
 * Seconds of load by NODEPULSE_BENCH_SECONDS (20); NODEPULSE_BENCH_PROFILE names a folder for profiles of NodePulse's processes.
 *
 * Rows a second are rows in the table divided by the time from the first request to the last commit; the load generator
 * runs on the same cores, and its CPU stands beside the others. Valkey runs for NodePulse as we ship it (`appendfsync always`), for the naive way with
 * `everysec`; PostgreSQL is the embedded one with fsync on; both are fresh for each contender. CPU is read from /proc where there is one.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Redacted } from "effect"
import { Redis } from "ioredis"
import pg from "pg"
import { make as startPostgres } from "../src/sinks/postgres/embedded/EmbeddedPostgres.ts"
import { freePort } from "../test/Ports.ts"
import { makeTestValkey } from "../test/TestValkey.ts"

const SECONDS = Number(process.env.NODEPULSE_BENCH_SECONDS ?? 20)
const PROFILE_DIR = process.env.NODEPULSE_BENCH_PROFILE
const PROFILE = PROFILE_DIR === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${PROFILE_DIR}`]
const SERVERS = 1_000
const CONNECTIONS = 64
const root = join(import.meta.dirname, "..")

interface Contender {
  readonly name: string
  readonly table: string
  readonly stream: string
  readonly appendFsync: "always" | "everysec"
  /** The part of the load's time that it gets. */
  readonly share: number
  readonly start: (world: World) => Promise<ReadonlyArray<ChildProcess>>
}

interface World {
  readonly port: number
  readonly valkeyUrl: string
  readonly databaseUrl: string
  readonly folder: string
}

interface Measured {
  readonly name: string
  readonly rows: number
  readonly rowsPerSecond: number
  readonly postedPerSecond: number
  /** CPU microseconds a row; NodePulse's by process, the naive way's one first. */
  readonly cpu: Readonly<Record<"valkey" | "postgres" | "load", number>> & { readonly node: ReadonlyArray<number> }
}

const nodepulse = (args: ReadonlyArray<string>, world: World, port: number, entry: string): ChildProcess =>
  spawn(process.execPath, [...PROFILE, join(root, "src", "main.ts"), ...args], {
    cwd: world.folder,
    stdio: ["ignore", "inherit", "inherit"],
    env: {
      ...process.env,
      NODE_ENV: "production",
      NODEPULSE_HOST: "127.0.0.1",
      NODEPULSE_PORT: String(port),
      NODEPULSE_DATA_DIR: join(world.folder, "data"),
      NODEPULSE_ADMIN_TOKEN: "bench",
      DATABASE_URL: world.databaseUrl,
      VALKEY_URL: world.valkeyUrl,
      NODEPULSE_STREAM_ENTRY: entry
    }
  })

const CONTENDERS: ReadonlyArray<Contender> = [
  {
    name: "naive",
    table: "naive_snapshots",
    stream: "naive",
    appendFsync: "everysec",
    // It takes in twenty times what it stores: what it has taken in then has to be stored too.
    share: 0.1,
    start: async (world) => {
      const child = spawn(
        process.execPath,
        [join(import.meta.dirname, "pipeline-naive.ts"), String(world.port), world.valkeyUrl, world.databaseUrl],
        { stdio: ["ignore", "ignore", "inherit"] }
      )
      return [child]
    }
  },
  ...["snapshot", "scrape"].flatMap((entry): ReadonlyArray<Contender> => {
    const ours = {
      table: "admiral.process_snapshots",
      stream: "nodepulse:{0}:snapshots",
      appendFsync: "always",
      share: 1
    } as const
    const server = ["--log-level", "warn", "server"]
    return [
      {
        ...ours,
        name: `an entry a ${entry}, ingest and digest apart`,
        start: async (world) => [
          nodepulse([...server, "--role", "ingest"], world, world.port, entry),
          nodepulse([...server, "--role", "digest"], world, world.port + 1, entry)
        ]
      },
      {
        ...ours,
        name: `an entry a ${entry}, one process`,
        start: async (world) => [nodepulse(server, world, world.port, entry)]
      }
    ]
  })
]

const measure = (contender: Contender) =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const folder = mkdtempSync(join(tmpdir(), "nodepulse-bench-"))
        // The user that runs PostgreSQL has to pass through.
        chmodSync(folder, 0o711)
        return folder
      }),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
    )
    const postgres = yield* startPostgres({
      dataDir: join(folder, "postgres"),
      unreachableBase: join(folder, "reachable")
    })
    const valkey = yield* makeTestValkey({ appendOnly: true, appendFsync: contender.appendFsync })
    const world: World = {
      port: yield* freePort,
      valkeyUrl: valkey.url,
      databaseUrl: Redacted.value(postgres.url),
      folder
    }
    const children = yield* Effect.acquireRelease(
      Effect.promise(() => contender.start(world)),
      (children) => Effect.promise(() => Promise.all(children.map(ended)))
    )
    return yield* Effect.promise(() => load(contender, world, children))
  }).pipe(Effect.scoped)

const load = async (contender: Contender, world: World, children: ReadonlyArray<ChildProcess>): Promise<Measured> => {
  const url = `http://127.0.0.1:${world.port}`
  await answering(url)
  const database = new pg.Client(world.databaseUrl)
  // PostgreSQL ends before this does where something fails: what failed is to be seen, not that.
  database.on("error", () => {})
  await database.connect()
  const tokensFile = join(world.folder, "tokens")
  writeFileSync(tokensFile, (await tokens(contender, url)).join("\n"))
  const cpuBefore = cpuSeconds(children, world)
  const generator = spawn(
    process.execPath,
    [
      join(import.meta.dirname, "pipeline-load.ts"),
      url,
      tokensFile,
      String(SECONDS * contender.share),
      String(CONNECTIONS)
    ],
    { stdio: ["ignore", "pipe", "inherit"] }
  )
  const usage = watchCpu(generator)
  const { accepted, started, statuses } = JSON.parse(await output(generator)) as {
    readonly accepted: number
    readonly started: number
    readonly statuses: Readonly<Record<string, number>>
  }
  const posted = (Date.now() - started) / 1000
  await drained(contender, world)
  const seconds = (Date.now() - started) / 1000
  const cpu = cpuSeconds(children, world)
  const { rows: counted } = await database.query(`select count(*)::float8 as n from ${contender.table}`)
  const rows = counted[0].n as number
  await database.end()
  if (rows !== accepted)
    throw new Error(`${contender.name}: ${accepted} rows accepted, ${rows} stored: ${JSON.stringify(statuses)}`)
  const perRow = (seconds: number) => (seconds / rows) * 1e6
  return {
    name: contender.name,
    rows,
    rowsPerSecond: rows / seconds,
    postedPerSecond: accepted / posted,
    cpu: {
      node: cpu.node.map((seconds, n) => perRow(seconds - cpuBefore.node[n]!)),
      valkey: perRow(cpu.valkey - cpuBefore.valkey),
      postgres: perRow(cpu.postgres - cpuBefore.postgres),
      load: perRow(usage())
    }
  }
}

/** Waits until everything in the stream is acknowledged, hence committed. To ask that costs nothing, unlike counting rows. */
const drained = async ({ stream }: Contender, { valkeyUrl }: World): Promise<void> => {
  const valkey = new Redis(valkeyUrl)
  for (;;) {
    const groups = (await valkey.xinfo("GROUPS", stream)) as ReadonlyArray<ReadonlyArray<string | number>>
    const field = (name: string) => groups[0]?.[groups[0].indexOf(name) + 1]
    if ((await valkey.xlen(stream)) === 0 || (field("lag") === 0 && field("pending") === 0)) break
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  valkey.disconnect()
}

const tokens = async (contender: Contender, url: string): Promise<ReadonlyArray<string>> => {
  if (contender.name === "naive") return Array.from({ length: SERVERS }, (_, n) => `server-${n}`)
  const register = async (n: number): Promise<string> => {
    const response = await fetch(`${url}/api/servers`, {
      method: "POST",
      headers: { authorization: "Bearer bench", "content-type": "application/json" },
      body: JSON.stringify({ name: `server-${n}` })
    })
    if (!response.ok) throw new Error(`no token: ${response.status} ${await response.text()}`)
    return ((await response.json()) as { readonly token: string }).token
  }
  const all: Array<string> = []
  for (let n = 0; n < SERVERS; n += 20) {
    all.push(...(await Promise.all(Array.from({ length: 20 }, (_, k) => register(n + k)))))
  }
  return all
}

// -- processes

const answering = async (url: string): Promise<void> => {
  for (let attempt = 0; attempt < 300; attempt++) {
    const up = await fetch(`${url}/readyz`).then(
      ({ status }) => status !== 503,
      () => false
    )
    if (up) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`${url} does not answer`)
}

const output = (child: ChildProcess): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = ""
    child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk
    })
    child.on("close", (code) =>
      code === 0 ? resolve(text) : reject(new Error(`the load generator ended with ${code}`))
    )
  })

const ended = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve()
    const hard = setTimeout(() => child.kill("SIGKILL"), 15_000)
    child.on("exit", () => {
      clearTimeout(hard)
      resolve()
    })
    child.kill("SIGTERM")
  })

/** CPU seconds so far, by kind of process; zeros where there is no /proc. */
const cpuSeconds = (children: ReadonlyArray<ChildProcess>, world: World) => {
  const ours = children.map((child) => child.pid)
  const sums = { node: children.map(() => 0), valkey: 0, postgres: 0 }
  const valkeyPort = new URL(world.valkeyUrl).port
  const entries = procEntries()
  // Others may run a PostgreSQL as well: ours has the folder in its command line, and its backends are its children.
  const postmasters = new Set(
    entries.filter(({ command }) => command.includes(world.folder)).map(({ pid }) => String(pid))
  )
  for (const { command, parent, pid, seconds } of entries) {
    if (ours.includes(pid)) sums.node[ours.indexOf(pid)] = seconds
    else if (command.includes(`:${valkeyPort}`)) sums.valkey += seconds
    else if (postmasters.has(String(pid)) || postmasters.has(parent)) sums.postgres += seconds
  }
  return sums
}

const procEntries = () => {
  try {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .flatMap((name) => {
        try {
          const stat = readFileSync(`/proc/${name}/stat`, "utf8")
          const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
          const command = readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ")
          // User and system time of the process and of its children that have ended, in ticks of 10 ms.
          const seconds = (Number(fields[11]) + Number(fields[12])) / 100
          return [{ pid: Number(name), parent: fields[1]!, command, seconds }]
        } catch {
          return []
        }
      })
  } catch {
    return []
  }
}

/** The CPU seconds of a process that will have ended when they are asked for. */
const watchCpu = (child: ChildProcess) => {
  let seconds = 0
  const timer = setInterval(() => {
    const entry = procEntries().find(({ pid }) => pid === child.pid)
    if (entry !== undefined) seconds = entry.seconds
  }, 1000)
  child.on("exit", () => clearInterval(timer))
  return () => seconds
}

/** Measures every contender and prints a table. */
const run = async (only = ""): Promise<void> => {
  const results: Array<Measured> = []
  for (const contender of CONTENDERS.filter(({ name }) => name.includes(only))) {
    process.stderr.write(`${contender.name}: ${SECONDS * contender.share} s of load …\n`)
    results.push(await Effect.runPromise(measure(contender)))
  }
  const naive = results[0]!
  const table = results.map((result) => ({
    contender: result.name,
    rows: result.rows,
    "rows/s": Math.round(result.rowsPerSecond),
    "× naive": Number((result.rowsPerSecond / naive.rowsPerSecond).toFixed(1)),
    "posted rows/s": Math.round(result.postedPerSecond),
    "CPU µs/row: Node": result.cpu.node.map((micros) => micros.toFixed(1)).join(" + "),
    Valkey: Number(result.cpu.valkey.toFixed(1)),
    PostgreSQL: Number(result.cpu.postgres.toFixed(1)),
    load: Number(result.cpu.load.toFixed(1))
  }))
  console.table(table)
}

await run(process.argv[2])
