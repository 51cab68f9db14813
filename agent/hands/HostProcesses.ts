/**
 * The processes of this host as they are at this moment, by /proc: who they are, what they belong to, and what of them is the host's own.
 *
 * A process is its pid together with the clock ticks at which it started; a pid alone names whoever has it now. The pid is the host's,
 * also of a process in a container, whose own PID namespace counts anew.
 *
 * Guarantee: nothing is remembered. What is gone, or cannot be read, is undefined; so is a thread, which /proc has by its id as if it
 * were a process, under a name of its own: whoever signalled that would signal the process.
 */
import { getPriority } from "node:os"
import { printable } from "../../src/protocol/PrintableText.ts"
import { type KernelUnits, kernelUnits, ProcFiles } from "../collector/ProcFiles.ts"
import { type ProcStat, parseProcStat } from "../collector/ProcStat.ts"

export interface HostProcess extends ProcStat {
  /** What an order calls it: its command name, made printable. */
  readonly name: string
  /** Its path in the hierarchy that systemd keeps; "" where it has none. */
  readonly cgroup: string
  /** The system's unit that it is in; a unit of a user's own manager is in that of the user. */
  readonly unit: string | null
  readonly uid: number
  /** In a PID namespace of its own. */
  readonly container: boolean
  readonly exe: string | undefined
}

export class HostProcesses {
  readonly #files: ProcFiles
  readonly units: KernelUnits

  constructor(root = "/proc") {
    this.#files = new ProcFiles(root)
    this.units = kernelUnits(this.#files)
  }

  /** By its pid, whoever has it now. */
  of(pid: number): HostProcess | undefined {
    const bytes = this.#files.record(`${pid}/stat`)
    const stat = bytes === undefined ? undefined : parseProcStat(bytes, bytes.length)
    if (stat === undefined) return undefined
    const status = this.#files.text(`${pid}/status`) ?? ""
    if (/^Tgid:\s+(\d+)$/m.exec(status)?.[1] !== String(pid)) return undefined
    const cgroup = systemdPath(this.#files.bytes(`${pid}/cgroup`)?.toString("utf8") ?? "")
    return {
      ...stat,
      name: printable(stat.comm),
      cgroup,
      unit: unitOfPath(cgroup),
      uid: Number(/^Uid:\s+(\d+)/m.exec(status)?.[1] ?? -1),
      container: (/^NSpid:\s+(.+)$/m.exec(status)?.[1] ?? "").split(/\s+/).length > 1,
      exe: this.#files.link(`${pid}/exe`)
    }
  }

  all(): ReadonlyArray<HostProcess> {
    return (this.#files.pids() ?? []).slice(0, PROCESSES_MAX).flatMap((pid) => this.of(pid) ?? [])
  }

  /** The start alone, for a last look. */
  startOf(pid: number): { readonly startTicks: number; readonly name: string; readonly state: string } | undefined {
    const bytes = this.#files.record(`${pid}/stat`)
    const stat = bytes === undefined ? undefined : parseProcStat(bytes, bytes.length)
    return stat && { startTicks: stat.startTicks, name: printable(stat.comm), state: stat.state }
  }

  threadsOf(pid: number): ReadonlyArray<number> {
    return this.#files.numbersIn(`${pid}/task`) ?? []
  }

  argumentsOf(pid: number): ReadonlyArray<string> {
    return this.#files.commandLine(pid)
  }

  niceOf(pid: number): number {
    try {
      return getPriority(pid)
    } catch {
      return 0
    }
  }

  bootId(): string {
    return (this.#files.text("sys/kernel/random/boot_id") ?? "").trim()
  }

  /** The control group of this very process. */
  ownCgroup(): string {
    return systemdPath(this.#files.bytes("self/cgroup")?.toString("utf8") ?? "")
  }
}

const PROCESSES_MAX = 32_768

/** The path in the hierarchy in which systemd keeps its units: v2's, else the one of v1 that has its name. */
const systemdPath = (cgroups: string): string => {
  const pathOf = (start: RegExp) =>
    cgroups
      .split("\n")
      .find((line) => start.test(line))
      ?.replace(/^\d+:[^:]*:/, "")
  const path = pathOf(/^0::(?!\/$)/) ?? pathOf(/^\d+:name=systemd:/) ?? pathOf(/^0::/) ?? ""
  return path.replace(/ \(deleted\)$/, "")
}

/** The first part of the path that is no slice, as sd_pid_get_unit(3) has it. */
const unitOfPath = (path: string): string | null => {
  const part = path.split("/").find((one) => one !== "" && !one.endsWith(".slice"))
  return part !== undefined && /\.(service|scope|mount|swap|socket)$/.test(part) ? unescaped(part) : null
}

/** systemd puts an underscore before what a controller's file could be called. */
const unescaped = (part: string): string => (part.startsWith("_") ? part.slice(1) : part)
