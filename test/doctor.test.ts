/**
 * Broken hosts, one for each way in which an installation goes wrong, and a healthy one of each kind: the doctor finds what
 * is broken, its cure is the one that helps, and it complains of nothing else.
 *
 * A host is a folder with fake units whose user is an ordinary one, real exporters' scrapes, a real server on a real
 * database, and a running agent's metrics.
 */
import { execFileSync } from "node:child_process"
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { createServer, type Server } from "node:https"
import type { AddressInfo } from "node:net"
import { tmpdir, userInfo } from "node:os"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer, Redacted, type Scope } from "effect"
import { httpPeer } from "../agent/scrape/HttpPeer.fixture.ts"
import config from "../plugins.config.ts"
import type { Finding } from "../src/commands/Diagnosis.ts"
import { diagnoseAgent } from "../src/commands/DoctorAgent.ts"
import { diagnoseServer } from "../src/commands/DoctorServer.ts"
import { UnitFolders } from "../src/commands/SystemdUnit.ts"
import { Registry } from "../src/plugins/Registry.ts"
import { AGENT_HEADER, type AgentHello, formatHello, hashOf } from "../src/protocol/AgentHello.ts"
import { Settings } from "../src/Settings.ts"
import * as TestDatabase from "./TestDatabase.ts"
import * as TestServer from "./TestServer.ts"

const isRoot = process.getuid?.() === 0
const user = isRoot ? "nobody" : userInfo().username
const [uid, gid] = [Number(printed("id", "-u", user)), Number(printed("id", "-g", user))]
const group = printed("id", "-gn", user)
const canMount = isRoot && mountable()

function printed(program: string, ...args: ReadonlyArray<string>): string {
  return execFileSync(program, args, { encoding: "utf8" }).trim()
}

function mountable(): boolean {
  const folder = mkdtempSync(join(tmpdir(), "nodepulse-mount-"))
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], { stdio: "ignore" })
    execFileSync("umount", [folder], { stdio: "ignore" })
    return true
  } catch {
    return false
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
if (!canMount) process.stdout.write("left out: full and read-only disks, because nothing can be mounted here\n")

/** What a host is made of; a broken one has some of it otherwise. */
interface Host {
  readonly folder: string
  readonly path: (name: string) => string
  /** Writes a file for the unit's user. */
  readonly write: (name: string, text: string, mode?: number) => void
  /** Text of the files that are written last, so that they may be changed. */
  settings: { agentUnit: string; serverUnit: string; config: string; serverEnv: string; metrics: string }
  readonly databaseUrl: string
  readonly serverUrl: string
  readonly mount: (name: string, ...options: ReadonlyArray<string>) => Effect.Effect<void, never, Scope.Scope>
}

const METRICS = `nodepulse_agent_push_state{state="delivering"} 1
nodepulse_agent_push_state{state="misconfigured"} 0
nodepulse_agent_push_requests_total{status="202"} 12
nodepulse_agent_push_last_success_timestamp_seconds ${Math.round(Date.now() / 1000)}
nodepulse_agent_spool_dropped_total 0
nodepulse_agent_spool_durable 1
`

/** A host on which all is well. */
const healthy = Effect.gen(function* () {
  const server = yield* TestServer.TestServer
  const { url } = yield* TestDatabase.TestDatabase
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "nodepulse-host-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )
  chmodSync(folder, 0o755)
  const path = (name: string) => join(folder, name)
  const write = (name: string, text: string, mode = 0o640) => {
    writeFileSync(path(name), text)
    chmodSync(path(name), mode)
    if (isRoot) chownSync(path(name), uid, gid)
  }
  for (const name of ["units", "state", "state/spool", "data"]) {
    mkdirSync(path(name), { mode: name === "units" ? 0o755 : 0o750 })
    if (isRoot && name !== "units") chownSync(path(name), uid, gid)
  }
  const host: Host = {
    folder,
    path,
    write,
    databaseUrl: Redacted.value(url),
    serverUrl: server.url,
    settings: { agentUnit: "", serverUnit: "", config: "", serverEnv: "", metrics: METRICS },
    mount: (name, ...options) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          mkdirSync(path(name), { recursive: true })
          const own = `uid=${uid},gid=${gid},mode=750`
          execFileSync("mount", ["-t", "tmpfs", "-o", [own, ...options].join(","), "tmpfs", path(name)])
        }),
        () => Effect.sync(() => execFileSync("umount", ["--lazy", path(name)]))
      )
  }
  const metrics = yield* httpPeer((_, response) => response.end(host.settings.metrics))
  const exporters: Array<string> = []
  for (const { name } of config.exporters) {
    const scrape = scrapeOf(name)
    const peer = yield* httpPeer((_, response) => {
      response.setHeader("content-type", "text/plain; version=0.0.4").end(scrape)
    })
    exporters.push(`  - { name: ${name}, endpoint: "${peer.url}/metrics" }`)
  }
  const { token } = yield* server.register(`host-${Math.round(Math.random() * 1e9)}`)
  write("token", `${token}\n`)
  const unit = (command: string, more: string) =>
    `[Unit]\nDescription=x\n\n[Service]\nExecStart=${command}\nUser=${user}\nGroup=${group}\nProtectSystem=strict\nReadWritePaths=${path("state")} ${path("data")} ${path("disk")}\n${more}`
  host.settings = {
    metrics: METRICS,
    agentUnit: unit(`${process.execPath} x agent --config ${path("nodepulse.yml")}`, ""),
    serverUnit: unit(
      `${process.execPath} x server`,
      `EnvironmentFile=${path("server.env")}\nEnvironment=NODE_ENV=production NODEPULSE_DATA_DIR=${path("data")}\n`
    ),
    serverEnv: `DATABASE_URL=${host.databaseUrl}\nNODEPULSE_PORT=${new URL(server.url).port}\n`,
    config: [
      `server: { url: "${server.url}", token_file: "${path("token")}", timeout: 5s }`,
      `buffer: { path: "${path("state/spool")}", max_bytes: 1MiB }`,
      `metrics: { listen: "127.0.0.1:${metrics.port}" }`,
      "exporters:",
      ...exporters,
      ""
    ].join("\n")
  }
  return host
})

