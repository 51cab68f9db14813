/**
 * From a bare server to a monitored one and back, for real: Ansible's roles applied to a Debian root that was booted with
 * systemd as PID 1, then the packages by hand. In the order of the file; what fails first ends it.
 */
import { createHash, generateKeyPairSync, randomBytes, randomUUID } from "node:crypto"
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { createServer, type Server } from "node:http"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gunzipSync } from "node:zlib"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import config from "../../plugins.config.ts"
import { approve, rawPublicKeyOf } from "../../src/protocol/Approvals.ts"
import type { Order } from "../../src/protocol/Orders.ts"
import { BootedRoot, execute, whyNot } from "./BootedRoot.ts"
import { PlayedServer } from "./PlayedServer.ts"

const project = join(import.meta.dirname, "..", "..")
const ansible = join(project, "ansible")
const node = join(project, "node_modules", "node", "bin", "node")

const SERVER_PORT = 18_195
const NODE_EXPORTER = "127.0.0.1:19100"
const PROCESS_EXPORTER = "127.0.0.1:19256"
const PROCESS_EXPORTER_RELEASE = "127.0.0.1:19258"
const AGENT_METRICS = "127.0.0.1:19257"

const reason = whyNot() ?? (await portsTaken())
if (reason !== undefined) {
  process.stdout.write(`left out: roles and packages in a booted root, because ${reason}\n`)
}

/** The root shares the machine's loopback: what the database and Valkey listen on must be free. */
async function portsTaken(): Promise<string | undefined> {
  for (const port of [5432, 6379, SERVER_PORT]) {
    const taken = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => {
        socket.destroy()
        resolve(true)
      }).on("error", () => resolve(false))
    })
    if (taken) return `port ${port} of this machine is in use`
  }
  return undefined
}

/** Any token that NodePulse makes. */
const TOKEN = /np_[a-z]+_[\w-]{20}/

/** The processes that were started by one of these, or by one that they started; and these. */
const descendants = (ancestors: ReadonlyArray<number>): ReadonlySet<number> => {
  const known = new Set(ancestors)
  const parents = new Map<number, number>()
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
      parents.set(Number(pid), Number(stat.slice(stat.lastIndexOf(")") + 1).split(" ")[2]))
    } catch {
      // It has ended meanwhile.
    }
  }
  let before = 0
  while (known.size > before) {
    before = known.size
    for (const [pid, parent] of parents) if (known.has(parent)) known.add(pid)
  }
  return known
}

/**
 * Looks at the command line of Ansible's processes and of all in the root, again and again, for a token. What else runs on this
 * machine may be other tests, with tokens of theirs.
 */
const watchCommandLines = (root: number) => {
  const found: Array<string> = []
  let looks = 0
  const timer = setInterval(() => {
    looks++
    for (const pid of descendants([process.pid, root])) {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, "utf8")
        if (TOKEN.test(line)) found.push(line)
      } catch {
        // It has ended meanwhile.
      }
    }
  }, 100)
  return { stop: () => clearInterval(timer), found: () => found, looks: () => looks }
}

