/**
 * What the files of one cgroup say, v1 or v2, in one shape. CPU time is read always; all else only where the cgroup used
 * some since it was last read, and once a minute: an idle unit costs one small file.
 *
 * Undefined is what this kernel or this cgroup does not tell. A cgroup that vanishes while it is read has no reading at
 * all. Cost: some 12 small files for a busy unit.
 */
import type { ProcFiles } from "../ProcFiles.ts"
import type { CgroupMounts } from "./CgroupMounts.ts"

/** What only grows, in the order of the readings' arrays. Times are in microseconds. NaN: not told. */
export const COUNTERS = [
  "cpu",
  "read",
  "written",
  "oomKills",
  "periods",
  "throttledPeriods",
  "throttled",
  "cpuSome",
  "memorySome",
  "memoryFull",
  "ioSome",
  "ioFull"
] as const
export type Counter = (typeof COUNTERS)[number]

/** What goes up and down. */
export interface Levels {
  readonly memory?: number | undefined
  readonly anon?: number | undefined
  readonly peak?: number | undefined
  readonly limit?: number | undefined
  readonly threads?: number | undefined
  readonly processes?: number | undefined
  /** The quota, in cores. */
  readonly cores?: number | undefined
}

export interface CgroupReading {
  /** Tells the cgroup from a later one of the same path. */
  readonly inode: number
  readonly counters: Float64Array
  readonly levels: Levels
}

export interface ReadOptions {
  /** The root of the hierarchy: some files are not there, others say something else. */
  readonly isRoot: boolean
  /** Whether cgroups below it belong to it, with all that they count. */
  readonly isWhole: boolean
  /** Cgroups below it whose processes are its own. */
  readonly passed: ReadonlyArray<string>
  /** What it said last. Its levels are kept where it used no CPU since. */
  readonly before: CgroupReading | undefined
  /** Whether all is read, whatever it used. */
  readonly isDue: boolean
}

/** More folders than this are not looked through for a unit's processes. */
const NESTED_MAX = 64
/** A limit beyond this is none: v1 tells the largest page count. */
const UNLIMITED = 2 ** 60

export class CgroupFiles {
  readonly #disk: ProcFiles
  readonly #mounts: CgroupMounts
  readonly #stacked: ReadonlySet<string>

  /** `stacked`: numbers of devices that pass on to others, whose traffic is told twice. */
  constructor(disk: ProcFiles, mounts: CgroupMounts, stacked: ReadonlySet<string>) {
    this.#disk = disk
    this.#mounts = mounts
    this.#stacked = stacked
  }

  /** The reading of a cgroup, by its path without a slash at its end; undefined where it is gone or may not be read. */
  read(path: string, asked: ReadOptions): CgroupReading | undefined {
    const stat = this.#cpuStat(path)
    const cpu = this.#cpu(stat, path, asked.isRoot)
    if (cpu === undefined) return undefined
    const inode = this.#disk.inode(`${this.#mounts.cpu.folder}${path}`)
    if (inode === undefined) return undefined
    // One of another inode was another cgroup, with limits of its own.
    const before = asked.before?.inode === inode ? asked.before : undefined
    const options = { ...asked, before }
    if (before !== undefined && !options.isDue && before.counters[0] === cpu) return before
    const counters = Float64Array.from([
      cpu,
      ...this.#devices(path),
      this.#oomKills(path, options),
      ...this.#throttling(path),
      ...this.#pressure(path)
    ])
    const levels = {
      ...this.#memory(path, options.isRoot),
      ...this.#tasks(path, options),
      ...this.#settings(path, options)
    }
    // Gone meanwhile: what was read is of a cgroup half taken down.
    return this.#disk.inode(`${this.#mounts.cpu.folder}${path}`) === inode ? { inode, counters, levels } : undefined
  }

