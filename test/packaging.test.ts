/**
 * What is shipped is what was promised: bundles that run on their own, units that are hardened, packages with the right
 * parts, Ansible's files as the declarations say, alerts that Prometheus accepts, each with a runbook.
 *
 * What needs a machine of its own (roles applied, packages installed, units started) is `npm run test:roles`.
 */
import { execFile, execFileSync, spawn } from "node:child_process"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { layer } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { parse } from "yaml"
import config from "../plugins.config.ts"
import { ansibleFiles, drifted } from "../scripts/ansible-vars.ts"
import { rankingFields } from "../src/plugins/TopQuery.ts"
import * as TestDatabase from "./TestDatabase.ts"

const root = join(import.meta.dirname, "..")
const node = join(root, "node_modules", "node", "bin", "node")
const run = promisify(execFile)
const read = (path: string) => readFileSync(join(root, path), "utf8")

const isThere = (program: string) => {
  try {
    execFileSync("sh", ["-c", `command -v ${program}`], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
}
const needs = (program: string) => (isThere(program) ? "" : ` (left out: ${program} is not installed)`)

describe("the bundles", () => {
  let folder: string
  /** Where no node_modules is above it: what the bundle lacks, it cannot find. */
  const agent = () => join(folder, "agent", "nodepulse-agent.mjs")
  const server = () => join(folder, "server", "lib", "nodepulse.mjs")
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "nodepulse-bundles-"))
    await run(node, ["scripts/build.ts", "--out", folder], { cwd: root })
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test("the agent is one file, with the exporters of plugins.config.ts inside", async () => {
    expect(readdirSync(join(folder, "agent"))).toEqual(["nodepulse-agent.mjs"])
    expect(statSync(agent()).size).toBeLessThan(2 * 1024 * 1024)
    const { stdout } = await run(node, [agent(), "plugins", "list"], { cwd: folder })
    for (const { name } of config.exporters) expect(stdout).toContain(`${name}:`)
  })

  test("the agent holds nothing of the server", () => {
    const text = readFileSync(agent(), "utf8")
    for (const word of ["src/sinks/", "@effect/sql-pg", "ioredis", "prom-client"]) {
      expect(text.includes(`#region ${word}`) || text.includes(`node_modules/${word}/`), word).toBe(false)
    }
  })

  test("the agent checks a configuration, and its doctor exits with 1 where the server is away", async () => {
    const file = join(folder, "nodepulse.yml")
    writeFileSync(join(folder, "token"), "npa_test\n", { mode: 0o600 })
    writeFileSync(file, `server: {url: "http://127.0.0.1:1", token_file: "${join(folder, "token")}", timeout: 1s}\n`)
    await run(node, [agent(), "agent", "--check", "--config", file], { cwd: folder })
    const failed = await run(node, [agent(), "doctor", "--config", file], { cwd: folder }).then(
      () => undefined,
      (error: { readonly code: number; readonly stdout: string; readonly stderr: string }) => error
    )
    expect(failed?.code).toBe(1)
    expect(failed?.stdout).toMatch(/^FAIL {2}server .*connection refused$/m)
    expect(failed?.stdout).toContain("-> does the server run")
    expect(failed?.stderr).toMatch(/1 of \d+ checks failed/)
  })

  test("the server brings its migrations, finds its page where it was built, and says what it lacks", async () => {
    expect(readdirSync(join(folder, "server", "migrations"))).toEqual(readdirSync(join(root, "migrations")))
    const environment = { PATH: process.env.PATH, NODEPULSE_DATA_DIR: join(folder, "data"), NODEPULSE_PORT: "0" }
    const failed = await run(node, [server(), "server"], { cwd: folder, env: environment }).then(
      () => "",
      (error: { readonly stderr: string }) => error.stderr
    )
    expect(failed).toContain("set DATABASE_URL")
  })

  layer(TestDatabase.layerWith({ migrated: false }))("on a database", (it) => {
    it.effect("the server migrates it, answers, pleases the doctor, and stops in peace", () =>
      Effect.gen(function* () {
        const { url } = yield* TestDatabase.TestDatabase
        const port = yield* Effect.promise(freePort)
        const env = {
          PATH: process.env.PATH,
          DATABASE_URL: Redacted.value(url),
          NODEPULSE_DATA_DIR: join(folder, "data"),
          NODEPULSE_PORT: String(port)
        }
        const program = spawn(node, [server(), "server"], { cwd: folder, env, stdio: "ignore" })
        const ended = new Promise<number | null>((resolve) => program.on("exit", resolve))
        yield* Effect.promise(async () => {
          while (
            !(await fetch(`http://127.0.0.1:${port}/readyz`).then(
              ({ ok }) => ok,
              () => false
            ))
          ) {
            if (program.exitCode !== null) throw new Error(`the server ended with ${program.exitCode}`)
            await new Promise((resolve) => setTimeout(resolve, 100))
          }
        })
        const page = yield* Effect.promise(() => fetch(`http://127.0.0.1:${port}/`).then((answer) => answer.text()))
        expect(page).toContain(
          existsSync(join(root, "web", "dist", "index.html")) ? "<script" : "its page was not built"
        )
        const { stdout } = yield* Effect.promise(() => run(node, [server(), "doctor"], { cwd: folder, env }))
        expect(stdout).toMatch(/^ok {4}database +PostgreSQL \d+/m)
        expect(stdout).toMatch(/^ok {4}migrations +all \d+ are applied$/m)
        expect(stdout).toMatch(/^ok {4}server +.* is ready$/m)
        program.kill("SIGTERM")
        expect(yield* Effect.promise(() => ended)).toBe(0)
      })
    )
  })
})

