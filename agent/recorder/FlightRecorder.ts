/**
 * The flight recorder: a sample of the machine each second, the last 15 minutes in memory. It forks nothing and waits for nothing: it is
 * told when to take a sample, and made into a recording when one is wanted.
 *
 * Guarantee: times are those of a clock that nobody sets and that counts suspended time, so a machine that slept or a sample that came
 * late leaves a gap and never a wrong rate. What the samples cost is bounded by `RecorderBudget.ts`, memory by `SampleRing.ts`.
 */
import { availableParallelism } from "node:os"
import {
  HOST_COLUMNS,
  KILLS_MAX,
  type OomKill,
  type Recording,
  type RecordingReason,
  SPAN_SECONDS
} from "../../src/protocol/Recording.ts"
import { type KernelUnits, kernelUnits, type ProcFiles } from "../collector/ProcFiles.ts"
import type { CgroupFiles } from "./CgroupFiles.ts"
import { HOST_WIDTH, type HostReading, hostValues, readHost } from "./HostSample.ts"
import { HotProcesses, type ProcessNaming } from "./HotProcesses.ts"
import { HotUnits } from "./HotUnits.ts"
import { KeptFiles } from "./KeptFiles.ts"
import type { KernelLog } from "./KernelLog.ts"
import { OomWatch } from "./OomWatch.ts"
import { LATE_PERIODS, RecorderBudget } from "./RecorderBudget.ts"
import { HostRing } from "./SampleRing.ts"

const SPAN_MILLIS = SPAN_SECONDS * 1_000
const CHANGES_MAX = 50

/** What the recorder reads, and what it is told. */
export interface RecorderSources {
  readonly files: ProcFiles
  readonly cgroups: CgroupFiles | undefined
  readonly log: KernelLog
  readonly processNaming: ProcessNaming
  /** What a cgroup is called. */
  readonly unitNaming: (path: string) => string
  /** What a killed process is called of which only the command name is known; null: nothing. */
  readonly victimNaming: (comm: string) => string | null
  /** Does work, and says what it cost: milliseconds of CPU. */
  readonly measure: (work: () => void) => number
}

export class FlightRecorder {
  readonly budget = new RecorderBudget()
  readonly #sources: RecorderSources
  readonly #kernel: KernelUnits
  readonly #kept: KeptFiles
  readonly #host = new HostRing(HOST_WIDTH)
  readonly #processes: HotProcesses
  readonly #units: HotUnits | undefined
  readonly #oom: OomWatch
  readonly #kills: Array<OomKill & { readonly boot: number }> = []
  readonly #levels: Array<{ readonly boot: number; readonly level: number }> = []
  #last: { readonly reading: HostReading; readonly boot: number } | undefined

  constructor(sources: RecorderSources) {
    const { cgroups, files, processNaming, unitNaming } = sources
    this.#sources = sources
    this.#kept = new KeptFiles(files.root)
    this.#kernel = kernelUnits(files)
    this.#processes = new HotProcesses(files, this.#kept, this.#kernel, processNaming)
    this.#units = cgroups === undefined ? undefined : new HotUnits(cgroups, unitNaming)
    this.#oom = new OomWatch(this.#processes, this.#units, sources)
  }

