/**
 * The hottest units, each second: those whose processes used the most CPU or hold the most memory in the last round. All units are
 * looked at once a round.
 */
import { UNITS_MAX } from "../../src/protocol/Recording.ts"
import type { CgroupFiles } from "./CgroupFiles.ts"
import { LATE_PERIODS, type Level } from "./RecorderBudget.ts"
import { type Track, Tracks } from "./SampleRing.ts"

export interface ShownUnit {
  readonly name: string
  /** As the kernel has it. */
  readonly path: string
}

interface Known {
  cpuSeconds: number
  used: number
  bytes: number
  at: number
  limit: number | undefined
  oomKills: number
}

export class HotUnits {
  readonly tracks = new Tracks<ShownUnit>(UNITS_MAX)
  readonly #files: CgroupFiles
  readonly #nameOf: (path: string) => string
  #known = new Map<string, Known>()
  #hot: ReadonlyArray<Track<ShownUnit>> = []
  #roundEnds = 0

  constructor(files: CgroupFiles, nameOf: (path: string) => string) {
    this.#files = files
    this.#nameOf = nameOf
  }

  /** One sample, the one of this number, at `boot` (milliseconds since boot). */
  sample(sample: number, boot: number, level: Level): void {
    this.tracks.begin(sample)
    this.#files.begin()
    if (level.units === 0) return
    const isRound = boot >= this.#roundEnds
    const lateSeconds = (LATE_PERIODS * level.periodMillis) / 1_000
    for (const track of this.#hot.slice(0, level.units)) {
      const { path } = track.what
      const before = this.#known.get(path)
      const read = this.#files.read(path, true)
      if (read === undefined || before === undefined) continue
      const seconds = (boot - before.at) / 1_000
      const used = read.cpuSeconds - before.cpuSeconds
      const isKnown = used >= 0 && seconds > 0 && seconds <= lateSeconds
      this.tracks.write(track, sample, isKnown ? (100 * used) / seconds : Number.NaN, read.memory)
      this.#note(before, read, boot)
    }
    if (!isRound) return
    this.#roundEnds = boot + level.roundSeconds * 1_000
    this.#look(sample, boot, level)
  }

  /**
   * Its limit, as it was in the last round; undefined: none, or it is not known. The kernel's log has paths from the machine's root: an
   * agent in a container sees their ends, and the longest end that it knows is meant.
   */
  limitOf(path: string): number | undefined {
    const exact = this.#files.limit(path) ?? this.#known.get(path)?.limit
    if (exact !== undefined || this.#known.has(path)) return exact
    let end = ""
    for (const known of this.#known.keys()) if (known.length > end.length && path.endsWith(known)) end = known
    return end === "/" ? undefined : this.#known.get(end)?.limit
  }

  /** Units that lost processes for want of memory since the last round or the last question, by path. */
  killedIn(): ReadonlyArray<string> {
    const killed: Array<string> = []
    for (const [path, known] of this.#known) {
      const now = this.#files.oomKills(path)
      if (now > known.oomKills) killed.push(path)
      if (!Number.isNaN(now)) known.oomKills = now
    }
    return killed
  }

  #look(sample: number, boot: number, level: Level): void {
    const before = this.#known
    this.#known = new Map()
    for (const path of this.#files.list()) {
      const read = this.#files.read(path, false)
      if (read === undefined) continue
      const known = before.get(path)
      const limit = this.#files.limit(path)
      if (known === undefined) {
        const { cpuSeconds, memory: bytes } = read
        this.#known.set(path, { cpuSeconds, used: 0, bytes, at: boot, limit, oomKills: this.#files.oomKills(path) })
        continue
      }
      this.#note(known, read, boot)
      known.limit = limit
      this.#known.set(path, known)
    }
    const all = [...this.#known]
    const byMemory = all
      .toSorted(([, a], [, b]) => (b.bytes || 0) - (a.bytes || 0))
      .slice(0, Math.ceil(level.units / 2))
    const byCpu = all.toSorted(([, a], [, b]) => b.used - a.used)
    const hot = new Set(byMemory.map(([path]) => path))
    for (const [path, { used }] of byCpu) if (hot.size < level.units && used > 0) hot.add(path)
    for (const [, known] of all) known.used = 0
    this.#hot = [...hot].map((path) => this.tracks.open(path, () => ({ path, name: this.#nameOf(path) }), sample))
  }

  #note(known: Known, { cpuSeconds, memory }: { readonly cpuSeconds: number; readonly memory: number }, boot: number) {
    known.used += Math.max(0, cpuSeconds - known.cpuSeconds) || 0
    known.cpuSeconds = cpuSeconds
    known.bytes = memory
    known.at = boot
  }
}
