/**
 * Questions to the stored rows, as a port: who is on top, and how did it go over time. What every number means is
 * defined in `docs/numbers.md`; nothing here invents what was not seen.
 *
 * A window is (from, to]: an increase belongs to the moment of its right end, so that adjacent windows add up.
 */
import { Context, type Effect } from "effect"
import type { UnknownServer } from "./Servers.ts"
import type { RowsUnavailable } from "./SnapshotRows.ts"

/** Epoch microseconds; `from` excluded, `to` included. */
export interface Window {
  readonly from: number
  readonly to: number
}

/** One ranked group. The fields beside `name` follow from the declaration, see `rankingFields` and `answerFields`. */
export interface RankedRow {
  readonly name: string
  readonly [field: string]: string | number | null
}

export interface TopAnswer {
  readonly rows: ReadonlyArray<RankedRow>
  readonly window: Window
  /** Covered time in seconds. */
  readonly coveredSeconds: number
  /** Covered time divided by the window's length, 0 to 1. */
  readonly coverage: number
  readonly scrapes: number
  /** The server's latest scrape until the window's end, also where it lies before the window; epoch microseconds. */
  readonly lastSeen: number | null
  readonly stale: boolean
  readonly resets: number
  readonly clamped: number
  readonly host: { readonly cpuCores: number | null; readonly memoryTotalBytes: number | null } | null
  /** All groups that are not listed, in the fields of the rankings, and how many they are. */
  readonly other: Readonly<Record<string, number>> & { readonly groups: number }
  /** Busy CPU of the host in the window that no group accounts for; null where the host's rows are missing. */
  readonly unaccounted: { readonly cpuSeconds: number; readonly avgCpuPercent: number } | null
  readonly memoryOvercounted: boolean
}

export interface HistoryAnswer {
  readonly window: Window
  readonly stepSeconds: number
  readonly coverage: number
  /** Right end of each step, epoch microseconds. */
  readonly timestamps: ReadonlyArray<number>
  /** One value per step; null where nothing was seen. Keys as in the top answer: `cpu_percent`, `memory_mb`, … */
  readonly series: Readonly<Record<string, ReadonlyArray<number | null>>>
}

export class Rankings extends Context.Service<
  Rankings,
  {
    readonly top: (request: {
      readonly exporter: string
      readonly serverId: string
      readonly metric: string
      readonly limit: number
      readonly window: Window
    }) => Effect.Effect<TopAnswer, UnknownServer | RowsUnavailable>
    readonly history: (request: {
      readonly exporter: string
      readonly serverId: string
      /** The value of the ranked label; absent for an exporter without one. */
      readonly name?: string
      readonly window: Window
      /** At most this many steps. */
      readonly points: number
    }) => Effect.Effect<HistoryAnswer, UnknownServer | RowsUnavailable>
    /** When each server's latest scrape of any exporter was, epoch microseconds. */
    readonly lastSeen: Effect.Effect<ReadonlyMap<string, number>, RowsUnavailable>
  }
>()("nodepulse/sinks/Rankings") {}
