/**
 * What the kernel counts of each cgroup, as the recorder needs it: CPU time, memory, its limit, and processes killed for want of it. Of
 * version 2, or of the version 1 controllers where memory is counted there.
 *
 * Bound: {@link CGROUPS_MAX} cgroups, {@link DEPTH_MAX} levels deep. One that vanishes while it is read is left out.
 */
import { readdirSync } from "node:fs"
import { ProcFiles } from "../collector/ProcFiles.ts"
import { KeptFiles } from "./KeptFiles.ts"

const CGROUPS_MAX = 1_000
const DEPTH_MAX = 8
/** Version 1 writes the largest number of pages for "no limit". */
const NO_LIMIT = 2 ** 60

export interface CgroupReading {
  /** Seconds of CPU time, of all processes it ever had; NaN where it is not told. */
  readonly cpuSeconds: number
  /** Bytes; NaN where it is not told. */
  readonly memory: number
}

export interface CgroupFiles {
  /** Paths of the cgroups that have processes of their own, such as `/system.slice/nginx.service`. */
  readonly list: () => ReadonlyArray<string>
  /** `isHot`: it is read each second, and its files stay open. */
  readonly read: (path: string, isHot: boolean) => CgroupReading | undefined
  /** Begins a sample. */
  readonly begin: () => void
  /** Bytes; undefined: none. */
  readonly limit: (path: string) => number | undefined
  /** Processes that were killed for want of memory in it; NaN where it is not told. */
  readonly oomKills: (path: string) => number
}

/**
 * The cgroups below `root`; undefined where there are none. Where version 2 has no controllers of its own (systemd's hybrid), CPU time is
 * still counted there, and memory by version 1, each for its own set of cgroups.
 */
export const cgroupFiles = (root = "/sys/fs/cgroup"): CgroupFiles | undefined => {
  const top = new ProcFiles(root)
  if (top.exists("cgroup.controllers")) {
    const all = hierarchy(root)
    return over({ cpu: [all], memory: all, isTwo: true })
  }
  const at = (name: string) => (top.exists(name) ? [hierarchy(`${root}/${name}`)] : [])
  const cpu = [...at("unified"), ...at("cpuacct"), ...at("cpu,cpuacct")]
  const [memory] = at("memory")
  return cpu.length === 0 && memory === undefined ? undefined : over({ cpu, memory, isTwo: false })
}

interface Hierarchy {
  readonly files: ProcFiles
  readonly kept: KeptFiles
}

const hierarchy = (root: string): Hierarchy => ({ files: new ProcFiles(root), kept: new KeptFiles(root) })

/** Of a file, from where it is read. */
const textOf = ({ files, kept }: Hierarchy, path: string, isHot: boolean) =>
  isHot ? kept.text(path) : files.text(path)

interface Hierarchies {
  readonly cpu: ReadonlyArray<Hierarchy>
  readonly memory: Hierarchy | undefined
  readonly isTwo: boolean
}

const over = ({ cpu, isTwo, memory }: Hierarchies): CgroupFiles => {
  const cpuSecondsOf = cpuReader(cpu)
  const all = [...new Set([...cpu, ...(memory === undefined ? [] : [memory])])]
  const ofMemory = (path: string, two: string, one: string, isHot = false) =>
    memory === undefined ? undefined : textOf(memory, `${path}/${isTwo ? two : one}`, isHot)
  return {
    begin: () => {
      for (const { kept } of all) kept.begin()
    },
    list: () => [...new Set(all.flatMap(({ files }) => cgroupsIn(files)))].slice(0, CGROUPS_MAX),
    read: (path, isHot) => {
      const cpuSeconds = cpuSecondsOf(path, isHot)
      const used = numberIn(ofMemory(path, "memory.current", "memory.usage_in_bytes", isHot))
      return Number.isNaN(cpuSeconds) && Number.isNaN(used) ? undefined : { cpuSeconds, memory: used }
    },
    limit: (path) => limitOf(numberIn(ofMemory(path, "memory.max", "memory.limit_in_bytes"))),
    oomKills: (path) => valueOf(ofMemory(path, "memory.events", "memory.oom_control"), "oom_kill")
  }
}

/** Reads CPU time where it is counted, and remembers where that is: a file that is missing costs more than one that is there. */
const cpuReader = (hierarchies: ReadonlyArray<Hierarchy>) => {
  const places = new Map<string, number>()
  const secondsAt = (of: Hierarchy, path: string, isHot: boolean): number => {
    const micros = valueOf(textOf(of, `${path}/cpu.stat`, isHot), "usage_usec")
    return Number.isNaN(micros) ? numberIn(textOf(of, `${path}/cpuacct.usage`, isHot)) / 1e9 : micros / 1e6
  }
  return (path: string, isHot: boolean): number => {
    const known = places.get(path)
    const seconds = known === undefined ? Number.NaN : secondsAt(hierarchies[known]!, path, isHot)
    if (!Number.isNaN(seconds)) return seconds
    if (places.size >= CGROUPS_MAX) places.clear()
    for (const [n, of] of hierarchies.entries()) {
      const found = secondsAt(of, path, isHot)
      if (Number.isNaN(found)) continue
      places.set(path, n)
      return found
    }
    return Number.NaN
  }
}

const cgroupsIn = (files: ProcFiles): ReadonlyArray<string> => {
  const found: Array<string> = []
  const waiting: Array<readonly [path: string, depth: number]> = [["", 0]]
  for (let next = waiting.shift(); next !== undefined && found.length < CGROUPS_MAX; next = waiting.shift()) {
    const [path, depth] = next
    if (path !== "" && (files.bytes(`${path}/cgroup.procs`)?.length ?? 0) > 0) found.push(path)
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

/** A limit in bytes, as the kernel writes it; undefined: there is none. */
export const limitOf = (bytes: number): number | undefined => (bytes >= 0 && bytes < NO_LIMIT ? bytes : undefined)
