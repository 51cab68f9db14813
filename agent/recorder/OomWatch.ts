/**
 * Sees that the kernel killed a process for want of memory: its own count has grown. Who it was it tells in its log; where that cannot be
 * read, it was the largest process that is gone since, of the unit that lost one.
 */
import type { OomKill } from "../../src/protocol/Recording.ts"
import type { RecorderSources } from "./FlightRecorder.ts"
import type { HotProcesses } from "./HotProcesses.ts"
import type { HotUnits } from "./HotUnits.ts"
import type { KernelKill, KernelLog } from "./KernelLog.ts"

export class OomWatch {
  readonly #log: KernelLog
  readonly #processes: HotProcesses
  readonly #units: HotUnits | undefined
  readonly #nameOf: (path: string) => string
  readonly #victimNaming: (comm: string) => string | null
  #count: number | undefined

  constructor(
    processes: HotProcesses,
    units: HotUnits | undefined,
    { log, unitNaming, victimNaming }: Pick<RecorderSources, "log" | "unitNaming" | "victimNaming">
  ) {
    this.#log = log
    this.#processes = processes
    this.#units = units
    this.#nameOf = unitNaming
    this.#victimNaming = victimNaming
  }

  /** The kills since the last look. `count`: the kernel's own, NaN where it tells none; `at`: now, epoch seconds. */
  look(count: number, at: number): ReadonlyArray<OomKill> {
    const before = this.#count
    if (!Number.isNaN(count)) this.#count = count
    if (before === undefined || !(count > before)) return []
    const told = this.#log.kills() ?? []
    const paths = this.#units?.killedIn() ?? []
    if (told.length > 0) return told.slice(-KILLS_AT_ONCE).map((kill) => this.#told(kill, at))
    return paths.length === 0
      ? [this.#presumed(undefined, at)]
      : paths.slice(0, KILLS_AT_ONCE).map((path) => this.#presumed(path, at))
  }

  #told({ bytes, cgroup, comm, limit, limited, pid, scope }: KernelKill, at: number): OomKill {
    const shown = this.#processes.named(pid)
    return {
      at,
      name: shown?.name ?? this.#victimNaming(comm),
      pid,
      unit: cgroup === undefined ? (shown?.unit ?? null) : this.#nameOf(cgroup),
      memory: bytes,
      scope,
      limited: limited === undefined ? null : this.#nameOf(limited),
      // A unit that is killed soon after its start may be gone before anybody has looked at its limit.
      limit: limit ?? (limited === undefined ? null : (this.#units?.limitOf(limited) ?? null)),
      source: "kernel"
    }
  }

  #presumed(path: string | undefined, at: number): OomKill {
    const unit = path === undefined ? undefined : this.#nameOf(path)
    // Where units of processes are not known, it is the largest of all.
    const victim = this.#processes.vanished(unit) ?? this.#processes.vanished(undefined)
    const limit = path === undefined ? undefined : this.#units?.limitOf(path)
    return {
      at,
      name: victim?.name ?? null,
      pid: victim?.pid ?? null,
      unit: unit ?? victim?.unit ?? null,
      memory: victim?.bytes ?? null,
      scope: limit === undefined ? "unknown" : "unit",
      limited: limit === undefined ? null : unit!,
      limit: limit ?? null,
      source: "presumed"
    }
  }
}

const KILLS_AT_ONCE = 10