  /**
   * Takes a sample, where the budget allows one: `boot` milliseconds since boot, `now` epoch milliseconds. Returns the kills that were
   * seen.
   */
  sample(boot: number, now: number): ReadonlyArray<OomKill> {
    if (!this.budget.allows(boot)) return []
    let kills: ReadonlyArray<OomKill> = []
    const cost = this.#sources.measure(() => {
      kills = this.#take(boot, now)
    })
    this.budget.note(cost)
    return kills
  }

  #take(boot: number, now: number): ReadonlyArray<OomKill> {
    const level = this.budget.now
    if (this.#levels.at(-1)?.level !== this.budget.level) {
      this.#levels.push({ boot, level: this.budget.level })
      if (this.#levels.length > CHANGES_MAX) this.#levels.shift()
    }
    const sample = this.#host.samples
    this.#kept.begin()
    const reading = readHost(this.#kept)
    const before = this.#last
    const seconds = before === undefined ? 0 : (boot - before.boot) / 1_000
    const isLate = seconds * 1_000 > LATE_PERIODS * level.periodMillis
    this.#last = { reading, boot }
    const was = isLate ? undefined : before?.reading
    this.#host.write(boot, hostValues(reading, was, seconds, this.#kernel.ticksPerSecond))
    const kills = this.#oom.look(reading.oomKills, now / 1_000)
    for (const kill of kills) this.#kills.push({ ...kill, boot })
    this.#kills.splice(0, Math.max(0, this.#kills.length - KILLS_MAX))
    this.#processes.sample(sample, boot, level)
    this.#units?.sample(sample, boot, level)
    return kills
  }

  /** The last 15 minutes, as of the last sample; undefined before the first. `boot` and `now`: as of this moment. */
  recording(id: string, reason: RecordingReason, boot: number, now: number): Recording | undefined {
    const places = this.#host.places((this.#last?.boot ?? 0) - SPAN_MILLIS)
    const last = places.at(-1)
    if (last === undefined) return undefined
    const end = this.#host.boot[last]!
    const since = (at: number) => rounded((at - end) / 1_000, 1_000)
    const column = (values: ArrayLike<number>, per: number): ReadonlyArray<number | null> =>
      places.map((place) => known(values[place]!, per))
    const tracked = <T>(
      tracks: ReadonlyArray<{ readonly what: T; readonly cpu: Float32Array; readonly memory: Float64Array }>
    ) =>
      tracks
        .map(({ cpu, memory, what }) => ({ what, cpu: column(cpu, 10), memory: column(memory, 1) }))
        .filter(({ cpu, memory }) => [...cpu, ...memory].some((value) => value !== null))
    return {
      version: 1,
      id,
      reason,
      ended: rounded((now - (boot - end)) / 1_000, 1_000),
      at: places.map((place) => since(this.#host.boot[place]!)),
      cores: availableParallelism(),
      memory: this.#memory(),
      host: Object.fromEntries(
        HOST_COLUMNS.map((name, n) => [name, column(this.#host.columns[n]!, name.endsWith("_bytes") ? 1 : 10)])
      ) as Recording["host"],
      processes: tracked(this.#processes.tracks.all()).map(({ cpu, memory, what }) => ({ ...what, cpu, memory })),
      units: tracked(this.#units?.tracks.all() ?? []).map(({ cpu, memory, what: { name, path } }) => ({
        name,
        limit: this.#units?.limitOf(path) ?? null,
        cpu,
        memory
      })),
      kills: this.#kills.filter(({ boot }) => boot >= end - SPAN_MILLIS).map(({ boot: _, ...kill }) => kill),
      degraded: this.#degraded(end).map(({ boot, level }) => ({
        at: Math.max(since(boot), since(end - SPAN_MILLIS)),
        level
      }))
    }
  }

  /** The levels of the last 15 minutes, where they were not the first one all the time. */
  #degraded(end: number) {
    const first = this.#levels.findLastIndex(({ boot }) => boot <= end - SPAN_MILLIS)
    const levels = this.#levels.slice(Math.max(0, first))
    return levels.every(({ level }) => level === 0) ? [] : levels
  }

  #memory(): number {
    const total = /^MemTotal:\s+(\d{1,15}) kB/m.exec(this.#sources.files.text("meminfo") ?? "")?.[1]
    return total === undefined ? 0 : Number(total) * 1024
  }
}

/** A value with so many parts of one; null where it is not known. */
const known = (value: number, per: number): number | null =>
  value >= 0 && value < Number.POSITIVE_INFINITY ? rounded(value, per) : null

const rounded = (value: number, per: number): number => Math.round(value * per) / per
