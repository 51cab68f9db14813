/**
 * A procfs for tests, of processes that run and of ones that are made up from them: the first are copied as they are, the
 * others get names, arguments, parents, users and control groups of all kinds. Both exporters can read it, at leisure.
 */
import { spawn } from "node:child_process"
import * as Fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"

/** A process that is made up. Latin-1: each character is a byte. */
export interface MadeUp {
  readonly pid: number
  readonly comm: string
  readonly args: ReadonlyArray<string>
  readonly parent?: number
  readonly uid?: number
  readonly cgroups?: ReadonlyArray<string>
}

const utf8 = (text: string): string => Buffer.from(text, "utf8").toString("latin1")

const CONTAINER = "5f8a1c0e2b7d4936a1b2c3d4e5f60718293a4b5c6d7e8f901234567890abcdef"

/** From programs that people watch, names that mean harm, and a small tree. */
export const MADE_UP: ReadonlyArray<MadeUp> = [
  { pid: 2, comm: "kthreadd", args: [], parent: 0 },
  { pid: 3, comm: "kworker/0:1", args: [], parent: 2 },
  { pid: 100, comm: "bash", args: ["-bash"], uid: 1 },
  { pid: 101, comm: "bash", args: ["bash", "deploy.sh", "--port", "8080"] },
  { pid: 102, comm: "postgres", args: ["postgres: shop app [local] idle"], uid: 1 },
  { pid: 103, comm: "postgres", args: ["/usr/lib/postgresql/15/bin/postgres", "-D", "/var/lib/pg"], uid: 1 },
  { pid: 104, comm: "postmaster", args: ["/usr/bin/postmaster", "-D", "/data/pg", "-p", "5432"] },
  { pid: 105, comm: "prometheus", args: ["/usr/local/bin/prometheus", "--config.file=p.yml"], uid: 4242 },
  { pid: 106, comm: "prometheus", args: ["./prometheus"] },
  { pid: 107, comm: "process-exporte", args: ["/usr/local/bin/process-exporter", "-config.path", "conf.d/all.yml"] },
  { pid: 108, comm: "upstart", args: ["/sbin/upstart", "--user"] },
  { pid: 109, comm: "chromium-browse", args: ["/usr/lib/chromium/chromium", "--type=renderer", "--lang=de "] },
  {
    pid: 110,
    comm: "redis-server",
    args: ["/usr/bin/redis-server *:6379", "", "", ""],
    cgroups: [`0::/system.slice/docker-${CONTAINER}.scope`]
  },
  {
    pid: 111,
    comm: "java",
    args: ["java", "-Dcatalina.home=/opt/shop/storage", "org.apache.catalina.startup.Bootstrap", "start"]
  },
  {
    pid: 112,
    comm: "java",
    args: ["/usr/bin/java", "-Xmx1g", "-cp", "a.jar:b.jar", "org.elasticsearch.bootstrap.Elasticsearch"]
  },
  {
    pid: 113,
    comm: "java",
    args: ["java", "-jar", "/opt/shop/shop-1.4.jar", "--port=9090"],
    cgroups: ["5:cpu:/a", "0::/a:b/c d"]
  },
  { pid: 114, comm: "java", args: ["java"] },
  { pid: 115, comm: "python3", args: ["python3", "-u", "/srv/app/worker.py", "--queue", "mail"] },
  { pid: 116, comm: "python3", args: ["/usr/bin/python3", "-m", "http.server", "8000"] },
  { pid: 117, comm: "MainThread", args: ["node", "/srv/app/server.mjs"], cgroups: [] },
  { pid: 118, comm: "hello", args: ["/nix/store/abc-hello-1.0/bin/hello", "--greeting", "x y"] },
  { pid: 119, comm: "1234", args: ["7z", "a"] },
  { pid: 120, comm: "007", args: ["bond"] },
  { pid: 121, comm: "1.10", args: ["version"] },
  { pid: 122, comm: "yes", args: ["yes"] },
  { pid: 123, comm: "1e3", args: ["x"] },
  { pid: 124, comm: "postgres", args: ["/opt/other/postgres"] },
  { pid: 125, comm: "np-slash", args: ["/srv/np-zoo-slash///", "y"] },
  { pid: 126, comm: "np-root", args: ["///"] },
  { pid: 127, comm: "np-empty", args: [""] },
  { pid: 128, comm: "np-relative", args: ["./np-relative", "np-zoo-9"] },
  { pid: 129, comm: "np zoo", args: ["np-zoo", "number", "12", "np-one two-three"] },
  { pid: 130, comm: "{{.PID}}", args: ["{{.Comm}}", "{{"] },
  { pid: 131, comm: 'np") (q', args: ["np-zoo", "hostile", '"}\\'] },
  { pid: 132, comm: "np'\\q", args: ['np-zoo hostile "quoted\\" {x="y"} 1\n', "z"] },
  { pid: 133, comm: "np\nline", args: ["first\nsecondline\nthird", "\r\t"] },
  { pid: 134, comm: utf8("näme €"), args: [utf8("Γεια: σου"), utf8("größe\u{1f600}")] },
  { pid: 135, comm: "np-bytes", args: ["np-zoo", "bytes", "a\xffb\xe2\x82end"] },
  { pid: 136, comm: "np-long", args: [`/srv/${"x".repeat(4_000)}`, "y".repeat(600), "z"] },
  { pid: 137, comm: "%s%n$(id)`", args: ["%d", "$HOME", "'; drop table x; --"] },
  { pid: 138, comm: "", args: ["np-no-comm"] },
  { pid: 139, comm: "np-blank", args: [" ", "  "] },
  { pid: 140, comm: "np-colon", args: ["word: WORT and words"] },
  { pid: 200, comm: "np-launcher", args: ["np-launcher"] },
  { pid: 201, comm: "np-child", args: ["np-child"], parent: 200 },
  { pid: 202, comm: "np-inner", args: ["np-inner"], parent: 201 },
  { pid: 203, comm: "np-leaf", args: ["np-leaf"], parent: 202 },
  { pid: 199, comm: "np-leaf", args: ["np-leaf"], parent: 203 },
  { pid: 204, comm: "np-orphan", args: ["np-orphan"], parent: 4_000_000 },
  { pid: 205, comm: "np-zombie", args: [], parent: 202 }
]

