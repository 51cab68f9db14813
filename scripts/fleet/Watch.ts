/**
 * What the watched processes and folders use while a fleet pushes: CPU time and memory of each process with all its descendants, and
 * what a folder takes on disk. From /proc, so of this machine and Linux only; what cannot be read is told as such and left out.
 *
 * A process's CPU time has that of children that have ended and were waited for, so a PostgreSQL whose connections come and go is told whole.
 * Memory is proportional (PSS) where the kernel lets us read it, as pages that several share then count once; else resident. Reading PSS
 * walks the page tables, some milliseconds a process. Bound: {@link PROCESSES_MAX} processes of a tree, {@link FILES_MAX} files of a folder.
 */
import { lstatSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"

const PROCESSES_MAX = 1_000
const FILES_MAX = 1_000_000
/** USER_HZ, which Linux has had at 100 on every architecture that Node runs on. */
const TICKS_A_SECOND = 100
const MIB = 1_048_576

export interface Watched {
  readonly name: string
  readonly pid: number
}

export interface UsedBy {
  readonly name: string
  /** Since the process began. */
  readonly cpuSeconds: number
  readonly memoryBytes: number
  /** Whether the memory is proportional. */
  readonly isProportional: boolean
  readonly processes: number
}

/** `ingest=123,redis=456`, or process ids alone; undefined where it is neither. */
export const watchedOf = (text: string): ReadonlyArray<Watched> | undefined => {
  const found = text.split(",").map((part) => /^(?:([\w.-]{1,40})=)?([1-9]\d{0,6})$/.exec(part.trim()))
  return found.every((one) => one !== null)
    ? found.map(([, name, pid]) => ({ name: name ?? pid!, pid: Number(pid) }))
    : undefined
}

/** Parent of each process. */
const parents = (): ReadonlyMap<number, number> => {
  const all = new Map<number, number>()
  for (const name of readdirSync("/proc")) {
    const stat = /^\d+$/.test(name) ? fieldsOf(Number(name)) : undefined
    if (stat !== undefined) all.set(Number(name), Number(stat[1]))
  }
  return all
}

/** Fields of /proc/PID/stat from the state on: what is before may hold blanks and brackets. */
const fieldsOf = (pid: number): ReadonlyArray<string> | undefined => {
  const text = textOf(`/proc/${pid}/stat`)
  return text?.slice(text.lastIndexOf(")") + 2).split(" ")
}

const textOf = (path: string): string | undefined => {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return undefined
  }
}

/** What each of them uses now; one that has ended is not in it. */
export const usedBy = (watched: ReadonlyArray<Watched>): ReadonlyArray<UsedBy> => {
  const childrenOf = Map.groupBy(parents(), ([, parent]) => parent)
  return watched.flatMap(({ name, pid }) => {
    const tree = [pid]
    for (let at = 0; at < tree.length && tree.length < PROCESSES_MAX; at++) {
      for (const [child] of childrenOf.get(tree[at]!) ?? []) tree.push(child)
    }
    const used = tree.flatMap((one) => usedByOne(one) ?? [])
    if (used.length === 0) return []
    return [
      {
        name,
        cpuSeconds: used.reduce((sum, one) => sum + one.ticks, 0) / TICKS_A_SECOND,
        memoryBytes: used.reduce((sum, one) => sum + one.bytes, 0),
        isProportional: used.every(({ isProportional }) => isProportional),
        processes: used.length
      }
    ]
  })
}

const usedByOne = (pid: number) => {
  const fields = fieldsOf(pid)
  const status = textOf(`/proc/${pid}/status`)
  if (fields === undefined || status === undefined) return undefined
  // utime, stime, cutime and cstime of proc_pid_stat(5).
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
  const proportional = kibOf(textOf(`/proc/${pid}/smaps_rollup`), "Pss")
  const bytes = 1_024 * (proportional ?? kibOf(status, "VmRSS") ?? 0)
  return { ticks, bytes, isProportional: proportional !== undefined }
}

