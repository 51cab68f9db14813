/**
 * How a process gets its name, as a port: what a naming is shown of a process, and what it answers. The process collector
 * asks it; it reads what the naming `needs` and nothing more, since each part is a file to open.
 */

export interface NamedProcess {
  readonly pid: number
  /** The command name; bytes that are not UTF-8 as `\xff`. */
  readonly comm: string
  /** Where the executable lies; undefined where it was not needed, or may not be read. */
  readonly exe: string | undefined
  /** The arguments, the program's own name first; empty where they were not needed, and for a kernel thread. */
  readonly cmdline: ReadonlyArray<string>
  readonly uid: number | undefined
  /** Epoch milliseconds. */
  readonly startedAt: number
  /** The paths of its control groups, as in `/proc/PID/cgroup`. */
  readonly cgroups: ReadonlyArray<string>
  /** The unit that it is in; "" where none is known. */
  readonly unit: string
}

export interface ProcessNames {
  /** The name of the process's group; undefined: in no group but its parent's. */
  readonly nameOf: (process: NamedProcess) => string | undefined
  /** What `nameOf` looks at besides pid, comm, start and unit. */
  readonly needs: {
    readonly exe: boolean
    readonly cmdline: boolean
    readonly user: boolean
    readonly cgroups: boolean
  }
}

/** By command name, of each process that has a command line: all but kernel threads and zombies. */
export const namesByComm: ProcessNames = {
  nameOf: ({ cmdline, comm }) => (cmdline.length === 0 ? undefined : comm),
  needs: { exe: false, cmdline: true, user: false, cgroups: false }
}
