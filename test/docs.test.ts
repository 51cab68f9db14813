/**
 * The documentation is executed, not believed: every block ```sh of README.md and docs/*.md is run, in the order of its file, by
 * one shell, in a scratch copy of the checkout. A command that fails fails the test with its output.
 *
 * - ```sh no-test (reason) is not run; without a reason that is an error.
 * - In the copy, `nodepulse` is the checkout's own command, 127.0.0.1:8080 stands for a free port, NODEPULSE_DATA_DIR for
 *   a folder of its own, and the example exporter of the recipe has a name that no real one has. What a file starts in the background lives until its last block.
 */
import { spawn } from "node:child_process"
import { closeSync, existsSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { dirname, join } from "node:path"
import { Effect, Semaphore } from "effect"
import { describe, expect, inject, test } from "vitest"
import type {} from "./globalSetup.ts"
import { onPath } from "./OnPath.ts"
import { claimPort } from "./Ports.ts"
import { scratch } from "./Scratch.ts"

const root = join(import.meta.dirname, "..")

interface Block {
  readonly line: number
  readonly info: string
  readonly code: string
}

const blocksOf = (text: string): ReadonlyArray<Block> =>
  [...text.matchAll(/^```(sh\b[^\n]*)\n([\s\S]*?)^```$/gm)].map((found) => ({
    line: text.slice(0, found.index).split("\n").length,
    info: found[1]!.trim(),
    code: found[2]!
  }))

const documents = ["README.md", ...readdirSync(join(root, "docs")).map((name) => `docs/${name}`)].filter(
  (path) => path.endsWith(".md") && existsSync(join(root, path))
)

const RECIPE = "docs/add-an-exporter.md"
/** What the recipe calls its exporter; this checkout may have a real one of that name. */
const RECIPE_EXAMPLE = "redis"

/** Programs that a block may need and that not every machine has; `.ci/run` installs them. */
const OPTIONAL = ["promtool", "ansible-playbook", "curl"]
const isThere = (program: string) => onPath(program) !== undefined

interface Run {
  readonly code: number | null
  readonly output: string
}

/** Variables of the environment, where it has them. */
const given = (...names: ReadonlyArray<string>) =>
  Object.fromEntries(names.map((name) => [name, process.env[name]]).filter(([, value]) => value !== undefined))

const run = (script: string, cwd: string, port: number): Promise<Run> =>
  new Promise((resolve) => {
    // Into a file: Ansible refuses to write into a pipe of Node's.
    const log = join(cwd, ".bin", "output")
    const file = openSync(log, "w")
    const child = spawn("bash", ["-euo", "pipefail", "-c", script], {
      cwd,
      // A group of its own, so that what it left in the background ends with it.
      detached: true,
      stdio: ["ignore", file, file],
      env: {
        PATH: `${join(cwd, ".bin")}:${join(root, "node_modules", "node", "bin")}:${join(root, "node_modules", ".bin")}:${process.env.PATH}`,
        HOME: process.env.HOME,
        LANG: "C.UTF-8",
        NODEPULSE_PORT: String(port),
        NODEPULSE_DATA_DIR: join(cwd, ".data"),
        // A suite that a document runs needs no PostgreSQL of its own.
        NODEPULSE_TEST_DATABASE_URL: inject("postgresUrl"),
        // What Node compiled is kept where `.ci/run` says so.
        ...given("ANSIBLE_HOME", "NODE_COMPILE_CACHE")
      }
    })
    closeSync(file)
    const timer = setTimeout(() => killGroup(child.pid!, "SIGKILL"), 240_000)
    child.on("exit", (code) => {
      clearTimeout(timer)
      killGroup(child.pid!, "SIGTERM")
      // A moment for an embedded PostgreSQL to stop in peace.
      void groupEnd(child.pid!).then(() => resolve({ code, output: readFileSync(log, "utf8") }))
    })
  })

const killGroup = (pid: number, signal: NodeJS.Signals | 0): boolean => {
  try {
    process.kill(-pid, signal)
    return true
  } catch {
    return false
  }
}

const groupEnd = async (pid: number): Promise<void> => {
  for (let waited = 0; waited < 15_000; waited += 100) {
    if (!killGroup(pid, 0)) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  killGroup(pid, "SIGKILL")
}

/** Documents wait for most of their time, for programs that start and for what those show: two run at once. */
const lanes = Semaphore.makeUnsafe(2)

describe.concurrent.each(documents)("%s", (path) => {
  const blocks = blocksOf(readFileSync(join(root, path), "utf8"))
  const tested = blocks.filter(({ info }) => info === "sh")
  const missing = OPTIONAL.filter((program) => tested.some(({ code }) => code.includes(program)) && !isThere(program))

  test("says why where a command is not run", () => {
    const wrong = blocks.filter(({ info }) => info !== "sh" && !/^sh no-test \(\S[^)]+\)$/.test(info))
    expect(wrong.map(({ info, line }) => `${path}:${line}: ${info}`)).toEqual([])
  })

  test.skipIf(tested.length === 0 || missing.length > 0)(
    `runs as it is written${missing.length > 0 ? ` (left out: ${missing.join(", ")} not installed)` : ""}`,
    () => lanes.withPermit(Effect.promise(asWritten)).pipe(Effect.runPromise),
    // The wait for a lane is in it.
    600_000
  )

  const asWritten = async () => {
    const folder = scratch()
    const port = await claimPort()
    try {
      const script = tested.map(({ code, line }) => `: "${path}:${line}"\n${code}`).join("\n")
      const text = path === RECIPE ? script.replaceAll(RECIPE_EXAMPLE, "documented") : script
      const { code, output } = await run(
        `set -x\n${text}`.replaceAll("127.0.0.1:8080", `127.0.0.1:${port}`),
        folder,
        port
      )
      if (code !== 0) throw new Error(`${path}: exit ${code}; the last of what it said:\n${output.slice(-6_000)}`)
    } finally {
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
    }
  }
})

test("every file that a document links to is there", () => {
  const broken = documents.flatMap((path) =>
    [...readFileSync(join(root, path), "utf8").matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)(?:#[^)]*)?\)/g)]
      .map((found) => found[1]!)
      .filter((target) => !existsSync(join(root, dirname(path), target)))
      .map((target) => `${path}: ${target}`)
  )
  expect(broken).toEqual([])
})
