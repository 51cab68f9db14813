/** A procfs and cgroups of our own making in a folder, for the tests of the recorder: whatever they say is what a machine says. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { ProcFiles } from "../collector/ProcFiles.ts"
import { cgroupFiles } from "./CgroupFiles.ts"
import { FlightRecorder, type RecorderSources } from "./FlightRecorder.ts"
import { type KernelLog, noKernelLog } from "./KernelLog.ts"

export interface ProcTree {
  readonly root: string
  readonly files: ProcFiles
  /** Clock ticks (100 a second) of user time of all CPUs, and processes that were killed for want of memory. */
  readonly host: (ticks: number, oomKills?: number) => void
  readonly process: (pid: number, comm: string, ticks: number, pages: number, startTicks?: number) => void
  /** A thread of a process: it has a number of the same row. */
  readonly thread: (tid: number, of: number, comm: string, pages: number) => void
  readonly exit: (pid: number) => void
  readonly cgroup: (path: string, files: Readonly<Record<string, string>>) => void
  readonly sources: (options?: Options) => RecorderSources
  readonly recorder: (options?: Options) => FlightRecorder
  readonly remove: () => void
}

interface Options {
  readonly log?: KernelLog
  /** What each sample costs, in milliseconds. */
  readonly cost?: () => number
  readonly unitOf?: (pid: number) => string
}

export const procTree = (): ProcTree => {
  const root = mkdtempSync(join(tmpdir(), "nodepulse-proc-"))
  const proc = join(root, "proc")
  const cgroup = join(root, "cgroup")
  const put = (path: string, text: string) => {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }
  put(join(cgroup, "cgroup.controllers"), "cpu memory")
  put(
    join(proc, "meminfo"),
    "MemTotal:  1000 kB\nMemFree: 10 kB\nMemAvailable:  400 kB\nSwapTotal: 50 kB\nSwapFree: 30 kB\n"
  )
  const files = new ProcFiles(proc)
  let last = 0
  const sources = ({ cost = () => 0, log = noKernelLog, unitOf = () => "" }: Options = {}): RecorderSources => ({
    files,
    cgroups: cgroupFiles(cgroup),
    log,
    processNaming: ({ comm, pid }) => ({ name: comm, unit: unitOf(pid) }),
    unitNaming: (path) => path.slice(path.lastIndexOf("/") + 1),
    victimNaming: (comm) => comm,
    measure: (work) => {
      work()
      return cost()
    }
  })
  const task = (
    id: number,
    group: number,
    comm: string,
    { pages, startTicks, ticks }: { readonly ticks: number; readonly pages: number; readonly startTicks: number }
  ) => {
    last = Math.max(last, id)
    put(join(proc, "loadavg"), `0.00 0.00 0.00 1/1 ${last}\n`)
    put(
      join(proc, String(id), "stat"),
      `${id} (${comm}) S 1 1 1 0 -1 0 0 0 0 0 ${ticks} 0 0 0 20 0 1 0 ${startTicks} 0 ${pages} 0 0 0\n`
    )
    put(join(proc, String(id), "status"), `Name:\t${comm}\nUmask:\t0022\nTgid:\t${group}\nPid:\t${id}\n`)
  }
  return {
    root,
    files,
    host: (ticks, oomKills = 0) => {
      put(join(proc, "stat"), `cpu  ${ticks} 0 0 0 0 0 0 0 0 0\nprocs_running 3\nprocs_blocked 1\n`)
      put(join(proc, "vmstat"), `nr_free_pages 1\noom_kill ${oomKills}\n`)
    },
    process: (pid, comm, ticks, pages, startTicks = 1) => task(pid, pid, comm, { ticks, pages, startTicks }),
    thread: (tid, of, comm, pages) => task(tid, of, comm, { ticks: 0, pages, startTicks: 1 }),
    exit: (pid) => rmSync(join(proc, String(pid)), { recursive: true, force: true }),
    cgroup: (path, texts) => {
      for (const [name, text] of Object.entries(texts)) put(join(cgroup, path, name), text)
    },
    sources,
    recorder: (options) => new FlightRecorder(sources(options)),
    remove: () => rmSync(root, { recursive: true, force: true })
  }
}
