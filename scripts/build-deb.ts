/**
 * Makes the Debian packages of what `npm run build` made, in `dist/deb/`, by `dpkg-deb`:
 *
 * - `nodepulse-runtime` (this machine's architecture): the Node of `node_modules`, as `/usr/lib/nodepulse/node`
 * - `nodepulse-agent`, `nodepulse-hands`, `nodepulse-server` (all architectures): they need the runtime, or a `nodejs` that is new enough
 *
 * The runtime is a package of its own because it changes seldom: an upgrade of the agent is then a few hundred KiB a
 * machine and not 40 MiB.
 *
 * `--version 1.2.3` names another version than package.json's (for the tests of upgrades), `--only NAME` makes one
 * package, `--out FOLDER` puts them elsewhere, `--fast` compresses less. The same sources give the same bytes: times are those of SOURCE_DATE_EPOCH, else of the last commit.
 */
import { execFileSync } from "node:child_process"
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import { parseArgs } from "node:util"
import { gzipSync } from "node:zlib"

const root = join(import.meta.dirname, "..")
const dist = join(root, "dist")
const out = join(dist, "deb")
const packaging = join(root, "packaging")

const { values: flags } = parseArgs({
  options: {
    version: { type: "string" },
    only: { type: "string" },
    out: { type: "string" },
    fast: { type: "boolean", default: false }
  }
})

const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  readonly version: string
  readonly dependencies: Readonly<Record<string, string>>
}
const version = flags.version ?? manifest.version
const runtimeVersion = manifest.dependencies.node!

interface Package {
  readonly name: string
  readonly version: string
  readonly architecture: string
  /** The unit, its user and what it leaves behind; none for a package without a service. */
  readonly service?: {
    readonly unit: string
    /** A drop-in for the unit, which is brought and not in force. */
    readonly dropIn?: string
    readonly user: string
    readonly state: string
    readonly secrets: string
    /** What the owner of the machine writes for it, and a purge takes away: it must not hold for a package that is installed later. */
    readonly owners?: string
    /** The file for the token that this machine is given when it is enrolled; none where it is not. */
    readonly token?: string
    readonly command: string
    readonly program: string
    readonly environment: string
    /** The configuration file below `/etc/nodepulse`, and who may read it; none where the owner writes it. */
    readonly conffile?: string
  }
  readonly docs: ReadonlyArray<string>
  /** Puts the package's own files below the folder. */
  readonly fill: (folder: string) => void
}

const packages: ReadonlyArray<Package> = [
  {
    name: "nodepulse-runtime",
    version: runtimeVersion,
    architecture: run("dpkg", "--print-architecture"),
    docs: [],
    fill: (folder) => {
      const node = join(root, "node_modules", "node")
      put(join(folder, "usr/lib/nodepulse/node"), readFileSync(join(node, "bin", "node")), 0o755)
    }
  },
  {
    name: "nodepulse-agent",
    version,
    architecture: "all",
    service: {
      unit: "nodepulse-agent.service",
      dropIn: "nodepulse-agent-sees-all.conf",
      user: "nodepulse-agent",
      state: "/var/lib/nodepulse-agent",
      secrets: "/etc/nodepulse/agent.token",
      token: "/etc/nodepulse/agent.token",
      command: "nodepulse-agent",
      program: "/usr/lib/nodepulse-agent/nodepulse-agent.mjs",
      environment: "/etc/nodepulse/agent.env",
      conffile: "nodepulse.yml",
      owners: "/etc/nodepulse/agent.env"
    },
    docs: ["process-monitoring.md", "security.md", "short-lived.md", "troubleshooting.md"],
    fill: (folder) =>
      put(
        join(folder, "usr/lib/nodepulse-agent/nodepulse-agent.mjs"),
        readFileSync(join(dist, "agent", "nodepulse-agent.mjs"))
      )
  },
  {
    name: "nodepulse-hands",
    version,
    architecture: "all",
    service: {
      unit: "nodepulse-hands.service",
      user: "nodepulse-hands",
      state: "/var/lib/nodepulse-hands",
      secrets: "",
      owners: [
        "/etc/nodepulse/hands.yml",
        "/etc/nodepulse/hands.env",
        "/etc/polkit-1/rules.d/50-nodepulse-hands.rules",
        "/etc/sudoers.d/nodepulse-hands"
      ].join(" "),
      command: "nodepulse-hands",
      program: "/usr/lib/nodepulse-hands/nodepulse-hands.mjs",
      environment: "/etc/nodepulse/hands.env"
    },
    docs: ["acting.md", "security.md"],
    fill: (folder) => {
      const own = join(folder, "usr/lib/nodepulse-hands")
      put(join(own, "nodepulse-hands.mjs"), readFileSync(join(dist, "hands", "nodepulse-hands.mjs")))
      put(join(own, "revert"), readFileSync(join(packaging, "hands", "revert")), 0o755)
      const unit = "nodepulse-hands-revert@.service"
      put(join(folder, "lib/systemd/system", unit), readFileSync(join(packaging, "systemd", unit)))
    }
  },
  {
    name: "nodepulse-server",
    version,
    architecture: "all",
    service: {
      unit: "nodepulse-server.service",
      user: "nodepulse",
      state: "/var/lib/nodepulse",
      secrets: "/etc/nodepulse/server.env",
      command: "nodepulse",
      program: "/usr/lib/nodepulse-server/lib/nodepulse.mjs",
      environment: "/etc/nodepulse/server.env",
      conffile: "server.env"
    },
    docs: [
      "process-monitoring.md",
      "deployment.md",
      "limits.md",
      "rules.md",
      "notify.md",
      "security.md",
      "troubleshooting.md"
    ],
    fill: (folder) => cpSync(join(dist, "server"), join(folder, "usr/lib/nodepulse-server"), { recursive: true })
  }
]