const kibOf = (text: string | undefined, key: string): number | undefined => {
  const found = text === undefined ? null : new RegExp(`^${key}:\\s+(\\d+) kB`, "m").exec(text)
  return found === null ? undefined : Number(found[1])
}

/** What a folder takes on disk, as `du` counts it; undefined where it cannot be read. What vanishes meanwhile does not count. */
export const bytesOnDisk = (folder: string): number | undefined => {
  let left = FILES_MAX
  const ofFolder = (path: string): number => {
    let bytes = 0
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      if (left-- <= 0) return bytes
      const one = join(path, entry.name)
      try {
        bytes += entry.isDirectory() ? ofFolder(one) : 512 * lstatSync(one).blocks
      } catch {}
    }
    return bytes
  }
  try {
    return ofFolder(folder)
  } catch {
    return undefined
  }
}

export interface Sampler {
  /** What was used since the last time, as a line; undefined where nothing is watched. */
  readonly line: () => string | undefined
  /** What was used since the beginning, a line each, by row that was accepted. */
  readonly summary: (rows: number) => ReadonlyArray<string>
}

interface Moment {
  readonly at: number
  readonly used: ReadonlyMap<string, UsedBy>
  readonly disks: ReadonlyArray<number | undefined>
}

export const makeSampler = (
  watched: ReadonlyArray<Watched>,
  folders: ReadonlyArray<string>,
  monotonicMillis: () => number = () => performance.now()
): Sampler => {
  const most = new Map<string, number>()
  const look = (): Moment => {
    const used = usedBy(watched)
    for (const { memoryBytes, name } of used) most.set(name, Math.max(most.get(name) ?? 0, memoryBytes))
    return {
      at: monotonicMillis(),
      used: new Map(used.map((one) => [one.name, one])),
      disks: folders.map(bytesOnDisk)
    }
  }
  const began = look()
  let before = began
  const cpuOf = (from: Moment, to: Moment, name: string) =>
    to.used.has(name) ? to.used.get(name)!.cpuSeconds - (from.used.get(name)?.cpuSeconds ?? 0) : undefined
  const line = () => {
    if (watched.length + folders.length === 0) return undefined
    const now = look()
    const seconds = (now.at - before.at) / 1_000
    const parts = watched.map(({ name }) => {
      const used = now.used.get(name)
      if (used === undefined) return `${name} has ended`
      return `${name} ${((100 * cpuOf(before, now, name)!) / seconds).toFixed(1)} % ${mib(used.memoryBytes)}`
    })
    for (const [n, folder] of folders.entries()) parts.push(`${folder} ${mib(now.disks[n])}`)
    before = now
    return parts.join(" · ")
  }
  const summary = (rows: number) => {
    const now = look()
    const seconds = (now.at - began.at) / 1_000
    return [
      ...watched.map(({ name }) => {
        const cpu = cpuOf(began, now, name)
        if (cpu === undefined) return `${name.padEnd(10)} has ended`
        const memory = `${mib(now.used.get(name)!.memoryBytes)} ${now.used.get(name)!.isProportional ? "PSS" : "RSS"} at the end, ${mib(most.get(name))} at most`
        return `${name.padEnd(10)} ${((100 * cpu) / seconds).toFixed(1)} % of a core, ${microsOf(cpu, rows)} a row, ${memory}, ${now.used.get(name)!.processes} processes`
      }),
      ...folders.map((folder, n) => {
        const [from, to] = [began.disks[n], now.disks[n]]
        if (from === undefined || to === undefined) return `${folder} cannot be read`
        const each = rows === 0 ? "" : `, ${((to - from) / rows).toFixed(1)} B a row`
        return `${folder} ${mib(to)}, ${mib(to - from)} more than before${each}`
      })
    ]
  }
  return { line, summary }
}

const mib = (bytes: number | undefined) => (bytes === undefined ? "unreadable" : `${(bytes / MIB).toFixed(0)} MiB`)

const microsOf = (seconds: number, rows: number) => (rows === 0 ? "–" : `${((1e6 * seconds) / rows).toFixed(1)} µs`)