  #text(folder: string | undefined, path: string, name: string): string | undefined {
    return folder === undefined ? undefined : this.#disk.text(`${folder}${path}/${name}`)
  }

  #number(folder: string | undefined, path: string, name: string): number | undefined {
    return wholeNumber(this.#text(folder, path, name))
  }

  #cpuStat(path: string): string | undefined {
    const { folder, version } = this.#mounts.cpu
    return this.#text(folder, path, version === 2 ? "cpu.stat" : "cpuacct.usage")
  }

  #cpu(stat: string | undefined, _path: string, isRoot: boolean): number | undefined {
    if (stat === undefined) return undefined
    if (this.#mounts.cpu.version === 1) {
      const nanos = wholeNumber(stat)
      return nanos === undefined ? undefined : Math.round(nanos / 1_000)
    }
    // Of the root, older kernels count in what the hypervisor stole.
    const [user, system] = [field(stat, "user_usec"), field(stat, "system_usec")]
    return isRoot && user !== undefined && system !== undefined ? user + system : field(stat, "usage_usec")
  }

  #throttling(path: string): ReadonlyArray<number> {
    const { quota, version } = this.#mounts
    const stat = this.#text(quota, path, "cpu.stat")
    const throttled = version === 2 ? field(stat, "throttled_usec") : scaled(field(stat, "throttled_time"), 1 / 1_000)
    return [field(stat, "nr_periods"), field(stat, "nr_throttled"), throttled].map(orNaN)
  }

  #pressure(path: string): ReadonlyArray<number> {
    const { pressure } = this.#mounts
    const of = (resource: string) => this.#text(pressure, path, `${resource}.pressure`)
    const [cpu, memory, io] = [of("cpu"), of("memory"), of("io")]
    const told = [
      [cpu, "some"],
      [memory, "some"],
      [memory, "full"],
      [io, "some"],
      [io, "full"]
    ] as const
    return told.map(([text, kind]) => orNaN(stalled(text, kind)))
  }

  #devices(path: string): ReadonlyArray<number> {
    const { devices, version } = this.#mounts
    const isV2 = version === 2
    const text = this.#text(devices, path, isV2 ? "io.stat" : "blkio.throttle.io_service_bytes_recursive")
    if (text === undefined) return [Number.NaN, Number.NaN]
    let [read, written] = [0, 0]
    for (const line of text.split("\n")) {
      if (this.#stacked.has(line.slice(0, Math.max(0, line.indexOf(":"))))) continue
      read += Number((isV2 ? /rbytes=(\d+)/ : /^\d+:\d+ Read (\d+)/).exec(line)?.[1] ?? 0)
      written += Number((isV2 ? /wbytes=(\d+)/ : /^\d+:\d+ Write (\d+)/).exec(line)?.[1] ?? 0)
    }
    return [read, written]
  }

  #oomKills(path: string, { isWhole }: ReadOptions): number {
    const { memory, version } = this.#mounts
    if (version === 1) return orNaN(field(this.#text(memory, path, "memory.oom_control"), "oom_kill"))
    const text = this.#text(memory, path, isWhole ? "memory.events" : "memory.events.local")
    return orNaN(field(text, "oom_kill"))
  }

  #memory(path: string, isRoot: boolean): Levels {
    const { memory, version } = this.#mounts
    const stat = this.#text(memory, path, "memory.stat")
    if (stat === undefined) return {}
    if (version === 1) {
      const used = this.#number(memory, path, "memory.usage_in_bytes")
      return { memory: less(used, field(stat, "total_inactive_file")), anon: field(stat, "total_rss") }
    }
    const used = isRoot ? rootMemory(stat) : this.#number(memory, path, "memory.current")
    return { memory: less(used, field(stat, "inactive_file")), anon: field(stat, "anon") }
  }

  #tasks(path: string, { isWhole, passed }: ReadOptions): Levels {
    const threads = this.#number(this.#mounts.threads, path, "pids.current")
    const own = [path, ...passed].reduce((total, each) => total + this.#processesIn(each), 0)
    // A unit may have cgroups of its own, with all of its processes in those.
    const processes = own === 0 && isWhole && passed.length === 0 ? this.#processesBelow(path) : own
    return { threads, processes }
  }

  #processesIn(path: string): number {
    const text = this.#text(this.#mounts.cpu.folder, path, "cgroup.procs")
    let lines = 0
    for (let at = text?.indexOf("\n") ?? -1; at >= 0; at = text!.indexOf("\n", at + 1)) lines++
    return lines
  }

  #processesBelow(path: string): number {
    const waiting = [path]
    let total = 0
    for (let seen = 0; seen < NESTED_MAX && waiting.length > 0; seen++) {
      const next = waiting.pop()!
      if (next !== path) total += this.#processesIn(next)
      const names = this.#disk.folders(`${this.#mounts.cpu.folder}${next}`) ?? []
      waiting.push(...names.slice(0, NESTED_MAX).map((name) => `${next}/${name}`))
    }
    return total
  }

  /** What changes seldom: with the last reading of the same cgroup it is read once a minute. */
  #settings(path: string, { before, isDue, isRoot }: ReadOptions): Levels {
    if (isRoot) return {}
    if (before !== undefined && !isDue) {
      const { cores, limit, peak } = before.levels
      return { cores, limit, peak }
    }
    const { memory, quota, version } = this.#mounts
    const isV2 = version === 2
    const limit = this.#number(memory, path, isV2 ? "memory.max" : "memory.limit_in_bytes")
    const [allowed, period] = isV2
      ? (this.#text(quota, path, "cpu.max") ?? "").split(" ").map(Number)
      : [this.#number(quota, path, "cpu.cfs_quota_us"), this.#number(quota, path, "cpu.cfs_period_us")]
    const cores = (allowed ?? Number.NaN) / (period ?? Number.NaN)
    return {
      peak: this.#number(memory, path, isV2 ? "memory.peak" : "memory.max_usage_in_bytes"),
      limit: limit !== undefined && limit < UNLIMITED ? limit : undefined,
      cores: cores > 0 && Number.isFinite(cores) ? cores : undefined
    }
  }
}

