/**
 * A server of this checkout in a process of its own, and its agent in a booted root: as the package installs it (launcher, unit,
 * user), but put there by hand from a bundle that is made for the test, which takes seconds.
 *
 * The server has a database of its own in a temporary folder and listens on the loopback address, which the root shares.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import config from "../../plugins.config.ts"
import { claimPort } from "../Ports.ts"
import { type BootedRoot, execute } from "./BootedRoot.ts"

const project = join(import.meta.dirname, "..", "..")
const node = join(project, "node_modules", "node", "bin", "node")

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
export type Json = any

export interface RunningServer {
  readonly url: string
  readonly request: (method: string, path: string, body?: unknown) => Promise<{ readonly status: number; body: Json }>
  /** The answer of a GET; anything but 200 is an error with what was said. */
  readonly ask: (path: string) => Promise<Json>
  readonly stop: () => Promise<void>
}

export const startServer = async (environment: Readonly<Record<string, string>> = {}): Promise<RunningServer> => {
  const folder = mkdtempSync(join(tmpdir(), "nodepulse-what-hurts-"))
  // The database runs as another user where this is root.
  chmodSync(folder, 0o711)
  const token = randomBytes(24).toString("hex")
  const port = await claimPort()
  const url = `http://127.0.0.1:${port}`
  let said = ""
  const child = spawn(node, [join(project, "src", "main.ts"), "server"], {
    cwd: folder,
    env: {
      ...process.env,
      NODEPULSE_DATA_DIR: join(folder, "data"),
      NODEPULSE_PORT: String(port),
      NODEPULSE_ADMIN_TOKEN: token,
      ...environment
    },
    stdio: ["ignore", "pipe", "pipe"]
  })
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (said += chunk))
  const stop = async () => {
    await ended(child)
    rmSync(folder, { recursive: true, force: true })
  }
  const request: RunningServer["request"] = async (method, path, body) => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" })
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    const text = await response.text()
    const isJson = (response.headers.get("content-type") ?? "").includes("json")
    return { status: response.status, body: isJson ? JSON.parse(text) : text }
  }
  const ask = async (path: string) => {
    const { body, status } = await request("GET", path)
    if (status !== 200) throw new Error(`${path}: ${status} ${JSON.stringify(body)}`)
    return body
  }
  try {
    await until("the server is ready", async () => {
      if (child.exitCode !== null) throw new Ended(`the server ended with ${child.exitCode}: ${said.slice(-2_000)}`)
      return (await fetch(`${url}/readyz`)).ok
    })
  } catch (error) {
    await stop()
    throw error
  }
  return { url, request, ask, stop }
}

const ended = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve()
    child.once("exit", () => resolve())
    child.kill("SIGTERM")
  })

class Ended extends Error {}

/** Asks again and again; what the check throws means not yet. */
export const until = async (what: string, check: () => Promise<boolean>, seconds = 90): Promise<void> => {
  const deadline = Date.now() + seconds * 1_000
  let why = ""
  while (true) {
    try {
      if (await check()) return
    } catch (error) {
      if (error instanceof Ended) throw error
      why = `: ${error instanceof Error ? error.message : String(error)}`
    }
    if (Date.now() > deadline) throw new Error(`never: ${what}${why}`)
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
}

/** The agent's bundle in a folder of its own. */
export const buildAgent = async (): Promise<string> => {
  const folder = mkdtempSync(join(tmpdir(), "nodepulse-bundle-"))
  const built = await execute(node, [join(project, "scripts", "build.ts"), "--out", folder], { cwd: project })
  if (built.code !== 0) throw new Error(built.stderr)
  return folder
}

export interface AgentOptions {
  readonly serverUrl: string
  readonly token: string
  /** Lines for nodepulse.yml beside those about server, spool and exporters. */
  readonly more?: string
  /** What its user is in, beside its own. */
  readonly groups?: ReadonlyArray<string>
}

/** Puts the agent into the root, and starts its unit. Every exporter is the built-in collector, every two seconds. */
export const installAgent = async (root: BootedRoot, bundle: string, options: AgentOptions): Promise<void> => {
  const put = (path: string, content: string, mode = 0o644) => {
    mkdirSync(join(root.path(path), ".."), { recursive: true })
    writeFileSync(root.path(path), content, { mode })
  }
  const program = "/usr/lib/nodepulse-agent/nodepulse-agent.mjs"
  for (const [from, to] of [
    [node, "/usr/lib/nodepulse/node"],
    [join(bundle, "agent", "nodepulse-agent.mjs"), program]
  ] as const) {
    mkdirSync(join(root.path(to), ".."), { recursive: true })
    copyFileSync(from, root.path(to))
  }
  const words: Readonly<Record<string, string>> = {
    NAME: "nodepulse-agent",
    PROGRAM: program,
    ENVIRONMENT: "/etc/nodepulse/agent.env"
  }
  const launcher = readFileSync(join(project, "packaging", "debian", "launcher.sh"), "utf8")
  put(
    "/usr/bin/nodepulse-agent",
    launcher.replace(/@([A-Z]+)@/g, (_, word: string) => words[word]!),
    0o755
  )
  const unit = (name: string) => readFileSync(join(project, "packaging", "systemd", name), "utf8")
  put("/etc/systemd/system/nodepulse-agent.service", unit("nodepulse-agent.service"))
  const exporters = config.exporters
    .map(({ name, scrape }) => `  - {name: ${name}, ${builtIn(scrape.collector)}}\n`)
    .join("")
  put(
    "/etc/nodepulse/nodepulse.yml",
    `server: {url: "${options.serverUrl}", token_file: /etc/nodepulse/agent.token}
buffer: {path: /var/lib/nodepulse-agent/spool}
${options.more ?? ""}
exporters:
${exporters}`
  )
  put("/etc/nodepulse/agent.token", options.token, 0o640)
  await root.shell(
    `useradd --system --user-group --groups "${(options.groups ?? []).join(",")}" --home-dir /var/lib/nodepulse-agent --no-create-home --shell /usr/sbin/nologin nodepulse-agent &&
     chown -R root:nodepulse-agent /etc/nodepulse && systemctl daemon-reload && systemctl start nodepulse-agent`
  )
}

/** Gives the agent what the package brings and nobody gets unasked: a look into every process. */
export const letAgentSeeAll = async (root: BootedRoot): Promise<void> => {
  const folder = "/etc/systemd/system/nodepulse-agent.service.d"
  mkdirSync(root.path(folder), { recursive: true })
  copyFileSync(
    join(project, "packaging", "systemd", "nodepulse-agent-sees-all.conf"),
    root.path(`${folder}/sees-all.conf`)
  )
  await root.shell("systemctl daemon-reload && systemctl restart nodepulse-agent")
}

const builtIn = (collector: string | undefined) =>
  collector === undefined ? "enabled: false" : "interval: 2s, timeout: 1s, collector: always"
