/**
 * What is shipped is what was promised: bundles that run on their own, units that are hardened, packages with the right
 * parts, Ansible's files as the declarations say, alerts that Prometheus accepts, each with a runbook.
 *
 * What needs a machine of its own (roles applied, packages installed, units started) is `npm run test:roles`.
 */
import { execFile, execFileSync, spawn, spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { layer } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { parse } from "yaml"
import config from "../plugins.config.ts"
import { ensurePage } from "../scripts/build-web.ts"
import { rankingFields } from "../src/plugins/TopQuery.ts"
import { onPath } from "./OnPath.ts"
import { freePort } from "./Ports.ts"
import * as TestDatabase from "./TestDatabase.ts"

const root = join(import.meta.dirname, "..")
const node = join(root, "node_modules", "node", "bin", "node")
const run = promisify(execFile)
const read = (path: string) => readFileSync(join(root, path), "utf8")

const isThere = (program: string) => onPath(program) !== undefined
const needs = (program: string) => (isThere(program) ? "" : ` (left out: ${program} is not installed)`)

describe("the bundles", () => {
  let folder: string
  /** Where no node_modules is above it: what the bundle lacks, it cannot find. */
  const agent = () => join(folder, "agent", "nodepulse-agent.mjs")
  const server = () => join(folder, "server", "lib", "nodepulse.mjs")
  const hands = () => join(folder, "hands", "nodepulse-hands.mjs")
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "nodepulse-bundles-"))
    // Another test file that wants the page could be building it while it is copied.
    ensurePage()
    await run(node, ["scripts/build.ts", "--out", folder], { cwd: root })
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  /** Whether the bundle has a module of that path: it says so before each. */
  const holds = (text: string, path: string) =>
    new RegExp(`^//\\s*(#region )?${path.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}`, "m").test(text)

  test("the agent is one file, with the exporters of plugins.config.ts inside", async () => {
    expect(readdirSync(join(folder, "agent"))).toEqual(["nodepulse-agent.mjs"])
    expect(statSync(agent()).size).toBeLessThan(2 * 1024 * 1024)
    const { stdout } = await run(node, [agent(), "plugins", "list"], { cwd: folder })
    for (const { name } of config.exporters) expect(stdout).toContain(`${name}:`)
  })

  test("the program that acts is one file beside the agent, and each has nothing of the other's work", async () => {
    expect(readdirSync(join(folder, "hands"))).toEqual(["nodepulse-hands.mjs"])
    const { stdout } = await run(node, [hands(), "hands", "--help"], { cwd: folder })
    expect(stdout).toContain("--check")
    expect(holds(readFileSync(agent(), "utf8"), "agent/hands/")).toBe(false)
    const text = readFileSync(hands(), "utf8")
    expect(holds(text, "agent/hands/")).toBe(true)
    for (const part of ["agent/push/Push.ts", "agent/spool/", "src/sinks/"]) expect(holds(text, part), part).toBe(false)
  })

  test("the agent holds nothing of the server", () => {
    const text = readFileSync(agent(), "utf8")
    for (const word of ["src/sinks/", "@effect/sql-pg", "ioredis", "prom-client"]) {
      expect(holds(text, word) || text.includes(`node_modules/${word}/`), word).toBe(false)
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
    // However many exporters there are that do not run here: the server is what fails.
    expect(failed?.stdout.match(/^FAIL/gm)).toHaveLength(1)
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
        const port = yield* freePort
        const env = {
          PATH: process.env.PATH,
          DATABASE_URL: Redacted.value(url),
          NODEPULSE_DATA_DIR: join(folder, "data"),
          NODEPULSE_PORT: String(port)
        }
        const program = spawn(node, [server(), "server"], { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] })
        let said = ""
        for (const output of [program.stdout, program.stderr]) output.on("data", (chunk) => (said += chunk))
        // Once it has ended and all that it said was read.
        const ended = new Promise<number | null>((resolve) => program.on("close", resolve))
        yield* Effect.promise(async () => {
          while (
            !(await fetch(`http://127.0.0.1:${port}/readyz`).then(
              ({ ok }) => ok,
              () => false
            ))
          ) {
            if (program.exitCode !== null) throw new Error(`the server ended with ${await ended}: ${said}`)
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
        expect(yield* Effect.promise(() => ended), said).toBe(0)
      })
    )
  })
})