const epoch = process.env.SOURCE_DATE_EPOCH ?? lastCommit()
const target = flags.out ?? out
if (flags.only === undefined && flags.out === undefined) rmSync(out, { recursive: true, force: true })
mkdirSync(target, { recursive: true })
for (const one of packages) if (flags.only === undefined || flags.only === one.name) build(one)

function build({ architecture, docs, fill, name, service, version }: Package): void {
  const folder = join(dist, "deb-work", `${name}-${version}`)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(join(folder, "DEBIAN"), { recursive: true })
  fill(folder)
  const templates = join(packaging, "debian", name)
  const values: Record<string, string> = {
    VERSION: version,
    RUNTIME_VERSION: version,
    ARCHITECTURE: architecture,
    NAME: service?.command ?? "",
    PROGRAM: service?.program ?? "",
    ENVIRONMENT: service?.environment ?? "",
    UNIT: service?.unit ?? "",
    USER: service?.user ?? "",
    STATE: service?.state ?? "",
    SECRETS: service?.secrets ?? "",
    OWNERS: service?.owners ?? "",
    TOKEN: service?.token ?? "",
    CONFIGURATION: `/etc/nodepulse/${service?.conffile ?? ""}`
  }
  const template = (path: string) => readFileSync(path, "utf8").replace(/@([A-Z_]+)@/g, (_, key) => values[key]!)
  if (service !== undefined) {
    put(join(folder, "usr/bin", service.command), template(join(packaging, "debian", "launcher.sh")), 0o755)
    put(join(folder, "lib/systemd/system", service.unit), readFileSync(join(packaging, "systemd", service.unit)))
    if (service.dropIn !== undefined) {
      put(join(folder, "usr/lib", name, service.dropIn), readFileSync(join(packaging, "systemd", service.dropIn)))
    }
    if (service.conffile !== undefined) {
      const conffile = join(folder, "etc/nodepulse", service.conffile)
      put(conffile, readFileSync(join(templates, service.conffile)), service.conffile.endsWith(".env") ? 0o640 : 0o644)
      put(join(folder, "DEBIAN", "conffiles"), readFileSync(join(templates, "conffiles")))
    }
    for (const script of ["postinst", "prerm", "postrm"]) {
      put(join(folder, "DEBIAN", script), template(join(packaging, "debian", `${script}.sh`)), 0o755)
    }
  }
  const shared = join(folder, "usr/share/doc", name)
  put(join(shared, "copyright"), readFileSync(join(packaging, "debian", "copyright")))
  const date = run("date", "--utc", "--rfc-email", `--date=@${epoch}`)
  const changelog = `${name} (${version}) stable; urgency=medium\n\n  * See CHANGELOG.md of this version.\n\n -- NodePulse <maintainers@nodepulse.example>  ${date}\n`
  put(join(shared, "changelog.gz"), gzipSync(changelog, { level: 9 }))
  for (const doc of docs) {
    const path = join(root, "docs", doc)
    if (existsSync(path)) put(join(shared, doc), readFileSync(path))
  }
  put(join(shared, "THIRD_PARTY.md"), readFileSync(join(root, "THIRD_PARTY.md")))
  const bom = join(dist, "sbom.cdx.json")
  if (existsSync(bom)) put(join(shared, "sbom.cdx.json.gz"), gzipSync(readFileSync(bom), { level: 9 }))
  const kib = Number(run("du", "-sk", "--apparent-size", "--exclude=DEBIAN", folder).split("\t")[0])
  const control = template(join(templates, "control")).trimEnd()
  put(join(folder, "DEBIAN", "control"), control.replace(/^(Priority:.*)$/m, `$1\nInstalled-Size: ${kib}`).concat("\n"))
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) chmodSync(join(entry.parentPath, entry.name), 0o755)
  }
  chmodSync(folder, 0o755)
  const file = join(target, `${name}_${version}_${architecture}.deb`)
  execFileSync(
    "dpkg-deb",
    ["--root-owner-group", ...(flags.fast ? ["-Zgzip", "-z1"] : ["-Zxz", "-z6"]), "--build", folder, file],
    {
      stdio: ["ignore", "ignore", "inherit"],
      env: { ...process.env, SOURCE_DATE_EPOCH: epoch }
    }
  )
  rmSync(folder, { recursive: true, force: true })
  process.stdout.write(`${relative(root, file)}\n`)
}

function put(path: string, content: string | Uint8Array, mode = 0o644): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, content)
  chmodSync(path, mode)
}

function run(command: string, ...args: ReadonlyArray<string>): string {
  return execFileSync(command, args, { encoding: "utf8" }).trim()
}

/** Seconds; a folder that is no checkout has none. */
function lastCommit(): string {
  try {
    return execFileSync("git", ["log", "-1", "--format=%ct"], { cwd: root, encoding: "utf8" }).trim() || "0"
  } catch {
    return "0"
  }
}