const freePort = () =>
  new Promise<number>((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address() as { readonly port: number }
      probe.close(() => resolve(port))
    })
  })

describe("the units", () => {
  test.each(["nodepulse-agent", "nodepulse-server"])(
    `%s.service is hardened${needs("systemd-analyze")}`,
    async (unit) => {
      if (!isThere("systemd-analyze")) return
      const file = join(root, "packaging", "systemd", `${unit}.service`)
      const { stderr, stdout } = await run("systemd-analyze", [
        "security",
        "--offline=true",
        "--no-pager",
        "--threshold=30",
        file
      ])
      expect(stderr).toBe("")
      expect(stdout).toMatch(/Overall exposure level .*: [0-2]\.\d/)
    }
  )

  test("let Node compile at run time, and systemd-notify be heard", () => {
    for (const unit of ["nodepulse-agent", "nodepulse-server"]) {
      const text = read(`packaging/systemd/${unit}.service`)
      for (const line of [
        "MemoryDenyWriteExecute=no",
        "NotifyAccess=all",
        "Restart=always",
        "CapabilityBoundingSet="
      ]) {
        expect(text.split("\n"), unit).toContain(line)
      }
    }
  })
})

describe("the containers' files", () => {
  const compose = parse(read("compose.yaml")) as {
    readonly services: Readonly<
      Record<string, { readonly ports?: ReadonlyArray<string>; readonly command?: ReadonlyArray<string> }>
    >
  }

  test("open one port, on the loopback address", () => {
    expect(Object.values(compose.services).flatMap(({ ports }) => ports ?? [])).toEqual(["127.0.0.1:8080:8080"])
  })

  test("run a Valkey that has written before it answers", () => {
    const command = compose.services.valkey!.command!.join(" ")
    expect(command).toContain("--appendonly yes --appendfsync always")
    expect(command).toContain("--maxmemory-policy noeviction")
  })

  test("do not run as root, and say when they are healthy", () => {
    const lines = read("Dockerfile").split("\n")
    expect(lines.filter((line) => line.startsWith("USER ")).at(-1)).toBe("USER nodepulse")
    expect(lines.some((line) => line.startsWith("HEALTHCHECK"))).toBe(true)
    expect(
      lines.filter((line) => line.startsWith("FROM ")).every((line) => /^FROM node:\d+-[a-z-]+( AS \w+)?$/.test(line))
    ).toBe(true)
  })
})

