/**
 * What the kernel counts of each cgroup, as the recorder needs it: CPU time, memory, its limit, and processes killed for want of it. Of
 * version 2, or of the version 1 controllers where memory is counted there.
 *
 * Bound: {@link CGROUPS_MAX} cgroups, {@link DEPTH_MAX} levels deep. One that vanishes while it is read is left out.
 */
import { readdirSync } from "node:fs"
import { ProcFiles } from "../collector/ProcFiles.ts"

const CGROUPS_MAX = 1_000
const DEPTH_MAX = 8
/** Version 1 writes the largest number of pages for "no limit". */
const NO_LIMIT = 2 ** 60

export interface CgroupReading {
  /** Seconds of CPU time, of all processes it ever had. */
  readonly cpuSeconds: number
  readonly memory: number
}

export interface CgroupFiles {
  /** Paths of the cgroups that have processes of their own, such as `/system.slice/nginx.service`. */
  readonly list: () => ReadonlyArray<string>
  readonly read: (path: string) => CgroupReading | undefined
  /** Bytes; undefined: none. */
  readonly limit: (path: string) => number | undefined
  /** Processes that were killed for want of memory in it; NaN where it is not told. */
  readonly oomKills: (path: string) => number
}

/** The cgroups below `root`; undefined where there are none that count memory. */
export const cgroupFiles = (root = "/sys/fs/cgroup"): CgroupFiles | undefined => {
  const top = new ProcFiles(root)
  if (top.exists("cgroup.controllers")) return versionTwo(top)
  if (top.exists("memory/memory.usage_in_bytes")) return versionOne(new ProcFiles(`${root}/memory`), cpuAccounts(top))
  return undefined
}

const cpuAccounts = (top: ProcFiles): ProcFiles => {
  const found = ["cpuacct", "cpu,cpuacct", "cpu"].find((name) => top.exists(`${name}/cpuacct.usage`))
  return new ProcFiles(`${top.root}/${found ?? "cpuacct"}`)
}

const versionTwo = (files: ProcFiles): CgroupFiles => ({
  list: () => cgroupsIn(files),
  read: (path) => {
    const micros = valueOf(files.text(`${path}/cpu.stat`), "usage_usec")
    const memory = numberIn(files.text(`${path}/memory.current`))
    return Number.isNaN(micros) && Number.isNaN(memory) ? undefined : { cpuSeconds: micros / 1e6, memory }
  },
  limit: (path) => limitOf(numberIn(files.text(`${path}/memory.max`))),
  oomKills: (path) => valueOf(files.text(`${path}/memory.events`), "oom_kill")
})

const versionOne = (memory: ProcFiles, cpu: ProcFiles): CgroupFiles => ({
  list: () => cgroupsIn(memory),
  read: (path) => {
    const used = numberIn(memory.text(`${path}/memory.usage_in_bytes`))
    if (Number.isNaN(used)) return undefined
    return { cpuSeconds: numberIn(cpu.text(`${path}/cpuacct.usage`)) / 1e9, memory: used }
  },
  limit: (path) => limitOf(numberIn(memory.text(`${path}/memory.limit_in_bytes`))),
  oomKills: (path) => valueOf(memory.text(`${path}/memory.oom_control`), "oom_kill")
})

const cgroupsIn = (files: ProcFiles): ReadonlyArray<string> => {
  const found: Array<string> = []
  const waiting: Array<readonly [path: string, depth: number]> = [["", 0]]
  for (let next = waiting.shift(); next !== undefined && found.length < CGROUPS_MAX; next = waiting.shift()) {
    const [path, depth] = next
    if (path !== "" && files.isFilled(`${path}/cgroup.procs`)) found.push(path)
    if (depth >= DEPTH_MAX) continue
    for (const name of foldersIn(`${files.root}${path}`)) {
      if (waiting.length < CGROUPS_MAX) waiting.push([`${path}/${name}`, depth + 1])
    }
  }
  return found
}

const foldersIn = (path: string): ReadonlyArray<string> => {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
  } catch {
    return []
  }
}

const numberIn = (text: string | undefined): number => (text === undefined ? Number.NaN : Number.parseInt(text, 10))

/** The number behind a name at the beginning of a line. */
const valueOf = (text: string | undefined, name: string): number => {
  for (const line of (text ?? "").split("\n"))
    if (line.startsWith(`${name} `)) return Number(line.slice(name.length + 1))
  return Number.NaN
}

const limitOf = (bytes: number): number | undefined => (bytes >= 0 && bytes < NO_LIMIT ? bytes : undefined)