/** Programs that run while a test does: with names that a shell can give them. Resolves to their pids. */
export const running = Effect.gen(function* () {
  const folder = yield* temporaryFolder
  const named = (name: string) => {
    Fs.symlinkSync("/bin/sleep", join(folder, name))
    return join(folder, name)
  }
  const script = join(folder, "np-serve.mjs")
  Fs.writeFileSync(script, "setInterval(() => {}, 1000)\n")
  return yield* Effect.all([
    started("/bin/sleep", ["3600"], "np-zoo: worker 7 --port=7070"),
    started(named("np) (zoo"), ["3601"]),
    started(named("np-{{.PID}}"), ["3602"], "np-zoo hostile {{.ExeFull}}"),
    started(process.execPath, [script, "--port", "7071"]),
    started("/bin/sh", ["-c", "sleep 3603; true"], "np-shell")
  ])
})

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(join(tmpdir(), "nodepulse-zoo-"))),
  (path) => Effect.sync(() => Fs.rmSync(path, { recursive: true, force: true }))
)

/** A process with all that it starts, killed with the scope. */
const started = (command: string, args: ReadonlyArray<string>, argv0?: string) =>
  Effect.acquireRelease(
    Effect.sync(
      () => spawn(command, args, { stdio: "ignore", detached: true, ...(argv0 === undefined ? {} : { argv0 }) }).pid!
    ),
    (pid) => Effect.sync(() => process.kill(-pid, "SIGKILL"))
  )

/** Files of a process that an exporter reads; those that the kernel does not show stay away. */
const FILES = ["stat", "status", "cmdline", "cgroup", "io", "limits", "comm", "wchan"]

/** The procfs: `pids` as they are now, and the made up ones in the likeness of the first. Resolves to its folder. */
export const snapshot = (pids: ReadonlyArray<number>) =>
  Effect.map(temporaryFolder, (folder) => {
    for (const file of ["stat", "uptime"]) Fs.writeFileSync(join(folder, file), Fs.readFileSync(`/proc/${file}`))
    for (const pid of pids) copyProcess(pid, join(folder, String(pid)))
    for (const one of MADE_UP) {
      const to = join(folder, String(one.pid))
      copyProcess(pids[0]!, to)
      makeUp(one, to)
    }
    return folder
  })

const copyProcess = (pid: number, to: string): void => {
  Fs.mkdirSync(join(to, "fd"), { recursive: true })
  for (const file of FILES) {
    try {
      Fs.writeFileSync(join(to, file), Fs.readFileSync(`/proc/${pid}/${file}`))
    } catch {
      // Some kernels have it not, or not for everybody.
    }
  }
}

const makeUp = (
  { args, cgroups = ["0::/np.slice/np.service"], comm, parent = 1, pid, uid = 0 }: MadeUp,
  to: string
): void => {
  const stat = Fs.readFileSync(join(to, "stat"), "latin1")
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  fields[1] = String(parent)
  if (args.length === 0 && parent > 2) fields[0] = "Z"
  const write = (file: string, text: string) => Fs.writeFileSync(join(to, file), text, "latin1")
  write("stat", `${pid} (${comm}) ${fields.join(" ")}`)
  write("cmdline", args.map((arg) => `${arg}\0`).join(""))
  write("cgroup", cgroups.map((line) => `${line}\n`).join(""))
  const status = Fs.readFileSync(join(to, "status"), "latin1").replace(/^Uid:.*$/m, `Uid:\t0\t${uid}\t0\t0`)
  write("status", status.replace(/^Name:.*$/m, "Name:\tx"))
}