describe.skipIf(reason !== undefined)("in a Debian root booted with systemd", () => {
  let root: BootedRoot
  let debs: string
  let inventory: string
  /** Everything that Ansible printed, to look for secrets in. */
  let printed = ""

  const playbook = async (name: string, ...more: ReadonlyArray<string>) => {
    const output = await execute("ansible-playbook", ["-v", "-i", inventory, ...more, name], {
      cwd: ansible,
      env: { ...process.env, ANSIBLE_NOCOLOR: "1", ANSIBLE_PIPELINING: "True", ANSIBLE_GATHERING: "smart" }
    })
    printed += output.stdout + output.stderr
    return { ...output, recap: /^pulse +: (.*)$/m.exec(output.stdout)?.[1] ?? "" }
  }
  const applied = async (name: string, ...more: ReadonlyArray<string>) => {
    const output = await playbook(name, ...more)
    if (output.code !== 0) throw new Error(output.stdout.slice(-6_000) + output.stderr)
    return output
  }
  const ask = async (path: string) => {
    const token = readFileSync(root.path("/var/lib/nodepulse/admin-token"), "utf8").trim()
    const answer = await fetch(`http://127.0.0.1:${SERVER_PORT}${path}`, {
      headers: { authorization: `Bearer ${token}` }
    })
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
    return (await answer.json()) as Record<string, Array<Record<string, unknown>>>
  }

  beforeAll(async () => {
    debs = mkdtempSync(join(tmpdir(), "nodepulse-debs-"))
    for (const args of [
      ["scripts/build.ts"],
      ["scripts/build-deb.ts", "--fast", "--out", debs],
      ...["nodepulse-agent", "nodepulse-hands"].map((only) => [
        "scripts/build-deb.ts",
        "--fast",
        "--out",
        join(debs, "old"),
        "--only",
        only,
        "--version",
        "0.0.9"
      ])
    ]) {
      const built = await execute(node, args, { cwd: project })
      if (built.code !== 0) throw new Error(built.stderr)
    }
    root = await BootedRoot.boot("pulse")
    inventory = join(debs, "inventory.json")
    const host = {
      nodepulse_server_port: SERVER_PORT,
      nodepulse_agent_server_url: `http://127.0.0.1:${SERVER_PORT}`,
      nodepulse_agent_metrics_listen: AGENT_METRICS,
      node_exporter_listen_address: NODE_EXPORTER,
      process_exporter_listen_address: PROCESS_EXPORTER
    }
    writeFileSync(
      inventory,
      JSON.stringify({
        all: {
          vars: {
            ansible_connection: "community.docker.nsenter",
            ansible_nsenter_pid: root.pid,
            ansible_python_interpreter: "/usr/bin/python3",
            ansible_become: false,
            nodepulse_server_packages_dir: debs,
            nodepulse_agent_packages_dir: debs
          },
          children: { nodepulse_server: { hosts: { pulse: host } }, nodepulse_nodes: { hosts: { pulse: {} } } }
        }
      })
    )
  })

  afterAll(async () => {
    await root?.stop()
    rmSync(debs, { recursive: true, force: true })
  })

  describe("the roles", () => {
    test("bring exporters, agent and server to a bare machine, started by their units", async () => {
      await applied("molecule/default/converge.yml")
      const units = ["prometheus-node-exporter", "prometheus-process-exporter", "nodepulse-agent", "nodepulse-server"]
      const states = await root.shell(`systemctl is-active ${units.join(" ")}; systemctl is-enabled ${units.join(" ")}`)
      expect(states.trim().split("\n")).toEqual([...units.map(() => "active"), ...units.map(() => "enabled")])
      expect((await root.shell("systemctl --failed --no-legend --plain")).trim()).toBe("")
    })

    test("let nothing listen beyond the loopback address", async () => {
      const listening =
        readFileSync(`/proc/${root.pid}/net/tcp`, "utf8") + readFileSync(`/proc/${root.pid}/net/tcp6`, "utf8")
      const ours = [NODE_EXPORTER, PROCESS_EXPORTER, AGENT_METRICS, `:${SERVER_PORT}`].map((address) =>
        Number(address.split(":")[1])
      )
      const addresses = listening
        .split("\n")
        .map((line) => line.trim().split(/\s+/))
        .filter((fields) => fields[3] === "0A" && ours.includes(Number.parseInt(fields[1]?.split(":")[1] ?? "", 16)))
        .map((fields) => fields[1]!.split(":")[0])
      expect(addresses).toHaveLength(ours.length)
      expect(new Set(addresses)).toEqual(new Set(["0100007F"]))
    })

    test("give process-exporter the arguments that its version knows", async () => {
      const command = await root.shell(
        "tr '\\0' ' ' < /proc/$(systemctl show -P MainPID prometheus-process-exporter)/cmdline"
      )
      expect(command).toContain("-threads=false -gather-smaps=false -recheck")
      expect(readFileSync(root.path("/etc/process-exporter/config.yml"), "utf8")).toContain("{{.Comm}}")
    })

    test("make the server answer the top processes of that machine", async () => {
      await root.shell("systemd-run --unit=burner --collect -p StandardOutput=null yes >/dev/null")
      const deadline = Date.now() + 240_000
      let names: Array<unknown> = []
      while (Date.now() < deadline) {
        const { servers } = await ask("/api/servers")
        expect(servers!.map(({ name }) => name)).toEqual(["pulse"])
        const { processes } = await ask(`/api/servers/${servers![0]!.server_id}/processes/top?limit=50&hours=0.25`)
        names = processes!.map(({ name }) => name)
        if (processes![0]?.name === "yes" && Number(processes![0].cpu_percent) > 20) break
        await new Promise((resolve) => setTimeout(resolve, 2_000))
      }
      expect(names[0]).toBe("yes")
      expect(names).toEqual(expect.arrayContaining(["systemd", "postgres", "redis-server"]))
      await root.shell("systemctl stop burner")
    })

    test("leave a machine that the doctor finds well", async () => {
      const withoutRole = config.exporters
        .map(({ name }) => name)
        .filter((name) => !existsSync(join(ansible, "roles", name.replaceAll("_", "-"))))
      for (const command of ["nodepulse-agent", "nodepulse"]) {
        const { code, stderr, stdout } = await root.run(command, "doctor")
        // An exporter that no role brings does not run here, and that is said.
        const unwell = stdout
          .split("\n")
          .filter((line) => /^(FAIL|warn)/.test(line) && !withoutRole.some((name) => line.includes(` ${name} `)))
        expect(unwell).toEqual([])
        expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
      }
    })

    test("change nothing when they are applied again", async () => {
      const { recap } = await applied("molecule/default/converge.yml")
      expect(recap).toMatch(/changed=0 +unreachable=0 +failed=0/)
    })

    test("report nothing to do in check mode, and enrol nobody", async () => {
      const token = readFileSync(root.path("/etc/nodepulse/agent.token"), "utf8")
      const { recap } = await applied("molecule/default/converge.yml", "--check")
      expect(recap).toMatch(/changed=0 +unreachable=0 +failed=0/)
      expect(readFileSync(root.path("/etc/nodepulse/agent.token"), "utf8")).toBe(token)
    })

    test("exchange an enrolment token, the server's or one from a vault, and show neither to anybody", async () => {
      const tokenFile = root.path("/etc/nodepulse/agent.token")
      // The exporters are there, and nothing about them is asked here.
      const nodes = [
        "playbooks/prometheus/deploy-nodes.yml",
        "-e",
        JSON.stringify({ nodepulse_exporter_roles: [] })
      ] as const
      const used = async () => {
        const { entries } = await ask("/api/audit?limit=100")
        return entries!.filter(({ action }) => action === "token.exchange").map(({ detail }) => detail)
      }
      expect(await used()).toEqual(["for server pulse"])
      expect((await root.shell("stat -c '%U:%G %a' /etc/nodepulse/agent.token")).trim()).toBe(
        "root:nodepulse-agent 640"
      )
      const tokens = new Set([readFileSync(tokenFile, "utf8")])
      const seen = watchCommandLines(root.pid)
      try {
        await applied(...nodes, "-e", "nodepulse_agent_renew_token=true")
        tokens.add(readFileSync(tokenFile, "utf8"))
        const vaulted = (await root.shell("nodepulse token create --kind enrolment --server pulse 2>/dev/null")).trim()
        writeFileSync(
          join(debs, "vault.json"),
          JSON.stringify({ nodepulse_agent_enrolment_token: vaulted, nodepulse_agent_renew_token: true })
        )
        await applied(...nodes, "-e", `@${join(debs, "vault.json")}`)
        tokens.add(readFileSync(tokenFile, "utf8"))
        // It is used up: the failure says so, and names nothing.
        const refused = await playbook(...nodes, "-e", `@${join(debs, "vault.json")}`)
        expect(refused.code).not.toBe(0)
        expect(refused.stdout).toMatch(/refuses: HTTP 403 .*the enrolment token is unknown, used up/)
      } finally {
        seen.stop()
      }
      expect(tokens.size).toBe(3)
      expect(await used()).toEqual(["for server pulse", "for server pulse", "for server pulse"])
      expect((await ask("/api/servers")).servers!.map(({ server_id }) => server_id)).toEqual(["pulse"])
      expect(seen.looks()).toBeGreaterThan(10)
      expect(seen.found()).toEqual([])
      expect(printed).not.toMatch(TOKEN)
      expect(await root.shell("journalctl --no-pager --output=cat")).not.toMatch(TOKEN)
    })

    test("let no secret into what Ansible prints or the journal keeps", async () => {
      const journal = await root.shell("journalctl --no-pager --output=cat")
      const secrets = [
        "/etc/nodepulse/agent.token",
        "/etc/nodepulse/postgresql.password",
        "/var/lib/nodepulse/admin-token"
      ]
      for (const path of secrets) {
        const secret = readFileSync(root.path(path), "utf8").trim()
        expect(secret.length).toBeGreaterThan(20)
        expect(printed.includes(secret), `${path} in Ansible's output`).toBe(false)
        expect(journal.includes(secret), `${path} in the journal`).toBe(false)
      }
      expect(journal).not.toContain("/signin?")
    })

    test.each(["nodepulse-agent", "nodepulse-server"])("%s.service is valid, and hardened", async (unit) => {
      const verified = await root.run("systemd-analyze", "verify", "--recursive-errors=yes", `${unit}.service`)
      expect(verified).toEqual({ code: 0, stdout: "", stderr: "" })
      const security = await root.run("systemd-analyze", "security", "--threshold=30", "--no-pager", `${unit}.service`)
      expect(security.code, security.stdout.slice(-200)).toBe(0)
    })

    test("bring process-exporter from a release with the right checksum, and from no other", async () => {
      // The release is made of Debian's binary: the real one is not to be had without its site.
      await root.shell(
        `cd /var/tmp && apt-get download -qq prometheus-process-exporter && dpkg -x prometheus-process-exporter_*.deb made &&
         mkdir process-exporter-0.7.10.linux-amd64 &&
         cp made/usr/bin/prometheus-process-exporter process-exporter-0.7.10.linux-amd64/process-exporter &&
         tar -czf release.tar.gz process-exporter-0.7.10.linux-amd64 && rm -r made process-exporter-* *.deb`
      )
      const checksum = createHash("sha256")
        .update(readFileSync(root.path("/var/tmp/release.tar.gz")))
        .digest("hex")
      const release = (sum: string) => [
        "-e",
        JSON.stringify({
          process_exporter_install_method: "release",
          process_exporter_version: "0.7.10",
          // Beside the one from the package, which has its own port.
          process_exporter_listen_address: PROCESS_EXPORTER_RELEASE,
          process_exporter_release_url: "file:///var/tmp/release.tar.gz",
          process_exporter_release_checksum: sum
        })
      ]
      const name = "playbooks/prometheus/deploy-process-exporter.yml"
      const refused = await playbook(name, ...release(`sha256:${"0".repeat(64)}`))
      expect(refused.code).not.toBe(0)
      expect(refused.stdout).toMatch(/checksum/i)
      expect(existsSync(root.path("/usr/local/bin/process-exporter"))).toBe(false)
      await applied(name, ...release(`sha256:${checksum}`))
      const scrape = await (await fetch(`http://${PROCESS_EXPORTER_RELEASE}/metrics`)).text()
      expect(scrape).toContain('namedprocess_namegroup_num_procs{groupname="systemd"}')
    })

    test("take everything away again", async () => {
      await applied("molecule/default/cleanup.yml")
      const left = await root.shell(
        `find / -xdev \\( -path /proc -o -path /sys -o -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/cache/apt -o -path /var/log/journal \\) -prune -o \\( ${[
          "nodepulse",
          "process*exporter",
          "node*exporter",
          "postgres",
          "redis",
          "valkey"
        ]
          .map((word) => `-iname '*${word}*'`)
          .join(" -o ")} \\) -print`
      )
      expect(left).toBe("")
      expect(await root.shell("dpkg -l | grep '^rc' || true")).toBe("")
      expect(await root.shell("getent passwd nodepulse nodepulse-agent || true")).toBe("")
      expect((await root.shell("systemctl --failed --no-legend --plain")).trim()).toBe("")
    })
  })

  describe("the packages", () => {
    const installed = (name = "nodepulse-agent") =>
      root.shell(`dpkg-query -W -f '\${Version} \${db:Status-Status}' ${name} 2>/dev/null || true`)
    const metric = async (name: string) => {
      const text = await (await fetch(`http://${AGENT_METRICS}/metrics`)).text()
      return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1])
    }
    const until = async (what: string, check: () => Promise<boolean>) => {
      const deadline = Date.now() + 180_000
      while (!(await check().catch(() => false))) {
        if (Date.now() > deadline) throw new Error(`never: ${what}`)
        await new Promise((resolve) => setTimeout(resolve, 250))
      }
    }
    const listen = (server: Server) =>
      new Promise<number>((resolve) => {
        server.listen(0, "127.0.0.1", () => resolve((server.address() as { readonly port: number }).port))
      })

    /** An exporter with so many groups, of names that do not compress, that the spool is soon full. */
    const exporter = createServer((_, response) => {
      const names = Array.from({ length: 3_000 }, () => randomBytes(24).toString("base64"))
      const lines = ["num_procs", "cpu_seconds_total", "memory_bytes"].flatMap((family) => [
        `# TYPE namedprocess_namegroup_${family} gauge`,
        ...names.map((name) => {
          const labels = { num_procs: "", cpu_seconds_total: ',mode="user"', memory_bytes: ',memtype="resident"' }[
            family
          ]
          return `namedprocess_namegroup_${family}{groupname="${name}"${labels}} 1`
        })
      ])
      response.setHeader("content-type", "text/plain; version=0.0.4").end(`${lines.join("\n")}\n`)
    })
    const rows = new Set<string>()
    const acting = new PlayedServer()
    /** A server that takes everything, enrols everybody, and has orders for those that ask. */
    const taker = createServer((request, response) => {
      if (request.url === "/api/hands/poll") return acting.handle(request, response)
      if (request.url === "/api/enroll") {
        response.writeHead(request.headers.authorization === "Bearer np_enrolment_test" ? 201 : 403)
        response.end(JSON.stringify({ server_id: "pulse", name: "pulse", token: "np_agent_test" }))
        return
      }
      const chunks: Array<Buffer> = []
      request
        .on("data", (chunk: Buffer) => chunks.push(chunk))
        .on("end", () => {
          const body = JSON.parse(gunzipSync(Buffer.concat(chunks)).toString()) as Record<
            string,
            Array<Record<string, unknown>>
          >
          const all = Object.values(body).flat()
          for (const { name, timestamp } of all) rows.add(`${timestamp} ${name}`)
          response.writeHead(202, { "content-type": "application/json" })
          response.end(JSON.stringify({ accepted: all.length, rejected: [] }))
        })
    })
    let takerPort = 0
    let waiting = { records: 0, bytes: 0 }

    beforeAll(async () => {
      mkdirSync(root.path("/root/debs"), { recursive: true })
      for (const folder of [debs, join(debs, "old")]) {
        for (const file of readdirSync(folder).filter((name) => name.endsWith(".deb"))) {
          copyFileSync(join(folder, file), root.path(`/root/debs/${file}`))
        }
      }
    })
    afterAll(() => {
      exporter.close()
      taker.close()
    })

    test("wait in silence until the machine is enrolled", async () => {
      await root.shell(
        "apt-get install -qq -y --no-install-recommends /root/debs/nodepulse-runtime_*.deb /root/debs/nodepulse-agent_0.0.9_all.deb"
      )
      expect(await installed()).toBe("0.0.9 installed")
      expect((await root.run("systemctl", "is-enabled", "nodepulse-agent")).stdout.trim()).toBe("enabled")
      expect((await root.run("systemctl", "is-active", "nodepulse-agent")).stdout.trim()).toBe("inactive")
      expect((await root.shell("systemctl --failed --no-legend --plain")).trim()).toBe("")
    })

    test("are enrolled by one command, and keep a full spool and a changed configuration through an upgrade", async () => {
      takerPort = await listen(taker)
      const port = await listen(exporter)
      // Nothing else comes into the spool while it is counted.
      const others = config.exporters.map(({ name }) => name).filter((name) => name !== "process_exporter")
      writeFileSync(
        root.path("/etc/nodepulse/nodepulse.yml"),
        `# ours
server: {url: "http://127.0.0.1:${takerPort}", token_file: /etc/nodepulse/agent.token}
buffer: {path: /var/lib/nodepulse-agent/spool, max_bytes: 1MiB}
metrics: {listen: "${AGENT_METRICS}"}
exporters:
  - {name: process_exporter, endpoint: "http://127.0.0.1:${port}/metrics", interval: 1s, collector: never}
${others.map((name) => `  - {name: ${name}, enabled: false}\n`).join("")}`
      )
      expect(await root.shell("echo np_enrolment_test | nodepulse-agent agent enroll")).toContain("enrolled as pulse;")
      expect(await root.shell("cd /etc/nodepulse && stat -c '%U:%G %a' agent.token && cat agent.token")).toBe(
        "root:nodepulse-agent 640\nnp_agent_test\n"
      )
      // Away from now on, until it is asked to come back.
      await new Promise((resolve) => taker.close(resolve).closeAllConnections())
      await root.shell("systemctl restart nodepulse-agent")
      await until("the spool is full", async () => (await metric("nodepulse_agent_spool_dropped_total")) > 0)
      await new Promise((resolve) => exporter.close(resolve).closeAllConnections())
      await until(
        "scrapes fail",
        async () => (await metric('nodepulse_agent_exporter_up\\{exporter="process_exporter"\\}')) === 0
      )
      waiting = {
        records: await metric("nodepulse_agent_spool_records"),
        bytes: await metric("nodepulse_agent_spool_bytes")
      }
      expect(waiting.bytes).toBeGreaterThan(700 * 1024)
      const before = await root.shell("systemctl show -P MainPID nodepulse-agent")
      await root.shell("apt-get install -qq -y --no-install-recommends /root/debs/nodepulse-agent_0.1.0_all.deb")
      expect(await installed()).toMatch(/^(?!0\.0\.9)\S+ installed$/)
      expect(readFileSync(root.path("/etc/nodepulse/nodepulse.yml"), "utf8")).toContain("# ours")
      await until("the new version runs", async () => (await metric("nodepulse_agent_spool_records")) > 0)
      expect(await root.shell("systemctl show -P MainPID nodepulse-agent")).not.toBe(before)
      expect(await metric("nodepulse_agent_spool_records")).toBe(waiting.records)
      expect(await metric("nodepulse_agent_spool_bytes")).toBe(waiting.bytes)
    })

    test("deliver what waited, once the server is back", async () => {
      await new Promise<void>((resolve) => void taker.listen(takerPort, "127.0.0.1", () => resolve()))
      await until("the spool is empty", async () => (await metric("nodepulse_agent_spool_records")) === 0)
      expect(rows.size).toBe(await metric("nodepulse_agent_push_rows_accepted_total"))
      expect(rows.size).toBeGreaterThan(10_000)
    })

    test("are started again when they hang", async () => {
      mkdirSync(root.path("/etc/systemd/system/nodepulse-agent.service.d"), { recursive: true })
      const dropIn = root.path("/etc/systemd/system/nodepulse-agent.service.d/test.conf")
      writeFileSync(dropIn, "[Service]\nWatchdogSec=10s\nRestartSec=1s\nTimeoutAbortSec=1s\n")
      await root.shell("systemctl daemon-reload && systemctl restart nodepulse-agent")
      const pid = (await root.shell("systemctl show -P MainPID nodepulse-agent")).trim()
      // It stays up while it is well: longer than its watchdog.
      await new Promise((resolve) => setTimeout(resolve, 12_000))
      expect((await root.shell("systemctl show -P MainPID nodepulse-agent")).trim()).toBe(pid)
      await root.shell(`kill -STOP ${pid}`)
      await until("it is started again", async () => {
        const { stdout } = await root.run("systemctl", "show", "nodepulse-agent", "-P", "NRestarts")
        return Number(stdout) >= 1 && (await metric("nodepulse_agent_spool_limit_bytes")) > 0
      })
      expect(await root.shell("journalctl -u nodepulse-agent --no-pager")).toContain("Watchdog timeout")
      rmSync(join(dropIn, ".."), { recursive: true })
      await root.shell("systemctl daemon-reload")
    })

    const { privateKey } = generateKeyPairSync("ed25519")
    const HANDS = `server_id: pulse
approvers: [{name: ada, role: admin, key: "${Buffer.from(rawPublicKeyOf(privateKey)).toString("base64")}"}]
allow: [{verbs: [nice], names: [sleep]}]
`
    const given = (order: Order) =>
      acting.order(order, [approve(order, "ada", Math.floor(Date.now() / 1_000) + 60, privateKey)])
    const niceOf = async (unit: string) =>
      (await root.shell(`cat /proc/$(systemctl show -P MainPID ${unit})/stat`)).split(" ")[18]
    let order: Order

    test("act on nothing, and ask nobody, before the owner has written what may be done", async () => {
      await root.shell("apt-get install -qq -y --no-install-recommends /root/debs/nodepulse-hands_0.0.9_all.deb")
      expect(await installed("nodepulse-hands")).toBe("0.0.9 installed")
      expect((await root.run("systemctl", "is-active", "nodepulse-hands")).stdout.trim()).toBe("inactive")
      expect((await root.shell("systemctl show -P ConditionResult nodepulse-hands")).trim()).toBe("no")
      expect((await root.shell("id -nG nodepulse-hands")).trim()).toBe("nodepulse-hands")
      expect(acting.polls).toBe(0)
      expect((await root.shell("systemctl --failed --no-legend --plain")).trim()).toBe("")
    })

    test("act as its own user, by two rights, once it is written", async () => {
      writeFileSync(root.path("/etc/nodepulse/hands.yml"), HANDS)
      await root.shell(`nodepulse-hands hands --check && mkdir -p /etc/polkit-1/rules.d &&
          nodepulse-hands hands --rules polkit >/etc/polkit-1/rules.d/50-nodepulse-hands.rules
        systemctl start nodepulse-hands
        systemd-run --quiet --unit=sleeper --property=User=games sleep 3600`)
      const status = await root.shell("cat /proc/$(systemctl show -P MainPID nodepulse-hands)/status")
      // CAP_KILL and CAP_SYS_NICE.
      expect(/^CapEff:\s+(\w+)$/m.exec(status)?.[1]).toBe((2 ** 5 + 2 ** 23).toString(16).padStart(16, "0"))
      const pid = Number(await root.shell("systemctl show -P MainPID sleeper"))
      const { boot_id, offers } = await acting.preview({ pid })
      const [{ target, verb }] = offers as [(typeof offers)[number]]
      order = {
        ...{ version: 1, id: randomUUID(), server: "pulse", boot_id, verb, target },
        ...{ settings: { nice: 7, io: "unchanged" }, reason: "a test", nonce: randomBytes(16).toString("base64url") }
      } as Order
      expect(await given(order)).toMatchObject({ result: "done", by: ["ada"] })
      expect(await niceOf("sleeper")).toBe("7")
      expect(
        await root.shell(
          "stat -c '%U:%G %a' /etc/nodepulse/hands.yml; cd /var/lib/nodepulse-hands && stat -c '%U:%G %a' . journal"
        )
      ).toBe("root:root 644\nnodepulse-hands:nodepulse-hands 700\nnodepulse-hands:nodepulse-hands 600\n")
    })

    test("keep what may be done, and do nothing again that was done before an upgrade", async () => {
      const before = await root.shell(
        "systemctl show -P MainPID nodepulse-hands; renice -n 0 $(systemctl show -P MainPID sleeper) >/dev/null"
      )
      await root.shell("apt-get install -qq -y --no-install-recommends /root/debs/nodepulse-hands_0.1.0_all.deb")
      expect(await installed("nodepulse-hands")).toMatch(/^(?!0\.0\.9)\S+ installed$/)
      expect(readFileSync(root.path("/etc/nodepulse/hands.yml"), "utf8")).toBe(HANDS)
      expect(await given(order)).toMatchObject({ result: "refused", code: "replayed" })
      expect(await root.shell("systemctl show -P MainPID nodepulse-hands")).not.toBe(before)
      expect(await niceOf("sleeper")).toBe("0")
      await root.shell("systemctl stop sleeper")
    })

    test("leave configuration, token, spool and journal when they are removed", async () => {
      // What acts needs the agent, and goes with it.
      await root.shell("apt-get remove -qq -y nodepulse-agent")
      expect(await root.shell("systemctl is-active nodepulse-agent nodepulse-hands || true")).toBe(
        "inactive\ninactive\n"
      )
      for (const path of [
        "/etc/nodepulse/nodepulse.yml",
        "/etc/nodepulse/agent.token",
        "/var/lib/nodepulse-agent/spool",
        "/etc/nodepulse/hands.yml",
        "/etc/polkit-1/rules.d/50-nodepulse-hands.rules",
        "/var/lib/nodepulse-hands/journal"
      ]) {
        expect(existsSync(root.path(path)), path).toBe(true)
      }
      expect(readdirSync(root.path("/usr/bin")).filter((name) => name.startsWith("nodepulse"))).toEqual([])
    })

    test("leave nothing when they are purged", async () => {
      await root.shell("apt-get purge -qq -y nodepulse-agent nodepulse-hands nodepulse-runtime")
      const left = await root.shell(
        "find / -xdev \\( -path /proc -o -path /sys -o -path /root -o -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/log/journal \\) -prune -o -iname '*nodepulse*' -print"
      )
      expect(left).toBe("")
      expect(await root.shell("getent passwd nodepulse-agent nodepulse-hands || true")).toBe("")
      expect((await root.shell("systemctl --failed --no-legend --plain")).trim()).toBe("")
    })
  })
})

// A file without a test that ran is a failure to the runner; a machine that cannot is none.
test("says what it left out", () => {
  expect(reason === undefined || reason.length > 0).toBe(true)
})