describe("Ansible", () => {
  test("knows ports, intervals and roles as plugins.config.ts declares them", () => {
    expect(drifted(ansibleFiles(config.exporters)), "npm run ansible:vars").toEqual([])
  })

  test("hides every task that handles a secret", () => {
    const files = readdirSync(join(root, "ansible", "roles"), { recursive: true, encoding: "utf8" })
    const open = files
      .filter((path) => /\/tasks\/.*\.yml$/.test(path))
      .flatMap((path) => tasksOf(parse(read(`ansible/roles/${path}`))).map((task) => ({ path, task })))
      .filter(({ task }) =>
        /_token \||password\.content|b64decode|agent_enrolment\.stdout|lookup\('ansible.builtin.password/.test(
          own(task)
        )
      )
      .filter(({ task }) => task.no_log !== true)
      .map(({ path, task }) => `${path}: ${task.name}`)
    expect(open).toEqual([])
  })

  test(`passes ansible-lint at the profile production, and every playbook's syntax is right${needs("ansible-lint")}`, async () => {
    if (!isThere("ansible-lint")) return
    const cwd = join(root, "ansible")
    const { stderr, stdout } = await run("ansible-lint", ["--offline", "--nocolor"], { cwd }).catch((error) => error)
    expect(stdout + stderr).toContain("Passed with production profile: 0 failure(s), 0 warning(s)")
  }, 180_000)
})

type Task = Readonly<Record<string, unknown>>

/** All tasks, those of blocks too. */
const tasksOf = (tasks: ReadonlyArray<Task>): ReadonlyArray<Task> =>
  tasks.flatMap((task) => [task, ...(Array.isArray(task.block) ? tasksOf(task.block) : [])])

/** What a task says, without what its block's tasks say, and without conditions: those are not printed. */
const own = ({ block: _, when: __, ...task }: Task) => JSON.stringify(task)

describe("the alerts", () => {
  const folder = join(root, "docs", "alerts")
  const files = readdirSync(folder).filter((name) => name.endsWith(".yml") && !name.endsWith(".test.yml"))
  const alerts = files.flatMap((name) =>
    (
      parse(read(`docs/alerts/${name}`)) as { readonly groups: ReadonlyArray<{ readonly rules: ReadonlyArray<Rule> }> }
    ).groups.flatMap(({ rules }) => rules)
  )

  test("each has a section in the runbook, and the runbook has no other", () => {
    const sections = [...read("docs/alerts/runbook.md").matchAll(/^## (.+)$/gm)].map((found) => found[1]!)
    expect(sections).toEqual(expect.arrayContaining(alerts.map(({ alert }) => alert)))
    expect(sections).toHaveLength(alerts.length)
    for (const { alert, annotations } of alerts) {
      expect(annotations.runbook).toBe(`docs/alerts/runbook.md#${alert.toLowerCase()}`)
    }
  })

  test("each is about metrics that the program has", () => {
    const sources = execFileSync("git", ["ls-files", "src", "agent"], { cwd: root, encoding: "utf8" }).split("\n")
    const text = sources
      .filter((path) => /(?<!\.test)\.ts$/.test(path))
      .map((path) => (existsSync(join(root, path)) ? read(path) : ""))
      .join("\n")
    const known = (metric: string) =>
      text.includes(`"${metric}"`) ||
      config.exporters.some(({ resource, table, top }) =>
        Object.entries(top?.rankings ?? {}).some(([key, { by, column }]) => {
          const { average, now } = rankingFields(key, by, table.columns[column]!)
          return [average, now, "stale"].some((field) => metric === `nodepulse_${resource}_${field}`)
        })
      )
    const unknown = alerts
      .flatMap(({ expr }) => [...expr.matchAll(/\bnodepulse_\w+/g)].map(([metric]) => metric))
      .filter((metric) => !known(metric))
    expect(unknown).toEqual([])
  })

  test(`are accepted by Prometheus, and fire when they should${needs("promtool")}`, async () => {
    if (!isThere("promtool")) return
    await run("promtool", ["check", "rules", ...files], { cwd: folder })
    await run("promtool", ["test", "rules", "alerts.test.yml"], { cwd: folder })
  })
})

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly annotations: Readonly<Record<string, string>>
}
