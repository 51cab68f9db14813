/** What a vector of `docs/numbers.md` is, and the words to write one with. */
import { assert } from "@effect/vitest"
import type { Snapshot } from "../src/plugins/Snapshot.ts"
import type { HistoryAnswer, TopAnswer, Window } from "../src/query/Rankings.ts"
import { EPOCH, nodeRow, processRow, SECOND } from "./TruthRows.ts"
import { near } from "./TruthSame.ts"

/** Rows, a window, and what the answer must say, whatever computes it. */
export interface Vector {
  readonly name: string
  readonly rows: (server: string) => ReadonlyArray<Snapshot>
  readonly window: Window
  /** By default the processes. */
  readonly exporter?: string
  readonly metric?: string
  readonly check: (answer: TopAnswer) => void
  readonly history?: VectorHistory
}

export interface VectorHistory {
  readonly exporter: string
  readonly name?: string
  readonly points: number
  /** Which width `points` gives. */
  readonly stepSeconds: number
  readonly check: (answer: HistoryAnswer) => void
}

/** Between moments in seconds since `EPOCH`. */
export const seconds = (from: number, to: number): Window => ({ from: EPOCH + from * SECOND, to: EPOCH + to * SECOND })

/** Rows of one group, whose exporter does not say when its counters began. */
export const series = (server: string, values: ReadonlyArray<readonly [number, number]>, name = "g") =>
  values.map(([t, cpu]) => processRow(server, t, name, cpu))

/** Rows of one group, whose exporter does. */
export const seriesSince = (
  server: string,
  since: number | undefined,
  values: ReadonlyArray<readonly [number, number]>,
  name = "g"
) => values.map(([t, cpu]) => processRow(server, t, name, cpu, { since }))

/** Every 15 seconds. */
export const times = (from: number, to: number) => Array.from({ length: (to - from) / 15 + 1 }, (_, n) => from + 15 * n)

/** A group that does nothing, so that there are scrapes. */
export const idle = (server: string, at: ReadonlyArray<number>, since?: number) =>
  at.map((t) => processRow(server, t, "other", 0, { since }))

/** A row of the host that says how many cores it has. */
export const cores = (server: string, count = 4) => [
  nodeRow(server, 0, { cpu_cores: count, memory_total_bytes: 2 ** 33 })
]

export interface Life {
  readonly scrapes: number
  readonly cores?: number
  /** When all counters began, by the clock of the first scrape. */
  readonly since?: number
  /** How many seconds of all CPUs the host uses between two scrapes. */
  readonly busy: number
  /** What each group has used at first, and uses between two scrapes. */
  readonly groups: Readonly<Record<string, readonly [number, number]>>
  /** How far the clock is ahead at the n-th scrape, and every beginning with it. */
  readonly clock?: (n: number) => number
}

/** A machine that works evenly, looked at every 15 seconds, by a clock that may be set. */
export const lived = (server: string, life: Life): ReadonlyArray<Snapshot> => {
  const { busy, clock = () => 0, cores = 4, groups, scrapes, since = -10_000 } = life
  return Array.from({ length: scrapes }, (_, n) => {
    const t = 15 * n + clock(n)
    const began = { since: since + clock(n) }
    const host = {
      cpu_cores: cores,
      memory_total_bytes: 2 ** 33,
      cpu_user_seconds: 30_000 + n * busy * 0.75,
      cpu_system_seconds: 9_000 + n * busy * 0.25,
      cpu_idle_seconds: 500_000 + n * (cores * 15 - busy)
    }
    return [
      nodeRow(server, t, host, began),
      ...Object.entries(groups).map(([name, [first, each]]) => processRow(server, t, name, first + n * each, began))
    ]
  }).flat()
}

/** What an answer must say; of `resets`, `clamped` and `unknown` none where nothing is said. */
export interface Said {
  /** Groups with their total, and their peak and present rate where these are said. */
  readonly groups?: Readonly<Record<string, readonly [total: number, peak?: number, now?: number]>>
  readonly covered?: number
  readonly resets?: number
  readonly clamped?: number
  readonly unknown?: number
  /** Core-seconds that no group accounts for, or null. */
  readonly unaccounted?: number | null
}

/** The fields that a ranking gives: of CPU, or of something that is only counted. */
const CPU = { total: "cpu_seconds", peak: "peak_cpu_percent", now: "cpu_percent" }
const counted = (key: string) => ({ total: `${key}_total`, peak: `peak_${key}_per_second`, now: `${key}_per_second` })

export const says =
  (said: Said, key = "cpu") =>
  (answer: TopAnswer): void => {
    const fields = key === "cpu" ? CPU : counted(key)
    for (const [name, [total, peak, now]] of Object.entries(said.groups ?? {})) {
      const row = answer.rows.find((row) => row.name === name)
      near(row?.[fields.total], total, `${name} ${fields.total}`)
      if (peak !== undefined) near(row?.[fields.peak], peak, `${name} ${fields.peak}`)
      if (now !== undefined) near(row?.[fields.now], now, `${name} ${fields.now}`)
    }
    if (said.covered !== undefined) near(answer.coveredSeconds, said.covered, "covered")
    assert.strictEqual(answer.resets, said.resets ?? 0, "resets")
    assert.strictEqual(answer.clamped, said.clamped ?? 0, "clamped")
    assert.strictEqual(answer.unknown, said.unknown ?? 0, "unknown")
    if (said.unaccounted === undefined) return
    if (said.unaccounted === null) {
      assert.isNull(answer.unaccounted)
      return
    }
    near(answer.unaccounted?.cpuSeconds, said.unaccounted, "unaccounted")
    const average = (100 * said.unaccounted) / answer.coveredSeconds
    near(answer.unaccounted?.avgCpuPercent, average, "unaccounted on average")
  }

/** As {@link says}, of group `g`. */
export const cpu = (expected: {
  readonly total: number
  readonly covered: number
  readonly average: number
  readonly resets?: number
  readonly clamped?: number
  readonly unknown?: number
}): ((answer: TopAnswer) => void) => {
  const { average, total, ...rest } = expected
  return (answer) => {
    says({ ...rest, groups: { g: [total] } })(answer)
    near(answer.rows.find(({ name }) => name === "g")!.avg_cpu_percent, average, "avg_cpu_percent")
  }
}

/** What an answer says of the groups together. */
export const totalOf = (answer: TopAnswer, field = "cpu_seconds"): number =>
  answer.rows.reduce((sum, row) => sum + (row[field] as number), answer.other[field] ?? 0)