/** A real scrape of the exporter, without what its plugin skips. */
const scrapeOf = (name: string): string => {
  const folder = join(import.meta.dirname, "..", "src", "plugins", name.replaceAll("_", "-"), "fixtures")
  for (const fixture of printed("ls", folder).split("\n")) {
    const expected = JSON.parse(readFileSync(join(folder, fixture, "expected.json"), "utf8"))
    if ((expected.rows ?? []).length > 0 && (expected.skipped ?? []).length === 0) {
      return readFileSync(join(folder, fixture, "input.prom"), "utf8")
    }
  }
  throw new Error(`no fixture of ${name} is without what is skipped`)
}

/** Writes what the host's files say now, and asks the doctor. */
const asked = (part: "agent" | "server", host: Host) =>
  Effect.gen(function* () {
    const { agentUnit, config, serverEnv, serverUnit } = host.settings
    for (const [name, text] of [
      ["nodepulse-agent.service", agentUnit],
      ["nodepulse-server.service", serverUnit]
    ] as const) {
      if (text !== "") host.write(`units/${name}`, text, 0o644)
    }
    if (config !== "") host.write("nodepulse.yml", config)
    host.write("server.env", serverEnv)
    return yield* part === "agent" ? diagnoseAgent(undefined) : diagnoseServer(true)
  }).pipe(Effect.provideService(UnitFolders, [host.path("units")]))

interface Broken {
  readonly host: string
  readonly part: "agent" | "server"
  /** What is done to a healthy host: at once, or as an effect in its scope. */
  readonly break: (host: Host) => unknown
  readonly finds: {
    readonly check: string
    readonly saw: RegExp
    readonly cure: RegExp
    readonly state?: Finding["state"]
  }
  readonly needs?: "root" | "mount"
}

type Breaking = Effect.Effect<unknown, unknown, Scope.Scope | PgClient.PgClient | TestServer.TestServer>

const edit = (part: keyof Host["settings"], from: string | RegExp, to: string) => (host: Host) => {
  const text = host.settings[part]
  const changed = text.replace(from, to)
  assert.notStrictEqual(changed, text)
  host.settings[part] = changed
}