describe("the launcher", () => {
  const started = (versions: Readonly<Record<string, string>>) => {
    const folder = mkdtempSync(join(tmpdir(), "nodepulse-launcher-"))
    try {
      for (const [name, version] of Object.entries(versions)) {
        const text = `#!/bin/sh\nif [ "$1" = --version ]; then echo ${version}; else echo ran ${name} "$@"; fi\n`
        writeFileSync(join(folder, name), text, { mode: 0o755 })
      }
      const text = read("packaging/debian/launcher.sh")
        .replace("/usr/lib/nodepulse/node /usr/bin/node;", `${join(folder, "brought")} ${join(folder, "own")};`)
        .replaceAll("@PROGRAM@", "program.mjs")
      writeFileSync(join(folder, "launcher"), text, { mode: 0o755 })
      const { status, stderr, stdout } = spawnSync(join(folder, "launcher"), ["doctor"], { encoding: "utf8" })
      return { status, said: (stdout + stderr).trim() }
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }

  test("takes the runtime that its package brought, else the machine's own where that is new enough", () => {
    expect(started({ brought: "v24.21.0", own: "v18.19.0" }).said).toBe("ran brought program.mjs doctor")
    for (const version of ["v22.19.0", "v23.0.0", "v100.1.2"]) {
      expect(started({ own: version })).toEqual({ status: 0, said: "ran own program.mjs doctor" })
    }
  })

  test("names a Node that is too old, or none, and the package that mends it", () => {
    for (const version of ["v18.19.0", "v22.18.9", "v9.0.0", "what"]) {
      const { said, status } = started({ own: version })
      expect(status).toBe(127)
      expect(said).toContain(`is ${version}, but Node.js 22.19 or newer is needed: apt-get install nodepulse-runtime`)
    }
    expect(started({}).said).toContain("apt-get install nodepulse-runtime")
  })
})

describe("the units", () => {
  test.each(["nodepulse-agent", "nodepulse-hands", "nodepulse-server"])(
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
    for (const unit of ["nodepulse-agent", "nodepulse-hands", "nodepulse-server"]) {
      const lines = read(`packaging/systemd/${unit}.service`).split("\n")
      expect(lines, unit).toEqual(
        expect.arrayContaining(["MemoryDenyWriteExecute=no", "NotifyAccess=all", "Restart=always"])
      )
    }
  })

  test("give the server no right, the agent the kernel's log, hands signals and priorities, and more only by a drop-in that has no other line", () => {
    const rights = (file: string) =>
      read(`packaging/systemd/${file}`)
        .split("\n")
        .filter((line) => /^(CapabilityBoundingSet|AmbientCapabilities|SupplementaryGroups)=/.test(line))
    expect(rights("nodepulse-server.service")).toEqual(["CapabilityBoundingSet=", "AmbientCapabilities="])
    expect(rights("nodepulse-agent.service")).toEqual([
      "CapabilityBoundingSet=CAP_SYSLOG",
      "AmbientCapabilities=CAP_SYSLOG"
    ])
    expect(rights("nodepulse-hands.service")).toEqual([
      "SupplementaryGroups=nodepulse-agent",
      "CapabilityBoundingSet=CAP_KILL CAP_SYS_NICE",
      "AmbientCapabilities=CAP_KILL CAP_SYS_NICE"
    ])
    expect(rights("nodepulse-hands-revert@.service")).toEqual(["CapabilityBoundingSet=", "AmbientCapabilities="])
    const more = rights("nodepulse-agent-sees-all.conf")
    expect(more).toEqual(
      ["CapabilityBoundingSet", "AmbientCapabilities"].map((key) => `${key}=CAP_SYS_PTRACE CAP_DAC_READ_SEARCH`)
    )
    const settings = read("packaging/systemd/nodepulse-agent-sees-all.conf")
      .split("\n")
      .filter((line) => /^[^#[]/.test(line))
    expect(settings).toEqual(more)
  })
})

interface Compose {
  readonly services: Readonly<
    Record<
      string,
      {
        readonly ports?: ReadonlyArray<string>
        readonly command?: ReadonlyArray<string>
        readonly environment?: Readonly<Record<string, string>>
        readonly networks?: { readonly default: { readonly ipv4_address: string } }
      }
    >
  >
}

describe.each(["compose.yaml", "compose.scale.yaml"])("the containers' file %s", (file) => {
  const text = read(file)
  const compose = parse(text, { merge: true, maxAliasCount: 1_000 }) as Compose

  test("opens one port, on the loopback address", () => {
    expect(Object.values(compose.services).flatMap(({ ports }) => ports ?? [])).toEqual(["127.0.0.1:8080:8080"])
  })

  test("runs a Valkey that has written before it answers", () => {
    const command = compose.services.valkey!.command!.join(" ")
    expect(command).toContain("--appendonly yes --appendfsync always")
    expect(command).toContain("--maxmemory-policy noeviction")
  })

  test("asks for a password everywhere, and gives the server no superuser", () => {
    expect(compose.services.valkey!.command!.join(" ")).toContain("--requirepass ${VALKEY_PASSWORD:?")
    expect(text).toContain("DATABASE_URL: postgres://nodepulse:")
    expect(text).toContain("DATABASE_OWNER_URL: postgres://nodepulse_owner:")
    expect(text).toContain("POSTGRES_USER: postgres")
    expect(read("packaging/compose/roles.sh")).not.toMatch(/superuser|createrole/i)
  })

  test("lets nobody gain a right, write where no data of theirs is, or take memory without a bound", () => {
    for (const [name, service] of Object.entries(compose.services)) {
      expect(service, name).toMatchObject({
        read_only: true,
        cap_drop: ["ALL"],
        security_opt: ["no-new-privileges:true"],
        pids_limit: expect.any(Number),
        mem_limit: expect.stringMatching(/^\d+g$/)
      })
      // The server's image has a user of its own.
      if (!/^(server|(ingest|digest|api)-\d)$/.test(name)) expect(service, name).toHaveProperty("user")
    }
  })
})

describe("the containers of a server in parts", () => {
  const { services } = parse(read("compose.scale.yaml"), { merge: true, maxAliasCount: 1_000 }) as Compose
  const whole = (parse(read("compose.yaml"), { merge: true }) as Compose).services

  test("are two of each role, that only who stores owns the schema, and that all trust the balancer only", () => {
    for (const role of ["ingest", "digest", "api"]) {
      for (const name of [`${role}-1`, `${role}-2`]) {
        expect(services[name], name).toMatchObject({ command: ["nodepulse", "server", "--role", role] })
        const { environment = {} } = services[name]!
        expect(environment.DATABASE_OWNER_URL !== undefined, name).toBe(role === "digest")
        expect(environment.NODEPULSE_TRUSTED_PROXIES).toBe(services.balancer!.networks!.default.ipv4_address)
      }
    }
  })

  test("have the database and the stream of a server in one", () => {
    const { command, ...postgresql } = services.postgresql!
    expect(postgresql).toEqual(whole.postgresql)
    expect(command).toEqual(["postgres", "-c", "max_connections=150"])
    expect(services.valkey).toEqual(whole.valkey)
  })

  test("are those that the balancer knows", () => {
    const named = [...read("packaging/proxy/nginx-roles.conf").matchAll(/server (\S+):8080 /g)].map(([, name]) => name)
    expect(named).toEqual(["ingest-1", "ingest-2", "api-1", "api-2"])
  })
})

describe("the containers' image", () => {
  test("are built without secrets: what may hold one is left out of the context", () => {
    const ignored = read(".dockerignore").split("\n")
    expect(ignored).toEqual(
      expect.arrayContaining(["**/.env", "**/*.env", "**/*.pem", "**/*.key", "**/*.token", ".nodepulse"])
    )
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
  test("gives Valkey more memory than the stream may take, as the containers do", () => {
    const bytes = (text: string) => Number(/^(\d+)mb$/.exec(text)?.[1]) * 1024 ** 2
    const role = parse(read("ansible/roles/nodepulse-server/defaults/main/main.yml")) as Record<string, string>
    const compose = /--maxmemory\n\s+- (\w+)/.exec(read("compose.yaml"))?.[1] ?? ""
    expect(bytes(role.nodepulse_server_valkey_maxmemory!)).toBeGreaterThan(STREAM_BYTES_MAX)
    expect(bytes(compose)).toBeGreaterThan(STREAM_BYTES_MAX)
    expect(read("ansible/roles/nodepulse-server/tasks/supported.yml")).toContain(`default(${STREAM_BYTES_MAX})`)
  })

  test(`refuses a system whose packages are too old before it changes anything, with a sentence${needs("ansible-playbook")}`, async () => {
    if (!isThere("ansible-playbook")) return
    const folder = mkdtempSync(join(tmpdir(), "nodepulse-supported-"))
    const tasks = join(root, "ansible/roles/nodepulse-server/tasks/supported.yml")
    const play = (postgresql: string, redis: string) => ({
      hosts: "localhost",
      connection: "local",
      gather_facts: false,
      vars_files: ["defaults", "vars"].map((part) =>
        join(root, "ansible/roles/nodepulse-server", part, part === "vars" ? "main.yml" : "main/main.yml")
      ),
      vars: {
        ansible_architecture: "x86_64",
        ansible_distribution: "Ubuntu",
        ansible_distribution_version: "22.04",
        nodepulse_server_candidates: {
          stdout: [`postgresql:`, "  Installed: (none)", `  Candidate: ${postgresql}`, "  Version table:"]
            .concat("redis-server:", "  Installed: (none)", `  Candidate: ${redis}`, "  Version table:")
            .join("\n")
        }
      },
      // Without the two that ask this machine.
      tasks: (parse(readFileSync(tasks, "utf8")) as ReadonlyArray<Task>).slice(2)
    })
    const said = async (postgresql: string, redis: string) => {
      writeFileSync(join(folder, "play.json"), JSON.stringify([play(postgresql, redis)]))
      return run("ansible-playbook", [join(folder, "play.json")], { cwd: folder }).then(
        ({ stdout }) => stdout,
        ({ stdout }) => stdout as string
      )
    }
    try {
      expect(await said("14+238", "5:7.0.15-1")).toMatch(/Ubuntu 22\.04 has PostgreSQL 14, and NodePulse needs 15/)
      expect(await said("15+248", "5:6.0.16-1ubuntu1")).toMatch(
        /Ubuntu 22\.04 has Redis 6, and NodePulse needs Redis 7/
      )
      expect(await said("15+248", "5:7.0.15-1")).toContain("failed=0")
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }, 120_000)

  test(`gives each machine of several what its role needs, and no more${needs("ansible-playbook")}`, async () => {
    if (!isThere("ansible-playbook")) return
    const folder = mkdtempSync(join(tmpdir(), "nodepulse-apart-"))
    const file = (part: string) => join(root, "ansible/roles/nodepulse-server", part)
    const tasks = parse(readFileSync(file("tasks/main.yml"), "utf8")) as ReadonlyArray<Task>
    const render = (template: string) => ({
      "ansible.builtin.template": {
        src: file(`templates/${template}.j2`),
        dest: `${folder}/{{ inventory_hostname }}-${template}`,
        mode: "0600"
      }
    })
    const play = {
      hosts: "nodepulse_server",
      connection: "local",
      gather_facts: false,
      vars_files: [file("defaults/main/main.yml"), file("vars/main.yml")],
      tasks: [
        {
          "ansible.builtin.set_fact": {
            ansible_architecture: "x86_64",
            nodepulse_server_role: "{{ inventory_hostname | split('-') | first }}",
            nodepulse_server_database_url: "postgres://run@db/nodepulse",
            nodepulse_server_database_owner_url: "postgres://own@db/nodepulse",
            nodepulse_server_database_read_url: "postgres://read@db-2/nodepulse",
            nodepulse_server_streams: 4,
            nodepulse_server_stream_replicas: "{{ '2' if inventory_hostname == 'digest-1.example.org' else '' }}",
            nodepulse_server_valkey_url: "{{ '' if inventory_hostname == 'api-2.example.org' else 'redis://stream' }}"
          }
        },
        tasks[0],
        render("server.env"),
        render("role.conf")
      ]
    }
    try {
      writeFileSync(join(folder, "play.json"), JSON.stringify([play]))
      const inventory = join(root, "ansible/inventory/scale.yml")
      const said = await run("ansible-playbook", ["-i", inventory, join(folder, "play.json")], { cwd: folder }).then(
        ({ stdout }) => stdout,
        ({ stdout }) => stdout as string
      )
      expect(said).toMatch(/nodepulse_server_role is api: name the PostgreSQL and the Valkey that all roles share/)
      const of = (host: string, part: string) => readFileSync(join(folder, `${host}.example.org-${part}`), "utf8")
      const names = (host: string) =>
        [...of(host, "server.env").matchAll(/^(DATABASE\w+|VALKEY\w+|NODEPULSE_STREAM\w+)=/gm)].map(([, name]) => name)
      expect(names("digest-1")).toEqual([
        "DATABASE_URL",
        "DATABASE_OWNER_URL",
        "VALKEY_URL",
        "NODEPULSE_STREAMS",
        "NODEPULSE_STREAM_REPLICAS"
      ])
      expect(names("ingest-1")).toEqual(["DATABASE_URL", "VALKEY_URL", "NODEPULSE_STREAMS"])
      expect(names("api-1")).toEqual(["DATABASE_URL", "DATABASE_READ_URL", "VALKEY_URL", "NODEPULSE_STREAMS"])
      expect(of("ingest-2", "server.env")).toMatch(/^NODEPULSE_STREAMS='4'$/m)
      expect(of("digest-2", "role.conf")).toMatch(/^ExecStart=\nExecStart=\/usr\/bin\/nodepulse server --role digest$/m)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }, 120_000)

  test(`asks for one enrolment token for all machines that are new, and for one of its own where a server is taken up again${needs("ansible-playbook")}`, async () => {
    if (!isThere("ansible-playbook")) return
    const folder = mkdtempSync(join(tmpdir(), "nodepulse-enrol-"))
    const file = (part: string) => join(root, "ansible/roles/nodepulse-agent", part)
    const play = {
      hosts: "all",
      connection: "local",
      gather_facts: false,
      vars_files: [file("defaults/main/main.yml"), file("vars/main.yml")],
      vars: { ansible_architecture: "x86_64" },
      tasks: [
        // Facts, as the role makes them: they come before the files.
        {
          "ansible.builtin.set_fact": {
            nodepulse_agent_is_new: "{{ inventory_hostname is match('new') }}",
            nodepulse_agent_renew_token: "{{ inventory_hostname == 'again' }}",
            nodepulse_agent_server_id: "web 7",
            nodepulse_agent_enrolment_networks: ["10.0.0.0/8", "fd00::/8"]
          }
        },
        { "ansible.builtin.debug": { msg: "{{ inventory_hostname }}: {{ nodepulse_agent_mint_command | to_json }}" } }
      ]
    }
    try {
      writeFileSync(join(folder, "play.json"), JSON.stringify([play]))
      const inventory = "old,new1,new2,again"
      const { stdout } = await run("ansible-playbook", ["-i", inventory, join(folder, "play.json")], { cwd: folder })
      const asked = (host: string) =>
        JSON.parse(
          new RegExp(`"msg": "${host}: (.*)"`).exec(stdout)?.[1]?.replaceAll('\\"', '"') ?? "[]"
        ) as Array<string>
      const networks = ["--network", "10.0.0.0/8", "--network", "fd00::/8"]
      const made = ["/usr/bin/nodepulse", "token", "create", "--kind", "enrolment", "--note", "ansible"]
      expect(asked("new1")).toEqual([...made, "--expires", "1 hour", "--uses", "2", ...networks])
      expect(asked("again")).toEqual([...made, "--expires", "1 hour", "--server", "web 7", ...networks])
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }, 120_000)

  test("hides every task that handles a secret", () => {
    const files = readdirSync(join(root, "ansible", "roles"), { recursive: true, encoding: "utf8" })
    const open = files
      .filter((path) => /\/tasks\/.*\.yml$/.test(path))
      .flatMap((path) => tasksOf(parse(read(`ansible/roles/${path}`))).map((task) => ({ path, task })))
      .filter(({ task }) =>
        /_token( \||\b.* else )|password\.content|b64decode|_(mint|enrol)_command|lookup\('ansible.builtin.password|src: (server\.env|nodepulse\.yml)\.j2/.test(
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

/** The stream's bound unless NODEPULSE_STREAM_BYTES_MAX says otherwise. */
const STREAM_BYTES_MAX = 512 * 1024 ** 2

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
