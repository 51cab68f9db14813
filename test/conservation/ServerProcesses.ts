/** The processes of a PostgreSQL, by its data folder, and signals to them. */
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"

export interface ServerProcesses {
  /** The postmaster, and then all that it started; nothing where it does not run. */
  readonly all: () => ReadonlyArray<number>
  /** A process that serves a connection, where there is one. */
  readonly oneConnection: () => ReadonlyArray<number>
}

export const processesOf = (pgdata: string): ServerProcesses => {
  const postmaster = (): number | undefined => {
    try {
      const pid = Number(readFileSync(join(pgdata, "postmaster.pid"), "utf8").split("\n")[0])
      // A file that is just being written is empty, and 0 would be our own process group.
      return pid > 1 ? pid : undefined
    } catch {
      return undefined
    }
  }
  const children = (): ReadonlyArray<number> => {
    const parent = postmaster()
    if (parent === undefined) return []
    return execFileSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" })
      .split("\n")
      .map((line) => line.trim().split(/\s+/).map(Number))
      .flatMap(([pid, ppid]) => (ppid === parent && pid !== undefined ? [pid] : []))
  }
  return {
    all: () => {
      const parent = postmaster()
      return parent === undefined ? [] : [parent, ...children()]
    },
    oneConnection: () =>
      // Connections come after the helpers of PostgreSQL: the highest process is one, where there is any.
      children()
        .toSorted((a, b) => b - a)
        .slice(0, 1)
  }
}

export const signal = (pids: ReadonlyArray<number>, name: NodeJS.Signals): void => {
  for (const pid of pids) {
    try {
      process.kill(pid, name)
    } catch {
      // It is gone already.
    }
  }
}