const owned = (host: Host, name: string, mode: number) => {
  chownSync(host.path(name), 0, 0)
  chmodSync(host.path(name), mode)
}

/** An https server with a certificate for `name`, valid until `days` from now; what it needs is in `ca.pem`. */
const httpsPeer = (host: Host, name: string, days: number) =>
  Effect.gen(function* () {
    const at = (file: string) => host.path(file)
    const openssl = (...args: ReadonlyArray<string>) => execFileSync("openssl", args, { stdio: "ignore" })
    writeFileSync(at("names"), `subjectAltName=${name}\n`)
    openssl(
      "req",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-subj",
      "/CN=test",
      "-keyout",
      at("key.pem"),
      "-out",
      at("request.pem")
    )
    const signed = ["-in", at("request.pem"), "-signkey", at("key.pem"), "-out", at("ca.pem")]
    openssl("x509", "-req", ...signed, "-extfile", at("names"), "-days", String(days))
    host.write("ca.pem", readFileSync(at("ca.pem"), "utf8"))
    const options = { key: readFileSync(at("key.pem")), cert: readFileSync(at("ca.pem")) }
    const server = yield* Effect.acquireRelease(
      Effect.promise(
        () =>
          new Promise<Server>((resolve) => {
            const made = createServer(options, (_, response) => response.writeHead(202).end("{}"))
            made.listen(0, "127.0.0.1", () => resolve(made))
          })
      ),
      (made) => Effect.sync(() => made.close())
    )
    return `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  })

const toServer = (host: Host, url: string, ca = false) =>
  edit("config", /url: "[^"]*"/, `url: "${url}"${ca ? `, ca_file: "${host.path("ca.pem")}"` : ""}`)(host)

const answering = (status: number, headers: Readonly<Record<string, string>>, body: string) => (host: Host) =>
  Effect.map(
    httpPeer((_, response) => response.writeHead(status, headers).end(body)),
    (peer) => toServer(host, peer.url)
  )

/** How agents with one token push to the server: no rows, and what they tell of themselves. */
const pushing = Effect.gen(function* () {
  const server = yield* TestServer.TestServer
  const { token } = yield* server.register("web-1")
  const sql = yield* PgClient.PgClient
  yield* Effect.addFinalizer(() => Effect.orDie(sql`delete from admiral.agents`))
  return (name: string, sequence: number, tells: Partial<AgentHello> = {}) =>
    Effect.promise(() =>
      fetch(`${server.url}/metrics/prometheus`, {
        method: "POST",
        headers: {
          authorization: `Bearer ${token}`,
          "content-type": "application/json",
          [AGENT_HEADER]: formatHello({
            name,
            machine: hashOf("machine", name),
            boot: hashOf("boot", name),
            start: hashOf("start", name),
            after: [],
            sequence,
            intervalSeconds: 1,
            sent: Date.now() / 1000,
            step: undefined,
            corrected: undefined,
            ...tells
          })
        },
        body: JSON.stringify({})
      })
    )
})

/** Two machines push with one token, in turns. */
const twoMachines = Effect.gen(function* () {
  const push = yield* pushing
  for (let sequence = 1; sequence < 4; sequence++) {
    for (const name of ["web-1", "web-2"]) yield* push(name, sequence)
  }
})

const AGENTS: ReadonlyArray<Broken> = [
  {
    host: "with an exporter that serves more than the agent takes",
    part: "agent",
    break: (host) =>
      Effect.map(
        httpPeer((_, response) => response.end("# filler\n".repeat(20_000))),
        ({ url }) => edit("config", /endpoint: "[^"]*"/, `endpoint: "${url}/metrics", body_limit: 64KiB`)(host)
      ),
    finds: { check: config.exporters[0]!.name, saw: /the limit/, cure: /raise its body_limit in nodepulse\.yml/ }
  },
  {
    host: "whose spool belongs to root",
    needs: "root",
    part: "agent",
    break: (host) => owned(host, "state/spool", 0o700),
    finds: { check: "spool", saw: /nobody cannot write to .*spool \(EACCES\)/, cure: /^chown -R nobody:\w+ .*\/spool/ }
  },
  {
    host: "where the agent was once run as root, which left its files",
    needs: "root",
    part: "agent",
    break: (host) => {
      host.write("state/spool/0001.seg", "x")
      owned(host, "state/spool/0001.seg", 0o600)
    },
    finds: { check: "spool", saw: /0001\.seg \(EACCES\)/, cure: /^chown -R nobody:\w+ .*\/spool/ }
  },
  {
    host: "whose spool lies in a folder that the agent may not pass",
    needs: "root",
    part: "agent",
    break: (host) => owned(host, "state", 0o700),
    finds: { check: "spool", saw: /because of .*state/, cure: /install -d .* -o nobody|chmod o\+x/ }
  },
  {
    host: "whose unit may not write where the spool is",
    part: "agent",
    break: edit("agentUnit", /ReadWritePaths=.*/, "StateDirectory=nodepulse-agent"),
    finds: {
      check: "spool",
      saw: /ProtectSystem=strict/,
      cure: /ReadWritePaths=.*spool.*systemctl edit .*nodepulse-agent/
    }
  },
  {
    host: "with a file where the spool's folder should be",
    part: "agent",
    break: (host) => {
      rmSync(host.path("state/spool"), { recursive: true })
      host.write("state/spool", "")
    },
    finds: { check: "spool", saw: /ENOTDIR/, cure: /is no folder: move it away/ }
  },
  {
    host: "whose spool's disk is full",
    needs: "mount",
    part: "agent",
    break: (host) =>
      Effect.map(host.mount("disk", "size=64k"), () => {
        writeFileSync(host.path("disk/ballast"), Buffer.alloc(64 * 1024))
        if (isRoot) chownSync(host.path("disk/ballast"), uid, gid)
        edit("config", /path: "[^"]*"/, `path: "${host.path("disk")}"`)(host)
      }),
    finds: { check: "spool", saw: /disk of .* is full/, cure: /^free some space/ }
  },
  {
    host: "whose spool's disk is mounted read-only",
    needs: "mount",
    part: "agent",
    break: (host) =>
      Effect.map(host.mount("disk", "ro"), () => edit("config", /path: "[^"]*"/, `path: "${host.path("disk")}"`)(host)),
    finds: { check: "spool", saw: /EROFS/, cure: /remount,rw/ }
  },
  {
    host: "with garbage in its token file",
    part: "agent",
    break: (host) => host.write("token", "npa_one npa_two\n"),
    finds: {
      check: "token",
      saw: /must hold one token/,
      cure: /nodepulse token create --kind enrolment;.*agent enroll --replace$/
    }
  },
  {
    host: "without its token file",
    part: "agent",
    break: (host) => rmSync(host.path("token")),
    finds: { check: "token", saw: /ENOENT/, cure: /nodepulse token create --kind enrolment;/ }
  },
  {
    host: "whose token is root's alone",
    needs: "root",
    part: "agent",
    break: (host) => owned(host, "token", 0o600),
    finds: { check: "token", saw: /nobody cannot read .*token/, cure: /^chown root:\w+ .*token && chmod 640/ }
  },
  {
    host: "whose token was revoked",
    part: "agent",
    break: (host) => host.write("token", "npa_0123456789\n"),
    finds: { check: "token", saw: /HTTP 401/, cure: /nodepulse token create/ }
  },
  {
    host: "whose configuration is root's alone",
    needs: "root",
    part: "agent",
    break: (host) => {
      const file = host.path("root.yml")
      writeFileSync(file, host.settings.config, { mode: 0o600 })
      edit("agentUnit", /--config \S+/, `--config ${file}`)(host)
    },
    finds: { check: "config", saw: /nobody cannot read .*root\.yml/, cure: /^chown root:/ }
  },
  {
    host: "with a misspelt key in its configuration",
    part: "agent",
    break: edit("config", "buffer:", "bufer:"),
    finds: { check: "config", saw: /did you mean "buffer"/, cure: /^mend .*nodepulse\.yml/ }
  },
  {
    host: "whose Node is too old",
    part: "agent",
    break: (host) => {
      host.write("node", "#!/bin/sh\necho v18.19.0\n", 0o755)
      edit("agentUnit", /ExecStart=\S+/, `ExecStart=${host.path("node")}`)(host)
    },
    finds: { check: "node", saw: /is 18\.19\.0, but NodePulse needs 22/, cure: /nodepulse-runtime/ }
  },
  {
    host: "whose Node is gone",
    part: "agent",
    break: edit("agentUnit", /ExecStart=\S+/, "ExecStart=/nowhere/bin/node"),
    finds: { check: "node", saw: /does not run/, cure: /ExecStart=|nodepulse-runtime/ }
  },
  {
    host: "without the unit's user",
    part: "agent",
    break: edit("agentUnit", /User=.*/, "User=nodepulse-nobody-has"),
    finds: { check: "unit", saw: /user nodepulse-nobody-has is not on this machine/, cure: /^useradd/ }
  },
  {
    host: "whose unit is masked",
    part: "agent",
    break: (host) => {
      symlinkSync("/dev/null", host.path("units/nodepulse-agent.service"))
      host.settings.agentUnit = ""
    },
    finds: { check: "unit", saw: /masked/, cure: /^systemctl unmask/ }
  },
  {
    host: "whose server's certificate is for another name",
    part: "agent",
    break: (host) => Effect.map(httpsPeer(host, "DNS:pulse.example.org", 30), (url) => toServer(host, url, true)),
    finds: { check: "server", saw: /altnames/, cure: /for other names.*server\.url/ }
  },
  {
    host: "whose server's certificate has expired",
    part: "agent",
    break: (host) => Effect.map(httpsPeer(host, "IP:127.0.0.1", -1), (url) => toServer(host, url, true)),
    finds: { check: "server", saw: /expired/, cure: /renew/ }
  },
  {
    host: "whose server's certificate has an issuer that nobody knows",
    part: "agent",
    break: (host) => Effect.map(httpsPeer(host, "IP:127.0.0.1", 30), (url) => toServer(host, url)),
    finds: { check: "server", saw: /self.signed/, cure: /server\.ca_file/ }
  },
  {
    host: "that speaks https to a port of http",
    part: "agent",
    break: (host) => toServer(host, host.serverUrl.replace("http:", "https:")),
    finds: { check: "server", saw: /TLS/, cure: /http:\/\// }
  },
  {
    host: "whose server's address redirects",
    part: "agent",
    break: answering(301, { location: "https://pulse.example.org/" }, ""),
    finds: { check: "server", saw: /301/, cure: /redirects to in server\.url/ }
  },
  {
    host: "whose server's address is another program's",
    part: "agent",
    break: answering(404, {}, "<html>"),
    finds: { check: "server", saw: /HTTP 404/, cure: /address of a NodePulse server/ }
  },
  {
    host: "whose server is away",
    part: "agent",
    break: (host) => toServer(host, "http://127.0.0.1:1"),
    finds: { check: "server", saw: /connection refused/, cure: /does the server run/ }
  },
  {
    host: "whose token another machine has, too, as its own agent tells",
    part: "agent",
    break: (host) => {
      edit("metrics", 'state="delivering"} 1', 'state="delivering"} 0')(host)
      host.settings.metrics += 'nodepulse_agent_push_requests_total{status="409"} 3\n'
    },
    finds: { check: "agent", saw: /another machine reports with its token/, cure: /token of its own/ }
  },
  {
    host: "whose agent cannot write its spool",
    part: "agent",
    break: edit("metrics", "spool_durable 1", "spool_durable 0"),
    finds: { check: "agent", saw: /cannot write its spool/, cure: /journalctl -u nodepulse-agent/ }
  },
  {
    host: "whose agent does not run",
    part: "agent",
    break: edit("config", /listen: "[^"]*"/, 'listen: "127.0.0.1:1"'),
    finds: { check: "agent", saw: /does not run/, cure: /systemctl status nodepulse-agent/ }
  },
  {
    host: "whose exporter is down",
    part: "agent",
    break: edit("config", /endpoint: "[^"]*"/, 'endpoint: "http://127.0.0.1:1/metrics", collector: never'),
    finds: { check: config.exporters[0]!.name, saw: /connection refused/, cure: /is it running/ }
  },
  {
    host: "whose clock is far ahead of the server's",
    part: "agent",
    break: answering(202, { date: new Date(Date.now() - 3_600_000).toUTCString() }, "{}"),
    finds: { check: "clock", saw: /ahead of the server: its rows are refused/, cure: /timedatectl set-ntp/ }
  }
]

const SERVERS: ReadonlyArray<Broken> = [
  {
    host: "whose server is dead",
    part: "server",
    break: edit("serverEnv", /NODEPULSE_PORT=\d+/, "NODEPULSE_PORT=1"),
    finds: { check: "server", saw: /does not run/, cure: /systemctl status nodepulse-server/ }
  },
  {
    host: "whose port another program has",
    part: "server",
    break: (host) =>
      Effect.map(
        httpPeer((_, response) => response.end("hello")),
        ({ port }) => edit("serverEnv", /NODEPULSE_PORT=\d+/, `NODEPULSE_PORT=${port}`)(host)
      ),
    finds: { check: "server", saw: /another program's/, cure: /NODEPULSE_PORT/ }
  },
  {
    host: "whose server cannot write to its database",
    part: "server",
    break: (host) => {
      const checks = [{ name: "database", ready: false, reason: "could not extend file: No space left (53100)" }]
      return Effect.map(
        httpPeer((_, response) => response.writeHead(503).end(JSON.stringify({ checks }))),
        ({ port }) => edit("serverEnv", /NODEPULSE_PORT=\d+/, `NODEPULSE_PORT=${port}`)(host)
      )
    },
    finds: { check: "server", saw: /database: could not extend file/, cure: /journalctl -u nodepulse-server/ }
  },
  {
    host: "whose database's disk is full",
    needs: "mount",
    part: "server",
    break: (host) =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const [row] = yield* sql<{ readonly data: string; readonly base: string }>`
          select current_setting('data_directory') as data, current_database() as base`
        const owner = printed("stat", "-c", "%u:%g", row!.data).split(":").map(Number)
        yield* host.mount("disk", "size=1m", `uid=${owner[0]}`, `gid=${owner[1]}`)
        const name = `full_${host.path("").length}_${process.pid}`
        yield* Effect.acquireRelease(
          sql.unsafe(`create tablespace ${name} location '${host.path("disk")}'`).unprepared,
          () => Effect.orDie(sql.unsafe(`drop tablespace ${name}`).unprepared)
        )
        const setting = `alter database ${row!.base}`
        yield* Effect.acquireRelease(sql.unsafe(`${setting} set temp_tablespaces = ${name}`).unprepared, () =>
          Effect.orDie(sql.unsafe(`${setting} reset temp_tablespaces`).unprepared)
        )
        writeFileSync(host.path("disk/ballast"), Buffer.alloc(900 * 1024))
      }),
    finds: {
      check: "database room",
      saw: /[Nn]o space left|could not (extend|write)/,
      cure: /free some space on its disk/
    }
  },
  {
    host: "where two machines report with one token",
    part: "server",
    break: () => twoMachines,
    finds: {
      check: "token",
      saw: /"web-1" writes for web-1, and "web-2" is refused/,
      cure: /^nodepulse token create --kind enrolment; on web-2,.*enroll --replace/
    }
  },
  {
    host: "where an agent refuses the scrapes of an exporter for a limit",
    part: "server",
    break: () =>
      Effect.flatMap(pushing, (push) =>
        push("web-1", 1, { refused: [{ exporter: "process_exporter", limit: "series", most: 50_000 }] })
      ),
    finds: {
      check: "agents",
      state: "warning",
      saw: /^process_exporter serves more than its series_limit of 50000 on web-1(-\w+)?: its scrapes are refused/,
      cure: /raise that setting of the exporter in nodepulse\.yml/
    }
  },
  {
    host: "where an agent holds back to keep within its budget",
    part: "server",
    break: () =>
      Effect.flatMap(pushing, (push) =>
        push("web-1", 1, { restrained: { causes: ["cpu"], interval: 2, groups: null, recorder: true } })
      ),
    finds: {
      check: "agents",
      state: "warning",
      saw: /^hold back to keep within their budget on web-1/,
      cure: /budget\.cpu or budget\.memory in nodepulse\.yml/
    }
  },
  {
    host: "whose data folder, which only the unit knows, belongs to root",
    needs: "root",
    part: "server",
    break: (host) => owned(host, "data", 0o700),
    finds: { check: "data folder", saw: /nobody cannot write to .*\/data/, cure: /^chown -R nobody:\w+ .*\/data/ }
  },
  {
    host: "whose unit knows no database",
    part: "server",
    break: edit("serverEnv", /DATABASE_URL=.*/, "DATABASE_URL="),
    finds: { check: "database", saw: /no DATABASE_URL/, cure: /server\.env.*systemctl restart/ }
  },
  {
    host: "whose database does not answer",
    part: "server",
    break: edit("serverEnv", /DATABASE_URL=.*/, "DATABASE_URL=postgres://a:b@127.0.0.1:1/c"),
    finds: { check: "database", saw: /refused|127\.0\.0\.1:1/, cure: /does it run/ }
  },
  {
    host: "whose settings have a line that systemd passes over",
    part: "server",
    break: edit("serverEnv", /^/, "export VALKEY_URL=redis://127.0.0.1\n"),
    finds: { check: "unit", state: "warning", saw: /server\.env, line 1, is no NAME=value/, cure: /mend that line/ }
  },
  {
    host: "whose file of settings is gone",
    part: "server",
    break: (host) => {
      edit("serverUnit", /EnvironmentFile=.*/, `EnvironmentFile=${host.path("gone.env")}`)(host)
      host.settings.serverUnit += host.settings.serverEnv
        .replace(/^(.*)$/gm, "Environment=$1")
        .replace(/Environment=\n?$/, "")
    },
    finds: {
      check: "unit",
      saw: /gone\.env cannot be read/,
      cure: /put the file back.*systemctl restart nodepulse-server/
    }
  },
  {
    host: "whose Valkey is away",
    part: "server",
    break: edit("serverEnv", /$/, "VALKEY_URL=redis://127.0.0.1:1\n"),
    finds: { check: "stream", saw: /.+/, cure: /VALKEY_URL/ }
  },
  {
    host: "whose database a newer version has migrated",
    part: "server",
    break: () =>
      Effect.flatMap(PgClient.PgClient, (sql) =>
        Effect.acquireRelease(
          sql`insert into admiral.migrations select '9999_of_tomorrow', m.* from (select checksum, applied_at from admiral.migrations limit 1) m`.pipe(
            Effect.orDie
          ),
          () => Effect.orDie(sql`delete from admiral.migrations where name = '9999_of_tomorrow'`)
        )
      ),
    finds: { check: "migrations", saw: /9999_of_tomorrow/, cure: /install the version/ }
  }
]

const unwell = (findings: ReadonlyArray<Finding>) =>
  findings
    // The tests' own database is of a superuser.
    .filter(({ check, state }) => state !== "ok" && check !== "database role")
    .map(({ advice, check, saw, state }) => ({ check, state, saw, advice }))

const services = TestServer.layer.pipe(
  Layer.provideMerge(Layer.mergeAll(Registry.layer(config), Layer.orDie(Settings.layer)))
)

layer(services, { timeout: "2 minutes", excludeTestServices: true })("the doctor", (it) => {
  for (const part of ["agent", "server"] as const) {
    it.effect(`has nothing to say about a healthy ${part}`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(unwell(yield* asked(part, yield* healthy)), [])
      }).pipe(Effect.scoped)
    )
  }

  describe("finds what is broken, and nothing else, on a host", () => {
    for (const broken of [...AGENTS, ...SERVERS]) {
      const { finds, needs, part } = broken
      const isPossible = needs === undefined || (needs === "root" ? isRoot : canMount)
      const name = `${broken.host} (${part})${isPossible ? "" : `, left out: needs ${needs}`}`
      ;(isPossible ? it.effect : it.effect.skip)(name, () =>
        Effect.gen(function* () {
          const host = yield* healthy
          const breaking = broken.break(host)
          if (Effect.isEffect(breaking)) yield* breaking as Breaking
          const found = unwell(yield* asked(part, host))
          assert.deepStrictEqual(
            found.map(({ check, state }) => [check, state]),
            [[finds.check, finds.state ?? "failure"]],
            JSON.stringify(found, null, 2)
          )
          assert.match(found[0]!.saw, finds.saw)
          assert.match(found[0]!.advice ?? "", finds.cure)
        }).pipe(Effect.scoped)
      )
    }
  })
})