/** Numbers of the drivers whose devices lie on others, from `/proc/devices`. */
export const stackedDrivers = (proc: ProcFiles): ReadonlySet<string> => {
  const [, blocks = ""] = (proc.text("devices") ?? "").split("Block devices:")
  return new Set(
    [...blocks.matchAll(/^ *(\d+) (?:device-mapper|md|mdp|loop|zram|ramdisk)$/gm)].map(([, major]) => major!)
  )
}

/** `key 123` at the beginning of a line. */
const field = (text: string | undefined, key: string): number | undefined => {
  if (text === undefined) return undefined
  for (let at = text.indexOf(key); at >= 0; at = text.indexOf(key, at + 1)) {
    if ((at === 0 || text[at - 1] === "\n") && text[at + key.length] === " ")
      return wholeNumber(text.slice(at + key.length + 1, at + key.length + 22))
  }
  return undefined
}

/** `some avg10=0.00 … total=123`: microseconds. */
const stalled = (text: string | undefined, kind: "some" | "full"): number | undefined => {
  const line = text?.split("\n").find((each) => each.startsWith(kind))
  return wholeNumber(line?.slice(line.lastIndexOf("=") + 1))
}

const wholeNumber = (text: string | undefined): number | undefined => {
  const digits = text === undefined ? undefined : /^\d{1,20}/.exec(text)?.[0]
  return digits === undefined ? undefined : Number(digits)
}

/** The root of v2 has no memory.current: what its statistics add up to. */
const rootMemory = (stat: string): number | undefined => {
  const [anon, file] = [field(stat, "anon"), field(stat, "file")]
  if (anon === undefined || file === undefined) return undefined
  const parts = ["slab", "kernel_stack", "pagetables", "percpu"].map((key) => field(stat, key) ?? 0)
  const kernel = field(stat, "kernel") ?? parts.reduce((total, part) => total + part, 0)
  return anon + file + kernel + (field(stat, "sock") ?? 0)
}

const less = (used: number | undefined, idle: number | undefined): number | undefined =>
  used === undefined ? undefined : Math.max(0, used - (idle ?? 0))
const scaled = (value: number | undefined, by: number): number | undefined =>
  value === undefined ? undefined : Math.round(value * by)
const orNaN = (value: number | undefined): number => value ?? Number.NaN
