/**
 * A machine's cgroups as folders, for tests: a root of a file system with a procfs whose mounts lie in it. Its clock stands
 * until a test moves it. CPU time is added where it is used, and counted by all that is above, as a kernel does.
 */
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { Effect, Result } from "effect"
import { TestClock } from "effect/testing"
import { cgroups } from "../../../src/plugins/cgroups/Cgroups.ts"
import { parseExposition } from "../../../src/plugins/Exposition.ts"
import { ProcFiles } from "../ProcFiles.ts"

const MOUNTS = {
  v2: ["cgroup2 / sys/fs/cgroup rw"],
  v1: ["cpu,cpuacct", "memory", "blkio", "pids"].map((each) => `cgroup / sys/fs/cgroup/${each} rw,${each}`),
  hybrid: [
    ...["cpu", "cpuacct", "memory"].map((each) => `cgroup / sys/fs/cgroup/${each} rw,${each}`),
    "cgroup2 / sys/fs/cgroup/unified rw"
  ]
} as const

export class CgroupMachine {
  readonly root: string
  readonly #used = new Map<string, number>()
  readonly #kind: keyof typeof MOUNTS
  #replaced = 0

  constructor(root: string, kind: keyof typeof MOUNTS) {
    this.root = root
    this.#kind = kind
    const lines = MOUNTS[kind].map((mount) => {
      const [type, of, folder, options] = mount.split(" ")
      return `31 23 0:28 ${of} /${folder} rw - ${type} ${type} ${options}`
    })
    this.write("proc/self/mountinfo", `22 1 0:20 / / rw - ext4 /dev/vda1 rw\n${lines.join("\n")}\n`)
    this.use("", 0)
  }

  get proc(): ProcFiles {
    return new ProcFiles(join(this.root, "proc"))
  }

  get disk(): ProcFiles {
    return new ProcFiles(this.root)
  }

  write(path: string, text: string): void {
    mkdirSync(dirname(join(this.root, path)), { recursive: true })
    writeFileSync(join(this.root, path), text)
  }

  /** Writes a file of a cgroup; on v1 into the controller's mount. */
  put(path: string, name: string, text: string, controller = "unified"): void {
    const mount =
      this.#kind === "v2" ? "" : controller === "cpu" && this.#kind === "v1" ? "/cpu,cpuacct" : `/${controller}`
    this.write(`sys/fs/cgroup${mount}${path}/${name}`, text)
  }

  /** CPU time is used in a cgroup, which is made where it is not there. In microseconds. */
  use(path: string, micros: number): void {
    for (let at = path; ; at = at.slice(0, at.lastIndexOf("/"))) {
      const used = (this.#used.get(at) ?? 0) + micros
      this.#used.set(at, used)
      if (this.#kind === "v1") this.put(at, "cpuacct.usage", `${used * 1_000}\n`, "cpu")
      else this.put(at, "cpu.stat", `usage_usec ${used}\nuser_usec ${used}\nsystem_usec 0\n`)
      if (at === "") return
    }
  }

  /** What the root has counted, in microseconds. */
  get total(): number {
    return this.#used.get("")!
  }

  /** The cgroups that are there, the root left out. */
  get paths(): ReadonlyArray<string> {
    return [...this.#used.keys()].filter((path) => path !== "")
  }

  /** A cgroup goes with all that is in it; what is above it keeps its time. */
  remove(path: string): void {
    const mount = this.#kind === "v2" ? "" : this.#kind === "v1" ? "/cpu,cpuacct" : "/unified"
    // Moved away, so that a later folder of that name is another one.
    renameSync(join(this.root, `sys/fs/cgroup${mount}${path}`), join(this.root, `removed-${++this.#replaced}`))
    for (const each of this.#used.keys()) if (each === path || each.startsWith(`${path}/`)) this.#used.delete(each)
  }
}

export const machine = (kind: keyof typeof MOUNTS) =>
  Effect.acquireRelease(
    Effect.sync(() => new CgroupMachine(mkdtempSync(join(tmpdir(), "nodepulse-cgroups-")), kind)),
    ({ root }) => Effect.sync(() => rmSync(root, { recursive: true, force: true }))
  )

/** The plugin's rows of what the collector says, by `slice/unit`. */
export const rowsOf = (text: string) => {
  const samples = Result.getOrThrow(parseExposition(text)).samples
  const { rows, skipped } = Result.getOrThrow(cgroups().parse(samples, new Date(8e15)))
  if (skipped.length > 0) throw new Error(JSON.stringify(skipped))
  return new Map(rows.map((row) => [row.slice === "" ? String(row.unit) : `${row.slice}/${row.unit}`, row]))
}

export const later = (seconds: number) => TestClock.adjust(`${seconds} seconds`)
